package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/proxy/upstream"
)

// ways runs f for both ways to an app: without ReverseProxy, and with it.
func (w *world) ways(f func(way string)) {
	t := w.proxy.state.Load().apps[0].transport
	plain := t.plain
	f("plain")
	t.plain = nil
	f("ReverseProxy")
	t.plain = plain
}

func TestBothWaysTellTheAppTheSame(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Apps[0].MaxBody = 1 << 20; o.Apps[0].AmbiguousPaths = true })
	_, c := w.jo("admin")
	const host = "Host: " + acmeHost
	for name, req := range map[string]string{
		"a plain GET":            "GET /public/x?a=b&c=%zz HTTP/1.1\r\n" + host + "\r\nAccept: */*\r\n",
		"HTTP/1.0":               "GET /public/x HTTP/1.0\r\n" + host + "\r\n",
		"an absolute target":     "GET http://" + acmeHost + "/public/x HTTP/1.1\r\n" + host + "\r\n",
		"a lone question mark":   "GET /public/x? HTTP/1.1\r\n" + host + "\r\n",
		"an ambiguous path":      "GET /a%2Fb;c HTTP/1.1\r\n" + host + "\r\n",
		"a HEAD":                 "HEAD /public/x HTTP/1.1\r\n" + host + "\r\n",
		"a POST without a body":  "POST /public/x HTTP/1.1\r\n" + host + "\r\n",
		"a POST of no bytes":     "POST /public/x HTTP/1.1\r\n" + host + "\r\nContent-Length: 0\r\n",
		"a DELETE of no bytes":   "DELETE /public/x HTTP/1.1\r\n" + host + "\r\nContent-Length: 0\r\n",
		"a body":                 "POST /public/x HTTP/1.1\r\n" + host + "\r\nContent-Length: 4\r\nContent-Type: text/plain\r\n\r\nbody",
		"a GET with a body":      "GET /public/x HTTP/1.1\r\n" + host + "\r\nContent-Length: 4\r\n\r\nbody",
		"chunks":                 "PUT /public/x HTTP/1.1\r\n" + host + "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
		"chunks and trailers":    "PUT /public/x HTTP/1.1\r\n" + host + "\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n4\r\nbody\r\n0\r\nX-A: 1\r\n\r\n",
		"hop-by-hop fields":      "GET /public/x HTTP/1.1\r\n" + host + "\r\nConnection: X-Gone, keep-alive\r\nX-Gone: 1\r\nX-Stays: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers, deflate\r\nTrailer: X\r\nProxy-Authorization: Basic x\r\nProxy-Authenticate: x\r\nHTTP2-Settings: x\r\n",
		"fields of ours":         "GET /public/x HTTP/1.1\r\n" + host + "\r\nX-Org-Role: owner\r\nx_user_id: evil\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\n",
		"an authorization":       "GET /public/x HTTP/1.1\r\n" + host + "\r\nAuthorization: Bearer sk_secret\r\nAuthorization: Bearer app\r\nAuthorization: NTLM x\r\n",
		"cookies on many lines":  "GET /public/x HTTP/1.1\r\n" + host + "\r\nCookie: a=1; __Host-orgate_attempt_x=y\r\nCookie: orgate_login=z\r\nCookie: b=2;; c\r\nCookie:\r\n",
		"many lines of one name": "GET /public/x HTTP/1.1\r\n" + host + "\r\nAccept: a\r\naccept: b\r\nX-Empty:\r\nX-Wide: \xc3\xa9\xff\r\nX-Tab: a\tb\r\n",
		"a method override":      "GET /public/x HTTP/1.1\r\n" + host + "\r\nX-HTTP-Method-Override: DELETE\r\n",
		"an upgrade refused":     "GET /public/x HTTP/1.1\r\n" + host + "\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n",
		"an odd method":          "M-SEARCH /public/x HTTP/1.1\r\n" + host + "\r\n",
		"no user agent":          "GET /public/x HTTP/1.1\r\n" + host + "\r\nAccept-Encoding: gzip\r\n",
	} {
		for _, session := range []string{"", c} {
			said := map[string]string{}
			w.ways(func(way string) {
				line, rest, _ := strings.Cut(req, "\r\n")
				end := ""
				if !strings.Contains(rest, "\r\n\r\n") {
					end = "\r\n"
				}
				answer := w.raw(line + "\r\nCookie: " + session + "\r\nConnection: close\r\n" + rest + end)
				_, body, _ := strings.Cut(answer, "\r\n\r\n")
				said[way] = stable(answer[:min(len(answer), 15)] + withoutID(body))
			})
			if said["plain"] != said["ReverseProxy"] {
				t.Errorf("%s:\n%s\nand by ReverseProxy\n%s", name, said["plain"], said["ReverseProxy"])
			}
		}
	}
}

// stable is what an echo says but for what differs from request to request.
func stable(s string) string {
	for _, name := range []string{"X-Request-Id", "X-Orgate-Jwt-Assertion"} {
		if before, after, ok := strings.Cut(s, `"`+name+`":["`); ok {
			_, after, _ = strings.Cut(after, `"`)
			s = before + `"` + name + `":["` + after
		}
	}
	return s
}

