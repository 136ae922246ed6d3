package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// An app is a server of which each connection is a function's.
type app struct {
	t        testing.TB
	address  string
	accepted atomic.Int32
}

// newApp serves every connection with f, which gets its number, from 1.
func newApp(t testing.TB, f func(n int, c net.Conn, r *bufio.Reader)) *app {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, address: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(a.accepted.Add(1))
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				f(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return a
}

// request reads the head of a request; "" at the end.
func request(r *bufio.Reader) string {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return ""
		}
		if b.WriteString(line); line == "\r\n" {
			return b.String()
		}
	}
}

// saying answers each request of a connection with the same bytes.
func saying(answer string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		for request(r) != "" {
			io.WriteString(c, answer)
		}
	}
}

func client(t testing.TB, l Limits) *Client {
	cl := New(l)
	t.Cleanup(cl.Close)
	return cl
}

func (c *Client) counts(address string) (open, idle, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.pools[address]; p != nil {
		return p.open, len(p.idle), len(p.waiting)
	}
	return 0, 0, 0
}

func newCall(address, method string) *Call {
	c := NewCall()
	c.Address, c.Method = address, method
	c.Head = append(c.Head, method+" / HTTP/1.1\r\nHost: app\r\n"...)
	return c
}

func body(c *Call) (string, error) {
	var b strings.Builder
	for {
		p, err := c.Next()
		b.Write(p)
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
	}
}

// get is a whole call: status and body.
func get(cl *Client, address string) (string, error) {
	c := newCall(address, "GET")
	defer c.Close()
	if err := cl.Do(c); err != nil {
		return "", err
	}
	b, err := body(c)
	return fmt.Sprint(c.Answer.Status, " ", b), err
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in 5 s: %s", what)
		}
	}
}

