package proxy

import (
	"errors"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/orgate/orgate/internal/socket"
	"github.com/orgate/orgate/proxy/plain"
)

// doing is what a connection is at.
type doing uint8

const (
	resting   doing = iota // between two requests
	reading                // a part of a head is here
	serving                // a request is under way at its app
	elsewhere              // net/http serves it
	ended
)

// A conn is a client's connection. One goroutine goes through run with it; from then on that
// it is handed on, net/http reads from it, and run goes on within Read wherever a request of
// net/http's has ended and the next one has not begun.
type conn struct {
	net.Conn
	l    *Listener
	peer peer
	raw  syscall.RawConn       // nil: it can't be waited for without a buffer
	step func(fd uintptr) bool // advance, made once
	w    socket.Writer

	// Of the goroutine that reads. (net/http has several, and orders them.)
	buf     *buffer   // nil: nothing was read that is not taken yet
	err     error     // of step
	came    outcome   // of the last request that step served
	scanned bool      // the head in buf is plain, and has been read
	writeBy time.Time // what the connection was told
	// While net/http serves it: how much of the request that it was handed it has not read. With
	// exact it gets that and no byte more, so that it is known where the next one begins.
	exact  bool
	owed   int64
	early  [1]byte // of the next one, read to see whether the client is still there
	ahead  bool    // there is one
	kept   bool    // net/http has not taken all that it was handed
	slack  int     // how many line ends may come before the next request
	posted bool    // the last one that it has seen was a POST
	behind bool    // net/http has not seen the last request
	ends   uint8   // how many line ends net/http gets before what was read

	// state is what net/http says of it, an [http.ConnState].
	state atomic.Int32
	// whole: net/http has all of the request that it serves. What it reads until the next state is to hear whether the client goes away.
	whole atomic.Bool

	mu      sync.Mutex
	changed sync.Cond // doing, or something of reads
	doing   doing
	since   time.Time // by the listener's clock
	x       *exchange // that is served
	fresh   bool      // no request has come yet
	handed  bool      // to net/http, which has not taken what was read yet
	retired bool      // nothing may begin on it any more
	late    bool      // sweep has lost patience
	woken   bool      // by a deadline that is over
	watched bool      // sweep has looked whether the client is there while it rests
	wasCut  bool      // for x
	lax     bool      // writeBy, if there is one, is not wanted any more
	reads   *reads    // by net/http; nil: it has not had it yet
}

// A buffer is what is read into and written from. A connection has one while there is
// something in it. What has pointers comes first: the collector looks through no more than that.
type buffer struct {
	text    string     // the head at r of in
	head    plain.Head // the same, read
	cookies [maxLines]string
	chain   [maxLines]string
	// countries are lines of the header that a country is said in: of more than one none counts.
	countries [2]string
	// spare is the exchange of a request that is over; nil: there is none to use again.
	spare *exchange

	r, w    int // what of in was read and is not taken yet
	in, out [bufferSize]byte
}

const (
	// maxLines is how many lines of Cookie, and of X-Forwarded-For, a plain request may have.
	maxLines = 8
)

// newConnBuffers returns a pool of buffers for connections.
func newConnBuffers() *sync.Pool { return &sync.Pool{New: func() any { return new(buffer) }} }

func newConn(l *Listener, nc net.Conn) *conn {
	c := &conn{Conn: nc, l: l, fresh: true, since: time.Now()}
	if a := nc.RemoteAddr(); a != nil {
		c.peer = peerOf(a.String())
	}
	c.changed.L = &c.mu
	if s, ok := nc.(syscall.Conn); ok && rawReads {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw, c.step = raw, c.advance
			c.w.Init(raw)
		}
	}
	return c
}

// run serves plain requests, and returns true when one comes that is net/http's: what was
// read of it is in buf then. It returns false at the end of the connection.
func (c *conn) run() (handOn bool) {
	defer func() {
		if fault := recover(); fault != nil {
			// Left to net/http it would close what it takes for idle, and that is not closed here.
			c.l.p.log.Error("connection panicked", "panic", fault, "stack", string(debug.Stack()))
			handOn = false
		}
	}()
	for {
		o := served
		if c.buf == nil || c.buf.r == c.buf.w {
			o = c.rest()
		}
		if o == served {
			o = c.turn(c.readHead())
		}
		if o != served {
			return o == notOurs
		}
	}
}

