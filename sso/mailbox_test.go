package sso_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// What somebody can do who reads another person's mail, and has nothing else of theirs.

const casey = "casey@freelance.test"

// withPasskey makes Casey a guest of acme, with a passkey as the second factor.
func withPasskey(t *testing.T, methods ...policy.Method) (w *world, box *postbox, d *device, codes []string) {
	t.Helper()
	box, offer := local(append(methods, policy.EmailCode, policy.Passkey)...)
	w = newWorld(t, offer)
	w.organization("acme", wantsMFA)
	w.member("acme", casey, policy.Active)
	d = w.device()
	u := w.browser().to("acme", "/", casey).press("E-mail me a code")
	u.submit(map[string]string{"code": box.code(t, casey)}).follow("Passkey").create(d).sees(http.StatusOK, "recovery codes")
	codes = regexp.MustCompile(`(?:[a-z2-7]{4}-){3}[a-z2-7]{4}`).FindAllString(u.p.Body, -1)
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("acme", casey)
	w.clock.Advance(time.Hour)
	return w, box, d, codes
}

// byMail signs in to the login host by a code, in a new browser.
func (w *world) byMail(box *postbox, email string) *user {
	w.t.Helper()
	u := w.browser().get(w.login("/sign-in")).submit(map[string]string{"email": email})
	if u.p.URL.Path != "/sign-in/code" {
		u.press("E-mail me a code")
	}
	return u.submit(map[string]string{"code": box.code(w.t, email)})
}

// passkeysOf counts them.
func (w *world) passkeysOf(email string) (n int) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		n = 0
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		for _, err := range tx.Passkeys(u.ID) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n
}

func (w *world) enrolled(email string) (ms policy.Methods) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err == nil {
			ms, err = factor.Enrolled(tx, u.ID)
		}
		return err
	})
	return ms
}

func TestTheMailboxChangesNoFactorOfWhoHasAPasskey(t *testing.T) {
	w, box, d, codes := withPasskey(t)
	thief := w.byMail(box, casey)
	for path, shown := range map[string]string{
		"/sign-in/passkey/new?next=account":    `data-passkey="create"`,
		"/sign-in/app/new?next=account":        "Or type the key",
		"/sign-in/recovery-codes?next=account": "Make new codes",
		"/account/email":                       "New e-mail address",
	} {
		if thief.get(w.login(path)); regexp.MustCompile(shown).MatchString(thief.p.Body) {
			t.Errorf("whoever reads the mail gets on at %s: %s", path, thief.p.Text)
		}
	}
	var id string
	w.view(func(tx store.Tx) error {
		u, err := tx.UserByEmail(casey)
		for p := range tx.Passkeys(u.ID) {
			id = p.ID
		}
		return err
	})
	for path, form := range map[string]string{"/sign-in/recovery-codes": "", "/account/passkeys/remove": "passkey=" + id} {
		p, err := thief.Fetch(post(t, w.login(path), form))
		if err != nil || p.Status < 400 {
			t.Errorf("whoever reads the mail posts to %s: %v %d %s", path, err, p.Status, p.Text)
		}
	}
	if n := w.passkeysOf(casey); n != 1 {
		t.Errorf("%d passkeys", n)
	}
	if thief.get(w.at("acme", "/")); strings.Contains(thief.p.Body, "app of") {
		t.Fatal("the mailbox is a way around the passkey")
	}

	// Who has the passkey too adds another, and so does who has a recovery code.
	u := w.byMail(box, casey).get(w.login("/sign-in/passkey/new?next=account")).use(d)
	u.create(w.device())
	v := w.byMail(box, casey).get(w.login("/sign-in/passkey/new?next=account"))
	v.get(w.login("/sign-in/second?kind=recovery_code&fresh=1&next=passkey")).submit(map[string]string{"code": codes[0]}).create(w.device())
	if n := w.passkeysOf(casey); n != 3 {
		t.Errorf("%d passkeys, want 3", n)
	}
}

