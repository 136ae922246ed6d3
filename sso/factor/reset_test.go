package factor_test

import (
	"errors"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Even within one moment, in which no password is older than another.
func TestAResetIsFinishedOnce(t *testing.T) {
	w := newWorld(t)
	now := w.now()
	var r factor.Reset
	w.must(func(tx store.Tx) (err error) {
		r, _, err = factor.NewReset(tx, jo, audit.System, now)
		return err
	})
	hash := factor.HashCheaply("four words in a row")
	finish := func() error {
		return w.s.Update(t.Context(), func(tx store.Tx) error {
			_, err := factor.FinishReset(tx, tenancy.Rules{}, r, hash, audit.System, now)
			return err
		})
	}
	if err := finish(); err != nil {
		t.Fatal(err)
	}
	if err := finish(); !errors.Is(err, session.ErrUsed) {
		t.Errorf("twice: %v", err)
	}
}
