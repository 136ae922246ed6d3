package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/orgate/orgate/proxy/upstream"
)

// raw sends bytes and returns what comes back until the connection is closed or quiet.
func (w *world) raw(request string) string {
	w.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		w.t.Fatal(err)
	}
	b, _ := io.ReadAll(conn)
	return string(b)
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	var reached atomic.Int32
	app := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	w.app.Store(&app)
	_, c := w.jo()
	with := func(line string, headers ...string) string {
		return line + "\r\n" + strings.Join(append(headers, "Cookie: "+c, "Connection: close"), "\r\n") + "\r\n\r\n"
	}
	const host = "Host: " + acmeHost
	for name, req := range map[string]string{
		"no host":                       with("GET / HTTP/1.1"),
		"empty host":                    with("GET / HTTP/1.1", "Host: "),
		"two hosts":                     with("GET / HTTP/1.1", host, "Host: "+globexHost),
		"two equal hosts":               with("GET / HTTP/1.1", host, host),
		"host with a space":             with("GET / HTTP/1.1", "Host: acme.example.com evil"),
		"host with a quote":             with("GET / HTTP/1.1", `Host: acme.example.com"`),
		"HTTP/1.0 without host":         with("GET / HTTP/1.0"),
		"an absolute target elsewhere":  with("GET http://nobody.example.com/ HTTP/1.1", host),
		"a rootless target":             with("GET http:foo/admin HTTP/1.1", host),
		"a rootless target with a URL":  with("GET http:http://internal/admin HTTP/1.1", host),
		"an unknown scheme":             with("GET x:/private HTTP/1.1", host),
		"an asterisk":                   with("GET * HTTP/1.1", host),
		"OPTIONS of everything":         with("OPTIONS * HTTP/1.1", host),
		"two slashes":                   with("GET //globex/private HTTP/1.1", host),
		"a path without a slash":        with("GET admin HTTP/1.1", host),
		"CONNECT":                       with("CONNECT acme.example.com:443 HTTP/1.1", host),
		"CONNECT with a path":           with("CONNECT /x HTTP/1.1", host),
		"TRACE":                         with("TRACE / HTTP/1.1", host),
		"a header named in Connection":  "GET / HTTP/1.1\r\n" + host + "\r\nCookie: " + c + "\r\nConnection: close, X-Org-Role\r\n\r\n",
		"the HTTP/2 preface as request": "PRI / HTTP/1.1\r\n" + host + "\r\nConnection: close\r\n\r\n",
		"two lengths":                   with("POST / HTTP/1.1", host, "Content-Length: 3", "Content-Length: 4") + "abc",
		"a length with a sign":          with("POST / HTTP/1.1", host, "Content-Length: +3") + "abc",
		"a length with a space":         with("POST / HTTP/1.1", host, "Content-Length: 1 3") + "abc",
		"an unknown transfer coding":    with("POST / HTTP/1.1", host, "Transfer-Encoding: xchunked") + "0\r\n\r\n",
		"two transfer codings":          with("POST / HTTP/1.1", host, "Transfer-Encoding: chunked, identity") + "0\r\n\r\n",
		"a header name with a space":    with("GET / HTTP/1.1", host, "X-Org-Role : admin"),
		"a folded header":               with("GET / HTTP/1.1", host, "X-A: b\r\n X-Org-Role: admin", "\x00: x"),
	} {
		answer := w.raw(req)
		line, _, _ := strings.Cut(answer, "\r\n")
		if !strings.HasPrefix(line, "HTTP/1.1 4") && !strings.HasPrefix(line, "HTTP/1.0 4") && !strings.HasPrefix(line, "HTTP/1.1 501") {
			t.Errorf("%s: %q", name, line)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("%d of them reached the app", n)
	}
	// What is proper reaches it.
	for _, req := range []string{with("GET / HTTP/1.1", host), with("GET http://acme.example.com/x HTTP/1.1", host)} {
		if answer := w.raw(req); !strings.HasPrefix(answer, "HTTP/1.1 200") {
			t.Errorf("%.80q", answer)
		}
	}
}

