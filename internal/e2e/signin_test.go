package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/sso/ssotest"
)

// TestTheFirstSignInMakesAUserAndAMemberAndTellsTheApp is the main job: a browser without
// a cookie ends at the page it asked for, and the app behind it knows who that is.
func TestTheFirstSignInMakesAUserAndAMemberAndTellsTheApp(t *testing.T) {
	t.Parallel()
	s := standard(t)
	if is, _ := s.knows("alice@acme.test"); is {
		t.Fatal("alice is known before she came")
	}
	alice := s.person(t, "alice")
	pg := alice.enter("acme", "/reports?month=11&q=a%20b")
	if !strings.Contains(pg.Text, "Acme Inc.") || !strings.Contains(pg.Text, "Alice Åshby") {
		t.Errorf("the app's page says %s", pg.Text)
	}
	if is, orgs := s.knows("alice@acme.test"); !is || !slices.Equal(orgs, []string{"acme"}) {
		t.Errorf("stored: known %v, member of %v", is, orgs)
	}

	h := alice.told("acme")
	for name, want := range map[string]string{
		"X-User-Email": "alice@acme.test", "X-User-Name": "Alice%20%C3%85shby",
		"X-Org-Slug": "acme", "X-Org-Role": "admin", "X-Org-Roles": "admin",
		"X-Org-Permissions": "reports:delete,reports:read", "X-Auth-Method": "sso",
		"X-Forwarded-Proto": "http", "X-Forwarded-Host": strings.TrimPrefix(s.origin("acme"), "http://"), "X-Forwarded-For": "127.0.0.1",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, prefix := range map[string]string{"X-User-Id": "user_", "X-Org-Id": "org_", "X-Org-Membership-Id": "om_", "X-Auth-Connection": "conn_"} {
		if got := h.Get(name); !strings.HasPrefix(got, prefix) {
			t.Errorf("%s: %q, want %s…", name, got, prefix)
		}
	}
	if len(h["X-Request-Id"]) != 1 || len(h["X-Auth-Time"]) != 1 {
		t.Errorf("X-Request-Id %q, X-Auth-Time %q", h["X-Request-Id"], h["X-Auth-Time"])
	}
	if c := h.Get("Cookie"); strings.Contains(c, "orgate") {
		t.Errorf("the app was sent our cookie")
	}
	verify(t, alice, "acme", h)
}

// verify checks the assertion as an app would, knowing nothing but where the keys are.
func verify(t *testing.T, p *person, org string, h http.Header) {
	t.Helper()
	s := p.site
	var keys jose.JSONWebKeySet
	for _, host := range []string{org, "login"} { // on every host of ours
		pg := s.person(t, "nobody").fetch(s.at(host, "/.well-known/orgate/jwks.json"), nil)
		if err := json.Unmarshal([]byte(pg.Body), &keys); pg.Status != http.StatusOK || err != nil || len(keys.Keys) == 0 {
			t.Fatalf("keys at %s: %d %v %s", host, pg.Status, err, pg.Body)
		}
	}
	token, err := jwt.ParseSigned(h.Get("X-Orgate-Jwt-Assertion"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var registered jwt.Claims
	var claims struct {
		Email       string   `json:"email"`
		OrgID       string   `json:"org_id"`
		OrgSlug     string   `json:"org_slug"`
		Role        string   `json:"role"`
		Roles       []string `json:"roles"`
		Permissions []string `json:"permissions"`
		SessionID   string   `json:"sid"`
	}
	known := keys.Key(token.Headers[0].KeyID)
	if len(known) != 1 || !known[0].IsPublic() {
		t.Fatalf("key %q is published %d times", token.Headers[0].KeyID, len(known))
	}
	if err := token.Claims(known[0].Key, &registered, &claims); err != nil {
		t.Fatalf("signature: %v", err)
	}
	if err := registered.ValidateWithLeeway(jwt.Expected{Issuer: s.origin("login"), AnyAudience: jwt.Audience{"app"}, Time: time.Now()}, 0); err != nil {
		t.Error(err)
	}
	if host := strings.TrimPrefix(s.origin(org), "http://"); !registered.Audience.Contains(host) {
		t.Errorf("aud %q does not hold %s", registered.Audience, host)
	}
	if life := registered.Expiry.Time().Sub(registered.IssuedAt.Time()); life <= 0 || life > 5*time.Minute {
		t.Errorf("it lives %v", life)
	}
	if registered.Subject != h.Get("X-User-Id") || claims.Email != h.Get("X-User-Email") || claims.OrgID != h.Get("X-Org-Id") ||
		claims.OrgSlug != org || claims.Role != h.Get("X-Org-Role") || strings.Join(claims.Roles, ",") != h.Get("X-Org-Roles") ||
		strings.Join(claims.Permissions, ",") != h.Get("X-Org-Permissions") || !strings.HasPrefix(claims.SessionID, "session_") {
		t.Errorf("the assertion says %+v %+v, and the headers %v", registered, claims, h)
	}
}

// TestGroupsOfTheProviderBecomeRoles: what Alice may and Bob may not is a matter of their
// groups at the provider alone.
func TestGroupsOfTheProviderBecomeRoles(t *testing.T) {
	t.Parallel()
	s := standard(t)
	alice, bob := s.person(t, "alice"), s.person(t, "bob")
	alice.enter("acme", "/admin/")
	pg := bob.signIn(s.at("acme", "/admin/"))
	if pg.Status != http.StatusForbidden || pg.URL.Path != "/admin/" {
		t.Errorf("bob is at %s with %d", pg.URL, pg.Status)
	}
	if pg := bob.fetch(s.at("acme", "/admin/x"), nil); pg.Status != http.StatusForbidden || !strings.Contains(pg.Body, `"code":"role_missing"`) {
		t.Errorf("a script of bob's got %d %s", pg.Status, pg.Body)
	}
	if role := bob.told("acme").Get("X-Org-Role"); role != "member" {
		t.Errorf("bob has the role %q", role)
	}
}

// TestASecondOrganizationNeedsAMembershipAndNoSecondSignIn: a session survives a restart,
// and is good for whatever the person is a member of.
func TestASecondOrganizationNeedsAMembershipAndNoSecondSignIn(t *testing.T) {
	t.Parallel()
	s := standard(t)
	alice, bob := s.person(t, "alice"), s.person(t, "bob")
	alice.enter("acme", "/")
	bob.enter("acme", "/")
	if pg := alice.signIn(s.at("globex", "/")); pg.Status != http.StatusForbidden || !strings.Contains(pg.Text, "not a member of Globex Corporation") {
		t.Errorf("before she is a member, Alice is at %s: %d %s", pg.URL, pg.Status, pg.Text)
	}

	s.stop()
	s.member("globex", "alice@acme.test")
	s.start()
	if !alice.isIn("acme") {
		t.Error("the session did not survive the restart")
	}
	// One request, and redirects; no page to click on between.
	pg := alice.get(s.at("globex", "/"))
	if pg.Status != http.StatusOK || pg.URL.String() != s.at("globex", "/") {
		t.Fatalf("Alice is at %s: %d %s", pg.URL, pg.Status, pg.Text)
	}
	if i := slices.IndexFunc(pg.Trail, func(h ssotest.Hop) bool { return !strings.HasSuffix(h.URL.Hostname(), ".localhost") }); i >= 0 {
		t.Errorf("the provider was asked again, at %s", pg.Trail[i].URL)
	}
	a, g := alice.told("acme"), alice.told("globex")
	if a.Get("X-User-Id") != g.Get("X-User-Id") || a.Get("X-Org-Id") == g.Get("X-Org-Id") || g.Get("X-Org-Slug") != "globex" || g.Get("X-Org-Role") != "member" {
		t.Errorf("at Acme %v\nat Globex %v", a, g)
	}
	// The picker and the switch know both; and a switch to where she does not belong is
	// the picker, as for an organization that is not there.
	pg = alice.get(s.at("acme", "/.orgate/switch"))
	if !strings.Contains(pg.Text, "Acme Inc.") || !strings.Contains(pg.Text, "Globex Corporation") {
		t.Errorf("the picker at %s: %s", pg.URL, pg.Text)
	}
	if pg = alice.press(pg, "Globex"); pg.URL.String() != s.at("globex", "/") || pg.Status != http.StatusOK {
		t.Errorf("the picker led to %s (%d)", pg.URL, pg.Status)
	}
	if pg = alice.get(s.at("globex", "/.orgate/switch?organization=acme")); pg.URL.String() != s.at("acme", "/") || pg.Status != http.StatusOK {
		t.Errorf("switching led to %s (%d)", pg.URL, pg.Status)
	}
	foreign, missing := bob.get(s.at("acme", "/.orgate/switch?organization=globex")), bob.get(s.at("acme", "/.orgate/switch?organization=nobody"))
	if foreign.URL.String() != missing.URL.String() || foreign.Body != missing.Body {
		t.Errorf("a foreign organization (%s) and one that is not there (%s) can be told apart", foreign.URL, missing.URL)
	}
	if strings.Contains(foreign.Text, "Globex") {
		t.Errorf("Bob's picker tells of Globex: %s", foreign.Text)
	}
}

// TestTwoTabsSignInAtOnce: neither spoils the other, and both end where they began.
func TestTwoTabsSignInAtOnce(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p0")
	paths := []string{"/one", "/two", "/three"}

	// All tabs are begun before any of them goes on.
	var tabs []*ssotest.Page
	for _, path := range paths {
		tabs = append(tabs, p.get(s.at("acme", path)))
	}
	for i, path := range paths {
		if pg := p.proceed(tabs[i]); pg.URL.String() != s.at("acme", path) || pg.Status != http.StatusOK {
			t.Errorf("the tab for %s is at %s (%d): %s", path, pg.URL, pg.Status, pg.Text)
		}
	}

	// And all at the same moment, in a browser that only the provider still knows.
	p = p.withoutOurCookies()
	var racing sync.WaitGroup
	for _, path := range paths {
		racing.Go(func() {
			pg, err := p.Get(t.Context(), s.at("acme", path))
			for err == nil && pg.URL.Hostname() == "login.localhost" {
				if strings.HasPrefix(pg.Title, "Taking you to") {
					pg, err = p.Press(t.Context(), pg, "Continue")
				} else {
					pg, err = p.Submit(t.Context(), pg, map[string]string{"email": p.email})
				}
			}
			if err != nil || pg.URL.String() != s.at("acme", path) || pg.Status != http.StatusOK {
				t.Errorf("the tab for %s is at %v: %v", path, pg, err)
			}
		})
	}
	racing.Wait()
	if !p.isIn("acme") {
		t.Error("after all that, nobody is signed in")
	}
}

// TestAnAnswerIsGoodOnce: the back button, a second click and a thief get a page that says
// what to do, and no session. A one-time code that comes twice ends the session it made,
// as one of the two is not the person; who is it signs in again by one click.
func TestAnAnswerIsGoodOnce(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p, thief := s.person(t, "p1"), s.person(t, "p2")
	pg := p.enter("acme", "/")
	before := p.cookie("acme").Value
	var callback string
	for _, hop := range pg.Trail {
		if hop.URL.Path == "/sso/oidc/callback" {
			callback = hop.URL.String()
		}
	}
	refused := func(who *person, to string) {
		t.Helper()
		if pg := who.get(to); pg.Status != http.StatusBadRequest || !strings.Contains(pg.Text, "again") {
			t.Errorf("%s is at %s with %d: %s", who.login, pg.URL, pg.Status, pg.Text)
		}
	}
	refused(p, callback)
	refused(thief, callback)
	if c := p.cookie("acme"); c == nil || c.Value != before || !p.isIn("acme") {
		t.Error("going back to the provider's answer ended the session")
	}
	refused(thief, handover(t, pg))
	if thief.cookie("acme") != nil || thief.cookie("login") != nil {
		t.Error("the thief has a cookie")
	}
	if p.isIn("acme") {
		t.Error("a code was used twice, and the session that it made goes on")
	}
	if pg := p.get(s.at("acme", "/")); pg.URL.String() != s.at("acme", "/") || pg.Status != http.StatusOK {
		t.Errorf("the person is at %s with %d: %s", pg.URL, pg.Status, pg.Text)
	}
	if c := p.cookie("acme"); c == nil || c.Value == before {
		t.Error("the old session came back to life")
	}
}

// TestAnAnswerForAnotherBrowserSignsNobodyIn: a callback that was never used, brought to
// somebody else's browser, is how one would make them work under one's own account.
func TestAnAnswerForAnotherBrowserSignsNobodyIn(t *testing.T) {
	t.Parallel()
	s := standard(t)
	attacker, victim := s.person(t, "p3"), s.person(t, "p4")
	pg := attacker.get(s.at("acme", "/"))
	for range 12 { // up to the last page before the callback
		if slices.ContainsFunc(pg.Forms, func(f ssotest.Form) bool { return strings.Contains(f.Action.Path, "/interaction/") }) && strings.Contains(pg.Body, "consent") {
			break
		}
		var moved bool
		if pg, moved = attacker.step(pg); !moved {
			t.Fatalf("stopped at %s: %s", pg.URL, pg.Text)
		}
	}
	// The consent is given, and the answer that comes of it is caught on its way.
	form := pg.Forms[0]
	values := url.Values{}
	for _, f := range form.Fields {
		values.Set(f.Name, f.Value)
	}
	next, method, body := form.Action.String(), http.MethodPost, values.Encode()
	for !strings.Contains(next, "/sso/oidc/callback") {
		req, err := http.NewRequestWithContext(t.Context(), method, next, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		hop, err := attacker.Fetch(req)
		if err != nil {
			t.Fatal(err)
		}
		to, err := hop.URL.Parse(hop.Header.Get("Location"))
		if err != nil || hop.Header.Get("Location") == "" {
			t.Fatalf("%s answered %d: %s", next, hop.Status, hop.Text)
		}
		next, method, body = to.String(), http.MethodGet, ""
	}
	got := victim.get(next)
	if got.Status != http.StatusBadRequest || victim.cookie("login") != nil || victim.isIn("acme") {
		t.Errorf("the victim is at %s with %d: %s", got.URL, got.Status, got.Text)
	}
	// It is the attacker's own still: nothing was used up by the try.
	if mine := attacker.get(next); mine.URL.Hostname() != "acme.localhost" || mine.Status != http.StatusOK {
		t.Errorf("the attacker is at %s with %d: %s", mine.URL, mine.Status, mine.Text)
	}
}

// TestAHandoverOfAnotherHostOrBrowserIsRefused plays the one-time code at the wrong door.
func TestAHandoverOfAnotherHostOrBrowserIsRefused(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p, thief := s.person(t, "p5"), s.person(t, "p6")
	// Up to the code, but not into the door: the last page before is asked for again
	// without following it.
	p.enter("acme", "/")
	catch := func() string {
		t.Helper()
		// A new attempt of somebody who is signed in leads straight to a code.
		start := p.fetch(s.at("acme", "/.orgate/sign-in?return_to=/caught"), http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}})
		login := p.fetch(start.Header.Get("Location"), http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}})
		code := login.Header.Get("Location")
		if !strings.Contains(code, "/.orgate/callback?code=") {
			t.Fatalf("no code: %d %s", login.Status, login.Body)
		}
		u, err := url.Parse(code)
		if err != nil {
			t.Fatal(err)
		}
		s.secrets.add(u.Query().Get("code"))
		return code
	}
	t.Run("another browser", func(t *testing.T) {
		code := catch()
		if pg := thief.get(code); pg.Status != http.StatusBadRequest || thief.cookie("acme") != nil {
			t.Errorf("%d %s", pg.Status, pg.Text)
		}
		// And the code is spent: it has been seen by somebody else. Signing in again is a click.
		if pg := p.get(code); pg.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", pg.URL, pg.Status, pg.Text)
		}
	})
	t.Run("another host", func(t *testing.T) {
		code := catch()
		if pg := p.get(strings.Replace(code, "acme.localhost", "globex.localhost", 1)); pg.Status != http.StatusBadRequest || p.cookie("globex") != nil {
			t.Errorf("%d %s", pg.Status, pg.Text)
		}
	})
	t.Run("no code", func(t *testing.T) {
		for _, code := range []string{"", "?code=", "?code=x", "?code=" + strings.Repeat("A", 5000), "?code=a&code=b"} {
			if pg := p.get(s.at("acme", "/.orgate/callback"+code)); pg.Status != http.StatusBadRequest {
				t.Errorf("%.20s: %d %s", code, pg.Status, pg.Text)
			}
		}
	})
	t.Run("the right one", func(t *testing.T) {
		if pg := p.get(catch()); pg.URL.String() != s.at("acme", "/caught") || pg.Status != http.StatusOK {
			t.Errorf("%s: %d %s", pg.URL, pg.Status, pg.Text)
		}
	})
}

