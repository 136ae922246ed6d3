package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/orgate/orgate/internal/mail/mailtest"
)

// The three stories that policies are for, each as a person lives it in a real browser, with
// a mail server that nobody here wrote.

// withFactors is a site where people without an identity provider sign in too: Acme's people
// come by its provider alone, its guests by code and second factor; Hooli's by passkey.
func withFactors(t *testing.T) (*site, *mailtest.Server) {
	t.Helper()
	mails := mailtest.Start(t, mailtest.Config{TLS: "none"})
	s := withPeople(t)
	s.stop()
	head := strings.Replace(s.head(s.badger()), "roles:\n", fmt.Sprintf(`mail: { smtp: { host: 127.0.0.1, port: %d, tls: none }, from: "Orgate <login@example.test>" }
sign_in: { methods: [email_code, passkey] }
roles:
`, mails.Port), 1)
	acme := strings.Replace(s.acme(), "    jit:", "    organization_policy: { methods: [sso, email_code], mfa: required }\n    jit:", 1)
	s.write(head + acme + `  - slug: hooli
    name: Hooli
    domains: [{ name: hooli.test, verified: true }]
    domain_policy: { methods: [passkey], auto_join: true }
`)
	s.start()
	return s, mails
}

var sixDigits = regexp.MustCompile(`\b[0-9]{3} ?[0-9]{3}\b`)

// codeTo waits for a mail to the address, and returns the code in it.
func codeTo(t *testing.T, mails *mailtest.Server, address string) string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case m := <-mails.Mails:
			if len(m.To) != 1 || m.To[0] != address {
				continue
			}
			if code := sixDigits.FindString(m.Text); code != "" {
				return code
			}
			t.Fatalf("the mail to %s has no code: %s", address, m.Text)
		case <-limit:
			t.Fatalf("no mail came to %s", address)
		}
	}
}

// fill types into the field of that name, and presses the button.
func (b *tab) fill(name, value, button string) {
	b.t.Helper()
	b.enter(name, value)
	b.click(button)
}

// enter types into the field of that name.
func (b *tab) enter(name, value string) {
	b.t.Helper()
	const script = `(() => {
		const e = document.querySelector("[name=" + %q + "]:not([type=hidden])");
		if (!e) return "";
		e.focus(); e.value = %q;
		return "there";
	})()`
	if ask(b, chromedp.Evaluate[string](fmt.Sprintf(script, name, value))) == "" {
		b.t.Fatalf("%s has no field %s:\n%s", b.where(), name, b.text())
	}
}

func TestWhoHasAnAddressAtAcmeComesByAcmesProviderWhereverTheyGo(t *testing.T) {
	s, _ := withFactors(t)
	s.stop()
	s.member("hooli", "bob@acme.test")
	s.start()
	b := chromium(t)
	// Hooli takes passkeys, and Bob is a member there: his own domain's policy binds him too.
	b.open(s.at("hooli", "/start"))
	b.shows(s.origin("login"), "Hooli")
	b.fill("email", "bob@acme.test", "Continue")
	b.shows(s.issuer, "Acme’s provider")
	b.click("Bob")
	b.shows(s.at("hooli", "/start"), "bob@acme.test")
	// The login host alone asks for nothing else.
	b.open(s.origin("login") + "/account")
	b.shows(s.origin("login")+"/account", "bob@acme.test")
}

