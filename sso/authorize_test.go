package sso_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func codeChallenge() string {
	sum := sha256.Sum256([]byte(codeVerifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// clients are those of a world: an app beside it.
func clients(w *world, o *sso.Options) {
	o.Clients = client.Clients{{ID: "client_app", RedirectURIs: []string{w.backAt("")}}, {ID: "client_other", RedirectURIs: []string{"http://other.localhost" + w.base + "/callback?from=orgate"}}}
}

// backAt is where the app has people sent back to.
func (w *world) backAt(query string) string {
	return "http://client.localhost" + w.base + "/callback" + query
}

// authorize is a request of the app.
func (w *world) authorize(path string, more ...string) string {
	q := url.Values{"client_id": {"client_app"}, "redirect_uri": {w.backAt("")}, "response_type": {"code"}, "state": {"a b+c/d=&é"}}
	for i := 0; i < len(more); i += 2 {
		if q.Set(more[i], more[i+1]); more[i+1] == "" {
			q.Del(more[i])
		}
	}
	return w.login(path + "?" + q.Encode())
}

// back fails unless the browser is back at the app with a code and the state, and returns what the code stands for.
func (u *user) back(verifier string, profile bool) client.Code {
	u.w.t.Helper()
	at := u.p.URL
	q := at.Query()
	if got := at.Scheme + "://" + at.Host + at.Path; got != u.w.backAt("") || q.Get("state") != "a b+c/d=&é" || q.Get("code") == "" || len(q) != 2 {
		u.w.t.Fatalf("at %s\n%s\n%s", at, u.p.Text, u.w.log)
	}
	var c client.Code
	u.w.update(func(tx store.Tx) error {
		var refused, err error
		c, refused, err = client.UseCode(tx, q.Get("code"), "client_app", verifier, profile, u.w.clock.Now())
		if refused != nil {
			u.w.t.Errorf("the code: %v", refused)
		}
		return err
	})
	return c
}

// refusedTo fails unless the browser is back at the app with an error and the state.
func (u *user) refusedTo(code string) {
	u.w.t.Helper()
	q := u.p.URL.Query()
	if u.p.URL.Host != "client.localhost"+u.w.base || q.Get("error") != code || q.Get("state") != "a b+c/d=&é" || q.Has("code") || q.Get("error_description") == "" {
		u.w.t.Errorf("at %s, want error %s\n%s", u.p.URL, code, u.p.Text)
	}
}

func TestAnAppHasPeopleSignIn(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.organization("acme", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
		o.OrganizationPolicy = o.DomainPolicy
	}, person("jo", "acme.test"))
	w.startup("globex", func(*tenancy.Organization) {})
	w.member("globex", "al@else.test", policy.Active)

	u := w.browser()
	u.get(w.authorize("/user_management/authorize", "code_challenge", codeChallenge(), "code_challenge_method", "S256", "provider", "authkit"))
	u.submit(map[string]string{"email": "al@else.test"}).submit(map[string]string{"code": mails.code(t, "al@else.test")})
	c := u.back(codeVerifier, false)
	if c.Organization != org("globex") || c.RedirectURI != w.backAt("") {
		t.Errorf("%+v", c)
	}
	// Who is signed in goes on at once, and is the same session.
	again := u.tab().get(w.authorize("/user_management/authorize", "organization_id", string(org("globex")))).back("", false)
	if again.Session != c.Session || again.Organization != org("globex") {
		t.Errorf("%+v, was %+v", again, c)
	}
	// By the provider of the organization, and back from there.
	v := w.browser()
	v.get(w.authorize("/user_management/authorize", "organization_id", string(org("acme")))).as("jo")
	if c := v.back("", false); c.Organization != org("acme") {
		t.Errorf("%+v", c)
	}
	// And by naming the connection.
	x := w.browser()
	x.get(w.authorize("/user_management/authorize", "connection_id", string(conn("acme")), "login_hint", "jo@acme.test")).as("jo")
	if c := x.back("", false); c.Organization != org("acme") {
		t.Errorf("%+v", c)
	}
	x.tab().get(w.authorize("/user_management/authorize", "connection_id", string(conn("acme")))).back("", false) // they have been there
	y := w.browser()
	y.get(w.authorize("/user_management/authorize", "domain_hint", "acme.test")).as("jo")
	if c := y.back("", false); c.Organization != org("acme") { // the only one that they are in
		t.Errorf("%+v", c)
	}
	if said := w.log.String(); strings.Contains(said, "code=") {
		t.Error("the log has a code")
	}
}

func TestNobodyIsSentToAnAddressThatIsNotTheApps(t *testing.T) {
	w := newWorld(t, clients)
	w.organization("acme", nil)
	good := w.backAt("")
	for _, uri := range []string{
		"https://evil.example/callback", good + "/", good + "?x=1", good + "#f", strings.ToUpper(good), good + "%2f..", strings.Replace(good, "/callback", "//callback", 1),
		strings.Replace(good, "/callback", "/x/../callback", 1), strings.Replace(good, "client.localhost", "client.localhost.evil.example", 1), strings.Replace(good, "http://", "http://evil.example@", 1),
		strings.Replace(good, "client.localhost", "client.localhost.", 1), strings.Replace(good, "http:", "https:", 1), "//client.localhost" + w.base + "/callback", "/callback", "javascript:alert(1)",
		"data:text/html,x", good + "\x00", good + "\r\nX: y", " " + good, strings.Replace(good, "/", `\`, 1), strings.Replace(good, "callback", "c%61llback", 1), "http://other.localhost" + w.base + "/callback?from=orgate",
	} {
		for _, path := range []string{"/user_management/authorize", "/sso/authorize"} {
			u := w.browser().get(w.authorize(path, "redirect_uri", uri, "organization_id", string(org("acme"))))
			if u.p.Status != http.StatusBadRequest || u.p.URL.Host != "login.localhost"+w.base || strings.Contains(u.p.Body, "evil") {
				t.Errorf("%q: %d at %s", uri, u.p.Status, u.p.URL)
			}
		}
	}
	for _, q := range []string{
		"", "?client_id=client_app", "?redirect_uri=" + url.QueryEscape(good), "?client_id=client_none&redirect_uri=" + url.QueryEscape(good),
		"?client_id=client_app&client_id=client_other&redirect_uri=" + url.QueryEscape(good), "?client_id=client_app&redirect_uri=" + url.QueryEscape(good) + "&redirect_uri=https%3A%2F%2Fevil.example",
		"?client_id=client_app&redirect_uri=%zz", "?" + strings.Repeat("a", 9000),
	} {
		if u := w.browser().get(w.login("/user_management/authorize" + q)); u.p.Status != http.StatusBadRequest || u.p.URL.Host != "login.localhost"+w.base {
			t.Errorf("%.80q: %d at %s", q, u.p.Status, u.p.URL)
		}
	}
	// What a client was sent with can't be changed on the way, nor be used after the client was.
	u := w.browser().get(w.authorize("/user_management/authorize"))
	at := u.p.URL.Query().Get("authorization")
	if at == "" {
		t.Fatalf("at %s", u.p.URL)
	}
	for _, value := range []string{at[:len(at)-4] + "AAAA", "x", strings.Repeat("A", 100)} {
		w.browser().get(w.login("/sign-in?authorization=" + value)).sees(http.StatusBadRequest)
	}
	w.clock.Advance(time.Hour)
	w.browser().get(w.login("/sign-in?authorization=" + at)).sees(http.StatusBadRequest)
}

func TestAnAppIsToldWhatIsWrongWithItsRequest(t *testing.T) {
	w := newWorld(t, clients)
	w.organization("acme", nil)
	w.startup("empty", func(*tenancy.Organization) {})
	w.startup("gone", func(o *tenancy.Organization) { o.Suspended = true })
	um, sso := "/user_management/authorize", "/sso/authorize"
	for _, tt := range []struct {
		path string
		ask  []string
		code string
	}{
		{um, []string{"response_type", "token"}, "unsupported_response_type"},
		{um, []string{"response_type", ""}, "unsupported_response_type"},
		{um, []string{"code_challenge", codeChallenge(), "code_challenge_method", "plain"}, "invalid_request"},
		{um, []string{"code_challenge", codeChallenge()}, "invalid_request"},
		{um, []string{"code_challenge", "short", "code_challenge_method", "S256"}, "invalid_request"},
		{um, []string{"code_challenge_method", "S256"}, "invalid_request"},
		{um, []string{"prompt", "none"}, "invalid_request"},
		{um, []string{"max_age", "-1"}, "invalid_request"},
		{um, []string{"max_age", "soon"}, "invalid_request"},
		{um, []string{"screen_hint", "door"}, "invalid_request"},
		{um, []string{"scope", "openid"}, "invalid_request"},
		{um, []string{"provider_scopes", "openid"}, "invalid_request"},
		{um, []string{"provider_query_params[hd]", "example.com"}, "invalid_request"},
		{um, []string{"organization_id", "org_none"}, "organization_invalid"},
		{um, []string{"organization_id", string(org("gone"))}, "organization_invalid"},
		{um, []string{"connection_id", "conn_none"}, "connection_invalid"},
		{um, []string{"connection_id", string(conn("acme")), "organization_id", string(org("empty"))}, "connection_invalid"},
		{um, []string{"connection_id", string(conn("acme")), "provider", "GoogleOAuth"}, "ambiguous_connection_selector"},
		{um, []string{"provider", "GoogleOAuth"}, "connection_invalid"},
		{sso, nil, "invalid_connection_selector"},
		{sso, []string{"connection", string(conn("acme")), "organization", string(org("acme"))}, "ambiguous_connection_selector"},
		{sso, []string{"provider", "GoogleOAuth"}, "connection_invalid"},
		{sso, []string{"provider", "authkit"}, "connection_invalid"},
		{sso, []string{"provider", "GoogleOAuth", "organization", string(org("acme"))}, "ambiguous_connection_selector"},
		{sso, []string{"provider", "GoogleOAuth", "connection", string(conn("acme"))}, "ambiguous_connection_selector"},
		{sso, []string{"organization", string(org("empty"))}, "connection_invalid"},
		{sso, []string{"organization", string(org("gone"))}, "organization_invalid"},
		{sso, []string{"connection", "conn_none"}, "connection_invalid"},
		{sso, []string{"domain_hint", "nobodys.test"}, "connection_domain_invalid"},
		{sso, []string{"connection", string(conn("acme")), "nonce", "x"}, "invalid_request"},
		{sso, []string{"connection_id", string(conn("acme"))}, "invalid_request"},
	} {
		w.browser().get(w.authorize(tt.path, tt.ask...)).refusedTo(tt.code)
	}
	u := w.browser().get(w.authorize(um, "state", strings.Repeat("x", 1025)))
	if q := u.p.URL.Query(); q.Get("error") != "invalid_request" || q.Has("state") {
		t.Errorf("at %s", u.p.URL)
	}
	// What the address has already stays.
	u = w.browser().get(w.authorize(um, "client_id", "client_other", "redirect_uri", "http://other.localhost"+w.base+"/callback?from=orgate", "response_type", "x"))
	if !strings.HasPrefix(u.p.URL.String(), "http://other.localhost"+w.base+"/callback?from=orgate&") {
		t.Errorf("at %s", u.p.URL)
	}
}

func TestTheOrganizationIsPickedForAnApp(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	for _, slug := range []string{"acme", "globex"} {
		w.startup(slug, func(*tenancy.Organization) {})
		w.member(slug, "al@else.test", policy.Active)
	}
	u := w.browser().get(w.authorize("/user_management/authorize")).submit(map[string]string{"email": "al@else.test"})
	u.submit(map[string]string{"code": mails.code(t, "al@else.test")}).sees(http.StatusOK, "Acme", "Globex")
	for _, l := range u.p.Links {
		if strings.Contains(l.Label, "Globex") {
			p, err := u.Follow(t.Context(), u.p, l.Href)
			u.did(p, err)
			break
		}
	}
	if c := u.back("", false); c.Organization != org("globex") {
		t.Errorf("%+v", c)
	}
	// Who is in none is signed in to none.
	v := w.browser().get(w.authorize("/user_management/authorize")).submit(map[string]string{"email": "bo@else.test"})
	v.submit(map[string]string{"code": mails.code(t, "bo@else.test")})
	if c := v.back("", false); c.Organization != "" || c.Session == "" {
		t.Errorf("%+v", c)
	}
	// And who is not in the one that the app names is told so here.
	v.tab().get(w.authorize("/user_management/authorize", "organization_id", string(org("acme")))).sees(http.StatusForbidden)
}

func TestAnAppCanAskForANewProof(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.startup("acme", func(*tenancy.Organization) {})
	w.member("acme", "al@else.test", policy.Active)
	u := w.browser().get(w.authorize("/user_management/authorize")).submit(map[string]string{"email": "al@else.test"})
	u.submit(map[string]string{"code": mails.code(t, "al@else.test")})
	u.back("", false)
	u.tab().get(w.authorize("/user_management/authorize", "max_age", "3600")).back("", false)
	for _, ask := range [][]string{{"prompt", "login"}, {"max_age", "0"}} {
		w.clock.Advance(time.Minute)
		v := u.tab().get(w.authorize("/user_management/authorize", ask...))
		if v.p.URL.Host != "login.localhost"+w.base {
			t.Fatalf("%q: at %s", ask, v.p.URL)
		}
		w.clock.Advance(time.Second)
		v.press("code").submit(map[string]string{"code": mails.code(t, "al@else.test")})
		v.back("", false)
	}
	w.clock.Advance(time.Hour)
	if v := u.tab().get(w.authorize("/user_management/authorize", "max_age", "60")); v.p.URL.Host != "login.localhost"+w.base {
		t.Errorf("at %s", v.p.URL)
	}
}

func TestAnInvitationLeadsBackToTheApp(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.startup("acme", func(*tenancy.Organization) {})
	var token tenancy.InvitationToken
	w.update(func(tx store.Tx) (err error) {
		if err := tx.PutRole(tenancy.Role{Slug: "member"}); err != nil {
			return err
		}
		_, token, err = tenancy.Invite(tx, w.rules, tenancy.NewInvitation{Email: "al@else.test", Organization: org("acme")}, audit.System, w.clock.Now())
		return err
	})
	u := w.browser().get(w.authorize("/user_management/authorize", "invitation_token", token.Reveal())).sees(http.StatusOK, "Acme", "al@else.test")
	u.submit(map[string]string{}).submit(map[string]string{"code": mails.code(t, "al@else.test")})
	if c := u.back("", false); c.Organization != org("acme") {
		t.Errorf("%+v", c)
	}
}

func TestAnAppLearnsWhatAProviderSaysAndNoMore(t *testing.T) {
	w := newWorld(t, clients)
	w.organization("acme", nil, person("jo", "acme.test"), person("guest", "else.test"), person("mole", "globex.test"))
	w.organization("globex", nil)
	for _, ask := range [][]string{{"connection", string(conn("acme"))}, {"organization", string(org("acme"))}, {"domain_hint", "acme.test"}} {
		u := w.browser().get(w.authorize("/sso/authorize", append(ask, "code_challenge", codeChallenge(), "code_challenge_method", "S256")...)).as("jo")
		c := u.back(codeVerifier, true)
		var p map[string]any
		if err := json.Unmarshal(c.Profile, &p); err != nil {
			t.Fatal(err)
		}
		if p["email"] != "jo@acme.test" || p["idp_id"] != "jo" || p["id"] != client.ProfileID(conn("acme"), "jo") || p["organization_id"] != string(org("acme")) || c.Session != "" {
			t.Errorf("%v", p)
		}
		// Nobody is signed in here by it, nor is anybody a user.
		if u.cookie("orgate_login") != "" || len(w.events(audit.UserCreated))+len(w.events(audit.SessionCreated)) > 0 {
			t.Error("somebody is signed in")
		}
	}
	// A provider speaks for its organization's addresses alone.
	w.browser().get(w.authorize("/sso/authorize", "connection", string(conn("acme")))).as("guest").refusedTo("profile_not_allowed_outside_organization")
	w.browser().get(w.authorize("/sso/authorize", "connection", string(conn("acme")))).as("mole").refusedTo("profile_not_allowed_outside_organization")
	if client.ProfileID("conn_1", "a") == client.ProfileID("conn_1", "A") || client.ProfileID("conn_1", "a") == client.ProfileID("conn_2", "a") || client.ProfileID("conn_1a", "") == client.ProfileID("conn_1", "a") {
		t.Error("two identities have one profile")
	}
}

func TestTheIDOfItsSessionSignsOutTheBrowser(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.startup("acme", func(*tenancy.Organization) {})
	w.member("acme", "al@else.test", policy.Active)
	begin := func() (*user, client.Code, session.Session) {
		u := w.browser().get(w.authorize("/user_management/authorize")).submit(map[string]string{"email": "al@else.test"})
		u.submit(map[string]string{"code": mails.code(t, "al@else.test")})
		c := u.back("", false)
		var s session.Session
		w.update(func(tx store.Tx) (err error) {
			s, err = session.BeginForClient(tx, c.Session, "client_app", c.Organization, session.Browser{}, limits, w.clock.Now())
			return err
		})
		return u, c, s
	}
	out := func(id session.ID, to string) string {
		return w.login("/user_management/sessions/logout?" + url.Values{"session_id": {string(id)}, "return_to": {to}}.Encode())
	}
	alive := func(id session.ID) (yes bool) {
		w.view(func(tx store.Tx) error {
			s, err := tx.Session(id)
			yes = err == nil && s.Alive(limits, w.clock.Now()) == nil
			return nil
		})
		return yes
	}
	u, c, s := begin()
	for _, to := range []string{"https://evil.example/", "//evil.example", "javascript:alert(1)", "http://client.localhost" + w.base + "@evil.example/", "http://client.localhost.evil.example/", "http://client.localhost:1/"} {
		if v := u.tab().get(out(s.ID, to)); v.p.Status != http.StatusBadRequest || v.p.URL.Host != "login.localhost"+w.base {
			t.Errorf("%s: %d at %s", to, v.p.Status, v.p.URL)
		}
	}
	u.tab().get(out("session_none", w.backAt(""))).sees(http.StatusBadRequest)
	u.tab().get(out(c.Session, w.backAt(""))).sees(http.StatusBadRequest) // the login host's own is not an app's
	if !alive(s.ID) || !alive(c.Session) {
		t.Fatal("a request that was refused has ended the session")
	}
	// Another browser's link ends that session alone.
	_, d, other := begin()
	home := "http://client.localhost" + w.base + "/bye?x=1"
	u.tab().get(out(other.ID, home))
	if alive(other.ID) || !alive(d.Session) || !alive(s.ID) || !alive(c.Session) {
		t.Error("ended more, or less, than the one")
	}
	if p := u.tab().get(out(s.ID, home)).p; p.URL.String() != home || alive(s.ID) || alive(c.Session) {
		t.Errorf("at %s", p.URL)
	}
	if u.tab().get(w.authorize("/user_management/authorize")).p.URL.Host != "login.localhost"+w.base {
		t.Error("still signed in")
	}
	u.tab().get(w.login("/user_management/sessions/logout?session_id=" + string(s.ID))).sees(http.StatusOK)
}

// TestAStateAsLongAsMayBeComesBackFromAProvider: a cookie holds it meanwhile.
func TestAStateAsLongAsMayBeComesBackFromAProvider(t *testing.T) {
	w := newWorld(t, clients)
	w.organization("acme", nil, person("jo", "acme.test"))
	state := strings.Repeat("s", 1024)
	u := w.browser().get(w.authorize("/user_management/authorize", "connection_id", string(conn("acme")), "state", state, "code_challenge", codeChallenge(), "code_challenge_method", "S256")).as("jo")
	if q := u.p.URL.Query(); q.Get("state") != state || q.Get("code") == "" {
		t.Errorf("at %s\n%s", u.p.URL, u.p.Text)
	}
}

// TestThePolicyOfTheOnlyOrganizationHolds: what is chosen by itself is asked for like what is named.
func TestThePolicyOfTheOnlyOrganizationHolds(t *testing.T) {
	mails, offer := local(policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.startup("acme", func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MFA: true} })
	w.member("acme", "al@else.test", policy.Active)
	for _, ask := range [][]string{nil, {"organization_id", string(org("acme"))}} {
		u := w.browser().get(w.authorize("/user_management/authorize", ask...)).submit(map[string]string{"email": "al@else.test"})
		u.submit(map[string]string{"code": mails.code(t, "al@else.test")})
		if u.p.URL.Path != "/sign-in/enroll" {
			t.Errorf("%q: at %s", ask, u.p.URL)
		}
	}
}
