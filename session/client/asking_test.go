package client_test

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/session/client"
)

const appBack = "https://app.example.com/cb"

func asker(scopes ...string) client.Clients {
	return client.Clients{{ID: "client_app", RedirectURIs: []string{appBack}, ProviderScopes: scopes}}
}

// ask reads a request of the app that names a provider, and more or less by pairs.
func ask(cs client.Clients, profile bool, more ...string) (client.Authorization, string) {
	q := url.Values{"client_id": {"client_app"}, "redirect_uri": {appBack}, "response_type": {"code"}, "provider": {"GoogleOAuth"}}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "-" {
			q.Del(more[i])
			continue
		}
		q.Add(more[i], more[i+1])
	}
	a, err := client.ReadAuthorization(cs, q, profile, time.Unix(1_800_000_000, 0))
	if f, ok := errors.AsType[*client.Fault](err); ok {
		return a, f.Code
	}
	if err != nil {
		return a, err.Error()
	}
	return a, ""
}

func TestAClientHasAProviderAskedForTheScopesThatTheConfigurationLists(t *testing.T) {
	long := func(c string) string { return strings.Repeat(c, 100) }
	cs := asker("phone", "https://example.com/auth/a.b", long("a"), long("b"), long("c"))
	for _, profile := range []bool{true, false} {
		for given, want := range map[string][]string{
			"openid,profile,email": {"openid", "profile", "email"}, "phone": {"phone"}, "phone,phone,openid": {"phone", "openid"}, "https://example.com/auth/a.b": {"https://example.com/auth/a.b"},
			long("a") + "," + long("b"): {long("a"), long("b")},
		} {
			if a, fault := ask(cs, profile, "provider_scopes", given); fault != "" || !slices.Equal(a.Scopes, want) {
				t.Errorf("%s: %q, %q", given, a.Scopes, fault)
			}
		}
		// As SDKs send a list.
		if a, fault := ask(cs, profile, "provider_scopes", "openid", "provider_scopes", "phone"); fault != "" || !slices.Equal(a.Scopes, []string{"openid", "phone"}) {
			t.Errorf("%q, %q", a.Scopes, fault)
		}
		for _, given := range []string{
			"", ",", "phone,", "address", "Phone", "offline_access", "openid,offline_access", "phone openid", "pho\"ne", `pho\ne`, "phone\n", "phöne", "phone\x00", strings.Repeat("a", 129), long("a") + "," + long("b") + "," + long("c"),
		} {
			if a, fault := ask(cs, profile, "provider_scopes", given); fault != "invalid_scope" || a.Scopes != nil {
				t.Errorf("%q: %q, %q", given, a.Scopes, fault)
			}
		}
	}
	// Not even what the configuration lists, if it can't be.
	if _, fault := ask(asker("offline_access"), true, "provider_scopes", "offline_access"); fault != "invalid_scope" {
		t.Errorf("%q", fault)
	}
	// It is for the provider that the client names.
	if _, fault := ask(cs, false, "provider", "-", "provider_scopes", "openid"); fault != "invalid_request" {
		t.Errorf("%q", fault)
	}
	if a, fault := ask(cs, false, "provider", "-", "connection_id", "conn_1", "provider_scopes", "openid"); fault != "" || a.Scopes == nil {
		t.Errorf("%q", fault)
	}
}

