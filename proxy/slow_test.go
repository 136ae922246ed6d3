package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ways are the addresses of both, by name.
func (s *stage) ways() map[string]string {
	return map[string]string{"the fast path": s.fast, "net/http": s.slow}
}

// sendingOn counts the goroutines that wait for a piece of a body to send on, and all that are in a call to an app or were
// started by one.
func sendingOn() (senders, all int) {
	stacks := make([]byte, 4<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for g := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(g, "/proxy/upstream.(*sender).run(") {
			senders++
		}
		if strings.Contains(g, "/proxy/upstream.") {
			all++
		}
	}
	return senders, all
}

// Thousands may send at once over a bad line. A goroutine is a stack for each; the one that there is can wait for the
// client as well, unless the body is so long that the app must be heard before its end.
func TestASlowSenderTakesASecondGoroutineOnlyForALongBody(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	const people = 10
	for way, addr := range s.ways() {
		for length, each := range map[int]int{100_000: 1, 256 << 10: 1, 256<<10 + 1: 2} {
			s.eventually("nobody sends", func() bool { _, all := sendingOn(); return all == 0 })
			var conns []*caller
			for range people {
				conn := s.call(addr)
				conn.say(request("POST", "/slow", c, fmt.Sprint("Content-Length: ", length)) + strings.Repeat("x", 50_000))
				conns = append(conns, conn)
			}
			s.eventually("all bodies are sent on", func() bool { senders, _ := sendingOn(); return senders == people })
			if _, all := sendingOn(); all != each*people {
				t.Errorf("%s: bodies of %d bytes: %d goroutines for %d requests", way, length, all, people)
			}
			for _, conn := range conns {
				conn.say(strings.Repeat("x", length-50_000))
				if res, body := conn.hear("POST"); res.StatusCode != http.StatusOK || len(body) != len("/slow")+length {
					t.Errorf("%s: %d, %d bytes", way, res.StatusCode, len(body))
				}
				conn.Close()
			}
		}
	}
	s.expectFast(3 * people)
}

// Where the goroutine that sends a body is the one that waits for the answer, the app may still say no before it has all, and a
// session may still end in the middle.
func TestABodyThatIsSentFirstCanBeRefusedAndCut(t *testing.T) {
	s := newStage(t)
	begun, over := make(chan struct{}, 1), make(chan error, 1)
	app := accepting(t, func(conn net.Conn) {
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		if r.URL.Path == "/refused" {
			io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
			begun <- struct{}{}
			return
		}
		begun <- struct{}{}
		_, err = io.Copy(io.Discard, r.Body)
		over <- err
	})
	o := s.acme
	o.Upstreams = map[string]string{"app": "http://" + app}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	const length, first = 100_000, 50_000
	for way, addr := range s.ways() {
		p := s.person(way[:3]+"@acme.com", s.acme.ID)
		c := p.at(acmeHost, s.acme.ID)
		send := func(path string) *caller {
			conn := s.call(addr)
			conn.say(request("POST", path, c, fmt.Sprint("Content-Length: ", length)) + strings.Repeat("x", first))
			<-begun
			return conn
		}
		conn := send("/refused")
		conn.say(strings.Repeat("x", length-first))
		if res, body := conn.hear("POST"); res.StatusCode != http.StatusRequestEntityTooLarge || body != "no!" {
			t.Errorf("%s: %d %q", way, res.StatusCode, body)
		}

		conn = send("/cut")
		s.update(func(tx tx) error { return end(tx, s.world, p) })
		// The client has sent nothing since.
		select {
		case err := <-over:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: the app is told that this was all: %v", way, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the app goes on", way)
		}
		conn.say(strings.Repeat("x", length-first))
		if res, body := conn.hear("POST"); res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "session_ended") {
			t.Errorf("%s: %d %q", way, res.StatusCode, body)
		}
	}
	s.expectFast(2)
}
