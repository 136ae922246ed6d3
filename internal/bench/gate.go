package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A setup is a way in which orgate is run.
type setup struct {
	name          string // in the names of its subjects
	binary        string
	organizations int
	log           bool // of each request, to a pipe that is read and forgotten
	slow          bool // without the fast path
	certificate   certificate
	// signedIn is how many people are signed in to an organization before it is measured, by
	// rows in the store (see the command sessions).
	signedIn map[string]int
	quota    int    // requests a second of each organization; 0: no limit
	issuer   string // of the provider; empty: one is started, which signs in whoever comes
}

// A gate is orgate, ready.
type gate struct {
	endpoint
	setup
	dir     string
	port    string
	cookies map[string]string // files with a Cookie header's value a line, by organization
	took    time.Duration     // from its start until it was ready
}

// gate starts orgate on the first core and waits until it is ready.
func (y *yard) gate(ctx context.Context, s setup, upstream string) (*gate, error) {
	g := &gate{setup: s, cookies: map[string]string{}}
	var err error
	if g.dir, err = os.MkdirTemp(y.dir, "orgate-"); err != nil {
		return nil, err
	}
	if g.address, err = free(ctx); err != nil {
		return nil, err
	}
	if g.management, err = free(ctx); err != nil {
		return nil, err
	}
	_, g.port, _ = net.SplitHostPort(g.address)
	if g.issuer == "" {
		if g.issuer, err = y.provider(ctx, g.scheme()+"://login.localhost:"+g.port); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(g.file(), []byte(g.configuration(upstream)), 0o600); err != nil {
		return nil, err
	}
	if err := y.startGate(ctx, g); err != nil || len(s.signedIn) == 0 {
		return g, err
	}
	g.process.stop() // with the organizations in the store
	for organization, n := range s.signedIn {
		if err := y.signInByRows(ctx, g, organization, n); err != nil {
			return nil, err
		}
	}
	return g, y.startGate(ctx, g)
}

// startGate starts it, again maybe.
func (y *yard) startGate(ctx context.Context, g *gate) error {
	began := time.Now()
	var err error
	if g.process, err = y.start(ctx, subjectCore, g.management, g.binary, "serve", "--config", g.file()); err != nil {
		return err
	}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.management+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			g.took = time.Since(began)
			return nil
		}
	}
}

// signInByRows writes sessions to the store of a gate that is stopped.
func (y *yard) signInByRows(ctx context.Context, g *gate, organization string, n int) error {
	binary, err := y.programs.path(ctx, "sessions")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, "-dir", filepath.Join(g.dir, "data"), "-organization", organization, "-host", organization+".localhost", "-count", strconv.Itoa(n))
	var said bytes.Buffer
	cmd.Stderr = &said
	cookies, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("sessions: %w\n%s", err, said.String())
	}
	g.cookies[organization] = filepath.Join(g.dir, organization+".cookies")
	return os.WriteFile(g.cookies[organization], cookies, 0o600)
}

// cookie is that of the first who is signed in to the organization by a row.
func (g *gate) cookie(organization string) (string, error) {
	b, err := os.ReadFile(g.cookies[organization])
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(b), "\n")
	return first, nil
}

func (g *gate) file() string { return filepath.Join(g.dir, "orgate.yaml") }

func (g *gate) scheme() string {
	if g.certificate == (certificate{}) {
		return "http"
	}
	return "https"
}

// host is the organization's, with the port.
func (g *gate) host(organization string) string { return organization + ".localhost:" + g.port }

// configuration has the organizations acme and globex, whose people the provider signs in, and
// others that are there to be many.
func (g *gate) configuration(upstream string) string {
	level, fast, tls := "warn", "on", ""
	if g.log {
		level = "info"
	}
	if g.slow {
		fast = "off"
	}
	if g.certificate != (certificate{}) {
		tls = fmt.Sprintf("tls: { cert_file: %q, key_file: %q }", g.certificate.cert, g.certificate.key)
	}
	grants := 65_536 // the default
	for _, n := range g.signedIn {
		grants = max(grants, n+n/4)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `version: 1
listen: %q
public_url: %s://login.localhost:%s
management: { listen: %q, pprof: true }
%s
store: { badger: { dir: %q } }
egress: { allow_loopback: true }
limits: { grants: %d, idle_timeout: 10m, per_organization: { requests: %d } }
data_plane: { fast_path: %s }
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
`, g.address, g.scheme(), g.port, g.management, tls, filepath.Join(g.dir, "data"), grants, g.quota, fast, level, upstream)
	for _, slug := range []string{"acme", "globex"} {
		fmt.Fprintf(&b, `  - slug: %s
    domains: [{ name: %[1]s.test, verified: true }]
    domain_policy: { methods: [sso] }
    organization_policy: { methods: [sso] }
    jit: { sso: true }
    roles: { groups: [{ group: Admins, role: admin }] }
    connections: [{ name: idp, type: oidc, issuer: %q, client_id: orgate, client_secret: bench, groups_claim: groups }]
`, slug, g.issuer)
	}
	for i := range g.organizations - 2 {
		fmt.Fprintf(&b, "  - { slug: org%d, name: Organization %[1]d, domains: [{ name: org%[1]d.test, verified: true }], organization_policy: { methods: [sso] }, connections: [{ name: idp, type: oidc, issuer: \"https://idp.org%[1]d.test\", client_id: a, client_secret: b }] }\n", i)
	}
	return b.String()
}
