package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
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
// the page on operations says, while both replicas read a changed file ten times and are restarted one after the other.
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
	yaml := func(s *site, comment int) string {
		return fmt.Sprintf("# %d\nlimits: { drain_delay: 3s }\n%s%s%s", comment, s.head(s.postgres(url)), s.acme(), s.globex())
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
				// Nobody sends a POST twice by himself: what is lost is seen.
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/work", one.Port), strings.NewReader("x"))
				if err != nil {
					t.Error(err)
					return
				}
				req.Host = fmt.Sprintf("acme.localhost:%d", one.Port)
				req.AddCookie(c)
				what := ""
				if resp, err := client.Do(req); err != nil {
					what = err.Error()
				} else {
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || resp.StatusCode != http.StatusOK || string(body) != "p27@acme.test" {
						what = fmt.Sprintf("%s %v: %.300s", resp.Status, err, body)
					}
				}
				if sent.Add(1); what != "" {
					lost.Add(1)
					first.CompareAndSwap(nil, &what)
				}
			}
		})
	}
	enough := func(n int64) func() bool { return func() bool { return sent.Load() >= n } }
	for i := range 10 {
		for _, s := range replicas {
			before := s.reloads()
			s.write(yaml(s, i+1))
			until(t, "reloaded", 20*time.Second, func() bool { return s.reloads() > before })
		}
	}
	for _, s := range replicas {
		s.stop()
		s.start()
		until(t, "more requests", time.Minute, enough(sent.Load()+500))
	}
	until(t, "10,000 requests", 2*time.Minute, enough(10_000))
	close(over)
	clients.Wait()
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
