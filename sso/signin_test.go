package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
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

func TestAFirstSignInMakesOneOfEach(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/reports?year=2026", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
	u.as("alice").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /reports?year=2026")

	if c := w.census("acme"); c != (census{users: 1, memberships: 1, sessions: 1, children: 1}) {
		t.Errorf("the store has %+v", c)
	}
	for _, name := range []string{audit.UserCreated, audit.MembershipCreated, audit.SSOSucceeded} {
		if n := len(w.events(name)); n != 1 {
			t.Errorf("%d events %s", n, name)
		}
	}
	for _, hop := range u.p.Trail {
		if hop.URL.Host == w.host("acme") && hop.URL.Path != "/.orgate/callback" && strings.Contains(hop.URL.RawQuery, "code=") {
			t.Errorf("a code is left in %s", hop.URL)
		}
	}
}

func TestTenFirstSignInsAtOnceMakeOneOfEach(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	var users []*user
	for range 10 {
		users = append(users, w.browser().to("acme", "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be"))
	}
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			p, err := u.Submit(t.Context(), u.p, map[string]string{"person": "alice"})
			if err != nil {
				t.Error(err)
				return
			}
			u.p = p
		})
	}
	wg.Wait()
	for _, u := range users {
		if u.p != nil {
			u.inApp("acme", "alice@acme.test")
		}
	}
	if c := w.census("acme"); c != (census{users: 1, memberships: 1, sessions: 10, children: 10}) {
		t.Errorf("the store has %+v", c)
	}
	if n := len(w.events(audit.MembershipCreated)); n != 1 {
		t.Errorf("%d events of one membership", n)
	}
}

func TestTwoTabsSignInAtOnce(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil, person("alice", "acme.test"))
	one := w.browser()
	two := one.tab()
	one.to("acme", "/one", "alice@acme.test")
	two.to("acme", "/two", "alice@acme.test")
	one.as("alice")
	two.as("alice")
	// The attempt of the second tab took the place of the first one's, so that the first
	// may have to be handed over once more; it must get there without a question.
	one.get(w.at("acme", "/one")).inApp("acme", "alice@acme.test")
	two.get(w.at("acme", "/two")).inApp("acme", "alice@acme.test")
	if n := w.outcome("proved"); n != 2 {
		t.Errorf("%d proofs", n)
	}
	if c := w.census("acme"); c.users != 1 || c.memberships != 1 || c.sessions != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestTheBackButtonSignsNobodyInTwice(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test")
	before := u.tab()
	before.Browser = ssotest.NewBrowser()
	loginURL, _ := url.Parse(w.login("/"))
	before.Jar.Set(loginURL, keepable(u.Jar.Cookies(loginURL)))
	u.as("alice").inApp("acme", "alice@acme.test")
	callback := trailed(u.p, "/sso/oidc/callback")
	was := w.census("acme")

	u.get(callback).sees(http.StatusBadRequest, "This sign-in is no longer open", "Start again")
	// The same with the flow's cookie still there, as a thief of both would have it.
	before.get(callback)
	if before.p.Status < 400 {
		t.Errorf("a replayed answer: %d %s", before.p.Status, before.p.Text)
	}
	if now := w.census("acme"); now != was {
		t.Errorf("the store had %+v and has %+v", was, now)
	}
	u.press("Start again").inApp("acme", "alice@acme.test")
}

// A mail scanner or a link checker looks with HEAD, with the cookies of a browser or without.
func TestALookAtTheAnswerDoesNotUseItUp(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) { o.OIDC = careless{} })
	w.organization("acme", nil)
	u := w.browser()
	fetch := func(method, to string) *ssotest.Page {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, to, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := u.Fetch(req)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	q := w.request("acme", "/")
	q.Set("login_hint", "alice@acme.test")
	back := fetch("GET", w.signIn(q)).Header.Get("Location")
	if !strings.HasPrefix(back, w.callback()) {
		t.Fatalf("the way back is %q", back)
	}
	was := w.census("acme")
	if p := fetch("HEAD", back); p.Status != http.StatusMethodNotAllowed || p.Header.Values("Set-Cookie") != nil || p.Header.Get("Allow") != "GET" {
		t.Errorf("HEAD: %d, Allow %q, Set-Cookie %q", p.Status, p.Header.Get("Allow"), p.Header.Values("Set-Cookie"))
	}
	if now := w.census("acme"); now != was {
		t.Errorf("the store had %+v and has %+v", was, now)
	}
	if p := fetch("GET", back); p.Status != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "/.orgate/callback?code=") {
		t.Errorf("then the browser comes, and gets %d, Location %q: %s", p.Status, p.Header.Get("Location"), p.Text)
	}
}

