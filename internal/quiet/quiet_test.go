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
		var held atomic.Uint64
		held.Store(1000)
		p := process{
			spent: func() time.Duration { return time.Duration(spent.Load()) },
			held:  held.Load,
			free:  func() { freed.Add(1); held.Store(max(held.Load()/2, 100)); spent.Add(int64(time.Second)) },
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
	})
}
