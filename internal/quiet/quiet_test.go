package quiet

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackWhileThatFindsSomeAndNobodyIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var spent, freed atomic.Int64
		var held, mapped atomic.Uint64
		held.Store(1000)
		var dropped atomic.Int64
		p := process{
			spent:  func() time.Duration { return time.Duration(spent.Load()) },
			held:   held.Load,
			mapped: mapped.Load,
			free:   func() { freed.Add(1); held.Store(max(held.Load()/2, 100)); spent.Add(int64(time.Second)) },
			drop:   func() { dropped.Add(1); mapped.Store(0) },
		}
		go p.run(t.Context())
		step := func(work time.Duration, want int64) {
			t.Helper()
			spent.Add(int64(work))
			time.Sleep(every)
			synctest.Wait()
			if n := freed.Load(); n != want {
				t.Fatalf("%d times, want %d", n, want)
			}
		}
		for range 5 {
			step(time.Second, 0)
		}
		step(0, 0) // a moment's silence is none
		step(time.Second, 0)
		step(little/2, 0)
		step(little/2, 1) // 500; what it took itself does not count
		step(0, 2)
		step(0, 3)
		step(0, 4) // 100
		step(0, 5) // nothing was found
		step(0, 5)
		step(0, 5)
		held.Store(1000)
		step(time.Second, 5)
		step(0, 5)
		step(0, 6)
		for freed.Load() < 10 {
			step(0, freed.Load()+1) // 100 again, and nothing was found
		}
		// It has been quiet ever since. Little by little there is more, which is looked for now and then.
		for range again/every - 1 {
			step(0, 10)
		}
		step(0, 10) // but there is nothing more
		held.Store(1000)
		step(0, 11)
		for freed.Load() < 15 {
			step(0, freed.Load()+1)
		}
		mapped.Store(worth)
		for range again/every - 1 {
			step(0, 15)
		}
		step(0, 16)
		if n := dropped.Load(); n != 0 {
			t.Fatalf("a small store was given back %d times", n)
		}
		step(time.Second, 16)
		mapped.Store(worth + 1)
		step(0, 16)
		step(0, 17)
		if n := dropped.Load(); n != 1 {
			t.Fatalf("a large store was given back %d times", n)
		}
	})
}
