package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/internal/need"
)

// TestAnAppMovesOverByChangingTheBaseURL: the unmodified WorkOS SDK for Node makes an organization and a member, and
// the organization has its host at once.
func TestAnAppMovesOverByChangingTheBaseURL(t *testing.T) {
	t.Parallel()
	s := siteAt(t, "http://127.0.0.1:1", freePort(t))
	s.write(s.head(s.badger()) + s.globex())
	s.start()
	out, stderr, code := run(t, nil, "api-key", "create", "--config", s.file, "--name", "backend")
	if code != 0 {
		t.Fatalf("orgate api-key create: %d\n%s", code, stderr)
	}
	key := strings.Fields(out)[1]
	s.secrets.add(key)

	said := s.node(t, "workos.mjs", map[string]any{"key": key, "port": s.Management})
	var got struct {
		Organization string
		Events       []string
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	want := []string{
		"organization.created", "organization_domain.created", "organization_domain.verified", "organization_domain.created", "organization.updated",
		"organization_domain.created", "organization_domain.deleted",
		"organization_membership.created", "organization_membership.updated", "organization_membership.updated", "organization_membership.updated",
		"organization_role.created", "organization_role.updated",
	}
	if !slices.Equal(got.Events, want) {
		t.Errorf("events %q, want %q", got.Events, want)
	}
}

// node runs a script beside the packages that `make tools` puts at internal/e2e/node, and returns what it printed last.
func (s *site) node(t *testing.T, script string, settings any) string {
	t.Helper()
	node := need.Tool(t, "install Node.js 20 or later", "node")
	if _, err := os.Stat(filepath.Join("node", "node_modules", "@workos-inc", "node")); err != nil {
		need.Missing(t, "npm's @workos-inc/node", "make tools")
	}
	env, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join("node", script))
	cmd.Env = append(os.Environ(), "ORGATE_TEST_CLIENT="+string(env), "NODE_NO_WARNINGS=1")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

