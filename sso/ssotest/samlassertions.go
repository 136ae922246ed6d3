package ssotest

import (
	"strings"

	"github.com/beevik/etree"
)

// assertionAttacks are of more than one assertion, of ids that are there twice, and of other
// things that the same key signed.
func assertionAttacks() []SAMLAttack {
	const (
		one  = "one assertion"
		ids  = "unique ids"
		what = "the signed element is an Assertion or a Response"
	)
	return []SAMLAttack{
		{"assertions-forged-first", "unsigned forged Assertion before the signed Response's genuine one, which is signed too", one, forgedFirst},
		{"assertions-genuine-first", "forged Assertion after the genuine one", one, rewritten(genuineFirst)},
		{"assertions-both-genuine", "two signed Assertions, of the victim and of the attacker", one, bothGenuine},
		{"assertions-both-genuine-response", "two Assertions in a signed Response", one, bothInSignedResponse},
		{"assertions-same-twice", "the same signed Assertion twice", one, after(sameTwice)},
		{"assertions-none", "a signed Response with no Assertion", one, noAssertion},
		{"assertion-root", "a signed Assertion with no Response", "the root is a Response", assertionAlone},
		{"assertion-nested-signed", "a signed Assertion of the attacker around the signed one of the victim", one, nestedSigned},
		{"response-nested-signed", "a signed Response of the attacker around the signed one of the victim", one, responseNestedSigned},
		{"response-empty-around-signed", "an unsigned Response around a signed Response, with no Assertion of its own", "the root is the Response", emptyAroundSigned},
		{"id-duplicate-forged-first", "forged Assertion with the id of the genuine one, before it", ids, rewritten(duplicateFirst)},
		{"id-duplicate-forged-last", "forged Assertion with the id of the genuine one, after it", ids, rewritten(duplicateLast)},
		{"id-duplicate-response", "Response and Assertion have the same id", ids, issued(func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			a.CreateAttr("ID", r.SelectAttrValue("ID", ""))
		})},
		{"id-missing-assertion", "the Assertion has no ID, the reference is empty", ids, assertionWithoutID},
		{"id-empty", "the Assertion's ID is empty", ids, issued(func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { a.CreateAttr("ID", "") })},
		{"id-missing-response", "the Response has no ID", ids, issued(func(_ *SAMLProvider, _ SAMLAsk, r, _ *etree.Element) { r.RemoveAttr("ID") })},
		{"id-xml-id", "forged Assertion whose xml:id is the id of the genuine one", ids, rewritten(otherID("xml:id"))},
		{"id-capitalised", "forged Assertion whose Id is the id of the genuine one", ids, rewritten(otherID("Id"))},
		{"id-small", "forged Assertion whose id is the id of the genuine one", ids, rewritten(otherID("id"))},
		{"id-prefixed", "forged Assertion whose saml2:ID is the id of the genuine one", ids, rewritten(otherID("saml2:ID"))},
		{"id-attribute-twice", "an Assertion with two IDs, of which one is signed", "attributes are there once", idTwice},
		{"attribute-twice", "a NotOnOrAfter of long ago and one of tomorrow", "attributes are there once", notOnOrAfterTwice},
		{"other-document-metadata", "forged Assertion with the Signature of the provider's public metadata, which is in Extensions", what, otherDocument(func(p *SAMLProvider, _ SAMLAsk) *etree.Element { return p.descriptor() })},
		{"other-document-logout-request", "the same with a LogoutRequest", what, otherDocument(func(p *SAMLProvider, ask SAMLAsk) *etree.Element {
			return p.logoutRequest(SAMLLogoutAsk{SLO: ask.ACS, NameID: "attacker"})
		})},
		{"other-document-logout-response", "the same with a LogoutResponse", what, otherDocument(func(p *SAMLProvider, ask SAMLAsk) *etree.Element { return p.logoutResponse(ask.ACS, ask.InResponseTo) })},
		{"other-document-authn-request", "the same with an AuthnRequest", what, otherDocument(func(p *SAMLProvider, ask SAMLAsk) *etree.Element { return p.message("AuthnRequest", ask.ACS) })},
		{"other-document-around", "a signed LogoutResponse with a forged Assertion in its Signature, as the root", what, otherDocumentAround},
		{"other-document-metadata-root", "signed metadata with an Assertion for the victim in its Extensions, as the root", what, metadataRoot},
	}
}

// forgedFirst hopes that what is not signed is skipped in one place and read in another.
func forgedFirst(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	ask.Signed = BothSigned
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) { before(r.SelectElement("Assertion"), p.assertion(ask, victim)) }})
}

// genuineFirst hopes that the first is verified and the last is read.
func genuineFirst(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	r.AddChild(p.assertion(ask, victim))
}

// bothGenuine leaves open who it is about.
func bothGenuine(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) {
		second := p.assertion(ask, victim)
		r.AddChild(second)
		p.sign(second, SAMLSigning{})
	}})
}