func TestASocialProviderIsAskedWithWhatIsListedAlone(t *testing.T) {
	for _, profile := range []bool{true, false} {
		for _, name := range client.Askable() {
			a, fault := ask(asker(), profile, "provider_query_params["+name+"]", "example.com")
			if fault != "" || !maps.Equal(a.Asking, map[string]string{name: "example.com"}) {
				t.Errorf("%s: %v, %q", name, a.Asking, fault)
			}
		}
		// What has a meaning in OAuth, OpenID Connect or for the provider's tokens, or is not known at all.
		for _, name := range []string{
			"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "scope", "state", "nonce", "code", "code_challenge", "code_challenge_method", "code_verifier", "request", "request_uri",
			"registration", "claims", "claims_locales", "id_token_hint", "prompt", "max_age", "login_hint", "acr_values", "resource", "audience", "grant_type", "authorization_details", "dpop_jkt", "client_assertion",
			"access_type", "include_granted_scopes", "approval_prompt", "connection", "organization", "invitation", "unknown", "HD", "hd ", " hd", "", "hd]", "hd][x", "[hd", "hd[]", "hd\x00", "hd%00", "hd.x",
		} {
			if a, fault := ask(asker(), profile, "provider_query_params["+name+"]", "x"); fault != "invalid_request" || a.Asking != nil {
				t.Errorf("%q: %v, %q", name, a.Asking, fault)
			}
		}
		for _, key := range []string{"provider_query_params", "provider_query_params[", "provider_query_params]", "provider_query_params[]", "provider_query_params[hd", "provider_query_paramshd]", "provider_query_params.hd", "provider_query_params[hd][]", "provider_query_paramsx[hd]"} {
			if a, fault := ask(asker(), profile, key, "x"); fault != "invalid_request" || a.Asking != nil {
				t.Errorf("%q: %v, %q", key, a.Asking, fault)
			}
		}
		for _, value := range []string{"", "a&b=c", "a=b", "a\r\nb", "a\x00", "ä", `"`, "<", "%26", "#", "a;b", "{}", strings.Repeat("a", 129)} {
			if a, fault := ask(asker(), profile, "provider_query_params[hd]", value); fault != "invalid_request" || a.Asking != nil {
				t.Errorf("%q: %v, %q", value, a.Asking, fault)
			}
		}
		if _, fault := ask(asker(), profile, "provider_query_params[hd]", "a.test", "provider_query_params[hd]", "b.test"); fault != "invalid_request" {
			t.Errorf("twice: %q", fault)
		}
		long := strings.Repeat("a", 125)
		if _, fault := ask(asker(), profile, "provider_query_params[hd]", long, "provider_query_params[hl]", long); fault != "" {
			t.Errorf("%q", fault)
		}
		if _, fault := ask(asker(), profile, "provider_query_params[hd]", long, "provider_query_params[hl]", long, "provider_query_params[login]", "a"); fault != "invalid_request" {
			t.Errorf("together too long: %q", fault)
		}
	}
	// It is for the social provider that the client names.
	for _, more := range [][]string{{"connection_id", "conn_1"}, {"organization_id", "org_1"}, {"provider", "authkit"}, {}} {
		if _, fault := ask(asker(), false, append([]string{"provider", "-", "provider_query_params[hd]", "x"}, more...)...); fault != "invalid_request" {
			t.Errorf("%q: %q", more, fault)
		}
	}
}

func TestMicrosoftIsToldTheDomainHint(t *testing.T) {
	a, _ := ask(asker(), true, "domain_hint", "Acme.test", "provider_query_params[hl]", "de")
	if got := a.ForProvider(true); !maps.Equal(got, map[string]string{"hl": "de", "domain_hint": "acme.test"}) {
		t.Errorf("%v", got)
	}
	if got := a.ForProvider(false); !maps.Equal(got, map[string]string{"hl": "de"}) || !maps.Equal(a.Asking, got) {
		t.Errorf("%v", got)
	}
	a, _ = ask(asker(), true, "domain_hint", "acme.test", "provider_query_params[domain_hint]", "globex.test")
	if got := a.ForProvider(true); got["domain_hint"] != "globex.test" {
		t.Errorf("%v", got)
	}
	// Whoever says to be another is asked the same.
	for _, first := range []client.Authorization{a, {Client: "client_app", RedirectURI: appBack, Provider: "MicrosoftOAuth", Domain: "acme.test"}} {
		again, err := client.ReadAuthorization(asker(), first.Again(), true, time.Unix(1_800_000_000, 0))
		if got := again.ForProvider(true); err != nil || again.Domain != "acme.test" || !maps.Equal(got, first.ForProvider(true)) {
			t.Errorf("%v, first %v (%v)", got, first.ForProvider(true), err)
		}
	}
}

