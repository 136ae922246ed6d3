package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// hurried is a listener to whose connections a minute for reading is half a second.
type hurried struct{ net.Listener }

func (l hurried) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hurriedConn{c.(*net.TCPConn)}, nil
}

type hurriedConn struct{ *net.TCPConn }

func (c hurriedConn) SetReadDeadline(t time.Time) error {
	if left := time.Until(t); left > 0 {
		t = time.Now().Add(left / 120)
	}
	return c.TCPConn.SetReadDeadline(t)
}

// A thousand such requests, and whoever comes next finds no file descriptor free.
func TestABodyThatStandsStillEndsItsConnection(t *testing.T) {
	s := newStage(t)
	_, cookie := s.jo()
	front := func(fast bool) (address string) {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := Server(s.proxy, ServerLimits{}, s.options.Logger)
		t.Cleanup(func() { server.Close() })
		ln, address = hurried{ln}, ln.Addr().String()
		if fast {
			l := Listen(ln, nil, s.proxy, server)
			t.Cleanup(func() { l.Abort() })
			ln = l
		}
		go server.Serve(ln) // it ends with the test
		return address
	}
	for way, addr := range map[string]string{"by net/http": front(false), "fast": front(true)} {
		for _, length := range []int{100, 100_000, 1_000_000} { // net/http reads the rest of the first two itself, if it may
			for kind, line := range map[string]string{"plain": "X-Y: z", "not plain": "X_Y: z"} {
				for sent, path := range map[int]string{0: "/none", length / 3: "/some"} {
					t.Run(fmt.Sprintf("%s, %s, %d of %d", way, kind, sent, length), func(t *testing.T) {
						t.Parallel()
						c := s.call(addr)
						c.say(request("POST", path, cookie, line, fmt.Sprintf("Content-Length: %d", length)) + strings.Repeat("x", sent))
						if _, err := io.ReadAll(c); isTimeout(err) {
							t.Error("the connection is open still")
						}
					})
				}
			}
		}
	}
}
