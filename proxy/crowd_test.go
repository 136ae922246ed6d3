package proxy

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Thousands of requests of many people, of every kind and in every order, in pieces and many at once, beside somebody
// who sends nonsense: each gets the answer to what it asked, and is told to the app as who it is.
func TestEverybodyGetsTheirOwnAnswer(t *testing.T) {
	s := newStage(t, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	app := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Error("what comes after bad input is taken for a request")
		}
		body, _ := io.ReadAll(r.Body)
		asked := strings.Join([]string{r.Method, r.RequestURI, r.Header.Get("X-Unique"), r.Header.Get("X-User-Id")}, " ")
		rw.Header().Set("X-Asked", asked) // HEAD has no other answer
		answer := asked + " " + string(body)
		switch {
		case strings.Contains(r.RequestURI, "chunked"):
			for _, word := range strings.SplitAfter(answer, " ") {
				io.WriteString(rw, word)
				http.NewResponseController(rw).Flush()
			}
		case strings.Contains(r.RequestURI, "long"):
			rw.Header().Set("Content-Length", strconv.Itoa(len(answer)+100_000))
			io.WriteString(rw, answer+strings.Repeat(" ", 100_000))
		default:
			rw.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			io.WriteString(rw, answer)
		}
	}))
	t.Cleanup(app.Close)
	o := s.acme
	o.Upstreams = map[string]string{"app": app.URL}
	s.update(func(tx tx) error { return save(tx, o, s.world) })

	const people, each = 8, 400
	crowd := make([]*person, people)
	for i := range crowd {
		crowd[i] = s.person(fmt.Sprintf("p%d@acme.com", i), s.acme.ID)
	}
	t.Run("net/http", func(t *testing.T) {
		s.crowd(t, s.slow, crowd, each)
		if n := s.seen.fast(); n > 0 {
			t.Errorf("%d on the fast path", n)
		}
	})
	t.Run("the fast path", func(t *testing.T) {
		s.crowd(t, s.fast, crowd, each)
		if n := s.seen.fast(); n < people*each/2 {
			t.Errorf("%d of %d on the fast path", n, people*each)
		}
	})
}

// crowd has each of the people ask so many things over a connection, and a stranger send bad input meanwhile.
func (s *stage) crowd(t *testing.T, addr string, people []*person, each int) {
	var wg, mob sync.WaitGroup
	over := make(chan struct{})
	cookie := people[0].at(acmeHost, s.acme.ID)
	mob.Go(func() { s.annoy(t, addr, cookie, over) })
	defer mob.Wait()
	defer close(over)
	var next atomic.Int64
	for i, p := range people {
		c := p.at(acmeHost, s.acme.ID)
		conn := s.call(addr)
		conn.SetDeadline(time.Now().Add(60 * time.Second))
		rnd := rand.New(rand.NewPCG(uint64(i), 1))
		type asked struct {
			method, want, body string
			status             int
		}
		pending := make(chan asked, 64)
		wg.Go(func() {
			defer close(pending)
			var batch strings.Builder
			for n := range each {
				id := strconv.FormatInt(next.Add(1), 10)
				a := asked{method: "GET", status: 200}
				path, cookie, lines, body := "/r?"+id, c, []string{"X-Unique: " + id}, ""
				switch rnd.IntN(10) {
				case 0:
					a.method, body = "POST", "body of "+id
					lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
				case 1:
					path += "&chunked"
				case 2:
					path += "&long"
				case 3:
					a.status, cookie = 401, ""
				case 4:
					path = "/r;x?" + id // net/http's
				case 5:
					a.method = "HEAD"
				case 6:
					a.method, body = "PUT", strings.Repeat("large body of "+id+" ", 3000)
					lines = append(lines, fmt.Sprint("Content-Length: ", len(body)))
				}
				a.want, a.body = strings.Join([]string{a.method, path, id, string(p.user.ID)}, " "), body
				batch.WriteString(request(a.method, path, cookie, lines...) + body)
				pending <- a
				if rnd.IntN(3) > 0 && n < each-1 && batch.Len() < 100_000 && len(pending) < 16 {
					continue
				}
				text := batch.String()
				batch.Reset()
				for len(text) > 0 { // in pieces
					m := min(len(text), 1+rnd.IntN(len(text)))
					if _, err := io.WriteString(conn, text[:m]); err != nil {
						t.Error(err)
						return
					}
					text = text[m:]
				}
			}
		})
		wg.Go(func() {
			for a := range pending {
				res, err := http.ReadResponse(conn.br, &http.Request{Method: a.method})
				if err != nil {
					t.Errorf("%s: %v", a.want, err)
					conn.Close()
					for range pending { // nobody is answered any more
					}
					return
				}
				body, err := io.ReadAll(res.Body)
				got, want := strings.TrimRight(string(body), " "), strings.TrimRight(a.want+" "+a.body, " ")
				if a.method == "HEAD" {
					want = ""
				}
				asked := res.Header.Get("X-Asked")
				if err != nil || res.StatusCode != a.status || a.status == 200 && (got != want || asked != a.want) || a.status != 200 && asked != "" {
					t.Errorf("%d to %q: %.80q %v, want %d to %q", res.StatusCode, asked, got, err, a.status, a.want)
				}
			}
		})
	}
	wg.Wait()
}

// annoy sends the rows of bad input, each at least once, until it is over.
func (s *stage) annoy(t *testing.T, addr, cookie string, over <-chan struct{}) {
	for rows := badInput(cookie); ; {
		for name, row := range rows {
			if len(row.request) > 100_000 {
				continue // nobody else would get a word in
			}
			text := row.request + smuggled(cookie)
			if row.keeps {
				text = row.request + request("GET", "/end", cookie, "Connection: close")
			}
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, text) // it may be refused in the middle of it
			if _, err := io.Copy(io.Discard, c); isTimeout(err) {
				t.Errorf("%s: the connection goes on", name)
			}
			c.Close()
		}
		select {
		case <-over:
			return
		default:
		}
	}
}
