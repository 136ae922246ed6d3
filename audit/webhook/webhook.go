// Package webhook delivers events to the endpoints that are subscribed to them.
//
// It owns when, how many at once, how a webhook is signed, and what counts as a receiver's yes. It
// does not own what waits for whom, when it is tried again, or when it is given up (package hook), nor
// where a call may go (internal/egress).
//
// One replica delivers at a time: the one that has the lease in the store. So the queue can be
// read ahead and nothing needs to be claimed; should two believe that they have it, events
// come twice, which receivers must bear anyway, and none is lost.
//
// An endpoint is sent one event after the other, in the order of the feed. Only if it falls behind
// is it sent several at a time. Each has a turn of its own that no other can take, so that slow
// or dead receivers slow nobody but themselves.
//
// The invariant: a delivery is done when a receiver has said 2xx in a whole answer, and that is
// written down; whatever comes between has it sent again.
package webhook

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// Timeout is how long a receiver may take, from the first byte out to the last byte in.
	Timeout = 10 * time.Second
	// MaxAnswer is how long its answer may be.
	MaxAnswer = 64 << 10

	// leaseLife is how long whoever delivers may say nothing before another takes over.
	leaseLife = 15 * time.Second
	// breath is the least time between two looks into the store that nothing is waited for.
	breath = 20 * time.Millisecond
	// lastWord is how long what is known at the end may take to be written down.
	lastWord = 2 * time.Second
	// Waits after an error of the store double from the first to the last.
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// What becomes of webhooks, as [Deliverer.Count] is told.
const (
	Sent     = "delivered"
	Failed   = "failed"   // it is tried again
	GivenUp  = "given_up" // it is not
	Dropped  = "dropped"  // there was nothing to send any more
	Disabled = "endpoint_disabled"
)

// A Deliverer delivers webhooks. Any number of them, on any number of replicas, take turns.
type Deliverer struct {
	Store *store.Store
	Box   *seal.Box
	// Client calls receivers: the guarded one, with [Timeout] and [MaxAnswer].
	Client *http.Client
	// UserAgent is what receivers see; empty: "orgate".
	UserAgent string
	Logger    *slog.Logger // nil: nobody hears of it
	// Now is the clock that tries are due by; nil: time.Now.
	Now func() time.Time
	// Count is told what became of each webhook, in one of a few words; nil: nobody is.
	Count func(outcome string)
	// Poll is how often to look for what nothing wakes us for; 0: every second.
	Poll time.Duration
	// Grace is how long webhooks that are under way may take to end when Run is to end.
	Grace time.Duration

	holder string
	lease  time.Duration // how long the lease lives; 0: leaseLife
}

// Run delivers until ctx is done, and returns its cause. It must not run twice at a time.
func (d *Deliverer) Run(ctx context.Context) error {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Count == nil {
		d.Count = func(string) {}
	}
	d.Poll, d.lease = cmp.Or(d.Poll, time.Second), cmp.Or(d.lease, leaseLife)
	d.UserAgent = cmp.Or(d.UserAgent, "orgate")
	d.holder = id.New("holder", time.Now())
	fault := false
	for ctx.Err() == nil {
		mine, err := d.hold(ctx, true)
		if mine {
			d.Logger.InfoContext(ctx, "webhooks are delivered here")
			d.lead(ctx)
			continue
		}
		if err != nil && !fault && ctx.Err() == nil {
			d.Logger.WarnContext(ctx, "webhooks can't be delivered: the store can't be used", "cause", err)
		}
		fault = err != nil
		sleep(ctx, d.Poll, nil) // and no sooner: whatever happens, another delivers it, or nobody wants it
	}
	return context.Cause(ctx)
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

// hold takes or renews the lease. If it is to be taken, it is not where there is no endpoint, so that
// an installation without webhooks writes nothing, nor where somebody else has it.
func (d *Deliverer) hold(ctx context.Context, take bool) (mine bool, err error) {
	if take {
		worth := false
		err := d.Store.View(ctx, func(tx store.Tx) error {
			worth = false
			for _, err := range tx.WebhookEndpoints() {
				if err != nil {
					return err
				}
				l, err := tx.WebhookLease()
				if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
					return err
				}
				worth = l.Holder == d.holder || !d.Now().Before(l.Until)
				return nil
			}
			return nil
		})
		if err != nil || !worth {
			return false, err
		}
	}
	err = d.Store.Update(ctx, func(tx store.Tx) (err error) {
		mine, err = hook.Hold(tx, d.holder, d.lease, d.Now())
		return err
	})
	return mine && err == nil, err
}

// lead delivers for as long as the lease is ours and ctx is not done.
func (d *Deliverer) lead(ctx context.Context) {
	var resealed int
	err := d.Store.Update(ctx, func(tx store.Tx) (err error) {
		resealed, err = hook.Reseal(tx, d.Box)
		return err
	})
	if err != nil && ctx.Err() == nil {
		d.Logger.WarnContext(ctx, "secrets of webhooks can't be sealed anew: keep the older secrets_key", "cause", err)
	} else if resealed > 0 {
		d.Logger.InfoContext(ctx, "secrets of webhooks are sealed under the new key", "endpoints", resealed)
	}
	leading, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	poke := make(chan struct{}, 1)
	work.Go(func() { defer stop(); d.keep(leading) })
	work.Go(func() { d.queueing(leading, poke) })
	newSending(d, poke).run(leading)
	stop()
	work.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	// If it fails the lease ends by itself.
	_ = d.Store.Update(last, func(tx store.Tx) error { return hook.Release(tx, d.holder) })
}

// keep renews the lease, and returns when it is lost.
func (d *Deliverer) keep(ctx context.Context) {
	held := time.Now()
	for {
		sleep(ctx, d.lease/3, nil)
		if ctx.Err() != nil {
			return
		}
		limit, cancel := context.WithTimeout(ctx, d.lease/3)
		mine, err := d.hold(limit, false)
		cancel()
		switch {
		case mine:
			held = time.Now()
		case err == nil:
			d.Logger.InfoContext(ctx, "webhooks are delivered by another replica")
			return
		case time.Since(held) > d.lease:
			d.Logger.WarnContext(ctx, "webhooks are not delivered here any more: the store can't be used", "cause", err)
			return
		}
	}
}

// Backlog returns how many deliveries wait, up to limit.
func Backlog(ctx context.Context, s *store.Store, limit int) (n int, err error) {
	err = s.View(ctx, func(tx store.Tx) error {
		n = 0
		for e, err := range tx.WebhookEndpoints() {
			if err != nil {
				return err
			}
			for _, err := range tx.WebhookDeliveries(e.ID) {
				if err != nil {
					return err
				}
				if n++; n == limit {
					return nil
				}
			}
		}
		return nil
	})
	return n, err
}