func TestAConnectionCarriesManyRequestsOneAfterTheOther(t *testing.T) {
	a := newApp(t, saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	cl := client(t, Limits{})
	for range 20 {
		if got, err := get(cl, a.address); got != "200 hello" || err != nil {
			t.Fatal(got, err)
		}
	}
	if n := a.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	if open, idle, _ := cl.counts(a.address); open != 1 || idle != 1 {
		t.Errorf("%d open, %d idle", open, idle)
	}
}

// What can't be trusted ends the connection, so that nothing that comes later is read as an
// answer to somebody else.
func TestAConnectionIsKeptOnlyWhereTheEndOfTheAnswerIsCertain(t *testing.T) {
	for name, tt := range map[string]struct {
		answer, want string
		kept         bool
	}{
		"a length":                       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi", true},
		"no bytes":                       {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 ", true},
		"chunks":                         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3;a=b\r\n ho\r\n0\r\n\r\n", "200 hi ho", true},
		"chunks and a trailer":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", "200 hi", true},
		"204":                            {"HTTP/1.1 204 No Content\r\n\r\n", "204 ", true},
		"204 with length 0":              {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 ", true},
		"304 with a length":              {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 ", true},
		"an interim answer":              {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi", true},
		"no reason":                      {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "200 hi", true},
		"204 with a body":                {"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", "204 ", false},
		"204 with chunks":                {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "204 ", false},
		"Connection: close":              {"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "200 hi", false},
		"HTTP/1.0":                       {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi", "200 hi", false},
		"more than its length":           {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n", "200 hi", false},
		"more after chunks":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP", "200 ", false},
		"more after no bytes":            {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200 ", false},
		"bytes of a 304's would-be body": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi", "304 ", false},
	} {
		a := newApp(t, saying(tt.answer))
		cl := client(t, Limits{})
		got, err := get(cl, a.address)
		if got != tt.want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if _, idle, _ := cl.counts(a.address); (idle == 1) != tt.kept {
			t.Errorf("%s: kept: %v", name, idle == 1)
		}
	}
}

func TestAnswersThatAreNoHTTPAreRefusedAndEndTheConnection(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	te := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	for name, answer := range map[string]string{
		"nothing":                     "",
		"not HTTP":                    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/0.9":                    "<html>hello</html>\r\n\r\n",
		"HTTP/2":                      "HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.2":                    "HTTP/1.2 200 OK\r\n\r\n",
		"a lower-case version":        "http/1.1 200 OK\r\n\r\n",
		"an empty line first":         "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"two digits":                  "HTTP/1.1 20 OK\r\n\r\n",
		"four digits":                 "HTTP/1.1 2000 OK\r\n\r\n",
		"a status below 100":          "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
		"two spaces":                  "HTTP/1.1  200 OK\r\n\r\n",
		"a tab":                       "HTTP/1.1\t200 OK\r\n\r\n",
		"NUL in the reason":           "HTTP/1.1 200 O\x00K\r\n\r\n",
		"CR in the reason":            "HTTP/1.1 200 O\rK\r\n\r\n",
		"bare LF":                     "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"one bare LF":                 "HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 0\r\n\r\n",
		"bare LF at the end":          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
		"bare CR":                     "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 0\r\n\r\n",
		"a folded line":               ok + "X: a\r\n b\r\n\r\nhi",
		"a folded first line":         "HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
		"a space before the colon":    ok + "X : a\r\n\r\nhi",
		"a space in the name":         ok + "X Y: a\r\n\r\nhi",
		"no colon":                    ok + "XY\r\n\r\nhi",
		"no name":                     ok + ": a\r\n\r\nhi",
		"NUL in a value":              ok + "X: a\x00\r\n\r\nhi",
		"two lengths":                 ok + "Content-Length: 3\r\n\r\nhi",
		"two equal lengths":           ok + "content-length: 2\r\n\r\nhi",
		"a list of lengths":           "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
		"a length with a sign":        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
		"a negative length":           "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi",
		"a length in hex":             "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nhi",
		"an empty length":             "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nhi",
		"a huge length":               "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhi",
		"a length and chunks":         ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks and a length":         te + "Content-Length: 2\r\n\r\n0\r\n\r\n",
		"another coding":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi",
		"another coding before":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":               te + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunked and identity":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
		"xchunked":                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"chunked with VT":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":          "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an upgrade nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
		"no end of interim answers":   strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1),
		"a head without end":          "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 5000),
		"too many fields":             ok + strings.Repeat("X: a\r\n", maxFields) + "\r\nhi",
		"half a head":                 "HTTP/1.1 200 OK\r\nContent-Len",
		"half a body":                 "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi",
		"half a chunk":                te + "\r\n5\r\nhi",
		"no last chunk":               te + "\r\n2\r\nhi\r\n",
		"no end of trailers":          te + "\r\n0\r\nX: a\r\n",
		"no chunk size":               te + "\r\n\r\nhi",
		"a chunk size with a sign":    te + "\r\n+2\r\nhi\r\n0\r\n\r\n",
		"a chunk size with 0x":        te + "\r\n0x2\r\nhi\r\n0\r\n\r\n",
		"a space after the size":      te + "\r\n2 \r\nhi\r\n0\r\n\r\n",
		"a space before the size":     te + "\r\n 2\r\nhi\r\n0\r\n\r\n",
		"a huge chunk":                te + "\r\nfffffffffffffffff\r\nhi",
		"a chunk longer than said":    te + "\r\n2\r\nhi!\r\n0\r\n\r\n",
		"LF after the size":           te + "\r\n2\nhi\r\n0\r\n\r\n",
		"LF after the data":           te + "\r\n2\r\nhi\n0\r\n\r\n",
		"LF in an extension":          te + "\r\n2;a\nb\r\nhi\r\n0\r\n\r\n",
		"CR in an extension":          te + "\r\n2;a\rb\r\nhi\r\n0\r\n\r\n",
		"a long extension":            te + "\r\n2;" + strings.Repeat("a", 8<<10) + "\r\nhi\r\n0\r\n\r\n",
		"many extensions":             te + "\r\n" + strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\nx\r\n", 100) + "0\r\n\r\n",
		"long trailers":               te + "\r\n0\r\n" + strings.Repeat("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", 1000) + "\r\n",
		"a trailer that is none":      te + "\r\n0\r\nX : a\r\n\r\n",
		"a folded trailer":            te + "\r\n0\r\nX: a\r\n b\r\n\r\n",
	} {
		a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
			request(r)
			io.WriteString(c, answer)
		})
		cl := client(t, Limits{Answer: 5 * time.Second})
		if got, err := get(cl, a.address); err == nil {
			t.Errorf("%s: %q", name, got)
		}
		if open, _, _ := cl.counts(a.address); open != 0 {
			t.Errorf("%s: the connection is kept", name)
		}
	}
}

func TestAnAnswerMayComeInPiecesOfAnySize(t *testing.T) {
	whole := "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("l", 6000) + "\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"5;x=y\r\nhello\r\n" + "1388\r\n" + strings.Repeat("b", 5000) + "\r\n0\r\nX-Sum: 1\r\n\r\n"
	for _, size := range []int{1, 2, 3, 7, 100, 4096, len(whole)} {
		a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
			for request(r) != "" {
				for rest := whole; rest != ""; {
					n := min(size, len(rest))
					io.WriteString(c, rest[:n])
					rest = rest[n:]
				}
			}
		})
		cl := client(t, Limits{})
		for range 2 {
			c := newCall(a.address, "GET")
			n := &noting{}
			c.Caller = n
			if err := cl.Do(c); err != nil {
				t.Fatal(size, err)
			}
			b, err := body(c)
			if err != nil || b != "hello"+strings.Repeat("b", 5000) || strings.Join(n.interim, " ") != "103 </a>" || len(c.Answer.Get("x-long")) != 6000 || len(c.Trailers) != 1 || string(c.Trailers[0].Name) != "X-Sum" {
				t.Errorf("in pieces of %d: %d bytes, %v, interim %q, trailers %q", size, len(b), err, n.interim, c.Trailers)
			}
			c.Close()
		}
		if n := a.accepted.Load(); n != 1 {
			t.Errorf("in pieces of %d: %d connections", size, n)
		}
	}
}

func TestOrderAndSpellingOfFieldsAreKept(t *testing.T) {
	a := newApp(t, saying("HTTP/1.1 299 Just So\r\nx-b:  1\t\r\nX-A: \xff\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n"))
	cl := client(t, Limits{})
	c := newCall(a.address, "GET")
	defer c.Close()
	if err := cl.Do(c); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %s %q", c.Answer.Status, c.Answer.Reason, c.Answer.Fields)
	if want := `299 Just So [{"x-b" "1"} {"X-A" "\xff"} {"Set-Cookie" "a=1"} {"set-cookie" "b=2"} {"Empty" ""} {"Content-Length" "0"}]`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestABodyIsReadUntilTheAppClosesWhereNothingElseSaysItsEnd(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		request(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"+long)
	})
	cl := client(t, Limits{})
	if got, err := get(cl, a.address); got != "200 "+long || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	// A reset is no end.
	a = newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		request(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf")
		c.(*net.TCPConn).SetLinger(0)
	})
	if got, err := get(cl, a.address); err == nil {
		t.Errorf("%q", got)
	}
}

func TestAHeadAnswerHasNoBodyWhateverItSays(t *testing.T) {
	for _, said := range []string{"Content-Length: 5", "Transfer-Encoding: chunked", "X: y"} {
		a := newApp(t, saying("HTTP/1.1 200 OK\r\n"+said+"\r\n\r\n"))
		cl := client(t, Limits{})
		for range 3 {
			c := newCall(a.address, "HEAD")
			if err := cl.Do(c); err != nil {
				t.Fatal(err)
			}
			if b, err := body(c); b != "" || err != nil {
				t.Errorf("%s: %q, %v", said, b, err)
			}
			c.Close()
		}
		if n := a.accepted.Load(); n != 1 {
			t.Errorf("%s: %d connections", said, n)
		}
	}
}

// serve is the same over net/http, whose idea of a request this must agree with.
func serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestBodiesAreSentAsTheyAre(t *testing.T) {
	var conns sync.Map
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.ContentLength, " ", r.TransferEncoding, " ", len(b), " ", err, " ", strings.Count(string(b), "x"))
	})
	cl := client(t, Limits{})
	for _, n := range []int64{0, 1, 100, primed, primed + 1, 300_000} {
		for _, length := range []int64{n, -1} {
			for _, duplex := range []bool{false, true} {
				c := newCall(address, "POST")
				c.Body, c.Length, c.Duplex = io.LimitReader(xs{}, n), length, duplex
				if n == 0 && length == 0 {
					c.Body, c.Empty = nil, true
				}
				if err := cl.Do(c); err != nil {
					t.Fatal(n, length, err)
				}
				got, err := body(c)
				if want := fmt.Sprintf("%d [] %d <nil> %[2]d", n, n); length >= 0 && got != want || length < 0 && got != fmt.Sprintf("-1 [chunked] %d <nil> %[1]d", n) || err != nil || !c.Taken() {
					t.Errorf("%d bytes, length %d, duplex %v: %q, %v", n, length, duplex, got, err)
				}
				c.Close()
			}
		}
	}
}

