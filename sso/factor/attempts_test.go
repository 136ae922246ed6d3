package factor_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var guesses = factor.Backoff{Scope: "password", Free: 3, Base: time.Second, Max: 15 * time.Minute, Forget: 24 * time.Hour}

func (w *world) attempt(b factor.Backoff, name string) (wait time.Duration) {
	w.t.Helper()
	return w.attemptAt(b, name, w.now())
}

func (w *world) attemptAt(b factor.Backoff, name string, now time.Time) (wait time.Duration) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { wait, err = b.Attempt(tx, name, now); return err })
	return wait
}

func (w *world) take(b factor.Bucket, name string, now time.Time) (wait time.Duration) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { wait, err = b.Take(tx, name, now); return err })
	return wait
}

func TestPausesDoubleUpToTheLongestAndAreForgotten(t *testing.T) {
	w := newWorld(t)
	for i := range guesses.Free {
		if wait := w.attempt(guesses, "jo"); wait != 0 {
			t.Errorf("attempt %d: wait %v", i, wait)
		}
	}
	want := time.Second
	for i := range 20 {
		if wait := w.attempt(guesses, "jo"); wait != want {
			t.Errorf("after %d attempts: wait %v, want %v", guesses.Free+i, wait, want)
		}
		w.clock.Advance(want - time.Millisecond)
		if wait := w.attempt(guesses, "jo"); wait != time.Millisecond {
			t.Errorf("just before the end of %v: wait %v", want, wait)
		}
		w.clock.Advance(time.Millisecond)
		if wait := w.attempt(guesses, "jo"); wait != 0 {
			t.Errorf("after the pause of %v: wait %v", want, wait)
		}
		want = min(2*want, guesses.Max)
	}
	if wait := w.attempt(guesses, "flo"); wait != 0 {
		t.Errorf("somebody else: wait %v", wait)
	}
	other := guesses
	other.Scope = "totp"
	if wait := w.attempt(other, "jo"); wait != 0 {
		t.Errorf("something else: wait %v", wait)
	}
	w.clock.Advance(guesses.Forget)
	for i := range guesses.Free {
		if wait := w.attempt(guesses, "jo"); wait != 0 {
			t.Errorf("a day later, attempt %d: wait %v", i, wait)
		}
	}
	if wait := w.attempt(guesses, "jo"); wait != time.Second {
		t.Errorf("a day later: wait %v", wait)
	}
}

func TestSuccessForgetsTheAttemptsOfOneName(t *testing.T) {
	w := newWorld(t)
	for range guesses.Free {
		w.attempt(guesses, "jo")
		w.attempt(guesses, "flo")
	}
	w.must(func(tx store.Tx) error { return guesses.Success(tx, "jo") })
	if jo, flo := w.attempt(guesses, "jo"), w.attempt(guesses, "flo"); jo != 0 || flo != time.Second {
		t.Errorf("wait %v and %v, want none and a second", jo, flo)
	}
}

func TestWhoeverWaitsIsNotCounted(t *testing.T) {
	w := newWorld(t)
	for range guesses.Free {
		w.attempt(guesses, "jo")
	}
	// A stranger who hammers all the while does not lengthen the pause.
	for range 1000 {
		if wait := w.attempt(guesses, "jo"); wait > time.Second {
			t.Fatalf("wait %v", wait)
		}
	}
	w.clock.Advance(time.Second)
	if wait := w.attempt(guesses, "jo"); wait != 0 {
		t.Errorf("wait %v", wait)
	}
}

func TestNoSettingOverflowsOrLocksOutForGood(t *testing.T) {
	for name, b := range map[string]factor.Backoff{
		"a long base":      {Scope: "s", Free: 2, Base: time.Hour, Max: 24 * time.Hour, Forget: 1000 * time.Hour},
		"the longest":      {Scope: "s", Free: 1, Base: time.Hour, Max: math.MaxInt64, Forget: math.MaxInt64},
		"max below base":   {Scope: "s", Free: 1, Base: time.Hour, Max: time.Minute, Forget: time.Hour},
		"none free":        {Scope: "s", Base: time.Second, Max: time.Minute, Forget: time.Hour},
		"fewer than none":  {Scope: "s", Free: -5, Base: time.Second, Max: time.Minute, Forget: time.Hour},
		"forgets too soon": {Scope: "s", Free: 1, Base: time.Hour, Max: 2 * time.Hour, Forget: time.Minute},
	} {
		w := newWorld(t)
		for range max(b.Free, 1) {
			if wait := w.attempt(b, "jo"); wait != 0 {
				t.Errorf("%s: a free attempt waits %v", name, wait)
			}
		}
		last := time.Duration(0)
		for range 70 {
			wait := w.attempt(b, "jo")
			if wait <= 0 || wait > b.Max || wait < last && b.Forget >= b.Max {
				if b.Forget < b.Max && wait == 0 {
					continue
				}
				t.Fatalf("%s: wait %v after %v, the longest is %v", name, wait, last, b.Max)
			}
			last = wait
			if wait > 1<<50 {
				break // the clock ends before
			}
			w.clock.Advance(min(wait, b.Forget))
			if wait := w.attempt(b, "jo"); wait != 0 {
				t.Fatalf("%s: after the pause, wait %v", name, wait)
			}
		}
	}
}

