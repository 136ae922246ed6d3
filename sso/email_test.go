package sso_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// changeCode is in the newest mail to an address about a change of address.
func (b *postbox) changeCode(t *testing.T, address string) string {
	t.Helper()
	mails := b.to(address)
	for i := len(mails) - 1; i >= 0; i-- {
		if m, ok := mails[i].(mail.ChangeEmailCode); ok {
			return m.Code
		}
	}
	t.Fatalf("%s has no code, but %v", address, mails)
	return ""
}

func (w *world) addressOf(id tenancy.UserID) (email string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		u, err := tx.User(id)
		email = u.Email
		return err
	})
	return email
}

// A paused store lets something happen just before the next transaction that writes: between
// what a page has looked at and what it does.
type paused struct {
	sso.Store
	first func()
}

func (p *paused) Update(ctx context.Context, f func(store.Tx) error) error {
	if g := p.first; g != nil {
		p.first = nil
		g()
	}
	return p.Store.Update(ctx, f)
}

func TestAnAddressIsGivenUpByWhoHasIt(t *testing.T) {
	// Two changes are begun; once one is made, what was proved of the old address says
	// nothing of the one in its place.
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer, generous)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	const next, other = "casey@next.test", "mallory@other.test"
	u := w.byMail(box, casey)
	toOther := u.tab().get(w.login("/account/email")).submit(map[string]string{"email": other}).sees(http.StatusOK, "Enter the code")
	toOther.submit(map[string]string{"code": box.changeCode(t, casey)}).sees(http.StatusOK, "Enter the code")
	toNext := u.tab().get(w.login("/account/email")).submit(map[string]string{"email": next})
	toNext.submit(map[string]string{"code": box.changeCode(t, casey)}).submit(map[string]string{"code": box.changeCode(t, next)})
	if is := w.addressOf("user_" + casey); is != next {
		t.Fatalf("the address is %s: %s", is, toNext.p.Text)
	}
	toOther.submit(map[string]string{"code": box.changeCode(t, other)})
	if is := w.addressOf("user_" + casey); is != next {
		t.Errorf("the address is %s, and nobody who has %s was asked", is, next)
	}
}

func TestWhoWasSignedOutMeanwhileChangesNoAddress(t *testing.T) {
	p := &paused{}
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { p.Store = o.Store; o.Store = p })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	const other = "mallory@other.test"
	u := w.byMail(box, casey).get(w.login("/account/email")).submit(map[string]string{"email": other})
	u.submit(map[string]string{"code": box.changeCode(t, casey)}).sees(http.StatusOK, "Enter the code")
	// visit writes first, as it notes that the session was used; the change is the second.
	p.first = func() { p.first = func() { w.signOut(casey) } }
	u.submit(map[string]string{"code": box.changeCode(t, other)})
	if is := w.addressOf("user_" + casey); is != casey || p.first != nil {
		t.Errorf("the address is %s, after its owner had ended all sessions: %d %s", is, u.p.Status, u.p.Text)
	}
}

func TestAPasswordThatWasChangedMeanwhileIsWrong(t *testing.T) {
	p := &paused{}
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { p.Store = o.Store; o.Store = p })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", casey, policy.Active)
	w.mayReset(box, "hooli", casey).submit(map[string]string{"password": "four words in a row"})
	w.clock.Advance(time.Minute)
	owner := w.mayReset(box, "hooli", casey)
	thief := w.browser().to("hooli", "/", casey).press("Use your password")
	// The attempt is counted in the first transaction, and the proof is added in the second.
	p.first = func() { p.first = func() { owner.submit(map[string]string{"password": "the owner's own words"}) } }
	thief.submit(map[string]string{"password": "four words in a row"}).sees(http.StatusUnprocessableEntity, "is wrong")
	if p.first != nil {
		t.Error("it was not changed meanwhile")
	}
}

func TestWrongCodesAreHeardOfWhateverTheyAreFor(t *testing.T) {
	wrong := func(code string) string { return strings.Repeat(strconv.Itoa((int(code[0]-'0')+1)%10), 6) }
	for name, guess := range map[string]func(w *world, box *postbox){
		"a sign-in": func(w *world, box *postbox) {
			u := w.browser().to("hooli", "/", casey).press("E-mail me a code")
			u.submit(map[string]string{"code": wrong(box.code(t, casey))}).sees(http.StatusUnprocessableEntity, "not the code")
		},
		"a password reset": func(w *world, box *postbox) {
			u := w.browser().to("hooli", "/", casey).press("Use your password").follow("Forgot it?").press("Send the code")
			u.submit(map[string]string{"code": wrong(box.code(t, casey))}).sees(http.StatusUnprocessableEntity, "not the code")
		},
		"a change of address": func(w *world, box *postbox) {
			u := w.byMail(box, casey).get(w.login("/account/email")).submit(map[string]string{"email": "mallory@other.test"})
			u.submit(map[string]string{"code": wrong(box.changeCode(t, casey))}).sees(http.StatusUnprocessableEntity, "not the code")
		},
		"a change of an address that is another's now": func(w *world, box *postbox) {
			u := w.byMail(box, casey)
			late := u.tab().get(w.login("/account/email")).submit(map[string]string{"email": "mallory@other.test"})
			late.submit(map[string]string{"code": box.changeCode(t, casey)})
			first := u.tab().get(w.login("/account/email")).submit(map[string]string{"email": "casey@next.test"})
			first.submit(map[string]string{"code": box.changeCode(t, casey)}).submit(map[string]string{"code": box.changeCode(t, "casey@next.test")})
			late.submit(map[string]string{"code": box.changeCode(t, "mallory@other.test")}).sees(http.StatusUnprocessableEntity, "no longer good")
		},
	} {
		t.Run(name, func(t *testing.T) {
			box, offer := local(policy.EmailCode, policy.Password)
			w := newWorld(t, offer, generous)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.member("hooli", casey, policy.Active)
			guess(w, box)
			if n := len(w.events(audit.MagicAuthFailed)); n != 1 {
				t.Errorf("%d events of one wrong code", n)
			}
		})
	}
}
