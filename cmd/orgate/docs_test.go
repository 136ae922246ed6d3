package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/orgate/orgate/config"
)

// Whoever copies a configuration from a page has one that works.
func TestEveryWholeConfigurationInTheDocsIsGood(t *testing.T) {
	pages := map[string]int{"../../README.md": 1, "../../docs/quickstart.md": 1, "../../docs/social.md": 1, "../../deploy/orgate.yaml": 1}
	block := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```")
	certificates := regexp.MustCompile(`(?m)^tls: \{.*\}.*$`) // of a machine that is not this one
	env := func(name string) (string, bool) { return "value of " + name, true }
	for page, want := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		blocks := [][]string{{"", string(b)}}
		if filepath.Ext(page) == ".md" {
			blocks = block.FindAllStringSubmatch(string(b), -1)
		}
		if len(blocks) != want {
			t.Errorf("%s has %d whole configurations, want %d", page, len(blocks), want)
		}
		for _, m := range blocks {
			text := certificates.ReplaceAllString(m[1], "")
			if !strings.HasSuffix(page, ".yaml") {
				text = strings.ReplaceAll(text, "./data", t.TempDir())
			}
			c, err := config.ReadBytes(page, []byte(text), env)
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			if len(c.Warnings) > 0 {
				t.Errorf("%s: %v", page, c.Warnings)
			}
		}
	}
}
