package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
)

// Run runs the suite: the contract of the engine, and the typed store on top of it.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"WhatWasSetIsThereUntilItIsDeleted", setGetDelete},
		{"NobodySharesMemoryWithTheEngine", noSharedMemory},
		{"AScanIsTheSortedMapInBothDirections", scanIsSortedMap},
		{"ALoopMayWriteAndScanWhatItScans", writeWhileScanning},
		{"AFunctionThatFailsLeavesNothing", rollback},
		{"APanicLeavesNothingAndReachesItsCaller", panics},
		{"AGoexitLeavesNothingAndEndsOnlyItsCaller", goexit},
		{"AViewDoesNotWriteAndDoesNotMove", views},
		{"AContextThatIsDoneCommitsNothing", contexts},
		{"IncrementsFromManySidesSumUp", increments},
		{"WriteSkewIsPrevented", writeSkew},
		{"AnAbsenceThatWasReadStaysTrue", phantoms},
		{"AThousandKeysFitInOneTransaction", thousandKeys},
		{"ALongKeyIsRefused", longKey},
		{"WhatHasExpiredIsNotThere", expiry},
		{"TheFeedIsTheOrderOfCommitsWithoutGaps", feedOrder},
		{"EveryFollowerSeesEveryEntryOnce", feedFollowers},
		{"TheFeedIsNotAmongTheKeys", feedIsApart},
		{"EntriesExpireAndPositionsDoNot", feedExpiry},
		{"PositionsCanBeRaisedAndNeverLowered", feedAdvance},
		{"ACommitWakesWhoFollows", wakes},
		{"AClosedEngineSaysSo", closed},
		{"TwoEnginesOnOneDatabaseAreOne", joined},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, h) })
	}
	t.Run("Typed", func(t *testing.T) { runTyped(t, h) })
	t.Run("Backup", func(t *testing.T) { runBackup(t, h) })
}

// A Clock is a clock that stands until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns what the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// never is the expiry of what does not expire.
var never time.Time

var errBoom = errors.New("boom")

func update(t testing.TB, e store.Engine, f func(store.KV) error) {
	t.Helper()
	if err := e.Update(context.WithoutCancel(t.Context()), f); err != nil {
		t.Fatalf("update: %v", err)
	}
}

func view(t testing.TB, e store.Engine, f func(store.KV) error) {
	t.Helper()
	if err := e.View(context.WithoutCancel(t.Context()), f); err != nil {
		t.Fatalf("view: %v", err)
	}
}

func set(t testing.TB, e store.Engine, pairs ...string) {
	t.Helper()
	update(t, e, func(kv store.KV) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := kv.Set([]byte(pairs[i]), []byte(pairs[i+1]), never); err != nil {
				return err
			}
		}
		return nil
	})
}

// has fails the test if the key has not the value; want "-": if it is there.
func has(t testing.TB, e store.Engine, key, want string) {
	t.Helper()
	view(t, e, func(kv store.KV) error {
		if got := read(kv, key); got != want {
			t.Errorf("key %q has %q, want %q", key, got, want)
		}
		return nil
	})
}

// read returns the value, or "-" if there is none, or the error.
func read(kv store.KV, key string) string {
	b, err := kv.Get([]byte(key))
	if errors.Is(err, store.ErrNoKey) {
		return "-"
	}
	if err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

// keys returns what a scan yields, as key=value.
func keys(kv store.KV, prefix, from string, reverse bool) ([]string, error) {
	var got []string
	for p, err := range kv.Scan([]byte(prefix), []byte(from), reverse) {
		if err != nil {
			return nil, err
		}
		got = append(got, fmt.Sprintf("%q=%q", p.Key, p.Value))
	}
	return got, nil
}
