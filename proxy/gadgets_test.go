package proxy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/proxy/testdata/gadgets"
)

// A server before or behind this one may take the gadget for the plain field, or for nothing. What comes after
// the body by either reading is no request here, on either way: it is refused, or it is body.
func TestNoSpellingOfTheFramingSmugglesARequest(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	victim := smuggled(c)
	ended := "0\r\n\r\n" + victim
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(victim), victim)
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n", len(body)) }
	for _, f := range []struct {
		name, before, after, body string
		gadgets                   []string
		alone                     bool
	}{
		{name: "a coding, and a length", after: length(ended), body: ended, gadgets: gadgets.Codings(gadgets.Odd())},
		{name: "a length, and a coding", before: length(ended), body: ended, gadgets: gadgets.Codings(gadgets.Few)},
		{name: "a coding alone", body: chunk, gadgets: gadgets.Codings(gadgets.Few)},
		{name: "no length, and a length", after: length(victim), body: victim, gadgets: gadgets.Lengths(0, gadgets.Few)},
		{name: "a length, and no length", before: length(victim), body: victim, gadgets: gadgets.Lengths(0, gadgets.Few)},
		{name: "a length alone", body: victim, gadgets: gadgets.Lengths(len(victim), gadgets.Few), alone: true},
	} {
		t.Run(f.name, func(t *testing.T) {
			for _, g := range f.gadgets {
				text := []byte("POST /a HTTP/1.1\r\nHost: " + acmeHost + "\r\nCookie: " + c + "\r\n" + f.before + g + "\r\n" + f.after + "X-B: c\r\n\r\n" + f.body + request("GET", "/end", c, "Connection: close"))
				slow := s.replay(t, s.slow, text, 10*time.Second)
				fast := s.replay(t, s.fast, text, 10*time.Second)
				if !slow.equal(fast) {
					t.Fatalf("%q: by net/http\n%v\nand by the fast path\n%v", g, slow, fast)
				}
				if n := slow.served(); n != len(slow.told) || !slow.closed {
					t.Fatalf("%q: %d are served: %v", g, n, slow)
				}
				// By a field of another name nobody counts, and then there is no body.
				another := f.alone && !strings.HasPrefix(g, "Content-Length:")
				if slices.Contains(slow.told, "GET /smuggled ") && !another {
					t.Fatalf("%q: %v", g, slow)
				}
			}
		})
	}
}

// served is how many answers are an app's.
func (c course) served() (n int) {
	for _, a := range c.answers {
		if statusOf(a) == 200 {
			n++
		}
	}
	return n
}
