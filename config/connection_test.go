package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

// somePEM is a certificate that a provider may sign with.
func somePEM(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// What the YAML refuses of a connection is refused of whoever gives it otherwise, and nothing of theirs is expanded or read.
func TestAConnectionThatTheYAMLDoesNotGiveIsCheckedAsIfItDid(t *testing.T) {
	certificate := somePEM(t)
	oidc := func(f func(*Connection)) Connection {
		c := Connection{Name: "okta", Type: "oidc", Issuer: "https://acme.okta.com", ClientID: "orgate", ClientSecret: NewSecret("s")}
		f(&c)
		return c
	}
	saml := func(f func(*Connection)) Connection {
		c := Connection{Name: "adfs", Type: "saml", EntityID: "http://adfs.acme.com", SSOURL: "https://adfs.acme.com/ls", Certificates: []string{certificate}}
		f(&c)
		return c
	}
	nothing := func(*Connection) {}
	c := &Config{}
	for name, test := range map[string]struct {
		in   Connection
		want []string // fields with a fault
	}{
		"oidc":              {oidc(nothing), nil},
		"saml":              {saml(nothing), nil},
		"saml by metadata":  {Connection{Name: "adfs", Type: "saml", MetadataURL: "https://adfs.acme.com/metadata"}, nil},
		"no type":           {Connection{Name: "x"}, []string{"type"}},
		"bad name":          {oidc(func(c *Connection) { c.Name = "Okta!" }), []string{"name"}},
		"no name":           {oidc(func(c *Connection) { c.Name = "" }), []string{"name"}},
		"no issuer":         {oidc(func(c *Connection) { c.Issuer = "" }), []string{"issuer"}},
		"http":              {oidc(func(c *Connection) { c.Issuer = "http://acme.okta.com" }), []string{"issuer"}},
		"localhost":         {oidc(func(c *Connection) { c.Issuer = "http://localhost:8080" }), []string{"issuer"}},
		"a port":            {oidc(func(c *Connection) { c.Issuer = "https://acme.okta.com:6379" }), []string{"issuer"}},
		"a query":           {oidc(func(c *Connection) { c.Issuer = "https://acme.okta.com?x" }), []string{"issuer"}},
		"no client":         {oidc(func(c *Connection) { c.ClientID = "" }), []string{"client_id"}},
		"control character": {oidc(func(c *Connection) { c.ClientID = "a\nb" }), []string{"client_id"}},
		"a bad scope":       {oidc(func(c *Connection) { c.Scopes = []string{"a b"} }), []string{"scopes[0]"}},
		"another protocol":  {oidc(func(c *Connection) { c.SSOURL = "https://x.test" }), []string{"sso_url"}},
		"saml and oidc":     {saml(func(c *Connection) { c.ClientSecret = NewSecret("s") }), []string{"client_secret"}},
		"a file":            {saml(func(c *Connection) { c.MetadataFile = "/etc/passwd" }), []string{"metadata_file"}},
		"${file:…}":         {saml(func(c *Connection) { c.Certificates = []string{"${file:/etc/passwd}"} }), []string{"certificates[0]"}},
		"no certificate":    {saml(func(c *Connection) { c.Certificates = nil }), []string{"certificates"}},
		"no entity id":      {saml(func(c *Connection) { c.EntityID = "" }), []string{"entity_id"}},
		"no provider":       {Connection{Name: "adfs", Type: "saml"}, []string{"metadata_url"}},
		"both":              {saml(func(c *Connection) { c.MetadataURL = "https://adfs.acme.com/metadata" }), []string{"certificates", "sso_url"}},
		"binding":           {saml(func(c *Connection) { c.Binding = "artifact" }), []string{"binding"}},
		"name id":           {saml(func(c *Connection) { c.NameID = "transient" }), []string{"name_id"}},
		"metadata here":     {Connection{Name: "adfs", Type: "saml", MetadataURL: "https://127.0.0.1/metadata"}, []string{"metadata_url"}},
	} {
		out, faults := c.CheckConnection(test.in)
		var got []string
		for _, f := range faults {
			got = append(got, f.Field)
			if strings.Contains(f.Message, "passwd") || f.Message == "" {
				t.Errorf("%s: %s", name, f.Message)
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: faults %q, want %q: %v", name, got, test.want, faults)
		}
		if len(faults) == 0 && out.Type == "saml" && out.MetadataURL == "" && (out.Provider == nil || len(out.Provider.Certificates) != 1) {
			t.Errorf("%s: provider %+v", name, out.Provider)
		}
		if s := fmt.Sprintf("%v %#v", out.ClientSecret, out.ClientSecret); strings.Contains(s, "s}") {
			t.Errorf("the secret is shown: %s", s)
		}
	}
	if out, _ := c.CheckConnection(oidc(nothing)); !slices.Equal(out.Scopes, []string{"email", "profile"}) || out.Settings("org_1").OIDC.Issuer != "https://acme.okta.com" {
		t.Errorf("%+v", out.Settings("org_1"))
	}
}
