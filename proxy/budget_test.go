package proxy

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"
)

// still is an app that answers each request with the same bytes, without an allocation.
func still(t testing.TB, answer string) (address string) {
	return accepting(t, func(conn net.Conn) {
		defer conn.Close()
		bytes := []byte(answer)
		for r := bufio.NewReaderSize(conn, 16<<10); ; {
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := conn.Write(bytes); err != nil {
				return
			}
		}
	})
}

// A sink is a ResponseWriter that costs nothing.
type sink struct {
	h         http.Header
	deadlines int // for writing, that were set
}

func (s *sink) Header() http.Header              { return s.h }
func (s *sink) Write(b []byte) (int, error)      { return len(b), nil }
func (s *sink) WriteHeader(int)                  {}
func (s *sink) SetWriteDeadline(time.Time) error { s.deadlines++; return nil }
func (s *sink) FlushError() error                { return nil }

const stillAnswer = "HTTP/1.1 200 OK\r\nServer: app\r\nDate: Thu, 26 Nov 2026 14:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nEtag: \"x\"\r\n\r\nhello"

// measured is a request of a signed-in person that can be made again and again, and what makes it.
func measured(t testing.TB) (s *sink, x *exchange, r *http.Request, serve func()) {
	w := newWorld(t, quiet)
	_, c := w.jo("admin")
	o := w.acme
	o.Upstreams = map[string]string{"app": "http://" + still(t, stillAnswer)}
	w.update(func(tx tx) error { return save(tx, o, w) })
	r, _ = http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+acmeHost+"/admin/x?q=1", http.NoBody)
	r.RequestURI, r.RemoteAddr = "/admin/x?q=1", "192.0.2.1:1234"
	r.Header = http.Header{"Cookie": {"theme=dark; " + c}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"Mozilla/5.0"}, "Sec-Fetch-Mode": {"navigate"}}
	s = &sink{h: http.Header{}}
	serve = func() {
		clear(s.h)
		w.proxy.ServeHTTP(s, r)
	}
	serve()
	if s.h.Get("Etag") == "" {
		t.Fatalf("%v", s.h)
	}
	st := w.proxy.state.Load()
	x = &exchange{st: st, p: w.proxy, method: "GET", id: "id", forwarded: "192.0.2.1", target: target{path: "/admin/x", raw: "/admin/x", query: "?q=1"}, began: w.now()}
	x.place, _ = st.place(acmeHost)
	return s, x, r, serve
}

func TestWhatARequestAllocates(t *testing.T) {
	_, x, r, _ := measured(t)
	cookies := r.Header["Cookie"]
	if err := x.admit(t.Context(), cookies); err != nil || !allows(x.decision) {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 8<<10)
	for what, f := range map[string]func(){
		"the session and the decision": func() {
			if x.admit(r.Context(), cookies) != nil {
				t.Error("not admitted")
			}
		},
		"the head to the app": func() {
			if buf = x.appendHead(buf[:0], r); x.guardHead(buf) != nil {
				t.Error("not let through")
			}
		},
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

// net/http takes the deadline for writing away after each request of a connection.
func TestEachAnswerHasATimeToBeTakenIn(t *testing.T) {
	s, _, _, serve := measured(t)
	for range 3 {
		before := s.deadlines
		if serve(); s.deadlines == before {
			t.Error("a client that takes nothing of it is waited for for ever")
		}
	}
}

// BenchmarkRelay is a request of a signed-in person on its way through the proxy to an app and back,
// without the client's connection.
func BenchmarkRelay(b *testing.B) {
	_, _, _, serve := measured(b)
	b.ReportAllocs()
	for b.Loop() {
		serve()
	}
}

// BenchmarkHead is the head of a request to an app: made, and looked at for the last time.
func BenchmarkHead(b *testing.B) {
	_, x, r, _ := measured(b)
	if err := x.admit(b.Context(), r.Header["Cookie"]); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 8<<10)
	b.ReportAllocs()
	for b.Loop() {
		if buf = x.appendHead(buf[:0], r); x.guardHead(buf) != nil {
			b.Fatal("not let through")
		}
	}
}
