package demo

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/http"
	netmail "net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

var mailboxPage = template.Must(template.ParseFS(files, "mailbox.html"))

// A Mailbox takes every mail of the demo, whoever it is for, and shows them all. It is a
// mail server for loopback alone.
type Mailbox struct {
	mu    sync.Mutex
	mails []mailed // the newest first
	n     int
}

// kept is how many mails are kept.
const kept = 100

// mailed is one mail.
type mailed struct {
	Number            int
	At                time.Time
	To, From, Subject string
	Text, HTML        string
	// Code and Link are what the mail is about, if it is about one.
	Code, Link string
}

// Time is when it came, for people.
func (m mailed) Time() string { return m.At.Format("15:04:05") }

// Server returns the mail server that puts mails into the box.
func (b *Mailbox) Server(log *slog.Logger) *smtp.Server {
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &incoming{box: b}, nil }))
	s.Domain, s.MaxRecipients, s.MaxMessageBytes = "mail.localhost", 1, 1<<20
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return s
}

// incoming is one connection to the mail server.
type incoming struct {
	box      *Mailbox
	from, to string
}

func (i *incoming) Reset()                                      { i.from, i.to = "", "" }
func (i *incoming) Logout() error                               { return nil }
func (i *incoming) Mail(from string, _ *smtp.MailOptions) error { i.from = from; return nil }
func (i *incoming) Rcpt(to string, _ *smtp.RcptOptions) error   { i.to = to; return nil }

func (i *incoming) Data(r io.Reader) error {
	m, err := readMail(r)
	if err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "not a mail that this box can read"}
	}
	m.From, m.To, m.At = i.from, i.to, time.Now()
	i.box.add(m)
	return nil
}

func (b *Mailbox) add(m mailed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	m.Number = b.n
	b.mails = slices.Insert(b.mails, 0, m)
	b.mails = b.mails[:min(len(b.mails), kept)]
}

// list returns the mails to an address; to all, if it is empty.
func (b *Mailbox) list(to string) []mailed {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.mails), func(m mailed) bool { return to != "" && m.To != to })
}

var (
	codeLine = regexp.MustCompile(`(?m)^    ([0-9]{6})\r?$`)
	linkLine = regexp.MustCompile(`(?m)^(https?://[^\s]+)\r?$`)
)

// readMail reads a mail as orgate writes them: text, and the same in HTML.
func readMail(r io.Reader) (m mailed, err error) {
	msg, err := netmail.ReadMessage(r)
	if err != nil {
		return m, err
	}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		return m, err
	}
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		return m, err
	}
	if kind != "multipart/alternative" {
		return m, fmt.Errorf("a %s", kind)
	}
	for parts := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, err
		}
		var body io.Reader = p
		if strings.EqualFold(p.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return m, err
		}
		switch kind, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); kind {
		case "text/plain":
			m.Text = strings.ReplaceAll(string(b), "\r\n", "\n")
		case "text/html":
			m.HTML = string(b)
		}
	}
	if found := codeLine.FindStringSubmatch(m.Text); found != nil {
		m.Code = found[1]
	}
	if found := linkLine.FindStringSubmatch(m.Text); found != nil {
		m.Link = found[1]
	}
	return m, nil
}

// mailboxView is what the page shows.
type mailboxView struct {
	Mails []mailed
	To    string // whose mails alone; empty: everybody's
	Still bool   // the page does not reload itself
}

// Handler shows the mails: all of them, those to one address (?to=), or one as it looks in
// a mail program (/html/1). The page reloads itself unless ?still is given.
func (b *Mailbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /echo.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "echo.css") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		var page bytes.Buffer
		if err := mailboxPage.Execute(&page, mailboxView{Mails: b.list(q.Get("to")), To: q.Get("to"), Still: q.Has("still")}); err != nil {
			http.Error(w, "the mailbox can't show its page", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = page.WriteTo(w)
	})
	mux.HandleFunc("GET /html/{number}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("number"))
		mails := b.list("")
		i := slices.IndexFunc(mails, func(m mailed) bool { return m.Number == n })
		if err != nil || i < 0 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-popups allow-top-navigation-by-user-activation")
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, mails[i].HTML)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		// A page of another name that was made to lead here could read the codes.
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if host != "mail.localhost" && host != "127.0.0.1" && host != "localhost" {
			http.Error(w, "The mailbox is at mail.localhost.", http.StatusMisdirectedRequest)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
