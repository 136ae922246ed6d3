package ssotest

import (
	"github.com/beevik/etree"
)

// wrappingAttacks move what is signed to where a verifier finds it and put a lie to where a
// reader does: the eight permutations of "On Breaking SAML" (Somorovsky et al., USENIX
// Security 2012), as SAML Raider numbers them, and more places.
func wrappingAttacks() []SAMLAttack {
	const check = "one signed assertion, and only what the verifier returned is read"
	return []SAMLAttack{
		{"xsw1", "forged Response around the genuine one in its Signature", check, rewrittenResponse(xsw1)},
		{"xsw2", "forged Response with the genuine one before its Signature", check, rewrittenResponse(xsw2)},
		{"xsw3", "forged Assertion before the genuine one", check, rewritten(xsw3)},
		{"xsw4", "forged Assertion around the genuine one", check, rewritten(xsw4)},
		{"xsw5", "the Signature stays in the forged Assertion, the genuine one is last", check, rewritten(xsw5)},
		{"xsw6", "forged Assertion around its Signature, which is around the genuine one", check, rewritten(xsw6)},
		{"xsw7", "forged Assertion of the same id in Extensions", check, rewritten(xsw7)},
		{"xsw8", "genuine Assertion in an Object of the forged one's Signature", check, rewritten(xsw8)},
		{"wrap-response-in-object", "genuine Response in an Object of the forged one's Signature", check, rewrittenResponse(responseInObject)},
		{"wrap-response-in-extensions", "genuine Response in Extensions of the forged one", check, rewrittenResponse(responseInExtensions)},
		{"wrap-response-in-status-detail", "genuine Response in StatusDetail of the forged one", check, rewrittenResponse(responseInStatusDetail)},
		{"wrap-response-in-response", "forged Response with the genuine one, signature and all, as its last child", check, rewrittenResponse(responseInResponse)},
		{"wrap-response-sibling-assertion", "genuine Response with a forged Assertion beside its own", check, rewrittenResponse(assertionBesideSigned)},
		{"wrap-in-response", "forged Response around the genuine one, whose Assertion is signed", check, rewritten(responseInResponse)},
		{"wrap-in-extensions", "forged Assertion, the genuine one in Extensions", check, rewritten(assertionInExtensions)},
		{"wrap-in-advice", "forged Assertion with the genuine one in Advice", check, rewritten(assertionInAdvice)},
		{"wrap-in-confirmation-data", "forged Assertion with the genuine one in SubjectConfirmationData", check, rewritten(assertionInConfirmation)},
		{"wrap-in-attribute-value", "forged Assertion with the genuine one in an AttributeValue", check, rewritten(assertionInAttribute)},
		{"wrap-in-key-info", "forged Assertion with the genuine one in the KeyInfo of its Signature", check, rewritten(assertionInKeyInfo)},
		{"wrap-in-envelope", "another root: an envelope of the forged and the genuine Response", check, rewritten(responsesInEnvelope)},
		{"forged-in-genuine", "forged Assertion inside of the genuine one's Signature, which hashes nothing there", check, rewritten(forgedInSignature)},
	}
}

// xsw1 keeps the Signature in the forged Response and puts the genuine Response into it.
func xsw1(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := unsigned(r)
	becomes(r, p, ask, victim)
	rename(r)
	r.SelectElement("Signature").AddChild(genuine)
}

// xsw2 is xsw1 with the genuine Response before the Signature.
func xsw2(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := unsigned(r)
	becomes(r, p, ask, victim)
	rename(r)
	before(r.SelectElement("Signature"), genuine)
}

// xsw3 puts a forged Assertion first.
func xsw3(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	before(a, p.assertion(ask, victim))
}

// xsw4 puts the genuine Assertion into a forged one.
func xsw4(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	instead(a, forged)
	forged.AddChild(a)
}

// xsw5 forges the Assertion that holds the Signature, and puts the genuine one last.
func xsw5(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	genuine := unsigned(a)
	becomes(a, p, ask, victim)
	rename(a)
	r.AddChild(genuine)
}

