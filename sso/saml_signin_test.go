package sso_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

type samlEdit = func(*tenancy.Organization, *tenancy.SAMLConnection, *ssotest.SAMLOptions)

// byPost has a provider take requests by POST alone.
func byPost(idp *ssotest.SAMLProvider) {
	idp.Misbehave(ssotest.SAMLFaults{Metadata: func(d *etree.Element) {
		for _, e := range d.FindElements(".//*[@Location]") {
			if strings.HasSuffix(e.SelectAttrValue("Binding", ""), "Redirect") {
				e.Parent().RemoveChild(e)
			}
		}
	}})
}

// lookAgain has the connection of slug looked after again.
func (w *world) lookAgain(slug string) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		s := w.samlStateIn(tx, slug)
		s.Next = w.clock.Now()
		return tx.PutSAMLState(s)
	})
	w.upkeep(slug)
}

func TestSAMLRequestsAreSignedWhereEitherSideWantsIt(t *testing.T) {
	for name, tt := range map[string]struct {
		edit   samlEdit
		post   bool
		signed bool
	}{
		"redirect":                    {nil, false, false},
		"POST":                        {nil, true, false},
		"redirect, the provider asks": {func(_ *tenancy.Organization, _ *tenancy.SAMLConnection, o *ssotest.SAMLOptions) { o.WantSigned = true }, false, true},
		"POST, the provider asks":     {func(_ *tenancy.Organization, _ *tenancy.SAMLConnection, o *ssotest.SAMLOptions) { o.WantSigned = true }, true, true},
		"redirect, the operator says so": {func(_ *tenancy.Organization, c *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
			c.SignRequests = true
		}, false, true},
		"POST, the operator says so": {func(_ *tenancy.Organization, c *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
			c.SignRequests = true
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			idp := w.saml("acme", tt.edit, person("alice", "acme.test"))
			if tt.post {
				byPost(idp)
				w.lookAgain("acme")
			}
			u := w.browser().get(w.at("acme", "/reports"))
			p, err := u.Submit(t.Context(), u.p, map[string]string{"email": "alice@acme.test"})
			if err != nil {
				t.Fatal(err)
			}
			u.p = p // the page that leads there
			signed := false
			var relay string
			if tt.post {
				u.sees(http.StatusOK, "Taking you to acme-adfs")
				for _, f := range u.p.Forms[0].Fields {
					switch f.Name {
					case "SAMLRequest":
						signed = strings.Contains(decoded(t, f.Value), "SignatureValue")
					case "RelayState":
						relay = f.Value
					}
				}
				u.press("Continue")
			} else {
				to, err := url.Parse(u.p.Links[0].Href)
				if err != nil {
					t.Fatal(err)
				}
				signed, relay = to.Query().Has("Signature"), to.Query().Get("RelayState")
				u.did(u.p, nil)
			}
			if signed != tt.signed {
				t.Errorf("the request is signed: %v", signed)
			}
			if len(relay) < 32 || strings.ContainsAny(relay, "/@{") || strings.Contains(relay, "reports") {
				t.Errorf("RelayState is %q", relay)
			}
			u.as("alice").press("Continue").inApp("acme", "alice@acme.test").sees(http.StatusOK, "at /reports")
		})
	}
}

func TestASAMLProviderIsToldOnlyWhoIsItsOwn(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", func(o *tenancy.Organization, _ *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	}, person("alice", "acme.test"))
	w.organization("globex", nil, person("carol", "globex.test"))
	u := w.browser().to("globex", "/", "carol@globex.test").as("carol").inApp("globex", "carol@globex.test")
	// Carol is nobody at Acme, and a link may have brought her.
	u.get(w.at("acme", "/"))
	for _, h := range u.p.Trail {
		if strings.Contains(h.URL.RawQuery, "carol") {
			t.Errorf("%s says who it is", h.URL)
		}
	}
	w.saml("initech", nil, person("dan", "initech.test"))
	v := w.browser().to("initech", "/", "dan@initech.test")
	if !slices.ContainsFunc(v.p.Trail, func(h ssotest.Hop) bool { return h.URL.Query().Get("login_hint") == "dan@initech.test" }) {
		t.Errorf("the provider is not told whom it will be: %v", v.p.Trail)
	}
}

