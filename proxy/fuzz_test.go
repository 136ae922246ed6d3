package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzConnection sends the same bytes to both ways, and a proper request after them: what is answered, and what
// the app is told of, must be the same. It is the oracle for everything between the grammar and the
// wire, such as where a request ends.
func FuzzConnection(f *testing.F) {
	s := newStage(f, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	_, c := s.jo()
	ok := request("GET", "/a", c)
	end := request("GET", "/end", c, "Connection: close")
	post := request("POST", "/b", c, "Content-Length: 5")
	for _, row := range badInput("C") {
		if len(row.request) < 2000 {
			f.Add([]byte(row.request))
			f.Add([]byte(strings.ReplaceAll(ok+row.request+ok, c, "C")))
		}
	}
	// Line ends after a POST, of which one way or the other may not know.
	refused := request("POST", "/x", "", "Content-Length: 0")
	for _, ends := range []string{"\r", "\r\n\r\n", "\r\n\r\n\n", "\n\n\n\n\n\n\n\n"} {
		for _, before := range []string{post + "hello", refused, refused + ok, refused + post + "hello", post + "hello" + refused, ok + ok} {
			f.Add([]byte(strings.ReplaceAll(before+ends+ok, c, "C")))
		}
	}
	for _, seed := range []string{ok, ok + ok, post + "hello" + ok, post + "hell", request("GET", "/x", "") + ok, ok + request("GET", "/a;b", c) + ok, ok[:len(ok)-3], request("HEAD", "/a", c) + ok, request("PUT", "/p", c, "Content-Length: 0", "Connection: close") + ok} {
		f.Add([]byte(strings.ReplaceAll(seed, c, "C")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The session stands for a letter, so that inputs are the same in every run.
		b = bytes.ReplaceAll(b, []byte("Cookie: C"), []byte("Cookie: "+c))
		if len(b) > 40_000 || bytes.Contains(b, []byte("pgrade")) || bytes.Contains(bytes.ToLower(b), []byte("expect")) {
			return // who waits for whom is a matter of time
		}
		b = append(b, end...)
		var slow, slowSent, fast, fastSent []string
		for range 5 { // what is cut off, and when, is a matter of time
			slow, slowSent = s.replay(t, s.slow, b)
			fast, fastSent = s.replay(t, s.fast, b)
			if slices.Equal(slow, fast) && slices.Equal(slowSent, fastSent) {
				return
			}
		}
		if !slices.Equal(slow, fast) {
			t.Errorf("%q\nnet/http answers %q\nand the fast path %q", b, slow, fast)
		}
		if !slices.Equal(slowSent, fastSent) {
			t.Errorf("%q\nby net/http the app is sent %q\nand by the fast path %q", b, slowSent, fastSent)
		}
	})
}

// replay sends b, and returns what is answered until the connection is closed or quiet, and what the
// app was sent.
func (s *stage) replay(t *testing.T, addr string, b []byte) (answers, sent []string) {
	t.Helper()
	s.mu.Lock()
	s.told = nil
	s.mu.Unlock()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go c.Write(b) // it may be refused in the middle of it
	var all bytes.Buffer
	for buf := make([]byte, 64<<10); err == nil; {
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		var n int
		n, err = c.Read(buf)
		all.Write(buf[:n])
	}
	br := bufio.NewReader(&all)
	for {
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, res.Body) // of a cut one, its status counts
		res.Body.Close()
		answers = append(answers, res.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return answers, s.told
}
