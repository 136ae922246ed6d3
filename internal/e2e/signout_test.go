package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/orgate/orgate/sso/ssotest"
)

// TestSigningOutHereEndsThisBrowserAlone, on all of its hosts.
func TestSigningOutHereEndsThisBrowserAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(s.head(s.badger()) + s.acme() + s.globex())
	s.start()
	here, there := s.person(t, "p10"), s.person(t, "p10")
	here.enter("acme", "/")
	there.enter("acme", "/")
	old := *here.cookie("acme")

	// A link or picture on another site signs nobody out: it takes a click.
	pg := here.get(s.at("acme", "/.orgate/sign-out"))
	if !here.isIn("acme") {
		t.Fatal("a GET signed out")
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.at("acme", "/.orgate/sign-out"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://evil.test")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.AddCookie(&old)
	if pg, err := ssotest.NewBrowser().Fetch(req); err != nil || pg.Status != http.StatusForbidden || !here.isIn("acme") {
		t.Errorf("another site's form: %v %v", pg, err)
	}

	pg = here.press(pg, "Sign out")
	if pg.URL.Hostname() != "login.localhost" || !strings.Contains(pg.Title, "signed out") {
		t.Errorf("at %s: %s", pg.URL, pg.Text)
	}
	if here.cookie("acme") != nil || here.isIn("acme") {
		t.Error("still in")
	}
	if pg := here.get(s.origin("login") + "/organizations"); pg.Status != http.StatusUnauthorized {
		t.Errorf("the login host still knows the browser: %s %s", pg.URL, pg.Text)
	}
	if got := fetchWith(t, s, &old); got != http.StatusUnauthorized {
		t.Errorf("the cookie, kept and sent again: %d", got)
	}
	if !there.isIn("acme") {
		t.Error("the other browser was signed out too")
	}
}

// fetchWith returns the status of a script's request to acme with one cookie.
func fetchWith(t *testing.T, s *site, c *http.Cookie) int {
	t.Helper()
	p := s.person(t, "nobody")
	return p.fetch(s.at("acme", "/headers"), http.Header{"Cookie": {c.Name + "=" + c.Value}}).Status
}

// TestSigningOutAtTheLoginHostGoesOnToTheProvider, and ends at our page.
func TestSigningOutAtTheLoginHostGoesOnToTheProvider(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p11")
	p.enter("acme", "/")
	pg := p.get(s.origin("login") + "/organizations")
	pg = p.press(pg, "Sign out")
	if p.isIn("acme") {
		t.Error("still in, at the tenant host")
	}
	pg = p.press(pg, "Continue") // to the provider
	if "http://"+pg.URL.Host != s.issuer {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	pg = p.press(pg, "Yes")
	if pg.URL.Hostname() != "login.localhost" || !strings.Contains(pg.Title, "signed out") {
		t.Errorf("at %s: %s", pg.URL, pg.Text)
	}
	// And the provider asks again who it is.
	pg = p.get(s.at("acme", "/"))
	for pg.URL.Hostname() == "login.localhost" {
		pg, _ = p.step(pg)
	}
	if "http://"+pg.URL.Host != s.issuer || !strings.Contains(pg.Body, `name="login"`) {
		t.Errorf("signing in again is at %s: %s", pg.URL, pg.Text)
	}
}

// TestSigningOutEverywhereClosesWhatIsOpen: in the other browser, at the next request, and
// within a second for what stays open.
func TestSigningOutEverywhereClosesWhatIsOpen(t *testing.T) {
	t.Parallel()
	s := standard(t)
	here, there := s.person(t, "p12"), s.person(t, "p12")
	bystander := s.person(t, "p13")
	for _, p := range []*person{here, there, bystander} {
		p.enter("acme", "/")
	}
	ws, events := there.openWebSocket("acme"), there.openEvents("acme")
	others := bystander.openEvents("acme")

	began := time.Now()
	pg := here.press(here.get(s.origin("login")+"/organizations"), "Sign out everywhere")
	if !strings.Contains(pg.Title, "signed out") {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	for _, p := range []*person{here, there} {
		if p.isIn("acme") {
			t.Error("still in")
		}
	}
	for name, closed := range map[string]<-chan struct{}{"the WebSocket": ws, "the event stream": events} {
		select {
		case <-closed:
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s was closed after %v", name, took)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s is open still", name)
		}
	}
	select {
	case <-others:
		t.Error("somebody else's stream was closed too")
	default:
	}
	if !bystander.isIn("acme") {
		t.Error("somebody else was signed out too")
	}
}

// openWebSocket opens a WebSocket to the app, and says when it is closed.
func (p *person) openWebSocket(org string) <-chan struct{} {
	p.t.Helper()
	c := p.cookie(org)
	h := http.Header{"Cookie": {c.Name + "=" + c.Value}, "Origin": {p.site.origin(org)}}
	client := &http.Client{Transport: &http.Transport{DialContext: ssotest.DialLocalhost}}
	conn, resp, err := websocket.Dial(p.t.Context(), p.site.at(org, "/ws"), &websocket.DialOptions{HTTPClient: client, HTTPHeader: h})
	if err != nil {
		p.t.Fatalf("%v: %v", err, resp)
	}
	if err := conn.Write(p.t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		p.t.Fatal(err)
	}
	if _, got, err := conn.Read(p.t.Context()); err != nil || string(got) != "hello" {
		p.t.Fatalf("%q %v", got, err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _, _ = conn.Read(context.WithoutCancel(p.t.Context())) // it ends when it is closed
	}()
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	return closed
}

// openEvents opens an event stream of the app, and says when it is closed.
func (p *person) openEvents(org string) <-chan struct{} {
	p.t.Helper()
	c := p.cookie(org)
	req, err := http.NewRequestWithContext(context.WithoutCancel(p.t.Context()), http.MethodGet, p.site.at(org, "/events"), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.AddCookie(c)
	resp, err := (&http.Client{Transport: &http.Transport{DialContext: ssotest.DialLocalhost}}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = resp.Body.Close() })
	r := bufio.NewReader(resp.Body)
	if first, err := r.ReadString('\n'); err != nil || first != "data: open\n" {
		p.t.Fatalf("%q %v", first, err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, r)
	}()
	return closed
}

// TestSigningOutAtTheProviderEndsTheSessionHere: oidc-provider tells us by back channel,
// and the next request is nobody's.
func TestSigningOutAtTheProviderEndsTheSessionHere(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	login := fmt.Sprintf("http://login.localhost:%d", port)
	// The provider does not find names below localhost, so something stands between that does.
	target := mustURL(t, login+"/sso/oidc/backchannel-logout/acme/acme-idp")
	answers := make(chan int, 10)
	relay := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = target, target.Host },
		Transport:      &http.Transport{DialContext: ssotest.DialLocalhost},
		ModifyResponse: func(r *http.Response) error { answers <- r.StatusCode; return nil },
	})
	t.Cleanup(relay.Close)
	op := ssotest.StartNodeProvider(t, ssotest.NodeConfig{People: everyone(), Clients: []ssotest.Client{{
		ID: "orgate", Secret: clientSecret, RedirectURIs: []string{login + "/sso/oidc/callback"},
		PostLogoutURIs: []string{login + "/signed-out"}, BackchannelLogoutURI: relay.URL,
	}}})
	s := siteAt(t, op.Issuer, port)
	s.write(s.head(s.badger()) + s.acme())
	s.start()
	p, other := s.person(t, "p1"), s.person(t, "p2")
	p.enter("acme", "/")
	other.enter("acme", "/")
	pg := p.press(p.get(op.Issuer+"/session/end"), "Yes")
	select {
	case status := <-answers:
		if status != http.StatusOK {
			t.Errorf("the logout token was answered with %d", status)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("no logout token came; the browser is at %s: %s", pg.URL, pg.Text)
	}
	if p.isIn("acme") {
		t.Error("still in")
	}
	if !other.isIn("acme") {
		t.Error("another person was signed out too")
	}
}
