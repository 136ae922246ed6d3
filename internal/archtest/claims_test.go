package archtest

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestEveryTestThatTheSecurityPageNamesExists(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	grep := exec.CommandContext(t.Context(), "git", "grep", "-hoE", "^func (Test|Fuzz)[A-Za-z0-9]+", "--", "*_test.go")
	grep.Dir = "../.."
	out, err := grep.Output()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for name := range strings.Lines(string(out)) {
		there[strings.TrimSpace(strings.TrimPrefix(name, "func "))] = true
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("the page names %d tests: is it still the page?", len(named))
	}
	for _, m := range named {
		if !there[m[1]] {
			t.Errorf("docs/security.md names %s, which does not exist", m[1])
		}
	}
}
