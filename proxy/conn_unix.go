//go:build unix

package proxy

import (
	"io"
	"syscall"
)

// rawReads: a connection's descriptor can be read from.
const rawReads = true

// tryRead reads what is there into a buffer of its own, or returns false to wait for more.
func (c *conn) tryRead(fd uintptr) bool {
	b := c.l.buffers.Get().(*buffer)
	for {
		n, err := syscall.Read(int(fd), b.in[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			b.r, b.w, c.buf = 0, n, b
			return true
		}
		c.l.buffers.Put(b)
		if err == syscall.EAGAIN {
			return false
		}
		if c.err = err; err == nil {
			c.err = io.EOF
		}
		return true
	}
}

// peek is tryRead without waiting.
func (c *conn) peek() bool {
	return c.raw.Read(func(fd uintptr) bool { c.tryRead(fd); return true }) == nil
}
