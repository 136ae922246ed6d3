package upstream

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// A conn is a connection to an app. One goroutine uses it at a time, but for the body of a
// request, which another one may send while the answer is read.
type conn struct {
	net   net.Conn
	raw   syscall.RawConn // nil: it has none
	pool  *pool
	used  bool      // it has carried a request
	late  bool      // a deadline is set for reading
	till  time.Time // the deadline for writing
	since time.Time // when it became idle

	// What step works on; step is made once, so that it is not allocated for each request.
	step      func(fd uintptr) bool
	phase     phase
	out, in   []byte
	sent, got int
	err       error
}

// phase is how far step has come.
type phase uint8

const (
	probing phase = iota
	awaiting
)

// errStale: the app closed the connection, or said something on it, before a request was
// sent on it. Nothing of the request was sent.
var errStale = errors.New("connection was closed while it was idle")

func newConn(nc net.Conn, p *pool) *conn {
	n := &conn{net: nc, pool: p}
	if s, ok := nc.(syscall.Conn); ok && rawIO {
		if raw, err := s.SyscallConn(); err == nil {
			n.raw, n.step = raw, n.advance
		}
	}
	return n
}

func (n *conn) close() { _ = n.net.Close() } // it may be closed by now, and nothing is lost with it

// abort implements [aborter].
func (n *conn) abort() { n.close() }

// exchange sends out, and waits for the first bytes of an answer. With errStale, nothing was
// sent; got is 0 with any error.
//
// A look at whether the connection is still good would cost a system call. But a read that
// finds nothing is made anyway, as the answer is never there at once: here it is made before
// the request is sent, and tells both. It must find nothing: an end makes the
// connection useless, and bytes that nobody asked for would be read as the answer.
func (n *conn) exchange(out, in []byte, l *Limits) (got int, err error) {
	if l.Answer > 0 {
		if err := n.net.SetReadDeadline(time.Now().Add(l.Answer)); err != nil {
			return 0, errStale
		}
		n.late = true
	}
	if n.raw == nil {
		if err := n.write(out, l); err != nil {
			return 0, err
		}
		return n.read(in)
	}
	n.phase, n.out, n.in, n.sent, n.got, n.err = probing, out, in, 0, 0, nil
	err = n.raw.Read(n.step)
	n.out, n.in = nil, nil
	switch {
	case err != nil:
		return 0, err
	case n.err != nil:
		return 0, n.err
	case n.sent == len(out):
		return n.got, nil
	}
	// The kernel did not take all of it at once.
	if err := n.write(out[n.sent:], l); err != nil {
		return 0, err
	}
	return n.read(in)
}

// probe reports whether the connection is good for a request, as far as can be known.
func (n *conn) probe() bool {
	if n.raw == nil {
		return true
	}
	var one [1]byte
	n.phase, n.out, n.in, n.sent, n.err = probing, nil, one[:], 0, nil
	err := n.raw.Read(n.step)
	n.in = nil
	return err == nil && n.err == nil
}

// write sends b within the time that an app may take nothing.
func (n *conn) write(b []byte, l *Limits) error {
	for len(b) > 0 {
		// A deadline costs more than a look at the clock: it is moved now and then.
		if now := time.Now(); n.till.Sub(now) < l.Stall*3/4 {
			n.till = now.Add(l.Stall)
			if err := n.net.SetWriteDeadline(n.till); err != nil {
				return err
			}
		}
		// What is large is sent piece by piece, as the time is for something, not for all.
		m, err := n.net.Write(b[:min(len(b), 256<<10)])
		if err != nil {
			return err
		}
		b = b[m:]
	}
	return nil
}

func (n *conn) read(b []byte) (int, error) { return n.net.Read(b) }

// patient ends the time that the head of an answer may take.
func (n *conn) patient() error {
	if !n.late {
		return nil
	}
	n.late = false
	return n.net.SetReadDeadline(time.Time{})
}
