package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/store/storetest"
)

func TestConformance(t *testing.T) {
	s := pgtest.Start(t)
	urls := map[store.Engine]string{}
	storetest.Run(t, storetest.Harness{
		Open: func(t testing.TB, now func() time.Time) store.Engine {
			url := s.URL()
			e, err := postgres.Open(context.Background(), postgres.Options{URL: url, Now: now, MaxConns: 16})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			urls[e] = url
			return e
		},
		Join: func(t testing.TB, other store.Engine) store.Engine {
			e, err := postgres.Open(context.Background(), postgres.Options{URL: urls[other], MaxConns: 16})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = e.Close() })
			return e
		},
	})
}

// Commits wait for the disk here, as they do in production. Replicas' commits are separate
// transactions, which PostgreSQL groups by itself.
func BenchmarkUpdate(b *testing.B) {
	url := pgtest.Start(b, "fsync=on").URL()
	for _, writers := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e, err := postgres.Open(b.Context(), postgres.Options{URL: url, MaxConns: 64})
			if err != nil {
				b.Fatal(err)
			}
			defer e.Close()
			value := make([]byte, 300)
			var n atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for w := range writers {
				wg.Go(func() {
					key := fmt.Append(nil, "writer/", w)
					for n.Add(1) <= int64(b.N) {
						err := e.Update(b.Context(), func(kv store.KV) error {
							if _, err := kv.Get(key); err != nil && !errors.Is(err, store.ErrNoKey) {
								return err
							}
							return errors.Join(kv.Set(key, value, time.Time{}), kv.Append(value, time.Time{}))
						})
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
