package saml

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	crewjam "github.com/crewjam/saml"
	gosaml2 "github.com/russellhaering/gosaml2/types"

	"github.com/orgate/orgate/sso/ssotest"
)

// published is metadata with these parts in its role.
func published(attributes, role string) string {
	return `<md:EntityDescriptor xmlns:md="` + nsMetadata + `" xmlns:ds="` + nsSignature + `" entityID="https://idp.test/saml"` + attributes + `>` +
		`<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:1.1:protocol ` + nsProtocol + `" WantAuthnRequestsSigned="true">` + role + `</md:IDPSSODescriptor></md:EntityDescriptor>`
}

func keyDescriptor(use string, der []byte) string {
	// Wrapped as providers do.
	var b strings.Builder
	for i, c := range base64.StdEncoding.EncodeToString(der) {
		if i%64 == 0 {
			b.WriteString("\n      ")
		}
		b.WriteRune(c)
	}
	return `<md:KeyDescriptor` + use + `><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + b.String() + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
}

const (
	sso = `<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:SOAP" Location="https://idp.test/soap"/>` +
		`<md:SingleSignOnService Binding="` + bindingPost + `" Location="https://idp.test/post"/>` +
		`<md:SingleSignOnService Binding="` + bindingRedirect + `" Location="https://idp.test/redirect?a=b"/>`
	slo = `<md:SingleLogoutService Binding="` + bindingPost + `" Location="https://idp.test/slo" ResponseLocation="https://idp.test/slo/done"/>`
)

func certificate(t testing.TB, public, private any) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestAProvidersMetadataIsRead(t *testing.T) {
	r := newRig(t)
	cert := r.c.IDP.Certificates[0]
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second := certificate(t, &ec.PublicKey, ec)
	document := "\ufeff" + `<?xml version="1.0" encoding="utf-8"?><!-- a comment, with <tags> in it -->` + "\n" +
		published(` validUntil="`+r.now.Add(time.Hour).Format(time.RFC3339)+`" cacheDuration="PT1H" ID="_x"`,
			keyDescriptor(` use="signing"`, cert)+keyDescriptor("", second)+keyDescriptor(` use="signing"`, cert)+keyDescriptor(` use="encryption"`, ours().Certificate)+slo+sso)
	p, err := ParseMetadata([]byte(document), "", r.now)
	if err != nil {
		t.Fatal(err)
	}
	if p.EntityID != "https://idp.test/saml" || !p.WantSigned || !p.ValidUntil.Equal(r.now.Add(time.Hour)) ||
		!slices.Equal(p.SSO, []Endpoint{{Binding: Post, URL: "https://idp.test/post"}, {Binding: Redirect, URL: "https://idp.test/redirect?a=b"}}) ||
		!slices.Equal(p.SLO, []Endpoint{{Binding: Post, URL: "https://idp.test/slo", ResponseURL: "https://idp.test/slo/done"}}) ||
		len(p.Certificates) != 2 || !bytes.Equal(p.Certificates[0], cert) || !bytes.Equal(p.Certificates[1], second) {
		t.Errorf("%+v", p)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
	record, err := p.Record()
	first, err2 := x509.ParseCertificate(cert)
	if err != nil || err2 != nil || len(record.Certificates) != 2 || !record.Certificates[0].NotAfter.Equal(first.NotAfter) {
		t.Errorf("%+v %v %v", record, err, err2)
	}
	// Of several entities, the one that was named.
	one := published("", sso+keyDescriptor("", cert))
	sp := `<md:EntityDescriptor entityID="https://sp.test"><md:SPSSODescriptor protocolSupportEnumeration="` + nsProtocol + `"/></md:EntityDescriptor>`
	many := `<md:EntitiesDescriptor xmlns:md="` + nsMetadata + `">` + sp + `<md:EntitiesDescriptor>` + one + strings.Replace(one, "idp.test/saml", "idp.test/other", 1) + `</md:EntitiesDescriptor></md:EntitiesDescriptor>`
	if p, err := ParseMetadata([]byte(many), "https://idp.test/other", r.now); err != nil || p.EntityID != "https://idp.test/other" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, name := range []string{"", "https://sp.test", "https://idp.test/none"} {
		if _, err := ParseMetadata([]byte(many), name, r.now); code(t, err) != CodeMetadataEntity {
			t.Errorf("%q: %v", name, err)
		}
	}
	// What the provider of the tests publishes.
	if p, err := ParseMetadata(r.idp.Metadata(), "", r.now); err != nil || p.EntityID != r.idp.EntityID() || len(p.SSO) != 2 || len(p.SLO) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestMetadataThatIsRefused(t *testing.T) {
	r := newRig(t)
	key := keyDescriptor("", r.c.IDP.Certificates[0])
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		document string
		want     Code
	}{
		"nothing":                 {"", CodeMetadata},
		"HTML":                    {"<!DOCTYPE html><html><body>Not found</body></html>", CodeMetadata},
		"HTML without a doctype":  {"<html><body>Not found</body></html>", CodeMetadata},
		"JSON":                    {`{"error":"x"}`, CodeMetadata},
		"an entity bomb":          {`<!DOCTYPE x [<!ENTITY a "b">]>` + published("", sso+key), CodeMetadata},
		"an instruction":          {`<?x y?>` + published("", sso+key), CodeMetadata},
		"too large":               {published("", sso+key) + strings.Repeat(" ", maxMetadata), CodeTooLarge},
		"another namespace":       {strings.ReplaceAll(published("", sso+key), nsMetadata, "urn:x"), CodeMetadata},
		"SAML 1.1 only":           {strings.Replace(published("", sso+key), nsProtocol, "urn:x", 1), CodeMetadataEntity},
		"no entity id":            {strings.Replace(published("", sso+key), `entityID="https://idp.test/saml"`, "", 1), CodeMetadata},
		"entity id with spaces":   {strings.Replace(published("", sso+key), `"https://idp.test/saml"`, `" https://idp.test/saml"`, 1), CodeMetadata},
		"no certificate":          {published("", sso), CodeCertificate},
		"only for encryption":     {published("", sso+keyDescriptor(` use="encryption"`, r.c.IDP.Certificates[0])), CodeCertificate},
		"no X.509":                {published("", sso+keyDescriptor("", []byte("x"))), CodeCertificate},
		"not base64":              {published("", sso+strings.Replace(key, "MII", "%%%", 1)), CodeCertificate},
		"a short key":             {published("", sso+keyDescriptor("", certificate(t, &short.PublicKey, short))), CodeCertificate},
		"a short key besides":     {published("", sso+key+keyDescriptor("", certificate(t, &short.PublicKey, short))), CodeCertificate},
		"no sign-in URL":          {published("", key), CodeMetadata},
		"a script":                {published("", key+strings.ReplaceAll(sso, "https://idp.test/post", "javascript:alert(1)")), CodeMetadata},
		"a file":                  {published("", key+sso+strings.ReplaceAll(slo, "https://idp.test/slo/done", "file:///etc/passwd")), CodeMetadata},
		"expired":                 {published(` validUntil="`+r.now.Format(time.RFC3339)+`"`, sso+key), CodeMetadataExpired},
		"expired role":            {strings.Replace(published("", sso+key), "<md:IDPSSODescriptor ", `<md:IDPSSODescriptor validUntil="2020-01-01T00:00:00Z" `, 1), CodeMetadataExpired},
		"expired sometime":        {published(` validUntil="soon"`, sso+key), CodeMetadata},
		"two roles":               {strings.Replace(published("", sso+key), "</md:EntityDescriptor>", `<md:IDPSSODescriptor protocolSupportEnumeration="`+nsProtocol+`"/></md:EntityDescriptor>`, 1), CodeMetadata},
		"an expired group around": {`<md:EntitiesDescriptor xmlns:md="` + nsMetadata + `" validUntil="2020-01-01T00:00:00Z">` + published("", sso+key) + `</md:EntitiesDescriptor>`, CodeMetadataExpired},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParseMetadata([]byte(tc.document), "", r.now)
			if got := code(t, err); got != tc.want || p.EntityID != "" || p.Certificates != nil {
				t.Errorf("%q, want %q: %v", got, tc.want, err)
			}
		})
	}
}

