package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// A Listener is the public listener with the fast path in it. It serves the plain requests
// (package plain) that go to an app over HTTP/1.1 by itself, on connections of its own, and hands
// each connection to an [http.Server] as soon as anything else comes on it: a request that is not
// plain, and every one that is not forwarded. When that is answered, and it was known where it
// ends, the connection comes back.
//
// Both ways ask the same functions: nothing is decided here.
type Listener struct {
	net.Listener
	p      *Proxy
	server *http.Server
	tls    *tls.Config // nil: none
	header time.Duration
	idle   time.Duration
	// largest is how many bytes of a head are looked at.
	largest int

	buffers *sync.Pool
	began   time.Time
	swept   atomic.Int64 // when the last sweep was, in nanoseconds since then

	handed   chan net.Conn // to the server
	broken   chan struct{} // closed when no connection comes any more; err says why
	err      error
	closed   chan struct{}
	once     sync.Once
	draining atomic.Bool

	mu    sync.Mutex
	conns map[*conn]struct{} // all that are not closed, the server's included
	left  chan struct{}      // closed by forget when one has gone, if somebody waits
}

// Listen returns ln with the fast path of p in it, for server to serve, which is one of
// [Server]'s and is shut down with [Listener.Shutdown]. config is for TLS; nil: there is none.
func Listen(ln net.Listener, config *tls.Config, p *Proxy, server *http.Server) *Listener {
	l := &Listener{
		Listener: ln, p: p, server: server, tls: config,
		header: cmp.Or(server.ReadHeaderTimeout, 10*time.Second), idle: cmp.Or(server.IdleTimeout, 2*time.Minute),
		largest: min(bufferSize, cmp.Or(server.MaxHeaderBytes, bufferSize)),
		handed:  make(chan net.Conn), broken: make(chan struct{}), closed: make(chan struct{}),
		conns: map[*conn]struct{}{}, buffers: newConnBuffers(), began: time.Now(),
	}
	hook := server.ConnState
	server.ConnState = func(nc net.Conn, s http.ConnState) {
		if c := ours(nc); c != nil {
			c.noticed(s)
		}
		if hook != nil {
			hook(nc, s)
		}
	}
	of := server.ConnContext
	server.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
		if of != nil {
			ctx = of(ctx, nc)
		}
		if c := ours(nc); c != nil {
			ctx = context.WithValue(ctx, connKey{}, c)
		}
		return ctx
	}
	go l.accept()
	go l.sweep()
	return l
}

// accept takes connections until the listener is closed.
func (l *Listener) accept() {
	var pause time.Duration
	for {
		nc, err := l.Listener.Accept()
		if err == nil {
			pause = 0
			go l.take(nc)
			continue
		}
		if t, ok := errors.AsType[interface {
			error
			Temporary() bool
		}](err); !ok || !t.Temporary() {
			if !l.draining.Load() { // else what is here is still handed on
				l.err = err
				close(l.broken)
			}
			return
		}
		// Out of file descriptors, most likely: as net/http, wait for some to come free.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(pause):
		case <-l.closed:
		}
	}
}

// Accept returns the next connection that is the server's to serve.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.handed:
		return nc, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.broken:
		return nil, l.err
	}
}

// hand gives a connection to the server, or reports that the server takes no more.
func (l *Listener) hand(nc net.Conn) bool {
	select {
	case l.handed <- nc:
		return true
	case <-l.closed:
		return false
	}
}

