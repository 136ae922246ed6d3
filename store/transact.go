package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/audit"
)

// Options are what a Store needs beside its engine. The zero value will do.
type Options struct {
	// Now is the clock; nil: time.Now. It should be the engine's.
	Now func() time.Time
	// Logger hears of a feed that can't be read; nil: nobody does.
	Logger *slog.Logger
}

// A Store runs typed transactions on an engine. It is safe for concurrent use.
type Store struct {
	engine Engine
	now    func() time.Time
	log    *slog.Logger

	// complete: no restore was cut off, as seen once; see unfinished.
	complete atomic.Bool

	mu    sync.Mutex
	hooks []func([]audit.Event)
}

// New returns the store that is kept in e. It owns e from now on.
func New(e Engine, o Options) *Store {
	s := &Store{engine: e, now: o.Now, log: o.Logger}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// View runs f on a consistent snapshot. It may run f more than once; f must have no
// effect but through its Tx. A write in f returns [ErrReadOnly].
func (s *Store) View(ctx context.Context, f func(Tx) error) error {
	return s.engine.View(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		return f(&tx{kv: kv})
	})
}

// Update runs f in a serializable transaction, and commits what it did, events and
// all, if it returns nil. It may run f more than once; f must have no effect but
// through its Tx, and must not start another transaction. When Update returns nil, the
// change is durable and every hook of [Store.OnCommit] has returned.
func (s *Store) Update(ctx context.Context, f func(Tx) error) error {
	var events []audit.Event
	err := s.engine.Update(ctx, func(kv KV) error {
		if err := s.usable(kv); err != nil {
			return err
		}
		t := &tx{kv: kv}
		if err := f(t); err != nil {
			return err
		}
		events = t.events // in place of an earlier run's, which were never committed
		return nil
	})
	if err != nil || len(events) == 0 {
		return err
	}
	s.mu.Lock()
	hooks := slices.Clone(s.hooks)
	s.mu.Unlock()
	for _, h := range hooks {
		h(events)
	}
	return nil
}

// OnCommit has f called with the events of every transaction that this Store commits,
// after the commit and before [Store.Update] returns: a revocation holds on this
// replica when whoever asked for it is answered. Other replicas learn of it by
// [Store.Follow]. Calls for different transactions may come in any order and at the
// same time; f must be quick, must not change the events, and must not call Update.
func (s *Store) OnCommit(f func([]audit.Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, f)
}

// Close closes the engine.
func (s *Store) Close() error { return s.engine.Close() }

// usable returns an error if the store holds a part of a restore and no more.
func (s *Store) usable(kv KV) error {
	if s.complete.Load() {
		return nil
	}
	unfinished, err := restoring(kv)
	if err != nil {
		return err
	}
	if unfinished {
		return fmt.Errorf("%w: a restore into it was cut off; empty it and restore again", ErrCorrupt)
	}
	s.complete.Store(true)
	return nil
}

// ready is usable for what does not begin a transaction.
func (s *Store) ready(ctx context.Context) error {
	if s.complete.Load() {
		return nil
	}
	return s.engine.View(ctx, s.usable)
}

// restoring reports whether a restore has begun and not ended.
func restoring(kv KV) (bool, error) {
	_, err := kv.Get(encodeKey(byte(kindNote), "restoring"))
	if errors.Is(err, ErrNoKey) {
		return false, nil
	}
	return err == nil, err
}
