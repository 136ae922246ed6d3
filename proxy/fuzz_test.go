package proxy

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/proxy/testdata/gadgets"
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
	for _, g := range slices.Concat(gadgets.Codings(gadgets.Few), gadgets.Lengths(5, gadgets.Few)) {
		f.Add([]byte(strings.ReplaceAll(request("POST", "/a", c, g, "Content-Length: 5")+"0\r\n\r\n"+ok, c, "C")))
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
		var slow, fast course
		for range 5 { // what is cut off, and when, is a matter of time
			slow = s.replay(t, s.slow, b, 300*time.Millisecond)
			fast = s.replay(t, s.fast, b, 300*time.Millisecond)
			if slow.equal(fast) {
				return
			}
		}
		t.Errorf("%q\nby net/http\n%v\nand by the fast path\n%v", b, slow, fast)
	})
}

// A course is what came of bytes that were sent on a connection.
type course struct {
	answers []string // see normal
	told    []string // to the app
	closed  bool
}

func (c course) equal(d course) bool {
	return slices.Equal(c.answers, d.answers) && slices.Equal(c.told, d.told) && c.closed == d.closed
}

// String is for messages of failures.
func (c course) String() string {
	return fmt.Sprintf("answers %.400q\ntold %q\nclosed %v", c.answers, c.told, c.closed)
}

// replay sends b, and waits for what comes of it until the connection is closed, or quiet for so long.
func (s *stage) replay(t *testing.T, addr string, b []byte, quiet time.Duration) course {
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
		c.SetReadDeadline(time.Now().Add(quiet))
		var n int
		n, err = c.Read(buf)
		all.Write(buf[:n])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return course{answersIn(all.String()), s.told, !isTimeout(err)}
}

var statusLine = regexp.MustCompile(`HTTP/1\.[01] [0-9]{3} `)

// answersIn are the answers in what was read. Where one ends is taken from where another begins, as an answer
// to HEAD says a length that it has not. (The app's may have a request in it: it is cut there on both ways.)
func answersIn(text string) (answers []string) {
	starts := statusLine.FindAllStringIndex(text, -1)
	end := len(text)
	for _, at := range slices.Backward(starts) {
		answers = append(answers, normal(text[at[0]:end]))
		end = at[0]
	}
	if end > 0 {
		answers = append(answers, text[:end])
	}
	slices.Reverse(answers)
	return answers
}