func TestAContractorEntersAcmeByCodeAndAuthenticatorApp(t *testing.T) {
	s, mails := withFactors(t)
	s.stop()
	s.member("acme", "casey@freelance.test")
	s.start()
	b := chromium(t)
	b.open(s.at("acme", "/plans"))
	b.shows(s.origin("login"), "Acme Inc.")
	b.fill("email", "casey@freelance.test", "Continue")
	b.shows(s.origin("login"), "Choose how to sign in")
	b.click("E-mail me a code")
	b.shows(s.origin("login")+"/sign-in/code", "Enter the code")
	b.fill("code", codeTo(t, mails, "casey@freelance.test"), "Continue")
	b.shows(s.origin("login")+"/sign-in/enroll", "second factor")
	b.click("Authenticator app")
	b.shows(s.origin("login")+"/sign-in/app/new", "Or type the key")
	secret := strings.ReplaceAll(regexp.MustCompile(`(?:[A-Z2-7]{4}\s){7}[A-Z2-7]{4}`).FindString(ask(b, chromedp.Evaluate[string](`document.body.textContent`))), " ", "")
	s.secrets.add(secret)
	code, err := totp.GenerateCodeCustom(secret, time.Now(), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil || secret == "" {
		t.Fatalf("secret of %d characters: %v\n%s", len(secret), err, b.text())
	}
	b.fill("code", code, "Continue")
	b.shows(s.origin("login")+"/sign-in/app/new", "recovery codes")
	for _, c := range regexp.MustCompile(`(?:[a-z2-7]{4}-){3}[a-z2-7]{4}`).FindAllString(b.text(), -1) {
		s.secrets.add(c)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`setTimeout(() => document.querySelector("form button.primary, form button").click(), 0)`))
	b.shows(s.at("acme", "/plans"), "casey@freelance.test")
	if is, orgs := s.knows("casey@freelance.test"); !is || len(orgs) != 1 {
		t.Errorf("casey is in %v", orgs)
	}
}

func TestAStartupsPeopleJoinByDomainWithPasskeys(t *testing.T) {
	s, mails := withFactors(t)
	b := chromium(t)
	if _, err := chromedp.Call(b.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
		HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}); err != nil {
		t.Fatal(err)
	}
	b.open(s.at("hooli", "/home"))
	b.shows(s.origin("login"), "Hooli")
	b.fill("email", "gavin@hooli.test", "Continue")
	b.shows(s.origin("login"), "First time here?")
	b.click("First time here?")
	b.shows(s.origin("login")+"/sign-in/code", "Enter the code")
	b.fill("code", codeTo(t, mails, "gavin@hooli.test"), "Continue")
	b.shows(s.origin("login")+"/sign-in/passkey/new", "Set up a passkey")
	b.click("Set up a passkey")
	b.shows(s.origin("login")+"/sign-in/passkey/new", "recovery codes")
	b.do(chromedp.Evaluate[chromedp.Void](`setTimeout(() => document.querySelector("form button.primary, form button").click(), 0)`))
	b.shows(s.at("hooli", "/home"), "gavin@hooli.test")
	// He is a member now, and the next time the passkey is all that it takes.
	b.open(s.origin("login") + "/sign-out")
	b.click("Sign out")
	b.shows(s.origin("login"), "signed out")
	// The browser offers it by itself, and this one's person always agrees at once.
	b.open(s.at("hooli", "/again"))
	b.shows(s.at("hooli", "/again"), "gavin@hooli.test")
}

func TestAnInvitedPersonFollowsTheLinkInTheMail(t *testing.T) {
	s, mails := withFactors(t)
	invite := func(args ...string) (link string) {
		t.Helper()
		args = append([]string{"invite", "create", "--config", s.file, "--org", "hooli", "--email", "kim@partner.test"}, args...)
		if stdout, stderr, code := run(t, nil, args...); code != 0 || strings.Contains(stdout, "/invitations/") {
			t.Fatalf("orgate invite create: %d\n%s\n%s", code, stdout, stderr)
		}
		select {
		case m := <-mails.Mails:
			if link = regexp.MustCompile(regexp.QuoteMeta(s.origin("login")) + `/invitations/[A-Za-z0-9_-]{43}`).FindString(m.Text); link == "" || m.To[0] != "kim@partner.test" {
				t.Fatalf("the mail to %v has no link: %s", m.To, m.Text)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no mail came")
		}
		s.secrets.add(link[strings.LastIndexByte(link, '/')+1:])
		return link
	}
	link := invite() // while it runs
	b := chromium(t)
	b.open(link)
	b.shows(link, "You are invited to Hooli")
	b.click("Accept the invitation")
	b.shows(s.origin("login"), "Choose how to sign in")
	b.click("E-mail me a code")
	b.shows(s.origin("login")+"/sign-in/code", "Enter the code")
	b.fill("code", codeTo(t, mails, "kim@partner.test"), "Continue")
	b.shows(s.at("hooli", "/"), "kim@partner.test")
	b.open(link)
	b.shows(link, "This invitation can't be used")
	if is, orgs := s.knows("kim@partner.test"); !is || len(orgs) != 1 {
		t.Errorf("kim is in %v", orgs)
	}
}
