package proxy

import (
	"crypto/tls"
	"syscall"
)

// gone reports whether the client has closed its end. What it sent before, or nothing being
// here to read, does not matter to that.
func (c *conn) gone() bool {
	wire := c.Conn
	if t, ok := wire.(*tls.Conn); ok {
		wire = t.NetConn()
	}
	s, ok := wire.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	var info [4]byte // the state is the first byte of struct tcp_info
	err = raw.Control(func(fd uintptr) {
		info, _ = syscall.GetsockoptInet4Addr(int(fd), syscall.IPPROTO_TCP, syscall.TCP_INFO) // not TCP: zeros, which is no state
	})
	const synRecv = 3 // after it come the states of an end
	return err != nil || info[0] > synRecv
}
