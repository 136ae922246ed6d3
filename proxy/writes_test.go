package proxy

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/orgate/orgate/proxy/upstream"
)

// A countedConn has no descriptor to be had, so that all is written by its Write.
type countedConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countedConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

type countedListener struct {
	net.Listener
	writes *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countedConn{c, l.writes}, nil
}

// exchanges are requests of one KiB, and answers of one, as most are.
func (s *stage) exchanges(cookie string) map[string]string {
	kib := strings.Repeat("x", 1<<10)
	s.mu.Lock()
	s.script["/kib"] = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + kib
	s.script["/chunks"] = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + kib + "\r\n0\r\n\r\n"
	s.mu.Unlock()
	return map[string]string{
		"a GET":                request("GET", "/kib", cookie),
		"a POST with its body": request("POST", "/kib", cookie, "Content-Length: 1024") + kib,
		"an answer in a chunk": request("GET", "/chunks", cookie),
		"a GET of no session":  request("GET", "/public/x", ""),
	}
}

// A write is a system call and mostly a packet, and there are two in a request that can't be saved. (Where our own code writes by the
// descriptor, nothing comes through a Write: that is counted at the other ends, see TestARequestAndItsAnswerAreOneSegmentEach.)
func TestARequestAndItsAnswerAreOneWriteEach(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	var up, down atomic.Int64
	a := s.proxy.state.Load().apps[0]
	limits := plainLimits(a)
	limits.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return countedConn{nc, &up}, err
	}
	a.transport.plain = upstream.New(limits)
	for way, fast := range map[string]bool{"the fast path": true, "net/http": false} {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln = countedListener{ln, &down}
		server := Server(s.proxy, ServerLimits{}, s.options.Logger)
		if fast {
			ln = Listen(ln, nil, s.proxy, server)
		}
		go server.Serve(ln) // it ends with the test
		t.Cleanup(func() { server.Close() })
		for what, ask := range s.exchanges(c) {
			conn := s.call(addr)
			up.Store(0)
			down.Store(0)
			const times = 20 // a write that comes late is seen with the next
			for range times {
				conn.say(ask)
				if res, body := conn.hear("GET"); res.StatusCode != 200 {
					t.Fatalf("%s: %d %s", what, res.StatusCode, body)
				}
			}
			if u, d := up.Load(), down.Load(); u != times || d != times {
				t.Errorf("%s: %s: %d writes to the app and %d to the client, for %d requests", way, what, u, d, times)
			}
		}
	}
	s.expectFast(80)
}
