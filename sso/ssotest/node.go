package ssotest

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// A NodeConfig configures a provider from npm.
type NodeConfig struct {
	// Kind is the package: "oidc-provider" (the default), certified and strict, or
	// "oauth2-mock-server", which says yes to everything and lies as Claims tells it to.
	Kind string
	// Clients and People of oidc-provider. People type their Subject as the login name,
	// and anything as the password.
	Clients []Client
	People  []Person
	// AuthMethod of the clients at the token endpoint; empty: client_secret_basic.
	AuthMethod string
	// Lean has oidc-provider put e-mail and groups into userinfo alone.
	Lean bool

	// Claims are put into oauth2-mock-server's tokens; nil values are taken out.
	Claims map[string]any
	// Userinfo is its userinfo answer, if not nil.
	Userinfo map[string]any
}

// A NodeProvider is a provider from npm, running.
type NodeProvider struct{ Issuer string }

// StartNodeProvider starts a provider from npm on a free port of loopback, and ends it with
// the test. Where node or the packages are not there the test is skipped, loudly, or with
// REQUIRE_ALL=1 failed.
//
// The packages are looked for in ORGATE_NODE_MODULES or, if that is not set, in
// sso/ssotest/node/node_modules, where `make tools` puts them.
func StartNodeProvider(t TB, c NodeConfig) *NodeProvider {
	t.Helper()
	script := "op.mjs"
	if c.Kind == "" {
		c.Kind = "oidc-provider"
	}
	if c.Kind == "oauth2-mock-server" {
		script = "mock.mjs"
	}
	node, modules := nodeWith(t, c.Kind)
	source := filepath.Join(moduleRoot(t), "sso", "ssotest", "node")

	// Node finds packages beside the script alone, so script and packages are put side by side.
	dir, err := os.MkdirTemp("", "orgate-node-")
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program, err := os.ReadFile(filepath.Join(source, script))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, script), program, 0o600)
	}
	if err == nil {
		err = os.Symlink(modules, filepath.Join(dir, "node_modules"))
	}
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}

	cmd := exec.Command(node, filepath.Join(dir, script)) //nolint:noctx // ended by Cleanup, when the test's context is gone already
	cmd.Env = append(os.Environ(), "ORGATE_TEST_PROVIDER="+string(mustJSON(c.settings())), "NODE_NO_WARNINGS=1")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// The line comes when the port is open: nothing to poll, no port to race for.
	var started struct {
		Issuer string `json:"issuer"`
	}
	lines := bufio.NewScanner(stdout)
	for started.Issuer == "" {
		if !lines.Scan() {
			t.Fatalf("ssotest: %s ended before it listened", c.Kind)
		}
		_ = json.Unmarshal(lines.Bytes(), &started) // other lines are talk
	}
	go func() { _, _ = io.Copy(io.Discard, stdout) }()
	return &NodeProvider{Issuer: started.Issuer}
}

// nodeWith returns the program node and the directory that has an npm package, or skips the test.
func nodeWith(t TB, pkg string) (node, modules string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node", "install Node.js 20 or later")
	}
	modules = os.Getenv("ORGATE_NODE_MODULES")
	if modules == "" {
		modules = filepath.Join(moduleRoot(t), "sso", "ssotest", "node", "node_modules")
	}
	if modules, err = filepath.Abs(modules); err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	if _, err := os.Stat(filepath.Join(modules, pkg)); err != nil {
		missing(t, "npm's "+pkg, "make tools, or set ORGATE_NODE_MODULES")
	}
	return node, modules
}

// settings are what the scripts read.
func (c NodeConfig) settings() map[string]any {
	clients, people := []any{}, []any{}
	for _, x := range c.Clients {
		clients = append(clients, map[string]any{
			"id": x.ID, "secret": x.Secret, "redirectURIs": list(x.RedirectURIs), "postLogoutURIs": list(x.PostLogoutURIs),
			"backchannelLogoutURI": x.BackchannelLogoutURI, "authMethod": c.AuthMethod,
		})
	}
	for _, x := range c.People {
		claims := personClaims(x, "email profile")
		claims["sub"] = x.Subject
		people = append(people, claims)
	}
	claims := c.Claims
	if claims == nil {
		claims = map[string]any{}
	}
	return map[string]any{"clients": clients, "people": people, "lean": c.Lean, "cookieKey": random(), "claims": claims, "userinfo": c.Userinfo}
}

func list(s []string) []string { return append([]string{}, s...) }

// moduleRoot returns the directory of go.mod, above the test's own.
func moduleRoot(t TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			err = os.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	t.Fatalf("ssotest: no go.mod above the working directory: %v", err)
	return ""
}

// missing is need.Missing, without package testing.
func missing(t TB, what, get string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatalf("%s is not there, and REQUIRE_ALL=1: %s", what, get)
	}
	t.Skipf("SKIPPED: %s is not there: %s", what, get)
}