// TestAProviderVouchesForItsOwnDomainsAlone: Acme's provider knows Zoë, and can't vouch
// for her address.
func TestAProviderVouchesForItsOwnDomainsAlone(t *testing.T) {
	t.Parallel()
	s := standard(t)
	zoe := s.person(t, "zoe")
	zoe.email = "zoe@acme.test" // what she types does not matter
	pg := zoe.signIn(s.at("acme", "/"))
	if pg.Status != http.StatusForbidden || !strings.Contains(pg.Text, "Acme Inc.") || zoe.isIn("acme") {
		t.Errorf("%s: %d %s", pg.URL, pg.Status, pg.Text)
	}
	id := referenceOf(t, pg)
	if found := s.logged(func(l line) bool { return l.get("request_id") == id && l.get("check") == "not_vouched" }); len(found) != 1 || found[0].get("hint") == "" {
		t.Errorf("the log has %v for the reference %s", found, id)
	}
	if is, orgs := s.knows("zoe@elsewhere.test"); is {
		t.Errorf("she is known, and a member of %v", orgs)
	}
}

// TestAfterSigningInThePathLeadsNowhereElse: whatever is asked for, the browser stays on
// the host that it asked.
func TestAfterSigningInThePathLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p7")
	p.enter("acme", "/")
	for _, to := range []string{
		"//evil.test", `/\evil.test`, `\\evil.test`, "https://evil.test", "/%2f%2fevil.test/..//", "///evil.test", "/\t/evil.test",
		"javascript:alert(1)", "//evil.test@acme.localhost", "/.orgate/../..//evil.test", "evil.test", "/%5cevil.test", "%2f%2fevil.test", "/..//evil.test", "/./\\evil.test",
	} {
		pg := p.fetch(s.at("acme", "/.orgate/sign-in?return_to="+url.QueryEscape(to)), http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}})
		for range 8 {
			next, err := pg.URL.Parse(pg.Header.Get("Location"))
			if pg.Status < 300 || pg.Status >= 400 || err != nil {
				break
			}
			if !strings.HasSuffix(next.Hostname(), ".localhost") {
				t.Fatalf("%q led to %s", to, next)
			}
			pg = p.fetch(next.String(), http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}})
		}
		if pg.URL.Hostname() != "acme.localhost" || strings.HasPrefix(pg.URL.EscapedPath(), "//") || strings.HasPrefix(pg.URL.EscapedPath(), `/\`) {
			t.Errorf("%q led to %s (%d)", to, pg.URL, pg.Status)
		}
	}
	// The same as the path of the app itself.
	for _, to := range []string{"//evil.test/", `/\evil.test`, "/%2f/evil.test", "/%5cevil.test"} {
		stranger := s.person(t, "p8")
		pg := stranger.get(s.at("acme", strings.ReplaceAll(to, `\`, "%5C")))
		for _, hop := range pg.Trail {
			if !strings.HasSuffix(hop.URL.Hostname(), ".localhost") && "http://"+hop.URL.Host != s.issuer {
				t.Errorf("%q led to %s", to, hop.URL)
			}
		}
	}
}
