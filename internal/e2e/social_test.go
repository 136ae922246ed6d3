package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/internal/mail/mailtest"
	"github.com/orgate/orgate/sso/ssotest"
)

const (
	googleSecret = "e2e-secret-of-the-client-at-google"
	githubSecret = "e2e-secret-of-the-app-at-github"
)

// TestPeopleComeBySocialProviders: the program, a certified provider, a mail server, and what
// there is of GitHub.
func TestPeopleComeBySocialProviders(t *testing.T) {
	t.Parallel()
	mails := mailtest.Start(t, mailtest.Config{TLS: "none"})
	s := siteAt(t, "", freePort(t))
	login := func(path string) string { return fmt.Sprintf("http://login.localhost:%d%s", s.Port, path) }
	hooli := fmt.Sprintf("http://hooli.localhost:%d", s.Port)
	s.secrets.add(googleSecret, githubSecret)
	const gavin = "gavin@hooli.test"
	google := ssotest.StartNodeProvider(t, ssotest.NodeConfig{
		People:  []ssotest.Person{{Subject: "gavin-1", Email: gavin, EmailVerified: new(true), Name: "Gavin Belson"}},
		Clients: []ssotest.Client{{ID: "orgate-google", Secret: googleSecret, RedirectURIs: []string{login("/sso/social/callback/google")}}},
	})
	github := ssotest.StartGitHub(t, ssotest.GitHubOptions{
		ClientID: "orgate-github", ClientSecret: githubSecret, RedirectURIs: []string{login("/sso/social/callback/github")}, Says: true,
		Accounts: []ssotest.GitHubAccount{{ID: 42, Login: "gavin", Emails: []ssotest.GitHubEmail{{Email: gavin, Primary: true, Verified: true}}}},
	})
	configuration := func(googleClient string) string {
		head := strings.Replace(s.head(s.badger()), "roles:\n", fmt.Sprintf(`mail: { smtp: { host: 127.0.0.1, port: %d, tls: none }, from: "Orgate <login@example.test>" }
sign_in:
  social:
    - { name: google, issuer: %q, client_id: %s, client_secret: %s }
    - { name: github, type: github, url: %q, client_id: orgate-github, client_secret: %s }
roles:
`, mails.Port, google.Issuer, googleClient, googleSecret, github.Site, githubSecret), 1)
		return head + `  - slug: hooli
    name: Hooli
    domains: [{ name: hooli.test, verified: true }]
    domain_policy: { methods: [social], auto_join: true }
`
	}
	s.write(configuration("orgate-google"))
	s.start()

	atGoogle := map[string]string{"login": "gavin-1", "password": "any"}
	back := func(pg *ssotest.Page) bool { return strings.HasSuffix(pg.URL.Hostname(), ".localhost") }
	// by signs in by a provider, up to where that leads.
	by := func(p *person, from *ssotest.Page, button string) *ssotest.Page {
		t.Helper()
		pg := p.onward(p.press(from, button))
		if strings.HasSuffix(button, "GitHub") {
			return p.press(pg, "gavin")
		}
		pg, err := p.Drive(t.Context(), pg, atGoogle, back)
		return p.look(pg, err)
	}
	in := func(pg *ssotest.Page, what string) {
		t.Helper()
		if pg.Status != http.StatusOK || !strings.HasPrefix(pg.URL.Host, "hooli.") {
			t.Fatalf("%s: %d at %s: %s", what, pg.Status, pg.URL, pg.Text)
		}
	}

	// The first time by Google a code shows whose address it is, and makes a member.
	first := s.person(t, "gavin")
	pg := by(first, first.get(hooli+"/"), "Continue with Google")
	if !strings.Contains(pg.Text, "It is the first time that you come by Google") {
		t.Fatalf("%d at %s: %s", pg.Status, pg.URL, pg.Text)
	}
	in(first.onward(first.submit(pg, map[string]string{"code": codeTo(t, mails, gavin)})), "after the code")

	// From then on nothing but Google is asked.
	second := s.person(t, "gavin")
	in(second.onward(by(second, second.get(hooli+"/"), "Continue with Google")), "the second time")

	// Another account with the address does not get in by the mailbox alone: Hooli takes no codes.
	third := s.person(t, "gavin")
	pg = by(third, third.get(hooli+"/"), "Continue with GitHub")
	code := codeTo(t, mails, gavin)
	if pg = third.submit(pg, map[string]string{"code": code}); pg.Status != http.StatusConflict || !strings.Contains(pg.Text, "GitHub is not linked to your account yet") {
		t.Fatalf("GitHub, by code alone: %d %s", pg.Status, pg.Text)
	}
	// Who is signed in links it.
	pg = by(first, first.get(login("/account")), "Link GitHub")
	pg = first.onward(first.submit(pg, map[string]string{"code": codeTo(t, mails, gavin)}))
	if !slices.Contains(strings.Fields(pg.Text), "Unlink") || strings.Contains(pg.Text, "Link GitHub") {
		t.Fatalf("after linking: %d at %s: %s", pg.Status, pg.URL, pg.Text)
	}
	in(third.onward(by(third, third.get(hooli+"/"), "Continue with GitHub")), "by GitHub")

	// A reload that changes the client ends what was begun with the one before.
	fourth := s.person(t, "gavin")
	pg = fourth.onward(fourth.press(fourth.get(hooli+"/"), "Continue with Google"))
	s.change(configuration("another-client"))
	pg, err := fourth.Drive(t.Context(), pg, atGoogle, back)
	if pg = fourth.look(pg, err); pg.Status != http.StatusForbidden || !strings.Contains(pg.Text, "was switched off") {
		t.Errorf("after the reload: %d %s", pg.Status, pg.Text)
	}
}

// onward goes where a page leads by itself.
func (p *person) onward(pg *ssotest.Page) *ssotest.Page {
	p.t.Helper()
	for pg.Status == http.StatusOK && strings.HasPrefix(pg.Title, "Taking you to ") && len(pg.Links) == 1 {
		next, err := p.Follow(p.t.Context(), pg, pg.Links[0].Href)
		pg = p.look(next, err)
	}
	return pg
}