// An app that answers each request with the same bytes, and closes the connection.
func (w *world) answering(bytes string) {
	w.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(w.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					io.Copy(io.Discard, r.Body)
					io.WriteString(conn, bytes)
				}
			})
		}
	})
	w.t.Cleanup(func() { ln.Close(); wg.Wait() })
	o := w.acme
	o.Upstreams = map[string]string{"app": "http://" + ln.Addr().String()}
	w.update(func(tx tx) error { return save(tx, o, w) })
}

func TestBothWaysPassAnswersOnAlike(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	// The app closes after each answer without a word of it; what is made of that is chance.
	w.proxy.state.Load().apps[0].transport.http.DisableKeepAlives = true
	w.proxy.state.Load().apps[0].transport.plain.Close()
	big := strings.Repeat("0123456789abcdef", 20_000)
	for name, answer := range map[string]string{
		"a length":              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nhi",
		"a long body":           "HTTP/1.1 200 OK\r\nContent-Length: 320000\r\nContent-Type: text/plain\r\n\r\n" + big,
		"chunks":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n2\r\nhi\r\n2\r\nho\r\n0\r\n\r\n",
		"long chunks":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n4e200\r\n" + big + "\r\n0\r\n\r\n",
		"until the end":         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + big,
		"HTTP/1.0":              "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhi",
		"no content":            "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
		"not modified":          "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n",
		"an odd status":         "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
		"fields of many kinds":  "HTTP/1.1 200 OK\r\nx-lower: 1\r\nX-UPPER: 2\r\nETag: \"x\"\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nVary: a\r\nVary: b\r\nX-Empty:\r\nX-Wide: \xc3\xa9\xff\r\nContent-Length: 0\r\n\r\n",
		"hop-by-hop fields":     "HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: 1\r\nX-Stays: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: x\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
		"cookies of ours":       "HTTP/1.1 200 OK\r\nSet-Cookie: __Host-orgate_session=evil\r\nSet-Cookie: =orgate_login=x\r\nSet-Cookie: a=1\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
		"caching":               "HTTP/1.1 200 OK\r\nCache-Control: public\r\nExpires: 0\r\nContent-Length: 0\r\n\r\n",
		"a trailer":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nContent-Type: text/plain\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
		"an unannounced one":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
		"early hints":           "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-B: c\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nhi",
		"a redirect":            "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
		"events":                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n",
		"no type":               "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
		"half a body":           "HTTP/1.1 200 OK\r\nContent-Length: 320000\r\nContent-Type: text/plain\r\n\r\n" + big[:100_000],
		"half of the chunks":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n2\r\nhi\r\n",
		"two different lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
		"no HTTP":               "hello\r\n\r\n",
		"nothing":               "",
		"a switch":              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
	} {
		w.answering(answer)
		for _, method := range []string{"GET", "HEAD", "POST"} {
			if _, body, _ := strings.Cut(answer, "\r\n\r\n"); method == "HEAD" && body != "" {
				continue // it has a body, which is none of an answer to HEAD
			}
			got := map[string]string{}
			w.ways(func(way string) {
				raw := w.raw(method + " /x HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				got[way] = digest(raw, method)
			})
			if got["plain"] != got["ReverseProxy"] {
				t.Errorf("%s to a %s:\n%.2000s\nand by ReverseProxy\n%.2000s", name, method, got["plain"], got["ReverseProxy"])
			}
		}
	}
}

// digest is what a client makes of an answer: all but dates, ids, and by which of the ways that HTTP has the end of a
// body is said.
func digest(raw, method string) string {
	var b strings.Builder
	r := bufio.NewReader(strings.NewReader(raw))
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return b.String() + "no answer"
		}
		for _, name := range []string{"Date", "Content-Length", "Connection"} {
			res.Header.Del(name)
		}
		body, err := io.ReadAll(res.Body)
		text := string(body)
		if res.StatusCode >= 400 {
			text = withoutID(text)
		}
		fmt.Fprintln(&b, res.StatusCode, res.Header, len(text), err != nil, res.Trailer)
		if res.StatusCode >= 200 {
			return b.String() + text
		}
	}
}

func TestAnAppWithoutAFreeConnectionIsBusyAndNotBroken(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	a := w.proxy.state.Load().apps[0]
	limits := plainLimits(a)
	limits.Connections, limits.Wait = 1, 10*time.Millisecond
	a.transport.plain = upstream.New(limits)
	arrived, release := make(chan struct{}), make(chan struct{})
	app := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
	w.app.Store(&app)
	w.expectBusy(c, arrived, release)
}

func TestAnAppBehindTLSIsBusyWithoutAFreeConnectionAsWell(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	app := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release }))
	t.Cleanup(app.Close)
	w := newWorld(t, func(o *Options) {
		o.Apps[0].TLS = app.Client().Transport.(*http.Transport).TLSClientConfig
	})
	o := w.acme
	o.Upstreams = map[string]string{"app": app.URL}
	w.update(func(tx tx) error { return save(tx, o, w) })
	_, c := w.jo()
	tr := w.proxy.state.Load().apps[0].transport
	tr.http.MaxConnsPerHost, tr.wait = 1, 300*time.Millisecond
	w.expectBusy(c, arrived, release)
}

