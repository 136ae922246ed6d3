package api

import (
	"context"
	"sort"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
)

// feedSkew is by how much the times of two events may be the wrong way round: an event has the time at which its
// change began, on the clock of one replica, and its place from when that was committed.
const feedSkew = 2 * time.Minute

const feedBatch = 512

// An eventLog reads the feed from any place on, either way, for one request.
type eventLog struct {
	ctx   context.Context
	store *store.Store
	// head is the position of the last event, when it was opened; what comes later is not read. oldest is
	// one before that of the first that has not expired.
	head, oldest uint64
}

func (l *eventLog) open() (err error) {
	if l.head, err = l.store.Head(l.ctx); err != nil {
		return err
	}
	first, err := l.store.Feed(l.ctx, 0, 1)
	if err != nil {
		return err
	}
	l.oldest = l.head
	if len(first) > 0 {
		l.oldest = min(l.head, first[0].Position-1)
	}
	return nil
}

// around returns a position behind which is every event of t and later.
func (l *eventLog) around(t time.Time) (uint64, error) {
	t = t.Add(-2 * feedSkew)
	var failed error
	n := sort.Search(int(l.head-l.oldest), func(i int) bool {
		if failed != nil {
			return true
		}
		next, err := l.store.Feed(l.ctx, l.oldest+uint64(i), 1)
		failed = err
		return len(next) == 0 || !next[0].Event.At.Before(t)
	})
	return l.oldest + uint64(n), failed
}

// find returns the position of the event of that id.
func (l *eventLog) find(id string) (pos uint64, ok bool, err error) {
	if pos, ok := placeOf(id); ok {
		return min(pos, l.head+1), true, nil
	}
	made, ok := madeAt(id)
	if !ok {
		return 0, false, nil
	}
	at, err := l.around(made)
	for err == nil {
		var batch []store.Change
		batch, err = l.store.Feed(l.ctx, at, feedBatch)
		for _, c := range batch {
			switch {
			case c.Event.ID == id:
				return c.Position, true, nil
			case c.Event.At.After(made.Add(2 * feedSkew)):
				return 0, false, nil
			}
			at = c.Position
		}
		if len(batch) == 0 {
			return 0, false, err
		}
	}
	return 0, false, err
}

// madeAt returns when the event of that id was made; ok is false for what is no id of ours.
func madeAt(id string) (made time.Time, ok bool) {
	u, err := ulid.ParseStrict(strings.TrimPrefix(id, "event_"))
	return ulid.Time(u.Time()), err == nil
}

// scan returns up to n events that the filter has, behind a position or, if not up, in front of it, in the
// order in which they are found. last is not 0 if it gave up looking, and then it is the place to look on from.
func (l *eventLog) scan(at uint64, up bool, n int, f eventFilter) (found []audit.Event, last uint64, err error) {
	for looked := 0; ; {
		batch, next, err := l.batch(at, up)
		if err != nil {
			return nil, 0, err
		}
		for _, c := range batch {
			if f.has(c.Event) {
				if found = append(found, c.Event); len(found) == n {
					return found, 0, nil
				}
			}
			if up && !f.end.IsZero() && c.Event.At.After(f.end.Add(2*feedSkew)) || !up && c.Event.At.Before(f.start.Add(-2*feedSkew)) {
				return found, 0, nil
			}
		}
		if next == 0 {
			return found, 0, nil
		}
		if at, looked = next, looked+len(batch); looked >= maxScan {
			return found, at, nil
		}
	}
}

// batch returns events next to a position, and where to go on; 0: there are no more.
func (l *eventLog) batch(at uint64, up bool) (batch []store.Change, next uint64, err error) {
	if up {
		if batch, err = l.store.Feed(l.ctx, at, feedBatch); err != nil {
			return nil, 0, err
		}
		for i, c := range batch {
			if c.Position > l.head {
				return batch[:i], 0, nil
			}
			next = c.Position
		}
		return batch, next, nil
	}
	if at <= l.oldest+1 {
		return nil, 0, nil
	}
	from := l.oldest
	if at-1 > l.oldest+feedBatch {
		from = at - 1 - feedBatch
	}
	read, err := l.store.Feed(l.ctx, from, feedBatch)
	if err != nil {
		return nil, 0, err
	}
	for i := len(read) - 1; i >= 0; i-- {
		if read[i].Position < at && read[i].Position <= l.head {
			batch = append(batch, read[i])
		}
	}
	return batch, from + 1, nil
}
