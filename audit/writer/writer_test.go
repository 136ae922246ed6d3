package writer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

func TestWhatHappensInAnOrganizationIsInItsLogInOrderAndNowhereElse(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 600; n++ {
			w.happen([]tenancy.OrgID{acme, beta, ""}[n%3], n)
		}
		w.settle()
		for i, org := range []tenancy.OrgID{acme, beta, ""} {
			var want []string
			for n := 1; n <= 600; n++ {
				if n%3 == i {
					want = append(want, fmt.Sprint("thing_", n))
				}
			}
			same(t, string(org), targets(w.entries(org)), want)
			w.right(org, 200)
		}
		e := w.entries(acme)[0]
		if e.Action != "thing.changed" || e.Actor.ID != "api_key_1" || e.Actor.Name != "CI" || e.RecordedBy != trail.Ours || e.Targets[0].Name != "Thing 3" || e.Targets[0].Type != "thing" {
			t.Errorf("%+v", e)
		}
	})
}

// Many change things in one organization at once: none waits for a chain or fails by it, and each is in the
// log, once, however many write it.
func TestWhatManyDoAtOnceIsInTheLogOnceEach(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx, stop := context.WithCancel(t.Context())
		var writing, changing sync.WaitGroup
		for range 3 {
			each := w.writer()
			writing.Go(func() {
				if err := each.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		}
		const hands, each = 8, 25
		for h := range hands {
			changing.Go(func() {
				for n := range each {
					e := w.event(acme, h*each+n)
					if err := w.s.Update(ctx, func(tx store.Tx) error { return tx.Append(e) }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		changing.Wait()
		await(t, func() bool { return len(w.entries(acme)) >= hands*each })
		stop()
		writing.Wait()
		w.right(acme, hands*each)
		got := targets(w.entries(acme))
		slices.Sort(got)
		want := things(0, hands*each-1)
		slices.Sort(want)
		same(t, "the log", got, want)
	})
}

func await(t testing.TB, ok func() bool) {
	t.Helper()
	tick, end := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("it does not come")
		}
	}
}

// Two replicas on one database take turns, also when one is gone without a word.
func TestAnotherReplicaGoesOnWhereOneEnded(t *testing.T) {
	url, clock := pgtest.Start(t).URL(), storetest.NewClock(noon)
	a := newPostgresWorld(t, url, clock)
	e, s := join(t, url, clock)
	b := &world{t: t, e: e, s: s, clock: clock, days: 365}
	b.w = b.writer()
	a.happen(acme, 1)
	a.settle()
	b.happen(acme, 2)
	b.settle()
	if n := len(a.entries(acme)); n != 1 {
		t.Errorf("%d entries: two replicas write at a time", n)
	}
	clock.Advance(20 * time.Second) // a says nothing any more
	b.settle()
	a.happen(acme, 3)
	a.settle()
	b.settle()
	same(t, "the log", targets(b.entries(acme)), things(1, 3))
	b.right(acme, 3)
}

// What was committed when it is to end is in the log when it has ended.
func TestWhoEndsWritesWhatThereIs(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 700; n++ {
			w.happen(acme, n)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := w.w.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		w.right(acme, 700)
	})
}

// A broken store stands in for a crash: the transaction is made or it is not. What comes behind goes on.
func TestACrashLosesAndDoublesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 300; n++ {
			w.happen(acme, n)
		}
		boom := errors.New("boom")
		changes, err := w.s.Feed(t.Context(), 0, 300)
		if err != nil {
			t.Fatal(err)
		}
		batch := make([]trail.Change, len(changes))
		for i, c := range changes {
			batch[i] = trail.Change(c)
		}
		err = w.s.Update(t.Context(), func(tx store.Tx) error {
			if _, moved, err := trail.Write(tx, 0, batch, "gone", time.Second, w.clock.Now()); err != nil || !moved {
				t.Errorf("%v, %v", moved, err)
			}
			return boom
		})
		if !errors.Is(err, boom) || len(w.entries(acme)) != 0 {
			t.Errorf("%v, %d entries", err, len(w.entries(acme)))
		}
		if _, err := w.w.Turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.w = w.writer() // another process
		w.settle()
		w.clock.Advance(time.Minute)
		w.settle()
		// Whoever still has the old changes can't write them a second time, also when nobody has the lease.
		w.clock.Advance(time.Minute)
		w.do(func(tx store.Tx) error {
			if _, moved, err := trail.Write(tx, 0, batch, "gone", time.Second, w.clock.Now()); err != nil || moved {
				t.Errorf("written twice: %v, %v", moved, err)
			}
			return nil
		})
		same(t, "the log", targets(w.entries(acme)), things(1, 300))
		w.right(acme, 300)
	})
}

