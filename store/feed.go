package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/audit"
)

// A Change is an event and its position in the feed.
type Change struct {
	Position uint64
	Event    audit.Event
}

// Feed returns up to limit events after position pos, in commit order and without gaps:
// when one is returned, none before it can appear later. Events older than [EventLife]
// are gone.
func (s *Store) Feed(ctx context.Context, pos uint64, limit int) ([]Change, error) {
	if err := s.ready(ctx); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	entries, err := s.engine.Feed(ctx, pos, limit)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	changes := make([]Change, len(entries))
	for i, en := range entries {
		changes[i].Position = en.Position
		if err := json.Unmarshal(en.Data, &changes[i].Event); err != nil {
			return nil, fmt.Errorf("feed: %w: entry %d is not an event", ErrCorrupt, en.Position)
		}
	}
	return changes, nil
}

// Head returns the position of the last event that was committed; 0: there was none.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	if err := s.ready(ctx); err != nil {
		return 0, fmt.Errorf("feed: %w", err)
	}
	return s.engine.Head(ctx)
}

// Wake returns a channel that is closed soon after the next commit of an event, on any
// replica. It is a hint and may be missed: who waits for something also looks by itself.
func (s *Store) Wake() <-chan struct{} { return s.engine.Wake() }

// How a follower reads.
const (
	// followPoll is how long a change on another replica may go unseen when the
	// engine's wake-up is lost.
	followPoll  = 500 * time.Millisecond
	followBatch = 512
	// Waits after an error double from the first to the last.
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Follow calls f with the changes after position from, in order, each once, as they are
// committed on any replica, until ctx is done; it returns the cause. When f returns an
// error it is called again, later, with the same changes or more.
func (s *Store) Follow(ctx context.Context, from uint64, f func([]Change) error) error {
	return s.NewFollower(from, f).Run(ctx)
}

// A Follower follows the feed and knows how far it has come. A cache that is kept by
// one is to be trusted only as long as [Follower.Synced] is recent: when the feed
// can't be read, revocations may be unheard of.
type Follower struct {
	// StartOver is called when the store went back behind what f has taken already: a
	// database that failed over to a replica which lagged, or was restored. Whatever was
	// made of the changes so far may never have happened, and must be read anew. Until it
	// returns nil nothing is synced, and it is called again. Set it before Run; nil:
	// nothing is kept that could be wrong.
	StartOver func(context.Context) error

	store  *Store
	f      func([]Change) error
	pos    atomic.Uint64
	synced atomic.Pointer[time.Time]
	last   string // id of the event at pos, as far as it was read; Run's alone
	back   bool   // the store went back, and it is not all started over yet; Run's alone
}

// NewFollower returns a follower that calls f with the changes after position from once
// it runs.
func (s *Store) NewFollower(from uint64, f func([]Change) error) *Follower {
	fo := &Follower{store: s, f: f}
	fo.pos.Store(from)
	return fo
}

// Synced returns a time before which nothing was committed that f has not taken; the
// zero time until that is known. It grows while the feed is read, changes or none.
func (fo *Follower) Synced() time.Time {
	if t := fo.synced.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// Position returns the position of the last change that f has taken, or that everything
// was read anew at.
func (fo *Follower) Position() uint64 { return fo.pos.Load() }

// Run follows until ctx is done, and returns the cause. It must not run twice at a time.
func (fo *Follower) Run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	var backoff time.Duration
	for {
		// Taken before reading: a commit in between closes this one.
		wake := fo.store.engine.Wake()
		more, err := fo.step(ctx)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			if backoff == 0 {
				fo.store.log.WarnContext(ctx, "feed can't be followed", "position", fo.Position(), "error", err)
			}
			backoff = min(max(2*backoff, firstBackoff), lastBackoff)
			wait.Reset(backoff)
			wake = nil // a broken feed is not read more often because it is busy
		default:
			if backoff != 0 {
				fo.store.log.InfoContext(ctx, "feed is followed again", "position", fo.Position())
			}
			backoff = 0
			if more {
				continue
			}
			wait.Reset(followPoll)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake:
		case <-wait.C:
		}
	}
}

// step reads once and reports whether there may be more at once.
func (fo *Follower) step(ctx context.Context) (more bool, err error) {
	if fo.back {
		return false, fo.startOver(ctx)
	}
	began := fo.store.now()
	changes, err := fo.read(ctx)
	if errors.Is(err, errWentBack) {
		fo.back = true
		return false, fo.startOver(ctx)
	}
	if err != nil {
		return false, err
	}
	if len(changes) > 0 {
		if err := fo.f(changes); err != nil {
			return false, err
		}
		last := changes[len(changes)-1]
		fo.pos.Store(last.Position)
		fo.last = last.Event.ID
	}
	if len(changes) == followBatch {
		return true, nil
	}
	fo.synced.Store(&began)
	return false, nil
}

// errWentBack: the feed is not the one in which the follower came to its position.
var errWentBack = errors.New("feed went back")

// read returns what comes after the position. The change at the position is read with it,
// once more: if that is another one by now, the store went back and others have committed
// since. The head alone would not tell, as soon as it is past the position again.
func (fo *Follower) read(ctx context.Context) ([]Change, error) {
	pos := fo.Position()
	if pos == 0 {
		return fo.store.Feed(ctx, 0, followBatch)
	}
	changes, err := fo.store.Feed(ctx, pos-1, followBatch+1)
	if err != nil {
		return nil, err
	}
	if len(changes) > 0 && changes[0].Position == pos {
		if fo.last == "" {
			fo.last = changes[0].Event.ID
		}
		if changes[0].Event.ID != fo.last {
			return nil, errWentBack
		}
		return changes[1:], nil
	}
	if fo.last != "" {
		// It was there. In [EventLife] of silence it may have grown too old, and then
		// starting over costs little.
		return nil, errWentBack
	}
	// It was too old from the beginning, or a position that was skipped.
	head, err := fo.store.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head < pos {
		return nil, errWentBack
	}
	return changes[:min(followBatch, len(changes))], nil
}

// startOver has everything read anew, and goes on from where the store is now.
func (fo *Follower) startOver(ctx context.Context) error {
	fo.synced.Store(nil)
	// Before what is read anew is read: a change in between is seen twice, and none is missed.
	head, err := fo.store.Head(ctx)
	if err != nil {
		return err
	}
	fo.store.log.ErrorContext(ctx, "store went back: what was committed last is lost, and everything is read anew", "position", fo.Position(), "head", head)
	if fo.StartOver != nil {
		if err := fo.StartOver(ctx); err != nil {
			return err
		}
	}
	fo.pos.Store(head)
	fo.last, fo.back = "", false
	return nil
}
