package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	// Mails wait in the queue: nobody listens there.
	ways := "sign_in: { methods: [email_code, password] }\nmail: { smtp: { host: 127.0.0.1, port: 1 }, from: login@example.com }\norganizations:\n"
	s.write(strings.Replace(s.head(s.badger()), "organizations:\n", ways, 1) + s.globex())
	s.start()
	key := s.apiKey()

	said := s.node(t, "workos.mjs", key)
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
		"organization_membership.updated", "group.created", "group.member_added", "group.deleted", "organization_membership.updated", "organization_membership.updated",
		"api_key.created", "api_key.revoked",
	} // those of the audit log are orgate's own, and listed for who asks by name
	if !slices.Equal(got.Events, want) {
		t.Errorf("events %q, want %q", got.Events, want)
	}
}

// node runs a script beside the packages that `make tools` puts at internal/e2e/node, and returns what it printed last.
// It is told more, too.
func (s *site) node(t *testing.T, script, key string, more ...map[string]any) string {
	t.Helper()
	out, err := s.nodeCommand(script, key, more...).Output()
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

func (s *site) nodeCommand(script, key string, more ...map[string]any) *exec.Cmd {
	s.t.Helper()
	node := need.Tool(s.t, "install Node.js 20 or later", "node")
	if _, err := os.Stat(filepath.Join("node", "node_modules", "@workos-inc", "node")); err != nil {
		need.Missing(s.t, "npm's @workos-inc/node", "make tools")
	}
	told := map[string]any{"key": key, "port": s.Management}
	for _, m := range more {
		maps.Copy(told, m)
	}
	env, err := json.Marshal(told)
	if err != nil {
		s.t.Fatal(err)
	}
	if !filepath.IsAbs(script) {
		script = filepath.Join("node", script)
	}
	cmd := exec.CommandContext(s.t.Context(), node, script)
	cmd.Env = append(os.Environ(), "ORGATE_TEST_CLIENT="+string(env), "KEY="+key, "NODE_NO_WARNINGS=1")
	cmd.Stderr = s.t.Output()
	return cmd
}

// TestTheExamplesOfTheAPIPageWork runs them as they are on the page, but for the port.
func TestTheExamplesOfTheAPIPageWork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	curl := need.Debian(t, "curl", "curl")
	s := siteAt(t, "http://127.0.0.1:1", freePort(t))
	s.write(s.head(s.badger()) + s.globex())
	s.start()
	key := s.apiKey()
	here := strings.NewReplacer("127.0.0.1:9090", fmt.Sprintf("127.0.0.1:%d", s.Management), "port: 9090", fmt.Sprintf("port: %d", s.Management))

	var answers []string
	for _, m := range regexp.MustCompile("(?s)```sh\n(curl .*?)```").FindAllStringSubmatch(string(page), -1) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", here.Replace(m[1])) // #nosec: it is our own page
		cmd.Env = []string{"KEY=" + key, "PATH=" + filepath.Dir(curl) + ":/bin:/usr/bin"}
		cmd.Stderr = t.Output()
		b, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, m[1])
		}
		answers = append(answers, string(b))
	}
	for i, want := range []string{`"slug":"acme-inc"`, `"email":"jo@acme.com"`, `"event":"user.created"`, `"email":"mo@acme.com"`, `"type":"totp"`} {
		if len(answers) != 5 || !strings.Contains(answers[i], want) {
			t.Fatalf("answers %q, want %s", answers, want)
		}
	}

	snippet := regexp.MustCompile("(?s)```js\n(.*?)```").FindStringSubmatch(string(page))
	if snippet == nil {
		t.Fatal("the page has no snippet")
	}
	dir := t.TempDir()
	modules, err := filepath.Abs(filepath.Join("node", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "snippet.mjs")
	if err := os.WriteFile(script, []byte(here.Replace(snippet[1])), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := s.node(t, script, key); said != "Globex Corporation 0" {
		t.Errorf("the snippet says %q", said)
	}
}

// TestWhatTheAPIChangesHoldsFromTheNextRequest: an organization has its host when the answer is there, and a member
// who was deactivated is out.
func TestWhatTheAPIChangesHoldsFromTheNextRequest(t *testing.T) {
	t.Parallel()
	s := standard(t)
	key := s.apiKey()
	call := func(method, path, body string) map[string]any {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", s.Management, path), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var fields map[string]any
		b, err := io.ReadAll(resp.Body)
		if err == nil && len(b) > 0 {
			err = json.Unmarshal(b, &fields)
		}
		if err != nil || resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, b, err)
		}
		return fields
	}
	status := func(host string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Listen+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = fmt.Sprintf("%s.localhost:%d", host, s.Port)
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := status("initech"); got != http.StatusNotFound {
		t.Errorf("before it is made: %d", got)
	}
	id := call("POST", "/organizations", `{"name":"Initech"}`)["id"].(string)
	if got := status("initech"); got == http.StatusNotFound {
		t.Error("its host is not there")
	}
	call("DELETE", "/organizations/"+id, "")
	if got := status("initech"); got != http.StatusNotFound {
		t.Errorf("when it is deleted: %d", got)
	}

	p := s.person(t, "p30")
	p.enter("acme", "/")
	if !p.isIn("acme") {
		t.Fatal("not in")
	}
	user := call("GET", "/user_management/users?email=p30@acme.test", "")["data"].([]any)[0].(map[string]any)["id"].(string)
	m := call("GET", "/user_management/organization_memberships?user_id="+user, "")["data"].([]any)[0].(map[string]any)["id"].(string)
	if n := len(call("GET", "/user_management/users/"+user+"/sessions", "")["data"].([]any)); n != 2 {
		t.Errorf("%d sessions, want that of the login host and that of acme", n)
	}
	call("PUT", "/user_management/organization_memberships/"+m+"/deactivate", "")
	if p.isIn("acme") {
		t.Error("deactivated, and still in")
	}
}
