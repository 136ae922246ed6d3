package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCertificatesAreReadWithTheirKeys(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"login", "portal", "shop"} {
		certificate(t, filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	}
	read := func(tls string) (*Config, error) {
		write(t, filepath.Join(dir, "orgate.yaml"), least+"tls:\n"+tls)
		return Read(filepath.Join(dir, "orgate.yaml"), noEnv)
	}
	pair := func(name string) Certificate {
		return Certificate{Path(filepath.Join(dir, name+".crt")), Path(filepath.Join(dir, name+".key"))}
	}
	for name, tc := range map[string]struct {
		tls  string
		want []Certificate
	}{
		"one":             {"  cert_file: login.crt\n  key_file: login.key\n", []Certificate{pair("login")}},
		"one and others":  {"  cert_file: login.crt\n  key_file: login.key\n  certificates:\n    - { cert_file: portal.crt, key_file: portal.key }\n    - { cert_file: shop.crt, key_file: shop.key }\n", []Certificate{pair("login"), pair("portal"), pair("shop")}},
		"in a list alone": {"  certificates: [{ cert_file: portal.crt, key_file: portal.key }]\n", []Certificate{pair("portal")}},
		"none, but ACME":  {"  acme: {}\n", nil},
		"one, and ACME":   {"  cert_file: login.crt\n  key_file: login.key\n  acme: { email: ops@example.com, directory_url: \"https://ca.test/dir\" }\n", []Certificate{pair("login")}},
	} {
		c, err := read(tc.tls)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := c.TLS.All(); !slices.Equal(got, tc.want) || len(c.Warnings) != 0 {
			t.Errorf("%s: %v, %v", name, got, c.Warnings)
		}
	}
	for name, tc := range map[string]struct{ tls, want string }{
		"no key":            {"  cert_file: login.crt\n", "tls needs cert_file and key_file"},
		"nothing":           {"  certificates: []\n", "tls needs cert_file and key_file"},
		"no certificate":    {"  key_file: login.key\n  certificates: [{ cert_file: portal.crt, key_file: portal.key }]\n", "tls needs cert_file and key_file"},
		"not there":         {"  certificates:\n    - { cert_file: shop.crt, key_file: shop.key }\n    - { cert_file: none.crt, key_file: shop.key }\n", ":8:20: the file "},
		"another's key":     {"  certificates:\n    - { cert_file: shop.crt, key_file: portal.key }\n", "cert_file and key_file are not a certificate and its key"},
		"no key, in a list": {"  certificates: [{ cert_file: shop.crt }]\n", "key_file"},
		"plain ACME":        {"  acme: { directory_url: \"http://ca.test/dir\" }\n", "directory_url is not the https URL"},
		"no address":        {"  acme: { email: \"Ops <ops@example.com>\" }\n", "email is not an e-mail address"},
		"no authority":      {"  acme: { ca_file: none.pem }\n", "none.pem does not exist"},
	} {
		if _, err := read(tc.tls); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(t, filepath.Join(dir, "orgate.yaml"), strings.ReplaceAll(least, "login.example.com", "login.example.org")+"tls: { cert_file: login.crt, key_file: login.key }\n")
	c, err := Read(filepath.Join(dir, "orgate.yaml"), noEnv)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "no certificate is for the login host login.example.org") {
		t.Errorf("a certificate for another host: %v, %v", c, err)
	}
	if err := os.Remove(filepath.Join(dir, "login.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(filepath.Join(dir, "orgate.yaml"), noEnv); err == nil || !strings.Contains(err.Error(), "key_file") {
		t.Errorf("without its key: %v", err)
	}
}
