package ssotest

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	spEntity = "https://app.example.test/saml/metadata"
	spACS    = "https://app.example.test/saml/acs"
	spSLO    = "https://app.example.test/saml/slo"
)

var samlPeople = []Person{
	{Subject: "alice", Name: "Alice Adams", Email: "alice@acme.test", Groups: []string{"eng", "admins"}, Note: "Admins"},
	{Subject: "bob", Name: "Bob <script>", Email: "bob@acme.test", Groups: []string{"eng"}, Claims: map[string]any{"department": "R&D", "sites": []string{"a", "b"}}},
}

func samlDemo(t *testing.T, edit func(*SAMLOptions)) (*SAMLProvider, SAMLKey) {
	t.Helper()
	key, err := NewSAMLKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	o := SAMLOptions{
		Name: "Acme's identity provider (demo)", People: samlPeople,
		ServiceProviders: []SAMLServiceProvider{{EntityID: spEntity, Name: "The App", ACS: spACS, SLO: spSLO, Certificate: key.Certificate}},
	}
	if edit != nil {
		edit(&o)
	}
	return StartSAML(t, o), key
}

// authnRequest makes an AuthnRequest.
func authnRequest(p *SAMLProvider, more string) string {
	return `<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_request" Version="2.0" IssueInstant="2026-01-01T00:00:00Z" Destination="` +
		p.EntityID() + `/sso" AssertionConsumerServiceURL="` + spACS + `" ` + more + `><saml:Issuer>` + spEntity + `</saml:Issuer></samlp:AuthnRequest>`
}

func packedRequest(p *SAMLProvider, text string) string {
	return "SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflate(text))) + "&RelayState=" + url.QueryEscape("s t&ate")
}

// consumer answers for the application, and keeps what came there.
type consumer struct {
	next http.RoundTripper
	form url.Values
}

func (c *consumer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "app.example.test" {
		return c.next.RoundTrip(r)
	}
	rec := httptest.NewRecorder()
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	c.form = r.Form
	rec.WriteHeader(http.StatusOK)
	return rec.Result(), nil
}

func samlBrowser() (*Browser, *consumer) {
	b := NewBrowser()
	c := &consumer{next: b.client.Transport}
	b.client.Transport = c
	return b, c
}

func parsed(t *testing.T, encoded string) *etree.Element {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil {
		t.Fatal(err)
	}
	return doc.Root()
}

// verified returns the element as goxmldsig verified it.
func verified(t *testing.T, el *etree.Element, certificate []byte) *etree.Element {
	t.Helper()
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	out, err := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: []*x509.Certificate{c}}).Validate(el)
	if err != nil {
		t.Fatalf("%v: %s", err, elementText(el))
	}
	return out
}

func TestAClickSignsInWithSAML(t *testing.T) {
	p, _ := samlDemo(t, nil)
	for _, post := range []bool{false, true} {
		b, at := samlBrowser()
		var page *Page
		var err error
		if post {
			page, err = b.visit(t.Context(), nil, http.MethodPost, mustURL(t, p.EntityID()+"/sso"), url.Values{
				"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(authnRequest(p, "")))}, "RelayState": {"s t&ate"},
			})
		} else {
			page, err = b.Get(t.Context(), p.EntityID()+"/sso?"+packedRequest(p, authnRequest(p, "")))
		}
		if err != nil || page.Title != "Sign in · Acme's identity provider (demo)" || !strings.Contains(page.Text, "The App") {
			t.Fatalf("%v, %q: %s", err, page.Title, page.Text)
		}
		if strings.Contains(page.Body, "<script>") {
			t.Error("a name is markup")
		}
		if page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice"}); err != nil || page.Status != http.StatusOK {
			t.Fatal(err, page.Text)
		}
		if _, err = b.Press(t.Context(), page, "Continue"); err != nil {
			t.Fatal(err)
		}
		if got := at.form.Get("RelayState"); got != "s t&ate" {
			t.Errorf("RelayState %q", got)
		}
		r := parsed(t, at.form.Get("SAMLResponse"))
		a := verified(t, r.SelectElement("Assertion"), p.Certificate())
		var typed saml.Assertion
		if err := xml.Unmarshal([]byte(elementText(a)), &typed); err != nil {
			t.Fatal(err)
		}
		data := typed.Subject.SubjectConfirmations[0].SubjectConfirmationData
		if typed.Subject.NameID.Value != "alice" || data.InResponseTo != "_request" || data.Recipient != spACS ||
			typed.Conditions.AudienceRestrictions[0].Audience.Value != spEntity || typed.AttributeStatements[0].Attributes[2].Values[1].Value != "admins" {
			t.Errorf("%+v", typed)
		}
	}
}