func TestHoweverManyAttemptsThereWereThePauseIsTheLongest(t *testing.T) {
	w := newWorld(t)
	for _, longest := range []time.Duration{time.Minute, 24 * time.Hour, math.MaxInt64} {
		b := factor.Backoff{Scope: "s", Free: 5, Base: time.Second, Max: longest, Forget: math.MaxInt64}
		for _, level := range []float64{40, 100, 1e6, 1e300} {
			w.must(func(tx store.Tx) error {
				return tx.PutCounter(factor.Counter{Scope: "s", Name: "jo", Level: level, At: w.now(), ExpiresAt: w.now().Add(time.Hour)})
			})
			if wait := w.attempt(b, "jo"); wait != longest {
				t.Errorf("after %g attempts: wait %v, want %v", level, wait, longest)
			}
		}
	}
}

func TestAttemptsAreForgottenByTheirOwnTime(t *testing.T) {
	w := newWorld(t)
	for range guesses.Free {
		w.attempt(guesses, "jo")
	}
	// Should the store still have them.
	for range guesses.Free {
		if wait := w.attemptAt(guesses, "jo", w.now().Add(guesses.Forget)); wait != 0 {
			t.Errorf("wait %v", wait)
		}
	}
}

// Two replicas, one with a slow clock: the slow one neither shortens a pause nor is locked
// out; and what a clock wrote that was wrong by a year is no pause of a year.
func TestClocksThatDifferNeitherShortenPausesNorMakeThemEndless(t *testing.T) {
	w := newWorld(t)
	fast, slow := w.now().Add(40*time.Second), w.now()
	b := guesses
	b.Base = time.Minute
	for range b.Free {
		if wait := w.attemptAt(b, "jo", fast); wait != 0 {
			t.Fatal(wait)
		}
	}
	if wait := w.attemptAt(b, "jo", slow); wait < time.Minute {
		t.Errorf("the slow clock: wait %v, want the pause of a minute at the least", wait)
	}
	// An attempt by the slow clock does not set the counter's time back.
	for i := range b.Free {
		at := fast
		if i == b.Free-1 {
			at = slow
		}
		if wait := w.attemptAt(b, "kim", at); wait != 0 {
			t.Fatal(wait)
		}
	}
	if wait := w.attemptAt(b, "kim", fast.Add(30*time.Second)); wait != 30*time.Second {
		t.Errorf("after half a pause: wait %v, want the other half", wait)
	}

	year := w.now().Add(365 * 24 * time.Hour)
	for range b.Free {
		w.attemptAt(b, "flo", year)
	}
	if wait := w.attempt(b, "flo"); wait != time.Minute {
		t.Errorf("counted a year ahead: wait %v, want what the pause is", wait)
	}
	w.clock.Advance(time.Minute)
	if wait := w.attempt(b, "flo"); wait != 0 {
		t.Errorf("a minute later: wait %v", wait)
	}

	mails := factor.Bucket{Scope: "mail", Size: 2, Every: time.Minute}
	for range mails.Size {
		w.take(mails, "flo", year)
	}
	if wait := w.take(mails, "flo", w.now()); wait != time.Minute {
		t.Errorf("taken a year ahead: wait %v", wait)
	}
	if wait := w.take(mails, "flo", w.now().Add(time.Minute)); wait != 0 {
		t.Errorf("a minute later: wait %v", wait)
	}
	// Back and forth between two clocks, nothing leaks twice.
	mails.Every = 20 * time.Second
	n := 0
	for i := range 100 {
		at := w.now()
		if i%2 == 0 {
			at = at.Add(50 * time.Second)
		}
		if w.take(mails, "jo", at) == 0 {
			n++
		}
	}
	if n > mails.Size+2 { // which is what leaks in the 50 seconds
		t.Errorf("%d from a bucket of %d", n, mails.Size)
	}
}

