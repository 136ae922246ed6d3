// Package worker does what is due: it asks again and again for what there is to do, and does so
// many things at once and no more.
//
// It owns the loop. It does not own what is due, which of several replicas takes it, or what
// becomes of it.
package worker

import (
	"context"
	"sync"
	"time"
)

// Options are what a Worker works by.
type Options[T any] struct {
	// Take takes up to n things that are due, for nobody else to take; n may be 0, if all hands are full.
	Take func(ctx context.Context, n int) ([]T, error)
	// Do does one of them, and has logged what matters when it returns.
	Do func(ctx context.Context, one T)
	// Failed hears that Take has failed, which is tried again.
	Failed func(ctx context.Context, err error)
	// Parallel is how many are under way at once, and Poll how often it is asked what is due.
	Parallel int
	Poll     time.Duration
}

// A Worker does what is due.
type Worker[T any] struct {
	o    Options[T]
	wake chan struct{}
}

// New returns a Worker.
func New[T any](o Options[T]) *Worker[T] {
	return &Worker[T]{o: o, wake: make(chan struct{}, 1)}
}

// Poke has Run see what is due.
func (w *Worker[T]) Poke() {
	select {
	case w.wake <- struct{}{}:
	default: // it will, anyway
	}
}

// Run does what is due until ctx is done, and returns when nothing is under way any more.
func (w *Worker[T]) Run(ctx context.Context) {
	var busy sync.WaitGroup
	defer busy.Wait()
	slots := make(chan struct{}, w.o.Parallel)
	tick := time.NewTicker(w.o.Poll)
	defer tick.Stop()
	for {
		due, err := w.o.Take(ctx, cap(slots)-len(slots))
		if err != nil && ctx.Err() == nil {
			w.o.Failed(ctx, err)
		}
		for _, one := range due {
			slots <- struct{}{} // there is room, as nobody else puts one in
			busy.Go(func() {
				defer func() { <-slots; w.Poke() }()
				w.o.Do(ctx, one)
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-tick.C:
		}
	}
}
