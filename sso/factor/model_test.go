package factor_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A model is what two people have and what two browsers may still use, told by what was
// done and when, and by nothing in the store.
type model struct {
	people map[tenancy.UserID]*modelPerson
	codes  []*modelCode
	owners map[string]tenancy.UserID // of passkeys
}

type modelPerson struct {
	id       tenancy.UserID
	email    string
	password string
	secret   string // of the app; empty: none
	shown    []string
	step     int64 // of the last code that was accepted
	recovery []string
	// paper: there is a row of recovery codes, if only with none left in it.
	paper    bool
	passkeys map[string]bool
	attempts int
	last     time.Time
}

type modelCode struct {
	id, digits string
	browser    session.Token
	purpose    factor.Purpose
	email      string
	made       time.Time
	tries      int
	ended      bool
}

func (c *modelCode) live(now time.Time) bool {
	return !c.ended && c.tries < 5 && now.Sub(c.made) < 10*time.Minute
}

func (p *modelPerson) enrolled() policy.Methods {
	var ms policy.Methods
	if p.password != "" {
		ms |= policy.MethodsOf(policy.Password)
	}
	if p.secret != "" {
		ms |= policy.MethodsOf(policy.TOTP)
	}
	if len(p.recovery) > 0 {
		ms |= policy.MethodsOf(policy.RecoveryCode)
	}
	if len(p.passkeys) > 0 {
		ms |= policy.MethodsOf(policy.Passkey)
	}
	return ms
}

// pause is the model's own reading of what a Backoff promises.
func (p *modelPerson) pause(now time.Time) bool {
	if p.attempts > 0 && now.Sub(p.last) >= guesses.Forget {
		p.attempts = 0
	}
	if p.attempts < guesses.Free {
		return false
	}
	pause := guesses.Base << min(p.attempts-guesses.Free, 20)
	return now.Sub(p.last) < min(pause, guesses.Max)
}

func TestNoProofIsEverGoodThatTheModelSaysIsNot(t *testing.T) {
	for seed := range uint64(16) {
		runModel(t, seed, 250)
	}
}

