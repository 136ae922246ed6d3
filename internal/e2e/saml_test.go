package e2e

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// samlForm returns the fields of a page that carries a SAML message; nil: it is none.
func samlForm(pg *ssotest.Page) map[string]string {
	for _, f := range pg.Forms {
		fields := map[string]string{}
		for _, x := range f.Fields {
			if x.Type == "hidden" {
				fields[x.Name] = x.Value
			}
		}
		if fields["SAMLResponse"] != "" || fields["SAMLRequest"] != "" {
			return fields
		}
	}
	return nil
}

// umbrella is a site with an organization on npm's SAML provider, which nobody here wrote. What is
// typed in at the provider is what docs/saml.md says, before orgate has ever run.
func umbrella(t *testing.T, connection string) (*site, *ssotest.NodeSAMLProvider) {
	t.Helper()
	s := siteAt(t, "", freePort(t))
	at := s.origin("login") + "/sso/saml/umbrella.npm"
	idp := ssotest.StartNodeSAML(t, ssotest.NodeSAMLConfig{
		Issuer: "urn:example:umbrella", Audience: at + "/metadata", ACS: at + "/acs", SLO: at + "/slo", RelayState: "/reports",
	})
	s.issuer = idp.URL
	s.write(s.head(s.badger()) + fmt.Sprintf(`  - slug: umbrella
    name: Umbrella Corp
    domains: [{ name: umbrella.test, verified: true }]
    domain_policy: { methods: [sso] }
    organization_policy: { methods: [sso] }
    jit: { sso: true }
    roles: { groups: [{ group: admins, role: admin }] }
    connections:
      - { name: npm, type: saml, metadata_url: %q%s }
`, idp.MetadataURL(), connection))
	s.start()
	until(t, "the provider's metadata", 20*time.Second, func() bool {
		return len(s.lines(func(l line) bool { return l.get("msg") == "metadata of a SAML provider has changed" })) > 0
	})
	return s, idp
}

// wesker is somebody whom saml-idp is told about: " admins" is what it makes of the second group.
func (s *site) wesker(t *testing.T) *person {
	t.Helper()
	p := s.person(t, "albert@umbrella.test")
	p.email, p.name, p.groups = "albert@umbrella.test", "Albert Wesker", "eng, admins"
	return p
}

