package main

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/sso/ssotest"
)

// Whoever copies a configuration from a page has one that works.
func TestEveryWholeConfigurationInTheDocsIsGood(t *testing.T) {
	pages := map[string]int{"../../README.md": 1, "../../docs/quickstart.md": 1, "../../docs/social.md": 1, "../../docs/saml.md": 1, "../../docs/authorization.md": 1, "../../deploy/orgate.yaml": 1}
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

// Whoever copies the connection of a SAML provider, too: what is on the page fits into an organization.
func TestEveryConnectionInTheDocsOfSAMLIsGood(t *testing.T) {
	b, err := os.ReadFile("../../docs/saml.md")
	if err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile("(?s)```yaml\n(version: 1\n.*?)```").FindSubmatch(b)
	blocks := regexp.MustCompile("(?s)```yaml\n(connections:\n.*?)```").FindAllSubmatch(b, -1)
	if whole == nil || len(blocks) < 8 {
		t.Fatalf("%d connections: is it still the page?", len(blocks))
	}
	idp, err := ssotest.NewSAML(ssotest.SAMLOptions{EntityID: "https://idp.acme.com"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: idp.Certificate()})
	for name, content := range map[string][]byte{"acme-google.xml": idp.Metadata(), "idp.pem": certificate} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	organization, _, found := strings.Cut(string(whole[1]), "    connections:\n")
	if !found {
		t.Fatal("the whole configuration does not end with its connections")
	}
	for _, m := range blocks {
		text := organization + "    " + strings.TrimSuffix(strings.ReplaceAll(string(m[1]), "\n", "\n    "), "    ")
		file := filepath.Join(dir, "orgate.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.NewReader(file, os.LookupEnv).Read()
		if err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if len(c.Warnings) > 0 {
			t.Errorf("%v\n%s", c.Warnings, text)
		}
		conn := c.Organizations[0].Connections[0]
		if conn.Type != "saml" || !strings.Contains(string(b), "/sso/saml/acme."+conn.Name+"/acs") && conn.Name != "other" && conn.Name != "shibboleth" {
			t.Errorf("the page does not say which addresses %s has", conn.Name)
		}
	}
}