// TestADomainHintIsADomain: a cookie and an address carry it, in which other characters are longer.
func TestADomainHintIsADomain(t *testing.T) {
	for _, name := range []string{"domain_hint", "domain"} {
		for hint, want := range map[string]string{
			"acme.test": "", "xn--mller-kva.test": "", "consumers": "", "_a-1.test": "", strings.Repeat("a", 253): "",
			"a&b": "invalid_request", "müller.test": "invalid_request", "a b": "invalid_request", "a\x00": "invalid_request", strings.Repeat("<", 20): "invalid_request", strings.Repeat("a", 254): "invalid_request",
		} {
			if _, fault := ask(asker(), true, name, hint); fault != want {
				t.Errorf("%s %q: %q", name, hint, fault)
			}
		}
	}
}

// TestNoTextOfALinkIsToldTheApp: anybody writes a link, and the app shows its people what it is told.
func TestNoTextOfALinkIsToldTheApp(t *testing.T) {
	const call = "Call +1 555 0100"
	for _, profile := range []bool{true, false} {
		for _, name := range []string{call, "provider_query_params " + call, "provider_query_params[" + call + "]", "provider_scopes " + call} {
			for n := range 2 {
				q := url.Values{"client_id": {"client_app"}, "redirect_uri": {appBack}, "response_type": {"code"}, "provider": {"GoogleOAuth"}, name: []string{"1", "2"}[:n+1]}
				_, err := client.ReadAuthorization(asker(), q, profile, time.Unix(1_800_000_000, 0))
				if f, ok := errors.AsType[*client.Fault](err); !ok || f.Code != "invalid_request" || strings.Contains(f.Text, call) {
					t.Errorf("%q, %d times: %v", name, n+1, err)
				}
			}
		}
		for _, name := range []string{"response_type", "provider", "domain_hint", "login_hint", "prompt", "code_challenge", "code_challenge_method", "connection", "connection_id", "max_age", "nonce", "screen_hint", "provider_scopes", "provider_query_params[hd]"} {
			q := url.Values{"client_id": {"client_app"}, "redirect_uri": {appBack}, "response_type": {"code"}, "provider": {"GoogleOAuth"}}
			q.Set(name, "<"+call)
			_, err := client.ReadAuthorization(asker(), q, profile, time.Unix(1_800_000_000, 0))
			if f, ok := errors.AsType[*client.Fault](err); ok && strings.Contains(f.Text, call) {
				t.Errorf("%s: %v", name, f)
			}
		}
	}
}

// FuzzNothingButWhatIsListedReachesAProvider: whatever the query is, what goes on to a provider is in the lists, and fits.
func FuzzNothingButWhatIsListedReachesAProvider(f *testing.F) {
	f.Add("provider_query_params[hd]=example.com&provider_scopes=openid,phone", true)
	f.Add("provider_query_params%5Bstate%5D=x&provider_query_params[hl][]=x&provider_scopes=offline_access", false)
	f.Add("provider_query_params[hd]=a%00&provider_query_params[hd%00]=b&provider_scopes=a&provider_scopes=phone%2Cx", true)
	f.Fuzz(func(t *testing.T, raw string, profile bool) {
		more, err := url.ParseQuery(raw)
		if err != nil {
			return // no query
		}
		q := url.Values{"client_id": {"client_app"}, "redirect_uri": {appBack}, "response_type": {"code"}, "provider": {"GoogleOAuth"}}
		maps.Copy(more, q)
		a, err := client.ReadAuthorization(asker("phone"), more, profile, time.Unix(1_800_000_000, 0))
		asks := false
		for name := range more {
			asks = asks || strings.HasPrefix(name, "provider_scopes") || strings.HasPrefix(name, "provider_query_params")
		}
		if err == nil && asks && len(a.Scopes)+len(a.Asking) == 0 {
			t.Errorf("%q is left out without a word", raw)
		}
		size := 0
		for name, value := range a.Asking {
			size += len(name) + len(value)
			if !slices.Contains(client.Askable(), name) || strings.ContainsAny(value, "&=%#\"<>\\") || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is %q", name, value)
			}
		}
		for _, s := range a.Scopes {
			if !slices.Contains([]string{"openid", "profile", "email", "phone"}, s) {
				t.Errorf("scope %q", s)
			}
		}
		if size > 256 || len(strings.Join(a.Scopes, " ")) > 256 {
			t.Errorf("%d", size)
		}
	})
}