// xs is endless.
type xs struct{}

func (xs) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	return len(b), nil
}

func TestABodyThatBreaksOffIsNotSentAsIfItWereWhole(t *testing.T) {
	broken := errors.New("client is gone")
	for _, length := range []int64{100, 100_000, -1} {
		for _, duplex := range []bool{false, true} {
			whole := make(chan bool, 1)
			a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
				req, err := http.ReadRequest(r)
				if err != nil {
					whole <- false
					return
				}
				_, err = io.ReadAll(req.Body)
				whole <- err == nil
			})
			cl := client(t, Limits{})
			c := newCall(a.address, "POST")
			c.Body, c.Length, c.Duplex = io.MultiReader(io.LimitReader(xs{}, 50), failing{broken}), length, duplex
			if err := cl.Do(c); !errors.Is(err, broken) {
				t.Errorf("length %d, duplex %v: %v", length, duplex, err)
			}
			c.Close()
			if a.accepted.Load() > 0 && <-whole {
				t.Errorf("length %d, duplex %v: the app got a whole request", length, duplex)
			}
			if open, _, _ := cl.counts(a.address); open != 0 {
				t.Errorf("length %d, duplex %v: the connection is kept", length, duplex)
			}
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestABodyThatIsShorterThanItsLengthIsAnError(t *testing.T) {
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	cl := client(t, Limits{})
	for _, length := range []int64{10, 1 << 20} {
		c := newCall(address, "POST")
		c.Body, c.Length = strings.NewReader("short"), length
		err := cl.Do(c)
		if _, ok := errors.AsType[*BodyError](err); !ok || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d: %v", length, err)
		}
		c.Close()
	}
}

