package proxy

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

// BenchmarkRevocationReachesTheOtherReplica is how long it takes from asking one replica to deactivate a member until
// the member's WebSocket at another replica is closed, both over one PostgreSQL. A hundred others stay open.
func BenchmarkRevocationReachesTheOtherReplica(b *testing.B) {
	w := newWorld(b, quiet)
	url := pgtest.Start(b).URL()
	replica := func() store.Engine {
		e, err := postgres.Open(b.Context(), postgres.Options{URL: url, Logger: w.options.Logger})
		if err != nil {
			b.Fatal(err)
		}
		return e
	}
	first := replica()
	w.copyTo(first)
	w.store = store.New(first, store.Options{})
	b.Cleanup(func() { w.store.Close() })

	o := w.options
	o.Store = store.New(replica(), store.Options{})
	b.Cleanup(func() { o.Store.Close() })
	p, err := New(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	w.server = httptest.NewUnstartedServer(nil)
	w.server.Config = Server(p, ServerLimits{}, o.Logger)
	w.server.Start()
	b.Cleanup(w.server.Close)
	w.eventually("the feed is followed", func() bool { return p.trusted(w.now()) })

	n := 0
	open := func() (*person, chan struct{}) {
		n++
		who := w.person(fmt.Sprintf("p%d@acme.com", n), w.acme.ID)
		return who, w.stream("websocket", acmeHost, "/x", "Cookie", who.at(acmeHost, w.acme.ID))
	}
	var others []chan struct{}
	for range 100 {
		_, over := open()
		others = append(others, over)
	}
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		who, over := open()
		b.StartTimer()
		began := time.Now()
		w.update(func(tx store.Tx) error { return session.Deactivate(tx, w.acme.ID, who.user.ID, audit.System, w.now()) })
		<-over
		took = append(took, time.Since(began))
	}
	for _, over := range others {
		select {
		case <-over:
			b.Fatal("somebody else's WebSocket was closed too")
		default:
		}
	}
	slices.Sort(took)
	at := func(q float64) float64 {
		return float64(took[min(int(q*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
}