// Whatever one row is made into, verify finds it; so it does if a row goes, or two change places.
func TestAnyRowThatIsChangedMissingOrMovedIsFound(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const n = 25
		for i := 1; i <= n; i++ {
			w.happen(acme, i)
			w.happen(beta, i)
		}
		w.settle()
		good := w.entries(acme)
		pin := w.right(acme, n).Head
		edits := map[string]func(e *trail.Entry){
			"action":      func(e *trail.Entry) { e.Action += "x" },
			"who":         func(e *trail.Entry) { e.Actor.ID = "user_2" },
			"type":        func(e *trail.Entry) { e.Actor.Type, e.Actor.ID = e.Actor.Type+"a", e.Actor.ID[1:] },
			"when":        func(e *trail.Entry) { e.OccurredAt = e.OccurredAt.Add(time.Nanosecond) },
			"recorded":    func(e *trail.Entry) { e.RecordedAt = e.RecordedAt.Add(time.Second) },
			"by":          func(e *trail.Entry) { e.RecordedBy = "api_key_2" },
			"target":      func(e *trail.Entry) { e.Targets[0].Name = "" },
			"no target":   func(e *trail.Entry) { e.Targets = nil },
			"metadata":    func(e *trail.Entry) { e.Metadata["id"] = trail.Text("thing_0") },
			"kind":        func(e *trail.Entry) { e.Metadata["id"] = trail.Bool(true) },
			"where":       func(e *trail.Entry) { e.Context.Location = "192.0.2.1" },
			"version":     func(e *trail.Entry) { e.Version = 2 },
			"log":         func(e *trail.Entry) { e.Log = trail.LogOf(beta) },
			"previous":    func(e *trail.Entry) { e.Previous = trail.Hash{1} },
			"hash":        func(e *trail.Entry) { e.Hash = trail.Hash{1} },
			"id":          func(e *trail.Entry) { e.ID = "event_1" },
			"all of it":   func(e *trail.Entry) { e.Action = "x"; e.Hash = e.Sum() },
			"another log": func(e *trail.Entry) { *e = w.entries(beta)[e.Sequence-1] },
		}
		set := func(at uint64, e trail.Entry) { w.overwrite(trail.LogOf(acme), at, e) }
		for _, name := range slices.Sorted(maps.Keys(edits)) {
			for _, i := range []int{0, 1 + rand.IntN(n-2), n - 1} {
				e := clone(good[i])
				edits[name](&e)
				set(good[i].Sequence, e)
				if r := w.verify(acme); r.Fault == "" || r.At < good[i].Sequence || r.At > good[i].Sequence+1 {
					t.Errorf("%s of %d: %q at %d", name, i+1, r.Fault, r.At)
				}
				set(good[i].Sequence, good[i])
			}
		}
		for i := range good {
			w.do(func(tx store.Tx) error { return tx.DeleteLogEntry(trail.LogOf(acme), good[i].Sequence) })
			if r := w.verify(acme); r.Fault == "" || r.At != good[i].Sequence || !strings.Contains(r.Fault, "missing") {
				t.Errorf("without %d: %q at %d", i+1, r.Fault, r.At)
			}
			set(good[i].Sequence, good[i])
			j := (i + 1 + rand.IntN(n-1)) % n
			set(good[i].Sequence, good[j])
			set(good[j].Sequence, good[i])
			if r := w.verify(acme); r.Fault == "" || r.At != min(good[i].Sequence, good[j].Sequence) {
				t.Errorf("%d and %d exchanged: %q at %d", i+1, j+1, r.Fault, r.At)
			}
			set(good[i].Sequence, good[i])
			set(good[j].Sequence, good[j])
		}
		w.right(acme, n)

		// The end is cut off, and the head with it: only somebody who has seen it can tell.
		var head trail.Head
		w.do(func(tx store.Tx) (err error) { head, err = tx.LogHead(trail.LogOf(acme)); return err })
		short := head
		short.Sequence, short.Hash = n-1, good[n-2].Hash
		w.do(func(tx store.Tx) error {
			return errors.Join(tx.DeleteLogEntry(head.Log, n), tx.PutLogHead(short))
		})
		w.right(acme, n-1)
		if r := w.verify(acme, pin); r.Fault == "" || r.At != n {
			t.Errorf("cut off: %q at %d", r.Fault, r.At)
		}
		// And so it is if somebody made it anew, from the entry they did not like.
		h := trail.Head{Log: head.Log}
		w.do(func(tx store.Tx) error {
			for i, e := range good {
				if e = clone(e); i == 3 {
					e.Actor.Name = "nobody"
				}
				e.Previous = h.Hash
				e.Hash = e.Sum()
				h.Sequence, h.Hash = e.Sequence, e.Hash
				if err := tx.PutLogEntry(e); err != nil {
					return err
				}
			}
			return tx.PutLogHead(h)
		})
		w.right(acme, n)
		if r := w.verify(acme, pin); r.Fault == "" || r.At != n {
			t.Errorf("made anew: %q at %d", r.Fault, r.At)
		}
		// No head, or one that is behind.
		w.do(func(tx store.Tx) error { return tx.DeleteLogHead(head.Log) })
		if r := w.verify(acme); r.Fault == "" {
			t.Error("a chain without a head is right")
		}
		w.right(beta, n)
	})
}

