package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// idpCertificate makes a certificate of a provider, in DER.
func idpCertificate(t *testing.T, bits int, end time.Time) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func asPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// idpMetadata is what a provider publishes.
func idpMetadata(entity string, der []byte, extra string) string {
	return fmt.Sprintf(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID=%q%s>
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/sso"/></IDPSSODescriptor></EntityDescriptor>`, entity, extra, base64.StdEncoding.EncodeToString(der))
}

// samlConfig reads a configuration with one SAML connection, which has these keys.
func samlConfig(t *testing.T, files map[string]string, keys string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	main := filepath.Join(dir, "orgate.yaml")
	write(t, main, least+"organizations:\n  - slug: acme\n    connections:\n      - name: adfs\n        type: saml\n"+keys)
	return Read(main, noEnv)
}

func TestASAMLProviderIsGivenInOneOfThreeWays(t *testing.T) {
	long := time.Now().AddDate(3, 0, 0).UTC().Truncate(time.Second)
	der, second := idpCertificate(t, 2048, long), idpCertificate(t, 2048, long)
	files := map[string]string{"idp.xml": idpMetadata("https://idp.test", der, ""), "idp.pem": asPEM(der), "both.pem": asPEM(der) + asPEM(second)}
	saml := func(keys string) *tenancy.SAMLConnection {
		t.Helper()
		c, err := samlConfig(t, files, keys)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 0 {
			t.Errorf("warnings: %v", c.Warnings)
		}
		return c.Organizations[0].Connections[0].SAML()
	}
	url := saml("        metadata_url: https://idp.test/metadata\n        entity_id: https://idp.test\n        sign_requests: true\n        idp_initiated: true\n        name_id: persistent\n        email_attribute: mail\n")
	if url.MetadataURL != "https://idp.test/metadata" || url.EntityID != "https://idp.test" || url.Provider != nil || !url.SignRequests || !url.IDPInitiated || url.Attributes.Email != "mail" || !strings.HasSuffix(url.NameIDFormat, ":persistent") {
		t.Errorf("by URL: %+v", url)
	}
	file := saml("        metadata_file: idp.xml\n")
	if p := file.Provider; file.MetadataURL != "" || p == nil || p.EntityID != "https://idp.test" || len(p.SSO) != 1 || p.SSO[0].URL != "https://idp.test/sso" || len(p.Certificates) != 1 || !p.Certificates[0].NotAfter.Equal(long) {
		t.Errorf("by file: %+v", file)
	}
	typed := saml("        entity_id: urn:idp\n        sso_url: https://idp.test/sso\n        slo_url: https://idp.test/slo\n        binding: post\n        certificates: [\"${file:idp.pem}\"]\n")
	if p := typed.Provider; p == nil || p.EntityID != "urn:idp" || p.SSO[0] != (tenancy.SAMLEndpoint{Binding: "post", URL: "https://idp.test/sso"}) || p.SLO[0].URL != "https://idp.test/slo" || len(p.Certificates) != 1 {
		t.Errorf("typed in: %+v", typed)
	}
	if p := saml("        entity_id: urn:idp\n        sso_url: https://idp.test/sso\n        certificates: [\"${file:both.pem}\"]\n").Provider; len(p.Certificates) != 2 || p.SSO[0].Binding != "redirect" || len(p.SLO) != 0 {
		t.Errorf("two certificates in one file: %+v", p)
	}
	if p := saml("        entity_id: urn:idp\n        sso_url: https://idp.test/sso\n        certificates: [\"${file:idp.pem}\", \"${file:both.pem}\"]\n").Provider; len(p.Certificates) < 2 {
		t.Errorf("certificates in two files: %+v", p)
	}
}

func TestFaultsOfASAMLConnectionSayWhatToDo(t *testing.T) {
	long := time.Now().AddDate(3, 0, 0)
	der := idpCertificate(t, 2048, long)
	curve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: long}
	odd, err := x509.CreateCertificate(rand.Reader, template, template, &curve.PublicKey, curve)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	good := idpMetadata("https://idp.test", der, "")
	files := map[string]string{
		"idp.xml": good, "idp.pem": asPEM(der), "odd.pem": asPEM(odd), "empty.pem": "", "key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key})),
		"broken.xml": good[:200], "html.xml": "<html><p>Sign in</p></html>", "empty.xml": "", "doctype.xml": "<!DOCTYPE x>" + good,
		"nocert.xml": strings.Replace(good, "<KeyDescriptor", "<Nothing", 1), "script.xml": strings.Replace(good, "https://idp.test/sso", "javascript:alert(1)", 1),
		"http.xml": strings.Replace(good, "https://idp.test/sso", "ftp://idp.test/sso", 1), "huge.xml": strings.Repeat(" ", 3<<20) + good,
	}
	typed := "        entity_id: urn:idp\n        sso_url: https://idp.test/sso\n"
	for name, tt := range map[string]struct{ keys, want string }{
		"no provider":                    {"", "does not say where its provider is"},
		"two ways":                       {"        metadata_url: https://idp.test/m\n        metadata_file: idp.xml\n", "metadata_url and metadata_file are given"},
		"three ways":                     {"        metadata_url: https://idp.test/m\n        metadata_file: idp.xml\n        sso_url: https://idp.test/sso\n", "metadata_url and metadata_file and sso_url are given"},
		"a URL and typed in":             {"        metadata_url: https://idp.test/m\n        sso_url: https://idp.test/sso\n", "metadata_url and sso_url are given"},
		"a URL and a certificate":        {"        metadata_url: https://idp.test/m\n        certificates: [\"${file:idp.pem}\"]\n", "certificates is for connections without metadata"},
		"a file and a place to sign out": {"        metadata_file: idp.xml\n        slo_url: https://idp.test/slo\n", "slo_url is for connections without metadata"},
		"a file and a binding":           {"        metadata_file: idp.xml\n        binding: post\n", "binding is for connections without metadata"},
		"a key of the other protocol":    {"        metadata_url: https://idp.test/m\n        issuer: https://idp.test\n", "issuer is for oidc, and this connection is saml"},
		"a client of the other protocol": {"        metadata_url: https://idp.test/m\n        client_id: x\n", "client_id is for oidc"},
		"typed in without a certificate": {typed, "has no certificates"},
		"typed in without an entity id":  {"        sso_url: https://idp.test/sso\n        certificates: [\"${file:idp.pem}\"]\n", "has no entity_id"},
		"a certificate that is none":     {typed + "        certificates: [\"hello\"]\n", "certificate"},
		"an empty certificate":           {typed + "        certificates: [\"${file:empty.pem}\"]\n", "certificate"},
		"a key in place of one":          {typed + "        certificates: [\"${file:key.pem}\"]\n", "certificate"},
		"a certificate of an odd curve":  {typed + "        certificates: [\"${file:odd.pem}\"]\n", "certificate"},
		"an empty list":                  {typed + "        certificates: []\n", "certificates"},
		"a script to sign in at":         {"        entity_id: urn:idp\n        sso_url: \"javascript:alert(1)\"\n        certificates: [\"${file:idp.pem}\"]\n", "sso_url"},
		"an empty entity id":             {"        entity_id: \"\"\n        sso_url: https://idp.test/sso\n        certificates: [\"${file:idp.pem}\"]\n", "entity_id"},
		"an empty URL to sign in at":     {"        entity_id: urn:idp\n        sso_url: \"\"\n        certificates: [\"${file:idp.pem}\"]\n", "sso_url"},
		"an empty metadata_url":          {"        metadata_url: \"\"\n", "metadata_url"},
		"an empty metadata_file":         {"        metadata_file: \"\"\n", "metadata_file"},
		"an unknown binding":             {typed + "        binding: artifact\n        certificates: [\"${file:idp.pem}\"]\n", "artifact"},
		"a transient name":               {"        metadata_url: https://idp.test/m\n        name_id: transient\n", "transient"},
		"a file that is not there":       {"        metadata_file: other.xml\n", "does not exist"},
		"half a file":                    {"        metadata_file: broken.xml\n", "is not the metadata of a SAML identity provider"},
		"HTML":                           {"        metadata_file: html.xml\n", "is not the metadata of a SAML identity provider"},
		"an empty file":                  {"        metadata_file: empty.xml\n", "empty.xml"},
		"a DOCTYPE":                      {"        metadata_file: doctype.xml\n", "is not the metadata of a SAML identity provider"},
		"metadata without a certificate": {"        metadata_file: nocert.xml\n", "is not the metadata of a SAML identity provider"},
		"metadata with a script":         {"        metadata_file: script.xml\n", "script.xml"},
		"metadata with another scheme":   {"        metadata_file: http.xml\n", "http.xml"},
		"metadata of another provider":   {"        metadata_file: idp.xml\n        entity_id: https://other.test\n", "is not the metadata of a SAML identity provider"},
		"metadata that is too long":      {"        metadata_file: huge.xml\n", "huge.xml"},
		"a provider at localhost":        {"        metadata_url: http://localhost:1234/m\n", "is at localhost"},
		"a URL that is none":             {"        metadata_url: \"file:///etc/passwd\"\n", "metadata_url"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := samlConfig(t, files, tt.keys)
			if err == nil {
				t.Fatalf("read: %+v", c.Organizations[0].Connections[0])
			}
			faults := faultsOf(err)
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("it says:\n%v", err)
			}
			if len(faults) > 2 {
				t.Errorf("%d faults:\n%v", len(faults), err)
			}
			for _, f := range faults {
				if f.Line < 5 || f.Column == 0 {
					t.Errorf("the fault has no place: %v", f)
				}
			}
			if strings.Contains(err.Error(), "goroutine") || len(err.Error()) > 2000 {
				t.Errorf("it says:\n%v", err)
			}
		})
	}
}

