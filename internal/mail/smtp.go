package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Encryption is how the connection to a mail server is encrypted.
type Encryption string

// The ways.
const (
	// Automatic is Implicit on port 465, None to a loopback address, and StartTLS else.
	Automatic Encryption = ""
	// StartTLS begins in the clear; a server that does not offer STARTTLS is not spoken to.
	StartTLS Encryption = "starttls"
	// Implicit is TLS from the first byte on.
	Implicit Encryption = "implicit"
	// None sends everything in the clear, wherever the server is.
	None Encryption = "none"
)

const (
	portImplicit = 465
	// maxAnswers is how much a server may say on one connection.
	maxAnswers = 1 << 20
	// quitTimeout is how long a server may take to say goodbye.
	quitTimeout = 2 * time.Second
)

// SMTP is the mail server of an installation. It implements [Sender].
type SMTP struct {
	Host       string
	Port       int
	Encryption Encryption
	// Username and Password are for AUTH, by PLAIN or LOGIN; without a username there is none.
	Username, Password string
	// From is the sender, as in "Example <login@example.com>".
	From string
	// HELO is the name that the server is greeted with.
	HELO string
	// Limit is how long connecting may take, and each mail.
	Limit time.Duration
	// RootCAs are the authorities that the server is checked against; nil: the system's.
	RootCAs *x509.CertPool
}

// Timeout implements [Sender].
func (s *SMTP) Timeout() time.Duration { return s.Limit }

// Open implements [Sender].
func (s *SMTP) Open(ctx context.Context) (Connection, error) {
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, err
	}
	c := &connection{smtp: s, from: from, raw: &capped{Conn: raw, left: maxAnswers}}
	// The library heeds ctx only while it dials, and leaves the connection open on an error.
	defer context.AfterFunc(ctx, c.cut)()
	if err := c.greet(ctx); err != nil {
		c.cut()
		if ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, fmt.Errorf("%s: no answer in time", s.Host)
		}
		return nil, fmt.Errorf("%s: %w", s.Host, err)
	}
	return c, nil
}

// encryption is what it comes to, with the server at addr.
func (s *SMTP) encryption(addr net.Addr) Encryption {
	switch tcp, ok := addr.(*net.TCPAddr); {
	case s.Encryption != Automatic:
		return s.Encryption
	case s.Port == portImplicit:
		return Implicit
	case ok && tcp.IP.IsLoopback():
		return None
	default:
		return StartTLS
	}
}

// A connection implements [Connection] over go-mail.
type connection struct {
	smtp   *SMTP
	from   *netmail.Address
	raw    net.Conn
	client *gomail.Client
	talk   *smtp.Client
}

// cut ends the connection without a word.
func (c *connection) cut() { _ = c.raw.Close() }

// greet brings the connection to where mail can be sent.
func (c *connection) greet(ctx context.Context) error {
	s, conn := c.smtp, c.raw
	config := &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12, RootCAs: s.RootCAs}
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(s.Limit), gomail.WithHELO(heloName(s.HELO)), gomail.WithTLSConfig(config),
		// The address is ASCII: a server behind that has no SMTPUTF8 need not refuse it.
		gomail.WithoutSMTPUTF8(),
		// One look that the connection is there before each mail, one after it: for nothing.
		gomail.WithoutNoop(), gomail.WithoutRset(),
		gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
	}
	encryption := s.encryption(conn.RemoteAddr())
	switch encryption {
	case Implicit:
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return err
		}
		conn = secured
		options = append(options, gomail.WithSSL())
	case None:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuthCustom(&credentials{smtp: s, clear: encryption == None}))
	}
	var err error
	if c.client, err = gomail.NewClient(s.Host, options...); err != nil {
		return err
	}
	c.talk, err = c.client.DialToSMTPClientWithContext(ctx)
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		// What it says to a password is not repeated.
		if strings.HasPrefix(err.Error(), "SMTP AUTH") {
			return fmt.Errorf("username and password were refused (%d)", answer.Code)
		}
		return fmt.Errorf("the server does not want to talk (%d)", answer.Code)
	}
	if err != nil && strings.Contains(err.Error(), "does not support STARTTLS") {
		return errors.New("the server does not offer STARTTLS (mail.smtp.tls says what else there is)")
	}
	return err
}

