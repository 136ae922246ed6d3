package proxy

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestOneChangeThatConcernsEverybodyAsksTheStoreForAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, inTime, late atomic.Int64
		d := &docket{judge: func(ctx context.Context, _ *grant, _ *flight) {
			if ctx.Err() != nil {
				late.Add(1)
				return
			}
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(100 * time.Millisecond)
			inTime.Add(1)
		}}
		const open = 20 * judges
		grants := make([]*grant, open)
		for i := range grants {
			grants[i] = &grant{}
		}
		began := time.Now()
		d.add(grants[:open/2]...) // by two changes at once
		d.add(grants[open/2:]...)
		if took := time.Since(began); took != 0 {
			t.Errorf("whoever commits the change waits for %v", took)
		}
		for done := false; !done; {
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			done = inTime.Load()+late.Load() == open
			if time.Since(began) > time.Second {
				t.Fatalf("after a second, only %d of %d are judged", inTime.Load()+late.Load(), open)
			}
		}
		if most.Load() != judges {
			t.Errorf("%d were judged at once, want %d", most.Load(), judges)
		}
		if inTime.Load() != 9*judges { // 100 ms each, for 900 ms
			t.Errorf("%d were heard in time, and %d were not", inTime.Load(), late.Load())
		}
		synctest.Wait()
		if d.sitting != 0 || d.waiting != nil {
			t.Errorf("afterwards %d are at work, and %d wait", d.sitting, len(d.waiting))
		}
		d.add(&grant{}) // and it goes on
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if inTime.Load() != 9*judges+1 {
			t.Error("who came later was not heard")
		}
	})
}

// Whoever could not be heard in time is not asked about: nobody stays in because there are
// too many.
func TestWhatIsOpenAndIsNotJudgedInTimeEnds(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	over := w.streams(acmeHost, "/x", "Cookie", c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	open := w.proxy.grants.invalidate(scope{kind: everything})
	if len(open) == 0 {
		t.Fatal("nothing is open")
	}
	for _, g := range open {
		w.proxy.rejudge(ctx, g, nil)
	}
	for kind, ch := range over {
		select {
		case <-ch:
		case <-time.After(5 * time.Second):
			t.Errorf("%s is still open", kind)
		}
	}
}
