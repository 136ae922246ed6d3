package sso_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func mayBegin(_ *tenancy.Organization, c *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
	c.IDPInitiated = true
}

// starts has the provider begin a sign-in as one of its people, up to what we show.
func (u *user) starts(idp *ssotest.SAMLProvider, slug, relay, subject string) *user {
	u.w.t.Helper()
	u.get(idp.EntityID() + "/start?" + url.Values{"sp": {u.w.samlURL(slug, "metadata")}, "relay": {relay}}.Encode())
	return u.as(subject).press("Continue")
}

func TestASignInThatBeganAtTheProviderIsOneWhenThePersonSaysSo(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", mayBegin, person("alice", "acme.test"))
	u := w.browser().starts(idp, "acme", "/reports?q=1", "alice")
	u.sees(http.StatusOK, "Sign in to Acme?", "alice@acme.test")
	if csp := u.p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") {
		t.Errorf("the page may be framed: %s", csp)
	}
	u.nothing("acme", "alice@acme.test") // by the GET alone
	finish := u.p.URL.String()
	u.tab().get(finish).sees(http.StatusOK, "Sign in to Acme?")
	u.press("Sign in").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /reports?q=1")
	// Neither the page nor the click works again.
	u.get(finish).sees(http.StatusBadRequest, "no longer open")
	if c := w.census("acme"); c.sessions != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestRelayStateLeadsToThePathsOfTheOrganizationsOwnHostsOnly(t *testing.T) {
	w := newWorld(t, generous)
	idp := w.saml("acme", mayBegin, person("alice", "acme.test"))
	w.organization("globex", nil)
	own, other := w.host("acme"), w.host("globex")
	for relay, want := range map[string]string{
		"":                                "/",
		"/a/b?c=d":                        "/a/b?c=d",
		"http://" + own + "/a?b":          "/a?b",
		"http://" + own:                   "/",
		"http://" + other + "/a":          "/",
		"https://" + own + "/a":           "/",
		"http://x@" + own + "/a":          "/",
		"http://" + own + ":1/a":          "/",
		"http://" + own + "/../a":         "/",
		"//evil.test/a":                   "/",
		"/\\evil.test":                    "/",
		"\\/evil.test":                    "/",
		"/%5Cevil.test":                   "/%5Cevil.test", // a path of the own host, whatever it looks like
		"javascript:alert(1)":             "/",
		"javascript://" + own + "/%0Aa":   "/",
		"data:text/html,x":                "/",
		"@evil.test":                      "/",
		".evil.test":                      "/",
		":80@evil.test/":                  "/",
		"/a\r\nSet-Cookie: x=y":           "/",
		"/" + strings.Repeat("a", 5000):   "/",
		"http://evil.test/?" + own:        "/",
		"http://" + own + "\\@evil.test/": "/",
		"http://" + own + "@evil.test/":   "/",
		" /a":                             "/",
		"http:///a":                       "/",
		"http:/a":                         "/",
		"HTTP://" + own + "/a":            "/a",
	} {
		t.Run(fmt.Sprintf("%.40q", relay), func(t *testing.T) {
			w.t = t
			u := w.browser().brings("acme", idp.Respond(w.asksFor("acme", ""), person("alice", "acme.test")), relay)
			u.sees(http.StatusOK, "Sign in to Acme?").press("Sign in").inApp("acme", "alice@acme.test")
			if u.p.URL.Host != own || u.p.URL.RequestURI() != want {
				t.Errorf("leads to %s, want %s", u.p.URL, want)
			}
			for _, h := range u.p.Trail {
				if h.URL.Host != own && h.URL.Host != "login.localhost"+w.base {
					t.Errorf("by way of %s", h.URL)
				}
			}
		})
	}
}

