package sso_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/tenancy"
)

// asks fails unless the browser is at a provider that is asked for those scopes, and with those parameters besides; "-": none.
func (u *user) asks(scope, hd, hl string) *user {
	u.w.t.Helper()
	q := u.p.URL.Query()
	if host := u.p.URL.Hostname(); host != "127.0.0.1" {
		u.w.t.Fatalf("at %s: %s", u.p.URL, u.p.Text)
	}
	for name, want := range map[string]string{"scope": scope, "hd": hd, "hl": hl} {
		if got := q[name]; want == "-" && got != nil || want != "-" && (len(got) != 1 || got[0] != want) {
			u.w.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, values := range q {
		if len(values) != 1 {
			u.w.t.Errorf("%s is %q", name, values)
		}
	}
	return u
}

func phone(_ *world, o *sso.Options) { o.Clients[0].ProviderScopes = []string{"phone", "read:org"} }

func TestWhatAClientHasASocialProviderAskedFor(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", jo), verifiedPerson("bo-1", "bo@elsewhere.test")}
	_, box, offer := social(nil, people, []ssotest.GitHubAccount{account(7, "jo", jo)}, policy.EmailCode)
	w := newWorld(t, offer, clients, phone)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	more := []string{"provider_scopes", "openid,phone", "provider_query_params[hd]", "elsewhere.test", "provider_query_params[hl]", "de"}
	for _, path := range []string{"/sso/authorize", "/user_management/authorize"} {
		u := w.browser().get(w.authorize(path, append(more, "provider", "googleOAuth")...)).asks("openid email profile phone", "elsewhere.test", "de")
		u.as("jo-1").submit(map[string]string{"code": box.code(t, jo)})
		u.back("", path == "/sso/authorize")
		w.browser().get(w.authorize(path, "provider", "GitHubOAuth", "provider_scopes", "email,read:org", "provider_query_params[hd]", "x")).asks("user:email read:org", "x", "-")
		w.browser().get(w.authorize(path, "provider", "googleOAuth")).asks("openid email profile", "-", "-")
		// Anybody can write a link.
		for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "request", "request_uri", "claims", "access_type", "unknown"} {
			w.browser().get(w.authorize(path, "provider", "googleOAuth", "provider_query_params["+name+"]", "x")).refusedTo("invalid_request")
		}
		w.browser().get(w.authorize(path, "provider", "googleOAuth", "provider_scopes", "https://mail.example/all")).refusedTo("invalid_scope")
		w.browser().get(w.authorize(path, "provider", "googleOAuth", "provider_scopes", "phone,offline_access")).refusedTo("invalid_scope")
	}
	// It is for the provider that the client named, and for no other that the person takes in its place.
	for button, want := range map[string][]string{"Continue with Google": {"openid email profile phone", "elsewhere.test", "de"}, "Continue with Other": {"openid email profile", "-", "-"}, "Continue with GitHub": {"user:email", "-", "-"}} {
		u := w.browser().get(w.authorize("/user_management/authorize", append(more, "provider", "googleOAuth")...)).press("Cancel").sees(http.StatusForbidden)
		u.press("Try again").press(button).asks(want[0], want[1], want[2])
	}
	// Nor is it for what people sign in to here.
	w.browser().get(w.at("hooli", "/")).press("Continue with Google").asks("openid email profile", "-", "-")
	// Whoever says to be another is asked the same.
	u := w.browser().get(w.authorize("/sso/authorize", append(more, "provider", "googleOAuth")...)).as("bo-1").asked("bo@elsewhere.test")
	u.press("Use another address").asks("openid email profile phone", "elsewhere.test", "de")
}

func TestWhatAClientHasAConnectionAskedFor(t *testing.T) {
	w := newWorld(t, clients, phone)
	w.organization("acme", nil, person("jo", "acme.test"))
	w.organization("globex", nil)
	for _, by := range [][]string{{"connection", string(conn("acme"))}, {"organization", string(org("acme"))}, {"domain_hint", "acme.test"}} {
		w.browser().get(w.authorize("/sso/authorize", append(by, "provider_scopes", "phone")...)).asks("openid email profile phone", "-", "-")
		w.browser().get(w.authorize("/sso/authorize", append(by, "provider_query_params[hd]", "x")...)).refusedTo("invalid_request")
		w.browser().get(w.authorize("/sso/authorize", append(by, "provider_scopes", "groups")...)).refusedTo("invalid_scope")
	}
	um := "/user_management/authorize"
	w.browser().get(w.authorize(um, "connection_id", string(conn("acme")), "provider_scopes", "phone")).asks("openid email profile phone", "-", "-")
	w.browser().get(w.authorize(um, "connection_id", string(conn("acme")), "provider_query_params[hd]", "x")).refusedTo("invalid_request")
	w.browser().get(w.authorize(um, "organization_id", string(org("acme")), "provider_scopes", "phone")).refusedTo("invalid_request")
	// Not of another connection that the person goes to after all.
	u := w.browser().get(w.authorize(um, "connection_id", string(conn("acme")), "provider_scopes", "phone")).press("Cancel").press("Try again")
	u.submit(map[string]string{"email": "al@globex.test"})
	if !strings.Contains(u.p.URL.RawQuery, "client_id=globex") {
		u.press("globex")
	}
	u.asks("openid email profile", "-", "-")
}

// TestAsMuchAsMayBeAskedForComesBackFromAProvider: a cookie holds it meanwhile, and an address before.
func TestAsMuchAsMayBeAskedForComesBackFromAProvider(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
	long := func(c string, n int) string { return strings.Repeat(c, n) }
	scopes := []string{long("a", 127), long("b", 128)}
	redirect := ""
	w := newWorld(t, offer, clients, func(w *world, o *sso.Options) {
		redirect = w.backAt("?x=" + long("r", 512-len(w.backAt("?x="))))
		o.Clients[0].ProviderScopes, o.Clients[0].RedirectURIs = scopes, []string{redirect}
	})
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	state := long("s", 1024)
	for _, path := range []string{"/sso/authorize", "/user_management/authorize"} {
		u := w.browser().get(w.authorize(path, "provider", "googleOAuth", "state", state, "redirect_uri", redirect, "provider_scopes", strings.Join(scopes, ","), "login_hint", long("h", 60)+"@"+long("d", 60)+".test",
			"provider_query_params[hd]", long("x", 126), "provider_query_params[hl]", long("y", 126), "domain_hint", long("d", 253), "code_challenge", codeChallenge(), "code_challenge_method", "S256"))
		u.asks("openid email profile "+strings.Join(scopes, " "), long("x", 126), long("y", 126))
		u.as("jo-1").sees(http.StatusOK, "Enter the code").submit(map[string]string{"code": box.code(t, jo)})
		if q := u.p.URL.Query(); q.Get("state") != state || q.Get("code") == "" {
			t.Errorf("at %s\n%s", u.p.URL, u.p.Text)
		}
	}
	w.organization("acme", nil, person("jo", "acme.test"))
	for path, name := range map[string]string{"/sso/authorize": "connection", "/user_management/authorize": "connection_id"} {
		u := w.browser().get(w.authorize(path, name, string(conn("acme")), "state", state, "redirect_uri", redirect, "provider_scopes", strings.Join(scopes, ","), "login_hint", long("h", 60)+"@acme.test",
			"code_challenge", codeChallenge(), "code_challenge_method", "S256")).asks("openid email profile "+strings.Join(scopes, " "), "-", "-").as("jo")
		if q := u.p.URL.Query(); q.Get("state") != state || q.Get("code") == "" {
			t.Errorf("at %s\n%s", u.p.URL, u.p.Text)
		}
	}
}

// TestTheProvidersOwnAddressKeepsItsParameters: what is in the address that a provider publishes is not the client's to change.
func TestTheProvidersOwnAddressKeepsItsParameters(t *testing.T) {
	m, _, offer := social(nil, nil, nil)
	w := newWorld(t, offer, clients)
	m.google.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) {
		d["authorization_endpoint"] = d["authorization_endpoint"].(string) + "?hd=theirs"
	}})
	w.profileBy("googleOAuth", "provider_query_params[hd]", "mine", "provider_query_params[hl]", "de").asks("openid email profile", "theirs", "de")
	// Not even where they are no pairs to us; but who is there is asked for as we want it.
	m, _, offer = social(nil, nil, nil)
	w = newWorld(t, offer, clients)
	m.google.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) {
		d["authorization_endpoint"] = d["authorization_endpoint"].(string) + "?acr=a;b&p=100%&prompt=none&%68d=theirs&z"
	}})
	for _, more := range [][]string{nil, {"provider_query_params[hl]", "de"}, {"provider_query_params[hd]", "mine"}, {"prompt", "login"}} {
		query, prompt := locationOf(t, w, w.authorize("/sso/authorize", append(more, "provider", "googleOAuth")...)).RawQuery, "none"
		if len(more) > 0 && more[0] == "prompt" {
			prompt = "login"
		}
		pairs := strings.Split(query, "&")
		for _, want := range []string{"acr=a;b", "p=100%", "prompt=" + prompt, "%68d=theirs", "z"} {
			if !slices.Contains(pairs, want) {
				t.Errorf("%q: %s is not in %s", more, want, query)
			}
		}
		if strings.Count(query, "prompt=") != 1 || strings.Contains(query, "mine") || strings.Contains(query, "hl=de") != (len(more) > 0 && more[1] == "de") {
			t.Errorf("%q: %s", more, query)
		}
	}
}