func clone(e trail.Entry) trail.Entry {
	e.Targets = slices.Clone(e.Targets)
	e.Metadata = maps.Clone(e.Metadata)
	return e
}

// A log is as a list of which retention takes the front and events make the end, whatever comes after what.
func TestALogIsTheEndOfAllThatHappened(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.days = 30
		type happened struct {
			id string
			at time.Time
		}
		var model []happened
		n := 0
		for range 60 {
			switch rand.IntN(4) {
			case 0, 1:
				for range 1 + rand.IntN(20) {
					n++
					w.happen(acme, n)
					model = append(model, happened{fmt.Sprint("thing_", n), w.clock.Now()})
				}
			case 2:
				w.clock.Advance(time.Duration(rand.IntN(20*24)) * time.Hour)
			case 3: // another process, after the lease of the one before
				w.w = w.writer()
				w.clock.Advance(time.Minute)
			}
			w.settle()
			var got []string
			for _, e := range w.entries(acme) {
				if e.Action != trail.Trimmed {
					got = append(got, e.Targets[0].ID)
				}
			}
			// What is older than a day more than it needs to be is gone; what need not go is there.
			for _, h := range model {
				age := w.clock.Now().Sub(h.at)
				if there := slices.Contains(got, h.id); there && age > 31*24*time.Hour || !there && age <= 30*24*time.Hour {
					t.Fatalf("%s, %s old: there: %v", h.id, age, there)
				}
			}
			if want := things(n-len(got)+1, n); !slices.Equal(got, want) {
				t.Fatalf("the log: %q, want %q", got, want)
			}
			if r := w.verify(acme); r.Fault != "" {
				t.Fatalf("%s at %d", r.Fault, r.At)
			}
		}
	})
}

