package proxy

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// quiet turns the log off, as a load test of a server would.
func quiet(o *Options) { o.Logger = slog.New(slog.DiscardHandler) }

// BenchmarkGrantLookup is what a request with a session costs before it is forwarded: the
// look-up of its grant and the decision.
func BenchmarkGrantLookup(b *testing.B) {
	w := newWorld(b, quiet)
	_, c := w.jo("admin")
	st := w.proxy.state.Load()
	pl, _ := st.place(acmeHost)
	h := http.Header{"Cookie": {"theme=dark; " + c}}
	x := &exchange{st: st, place: pl, p: w.proxy, method: "GET", target: target{path: "/admin/x", raw: "/admin/x"}}
	x.rule = pl.app.Rules.Match("GET", "/admin/x")
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		now := w.now()
		g, _, err := w.proxy.grant(ctx, st, &x.place, x.token(h["Cookie"]), now)
		if err != nil || !allows(x.decide(g, now)) {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlace is how a host is found, among few organizations and among many.
func BenchmarkPlace(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, quiet)
			w.organizations(n)
			st := w.proxy.state.Load()
			host := tenancy.Host(fmt.Sprintf("org-%d.example.com", n/2))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := st.place(host); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkOrganizationChanges is what one changed organization costs among many.
func BenchmarkOrganizationChanges(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, quiet)
			w.organizations(n)
			b.ReportAllocs()
			for b.Loop() {
				w.proxy.refresh(b.Context(), w.acme.ID)
			}
		})
	}
}

// organizations makes so many more.
func (w *world) organizations(n int) {
	w.t.Helper()
	for from := 0; from < n; from += 500 {
		w.update(func(tx store.Tx) error {
			for i := from; i < min(from+500, n); i++ {
				if _, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: tenancy.Slug(fmt.Sprintf("org-%d", i)), Name: "Org"}, audit.System, w.now()); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// BenchmarkFastPath is a whole request of a signed-in person and its answer, on one connection that is kept,
// by a client and to an app that do next to nothing: what is allocated is allocated here.
func BenchmarkFastPath(b *testing.B) {
	up, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	answer := []byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nEtag: x\r\n\r\n" + strings.Repeat("x", 1024))
	go func() {
		for {
			c, err := up.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 16<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	for name, path := range map[string]string{"member": "/x", "role": "/admin/x", "public": "/public/x"} {
		b.Run(name, func(b *testing.B) {
			seen := &sightings{}
			w := newWorld(b, quiet, func(o *Options) {
				o.Apps[0].Upstream, o.SlowPath = &url.URL{Scheme: "http", Host: up.Addr().String()}, *slowPath
				o.Observer = seen
			})
			_, c := w.jo("admin")
			if name == "public" {
				c = "a=b"
			}
			conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", w.server.Listener.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			ask := []byte("GET " + path + " HTTP/1.1\r\nHost: " + acmeHost + "\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
				"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: theme=dark; " + c + "\r\n\r\n")
			buf := make([]byte, 16<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := conn.Write(ask); err != nil {
					b.Fatal(err)
				}
				for n := 0; n < 1024 || buf[n-1] != 'x'; {
					m, err := conn.Read(buf[n:])
					if err != nil {
						b.Fatal(err)
					}
					n += m
					if n > 1200 {
						break
					}
				}
			}
			b.StopTimer()
			if n := seen.fast(); n < b.N && !*slowPath {
				b.Errorf("%d of %d on the fast path", n, b.N)
			}
		})
	}
}

// BenchmarkProxyRoundTrip is a whole request of a signed-in person through a listener of
// ours to an app, beside the same through a bare, equally tuned ReverseProxy.
func BenchmarkProxyRoundTrip(b *testing.B) {
	w := newWorld(b, quiet)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, strings.Repeat("x", 1024)) })
	w.app.Store(&app)
	up, _ := url.Parse(w.upstream.URL)
	a, err := App{Name: "app", Host: "{org}.example.com", Upstream: up}.compile()
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewUnstartedServer(nil)
	bare.Config = Server(&httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(up) }, Transport: newTransport(a).http, BufferPool: newBuffers()}, ServerLimits{}, w.options.Logger)
	bare.Start()
	defer bare.Close()
	for name, front := range map[string]string{"orgate": w.server.URL, "bare": bare.URL, "direct": w.upstream.URL} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
				defer client.CloseIdleConnections()
				for pb.Next() {
					r, _ := http.NewRequestWithContext(context.Background(), "GET", front+"/x", nil)
					r.Host = acmeHost
					r.Header["Cookie"] = []string{c}
					res, err := client.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
					if res.StatusCode != 200 {
						b.Errorf("status %d", res.StatusCode)
						return
					}
				}
			})
		})
	}
}

// BenchmarkGrantMemory is what a session costs that is kept ready, with all that is made of it, in bytes: while it is used, its
// assertion included, and when it has rested for some minutes.
func BenchmarkGrantMemory(b *testing.B) {
	const sessions = 2000
	w := newWorld(b, quiet)
	tokens := w.sessions(sessions)
	for _, name := range []string{"used", "resting"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(w.weigh(tokens, name == "used"), "B/session")
			}
		})
	}
}

// Memory for sessions is what limits how many a replica can keep ready, and a field is quickly added.
func TestASessionThatIsKeptReadyIsSmall(t *testing.T) {
	w := newWorld(t, quiet)
	tokens := w.sessions(500)
	for used, most := range map[bool]float64{false: 1000, true: 1500} {
		if n := w.weigh(tokens, used); n > most {
			t.Errorf("used now: %v: %.0f bytes", used, n)
		} else {
			t.Logf("used now: %v: %.0f bytes", used, n)
		}
	}
}

// sessions makes so many people of Acme with a session at it, and returns the hashes of the tokens.
func (w *world) sessions(n int) []session.Hash {
	w.t.Helper()
	tokens := make([]session.Hash, n)
	for i := range tokens {
		p := w.person(fmt.Sprintf("first.last-%d@acme.com", i), w.acme.ID)
		_, value, _ := strings.Cut(p.at(acmeHost, w.acme.ID), "=")
		t, ok := session.ParseToken(value)
		if !ok {
			w.t.Fatal("no token")
		}
		tokens[i] = t.Hash()
	}
	return tokens
}

// weigh has sessions kept ready, and returns how many bytes each takes. used: an assertion was signed for each.
func (w *world) weigh(tokens []session.Hash, used bool) float64 {
	w.t.Helper()
	st := w.proxy.state.Load()
	pl, _ := st.place(acmeHost)
	before := inUse()
	for _, t := range tokens {
		g, _, err := w.proxy.grant(w.t.Context(), st, &pl, t, w.now())
		if err != nil || g.nobody() {
			w.t.Fatal(err)
		}
		if !used {
			continue
		}
		if _, err := w.proxy.assertionOf(g, st, &pl, w.now()); err != nil {
			w.t.Fatal(err)
		}
	}
	if n := w.proxy.grants.lru.Len(); n < len(tokens) {
		w.t.Fatalf("%d of %d are kept", n, len(tokens))
	}
	n := inUse() - before
	w.proxy.reevaluate(w.proxy.grants.invalidate(scope{kind: everything}))
	return float64(n) / float64(len(tokens))
}

// inUse is how many bytes of the heap are in use.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold is kept for one more
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
