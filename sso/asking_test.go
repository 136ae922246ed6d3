package sso_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
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
		u := w.browser().get(w.authorize(path, append(more, "provider", "GoogleOAuth")...)).asks("openid email profile phone", "elsewhere.test", "de")
		u.as("jo-1").submit(map[string]string{"code": box.code(t, jo)})
		u.back("", path == "/sso/authorize")
		w.browser().get(w.authorize(path, "provider", "GitHubOAuth", "provider_scopes", "email,read:org", "provider_query_params[hd]", "x")).asks("user:email read:org", "x", "-")
		w.browser().get(w.authorize(path, "provider", "GoogleOAuth")).asks("openid email profile", "-", "-")
		// Anybody can write a link.
		for _, name := range []string{"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code_challenge", "code_challenge_method", "prompt", "max_age", "login_hint", "request", "request_uri", "claims", "access_type", "unknown"} {
			w.browser().get(w.authorize(path, "provider", "GoogleOAuth", "provider_query_params["+name+"]", "x")).refusedTo("invalid_request")
		}
		w.browser().get(w.authorize(path, "provider", "GoogleOAuth", "provider_scopes", "https://mail.example/all")).refusedTo("invalid_scope")
		w.browser().get(w.authorize(path, "provider", "GoogleOAuth", "provider_scopes", "phone,offline_access")).refusedTo("invalid_scope")
	}
	// It is for the provider that the client named, and for no other that the person takes in its place.
	for button, want := range map[string][]string{"Continue with Google": {"openid email profile phone", "elsewhere.test", "de"}, "Continue with Other": {"openid email profile", "-", "-"}, "Continue with GitHub": {"user:email", "-", "-"}} {
		u := w.browser().get(w.authorize("/user_management/authorize", append(more, "provider", "GoogleOAuth")...)).press("Cancel").sees(http.StatusForbidden)
		u.press("Try again").press(button).asks(want[0], want[1], want[2])
	}
	// Nor is it for what people sign in to here.
	w.browser().get(w.at("hooli", "/")).press("Continue with Google").asks("openid email profile", "-", "-")
	// Whoever says to be another is asked the same.
	u := w.browser().get(w.authorize("/sso/authorize", append(more, "provider", "GoogleOAuth")...)).as("bo-1").asked("bo@elsewhere.test")
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
		u := w.browser().get(w.authorize(path, "provider", "GoogleOAuth", "state", state, "redirect_uri", redirect, "provider_scopes", strings.Join(scopes, ","), "login_hint", long("h", 60)+"@"+long("d", 60)+".test",
			"provider_query_params[hd]", long("x", 126), "provider_query_params[hl]", long("y", 126), "code_challenge", codeChallenge(), "code_challenge_method", "S256"))
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
	w.profileBy("GoogleOAuth", "provider_query_params[hd]", "mine", "provider_query_params[hl]", "de").asks("openid email profile", "theirs", "de")
}

// TestADomainHintIsNoOrganizationWhereAProviderIsNamed: it is for Microsoft, which people have their sign-in page shortened by.
func TestADomainHintIsNoOrganizationWhereAProviderIsNamed(t *testing.T) {
	_, _, offer := social(func(p *sso.SocialProvider) {
		if p.Name == "other" {
			p.Name = "microsoft"
		}
	}, nil, nil)
	w := newWorld(t, offer, clients)
	w.organization("acme", nil)
	for _, path := range []string{"/sso/authorize", "/user_management/authorize"} {
		q := trailedTo(t, w, w.authorize(path, "provider", "MicrosoftOAuth", "domain_hint", "acme.test"))
		if q.Get("domain_hint") != "acme.test" || q.Get("client_id") != "orgate-at-other" {
			t.Errorf("%s: %v", path, q)
		}
		if q := trailedTo(t, w, w.authorize(path, "provider", "GoogleOAuth", "domain_hint", "acme.test")); q.Has("domain_hint") || q.Get("client_id") != "orgate-at-google" {
			t.Errorf("%s: %v", path, q)
		}
	}
}

// trailedTo is what the provider is asked with that an address leads to.
func trailedTo(t *testing.T, w *world, to string) url.Values {
	t.Helper()
	p, err := w.browser().Fetch(request(t, to))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
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