// turn serves the request in buf, or has net/http serve it. v is what readHead makes of it.
func (c *conn) turn(v plain.Verdict) outcome {
	switch v {
	case plain.Plain:
	case plain.NotPlain:
		c.exact = false // nobody here knows where it ends
		if b := c.buf; c.behind && c.posted && b.r < b.w && isLineEnd(b.in[b.r]) {
			// The last request that net/http knows of was a POST, and it takes line ends before this one. It may have four that are not there.
			c.ends = slack
		}
		c.handOn()
		return notOurs
	case plain.More:
		return over
	}
	posted := c.buf.head.Method == http.MethodPost
	o := c.serve()
	switch {
	case o == notOurs:
		c.behind, c.posted = false, posted
		c.exact, c.owed = true, int64(len(c.buf.text))+c.buf.head.Length
		c.handOn()
	case o == served && posted:
		c.slack = slack
		fallthrough
	case o == served:
		c.behind = true
	}
	return o
}

// rest waits for the next request, and for all those after it that advance can serve. The outcome
// is that of the last one, or served if the beginning of another is in buf.
func (c *conn) rest() outcome {
	c.release()
	if c.ahead {
		c.buf = c.l.buffers.Get().(*buffer)
		c.buf.in[0], c.buf.r, c.buf.w, c.ahead = c.early[0], 0, 1, false
		return served
	}
	if !c.enter(resting) {
		return c.lastLook()
	}
	c.came = served
	err := c.receive()
	switch {
	case c.came != served:
		return c.came
	case c.buf != nil:
		return served
	case err == nil:
		return c.rest()
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.mu.Lock()
		late := c.late
		c.mu.Unlock()
		if !late {
			return c.lastLook()
		}
	}
	return over
}

// lastLook is what is done before a connection that rests is closed: whoever has sent a request by
// now is answered.
func (c *conn) lastLook() outcome {
	if c.raw == nil {
		return over
	}
	c.enter(reading)
	if !c.peek() || c.buf == nil {
		return over
	}
	return served
}

// receive reads the first bytes of a request, into a buffer that it gets when they are there.
func (c *conn) receive() error {
	if c.raw != nil {
		c.err = nil
		return errors.Join(c.raw.Read(c.step), c.err)
	}
	// One byte: thousands of connections over TLS may rest, and a buffer for each would be most of our memory.
	if n, err := c.Conn.Read(c.early[:]); n == 0 {
		return err
	}
	b := c.l.buffers.Get().(*buffer)
	b.in[0], b.r, b.w, c.buf = c.early[0], 0, 1, b
	return nil
}

// release gives the buffer back when nothing is in it.
func (c *conn) release() {
	if b := c.buf; b != nil {
		c.buf = nil
		b.text = "" // which would keep what they are parts of, as would the others
		// (Empty arrays that are assigned together are made on the stack first, and that of whoever waits has this function in it.)
		clear(b.cookies[:])
		clear(b.chain[:])
		clear(b.countries[:])
		b.head.Clear()
		c.l.buffers.Put(b)
	}
}

// readHead reads until there is a whole head, which is in buf then, or it is known that it is
// not plain; More: that will never be.
func (c *conn) readHead() plain.Verdict {
	if c.scanned {
		c.scanned = false
		return plain.Plain
	}
	b, from := c.buf, 0
	for {
		next, v := c.scan(from)
		if v != plain.More {
			return v
		}
		from = next
		if b.w == len(b.in) {
			b.w = copy(b.in[:], b.in[b.r:b.w])
			b.r = 0
		}
		c.enter(reading)
		n, err := c.Conn.Read(b.in[b.w:])
		b.w += n
		if n == 0 && (c.stub() || errors.Is(err, os.ErrDeadlineExceeded)) {
			return plain.More
		}
		if n == 0 {
			return plain.NotPlain // net/http knows what to say to half a request
		}
	}
}

// scan reads the head in buf, if all of it is there, of which it has been seen that it does not end before from.
// With More, that is as far as next.
func (c *conn) scan(from int) (next int, v plain.Verdict) {
	c.skipSlack()
	b := c.buf
	if c.stub() {
		return 0, plain.More
	}
	n, next, v := plain.Scan(b.in[b.r:b.w], from)
	switch {
	case v == plain.Plain && n <= c.l.largest && c.l.p.state.Load().fast:
		// A copy, as parts of it outlive the buffer.
		if b.text = string(b.in[b.r : b.r+n]); b.head.Parse(b.text) {
			return 0, plain.Plain
		}
		return 0, plain.NotPlain
	case v != plain.More || b.w-b.r >= c.l.largest:
		return 0, plain.NotPlain
	}
	return next, plain.More
}

// slack is how many line ends net/http takes after a POST.
const slack = 4

func isLineEnd(c byte) bool { return c == '\r' || c == '\n' }

// stub reports whether what is here is a line end that net/http would not look at yet: after a request it waits for four bytes.
func (c *conn) stub() bool {
	b := c.buf
	return c.behind && b.r < b.w && b.w-b.r < slack && isLineEnd(b.in[b.r])
}