func TestAStolenSAMLAnswerIsNothingInAnotherBrowser(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	response, relay := w.browser().to("acme", "/", "alice@acme.test").as("alice").carried()
	thief := w.browser().brings("acme", response, relay)
	thief.sees(http.StatusBadRequest, "no longer open").nothing("acme", "alice@acme.test")
	// Nor with a flow of the thief's own, whatever RelayState it comes with.
	other := w.browser()
	_, own := other.begun("acme", "bob@acme.test", "alice")
	response, relay = w.browser().to("acme", "/", "alice@acme.test").as("alice").carried()
	other.brings("acme", response, own).nothing("acme", "alice@acme.test")
	if other.p.Status < 400 || other.p.Status >= 500 {
		t.Errorf("status %d", other.p.Status)
	}
	other.brings("acme", response, relay).nothing("acme", "alice@acme.test")
}

func TestAnAnswerToAnotherConnectionIsNone(t *testing.T) {
	w := newWorld(t)
	acme := w.saml("acme", nil, person("alice", "acme.test"))
	more := w.moreSAML("acme", "second", person("alice", "acme.test"))
	globex := w.saml("globex", nil, person("alice", "acme.test"), person("carol", "globex.test"))
	second := w.login("/sso/saml/acme.second/")
	ask := func(at string, id string) ssotest.SAMLAsk {
		return ssotest.SAMLAsk{ACS: at + "acs", Audience: at + "metadata", InResponseTo: id}
	}
	first, other := w.login("/sso/saml/acme.acme-adfs/"), w.login("/sso/saml/globex.globex-adfs/")
	alice := person("alice", "acme.test")
	for name, tt := range map[string]struct {
		at       string
		response func(id string) string
	}{
		"another connection's provider, to its own request, at its own address": {second, func(id string) string { return more.Respond(ask(second, id), alice) }},
		"another connection's provider, at this address":                        {first, func(id string) string { return more.Respond(ask(first, id), alice) }},
		"this provider's for this address, at another connection":               {second, func(id string) string { return acme.Respond(ask(first, id), alice) }},
		"another organization's provider, at its own address":                   {other, func(id string) string { return globex.Respond(ask(other, id), alice) }},
		"another organization's provider, at this address":                      {first, func(id string) string { return globex.Respond(ask(first, id), alice) }},
		"this provider's for this address, at another organization's":           {other, func(id string) string { return acme.Respond(ask(first, id), alice) }},
		"this provider's for another connection, at this address":               {first, func(id string) string { return acme.Respond(ask(second, id), alice) }},
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			u := w.browser()
			// Two ways: the one is chosen.
			u.get(first + "start")
			response, relay := u.as("alice").carried()
			u.form("https://idp.example/", tt.at+"acs", url.Values{"SAMLResponse": {tt.response(requestID(t, response))}, "RelayState": {relay}})
			if u.p.Status < 400 || u.p.Status >= 500 {
				t.Errorf("status %d at %s: %s", u.p.Status, u.p.URL, u.p.Text)
			}
			u.nothing("acme", "alice@acme.test").nothing("globex", "alice@acme.test")
		})
	}
}

