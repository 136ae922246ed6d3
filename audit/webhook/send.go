package webhook

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/store"
)

const (
	// Of one endpoint's deliveries so many are read ahead, in number and in bytes.
	ahead      = 64
	aheadBytes = 256 << 10
	// An endpoint whose oldest due delivery has waited so long is behind, and is sent several at
	// a time: up to wide, of extra in all. Its first is not counted there.
	behind = 5 * time.Second
	wide   = 32
	extra  = 128
	// After so many failures in a row an endpoint is left alone for a while between tries.
	patience  = 5
	firstHold = time.Second
	lastHold  = time.Minute
	// batch is how many outcomes one transaction writes, and unwritten how many may wait for it.
	batch     = 100
	unwritten = 1000
)

// A key names a delivery.
type key struct {
	endpoint hook.ID
	position uint64
}

func keyOf(d hook.Delivery) key { return key{d.Endpoint, d.Position} }

// An item is a delivery and what is to be sent.
type item struct {
	hook.Delivery
	body []byte
}

// A lane is what is known of an endpoint while it is sent to.
type lane struct {
	endpoint hook.Endpoint
	secrets  []string
	ready    []item // due, in order, and not begun
	more     bool   // there may be more in the store than in ready
	sending  int
	failures int       // in a row
	hold     time.Time // nothing is begun before
}

// sending sends what is due. All of it belongs to the goroutine of run, but for results and written.
type sending struct {
	*Deliverer
	poke    <-chan struct{}
	lanes   map[hook.ID]*lane
	busy    map[key]bool // in ready, under way, or not yet written down
	parting int          // are under way beside the first of each lane

	results  chan result
	outcomes []result // to be written down
	written  chan []result
	writing  bool
}

func newSending(d *Deliverer, poke <-chan struct{}) *sending {
	return &sending{
		Deliverer: d, poke: poke, lanes: map[hook.ID]*lane{}, busy: map[key]bool{},
		results: make(chan result, hook.MaxEndpoints+extra), written: make(chan []result, 1),
	}
}

// run sends until ctx is done, and waits until nothing is under way.
func (s *sending) run(ctx context.Context) {
	hard, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	look := time.NewTimer(0)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case r := <-s.results:
			s.finish(hard, r)
		case done := <-s.written:
			s.forget(done)
		case <-s.poke:
			look.Reset(0)
			continue
		case <-look.C:
			look.Reset(s.look(ctx))
		}
		s.begin(hard)
		s.write(hard)
		if s.hungry() {
			look.Reset(0)
		}
	}
	defer time.AfterFunc(s.Grace, cut).Stop()
	for s.underWay() > 0 || s.writing || len(s.outcomes) > 0 {
		s.write(hard)
		select {
		case r := <-s.results:
			s.finish(hard, r)
		case done := <-s.written:
			s.forget(done)
		}
	}
}

func (s *sending) underWay() (n int) {
	for _, l := range s.lanes {
		n += l.sending
	}
	return n
}

// hungry reports whether there is room for more of what the store has.
func (s *sending) hungry() bool {
	for _, l := range s.lanes {
		if l.more && len(l.ready) == 0 && !l.endpoint.Disabled && len(s.outcomes) < unwritten {
			return true
		}
	}
	return false
}

// look reads endpoints, and what is due, and returns when to look again.
func (s *sending) look(ctx context.Context) time.Duration {
	type found struct {
		items   []item
		dropped []hook.Delivery
		more    bool
	}
	now := s.Now()
	var es []hook.Endpoint
	due := map[hook.ID]found{}
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		clear(due)
		if es, err = hook.List(tx); err != nil {
			return err
		}
		for _, e := range es {
			l := s.lanes[e.ID]
			if e.Disabled || l != nil && len(l.ready) > 0 || len(s.outcomes) > unwritten {
				continue
			}
			var f found
			var events reader
			size := 0
			for d, err := range tx.DueWebhookDeliveries(e.ID, now) {
				if err != nil {
					return err
				}
				if s.busy[keyOf(d)] {
					continue
				}
				if len(f.items)+len(f.dropped) == ahead || size > aheadBytes {
					f.more = true
					break
				}
				body, err := events.body(tx, d)
				if err != nil {
					return err
				}
				if body == nil || !d.Asked && !e.Subscribed(d.Name) {
					f.dropped = append(f.dropped, d)
					continue
				}
				size += len(body)
				f.items = append(f.items, item{d, body})
			}
			due[e.ID] = f
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "what is due can't be read; tried again", "cause", err)
		}
		for _, l := range s.lanes {
			l.more = false // until the next look, which is later
		}
		return max(s.Poll, firstPause)
	}
	there := map[hook.ID]bool{}
	for _, e := range es {
		there[e.ID] = true
		l := s.lanes[e.ID]
		if l == nil {
			l = &lane{}
			s.lanes[e.ID] = l
		}
		if l.endpoint.URL != e.URL || l.endpoint.Disabled && !e.Disabled {
			l.failures, l.hold = 0, time.Time{}
		}
		l.endpoint, l.secrets = e, hook.Open(s.Box, e, now)
		if e.Disabled {
			s.unready(l)
			l.more = false
			continue
		}
		f, looked := due[e.ID]
		if !looked {
			continue
		}
		l.ready, l.more = f.items, f.more
		for _, it := range f.items {
			s.busy[keyOf(it.Delivery)] = true
		}
		for _, d := range f.dropped {
			s.busy[keyOf(d)] = true
			s.outcomes = append(s.outcomes, result{Delivery: d, drop: true})
		}
	}
	for id, l := range s.lanes {
		if !there[id] {
			s.unready(l)
			l.endpoint.Disabled, l.more = true, false
			if l.sending == 0 {
				delete(s.lanes, id)
			}
		}
	}
	return s.Poll
}

