package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// bothApps signs alice in at two organizations.
func bothApps(w *world) (*user, *ssotest.Provider) {
	w.t.Helper()
	idp := w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil)
	w.member("globex", "alice@acme.test", policy.Active)
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	return u.get(w.at("globex", "/")).inApp("globex", "alice@acme.test"), idp
}

func TestSigningOutHereEndsEverythingOfThisBrowserOnly(t *testing.T) {
	w := newWorld(t)
	u, _ := bothApps(w)
	other := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	u.get(w.login("/sign-out")).sees(http.StatusOK, "Sign out?", "alice@acme.test")
	if c := w.census("acme"); c.sessions != 2 {
		t.Fatalf("a GET signed somebody out: %+v", c)
	}
	token := u.cookie("orgate_login")
	u.press("Sign out")
	// By way of the provider, which is told who it was and sends the browser back.
	u.sees(http.StatusOK, "You are signed out")
	if u.p.URL.Path != "/signed-out" {
		t.Errorf("ends at %s", u.p.URL)
	}
	if u.cookie("orgate_login") != "" {
		t.Error("the cookie is still there")
	}
	if c := w.census("acme"); c.sessions != 1 || c.children != 1 {
		t.Errorf("the store has %+v", c)
	}
	// The old token does nothing any more, wherever it was copied to.
	thief := w.browser()
	loginURL, _ := url.Parse(w.login("/"))
	thief.Jar.Set(loginURL, []*http.Cookie{{Name: "__Host-orgate_login", Value: token, Path: "/", Secure: true}})
	thief.get(w.login("/organizations")).sees(http.StatusUnauthorized, "You are not signed in")
	other.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	u.to("acme", "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
	u.get(w.at("globex", "/"))
	if strings.Contains(u.p.Body, "app of") {
		t.Error("still in the app of globex")
	}
}

func TestTheSignedOutPageSpeaksForATenantHostAndNoOther(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil)
	signedOut := func(host string) *user { return w.browser().get(w.login("/signed-out?host=" + url.QueryEscape(host))) }
	u := signedOut(w.host("acme")).sees(http.StatusOK, "You are signed out", "Acme")
	if u.p.Links[0].Href != w.at("acme", "/") {
		t.Errorf("leads to %s", u.p.Links[0].Href)
	}
	for _, host := range []string{strings.ToUpper(w.host("acme")), "acme.localhost." + w.base, "evil.test", "x@" + w.host("acme"), w.host("acme") + "/x"} {
		u := signedOut(host).sees(http.StatusOK, "You are signed out")
		if u.p.Links[0].Href != w.login("/sign-in") {
			t.Errorf("%q leads to %s", host, u.p.Links[0].Href)
		}
	}
}

