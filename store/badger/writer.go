package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"

	"github.com/orgate/orgate/store"
)

// maxGroup is how many functions share a commit at the most. It bounds how long the
// first of them waits for the last.
const maxGroup = 512

// A writer is the one goroutine that decides what is written, and in what order. What
// has queued up while it was committing runs one by one, each seeing what the ones
// before it wrote, and is committed at once: one flush for all (docs/adr/0001).
type writer struct {
	e                 *Engine
	maxSize, maxCount int64  // of a transaction of Badger
	head              uint64 // last position of the feed
}

func newWriter(e *Engine) (*writer, error) {
	s := e.snapshot()
	defer s.txn.Discard()
	head, err := s.last()
	if err != nil {
		return nil, err
	}
	// A little less than Badger takes: the head of the feed is written too.
	return &writer{e: e, maxSize: e.db.MaxBatchSize() - 4<<10, maxCount: e.db.MaxBatchCount() - 8, head: head}, nil
}

func (w *writer) run() {
	for {
		select {
		case r := <-w.e.requests:
			w.group(r)
		case <-w.e.closing:
			return // nobody waits: Close let every transaction end first
		}
	}
}

// group runs r and what is waiting behind it, and commits.
func (w *writer) group(r *request) {
	g := w.begin()
	for range maxGroup {
		g = w.admit(g, r)
		select {
		case r = <-w.e.requests:
			continue
		default:
		}
		break
	}
	g.commit()
}

// A group is the functions that share a commit, and what they wrote.
type group struct {
	w       *writer
	snap    *snapshot // what was committed before
	broken  error     // nothing can be written: every function is refused
	writes  map[string]write
	feed    []entry
	size    int64
	head    uint64
	waiting []*request // have run; to be answered
}

type entry struct {
	pos   uint64
	data  []byte
	stamp int64
}

func (w *writer) begin() *group {
	g := &group{w: w, snap: w.e.snapshot(), writes: map[string]write{}, head: w.head}
	if p := w.e.failed.Load(); p != nil {
		g.broken = *p
	} else {
		g.broken = w.e.roomLeft()
	}
	return g
}

// admit runs r's function in g, or, if g has no room for it, commits g and runs it in
// the next group, which it returns.
func (w *writer) admit(g *group, r *request) *group {
	if !r.taken.CompareAndSwap(false, true) {
		return g // its caller has gone away
	}
	for {
		if g.broken != nil {
			g.waiting = append(g.waiting, r)
			return g
		}
		alone := len(g.writes) == 0 && len(g.feed) == 0
		t := &updateTx{snapshot: g.snap, g: g, size: g.size, feed: len(g.feed), head: g.head}
		t.now = w.e.now().UnixMicro()
		r.turn <- t
		end := <-r.ran
		t.after = errors.New("transaction has ended")
		if end != returned || t.over {
			t.rollback()
		}
		switch {
		case end == unwound:
			return g
		case !t.over:
			g.waiting = append(g.waiting, r)
			return g
		case alone:
			r.answer <- fmt.Errorf("%w: over %d KiB or %d keys", store.ErrTooBig, w.maxSize>>10, w.maxCount)
			return g
		}
		g.commit()
		g = w.begin()
	}
}

func (t *updateTx) rollback() {
	for i := len(t.undo) - 1; i >= 0; i-- {
		u := t.undo[i]
		if u.had {
			t.g.writes[u.key] = u.old
		} else {
			delete(t.g.writes, u.key)
		}
	}
	t.g.feed = t.g.feed[:t.feed]
	t.g.size, t.g.head = t.size, t.head
}

// entries is the feed of the group's snapshot and of the functions before.
func (g *group) entries(s *snapshot, before []entry, pos uint64, limit int) ([]store.Entry, error) {
	es, err := s.entries(pos, limit)
	if err != nil {
		return nil, err
	}
	for _, en := range before {
		if len(es) >= limit {
			break
		}
		if en.pos > pos && !s.expired(en.stamp) {
			es = append(es, store.Entry{Position: en.pos, Data: append([]byte{}, en.data...), Expires: unstamp(en.stamp)})
		}
	}
	return es, nil
}

// commit makes the group durable and answers it. Who was refused by its own function is
// answered now as well: it may have been refused because of what others wrote.
func (g *group) commit() {
	g.snap.txn.Discard()
	err := g.broken
	if err == nil && (len(g.writes) > 0 || g.head != g.w.head) {
		if err = g.write(); err != nil {
			// Badger's error may go on with a dump of the value: the first line will do.
			cause, _, _ := strings.Cut(err.Error(), "\n")
			err = fmt.Errorf("%w: a write failed; nothing more is written until orgate is started again: %s", store.ErrUnavailable, cause)
			g.w.e.failed.Store(&err)
			g.w.e.log.Error("store can't write", "error", err)
		} else if g.head != g.w.head {
			g.w.head = g.head
			g.w.e.wakeUp()
		}
	}
	for _, r := range g.waiting {
		r.answer <- err
	}
}

func (g *group) write() (err error) {
	defer guarded(&err)
	txn := g.w.e.db.NewTransaction(true)
	defer txn.Discard()
	for key, w := range g.writes {
		if w.deleted {
			err = txn.Delete([]byte(key))
		} else {
			err = txn.SetEntry(g.entry([]byte(key), w.value, w.stamp))
		}
		if err != nil {
			return err
		}
	}
	for _, en := range g.feed {
		if err := txn.SetEntry(g.entry(feedKey(en.pos), en.data, en.stamp)); err != nil {
			return err
		}
	}
	if g.head != g.w.head {
		if err := txn.SetEntry(g.entry([]byte(keyHead), binary.BigEndian.AppendUint64(nil, g.head), 0)); err != nil {
			return err
		}
	}
	return g.w.e.commit(txn)
}

// entry returns Badger's entry for a value. Its own expiry is reckoned from the
// machine's clock, which need not be the engine's.
func (g *group) entry(key, value []byte, stamp int64) *badgerdb.Entry {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, headerLen+len(value)), uint64(stamp))
	en := badgerdb.NewEntry(key, append(b, value...))
	if stamp != 0 {
		// Sub saturates at 292 years: what lives that long needs no freeing.
		if left := unstamp(stamp).Sub(g.w.e.now()); left < 100*365*24*time.Hour {
			en.WithTTL(max(left, 0) + physicalGrace)
		}
	}
	return en
}
