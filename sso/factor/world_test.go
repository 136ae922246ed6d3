package factor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

const (
	jo  tenancy.UserID = "user_jo"
	flo tenancy.UserID = "user_flo"

	joMail  = "jo@acme.com"
	floMail = "flo@acme.com"
)

var operator = audit.Actor{Type: "system", Name: "orgate user reset-mfa"}

func self(u tenancy.UserID) audit.Actor { return audit.Actor{Type: "user", ID: string(u)} }

// A world is a store with two people and a clock.
type world struct {
	t     testing.TB
	s     *store.Store
	box   *seal.Box
	clock *storetest.Clock
	seen  uint64
}

func newWorld(t testing.TB) *world {
	w := blank(t)
	w.s = storetest.OpenAt(t, w.clock.Now)
	w.people()
	return w
}

// onDisk is a world whose store is opened again by reopen.
func onDisk(t testing.TB) (w *world, reopen func()) {
	w = blank(t)
	dir := t.TempDir()
	open := func() {
		e, err := badger.Open(badger.Options{Dir: dir, Now: w.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		w.s = store.New(e, store.Options{Now: w.clock.Now})
	}
	open()
	t.Cleanup(func() { w.s.Close() })
	w.people()
	return w, func() {
		if err := w.s.Close(); err != nil {
			t.Fatal(err)
		}
		open()
	}
}

func blank(t testing.TB) *world {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, box: box, clock: storetest.NewClock(time.Date(2026, 5, 1, 12, 0, 10, 0, time.UTC))}
}

func (w *world) people() {
	w.must(func(tx store.Tx) error {
		if err := tx.PutUser(tenancy.User{ID: jo, Email: joMail}); err != nil {
			return err
		}
		return tx.PutUser(tenancy.User{ID: flo, Email: floMail})
	})
	w.events()
}

func (w *world) now() time.Time { return w.clock.Now() }

func (w *world) must(f func(tx store.Tx) error) {
	w.t.Helper()
	if err := w.try(f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) try(f func(tx store.Tx) error) error {
	w.t.Helper()
	return w.s.Update(w.t.Context(), f)
}

// events returns the factor events since the last call as name and kind.
func (w *world) events() []string {
	w.t.Helper()
	var names []string
	for {
		changes, err := w.s.Feed(w.t.Context(), w.seen, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(changes) == 0 {
			return names
		}
		for _, c := range changes {
			w.seen = c.Position
			names = append(names, c.Event.Name)
		}
	}
}

func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.events(); !slices.Equal(got, want) {
		w.t.Errorf("events are %q, want %q", got, want)
	}
}

func (w *world) enrolled(u tenancy.UserID) (ms policy.Methods) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { ms, err = tx.Enrolled(u); return err })
	return ms
}

func (w *world) wantEnrolled(u tenancy.UserID, want ...policy.Method) {
	w.t.Helper()
	if got := w.enrolled(u); got != policy.MethodsOf(want...) {
		w.t.Errorf("%s has %v, want %v", u, got, policy.MethodsOf(want...))
	}
}

// totpOf returns the code that an app shows at a time.
func totpOf(t testing.TB, secret string, at time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrolTOTP gives a user an app, by the code of the step before now.
func (w *world) enrolTOTP(u tenancy.UserID) (secret string) {
	w.t.Helper()
	secret = factor.NewTOTPSecret()
	w.must(func(tx store.Tx) error {
		return factor.EnrollTOTP(tx, w.box, u, secret, totpOf(w.t, secret, w.now().Add(-30*time.Second)), self(u), w.now())
	})
	return secret
}

func (w *world) recoveryCodes(u tenancy.UserID) (codes []string) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		codes, err = factor.NewRecoveryCodes(tx, u, self(u), w.now())
		return err
	})
	return codes
}

// code asks for an e-mail code.
func (w *world) code(p factor.Purpose, email string, browser session.Token) (c factor.EmailCode, digits string) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		c, digits, err = factor.NewEmailCode(tx, p, email, "about", browser, w.now())
		return err
	})
	return c, digits
}

// use types a code.
func (w *world) use(id string, p factor.Purpose, browser session.Token, typed string) (j factor.Judged) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		j, err = factor.UseEmailCode(tx, id, p, browser, typed, w.now())
		return err
	})
	return j
}

// wrong returns six digits that are not those.
func wrong(digits string) string {
	if digits == "000000" {
		return "000001"
	}
	return "000000"
}
