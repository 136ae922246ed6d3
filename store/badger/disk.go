package badger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"

	"github.com/orgate/orgate/store"
)

// gcEvery is how often dead values are looked for in the value log.
const gcEvery = 5 * time.Minute

// freeRoom returns how many bytes are free: in memory, as many as there can be.
func (e *Engine) freeRoom() (uint64, error) {
	if e.free == nil {
		return math.MaxUint64, nil
	}
	return e.free()
}

// roomLeft returns an error if the disk is so full that a write could fail halfway.
func (e *Engine) roomLeft() error {
	n, err := e.freeRoom()
	if err != nil {
		return fmt.Errorf("%w: free space: %w", store.ErrUnavailable, err)
	}
	if n < e.minFree {
		return fmt.Errorf("%w: %d MiB are free on the disk, updates need %d MiB; make room, they go on by themselves",
			store.ErrUnavailable, n>>20, e.minFree>>20)
	}
	return nil
}

// Health returns nil if the engine can read and write.
func (e *Engine) Health(ctx context.Context) error {
	if p := e.failed.Load(); p != nil {
		return *p
	}
	if err := e.roomLeft(); err != nil {
		return err
	}
	_, err := e.Head(ctx)
	return err
}

// collect frees value-log files whose values are dead, until Close.
func (e *Engine) collect() {
	tick := time.NewTicker(gcEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.closing:
			return
		case <-tick.C:
		}
		e.collectOnce()
	}
}

func (e *Engine) collectOnce() {
	if e.roomLeft() != nil {
		return // it copies before it deletes
	}
	for {
		err := e.db.RunValueLogGC(0.5)
		if errors.Is(err, badgerdb.ErrNoRewrite) || errors.Is(err, badgerdb.ErrRejected) {
			return
		}
		if err != nil {
			e.log.Warn("value log was not compacted", "error", err)
			return
		}
		select {
		case <-e.closing:
			return
		default:
		}
	}
}