func runModel(t *testing.T, seed uint64, steps int) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 3))
	w := newWorld(t)
	mo := model{people: map[tenancy.UserID]*modelPerson{}, owners: map[string]tenancy.UserID{}}
	for id, email := range map[tenancy.UserID]string{jo: joMail, flo: floMail} {
		mo.people[id] = &modelPerson{id: id, email: email, passkeys: map[string]bool{}}
	}
	browsers := []session.Token{session.NewToken(), session.NewToken()}
	purposes := []factor.Purpose{factor.ForSignIn, factor.ForPasswordReset, factor.ForNewAddress}
	passkeys := 0
	all := []*modelPerson{mo.people[jo], mo.people[flo]}

	for step := range steps {
		p, other := all[0], all[1]
		if rnd.IntN(2) == 0 {
			p, other = other, p
		}
		browser := browsers[rnd.IntN(2)]
		var want error
		var events []string
		var f func(tx store.Tx) error
		now := w.now()
		by := self(p.id)
		what := ""
		switch rnd.IntN(16) {
		case 0:
			what = "set a password"
			word := fmt.Sprintf("password %d", rnd.IntN(3))
			events = []string{audit.FactorChanged}
			if p.password == "" {
				events = []string{audit.FactorEnrolled}
			}
			p.password = word
			f = func(tx store.Tx) error { return factor.SetPassword(tx, p.id, factor.HashCheaply(word), by, now) }
		case 1:
			what = "prove a password"
			word := fmt.Sprintf("password %d", rnd.IntN(3))
			if p.password == "" || p.password != word {
				want = factor.ErrWrong
			}
			f = func(tx store.Tx) error {
				row, err := tx.Password(p.id)
				if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
					return err
				}
				if !factor.MatchPassword(cheap(row.Hash), word) || row.Hash == "" {
					return factor.ErrWrong
				}
				return nil
			}
		case 2, 3:
			what = "enrol an app"
			secret := factor.NewTOTPSecret()
			offset := int64(rnd.IntN(5) - 2)
			code := totpOf(t, secret, now.Add(time.Duration(offset)*30*time.Second))
			switch {
			case p.secret != "":
				want = factor.ErrExists
			case offset < -1 || offset > 1:
				want = factor.ErrWrong
			default:
				events = []string{audit.FactorEnrolled}
				p.secret, p.step, p.shown = secret, now.Unix()/30+offset, []string{code}
			}
			f = func(tx store.Tx) error { return factor.EnrollTOTP(tx, w.box, p.id, secret, code, by, now) }
		case 4, 5, 6:
			what = "prove an app"
			offset := int64(rnd.IntN(5) - 2)
			of := p
			if rnd.IntN(5) == 0 && other.secret != "" {
				of = other // somebody else's app
			}
			code := "000000"
			if of.secret != "" {
				code = totpOf(t, of.secret, now.Add(time.Duration(offset)*30*time.Second))
			}
			if n := len(of.shown); n > 0 && rnd.IntN(3) == 0 {
				code, offset = of.shown[rnd.IntN(n)], 100 // one that was accepted once
			}
			waits := p.pause(now)
			at := now.Unix()/30 + offset
			good := p.secret != "" && of == p && offset >= -1 && offset <= 1 && at > p.step
			switch {
			case waits:
				want = errWait
			case p.secret == "":
				want = factor.ErrNone
			case !good:
				want = factor.ErrWrong
			}
			if !waits {
				p.attempts++
				p.last = now
				if good {
					p.attempts, p.step = 0, at
					p.shown = append(p.shown, code)
				}
			}
			f = func(tx store.Tx) error {
				return outcome(try(tx, guesses, string(p.id), now, func() error { return factor.UseTOTP(tx, w.box, p.id, code, now) }))
			}
		case 7:
			what = "make recovery codes"
			if p.secret == "" && len(p.passkeys) == 0 {
				want = factor.ErrNone
			} else {
				events = []string{audit.RecoveryCodesCreated}
			}
			f = func(tx store.Tx) error {
				codes, err := factor.NewRecoveryCodes(tx, p.id, by, now)
				if err == nil {
					p.recovery, p.paper = codes, true
				}
				return err
			}
		case 8:
			what = "prove a recovery code"
			of := p
			if rnd.IntN(4) == 0 {
				of = other
			}
			code := "aaaa-aaaa-aaaa-aaaa"
			if len(of.recovery) > 0 {
				code = of.recovery[rnd.IntN(len(of.recovery))]
			}
			i := slices.Index(p.recovery, code)
			if i < 0 {
				want = factor.ErrWrong // or ErrNone
			}
			used := slices.Clone(p.recovery)
			if i >= 0 {
				p.recovery = slices.Delete(used, i, i+1)
			}
			f = func(tx store.Tx) error {
				left, err := factor.UseRecoveryCode(tx, p.id, code, now)
				if err == nil && left != len(p.recovery) {
					t.Fatalf("seed %d, step %d: %d recovery codes are left, want %d", seed, step, left, len(p.recovery))
				}
				if errors.Is(err, factor.ErrNone) {
					return factor.ErrWrong
				}
				return err
			}
		case 9:
			what = "add a passkey"
			name := fmt.Sprint("key ", rnd.IntN(passkeys+2))
			_, there := mo.owners[name]
			if there {
				want = factor.ErrExists
			} else {
				passkeys++
				mo.owners[name], p.passkeys[name] = p.id, true
				events = []string{audit.FactorEnrolled}
			}
			f = func(tx store.Tx) error {
				_, err := factor.AddPasskey(tx, factor.Passkey{ID: passkeyID(name), User: p.id, Credential: []byte("{}")}, by, now)
				return err
			}
		case 10:
			what = "remove a passkey"
			name := fmt.Sprint("key ", rnd.IntN(passkeys+1)) // or another's, or none
			if p.passkeys[name] {
				delete(p.passkeys, name)
				delete(mo.owners, name)
				events = removals(1, p)
			}
			f = func(tx store.Tx) error { return factor.RemovePasskey(tx, p.id, passkeyID(name), by, now) }
		case 11:
			what = "remove one of the others"
			if rnd.IntN(2) == 0 {
				if p.password != "" {
					events = []string{audit.FactorRemoved}
				}
				p.password = ""
				f = func(tx store.Tx) error { return factor.RemovePassword(tx, p.id, by, now) }
				break
			}
			if p.secret != "" {
				p.secret, p.shown, p.step = "", nil, 0
				events = removals(1, p)
			}
			f = func(tx store.Tx) error { return factor.RemoveTOTP(tx, p.id, by, now) }
		case 12:
			if rnd.IntN(3) > 0 {
				continue
			}
			what = "reset or wipe"
			n := len(p.passkeys)
			for name := range p.passkeys {
				delete(mo.owners, name)
			}
			if p.secret != "" {
				n++
			}
			clear(p.passkeys)
			p.secret, p.shown, p.step = "", nil, 0
			events = removals(n, p)
			if rnd.IntN(2) == 0 {
				f = func(tx store.Tx) error { return factor.ResetMFA(tx, p.id, operator, now) }
				break
			}
			if p.password != "" {
				events = append(events, audit.FactorRemoved)
			}
			p.password = ""
			f = func(tx store.Tx) error { return factor.Wipe(tx, p.id, audit.System, now) }
		case 13:
			what = "ask for a code"
			purpose := purposes[rnd.IntN(len(purposes))]
			for _, c := range mo.codes {
				if c.browser == browser && c.purpose == purpose && c.email == p.email && now.Sub(c.made) < 10*time.Minute {
					c.ended = true
				}
			}
			c := &modelCode{browser: browser, purpose: purpose, email: p.email, made: now}
			mo.codes = append(mo.codes, c)
			f = func(tx store.Tx) error {
				row, digits, err := factor.NewEmailCode(tx, purpose, p.email, "", browser, now)
				c.id, c.digits = row.ID, digits
				return err
			}
		case 14:
			what = "use a code"
			if len(mo.codes) == 0 {
				continue
			}
			c := mo.codes[max(0, len(mo.codes)-1-rnd.IntN(6))]
			purpose, with, typed := c.purpose, c.browser, c.digits
			switch rnd.IntN(5) {
			case 0:
				purpose = purposes[rnd.IntN(len(purposes))]
			case 1:
				with = browser
			case 2, 3:
				typed = wrong(c.digits)
			}
			switch {
			case purpose != c.purpose || with != c.browser || !c.live(now):
				want = factor.ErrSpent
			case typed != c.digits:
				c.tries++
				want = factor.ErrWrong
				if c.tries == 5 {
					want = factor.ErrSpent
				}
			default:
				c.ended = true
			}
			f = func(tx store.Tx) error {
				j, err := factor.UseEmailCode(tx, c.id, purpose, with, typed, now)
				if err == nil && j.Refused == nil && (j.Code.Email != c.email || j.Code.Purpose != c.purpose) {
					t.Fatalf("seed %d, step %d: the code is of %+v, want %+v", seed, step, j.Code, c)
				}
				return errors.Join(err, j.Refused)
			}
		default:
			w.clock.Advance([]time.Duration{time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 4 * time.Minute, time.Hour, 25 * time.Hour}[rnd.IntN(7)])
			continue
		}

		var said error
		if err := w.try(func(tx store.Tx) error {
			said = f(tx)
			if isRefusal(said) {
				return nil // commits
			}
			return said
		}); err != nil {
			t.Fatalf("seed %d, step %d: %s: %v", seed, step, what, err)
		}
		if !errors.Is(said, want) || (said == nil) != (want == nil) {
			t.Fatalf("seed %d, step %d: %s of %s: got %v, want %v", seed, step, what, p.id, said, want)
		}
		if got := w.events(); !slices.Equal(got, events) {
			t.Fatalf("seed %d, step %d: %s: events %q, want %q", seed, step, what, got, events)
		}
		for _, q := range all {
			if got := w.enrolled(q.id); got != q.enrolled() {
				t.Fatalf("seed %d, step %d: %s: %s has %v, want %v", seed, step, what, q.id, got, q.enrolled())
			}
			var names []string
			for _, n := range w.passkeys(q.id) {
				names = append(names, n[:len(n)-len(" Passkey")])
			}
			if want := slices.Sorted(maps.Keys(q.passkeys)); !slices.Equal(names, want) {
				t.Fatalf("seed %d, step %d: %s: %s has passkeys %q, want %q", seed, step, what, q.id, names, want)
			}
		}
		w.orphans(t, all)
	}
}

