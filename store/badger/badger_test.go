package badger_test

import (
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/storetest"
)

func open(t testing.TB, o badger.Options) *badger.Engine {
	t.Helper()
	e, err := badger.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestTheConformanceSuiteInMemory(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(t testing.TB, now func() time.Time) store.Engine {
		return open(t, badger.Options{InMemory: true, Now: now})
	}})
}

func TestTheConformanceSuiteOnDisk(t *testing.T) {
	storetest.Run(t, storetest.Harness{Open: func(t testing.TB, now func() time.Time) store.Engine {
		return open(t, badger.Options{Dir: t.TempDir(), Now: now})
	}})
}