func TestALengthAndChunksAreNotTwoRequests(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	answer := w.raw("POST /a HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
	if strings.Count(answer, "HTTP/1.1 ") != 1 {
		t.Errorf("%q", answer)
	}
}

func TestNoUpgradeButToWebSocketReachesTheApp(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, h := range []string{"Connection: close, Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ", "Connection: close, Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: x", "Connection: close, Upgrade\r\nUpgrade: TLS/1.0"} {
		answer := w.raw("GET / HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\n" + h + "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 200") || strings.Contains(answer, "Upgrade") || strings.Contains(answer, "Http2-Settings") {
			t.Errorf("%s: %q", h, answer)
		}
	}
}

func TestARefusedHandshakeLeavesNoTunnel(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	// The echo app answers 200 to a handshake; what follows is a request of its own.
	answer := w.raw("GET / HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
		"GET /admin/x HTTP/1.1\r\nHost: " + acmeHost + "\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") || strings.Count(answer, "HTTP/1.1 401") != 1 {
		t.Errorf("%q", answer)
	}
}

func TestAPageOfAnotherSiteOpensNoWebSocket(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(rw, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err == nil {
			conn.Close(websocket.StatusNormalClosure, "")
		}
	})
	w.app.Store(&app)
	for origin, ok := range map[string]bool{"": true, "https://acme.example.com": true, "https://globex.example.com": false, "https://evil.com": false, "null": false, "https://acme.example.com.evil.com": false} {
		h := http.Header{"Cookie": {c}}
		if origin != "" {
			h.Set("Origin", origin)
		}
		conn, _, err := websocket.Dial(t.Context(), w.server.URL+"/x", &websocket.DialOptions{Host: acmeHost, HTTPHeader: h})
		if (err == nil) != ok {
			t.Errorf("%q: %v", origin, err)
		}
		if err == nil {
			conn.CloseNow()
		}
	}
}

func TestBodiesStreamBothWays(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	got, reply := make(chan string, 1), make(chan string)
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.NewResponseController(rw).EnableFullDuplex()
		line, _ := bufio.NewReader(r.Body).ReadString('\n')
		got <- line
		rw.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintln(rw, <-reply)
		http.NewResponseController(rw).Flush()
		io.Copy(io.Discard, r.Body) // until the client has gone
	})
	w.app.Store(&app)
	pr, pw := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", w.server.URL+"/x", pr)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	go io.WriteString(pw, "first line\n")
	answered := make(chan *http.Response, 1)
	go func() {
		if res, err := w.server.Client().Do(r); err == nil {
			answered <- res
		}
	}()
	if line := <-got; line != "first line\n" { // before the body has ended
		t.Errorf("%q", line)
	}
	reply <- "answer"
	res := <-answered
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "answer\n" { // before the answer has ended
		t.Errorf("%q %v", line, err)
	}
	cancel()
	pw.Close()
	res.Body.Close()
	w.eventually("the app's request is cancelled", func() bool { return w.proxy.grants.flying() == 0 })
}

func TestALargeBodyArrivesWhole(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	big := make([]byte, 8<<20)
	rand.Read(big)
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.Copy(rw, r.Body) })
	w.app.Store(&app)
	if res := w.send("POST", acmeHost, "/x", bytes.NewReader(big), "Cookie", c); res.body != string(big) {
		t.Errorf("%d bytes came back", len(res.body))
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Apps[0].MaxBody = 1000 })
	_, c := w.jo()
	if got := w.send("POST", acmeHost, "/x", strings.NewReader(strings.Repeat("a", 1000)), "Cookie", c).StatusCode; got != 200 {
		t.Errorf("at the limit: %d", got)
	}
	for name, body := range map[string]io.Reader{
		"with a length": strings.NewReader(strings.Repeat("a", 1001)),
		"in chunks":     io.MultiReader(strings.NewReader(strings.Repeat("a", 1001))),
	} {
		if got := w.send("POST", acmeHost, "/x", body, "Cookie", c).StatusCode; got != 413 {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestAClientThatWaitsForPermissionGetsItFromTheApp(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, accept := range []bool{true, false} {
		app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !accept {
				rw.WriteHeader(http.StatusExpectationFailed)
				return
			}
			io.Copy(rw, r.Body)
		})
		w.app.Store(&app)
		continued := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { continued = true }})
		r, _ := http.NewRequestWithContext(ctx, "PUT", w.server.URL+"/x", strings.NewReader("body"))
		r.Host = acmeHost
		r.Header.Set("Cookie", c)
		r.Header.Set("Expect", "100-continue")
		res, err := (&http.Transport{ExpectContinueTimeout: 3 * time.Second}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if accept && (res.StatusCode != 200 || string(b) != "body" || !continued) || !accept && (res.StatusCode != 417 || continued) {
			t.Errorf("accepting: %v: %d %q, continued: %v", accept, res.StatusCode, b, continued)
		}
	}
	// Without a session there is no permission either.
	answer := w.raw("PUT /x HTTP/1.1\r\nHost: " + acmeHost + "\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
	if strings.Contains(answer, "100 Continue") || !strings.HasPrefix(answer, "HTTP/1.1 401") {
		t.Errorf("%q", answer)
	}
}

