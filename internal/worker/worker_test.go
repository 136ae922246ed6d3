package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/orgate/orgate/internal/worker"
)

func TestNoMoreIsUnderWayThanThereAreHandsAndAllOfItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, busy, most, done, failed := 7, 0, 0, 0, 0
		next := make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		w := worker.New(worker.Options[int]{
			Parallel: 2, Poll: time.Minute,
			Take: func(_ context.Context, n int) ([]int, error) {
				if failed == 0 {
					return nil, errors.New("not now")
				}
				n = min(n, left)
				left -= n
				busy += n
				most = max(most, busy)
				return make([]int, n), nil
			},
			Failed: func(context.Context, error) { failed++ },
			Do:     func(context.Context, int) { <-next; busy--; done++ },
		})
		ended := make(chan struct{})
		go func() { defer close(ended); w.Run(ctx) }()
		synctest.Wait()
		if failed != 1 || busy != 0 {
			t.Fatalf("%d failures, %d under way", failed, busy)
		}
		w.Poke() // it is tried again, before a minute has gone
		w.Poke()
		for range 6 {
			synctest.Wait()
			next <- struct{}{}
		}
		synctest.Wait()
		stop()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("it has ended, and one is under way")
		default:
		}
		next <- struct{}{}
		<-ended
		if most != 2 || done != 7 {
			t.Errorf("%d at once, %d done", most, done)
		}
	})
}

func TestWhatNobodyTellsOfIsSeenByLookingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		ctx, stop := context.WithCancel(t.Context())
		w := worker.New(worker.Options[int]{
			Parallel: 1, Poll: time.Minute, Do: func(context.Context, int) {}, Failed: func(context.Context, error) {},
			Take: func(context.Context, int) ([]int, error) {
				if looks++; looks == 3 {
					stop()
				}
				return nil, nil
			},
		})
		began := time.Now()
		w.Run(ctx)
		if looks != 3 || time.Since(began) != 2*time.Minute {
			t.Errorf("%d looks in %v", looks, time.Since(began))
		}
	})
}
