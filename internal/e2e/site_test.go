package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// A site is an installation: a configuration, a data directory, an app, and the program
// running over them.
type site struct {
	t      *testing.T
	dir    string
	file   string // the configuration
	app    *app
	issuer string // of the provider that its organizations use, unless a test says otherwise

	Port, Management int
	Listen           string // address of the public listener
	secrets          *vault
	process          *process
}

// newSite returns an installation that is not running yet. Its provider is the certified
// one, which all sites share.
func newSite(t *testing.T) *site {
	t.Helper()
	issuer, port := certified(t)
	return siteAt(t, issuer, port)
}

// siteAt is newSite for a provider of the test's own.
func siteAt(t *testing.T, issuer string, port int) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), issuer: issuer, Port: port, Management: freePort(t), secrets: &vault{}, app: newApp(t)}
	s.Listen = fmt.Sprintf("127.0.0.1:%d", port)
	s.file = filepath.Join(s.dir, "orgate.yaml")
	s.secrets.add(clientSecret)
	t.Cleanup(func() {
		if s.process != nil {
			s.stop()
		}
		s.searchLog()
	})
	return s
}

// store is the line of the configuration that says where everything is kept.
func (s *site) badger() string { return fmt.Sprintf("store: { badger: { dir: %q } }", s.data()) }

func (s *site) data() string { return filepath.Join(s.dir, "data") }

// head is the configuration, all but the organizations. store is its line for the store.
func (s *site) head(store string) string {
	fast := map[bool]string{false: "on", true: "off"}[*slowPath]
	return fmt.Sprintf(`version: 1
listen: %q
public_url: http://login.localhost:%d
management: { listen: "127.0.0.1:%d" }
%s
log: { format: json, level: debug }
egress: { allow_loopback: true }
data_plane: { fast_path: %s }
roles:
  - { slug: admin, permissions: ["reports:read", "reports:delete"] }
  - { slug: member, permissions: ["reports:read"] }
default_role: member
apps:
  - name: app
    host: "{org}.localhost"
    upstream: %s
    routes:
      - { path: /public, access: public }
      - { path: "/public/**", access: public }
      - { path: /echo.css, access: public }
      - { path: "/admin/**", role: admin }
organizations:
`, s.Listen, s.Port, s.Management, store, fast, s.app.URL)
}

// acme is an organization whose people join as they come by its provider.
func (s *site) acme() string {
	return fmt.Sprintf(`  - slug: acme
    name: Acme Inc.
    domains: [{ name: acme.test, verified: true }]
    domain_policy: { methods: [sso] }
    jit: { sso: true }
    roles: { groups: [{ group: Admins, role: admin }] }
    connections:
      - { name: acme-idp, type: oidc, issuer: %q, client_id: orgate, client_secret: %s, scopes: [email, profile, groups], groups_claim: groups }
`, s.issuer, clientSecret)
}

// globex is an organization that nobody joins who was not made a member.
func (s *site) globex() string {
	return `  - slug: globex
    name: Globex Corporation
    domains: [{ name: globex.test, verified: true }]
`
}

// write puts a configuration in place as editors and Kubernetes do: by rename.
func (s *site) write(yaml string) {
	s.t.Helper()
	tmp := s.file + ".new"
	if err := os.WriteFile(tmp, []byte(yaml), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(tmp, s.file); err != nil {
		s.t.Fatal(err)
	}
}

// standard writes and starts a site with acme and globex.
func standard(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.write(s.head(s.badger()) + s.acme() + s.globex())
	s.start()
	return s
}

// A process is one run of the program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func (s *site) logFile() string { return filepath.Join(s.dir, "log") }

// start runs `orgate serve` and waits until it is ready.
func (s *site) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(context.Background(), binary, "serve", "--config", s.file)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its ProcessState
		close(p.done)
	}()
	s.process = p
	until(s.t, "ready", 30*time.Second, func() bool {
		select {
		case <-p.done:
			s.process = nil
			s.t.Fatalf("serve ended: %v\n%s", cmd.ProcessState, s.log())
		default:
		}
		return s.ready()
	})
}

func (s *site) ready() bool {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", s.Management), nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// metric returns the value that the program shows of one of its metrics, which has no labels.
func (s *site) metric(name string) float64 {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", s.Management), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for sc := bufio.NewScanner(resp.Body); sc.Scan(); {
		if value, is := strings.CutPrefix(sc.Text(), name+" "); is {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return v
		}
	}
	s.t.Fatalf("it shows no %s: %s", name, resp.Status)
	return 0
}

