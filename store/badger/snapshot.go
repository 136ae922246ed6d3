package badger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"

	"github.com/orgate/orgate/store"
)

// A value is stored behind 8 bytes: when it expires, in microseconds since 1970, or 0.
// That is judged by the engine's clock; Badger's own expiry only frees the room, later.
const headerLen = 8

// physicalGrace is how much longer Badger keeps what has expired: the clocks of an
// engine and of Badger, which is the machine's, may differ.
const physicalGrace = time.Hour

func stamp(expires time.Time) int64 {
	if expires.IsZero() {
		return 0
	}
	return max(expires.UnixMicro(), 1) // before 1970 is expired, not eternal
}

func unstamp(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}

// A snapshot reads what was committed at one moment.
type snapshot struct {
	txn *badgerdb.Txn
	now int64 // by the engine's clock, when it began
}

func (e *Engine) snapshot() *snapshot {
	return &snapshot{e.db.NewTransaction(false), e.now().UnixMicro()}
}

func (s *snapshot) expired(stamp int64) bool { return stamp != 0 && stamp <= s.now }

// guarded turns what Badger panics with on damaged blocks into an error.
func guarded(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", store.ErrCorrupt, p)
	}
}

// read returns a value by Badger's key, or an error wrapping ErrNoKey.
func (s *snapshot) read(key []byte) (value []byte, stamp int64, err error) {
	defer guarded(&err)
	item, err := s.txn.Get(key)
	if errors.Is(err, badgerdb.ErrKeyNotFound) {
		return nil, 0, store.ErrNoKey
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	return s.open(item)
}

func (s *snapshot) open(item *badgerdb.Item) (value []byte, stamp int64, err error) {
	b, err := item.ValueCopy(nil)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", store.ErrCorrupt, err)
	}
	if len(b) < headerLen {
		return nil, 0, fmt.Errorf("%w: value of %d bytes", store.ErrCorrupt, len(b))
	}
	stamp = int64(binary.BigEndian.Uint64(b))
	if s.expired(stamp) {
		return nil, 0, store.ErrNoKey
	}
	return b[headerLen:], stamp, nil
}

// scan yields Badger's keys that begin with prefix, from the key start on, which does,
// or is nil. It holds an iterator while the loop runs.
func (s *snapshot) scan(prefix, start []byte, reverse bool) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		opt := badgerdb.DefaultIteratorOptions
		opt.PrefetchValues = false // values are with their keys; a prefetch starts a goroutine for each
		opt.Reverse = reverse
		if !reverse {
			opt.Prefix = prefix // backwards Badger would begin at the prefix itself
		}
		it := s.txn.NewIterator(opt)
		defer it.Close()
		if err := seek(it, prefix, start, reverse); err != nil {
			yield(store.Pair{}, err)
			return
		}
		for {
			p, more, err := s.item(it, prefix)
			if err != nil {
				yield(store.Pair{}, err)
				return
			}
			if !more || (p.Key != nil && !yield(p, nil)) {
				return
			}
			if err := next(it); err != nil {
				yield(store.Pair{}, err)
				return
			}
		}
	}
}

func seek(it *badgerdb.Iterator, prefix, start []byte, reverse bool) (err error) {
	defer guarded(&err)
	switch {
	case start != nil:
		it.Seek(start)
	case reverse:
		it.Seek(after(prefix))
		if it.Valid() && !it.ValidForPrefix(prefix) {
			it.Next() // the key that comes after all those with the prefix
		}
	default:
		it.Seek(prefix)
	}
	return nil
}

// item returns the pair at it; without a key if it has expired.
func (s *snapshot) item(it *badgerdb.Iterator, prefix []byte) (p store.Pair, more bool, err error) {
	defer guarded(&err)
	if !it.ValidForPrefix(prefix) {
		return p, false, nil
	}
	value, stamp, err := s.open(it.Item())
	if errors.Is(err, store.ErrNoKey) {
		return p, true, nil
	}
	if err != nil {
		return p, false, err
	}
	return store.Pair{Key: it.Item().KeyCopy(nil), Value: value, Expires: unstamp(stamp)}, true, nil
}

func next(it *badgerdb.Iterator) (err error) {
	defer guarded(&err)
	it.Next()
	return nil
}

// after returns the least key that is greater than all keys with the prefix, which
// begins with a byte other than 0xff.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; ; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
}

// entries is the feed after pos.
func (s *snapshot) entries(pos uint64, limit int) ([]store.Entry, error) {
	if pos+1 == 0 || limit <= 0 {
		return nil, nil
	}
	var es []store.Entry
	for p, err := range s.scan([]byte{spaceFeed}, feedKey(pos+1), false) {
		if err != nil {
			return nil, err
		}
		es = append(es, store.Entry{Position: binary.BigEndian.Uint64(p.Key[1:]), Data: p.Value, Expires: p.Expires})
		if len(es) == limit {
			break
		}
	}
	return es, nil
}

// last is the last position that was used.
func (s *snapshot) last() (uint64, error) {
	b, _, err := s.read([]byte(keyHead))
	if errors.Is(err, store.ErrNoKey) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if len(b) != 8 {
		return 0, fmt.Errorf("%w: bad head of the feed", store.ErrCorrupt)
	}
	return binary.BigEndian.Uint64(b), nil
}

// A reader is the KV of a View.
type reader struct{ *snapshot }

func spaced(key []byte) []byte { return append(append(make([]byte, 0, 1+len(key)), spaceKeys), key...) }

func (r reader) Get(key []byte) ([]byte, error) {
	v, _, err := r.read(spaced(key))
	return v, err
}

func (r reader) Scan(prefix, from []byte, reverse bool) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		full := spaced(prefix)
		var start []byte
		if len(from) > 0 {
			start = append(spaced(prefix), from...)
		}
		for p, err := range r.scan(full, start, reverse) {
			if err == nil {
				p.Key = p.Key[1:]
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

func (reader) Set(_, _ []byte, _ time.Time) error { return store.ErrReadOnly }
func (reader) Delete([]byte) error                { return store.ErrReadOnly }
func (reader) Append([]byte, time.Time) error     { return store.ErrReadOnly }
func (reader) Advance(uint64) error               { return store.ErrReadOnly }
func (r reader) Last() (uint64, error)            { return r.last() }
func (r reader) Entries(pos uint64, limit int) ([]store.Entry, error) {
	return r.entries(pos, limit)
}

// View implements [store.Engine].
func (e *Engine) View(ctx context.Context, f func(store.KV) error) error {
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s := e.snapshot()
	defer s.txn.Discard()
	return f(reader{s})
}

// Feed implements [store.Engine].
func (e *Engine) Feed(ctx context.Context, pos uint64, limit int) (es []store.Entry, err error) {
	err = e.View(ctx, func(kv store.KV) error {
		es, err = kv.Entries(pos, limit)
		return err
	})
	return es, err
}

// Head implements [store.Engine].
func (e *Engine) Head(ctx context.Context) (pos uint64, err error) {
	err = e.View(ctx, func(kv store.KV) error {
		pos, err = kv.Last()
		return err
	})
	return pos, err
}

// Wake implements [store.Engine].
func (e *Engine) Wake() <-chan struct{} {
	e.wakeMu.Lock()
	defer e.wakeMu.Unlock()
	return e.wake
}

func (e *Engine) wakeUp() {
	e.wakeMu.Lock()
	defer e.wakeMu.Unlock()
	close(e.wake)
	e.wake = make(chan struct{})
}
