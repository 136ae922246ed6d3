package proxy

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// segments is how many with data in them have come on a connection.
func segments(t *testing.T, nc net.Conn) (n uint32) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if closed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); closed != nil || err != nil {
		t.Fatal(closed, err)
	}
	return info.Data_segs_in
}

// A short write is a segment, as nothing waits for more to come (TCP_NODELAY).
func TestARequestAndItsAnswerAreOneSegmentEach(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	dialed := make(chan net.Conn, 1)
	app := accepting(t, func(conn net.Conn) { dialed <- conn; s.play(conn) })
	o := s.acme
	o.Upstreams = map[string]string{"app": "http://" + app}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	conn := s.call(s.fast)
	conn.say(request("GET", "/x", c))
	conn.hear("GET")
	up := <-dialed // both ways go on with it, one request after the other
	for way, addr := range s.addresses() {
		for what, ask := range s.exchanges(c) {
			conn := s.call(addr)
			const times = 20
			before := segments(t, up)
			for range times {
				conn.say(ask)
				if res, body := conn.hear("GET"); res.StatusCode != 200 {
					t.Fatalf("%s: %d %s", what, res.StatusCode, body)
				}
			}
			if u, d := segments(t, up)-before, segments(t, conn.Conn); u != times || d != times {
				t.Errorf("%s: %s: %d segments to the app and %d to the client, for %d requests", way, what, u, d, times)
			}
		}
	}
	s.expectFast(81)
}