// stop ends the program as an operator would. It must drain and say that all is well.
func (s *site) stop() {
	s.t.Helper()
	p := s.process
	s.process = nil
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	select {
	case <-p.done:
	case <-time.After(40 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		s.t.Errorf("it did not stop when it was told to\n%s", s.tail())
		return
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		s.t.Errorf("it stopped with %v\n%s", p.cmd.ProcessState, s.tail())
	}
}

// kill ends the program as a power cut would.
func (s *site) kill() {
	s.t.Helper()
	p := s.process
	s.process = nil
	if err := p.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-p.done
}

func (s *site) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.process.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// log returns what all runs have written so far.
func (s *site) log() string {
	b, err := os.ReadFile(s.logFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(b)
}

func (s *site) tail() string {
	log := s.log()
	return log[max(0, len(log)-4000):]
}

// A line is one line of the log.
type line map[string]any

func (l line) get(key string) string {
	v, ok := l[key]
	if !ok {
		return ""
	}
	return fmt.Sprint(v)
}

// lines returns the lines of the log that match.
func (s *site) lines(match func(line) bool) (found []line) {
	s.t.Helper()
	sc := bufio.NewScanner(strings.NewReader(s.log()))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l line
		if json.Unmarshal(sc.Bytes(), &l) == nil && match(l) {
			found = append(found, l)
		}
	}
	return found
}

// logged is lines when there is one: what a client is answered with may be there before the line about it.
func (s *site) logged(match func(line) bool) (found []line) {
	s.t.Helper()
	until(s.t, "a line in the log", 10*time.Second, func() bool {
		found = s.lines(match)
		return len(found) > 0
	})
	return found
}

// searchLog fails the test if a secret is in the log, or a line that no machine can read.
func (s *site) searchLog() {
	s.t.Helper()
	log := s.log()
	for i, l := range strings.Split(strings.TrimSuffix(log, "\n"), "\n") {
		if l != "" && !json.Valid([]byte(l)) {
			s.t.Errorf("line %d of the log is not JSON: %s", i+1, l)
		}
	}
	if key, err := os.ReadFile(filepath.Join(s.data(), "secrets.key")); err == nil {
		s.secrets.add(string(bytes.TrimSpace(key)))
	}
	for _, secret := range s.secrets.all() {
		if i := strings.Index(log, secret); i >= 0 {
			from := strings.LastIndexByte(log[:i], '\n') + 1
			to := i + strings.IndexByte(log[i:]+"\n", '\n')
			s.t.Errorf("a secret is in the log: %.12s… in %s", secret, log[from:to])
		}
	}
	if s.t.Failed() {
		s.t.Logf("the end of the log:\n%s", s.tail())
	}
}

// origin returns the URL of a host under localhost.
func (s *site) origin(host string) string { return fmt.Sprintf("http://%s.localhost:%d", host, s.Port) }

// at returns the URL of a path on a tenant host.
func (s *site) at(org, path string) string { return s.origin(org) + path }

// member makes somebody a member by the command line; the program must be stopped.
func (s *site) member(org, email string) {
	s.t.Helper()
	if _, stderr, code := run(s.t, nil, "member", "add", "--config", s.file, "--org", org, "--email", email); code != 0 {
		s.t.Fatalf("orgate member add: %d\n%s", code, stderr)
	}
}

// backup returns a copy of the store, taken by the command line.
func (s *site) backup() []byte {
	s.t.Helper()
	out, stderr, code := run(s.t, nil, "backup", "--config", s.file)
	if code != 0 {
		s.t.Fatalf("orgate backup: %d\n%s", code, stderr)
	}
	return []byte(out)
}

// stored shows what is in the store, by way of a backup.
func (s *site) stored(see func(store.Tx) error) {
	s.t.Helper()
	e, err := badger.Open(badger.Options{InMemory: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	st := store.New(e, store.Options{})
	defer st.Close()
	if _, err := st.Restore(s.t.Context(), bytes.NewReader(s.backup())); err != nil {
		s.t.Fatal(err)
	}
	if err := st.View(s.t.Context(), see); err != nil {
		s.t.Fatal(err)
	}
}

// knows reports whether there is a user with the address, and of which organizations they
// are a member.
func (s *site) knows(email string) (is bool, orgs []string) {
	s.t.Helper()
	s.stored(func(tx store.Tx) error {
		is, orgs = false, nil
		u, err := tx.UserByEmail(email)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
		is = true
		for m, err := range tx.Memberships(u.ID) {
			if err != nil {
				return err
			}
			o, err := tx.Organization(m.Organization)
			if err != nil {
				return err
			}
			orgs = append(orgs, string(o.Slug))
		}
		return nil
	})
	return is, orgs
}