// take serves a new connection. Nobody else would catch a panic here, and it would end the process.
func (l *Listener) take(nc net.Conn) {
	defer func() {
		if fault := recover(); fault != nil {
			l.p.log.Error("connection panicked", "panic", fault, "stack", string(debug.Stack()))
			_ = nc.Close() // it may be closed by now
		}
	}()
	if l.tls != nil {
		secure := tls.Server(nc, l.tls)
		if !l.handshake(secure) {
			// HTTP/2, and whatever went wrong, is net/http's. It asks for the handshake too,
			// and hears how it ended.
			if !l.hand(secure) {
				_ = secure.Close() // nobody is there to be told
			}
			return
		}
		nc = secure
	}
	c := newConn(l, nc)
	l.mu.Lock()
	l.conns[c] = struct{}{}
	l.mu.Unlock()
	if l.draining.Load() {
		c.retire()
	}
	if !c.run() {
		_ = c.shut() // nobody is there to be told
		return
	}
	if !l.hand(c.forServer()) {
		_ = c.shut() // nobody is there to be told
	}
}

// handshake reports whether there is TLS on the connection now, and HTTP/1 to come. (It is not a part of
// take, whose stack all connections have while they rest.)
//
//go:noinline
func (l *Listener) handshake(c *tls.Conn) bool {
	ctx, cancel := context.WithTimeout(context.Background(), l.header)
	defer cancel()
	if c.HandshakeContext(ctx) != nil {
		return false
	}
	protocol := c.ConnectionState().NegotiatedProtocol
	return protocol == "" || protocol == "http/1.1"
}

// Close has no more connections come, as [http.Server.Shutdown] does first. Those that wait for a
// request are closed; those on which one is under way, when it is answered.
func (l *Listener) Close() error {
	err := l.stop()
	l.once.Do(func() { close(l.closed) })
	return err
}

// clock is the time as of the last sweep, however long ago that was: none comes while the process is stopped, nor after the end. What is measured
// by it from another time with a monotonic reading does not change when the machine's clock is set.
func (l *Listener) clock() time.Time { return l.began.Add(time.Duration(l.swept.Load())) }

// stop is Close for clients: the server still takes what it is handed.
func (l *Listener) stop() error {
	if l.draining.Swap(true) {
		return nil
	}
	err := l.Listener.Close()
	for _, c := range l.all() {
		c.retire()
	}
	return err
}

// Shutdown is [http.Server.Shutdown] for l and its server: it returns when all that was under way
// is answered, or when ctx is done.
func (l *Listener) Shutdown(ctx context.Context) error {
	err := l.stop()
	l.server.SetKeepAlivesEnabled(false)
	// Whoever has sent a part of a head may yet turn out to be the server's to answer.
	if e := l.wait(ctx, (*conn).undecided); e != nil {
		return errors.Join(err, e)
	}
	if e := l.server.Shutdown(ctx); e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, l.wait(ctx, func(*conn) bool { return true }))
}

// Abort closes every connection now, and the server.
func (l *Listener) Abort() error {
	err := errors.Join(l.Close(), l.server.Close())
	for _, c := range l.all() {
		_ = c.shut() // nobody is there to be told
	}
	return err
}

// wait waits until there is no connection of which still holds.
func (l *Listener) wait(ctx context.Context, still func(*conn) bool) error {
	for {
		l.mu.Lock()
		if l.left == nil {
			l.left = make(chan struct{})
		}
		left := l.left
		some := false
		for c := range l.conns {
			some = some || still(c)
		}
		l.mu.Unlock()
		if !some {
			return nil
		}
		select {
		case <-left:
		case <-time.After(20 * time.Millisecond): // it may have gone on, and not away
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (l *Listener) all() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		all = append(all, c)
	}
	return all
}

func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if l.left != nil {
		close(l.left)
		l.left = nil
	}
}

// slow is how long an app may take before it is looked whether its client is still there.
const slow = time.Second

// sweep looks after the connections now and then: a timer for each request would cost more
// than all the rest of waiting for it.
func (l *Listener) sweep() {
	every := min(slow/2, l.header/2, l.idle/2)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range tick.C {
		all := l.all()
		now := time.Now()
		l.swept.Store(int64(now.Sub(l.began)))
		for _, c := range all {
			c.sweep(now)
		}
		if len(all) == 0 && l.draining.Load() {
			return
		}
	}
}