// TestPeopleComeBySAML: the program, and a SAML provider from npm.
func TestPeopleComeBySAML(t *testing.T) {
	t.Parallel()
	s, idp := umbrella(t, ", idp_initiated: true")
	p := s.wesker(t)
	p.enter("umbrella", "/admin/")
	if h := p.told("umbrella"); h.Get("X-Org-Role") != "admin" || h.Get("X-User-Email") != p.email || h.Get("X-User-Name") != "Albert%20Wesker" ||
		h.Get("X-Auth-Connection") == "" || h.Get("X-Auth-Method") != "sso" {
		t.Errorf("the app is told %v", h)
	}
	if is, orgs := s.knows(p.email); !is || !slices.Equal(orgs, []string{"umbrella"}) {
		t.Errorf("albert is known: %v, in %v", is, orgs)
	}

	// Without the group he is a member; the groups of each sign-in count.
	p = s.wesker(t)
	p.groups = "eng"
	p.enter("umbrella", "/")
	if role := p.told("umbrella").Get("X-Org-Role"); role != "member" {
		t.Errorf("albert without the group is %s", role)
	}

	// An address at another domain is not the provider's to give.
	stranger := s.person(t, "mallory@elsewhere.test")
	stranger.email, stranger.groups = "mallory@elsewhere.test", "admins"
	pg := stranger.signIn(s.at("umbrella", "/"))
	if pg.Status != http.StatusForbidden || stranger.isIn("umbrella") {
		t.Errorf("mallory: %d %s", pg.Status, pg.Text)
	}
	if is, _ := s.knows(stranger.email); is {
		t.Error("a user was made of mallory")
	}

	// A sign-in that begins at the provider counts when the person says so, and leads where the
	// RelayState says.
	p = s.wesker(t)
	pg = p.proceed(p.get(idp.URL + "/"))
	if !strings.HasPrefix(pg.Title, "Sign in to Umbrella Corp?") || p.isIn("umbrella") || p.cookie("login") != nil {
		t.Fatalf("from the provider: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	if !strings.Contains(pg.Text, "albert@umbrella.test") {
		t.Errorf("it does not say as whom: %s", pg.Text)
	}
	if pg = p.proceed(p.press(pg, "Sign in")); pg.URL.String() != s.at("umbrella", "/reports") || pg.Status != http.StatusOK {
		t.Errorf("who meant it: %s %d %s", pg.URL, pg.Status, pg.Text)
	}

	// Signing out goes by the provider, and comes back.
	pg = p.proceed(p.press(p.get(s.origin("login")+"/sign-out"), "Sign out"))
	if p.isIn("umbrella") || pg.URL.Hostname() != "login.localhost" || !strings.Contains(pg.Text, "signed out") {
		t.Errorf("signed out: %s %d %s", pg.URL, pg.Status, pg.Text)
	}

	// Whoever the provider sends by itself is taken in, whatever their address is: here alone.
	guest := s.person(t, "leon@freelance.test")
	guest.email, guest.groups = "leon@freelance.test", "eng"
	pg = guest.proceed(guest.get(idp.URL + "/"))
	if pg = guest.proceed(guest.press(pg, "Sign in")); pg.URL.String() != s.at("umbrella", "/reports") || guest.told("umbrella").Get("X-Org-Role") != "member" {
		t.Errorf("the guest: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
}

// TestASAMLSignInThatNobodyAskedForIsNone: the provider begins, and the connection does not let it. It
// is asked, and what it says then is an answer.
func TestASAMLSignInThatNobodyAskedForIsNone(t *testing.T) {
	t.Parallel()
	s, idp := umbrella(t, "")
	p := s.wesker(t)
	first := p.submit(p.get(idp.URL+"/"), map[string]string{"userName": p.login, "email": p.email, "groups": p.groups})
	pg := p.submit(first, samlForm(first))
	if !strings.HasPrefix(pg.URL.String(), idp.URL) && !strings.HasPrefix(pg.Title, "Taking you to") {
		t.Fatalf("it is not asked: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	if p.isIn("umbrella") || p.cookie("login") != nil {
		t.Fatal("albert is in by an answer to nothing")
	}
	if pg = p.proceed(pg); pg.URL.String() != s.at("umbrella", "/reports") || pg.Status != http.StatusOK {
		t.Errorf("once it was asked: %s %d %s", pg.URL, pg.Status, pg.Text)
	}
	// The answer to nothing is spent on nobody else.
	victim := s.wesker(t)
	pg = victim.submit(first, samlForm(first))
	if victim.isIn("umbrella") {
		t.Errorf("an answer that was sent along signs in: %s %s", pg.URL, pg.Text)
	}
}

// TestAnOperatorTriesASAMLConnection runs the commands that help to set one up, beside the
// running program.
func TestAnOperatorTriesASAMLConnection(t *testing.T) {
	t.Parallel()
	s, idp := umbrella(t, "")
	at := s.origin("login") + "/sso/saml/umbrella.npm"
	args := []string{"--config", s.file, "--org", "umbrella", "--connection", "npm"}
	out, stderr, code := run(t, nil, append([]string{"saml", "show"}, args...)...)
	for _, want := range []string{at + "/metadata", at + "/acs", at + "/slo", "urn:example:umbrella", idp.MetadataURL(), "signs)"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("saml show ended with %d and does not say %s:\n%s%s", code, want, out, stderr)
		}
	}
	page, err := os.ReadFile("../../docs/saml.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(page)
	_, shown, _ := strings.Cut(manual, "$ orgate saml show")
	shown, _, _ = strings.Cut(shown, "```")
	fields := regexp.MustCompile(`(?m)^(?:The provider|For the .*|  \S[a-zA-Z_, -]{0,18}\S)(?:  |$)`)
	if got, want := fields.FindAllString(out, -1), fields.FindAllString(shown, -1); !slices.Equal(got, want) {
		t.Errorf("docs/saml.md shows %q, and it is %q", want, got)
	}

	for _, tt := range []struct {
		email string
		code  int
		says  []string
	}{
		{"albert@umbrella.test", 0, []string{"ok   signature: of the ", "ok   email: albert@umbrella.test", "ok   membership: active, with the roles admin; new", "Nobody was signed in"}},
		{"albert@elsewhere.test", 1, []string{"ok   email: albert@elsewhere.test", "FAIL not_vouched"}},
	} {
		var out buffer
		ended := begin(t, &out, append([]string{"saml", "test"}, args...)...)
		link := ""
		until(t, "the address to open", 20*time.Second, func() bool {
			link = regexp.MustCompile(`http://\S+test=\S+`).FindString(out.String())
			return link != ""
		})
		p := s.wesker(t)
		p.email = tt.email
		if pg := p.proceed(p.get(link)); !strings.Contains(pg.Text, "The test is finished") {
			t.Errorf("%s: %s %d %s", tt.email, pg.URL, pg.Status, pg.Text)
		}
		if code := <-ended; code != tt.code {
			t.Errorf("%s: it ended with %d", tt.email, code)
		}
		for _, want := range tt.says {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: it does not say %q", tt.email, want)
			}
		}
		// What docs/saml.md shows is what the command says, but for hosts and times.
		steps := regexp.MustCompile(`(?m)^(?:ok  |FAIL) [a-z_ ]+:`)
		if got, want := steps.FindAllString(out.String(), -1), steps.FindAllString(manual, -1); tt.code != 0 && !slices.Equal(got, want) {
			t.Errorf("docs/saml.md shows the steps %q, and they are %q", want, got)
		}
		if p.isIn("umbrella") || p.cookie("login") != nil {
			t.Error("the test has signed somebody in")
		}
	}
	if is, _ := s.knows("albert@umbrella.test"); is {
		t.Error("the test has made a user")
	}
}

// TestSAMLInARealBrowser walks a sign-in that begins here, one that begins at the provider, and
// signing out.
func TestSAMLInARealBrowser(t *testing.T) {
	b := chromium(t)
	s, idp := umbrella(t, ", idp_initiated: true")
	b.open(s.at("umbrella", "/plans"))
	b.shows(idp.URL, "Subject Statement")
	b.picture("1-provider")
	b.enter("userName", "albert@umbrella.test")
	b.enter("displayName", "Albert Wesker")
	b.enter("email", "albert@umbrella.test")
	b.click("Sign in")
	b.shows(s.at("umbrella", "/plans"), "Hello, Albert Wesker")
	b.picture("2-app")

	b.open(s.origin("login") + "/sign-out")
	b.shows(s.origin("login")+"/sign-out", "Sign out?")
	b.click("Sign out")
	b.shows(s.origin("login")+"/signed-out", "You are signed out")

	b.open(idp.URL + "/")
	b.shows(idp.URL, "Subject Statement")
	b.click("Sign in")
	b.shows(s.origin("login")+"/sso/saml/umbrella.npm/finish", "Sign in to Umbrella Corp?")
	b.picture("3-asked")
	b.click("Sign in")
	b.shows(s.at("umbrella", "/reports"), "Hello, Albert Wesker")
	b.picture("4-app")
}

// TestSAMLByFormsInARealBrowser: everything goes by forms that submit themselves, assertions are
// encrypted, and what is known of the provider was typed in.
func TestSAMLByFormsInARealBrowser(t *testing.T) {
	b := chromium(t)
	idp := ssotest.StartSAML(t, ssotest.SAMLOptions{Name: "Acme’s ADFS", People: everyone()[:2], WantSigned: true})
	s := siteAt(t, idp.EntityID(), freePort(t))
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp.Certificate()})
	if err := os.WriteFile(filepath.Join(s.dir, "adfs.pem"), certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	oidc := regexp.MustCompile(`(?m)^ +- \{ name: acme-idp.*$`)
	s.write(s.head(s.badger()) + oidc.ReplaceAllString(s.acme(), fmt.Sprintf(`      - { name: adfs, type: saml, entity_id: %q, sso_url: "%[1]s/sso", slo_url: "%[1]s/slo", binding: post, sign_requests: true, certificates: ["${file:adfs.pem}"] }`, idp.EntityID())))
	s.start()
	var sp ssotest.SAMLServiceProvider
	until(t, "our metadata", 20*time.Second, func() bool {
		pg := s.person(t, "nobody").get(s.origin("login") + "/sso/saml/acme.adfs/metadata")
		if pg.Status != http.StatusOK {
			return false
		}
		var err error
		if sp, err = ssotest.ReadSAMLServiceProvider([]byte(pg.Body)); err != nil {
			t.Fatal(err)
		}
		return true
	})
	sp.Encrypt = ssotest.SAMLEncryption{Content: "http://www.w3.org/2009/xmlenc11#aes256-gcm"}
	idp.Trust(sp)

	b.open(s.at("acme", "/plans"))
	b.shows(s.origin("login")+"/sign-in", "Acme Inc.")
	b.fill("email", "alice@acme.test", "Continue")
	b.shows(idp.EntityID(), "Who do you want to be")
	b.click("Alice Åshby")
	b.shows(s.at("acme", "/plans"), "Hello, Alice Åshby")

	b.open(s.origin("login") + "/sign-out")
	b.shows(s.origin("login")+"/sign-out", "Sign out?")
	b.click("Sign out")
	b.shows(s.origin("login")+"/signed-out", "You are signed out")
	if n := idp.Hits("slo"); n != 1 {
		t.Errorf("the provider was told %d times", n)
	}
	b.open(s.at("acme", "/plans"))
	b.shows(s.origin("login")+"/sign-in", "Acme Inc.")
}
