package proxy

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// A toucher records which sessions are in use, many in one transaction and away from
// the requests. What it holds is bounded: a session that finds no place is recorded
// at a later request.
type toucher struct {
	mu      sync.Mutex
	waiting map[session.ID]struct{}
	busy    bool // some are being recorded
	wake    chan struct{}
}

const (
	maxTouches   = 4096
	touchesAtOne = 128 // in one transaction
	touchEvery   = 200 * time.Millisecond
)

func newToucher() *toucher {
	return &toucher{waiting: map[session.ID]struct{}{}, wake: make(chan struct{}, 1)}
}

// add has the session recorded as used; false: there is no place.
func (t *toucher) add(id session.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= maxTouches {
		return false
	}
	t.waiting[id] = struct{}{}
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns some of the sessions that wait.
func (t *toucher) take() []session.ID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []session.ID
	for id := range t.waiting {
		if len(ids) == touchesAtOne {
			break
		}
		ids = append(ids, id)
		delete(t.waiting, id)
	}
	t.busy = len(ids) > 0
	return ids
}

// done notes that what was taken is recorded.
func (t *toucher) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = false
}

// run records until ctx is done, and then what is left.
func (t *toucher) run(ctx context.Context, p *Proxy) {
	pause := time.NewTicker(touchEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			for t.flush(last, p) {
			}
			return
		case <-t.wake:
		}
		for t.flush(ctx, p) {
		}
		// What comes in a moment goes together.
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// flush records some, and reports whether there may be more.
func (t *toucher) flush(ctx context.Context, p *Proxy) bool {
	ids := t.take()
	if len(ids) == 0 {
		return false
	}
	defer t.done()
	limits, now := p.state.Load().limits, p.now()
	err := p.store.Update(ctx, func(tx store.Tx) error {
		for _, id := range ids {
			if err := session.Touch(tx, id, limits, now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		p.log.LogAttrs(ctx, slog.LevelWarn, "use of sessions could not be recorded", slog.Int("count", len(ids)), slog.Any("error", err))
		return false
	}
	return len(ids) == touchesAtOne
}