func TestOurMetadataIsReadByOthers(t *testing.T) {
	r := newRig(t)
	newer, err := NewKey("newer", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r.c.Keys = append(r.c.Keys, newer)
	r.c.SignRequests = true
	b, err := r.c.Metadata(r.now)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := parse(b, false); err != nil || !is(d.root, nsMetadata, "EntityDescriptor") {
		t.Fatalf("%v\n%s", err, b)
	}
	var one crewjam.EntityDescriptor
	if err := xml.Unmarshal(b, &one); err != nil {
		t.Fatal(err)
	}
	sp := one.SPSSODescriptors[0]
	uses := map[string]int{}
	for _, k := range sp.KeyDescriptors {
		uses[k.Use]++
	}
	if one.EntityID != rigEntityID || !*sp.AuthnRequestsSigned || !*sp.WantAssertionsSigned || uses["signing"] != 2 || uses["encryption"] != 2 ||
		sp.AssertionConsumerServices[0].Location != rigACS || sp.AssertionConsumerServices[0].Binding != bindingPost || len(sp.SingleLogoutServices) != 2 || len(sp.NameIDFormats) != 3 || !one.ValidUntil.IsZero() {
		t.Errorf("%+v", sp)
	}
	var two gosaml2.EntityDescriptor
	if err := xml.Unmarshal(b, &two); err != nil || two.EntityID != rigEntityID || two.SPSSODescriptor == nil || len(two.SPSSODescriptor.AssertionConsumerServices) != 1 || len(two.SPSSODescriptor.KeyDescriptors) != 4 {
		t.Errorf("%+v, %v", two, err)
	}
	three, err := ssotest.ReadSAMLServiceProvider(b)
	if err != nil || three.EntityID != rigEntityID || three.ACS != rigACS || three.SLO != rigSLO || !bytes.Equal(three.Certificate, ours().Certificate) || !three.WantSigned {
		t.Errorf("%+v, %v", three, err)
	}
	if _, err := (Connection{}).Metadata(r.now); code(t, err) != CodeConnection {
		t.Error(err)
	}
}

func TestCertificatesAreTypedIn(t *testing.T) {
	a, b := newRig(t).c.IDP.Certificates[0], ours().Certificate
	frame := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for name, tc := range map[string]struct {
		in   string
		want int
	}{
		"PEM":                       {frame("CERTIFICATE", a), 1},
		"two":                       {frame("CERTIFICATE", a) + frame("CERTIFICATE", b), 2},
		"one twice":                 {frame("CERTIFICATE", a) + frame("CERTIFICATE", a), 1},
		"with Windows' line ends":   {strings.ReplaceAll(frame("CERTIFICATE", a), "\n", "\r\n"), 1},
		"base64 alone":              {" " + base64.StdEncoding.EncodeToString(a) + "\n", 1},
		"nothing":                   {"", 0},
		"a private key":             {frame("PRIVATE KEY", a), 0},
		"one with a private key":    {frame("CERTIFICATE", a) + frame("PRIVATE KEY", []byte("do-not-print")), 0},
		"half a certificate":        {frame("CERTIFICATE", a)[:200], 0},
		"something after":           {frame("CERTIFICATE", a) + "x", 0},
		"a certificate of anything": {frame("CERTIFICATE", []byte("x")), 0},
		"too large":                 {strings.Repeat("A", maxMetadata+1), 0},
	} {
		got, err := ParseCertificates([]byte(tc.in))
		if len(got) != tc.want || (err == nil) != (tc.want > 0) {
			t.Errorf("%s: %d, %v", name, len(got), err)
		}
		if c := code(t, err); err != nil && c != CodeCertificate && c != CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTypedInSettingsAreChecked(t *testing.T) {
	good := newRig(t).c.IDP
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*IDP){
		"no entity id":         func(i *IDP) { i.EntityID = "" },
		"a space after it":     func(i *IDP) { i.EntityID += " " },
		"no sign-in URL":       func(i *IDP) { i.SSO = nil },
		"a URL of a script":    func(i *IDP) { i.SSO = []Endpoint{{Binding: Redirect, URL: "javascript:alert(1)"}} },
		"a URL with a user":    func(i *IDP) { i.SSO = []Endpoint{{Binding: Redirect, URL: "https://a:b@idp.test/"}} },
		"a URL with a mark":    func(i *IDP) { i.SSO = []Endpoint{{Binding: Redirect, URL: "https://idp.test/#x"}} },
		"an unknown binding":   func(i *IDP) { i.SSO = []Endpoint{{Binding: "soap", URL: "https://idp.test/"}} },
		"a bad logout URL":     func(i *IDP) { i.SLO = []Endpoint{{Binding: Post, URL: "x"}} },
		"a bad answer's URL":   func(i *IDP) { i.SLO = []Endpoint{{Binding: Post, URL: "https://idp.test/", ResponseURL: "data:x"}} },
		"no certificate":       func(i *IDP) { i.Certificates = nil },
		"a broken certificate": func(i *IDP) { i.Certificates = [][]byte{{1}} },
		"17 certificates":      func(i *IDP) { i.Certificates = slices.Repeat(i.Certificates, 17) },
	} {
		i := good
		edit(&i)
		if err := i.Check(); code(t, err) == "" {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAKeyIsKept(t *testing.T) {
	k := ours()
	b, err := k.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseKey(b)
	if err != nil || !back.Private.Equal(k.Private) || !bytes.Equal(back.Certificate, k.Certificate) {
		t.Errorf("%v", err)
	}
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil || cert.Subject.CommonName != "orgate" || cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil || time.Until(cert.NotAfter) < KeyLife-time.Hour || k.Private.N.BitLen() != 2048 {
		t.Errorf("%+v, %v", cert, err)
	}
	other, err := NewKey("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	mixed, err := Key{Certificate: other.Certificate, Private: k.Private}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"nothing": nil, "no JSON": []byte("x"), "empty": []byte("{}"), "another's certificate": mixed} {
		if _, err := ParseKey(b); code(t, err) != CodeKey {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Key{}).Marshal(); code(t, err) != CodeKey {
		t.Error(err)
	}
}

// An operator sees the addresses in a terminal, which takes U+009B for the beginning of a command.
func TestAddressesThatWouldMoveACursorAreRefused(t *testing.T) {
	r := newRig(t)
	key := keyDescriptor("", r.c.IDP.Certificates[0])
	for _, odd := range []string{"\u009b2J", "\u0085", "\u202e", "\u2028"} {
		for _, address := range []string{"https://idp.test/post", "https://idp.test/redirect?a=b", "https://idp.test/slo", "https://idp.test/slo/done"} {
			document := published("", key+strings.ReplaceAll(sso+slo, `"`+address+`"`, `"`+address+odd+`"`))
			if _, err := ParseMetadata([]byte(document), "", r.now); code(t, err) != CodeMetadata {
				t.Errorf("%q: %v", address+odd, err)
			}
		}
	}
}
