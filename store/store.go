// Package store keeps everything: it turns an engine, an ordered transactional
// key-value store, into the typed transactions of the packages below it.
//
// It owns the layout of keys (keys.go), the indexes, the feed of committed events,
// backup and restore. It does not own rules: no method of [Tx] refuses anything but
// a broken invariant of uniqueness.
//
// Two engines implement [Engine]: store/badger and store/postgres. Suite
// store/storetest is run by both.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
)

// Tx is one transaction: the union of what the packages below need.
type Tx interface {
	audit.Tx
	session.Tx // includes tenancy.Tx
}

// What engines return, wrapped.
var (
	// ErrNoKey: [KV.Get] found nothing.
	ErrNoKey = errors.New("no such key")
	// ErrUnavailable: the engine can't be reached or can't write (database gone,
	// disk full). Nothing was written, or it is unknown whether it was.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrCorrupt: the files are damaged.
	ErrCorrupt = errors.New("store is damaged")
	// ErrTooBig: one transaction wrote more than the engine takes at once.
	ErrTooBig = errors.New("transaction is too big")
)

// An Engine is an ordered, transactional key-value store with an append-only feed.
// Implementations are safe for concurrent use.
type Engine interface {
	// View runs f on a consistent snapshot.
	View(ctx context.Context, f func(KV) error) error
	// Update runs f in a serializable transaction and commits if it returns
	// nil. It may run f more than once; f must have no effect but through its
	// KV, and must not start another transaction. When Update returns nil, the change
	// is durable.
	Update(ctx context.Context, f func(KV) error) error

	// Feed returns up to limit entries after position pos, in commit order and
	// without gaps: when an entry is returned, none before it can appear later.
	// Positions grow; they need not be consecutive.
	Feed(ctx context.Context, pos uint64, limit int) ([]Entry, error)
	// Head returns the position of the last entry; 0 if there is none.
	Head(ctx context.Context) (uint64, error)
	// Wake returns a channel that is closed soon after the next commit of an entry
	// on any replica, as a hint: it may be missed, so followers also poll.
	Wake() <-chan struct{}

	// Now is the engine's clock for expiry, as given to it when it was opened.
	Close() error
}

// A KV is one transaction of an engine. Keys sort as bytes.
type KV interface {
	// Get returns the value, or an error wrapping ErrNoKey. The caller owns it.
	Get(key []byte) ([]byte, error)
	// Set sets the value. Once the time expires has come the key is not there
	// any more, in every transaction that begins after it; zero: never.
	Set(key, value []byte, expires time.Time) error
	// Delete removes the key, if it is there.
	Delete(key []byte) error
	// Scan yields the keys that begin with prefix, in order, from the key
	// prefix+from on (inclusive); with reverse, from the last key down, or from
	// prefix+from down. The transaction's own writes are seen. Writing while
	// scanning is allowed and does not disturb the scan.
	Scan(prefix, from []byte, reverse bool) iter.Seq2[Pair, error]
	// Append adds an entry to the feed at commit. The entry expires as a key does.
	Append(data []byte, expires time.Time) error
}

// A Pair is a key and its value. The receiver owns both.
type Pair struct{ Key, Value []byte }

// An Entry is one entry of the feed.
type Entry struct {
	Position uint64
	Data     []byte
}
