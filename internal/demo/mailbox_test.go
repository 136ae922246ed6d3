package demo_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/demo"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/text"
)

// fetch gets a page of the mailbox, as a browser that was told host.
func fetch(t *testing.T, w *demo.World, host, path string) (int, string) {
	t.Helper()
	u, err := url.Parse(w.Mailbox)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:"+u.Port()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestTheMailboxShowsEveryMailAndItsCode(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := demo.New(t.Context(), l.Addr().(*net.TCPAddr).Port, 1, t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, page := fetch(t, w, "mail.localhost", "/"); !strings.Contains(page, "Nobody has got any yet") || !strings.Contains(page, `http-equiv="refresh"`) {
		t.Errorf("empty: %s", page)
	}
	s := &mail.SMTP{Host: "127.0.0.1", Port: w.SMTP, From: "orgate demo <orgate@mail.localhost>", HELO: "login.localhost", Limit: 10 * time.Second}
	c, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for to, m := range map[string]mail.Composer{
		"jo@acme.test": mail.SignInCode{Organization: "Größe & <Söhne>", Host: "login.localhost", Code: "493817", Minutes: 10},
		"al@acme.test": mail.Invitation{Organization: "Acme Inc.", Host: "login.localhost", Inviter: "Jo", URL: "http://login.localhost:8080/invitations/abc"},
	} {
		if err := c.Send(context.WithoutCancel(t.Context()), mail.Letter{ID: "mail_1", To: to, Date: time.Now(), Content: m.Compose(text.English)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, all := fetch(t, w, "mail.localhost", "/")
	for _, want := range []string{
		`<p class="code">493817</p>`, "Your code to sign in to Größe &amp; &lt;Söhne&gt;", "jo@acme.test", "orgate@mail.localhost",
		`<a href="http://login.localhost:8080/invitations/abc">`, "al@acme.test", "Enter this code",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in:\n%s", want, all)
		}
	}
	if _, one := fetch(t, w, "mail.localhost", "/?still&to=al@acme.test"); strings.Contains(one, "493817") || !strings.Contains(one, "invitations/abc") || strings.Contains(one, "http-equiv") {
		t.Errorf("of one person: %s", one)
	}
	shown := 0
	for _, path := range []string{"/html/1", "/html/2"} {
		if _, html := fetch(t, w, "mail.localhost", path); strings.Contains(html, "493817</span>") {
			shown++
		}
	}
	if shown != 1 {
		t.Errorf("the code is in the HTML of %d mails", shown)
	}
	for path, host := range map[string]string{"/": "evil.example", "/html/1": "mail.evil.example"} {
		if status, page := fetch(t, w, host, path); status != http.StatusMisdirectedRequest || strings.Contains(page, "acme") {
			t.Errorf("asked as %s: %d %s", host, status, page)
		}
	}
	for _, path := range []string{"/html/3", "/html/x", "/html/-1", "/nothing"} {
		if status, _ := fetch(t, w, "mail.localhost", path); status != http.StatusNotFound {
			t.Errorf("%s: %d", path, status)
		}
	}
	if !strings.Contains(w.Guide(), w.Mailbox) {
		t.Error("the guide does not say where it is")
	}
}
