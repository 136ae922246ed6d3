package api_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/orgate/orgate/internal/endpoint"
)

var update = flag.Bool("update", false, "write what is made from code")

// ours is what the operations do that the reference does not have.
var ours = map[string]string{
	"POST /orgate/v1/authorization/check":                        "Check a member by role, permission, condition, or the route rules of an app",
	"POST /orgate/v1/organizations/{organizationId}/connections": "Create a connection, if the configuration gives none of the organization's",
	"POST /orgate/v1/webhook_endpoints/{id}/redeliver":           "Send events to a Webhook Endpoint again",
}

// The table of operations in the manual is made from the routes and the reference.
func TestTheManualHasTheOperationsThatAreThere(t *testing.T) {
	const file, mark = "../docs/api.md", "<!-- made by scripts/generate -->\n"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(page), mark)
	if !ok {
		t.Fatalf("%s has no %q", file, mark)
	}
	var b strings.Builder
	b.WriteString(before + mark + "\n| operation | does |\n|---|---|\n")
	c := reference(t)
	for _, r := range newWorld(t).api.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if r.Access == endpoint.Link {
			continue // what links of ours lead to is not for programs to call
		}
		item, _ := c.paths[path].(map[string]any)
		op, _ := item[strings.ToLower(method)].(map[string]any)
		summary, _ := op["summary"].(string)
		if summary == "" {
			summary = ours[r.Pattern]
		}
		if summary == "" {
			t.Errorf("nobody says what %s does", r.Pattern)
		}
		if method != "GET" && (strings.HasPrefix(path, "/authorization/roles") || strings.HasPrefix(path, "/authorization/permissions")) {
			summary += ", if the configuration gives no roles"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Pattern, summary)
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(page) != b.String() {
		t.Errorf("%s is not as it would be made: run scripts/generate", file)
	}
}