// TestAScopeThatWasTakenBackIsNotAskedFor: what an app asked for is carried along, and the operator may have thought better of it.
func TestAScopeThatWasTakenBackIsNotAskedFor(t *testing.T) {
	_, _, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
	w := newWorld(t, offer, clients, phone)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.organization("acme", nil, person("jo", "acme.test"))
	um := "/user_management/authorize"
	u := w.browser().get(w.authorize(um, "provider", "googleOAuth", "provider_scopes", "phone")).asks("openid email profile phone", "-", "-").press("Cancel")
	v := w.browser().get(w.authorize(um, "connection_id", string(conn("acme")), "provider_scopes", "phone")).press("Cancel").press("Try again")
	back := v.p
	toAcme := func(scope string) {
		t.Helper()
		if v.submit(map[string]string{"email": "jo@acme.test"}); v.p.URL.Hostname() != "127.0.0.1" {
			v.press("acme")
		}
		v.asks(scope, "-", "-")
	}
	toAcme("openid email profile phone")
	w.load(func(o *sso.Options) { o.Clients[0].ProviderScopes = nil })
	u.press("Try again").press("Continue with Google").asks("openid email profile", "-", "-")
	v.p = back
	toAcme("openid email profile")
}

// anywhere sends people to whatever issuer, and asks nobody.
type anywhere struct{ sso.OIDC }