func TestWhatRetentionRemovesIsAnchoredAndSaid(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 450; n++ {
			w.happen(acme, n)
		}
		w.settle()
		early, late := trail.Anchor{Sequence: 3, Hash: w.entries(acme)[2].Hash}, w.right(acme, 450).Head
		w.do(func(tx store.Tx) error { return trail.SetRetention(tx, acme, 30, audit.System, w.clock.Now()) })
		w.settle()
		w.right(acme, 451)
		w.clock.Advance(31*24*time.Hour + time.Second)
		w.happen(acme, 451)
		w.happen(beta, 1)
		w.settle()
		all := w.entries(acme)
		if len(all) < 2 || len(all) > 4 || all[0].Sequence != 452 || all[len(all)-1].Action != trail.Trimmed {
			t.Fatalf("%d entries are left: %+v", len(all), all)
		}
		r := w.right(acme, uint64(len(all)))
		if r.First != 452 {
			t.Errorf("the first is %d", r.First)
		}
		if r := w.verify(acme, early, late); r.Fault != "" || !slices.Equal(r.Unknown, []uint64{3, 450}) {
			t.Errorf("with old heads: %+v", r)
		}
		w.happen(acme, 452)
		w.settle()
		w.right(acme, uint64(len(all)+1)) // and so it stays
		if r := w.verify(acme, trail.Anchor{Sequence: 451, Hash: trail.Hash{1}}); r.Fault == "" {
			t.Error("an anchor is another than the entry that somebody saw, and it is right")
		}

		// Whoever removes the front, and moves the anchor, is found: no entry says so.
		w.do(func(tx store.Tx) error {
			h, err := tx.LogHead(trail.LogOf(acme))
			if err != nil {
				return err
			}
			h.Anchor = trail.Anchor{Sequence: all[0].Sequence, Hash: all[0].Hash}
			return errors.Join(tx.DeleteLogEntry(h.Log, h.Anchor.Sequence), tx.PutLogHead(h))
		})
		if r := w.verify(acme); r.Fault == "" {
			t.Error("the front is gone, and it is right")
		}
	})
}

// What is broken is evidence, and stays.
func TestRetentionRemovesNothingOfABrokenChain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.days = 30
		for n := 1; n <= 10; n++ {
			w.happen(acme, n)
		}
		w.settle()
		w.do(func(tx store.Tx) error { return tx.DeleteLogEntry(trail.LogOf(acme), 4) })
		w.clock.Advance(40 * 24 * time.Hour)
		w.happen(acme, 11)
		w.settle()
		if n := len(w.entries(acme)); n != 10 {
			t.Errorf("%d entries are left, want 10", n)
		}
		if r := w.verify(acme); r.At != 4 {
			t.Errorf("%+v", r)
		}
	})
}

func TestTheLogOfADeletedOrganizationGoesAndThatItWentIsTheInstallations(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 500; n++ {
			w.happen(acme, n)
		}
		w.happen(beta, 1)
		w.settle()
		w.do(func(tx store.Tx) error {
			return errors.Join(tx.Append(w.event(acme, 501)), trail.SetRetention(tx, acme, 30, audit.System, w.clock.Now()), tx.DeleteOrganization(acme), func() error {
				e := audit.New(audit.OrganizationDeleted, audit.Actor{Type: "api_key", ID: "api_key_1"}, w.clock.Now())
				e.Organization = string(acme)
				return audit.Record(tx, e, map[string]string{"object": "organization", "id": string(acme), "name": "Acme"})
			}())
		})
		w.settle()
		w.happen(acme, 502)
		w.settle()
		if n := len(w.entries(acme)); n != 0 {
			t.Errorf("%d entries are left", n)
		}
		w.do(func(tx store.Tx) error {
			for _, err := range tx.LogEntries(trail.LogOf(acme), 0, false) {
				t.Errorf("something is left: %v", err)
			}
			if _, err := tx.LogHead(trail.LogOf(acme)); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("head: %v", err)
			}
			if _, err := tx.LogSettings(trail.LogOf(acme)); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("settings: %v", err)
			}
			return nil
		})
		all := w.entries("")
		if len(all) != 1 || all[0].Action != audit.OrganizationDeleted || all[0].Actor.ID != "api_key_1" || all[0].Targets[0].ID != string(acme) {
			t.Errorf("the installation's: %+v", all)
		}
		w.right("", 1)
		w.right(beta, 1)
	})
}