// Anybody with an account at the provider can have a browser post an answer about himself.
func TestAnAnswerThatNobodyAskedForSignsNobodyInByItself(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", mayBegin, person("alice", "acme.test"), person("mallory", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	token := u.cookie("orgate_login")
	u.brings("acme", idp.Respond(w.asksFor("acme", ""), person("mallory", "acme.test")), "/")
	u.sees(http.StatusOK, "Sign in to Acme?", "mallory@acme.test")
	answer := u.p.URL.Query().Get("answer")
	if u.cookie("orgate_login") != token {
		t.Error("the session was replaced")
	}
	u.tab().get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	// Nor can his page press the button.
	v := u.tab().form("https://evil.test/", w.samlURL("acme", "finish"), url.Values{"answer": {answer}})
	if v.p.Status != http.StatusForbidden {
		t.Errorf("status %d: %s", v.p.Status, v.p.Text)
	}
	u.tab().get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	// Nor is the click of one browser good for another.
	x := w.browser()
	x.get(w.login("/sign-in"))
	x.form(w.login("/sign-in"), w.samlURL("acme", "finish"), url.Values{"answer": {answer}}).sees(http.StatusBadRequest, "no longer open")
	// Who says yes has chosen to be the other.
	u.press("Sign in").inApp("acme", "mallory@acme.test")
	if c := w.census("acme"); c.sessions != 1 {
		t.Errorf("the store has %+v", c)
	}
}

// The subjects of one connection are not those of another, though both are of one organization.
func TestAWaitingAnswerIsOfItsConnectionAlone(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", mayBegin, person("alice", "acme.test"))
	second := w.moreSAML("acme", "second")
	globex := w.saml("globex", mayBegin)
	w.update(func(tx store.Tx) error {
		c, err := tx.Connection(org("acme"), "conn_acmesecond")
		if err != nil {
			return err
		}
		c.SAML.IDPInitiated = true
		return tx.PutConnection(c)
	})
	at := w.login("/sso/saml/acme.second/")
	u := w.browser().form("https://idp.example/", at+"acs", url.Values{"SAMLResponse": {second.Respond(ssotest.SAMLAsk{ACS: at + "acs", Audience: at + "metadata"}, person("alice", "acme.test"))}})
	u.sees(http.StatusOK, "Sign in to Acme?")
	v := w.browser().brings("globex", globex.Respond(w.asksFor("globex", ""), person("alice", "globex.test")), "")
	v.sees(http.StatusOK, "Sign in to Globex?")
	for _, x := range []*user{u, v} {
		answer := x.p.URL.Query().Get("answer")
		x.tab().get(w.samlURL("acme", "finish")+"?answer="+answer).sees(http.StatusBadRequest, "no longer open")
		x.tab().form(w.login("/"), w.samlURL("acme", "finish"), url.Values{"answer": {answer}}).sees(http.StatusBadRequest, "no longer open")
		x.nothing("acme", "alice@acme.test")
	}
	w.nobody("alice@globex.test")
}

func TestThePageNamesTheAccountAndNotWhatIsWrittenBesideIt(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", mayBegin, person("mallory", "acme.test"), person("alice", "acme.test"))
	w.browser().to("acme", "/", "mallory@acme.test").as("mallory").press("Continue").inApp("acme", "mallory@acme.test")
	// At many a provider everybody may write their own address.
	posing := ssotest.Person{Subject: "mallory", Email: "alice@acme.test"}
	u := w.browser().brings("acme", idp.Respond(w.asksFor("acme", ""), posing), "")
	u.sees(http.StatusOK, "mallory@acme.test")
	if strings.Contains(u.p.Text, "alice") {
		t.Errorf("it says %s", u.p.Text)
	}
}

func TestWhatChangedWhileAnAnswerWaitedIsNoticed(t *testing.T) {
	for name, change := range map[string]func(*world){
		"not by itself any more": func(w *world) {
			w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.IDPInitiated = false })
		},
		"another provider":              func(w *world) { w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.MetadataURL += "?x" }) },
		"disabled":                      func(w *world) { w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true }) },
		"the organization is suspended": func(w *world) { w.changeOrganization("acme", func(o *tenancy.Organization) { o.Suspended = true }) },
		"five minutes have passed":      func(w *world) { w.clock.Advance(5*time.Minute + time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.saml("acme", mayBegin, person("alice", "acme.test"))
			u := w.browser().starts(idp, "acme", "", "alice").sees(http.StatusOK, "Sign in to Acme?")
			change(w)
			u.press("Sign in").nothing("acme", "alice@acme.test")
			if u.p.Status < 400 || u.p.Status >= 500 {
				t.Errorf("status %d", u.p.Status)
			}
		})
	}
}

