package ssotest

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/beevik/etree"
)

const (
	nsSAML  = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsSAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsDS    = "http://www.w3.org/2000/09/xmldsig#"
	nsXS    = "http://www.w3.org/2001/XMLSchema"
	nsXSI   = "http://www.w3.org/2001/XMLSchema-instance"

	statusPrefix = "urn:oasis:names:tc:SAML:2.0:status:"
	bearer       = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	passwordAC   = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"

	// samlTime is how times are written (saml-core-2.0-os, 1.3.3).
	samlTime = "2006-01-02T15:04:05.000Z"

	assertionLife = 5 * time.Minute
)

// Formats of names (saml-core-2.0-os, 8.3).
const (
	NameIDPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	NameIDTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	NameIDEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	NameIDUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
)

// A SAMLAsk is what a response is to be for.
type SAMLAsk struct {
	// ACS is where it goes, Audience who it is for: the service provider's entity id.
	ACS, Audience string
	// InResponseTo is the request; empty: none, the provider begins.
	InResponseTo string
	// NameIDFormat of the person's name; empty: the provider's own.
	NameIDFormat string
	// NameID is what they are called; empty: by the format.
	NameID string
	// SessionIndex is the provider's session; empty: a new one.
	SessionIndex string
	// AuthnInstant is when the person signed in; zero: now.
	AuthnInstant time.Time
	// SessionEnd is SessionNotOnOrAfter; zero: it is left out.
	SessionEnd time.Time
	Signed     SAMLSigned
	// Encrypt is how the assertion is encrypted to Certificate (DER); zero: not at all. There
	// are attacks that need the certificate even so.
	Encrypt     SAMLEncryption
	Certificate []byte
}

// Respond makes a response in base64, as the POST binding carries it. All hooks of a kind run
// in their order; of how to sign, the last that says so counts.
func (p *SAMLProvider) Respond(ask SAMLAsk, person Person, faults ...SAMLFaults) string {
	var how SAMLFaults
	how.Signed = ask.Signed
	for _, f := range faults {
		if f.Signed != AsAsked {
			how.Signed = f.Signed
		}
		if !f.Assertion.isZero() {
			how.Assertion = f.Assertion
		}
		if !f.Response.isZero() {
			how.Response = f.Response
		}
	}
	response := p.response(ask, person)
	doc := etree.NewDocumentWithRoot(response)
	editTree(response, faults, func(f SAMLFaults) func(*etree.Element) { return f.Edit })
	assertion := response.SelectElement("Assertion")
	if assertion != nil && (how.Signed == AsAsked || how.Signed == AssertionSigned || how.Signed == BothSigned) {
		p.sign(assertion, how.Assertion)
	}
	if assertion != nil && ask.Encrypt.Content != "" {
		place := assertion.Index()
		plain := edited(elementText(assertion), faults, func(f SAMLFaults) func(string) string { return f.Plain })
		response.RemoveChild(assertion)
		response.InsertChildAt(place, encryptedAssertion(plain, ask.Certificate, ask.Encrypt))
	}
	editTree(response, faults, func(f SAMLFaults) func(*etree.Element) { return f.Between })
	if how.Signed == ResponseSigned || how.Signed == BothSigned {
		p.sign(response, how.Response)
	}
	editTree(response, faults, func(f SAMLFaults) func(*etree.Element) { return f.After })
	text, err := doc.WriteToString()
	if err != nil {
		panic(err) // never: a string takes everything
	}
	text = edited(text, faults, func(f SAMLFaults) func(string) string { return f.XML })
	return edited(base64.StdEncoding.EncodeToString([]byte(text)), faults, func(f SAMLFaults) func(string) string { return f.Encoded })
}

func (s SAMLSigning) isZero() bool {
	return s.Key == nil && s.Method == "" && s.Digest == "" && s.Secret == nil && s.KeyInfo == KeyInfoCertificate &&
		s.References == nil && s.Transforms == nil && s.Prefixes == "" && s.Prefix == "" && s.Without == ""
}

// samlID makes an id: it must not begin with a digit.
func samlID() string { return "_" + random()[:32] }

// response makes an unsigned response with an unsigned assertion.
func (p *SAMLProvider) response(ask SAMLAsk, person Person) *etree.Element {
	r := p.message("Response", ask.ACS)
	if ask.InResponseTo != "" {
		r.CreateAttr("InResponseTo", ask.InResponseTo)
	}
	r.CreateElement("saml2p:Status").CreateElement("saml2p:StatusCode").CreateAttr("Value", statusPrefix+"Success")
	r.AddChild(p.assertion(ask, person))
	return r
}

// refusal makes a response that says no, with a status and a status within.
func (p *SAMLProvider) refusal(ask SAMLAsk, outer, inner string) *etree.Element {
	r := p.message("Response", ask.ACS)
	if ask.InResponseTo != "" {
		r.CreateAttr("InResponseTo", ask.InResponseTo)
	}
	setStatus(r, outer, inner)
	return r
}

