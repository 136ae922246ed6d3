package proxy

import (
	"crypto/tls"
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

func (c *conn) forServer() net.Conn {
	if c.raw != nil && c.r == nil {
		c.r = socket.NewReader(c.raw)
	}
	if _, ok := c.Conn.(*tls.Conn); ok {
		return secureConn{c}
	}
	return c
}

// Read implements [net.Conn]. Where it is asked for the beginning of another request, it serves
// all those that are plain before it returns.
func (c *conn) Read(p []byte) (int, error) {
	if c.exact && c.owed == 0 {
		switch http.ConnState(c.state.Load()) {
		case http.StateIdle:
			// The deadline for resting is the sweep's to keep.
			if err := c.Conn.SetReadDeadline(time.Time{}); err != nil {
				return 0, err
			}
			if !c.run() {
				c.release()
				c.enter(elsewhere)
				return 0, io.EOF
			}
		case http.StateActive:
			return c.lurk()
		default:
			c.exact = false
		}
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
	if c.r != nil {
		return c.r.Read(p)
	}
	return c.Conn.Read(p)
}

// Write implements [net.Conn].
func (c *conn) Write(b []byte) (int, error) {
	if c.raw != nil {
		return c.w.Write(b)
	}
	return c.Conn.Write(b)
}

// lurk is a read while a handler is at work, to hear of it when the client goes away. What comes
// instead is of the next request, and none of this one's business: it stays here, and net/http
// waits until it has no more use for waiting.
func (c *conn) lurk() (int, error) {
	if c.buf == nil && !c.ahead {
		n, err := c.read(c.early[:])
		if n == 0 {
			return 0, err
		}
		c.ahead = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.past && c.doing != ended {
		c.changed.Wait()
	}
	return 0, os.ErrDeadlineExceeded
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.notice(t)
	return c.Conn.SetReadDeadline(t)
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	c.notice(t)
	return c.Conn.SetDeadline(t)
}

func (c *conn) notice(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = !t.IsZero() && !t.After(time.Now())
	if c.past {
		c.changed.Broadcast()
	}
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
