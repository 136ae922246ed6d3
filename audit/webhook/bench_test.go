package webhook_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/webhook"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

// One operation is one event, appended in a transaction of its own, and delivered to each endpoint: with a
// store that syncs, as in production. 10,000 webhooks a minute are one in 6 ms.
func BenchmarkDelivery(b *testing.B) {
	for _, c := range []struct {
		endpoints int
		latency   time.Duration
	}{{1, 0}, {1, 100 * time.Millisecond}, {10, 0}, {10, 100 * time.Millisecond}} {
		name := fmt.Sprintf("endpoints=%d/latency=%s", c.endpoints, c.latency)
		b.Run("badger/"+name, func(b *testing.B) {
			e, err := badger.Open(badger.Options{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, e, c.endpoints, c.latency)
		})
		b.Run("postgres/"+name, func(b *testing.B) {
			e, err := postgres.Open(b.Context(), postgres.Options{URL: pgtest.Start(b, "fsync=on").URL(), MaxConns: 16})
			if err != nil {
				b.Fatal(err)
			}
			benchmark(b, e, c.endpoints, c.latency)
		})
	}
}

func benchmark(b *testing.B, e store.Engine, endpoints int, latency time.Duration) {
	s := store.New(e, store.Options{})
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	var got atomic.Int64
	all := make(chan struct{})
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-time.After(latency) // it is the receiver that works
		if got.Add(1) == int64(b.N*endpoints) {
			close(all)
		}
	}))
	w := &world{TB: b, s: s, box: box, out: egress.New(egress.Options{AllowLoopback: true, MaxBody: webhook.MaxAnswer})}
	for i := range endpoints {
		w.endpointAt(time.Now(), fmt.Sprint(r.URL, "/", i), "user.created")
	}
	d := &webhook.Deliverer{Store: s, Box: box, Client: w.out.HTTP, Grace: time.Second}
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	b.ResetTimer()
	for range b.N {
		err := s.Update(ctx, func(tx store.Tx) error {
			return audit.Record(tx, audit.New("user.created", audit.System, time.Now()), map[string]string{"object": "user", "id": "user_01JDA9ZK3Q6QH3S3M5Q2M4W9XV", "email": "jo@acme.example"})
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N*endpoints)/b.Elapsed().Minutes(), "webhooks/min")
	stop()
	<-done
	r.Close()
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
