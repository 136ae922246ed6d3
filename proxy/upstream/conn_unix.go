//go:build unix

package upstream

import (
	"io"
	"syscall"

	"github.com/orgate/orgate/internal/socket"
)

// rawIO: system calls can be made on a connection's descriptor.
const rawIO = true

// advance goes on until it would have to wait, and returns false then, or is done. The
// runtime's poller was told that we wait before it is called first, so that no
// readiness after the first read is missed.
func (n *conn) advance(fd uintptr) bool {
	if n.phase == probing {
		m, err := socket.Read(fd, n.in)
		if err != syscall.EAGAIN { //nolint:errorlint // a system call's own error
			n.err = errStale
			if err == nil && m > 0 {
				n.err = errUnasked
			}
			return true
		}
		if n.out == nil {
			return true
		}
		if m, err = socket.Write(fd, n.out); err != nil {
			if err != syscall.EAGAIN { //nolint:errorlint // a system call's own error
				n.err = err
			}
			return true
		}
		if n.sent = m; n.sent < len(n.out) {
			return true
		}
		n.phase = awaiting
		return false
	}
	m, err := socket.Read(fd, n.in)
	switch {
	case err == syscall.EAGAIN: //nolint:errorlint // a system call's own error
		return false
	case err != nil:
		n.err = err
	case m == 0:
		n.err = io.EOF
	default:
		n.got = m
	}
	return true
}
