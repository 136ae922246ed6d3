package sso_test

import (
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/argon2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/passkey"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A postbox is where mails go in place of the queue.
type postbox struct {
	mu    sync.Mutex
	mails map[string][]mail.Composer
}

// Put implements sso.Mail.
func (b *postbox) Put(_ outbox.Tx, to string, m mail.Composer, _ text.Locale, _, _ time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mails == nil {
		b.mails = map[string][]mail.Composer{}
	}
	b.mails[to] = append(b.mails[to], m)
	return nil
}

func (b *postbox) to(address string) []mail.Composer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mails[address]
}

// code is in the newest mail to an address.
func (b *postbox) code(t testing.TB, address string) string {
	t.Helper()
	mails := b.to(address)
	for i := len(mails) - 1; i >= 0; i-- {
		switch m := mails[i].(type) {
		case mail.SignInCode:
			return m.Code
		case mail.ResetPassword:
			return m.Code
		case mail.LinkCode:
			return m.Code
		case mail.ProfileCode:
			return m.Code
		}
	}
	t.Fatalf("%s has no code, but %v", address, mails)
	return ""
}

// local offers local methods beside SSO; the mails are in the postbox that it returns.
func local(ms ...policy.Method) (*postbox, option) {
	box := &postbox{}
	return box, func(w *world, o *sso.Options) {
		w.offered = policy.MethodsOf(append(ms, policy.SSO, policy.TOTP, policy.RecoveryCode)...)
		o.Offered, o.Mail = w.offered, box
		id, origin, err := passkey.FromURL(o.PublicURL)
		if err != nil {
			w.t.Fatal(err)
		}
		if o.Passkeys, err = passkey.New(passkey.Options{RPID: id, RPName: "the test", Origins: []string{origin}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// startup makes an organization without an identity provider.
func (w *world) startup(slug string, edit func(*tenancy.Organization)) {
	w.t.Helper()
	o := tenancy.Organization{ID: org(slug), Slug: tenancy.Slug(slug), Name: strings.ToUpper(slug[:1]) + slug[1:], CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	edit(&o)
	w.update(func(tx store.Tx) error {
		if err := tx.PutOrganization(o); err != nil {
			return err
		}
		return tx.PutDomain(tenancy.Domain{ID: tenancy.DomainID("org_domain_" + slug), Organization: o.ID, Name: slug + ".test", State: tenancy.DomainVerified, Strategy: "manual", CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()})
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orgs[w.host(slug)] = o.ID
}

// wantsMFA is the policy of an organization that asks its guests for a code and a second
// factor.
func wantsMFA(o *tenancy.Organization) {
	o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO, policy.EmailCode, policy.Password), MFA: true}
	o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
}

// app reads the secret of an authenticator app off the page, and keeps making its codes.
func (u *user) app() (code func() string) {
	u.w.t.Helper()
	m := regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`).FindString(u.p.Body)
	if m == "" {
		u.w.t.Fatalf("no secret on %s:\n%s", u.p.URL, u.p.Text)
	}
	secret := strings.ReplaceAll(m, " ", "")
	return func() string {
		c, err := totp.GenerateCodeCustom(secret, u.w.clock.Now(), totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			u.w.t.Fatal(err)
		}
		return c
	}
}

// follow goes where a link leads.
func (u *user) follow(label string) *user {
	u.w.t.Helper()
	for _, l := range u.p.Links {
		if strings.HasPrefix(l.Label, label) {
			p, err := u.Follow(u.w.t.Context(), u.p, l.Href)
			return u.did(p, err)
		}
	}
	u.w.t.Fatalf("no link %q on %s:\n%s", label, u.p.URL, u.p.Text)
	return nil
}

// A device holds passkeys.
type device struct {
	site virtualwebauthn.RelyingParty
	auth virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
}

func (w *world) device() *device {
	d := &device{site: virtualwebauthn.RelyingParty{ID: "login.localhost", Name: "x", Origin: w.login("")}, key: virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)}
	for len(d.key.Key.AttestationData()) != 77 { // it drops zeros at the beginning of a coordinate
		d.key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	d.auth = virtualwebauthn.NewAuthenticator()
	return d
}

func (u *user) options() string {
	u.w.t.Helper()
	m := regexp.MustCompile(`data-passkey-options="([^"]*)"`).FindStringSubmatch(u.p.Body)
	if m == nil {
		u.w.t.Fatalf("no passkey is asked for on %s:\n%s", u.p.URL, u.p.Text)
	}
	return html.UnescapeString(m[1])
}

// create sets up a passkey on the device.
func (u *user) create(d *device) *user {
	u.w.t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(u.options())
	if err != nil {
		u.w.t.Fatal(err)
	}
	d.auth.Options.UserHandle = []byte(asked.UserID)
	return u.submit(map[string]string{"credential": virtualwebauthn.CreateAttestationResponse(d.site, d.auth, d.key, *asked), "name": "Laptop"})
}

// use uses the device's passkey.
func (u *user) use(d *device) *user {
	u.w.t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(u.options())
	if err != nil {
		u.w.t.Fatal(err)
	}
	d.key.Counter++
	return u.submit(map[string]string{"credential": virtualwebauthn.CreateAssertionResponse(d.site, d.auth, d.key, *asked)})
}

func TestAGuestComesByCodeAndSecondFactor(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA)
	w.member("acme", "casey@freelance.test", policy.Active)

	u := w.browser().to("acme", "/plans", "casey@freelance.test").press("E-mail me a code").sees(http.StatusOK, "Enter the code")
	u.submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).sees(http.StatusOK, "second factor")
	// The first proof alone opens nothing: not the organization, and not another page.
	u.get(w.at("acme", "/plans")).sees(http.StatusOK, "second factor")
	u.follow("Authenticator app").sees(http.StatusOK)
	code := u.app()
	u.submit(map[string]string{"code": "000000"}).sees(http.StatusUnprocessableEntity, "That code is not right")
	u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")
	codes := regexp.MustCompile(`(?:[a-z2-7]{4}-){3}[a-z2-7]{4}`).FindAllString(u.p.Body, -1)
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("acme", "casey@freelance.test").sees(http.StatusOK, "at /plans")

	// In another browser, both are asked for; a code of the app works once.
	w.clock.Advance(time.Minute)
	v := w.browser().to("acme", "/", "casey@freelance.test").press("E-mail me a code")
	v.submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).sees(http.StatusOK)
	shown := code()
	v.submit(map[string]string{"code": shown}).inApp("acme", "casey@freelance.test")
	x := w.browser().to("acme", "/", "casey@freelance.test").press("E-mail me a code")
	x.submit(map[string]string{"code": box.code(t, "casey@freelance.test")})
	x.submit(map[string]string{"code": shown}).sees(http.StatusUnprocessableEntity, "each works once")
	// A recovery code stands in, once.
	x.follow("Use a recovery code").submit(map[string]string{"code": codes[3]}).inApp("acme", "casey@freelance.test")
	y := w.browser().to("acme", "/", "casey@freelance.test").press("E-mail me a code")
	y.submit(map[string]string{"code": box.code(t, "casey@freelance.test")})
	y.follow("Use a recovery code").submit(map[string]string{"code": codes[3]}).sees(http.StatusUnprocessableEntity, "used before")
	if n := len(w.events(audit.MFASucceeded)); n != 3 {
		t.Errorf("%d second factors", n)
	}
}

