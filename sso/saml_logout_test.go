package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// carries has the browser carry a message of a provider.
func (u *user) carries(m ssotest.SAMLMessage) *user {
	u.w.t.Helper()
	if m.Form == nil {
		return u.get(m.URL)
	}
	return u.form("https://idp.example/", m.URL, m.Form)
}

// upstream are the provider's sessions behind what is live of a person, by SessionIndex.
func (w *world) upstream(email string) (sids []string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		sids = nil
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		for s, err := range tx.SessionsOf(u.ID) {
			if err != nil {
				return err
			}
			if s.Alive(limits, w.clock.Now()) == nil {
				for _, up := range s.Upstream {
					sids = append(sids, up.SID)
				}
			}
		}
		return nil
	})
	return sids
}

func TestSigningOutSignsOutAtTheSAMLProviderToo(t *testing.T) {
	for _, post := range []bool{false, true} {
		w := newWorld(t)
		idp := w.saml("acme", nil, person("alice", "acme.test"))
		if post {
			byPost(idp)
			w.lookAgain("acme")
		}
		begin := func() *user {
			u := w.browser().to("acme", "/", "alice@acme.test")
			if post {
				u.press("Continue")
			}
			return u.as("alice").press("Continue").inApp("acme", "alice@acme.test")
		}
		u, other := begin(), begin()
		if n := idp.Sessions("alice"); n != 2 {
			t.Fatalf("%d sessions at the provider", n)
		}
		u.get(w.login("/sign-out")).press("Sign out")
		if post {
			u.sees(http.StatusOK, "Taking you to acme-adfs")
			if c := w.census("acme"); c.sessions != 1 {
				t.Errorf("our session waits for the provider's: %+v", c)
			}
			u.press("Continue")
		}
		u.sees(http.StatusOK, "You are signed out")
		if u.p.URL.Path != "/signed-out" {
			t.Errorf("ends at %s", u.p.URL)
		}
		// By SessionIndex: the other browser's session goes on at both.
		if n := idp.Sessions("alice"); n != 1 {
			t.Errorf("%d sessions at the provider", n)
		}
		other.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	}
}

func TestASAMLProviderEndsWhatItNames(t *testing.T) {
	for _, post := range []bool{false, true} {
		w := newWorld(t)
		idp := w.saml("acme", nil, person("alice", "acme.test"), person("bob", "acme.test"))
		one := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
		sid := w.upstream("alice@acme.test")[0]
		two := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
		bob := w.browser().to("acme", "/", "bob@acme.test").as("bob").press("Continue").inApp("acme", "bob@acme.test")
		ask := ssotest.SAMLLogoutAsk{SLO: w.samlURL("acme", "slo"), NameID: "alice", SessionIndex: sid, RelayState: "r<>&\"", Post: post}
		// Another person with the same SessionIndex is another person.
		someone := ask
		someone.NameID = "bob"
		// Carried by a browser that knows nothing of it: it rests on the signature.
		u := w.browser().carries(idp.LogoutRequest(someone))
		two.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
		bob.get(w.at("acme", "/")).inApp("acme", "bob@acme.test")
		u.carries(idp.LogoutRequest(ask)).sees(http.StatusOK, "You are signed out here") // the provider has verified our answer
		if n := idp.Hits("logout-answer"); n != 2 {
			t.Errorf("%d answers reached the provider", n)
		}
		if one.get(w.at("acme", "/")); strings.Contains(one.p.Body, "app of") {
			t.Error("the session that was named lives")
		}
		two.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
		// Without one, all of hers.
		ask.SessionIndex = ""
		u.carries(idp.LogoutRequest(ask))
		if two.get(w.at("acme", "/")); strings.Contains(two.p.Body, "app of") {
			t.Error("a session of the person's lives")
		}
		bob.get(w.at("acme", "/")).inApp("acme", "bob@acme.test")
		if n := len(w.events(audit.SessionRevoked)); n != 2*2 {
			t.Errorf("%d sessions were ended", n)
		}
	}
}