// bothInSignedResponse is bothGenuine with one signature over both.
func bothInSignedResponse(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	ask.Signed = ResponseSigned
	return p.Respond(ask, attacker, SAMLFaults{Edit: func(r *etree.Element) { r.AddChild(p.assertion(ask, victim)) }})
}

// sameTwice has the same id twice, both times signed.
func sameTwice(r *etree.Element) { r.AddChild(r.SelectElement("Assertion").Copy()) }

// noAssertion says Success and no more.
func noAssertion(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	ask.Signed = ResponseSigned
	return p.Respond(ask, victim, SAMLFaults{Edit: func(r *etree.Element) { r.RemoveChild(r.SelectElement("Assertion")) }})
}

// assertionAlone is the good part of a good response.
func assertionAlone(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	var alone string
	p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) { alone = elementText(r.SelectElement("Assertion")) }})
	return encoded(alone)
}

// nestedSigned has a good Assertion within a good Assertion.
func nestedSigned(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{Edit: func(r *etree.Element) {
		inner := p.assertion(ask, victim)
		advice := etree.NewElement("saml2:Advice")
		before(r.FindElement("./Assertion/AuthnStatement"), advice)
		advice.AddChild(inner)
		p.sign(inner, SAMLSigning{})
	}})
}

// responseNestedSigned has a good Response within a good Response.
func responseNestedSigned(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	ask.Signed = ResponseSigned
	return p.Respond(ask, attacker, SAMLFaults{Edit: func(r *etree.Element) {
		inner := p.response(ask, victim)
		extensions(r).AddChild(inner)
		p.sign(inner, SAMLSigning{})
	}})
}

// emptyAroundSigned has the status, destination and request of nobody's word.
func emptyAroundSigned(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	ask.Signed = ResponseSigned
	return p.Respond(ask, victim, SAMLFaults{XML: func(text string) string {
		outer := p.refusal(ask, "Success", "")
		return strings.Replace(elementText(outer), "</saml2p:Response>", text+"</saml2p:Response>", 1)
	}})
}

// duplicateFirst has whoever looks ids up find the first.
func duplicateFirst(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	forged.CreateAttr("ID", a.SelectAttrValue("ID", ""))
	before(a, forged)
}

// duplicateLast has whoever keeps ids in a map find the last.
func duplicateLast(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	forged := p.assertion(ask, victim)
	forged.CreateAttr("ID", a.SelectAttrValue("ID", ""))
	r.AddChild(forged)
}

// assertionWithoutID signs an Assertion with nothing to call it by.
func assertionWithoutID(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{
		Edit:      func(r *etree.Element) { r.SelectElement("Assertion").RemoveAttr("ID") },
		Assertion: SAMLSigning{References: []string{""}},
	})
}

// otherID gives the forged Assertion the genuine one's id in an attribute of another name,
// which some take for an id too.
func otherID(name string) rewrite {
	return func(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
		forged := p.assertion(ask, victim)
		forged.CreateAttr(name, a.SelectAttrValue("ID", ""))
		before(a, forged)
	}
}

// idTwice has one ID for the verifier and one for the reader.
func idTwice(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{XML: func(text string) string {
		return strings.Replace(text, "<saml2:Assertion ", `<saml2:Assertion ID="_other" `, 1)
	}})
}

// notOnOrAfterTwice is over for who takes the first attribute, and not for who takes the last.
func notOnOrAfterTwice(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{XML: func(text string) string {
		return strings.Replace(text, "<saml2:Conditions ", `<saml2:Conditions NotOnOrAfter="2001-01-01T00:00:00.000Z" `, 1)
	}})
}

// otherDocument has the forged Assertion carry the Signature of something else that the
// provider signed and that anybody can have (CVE-2024-6800 of GitHub Enterprise Server).
func otherDocument(makeOther func(*SAMLProvider, SAMLAsk) *etree.Element) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{Signed: NothingSigned, After: func(r *etree.Element) {
			other := makeOther(p, ask)
			etree.NewDocument().AddChild(other)
			sig := p.sign(other, SAMLSigning{})
			a := r.SelectElement("Assertion")
			a.InsertChildAt(1, sig)
			extensions(r).AddChild(other)
		}})
	}
}

// otherDocumentAround uses that a Signature may hold anything without breaking.
func otherDocumentAround(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	m := p.logoutResponse(ask.ACS, ask.InResponseTo)
	p.sign(m, SAMLSigning{}).CreateElement("ds:Object").AddChild(p.assertion(ask, victim))
	return encoded(elementText(m))
}

// metadataRoot has a good signature on a root of the wrong kind.
func metadataRoot(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	d := p.descriptor()
	x := etree.NewElement("md:Extensions")
	d.InsertChildAt(0, x)
	x.AddChild(p.assertion(ask, victim))
	p.sign(d, SAMLSigning{})
	return encoded(elementText(d))
}