// heloName writes an address as SMTP does.
func heloName(s string) string {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return s
	case addr.Is4():
		return "[" + s + "]"
	default:
		return "[IPv6:" + s + "]"
	}
}

// Send implements [Connection].
func (c *connection) Send(ctx context.Context, l Letter) error {
	m, err := c.message(l)
	if err != nil {
		return &SendError{Permanent: true, Reason: "it can't be written"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.smtp.Limit)
	defer cancel()
	defer context.AfterFunc(ctx, c.cut)()
	err = c.client.SendWithSMTPClient(c.talk, m)
	if m.IsDelivered() {
		return nil // and an error came after that
	}
	return explain(err)
}

// explain makes of an error of go-mail what is to be done about it.
func explain(err error) error {
	e, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return &SendError{Broken: true, Reason: "it was not sent"}
	}
	stage := "the mail"
	switch e.Reason {
	case gomail.ErrSMTPMailFrom:
		stage = "MAIL FROM"
	case gomail.ErrSMTPRcptTo:
		stage = "RCPT TO"
	case gomail.ErrSMTPData:
		stage = "DATA"
	default: // the content, or what comes after it
	}
	code := e.ErrorCode()
	if code == 0 { // of no answer at all: for IsTemp of go-mail, that is permanent
		return &SendError{Broken: true, Reason: "the connection broke off, or was too slow, at " + stage}
	}
	return &SendError{
		// Whether we may send at all does not depend on the mail; that gets better when
		// the configuration does.
		Permanent: code/100 == 5 && e.Reason != gomail.ErrSMTPMailFrom,
		Broken:    code == 421,
		Reason:    strings.TrimSpace(fmt.Sprintf("%d %s", code, e.EnhancedStatusCode())) + " at " + stage,
	}
}

// message writes a letter as it goes over the wire.
func (c *connection) message(l Letter) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(c.from)
	m.ToMailAddress(&netmail.Address{Address: l.To})
	m.Subject(oneLine(l.Subject))
	m.SetDateWithValue(l.Date)
	_, domain, _ := strings.Cut(c.from.Address, "@")
	m.SetMessageIDWithValue(string(l.ID) + "@" + domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday notice comes back
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	_, err := m.GetRecipients()
	return m, err
}

// Close implements [Connection].
func (c *connection) Close() error {
	defer c.cut()
	if err := c.raw.SetDeadline(time.Now().Add(quitTimeout)); err != nil {
		return err
	}
	return c.client.CloseWithSMTPClient(c.talk)
}

// credentials sign in by what the server offers of PLAIN and LOGIN. They are not sent in the
// clear unless the configuration says so, or the server is this machine.
type credentials struct {
	smtp  *SMTP
	clear bool
	chose smtp.Auth
}

// Start implements [smtp.Auth].
func (c *credentials) Start(server *smtp.ServerInfo) (string, []byte, error) {
	switch s := c.smtp; {
	case slices.Contains(server.Auth, "PLAIN"):
		c.chose = smtp.PlainAuth("", s.Username, s.Password, s.Host, c.clear)
	case slices.Contains(server.Auth, "LOGIN"):
		c.chose = smtp.LoginAuth(s.Username, s.Password, s.Host, c.clear)
	default:
		return "", nil, errors.New("the server takes no username and password (AUTH PLAIN or LOGIN)")
	}
	return c.chose.Start(server)
}

// Next implements [smtp.Auth].
func (c *credentials) Next(fromServer []byte, more bool) ([]byte, error) {
	return c.chose.Next(fromServer, more)
}

// capped is a connection that much can be read from, and no more: the answers of a mail
// server are short, and whoever reads them keeps them.
type capped struct {
	net.Conn
	left int
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
