// Package writer puts what is committed into the audit logs, removes what they need not keep, and clears
// away those of organizations that are gone.
//
// It owns when, and which replica does it. It does not own what an entry says, how a chain goes on, or what
// may be removed (package trail).
//
// The feed is one ordered list without gaps of all that was committed, on whichever replica; one replica
// reads it and writes the chains. So whoever changes something waits for no chain, and no chain is where
// transactions meet. The position in the feed moves on in the transaction of the entries: a
// crash between the two is not possible, and whatever was committed while nobody wrote is
// written later. The lease only keeps replicas from doing the work twice; that no event is in a log twice is the
// position's doing.
package writer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// page is how many events are read at once.
	page = 256
	// leaseLife is how long the replica that writes may write nothing before another may.
	leaseLife = 15 * time.Second
	// removals is how many entries one transaction removes.
	removals = 200
	// atOnce is how many such transactions there are between two looks at the feed.
	atOnce = 10
	// breath is the least time between two transactions that are not full: what comes in a moment goes together.
	breath = 20 * time.Millisecond
	// lastWord is how long what waits at the end may take.
	lastWord = 2 * time.Second
	// Waits after an error double from the first to the last.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// A Writer writes the audit logs. Any number of them, on any number of replicas, take turns.
type Writer struct {
	Store  *store.Store
	Logger *slog.Logger // nil: nobody hears of it
	// Days is for how many days entries are kept where an organization says nothing else. It is asked anew each
	// time, as a reload may have changed it.
	Days func() int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Poll is how often to look for what nothing wakes us for; 0: every second. Tidy is how often to look for entries
	// that are too old; 0: every hour.
	Poll, Tidy time.Duration

	holder string
	tidied time.Time
	todo   []trail.Log // that have something to be removed
	pause  time.Duration
}

// Run writes until ctx is done and what was committed by then is written, and returns its cause. It must not run
// twice at a time.
func (w *Writer) Run(ctx context.Context) error {
	w.prepare()
	for ctx.Err() == nil {
		wake := w.Store.Wake() // before looking: what is committed in between closes it
		more, err := w.Turn(ctx)
		switch {
		case err != nil:
			if w.pause == 0 && ctx.Err() == nil {
				w.Logger.WarnContext(ctx, "audit logs can't be written; tried again", "cause", err)
			}
			w.pause = min(max(2*w.pause, firstPause), lastPause)
			sleep(ctx, w.pause, nil)
		case more:
			w.pause = 0
		default:
			w.pause = 0
			sleep(ctx, breath, nil)
			sleep(ctx, w.Poll, wake)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	for more, err := true, error(nil); more && err == nil; {
		more, err = w.Turn(last) // if it fails, the next one who writes goes on from there
	}
	return context.Cause(ctx)
}

func (w *Writer) prepare() {
	if w.Logger == nil {
		w.Logger = slog.New(slog.DiscardHandler)
	}
	if w.Now == nil {
		w.Now = time.Now
	}
	w.Poll, w.Tidy = cmp.Or(w.Poll, time.Second), cmp.Or(w.Tidy, time.Hour)
	w.holder = cmp.Or(w.holder, id.New("holder", time.Now()))
}

// sleep waits, for no longer than for wake.
func sleep(ctx context.Context, wait time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}

// Turn does what there is to do, up to a bound, and reports whether there may be more.
func (w *Writer) Turn(ctx context.Context) (more bool, err error) {
	w.prepare()
	var from uint64
	var mine bool
	err = w.Store.View(ctx, func(tx store.Tx) (err error) {
		if from, err = tx.LogPosition(); err != nil {
			return err
		}
		l, err := tx.LogLease()
		mine = errors.Is(err, tenancy.ErrNotFound) || err == nil && (l.Holder == w.holder || !w.Now().Before(l.Until))
		if errors.Is(err, tenancy.ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil || !mine {
		return false, err
	}
	// Outside of a transaction, as only so are positions those that entries keep.
	changes, err := w.Store.Feed(ctx, from, page)
	if err != nil {
		return false, err
	}
	if len(changes) > 0 {
		batch := make([]trail.Change, len(changes))
		for i, c := range changes {
			batch[i] = trail.Change(c)
			if c.Event.Name == audit.OrganizationDeleted {
				w.todo = append(w.todo, trail.Log(c.Event.Organization))
			}
		}
		var pos uint64
		var moved bool
		err = w.Store.Update(ctx, func(tx store.Tx) (err error) {
			pos, moved, err = trail.Write(tx, from, batch, w.holder, leaseLife, w.Now())
			return err
		})
		if err != nil || !moved {
			return false, err
		}
		if len(changes) == page || pos != batch[len(batch)-1].Position {
			return true, nil
		}
	}
	return w.tidy(ctx)
}

// tidy removes what is not to be kept, a few transactions at a time, so that what is committed meanwhile does
// not wait for it.
func (w *Writer) tidy(ctx context.Context) (more bool, err error) {
	if now := w.Now(); now.Sub(w.tidied) >= w.Tidy {
		err := w.Store.View(ctx, func(tx store.Tx) (err error) {
			w.todo, err = trail.Due(tx, w.Days(), now)
			return err
		})
		if err != nil {
			return false, err
		}
		w.tidied = now
	}
	for range atOnce {
		if len(w.todo) == 0 {
			return false, nil
		}
		again, err := w.remove(ctx, w.todo[0])
		if err != nil {
			return false, err
		}
		if !again {
			w.todo = w.todo[1:]
		}
	}
	return len(w.todo) > 0, nil
}

// remove removes some of a log. A chain that is broken is left as it is, and said.
func (w *Writer) remove(ctx context.Context, l trail.Log) (more bool, err error) {
	var removed int
	err = w.Store.Update(ctx, func(tx store.Tx) (err error) {
		removed = 0
		h, err := tx.LogHead(l)
		switch {
		case errors.Is(err, tenancy.ErrNotFound):
			more = false
			return nil
		case err == nil && h.Deleted:
			more, err = trail.Sweep(tx, l, removals)
		case err == nil:
			removed, more, err = trail.Trim(tx, l, w.Days(), removals, w.Now())
		}
		return err
	})
	if _, broken := errors.AsType[*trail.Fault](err); broken || errors.Is(err, store.ErrCorrupt) {
		w.Logger.ErrorContext(ctx, "audit log is broken: see orgate audit verify", "log", l, "cause", err)
		return false, nil
	}
	if err == nil && removed > 0 {
		w.Logger.InfoContext(ctx, "audit log: old entries are removed", "log", l, "entries", removed)
	}
	return more, err
}
