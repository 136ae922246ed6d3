package mail_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/mail/mailtest"
)

const password = "the-password-of-the-mail-server"

// sender returns what sends to s, with its authority among ours.
func sender(s *mailtest.Server) *mail.SMTP {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	return &mail.SMTP{
		Host: "localhost", Port: s.Port, From: "Örgate <login@example.com>", HELO: "login.example.com", Limit: 10 * time.Second, RootCAs: roots,
	}
}

func letterTo(to string) mail.Letter {
	return mail.Letter{
		ID: "mail_01", To: to, Date: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		Content: mail.Content{Subject: "Ihr Code für Zürich", Text: "Der Code:\n\n    493817\n\n.\n-- \nGrüße\n", HTML: "<p>Der Code: <b>493817</b></p>"},
	}
}

// sendTo opens a connection, sends one letter, and closes it.
func sendTo(t *testing.T, s *mail.SMTP, to string) error {
	t.Helper()
	c, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = c.Send(t.Context(), letterTo(to))
	_ = c.Close() // what comes of it is tested by what arrives
	return err
}

func TestAMailArrivesAsItWasWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		server mailtest.Config
		enc    mail.Encryption
	}{
		"STARTTLS, PLAIN":    {mailtest.Config{TLS: "starttls", Username: "gate", Password: password, Methods: []string{"PLAIN"}}, mail.StartTLS},
		"STARTTLS, LOGIN":    {mailtest.Config{TLS: "starttls", Username: "gate", Password: password, Methods: []string{"LOGIN"}}, mail.StartTLS},
		"implicit TLS":       {mailtest.Config{TLS: "implicit", Username: "gate", Password: password}, mail.Implicit},
		"STARTTLS, no AUTH":  {mailtest.Config{TLS: "starttls"}, mail.StartTLS},
		"loopback, in clear": {mailtest.Config{TLS: "none"}, mail.Automatic},
		"clear with AUTH":    {mailtest.Config{TLS: "none", Username: "gate", Password: password}, mail.None},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.Start(t, tt.server)
			s := sender(server)
			s.Encryption, s.Username, s.Password = tt.enc, tt.server.Username, tt.server.Password
			if err := sendTo(t, s, "o'brien+x@acme.test"); err != nil {
				t.Fatal(err)
			}
			m := server.Next(t)
			if m.Secure != (tt.server.TLS != "none") || m.User != tt.server.Username || m.HELO != "login.example.com" {
				t.Errorf("secure %v, user %q, greeted as %q", m.Secure, m.User, m.HELO)
			}
			l := letterTo("")
			if m.From != "login@example.com" || len(m.To) != 1 || m.To[0] != "o'brien+x@acme.test" || m.Subject != l.Subject ||
				strings.TrimRight(m.Text, "\n") != strings.TrimRight(l.Text, "\n") || strings.TrimSpace(m.HTML) != l.HTML {
				t.Errorf("arrived: %+v", m)
			}
			for header, want := range map[string]string{
				"Message-ID": "<mail_01@example.com>", "Date": "Fri, 01 May 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated",
				"From": "=?utf-8?q?=C3=96rgate?= <login@example.com>", "To": "<o'brien+x@acme.test>", "User-Agent": "", "X-Mailer": "", "Reply-To": "",
			} {
				if got := m.Header(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
			for _, h := range m.Headers {
				if strings.Contains(strings.ToLower(h), "go-mail") {
					t.Errorf("a banner: %s", h)
				}
			}
		})
	}
}

func TestOneConnectionTakesManyMails(t *testing.T) {
	server := mailtest.Start(t, mailtest.Config{TLS: "starttls"})
	s := sender(server)
	s.Encryption = mail.StartTLS
	c, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"a@acme.test", "bounce@acme.test", "b@acme.test", "quote@acme.test", "c@acme.test"} {
		err := c.Send(t.Context(), letterTo(to))
		if bad := strings.HasPrefix(to, "bounce") || strings.HasPrefix(to, "quote"); bad != (err != nil) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	first := server.Next(t)
	for _, want := range []string{"b@acme.test", "c@acme.test"} {
		if m := server.Next(t); m.To[0] != want || m.Session != first.Session {
			t.Errorf("to %v on connection %s, want %s on %s", m.To, m.Session, want, first.Session)
		}
	}
}

func TestWhatAServerSaysDecidesWhetherItIsTriedAgain(t *testing.T) {
	server := mailtest.Start(t, mailtest.Config{})
	wary := mailtest.Start(t, mailtest.Config{RefuseSender: true})
	for _, tt := range []struct {
		to                string
		server            *mailtest.Server
		permanent, broken bool
		reason            string
	}{
		{"bounce@acme.test", server, true, false, "550 5.1.1 at RCPT TO"},
		{"grey@acme.test", server, false, false, "451 4.3.0 at RCPT TO"},
		{"drop@acme.test", server, false, true, "the connection broke off, or was too slow, at RCPT TO"},
		{"quote@acme.test", server, true, false, "554 5.6.0 at the mail"}, // and nothing of what it says
		{"jo@acme.test", wary, false, false, "550 5.1.1 at MAIL FROM"},
	} {
		err := sendTo(t, sender(tt.server), tt.to)
		e, ok := errors.AsType[*mail.SendError](err)
		if !ok || e.Permanent != tt.permanent || e.Broken != tt.broken || e.Reason != tt.reason {
			t.Errorf("to %s: %+v, want %+v", tt.to, err, tt)
		}
	}
}

