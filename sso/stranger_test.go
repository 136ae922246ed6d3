package sso_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (w *world) request(slug, returnTo string) url.Values {
	return session.SignInRequest{Host: w.host(slug), Attempt: session.NewToken().Hash(), ReturnTo: returnTo}.Values()
}

// twoWays gives an organization a second connection to the same provider.
func (w *world) twoWays(slug string) tenancy.ConnectionID {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		c, err := tx.Connection(org(slug), conn(slug))
		if err != nil {
			return err
		}
		c.ID, c.Name = c.ID+"_2", slug+"-second"
		c.OIDC.ClientSecret = w.box.Seal("client secret", string(c.ID), []byte("secret-of-"+slug))
		return tx.PutConnection(c)
	})
	return conn(slug) + "_2"
}

var volatile = regexp.MustCompile(`[A-Z2-7]{26}|attempt=[A-Za-z0-9_-]{43}`)

func TestNoPageSaysWhoExists(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	w.twoWays("acme")
	w.member("acme", "known@acme.test", policy.Active)
	w.member("acme", "gone@acme.test", policy.Inactive)
	w.member("acme", "guest@elsewhere.test", policy.Active)
	w.member("acme", "waiting@elsewhere.test", policy.Pending)

	for _, group := range [][]string{
		{"known@acme.test", "gone@acme.test", "nobody@acme.test"},
		{"guest@elsewhere.test", "waiting@elsewhere.test", "nobody@elsewhere.test"},
	} {
		for _, target := range []string{w.login("/sign-in"), w.signIn(w.request("acme", "/"))} {
			var first string
			for _, email := range group {
				u := w.browser().get(target).sees(http.StatusOK, "E-mail address").submit(map[string]string{"email": email})
				page := fmt.Sprint(u.p.Status, volatile.ReplaceAllString(strings.ReplaceAll(u.p.Body, email, "EMAIL"), ""))
				page = strings.ReplaceAll(page, url.QueryEscape(email), "EMAIL")
				if target == w.login("/sign-in") && strings.HasSuffix(email, "@elsewhere.test") {
					u.sees(http.StatusForbidden, "There is no way to sign in here with this address", "Use another address")
				}
				if first == "" {
					first = page
				} else if page != first {
					t.Errorf("%s at %s tells from %s:\n%s\n%s", email, target, group[0], page, first)
				}
			}
		}
	}
}

func TestAnUnknownHostAndASuspendedOneAreTheSame(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", func(o *tenancy.Organization) { o.Suspended = true })
	body := func(slug string) string {
		u := w.browser().get(w.signIn(w.request(slug, "/"))).sees(http.StatusNotFound, "There is nothing at this address")
		return volatile.ReplaceAllString(u.p.Body, "")
	}
	if a, b := body("acme"), body("nobody"); a != b {
		t.Errorf("suspended and unknown differ:\n%s\n%s", a, b)
	}
}

func TestABadRequestIsRefusedBeforeAnythingElse(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	good := w.request("acme", "/")
	for name, query := range map[string]string{
		"repeated":          good.Encode() + "&" + good.Encode(),
		"broken":            good.Encode() + "&x=%zz",
		"semicolon":         good.Encode() + ";x=1",
		"too long":          good.Encode() + "&" + strings.Repeat("a", 9000),
		"another, repeated": good.Encode() + "&another=1&another=0",
	} {
		u := w.browser().get(w.login("/sign-in?" + query))
		if u.p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, u.p.Status)
		}
	}
	for name, host := range map[string]string{
		"another port": "acme.localhost:1", "no port": "acme.localhost",
		"the login host": "login.localhost" + w.base, "user info": "x@" + w.host("acme"), "a path": w.host("acme") + "/x", "elsewhere": "evil.test",
	} {
		q := w.request("acme", "/")
		for k, v := range q {
			if v[0] == w.host("acme") {
				q.Set(k, host)
			}
		}
		u := w.browser().get(w.signIn(q))
		if u.p.Status != http.StatusNotFound && u.p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d at %s", name, u.p.Status, u.p.URL)
		}
	}
}

