package badger_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

// BenchmarkUpdate is what one durable commit costs when so many writers commit at once: each
// update reads a key, writes it and appends an entry to the feed. Run it on the disk that
// is meant: TMPDIR=/var/lib/orgate go test -bench Update ./store/badger
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e := open(b, badger.Options{Dir: b.TempDir()})
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
							if err := kv.Set(key, value, time.Time{}); err != nil {
								return err
							}
							return kv.Append(value, time.Time{})
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

// filled returns an engine with n rows in tables and in memory.
func filled(b *testing.B, n int) *badger.Engine {
	b.Helper()
	e := open(b, badger.Options{Dir: b.TempDir()})
	value := make([]byte, 300)
	for i := 0; i < n; i += 1000 {
		err := e.Update(b.Context(), func(kv store.KV) error {
			for j := range 1000 {
				if err := kv.Set(fmt.Appendf(nil, "row/%08d", i+j), value, time.Time{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return e
}

func BenchmarkViewGet(b *testing.B) {
	const n = 50_000
	e := filled(b, n)
	i := 0
	for b.Loop() {
		i = (i + 7919) % n
		err := e.View(b.Context(), func(kv store.KV) error {
			_, err := kv.Get(fmt.Appendf(nil, "row/%08d", i))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan100(b *testing.B) {
	e := filled(b, 50_000)
	i := 0
	for b.Loop() {
		i = (i + 37) % 499
		rows := 0
		err := e.View(b.Context(), func(kv store.KV) error {
			for _, err := range kv.Scan(fmt.Appendf(nil, "row/%06d", i), nil, false) {
				if err != nil {
					return err
				}
				rows++
			}
			return nil
		})
		if err != nil || rows != 100 {
			b.Fatal(rows, err)
		}
	}
}
