// Package storetest holds the conformance suite that every engine passes, and the store
// that tests of other packages use.
//
// A promise of [store.Engine] that this suite does not check is not one.
package storetest

import (
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

// A Harness says how a test gets at an engine. Engines are closed when the test ends.
type Harness struct {
	// Open returns an engine on a new, empty database of its own. Expiry is by
	// the clock now; nil: the machine's.
	Open func(t testing.TB, now func() time.Time) store.Engine
	// Join returns another engine on the database of e, as another replica opens
	// it; nil: the engine is for one process.
	Join func(t testing.TB, e store.Engine) store.Engine
}

// Open returns an empty store in memory, closed when the test ends.
func Open(t testing.TB) *store.Store { return OpenAt(t, nil) }

// OpenAt is [Open] with a clock.
func OpenAt(t testing.TB, now func() time.Time) *store.Store {
	t.Helper()
	e, err := badger.Open(badger.Options{InMemory: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(e, store.Options{Now: now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
