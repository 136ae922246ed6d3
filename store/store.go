// Package store keeps everything: it turns an engine, an ordered transactional
// key-value store, into the typed transactions of the packages below it.
//
// It owns the layout of keys (keys.go), the rows and their indexes (table.go), the
// feed of committed events, backup and restore. It does not own rules: no method of
// [Tx] refuses anything but a broken invariant of uniqueness, or a key that names
// nothing. Nor does it own a disk: two engines implement [Engine], store/badger and
// store/postgres, and suite store/storetest is run by both.
//
// The invariants: an event is in the feed if and only if its change was committed; a
// row of one organization is never reached by the id of another; an index is a hint
// and the row decides, so that a stale index entry finds nothing.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
)

// Tx is one transaction: the union of what the packages below need.
type Tx interface {
	audit.Tx
	client.Tx // includes session.Tx, and that tenancy.Tx
	factor.Tx
	directory.Tx
	outbox.Tx
	hook.Tx
	trail.Tx
	certificate.Tx
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
	// ErrCorrupt: the files are damaged, or hold what this program did not write.
	ErrCorrupt = errors.New("store is damaged")
	// ErrTooBig: one transaction wrote more than the engine takes at once.
	ErrTooBig = errors.New("transaction is too big")
	// ErrReadOnly: a write inside [Engine.View].
	ErrReadOnly = errors.New("transaction is read-only")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("store is closed")
)

// MaxKey is how long a key may be, in bytes, for every engine to take it: PostgreSQL
// indexes nothing much longer. Longer keys never get to an engine.
const MaxKey = 2000

// An Engine is an ordered, transactional key-value store with an append-only feed.
// Implementations are safe for concurrent use.
//
// Whatever panic or runtime.Goexit leaves a transaction's function goes through View
// and Update to their caller, and nothing that the function wrote is kept.
type Engine interface {
	// View runs f on a consistent snapshot, which holds whatever was committed
	// before View was called. Writing in it returns [ErrReadOnly].
	View(ctx context.Context, f func(KV) error) error
	// Update runs f in a serializable transaction and commits if it returns
	// nil. It may run f more than once; f must have no effect but through its
	// KV, and must not start another transaction. When Update returns nil, the
	// change is durable; when it returns the error of f, nothing was written.
	// Once ctx is done Update returns its cause, but never between commit
	// and answer: a nil error is always a commit, and an error of ctx never is.
	Update(ctx context.Context, f func(KV) error) error

	// Feed returns up to limit entries after position pos, in commit order and
	// without gaps: when an entry is returned, none before it can appear later.
	// Positions begin at 1 and grow; they need not be consecutive.
	Feed(ctx context.Context, pos uint64, limit int) ([]Entry, error)
	// Head returns the position of the last entry that was ever committed, expired
	// or not; 0 if there is none.
	Head(ctx context.Context) (uint64, error)
	// Wake returns a channel that is closed soon after the next commit of an entry
	// on any replica, as a hint: it may be missed, so followers also poll.
	Wake() <-chan struct{}

	// Close ends the engine. Transactions after it return [ErrClosed].
	Close() error
}

// A KV is one transaction of an engine. Keys sort as bytes. Keys and values handed in
// are not kept by the engine after the call, and may be changed by the caller. A KV
// is for the goroutine that its function runs on.
type KV interface {
	// Get returns the value, or an error wrapping [ErrNoKey]. The caller owns it.
	Get(key []byte) ([]byte, error)
	// Set sets the value. Once the time expires has come, by the clock that the
	// engine was opened with, the key is not there any more, in every transaction
	// that begins after it; zero: never. Microseconds count, nothing finer.
	Set(key, value []byte, expires time.Time) error
	// Delete removes the key, if it is there.
	Delete(key []byte) error
	// Scan yields the keys that begin with prefix, in order, from the key
	// prefix+from on (inclusive); with reverse, from the last key down, or from
	// prefix+from down (inclusive). An empty from
	// bounds nothing. It yields what was there when the loop began,
	// the transaction's own writes included; writing and scanning inside the loop
	// is allowed and does not disturb it. An error is yielded last.
	Scan(prefix, from []byte, reverse bool) iter.Seq2[Pair, error]

	// Append adds an entry to the feed at commit. The entry expires as a key does.
	Append(data []byte, expires time.Time) error
	// Entries is [Engine.Feed] as this transaction's snapshot has it, without what the
	// transaction itself appends; and Last is [Engine.Head].
	Entries(pos uint64, limit int) ([]Entry, error)
	Last() (uint64, error)
	// Advance raises the position of the feed to pos, so that the next entry comes
	// after it; the next that this transaction appends, right after it. It never
	// lowers it. For restore: positions that were handed out keep their meaning.
	Advance(pos uint64) error
}

// A Pair is a key and its value. The receiver owns both. Expires is zero for never.
type Pair struct {
	Key, Value []byte
	Expires    time.Time
}

// An Entry is one entry of the feed. The receiver owns Data.
type Entry struct {
	Position uint64
	Data     []byte
	Expires  time.Time
}