func TestSigningOutEverywhereEndsEveryBrowser(t *testing.T) {
	w := newWorld(t)
	u, _ := bothApps(w)
	other := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	u.get(w.login("/organizations")).sees(http.StatusOK, "Your organizations").press("Sign out everywhere")
	u.sees(http.StatusOK, "You are signed out everywhere", "sign out there too")
	if c := w.census("acme"); c.sessions != 0 || c.children != 0 {
		t.Errorf("the store has %+v", c)
	}
	other.to("acme", "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
}

func TestABackChannelLogoutEndsWhatTheProviderSaysAndOnlyOnce(t *testing.T) {
	w := newWorld(t)
	u, idp := bothApps(w)
	w.member("acme", "x@acme.test", policy.Active)
	if err := idp.SignOutEverywhere(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	if c := w.census("acme"); c.sessions != 0 || c.children != 0 {
		t.Errorf("the store has %+v", c)
	}
	u.get(w.at("globex", "/"))
	if strings.Contains(u.p.Body, "app of") {
		t.Error("still in the app of globex")
	}

	// A token that was heeded once is not heeded again, when alice is back.
	client := ssotest.Client{ID: "acme"}
	token := idp.LogoutToken(client, "alice", "", nil)
	send := func(slug, token string) int {
		t.Helper()
		to := w.login("/sso/oidc/backchannel-logout/" + string(org(slug)) + "/" + string(conn(slug)))
		req, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p, err := w.browser().Fetch(req)
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Cache-Control") != "no-store" {
			t.Error("the answer may be stored")
		}
		return p.Status
	}
	if s := send("acme", token); s != http.StatusOK {
		t.Fatalf("first: %d\n%s", s, w.log)
	}
	u.to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	for name, bad := range map[string]string{
		"the same again": token,
		"no token":       "",
		"junk":           "a.b.c",
		"with a nonce":   idp.LogoutToken(client, "alice", "", func(c map[string]any) { c["nonce"] = "x" }),
		"nobody's":       idp.LogoutToken(client, "", "", nil),
		"for another":    idp.LogoutToken(ssotest.Client{ID: "globex"}, "alice", "", nil),
	} {
		if s := send("acme", bad); s != http.StatusBadRequest {
			t.Errorf("%s: %d", name, s)
		}
	}
	// Acme's token at globex's address, and addresses that are not there.
	if s := send("globex", idp.LogoutToken(client, "alice", "", nil)); s != http.StatusBadRequest {
		t.Errorf("acme's token for globex: %d", s)
	}
	if s := send("nobody", idp.LogoutToken(client, "alice", "", nil)); s != http.StatusBadRequest {
		t.Errorf("no such connection: %d", s)
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestALogoutTokenThatNamesTheSessionAloneEndsThatSession(t *testing.T) {
	w := newWorld(t)
	idp := w.organization("acme", nil, person("alice", "acme.test"), person("bob", "acme.test"))
	w.organization("globex", nil)
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	other := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	sid := func(u *user) (sid string) {
		t.Helper()
		token, _ := session.ParseToken(u.cookie("orgate_login"))
		w.view(func(tx store.Tx) error {
			s, err := tx.SessionByToken(token.Hash())
			if err == nil && len(s.Upstream) == 1 {
				sid = s.Upstream[0].SID
			}
			return err
		})
		if sid == "" {
			t.Fatal("the provider's session is not known")
		}
		return sid
	}
	send := func(slug, sid string) int {
		t.Helper()
		to := w.login("/sso/oidc/backchannel-logout/" + string(org(slug)) + "/" + string(conn(slug)))
		body := url.Values{"logout_token": {idp.LogoutToken(ssotest.Client{ID: "acme"}, "", sid, nil)}}
		req, err := http.NewRequestWithContext(t.Context(), "POST", to, strings.NewReader(body.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		p, err := w.browser().Fetch(req)
		if err != nil {
			t.Fatal(err)
		}
		return p.Status
	}
	if s := send("acme", "nobody's"); s != http.StatusOK {
		t.Errorf("a session that is not here: %d\n%s", s, w.log)
	}
	if s := send("globex", sid(u)); s != http.StatusBadRequest {
		t.Errorf("at another organization's address: %d", s)
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	if s := send("acme", sid(u)); s != http.StatusOK {
		t.Errorf("%d\n%s", s, w.log)
	}
	if c := w.census("acme"); c.sessions != 1 || c.children != 1 {
		t.Errorf("the store has %+v", c)
	}
	other.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestThePickerShowsWhatCanBeEnteredAndWhatIsAsked(t *testing.T) {
	w := newWorld(t)
	u, _ := bothApps(w)
	w.organization("initech", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(conn("initech"))}
	})
	w.member("initech", "alice@acme.test", policy.Active)
	w.organization("hooli", nil)
	w.member("hooli", "alice@acme.test", policy.Inactive)
	w.organization("umbrella", func(o *tenancy.Organization) { o.Suspended = true })
	w.member("umbrella", "alice@acme.test", policy.Active)
	w.organization("stranger", nil)

	u.get(w.login("/organizations?host="+url.QueryEscape(w.host("globex")))).
		sees(http.StatusOK, "alice@acme.test", "Acme", "Globex", "Initech", "Asks you to sign in with initech-okta", "member")
	for _, hidden := range []string{"Hooli", "Umbrella", "Stranger"} {
		if strings.Contains(u.p.Body, hidden) {
			t.Errorf("shows %s", hidden)
		}
	}
	if strings.Count(u.p.Body, "aria-current") != 1 {
		t.Error("the current organization is not marked")
	}
	u.press("Globex").inApp("globex", "alice@acme.test")
}

func TestTheLoginHostAloneLeadsHome(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil)
	u := w.browser().get(w.login("/")).sees(http.StatusOK, "E-mail address").submit(map[string]string{"email": "alice@acme.test"})
	u.as("alice").inApp("acme", "alice@acme.test")
	w.member("globex", "alice@acme.test", policy.Active)
	u.get(w.login("/sign-in")).sees(http.StatusOK, "Your organizations", "Acme", "Globex")
	u.get(w.login("/")).sees(http.StatusOK, "Your organizations")

	lone := newWorld(t)
	lone.organization("acme", func(o *tenancy.Organization) { o.JITSSO = false }, person("bob", "acme.test"))
	lone.browser().get(lone.login("/")).submit(map[string]string{"email": "bob@acme.test"}).as("bob").
		sees(http.StatusForbidden, "You are not a member of any organization", "bob@acme.test")
}

func TestTheAccountPageShowsAndEndsOnesOwnSessions(t *testing.T) {
	w := newWorld(t)
	u, _ := bothApps(w)
	other := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	u.get(w.login("/account")).sees(http.StatusOK, "alice@acme.test", "Firefox on Linux", "Acme, Globex", "This browser")
	if n := strings.Count(u.p.Body, "Firefox on Linux"); n != 2 {
		t.Errorf("%d sessions are shown", n)
	}
	u.press("Sign out").sees(http.StatusOK, "Your account")
	if n := strings.Count(u.p.Body, "Firefox on Linux"); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
	other.get(w.login("/account")).sees(http.StatusUnauthorized, "You are not signed in")
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}