func TestTheMailboxSetsNoFirstPasswordOfWhoHasAPasskey(t *testing.T) {
	// hooli takes passkeys and passwords, and no code; mallory's organization takes passwords only.
	const gavin = "gavin@elsewhere.test"
	for _, slug := range []string{"hooli", "mallory"} {
		box, offer := local(policy.EmailCode, policy.Passkey, policy.Password)
		w := newWorld(t, offer)
		w.startup("hooli", func(o *tenancy.Organization) {
			o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey, policy.Password)}
		})
		w.startup("mallory", func(o *tenancy.Organization) {
			o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Password)}
		})
		w.member("hooli", gavin, policy.Active)
		u := w.browser().to("hooli", "/", gavin).press("First time here? Set up a passkey")
		u.submit(map[string]string{"code": box.code(t, gavin)}).create(w.device())
		u.press(u.p.Forms[0].Buttons[0].Label).inApp("hooli", gavin)
		w.clock.Advance(time.Hour)

		set := func(u *user) {
			if strings.Contains(u.p.Text, "Choose a password") {
				u.submit(map[string]string{"password": "four words in a row"})
			}
			if w.enrolled(gavin).Has(policy.Password) {
				t.Errorf("at %s, whoever reads the mail sets a password: %s", slug, u.p.Text)
			}
		}
		thief := w.browser().to(slug, "/", gavin)
		if slug == "hooli" {
			thief.press("Use your password")
			thief.follow("Forgot it?").press("Send the code")
			set(thief.submit(map[string]string{"code": box.code(t, gavin)}))
			continue
		}
		thief.press("First time here? Set a password")
		set(thief.submit(map[string]string{"code": box.code(t, gavin)}))
	}
}

func TestTheMailboxSetsNoFirstPasskeyOfWhoHasAPassword(t *testing.T) {
	// hooli, whose domain it is, takes passkeys and passwords; mallory's organization takes passkeys only.
	const gavin = "gavin@hooli.test"
	box, offer := local(policy.EmailCode, policy.Passkey, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey, policy.Password)}
	})
	w.startup("mallory", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey)}
	})
	w.member("hooli", gavin, policy.Active)
	u := w.browser().to("hooli", "/", gavin).press("Use your password")
	u.follow("Forgot it?").press("Send the code").submit(map[string]string{"code": box.code(t, gavin)})
	u.submit(map[string]string{"password": "four words in a row"}).submit(map[string]string{"password": "four words in a row"}).inApp("hooli", gavin)
	w.clock.Advance(time.Hour)
	for _, slug := range []string{"hooli", "mallory"} {
		thief := w.browser().to(slug, "/", gavin).press("First time here? Set up a passkey")
		thief.submit(map[string]string{"code": box.code(t, gavin)})
		if strings.Contains(thief.p.Body, `data-passkey="create"`) {
			thief.create(w.device())
		}
		if w.passkeysOf(gavin) != 0 {
			t.Errorf("at %s, whoever reads the mail sets up a passkey: %s", slug, thief.p.Text)
		}
		if thief.get(w.at("hooli", "/")); strings.Contains(thief.p.Body, "app of") {
			t.Errorf("by %s, whoever reads the mail is in", slug)
		}
	}
}

// A reset is of the address that it was asked for, and of what is asked of that address.
func TestNobodysTurnResetsAnothersPassword(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	const mallory = "mallory@elsewhere.test"
	const alice = "alice@third.test"
	w.member("hooli", mallory, policy.Active)
	w.member("hooli", alice, policy.Active)
	u := w.byMail(box, mallory)
	// A step with another's address is to be had where one's own address is changed.
	u.get(w.login("/account/email")).submit(map[string]string{"email": alice}).sees(http.StatusOK, "Enter the code")
	step := u.p.Forms[0]
	w.clock.Advance(11 * time.Minute) // now a password is one of what she is asked for
	var sealed string
	for _, f := range step.Fields {
		if f.Name == "step" {
			sealed = f.Value
		}
	}
	if sealed == "" {
		t.Fatalf("no step in %+v", step)
	}
	_, err := u.Fetch(post(t, w.login("/sign-in/password/reset?fresh=1&next=account"), "step="+sealed))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range box.to(alice) {
		if _, ok := m.(mail.ResetPassword); ok {
			t.Error("somebody else's turn has Alice sent a code to set a password with")
		}
	}
}

