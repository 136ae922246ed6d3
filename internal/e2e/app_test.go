package e2e

import (
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/orgate/orgate/internal/demo"
)

// An app is what is behind orgate: that of the demo, with what stays open added to it.
type app struct {
	*httptest.Server

	mu    sync.Mutex
	seen  []string              // "method host request-URI"
	conns map[net.Conn]struct{} // that are open

	// held gets the requests for /public/held, each to be closed for it to be answered.
	held chan chan struct{}
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{held: make(chan chan struct{}, 8), conns: map[net.Conn]struct{}{}}
	mux := http.NewServeMux()
	mux.Handle("/", demo.Echo())
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the host is orgate's to check
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, data, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, data); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/work", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who sent half a body is not answered
		}
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		select {
		case <-time.After(10 * time.Millisecond): // as an app that does something
			fmt.Fprint(w, work(r.Header.Get("X-User-Email"), r.Method, r.URL.Query().Get("number"), r.ContentLength, string(body), size))
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/live", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, livePage)
	})
	mux.HandleFunc("/public/held", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
		release := make(chan struct{})
		a.held <- release
		select {
		case <-release:
			fmt.Fprint(w, "and done")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: open\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r.Method+" "+r.Host+" "+r.RequestURI)
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	a.Config.ConnState = func(c net.Conn, state http.ConnState) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if state == http.StateClosed || state == http.StateHijacked {
			delete(a.conns, c)
		} else {
			a.conns[c] = struct{}{}
		}
	}
	a.Start()
	t.Cleanup(a.Close)
	return a
}

// work is what /work answers: whose request it was, which, and what came of it, over and over until it is size bytes and more.
func work(email, method, number string, length int64, body string, size int) string {
	line := fmt.Sprintf("%s %s %s %d %x\n", email, method, number, length, sha256.Sum256([]byte(body)))
	return strings.Repeat(line, 1+size/len(line))
}

// livePage holds a WebSocket open and says how it is.
const livePage = `<!doctype html><html lang="en"><title>Live</title><link rel="icon" href="data:,"><p id="socket">new</p><script>
const say = (what) => { document.getElementById("socket").textContent = what; };
const socket = new WebSocket("ws://" + location.host + "/ws");
socket.onopen = () => socket.send("hello");
socket.onmessage = () => say("the socket is open");
socket.onclose = () => say("the socket is closed");
</script></html>`

// got returns how many requests have come.
func (a *app) got() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// open returns the connections that are open.
func (a *app) open() map[net.Conn]struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.conns)
}
