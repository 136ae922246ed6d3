package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// change edits what the store has.
func (w *world) changeConnection(slug string, edit func(*tenancy.Connection)) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		c, err := tx.Connection(org(slug), conn(slug))
		if err != nil {
			return err
		}
		edit(&c)
		return tx.PutConnection(c)
	})
}

func (w *world) changeOrganization(slug string, edit func(*tenancy.Organization)) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		o, err := tx.Organization(org(slug))
		if err != nil {
			return err
		}
		edit(&o)
		return tx.PutOrganization(o)
	})
}

func TestWhatWasSwitchedOffMeanwhileSignsNobodyIn(t *testing.T) {
	for name, change := range map[string]func(*world){
		"the connection is disabled":      func(w *world) { w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true }) },
		"the connection has a new client": func(w *world) { w.changeConnection("acme", func(c *tenancy.Connection) { c.OIDC.ClientID = "other" }) },
		"the connection has a new issuer": func(w *world) {
			w.changeConnection("acme", func(c *tenancy.Connection) { c.OIDC.Issuer += "/other" })
		},
		"the connection is deleted": func(w *world) {
			w.update(func(tx store.Tx) error { return tx.DeleteConnection(org("acme"), conn("acme")) })
		},
		"the organization is suspended": func(w *world) {
			w.changeOrganization("acme", func(o *tenancy.Organization) { o.Suspended = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.organization("acme", nil, person("alice", "acme.test"))
			u := w.browser().to("acme", "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
			change(w)
			u.as("alice").sees(http.StatusForbidden, "was switched off")
			if idp.Hits("token") != 0 {
				t.Error("the provider was asked for a token")
			}
			if c := w.census("acme"); c != (census{}) {
				t.Errorf("the store has %+v", c)
			}
			if n := len(w.events(audit.SSOFailed)); n != 1 {
				t.Errorf("%d events of the failure", n)
			}
		})
	}
}

