package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func dueWebhooks(t testing.TB, tx store.Tx, e hook.ID, now time.Time) []string {
	t.Helper()
	return list(t, tx.DueWebhookDeliveries(e, now), func(d hook.Delivery) string { return fmt.Sprint(d.Endpoint, " ", d.Position) })
}

// webhooksDue: an endpoint's deliveries come by their times, and those of one time in the
// order of their positions, as numbers.
func webhooksDue(t *testing.T, h Harness) {
	s := open(t, h, func() time.Time { return noon })
	for _, pos := range []uint64{1000, 9, 10, 2} {
		put(t, s, hook.Delivery{Endpoint: "we_1", Position: pos, At: noon, Due: noon}, hook.Delivery{Endpoint: "we_11", Position: pos, At: noon, Due: noon})
	}
	put(t, s, hook.Delivery{Endpoint: "we_1", Position: 1, At: noon, Due: noon.Add(time.Microsecond)})
	look(t, s, func(tx store.Tx) {
		if got, want := dueWebhooks(t, tx, "we_1", noon), []string{"we_1 2", "we_1 9", "we_1 10", "we_1 1000"}; !slices.Equal(got, want) {
			t.Errorf("due: %q, want %q", got, want)
		}
		if got, want := dueWebhooks(t, tx, "we_1", noon.Add(time.Microsecond)), []string{"we_1 2", "we_1 9", "we_1 10", "we_1 1000", "we_1 1"}; !slices.Equal(got, want) {
			t.Errorf("due later: %q, want %q", got, want)
		}
		all := list(t, tx.WebhookDeliveries("we_1"), func(d hook.Delivery) string { return fmt.Sprint(d.Position) })
		if want := []string{"1", "2", "9", "10", "1000"}; !slices.Equal(all, want) {
			t.Errorf("in the order of the feed: %q, want %q", all, want)
		}
	})
	// The loop may delete and move what it is given.
	do(t, s, func(tx store.Tx) error {
		for d, err := range tx.DueWebhookDeliveries("we_1", noon.Add(time.Hour)) {
			if err == nil && d.Position == 9 {
				err = tx.DeleteWebhookDelivery(d.Endpoint, d.Position)
			} else if err == nil {
				d.Due = noon.Add(2 * time.Hour)
				err = tx.PutWebhookDelivery(d)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	look(t, s, func(tx store.Tx) {
		if got := dueWebhooks(t, tx, "we_1", noon.Add(time.Hour)); len(got) != 0 {
			t.Errorf("moved: %q are due", got)
		}
		if got := dueWebhooks(t, tx, "we_1", noon.Add(2*time.Hour)); len(got) != 4 {
			t.Errorf("moved: %q are due", got)
		}
		if got := dueWebhooks(t, tx, "we_11", noon); len(got) != 4 {
			t.Errorf("another endpoint's: %q are due", got)
		}
	})
}

func webhooksExpire(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	put(t, s, hook.Delivery{Endpoint: "we_1", Position: 1, At: noon.Add(-time.Hour), Due: noon})
	clock.Advance(store.EventLife - time.Hour - time.Second)
	look(t, s, func(tx store.Tx) {
		if got := dueWebhooks(t, tx, "we_1", clock.Now()); len(got) != 1 {
			t.Errorf("due: %q", got)
		}
	})
	clock.Advance(time.Second)
	look(t, s, func(tx store.Tx) {
		if got := dueWebhooks(t, tx, "we_1", clock.Now()); len(got) != 0 {
			t.Errorf("due: %q, and the event is gone", got)
		}
		if _, err := tx.WebhookDelivery("we_1", 1); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("the delivery: %v", err)
		}
	})
}

func webhookURLs(t *testing.T, h Harness) {
	s := open(t, h, nil)
	first := hook.Endpoint{ID: "we_1", URL: "https://a.example/"}
	put(t, s, first)
	second := hook.Endpoint{ID: "we_2", URL: "https://a.example/"}
	err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutWebhookEndpoint(second) })
	if !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("the URL of another: %v", err)
	}
	first.URL, first.Deleted = "", true
	put(t, s, first, second)
	do(t, s, func(tx store.Tx) error { return tx.DeleteWebhookEndpoint("we_1") })
	look(t, s, func(tx store.Tx) {
		if got := list(t, tx.WebhookEndpoints(), func(e hook.Endpoint) string { return string(e.ID) }); !slices.Equal(got, []string{"we_2"}) {
			t.Errorf("endpoints: %q", got)
		}
		for what, err := range map[string]error{
			"endpoint": errorOf(tx.WebhookEndpoint("we_1")), "delivery": errorOf(tx.WebhookDelivery("we_1", 1)),
			"health": errorOf(tx.WebhookHealth("we_1")), "lease": errorOf(tx.WebhookLease()),
		} {
			if !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if pos, err := tx.WebhookPosition(); pos != 0 || err != nil {
			t.Errorf("position %d, %v", pos, err)
		}
	})
}

func errorOf[T any](_ T, err error) error { return err }

// replicas are two stores on one database, or twice the same where an engine is for one process.
func replicas(t *testing.T, h Harness, now func() time.Time) []*store.Store {
	e := h.Open(t, now)
	first := store.New(e, store.Options{Now: now})
	if h.Join == nil {
		return []*store.Store{first, first}
	}
	return []*store.Store{first, store.New(h.Join(t, e), store.Options{Now: now})}
}

func webhooksQueuedOnce(t *testing.T, h Harness) {
	rs := replicas(t, h, nil)
	now := time.Now()
	const n = 60
	do(t, rs[0], func(tx store.Tx) error {
		for i := range 3 {
			if err := tx.PutWebhookEndpoint(hook.Endpoint{ID: hook.ID(fmt.Sprint("we_", i)), URL: fmt.Sprint("https://", i), Events: []string{"user.created"}}); err != nil {
				return err
			}
		}
		return nil
	})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range n {
			err := rs[0].Update(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
				return audit.Record(tx, audit.New("user.created", audit.System, now), struct{}{})
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
	var mu sync.Mutex
	queued := 0
	for i := range 4 {
		s := rs[i%2]
		wg.Go(func() {
			for !t.Failed() {
				var start uint64
				var entries []hook.Entry
				err := s.View(context.WithoutCancel(t.Context()), func(tx store.Tx) (err error) {
					if start, _, err = hook.Start(tx); err == nil {
						entries, err = tx.EventsAfter(start, 7)
					}
					return err
				})
				moved := false
				var pos uint64
				if err == nil {
					err = s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) (err error) {
						pos, moved, err = hook.Queue(tx, start, entries, now)
						return err
					})
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if moved {
					for _, en := range entries {
						if en.Position <= pos {
							queued++
						}
					}
				}
				all := queued >= n
				mu.Unlock()
				if all {
					return
				}
			}
		})
	}
	wg.Wait()
	look(t, rs[1], func(tx store.Tx) {
		for i := range 3 {
			if ds := list(t, tx.WebhookDeliveries(hook.ID(fmt.Sprint("we_", i))), func(d hook.Delivery) string { return d.Event }); len(ds) != n || queued != n {
				t.Errorf("endpoint %d has %d deliveries, %d events were queued; want %d", i, len(ds), queued, n)
			}
		}
	})
}

func webhookLease(t *testing.T, h Harness) {
	rs := replicas(t, h, nil)
	var mu sync.Mutex
	held := 0
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			mine := false
			err := rs[i%2].Update(context.WithoutCancel(t.Context()), func(tx store.Tx) (err error) {
				mine, err = hook.Hold(tx, fmt.Sprint("holder ", i), time.Minute, noon)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if mine {
				mu.Lock()
				held++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if held != 1 {
		t.Errorf("%d hold the lease, want 1", held)
	}
	do(t, rs[0], func(tx store.Tx) error {
		l, err := tx.WebhookLease()
		if err != nil {
			return err
		}
		for _, c := range []struct {
			holder string
			at     time.Duration
			want   bool
		}{{"another", time.Minute - 1, false}, {l.Holder, 30 * time.Second, true}, {"another", time.Minute, false}, {"another", 90 * time.Second, true}, {l.Holder, 91 * time.Second, false}} {
			if mine, err := hook.Hold(tx, c.holder, time.Minute, noon.Add(c.at)); mine != c.want || err != nil {
				t.Errorf("%s after %v: %v, %v; want %v", c.holder, c.at, mine, err, c.want)
			}
		}
		if err := errors.Join(hook.Release(tx, l.Holder), hook.Release(tx, "another")); err != nil {
			return err
		}
		mine, err := hook.Hold(tx, "third", time.Minute, noon)
		if !mine {
			t.Error("it was released, and nobody can have it")
		}
		return err
	})
}

// webhookReplay: with gaps in the positions, too.
func webhookReplay(t *testing.T, h Harness) {
	clock := NewClock(noon)
	e := h.Open(t, clock.Now)
	s := store.New(e, store.Options{Now: clock.Now})
	put(t, s, hook.Endpoint{ID: "we_1", URL: "https://a.example/", Events: []string{"user.created"}})
	var ids []string
	for i := range 40 {
		ev := audit.New("user.created", audit.System, clock.Now())
		ids = append(ids, ev.ID)
		do(t, s, func(tx store.Tx) error { return audit.Record(tx, ev, struct{}{}) })
		if i%10 == 5 {
			update(t, e, func(kv store.KV) error {
				last, err := kv.Last()
				return errors.Join(err, kv.Advance(last+1000))
			})
		}
		clock.Advance(10 * time.Minute)
	}
	for i, id := range ids {
		do(t, s, func(tx store.Tx) error { return hook.Redeliver(tx, "we_1", id, clock.Now()) })
		do(t, s, func(tx store.Tx) error {
			ds := slices.Collect(func(yield func(hook.Delivery) bool) {
				for d, err := range tx.WebhookDeliveries("we_1") {
					if err != nil || !yield(d) {
						return
					}
				}
			})
			if len(ds) != 1 || ds[0].Event != id || !ds[0].Asked {
				t.Fatalf("event %d: %+v", i, ds)
			}
			return hook.Drop(tx, ds[0])
		})
	}
	for _, id := range []string{"", "event_", "event_x", "event_01JDA9ZK3Q6QH3S3M5Q2M4W9XV", audit.New("x", audit.System, noon).ID, audit.New("x", audit.System, clock.Now()).ID, ids[0] + "0"} {
		err := s.Update(t.Context(), func(tx store.Tx) error { return hook.Redeliver(tx, "we_1", id, clock.Now()) })
		if !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("event %q: %v", id, err)
		}
	}
	since := noon.Add(200 * time.Minute)
	do(t, s, func(tx store.Tx) error { return hook.RedeliverSince(tx, "we_1", since, clock.Now()) })
	for more := true; more; {
		do(t, s, func(tx store.Tx) (err error) { more, err = hook.Resume(tx, clock.Now()); return err })
	}
	look(t, s, func(tx store.Tx) {
		if got := list(t, tx.WebhookDeliveries("we_1"), func(d hook.Delivery) string { return d.Event }); !slices.Equal(got, ids[20:]) {
			t.Errorf("since 200 minutes: %q, want %q", got, ids[20:])
		}
	})
}
