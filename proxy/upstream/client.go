package upstream

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// What [Limits] are that are not given.
const (
	DefaultConnections = 16_384 // which is more than one address has ports to be reached from at ease
	DefaultWait        = 10 * time.Second
)

// Limits are those of a [Client]. Numbers of connections are for each address.
type Limits struct {
	Connections int           // open at once; 0: DefaultConnections
	Idle        int           // kept for the next request; 0: 512
	IdleTime    time.Duration // for which they are kept; 0: 90 s
	Queue       int           // calls that wait for a connection; 0: as many as Connections
	Wait        time.Duration // for one; 0: DefaultWait
	Connect     time.Duration // to connect; 0: 5 s
	// Redial is how often, and after how long, a connection is tried again that was
	// refused: an app beside us is away for a moment when it is restarted.
	Redial []time.Duration
	// Answer is how long the head of an answer may take from the end of the request; 0: any time.
	Answer time.Duration
	// Notice is after how long a call that waits tells its [Caller]; 0: 250 ms.
	Notice time.Duration
	// Stall is how long the app may take nothing of a request; 0: 1 min.
	Stall time.Duration
	// Dial connects; nil: over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// ErrBusy is that of a call for which there was no connection: as many are open as may be,
// and none came free in time.
var ErrBusy = errors.New("all connections to the app are in use")

// A Client has the connections to the apps, by address.
type Client struct {
	limits Limits

	mu     sync.Mutex
	pools  map[string]*pool
	closed bool
	sweep  *time.Timer // set while something is idle
}

// A pool is the connections to one address. The client's mu is held for all of it.
type pool struct {
	address string
	idle    []*conn // the one used last at the end
	open    int     // all, those included that are being made
	waiting []*waiter
}

// A waiter is a call in the queue.
type waiter struct {
	served chan struct{} // closed when it is its turn
	gone   chan struct{} // closed by abort
	conn   *conn         // that it got; nil: it may make one
}

func (w *waiter) abort() { close(w.gone) }

// New returns a client without connections.
func New(l Limits) *Client {
	set(&l.Connections, DefaultConnections)
	set(&l.Idle, 512)
	set(&l.Queue, l.Connections)
	set(&l.IdleTime, 90*time.Second)
	set(&l.Wait, DefaultWait)
	set(&l.Connect, 5*time.Second)
	set(&l.Stall, time.Minute)
	set(&l.Notice, 250*time.Millisecond)
	if l.Dial == nil {
		l.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	return &Client{limits: l, pools: map[string]*pool{}}
}

func set[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Close closes what is idle, and what is in use as soon as it is not.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, p := range c.pools {
		for _, n := range p.idle {
			n.close()
			p.open--
		}
		p.idle = nil
		c.tidy(p)
	}
}

// get returns a connection for the call: an idle one unless fresh, else a new one, else
// the next that is given back.
func (c *Client) get(call *Call, fresh bool) (*conn, error) {
	c.mu.Lock()
	p := c.pools[call.Address]
	if p == nil {
		p = &pool{address: call.Address}
		c.pools[call.Address] = p
	}
	if last := len(p.idle) - 1; last >= 0 && !fresh {
		n := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		c.mu.Unlock()
		return n, nil
	}
	if p.open >= c.limits.Connections && len(p.idle) > 0 { // fresh: it takes the place of the oldest
		c.drop(p, 1)
	}
	if p.open < c.limits.Connections {
		p.open++
		c.mu.Unlock()
		call.tell()
		return c.dial(p, call.Cancel)
	}
	if len(p.waiting) >= c.limits.Queue {
		c.mu.Unlock()
		return nil, ErrBusy
	}
	w := &waiter{served: make(chan struct{}), gone: make(chan struct{})}
	p.waiting = append(p.waiting, w)
	c.mu.Unlock()
	call.tell()
	return c.wait(p, w, call.Cancel)
}

// wait waits in the queue.
func (c *Client) wait(p *pool, w *waiter, cancel *Cancel) (*conn, error) {
	err := cancel.hold(w)
	if err == nil {
		patience := time.NewTimer(c.limits.Wait)
		select {
		case <-w.served:
		case <-w.gone:
		case <-patience.C:
		}
		patience.Stop()
		err = cancel.release()
	}
	served := c.leave(p, w)
	switch {
	case err != nil && served && w.conn != nil:
		c.put(w.conn, time.Now())
	case err != nil && served:
		c.free(p)
	case err != nil:
	case !served:
		err = ErrBusy
	case w.conn == nil:
		return c.dial(p, cancel)
	}
	if err != nil {
		return nil, err
	}
	return w.conn, nil
}

// leave takes w out of the queue, and reports whether it was served by then.
func (c *Client) leave(p *pool, w *waiter) (served bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		c.tidy(p)
		return false
	}
	return true
}

// dial makes a connection, whose place was taken in p.
func (c *Client) dial(p *pool, cancel *Cancel) (*conn, error) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if err := cancel.hold(dialing(stop)); err != nil {
		c.free(p)
		return nil, err
	}
	nc, err := c.connect(ctx, p.address)
	for _, wait := range c.limits.Redial {
		if err == nil || !Refused(err) || !Sleep(ctx, wait) {
			break
		}
		nc, err = c.connect(ctx, p.address)
	}
	if cause := cancel.release(); cause != nil {
		if err == nil {
			_ = nc.Close() // nothing was sent on it
		}
		err = cause
	}
	if err != nil {
		c.free(p)
		return nil, err
	}
	return newConn(nc, p), nil
}

