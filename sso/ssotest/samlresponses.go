package ssotest

import (
	"encoding/base64"

	"github.com/beevik/etree"
)

// encoded is a text as the POST binding carries it.
func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// responseAttacks are about the Response around the assertion, and are made in two kinds:
// where the Assertion is signed anybody may have changed the Response, and where the Response
// is signed the provider sent it so.
func responseAttacks() []SAMLAttack {
	type change struct {
		name, what, check string
		edit              func(p *SAMLProvider, ask SAMLAsk, r *etree.Element)
	}
	status := func(outer, inner string) func(*SAMLProvider, SAMLAsk, *etree.Element) {
		return func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { setStatus(r, outer, inner) }
	}
	var out []SAMLAttack
	for _, c := range []change{
		{"destination-other", "sent to another's address", "Destination", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			r.CreateAttr("Destination", "https://other.test/saml/acs")
		}},
		{"destination-missing", "sent to no address", "Destination", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.RemoveAttr("Destination") }},
		{"destination-empty", "sent to an empty address", "Destination", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.CreateAttr("Destination", "") }},
		{"destination-query", "sent to our address with a query", "Destination", func(_ *SAMLProvider, ask SAMLAsk, r *etree.Element) {
			r.CreateAttr("Destination", ask.ACS+"?x=y")
		}},
		{"issuer-other", "another's Response", "Issuer", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			r.SelectElement("Issuer").SetText("https://other-idp.test")
		}},
		{"issuer-missing", "nobody's Response", "Issuer", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.RemoveChild(r.SelectElement("Issuer")) }},
		{"issuer-twice", "two Issuers", "Issuer", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			second := r.SelectElement("Issuer").Copy()
			second.SetText("https://other-idp.test")
			before(r.SelectElement("Issuer"), second)
		}},
		{"status-requester", "status Requester, with an Assertion", "status", status("Requester", "")},
		{"status-authn-failed", "status Responder and AuthnFailed, with an Assertion", "status", status("Responder", "AuthnFailed")},
		{"status-no-passive", "status Responder and NoPassive, with an Assertion", "status", status("Responder", "NoPassive")},
		{"status-nested-success", "status Responder and Success in it, with an Assertion", "status", status("Responder", "Success")},
		{"status-missing", "no status", "status", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.RemoveChild(r.SelectElement("Status")) }},
		{"status-empty", "a status without a code", "status", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			s := r.SelectElement("Status")
			s.RemoveChild(s.SelectElement("StatusCode"))
		}},
		{"status-short", "a code that ends as Success does", "status", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			r.FindElement(".//StatusCode").CreateAttr("Value", "Success")
		}},
		{"status-twice", "Success and then Responder", "one status", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) {
			second := r.SelectElement("Status").Copy()
			second.SelectElement("StatusCode").CreateAttr("Value", statusPrefix+"Responder")
			before(r.SelectElement("Assertion"), second)
		}},
		{"version", "a Response of version 1.1", "version", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.CreateAttr("Version", "1.1") }},
		{"version-missing", "a Response of no version", "version", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.RemoveAttr("Version") }},
		{"artifact", "an ArtifactResponse by name", "the root is a Response", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.Tag = "ArtifactResponse" }},
		{"logout", "a LogoutResponse by name, with an Assertion", "the root is a Response", func(_ *SAMLProvider, _ SAMLAsk, r *etree.Element) { r.Tag = "LogoutResponse" }},
	} {
		for _, signed := range []SAMLSigned{AssertionSigned, ResponseSigned} {
			kind := "response-"
			if signed == ResponseSigned {
				kind = "signed-response-"
			}
			out = append(out, SAMLAttack{kind + c.name, c.what, c.check, func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
				ask.Signed = signed
				return p.Respond(ask, victim, SAMLFaults{Edit: func(r *etree.Element) { c.edit(p, ask, r) }})
			}})
		}
	}
	return out
}

// documentAttacks are documents that are no responses of SAML 2.0.
func documentAttacks() []SAMLAttack {
	const check = "the root is a Response"
	constant := func(s string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
		return func(*SAMLProvider, SAMLAsk, Person, Person) string { return s }
	}
	return []SAMLAttack{
		{"saml-1.1", "a response of SAML 1.1", check, saml11},
		{"soap", "a response in a SOAP envelope", check, xmlEdit(func(s string) string {
			return `<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>` + s + `</S:Body></S:Envelope>`
		})},
		{"html", "a page", check, constant(encoded("<!doctype html><title>Error</title><p>Sign in again"))},
		{"json", "JSON", check, constant(encoded(`{"sub":"alice","email":"alice@acme.test"}`))},
		{"xml-empty", "an element", check, constant(encoded("<a/>"))},
		{"xml-declaration-only", "nothing but the declaration", check, constant(encoded(`<?xml version="1.0"?>`))},
		{"response-empty", "an empty Response", check, constant(encoded(`<saml2p:Response xmlns:saml2p="` + nsSAMLP + `"/>`))},
	}
}

// saml11 is what a provider of the last generation sends.
func saml11(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	const ns = "urn:oasis:names:tc:SAML:1.0:"
	r := etree.NewElement("samlp:Response")
	r.CreateAttr("xmlns:samlp", ns+"protocol")
	r.CreateAttr("ResponseID", samlID())
	r.CreateAttr("MajorVersion", "1")
	r.CreateAttr("MinorVersion", "1")
	r.CreateAttr("IssueInstant", p.at(0))
	r.CreateAttr("Recipient", ask.ACS)
	r.CreateElement("samlp:Status").CreateElement("samlp:StatusCode").CreateAttr("Value", "samlp:Success")
	a := r.CreateElement("saml:Assertion")
	a.CreateAttr("xmlns:saml", ns+"assertion")
	a.CreateAttr("AssertionID", samlID())
	a.CreateAttr("Issuer", p.options.EntityID)
	a.CreateElement("saml:AuthenticationStatement").CreateElement("saml:Subject").CreateElement("saml:NameIdentifier").SetText(victim.Email)
	r.CreateAttr("ID", samlID())
	p.sign(r, SAMLSigning{})
	return encoded(elementText(r))
}