// keepable gives cookies that a jar handed out the attributes that it keeps them by.
func keepable(cookies []*http.Cookie) []*http.Cookie {
	for _, c := range cookies {
		c.Path, c.Secure = "/", true
	}
	return cookies
}

// trailed returns the first URL of that path on the way to a page.
func trailed(p *ssotest.Page, path string) string {
	for _, hop := range p.Trail {
		if hop.URL.Path == path {
			return hop.URL.String()
		}
	}
	return ""
}

func TestAStateOfAnotherBrowserIsNothing(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"), person("mallory", "acme.test"))
	// Mallory stops before her own callback, and has the victim open it (login CSRF).
	mallory := w.browser().to("acme", "/", "mallory@acme.test")
	var link string
	mallory.Jar.Clear()
	form := mallory.p.Forms[0]
	req, err := http.NewRequestWithContext(t.Context(), "POST", form.Action.String(), strings.NewReader(url.Values{"request": {form.Fields[0].Value}, "person": {"mallory"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	p, err := mallory.Fetch(req)
	if err != nil {
		t.Fatal(err)
	}
	if link = p.Header.Get("Location"); !strings.HasPrefix(link, w.callback()) {
		t.Fatalf("no callback: %d %s", p.Status, link)
	}
	w.browser().get(link).sees(http.StatusBadRequest, "This sign-in is no longer open")

	// With a flow of their own it is still the wrong one.
	victim := w.browser().to("acme", "/", "alice@acme.test")
	victim.get(link).sees(http.StatusBadRequest, "This sign-in is no longer open")
	if c := w.census("acme"); c != (census{}) {
		t.Errorf("the store has %+v", c)
	}
}

func TestASignInThatTookTooLongBeginsAnew(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test")
	w.clock.Advance(10*time.Minute + time.Second)
	u.as("alice").sees(http.StatusBadRequest, "This sign-in is no longer open")
	if c := w.census("acme"); c != (census{}) {
		t.Errorf("the store has %+v", c)
	}
}

func TestASecondOrganizationIsEnteredWithoutSigningInAgain(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	globex := w.organization("globex", nil)
	w.member("globex", "alice@acme.test", policy.Active)
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	proofs := w.outcome("proved")
	u.get(w.at("globex", "/x")).inApp("globex", "alice@acme.test").sees(http.StatusOK, "at /x")
	if w.outcome("proved") != proofs || globex.Hits("authorize") != 0 {
		t.Error("was asked to prove it again")
	}
	if c := w.census("acme"); c.sessions != 1 || c.children != 2 {
		t.Errorf("the store has %+v", c)
	}
}

func TestAnAutoJoinMakesTheMembershipAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", func(o *tenancy.Organization) { o.JITSSO, o.AutoJoin = false, true }, person("alice", "acme.test"))
	w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	if n := len(w.events(audit.MembershipCreated)); n != 1 {
		t.Errorf("%d memberships", n)
	}
}

func TestOnlyTheMissingProofIsAskedForAndBringsANewToken(t *testing.T) {
	w := newWorld(t)
	idp := w.organization("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	first := u.cookie("orgate_login")

	// A stricter policy binds the session that is there, from the next request on.
	second := w.twoWays("acme")
	w.changeOrganization("acme", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(second)}
	})
	asked := idp.Hits("authorize")
	u.get(w.at("acme", "/x")).sees(http.StatusOK, "Who do you want to be").as("alice").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /x")
	if idp.Hits("authorize") != asked+1 {
		t.Errorf("asked %d times", idp.Hits("authorize")-asked)
	}
	if token := u.cookie("orgate_login"); first == "" || token == "" || first == token {
		t.Fatalf("tokens %q and %q", first, token)
	}
	w.view(func(tx store.Tx) error {
		token, _ := session.ParseToken(first)
		if _, _, err := session.Live(tx, token.Hash(), "", limits, w.clock.Now()); err == nil {
			t.Error("the old token still lives")
		}
		return nil
	})
	if c := w.census("acme"); c.sessions != 1 || c.users != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestADomainPolicyElsewhereAsksItsOwnProvider(t *testing.T) {
	w := newWorld(t)
	acme := w.organization("acme", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(conn("acme"))}
	}, person("alice", "acme.test"))
	globex := w.organization("globex", nil, person("eve", "globex.test"))
	w.member("globex", "alice@acme.test", policy.Active)
	w.browser().to("globex", "/x", "alice@acme.test").as("alice").inApp("globex", "alice@acme.test").sees(http.StatusOK, "at /x")
	if acme.Hits("authorize") != 1 || globex.Hits("authorize") != 0 {
		t.Errorf("acme was asked %d times, globex %d times", acme.Hits("authorize"), globex.Hits("authorize"))
	}
}

func TestTwoPoliciesAreTwoProofsAndNothingIsHandedOverAfterOne(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	second := w.twoWays("acme")
	w.changeOrganization("acme", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(conn("acme"))}
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(second)}
	})
	u := w.browser().to("acme", "/x", "").sees(http.StatusOK, "Who do you want to be").as("alice").sees(http.StatusOK, "Who do you want to be")
	if c := w.census("acme"); c.sessions != 1 || c.children != 0 {
		t.Fatalf("after one of two proofs: %+v", c)
	}
	// Whoever leaves here has no more than before.
	w2 := u.tab().get(w.login("/organizations"))
	if w2.p.Status == http.StatusOK {
		t.Error("the picker is shown to whom the domain policy does not let in")
	}
	u.as("alice").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /x")
	if c := w.census("acme"); c.sessions != 1 || c.children != 1 || w.outcome("proved") != 2 {
		t.Errorf("%+v after %d proofs", c, w.outcome("proved"))
	}
}