// tabInto goes to a tenant host in a second tab.
func (w *world) tabInto(u *user, slug string) *user { return u.tab().get(w.at(slug, "/")) }

func TestWhoIsBoundToSSOComesByNothingElse(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password, policy.Passkey)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA, person("alice", "acme.test"))
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	w.member("hooli", "alice@acme.test", policy.Active)
	// Wherever Alice goes, her domain's provider is where she is sent.
	for _, slug := range []string{"acme", "hooli"} {
		u := w.browser().to(slug, "/", "alice@acme.test").sees(http.StatusOK, "Who do you want to be")
		u.as("alice").inApp(slug, "alice@acme.test")
	}
	w.browser().get(w.login("/sign-in")).submit(map[string]string{"email": "alice@acme.test"}).sees(http.StatusOK, "Who do you want to be")
	if mails := box.to("alice@acme.test"); len(mails) > 0 {
		t.Errorf("she was mailed %v", mails)
	}
}

func TestAStartupJoinsByDomainWithPasskeys(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Passkey)
	w := newWorld(t, offer)
	w.startup("hooli", func(o *tenancy.Organization) {
		o.AutoJoin = true
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Passkey)}
	})
	u := w.browser().to("hooli", "/", "gavin@hooli.test").sees(http.StatusOK, "Use a passkey")
	u.press("First time here? Set up a passkey").sees(http.StatusOK, "Enter the code")
	u.submit(map[string]string{"code": box.code(t, "gavin@hooli.test")}).sees(http.StatusOK, "Set up a passkey")
	// The code alone opens nothing.
	u.get(w.at("hooli", "/")).sees(http.StatusOK, "Set up a passkey")
	d := w.device()
	u.create(d).sees(http.StatusOK, "recovery codes")
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("hooli", "gavin@hooli.test")

	// From then on the passkey alone, without an address.
	v := w.browser().get(w.at("hooli", "/again")).sees(http.StatusOK, "Sign in with a passkey")
	v.use(d).inApp("hooli", "gavin@hooli.test").sees(http.StatusOK, "at /again")

	// The mailbox is no way around the passkey that is there.
	thief := w.browser().to("hooli", "/", "gavin@hooli.test")
	thief.press("First time here? Set up a passkey").submit(map[string]string{"code": box.code(t, "gavin@hooli.test")})
	thief.get(w.login("/sign-in/passkey/new"))
	if strings.Contains(thief.p.Body, `data-passkey="create"`) {
		t.Fatal("whoever reads the mail may add a passkey")
	}
	thief.get(w.at("hooli", "/"))
	if strings.Contains(thief.p.Body, "app of") {
		t.Fatal("whoever reads the mail is in")
	}
}