func TestASAMLAnswerIsGoodOnceHoweverOftenItComes(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	u := w.browser()
	response, relay := u.to("acme", "/", "alice@acme.test").as("alice").carried()
	form := url.Values{"SAMLResponse": {response}, "RelayState": {relay}}.Encode()
	var mu sync.Mutex
	var kept []*ssotest.Page
	refused := 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			p := w.bare("POST", w.samlURL("acme", "acs"), formType, form)
			mu.Lock()
			defer mu.Unlock()
			switch p.Status {
			case http.StatusSeeOther:
				kept = append(kept, p)
			case http.StatusForbidden:
				refused++
				if !strings.Contains(p.Body, "used already") {
					t.Errorf("it says %s", p.Body)
				}
			default:
				t.Errorf("status %d: %s", p.Status, p.Text)
			}
		})
	}
	wg.Wait()
	if len(kept) != 1 || refused != 19 {
		t.Fatalf("%d were kept, %d refused", len(kept), refused)
	}
	// Nor after a restart.
	w.load(func(*sso.Options) {})
	if p := w.bare("POST", w.samlURL("acme", "acs"), formType, form); p.Status != http.StatusForbidden {
		t.Errorf("after a restart: status %d", p.Status)
	}
	// The browser comes for it twenty times at once.
	loginURL, _ := url.Parse(w.login("/"))
	cookies := slices.Concat(keepable(u.Jar.Cookies(loginURL)), (&http.Response{Header: kept[0].Header}).Cookies())
	finish := kept[0].Header.Get("Location")
	statuses := map[int]int{}
	for range 20 {
		wg.Go(func() {
			v := w.browser()
			v.Jar.Set(loginURL, cookies)
			p := w.fetch(v, "GET", finish, "", "")
			mu.Lock()
			defer mu.Unlock()
			statuses[p.Status]++
		})
	}
	wg.Wait()
	if statuses[http.StatusSeeOther] != 1 || statuses[http.StatusBadRequest] != 19 {
		t.Errorf("statuses %v", statuses)
	}
	if c := w.census("acme"); c.sessions != 1 || c.memberships != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestAWaitingSAMLAnswerIsItsBrowsersAlone(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	w.moreSAML("acme", "second")
	loginURL, _ := url.Parse(w.login("/"))
	// arrive stops after the ACS, and returns where the browser is led, and the cookie.
	arrive := func() (*user, string, *http.Cookie) {
		u := w.browser()
		response, relay := u.get(w.samlURL("acme", "start")).as("alice").carried()
		p := w.bare("POST", w.samlURL("acme", "acs"), formType, url.Values{"SAMLResponse": {response}, "RelayState": {relay}}.Encode())
		c := (&http.Response{Header: p.Header}).Cookies()
		if len(c) != 1 || !strings.HasPrefix(c[0].Name, "__Host-orgate_flow_answer_") || !c[0].HttpOnly || !c[0].Secure || c[0].SameSite != http.SameSiteLaxMode {
			t.Fatalf("cookies %v", c)
		}
		return u, p.Header.Get("Location"), c[0]
	}
	u, finish, cookie := arrive()
	for name, set := range map[string][]*http.Cookie{
		"no cookie":           nil,
		"another token":       {{Name: cookie.Name, Value: strings.Repeat("A", len(cookie.Value)), Path: "/", Secure: true}},
		"under another name":  {{Name: cookie.Name[:len(cookie.Name)-1] + "x", Value: cookie.Value, Path: "/", Secure: true}},
		"the flow's, renamed": {{Name: cookie.Name, Value: "x", Path: "/", Secure: true}},
	} {
		v := w.browser()
		v.Jar.Set(loginURL, keepable(u.Jar.Cookies(loginURL)))
		v.Jar.Set(loginURL, set)
		if p := w.fetch(v, "GET", finish, "", ""); p.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, p.Status)
		}
	}
	u.Jar.Set(loginURL, []*http.Cookie{cookie})
	if p := w.fetch(u, "GET", strings.Replace(finish, "acme.acme-adfs", "acme.second", 1), "", ""); p.Status != http.StatusBadRequest {
		t.Errorf("at another connection: status %d", p.Status)
	}
	if p := w.fetch(u, "HEAD", finish, "", ""); p.Status != http.StatusMethodNotAllowed {
		t.Errorf("a look: status %d", p.Status)
	}
	u.nothing("acme", "alice@acme.test")
	u.get(finish).inApp("acme", "alice@acme.test")

	v, late, cookie := arrive()
	v.Jar.Set(loginURL, []*http.Cookie{cookie})
	w.clock.Advance(5*time.Minute + time.Second)
	v.get(late).sees(http.StatusBadRequest, "no longer open")
}