func (anywhere) Start(_ context.Context, c oidc.Connection, r oidc.StartRequest, now time.Time) (string, oidc.Flow, error) {
	f := oidc.Flow{State: session.NewToken().Reveal(), Nonce: "n", Verifier: "v", ConnectionID: c.ID, Issuer: c.Issuer, RedirectURI: r.RedirectURI, StartedAt: now}
	return c.Issuer + "/authorize?" + url.Values{"client_id": {c.ClientID}, "state": {f.State}}.Encode(), f, nil
}

// issued is a social provider of an issuer, of which there is nothing else.
func issued(name, issuer string) sso.SocialProvider {
	return sso.SocialProvider{Name: name, Label: name, Issuer: issuer, ClientID: "orgate-at-" + name, ClientSecret: "x"}
}

const (
	google    = "https://accounts.google.com"
	microsoft = "https://login.microsoftonline.com/"
)

// TestADomainHintIsNoOrganizationWhereAProviderIsNamed: it is for Microsoft, which people have their sign-in page shortened by.
func TestADomainHintIsNoOrganizationWhereAProviderIsNamed(t *testing.T) {
	_, _, offer := social(nil, nil, nil)
	w := newWorld(t, offer, clients, func(_ *world, o *sso.Options) {
		o.OIDC, o.Social = anywhere{}, []sso.SocialProvider{issued("work", microsoft+"organizations/v2.0"), issued("google", google)}
	})
	w.organization("acme", nil)
	for _, path := range []string{"/sso/authorize", "/user_management/authorize"} {
		q := locationOf(t, w, w.authorize(path, "provider", "MicrosoftOAuth", "domain_hint", "acme.test")).Query()
		if q.Get("domain_hint") != "acme.test" || q.Get("client_id") != "orgate-at-work" {
			t.Errorf("%s: %v", path, q)
		}
		if q := locationOf(t, w, w.authorize(path, "provider", "GoogleOAuth", "domain_hint", "acme.test")).Query(); q.Has("domain_hint") || q.Get("client_id") != "orgate-at-google" {
			t.Errorf("%s: %v", path, q)
		}
	}
}

