package ssotest

import (
	"bytes"
	"crypto/x509"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
)

// through goes through the page as somebody, and returns what comes to the application.
func through(t *testing.T, b *Browser, at *consumer, target string, values map[string]string) *etree.Element {
	t.Helper()
	page, err := b.Get(t.Context(), target)
	if err == nil && values != nil {
		page, err = b.Submit(t.Context(), page, values)
	}
	if err == nil {
		_, err = b.Press(t.Context(), page, "Continue")
	}
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, at.form.Get("SAMLResponse"))
}

func TestNamesAreOfTheFormatAskedFor(t *testing.T) {
	p, _ := samlDemo(t, func(o *SAMLOptions) { o.Remember = true })
	b, at := samlBrowser()
	who := map[string]string{"person": "alice"}
	var transient []string
	for _, format := range []string{"", NameIDPersistent, NameIDEmail, NameIDTransient, NameIDTransient} {
		text := strings.Replace(authnRequest(p, ""), "</samlp:", `<samlp:NameIDPolicy Format="`+format+`"/></samlp:`, 1)
		id := through(t, b, at, p.EntityID()+"/sso?"+packedRequest(p, text), who).FindElement(".//NameID")
		who = nil // is remembered
		switch got := id.SelectAttrValue("Format", ""); {
		case got != format && format != "":
			t.Errorf("asked for %s, got %s", format, got)
		case format == NameIDTransient:
			transient = append(transient, id.Text())
		case format == NameIDEmail && id.Text() != "alice@acme.test", format != NameIDEmail && id.Text() != "alice":
			t.Errorf("%s is called %s", format, id.Text())
		}
	}
	if transient[0] != transient[1] || transient[0] == "alice" {
		t.Errorf("%v in one session", transient)
	}
}

func TestWhoSaysNoIsNotSignedIn(t *testing.T) {
	p, _ := samlDemo(t, nil)
	b, at := samlBrowser()
	r := through(t, b, at, p.EntityID()+"/sso?"+packedRequest(p, authnRequest(p, "")), map[string]string{"deny": "1"})
	if r.SelectElement("Assertion") != nil || !strings.Contains(elementText(r), "AuthnFailed") || r.SelectAttrValue("InResponseTo", "") != "_request" {
		t.Error(elementText(r))
	}
	verified(t, r, p.Certificate())
}

func TestTheServiceProviderSaysWhatIsSignedAndEncrypted(t *testing.T) {
	p, key := samlDemo(t, nil)
	p.Trust(SAMLServiceProvider{EntityID: spEntity, ACS: spACS, Certificate: key.Certificate, Signed: ResponseSigned, Encrypt: SAMLEncryption{Content: AES128GCM}})
	b, at := samlBrowser()
	r := through(t, b, at, p.EntityID()+"/start?sp="+url.QueryEscape(spEntity), map[string]string{"person": "alice"})
	verified(t, r, p.Certificate())
	if decrypted(t, r, key); r.FindElement("./Assertion/Subject/NameID").Text() != "alice" || r.FindElement("./Assertion/Signature") != nil {
		t.Error(elementText(r))
	}
}

func TestTheProviderMisbehavesWhenItIsTold(t *testing.T) {
	p, _ := samlDemo(t, func(o *SAMLOptions) { o.Remember = true })
	b, at := samlBrowser()
	start := p.EntityID() + "/start?sp=" + url.QueryEscape(spEntity)
	p.Misbehave(SAMLFaults{
		Edit:       func(r *etree.Element) { r.FindElement(".//Audience").SetText("https://other.test") },
		RelayState: func(string) string { return "other" },
		Metadata:   func(d *etree.Element) { d.CreateAttr("entityID", "https://other.test") },
		Endpoints:  map[string]http.Handler{"slo": Says(http.StatusTeapot, "text/plain", "no")},
	})
	r := through(t, b, at, start, map[string]string{"person": "alice"})
	if r.FindElement(".//Audience").Text() != "https://other.test" || at.form.Get("RelayState") != "other" || !strings.Contains(string(p.Metadata()), `"https://other.test"`) {
		t.Error(elementText(r))
	}
	if page, err := b.Get(t.Context(), p.EntityID()+"/slo"); err != nil || page.Status != http.StatusTeapot {
		t.Errorf("slo: %v", err)
	}
	p.Misbehave(SAMLFaults{})
	if r = through(t, b, at, start, nil); r.FindElement(".//Audience").Text() != spEntity {
		t.Error("still lies")
	}
}

func TestSAMLProvidersShareAHost(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	for _, name := range []string{"acme", "globex"} {
		p, err := NewSAML(SAMLOptions{EntityID: srv.URL + "/" + name, Name: name, People: []Person{{Subject: name}}, ServiceProviders: []SAMLServiceProvider{{EntityID: spEntity, ACS: spACS}}})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("/"+name+"/", p)
	}
	for _, name := range []string{"acme", "globex"} {
		b, at := samlBrowser()
		home, err := b.Get(t.Context(), srv.URL+"/"+name+"/")
		if err != nil || home.Title != name || !strings.Contains(home.Text, spEntity) {
			t.Fatalf("%v: %s", err, home.Text)
		}
		for _, path := range []string{"/style.css", "/submit.js"} {
			if file, err := b.Get(t.Context(), srv.URL+"/"+name+path); err != nil || file.Status != http.StatusOK {
				t.Errorf("%s: %v", path, err)
			}
		}
		page, err := b.Press(t.Context(), home, spEntity)
		if err != nil {
			t.Fatal(err)
		}
		if page, err = b.Submit(t.Context(), page, map[string]string{"person": name}); err != nil || strings.Contains(page.Body, "<script>") {
			t.Fatal(err)
		}
		if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("CSP %q", csp)
		}
		if _, err = b.Press(t.Context(), page, "Continue"); err != nil || parsed(t, at.form.Get("SAMLResponse")).FindElement(".//NameID").Text() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAServiceProviderIsReadFromItsMetadata(t *testing.T) {
	key, err := NewSAMLKey(2048)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(key.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	sp := saml.ServiceProvider{
		EntityID: spEntity, Key: key.Private, Certificate: c, AcsURL: *mustURL(t, spACS), SloURL: *mustURL(t, spSLO),
		LogoutBindings: []string{saml.HTTPRedirectBinding}, SignatureMethod: RSASHA256,
	}
	text, err := xml.Marshal(sp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadSAMLServiceProvider(text)
	if err != nil || got.EntityID != spEntity || got.ACS != spACS || got.SLO != spSLO || !bytes.Equal(got.Certificate, key.Certificate) || !got.WantSigned {
		t.Errorf("%+v, %v from %s", got, err, text)
	}
	p, _ := samlDemo(t, nil)
	for name, text := range map[string]string{"nothing": "", "a provider": string(p.Metadata()), "text": "hello"} {
		if got, err := ReadSAMLServiceProvider([]byte(text)); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