// TestAPasswordIsHashedAnewAtTodaysCost: one that was hashed when less was thought enough.
func TestAPasswordIsHashedAnewAtTodaysCost(t *testing.T) {
	_, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	const chosen = "four words in a row"
	b := base64.RawStdEncoding
	salt := []byte("sixteen bytes of")
	old := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", b.EncodeToString(salt), b.EncodeToString(argon2.IDKey([]byte(chosen), salt, 1, 8192, 1, 32)))
	set := w.clock.Now().UTC()
	w.update(func(tx store.Tx) error {
		return tx.PutPassword(factor.Password{User: "user_" + casey, Hash: old, CreatedAt: set, UpdatedAt: set})
	})
	kept := func() (p factor.Password) {
		w.update(func(tx store.Tx) (err error) { p, err = tx.Password("user_" + casey); return err })
		return p
	}
	w.clock.Advance(time.Hour)
	u := w.browser().to("hooli", "/", casey).press("Use your password")
	u.submit(map[string]string{"password": "not that one at all"}).sees(http.StatusUnprocessableEntity, "wrong")
	if p := kept(); p.Hash != old {
		t.Fatal("hashed anew by a wrong one")
	}
	u.submit(map[string]string{"password": chosen}).inApp("hooli", casey)
	p := kept()
	if p.Hash == old || factor.Outdated(p.Hash) || !factor.MatchPassword(p.Hash, chosen) || !p.UpdatedAt.Equal(set) {
		t.Errorf("%+v", p)
	}
}

