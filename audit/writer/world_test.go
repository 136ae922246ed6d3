package writer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/reader"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/audit/writer"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// A world is a store with two organizations, and one who writes their logs.
type world struct {
	t     testing.TB
	e     store.Engine
	s     *store.Store
	w     *writer.Writer
	clock *storetest.Clock
	days  int
}

const (
	acme = tenancy.OrgID("org_acme")
	beta = tenancy.OrgID("org_beta")
)

// onBoth runs a test on both engines.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("badger", func(t *testing.T) {
		clock := storetest.NewClock(noon)
		e, s := inMemory(t, clock)
		test(t, newWorld(t, e, s, clock))
	})
	t.Run("postgres", func(t *testing.T) {
		clock := storetest.NewClock(noon)
		test(t, newPostgresWorld(t, pgtest.Start(t).URL(), clock))
	})
}

func newPostgresWorld(t testing.TB, url string, clock *storetest.Clock) *world {
	t.Helper()
	e, s := join(t, url, clock)
	return newWorld(t, e, s, clock)
}

func join(t testing.TB, url string, clock *storetest.Clock) (store.Engine, *store.Store) {
	t.Helper()
	e, err := postgres.Open(context.Background(), postgres.Options{URL: url, Now: clock.Now, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	return e, storeOn(t, e, clock)
}

func inMemory(t testing.TB, clock *storetest.Clock) (store.Engine, *store.Store) {
	t.Helper()
	e, err := badger.Open(badger.Options{InMemory: true, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return e, storeOn(t, e, clock)
}

func storeOn(t testing.TB, e store.Engine, clock *storetest.Clock) *store.Store {
	t.Helper()
	s := store.New(e, store.Options{Now: clock.Now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newWorld(t testing.TB, e store.Engine, s *store.Store, clock *storetest.Clock) *world {
	w := &world{t: t, e: e, s: s, clock: clock, days: 365}
	w.w = w.writer()
	w.do(func(tx store.Tx) error {
		for _, id := range []tenancy.OrgID{acme, beta} {
			if err := tx.PutOrganization(tenancy.Organization{ID: id, Slug: tenancy.Slug(id[4:]), Name: string(id)}); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

// overwrite puts e where the entry of a number is, as somebody may who has the database.
func (w *world) overwrite(l trail.Log, at uint64, e trail.Entry) {
	w.t.Helper()
	b, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	key := fmt.Appendf(nil, "@%s\x00\x01%020d\x00\x01", l, at)
	err = w.e.Update(w.t.Context(), func(kv store.KV) error {
		return kv.Set(key, b, time.Time{})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) writer() *writer.Writer {
	return &writer.Writer{Store: w.s, Logger: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Now: w.clock.Now, Days: func() int { return w.days }, Poll: 20 * time.Millisecond, Tidy: time.Nanosecond}
}

func (w *world) do(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// event is one that happens in an organization.
func (w *world) event(org tenancy.OrgID, n int) audit.Event {
	e := audit.New("thing.changed", audit.Actor{Type: "api_key", ID: "api_key_1", Name: "CI"}, w.clock.Now())
	e.Organization = string(org)
	e.Data = fmt.Appendf(nil, `{"object":"thing","id":"thing_%d","name":"Thing %d"}`, n, n)
	return e
}

func (w *world) happen(org tenancy.OrgID, n int) {
	w.t.Helper()
	e := w.event(org, n)
	w.do(func(tx store.Tx) error { return tx.Append(e) })
}

// settle has all that there is to do done.
func (w *world) settle() {
	w.t.Helper()
	for more := true; more; {
		var err error
		if more, err = w.w.Turn(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) entries(org tenancy.OrgID) []trail.Entry {
	w.t.Helper()
	var all []trail.Entry
	for e, err := range reader.Entries(w.t.Context(), w.s, trail.LogOf(org), trail.Filter{}, false) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (w *world) verify(org tenancy.OrgID, pins ...trail.Anchor) reader.Report {
	w.t.Helper()
	r, err := reader.Verify(w.t.Context(), w.s, trail.LogOf(org), pins...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// right fails unless the log is whole, with so many entries.
func (w *world) right(org tenancy.OrgID, entries uint64) reader.Report {
	w.t.Helper()
	r := w.verify(org)
	if r.Fault != "" || r.Entries != entries {
		w.t.Fatalf("%s: %d entries, %d: %s; want %d and no fault", org, r.Entries, r.At, r.Fault, entries)
	}
	return r
}

func targets(entries []trail.Entry) (ids []string) {
	for _, e := range entries {
		if len(e.Targets) > 0 {
			ids = append(ids, e.Targets[0].ID)
		}
	}
	return ids
}

func things(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, fmt.Sprint("thing_", n))
	}
	return ids
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// restored is another store, filled from a backup of w's.
func restored(t testing.TB, w *world) *world {
	t.Helper()
	var b bytes.Buffer
	if _, err := w.s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	e, s := inMemory(t, w.clock)
	if _, err := s.Restore(t.Context(), bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	r := &world{t: t, e: e, s: s, clock: w.clock, days: w.days}
	r.w = r.writer()
	return r
}