func TestAProviderSpeaksForItsOwnDomainsOnly(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil, person("eve", "globex.test"), ssotest.Person{Subject: "x", Email: "alice@acme.test"}, ssotest.Person{Subject: "y", Email: "someone@elsewhere.test"})
	w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	for _, subject := range []string{"x", "y"} {
		u := w.browser().to("globex", "/", "eve@globex.test").as(subject)
		u.sees(http.StatusForbidden, "not one that Globex can vouch for", "Use another account")
		if u.cookie("orgate_login") != "" {
			t.Errorf("%s has a session", subject)
		}
	}
	if c := w.census("globex"); c != (census{}) {
		t.Errorf("the store has %+v", c)
	}
	log := w.log.String()
	for _, want := range []string{`"check":"not_vouched"`, "add the domain under domains"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestWhyAMemberDoesNotGetInIsSaid(t *testing.T) {
	for _, tt := range []struct {
		status policy.Standing
		says   string
	}{
		{policy.Inactive, "Your access to Acme has ended"},
		{policy.Pending, "Your invitation is waiting"},
	} {
		w := newWorld(t)
		// Where JIT is on, it accepts an invitation by itself.
		w.organization("acme", func(o *tenancy.Organization) { o.JITSSO, o.AutoJoin = false, true }, person("alice", "acme.test"))
		w.member("acme", "alice@acme.test", tt.status)
		u := w.browser().to("acme", "/", "alice@acme.test").as("alice").sees(http.StatusForbidden, tt.says, "alice@acme.test", "Use another account")
		if c := w.census("acme"); c.memberships != 0 || c.children != 0 {
			t.Errorf("%v: the store has %+v", tt.status, c)
		}
		// It stays so, without another trip to the provider.
		u.get(w.at("acme", "/")).sees(http.StatusForbidden, tt.says)
	}
}

func TestSomebodyWhomNoRuleAdmitsIsNoMember(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", func(o *tenancy.Organization) { o.JITSSO = false }, person("alice", "acme.test"))
	w.browser().to("acme", "/", "alice@acme.test").as("alice").sees(http.StatusForbidden, "You are not a member of Acme", "alice@acme.test")
}

// Whatever a hostile or broken provider does, the person reads a page, the operator a log
// line with the same id, and nothing is made.
func TestAHostileProviderSignsNobodyIn(t *testing.T) {
	claim := func(name string, v any) ssotest.Faults {
		return ssotest.Faults{Claims: func(c map[string]any) { c[name] = v }}
	}
	without := func(name string) ssotest.Faults {
		return ssotest.Faults{Claims: func(c map[string]any) { delete(c, name) }}
	}
	at := func(endpoint string, h http.Handler) ssotest.Faults {
		return ssotest.Faults{Endpoints: map[string]http.Handler{endpoint: h}}
	}
	for name, tt := range map[string]struct {
		faults ssotest.Faults
		status int
		check  string
	}{
		"another issuer":                   {claim("iss", "https://evil.test"), 403, "token_issuer"},
		"another audience":                 {claim("aud", "globex"), 403, "token_audience"},
		"another nonce":                    {claim("nonce", "x"), 403, "token_nonce"},
		"no nonce":                         {without("nonce"), 403, "token_nonce"},
		"expired":                          {claim("exp", 1), 403, "token_expired"},
		"no subject":                       {without("sub"), 403, "token_subject"},
		"signed by another key":            {ssotest.Faults{Signature: ssotest.SignedByOtherKey}, 403, ""},
		"not signed":                       {ssotest.Faults{Signature: ssotest.NotSigned}, 403, ""},
		"signature stripped":               {ssotest.Faults{Signature: ssotest.SignatureStripped}, 403, ""},
		"signed with the public key":       {ssotest.Faults{Signature: ssotest.SignedWithPublicKey}, 403, ""},
		"an address that is none":          {claim("email", "a@evil.test@acme.test"), 403, ""},
		"an address that is not confirmed": {claim("email_verified", false), 403, "email_unproved"},
		"another issuer in the answer":     {ssotest.Faults{Callback: func(v url.Values) { v.Set("iss", "https://evil.test") }}, 403, "response_issuer_mismatch"},
		"a script as the error": {ssotest.Faults{Callback: func(v url.Values) {
			v.Del("code")
			v.Set("error", "server_error")
			v.Set("error_description", "<script>alert(1)</script>")
		}}, 502, "provider_unavailable"},
		"token endpoint fails":   {at("token", ssotest.Says(500, "text/html", "<script>alert(1)</script>")), 502, "provider_unavailable"},
		"token endpoint babbles": {at("token", ssotest.Endless()), 403, ""},
		"keys are gone":          {at("jwks", ssotest.Says(404, "text/plain", "no")), 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.organization("acme", nil, person("alice", "acme.test"))
			u := w.browser().to("acme", "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
			idp.Misbehave(tt.faults)
			u.as("alice")
			if u.p.Status != tt.status {
				t.Fatalf("status %d, want %d: %s\n%s", u.p.Status, tt.status, u.p.Text, w.log)
			}
			if strings.Contains(u.p.Body, "alert(1)") {
				t.Error("the page holds what the provider said")
			}
			if c := w.census("acme"); c != (census{}) || u.cookie("orgate_login") != "" {
				t.Errorf("the store has %+v", c)
			}
			w.view(func(tx store.Tx) error {
				if _, err := tx.UserByEmail("alice@acme.test"); err == nil {
					t.Error("a user was made")
				}
				return nil
			})
			if n := len(w.events(audit.SSOFailed)); n != 1 {
				t.Errorf("%d events", n)
			}
			if tt.check != "" && !strings.Contains(w.log.String(), `"check":"`+tt.check+`"`) {
				t.Errorf("the log does not say %s:\n%s", tt.check, w.log)
			}
			for line := range strings.SplitSeq(w.log.String(), "\n") {
				if strings.Contains(line, "sign-in failed") {
					_, id, _ := strings.Cut(line, `"request_id":"`)
					id, _, _ = strings.Cut(id, `"`)
					if id == "" || !strings.Contains(u.p.Body, id) {
						t.Errorf("the page does not show the id of the log line %s", line)
					}
				}
			}
		})
	}
}

func TestAProviderThatIsDownStopsOnlyItsOwn(t *testing.T) {
	w := newWorld(t)
	down := w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("globex", nil, person("eve", "globex.test"))
	down.Misbehave(ssotest.Faults{Endpoints: map[string]http.Handler{"discovery": ssotest.Says(503, "text/plain", "down")}})
	w.browser().to("acme", "/", "alice@acme.test").sees(http.StatusBadGateway, "identity provider", "Try again")
	w.browser().to("globex", "/", "eve@globex.test").as("eve").inApp("globex", "eve@globex.test")
}

func TestNobodyCancelsIntoTheApp(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.browser().to("acme", "/", "alice@acme.test").press("Cancel").sees(http.StatusForbidden, "You were not let in", "Try again").
		press("Try again").submit(map[string]string{"email": "alice@acme.test"}).as("alice").inApp("acme", "alice@acme.test")
}

func TestTheProofsOfTwoPersonsAreNeverInOneSession(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"), person("bob", "acme.test"))
	w.organization("globex", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(conn("globex"))}
	}, person("eve", "globex.test"))
	w.member("globex", "alice@acme.test", policy.Active)

	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	alice := u.cookie("orgate_login")
	// Globex asks for a proof of its own, and its provider has somebody else in this browser.
	u.get(w.at("globex", "/")).as("eve").sees(http.StatusConflict, "That is somebody else", "eve@globex.test", "Use another account")
	if u.cookie("orgate_login") != alice {
		t.Error("the session changed")
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")

	// Asked for, it is a new session, and the old one has ended on every host.
	u.get(w.at("globex", "/")) // the attempt
	q, err := url.ParseQuery(u.p.Trail[1].URL.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	q.Set("another", "1")
	u.get(w.signIn(q)).submit(map[string]string{"email": "eve@globex.test"}).as("eve").inApp("globex", "eve@globex.test")
	if u.cookie("orgate_login") == alice {
		t.Error("one token for two persons")
	}
	if c := w.census("acme"); c.sessions != 0 || c.children != 0 {
		t.Errorf("alice is still signed in: %+v", c)
	}
}

func TestASignInThatSomebodyElseFinishesDoesNotReplaceWhoeverIsSignedIn(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("evil", nil, person("eve", "evil.test"))
	// A link brought alice to evil's provider before she was signed in, and it takes its time.
	parked := w.browser()
	parked.to("evil", "/", "x@evil.test").sees(http.StatusOK, "eve")
	u := parked.tab().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	alice := u.cookie("orgate_login")

	parked.as("eve").sees(http.StatusConflict, "That is somebody else")
	if u.cookie("orgate_login") != alice {
		t.Error("the session is eve's now")
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestALinkOfAnotherSiteToUseAnotherAccountChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("evil", nil, person("eve", "evil.test"))
	elsewhere := w.browser()
	elsewhere.to("evil", "/", "x@evil.test") // a page of evil's provider
	u := elsewhere.tab().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	q := session.SignInRequest{Host: w.host("evil"), Attempt: session.NewToken().Hash(), ReturnTo: "/", LoginHint: "eve@evil.test"}.Values()
	q.Set("another", "1")

	for name, from := range map[string]*ssotest.Page{"another site": elsewhere.p, "a tenant's app": u.p} {
		p, err := u.Follow(t.Context(), from, w.signIn(q))
		if err != nil {
			t.Fatal(err)
		}
		if p.URL.Path != "/sign-in" || len(p.Forms) != 1 {
			t.Errorf("%s: it led to %s (%s)", name, p.URL, p.Title)
		}
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestALinkOfAnotherSiteToAnyPageLeadsNobodyToAnotherAccount(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("evil", nil, person("eve", "evil.test"))
	elsewhere := w.browser()
	elsewhere.to("evil", "/", "x@evil.test") // a page of evil's provider
	u := elsewhere.tab().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	alice := u.cookie("orgate_login")
	q := session.SignInRequest{Host: w.host("evil"), Attempt: session.NewToken().Hash(), ReturnTo: "/"}.Values()
	q.Set("another", "1")
	for _, path := range []string{
		"/sign-in", "/sign-in/ways", "/sign-in/code", "/sign-in/social/code", "/sign-in/password", "/sign-in/password/reset", "/sign-in/password/new",
		"/sign-in/passkey", "/sign-in/passkey/new", "/sign-in/second", "/sign-in/enroll", "/sign-in/app/new", "/sign-in/recovery-codes",
		"/account/email", "/account/email/old", "/account/email/new",
	} {
		p, err := u.Follow(t.Context(), elsewhere.p, w.login(path+"?"+q.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if v := u.tab().did(p, nil); v.p.URL.Host != "login.localhost"+w.base {
			t.Errorf("%s: it led to %s (%s)", path, v.p.URL, v.p.Title)
			v.as("eve")
		}
	}
	if u.cookie("orgate_login") != alice {
		t.Error("whoever was signed in is another now")
	}
}

func TestALinkTellsNoOrganizationWhoIsSignedIn(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.organization("evil", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	}, person("eve", "evil.test"))
	elsewhere := w.browser()
	elsewhere.to("evil", "/", "x@evil.test") // a page of evil's provider
	u := elsewhere.tab().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	hint := func() string {
		t.Helper()
		p, err := u.Follow(t.Context(), elsewhere.p, w.signIn(w.request("evil", "/")))
		if err != nil {
			t.Fatal(err)
		}
		if p.URL.Path != "/authorize" {
			t.Fatalf("it led to %s (%s)", p.URL, p.Title)
		}
		return p.URL.Query().Get("login_hint")
	}
	if got := hint(); got != "" {
		t.Errorf("evil's provider is told that it is %s", got)
	}
	w.member("evil", "alice@acme.test", policy.Active)
	if got := hint(); got != "alice@acme.test" {
		t.Errorf("the provider of an organization that knows her is told %q", got)
	}
}
