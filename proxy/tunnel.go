package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
)

// A WebSocket is open for hours and says little. [io.Copy] holds 32 KiB for each direction all that time; what
// follows holds half a KiB, and more only while there is more.

// restingSize is how much is read at once while little is said.
const restingSize = 512

var tunnelBuffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A tunnelEnd is an app's end of a WebSocket.
type tunnelEnd struct{ io.ReadWriteCloser }

// WriteTo implements [io.WriterTo], which io.Copy prefers.
func (e tunnelEnd) WriteTo(w io.Writer) (int64, error) { return pass(w, e.ReadWriteCloser) }

// CloseWrite says the end to the app.
func (e tunnelEnd) CloseWrite() error { return closeWrite(e.ReadWriteCloser) }

// A tunnelConn is the client's.
type tunnelConn struct {
	net.Conn
	early []byte // what came with the request or while the app thought about it
}

// newTunnelConn returns the end of a client of which net/http has read all that is in br. (Whoever has the connection
// from it may read from that alone: httputil.ReverseProxy does, and so the beginning was lost.)
func newTunnelConn(c net.Conn, br *bufio.Reader) *tunnelConn {
	early, _ := br.Peek(br.Buffered()) // it is here
	return &tunnelConn{c, bytes.Clone(early)}
}

// Read implements [io.Reader].
func (c *tunnelConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil // it would be kept for hours
		}
		return n, nil
	}
	return c.Conn.Read(b)
}

// WriteTo implements [io.WriterTo].
func (c *tunnelConn) WriteTo(w io.Writer) (int64, error) { return pass(w, c) }

// CloseWrite says the end to the client.
func (c *tunnelConn) CloseWrite() error { return closeWrite(c.Conn) }

func closeWrite(c any) error {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return http.ErrNotSupported
}

// pass passes on what r says until its end, as io.Copy does.
func pass(w io.Writer, r io.Reader) (passed int64, err error) {
	little := make([]byte, restingSize)
	for err == nil {
		var n int
		if n, err = passOnce(w, r, little); n == len(little) && err == nil {
			n, err = passMuch(w, r)
			passed += restingSize
		}
		passed += int64(n)
	}
	if err == io.EOF { //nolint:errorlint // as io.Reader has it
		err = nil
	}
	return passed, err
}

// passMuch passes on in large pieces for as long as they come.
func passMuch(w io.Writer, r io.Reader) (passed int, err error) {
	b := tunnelBuffers.Get().(*[bufferSize]byte)
	defer tunnelBuffers.Put(b)
	for n := len(b); n == len(b) && err == nil; passed += n {
		n, err = passOnce(w, r, b[:])
	}
	return passed, err
}

func passOnce(w io.Writer, r io.Reader, b []byte) (n int, err error) {
	n, err = r.Read(b)
	if n > 0 {
		if m, bad := w.Write(b[:n]); bad != nil || m < n {
			if bad == nil {
				bad = io.ErrShortWrite
			}
			return m, bad
		}
	}
	return n, err
}
