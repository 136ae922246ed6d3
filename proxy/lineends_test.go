package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// What comes of line ends before a request is a matter of the request before, of which net/http may not know.
func TestLineEndsBetweenRequestsAreTheSameToBothWays(t *testing.T) {
	s := newStage(t)
	_, c := s.jo()
	ok := request("GET", "/a", c)
	const get, post = "GET", "POST"
	for _, row := range []struct {
		name  string
		first string // what net/http has before
		then  string
		half  bool // the client says that there is no more
	}{
		{"a long line", "", "\r" + strings.Repeat("a", 60<<10), false},
		{"a long line", get, "\r" + strings.Repeat("a", 60<<10), false},
		{"a long line", post, "\r" + strings.Repeat("a", 60<<10), false},
		{"half a line", "", "\rabcdef", false},
		{"half a line", get, "\rabcdef", false},
		{"half a line", post, "\rabcdef", false},
		{"an end", "", "\r", true},
		{"an end", get, "\r\n", true},
		{"an end", post, "\r\n", true},
		{"nothing more", "", "\r\n", false},
		{"nothing more", get, "\r\n", false},
		{"nothing more", post, "\r\n", false},
		{"six of them", post, "\r\n\r\n\r\n" + ok, false},
	} {
		t.Run(row.name+" after "+row.first, func(t *testing.T) {
			t.Parallel()
			answers := func(addr string) (got []int, open bool) {
				conn := s.call(addr)
				if row.first != "" {
					conn.say(request(row.first, "/x", "", "Content-Length: 0"))
					res, _ := conn.hear(row.first)
					got = append(got, res.StatusCode)
				}
				conn.say(ok)
				res, _ := conn.hear("GET")
				got = append(got, res.StatusCode)
				go func() {
					_, _ = io.WriteString(conn, row.then) // it may be refused in the middle of it
					if row.half {
						_ = conn.Conn.(*net.TCPConn).CloseWrite()
					}
				}()
				if err := conn.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				for {
					res, err := http.ReadResponse(conn.br, nil)
					if err != nil {
						return got, errors.Is(err, os.ErrDeadlineExceeded)
					}
					got = append(got, res.StatusCode)
					if _, err := io.Copy(io.Discard, res.Body); err != nil {
						return got, errors.Is(err, os.ErrDeadlineExceeded)
					}
				}
			}
			slow, slowOpen := answers(s.slow)
			fast, fastOpen := answers(s.fast)
			if !slices.Equal(slow, fast) || slowOpen != fastOpen {
				t.Errorf("net/http: %v, open %v\nfast path: %v, open %v", slow, slowOpen, fast, fastOpen)
			}
		})
	}
}
