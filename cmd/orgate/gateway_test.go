package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/config"
)

// A change that a reload can't put in force is said to be one, in the log and in the manual.
func TestWhatTakesEffectAtTheNextStartIsSaid(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	const least = "version: 1\npublic_url: http://login.localhost:8080\napps: [{ name: app, host: \"{org}.localhost\", upstream: \"http://127.0.0.1:3000\" }]\n"
	read := func(more string) *config.Config {
		t.Helper()
		c, err := config.ReadBytes("/etc/orgate/orgate.yaml", []byte(least+more), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for key, more := range map[string]string{
		"listen":      "listen: \":8081\"",
		"management":  "management: { listen: \"127.0.0.1:9091\" }",
		"store":       "store: { badger: { dir: elsewhere } }",
		"secrets_key": "secrets_key: 0123456789abcdef0123456789abcdef",
		"egress":      "egress: { allow: [10.0.0.0/8] }",
		"limits":      "limits: { grants: 2048 }",
		"log":         "log: { level: debug }",
	} {
		if got := needsRestart(read(""), read(more)); !slices.Equal(got, []string{key}) {
			t.Errorf("%s: %q", more, got)
		}
		if got := needsRestart(read(more), read(more)); len(got) > 0 {
			t.Errorf("%s, and no change: %q", more, got)
		}
		if _, list, _ := strings.Cut(string(manual), "bad one changes nothing"); !strings.Contains(strings.SplitN(list, "next start", 2)[0], "`"+key+"`") {
			t.Errorf("docs/operations.md does not say so of %s", key)
		}
	}
	if got := needsRestart(read(""), read("session: { idle: 1h }")); len(got) > 0 {
		t.Errorf("session: %q", got)
	}
}