func TestAReturnPathNeverLeavesTheHost(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	for _, path := range []string{"//evil.test", `/\evil.test`, "https://evil.test/", "/%2f%2fevil.test", "/%5cevil.test", "javascript:alert(1)", "/\t/evil.test", "/x\r\nSet-Cookie: a=b", "/../..//evil.test"} {
		u := w.browser().get(w.at("acme", "/"))
		q := u.p.Trail[1].URL.Query()
		for k, v := range q {
			if v[0] == "/" {
				q[k] = []string{path}
			}
		}
		u.get(w.signIn(q))
		if u.p.Status == http.StatusBadRequest {
			continue
		}
		u.submit(map[string]string{"email": "alice@acme.test"}).as("alice")
		for _, hop := range u.p.Trail {
			if strings.Contains(hop.URL.Host, "evil") {
				t.Errorf("%q leads to %s", path, hop.URL)
			}
		}
		if u.p.URL.Host != w.host("acme") {
			t.Errorf("%q ends at %s", path, u.p.URL)
		}
	}
}

func TestABadAddressIsSaidBesideTheField(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	w.twoWays("acme")
	for _, email := range []string{"", "jo", "a@evil.test@acme.test", "jo@acme.test.", `"><svg onload=alert(1)>@acme.test`, strings.Repeat("a", 400) + "@acme.test"} {
		u := w.browser().get(w.signIn(w.request("acme", "/"))).submit(map[string]string{"email": email})
		u.sees(http.StatusUnprocessableEntity, "Enter your e-mail address, such as")
		if strings.Contains(u.p.Body, "<svg") {
			t.Error("what was typed is markup")
		}
	}
}

func TestTheConnectionThatWasChosenMustBeOneThatWouldDo(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.twoWays("acme")
	globex := w.organization("globex", nil, person("eve", "globex.test"))
	u := w.browser().get(w.at("acme", "/")).sees(http.StatusOK, "E-mail address").submit(map[string]string{"email": "alice@acme.test"})
	u.sees(http.StatusOK, "Choose how to sign in", "acme-okta", "acme-second")
	chosen := *u
	form := u.p.Forms[0]
	form.Fields = append(form.Fields, form.Fields...)
	req, err := http.NewRequestWithContext(t.Context(), "POST", form.Action.String(), strings.NewReader(url.Values{"email": {"alice@acme.test"}, "connection": {string(conn("globex"))}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p, err := u.Fetch(req)
	if err != nil {
		t.Fatal(err)
	}
	if p.Status != http.StatusOK || !strings.Contains(p.Body, "Choose how to sign in") || strings.Contains(p.Body, globex.Issuer()) {
		t.Errorf("a connection of another organization: %d %s", p.Status, p.Text)
	}
	chosen.press("acme-okta").as("alice").inApp("acme", "alice@acme.test")
}

func TestAPostFromAnotherSiteIsRefused(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	for _, path := range []string{"/sign-in", "/sign-out", "/sign-out?everywhere=1", "/account/sessions/revoke"} {
		for _, site := range []string{"cross-site", "same-site"} {
			req, err := http.NewRequestWithContext(t.Context(), "POST", w.login(path), strings.NewReader("email=a%40b.test"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Sec-Fetch-Site", site)
			p, err := u.Fetch(req)
			if err != nil {
				t.Fatal(err)
			}
			if p.Status != http.StatusForbidden {
				t.Errorf("%s from a %s page: %d", path, site, p.Status)
			}
		}
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestAFloodOfStrangersIsToldToWait(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) {
		o.Strangers = sso.Rate{PerSecond: 0.1, Burst: 3}
		o.ClientIP = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("User-Agent")) }
	})
	flood := w.browser()
	flood.UserAgent = "2001:db8::1"
	for range 3 {
		flood.get(w.callback()).sees(http.StatusBadRequest)
	}
	flood.UserAgent = "2001:db8::2" // the same network
	flood.get(w.callback()).sees(http.StatusTooManyRequests, "Too many attempts")
	if flood.p.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	other := w.browser()
	other.UserAgent = "192.0.2.1"
	other.get(w.callback()).sees(http.StatusBadRequest)
}

func TestAFloodOnTheSignInPageIsToldToWaitAndAnOfficeIsNot(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) {
		o.ClientIP = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("User-Agent")) }
	})
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil)
	u := w.browser()
	u.UserAgent = "192.0.2.1"
	u.to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")

	// Seven hundred and fifty people open it, at one moment, behind the address of one
	// office; and one of them, who is signed in, her other tabs.
	office := w.browser()
	office.UserAgent = "192.0.2.1"
	for i := range 750 {
		if office.get(w.signIn(w.request("globex", "/"))); office.p.Status != http.StatusOK {
			t.Fatalf("number %d of an office is answered with %d: %s", i, office.p.Status, office.p.Text)
		}
	}
	for range 20 {
		u.get(w.at("acme", "/tab")).inApp("acme", "alice@acme.test")
	}
	refused := 0
	for range 1000 {
		if office.get(w.signIn(w.request("globex", "/"))); office.p.Status == http.StatusTooManyRequests {
			refused++
			break
		}
	}
	if refused == 0 {
		t.Error("nothing stops a flood")
	} else if office.sees(http.StatusTooManyRequests, "Too many attempts"); office.p.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// What was begun can be finished all the same, and nobody pays for somebody else.
	other := w.browser()
	other.UserAgent = "192.0.2.2"
	other.get(w.signIn(w.request("globex", "/"))).sees(http.StatusOK)
	office.get(w.callback()).sees(http.StatusBadRequest)
	w.clock.Advance(time.Second)
	office.get(w.signIn(w.request("globex", "/"))).sees(http.StatusOK)
}

