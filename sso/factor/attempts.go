package factor

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// clockSkew is how far the clocks of two replicas may differ. What was counted by a clock
// that is further ahead was counted by a wrong one: it must neither lock anybody out until
// that time has come nor be thought to have passed.
const clockSkew = time.Minute

// A Backoff lets a few attempts go at once and then asks for pauses that double, up to Max.
// Nobody is locked out for good: after Max there is always another try, and after Forget
// it all begins anew.
type Backoff struct {
	Scope     string
	Free      int           // attempts without a pause; the first always is
	Base, Max time.Duration // the first pause, and the longest
	Forget    time.Duration // how long failures are remembered
}

// Attempt counts an attempt of name before it is judged, or says after how long there may be
// one; then nothing is counted.
func (b Backoff) Attempt(tx Tx, name string, now time.Time) (wait time.Duration, err error) {
	c, pulled, err := counter(tx, b.Scope, name, now)
	if err != nil {
		return 0, err
	}
	if now.Sub(c.At) >= b.Forget {
		c.Level = 0
	}
	if pause := b.pause(c.Level); pause > 0 {
		if wait := c.At.Add(pause).Sub(now); wait > 0 {
			return min(wait, b.Max), keep(tx, c, pulled)
		}
	}
	c.Level++
	c.At = later(c.At, now.UTC()) // never back: or a slow clock would shorten the pause
	c.ExpiresAt = c.At.Add(b.Forget)
	return 0, tx.PutCounter(c)
}

// Success forgets the attempts of name. It is for the counter of a person. Not for that of a
// source (a network address): whoever signs in to an account of their own would buy
// guesses at the accounts of others with it.
func (b Backoff) Success(tx Tx, name string) error { return tx.DeleteCounter(b.Scope, name) }

// pause is how long nobody may try after so many attempts: after none, not at all.
func (b Backoff) pause(level float64) time.Duration {
	free := float64(max(b.Free, 1))
	if level < free {
		return 0
	}
	pause := b.Base
	for over := level - free; over >= 1 && pause < b.Max; over-- {
		if pause <= 0 || pause > b.Max/2 {
			return b.Max
		}
		pause *= 2
	}
	return min(pause, b.Max)
}

// A Bucket lets Size attempts go at once and one each Every in the long run.
type Bucket struct {
	Scope string
	Size  int
	Every time.Duration
}

// Take takes one from the bucket of name, or says after how long there is one.
func (b Bucket) Take(tx Tx, name string, now time.Time) (wait time.Duration, err error) {
	if b.Every <= 0 {
		return 0, fmt.Errorf("bucket %q never leaks or never fills", b.Scope)
	}
	c, pulled, err := counter(tx, b.Scope, name, now)
	if err != nil {
		return 0, err
	}
	level := max(0, c.Level-max(0, float64(now.Sub(c.At))/float64(b.Every)))
	if over := level + 1 - float64(b.Size); over > 0 {
		return max(time.Second, time.Duration(over*float64(b.Every))), keep(tx, c, pulled)
	}
	c.Level = level + 1
	c.At = later(c.At, now.UTC()) // never back: or what has leaked would leak again
	c.ExpiresAt = c.At.Add(time.Duration(c.Level * float64(b.Every)))
	return 0, tx.PutCounter(c)
}

// counter returns the counter of that name, a fresh one if there is none. Its time is never
// later than now by more than clockSkew: pulled says that it was and was set to now, and
// that the counter must be written.
func counter(tx Tx, scope, name string, now time.Time) (c Counter, pulled bool, err error) {
	c, err = tx.Counter(scope, name)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Counter{Scope: scope, Name: name, At: now.UTC()}, false, nil
	}
	if err != nil {
		return Counter{}, false, err
	}
	if pulled = c.At.Sub(now) > clockSkew; pulled {
		c.ExpiresAt = c.ExpiresAt.Add(now.Sub(c.At))
		c.At = now.UTC()
	}
	return c, pulled, nil
}

func keep(tx Tx, c Counter, changed bool) error {
	if !changed {
		return nil
	}
	return tx.PutCounter(c)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
