package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A caller is a client's connection, and what comes on it.
type caller struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func (s *stage) call(addr string) *caller {
	s.t.Helper()
	c, err := (&net.Dialer{}).DialContext(s.t.Context(), "tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return &caller{c, s.t, bufio.NewReader(c)}
}

func (c *caller) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear returns the next answer, read.
func (c *caller) hear(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	res.Body.Close()
	return res, string(body)
}

// ended waits for the end of the connection.
func (c *caller) ended(what string) {
	c.t.Helper()
	if b, err := io.ReadAll(c.br); err != nil && isTimeout(err) || len(b) > 0 {
		c.t.Errorf("%s: the connection goes on: %q %v", what, b, err)
	}
}

// listen returns one more listener of the proxy, for the test to end.
func (s *stage) listen() *Listener {
	s.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(s.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	server := Server(s.proxy, ServerLimits{}, s.options.Logger)
	l := Listen(ln, nil, s.proxy, server)
	go server.Serve(l) // it ends with l
	return l
}

func request(method, path, cookie string, lines ...string) string {
	if cookie != "" {
		lines = append(lines, "Cookie: "+cookie)
	}
	return method + " " + path + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

func (s *stage) expectFast(n int) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%d requests on the fast path", n), func() bool { return s.seen.fast() == n })
}

// What net/http answers in between does not take the connection away from the fast path.
func TestAConnectionComesBackToTheFastPath(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	for _, early := range []bool{false, true} {
		conn := s.call(s.fast)
		fast := s.seen.fast()
		want := 0
		ask := func(method, path, cookie, body string, status int, isFast bool) {
			t.Helper()
			lines := []string{"X: y"}
			if body != "" {
				lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
			}
			conn.say(request(method, path, cookie, lines...) + body)
			if res, got := conn.hear(method); res.StatusCode != status || res.Close {
				t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, got)
			}
			if isFast {
				want++
			}
		}
		if early {
			ask("GET", "/x", "", "", 401, false)
		}
		ask("GET", "/a", c, "", 200, true)
		for range 20 {
			ask("GET", "/x", "", "", 401, false)
			ask("GET", "/a", c, "", 200, true)
			ask("POST", "/x", "", "some body", 401, false)
			ask("POST", "/a", c, "some body", 200, true)
			ask("GET", "/.orgate/me", c, "", 200, false)
			ask("HEAD", "/admin/x", c, "", 403, false)
			ask("GET", "/a", c, "", 200, true)
		}
		s.expectFast(fast + want)
		// Where nobody knows where a request ends, it stays there.
		conn.say(request("GET", "/a", c, "X_Y: z"))
		if res, _ := conn.hear("GET"); res.StatusCode != 200 {
			t.Errorf("%d", res.StatusCode)
		}
		ask("GET", "/a", c, "", 200, false)
		s.expectFast(fast + want)
	}
}

// A request that comes while net/http is at work on the one before it is not lost.
func TestARequestThatComesEarlyIsServedInTurn(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	_, c := s.jo()
	for i := range 200 {
		conn := s.call(s.fast)
		// The first is net/http's, as is the third; the second and the last come all at once with it, or a moment later.
		first, rest := request("GET", "/one;x", c), request("POST", "/two", c, "Content-Length: 3")+"abc"+request("GET", "/three;x", c)+request("GET", "/four", c)
		if i%2 == 0 {
			conn.say(first + rest)
		} else {
			conn.say(first)
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond) // no condition: any moment will do
			conn.say(rest)
		}
		for _, want := range []string{"/one;x", "/twoabc", "/three;x", "/four"} {
			if res, body := conn.hear("GET"); res.StatusCode != 200 || body != want {
				t.Fatalf("%d: %d %q, want %q", i, res.StatusCode, body, want)
			}
		}
		conn.Close()
	}
	s.expectFast(400)
}

