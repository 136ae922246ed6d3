package badger

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/store"
)

// A request is one call of Update. The writer decides when its function runs, the
// caller's goroutine runs it: a panic has the caller's stack, and a test that fails
// inside does not take the writer with it.
type request struct {
	// taken is set by whoever decides the request's fate: the writer that will
	// run it, or the caller that went away before.
	taken  atomic.Bool
	turn   chan *updateTx // writer to caller: run on this
	ran    chan outcome   // caller to writer: it has run
	answer chan error     // writer to caller: the group's commit
}

type outcome uint8

const (
	unwound  outcome = iota // by panic or Goexit: nobody waits for an answer
	returned                // nil
	refused                 // an error
)

// Update implements [store.Engine].
func (e *Engine) Update(ctx context.Context, f func(store.KV) error) error {
	leave, err := e.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r := &request{turn: make(chan *updateTx, 1), ran: make(chan outcome, 1), answer: make(chan error, 1)}
	done := ctx.Done()
	select {
	case e.requests <- r:
	case <-done:
		return context.Cause(ctx)
	}
	var refusal error
	for {
		select {
		case tx := <-r.turn:
			refusal = r.run(tx, f)
		case err := <-r.answer:
			if err != nil {
				return err
			}
			return refusal
		case <-done:
			if r.taken.CompareAndSwap(false, true) {
				return context.Cause(ctx)
			}
			done = nil // it is running or committing: the answer comes
		}
	}
}

func (r *request) run(tx *updateTx, f func(store.KV) error) error {
	end := unwound
	defer func() { r.ran <- end }()
	err := f(tx)
	end = returned
	if err != nil {
		end = refused
	}
	return err
}

// A write is a key's new value, not yet committed.
type write struct {
	value   []byte
	stamp   int64
	deleted bool
}

// weight is at least what Badger will count for the entry.
func weight(key string, w write) int64 {
	return int64(len(key) + headerLen + len(w.value) + 32)
}

// An updateTx is the KV of an Update: what the functions of the group wrote before,
// over a snapshot, and what is needed to take this function's part back.
type updateTx struct {
	*snapshot
	g *group

	undo  []undone
	size  int64 // of the group, when it began
	feed  int
	head  uint64
	over  bool  // it outgrew the transaction
	after error // set when the function has returned
}

type undone struct {
	key string
	old write
	had bool
}

func (t *updateTx) Get(key []byte) ([]byte, error) {
	if w, ok := t.g.writes[string(spaced(key))]; ok {
		if w.deleted || t.expired(w.stamp) {
			return nil, store.ErrNoKey
		}
		return bytes.Clone(w.value), nil
	}
	v, _, err := t.read(spaced(key))
	return v, err
}

func (t *updateTx) Set(key, value []byte, expires time.Time) error {
	if len(key) > store.MaxKey {
		return fmt.Errorf("%w: key of %d bytes, the most is %d", store.ErrTooBig, len(key), store.MaxKey)
	}
	if len(value) > maxValue {
		return fmt.Errorf("%w: value of %d bytes, the most is %d", store.ErrTooBig, len(value), maxValue)
	}
	return t.put(string(spaced(key)), write{value: append([]byte{}, value...), stamp: stamp(expires)})
}

func (t *updateTx) Delete(key []byte) error {
	return t.put(string(spaced(key)), write{deleted: true})
}

func (t *updateTx) put(key string, w write) error {
	if t.after != nil {
		return t.after
	}
	old, had := t.g.writes[key]
	if had {
		t.g.size -= weight(key, old)
	}
	t.undo = append(t.undo, undone{key, old, had})
	t.g.writes[key] = w
	t.g.size += weight(key, w)
	return t.fits()
}

func (t *updateTx) Append(data []byte, expires time.Time) error {
	if t.after != nil {
		return t.after
	}
	if len(data) > maxValue {
		return fmt.Errorf("%w: entry of %d bytes, the most is %d", store.ErrTooBig, len(data), maxValue)
	}
	t.g.head++
	en := entry{t.g.head, append([]byte{}, data...), stamp(expires)}
	t.g.feed = append(t.g.feed, en)
	t.g.size += int64(len(data) + 64)
	return t.fits()
}

func (t *updateTx) Advance(pos uint64) error {
	if t.after == nil {
		t.g.head = max(t.g.head, pos)
	}
	return t.after
}

// fits returns an error once the group is too big. The function is to give up then:
// it runs again in a group of its own, if that is not what it had.
func (t *updateTx) fits() error {
	if t.over || t.g.size > t.g.w.maxSize || int64(len(t.g.writes)+len(t.g.feed)) > t.g.w.maxCount {
		t.over = true
		return fmt.Errorf("%w: over %d KiB or %d keys", store.ErrTooBig, t.g.w.maxSize>>10, t.g.w.maxCount)
	}
	return nil
}

func (t *updateTx) Entries(pos uint64, limit int) ([]store.Entry, error) {
	return t.g.entries(t.snapshot, t.g.feed[:t.feed], pos, limit)
}

func (t *updateTx) Last() (uint64, error) { return t.head, nil }

func (t *updateTx) Scan(prefix, from []byte, reverse bool) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		full := spaced(prefix)
		var start []byte
		if len(from) > 0 {
			start = append(spaced(prefix), from...)
		}
		pending := t.pending(string(full), string(start), reverse)
		// flush yields those of pending that come before key, or all.
		flush := func(key string, all bool) bool {
			for len(pending) > 0 {
				p := pending[0]
				if c := strings.Compare(p.key, key); !all && (c == 0 || (c > 0) != reverse) {
					break
				}
				pending = pending[1:]
				if p.deleted || t.expired(p.stamp) {
					continue
				}
				if !yield(store.Pair{Key: []byte(p.key[1:]), Value: bytes.Clone(p.value), Expires: unstamp(p.stamp)}, nil) {
					return false
				}
			}
			return true
		}
		for p, err := range t.scan(full, start, reverse) {
			if err != nil {
				yield(p, err)
				return
			}
			key := string(p.Key)
			if !flush(key, false) {
				return
			}
			if len(pending) > 0 && pending[0].key == key {
				continue // written anew: its turn comes with the next flush
			}
			p.Key = p.Key[1:]
			if !yield(p, nil) {
				return
			}
		}
		flush("", true)
	}
}

type keyed struct {
	key string
	write
}

// pending returns the writes that a scan meets, in its order.
func (t *updateTx) pending(prefix, start string, reverse bool) []keyed {
	var ks []keyed
	for key, w := range t.g.writes {
		if !strings.HasPrefix(key, prefix) || (start != "" && key != start && (key < start) != reverse) {
			continue
		}
		ks = append(ks, keyed{key, w})
	}
	slices.SortFunc(ks, func(a, b keyed) int {
		if reverse {
			a, b = b, a
		}
		return strings.Compare(a.key, b.key)
	})
	return ks
}
