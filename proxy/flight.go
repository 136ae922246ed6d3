package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/policy"
)

// errGrantEnded is the cause of the end of what was open under a grant that ended.
var errGrantEnded = errors.New("session ended or lost access")

// phase is how far a request has come.
type phase int32

const (
	waiting   phase = iota // nothing was answered yet
	answering              // an answer of ordinary length is on its way
	streaming              // a WebSocket, event stream, gRPC stream or the like: open until closed
)

// A flight is a request that is under way at an app.
type flight struct {
	x        *exchange
	canceler canceler
	grant    atomic.Pointer[grant] // changes when what is open is found to be good still
	timer    atomic.Pointer[time.Timer]
	until    atomic.Int64 // when the next byte of an answer has it judged anew, in Unix nanoseconds; 0: never
	moving   sync.Mutex   // held while it is transferred
	phase    atomic.Int32
	ended    atomic.Bool // by us, because its grant ended
	seen     atomic.Bool // by somebody else than its own goroutine, who may look at it still
	up       bool        // it has begun
}

// A canceler ends a request from elsewhere.
type canceler interface {
	cancel(x *exchange, cause error)
}

// A cancelFunc is the end of a call to an app as a canceler of a request that net/http serves.
type cancelFunc context.CancelCauseFunc

func (f cancelFunc) cancel(x *exchange, cause error) {
	f(cause)
	if phase(x.flight.phase.Load()) != waiting {
		x.cut()
	}
}

// flights are the requests that are under way under a grant. There is mostly none, or one.
type flights struct {
	one  *flight
	more map[*flight]struct{}
}

func (s *flights) none() bool { return s.one == nil && len(s.more) == 0 }

func (s *flights) add(f *flight) {
	switch {
	case s.one == nil:
		s.one = f
	case s.more == nil:
		s.more = map[*flight]struct{}{f: {}}
	default:
		s.more[f] = struct{}{}
	}
}

func (s *flights) remove(f *flight) {
	if s.one == f {
		s.one = nil
	}
	delete(s.more, f)
}

// list returns them. From now on they are seen.
func (s *flights) list() []*flight {
	list := make([]*flight, 0, len(s.more)+1)
	if s.one != nil {
		list = append(list, s.one)
	}
	for f := range s.more {
		if f != s.one {
			list = append(list, f)
		}
	}
	for _, f := range list {
		f.seen.Store(true)
	}
	return list
}

// grace is how long a request that nothing was answered to yet may go on once its
// grant has ended. An app that deletes a member through our API, at that member's own
// request, should be able to answer it; and its answer may have begun when we hear of the end.
const grace = 500 * time.Millisecond

// reevaluate judges anew what is open under grants that were invalidated, and ends what
// may not go on. It returns at once.
func (p *Proxy) reevaluate(open []*grant) { p.docket.add(open...) }

// rejudge reads the session of g once more, for only, or for all that is open under g. What is still allowed goes on, but a stream
// whose app was told something that is no longer true is ended: it would go on being
// served as who it was. Any failure ends everything, and so does the end of ctx: nobody may
// stay in because the store could not be asked.
func (p *Proxy) rejudge(ctx context.Context, g *grant, only *flight) {
	st := p.state.Load()

	var flights []*flight
	if only != nil {
		flights = []*flight{only}
	} else {
		g.mu.Lock()
		flights = g.flights.list()
		g.mu.Unlock()
	}

	for _, f := range flights {
		if ctx.Err() != nil || !p.mayGoOn(ctx, st, g, f) {
			p.end(f)
		}
	}
}

// mayGoOn is transfer, in which a panic denies: on this goroutine nobody else would catch
// it, and it would end the process.
func (p *Proxy) mayGoOn(ctx context.Context, st *state, g *grant, f *flight) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			p.log.ErrorContext(ctx, "panic while an open request was judged again", "panic", v)
			ok = false
		}
	}()
	return p.transfer(ctx, st, g, f)
}

