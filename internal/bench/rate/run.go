//go:build linux

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A conn is one connection to the subject, with at most one request under way.
type conn struct {
	fd  int
	due time.Duration // of the request that is under way
	in  []byte        // what has come of the answer
	len int           // of the whole answer; 0: not known yet
}

// A sender sends, and hears what comes back.
type sender struct {
	plan
	l        *loop
	request  []byte
	timer    int // a timerfd, for when the next request is due
	conns    []*conn
	free     []*conn // the one that has rested for longest first
	answered int
	began    time.Time
	from     time.Duration // what was due before is not measured
	measurement
}

// grace is how long answers may be missing after the last request was sent.
const grace = 10 * time.Second

// run sends what is planned.
func (p plan) run(l *loop) (m measurement, err error) {
	s := &sender{plan: p, l: l}
	s.request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n", p.Path, cmp.Or(p.Host, p.Address))
	if p.Cookie != "" {
		s.request = fmt.Appendf(s.request, "Cookie: %s\r\n", p.Cookie)
	}
	s.request = append(s.request, "\r\n"...)
	// It is never read: to be set anew is enough for another edge.
	if s.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, l.close(s.timer)) }()
	if err := l.add(s.timer, unix.EPOLLET, func() error { return nil }); err != nil {
		return m, err
	}
	defer func() {
		for _, c := range s.conns {
			err = errors.Join(err, l.close(c.fd))
		}
	}()
	for range p.Connections {
		if err := s.dial(); err != nil {
			return m, err
		}
	}
	// Each connection once at first, and so those of the subject to its upstream.
	s.from = grace
	if err := s.send(p.Connections, 0, grace); err != nil {
		return m, fmt.Errorf("at first: %w", err)
	}
	s.from = p.Unmeasured
	if p.PerSecond == 0 {
		err = s.send(math.MaxInt, 0, p.Unmeasured+p.Measured)
		return s.measurement, err
	}
	interval := time.Duration(float64(time.Second) / p.PerSecond)
	n := int((p.Unmeasured + p.Measured) / interval)
	s.measurement = measurement{Took: make([]time.Duration, 0, n), Late: make([]time.Duration, 0, n)}
	err = s.send(n, interval, interval*time.Duration(n))
	return s.measurement, err
}

func (s *sender) dial() error {
	to, err := netip.ParseAddrPort(s.Address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c := &conn{fd: fd, in: make([]byte, 0, 8<<10)}
	s.conns, s.free = append(s.conns, c), append(s.free, c)
	if err := s.l.add(fd, unix.EPOLLRDHUP, func() error { return s.hear(c) }); err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetNonblock(fd, true))
}

// send sends n requests, one each interval, and waits for the answers. Without an interval, each is sent as soon as there is a connection for it, and none
// after so long.
func (s *sender) send(n int, interval, until time.Duration) error {
	s.began, s.answered = time.Now(), 0
	sent, set, starved := 0, 0, false
	for more := true; more || s.answered < sent; {
		now := time.Since(s.began)
		if now > until+grace {
			return fmt.Errorf("%d of %d requests were not answered in %v", sent-s.answered, sent, grace)
		}
		for len(s.free) > 0 {
			if more = sent < n && (interval > 0 || now < until); !more {
				break
			}
			due := interval * time.Duration(sent)
			if interval == 0 {
				due = now
			}
			if due > now {
				starved = false
				break
			}
			if !starved && due >= s.from {
				s.Late = append(s.Late, now-due)
			}
			if err := s.begin(due); err != nil {
				return err
			}
			sent++
			now = time.Since(s.began)
		}
		starved = starved || more && len(s.free) == 0
		// To tell the hardware of a timer is among the dearest things that are done here: once for each request, and not for each
		// answer that comes meanwhile.
		if more && set != sent && len(s.free) > 0 {
			set = sent
			if err := wakeIn(s.timer, interval*time.Duration(sent)-now); err != nil {
				return err
			}
		}
		if err := s.l.turn(grace); err != nil {
			return err
		}
	}
	return nil
}

// begin sends a request on the connection that has rested for longest.
func (s *sender) begin(due time.Duration) error {
	c := s.free[0]
	s.free = append(s.free[:0], s.free[1:]...)
	c.due, c.in, c.len = due, c.in[:0], 0
	n, err := write(c.fd, s.request)
	if err == nil && n < len(s.request) {
		err = fmt.Errorf("%d bytes of the request were taken", n)
	}
	return err
}

// hear reads what has come of an answer.
func (s *sender) hear(c *conn) error {
	if len(c.in) == cap(c.in) {
		return errors.New("an answer is too long")
	}
	n, err := read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("a connection was closed")
	}
	c.in = c.in[:len(c.in)+n]
	if c.len == 0 {
		if c.len, err = whole(c.in, s.Length); err != nil || c.len == 0 {
			return err
		}
	}
	if len(c.in) < c.len {
		return nil
	}
	if c.due >= s.from {
		s.Took = append(s.Took, time.Since(s.began)-c.due)
	}
	s.free = append(s.free, c)
	s.answered++
	return nil
}

// whole is the length of the answer that b begins with, of which the body must have so many bytes; 0: its head is not here yet.
func whole(b []byte, body int) (int, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil
	}
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("answered with %.200q", b)
	}
	for line := range bytes.SplitSeq(b[:end], []byte("\r\n")) {
		if name, value, _ := bytes.Cut(line, []byte(": ")); len(name) == len("content-length") && bytes.EqualFold(name, []byte("content-length")) {
			if n, err := strconv.Atoi(string(value)); err != nil || n != body {
				return 0, fmt.Errorf("answered with %q bytes, and not %d", value, body)
			}
			return end + 4 + body, nil
		}
	}
	return 0, fmt.Errorf("an answer without a length: %.200q", b[:end])
}