func (c *Client) connect(ctx context.Context, address string) (net.Conn, error) {
	ctx, stop := context.WithTimeout(ctx, c.limits.Connect)
	defer stop()
	return c.limits.Dial(ctx, "tcp", address)
}

// dialing ends the making of a connection.
type dialing context.CancelFunc

func (d dialing) abort() { d() }

// Refused reports whether no connection came about, for another reason than time: nothing can have been done with
// what was to be sent, so that it may be sent again.
func Refused(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial" && !e.Timeout()
}

// Sleep waits for d, and returns false if ctx ends before that.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// put takes n back, for the next call. It has been idle since then, or a little later.
func (c *Client) put(n *conn, since time.Time) {
	p := n.pool
	n.used = true
	c.mu.Lock()
	if w := p.next(); w != nil {
		w.conn = n
		close(w.served)
		c.mu.Unlock()
		return
	}
	if c.closed || len(p.idle) >= c.limits.Idle {
		p.open--
		c.tidy(p)
		c.mu.Unlock()
		n.close()
		return
	}
	n.since = since
	p.idle = append(p.idle, n)
	if c.sweep == nil {
		c.sweep = time.AfterFunc(c.limits.IdleTime, c.expire)
	}
	c.mu.Unlock()
}

// discard closes n, which is in use.
func (c *Client) discard(n *conn) {
	n.close()
	c.free(n.pool)
}

// free gives up a place in p: the next in the queue may make a connection.
func (c *Client) free(p *pool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := p.next(); w != nil {
		close(w.served)
		return
	}
	p.open--
	c.tidy(p)
}

// next takes the first out of the queue. mu is held.
func (p *pool) next() *waiter {
	if len(p.waiting) == 0 {
		return nil
	}
	w := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return w
}

// drop closes the n oldest idle connections of p. mu is held.
func (c *Client) drop(p *pool, n int) {
	for _, old := range p.idle[:n] {
		old.close()
	}
	p.open -= n
	rest := copy(p.idle, p.idle[n:])
	clear(p.idle[rest:])
	p.idle = p.idle[:rest]
	c.tidy(p)
}

// tidy forgets a pool that has nothing in it. mu is held.
func (c *Client) tidy(p *pool) {
	if p.open == 0 && len(p.waiting) == 0 && c.pools[p.address] == p {
		delete(c.pools, p.address)
	}
}

// expire closes what was idle for too long.
func (c *Client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, next := time.Now(), time.Duration(-1)
	for _, p := range c.pools {
		n := 0
		for n < len(p.idle) && now.Sub(p.idle[n].since) >= c.limits.IdleTime {
			n++
		}
		if n < len(p.idle) {
			if left := c.limits.IdleTime - now.Sub(p.idle[n].since); next < 0 || left < next {
				next = left
			}
		}
		c.drop(p, n)
	}
	if next < 0 {
		c.sweep = nil
		return
	}
	// Not for each by itself: many that end one after the other are closed together.
	c.sweep = time.AfterFunc(max(next, c.limits.IdleTime/8), c.expire)
}