func TestMetadataThatHasEndedIsWarnedOfAndKeepsNobodyElseOut(t *testing.T) {
	der := idpCertificate(t, 2048, time.Now().AddDate(1, 0, 0))
	old := map[string]string{"idp.xml": idpMetadata("https://idp.test", der, ` validUntil="2020-01-02T00:00:00Z"`)}
	c, err := samlConfig(t, old, "        metadata_file: idp.xml\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].Message, "valid until 2020-01-02") {
		t.Errorf("warnings: %v", c.Warnings)
	}
	if p := c.Organizations[0].Connections[0].Provider; p == nil || p.ValidUntil.Year() != 2020 {
		t.Errorf("the provider is %+v", p)
	}
}

func TestAnotherMetadataFileIsAnotherConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	xml := filepath.Join(dir, "idp.xml")
	long := time.Now().AddDate(1, 0, 0)
	write(t, xml, idpMetadata("https://idp.test", idpCertificate(t, 2048, long), ""))
	write(t, filepath.Join(dir, "acme.yaml"), "slug: acme\nconnections: [{ name: adfs, type: saml, metadata_file: idp.xml }]\n")
	write(t, filepath.Join(dir, "orgate.yaml"), least+"organization_files: [acme.yaml]\n")
	w := watchDir(t, dir)
	before, err := w.reader.Read()
	if err != nil {
		t.Fatal(err)
	}
	digest := before.Organizations[0].sum
	next := idpCertificate(t, 2048, long)
	write(t, xml, idpMetadata("https://idp.test", next, ""))
	after := w.until("the new metadata", func(r result) bool {
		return r.err == nil && string(r.config.Organizations[0].Connections[0].Provider.Certificates[0].DER) == string(next)
	})
	if after.config.Organizations[0].sum == digest {
		t.Error("the organization's digest is the same: nobody would write it")
	}
	// A file that is broken is a fault, and then it is whole again.
	write(t, xml, "<html>")
	w.until("the fault", func(r result) bool { return r.err != nil && strings.Contains(r.err.Error(), "idp.xml") })
	write(t, xml, idpMetadata("https://idp.test", next, ""))
	w.until("the whole file", func(r result) bool { return r.err == nil })
}
