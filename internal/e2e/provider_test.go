package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

// organization is one with a provider of its own, where everybody joins who comes from slug.test.
func organization(slug, issuer string) string {
	return fmt.Sprintf(`  - slug: %[1]s
    name: %[1]s
    domains: [{ name: %[1]s.test, verified: true }]
    domain_policy: { methods: [sso] }
    jit: { sso: true }
    connections:
      - { name: %[1]s-idp, type: oidc, issuer: %[2]q, client_id: orgate, client_secret: %[3]s }
`, slug, issuer, clientSecret)
}

// TestAProviderThatLiesLetsNobodyIn: whatever is wrong with the answer, the person gets a page
// with a reference, the operator a line with it that names the check, and nobody is made.
func TestAProviderThatLiesLetsNobodyIn(t *testing.T) {
	t.Parallel()
	honest := map[string]any{"sub": "mallory", "email": "mallory@honest.test", "email_verified": true, "name": "Mallory"}
	lies := []struct {
		slug, check string
		claims      map[string]any
	}{
		{"honest", "", nil},
		{"expired", "token_expired", map[string]any{"exp": 1}},
		{"audience", "token_audience", map[string]any{"aud": []string{"another"}}},
		{"nonce", "token_nonce", map[string]any{"nonce": "another-nonce-than-that"}},
		{"without-nonce", "token_nonce", map[string]any{"nonce": nil}},
		{"issuer", "token_issuer", map[string]any{"iss": "https://another.test"}},
		{"subject", "token_subject", map[string]any{"sub": nil}},
		{"party", "token_audience", map[string]any{"azp": "another"}},
		{"foreign", "not_vouched", map[string]any{"email": "ceo@honest.test"}},
		{"nameless", "", map[string]any{"email": nil}},
	}
	// Each lie is a provider; each provider an organization of one installation.
	var yaml strings.Builder
	port := freePort(t)
	s := siteAt(t, "", port)
	for _, lie := range lies {
		claims := map[string]any{}
		maps.Copy(claims, honest)
		claims["email"] = "mallory@" + lie.slug + ".test"
		maps.Copy(claims, lie.claims)
		config := ssotest.NodeConfig{Kind: "oauth2-mock-server", Claims: claims}
		if lie.slug == "nameless" {
			config.Userinfo = map[string]any{"sub": "mallory"}
		}
		yaml.WriteString(organization(lie.slug, ssotest.StartNodeProvider(t, config).Issuer))
	}
	s.write(s.head(s.badger()) + yaml.String())
	s.start()

	for _, lie := range lies {
		t.Run(lie.slug, func(t *testing.T) {
			p := s.person(t, "mallory")
			p.email = "mallory@" + lie.slug + ".test"
			before := s.app.got()
			pg := p.signIn(s.at(lie.slug, "/"))
			if lie.claims == nil {
				if pg.Status != http.StatusOK || !p.isIn(lie.slug) {
					t.Fatalf("the control: %d %s", pg.Status, pg.Text)
				}
				return
			}
			if pg.Status < 400 || pg.Status >= 500 || s.app.got() != before {
				t.Errorf("%s: %d %s", pg.URL, pg.Status, pg.Text)
			}
			if p.isIn(lie.slug) || p.cookie(lie.slug) != nil || p.cookie("login") != nil {
				t.Error("there is a session")
			}
			id := referenceOf(t, pg)
			found := s.logged(func(l line) bool { return l.get("request_id") == id && l.get("msg") == "sign-in failed" })
			if len(found) != 1 || found[0].get("check") == "" || found[0].get("hint") == "" || lie.check != "" && found[0].get("check") != lie.check {
				t.Errorf("for the reference %s the log has %v, want the check %s", id, found, lie.check)
			}
			for _, secret := range []string{"another-nonce", "another.test"} {
				if strings.Contains(pg.Text, secret) {
					t.Errorf("the page repeats what the provider said: %s", pg.Text)
				}
			}
			if is, _ := s.knows(p.email); is {
				t.Error("a user was made")
			}
		})
	}
	if is, _ := s.knows("ceo@honest.test"); is {
		t.Error("one organization's provider made a user of another's domain")
	}
}

// TestAProviderThatIsDownStopsItsOwnSignInsAlone: others go on, and so do those who are in.
func TestAProviderThatIsDownStopsItsOwnSignInsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.write(s.head(s.badger()) + s.acme() + organization("initech", fmt.Sprintf("http://127.0.0.1:%d", freePort(t))))
	s.start()
	milton := s.person(t, "milton")
	milton.email = "milton@initech.test"
	pg := milton.signIn(s.at("initech", "/"))
	if pg.Status != http.StatusBadGateway || !strings.Contains(pg.Text, "initech") {
		t.Errorf("%s: %d %s", pg.URL, pg.Status, pg.Text)
	}
	id := referenceOf(t, pg)
	if found := s.logged(func(l line) bool { return l.get("request_id") == id && l.get("check") == "provider_unreachable" }); len(found) != 1 {
		t.Errorf("for the reference %s the log has %v", id, found)
	}
	s.person(t, "p20").enter("acme", "/")
	if !s.ready() {
		t.Error("it says that it is not ready")
	}
	if is, orgs := s.knows("p20@acme.test"); !is || !slices.Equal(orgs, []string{"acme"}) {
		t.Errorf("p20: %v %v", is, orgs)
	}
}