// TestAProviderIsCalledByWhatItIsAndElseByItsName: whoever asks for Google means Google, whatever is called so here.
func TestAProviderIsCalledByWhatItIsAndElseByItsName(t *testing.T) {
	_, _, offer := social(nil, nil, nil)
	set := []sso.SocialProvider{
		issued("google", "https://google.evil.test"), issued("Microsoft", "https://microsoft.evil.test"), issued("GitHub", "https://github.evil.test"), issued("gitlab", "https://gitlab.test"),
		issued("personal", microsoft+"9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"), issued("contoso", microsoft+"11111111-6c67-4c5b-b112-36a304b66dad/v2.0"), issued("g", google),
	}
	w := newWorld(t, offer, clients, func(_ *world, o *sso.Options) { o.OIDC, o.Social = anywhere{}, set })
	calls := func(name, want string) {
		t.Helper()
		for _, path := range []string{"/sso/authorize", "/user_management/authorize"} {
			q := locationOf(t, w, w.authorize(path, "provider", name)).Query()
			if got := strings.TrimPrefix(q.Get("client_id"), "orgate-at-"); got != want || want == "" && q.Get("error") != "connection_invalid" {
				t.Errorf("%s is %q, want %q: %v", name, got, want, q)
			}
		}
	}
	for name, want := range map[string]string{
		"GoogleOAuth": "g", "gOAuth": "g", "googleOAuth": "google", "MicrosoftOAuth": "personal", "personalOAuth": "personal", "contosoOAuth": "contoso", "GitLabOAuth": "gitlab", "gitlabOAuth": "gitlab",
		"GitHubOAuth": "", "OAuth": "", "contoso": "", "XOAuth": "", "GenericOIDC": "",
	} {
		calls(name, want)
	}
	// Nor where there is no other of that name.
	w.load(func(o *sso.Options) { o.Social = set[:4] })
	for name, want := range map[string]string{"GoogleOAuth": "", "MicrosoftOAuth": "", "GitHubOAuth": "", "googleOAuth": "google"} {
		calls(name, want)
	}
}

// locationOf is where an address leads to.
func locationOf(t *testing.T, w *world, to string) *url.URL {
	t.Helper()
	p, err := w.browser().Fetch(request(t, to))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestSAMLIsAskedForNoScopes: it has none.
func TestSAMLIsAskedForNoScopes(t *testing.T) {
	w := newWorld(t, clients, phone)
	w.saml("acme", nil, person("jo", "acme.test"))
	for path, by := range map[string]string{"/sso/authorize": "connection", "/user_management/authorize": "connection_id"} {
		u := w.browser().get(w.authorize(path, by, string(conn("acme")), "provider_scopes", "phone"))
		if q := u.p.URL.RawQuery; u.p.URL.Hostname() != "127.0.0.1" || strings.Contains(q, "scope") || strings.Contains(q, "phone") {
			t.Errorf("at %s", u.p.URL)
		}
	}
}
