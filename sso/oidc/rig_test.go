package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/ssotest"
)

const (
	testClient = "orgate"
	testSecret = "s3cret-of-the-client"
)

// A rig is a relying party and a provider, on loopback.
type rig struct {
	op       *ssotest.Provider
	ps       *Providers
	conn     Connection
	client   ssotest.Client
	redirect string
	clock    *clock
	egress   *egress.Client
}

// A clock is the time that the rig goes by.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func people() []ssotest.Person {
	return []ssotest.Person{
		{Subject: "alice-1", Email: "alice@acme.test", EmailVerified: new(true), Name: "Alice Adams", Groups: []string{"Admins", "Everyone"},
			Claims: map[string]any{"department": "R&D", "level": 7, "contractor": false, "teams": []string{"a", "b"}}},
		{Subject: "bob-2", Email: "bob@acme.test", Name: "Bob"},
	}
}

// newRig starts a provider; options may change it.
func newRig(t testing.TB, options ...func(*ssotest.Options)) *rig {
	t.Helper()
	rp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(rp.Close)
	r := &rig{redirect: rp.URL + "/callback", clock: &clock{at: time.Now().Truncate(time.Second)}}
	r.client = ssotest.Client{ID: testClient, Secret: testSecret, RedirectURIs: []string{r.redirect}, PostLogoutURIs: []string{rp.URL + "/bye"}}
	o := ssotest.Options{Name: "Acme", People: people(), Clients: []ssotest.Client{r.client}, Now: r.clock.now}
	for _, f := range options {
		f(&o)
	}
	r.op = ssotest.Start(t, o)
	r.egress = egress.New(egress.Options{AllowLoopback: true})
	r.ps = New(Options{Egress: r.egress, Now: r.clock.now})
	r.conn = Connection{ID: "conn_1", Issuer: r.op.Issuer(), ClientID: testClient, ClientSecret: testSecret, GroupsClaim: "groups"}
	return r
}

// start begins a sign-in and lets alice click; it returns what came back.
func (r *rig) start(t testing.TB, req StartRequest) (Flow, url.Values) {
	t.Helper()
	req.RedirectURI = r.redirect
	to, flow, err := r.ps.Start(t.Context(), r.conn, req, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	b := ssotest.NewBrowser()
	page, err := b.Get(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.Path != "/callback" {
		if page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice-1"}); err != nil {
			t.Fatalf("%v; the page says: %s", err, page.Text)
		}
	}
	return flow, page.URL.Query()
}

func (r *rig) signIn(t testing.TB, req StartRequest) (Assertion, error) {
	t.Helper()
	flow, callback := r.start(t, req)
	return r.ps.Finish(t.Context(), r.conn, flow, callback, r.clock.now())
}

// code returns what went wrong; empty: nothing.
func code(t testing.TB, err error) Code {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := err.(*Error) //nolint:errorlint // callers are promised this type, not one that wraps it
	if !ok {
		t.Fatalf("%T is not *Error: %v", err, err)
	}
	if e.Text.IsZero() || e.Hint == "" {
		t.Errorf("%s has no text or no hint", e.Code)
	}
	return e.Code
}