func TestWhatWasSwitchedOffMeanwhileSignsNobodyInBySAML(t *testing.T) {
	for name, change := range map[string]func(*world){
		"the connection is disabled": func(w *world) { w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true }) },
		"the provider is another": func(w *world) {
			w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.EntityID = "https://other.test" })
		},
		"the metadata is elsewhere": func(w *world) {
			w.changeConnection("acme", func(c *tenancy.Connection) { c.SAML.MetadataURL += "?other" })
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
			w.saml("acme", nil, person("alice", "acme.test"))
			before := w.browser()
			response, relay := before.to("acme", "/", "alice@acme.test").as("alice").carried()
			after := w.browser()
			sent, state := after.to("acme", "/", "alice@acme.test").as("alice").carried()
			p := w.bare("POST", w.samlURL("acme", "acs"), formType, url.Values{"SAMLResponse": {sent}, "RelayState": {state}}.Encode())
			loginURL, _ := url.Parse(w.login("/"))
			after.Jar.Set(loginURL, (&http.Response{Header: p.Header}).Cookies())
			change(w)
			for _, u := range []*user{before.brings("acme", response, relay), after.get(p.Header.Get("Location"))} {
				if u.p.Status < 400 || u.p.Status >= 500 {
					t.Errorf("status %d: %s", u.p.Status, u.p.Text)
				}
				u.nothing("acme", "alice@acme.test")
			}
		})
	}
}

func TestASAMLAnswerForAnotherPersonDoesNotReplaceWhoeverIsSignedIn(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", func(o *tenancy.Organization, _ *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), MaxAge: time.Hour}
	}, person("alice", "acme.test"), person("bob", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.clock.Advance(2 * time.Hour)
	u.get(w.at("acme", "/")).as("bob").press("Continue").sees(http.StatusConflict, "That is somebody else")
	w.nobody("bob@acme.test")
	u.get(w.login("/organizations")).sees(http.StatusOK, "alice@acme.test")
}

func TestAStepUpBySAMLForcesASignInAndBelievesNoOldOne(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", func(o *tenancy.Organization, _ *tenancy.SAMLConnection, p *ssotest.SAMLOptions) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), MaxAge: time.Hour}
		p.Remember = true
	}, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.clock.Advance(2 * time.Hour)
	// Remembered or not, it asks: ForceAuthn.
	u.get(w.at("acme", "/")).sees(http.StatusOK, "Who do you want to be").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.clock.Advance(2 * time.Hour)
	old := w.clock.Now().Add(-2 * time.Hour)
	idp.Misbehave(ssotest.SAMLFaults{Edit: func(r *etree.Element) {
		r.FindElement(".//AuthnStatement").CreateAttr("AuthnInstant", old.UTC().Format("2006-01-02T15:04:05Z"))
	}})
	u.get(w.at("acme", "/")).as("alice").press("Continue").sees(http.StatusForbidden, "it did not ask you to")
	u.failedOnce("login_too_old")
}

func TestGroupsAndAttributesOfSAMLReachTheMembership(t *testing.T) {
	w := newWorld(t)
	alice := person("alice", "acme.test")
	alice.Groups, alice.Claims = []string{"admins", "all"}, map[string]any{"department": "R&D"}
	w.saml("acme", func(o *tenancy.Organization, _ *tenancy.SAMLConnection, _ *ssotest.SAMLOptions) {
		o.GroupRoles = []tenancy.GroupRole{{Group: "admins", Role: "admin"}}
	}, alice)
	w.update(func(tx store.Tx) error { return tx.PutRole(tenancy.Role{Slug: "admin"}) })
	w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.view(func(tx store.Tx) error {
		u, err := tx.UserByEmail("alice@acme.test")
		if err != nil {
			return err
		}
		m, err := tx.Membership(org("acme"), u.ID)
		if err != nil {
			return err
		}
		if !slices.Equal(m.Roles, []string{"admin"}) || m.Status != policy.Active {
			t.Errorf("the membership is %+v", m)
		}
		if len(m.Attributes) == 0 {
			t.Errorf("the membership has the attributes %v", m.Attributes)
		}
		return nil
	})
	if n := len(w.events(audit.MembershipCreated)); n != 1 {
		t.Errorf("%d memberships were made", n)
	}
}