func TestSAMLRequestsThatAreRefused(t *testing.T) {
	p, key := samlDemo(t, nil)
	other, err := NewSAMLKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	good := packedRequest(p, authnRequest(p, ""))
	signed := func(query string, k SAMLKey) string {
		out, err := SignSAMLQuery(query, k.Private)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	bomb := deflate(strings.Repeat(" ", 1<<20) + authnRequest(p, ""))
	for name, tc := range map[string]struct {
		query string
		want  int
	}{
		"not signed":       {good, 200},
		"signed":           {signed(good, key), 200},
		"signed by others": {signed(good, other), 400},
		"changed":          {strings.Replace(signed(good, key), "RelayState=s", "RelayState=x", 1), 400},
		"another issuer":   {packedRequest(p, strings.Replace(authnRequest(p, ""), spEntity, "https://evil.test", 1)), 400},
		"another address":  {packedRequest(p, strings.Replace(authnRequest(p, ""), spACS, "https://evil.test/acs", 1)), 400},
		"for another":      {packedRequest(p, strings.Replace(authnRequest(p, ""), p.EntityID(), "https://evil.test", 1)), 400},
		"no request":       {packedRequest(p, strings.ReplaceAll(authnRequest(p, ""), "AuthnRequest", "LogoutRequest")), 400},
		"doctype":          {packedRequest(p, "<!DOCTYPE a>"+authnRequest(p, "")), 400},
		"bomb":             {"SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(bomb)), 400},
		"nothing":          {"", 400},
	} {
		page, err := NewBrowser().Get(t.Context(), p.EntityID()+"/sso?"+tc.query)
		if err != nil || page.Status != tc.want {
			t.Errorf("%s: %v, %d: %s", name, err, page.Status, page.Text)
		}
	}
	p.Trust(SAMLServiceProvider{EntityID: spEntity, ACS: spACS, Certificate: key.Certificate, WantSigned: true})
	if page, err := NewBrowser().Get(t.Context(), p.EntityID()+"/sso?"+good); err != nil || page.Status != 400 {
		t.Errorf("not signed: %v, %d", err, page.Status)
	}
}

func TestASignedPostIsVerified(t *testing.T) {
	p, key := samlDemo(t, func(o *SAMLOptions) { o.WantSigned = true })
	for _, tc := range []struct {
		name   string
		key    func() SAMLKey
		change string
		want   int
	}{
		{"signed", func() SAMLKey { return key }, "", 200},
		{"another key", p.stranger, "", 400},
		{"changed", func() SAMLKey { return key }, "true", 400},
		{"not signed", nil, "", 400},
	} {
		doc := etree.NewDocument()
		if err := doc.ReadFromString(authnRequest(p, "")); err != nil {
			t.Fatal(err)
		}
		if tc.key != nil {
			if _, err := (SAMLSigning{}).sign(doc.Root(), tc.key()); err != nil {
				t.Fatal(err)
			}
		}
		if tc.change != "" {
			doc.Root().CreateAttr("ForceAuthn", tc.change)
		}
		page, err := NewBrowser().visit(t.Context(), nil, http.MethodPost, mustURL(t, p.EntityID()+"/sso"),
			url.Values{"SAMLRequest": {base64.StdEncoding.EncodeToString([]byte(elementText(doc.Root())))}})
		if err != nil || page.Status != tc.want {
			t.Errorf("%s: %v, %d: %s", tc.name, err, page.Status, page.Text)
		}
	}
}

func TestTheProviderBeginsAndRemembers(t *testing.T) {
	p, _ := samlDemo(t, func(o *SAMLOptions) { o.Remember = true })
	b, at := samlBrowser()
	page, err := b.Get(t.Context(), p.EntityID()+"/start?relay=there&sp="+url.QueryEscape(spEntity))
	if err == nil {
		page, err = b.Submit(t.Context(), page, map[string]string{"person": "bob"})
	}
	if err == nil {
		_, err = b.Press(t.Context(), page, "Continue")
	}
	if err != nil {
		t.Fatal(err)
	}
	r := parsed(t, at.form.Get("SAMLResponse"))
	if at.form.Get("RelayState") != "there" || r.SelectAttr("InResponseTo") != nil || r.FindElement(".//SubjectConfirmationData").SelectAttr("InResponseTo") != nil {
		t.Errorf("%v", at.form)
	}
	if page, err = b.Get(t.Context(), p.EntityID()+"/sso?"+packedRequest(p, authnRequest(p, ""))); err != nil || !strings.Contains(page.Body, "SAMLResponse") {
		t.Errorf("not remembered: %v, %s", err, page.Text)
	}
	if page, err = b.Get(t.Context(), p.EntityID()+"/sso?"+packedRequest(p, authnRequest(p, `ForceAuthn="true"`))); err != nil || strings.Contains(page.Body, "SAMLResponse") {
		t.Errorf("ForceAuthn asked nobody: %v", err)
	}
	b, at = samlBrowser()
	page, err = b.Get(t.Context(), p.EntityID()+"/sso?"+packedRequest(p, authnRequest(p, `IsPassive="true"`)))
	if err == nil {
		_, err = b.Press(t.Context(), page, "Continue")
	}
	if err != nil || !strings.Contains(elementText(parsed(t, at.form.Get("SAMLResponse"))), "NoPassive") {
		t.Errorf("IsPassive: %v", err)
	}
}

func TestSAMLMetadata(t *testing.T) {
	p, _ := samlDemo(t, nil)
	old := p.Certificate()
	p.RollOver()
	for want := 2; want > 0; want-- {
		page, err := NewBrowser().Get(t.Context(), p.EntityID()+"/metadata")
		if err != nil {
			t.Fatal(err)
		}
		var d saml.EntityDescriptor
		if err := xml.Unmarshal([]byte(page.Body), &d); err != nil {
			t.Fatal(err)
		}
		idp := d.IDPSSODescriptors[0]
		if d.EntityID != p.EntityID() || len(idp.KeyDescriptors) != want || len(idp.SingleSignOnServices) != 2 || len(idp.SingleLogoutServices) != 2 {
			t.Errorf("%+v", d)
		}
		if got := idp.KeyDescriptors[0].KeyInfo.X509Data.X509Certificates[0].Data; got != base64.StdEncoding.EncodeToString(p.Certificate()) || bytes.Equal(p.Certificate(), old) {
			t.Error("the key that signs is not the first")
		}
		p.ForgetOldKeys()
	}
}

func TestSingleLogoutBothWays(t *testing.T) {
	p, key := samlDemo(t, nil)
	b, at := samlBrowser()
	signIn := func() string {
		page, err := b.Get(t.Context(), p.EntityID()+"/start?sp="+url.QueryEscape(spEntity))
		if err == nil {
			page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice"})
		}
		if err == nil {
			_, err = b.Press(t.Context(), page, "Continue")
		}
		if err != nil || p.Sessions("alice") != 1 {
			t.Fatal(err, p.Sessions("alice"))
		}
		return parsed(t, at.form.Get("SAMLResponse")).FindElement(".//AuthnStatement").SelectAttrValue("SessionIndex", "")
	}
	index := signIn()
	ask := strings.NewReplacer("AuthnRequest", "LogoutRequest", "/sso", "/slo", "</samlp:", `<saml:NameID>alice</saml:NameID><samlp:SessionIndex>`+index+`</samlp:SessionIndex></samlp:`).
		Replace(authnRequest(p, ""))
	query := packedRequest(p, ask)
	if page, err := b.Get(t.Context(), p.EntityID()+"/slo?"+query); err != nil || page.Status != 400 || p.Sessions("alice") != 1 {
		t.Errorf("not signed: %v, %d", err, page.Status)
	}
	query, err := SignSAMLQuery(query, key.Private)
	if err != nil {
		t.Fatal(err)
	}
	page, err := b.Get(t.Context(), p.EntityID()+"/slo?"+query)
	if err != nil || p.Sessions("alice") != 0 || page.URL.Host != "app.example.test" {
		t.Fatalf("%v, %s: %s", err, page.URL, page.Text)
	}
	if err := verifyQuery(page.URL.RawQuery, "SAMLResponse", p.Certificate()); err != nil {
		t.Error(err)
	}

	index = signIn()
	for _, post := range []bool{false, true} {
		out := p.Logout("alice", post)
		if len(out) != 1 || p.Sessions("alice") != 0 {
			t.Fatalf("%v", out)
		}
		var text []byte
		if post {
			m := parsed(t, out[0].Form.Get("SAMLRequest"))
			text = []byte(elementText(verified(t, m, p.Certificate())))
		} else {
			u := mustURL(t, out[0].URL)
			if err := verifyQuery(u.RawQuery, "SAMLRequest", p.Certificate()); err != nil {
				t.Error(err)
			}
			raw, _ := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
			if text, err = io.ReadAll(flate.NewReader(bytes.NewReader(raw))); err != nil {
				t.Fatal(err)
			}
		}
		var m saml.LogoutRequest
		if err := xml.Unmarshal(text, &m); err != nil || m.NameID.Value != "alice" || m.SessionIndex.Value != index || m.Destination != spSLO {
			t.Errorf("%v: %s", err, text)
		}
		index = signIn()
	}
}

func TestASAMLEntityIDMustBeAURLWithoutASlashAtItsEnd(t *testing.T) {
	for _, id := range []string{"", "acme", "http://localhost/", "http://localhost/acme/"} {
		if _, err := NewSAML(SAMLOptions{EntityID: id}); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestAClockMayBeGiven(t *testing.T) {
	at := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	p, _ := samlDemo(t, func(o *SAMLOptions) { o.Now = func() time.Time { return at } })
	r := parsed(t, p.Respond(SAMLAsk{ACS: spACS, Audience: spEntity}, samlPeople[0]))
	if got := r.SelectAttrValue("IssueInstant", ""); got != "2031-02-03T04:05:06.000Z" {
		t.Errorf("issued %s", got)
	}
}
