package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/orgate/orgate/internal/outbox"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
)

// What becomes of mails, as [Delivery.Count] is told.
const (
	Sent        = "sent"
	Temporary   = "temporary"   // the server has not taken it this time
	Permanent   = "permanent"   // the server will never take it
	Expired     = "expired"     // its time ran out
	Unreachable = "unreachable" // the server: no mail was tried
)

const (
	batch   = 8 // mails that one connection takes
	workers = 4 // connections at a time
	// breath is the least time between two looks that find nothing: the store wakes us for
	// whatever happens in it.
	breath = 20 * time.Millisecond
	// How long a server that can't be reached is left alone.
	firstPause = time.Second
	lastPause  = 30 * time.Second
	// lastWord is how long what is known at the end may take to be written down.
	lastWord = 2 * time.Second
)

// A Delivery brings the mails of the outbox to the mail server. Any number of them, on
// any number of replicas, share the work.
type Delivery struct {
	Store *store.Store
	Box   *seal.Box
	// Sender returns the mail server as it is configured now; nil: there is none, and mail
	// waits until it expires.
	Sender func() Sender
	Logger *slog.Logger // nil: nobody hears of it
	// Now is the clock that mail is due by; nil: time.Now.
	Now func() time.Time
	// Count is told what became of each mail: one of a few words; nil: nobody is.
	Count func(outcome string)
	// Poll is how often to look for mail that nothing wakes us for; 0: every second.
	Poll time.Duration
	// Grace is how long mails that are under way may take to end when Run is to end.
	Grace time.Duration

	mu    sync.Mutex
	pause time.Duration // after the last failure to reach the server; 0: it is reached
	until time.Time     // by the machine's clock
	fault string        // of the store, as it was logged
}

// Run delivers until ctx is done, and returns its cause. It must not run twice at a time.
func (d *Delivery) Run(ctx context.Context) error {
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var sending sync.WaitGroup
	slots := make(chan struct{}, workers)
	for d.turn(ctx, func(s Sender, ms []outbox.Message) {
		sending.Go(func() {
			defer func() { <-slots }()
			d.deliver(hard, s, ms)
		})
	}, slots) {
	}
	defer time.AfterFunc(d.Grace, cut).Stop()
	sending.Wait()
	return context.Cause(ctx)
}

// turn waits for a free slot, looks for mail once, has it sent, and waits for what may come
// next. It reports whether there is to be another turn.
func (d *Delivery) turn(ctx context.Context, send func(Sender, []outbox.Message), slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	wake := d.Store.Wake() // before looking: what is committed in between closes it
	ms, wait := []outbox.Message(nil), d.poll()
	sender := d.sender()
	if sender != nil {
		if wait = d.down(); wait == 0 {
			ms, wait = d.claim(ctx, sender.Timeout())
		} else {
			wake = nil // a server that is down does not come back because somebody needs it
		}
	}
	if len(ms) > 0 {
		send(sender, ms)
	} else {
		<-slots
	}
	if wait == 0 {
		return ctx.Err() == nil
	}
	return sleep(ctx, min(wait, breath), nil) && sleep(ctx, wait, wake)
}

// sleep waits, for no longer than for wake, and reports whether ctx is still good.
func sleep(ctx context.Context, wait time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-t.C:
	}
	return ctx.Err() == nil
}

func (d *Delivery) sender() Sender {
	if d.Sender == nil {
		return nil
	}
	return d.Sender()
}

func (d *Delivery) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Delivery) poll() time.Duration { return cmp.Or(d.Poll, time.Second) }

func (d *Delivery) count(outcome string) {
	if d.Count != nil {
		d.Count(outcome)
	}
}

// lease is for how long messages are ours: time enough to connect, to send one and to say
// so. A message is begun only if there is still time for it.
func lease(timeout time.Duration) time.Duration { return 3*timeout + 10*time.Second }

// claim takes messages that are due, if there are any. wait is how long to wait before the
// next look: not at all, if there may be more.
func (d *Delivery) claim(ctx context.Context, timeout time.Duration) (ms []outbox.Message, wait time.Duration) {
	due := false
	err := d.Store.View(ctx, func(tx store.Tx) error {
		due = false
		for _, err := range tx.DueOutboxMessages(d.now()) {
			due = err == nil
			return err
		}
		return nil
	})
	var c outbox.Claimed
	if err == nil && due {
		err = d.Store.Update(ctx, func(tx store.Tx) (err error) {
			c, err = outbox.Claim(tx, lease(timeout), batch, d.now())
			return err
		})
	}
	d.storeFault(ctx, err)
	if err != nil {
		return nil, 5 * d.poll()
	}
	for _, m := range c.Expired {
		d.log(ctx, slog.LevelWarn, Expired, m, m.LastError)
	}
	if len(c.Messages) == batch || len(c.Expired) > 0 {
		return c.Messages, 0
	}
	return c.Messages, d.poll()
}

// storeFault logs that the outbox can't be read, once, and when it can again.
func (d *Delivery) storeFault(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	said := ""
	if err != nil {
		said = err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case said != "" && d.fault == "":
		d.Logger.WarnContext(ctx, "mail can't be sent: the store can't be read", "cause", err)
	case said == "" && d.fault != "":
		d.Logger.InfoContext(ctx, "mail is sent again: the store can be read")
	}
	d.fault = said
}

// down returns for how long the server is still to be left alone.
func (d *Delivery) down() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pause == 0 {
		return 0
	}
	return max(time.Until(d.until), 0)
}

