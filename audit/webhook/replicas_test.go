package webhook_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/store/storetest"
)

// replica returns a world over the database.
func replica(t *testing.T, url string, clock *storetest.Clock) *world {
	t.Helper()
	e, err := postgres.Open(context.Background(), postgres.Options{URL: url, Now: clock.Now, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(e, store.Options{Now: clock.Now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return worldOf(t, s, clock)
}

// Two replicas share a database, as in production: what happens on either is delivered once, and
// when the one that delivers goes, the other does.
func TestTwoReplicasDeliverOnceAndReplaceEachOther(t *testing.T) {
	url := pgtest.Start(t).URL()
	var ws []*world
	clock := storetest.NewClock(time.Now())
	for range 2 {
		w := replica(t, url, clock)
		if len(ws) > 0 {
			w.box, w.log, w.outcomes = ws[0].box, ws[0].log, ws[0].outcomes
		}
		ws = append(ws, w)
	}
	r := ws[0].receiver(nil)
	e := ws[0].endpoint(r.URL)
	stops := []func(){ws[0].start(), ws[1].start()}
	for i := range 20 { // one after the other: their order is that of the feed
		w := ws[i%2]
		w.gets(r, w.happen("user.created", 5)...)
	}
	w := ws[0]
	for range 100 {
		w.outcome(webhook.Sent)
	}
	holder := func() (l hook.Lease) {
		ws[1].look(func(tx store.Tx) (err error) { l, err = tx.WebhookLease(); return err })
		return l
	}
	first := holder().Holder
	stops[0]()
	w.gets(r, ws[1].happen("user.created", 5)...)
	stops[1]()
	w.getsNothing(r)
	if l := holder(); l.Holder != "" || first == "" {
		t.Errorf("%q held the lease, and now does %+v", first, l)
	}
	if n := len(w.waiting(e.ID)); n != 0 {
		t.Errorf("%d still wait", n)
	}
}

// Whoever commits while the feed is read may come before what is read: what two replicas write at
// once is queued once, and all of it.
func TestWhatReplicasCommitAtOnceIsQueuedOnceAndNothingIsMissed(t *testing.T) {
	url := pgtest.Start(t).URL()
	clock := storetest.NewClock(time.Now())
	var ws []*world
	for range 2 {
		ws = append(ws, replica(t, url, clock))
	}
	const writers, each = 4, 100
	w := ws[0]
	r := w.receiver(nil)
	w.endpoint(r.URL)
	w.start()
	var wrote sync.WaitGroup
	for i := range writers {
		wrote.Go(func() {
			for range each {
				err := ws[i%2].s.Update(context.WithoutCancel(t.Context()), func(tx store.Tx) error {
					return audit.Record(tx, audit.New(audit.UserCreated, audit.System, clock.Now()), struct{}{})
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wrote.Wait()
	var want []string
	changes, err := w.s.Feed(t.Context(), 0, 2*writers*each)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if c.Event.Name == audit.UserCreated {
			want = append(want, c.Event.ID)
		}
	}
	if len(want) != writers*each {
		t.Fatalf("the feed has %d events", len(want))
	}
	w.gets(r, want...)
	w.getsNothing(r)
}
