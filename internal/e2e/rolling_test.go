package e2e

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/store/postgres/pgtest"
)

// TestNoRequestIsLostWhileReplicasReloadAndRestart: 10,000 requests and more of a signed-in person through HAProxy, set up as
// the page on operations says, while both replicas ten times read a file that has them reach the app over other connections, and are
// restarted one after the other.
func TestNoRequestIsLostWhileReplicasReloadAndRestart(t *testing.T) {
	t.Parallel()
	haproxy := need.Debian(t, "haproxy", "haproxy", "/usr/sbin/haproxy")
	url := pgtest.Start(t).URL()
	one := newSite(t)
	two := siteAt(t, one.issuer, one.Port)
	two.app, two.secrets = one.app, one.secrets
	one.Listen = fmt.Sprintf("127.0.0.2:%d", one.Port)
	two.Listen = fmt.Sprintf("127.0.0.3:%d", one.Port)
	replicas := []*site{one, two}
	// A connection that a request has kept from being closed with the others is closed when it has been idle; one that is in use is not.
	yaml := func(s *site, reload int) string {
		head := strings.Replace(s.head(s.postgres(url)), "    routes:\n", fmt.Sprintf("    timeouts: { idle: %ds }\n    routes:\n", 5+reload%2), 1)
		return fmt.Sprintf("limits: { drain_delay: 3s }\n%s%s%s", head, s.acme(), s.globex())
	}
	for _, s := range replicas {
		s.write(yaml(s, 0))
		s.start()
	}
	balance(t, haproxy, fmt.Sprintf("127.0.0.1:%d", one.Port), one, two)

	p := one.person(t, "p27")
	p.enter("acme", "/")
	c := p.cookie("acme")

	// Requests come from keep-alive connections without a pause, until everything has been restarted.
	var sent, lost atomic.Int64
	var first atomic.Pointer[string]
	over := make(chan struct{})
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			for {
				select {
				case <-over:
					return
				default:
				}
				n := sent.Add(1)
				if err := sendWork(t, client, one, c, p.email, n); err != nil {
					what := err.Error()
					lost.Add(1)
					first.CompareAndSwap(nil, &what)
				}
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(over)
		clients.Wait()
	})
	defer end() // also where the test gives up
	enough := func(n int64) func() bool { return func() bool { return sent.Load() >= n } }
	until(t, "requests", time.Minute, enough(500))
	for i := range 10 {
		old := one.app.open()
		if len(old) == 0 {
			t.Fatal("nothing is under way")
		}
		for _, s := range replicas {
			before := s.reloads()
			s.write(yaml(s, i+1))
			until(t, "reloaded", 20*time.Second, func() bool { return s.reloads() > before })
		}
		until(t, "all connections to the app are others", 30*time.Second, func() bool {
			now := one.app.open()
			maps.DeleteFunc(now, func(c net.Conn, _ struct{}) bool { _, is := old[c]; return !is })
			return len(now) == 0
		})
	}
	for _, s := range replicas {
		// What passes both ways has to have gone the one that is asked for.
		if fast := s.metric(fastRequests); *slowPath != (fast == 0) {
			t.Errorf("%s served %v requests on the fast path, and -slow-path is %v", s.Listen, fast, *slowPath)
		}
		s.stop()
		s.start()
		until(t, "more requests", time.Minute, enough(sent.Load()+500))
	}
	until(t, "10,000 requests", 2*time.Minute, enough(10_000))
	end()
	t.Logf("%d requests", sent.Load())
	if n := lost.Load(); n != 0 {
		t.Errorf("%d of %d requests were lost, the first by %s", n, sent.Load(), *first.Load())
	}
	// Each replica has served some, or the balancer had nothing to do.
	for _, s := range replicas {
		if n := len(s.lines(func(l line) bool { return l.get("msg") == "request" })); n < 1000 {
			t.Errorf("%s served %d requests", s.Listen, n)
		}
	}
}

// sendWork sends the nth request, of one of four kinds, and says what is wrong with what came of it.
func sendWork(t *testing.T, client *http.Client, s *site, c *http.Cookie, email string, n int64) error {
	method, length, size := http.MethodGet, int64(0), 0
	var body io.Reader
	text := ""
	switch n % 4 {
	case 1:
		size = 64 << 10
	case 2:
		method, text = http.MethodPost, strings.Repeat(fmt.Sprint(n), 1000)
		length, body = int64(len(text)), strings.NewReader(text)
	case 3: // orgate ends the connection with the answer, as it leaves to net/http where a body of chunks ends
		method, text, length = http.MethodPost, strings.Repeat(fmt.Sprint(n), 1000), -1
		body = io.MultiReader(strings.NewReader(text[:100]), strings.NewReader(text[100:]))
	}
	// What the client sends again by itself was lost all the same.
	tries := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { tries++ }})
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d/work?number=%d&size=%d", s.Port, n, size), body)
	if err != nil {
		return err
	}
	req.Host = fmt.Sprintf("acme.localhost:%d", s.Port)
	req.AddCookie(c)
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, req.URL, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %s, %d bytes, %w", method, req.URL, resp.Status, len(got), err)
	}
	if want := work(email, method, fmt.Sprint(n), length, text, size); resp.StatusCode != http.StatusOK || string(got) != want || tries != 1 {
		return fmt.Errorf("%s %s: %s after %d tries, %d bytes (want %d): %.300s", method, req.URL, resp.Status, tries, len(got), len(want), got)
	}
	return nil
}

// balance runs HAProxy before the two, with the example of docs/operations.md.
func balance(t *testing.T, haproxy, listen string, one, two *site) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```haproxy\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page has no example")
	}
	for _, r := range [][2]string{
		{"bind :80", "bind " + listen},
		{"one 10.0.0.1:8080 port 9090", fmt.Sprintf("one %s addr 127.0.0.1 port %d", one.Listen, one.Management)},
		{"two 10.0.0.2:8080 port 9090", fmt.Sprintf("two %s addr 127.0.0.1 port %d", two.Listen, two.Management)},
	} {
		if !strings.Contains(example, r[0]) {
			t.Fatalf("the example has no %q", r[0])
		}
		example = strings.Replace(example, r[0], r[1], 1)
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), haproxy, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	until(t, "HAProxy listens", 10*time.Second, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listen)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}