func TestALogoutThatIsNotTheProvidersEndsNothing(t *testing.T) {
	w := newWorld(t, generous)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	globex := w.saml("globex", nil, person("alice", "acme.test"))
	second := w.moreSAML("acme", "second", person("alice", "acme.test"))
	u := w.browser().get(w.samlURL("acme", "start")).as("alice").press("Continue").inApp("acme", "alice@acme.test")
	ask := func(post bool) ssotest.SAMLLogoutAsk {
		return ssotest.SAMLLogoutAsk{SLO: w.samlURL("acme", "slo"), NameID: "alice", Post: post}
	}
	messages := map[string]ssotest.SAMLMessage{}
	for name, post := range map[string]bool{"redirect": false, "POST": true} {
		messages["another organization's provider, "+name] = globex.LogoutRequest(ask(post))
		messages["another connection's provider, "+name] = second.LogoutRequest(ask(post))
		messages["unsigned, "+name] = idp.LogoutRequest(ask(post), ssotest.SAMLFaults{Signed: ssotest.NothingSigned})
		elsewhere := ask(post)
		elsewhere.SLO = w.login("/sso/saml/acme.second/slo")
		m := idp.LogoutRequest(elsewhere)
		m.URL = strings.Replace(m.URL, "acme.second", "acme.acme-adfs", 1)
		messages["for another connection, "+name] = m
	}
	for _, a := range ssotest.SAMLLogoutAttacks() {
		if !strings.HasSuffix(a.Name, "-session-other") && !strings.HasSuffix(a.Name, "-name-id-other") { // what is named is nobody's
			messages["attack: "+a.Name] = a.Make(idp, ask(false))
		}
	}
	ended := len(w.events(audit.SessionRevoked))
	for name, m := range messages {
		log := len(w.log.String())
		v := w.browser().carries(m)
		if v.p.Status < 400 || v.p.Status >= 500 || len(w.events(audit.SessionRevoked)) != ended {
			t.Errorf("%s: status %d at %s: %s", name, v.p.Status, v.p.URL, v.p.Text)
		}
		if n := strings.Count(w.log.String()[log:], "logout by the identity provider refused"); n > 1 {
			t.Errorf("%s: %d lines in the log", name, n)
		}
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")

	// One that is too old, and one that was heeded before.
	old := idp.LogoutRequest(ask(false))
	w.clock.Advance(time.Hour)
	w.browser().carries(old).sees(http.StatusBadRequest, "Signing out did not work")
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	m := idp.LogoutRequest(ask(false))
	w.browser().carries(m).sees(http.StatusOK)
	if c := w.census("acme"); c.sessions != 0 {
		t.Fatalf("the store has %+v", c)
	}
	u.get(w.samlURL("acme", "start")).as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.browser().carries(m).sees(http.StatusBadRequest, "Signing out did not work")
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	// A look at one uses it up as little as it heeds it.
	m = idp.LogoutRequest(ask(false))
	if p := w.bare("HEAD", m.URL, "", ""); p.Status != http.StatusMethodNotAllowed {
		t.Errorf("a look: status %d", p.Status)
	}
	// A connection that is switched off says nothing any more.
	w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true })
	w.browser().carries(m).sees(http.StatusNotFound)
	if c := w.census("acme"); c.sessions != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestAnAnswerToALogoutIsBelievedNothing(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	for _, post := range []bool{false, true} {
		u.tab().carries(idp.LogoutResponse(w.samlURL("acme", "slo"), "_x", "https://evil.test/", post)).sees(http.StatusOK, "You are signed out")
	}
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
}

func TestAProviderWithoutSingleLogoutKeepsNobodyIn(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	w.update(func(tx store.Tx) error {
		s := w.samlStateIn(tx, "acme")
		s.Provider.SLO = nil
		return tx.PutSAMLState(s)
	})
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	u.get(w.login("/sign-out")).press("Sign out").sees(http.StatusOK, "You are signed out")
	if c := w.census("acme"); c != (census{users: 1, memberships: 1}) {
		t.Errorf("the store has %+v", c)
	}
	// It can still tell us; there is no place for an answer.
	u = w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.browser().carries(idp.LogoutRequest(ssotest.SAMLLogoutAsk{SLO: w.samlURL("acme", "slo"), NameID: "alice"})).sees(http.StatusOK, "You are signed out")
	if u.get(w.at("acme", "/")); strings.Contains(u.p.Body, "app of") {
		t.Error("still in the app")
	}
}

func TestSigningOutEverywhereOffersNoFormToAProvider(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	byPost(idp)
	w.lookAgain("acme")
	w.member("acme", "alice@acme.test", policy.Active)
	u := w.browser().to("acme", "/", "alice@acme.test").press("Continue").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	u.get(w.login("/organizations")).press("Sign out everywhere").sees(http.StatusOK, "You are signed out everywhere")
	for _, l := range u.p.Links {
		if to, err := url.Parse(l.Href); err != nil || to.Host != "" && !strings.HasPrefix(to.Host, "login.localhost") {
			t.Errorf("a link to %s", l.Href)
		}
	}
}

// An answer that waits for the person to say yes is of a session at the provider, too.
func TestALogoutReachesAnAnswerThatWaits(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", mayBegin, person("alice", "acme.test"), person("bob", "acme.test"))
	alice := w.browser().starts(idp, "acme", "", "alice").sees(http.StatusOK, "Sign in to Acme?")
	bob := w.browser().starts(idp, "acme", "", "bob").sees(http.StatusOK, "Sign in to Acme?")
	w.browser().carries(idp.LogoutRequest(ssotest.SAMLLogoutAsk{SLO: w.samlURL("acme", "slo"), NameID: "alice"}))
	alice.press("Sign in").sees(http.StatusBadRequest, "no longer open").nothing("acme", "alice@acme.test")
	bob.press("Sign in").inApp("acme", "bob@acme.test")
}
