package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/orgate/orgate/internal/socket"
)

// A connection as net/http has it: what it reads of it is what it is handed, and between two requests the loop of plain ones runs within its Read.

// ours returns the conn that nc is; nil: none.
func ours(nc net.Conn) *conn {
	switch c := nc.(type) {
	case *conn:
		return c
	case secureConn:
		return c.conn
	}
	return nil
}

// A secureConn is a conn over TLS.
type secureConn struct{ *conn }

// ConnectionState is what net/http tells handlers of.
func (c secureConn) ConnectionState() tls.ConnectionState {
	return c.Conn.(*tls.Conn).ConnectionState()
}

// reads are what net/http reads, or wants to.
type reads struct {
	r       *socket.Reader // nil: the connection has no raw
	due     time.Time      // the deadline that net/http has set
	held    time.Time      // the one that the connection was told
	past    bool           // due is over
	lurk    bool           // it wants to know whether the client goes away
	stirred bool           // sweep has seen that something is here
	waits   int            // how many are under way
}

func (c *conn) forServer() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads == nil {
		c.reads = &reads{}
		if c.raw != nil {
			c.reads.r = socket.NewReader(c.raw)
		}
	}
	if _, ok := c.Conn.(*tls.Conn); ok {
		return secureConn{c}
	}
	return c
}

type connKey struct{}

// hasWhole tells the connection of a request without a body that nothing more of it will be read.
func hasWhole(r *http.Request) {
	if r.ProtoMajor != 1 || r.Body != nil && r.Body != http.NoBody {
		return
	}
	if c, _ := r.Context().Value(connKey{}).(*conn); c != nil {
		c.whole.Store(true)
	}
}

// Read implements [net.Conn]. Where it is asked for the beginning of another request, it serves
// all those that are plain before it returns.
func (c *conn) Read(p []byte) (int, error) {
	if c.exact && c.owed == 0 {
		switch http.ConnState(c.state.Load()) {
		case http.StateIdle:
			// The deadline for resting is the sweep's to keep.
			if err := c.unhurried(); err != nil {
				return 0, err
			}
			if !c.run() {
				c.release()
				c.enter(elsewhere)
				return 0, io.EOF
			}
			if !c.exact {
				// Before net/http sets a deadline of its own it waits for four bytes, and there may be but one.
				if err := c.SetReadDeadline(time.Now().Add(c.l.header)); err != nil {
					return 0, err
				}
			}
		case http.StateActive:
			return c.lurk()
		default:
			c.exact = false
		}
	}
	if !c.exact && c.whole.Load() && !c.stirs() {
		return 0, os.ErrDeadlineExceeded
	}
	if c.exact && int64(len(p)) > c.owed {
		p = p[:c.owed]
	}
	n, err := c.take(p)
	if c.exact {
		c.owed -= int64(n)
	}
	return n, err
}

// take reads what is in the buffer, and then what comes.
func (c *conn) take(p []byte) (int, error) {
	if c.ahead && len(p) > 0 {
		p[0], c.ahead = c.early[0], false
		return 1, nil
	}
	if c.ends > 0 && len(p) > 0 {
		p[0] = '\n'
		c.ends--
		return 1, nil
	}
	b := c.buf
	if b == nil {
		if c.kept { // of HTTP/2 on it nothing else is heard
			c.kept = false
			c.mu.Lock()
			c.handed = false
			c.mu.Unlock()
		}
		return c.read(p)
	}
	n := copy(p, b.in[b.r:b.w])
	if b.r += n; b.r == b.w {
		c.release()
	}
	return n, nil
}

func (c *conn) read(p []byte) (int, error) {
	err := c.wait()
	defer c.waited()
	if err != nil {
		return 0, err
	}
	if r := c.reads.r; r != nil {
		return r.Read(p)
	}
	return c.Conn.Read(p)
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	if c.raw == nil {
		return c.Conn.Write(b)
	}
	n, err := c.w.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) && c.forgive() {
		var more int
		more, err = c.w.Write(b[n:])
		n += more
	}
	return n, err
}

// lurk is a read while a handler is at work, to hear of it when the client goes away. What comes
// instead is of the next request, and none of this one's business: it stays here, and net/http
// waits until it has no more use for waiting.
func (c *conn) lurk() (int, error) {
	if c.buf == nil && !c.ahead && c.stirs() {
		n, err := c.read(c.early[:])
		if n == 0 {
			return 0, err
		}
		c.ahead = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.reads.past && c.doing != ended {
		c.changed.Wait()
	}
	return 0, os.ErrDeadlineExceeded
}

// stirs waits until there may be something to read, or nobody wants to know any more. Most handlers are through
// before a client could lose patience; so nothing is read for those, and the sweep looks after the others.
func (c *conn) stirs() bool {
	if c.raw == nil {
		return true // what is here is known by reading
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads.lurk, c.reads.stirred = true, false
	for !c.reads.stirred && !c.reads.past && c.doing != ended {
		c.changed.Wait()
	}
	c.reads.lurk = false
	return c.reads.stirred
}

// Close implements [net.Conn]. What is under way here, net/http does not know of, nor of what it was
// handed and has not read: it takes the connection for an idle one. That ends first.
func (c *conn) Close() error {
	c.mu.Lock()
	here := c.doing != elsewhere && c.doing != ended || c.handed
	c.mu.Unlock()
	if here {
		c.retire()
		return nil
	}
	return c.shut()
}

// CloseWrite is what net/http says the end with.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}
