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
	till  time.Time // the deadline for writing
	since time.Time // when it became idle

	// The deadline for reading. One that is but an alarm, at which the caller is told that it waits,
	// is left where it is while it is far enough away: to move it costs more than to look at it.
	at      time.Time // zero: there is none
	alarmed bool      // it is an alarm

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

// errLate: the deadline for reading passed before anything was sent.
var errLate error = lateError{}

type lateError struct{}

func (lateError) Error() string   { return "no time was left to send the request" }
func (lateError) Timeout() bool   { return true }
func (lateError) Temporary() bool { return true }

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

// exchange sends out, and waits for the first bytes of an answer. With errStale or errLate,
// nothing was sent; got is 0 with any error.
//
// A look at whether the connection is still good would cost a system call. But a read that
// finds nothing is made anyway, as the answer is never there at once: here it is made before
// the request is sent, and tells both. It must find nothing: an end makes the
// connection useless, and bytes that nobody asked for would be read as the answer.
func (n *conn) exchange(out, in []byte, l *Limits) (got int, err error) {
	if n.raw == nil {
		if err := n.write(out, l); err != nil {
			return 0, err
		}
		return n.net.Read(in)
	}
	n.phase, n.out, n.in, n.sent, n.got, n.err = probing, out, in, 0, 0, nil
	err = n.raw.Read(n.step)
	n.out, n.in = nil, nil
	switch {
	case err != nil && n.sent == 0 && isTimeout(err):
		return 0, errLate
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
	return n.net.Read(in)
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

// expect sets the deadline for an answer that is to begin by then; zero: at any time.
func (n *conn) expect(now, by time.Time, l *Limits) error {
	if !by.IsZero() && by.Sub(now) <= l.Notice {
		return n.limit(by)
	}
	if left := n.at.Sub(now); n.alarmed && left > l.Notice/2 && left <= l.Notice {
		return nil
	}
	n.at, n.alarmed = now.Add(l.Notice), true
	return n.set()
}

// limit sets the deadline for reading; zero: none.
func (n *conn) limit(at time.Time) error {
	if n.at.Equal(at) && !n.alarmed {
		return nil
	}
	n.at, n.alarmed = at, false
	return n.set()
}

// relax takes a deadline away that is no alarm.
func (n *conn) relax() error {
	if n.alarmed {
		return nil
	}
	return n.limit(time.Time{})
}

func (n *conn) set() error {
	if n.net.SetReadDeadline(n.at) != nil {
		return errStale // it was closed
	}
	return nil
}