func (s *sending) unready(l *lane) {
	for _, it := range l.ready {
		delete(s.busy, keyOf(it.Delivery))
	}
	l.ready = nil
}

// A reader reads events, several at a time, as deliveries mostly follow each other.
type reader struct{ entries map[uint64]audit.Event }

// body returns what is to be sent; nil: there is nothing, as the event is gone.
func (r *reader) body(tx store.Tx, d hook.Delivery) ([]byte, error) {
	e, ok := r.entries[d.Position]
	if !ok {
		entries, err := tx.EventsAfter(d.Position-1, ahead)
		if err != nil {
			return nil, err
		}
		r.entries = map[uint64]audit.Event{}
		for _, en := range entries {
			r.entries[en.Position] = en.Event
		}
		e, ok = r.entries[d.Position]
	}
	if !ok || e.ID != d.Event {
		return nil, nil
	}
	b, err := audit.Render(e)
	if err != nil {
		return nil, nil //nolint:nilerr // what can't be shown is not worth that all others wait for it
	}
	return b, nil
}

// begin begins what there is room for.
func (s *sending) begin(ctx context.Context) {
	if len(s.outcomes) > unwritten {
		return // what is not written down is sent again
	}
	now := s.Now()
	for _, l := range s.lanes {
		for len(l.ready) > 0 && !l.endpoint.Disabled && !now.Before(l.hold) {
			if l.sending > 0 {
				late := l.failures == 0 && now.Sub(l.ready[0].Due) > behind
				if !late || l.sending == wide || s.parting == extra {
					break
				}
				s.parting++
			}
			it := l.ready[0]
			l.ready = l.ready[1:]
			l.sending++
			url, secrets := l.endpoint.URL, l.secrets
			go func() { s.results <- s.try(ctx, url, secrets, it) }()
		}
	}
}

// finish notes the end of a try.
func (s *sending) finish(ctx context.Context, r result) {
	l := s.lanes[r.Endpoint]
	if l.sending--; l.sending > 0 {
		s.parting--
	}
	if r.cut {
		delete(s.busy, keyOf(r.Delivery))
		return
	}
	if r.ok {
		l.failures, l.hold = 0, time.Time{}
		s.Logger.DebugContext(ctx, "webhook delivered", "endpoint", r.Endpoint, "event", r.Event, "name", r.Name, "took", r.attempt.Took, "failed_tries", len(r.Attempts))
		s.Count(Sent)
	} else if l.failures++; l.failures >= patience {
		l.hold = s.Now().Add(min(firstHold<<min(l.failures-patience, 10), lastHold))
	}
	s.outcomes = append(s.outcomes, r)
}

// write has outcomes written down, if nothing is being written.
func (s *sending) write(ctx context.Context) {
	if s.writing || len(s.outcomes) == 0 {
		return
	}
	n := min(len(s.outcomes), batch)
	part := s.outcomes[:n:n]
	s.outcomes = s.outcomes[n:]
	s.writing = true
	go func() {
		s.commit(ctx, part)
		s.written <- part
	}()
}

// forget lets go of what was written down.
func (s *sending) forget(done []result) {
	s.writing = false
	for _, r := range done {
		delete(s.busy, keyOf(r.Delivery))
	}
}

// commit writes outcomes down: again and again until ctx is done, and then once more.
func (s *sending) commit(ctx context.Context, rs []result) {
	outcomes := make([]hook.Outcome, len(rs))
	for pause, said := firstPause, false; ; pause = min(2*pause, lastPause) {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		last := ctx.Err() != nil
		err := s.Store.Update(limit, func(tx store.Tx) error {
			for i, r := range rs {
				var err error
				switch {
				case r.drop:
					err = hook.Drop(tx, r.Delivery)
				case r.ok:
					err = hook.Delivered(tx, r.Delivery)
				default:
					outcomes[i], err = hook.Failed(tx, r.Delivery, r.attempt, s.Now())
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		cancel()
		if err == nil {
			break
		}
		if !said {
			s.Logger.WarnContext(ctx, "what became of webhooks can't be written down: they may be sent again", "count", len(rs), "cause", err)
			said = true
		}
		if last || errors.Is(err, store.ErrClosed) {
			return
		}
		sleep(ctx, pause, nil)
	}
	for i, r := range rs {
		s.tell(ctx, r, outcomes[i])
	}
}

// tell counts and logs what is not delivered.
func (s *sending) tell(ctx context.Context, r result, o hook.Outcome) {
	if r.ok {
		return
	}
	level, outcome := slog.LevelInfo, Failed
	switch {
	case r.drop:
		level, outcome = slog.LevelDebug, Dropped
	case o.GivenUp:
		level, outcome = slog.LevelWarn, GivenUp
	}
	defer s.Count(outcome)
	s.Logger.LogAttrs(ctx, level, "webhook not delivered", slog.String("outcome", outcome), slog.String("endpoint", string(r.Endpoint)), slog.String("event", r.Event), slog.String("name", r.Name),
		slog.Int("try", len(r.Attempts)+1), slog.Int("status", r.attempt.Status), slog.String("reason", r.attempt.Error), slog.Duration("took", r.attempt.Took))
	if o.Disabled {
		s.Count(Disabled)
		s.Logger.WarnContext(ctx, "webhook endpoint disabled: it has done nothing but fail", "endpoint", r.Endpoint)
	}
}
