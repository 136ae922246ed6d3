package proxy

import (
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// A read stops short at a byte of urgent data, which HTTP knows nothing of: there may be more though it did not
// fill the buffer, and nothing tells of that.
func TestWhatComesBehindUrgentDataIsServed(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
	}))
	t.Cleanup(app.Close)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	conn := s.call(s.fast)
	raw, err := conn.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	conn.say(request("GET", "/a", c))
	conn.hear("GET")
	conn.say(request("GET", "/slow", c))
	<-arrived
	conn.say(request("GET", "/before", c))
	if bad := raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) }); bad != nil || err != nil {
		t.Fatal(bad, err)
	}
	conn.say(request("GET", "/behind", c))
	time.Sleep(50 * time.Millisecond) // until all of it is here, which nothing tells of
	close(release)
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for range 3 {
		if res, _ := conn.hear("GET"); res.StatusCode != 200 {
			t.Errorf("%d", res.StatusCode)
		}
	}
}