func TestASAMLGuestsSessionIsGoodInOneOrganizationOnly(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("gil", "gmail.test"))
	w.organization("globex", nil)
	w.member("globex", "gil@gmail.test", policy.Active)
	// Nobody let that address in.
	w.browser().get(w.samlURL("acme", "start")).as("gil").press("Continue").sees(http.StatusForbidden, "can vouch for")
	w.member("acme", "gil@gmail.test", policy.Active)
	u := w.browser().get(w.samlURL("acme", "start")).as("gil").press("Continue").inApp("acme", "gil@gmail.test")
	u.get(w.at("globex", "/"))
	if strings.Contains(u.p.Body, "app of") {
		t.Error("acme's provider opens globex")
	}
}

func TestASessionEndsWhenTheSAMLProviderSays(t *testing.T) {
	w := newWorld(t)
	idp := w.saml("acme", nil, person("alice", "acme.test"))
	until := func(d time.Duration) {
		at := w.clock.Now().Add(d)
		idp.Misbehave(ssotest.SAMLFaults{Edit: func(r *etree.Element) {
			r.FindElement(".//AuthnStatement").CreateAttr("SessionNotOnOrAfter", at.UTC().Format("2006-01-02T15:04:05Z"))
		}})
	}
	until(30 * time.Minute)
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.clock.Advance(28 * time.Minute)
	u.get(w.at("acme", "/")).inApp("acme", "alice@acme.test")
	w.clock.Advance(3 * time.Minute)
	u.get(w.at("acme", "/"))
	if strings.Contains(u.p.Body, "app of") || w.census("acme").children+w.census("acme").sessions != 0 {
		t.Errorf("still in the app; the store has %+v", w.census("acme"))
	}
	// A second proof shortens a session that there is, and its children too.
	idp.Misbehave(ssotest.SAMLFaults{})
	v := w.browser().to("acme", "/", "alice@acme.test").as("alice").press("Continue").inApp("acme", "alice@acme.test")
	until(10 * time.Minute)
	v.tab().get(w.samlURL("acme", "start")).as("alice").press("Continue").inApp("acme", "alice@acme.test")
	w.clock.Advance(11 * time.Minute)
	v.get(w.at("acme", "/"))
	if strings.Contains(v.p.Body, "app of") {
		t.Error("the child outlives what its parent was shortened to")
	}
	// One that ends while its answer waits begins no session.
	until(2 * time.Minute)
	x := w.browser()
	response, relay := x.to("acme", "/", "alice@acme.test").as("alice").carried()
	p := w.bare("POST", w.samlURL("acme", "acs"), formType, url.Values{"SAMLResponse": {response}, "RelayState": {relay}}.Encode())
	loginURL, _ := url.Parse(w.login("/"))
	x.Jar.Set(loginURL, (&http.Response{Header: p.Header}).Cookies())
	w.clock.Advance(3 * time.Minute)
	x.get(p.Header.Get("Location")).sees(http.StatusBadRequest, "no longer open")
}

func TestTwoSAMLConnectionsAndOneOfOIDCLiveSideBySide(t *testing.T) {
	w := newWorld(t)
	w.saml("acme", nil, person("alice", "acme.test"))
	w.moreSAML("acme", "second", person("bob", "acme.test"))
	w.organization("globex", nil, person("carol", "globex.test"))
	u := w.browser().get(w.at("acme", "/")).submit(map[string]string{"email": "bob@acme.test"})
	u.sees(http.StatusOK, "acme-adfs", "second").press("second").as("bob").press("Continue").inApp("acme", "bob@acme.test")
	w.browser().to("globex", "/", "carol@globex.test").as("carol").inApp("globex", "carol@globex.test")
	// Two flows of one browser, of either protocol, don't disturb each other.
	v := w.browser()
	one := v.tab().get(w.login("/sso/saml/acme.acme-adfs/start"))
	two := v.tab().get(w.at("globex", "/")).submit(map[string]string{"email": "carol@globex.test"})
	one.as("alice").press("Continue").inApp("acme", "alice@acme.test")
	two.as("carol").sees(http.StatusConflict, "That is somebody else")
}