func TestEarlyHintsComeThroughWithNothingButLinks(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Link", "</a.css>; rel=preload")
		rw.Header().Set("Set-Cookie", "__Host-orgate_session=x; Path=/; Secure")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.WriteHeader(http.StatusProcessing)
		rw.Header().Del("Set-Cookie")
		fmt.Fprint(rw, "done")
	})
	w.app.Store(&app)
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprintf("%d %d %s", code, len(h), h.Get("Link")))
		return nil
	}})
	r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/x", nil)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	res, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := strings.Join(hints, "; "); got != "103 1 </a.css>; rel=preload" {
		t.Error(got)
	}
}

func TestTheAnswerOfAnAppIsCleanedOfWhatIsOurs(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header()["Set-Cookie"] = []string{"a=1", "__Host-orgate_session=evil; Path=/; Secure", "\u2000__Host-orgate_session=evil; Domain=.example.com"}
		rw.Header().Set("Keep-Alive", "timeout=5")
		rw.Header().Set("Connection", "X-Gone")
		rw.Header().Set("X-Gone", "1")
		rw.Header().Set("Cache-Control", r.URL.Query().Get("cache"))
		if r.URL.Query().Get("cache") == "" {
			rw.Header().Del("Cache-Control")
		}
	})
	w.app.Store(&app)
	res := w.do("GET", acmeHost, "/x", "Cookie", c)
	if got := strings.Join(res.Header["Set-Cookie"], "; "); got != "a=1" || res.Header["Keep-Alive"] != nil || res.Header["X-Gone"] != nil {
		t.Errorf("%v", res.Header)
	}
	if got := w.do("GET", acmeHost, "/x?cache=public", "Cookie", c).Header.Get("Cache-Control"); got != "public" {
		t.Errorf("the app's own word is %q", got)
	}
	if got := w.do("GET", acmeHost, "/public/x").Header.Get("Cache-Control"); got != "" {
		t.Errorf("to nobody: %q", got)
	}
}

func TestADeadAppIsAPageWithAnID(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	w.upstream.Close()
	res := w.do("GET", acmeHost, "/", browser("Cookie", c)...)
	if res.StatusCode != 502 || !strings.Contains(res.body, "<html") || strings.Contains(res.body, "127.0.0.1") {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	id := ""
	for _, word := range strings.FieldsFunc(res.body, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }) {
		if len(word) == 26 {
			id = word
		}
	}
	w.eventually("the log has the id and the cause", func() bool {
		return id != "" && strings.Contains(w.log.String(), "request_id="+id) && strings.Contains(w.log.String(), "connection refused")
	})
	if res := w.do("GET", acmeHost, "/", "Cookie", c); res.StatusCode != 502 || !strings.Contains(res.body, `"code":"upstream_down"`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

func TestASlowAppIsATimeout(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Apps[0].Timeouts.Answer = 50 * time.Millisecond })
	_, c := w.jo()
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	w.app.Store(&app)
	if res := w.do("GET", acmeHost, "/", "Cookie", c); res.StatusCode != 504 || !strings.Contains(res.body, `"code":"upstream_timeout"`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

func TestAnAppThatIsRestartedIsWaitedForAndNothingIsSentTwice(t *testing.T) {
	var up *url.URL
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close() // nobody listens now
	w := newWorld(t, func(o *Options) {
		up = &url.URL{Scheme: "http", Host: addr}
		o.Apps[0].Upstream = up
	})
	_, c := w.jo()
	bodies := make(chan string, 10)
	refused := make(chan struct{}, 10)
	a := w.proxy.state.Load().apps[0] // not in use yet
	limits := plainLimits(a)
	limits.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			refused <- struct{}{}
		}
		return conn, err
	}
	a.transport.plain = upstream.New(limits)
	go func() {
		<-refused // and it is up again within the retries
		ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		if err != nil {
			bodies <- err.Error()
			return
		}
		srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			bodies <- string(b)
		})}
		t.Cleanup(func() { srv.Close() })
		srv.Serve(ln)
	}()
	if res := w.send("POST", acmeHost, "/x", strings.NewReader("once"), "Cookie", c); res.StatusCode != 200 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	if b := <-bodies; b != "once" || len(bodies) != 0 {
		t.Errorf("%q, and %d more", b, len(bodies))
	}
}

func TestAPostThatWasSentIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	var n atomic.Int32
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n.Add(1)
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	})
	w.app.Store(&app)
	if got := w.send("POST", acmeHost, "/x", strings.NewReader("pay"), "Cookie", c).StatusCode; got != 502 {
		t.Errorf("%d", got)
	}
	if n.Load() != 1 {
		t.Errorf("sent %d times", n.Load())
	}
}

func TestAClientThatGoesAwayTakesItsRequestWithIt(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	arrived, gone := make(chan struct{}), make(chan struct{})
	app := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(gone)
	})
	w.app.Store(&app)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/x", nil)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	if _, err := w.server.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-gone:
	case <-time.After(3 * time.Second):
		t.Error("the app goes on for nobody")
	}
	w.eventually("the log says so, and not as an error", func() bool {
		return strings.Contains(w.log.String(), "client_gone") && !strings.Contains(w.log.String(), "level=ERROR")
	})
}

func TestAnOrganizationsOwnInstanceIsUsedAndNoOther(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	own := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "own ", r.Host) }))
	defer own.Close()
	o := w.acme
	o.Upstreams = map[string]string{"app": own.URL}
	w.update(func(tx tx) error { return save(tx, o, w) })
	if got := w.do("GET", acmeHost, "/", "Cookie", c).body; got != "own acme.example.com" {
		t.Error(got)
	}
	if got := w.do("GET", globexHost, "/healthz").StatusCode; got != 200 {
		t.Error(got)
	}
	o.Upstreams = map[string]string{"app": "not a URL"}
	w.update(func(tx tx) error { return save(tx, o, w) })
	if got := w.do("GET", acmeHost, "/healthz").StatusCode; got < 500 {
		t.Errorf("a broken instance is replaced by the shared one: %d", got)
	}
}

func TestHTTP2InAndTLSOut(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprint(rw, r.Proto, " ", r.Header.Get("X-Org-Slug"), " ", len(r.Header["Cookie"]))
	}))
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	up.EnableHTTP2 = true
	up.StartTLS()
	defer up.Close()
	roots := x509.NewCertPool()
	roots.AddCert(up.Certificate())
	for name, tc := range map[string]struct {
		roots *x509.CertPool
		proto Protocol
		want  string
	}{
		"HTTP/2 by negotiation": {roots, Auto, "HTTP/2.0 acme 0"},
		"HTTP/1 if told so":     {roots, HTTP1, "HTTP/1.1 acme 0"},
		"an unknown authority":  {x509.NewCertPool(), Auto, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) {
				u, _ := url.Parse(up.URL)
				o.Apps[0].Upstream, o.Apps[0].Protocol = u, tc.proto
				o.Apps[0].TLS = &tls.Config{RootCAs: tc.roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
			})
			_, c := w.jo()
			front := httptest.NewUnstartedServer(nil)
			front.Config = Server(w.proxy, ServerLimits{}, w.options.Logger)
			front.EnableHTTP2 = true
			front.StartTLS()
			defer front.Close()
			r, _ := http.NewRequestWithContext(t.Context(), "GET", front.URL+"/x", nil)
			r.Host = acmeHost
			// HTTP/2 clients send each cookie in a field of its own.
			r.Header["Cookie"] = []string{c}
			res, err := front.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.ProtoMajor != 2 || tc.want != "" && string(b) != tc.want || tc.want == "" && res.StatusCode != 502 {
				t.Errorf("%s %d %s", res.Proto, res.StatusCode, b)
			}
		})
	}
}

func TestGRPCPassesWithTrailersAndEndsWithItsSession(t *testing.T) {
	srv := grpc.NewServer()
	hs := health.NewServer()
	healthpb.RegisterHealthServer(srv, hs)
	seen := make(chan metadata.MD, 10)
	intercepted := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		seen <- md
		return next(ctx, req)
	}))
	healthpb.RegisterHealthServer(intercepted, hs)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go intercepted.Serve(ln)
	defer intercepted.Stop()
	srv.Stop()

	w := newWorld(t, func(o *Options) {
		a := &o.Apps[0]
		a.Upstream, a.Protocol, a.Trailers = &url.URL{Scheme: "http", Host: ln.Addr().String()}, H2C, true
	})
	p, c := w.jo()
	conn, err := grpc.NewClient(w.server.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(acmeHost))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "cookie", c, "x_org_role", "admin")

	if res, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatal(res, err)
	}
	md := <-seen
	if got := md.Get("x-org-slug"); len(got) != 1 || got[0] != "acme" || len(md.Get("x_org_role")) != 0 || md.Get("x-org-role")[0] != "member" || len(md.Get("cookie")) != 0 {
		t.Errorf("%v", md)
	}
	// A status is in the trailers.
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("%v", err)
	}
	// Without a session there is no call.
	if _, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	w.update(func(tx tx) error { return end(tx, w, p) })
	over := make(chan error, 1)
	go func() { _, err := watch.Recv(); over <- err }()
	select {
	case err := <-over:
		if err == nil {
			t.Error("another message")
		}
	case <-time.After(time.Second):
		t.Error("the stream is still open")
	}
}