// setStatus gives a response a status in place of its own.
func setStatus(r *etree.Element, outer, inner string) {
	place := len(r.Child)
	if old := r.SelectElement("Status"); old != nil {
		place = old.Index()
		r.RemoveChild(old)
	}
	s := etree.NewElement("saml2p:Status")
	code := s.CreateElement("saml2p:StatusCode")
	code.CreateAttr("Value", statusPrefix+outer)
	if inner != "" {
		code.CreateElement("saml2p:StatusCode").CreateAttr("Value", statusPrefix+inner)
	}
	r.InsertChildAt(place, s)
}

// message makes what all messages of the protocol begin with.
func (p *SAMLProvider) message(name, destination string) *etree.Element {
	m := etree.NewElement("saml2p:" + name)
	m.CreateAttr("xmlns:saml2p", nsSAMLP)
	m.CreateAttr("ID", samlID())
	m.CreateAttr("Version", "2.0")
	m.CreateAttr("IssueInstant", p.options.Now().UTC().Format(samlTime))
	m.CreateAttr("Destination", destination)
	issuer := m.CreateElement("saml2:Issuer")
	issuer.CreateAttr("xmlns:saml2", nsSAML)
	issuer.SetText(p.options.EntityID)
	return m
}

// assertion makes an unsigned assertion.
func (p *SAMLProvider) assertion(ask SAMLAsk, person Person) *etree.Element {
	now := p.options.Now().UTC()
	if ask.AuthnInstant.IsZero() {
		ask.AuthnInstant = now
	}
	if ask.SessionIndex == "" {
		ask.SessionIndex = samlID()
	}
	until := now.Add(assertionLife).Format(samlTime)
	a := etree.NewElement("saml2:Assertion")
	// It declares all that it needs, so that it says the same wherever it is put.
	a.CreateAttr("xmlns:saml2", nsSAML)
	a.CreateAttr("ID", samlID())
	a.CreateAttr("IssueInstant", now.Format(samlTime))
	a.CreateAttr("Version", "2.0")
	a.CreateElement("saml2:Issuer").SetText(p.options.EntityID)

	subject := a.CreateElement("saml2:Subject")
	format, name := p.nameID(ask, person)
	id := subject.CreateElement("saml2:NameID")
	id.CreateAttr("Format", format)
	id.SetText(name)
	confirmation := subject.CreateElement("saml2:SubjectConfirmation")
	confirmation.CreateAttr("Method", bearer)
	data := confirmation.CreateElement("saml2:SubjectConfirmationData")
	if ask.InResponseTo != "" {
		data.CreateAttr("InResponseTo", ask.InResponseTo)
	}
	data.CreateAttr("NotOnOrAfter", until)
	data.CreateAttr("Recipient", ask.ACS)

	conditions := a.CreateElement("saml2:Conditions")
	conditions.CreateAttr("NotBefore", now.Add(-time.Second).Format(samlTime))
	conditions.CreateAttr("NotOnOrAfter", until)
	conditions.CreateElement("saml2:AudienceRestriction").CreateElement("saml2:Audience").SetText(ask.Audience)

	authn := a.CreateElement("saml2:AuthnStatement")
	authn.CreateAttr("AuthnInstant", ask.AuthnInstant.UTC().Format(samlTime))
	authn.CreateAttr("SessionIndex", ask.SessionIndex)
	if !ask.SessionEnd.IsZero() {
		authn.CreateAttr("SessionNotOnOrAfter", ask.SessionEnd.UTC().Format(samlTime))
	}
	authn.CreateElement("saml2:AuthnContext").CreateElement("saml2:AuthnContextClassRef").SetText(passwordAC)

	p.attributes(a, person)
	return a
}

// nameID returns what a person is called.
func (p *SAMLProvider) nameID(ask SAMLAsk, person Person) (format, name string) {
	if format = ask.NameIDFormat; format == "" {
		format = p.options.NameIDFormat
	}
	switch {
	case ask.NameID != "":
		return format, ask.NameID
	case format == NameIDEmail:
		return format, person.Email
	case format == NameIDTransient:
		return format, samlID()
	}
	return format, person.Subject
}

// attributes adds what is known of a person.
func (p *SAMLProvider) attributes(a *etree.Element, person Person) {
	s := a.CreateElement("saml2:AttributeStatement")
	names := p.options.Attributes
	if person.Email != "" {
		addAttribute(s, names.Email, person.Email)
	}
	if person.Name != "" {
		addAttribute(s, names.Name, person.Name)
	}
	if person.Groups != nil {
		addAttribute(s, names.Groups, person.Groups...)
	}
	for _, k := range slices.Sorted(maps.Keys(person.Claims)) {
		switch v := person.Claims[k].(type) {
		case []string:
			addAttribute(s, k, v...)
		default:
			addAttribute(s, k, fmt.Sprint(v))
		}
	}
	if len(s.Child) == 0 {
		a.RemoveChild(s) // it must not be empty
	}
}

func addAttribute(statement *etree.Element, name string, values ...string) *etree.Element {
	x := statement.CreateElement("saml2:Attribute")
	x.CreateAttr("Name", name)
	x.CreateAttr("NameFormat", "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified")
	for _, v := range values {
		x.CreateElement("saml2:AttributeValue").SetText(v)
	}
	return x
}

// elementText writes an element as a document of its own.
func elementText(el *etree.Element) string {
	text, err := etree.NewDocumentWithRoot(el.Copy()).WriteToString()
	if err != nil {
		panic(err) // never: a string takes everything
	}
	return text
}