// xsw6 is xsw5 with the genuine Assertion in the Signature.
func xsw6(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	genuine := unsigned(a)
	becomes(a, p, ask, victim)
	rename(a)
	a.SelectElement("Signature").AddChild(genuine)
}

// xsw7 puts a forged Assertion with the id of the genuine one into Extensions, where a lax
// schema lets anything be.
func xsw7(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	forged := unsigned(a)
	becomes(forged, p, ask, victim)
	extensions(r).AddChild(forged)
}

// xsw8 is xsw6 with the genuine Assertion in an Object.
func xsw8(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	genuine := unsigned(a)
	becomes(a, p, ask, victim)
	rename(a)
	a.SelectElement("Signature").CreateElement("ds:Object").AddChild(genuine)
}

// responseInObject is xsw1 where XML Signature foresees foreign content.
func responseInObject(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := unsigned(r)
	becomes(r, p, ask, victim)
	rename(r)
	r.SelectElement("Signature").CreateElement("ds:Object").AddChild(genuine)
}

// responseInExtensions hides the genuine Response in Extensions.
func responseInExtensions(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := unsigned(r)
	becomes(r, p, ask, victim)
	rename(r)
	extensions(r).AddChild(genuine)
}

// responseInStatusDetail hides the genuine Response in StatusDetail.
func responseInStatusDetail(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := unsigned(r)
	becomes(r, p, ask, victim)
	rename(r)
	r.SelectElement("Status").CreateElement("saml2p:StatusDetail").AddChild(genuine)
}

// responseInResponse puts the genuine Response, whole, into an unsigned forged one.
func responseInResponse(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	genuine := r.Copy()
	if s := r.SelectElement("Signature"); s != nil {
		r.RemoveChild(s)
	}
	rename(r)
	instead(a, p.assertion(ask, victim))
	r.AddChild(genuine)
}

// assertionBesideSigned adds to a signed Response, hoping that its digest is not checked
// against what is read: the genuine one is inside, where the reference finds it.
func assertionBesideSigned(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	genuine := unsigned(r)
	before(a, p.assertion(ask, victim))
	rename(r)
	extensions(r).AddChild(genuine)
}

// assertionInExtensions leaves a forged Assertion where it is read.
func assertionInExtensions(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	instead(a, p.assertion(ask, victim))
	extensions(r).AddChild(a)
}

// assertionInAdvice uses the place where assertions may be inside of assertions.
func assertionInAdvice(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	instead(a, forged)
	advice := etree.NewElement("saml2:Advice")
	advice.AddChild(a)
	before(forged.SelectElement("AuthnStatement"), advice)
}

// assertionInConfirmation uses the any-type of SubjectConfirmationData.
func assertionInConfirmation(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	instead(a, forged)
	forged.FindElement(".//SubjectConfirmationData").AddChild(a)
}

// assertionInAttribute uses the any-type of AttributeValue.
func assertionInAttribute(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	instead(a, forged)
	addAttribute(forged.SelectElement("AttributeStatement"), "more", "").SelectElement("AttributeValue").AddChild(a)
}

// assertionInKeyInfo hides the genuine Assertion in the KeyInfo of the Signature.
func assertionInKeyInfo(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	genuine := unsigned(a)
	becomes(a, p, ask, victim)
	rename(a)
	a.FindElement("./Signature/KeyInfo").AddChild(genuine)
}

// responsesInEnvelope lets the reader choose among two Responses.
func responsesInEnvelope(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	genuine := r.Copy()
	r.Space, r.Tag = "env", "Envelope"
	r.CreateAttr("xmlns:env", "http://schemas.xmlsoap.org/soap/envelope/")
	for len(r.Child) > 0 {
		r.RemoveChildAt(0)
	}
	r.RemoveAttr("ID")
	r.AddChild(p.response(ask, victim))
	r.AddChild(genuine)
}

// forgedInSignature uses that the enveloped-signature transform leaves out all that is in the
// Signature: the genuine Assertion still verifies with a forged one in it.
func forgedInSignature(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	a.SelectElement("Signature").CreateElement("ds:Object").AddChild(p.assertion(ask, victim))
}