// unreachable notes that the server can't be reached, and why.
func (d *Delivery) unreachable(ctx context.Context, err error) {
	d.count(Unreachable)
	d.mu.Lock()
	if time.Now().After(d.until) { // and several find out at once
		d.pause = min(max(2*d.pause, firstPause), lastPause)
		d.until = time.Now().Add(d.pause)
	}
	pause := d.pause
	d.mu.Unlock()
	d.Logger.WarnContext(ctx, "mail server can't be reached: mail waits", "cause", err, "next_try_in", pause.String())
}

// reached notes that the server can be reached.
func (d *Delivery) reached(ctx context.Context) {
	d.mu.Lock()
	again := d.pause != 0
	d.pause, d.until = 0, time.Time{}
	d.mu.Unlock()
	if again {
		d.Logger.InfoContext(ctx, "mail server is reached again")
	}
}

// deliver sends messages that were claimed, over one connection as long as it holds.
func (d *Delivery) deliver(ctx context.Context, s Sender, ms []outbox.Message) {
	var conn Connection
	closeConn := func() {
		if conn != nil {
			_ = conn.Close() // what was sent was sent
			conn = nil
		}
	}
	defer closeConn()
	for i, m := range ms {
		if ctx.Err() != nil || m.LeasedUntil.Sub(d.now()) < 2*s.Timeout() {
			d.release(ctx, ms[i:], "")
			return
		}
		if !d.now().Before(m.ExpiresAt) {
			d.failed(ctx, m, &SendError{Reason: "it was not sent in time"})
			continue
		}
		content, err := open(d.Box, m)
		if err != nil {
			d.failed(ctx, m, &SendError{Permanent: true, Reason: "it is sealed under a key that is not known"})
			continue
		}
		if conn == nil {
			if conn, err = s.Open(ctx); err != nil {
				conn = nil // which may be typed
				d.release(ctx, ms[i:], "mail server can't be reached")
				if ctx.Err() == nil {
					d.unreachable(ctx, err)
				}
				return
			}
			d.reached(ctx)
		}
		began := time.Now()
		err = send(ctx, conn, Letter{ID: m.ID, To: m.To, Date: m.CreatedAt, Content: content})
		if err == nil {
			d.sent(ctx, m, time.Since(began))
			continue
		}
		if e, ok := errors.AsType[*SendError](err); !ok || e.Broken {
			closeConn()
		}
		if ctx.Err() != nil { // cut off by us
			d.release(ctx, ms[i:], "")
			return
		}
		d.failed(ctx, m, err)
	}
}

// send is conn.Send, and a panic of whatever reads a server's answers is an error: this
// runs in a goroutine of its own, and would end the process.
func send(ctx context.Context, conn Connection, l Letter) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &SendError{Broken: true, Reason: fmt.Sprintf("a panic while it was sent (%T)", v)}
		}
	}()
	return conn.Send(ctx, l)
}

// sent removes a message that the server has taken. Until that is written down somebody
// else may send it again, so it is tried for as long as there is any use in it.
func (d *Delivery) sent(ctx context.Context, m outbox.Message, took time.Duration) {
	err := d.write(ctx, func(tx store.Tx) error { return outbox.Delivered(tx, m) })
	d.count(Sent)
	d.Logger.LogAttrs(ctx, slog.LevelInfo, "mail sent", slog.String("mail", string(m.ID)), slog.String("about", m.About), slog.Int("failed_tries", m.Tries), slog.Duration("took", took))
	if err != nil {
		d.Logger.WarnContext(ctx, "mail was sent, and that could not be written down: it may be sent twice", "mail", m.ID, "cause", err)
	}
}

func (d *Delivery) failed(ctx context.Context, m outbox.Message, why error) {
	e, ok := errors.AsType[*SendError](why)
	if !ok {
		e = &SendError{Reason: "it was not sent"}
	}
	var o outbox.Outcome
	err := d.write(ctx, func(tx store.Tx) (err error) {
		o, err = outbox.Failed(tx, m, !e.Permanent, e.Reason, d.now())
		return err
	})
	if err != nil {
		d.Logger.WarnContext(ctx, "mail was not sent, and that could not be written down", "mail", m.ID, "reason", e.Reason, "cause", err)
		return
	}
	m.Tries++
	switch o {
	case outbox.Refused:
		d.log(ctx, slog.LevelWarn, Permanent, m, e.Reason)
	case outbox.Expired:
		d.log(ctx, slog.LevelWarn, Expired, m, e.Reason)
	default:
		d.log(ctx, slog.LevelInfo, Temporary, m, e.Reason)
	}
}

// log counts and logs what became of a mail, without its address.
func (d *Delivery) log(ctx context.Context, level slog.Level, outcome string, m outbox.Message, reason string) {
	d.count(outcome)
	d.Logger.LogAttrs(ctx, level, "mail not sent", slog.String("outcome", outcome), slog.String("mail", string(m.ID)), slog.String("about", m.About), slog.Int("failed_tries", m.Tries), slog.String("reason", reason))
}

// release gives messages back untried.
func (d *Delivery) release(ctx context.Context, ms []outbox.Message, why string) {
	err := d.write(ctx, func(tx store.Tx) error {
		for _, m := range ms {
			if err := outbox.Release(tx, m, why); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		d.Logger.WarnContext(ctx, "mail could not be given back: it waits for its lease to end", "count", len(ms), "cause", err)
	}
}

// write runs a transaction again and again, until it is committed or ctx is done; and then
// once more.
func (d *Delivery) write(ctx context.Context, f func(store.Tx) error) error {
	for pause := firstPause / 10; ; pause = min(2*pause, lastPause/3) {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		last := ctx.Err() != nil
		err := d.Store.Update(limit, f)
		cancel()
		if err == nil || last || errors.Is(err, store.ErrClosed) {
			return err
		}
		sleep(ctx, pause, nil)
	}
}