// expectBusy has a request take the only connection to the app, and another one not get it. The first is answered after longer than the
// other has waited: patience is for a connection, not for an answer.
func (w *world) expectBusy(c string, arrived <-chan struct{}, release chan<- struct{}) {
	w.t.Helper()
	done := make(chan int)
	go func() { done <- w.do("GET", acmeHost, "/", "Cookie", c).StatusCode }()
	<-arrived
	if res := w.do("GET", acmeHost, "/", "Cookie", c); res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(res.body, `"code":"upstream_busy"`) {
		w.t.Errorf("%d %v %s", res.StatusCode, res.Header, res.body)
	}
	close(release)
	if got := <-done; got != 200 {
		w.t.Errorf("%d", got)
	}
}

// What is left of a body that the app did not want must not be read as a request.
func TestTheRestOfARefusedBodyIsNoRequest(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			t.Errorf("smuggled: %s", r.URL)
		}
		rw.Header().Set("Connection", "close") // nor does the app wait for it
		rw.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	w.app.Store(&app)
	w.ways(func(way string) {
		for name, framing := range map[string]string{"a length": "Content-Length: 300000\r\n\r\n", "chunks": "Transfer-Encoding: chunked\r\n\r\n40000\r\n"} {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(5 * time.Second))
			io.WriteString(conn, "POST /x HTTP/1.1\r\nHost: "+acmeHost+"\r\nCookie: "+c+"\r\n"+framing)
			r := bufio.NewReader(conn)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(way, name, err)
			}
			if b, _ := io.ReadAll(res.Body); res.StatusCode != 413 || !res.Close {
				t.Errorf("%s, %s: %d, closes: %v, %q", way, name, res.StatusCode, res.Close, b)
			}
			io.WriteString(conn, "GET /smuggled HTTP/1.1\r\nHost: "+acmeHost+"\r\nCookie: "+c+"\r\n\r\n")
			if more, err := io.ReadAll(r); len(more) > 0 && !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s, %s: another answer: %.100q", way, name, more)
			}
			conn.Close()
		}
	})
}

func TestAClientThatGoesAwayInTheMiddleOfAQuietAnswerTakesItAlong(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	gone := make(chan struct{})
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		close(gone)
	})
	w.app.Store(&app)
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", w.server.URL+"/x", nil)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	res, err := w.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	cancel()
	select {
	case <-gone:
	case <-time.After(3 * time.Second):
		t.Error("the app goes on for nobody")
	}
	w.eventually("nothing is under way", func() bool { return w.proxy.grants.flying() == 0 })
}

func TestAddressesOfUpstreams(t *testing.T) {
	for raw, want := range map[string]string{
		"http://app":              "app:80",
		"http://app:3000":         "app:3000",
		"http://127.0.0.1:3000":   "127.0.0.1:3000",
		"http://[::1]":            "[::1]:80",
		"http://[::1]:3000":       "[::1]:3000",
		"http://app:":             "app:80",
		"http://b\u00fccher:3000": "",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := addressOf(u); got != want || ok != (want != "") {
			t.Errorf("%s: %q", raw, got)
		}
	}
}

// The usual names are but a shorter way to what net/http makes of them.
func TestUsualNamesAreCanonical(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(usual)) {
		if want := http.CanonicalHeaderKey(name); usual[name] != want {
			t.Errorf("%s: %s, want %s", name, usual[name], want)
		}
	}
}

func TestHTTP2InAndPlainHTTP1Out(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		rw.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(rw, r.Proto, " ", r.Header.Get("X-Org-Slug"), " ", len(b), " ", r.ContentLength)
		rw.Header().Set("X-Sum", "1")
	})
	w.app.Store(&app)
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	cl := &http.Client{Transport: &http.Transport{Protocols: &p}}
	defer cl.CloseIdleConnections()
	for name, body := range map[string]io.Reader{
		"none":          nil,
		"a length":      strings.NewReader(strings.Repeat("x", 5)),
		"a long length": strings.NewReader(strings.Repeat("x", 400_000)),
		"no length":     io.MultiReader(strings.NewReader(strings.Repeat("x", 400_000))),
	} {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", w.server.URL+"/x", body)
		r.Host = acmeHost
		r.Header.Set("Cookie", c)
		res, err := cl.Do(r)
		if err != nil {
			t.Fatal(name, err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		want := map[string]string{"none": "0 0", "a length": "5 5", "a long length": "400000 400000", "no length": "400000 -1"}[name]
		if res.ProtoMajor != 2 || string(b) != "HTTP/1.1 acme "+want || err != nil || res.Trailer.Get("X-Sum") != "1" {
			t.Errorf("%s: %s %q %v %v", name, res.Proto, b, err, res.Trailer)
		}
	}
	w.eventually("nothing is under way", func() bool { return w.proxy.grants.flying() == 0 })
}