func TestWhereAProviderMayNotBeginItIsAsked(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	u := w.browser().starts(idp, "acme", "/reports", "alice")
	// It answers anew, to a request of this browser.
	u.sees(http.StatusOK, "Who do you want to be").nothing("acme", "alice@acme.test")
	u.as("alice").press("Continue").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /reports")
}

func TestAProviderThatSaysNothingOfARequestIsNotAskedForEver(t *testing.T) {
	for name, relay := range map[string]func(string) string{
		"and gives RelayState back":          nil,
		"and drops RelayState":               func(string) string { return "" },
		"and has a RelayState of its own":    func(string) string { return "/home" },
		"and has a RelayState each time new": func(s string) string { return s + "x" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.saml("acme", func(_ *tenancy.Organization, _ *tenancy.SAMLConnection, o *ssotest.SAMLOptions) { o.Remember = true }, person("alice", "acme.test"))
			idp.Misbehave(ssotest.SAMLFaults{Edit: dropped, RelayState: relay})
			u := w.browser().to("acme", "/", "alice@acme.test").as("alice")
			// Where scripts run, each page goes on by itself.
			for n := 0; u.p.Status == http.StatusOK; n++ {
				if n > 8 {
					t.Fatal("round in circles")
				}
				u.press("Continue")
			}
			if u.p.Status >= 500 {
				t.Errorf("status %d", u.p.Status)
			}
			u.sees(u.p.Status, "id").nothing("acme", "alice@acme.test")
		})
	}
}

// Whoever began at the provider may have signed in there this morning.
func TestAnOldSignInThatBeganAtTheProviderIsAskedForAnew(t *testing.T) {
	for _, idpInitiated := range []bool{true, false} {
		w := newWorld(t)
		idp := w.saml("acme", func(o *tenancy.Organization, c *tenancy.SAMLConnection, p *ssotest.SAMLOptions) {
			o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), MaxAge: time.Hour}
			c.IDPInitiated, p.Remember = idpInitiated, true
		}, person("alice", "acme.test"))
		u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
		w.clock.Advance(3 * time.Hour)
		u.get(w.login("/sign-out")).press("Sign out")
		v := w.browser()
		if idpInitiated {
			ask := w.asksFor("acme", "")
			ask.AuthnInstant = w.clock.Now().Add(-3 * time.Hour)
			v.brings("acme", idp.Respond(ask, person("alice", "acme.test")), "/reports").press("Sign in")
		} else {
			// Signed in there, and remembered.
			v.get(w.samlURL("acme", "start") + "?relay=/reports").as("alice")
			response, relay := v.carried()
			ask := w.asksFor("acme", requestID(t, response))
			ask.AuthnInstant = w.clock.Now().Add(-3 * time.Hour)
			v.brings("acme", idp.Respond(ask, person("alice", "acme.test")), relay)
		}
		v.sees(http.StatusOK, "Who do you want to be").as("alice").press("Continue").inApp("acme", "alice@acme.test")
		if v.p.URL.Path != "/reports" {
			t.Errorf("leads to %s", v.p.URL)
		}
		// One that never asks is not asked for ever.
		x := w.browser()
		x.get(w.samlURL("acme", "start")).as("alice")
		for n := 0; x.p.Status == http.StatusOK; n++ {
			if n > 5 {
				t.Fatal("round in circles")
			}
			if len(x.p.Forms) > 0 && len(x.p.Forms[0].Buttons) > 1 {
				x.as("alice")
			}
			response, relay := x.carried()
			ask := w.asksFor("acme", requestID(t, response))
			ask.AuthnInstant = w.clock.Now().Add(-3 * time.Hour)
			x.brings("acme", idp.Respond(ask, person("alice", "acme.test")), relay)
			if strings.HasSuffix(x.p.URL.Path, "/people") {
				x.as("alice")
			}
		}
		x.sees(http.StatusForbidden)
	}
}

