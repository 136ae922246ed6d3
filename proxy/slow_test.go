package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// addresses are those of both ways, by name.
func (s *stage) addresses() map[string]string {
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
	for way, addr := range s.addresses() {
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
	for way, addr := range s.addresses() {
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

// limited serves the proxy with other limits, on both ways.
func (s *stage) limited(limits ServerLimits) (ways map[string]string) {
	s.t.Helper()
	ways = map[string]string{}
	for way, fast := range map[string]bool{"the fast path": true, "net/http": false} {
		front := httptest.NewUnstartedServer(nil)
		front.Config = Server(s.proxy, limits, s.options.Logger)
		if fast {
			front.Listener = Listen(front.Listener, nil, s.proxy, front.Config)
		}
		front.Start()
		s.t.Cleanup(front.Close)
		ways[way] = front.Listener.Addr().String()
	}
	return ways
}

// drip sends a byte each few milliseconds, until there are no more or nobody takes them.
func (c *caller) drip(text string) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := range text {
		<-tick.C
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
	}
}

// Who sends a byte now and then is never idle, and would have a connection for as long as a head may be large.
func TestAHeadThatDripsHasTheTimeOfOneHead(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	endless := strings.TrimSuffix(request("GET", "/endless", c), "\r\n") + "X-A: " + strings.Repeat("a", 40_000)
	for way, addr := range s.limited(ServerLimits{HeaderTimeout: time.Second}) {
		var all sync.WaitGroup
		for after, before := range map[string]string{"at first": "", "after a request": request("GET", "/a", c), "after one that is refused": request("GET", "/a", "")} {
			conn := s.call(addr)
			if before != "" {
				conn.say(before)
				conn.hear("GET")
			}
			conn.SetDeadline(time.Now().Add(8 * time.Second)) // less than if nobody had set a limit
			all.Go(func() { conn.drip(endless) })
			all.Go(func() {
				// What net/http says to it, if anything, is its own.
				b, err := io.ReadAll(conn.br)
				if isTimeout(err) || len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 4") {
					t.Errorf("%s, %s: %q %v", way, after, b, err)
				}
				conn.Close()
			})
		}
		all.Wait()

		// The time is the head's: a body may take longer.
		conn := s.call(addr)
		conn.say(request("POST", "/body", c, "Content-Length: 400"))
		conn.drip(strings.Repeat("x", 400))
		if res, body := conn.hear("POST"); res.StatusCode != http.StatusOK || len(body) != len("/body")+400 {
			t.Errorf("%s: a slow body: %d %q", way, res.StatusCode, body)
		}
	}
	for way, addr := range s.addresses() { // whose limit is far away
		conn := s.call(addr)
		conn.drip(request("POST", "/slow", c, "Content-Length: 4") + "body")
		if res, body := conn.hear("POST"); res.StatusCode != http.StatusOK || body != "/slowbody" {
			t.Errorf("%s: a slow head: %d %q", way, res.StatusCode, body)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, told := range s.told {
		if strings.Contains(told, "endless") {
			t.Errorf("the app was sent %q", told)
		}
	}
}

// An app is read no faster than its client reads, or the difference is in our memory: of an answer that nobody takes, that is all of it.
func TestAnAnswerThatNobodyTakesStaysWithItsApp(t *testing.T) {
	s := newStage(t)
	const size, piece = 96 << 20, 64 << 10 // far more than the kernels keep
	full, left := make(chan bool, 1), make(chan error, 1)
	app := accepting(t, func(conn net.Conn) {
		defer conn.Close()
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		head := fmt.Sprint("Content-Type: text/plain\r\nContent-Length: ", size)
		if r.URL.Path == "/stream" {
			head = "Content-Type: text/event-stream\r\nConnection: close"
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nDate: x\r\n"+head+"\r\n\r\n")
		stuck := false
		for n := 0; n < size; {
			if !stuck {
				conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			}
			m, err := conn.Write(make([]byte, min(piece, size-n)))
			n += m
			switch {
			case err == nil:
			case !stuck && isTimeout(err):
				stuck = true
				full <- true
				conn.SetWriteDeadline(time.Time{})
			default:
				left <- err
				return
			}
		}
		if !stuck {
			full <- false
		}
		left <- nil
	})
	o := s.acme
	o.Upstreams = map[string]string{"app": "http://" + app}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	for way, addr := range s.addresses() {
		for _, path := range []string{"/long", "/stream"} {
			p := s.person(way[:3]+path[1:]+"@acme.com", s.acme.ID)
			c := p.at(acmeHost, s.acme.ID)
			for _, ends := range []bool{false, true} {
				before := s.seen.len()
				conn := s.call(addr)
				conn.say(request("GET", path, c))
				if !<-full {
					t.Errorf("%s: %s: all was taken, by nobody", way, path)
				}
				if ends {
					s.update(func(tx tx) error { return end(tx, s.world, p) })
					if err := <-left; err == nil {
						t.Errorf("%s: %s: the app was read to the end after that of the session", way, path)
					}
					s.eventually("the request is over, though its client reads nothing", func() bool { return s.seen.len() > before })
				}
				res, err := http.ReadResponse(conn.br, nil)
				if err != nil {
					t.Fatal(err)
				}
				n, err := io.Copy(io.Discard, res.Body)
				res.Body.Close()
				conn.Close()
				if whole := n == size && err == nil; whole == ends || isTimeout(err) {
					t.Errorf("%s: %s: the session ended: %v: %d bytes, %v", way, path, ends, n, err)
				}
				if !ends {
					if err := <-left; err != nil {
						t.Error(err)
					}
				}
				s.eventually("the request is over", func() bool { return s.seen.len() > before })
			}
		}
	}
}