func TestPasswordsAreSetByCodeAndSignIn(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	const chosen = "four words in a row"
	u := w.browser().to("hooli", "/", "gavin@hooli.test").press("Use your password").sees(http.StatusOK, "password")
	u.follow("Forgot it?").press("Send the code").sees(http.StatusOK, "Enter the code")
	u.submit(map[string]string{"code": box.code(t, "gavin@hooli.test")}).sees(http.StatusOK, "Choose a password")
	u.submit(map[string]string{"password": "short"}).sees(http.StatusUnprocessableEntity, "at least 15")
	u.submit(map[string]string{"password": chosen}).sees(http.StatusOK, "password")
	u.submit(map[string]string{"password": "not that one at all"}).sees(http.StatusUnprocessableEntity, "The address or the password is wrong.")
	u.submit(map[string]string{"password": chosen})
	// The domain's auto-join asks that this session has proved the address.
	w.member("hooli", "gavin@hooli.test", policy.Active)
	u.get(w.at("hooli", "/")).inApp("hooli", "gavin@hooli.test")

	// Nobody's password is wrong in the same words.
	v := w.browser().to("hooli", "/", "nobody@hooli.test").press("Use your password")
	v.submit(map[string]string{"password": chosen}).sees(http.StatusUnprocessableEntity, "The address or the password is wrong.")

	// A new one ends what was signed in by the old one.
	x := w.browser().to("hooli", "/", "gavin@hooli.test").press("Use your password").follow("Forgot it?").press("Send the code")
	x.submit(map[string]string{"code": box.code(t, "gavin@hooli.test")}).submit(map[string]string{"password": "another four words here"})
	u.get(w.at("hooli", "/")).sees(http.StatusOK, "Sign in")
	y := w.browser().to("hooli", "/", "gavin@hooli.test").press("Use your password")
	y.submit(map[string]string{"password": chosen}).sees(http.StatusUnprocessableEntity)
	y.submit(map[string]string{"password": "another four words here"}).inApp("hooli", "gavin@hooli.test")
}

func TestACodeIsGoodOnceInItsBrowserForItsTime(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	const gavin = "gavin@hooli.test"
	u := w.browser().to("hooli", "/", gavin).sees(http.StatusOK, "Enter the code")
	code := box.code(t, gavin)

	// In another browser, with the whole page of the first one.
	other := w.browser()
	other.p = u.p
	p, err := other.Submit(t.Context(), u.p, map[string]string{"code": code})
	if err != nil || p.Status < 400 && !strings.Contains(p.Text, "e-mail address") {
		t.Fatalf("another browser: %v %d %s", err, p.Status, p.Text)
	}
	back := u.tab()
	back.p = u.p
	u.submit(map[string]string{"code": code[:3] + " " + code[3:]}).inApp("hooli", gavin)
	w.update(func(tx store.Tx) error { // sign out, so that the page would have a use
		usr, err := tx.UserByEmail(gavin)
		if err != nil {
			return err
		}
		return session.EndAll(tx, usr.ID, "", audit.System, w.clock.Now())
	})
	back.submit(map[string]string{"code": code}).sees(http.StatusUnprocessableEntity, "no longer good")

	late := w.browser().to("hooli", "/", gavin)
	code = box.code(t, gavin)
	w.clock.Advance(11 * time.Minute)
	late.submit(map[string]string{"code": code}).sees(http.StatusUnprocessableEntity, "no longer good")

	w.clock.Advance(time.Minute)
	const dinesh = "dinesh@hooli.test"
	guess := w.browser().to("hooli", "/", dinesh)
	code = box.code(t, dinesh)
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	for range 5 {
		guess.submit(map[string]string{"code": wrong}).sees(http.StatusUnprocessableEntity)
	}
	if guess.submit(map[string]string{"code": code}); guess.p.Status < 400 {
		t.Fatalf("the sixth try: %d %s", guess.p.Status, guess.p.Text)
	}
}

func TestTheSameIsSaidOfEveryAddress(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { w.rules.InvitationOnly = true; o.Rules = w.rules })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "gavin@elsewhere.test", policy.Active)
	pages := map[string]string{}
	for _, email := range []string{"gavin@elsewhere.test", "nobody@elsewhere.test"} {
		u := w.browser().to("hooli", "/", email).press("E-mail me a code").sees(http.StatusOK, "Enter the code")
		pages[email] = strings.ReplaceAll(u.p.Text, email, "ADDRESS")
	}
	if pages["gavin@elsewhere.test"] != pages["nobody@elsewhere.test"] {
		t.Errorf("%q\nis not\n%q", pages["gavin@elsewhere.test"], pages["nobody@elsewhere.test"])
	}
	if _, ok := box.to("nobody@elsewhere.test")[0].(mail.NoAccount); !ok {
		t.Errorf("nobody was mailed %v", box.to("nobody@elsewhere.test"))
	}
}

