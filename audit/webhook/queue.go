package webhook

import (
	"context"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/store"
)

const (
	// page is how many events are looked at in one transaction.
	page = 256
	// lazy is how many events that are for nobody are passed over before that is written down.
	lazy = 1024
)

// queueing queues what is committed, until ctx is done. poke is sent when something was queued.
func (d *Deliverer) queueing(ctx context.Context, poke chan<- struct{}) {
	q := queuing{Deliverer: d}
	var pause time.Duration
	for ctx.Err() == nil {
		wake := d.Store.Wake() // before looking: what is committed in between closes it
		queued, more, err := q.turn(ctx)
		if queued {
			select {
			case poke <- struct{}{}:
			default: // it looks, anyway
			}
		}
		switch {
		case err != nil:
			if pause == 0 && ctx.Err() == nil {
				d.Logger.WarnContext(ctx, "events can't be queued for webhooks; tried again", "cause", err)
			}
			pause = min(max(2*pause, firstPause), lastPause)
			sleep(ctx, pause, nil)
		case more:
			pause = 0
		default:
			pause = 0
			sleep(ctx, breath, nil)
			sleep(ctx, d.Poll, wake)
		}
	}
}

// queuing is how far the feed was looked through.
type queuing struct {
	*Deliverer
	// start is where the queue has come to in the store, and after is behind it: what is between
	// them is for nobody.
	start, after uint64
}

// turn queues once. queued: something is new in the queue; more: there may be more to queue.
func (q *queuing) turn(ctx context.Context) (queued, more bool, err error) {
	var start uint64
	var ok, wanted, replays, deleted bool
	err = q.Store.View(ctx, func(tx store.Tx) (err error) {
		replays, deleted = false, false
		for _, err := range tx.WebhookReplays() {
			replays = err == nil
			break
		}
		for e, err := range tx.WebhookEndpoints() {
			if err != nil {
				return err
			}
			deleted = deleted || e.Deleted
		}
		start, ok, err = hook.Start(tx)
		return err
	})
	if err != nil {
		return false, false, err
	}
	if start != q.start {
		q.start, q.after = start, start
	}
	var entries []hook.Entry
	if ok || replays {
		// Outside of a transaction, as only so are positions those that events keep: a transaction's may be those of
		// what somebody else commits at this moment. What a replay goes up to has its positions from here on, too.
		changes, err := q.Store.Feed(ctx, max(start, q.after), page)
		if err != nil {
			return false, false, err
		}
		for _, c := range changes {
			entries = append(entries, hook.Entry(c))
		}
	}
	if ok && len(entries) > 0 {
		err = q.Store.View(ctx, func(tx store.Tx) (err error) {
			wanted, err = hook.Wanted(tx, entries)
			return err
		})
		if err != nil {
			return false, false, err
		}
		last := entries[len(entries)-1].Position
		more = len(entries) == page
		if wanted || last-start > lazy {
			pos, moved := uint64(0), false
			err = q.Store.Update(ctx, func(tx store.Tx) (err error) {
				pos, moved, err = hook.Queue(tx, start, entries, q.Now())
				return err
			})
			if err != nil {
				return false, false, err
			}
			queued, more = moved, more || !moved || pos != last
		} else {
			q.after = last
		}
	}
	if replays {
		err = q.Store.Update(ctx, func(tx store.Tx) (err error) {
			replays, err = hook.Resume(tx, q.Now())
			return err
		})
		if err != nil {
			return queued, false, err
		}
		queued, more = true, more || replays
	}
	if deleted {
		err = q.Store.Update(ctx, func(tx store.Tx) (err error) {
			deleted, err = hook.Sweep(tx)
			return err
		})
		more = more || deleted
	}
	return queued, more, err
}