// A log that nobody can write does not stop: what is no entry is told of as an event is.
func TestNoEventStopsTheLog(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for _, data := range []string{`[1]`, `"x"`, `{"action":{}}`, `{"action":"a","metadata":{"k":[]}}`, `{}`, `{"a":{"b":{"c":{"d":{"e":1}}}},"big":1e999999}`} {
			for _, name := range []string{audit.AuditLogEventCreated, "thing.changed"} {
				e := w.event(acme, 1)
				e.Name, e.Data = name, []byte(data)
				w.do(func(tx store.Tx) error { return tx.Append(e) })
			}
		}
		w.settle()
		w.right(acme, 12)
	})
}

func TestABackupHasTheLogAndAfterARestoreItGoesOn(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for n := 1; n <= 50; n++ {
			w.happen(acme, n)
		}
		w.settle()
		w.happen(acme, 51) // and one that is in no log yet
		r := restored(t, w)
		pin := w.right(acme, 50).Head
		r.right(acme, 50)
		r.settle()
		r.clock.Advance(time.Minute)
		r.happen(acme, 52)
		r.settle()
		same(t, "the log", targets(r.entries(acme)), things(1, 52))
		r.right(acme, 52)
		if rep := r.verify(acme, pin); rep.Fault != "" {
			t.Errorf("%s at %d", rep.Fault, rep.At)
		}
	})
}

// What an event shows is in the entry, as far as it is no more than metadata may be.
func TestAnEntrySaysWhoWhatAndFromWhere(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.do(func(tx store.Tx) error {
			if err := tx.PutUser(tenancy.User{ID: "user_1", Email: "jo@acme.com"}); err != nil {
				return err
			}
			e := audit.New(audit.SessionCreated, audit.Actor{Type: "user", ID: "user_1"}, w.clock.Now())
			e.Organization, e.User, e.Session = string(acme), "user_1", "session_1"
			long := map[string]any{"object": "session", "id": "session_1", "ip_address": "192.0.2.1", "user_agent": strings.Repeat("ü", 400), "auth_method": "sso", "ended_at": nil,
				"in": map[string]any{"a b": true, "deep": map[string]any{"n": 1.5}}, "list": []int{1, 2}, strings.Repeat("k", 50): "x"}
			for n := range 100 {
				long[fmt.Sprint("z", n)] = n
			}
			gone := audit.New("thing.changed", audit.Actor{Type: "user", ID: "user_2"}, w.clock.Now())
			gone.Organization, gone.User, gone.Connection = string(acme), "user_2", "conn_1"
			return errors.Join(audit.Record(tx, e, long), audit.Record(tx, gone, "no object"))
		})
		w.settle()
		all := w.entries(acme)
		e := all[0]
		if e.Actor.ID != "user_1" || e.Actor.Name != "jo@acme.com" || e.Context.Location != "192.0.2.1" || len(e.Context.UserAgent) > 500 || !strings.HasPrefix(e.Context.UserAgent, "üü") {
			t.Errorf("%+v", e)
		}
		same(t, "targets", targets(all), []string{"session_1", "user_2"})
		if len(e.Targets) != 2 || e.Targets[1].Name != "jo@acme.com" || len(e.Metadata) != 50 {
			t.Errorf("%d values, %+v", len(e.Metadata), e.Targets)
		}
		for name, want := range map[string]string{"auth_method": "sso", "in_a_b": "true", "in_deep_n": "1.5", "list": "[1,2]", "z0": "0", "ended_at": "", "ip_address": ""} {
			if got := e.Metadata[name].String(); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if g := all[1]; g.Actor.Name != "" || len(g.Targets) != 2 || g.Targets[1].ID != "conn_1" || g.Metadata != nil {
			t.Errorf("%+v", g)
		}
		w.right(acme, 2)
	})
}