func TestPagesOutOfOrderSkipNothing(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password, policy.Passkey)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA)
	w.member("acme", "casey@freelance.test", policy.Active)
	paths := []string{"/sign-in/ways", "/sign-in/code", "/sign-in/password", "/sign-in/password/reset", "/sign-in/password/new", "/sign-in/passkey", "/sign-in/passkey/new", "/sign-in/second", "/sign-in/enroll", "/sign-in/app/new", "/sign-in/recovery-codes", "/account"}
	for _, path := range paths {
		u := w.browser().get(w.login(path))
		if u.p.Status < 400 && !strings.Contains(u.p.Text, "E-mail address") && path != "/sign-in/passkey" {
			t.Errorf("a stranger at %s sees %d %s", path, u.p.Status, u.p.Text)
		}
		p, err := u.Fetch(post(t, w.login(path), "code=123456&password=four+words+in+a+row&credential=%7B%7D"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(p.Text, "recovery codes") || p.Status < 300 && strings.Contains(p.Text, "app of") {
			t.Errorf("a stranger who posts to %s sees %d %s", path, p.Status, p.Text)
		}
	}
	// With the first factor of somebody whose organization asks for a second.
	u := w.browser().to("acme", "/", "casey@freelance.test").press("E-mail me a code")
	u.submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).sees(http.StatusOK, "second factor")
	for _, path := range append(paths, "/organizations", "/sign-in/go-on") {
		u.tab().get(w.login(path))
		if v := w.tabInto(u, "acme"); strings.Contains(v.p.Body, "app of") {
			t.Fatalf("after %s the first factor is enough", path)
		}
	}
}

func post(t *testing.T, to, form string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "text/html")
	return r
}

func TestWhoRegistersAVictimsAddressFirstGainsNothing(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password, policy.Passkey)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "victim@elsewhere.test", policy.Active)
	// Whatever an account has whose address nobody has proved is somebody else's.
	var mallory session.Token
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail("victim@elsewhere.test")
		if err != nil {
			return err
		}
		u.EmailVerified = false
		if err := tx.PutUser(u); err != nil {
			return err
		}
		if err := plant(tx, u.ID, w.clock.Now()); err != nil {
			return err
		}
		_, mallory, err = session.Begin(tx, u.ID, policy.Proof{Method: policy.Password, At: w.clock.Now()}, nil, "", session.Browser{}, limits, w.clock.Now())
		return err
	})
	u := w.browser().to("hooli", "/", "victim@elsewhere.test").press("E-mail me a code")
	u.submit(map[string]string{"code": box.code(t, "victim@elsewhere.test")}).inApp("hooli", "victim@elsewhere.test")
	w.view(func(tx store.Tx) error {
		v, err := tx.UserByEmail("victim@elsewhere.test")
		if err != nil {
			return err
		}
		if ms, err := tx.Enrolled(v.ID); err != nil || ms != 0 {
			t.Errorf("of what was planted there is %v, %v", ms, err)
		}
		if _, _, err := session.Live(tx, mallory.Hash(), "", limits, w.clock.Now()); err == nil {
			t.Error("the stranger is signed in still")
		}
		return nil
	})
}

func TestSecondFactorsAreAPersonsOwn(t *testing.T) {
	// Somebody who set up an authenticator app is asked for it where no policy does.
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(o *tenancy.Organization) { o.AutoJoin = true })
	u := w.browser().to("hooli", "/", "gavin@hooli.test")
	u.submit(map[string]string{"code": box.code(t, "gavin@hooli.test")}).inApp("hooli", "gavin@hooli.test")
	u.get(w.login("/sign-in/app/new?next=account")).sees(http.StatusOK)
	code := u.app()
	u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")
	w.clock.Advance(time.Minute)
	v := w.browser().to("hooli", "/", "gavin@hooli.test")
	v.submit(map[string]string{"code": box.code(t, "gavin@hooli.test")}).sees(http.StatusOK, "authenticator")
	v.submit(map[string]string{"code": code()}).inApp("hooli", "gavin@hooli.test")
	// And after a while they are asked anew before anything about it changes.
	w.clock.Advance(11 * time.Minute)
	v.get(w.login("/sign-in/recovery-codes?next=account"))
	if strings.Contains(v.p.Text, "Make new codes") {
		t.Error("an unlocked browser is enough to make recovery codes")
	}
}