func TestASlowSenderIsServedAndASilentOneGivenUp(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	conn := s.call(s.fast)
	for _, b := range []byte(request("POST", "/slow", c, "Content-Length: 4") + "body") {
		conn.say(string(b))
	}
	if res, body := conn.hear("POST"); res.StatusCode != 200 || body != "/slowbody" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	s.expectFast(1)

	front := httptest.NewUnstartedServer(nil)
	front.Config = Server(s.proxy, ServerLimits{HeaderTimeout: 200 * time.Millisecond, IdleTimeout: 400 * time.Millisecond}, s.options.Logger)
	front.Listener = Listen(front.Listener, nil, s.proxy, front.Config)
	front.Start()
	t.Cleanup(front.Close)
	addr := front.Listener.Addr().String()
	for name, begin := range map[string]string{"nothing at all": "", "half a request line": "GET / HT", "no end of headers": "GET / HTTP/1.1\r\nHost: " + acmeHost + "\r\n", "the beginning of HTTP/2": "PRI * HTTP/2.0\r\n", "another method": "JEFF / HTTP/1.1\r\nHost: x"} {
		conn := s.call(addr)
		conn.say(begin)
		began := time.Now()
		conn.ended(name)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("%s: after %v", name, took)
		}
	}
	// Between two requests, on either way.
	for name, cookie := range map[string]string{"the fast path": c, "net/http": ""} {
		conn := s.call(addr)
		conn.say(request("GET", "/x", cookie))
		conn.hear("GET")
		began := time.Now()
		conn.ended(name)
		if took := time.Since(began); took < 200*time.Millisecond || took > 3*time.Second {
			t.Errorf("%s: after %v", name, took)
		}
	}
}

// The switch is the configuration's, and is looked at for each request.
func TestTheFastPathIsTurnedOffByAReload(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	conn := s.call(s.fast)
	for i, slow := range []bool{false, true, false, true} {
		settings := s.options.Settings
		settings.SlowPath = slow
		if err := s.proxy.Reload(settings); err != nil {
			t.Fatal(err)
		}
		if i == 2 { // where the switch was off, it is not known where a request ends
			conn = s.call(s.fast)
		}
		conn.say(request("GET", "/a", c))
		if res, body := conn.hear("GET"); res.StatusCode != 200 || body != "/a" {
			t.Errorf("%d: %d %q", i, res.StatusCode, body)
		}
		if !slow {
			s.expectFast(i/2 + 1)
		}
	}
	s.eventually("all are recorded", func() bool { return s.seen.len() == 4 })
	s.expectFast(2)
}

// An app is told of a client that has gone, on either way.
func TestAClientThatGoesAwayIsMissed(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	_, c := s.jo()
	begun, gone := make(chan string, 1), make(chan string, 1)
	app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- r.URL.Path
		<-r.Context().Done()
		gone <- r.URL.Path
	}))
	t.Cleanup(app.CloseClientConnections)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	for name, path := range map[string]string{"the fast path": "/x", "net/http": "/x;y"} {
		for how, leave := range map[string]func(*caller){
			"closes":      func(c *caller) { c.Close() },
			"resets":      func(c *caller) { c.Conn.(*net.TCPConn).SetLinger(0); c.Close() },
			"half closes": func(c *caller) { c.Conn.(*net.TCPConn).CloseWrite() },
		} {
			conn := s.call(s.fast)
			conn.say(request("GET", path, c))
			<-begun
			leave(conn)
			select {
			case <-gone:
			case <-time.After(5 * time.Second):
				t.Errorf("%s: one who %s: the app goes on for nobody", name, how)
			}
		}
	}
	dial := s.secure()
	conn := dial("http/1.1")
	conn.say(request("GET", "/x", c))
	<-begun
	conn.Close()
	select {
	case <-gone:
	case <-time.After(5 * time.Second):
		t.Error("over TLS: the app goes on for nobody")
	}
}

// secure serves the world over TLS, and returns what connects to it.
func (s *stage) secure() (dial func(protos ...string) *caller) {
	t := s.t
	t.Helper()
	cert := httptest.NewUnstartedServer(nil)
	cert.StartTLS()
	defer cert.Close()
	config := cert.TLS.Clone()
	config.NextProtos = []string{"h2", "http/1.1"}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(s.proxy, ServerLimits{}, s.options.Logger)
	server.TLSConfig = config
	l := Listen(ln, config, s.proxy, server)
	go server.Serve(l) // it ends with the test
	t.Cleanup(func() { l.Abort() })
	return func(protos ...string) *caller {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: protos}}).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return &caller{conn, t, bufio.NewReader(conn)}
	}
}

