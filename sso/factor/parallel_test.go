package factor_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
)

// atOnce runs f fifty times at once, each in a transaction of its own, and returns how often
// it did and did not succeed. refused are the errors that there may be.
func (w *world) atOnce(f func(tx store.Tx, i int) error, refused ...error) (won, lost int64) {
	w.t.Helper()
	var wg sync.WaitGroup
	var yes, no atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			var said error
			err := w.s.Update(w.t.Context(), func(tx store.Tx) error {
				said = f(tx, i)
				for _, r := range refused {
					if errors.Is(said, r) {
						return nil // commits
					}
				}
				return said
			})
			switch {
			case err != nil:
				w.t.Error(err)
			case said == nil:
				yes.Add(1)
			default:
				no.Add(1)
			}
		})
	}
	wg.Wait()
	return yes.Load(), no.Load()
}

func TestOfFiftyAtOnceOneUsesACode(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	secret := w.enrolTOTP(jo)
	code := totpOf(t, secret, w.now())
	recovery := w.recoveryCodes(jo)
	for what, f := range map[string]func(tx store.Tx, i int) error{
		"an e-mail code": func(tx store.Tx, _ int) error {
			j, err := factor.UseEmailCode(tx, c.ID, factor.ForSignIn, browser, digits, w.now())
			return errors.Join(err, j.Refused)
		},
		"a TOTP code": func(tx store.Tx, _ int) error { return factor.UseTOTP(tx, w.box, jo, code, w.now()) },
		"a recovery code": func(tx store.Tx, _ int) error {
			_, err := factor.UseRecoveryCode(tx, jo, recovery[3], w.now())
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			if won, lost := w.atOnce(f, factor.ErrWrong, factor.ErrSpent); won != 1 || lost != 49 {
				t.Errorf("%d used it and %d did not", won, lost)
			}
		})
	}
	// And ten different ones, by five each, are ten.
	recovery = w.recoveryCodes(jo)
	if won, lost := w.atOnce(func(tx store.Tx, i int) error {
		_, err := factor.UseRecoveryCode(tx, jo, recovery[i%10], w.now())
		return err
	}, factor.ErrWrong); won != 10 || lost != 40 {
		t.Errorf("%d of ten recovery codes were used, %d times not", won, lost)
	}
}

func TestFiftyWrongGuessesAtOnceAreNoMoreThanThereMayBe(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	c, digits := w.code(factor.ForSignIn, joMail, browser)
	secret := w.enrolTOTP(jo)
	w.atOnce(func(tx store.Tx, _ int) error {
		j, err := factor.UseEmailCode(tx, c.ID, factor.ForSignIn, browser, wrong(digits), w.now())
		return errors.Join(err, j.Refused)
	}, factor.ErrWrong, factor.ErrSpent)
	w.must(func(tx store.Tx) error {
		row, err := tx.EmailCode(c.ID)
		if row.Tries != factor.EmailCodeTries {
			t.Errorf("%d tries are counted, want %d", row.Tries, factor.EmailCodeTries)
		}
		return err
	})
	if j := w.use(c.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the right one, after them: %v", j.Refused)
	}

	var mu sync.Mutex
	outcomes := map[int]tried{}
	w.atOnce(func(tx store.Tx, i int) error {
		got, err := try(tx, guesses, string(jo), w.now(), func() error {
			return factor.UseTOTP(tx, w.box, jo, wrong(totpOf(t, secret, w.now())), w.now())
		})
		mu.Lock()
		defer mu.Unlock()
		outcomes[i] = got // in place of that of an earlier run
		return err
	})
	waited := 0
	for _, got := range outcomes {
		if got.wait > 0 {
			waited++
		}
	}
	if waited != 50-guesses.Free {
		t.Errorf("%d of 50 guesses were judged, want %d", 50-waited, guesses.Free)
	}
	mails := factor.Bucket{Scope: "mail", Size: 7, Every: time.Minute}
	wait := errors.New("wait")
	if won, lost := w.atOnce(func(tx store.Tx, _ int) error {
		d, err := mails.Take(tx, joMail, w.now())
		if err == nil && d > 0 {
			err = wait
		}
		return err
	}, wait); won != 7 || lost != 43 {
		t.Errorf("%d mails of %d", won, mails.Size)
	}
}

// Asking at once, in ten tabs, leaves one live code.
func TestOfFiftyRequestsAtOnceOneCodeIsLive(t *testing.T) {
	w := newWorld(t)
	browser := session.NewToken()
	ids := make([]string, 50)
	digits := make([]string, 50)
	w.atOnce(func(tx store.Tx, i int) error {
		c, d, err := factor.NewEmailCode(tx, factor.ForSignIn, joMail, "", browser, w.now())
		ids[i], digits[i] = c.ID, d
		return err
	})
	good := 0
	for i := range ids {
		if w.use(ids[i], factor.ForSignIn, browser, digits[i]).Refused == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("%d of fifty codes are good", good)
	}
}

func TestCountsHoldAfterARestart(t *testing.T) {
	w, reopen := onDisk(t)
	browser := session.NewToken()
	spent, digits := w.code(factor.ForSignIn, joMail, browser)
	w.use(spent.ID, factor.ForSignIn, browser, digits)
	tried, right := w.code(factor.ForPasswordReset, joMail, browser)
	for range factor.EmailCodeTries - 1 {
		w.use(tried.ID, factor.ForPasswordReset, browser, wrong(right))
	}
	secret := w.enrolTOTP(jo)
	code := totpOf(t, secret, w.now())
	if err := w.useTOTP(jo, code); err != nil {
		t.Fatal(err)
	}
	recovery := w.recoveryCodes(jo)
	if _, err := w.useRecovery(jo, recovery[0]); err != nil {
		t.Fatal(err)
	}
	for range guesses.Free {
		w.attempt(guesses, "jo")
	}
	mails := factor.Bucket{Scope: "mail", Size: 1, Every: time.Hour}
	w.take(mails, joMail, w.now())

	reopen()
	if j := w.use(spent.ID, factor.ForSignIn, browser, digits); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the e-mail code that was used: %v", j.Refused)
	}
	if err := w.useTOTP(jo, code); !errors.Is(err, factor.ErrWrong) {
		t.Errorf("the TOTP code that was used: %v", err)
	}
	if left, err := w.useRecovery(jo, recovery[0]); !errors.Is(err, factor.ErrWrong) || left != 9 {
		t.Errorf("the recovery code that was used: %d left, %v", left, err)
	}
	if wait := w.attempt(guesses, "jo"); wait != guesses.Base {
		t.Errorf("wait %v", wait)
	}
	if wait := w.take(mails, joMail, w.now()); wait != time.Hour {
		t.Errorf("mails: wait %v", wait)
	}
	if j := w.use(tried.ID, factor.ForPasswordReset, browser, wrong(right)); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the fifth wrong one: %v", j.Refused)
	}
	if j := w.use(tried.ID, factor.ForPasswordReset, browser, right); !errors.Is(j.Refused, factor.ErrSpent) {
		t.Errorf("the right one, after five wrong: %v", j.Refused)
	}
}