// orphans fails the test if anybody has recovery codes without a second factor.
func (w *world) orphans(t *testing.T, all []*modelPerson) {
	t.Helper()
	w.must(func(tx store.Tx) error {
		for _, p := range all {
			_, err := tx.RecoveryCodes(p.id)
			if err == nil && p.secret == "" && len(p.passkeys) == 0 {
				t.Fatalf("%s has recovery codes and nothing that they stand in for", p.id)
			}
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
		}
		return nil
	})
}

var errWait = errors.New("wait")

func outcome(got tried, err error) error {
	if err == nil && got.wait > 0 {
		err = errWait
	}
	return errors.Join(err, got.refused)
}

func isRefusal(err error) bool {
	for _, e := range []error{factor.ErrWrong, factor.ErrSpent, factor.ErrNone, factor.ErrExists, errWait} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// cheap stands in for no hash, which takes long to compare with.
func cheap(hash string) string {
	if hash == "" {
		return factor.HashCheaply("nobody's")
	}
	return hash
}

// removals are the events of the removal of n second factors, which p does not have any more,
// and of what goes with the last.
func removals(n int, p *modelPerson) []string {
	events := slices.Repeat([]string{audit.FactorRemoved}, n)
	if p.paper && p.secret == "" && len(p.passkeys) == 0 {
		p.paper, p.recovery = false, nil
		events = append(events, audit.FactorRemoved)
	}
	return events
}