func TestABucketLeaksOneAtATime(t *testing.T) {
	w := newWorld(t)
	b := factor.Bucket{Scope: "mail", Size: 3, Every: time.Minute}
	for range b.Size {
		if wait := w.take(b, joMail, w.now()); wait != 0 {
			t.Fatal(wait)
		}
	}
	for range 5 {
		if wait := w.take(b, joMail, w.now()); wait != time.Minute {
			t.Fatalf("wait %v", wait)
		}
		w.clock.Advance(59 * time.Second)
		if wait := w.take(b, joMail, w.now()); wait != time.Second {
			t.Fatalf("wait %v", wait)
		}
		w.clock.Advance(time.Second)
		if wait := w.take(b, joMail, w.now()); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	if wait := w.take(b, floMail, w.now()); wait != 0 {
		t.Errorf("another's: wait %v", wait)
	}
	// In the long run it is one each minute, however they come.
	n := 0
	for range 1000 {
		w.clock.Advance(7 * time.Second)
		if w.take(b, "long run", w.now()) == 0 {
			n++
		}
	}
	if most := b.Size + 7000/60 + 1; n > most || n < most-3 {
		t.Errorf("%d in 7000 seconds, want %d", n, most)
	}
}

func TestABucketThatIsWrongLetsNothingPass(t *testing.T) {
	w := newWorld(t)
	for _, b := range []factor.Bucket{{Scope: "s", Size: 5}, {Scope: "s", Size: 5, Every: -1}, {Scope: "s", Every: time.Second}, {Size: 5, Every: time.Second}, {Scope: "s", Size: -1, Every: time.Second}} {
		var wait time.Duration
		err := w.try(func(tx store.Tx) (err error) { wait, err = b.Take(tx, "jo", w.now()); return err })
		if err == nil && wait <= 0 {
			t.Errorf("%+v lets one pass", b)
		}
	}
	for _, name := range []string{"", "\xff", string(make([]byte, 3000))} {
		if err := w.try(func(tx store.Tx) error { _, err := guesses.Attempt(tx, name, w.now()); return err }); err == nil {
			t.Errorf("an attempt of %.10q is not counted and not refused", name)
		}
	}
}

// What nobody asks for any more is no row.
func TestCountersGoWhenTheySayNothingAnyMore(t *testing.T) {
	w := newWorld(t)
	b := factor.Bucket{Scope: "mail", Size: 3, Every: time.Minute}
	w.attempt(guesses, "jo")
	w.take(b, "jo", w.now())
	w.take(b, "jo", w.now())
	there := func(scope string) bool {
		err := w.try(func(tx store.Tx) error { _, err := tx.Counter(scope, "jo"); return err })
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	w.clock.Advance(2*time.Minute - time.Microsecond)
	if !there("mail") {
		t.Error("the bucket went too soon")
	}
	w.clock.Advance(time.Microsecond)
	if there("mail") || !there("password") {
		t.Error("the bucket stays when it is empty, or took the other counter along")
	}
	w.clock.Advance(guesses.Forget)
	if there("password") {
		t.Error("attempts stay when they are forgotten")
	}
}

func TestATryIsCountedWhateverComesOfIt(t *testing.T) {
	w := newWorld(t)
	secret := w.enrolTOTP(jo)
	guess := func(code string) (got tried) {
		w.must(func(tx store.Tx) (err error) {
			got, err = try(tx, guesses, string(jo), w.now(), func() error { return factor.UseTOTP(tx, w.box, jo, code, w.now()) })
			return err
		})
		return got
	}
	right := totpOf(t, secret, w.now())
	for range guesses.Free {
		if got := guess(wrong(right)); !errors.Is(got.refused, factor.ErrWrong) || got.wait != 0 || got.done() {
			t.Errorf("a wrong one: %+v", got)
		}
	}
	if got := guess(right); got.wait != time.Second || got.refused != nil || got.done() {
		t.Errorf("the right one, too soon: %+v", got)
	}
	w.clock.Advance(time.Second)
	if got := guess(right); !got.done() {
		t.Errorf("the right one: %+v", got)
	}
	for range guesses.Free { // all forgotten
		if got := guess(right); !errors.Is(got.refused, factor.ErrWrong) || got.wait != 0 {
			t.Errorf("the same once more: %+v", got)
		}
	}
	// A fault is none: nothing is counted, and it is told.
	boom := errors.New("boom")
	err := w.try(func(tx store.Tx) error {
		_, err := try(tx, guesses, string(flo), w.now(), func() error { return boom })
		return err
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}