// Alice's own domain takes its provider's word or a passkey, and no code; evil, where she is no
// member, takes passkeys only.
func TestAnotherOrganizationsPolicyMakesNoFirstPasskeyByMail(t *testing.T) {
	const alice = "alice@acme.test"
	box, offer := local(policy.EmailCode, policy.Passkey)
	w := newWorld(t, offer)
	w.organization("acme", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO, policy.Passkey)}
	}, person("alice", "acme.test"))
	w.startup("evil", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey)}
	})
	w.browser().to("acme", "/", alice).press("Continue with acme-okta").as("alice").inApp("acme", alice)

	thief := w.browser().to("evil", "/", alice)
	if strings.Contains(thief.p.Body, "First time here?") {
		thief.press("First time here? Set up a passkey").submit(map[string]string{"code": box.code(t, alice)}).create(w.device())
	}
	if n := w.passkeysOf(alice); n != 0 {
		t.Errorf("whoever reads the mail has %d passkeys of hers", n)
	}
	if thief.get(w.at("acme", "/")); strings.Contains(thief.p.Body, "app of") {
		t.Error("whoever reads the mail is in the app of acme")
	}
}

// Acme switches its provider off, say because somebody got into that; alice may have come by a
// passkey instead, and has none.
func TestAConnectionThatIsSwitchedOffLeavesNoEasierWay(t *testing.T) {
	const alice = "alice@acme.test"
	box, offer := local(policy.EmailCode, policy.Passkey)
	w := newWorld(t, offer)
	w.organization("acme", func(o *tenancy.Organization) {
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO, policy.Passkey)}
	}, person("alice", "acme.test"))
	w.browser().to("acme", "/", alice).press("Continue with acme-okta").as("alice").inApp("acme", alice)
	w.changeConnection("acme", func(c *tenancy.Connection) { c.Disabled = true })
	thief := w.browser().to("acme", "/", alice)
	if strings.Contains(thief.p.Body, "First time here?") {
		thief.press("First time here? Set up a passkey").submit(map[string]string{"code": box.code(t, alice)}).create(w.device())
	}
	if n := w.passkeysOf(alice); n != 0 {
		t.Errorf("whoever reads the mail has %d passkeys of hers", n)
	}
	if thief.get(w.at("acme", "/")); strings.Contains(thief.p.Body, "app of") {
		t.Error("whoever reads the mail is in the app of acme")
	}
}

// The code that whoever comes for the first time is sent is to set something up on, and no
// way in by itself: not where no policy says so, either, but the installation.
func TestTheMailboxIsNoWayInWhereNoCodesAreOffered(t *testing.T) {
	box, offer := local(policy.Passkey)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	u := w.browser().to("hooli", "/", casey).press("First time here? Set up a passkey")
	u.submit(map[string]string{"code": box.code(t, casey)}).sees(http.StatusOK, "Set up a passkey")
	u.create(w.device())
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("hooli", casey)

	thief := w.browser().to("hooli", "/", casey).press("First time here? Set up a passkey")
	thief.submit(map[string]string{"code": box.code(t, casey)})
	if thief.get(w.at("hooli", "/")); strings.Contains(thief.p.Body, "app of") {
		t.Error("whoever reads the mail is in")
	}
	if thief.get(w.login("/account")); thief.p.Status == http.StatusOK {
		t.Errorf("whoever reads the mail sees the account: %s", thief.p.Text)
	}
}
