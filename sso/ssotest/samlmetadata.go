package ssotest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/beevik/etree"
)

const (
	nsMD            = "urn:oasis:names:tc:SAML:2.0:metadata"
	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
)

// Metadata returns what the provider publishes of itself.
func (p *SAMLProvider) Metadata() []byte {
	d := p.descriptor()
	editTree(d, []SAMLFaults{p.misbehaviour()}, func(f SAMLFaults) func(*etree.Element) { return f.Metadata })
	return []byte(elementText(d))
}

// descriptor makes the unsigned metadata.
func (p *SAMLProvider) descriptor() *etree.Element {
	d := etree.NewElement("md:EntityDescriptor")
	d.CreateAttr("xmlns:md", nsMD)
	d.CreateAttr("ID", samlID())
	d.CreateAttr("entityID", p.options.EntityID)
	idp := d.CreateElement("md:IDPSSODescriptor")
	wants := "false"
	if p.options.WantSigned {
		wants = "true"
	}
	idp.CreateAttr("WantAuthnRequestsSigned", wants)
	idp.CreateAttr("protocolSupportEnumeration", nsSAMLP)
	p.mu.Lock()
	keys := p.keys
	p.mu.Unlock()
	for _, k := range keys {
		kd := idp.CreateElement("md:KeyDescriptor")
		kd.CreateAttr("use", "signing")
		info := kd.CreateElement("ds:KeyInfo")
		info.CreateAttr("xmlns:ds", nsDS)
		info.CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").SetText(base64.StdEncoding.EncodeToString(k.Certificate))
	}
	for _, b := range []string{bindingRedirect, bindingPost} {
		e := idp.CreateElement("md:SingleLogoutService")
		e.CreateAttr("Binding", b)
		e.CreateAttr("Location", p.options.EntityID+"/slo")
	}
	for _, f := range []string{NameIDPersistent, NameIDEmail, NameIDTransient} {
		idp.CreateElement("md:NameIDFormat").SetText(f)
	}
	for _, b := range []string{bindingRedirect, bindingPost} {
		e := idp.CreateElement("md:SingleSignOnService")
		e.CreateAttr("Binding", b)
		e.CreateAttr("Location", p.options.EntityID+"/sso")
	}
	return d
}

// ReadSAMLServiceProvider reads what an application publishes of itself, as the provider's
// administrator would hand it over.
func ReadSAMLServiceProvider(metadata []byte) (SAMLServiceProvider, error) {
	root, err := parseMessage(metadata)
	if err != nil {
		return SAMLServiceProvider{}, fmt.Errorf("ssotest: metadata: %w", err)
	}
	role := root.SelectElement("SPSSODescriptor")
	if root.Tag != "EntityDescriptor" || role == nil {
		return SAMLServiceProvider{}, errors.New("ssotest: metadata is of no service provider")
	}
	sp := SAMLServiceProvider{EntityID: root.SelectAttrValue("entityID", ""), WantSigned: role.SelectAttrValue("AuthnRequestsSigned", "") == "true"}
	for _, e := range role.SelectElements("AssertionConsumerService") {
		if sp.ACS == "" && e.SelectAttrValue("Binding", "") == bindingPost {
			sp.ACS = e.SelectAttrValue("Location", "")
		}
	}
	// Answers to its logout requests go by redirect, to the address for requests.
	for _, e := range role.SelectElements("SingleLogoutService") {
		if sp.SLO == "" && e.SelectAttrValue("Binding", "") == bindingRedirect {
			sp.SLO = e.SelectAttrValue("Location", "")
		}
	}
	if c := role.FindElement("./KeyDescriptor//X509Certificate"); c != nil {
		if sp.Certificate, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Text()), "")); err != nil {
			return SAMLServiceProvider{}, fmt.Errorf("ssotest: metadata: certificate: %w", err)
		}
	}
	if sp.EntityID == "" || sp.ACS == "" {
		return SAMLServiceProvider{}, errors.New("ssotest: metadata has no entity id or no address for responses")
	}
	return sp, nil
}

func (p *SAMLProvider) serveMetadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(p.Metadata())
}
