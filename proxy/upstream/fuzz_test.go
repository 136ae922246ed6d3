package upstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"
)

// A script is a connection on which an app says what it was told to, in two pieces, and closes.
type script struct {
	net.Conn
	pieces [][]byte
	closed bool
}

func (s *script) Write(b []byte) (int, error)      { return len(b), nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { s.closed = true; return nil }
func (s *script) Read(b []byte) (int, error) {
	for len(s.pieces) > 0 {
		if len(s.pieces[0]) == 0 {
			s.pieces = s.pieces[1:]
			continue
		}
		n := copy(b, s.pieces[0])
		s.pieces[0] = s.pieces[0][n:]
		return n, nil
	}
	return 0, io.EOF
}

// heard is what a client made of an answer.
type heard struct {
	status   int
	fields   map[string][]string
	body     string
	trailers map[string][]string
	kept     bool
}

// ask has the client hear the answer, cut in two.
func ask(method string, answer []byte, cut int) (h heard, err error) {
	cut = min(cut, len(answer))
	s := &script{pieces: [][]byte{bytes.Clone(answer[:cut]), bytes.Clone(answer[cut:])}}
	cl := New(Limits{})
	c := NewCall()
	defer c.Close()
	c.client, c.Cancel, c.Method, c.Address = cl, &c.none, method, "app"
	p := &pool{open: 1, address: "app"}
	cl.pools["app"] = p
	c.conn = newConn(s, p)
	defer cl.Close()
	if err := c.try(); err != nil {
		return h, err
	}
	h = heard{status: c.Answer.Status, fields: map[string][]string{}, trailers: map[string][]string{}}
	for _, f := range c.Answer.Fields {
		name := http.CanonicalHeaderKey(string(f.Name))
		h.fields[name] = append(h.fields[name], string(f.Value))
	}
	if h.body, err = body(c); err != nil {
		return h, err
	}
	for _, f := range c.Trailers {
		name := http.CanonicalHeaderKey(string(f.Name))
		h.trailers[name] = append(h.trailers[name], string(f.Value))
	}
	// What comes after the end is seen when it is here: else before the next request.
	more, _ := s.Read(make([]byte, 1))
	h.kept = len(p.idle) == 1 && more == 0
	return h, nil
}

// FuzzAnswer compares with net/http: what that refuses is not accepted here; what both accept
// has the same status, fields and body, and leaves off at the same byte.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n5\r\nhello\r\n0\r\nX-A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000005\r\nhello\r\n0\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
	} {
		for _, head := range []bool{false, true} {
			f.Add([]byte(s), head, 20)
			f.Add([]byte(s), head, len(s)-1)
		}
	}
	f.Fuzz(func(t *testing.T, answer []byte, head bool, cut int) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		if cut < 0 {
			cut = 0
		}
		got, err := ask(method, answer, cut)
		if err != nil {
			return
		}
		if again, err := ask(method, answer, len(answer)); err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
			t.Errorf("in one piece: %+v, %v; in two: %+v", again, err, got)
		}
		r := bufio.NewReader(bytes.NewReader(answer))
		var res *http.Response
		for {
			var err error
			if res, err = http.ReadResponse(r, &http.Request{Method: method}); err != nil {
				t.Fatalf("%+v, where net/http says %v", got, err)
			}
			if res.StatusCode >= 200 {
				break
			}
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatalf("%+v, and net/http says of the body: %v", got, err)
		}
		if res.StatusCode != got.status || string(b) != got.body {
			t.Errorf("%d %q, and net/http says %d %q", got.status, got.body, res.StatusCode, b)
		}
		delete(got.fields, "Transfer-Encoding")
		delete(got.fields, "Trailer") // net/http takes it out where there may be trailers
		delete(res.Header, "Trailer")
		if res.Header["Connection"] == nil {
			delete(got.fields, "Connection")
		}
		if !sameFields(got.fields, res.Header) {
			t.Errorf("%q, and net/http says %q", got.fields, res.Header)
		}
		if !sameFields(got.trailers, res.Trailer) {
			t.Errorf("trailers %q, and net/http says %q", got.trailers, res.Trailer)
		}
		if rest, _ := io.ReadAll(r); got.kept && (len(rest) > 0 || res.Close) {
			t.Errorf("the connection is kept, and net/http has %q left, closes: %v", rest, res.Close)
		}
		for name, values := range got.fields {
			if !httpguts.ValidHeaderFieldName(name) || !slices.ContainsFunc(values, httpguts.ValidHeaderFieldValue) {
				t.Errorf("%q: %q", name, values)
			}
		}
	})
}

func sameFields(a map[string][]string, b http.Header) bool {
	for name, v := range b {
		if len(v) > 0 && !slices.Equal(a[name], v) {
			return false
		}
	}
	for name := range a {
		if b[name] == nil {
			return false
		}
	}
	return true
}

// FuzzRequest checks that what is sent is one request to net/http, with the body that was
// given and nothing after it.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("hello"), int64(5), 3)
	f.Add([]byte("0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), int64(-1), 1)
	f.Add(bytes.Repeat([]byte("x"), 40_000), int64(-1), 40_000)
	f.Add([]byte("longer than it says"), int64(3), 100)
	f.Fuzz(func(t *testing.T, b []byte, length int64, piece int) {
		if length < -1 || length > int64(len(b)) || piece < 1 {
			return
		}
		w := &recorder{}
		c := newCall("app", "POST")
		c.client, c.Cancel = New(Limits{}), &c.none
		c.conn = newConn(w, &pool{open: 1})
		c.Body, c.Length = &pieces{b, piece}, length
		if err := c.frame(); err != nil {
			t.Fatal(err)
		}
		if err := c.try(); err != nil {
			t.Fatal(err)
		}
		c.Close()
		r := bufio.NewReader(&w.got)
		req, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		want := b
		if length >= 0 {
			want = b[:length]
		}
		got, err := io.ReadAll(req.Body)
		if err != nil || !bytes.Equal(got, want) || req.ContentLength != length {
			t.Errorf("%q of length %d, %v; want %q", got, req.ContentLength, err, want)
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Errorf("%q is left", rest)
		}
	})
}

// A recorder takes what is sent, and answers at once.
type recorder struct {
	script
	got bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.got.Len() == 0 {
		r.pieces = [][]byte{[]byte("HTTP/1.1 204 No Content\r\n\r\n")}
	}
	return r.got.Write(b)
}

// pieces is a reader of so many bytes at a time.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// BenchmarkCall is a whole call over loopback, beside net/http's Transport.
func BenchmarkCall(b *testing.B) {
	answer := strings.Repeat("x", 1024)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
	defer s.Close()
	b.Run("upstream", func(b *testing.B) {
		cl := client(b, Limits{})
		address := s.Listener.Addr().String()
		b.ReportAllocs()
		for b.Loop() {
			c := newCall(address, "GET")
			if err := cl.Do(c); err != nil {
				b.Fatal(err)
			}
			for {
				if _, err := c.Next(); err != nil {
					break
				}
			}
			c.Close()
		}
	})
	b.Run("net/http", func(b *testing.B) {
		tr := &http.Transport{MaxIdleConnsPerHost: 10}
		defer tr.CloseIdleConnections()
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL, http.NoBody)
			res, err := tr.RoundTrip(r)
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
}