// transfer moves f from g to what g's session is now, and returns false if it may not go
// on. What changes once more meanwhile is read once more.
func (p *Proxy) transfer(ctx context.Context, st *state, g *grant, f *flight) bool {
	f.moving.Lock()
	defer f.moving.Unlock()
	if f.grant.Load() != g {
		return true // it was moved on already
	}
	for range 4 {
		next, until, ok := p.still(ctx, st, g, f)
		if !ok {
			return false
		}
		if next == g { // its session was used since, and is good for longer
			p.arm(f, g, until)
			return true
		}
		if !p.grants.attach(next, f) {
			continue
		}
		f.grant.Store(next)
		p.grants.detach(g, f)
		if f.x.finished.Load() { // meanwhile, and maybe from g alone
			p.grants.detach(next, f)
			return true
		}
		p.arm(f, next, until)
		return true
	}
	return false
}

// still returns the grant under which f may go on.
func (p *Proxy) still(ctx context.Context, st *state, g *grant, f *flight) (next *grant, until time.Time, ok bool) {
	pl, ok := st.place(f.x.place.host)
	if !ok || pl.login || pl.org.unread || pl.org.id != f.x.place.org.id || f.x.target.ambiguous && !pl.app.AmbiguousPaths {
		return nil, time.Time{}, false
	}
	now := p.now()
	next, _, err := p.grant(ctx, st, &pl, g.token, now)
	if err != nil {
		return nil, time.Time{}, false
	}
	var rule *policy.Rule // as it is now: the request may have begun under another
	if !f.x.target.ambiguous {
		rule = pl.app.Rules.Match(f.x.method, f.x.target.path)
	}
	d, _ := f.x.judge(pl.app.Rules, rule, next, now)
	if !allows(d) || d.Identified != f.x.decision.Identified {
		return nil, time.Time{}, false
	}
	if phase(f.phase.Load()) == streaming && d.Identified && !g.sameIdentity(next) {
		return nil, time.Time{}, false
	}
	return next, d.ValidUntil, true
}

// end ends f: at once if its answer has begun, unless f itself has only just begun; else after the grace.
func (p *Proxy) end(f *flight) {
	end := func() {
		f.ended.Store(true)
		f.canceler.cancel(f.x, errGrantEnded)
	}
	how := phase(f.phase.Load())
	if how == waiting || how == answering && p.now().Sub(f.x.began) < grace {
		time.AfterFunc(grace, end)
		return
	}
	end()
}

// arm has f judged anew when its session or a proof grows too old. What is open does not
// count as use of the session: a forgotten tab must not keep it for ever.
func (p *Proxy) arm(f *flight, g *grant, validUntil time.Time) {
	how := phase(f.phase.Load())
	if how == waiting {
		return
	}
	at := g.until()
	if !validUntil.IsZero() && (at.IsZero() || validUntil.Before(at)) {
		at = validUntil
	}
	if at.IsZero() {
		return
	}
	if how == answering { // most are over in no time, and not worth a timer each
		f.until.Store(at.UnixNano())
		return
	}
	t := time.AfterFunc(max(at.Sub(p.now()), 0)+time.Millisecond, func() { p.docket.addOne(f) })
	if old := f.timer.Swap(t); old != nil {
		old.Stop()
	}
}

// takeOff begins the flight of x. Its grant may end between being got and being flown under; then
// it is asked for anew, and what it allows is decided anew: x is under way only if it is still
// allowed then.
func (x *exchange) takeOff(ctx context.Context, cookies []string, cancel canceler) error {
	for !x.p.takeOff(x, cancel) {
		if err := x.admit(ctx, cookies); err != nil {
			return err
		}
		if !allows(x.decision) {
			return nil
		}
	}
	if x.p.state.Load().generation != x.st.generation {
		x.p.docket.hear(x.grant, nil, time.Now().Add(judgement)) // settings changed before it could be found, and it may stay open for days
	}
	return nil
}

// takeOff begins the flight of x under its grant. It returns false if the grant has ended
// since it was got.
func (p *Proxy) takeOff(x *exchange, cancel canceler) bool {
	f := &x.flight
	f.x, f.canceler = x, cancel
	f.grant.Store(x.grant)
	f.up = p.grants.attach(x.grant, f)
	return f.up
}

// flying reports whether x has taken off.
func (x *exchange) flying() bool { return x.flight.up }

// land ends the flight of x.
func (p *Proxy) land(x *exchange) {
	x.cutting.Lock() // or a cut might come upon the next request
	x.finished.Store(true)
	x.cutting.Unlock()
	if t := x.flight.timer.Load(); t != nil {
		t.Stop()
	}
	p.grants.detach(x.flight.grant.Load(), &x.flight)
}