func TestAProviderThatIsNotBelievedTwiceEndsInAPageAndNotInALoop(t *testing.T) {
	w := newWorld(t)
	idp := w.organization("acme", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), MaxAge: time.Hour}
	}, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "").as("alice").inApp("acme", "alice@acme.test")
	// After an hour it is asked again, and the proof must be a fresh one.
	w.clock.Advance(61 * time.Minute)
	u.get(w.at("acme", "/")).sees(http.StatusOK, "Who do you want to be").as("alice").inApp("acme", "alice@acme.test")
	w.clock.Advance(61 * time.Minute)
	u.get(w.at("acme", "/"))
	old := w.clock.Now().Add(-2 * time.Hour).Unix()
	idp.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { c["auth_time"] = old }})
	u.as("alice").sees(http.StatusForbidden, "sign in at your identity provider again")
}

// A guest whom an organization's provider vouches for, and nobody else does, is in that
// organization and nowhere else.
func TestAGuestsSessionIsGoodInOneOrganizationOnly(t *testing.T) {
	w := newWorld(t)
	w.organization("globex", nil, ssotest.Person{Subject: "bob", Email: "bob@mail.test"})
	w.organization("acme", nil, person("alice", "acme.test"))
	w.member("globex", "bob@mail.test", policy.Active)
	w.member("acme", "bob@mail.test", policy.Active)
	u := w.browser().to("globex", "/", "bob@mail.test").as("bob").inApp("globex", "bob@mail.test")
	u.get(w.login("/organizations")).sees(http.StatusOK, "Globex")
	if strings.Contains(u.p.Body, "Acme") || strings.Contains(u.p.Body, "everywhere") {
		t.Error("the picker of a guest tells of what they have elsewhere")
	}
	u.get(w.login("/sign-in")).inApp("globex", "bob@mail.test")
	u.get(w.at("acme", "/"))
	if strings.Contains(u.p.Body, "app of") {
		t.Error("the guest of globex is in acme")
	}
}
