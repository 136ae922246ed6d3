//go:build unix

package proxy

import (
	"io"
	"syscall"

	"github.com/orgate/orgate/internal/socket"
	"github.com/orgate/orgate/proxy/plain"
)

// rawReads: a connection's descriptor can be read from.
const rawReads = true

// advance reads what is there, and serves the requests in it for as long as each is plain, has no body and
// is here as a whole. It returns false to wait for more.
//
// When it has read a request it does not look whether there is another: a read that fills less than the buffer has
// emptied the socket, and of what comes later the runtime's poller takes note, also while nobody waits (which it does not
// between two calls of [syscall.RawConn.Read]). So a system call is saved that would find nothing. What it may
// not hear of is an end that came before that read, together with the request: the first time it looks, as one request and
// the end is what simple clients send, and later that is the sweep's. So is what comes behind a byte of urgent data, at which
// a read stops short.
//
// Whatever else reads from the connection would wait for advance, for ever.
func (c *conn) advance(fd uintptr) bool {
	again := !c.fresh
	if !c.tryRead(fd) {
		return false
	}
	if c.buf == nil || c.buf.w == len(c.buf.in) {
		return true
	}
	for {
		if _, v := c.scan(0); v != plain.Plain || c.buf.head.Length > 0 {
			c.scanned = v == plain.Plain
			return true
		}
		if c.came = c.turn(plain.Plain); c.came != served {
			return true
		}
		if c.buf.r == c.buf.w {
			c.release()
			return !again || !c.enter(resting)
		}
	}
}

// tryRead reads what is there into a buffer of its own, or returns false if that is nothing.
func (c *conn) tryRead(fd uintptr) bool {
	b := c.l.buffers.Get().(*buffer)
	n, err := socket.Read(fd, b.in[:])
	if n > 0 {
		b.r, b.w, c.buf = 0, n, b
		return true
	}
	c.l.buffers.Put(b)
	if err == syscall.EAGAIN { //nolint:errorlint // a system call's own error
		return false
	}
	if c.err = err; err == nil {
		c.err = io.EOF
	}
	return true
}

// peek is tryRead without waiting.
func (c *conn) peek() bool {
	return c.raw.Read(func(fd uintptr) bool { c.tryRead(fd); return true }) == nil
}

// unheard reports whether something is here to be read, an end or an error included. It takes nothing of it.
func (c *conn) unheard() bool {
	var n int
	var err error
	closed := c.raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	})
	return closed != nil || n > 0 || err != syscall.EAGAIN && err != syscall.EINTR
}