func TestDrainingLosesNoRequest(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	_, c := s.jo()
	var arrived sync.WaitGroup
	release := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/wait") {
			arrived.Done()
			<-release
		}
		io.WriteString(rw, r.URL.Path)
	}))
	t.Cleanup(app.Close)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(s.proxy, ServerLimits{}, s.options.Logger)
	l := Listen(ln, nil, s.proxy, server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	addr := ln.Addr().String()

	there := s.call(addr)
	there.say("GET /there HTTP/1.1\r\n")
	fresh, idle, back, half := s.call(addr), s.call(addr), s.call(addr), s.call(addr)
	idle.say(request("GET", "/a", c))
	idle.hear("GET")
	back.say(request("GET", "/a;x", c)) // it rests in net/http
	back.hear("GET")
	half.say("GET /half HTTP/1.1\r\n")
	arrived.Add(3)
	busy, busyThere, busyBack := s.call(addr), s.call(addr), s.call(addr)
	busy.say(request("GET", "/wait", c))
	busyThere.say(request("GET", "/wait;x", c))
	busyBack.say(request("GET", "/a;x", c))
	busyBack.hear("GET")
	busyBack.say(request("GET", "/wait", c)) // on the fast path, in net/http's hands
	arrived.Wait()

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	down := make(chan error, 1)
	go func() { down <- l.Shutdown(ctx) }()
	idle.ended("one that rests")
	back.ended("one that rests in net/http")
	fresh.ended("one on which nothing came yet")
	s.eventually("nobody new is let in", func() bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	select {
	case err := <-down:
		t.Fatalf("down with requests under way: %v", err)
	default:
	}
	half.say("Host: " + acmeHost + "\r\nCookie: " + c + "\r\n\r\n")
	there.say("Host: " + acmeHost + "\r\nX_Y: z\r\nCookie: " + c + "\r\n\r\n")
	close(release)
	for name, conn := range map[string]*caller{"/wait": busy, "/wait;x": busyThere, "/wait ": busyBack, "/half": half, "/there": there} {
		res, body := conn.hear("GET")
		if res.StatusCode != 200 || body != strings.TrimSpace(name) {
			t.Errorf("%s: %d %q", name, res.StatusCode, body)
		}
		conn.ended(name)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	if n := len(l.all()); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestWhatTakesTooLongToDrainIsCutOff(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	arrived, release := make(chan struct{}), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-release }))
	t.Cleanup(app.Close)
	t.Cleanup(func() { close(release) })
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	l := s.listen()
	conn := s.call(l.Addr().String())
	conn.say(request("GET", "/a", c))
	<-arrived
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := l.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := l.Abort(); err != nil {
		t.Error(err)
	}
	conn.ended("aborted")
}

// The end of what a client says may come together with a request, and before anybody looked for it.
func TestAnEndThatComesWithARequestIsSeen(t *testing.T) {
	for _, before := range []int{0, 1, 2} {
		s := newStage(t)
		_, c := s.jo()
		arrived, release := make(chan struct{}, 9), make(chan struct{}, 9)
		app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				arrived <- struct{}{}
				<-release
			}
		}))
		defer app.Close()
		o := s.acme
		o.Upstreams = map[string]string{"app": app.URL}
		s.update(func(tx tx) error { return save(tx, o, s.world) })
		conn := s.call(s.fast)
		for range before {
			conn.say(request("GET", "/a", c))
			conn.hear("GET")
		}
		conn.say(request("GET", "/slow", c))
		<-arrived
		conn.say(request("GET", "/a", c))
		if err := conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		release <- struct{}{}
		for range 2 {
			if res, _ := conn.hear("GET"); res.StatusCode != 200 {
				t.Errorf("%d", res.StatusCode)
			}
		}
		conn.ended(fmt.Sprint("after ", before, " requests"))
		s.expectFast(before + 2)
	}
}

