package quiet

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A ward is a process that a test makes quiet or not.
type ward struct {
	t                                          *testing.T
	spent, held, mapped, letGo, freed, dropped atomic.Int64
}

// watched runs f in a bubble, with a ward that is looked after.
func watched(t *testing.T, f func(w *ward)) {
	synctest.Test(t, func(t *testing.T) {
		w := &ward{t: t}
		go process{
			spent:  func() time.Duration { return time.Duration(w.spent.Load()) },
			held:   func() uint64 { return uint64(w.held.Load()) },
			mapped: func() uint64 { return uint64(w.mapped.Load()) },
			letGo:  func() { w.letGo.Add(1) },
			free:   func() { w.freed.Add(1); w.held.Store(max(w.held.Load()/2, 100)); w.spent.Add(int64(time.Second)) },
			drop:   func() { w.dropped.Add(1); w.mapped.Store(0) },
		}.run(t.Context())
		f(w)
	})
}

// step has so much work be done until the next look, and says how often memory was given back by then.
func (w *ward) step(work time.Duration, want int64) {
	w.t.Helper()
	w.spent.Add(int64(work))
	time.Sleep(every)
	synctest.Wait()
	if n := w.freed.Load(); n != want {
		w.t.Fatalf("%d times, want %d", n, want)
	}
}

func TestMemoryIsGivenBackWhileThatFindsSomeAndNobodyIsServed(t *testing.T) {
	watched(t, func(w *ward) {
		w.held.Store(1000)
		for range 5 {
			w.step(time.Second, 0)
		}
		w.step(0, 0) // a moment's silence is none
		w.step(time.Second, 0)
		w.step(little/2, 0)
		w.step(little/2, 1) // 500; what it took itself does not count
		w.step(0, 2)
		w.step(0, 3)
		w.step(0, 4) // 100
		w.step(0, 5) // nothing was found
		w.step(0, 5)
		w.step(0, 5)
		if n := w.letGo.Load(); n != 1 {
			t.Errorf("what makes it quick was let go of %d times in a quiet time", n)
		}
		w.held.Store(1000)
		w.step(time.Second, 5)
		w.step(0, 5)
		w.step(0, 6)
		if n := w.letGo.Load(); n != 2 {
			t.Errorf("what makes it quick was let go of %d times in two quiet times", n)
		}
	})
}

func TestWhatComesSlowlyIsFoundNowAndThen(t *testing.T) {
	watched(t, func(w *ward) {
		w.step(little, 0)
		w.step(little, 1)
		for range again/every - 1 {
			w.held.Add(100)
			w.step(little, 1)
		}
		w.held.Add(100)
		w.step(little, 2)
		if n := w.letGo.Load(); n != 2 {
			t.Errorf("let go of %d times", n)
		}
	})
}

func TestMappedFilesAreGivenBackSeldomAndNotWhileTheyAreRead(t *testing.T) {
	watched(t, func(w *ward) {
		tick := func(work time.Duration, mapped, want int64) {
			t.Helper()
			w.mapped.Store(mapped)
			w.spent.Add(int64(work))
			time.Sleep(every)
			synctest.Wait()
			if n := w.dropped.Load(); n != want {
				t.Fatalf("%d times, want %d", n, want)
			}
		}
		for range 10 {
			tick(0, worth, 0) // a small store
		}
		for n := range int64(10) {
			tick(0, worth+(n+1)*(some+1), 0) // somebody reads it
		}
		tick(time.Second, worth+some, 0)
		tick(0, worth+some, 0)
		tick(0, worth+some, 1)
		for range 5 {
			tick(0, worth+some, 1)
		}
	})
}

func TestAnAttackerHasNoStoreReadFromTheDiskTimeAndAgain(t *testing.T) {
	watched(t, func(w *ward) {
		for range 24 * time.Hour / every / 4 { // work, so that it is quiet anew, and quiet
			for _, work := range []time.Duration{time.Second, 0, 0, 0} {
				w.mapped.Store(worth + 1)
				w.spent.Add(int64(work))
				time.Sleep(every)
				synctest.Wait()
			}
		}
		if n, most := w.dropped.Load(), int64(24*time.Hour/apart); n == 0 || n > most {
			t.Errorf("%d times in a day, want at most %d", n, most)
		}
	})
}