func TestWhomAProviderMayBringFromElsewhere(t *testing.T) {
	for name, tt := range map[string]struct {
		org     func(*tenancy.Organization)
		rules   tenancy.Rules
		who     string
		prepare func(*world)
		in      bool
		says    string
	}{
		"a stranger": {who: "gil@gmail.test", in: true},
		"a stranger, where nobody is made a member": {
			org: func(o *tenancy.Organization) { o.JITSSO = false }, who: "gil@gmail.test", says: "can vouch for",
		},
		"a stranger, where sign-up is by invitation": {rules: tenancy.Rules{InvitationOnly: true}, who: "gil@gmail.test", in: true},
		"a user of another organization":             {who: "gil@gmail.test", prepare: func(w *world) { w.member("globex", "gil@gmail.test", policy.Active) }, in: true},
		"a user of another organization, where one is the most": {
			rules: tenancy.Rules{SingleWorkspace: true}, who: "gil@gmail.test",
			prepare: func(w *world) { w.member("globex", "gil@gmail.test", policy.Active) }, says: "another organization already",
		},
		"somebody on another organization's domain": {who: "carol@globex.test", says: "can vouch for"},
		"a user on another organization's domain": {
			who: "carol@globex.test", prepare: func(w *world) { w.member("globex", "carol@globex.test", policy.Active) }, says: "can vouch for",
		},
		"a member on another organization's domain": {
			who: "carol@globex.test", prepare: func(w *world) { w.member("acme", "carol@globex.test", policy.Active) }, says: "can vouch for",
		},
		"somebody who was put out": {
			who: "gil@gmail.test", prepare: func(w *world) { w.member("acme", "gil@gmail.test", policy.Inactive) }, says: "can vouch for",
		},
		"an own person who was put out": {
			who: "alice@acme.test", prepare: func(w *world) { w.member("acme", "alice@acme.test", policy.Inactive) }, says: "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(_ *world, o *sso.Options) { o.Rules = tt.rules; o.Rules.DefaultRole = "member" })
			idp := w.saml("acme", func(o *tenancy.Organization, c *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
				c.IDPInitiated = true
				if tt.org != nil {
					tt.org(o)
				}
			})
			w.organization("globex", nil)
			if tt.prepare != nil {
				tt.prepare(w)
			}
			before := w.linked(tt.who)
			u := w.browser().brings("acme", idp.Respond(w.asksFor("acme", ""), ssotest.Person{Subject: "x", Email: tt.who}), "").press("Sign in")
			if !tt.in {
				if u.p.Status < 400 || u.p.Status >= 500 {
					t.Errorf("status %d: %s", u.p.Status, u.p.Text)
				}
				u.sees(u.p.Status, tt.says)
				if after := w.linked(tt.who); len(after) != len(before) && tt.says != "" {
					t.Errorf("linked to %v", after)
				}
				return
			}
			u.inApp("acme", tt.who)
			u.get(w.at("globex", "/"))
			if strings.Contains(u.p.Body, "app of") {
				t.Error("acme's provider opens globex")
			}
			w.view(func(tx store.Tx) error {
				made, err := tx.UserByEmail(tt.who)
				if err == nil && made.EmailVerified && tt.prepare == nil {
					t.Error("acme's provider proves an address that is not its own")
				}
				return err
			})
		})
	}
}

// A connection that the configuration makes anew has another id, and takes answers under the same name.
func TestAnAnswerThatWasTakenIsNoneForAConnectionMadeAnew(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", mayBegin, person("alice", "acme.test"))
	response := idp.Respond(w.asksFor("acme", ""), person("alice", "acme.test"))
	w.browser().brings("acme", response, "").press("Sign in").inApp("acme", "alice@acme.test")
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		c, err := tx.Connection(org("acme"), conn("acme"))
		if err != nil {
			return err
		}
		s := w.samlStateIn(tx, "acme")
		if err := tenancy.RemoveConnection(tx, c.Organization, c.ID, audit.System, now); err != nil {
			return err
		}
		key := s.Keys[0]
		plain, err := w.box.Open(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(c.ID, key.ID), key.Private)
		if err != nil {
			return err
		}
		c.ID += "_anew"
		key.Private = w.box.Seal(tenancy.SAMLKeyPurpose, tenancy.SAMLKeyAbout(c.ID, key.ID), plain)
		s.Connection, s.Keys = c.ID, []tenancy.SAMLKey{key}
		return errors.Join(tx.PutConnection(c), tx.PutSAMLState(s))
	})
	u := w.browser().brings("acme", response, "")
	u.sees(http.StatusForbidden, "used already")
}
