package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// lurking is how many connections wait to hear whether their client goes away, without a read for it.
func (l *Listener) lurking() (n int) {
	for _, c := range l.all() {
		c.mu.Lock()
		if c.reads != nil && c.reads.lurk {
			n++
		}
		c.mu.Unlock()
	}
	return n
}

// With the switch off nobody here knows where a request ends, but for one that has no body, when it has come. What comes then is the next
// one's: it is neither lost nor taken for something else, and whoever goes away is missed.
func TestWithTheSwitchOffNothingIsReadWhileARequestIsServed(t *testing.T) {
	s := newStage(t)
	settings := s.options.Settings
	settings.SlowPath = true
	if err := s.proxy.Reload(settings); err != nil {
		t.Fatal(err)
	}
	_, c := s.jo()
	arrived, release, gone := make(chan string, 1), make(chan bool, 1), make(chan bool, 1)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/switch" {
			arrived <- r.URL.Path
			<-release
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(conn, rw)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if strings.HasPrefix(r.URL.Path, "/wait") {
			arrived <- r.URL.Path
			select {
			case <-release:
			case <-r.Context().Done():
				gone <- true
			}
		}
		fmt.Fprint(w, r.URL.Path, string(body))
	}))
	t.Cleanup(app.CloseClientConnections)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	l := s.server.Listener.(*Listener)

	conn := s.call(s.fast)
	expect := func(method, want string) {
		t.Helper()
		if res, body := conn.hear(method); res.StatusCode != 200 || body != want {
			t.Errorf("%d %q, want %q", res.StatusCode, body, want)
		}
	}
	// begin sends a request that waits, and returns when nothing is read for it. Net/http may begin to read before its handler; then it is sent again.
	begin := func(path string) {
		t.Helper()
		for range 50 {
			conn.say(request("GET", path, c))
			<-arrived
			for deadline := time.Now().Add(200 * time.Millisecond); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if l.lurking() == 1 {
					return
				}
			}
			release <- true
			expect("GET", path)
		}
		t.Fatal("each is read for")
	}
	for i := range 3 {
		begin(fmt.Sprint("/wait", i))
		switch i {
		case 1: // the next one comes early, and with a body
			conn.say(request("POST", "/early", c, "Content-Length: 4") + "b")
		case 2: // so early that it is seen to be there
			conn.say(request("GET", "/seen", c))
			s.eventually("it is noticed", func() bool { return l.lurking() == 0 })
		}
		release <- true
		expect("GET", fmt.Sprint("/wait", i))
		switch i {
		case 1:
			conn.say("ody")
			expect("POST", "/earlybody")
		case 2:
			expect("GET", "/seen")
		}
		s.eventually("the next one is waited for by a read", func() bool { return l.lurking() == 0 })
	}

	// What comes with the request, and while the app thinks about it, is the app's if it switches.
	conn.say(request("GET", "/switch", c, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13") + "early, ")
	<-arrived
	conn.say("soon, ")
	s.eventually("it is noticed", func() bool { return l.lurking() == 0 })
	release <- true
	if res, err := http.ReadResponse(conn.br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	for _, word := range []struct{ say, hear string }{{"one", "early, soon, one"}, {"two", "two"}} {
		conn.say(word.say)
		heard := make([]byte, len(word.hear))
		if _, err := io.ReadFull(conn.br, heard); err != nil || string(heard) != word.hear {
			t.Errorf("%q, want %q, %v", heard, word.hear, err)
		}
	}
	conn.Close()

	conn = s.call(s.fast)
	conn.say(request("GET", "/wait", c))
	<-arrived
	conn.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("the app goes on for nobody")
	}
	s.expectFast(0)
}
