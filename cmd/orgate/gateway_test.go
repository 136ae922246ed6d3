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
	said := map[string]string{}
	for page, around := range map[string][2]string{
		"../../docs/operations.md":    {"bad one changes nothing", "next start"},
		"../../docs/configuration.md": {"is not written again.", "at the start alone"},
	} {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(b), around[0])
		said[page], _, _ = strings.Cut(after, around[1])
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
		for page, list := range said {
			if !strings.Contains(list, "`"+key+"`") {
				t.Errorf("%s does not say so of %s", page, key)
			}
		}
	}
	if got := needsRestart(read(""), read("session: { idle: 1h }")); len(got) > 0 {
		t.Errorf("session: %q", got)
	}
}