func TestAnAppMayAnswerBeforeItHasTheBody(t *testing.T) {
	a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		request(r)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, r)
	})
	cl := client(t, Limits{})
	pr, pw := io.Pipe()
	defer pw.Close()
	c := newCall(a.address, "POST")
	c.Body, c.Length, c.Duplex = pr, -1, true
	if err := cl.Do(c); err != nil {
		t.Fatal(err)
	}
	if b, err := body(c); b != "no" || err != nil || c.Taken() {
		t.Errorf("%q, %v, taken: %v", b, err, c.Taken())
	}
	c.Close()
	// The rest of the body would be read as a request by whoever uses the connection next.
	if open, _, _ := cl.counts(a.address); open != 0 {
		t.Error("the connection is kept")
	}
}

func TestAnAppThatTakesNoMoreOfABodyIsHeard(t *testing.T) {
	for _, duplex := range []bool{false, true} {
		a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
			request(r)
			io.CopyN(io.Discard, r, 1000)
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
			c.(*net.TCPConn).CloseWrite()
			io.CopyN(io.Discard, r, 1<<20)
		})
		cl := client(t, Limits{})
		c := newCall(a.address, "POST")
		c.Body, c.Length, c.Duplex = io.LimitReader(xs{}, 64<<20), 64<<20, duplex
		if err := cl.Do(c); err != nil || c.Answer.Status != 413 {
			t.Errorf("duplex %v: %d, %v", duplex, c.Answer.Status, err)
		}
		c.Close()
	}
}

// A noting caller notes what it is told.
type noting struct {
	interim []string
	waits   atomic.Int32
}

func (n *noting) Interim(a *Answer) {
	n.interim = append(n.interim, fmt.Sprint(a.Status, " ", string(a.Get("link"))))
}
func (n *noting) Waiting() { n.waits.Add(1) }