// skipSlack takes the line ends that may follow the body of a POST, by clients that count wrong: as many as net/http
// takes (RFC 9112, 2.2). net/http has not seen the POST, and would take them for the next request.
func (c *conn) skipSlack() {
	for b := c.buf; c.slack > 0 && b.r < b.w; c.slack-- {
		if !isLineEnd(b.in[b.r]) {
			c.slack = 0
			return
		}
		b.r++
	}
}

// enter notes what the connection is at. It returns false if it may not rest any more.
func (c *conn) enter(d doing) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doing == ended || d == resting && c.retired {
		return false
	}
	if c.doing != d {
		c.doing, c.since, c.watched = d, c.l.clock(), false
	}
	c.calm()
	return true
}

// handOn notes that net/http is to serve what was read.
func (c *conn) handOn() {
	c.mu.Lock()
	c.late = false // it is here after all
	c.mu.Unlock()
	c.enter(elsewhere)
	c.kept = true
	if !c.writeBy.IsZero() {
		_ = c.SetWriteDeadline(time.Time{}) // net/http sets its own; if it fails so does the next write
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fresh, c.handed = false, true
}

// noticed hears from net/http what it makes of the connection.
func (c *conn) noticed(s http.ConnState) {
	c.state.Store(int32(s))
	c.whole.Store(false)
	if s == http.StateClosed {
		_ = c.shut() // it is closed by now, unless it was to be later
	}
	if s != http.StateNew && s != http.StateIdle {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.handed = false
	}
}

// wake ends a wait for bytes. mu is held.
func (c *conn) wake() {
	c.woken = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // if it fails there is nothing to wake
}

// calm undoes wake, which came too late. mu is held.
func (c *conn) calm() {
	if c.woken && !c.late {
		c.woken = false
		_ = c.Conn.SetReadDeadline(time.Time{}) // if it fails the next read does
	}
}

// retire has the connection end once nothing is under way on it.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retired = true
	if c.doing == resting {
		c.wake()
	}
}

// undecided reports whether a request may come yet that is net/http's.
func (c *conn) undecided() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doing == resting || c.doing == reading || c.handed
}

// sweep ends what has waited for too long.
func (c *conn) sweep(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	waited := now.Sub(c.since)
	switch {
	case c.doing == resting && waited > c.l.idle, c.doing == resting && c.fresh && waited > c.l.header, c.doing == reading && waited > c.l.header:
		c.late = true
		c.wake()
	case c.doing == resting && waited > slow && !c.watched && c.raw != nil:
		// An end that came together with a request, advance has not seen, nor what came behind urgent data. Whoever
		// rests indeed is not looked at again until the next request.
		c.watched = true
		if c.unheard() {
			c.wake()
		}
	case c.doing == serving && waited > slow && c.x != nil && c.gone():
		c.x.cancel.End(errClientGone)
	case c.doing == elsewhere && waited > slow && c.reads != nil && c.reads.lurk && c.unheard():
		c.reads.stirred = true
		c.changed.Broadcast()
	}
}

// begin notes that x is served. It returns false if the connection was shut meanwhile: whoever did that waits for
// advance to be through, and nobody would end x.
func (c *conn) begin(x *exchange) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doing == ended {
		return false
	}
	c.doing, c.since, c.x, c.fresh = serving, c.l.clock(), x, false
	c.calm()
	return true
}

// finish undoes begin, and a cut that came when all was written: the next answer must not fail for it.
func (c *conn) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wasCut {
		c.wasCut = false
		_ = c.Conn.SetWriteDeadline(c.writeBy) // if it fails so does the next write
	}
	if c.x = nil; c.doing != ended {
		c.doing, c.since = reading, c.l.clock()
	}
}

// isRetired reports whether the request that is under way is the last one.
func (c *conn) isRetired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired
}

// cut ends what is written to the client for x, if that goes on still.
func (c *conn) cut(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.x == x {
		c.wasCut = true
		_ = c.Conn.SetWriteDeadline(time.Unix(1, 0)) // if it fails nobody writes any more
	}
}

// writeUntil is SetWriteDeadline for x, whose cut it does not undo.
func (c *conn) writeUntil(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wasCut {
		return os.ErrDeadlineExceeded
	}
	return c.Conn.SetWriteDeadline(t)
}

// shut closes the connection now. It stays ended.
func (c *conn) shut() error {
	c.mu.Lock()
	was := c.doing
	c.doing = ended
	if c.x != nil {
		c.x.cancel.End(errClientGone) // the descriptor is closed only when advance is through with it
	}
	c.changed.Broadcast()
	c.mu.Unlock()
	if was == ended {
		return nil
	}
	c.l.forget(c)
	return c.Conn.Close()
}

// What follows is for net/http.