func TestAStrangerFillsTheStoreWithFewFailures(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, slug := range []string{"acme", "globex"} {
		w.organization(slug, nil)
	}
	u := w.browser()
	const tries = 40 // at each
	for range tries {
		for _, slug := range []string{"acme", "globex"} {
			q := session.SignInRequest{Host: w.host(slug), Attempt: session.NewToken().Hash(), ReturnTo: "/", LoginHint: "x@" + slug + ".test"}.Values()
			fetch := func(to string) *ssotest.Page {
				t.Helper()
				req, err := http.NewRequestWithContext(ctx, "GET", to, nil)
				if err != nil {
					t.Fatal(err)
				}
				p, err := u.Fetch(req)
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
			asked, err := url.Parse(fetch(w.signIn(q)).Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			p := fetch(w.callback() + "?" + url.Values{"state": {asked.Query().Get("state")}, "iss": {idpOf(w, slug)}, "error": {"access_denied"}}.Encode())
			if p.Status != http.StatusForbidden {
				t.Fatalf("%d %s", p.Status, p.Text)
			}
		}
	}
	if n := len(w.events(audit.SSOFailed)); n == 0 || n > 62 {
		t.Errorf("%d events of %d failures", n, 2*tries)
	}
}

func TestAFloodOfLogoutTokensIsBoundedForEachConnectionAndNetwork(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) {
		o.Logouts = sso.Rate{PerSecond: 0.1, Burst: 2}
		o.ClientIP = func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.Header.Get("User-Agent")) }
	})
	acme := w.organization("acme", nil)
	w.organization("globex", nil)
	send := func(from, slug, token string) int {
		t.Helper()
		to := w.login("/sso/oidc/backchannel-logout/" + slug + "/" + slug + "-okta")
		req, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", from)
		p, err := w.browser().Fetch(req)
		if err != nil {
			t.Fatal(err)
		}
		return p.Status
	}
	for _, want := range []int{400, 400, 429} {
		if got := send("192.0.2.1", "acme", "junk"); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if got := send("192.0.2.1", "globex", "junk"); got != 400 {
		t.Errorf("another connection: %d", got)
	}
	if got := send("192.0.2.2", "acme", acme.LogoutToken(ssotest.Client{ID: "acme"}, "alice", "", nil)); got != 200 {
		t.Errorf("the provider itself: %d", got)
	}
}

// idpOf returns the issuer of an organization's provider.
func idpOf(w *world, slug string) (issuer string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		c, err := tx.Connection(org(slug), conn(slug))
		if err == nil {
			issuer = c.OIDC.Issuer
		}
		return err
	})
	return issuer
}
