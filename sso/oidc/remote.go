package oidc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A remote is a value that somebody else publishes. It is fetched when it is first asked
// for and again once it is no longer fresh, by one goroutine however many ask; while
// fetching fails the last good value serves, up to a bound. The lock is never held during I/O.
type remote[T any] struct {
	fetch func(context.Context) (T, error)
	now   func() time.Time
	// fresh is how long a value is good without asking, keep how long it serves while
	// the publisher fails, and retry how long a failure is remembered before the next try.
	fresh, keep, retry time.Duration

	mu      sync.Mutex
	value   T
	got     time.Time // zero: never
	failed  time.Time // when err was met
	err     error
	running chan struct{} // closed when the fetch in flight has ended; nil: there is none
}

// get returns the value.
func (r *remote[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	now := r.now()
	if !r.got.IsZero() && now.Sub(r.got) < r.fresh || r.err != nil && now.Sub(r.failed) < r.retry {
		defer r.mu.Unlock()
		return r.settle(now)
	}
	return r.wait(ctx)
}

// renew fetches the value however fresh it is, and fails if that fails: the last good
// value is no answer to whoever misses something in it. The caller decides how often.
func (r *remote[T]) renew(ctx context.Context) (T, error) {
	r.mu.Lock()
	value, err := r.wait(ctx)
	if err != nil {
		return value, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return value, r.err
}

// wait joins the fetch in flight, or starts one. It is called with the lock held, and
// releases it.
func (r *remote[T]) wait(ctx context.Context) (T, error) {
	if r.running == nil {
		r.running = make(chan struct{})
		go r.run(r.running)
	}
	done := r.running
	r.mu.Unlock()
	select {
	case <-done:
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.settle(r.now())
	case <-ctx.Done():
		var none T
		return none, fail(CodeSlow, ctx.Err(), "")
	}
}

// settle returns what the last fetches leave. The lock is held.
func (r *remote[T]) settle(now time.Time) (T, error) {
	if !r.got.IsZero() && now.Sub(r.got) < r.keep {
		return r.value, nil
	}
	var none T
	return none, r.err
}

// run fetches once. The request that asked first may go away without failing the others,
// so the fetch has a context of its own.
func (r *remote[T]) run(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	value, err := r.try(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		r.value, r.got, r.err = value, r.now(), nil
	} else {
		r.failed, r.err = r.now(), err
	}
	r.running = nil
	close(done)
}

// try turns a panic of a parser, which nobody would recover in this goroutine, into an
// error: one hostile document must not end the process.
func (r *remote[T]) try(ctx context.Context) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fail(CodeDiscovery, errors.New("parser failed"), fmt.Sprint(p))
		}
	}()
	return r.fetch(ctx)
}
