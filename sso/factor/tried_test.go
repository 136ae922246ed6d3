package factor_test

import (
	"errors"
	"time"

	"github.com/orgate/orgate/sso/factor"
)

// A tried is what became of an attempt: wait says after how long there may be one, and then
// nothing was judged or counted; else refused says why it was no good, if it was none.
type tried struct {
	wait    time.Duration
	refused error
}

func (t tried) done() bool { return t.wait == 0 && t.refused == nil }

// try counts an attempt of name, as sign-in does: first it counts, then prove judges in the same
// transaction, and success forgets. What is refused is no error, or nothing would be counted.
func try(tx factor.Tx, b factor.Backoff, name string, now time.Time, prove func() error) (tried, error) {
	wait, err := b.Attempt(tx, name, now)
	if err != nil || wait > 0 {
		return tried{wait: wait}, err
	}
	switch err := prove(); {
	case err == nil:
		return tried{}, b.Success(tx, name)
	case errors.Is(err, factor.ErrWrong), errors.Is(err, factor.ErrSpent), errors.Is(err, factor.ErrNone):
		return tried{refused: err}, nil
	default:
		return tried{}, err
	}
}