func TestTheFastPathIsTakenOverTLSToo(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	dial := s.secure()
	conn := dial("http/1.1")
	for range 10 {
		conn.say(request("GET", "/a", c) + request("POST", "/b", c, "Content-Length: 20000") + strings.Repeat("x", 20_000))
		if res, body := conn.hear("GET"); res.StatusCode != 200 || body != "/a" {
			t.Fatalf("%d %q", res.StatusCode, body)
		}
		if res, body := conn.hear("POST"); res.StatusCode != 200 || len(body) != 20_002 {
			t.Fatalf("%d %d", res.StatusCode, len(body))
		}
		conn.say(request("GET", "/x", ""))
		if res, _ := conn.hear("GET"); res.StatusCode != 401 {
			t.Fatalf("%d", res.StatusCode)
		}
	}
	s.expectFast(20)
	addr := conn.RemoteAddr().String()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer client.CloseIdleConnections()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://"+addr+"/h2", nil)
	r.Host = acmeHost
	r.Header.Set("Cookie", c)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 || res.StatusCode != 200 {
		t.Errorf("%s %d", res.Proto, res.StatusCode)
	}
	if answer := s.ask(addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(answer, "HTTP request to an HTTPS server") {
		t.Errorf("%q", answer)
	}
	s.expectFast(20)
}

// What ends with a session ends on both sides at once, also where the client takes its time.
func TestAStreamOfTheFastPathEndsWithItsSession(t *testing.T) {
	s := newStage(t)
	p, c := s.jo()
	var wrote atomic.Int64
	gone := make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil { // far more than the kernels keep
			if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
				break
			}
			wrote.Add(1)
		}
		close(gone)
	}))
	t.Cleanup(app.Close)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })
	conn := s.call(s.fast)
	conn.say(request("GET", "/stream", c)) // and nothing of it is read
	s.eventually("nobody takes any more", func() bool {
		before := wrote.Load()
		time.Sleep(100 * time.Millisecond) // of nothing happening, which nothing tells of
		return before > 0 && wrote.Load() == before
	})
	s.update(func(tx tx) error { return end(tx, s.world, p) })
	select {
	case <-gone:
	case <-time.After(time.Second):
		t.Error("the app goes on")
	}
	s.expectFast(1) // it is over, though the client has read nothing
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("the client's connection goes on")
	}
}

// What is decided of a request, and written to the app, is made of what is there already.
func TestADecisionAndTheHeadersAllocateNothing(t *testing.T) {
	s := newStage(t)
	_, c := s.jo("admin")
	b := &buffer{text: request("GET", "/admin/x?y=z", "theme=dark; "+c, "User-Agent: Mozilla/5.0", "Accept: text/html,*/*;q=0.8", "Accept-Encoding: gzip", "Authorization: Basic dTpw", "X-Org-Role: forged")}
	if !b.head.Parse(b.text) {
		t.Fatal("not plain")
	}
	head, id := make([]byte, 0, 8<<10), "ID"
	ctx := t.Context()
	from := peerOf("192.0.2.1:1234")
	x := &exchange{} // one for each request: it is counted there
	n := testing.AllocsPerRun(100, func() {
		*x = exchange{p: s.proxy, st: s.proxy.state.Load(), began: s.now(), class: toApp, method: b.head.Method, id: id}
		cookies, ok := x.plainly(from, b)
		if !ok || x.admit(ctx, cookies) != nil || !allows(x.decision) || !x.decision.Identified {
			t.Fatal("not allowed")
		}
		if err := x.takeOff(ctx, cookies, nil); err != nil {
			t.Fatal(err)
		}
		if _, ok := x.plainAddress(); !ok {
			t.Fatal("no address")
		}
		head = x.appendPlain(head[:0], &b.head)
		if err := x.guardHead(head); err != nil {
			t.Fatal(err)
		}
		s.proxy.land(x)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The session of a request may end when the answer is written and the next request has not come: what was to
// end the writing of the one must not end that of the other.
func TestACutThatComesLateIsNotForTheNextAnswer(t *testing.T) {
	w := newWorld(t)
	accepted, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	client, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", accepted.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := accepted.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := newConn(&Listener{p: w.proxy}, server)
	for range 2 { // the second time, the deadline that is due stands already
		x := new(exchange)
		c.begin(x)
		if err := c.patience(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("one")); err != nil {
			t.Fatalf("what was not cut: %v", err)
		}
		c.cut(x)
		if _, err := c.Write([]byte("two")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("what was cut is written: %v", err)
		}
		until := c.writeBy
		c.writeBy = time.Time{} // so much time has passed since
		if err := c.patience(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("what was cut gets more time: %v", err)
		}
		if _, err := c.Write([]byte("two")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("what was cut is written: %v", err)
		}
		c.writeBy = until
		c.finish()
		c.cut(x) // by now it is nobody's
	}
	c.handOn()
	if _, err := c.Write([]byte("three")); err != nil {
		t.Errorf("by net/http: %v", err)
	}
}