func TestTrailersPassWhereTheyAreDeclaredAndCarryNothingOfOurs(t *testing.T) {
	for _, on := range []bool{true, false} {
		w := newWorld(t, func(o *Options) { o.Apps[0].Trailers = on })
		_, c := w.jo()
		answer := w.raw("POST /x HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Checksum, X-Org-Role, X_User_Id, X-HTTP-Method-Override\r\n\r\n" +
			"4\r\nbody\r\n0\r\nX-Checksum: 1\r\nX-Org-Role: owner\r\nX_User_Id: evil\r\nX-HTTP-Method-Override: DELETE\r\nX-Undeclared: 1\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 200") || strings.Contains(answer, "owner") || strings.Contains(answer, "evil") || strings.Contains(answer, "X-Undeclared") || strings.Contains(answer, "DELETE") {
			t.Errorf("%q", answer)
		}
		if strings.Contains(answer, `"Trailer":{"X-Checksum":["1"]}`) != on {
			t.Errorf("declared: %v: %q", on, answer)
		}
	}
}

// What is open until somebody closes it ends when the app was told something that is not true
// any more; so nothing that streams may pass for an answer of ordinary length.
func TestWhatStreamsIsKnownByItsType(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream; charset=utf-8": true, "multipart/x-mixed-replace; boundary=x": true, "application/x-ndjson": true,
		"application/grpc": true, "application/grpc+proto": true, "application/grpc+json": true,
		"application/grpc-web": true, "application/grpc-web+proto": true, "application/grpc-web-text": true, "application/grpc-web-text+proto": true,
		"application/connect+json": true, "application/connect+proto": true,
		"": false, "text/html": false, "application/json": false, "application/octet-stream": false, "application/proto": false,
	} {
		if got := isStream(http.Header{"Content-Type": {kind}}, 200); got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

// deadlined is a writer that notes until when it would wait for a body.
type deadlined struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (d *deadlined) SetReadDeadline(t time.Time) error { d.until = t; return nil }

func TestABodyThatDoesNotComeIsNotWaitedForForEver(t *testing.T) {
	w := newWorld(t)
	for host, path := range map[string]string{"nobody.example.com": "/", acmeHost: "/.orgate/sign-out", loginHost: "/sign-in"} {
		for _, major := range []int{1, 2} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, io.NopCloser(strings.NewReader("x")))
			r.Host, r.ProtoMajor = host, major
			d := &deadlined{ResponseRecorder: httptest.NewRecorder()}
			w.proxy.ServeHTTP(d, r)
			if wait := time.Until(d.until); wait <= 0 || wait > stall {
				t.Errorf("%s%s, HTTP/%d: waits %v", host, path, major, wait)
			}
		}
	}
}

func TestASilentClientIsGivenUp(t *testing.T) {
	w := newWorld(t)
	front := httptest.NewUnstartedServer(nil)
	front.Config = Server(w.proxy, ServerLimits{HeaderTimeout: 100 * time.Millisecond, MaxHeader: 8 << 10}, w.options.Logger)
	front.Start()
	defer front.Close()
	for name, begin := range map[string]string{"nothing at all": "", "half a request line": "GET / HT", "no end of headers": "GET / HTTP/1.1\r\nHost: " + acmeHost + "\r\n", "the beginning of HTTP/2": "PRI * HTTP/2.0\r\n"} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, begin)
		conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		if _, err := io.ReadAll(conn); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+acmeHost+"\r\nCookie: "+strings.Repeat("a=;", 5000)+"\r\n\r\n")
	line, _ := bufio.NewReader(conn).ReadString('\n')
	if !strings.HasPrefix(line, "HTTP/1.1 431") {
		t.Errorf("%q", line)
	}
}
