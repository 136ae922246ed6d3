package sso_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A conflicted store runs everything that writes twice, as if another replica had come in
// between: what the first run did is undone.
type conflicted struct {
	sso.Store
	// between happens after the first run, once.
	between func()
}

func (c *conflicted) Update(ctx context.Context, f func(store.Tx) error) error {
	conflict := errors.New("conflict")
	err := c.Store.Update(ctx, func(tx store.Tx) error {
		if err := f(tx); err != nil {
			return err
		}
		return conflict
	})
	if !errors.Is(err, conflict) {
		return err
	}
	if g := c.between; g != nil {
		c.between = nil
		g()
	}
	return c.Store.Update(ctx, f)
}

func TestEveryStepMayRunTwice(t *testing.T) {
	c := &conflicted{}
	box, offer := local(policy.EmailCode, policy.Password, policy.Passkey)
	w := newWorld(t, offer, generous, func(_ *world, o *sso.Options) { c.Store = o.Store; o.Store = c })
	w.organization("acme", wantsMFA)
	w.member("acme", casey, policy.Active)
	u := w.browser().to("acme", "/", casey).press("E-mail me a code").submit(map[string]string{"code": box.code(t, casey)})
	u.follow("Authenticator app")
	code := u.app()
	u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")
	codes := regexp.MustCompile(`(?:[a-z2-7]{4}-){3}[a-z2-7]{4}`).FindAllString(u.p.Body, -1)
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("acme", casey)
	// The codes that were shown are those that are kept.
	v := w.browser().to("acme", "/", casey).press("E-mail me a code").submit(map[string]string{"code": box.code(t, casey)})
	v.follow("Use a recovery code").submit(map[string]string{"code": codes[9]}).inApp("acme", casey)

	w.mayReset(box, "acme", casey).submit(map[string]string{"password": "four words in a row"})
	w.clock.Advance(time.Minute)
	x := w.browser().to("acme", "/", casey).press("Use your password").submit(map[string]string{"password": "four words in a row"})
	x.submit(map[string]string{"code": code()}).inApp("acme", casey)
	x.get(w.login("/sign-in/passkey/new?next=account")).create(w.device())
	if ms := w.enrolled(casey); ms != policy.MethodsOf(policy.Password, policy.Passkey, policy.TOTP, policy.RecoveryCode) {
		t.Errorf("there is %v", ms.List())
	}
}

func TestWhatTheFirstRunFoundIsForgotten(t *testing.T) {
	// In the first run the person may; before the second they were signed out.
	c := &conflicted{}
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, generous, func(_ *world, o *sso.Options) { c.Store = o.Store; o.Store = c })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	for name, begin := range map[string]func(*user) map[string]string{
		"app": func(u *user) map[string]string {
			return map[string]string{"code": u.get(w.login("/sign-in/app/new?next=account")).app()()}
		},
		"password": func(u *user) map[string]string {
			u.get(w.login("/sign-in/password/new?next=account"))
			return map[string]string{"password": "four words in a row"}
		},
	} {
		u := w.byMail(box, casey)
		values := begin(u)
		before := u.cookie("orgate_login")
		// visit writes first; then comes the change.
		c.between = func() { c.between = func() { w.signOut(casey) } }
		u.submit(values)
		if ms := w.enrolled(casey); ms != 0 || c.between != nil || u.cookie("orgate_login") != before {
			t.Errorf("%s: there is %v, and another session: %v; %s", name, ms.List(), u.cookie("orgate_login") != before, u.p.Text)
		}
		c.between = nil
		w.clock.Advance(time.Hour)
	}
}

func TestEachProofGivesTheSessionAnotherToken(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA)
	w.member("acme", casey, policy.Active)
	u := w.browser().to("acme", "/", casey).press("E-mail me a code")
	var tokens []string
	proved := func() {
		t.Helper()
		for _, old := range tokens {
			token, _ := session.ParseToken(old)
			w.view(func(tx store.Tx) error {
				if _, _, err := session.Live(tx, token.Hash(), "", limits, w.clock.Now()); err == nil {
					t.Error("an old token is good still")
				}
				return nil
			})
		}
		tokens = append(tokens, u.cookie("orgate_login"))
	}
	u.submit(map[string]string{"code": box.code(t, casey)})
	proved()
	u.follow("Authenticator app")
	code := u.app()
	u.submit(map[string]string{"code": code()})
	proved()
	w.clock.Advance(15 * time.Minute)
	u.get(w.login("/sign-in?fresh=1&next=account")).press("E-mail me a code").submit(map[string]string{"code": box.code(t, casey)})
	proved()
	u.submit(map[string]string{"code": code()})
	proved()
	if n := len(w.events(audit.SessionProved)); n != 3 {
		t.Errorf("%d proofs were added", n)
	}
}
