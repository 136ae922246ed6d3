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
		if r.Access != endpoint.APIKey {
			continue // what links of ours lead to is not for programs to call
		}
		summary, _ := c.paths[path].(map[string]any)[strings.ToLower(method)].(map[string]any)["summary"].(string)
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
