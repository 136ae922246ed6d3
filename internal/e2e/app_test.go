package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/orgate/orgate/internal/demo"
)

// An app is what is behind orgate: that of the demo, with what stays open added to it.
type app struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // "method host request-URI"

	// held gets the requests for /public/held, each to be closed for it to be answered.
	held chan chan struct{}
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{held: make(chan chan struct{}, 8)}
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
		select {
		case <-time.After(10 * time.Millisecond): // as an app that does something
			fmt.Fprint(w, r.Header.Get("X-User-Email"))
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
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.seen = append(a.seen, r.Method+" "+r.Host+" "+r.RequestURI)
		a.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(a.Close)
	return a
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
