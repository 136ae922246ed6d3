//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// length is that of the body of the upstream's answers.
const length = 1 << 10

// An upstream answers whatever it is asked with 1 KiB. Requests have no bodies.
type upstream struct {
	l      *loop
	answer []byte
}

// serve begins to answer at the address.
func serve(l *loop, address string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	u := &upstream{l, fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", length, strings.Repeat("x", length))}
	return errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}),
		unix.Listen(fd, 1024), l.add(fd, 0, func() error { return u.accept(fd) }))
}

func (u *upstream) accept(listener int) error {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ECONNABORTED) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("accepting a connection: %w", err)
	}
	c := &served{upstream: u, fd: fd}
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), u.l.add(fd, 0, c.hear))
}

// A served is a connection to the upstream.
type served struct {
	*upstream
	fd int
	in [16 << 10]byte
	n  int // of in
}

// hear answers what has come.
func (c *served) hear() error {
	n, err := read(c.fd, c.in[c.n:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil, n == 0:
		return c.l.close(c.fd)
	}
	c.n += n
	b := c.in[:c.n]
	for {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 {
			break
		}
		b = b[end+4:]
		if n, err := write(c.fd, c.answer); err != nil || n < len(c.answer) {
			return c.l.close(c.fd)
		}
	}
	if len(b) == len(c.in) {
		return errors.New("a head is too long")
	}
	c.n = copy(c.in[:], b)
	return nil
}
