package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// A yard is where the subjects and the upstream run.
type yard struct {
	dir       string
	processes []*process
	providers []*http.Server
}

// A process is a program that was started here, and its children.
type process struct {
	dir  string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

const luaReport = `done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, e.status + e.connect + e.read + e.write + e.timeout, summary.duration, latency:percentile(50), latency:percentile(99)))
end
`

// An opening keeps the first of what is written to it: a program that does not start says why, and a line for
// each of millions of requests must not fill the memory.
type opening struct{ kept bytes.Buffer }

// Write implements [io.Writer].
func (o *opening) Write(b []byte) (int, error) {
	o.kept.Write(b[:min(len(b), max(64<<10-o.kept.Len(), 0))])
	return len(b), nil
}

// start runs a program pinned to a core and waits until it listens.
func (y *yard) start(ctx context.Context, core int, address string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core)}, args...)...)
	var said opening
	cmd.Stderr = &said // a pipe, as it is where programs run in containers
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{dir: y.dir, cmd: cmd, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // what it said is shown, if it was not told to end
		close(p.gone)
	}()
	y.processes = append(y.processes, p)
	for wait := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-p.gone:
			return nil, fmt.Errorf("%s ended:\n%s", args[0], said.kept.String())
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-wait.C:
			if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
				wait.Stop()
				return p, c.Close()
			}
		}
	}
}

func (y *yard) close() {
	for _, p := range y.processes {
		_ = p.cmd.Process.Signal(os.Interrupt) // it has gone, if this fails
	}
	for _, s := range y.providers {
		_ = s.Close()
	}
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // it has gone, if this fails
	<-p.gone
}

// rss is the resident memory of the process.
func (p *process) rss() int64 { return p.memory("status", "VmRSS:") }

// pids are the process and its children.
func (p *process) pids() []int {
	pids := []int{p.cmd.Process.Pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
	if err != nil {
		return pids
	}
	for s := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(s); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cpu is what the process and its children have used, by the kernel's accounting.
func (p *process) cpu() time.Duration {
	var ticks int64
	for _, pid := range p.pids() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(rest)
		for _, s := range f[11:13] { // utime, stime
			n, _ := strconv.ParseInt(s, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // CLK_TCK is 100
}

// pss is the memory of the process and its children, shared pages divided.
func (p *process) pss() int64 { return p.memory("smaps_rollup", "Pss:") }

// memory adds up a line of a file of /proc, in bytes.
func (p *process) memory(file, line string) int64 {
	var kib int64
	for _, pid := range p.pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(l, line); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				kib += n
			}
		}
	}
	return kib << 10
}

// nginx runs one with a server block.
func (y *yard) nginx(ctx context.Context, core int, name, address, block string) (*process, error) {
	dir := filepath.Join(y.dir, name)
	if err := os.MkdirAll(filepath.Join(dir, "www"), 0o755); err != nil {
		return nil, err
	}
	for _, under := range []string{"", "public", "rule"} {
		if err := os.MkdirAll(filepath.Join(dir, "www", under), 0o755); err != nil {
			return nil, err
		}
		for name, size := range map[string]int{"1k": 1 << 10, "64k": 64 << 10} {
			if err := os.WriteFile(filepath.Join(dir, "www", under, name), bytes.Repeat([]byte("x"), size), 0o644); err != nil {
				return nil, err
			}
		}
	}
	conf := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 100000000; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  %[2]s
}`, dir, block)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	return y.start(ctx, core, address, "nginx", "-p", dir, "-c", file)
}

// upstream is nginx answering 1 KiB from memory, on wrk's core.
func (y *yard) upstream(ctx context.Context) (string, error) {
	if err := os.WriteFile(filepath.Join(y.dir, "report.lua"), []byte(luaReport), 0o644); err != nil {
		return "", err
	}
	address, err := free(ctx)
	if err != nil {
		return "", err
	}
	_, err = y.nginx(ctx, 1, "upstream", address, fmt.Sprintf(`open_file_cache max=10; server { listen %s reuseport; root %s/upstream/www; }`, address, y.dir))
	return address, err
}

// provider is an identity provider that signs in whoever comes.
func (y *yard) provider(ctx context.Context, login string) (issuer string, err error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	issuer, verified := "http://"+l.Addr().String(), true
	p, err := ssotest.New(ssotest.Options{Issuer: issuer, Clients: []ssotest.Client{{ID: "orgate", Secret: "bench", RedirectURIs: []string{login + "/sso/oidc/callback"}}},
		People: []ssotest.Person{{Subject: "1", Email: "jo@acme.test", EmailVerified: &verified, Name: "Jo", Groups: []string{"Admins"}}}})
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: p, ReadHeaderTimeout: 5 * time.Second}
	y.providers = append(y.providers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			slog.ErrorContext(ctx, "provider", "cause", err) //nolint:sloglint // a program of its own, for a person at a terminal
		}
	}()
	return issuer, nil
}

// signIn returns the Cookie header of a session.
func signIn(ctx context.Context, to string) (string, error) {
	b := ssotest.NewBrowser()
	page, err := b.Get(ctx, to)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	page, err = b.Drive(ctx, page, map[string]string{"email": "jo@acme.test"}, func(p *ssotest.Page) bool { return p.URL.Host == u.Host && p.Status == http.StatusOK })
	if err != nil {
		return "", err
	}
	if page.URL.Host != u.Host || page.Status != http.StatusOK {
		return "", fmt.Errorf("sign-in ended at %s with %d: %s", page.URL, page.Status, page.Title)
	}
	var cookies []string
	for _, c := range b.Jar.Cookies(u) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	return "Cookie: " + strings.Join(cookies, "; "), nil
}

func configuration(o options, g *running, level, extra, upstream, issuer, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
listen: %q
public_url: %s://login.localhost:%s
management: { listen: %q, pprof: true }
%s
store: { badger: { dir: %q } }
egress: { allow_loopback: true }
log: { level: %s }
roles: [{ slug: admin }, { slug: member }]
apps:
  - name: app
    host: "{org}.localhost"
    upstream: http://%s
    routes:
      - { path: /public/**, access: public }
      - { path: /rule/**, role: admin, when: 'member.role == "admin" && request.method == "GET"' }
organizations:
  - slug: acme
    domains: [{ name: acme.test, verified: true }]
    domain_policy: { methods: [sso] }
    organization_policy: { methods: [sso] }
    jit: { sso: true }
    roles: { groups: [{ group: Admins, role: admin }] }
    connections: [{ name: idp, type: oidc, issuer: %q, client_id: orgate, client_secret: bench, groups_claim: groups }]
`, net.JoinHostPort("127.0.0.1", g.port), g.scheme, g.port, g.management, extra, filepath.Join(dir, "data"), level, upstream, issuer)
	for i := range o.organizations - 1 {
		fmt.Fprintf(&b, "  - { slug: org%d, name: Organization %[1]d, domains: [{ name: org%[1]d.test, verified: true }], organization_policy: { methods: [sso] }, connections: [{ name: idp, type: oidc, issuer: \"https://idp.org%[1]d.test\", client_id: a, client_secret: b }] }\n", i)
	}
	return b.String()
}

func free(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