func TestASlowServerIsGivenUpInTime(t *testing.T) {
	server := mailtest.Start(t, mailtest.Config{TLS: "starttls"})
	s := sender(server)
	s.Limit = 2 * time.Second
	began := time.Now()
	err := sendTo(t, s, "slow@acme.test")
	if e, ok := errors.AsType[*mail.SendError](err); !ok || e.Permanent || !e.Broken {
		t.Errorf("error: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	// And whoever wants to stop does not wait for it.
	s.Limit = time.Minute
	c, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Send(ctx, letterTo("slow@acme.test")) }()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it was sent")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestAServerThatIsNotWhatItShouldBeGetsNoMailAndNoPassword(t *testing.T) {
	clear := mailtest.Config{TLS: "none", Username: "gate", Password: password}
	for name, tt := range map[string]struct {
		server mailtest.Config
		change func(*mail.SMTP)
		want   string
	}{
		"no STARTTLS":             {clear, func(s *mail.SMTP) { s.Encryption = mail.StartTLS }, "does not offer STARTTLS"},
		"no TLS":                  {clear, func(s *mail.SMTP) { s.Encryption = mail.Implicit }, "tls:"},
		"an authority not known":  {mailtest.Config{TLS: "starttls"}, func(s *mail.SMTP) { s.Encryption, s.RootCAs = mail.StartTLS, x509.NewCertPool() }, "unknown authority"},
		"the same, implicit":      {mailtest.Config{TLS: "implicit"}, func(s *mail.SMTP) { s.Encryption, s.RootCAs = mail.Implicit, x509.NewCertPool() }, "unknown authority"},
		"the system's alone":      {mailtest.Config{TLS: "starttls"}, func(s *mail.SMTP) { s.Encryption, s.RootCAs = mail.StartTLS, nil }, "unknown authority"},
		"a wrong password":        {mailtest.Config{TLS: "starttls", Username: "gate", Password: "another"}, func(s *mail.SMTP) { s.Encryption = mail.StartTLS }, "username and password were refused (535)"},
		"no AUTH":                 {mailtest.Config{TLS: "starttls"}, func(s *mail.SMTP) { s.Encryption = mail.StartTLS }, "takes no username and password"},
		"AUTH by other ways only": {mailtest.Config{TLS: "starttls", Username: "gate", Password: password, Methods: []string{"XOAUTH2"}}, func(s *mail.SMTP) { s.Encryption = mail.StartTLS }, "takes no username and password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.Start(t, tt.server)
			s := sender(server)
			s.Username, s.Password = "gate", password
			tt.change(s)
			c, err := s.Open(t.Context())
			if err == nil {
				_ = c.Close()
				t.Fatal("it is spoken to")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "another") {
				t.Errorf("error: %v, want %q", err, tt.want)
			}
		})
	}
}

// A rogue is a server that is written down: it says each line in its turn, after the first
// whenever it has been told something.
func rogue(t *testing.T, lines ...string) *mail.SMTP {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for i, line := range lines {
					if i > 0 {
						if _, err := r.ReadString('\n'); err != nil {
							return
						}
					}
					if _, err := io.WriteString(c, line); err != nil {
						return
					}
				}
				_, _ = io.Copy(io.Discard, r)
			}()
		}
	}()
	return &mail.SMTP{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, From: "a@b.example", HELO: "x.example", Limit: 2 * time.Second}
}

func TestARogueServerIsNotBelieved(t *testing.T) {
	endless := strings.Repeat("220-"+strings.Repeat("x", 1000)+"\r\n", 2000)
	for name, tt := range map[string]struct {
		lines []string
		want  string
	}{
		"silence":             {nil, "no answer in time"},
		"not SMTP":            {[]string{"SSH-2.0-OpenSSH_9.2\r\n"}, ""},
		"an endless greeting": {[]string{endless}, "EOF"},
		"refuses to talk":     {[]string{"554 go away, the code is 493817\r\n"}, "does not want to talk (554)"},
		"ends":                {[]string{"220 x\r\n", "250 x\r\n"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := rogue(t, tt.lines...)
			c, err := s.Open(t.Context())
			if err == nil {
				err = c.Send(t.Context(), letterTo("jo@acme.test"))
				_ = c.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "493817") || len(err.Error()) > 500 {
				t.Errorf("error: %.300v, want %q", err, tt.want)
			}
		})
	}
}

// What a server of the middle says before TLS begins counts for nothing after it.
func TestWhatIsSaidBeforeTLSIsForgotten(t *testing.T) {
	s := rogue(t, "220 x\r\n", "250-x\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "220 go\r\n235 in\r\n250 ok\r\n250 ok\r\n250 ok\r\n")
	s.Encryption, s.Username, s.Password = mail.StartTLS, "gate", password
	if c, err := s.Open(t.Context()); err == nil {
		_ = c.Close()
		t.Fatal("it is believed")
	}
}

// The certificate is for localhost and 127.0.0.1; the host is another name of this machine.
func TestTheCertificateMustBeForTheHost(t *testing.T) {
	for _, tls := range []string{"starttls", "implicit"} {
		server := mailtest.Start(t, mailtest.Config{TLS: tls, Address: "127.0.0.2"})
		s := sender(server)
		s.Encryption, s.Host = mail.Encryption(tls), "127.0.0.2"
		if _, err := s.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "127.0.0.2") || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", tls, err)
		}
	}
}
