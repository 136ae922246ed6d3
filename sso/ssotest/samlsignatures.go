package ssotest

import (
	"encoding/base64"

	"github.com/beevik/etree"
)

// signatureAttacks are about the signature itself: whether there is one, by whom, over what
// and how.
func signatureAttacks() []SAMLAttack {
	return []SAMLAttack{
		{"signature-none", "nothing is signed", "signature", notSigned},
		{"signature-removed", "the attacker's response as the victim's, its Signature removed", "signature", rewritten(signatureRemoved)},
		{"signature-empty", "an empty Signature", "signature", rewritten(signatureEmptied)},
		{"signature-value-empty", "the Signature of the attacker's with no value", "signature", rewritten(signatureValueEmptied)},
		{"signature-value-broken", "one bit of the value is another", "signature", signatureBroken},
		{"signature-tampered", "the victim in the attacker's signed Assertion", "signature", rewritten(signatureTampered)},
		{"signature-tampered-response", "the victim in the attacker's signed Response", "signature", rewrittenResponse(signatureTamperedResponse)},
		{"signature-of-another", "the Signature of another Assertion", "signature", rewritten(signatureOfAnother)},
		{"signature-twice", "two Signatures in the Assertion, of which one is good", "one signature", rewritten(signatureTwice)},
		{"signature-other-element", "the only reference is to another element", "reference", signatureOfDecoy},
		{"signature-whole-document", `the reference is to ""`, "reference", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{References: []string{""}} })},
		{"signature-two-references", "a second reference, to another element", "reference", signatureOfTwo},
		{"signature-two-references-decoy-first", "the good reference is the second", "reference", signatureOfDecoyAndForged},
		{"signature-no-reference", "a SignedInfo that refers to nothing", "reference", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{References: []string{}} })},
		{"signature-xpointer", "the reference is an xpointer", "reference", signatureByXPointer},
		{"signature-without-subject", "an XPath transform leaves the Subject out, which is the victim's", "transforms", signatureWithoutSubject},
		{"signature-transform-xpath", "an XPath transform", "transforms", transform("http://www.w3.org/TR/1999/REC-xpath-19991116")},
		{"signature-transform-xpath2", "an XPath filter", "transforms", transform("http://www.w3.org/2002/06/xmldsig-filter2")},
		{"signature-transform-xslt", "a style sheet", "transforms", transform("http://www.w3.org/TR/1999/REC-xslt-19991116")},
		{"signature-transform-base64", "a base64 transform", "transforms", transform(nsDS + "base64")},
		{"signature-transform-unknown", "a transform that nobody knows", "transforms", transform("urn:evil:transform")},
		{"signature-in-response", "the Assertion's Signature as the Response's child", "signature's parent", rewritten(signatureInResponse)},
		{"signature-in-subject", "the Assertion's Signature in its Subject", "signature's parent", after(signatureInSubject)},
		{"signature-in-advice", "the Assertion's Signature in its Advice", "signature's parent", after(signatureInAdvice)},
		{"signature-two-signed-infos", "a SignedInfo of the forged Assertion before the signed one", "one SignedInfo", rewritten(signedInfoTwice)},
		{"signature-digest-comment", "the digest of the forged Assertion in a comment in DigestValue", "comments", rewritten(digestInComment)},
		{"signature-foreign-namespace", "a Signature of another namespace", "signature", rewritten(signatureOfOtherNamespace)},
		{"key-other-x509", "another key, its certificate in KeyInfo", "pinned certificate", otherKey(KeyInfoCertificate)},
		{"key-other-value", "another key, as KeyValue only", "pinned certificate", otherKey(KeyInfoValue)},
		{"key-other-none", "another key, no KeyInfo", "pinned certificate", otherKey(KeyInfoNone)},
		{"key-other-our-certificate", "another key, the provider's certificate in KeyInfo", "signature", otherKeyOurCertificate},
		{"key-other-both-certificates", "another key, its certificate after the provider's", "pinned certificate", otherKeyBothCertificates},
		{"key-retrieval", "another key, to be fetched (RetrievalMethod)", "pinned certificate", otherKeyToFetch},
		{"key-rsa-1024", "a key of 1024 bits; SignWith pins one", "key size", keyTooShort},
		{"key-hmac-der", "HMAC-SHA256, the secret being the certificate", "signature algorithm", signing(func(p *SAMLProvider) SAMLSigning { return SAMLSigning{Method: HMACSHA256, Secret: p.Certificate()} })},
		{"key-hmac-pem", "HMAC-SHA256, the secret being the certificate as PEM", "signature algorithm", hmacPEM},
		{"key-hmac-base64", "HMAC-SHA256, the secret being the certificate as it is in metadata", "signature algorithm", hmacBase64},
		{"algorithm-none", "SignatureMethod none", "signature algorithm", algorithm("none", "")},
		{"algorithm-empty", "SignatureMethod of no name", "signature algorithm", algorithm("", "")},
		{"algorithm-sha1", "RSA-SHA1", "signature algorithm", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{Method: RSASHA1, Digest: SHA1} })},
		{"algorithm-sha1-signature", "RSA-SHA1 over a SHA-256 digest", "signature algorithm", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{Method: RSASHA1} })},
		{"algorithm-sha1-digest", "RSA-SHA256 over a SHA-1 digest", "digest algorithm", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{Digest: SHA1} })},
		{"algorithm-md5", "RSA-MD5", "signature algorithm", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{Method: RSAMD5, Digest: MD5} })},
		{"algorithm-md5-digest", "RSA-SHA256 over an MD5 digest", "digest algorithm", signing(func(*SAMLProvider) SAMLSigning { return SAMLSigning{Digest: MD5} })},
		{"algorithm-unknown-c14n", "a canonicalization that nobody knows", "canonicalization", canonicalization("urn:evil:c14n")},
	}
}

// notSigned is a response for the victim that nobody signed.
func notSigned(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Signed: NothingSigned})
}

// signatureRemoved takes the victim for the attacker and the Signature away.
func signatureRemoved(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
	a.RemoveChild(a.SelectElement("Signature"))
}

// signatureEmptied leaves nothing but the name of the Signature.
func signatureEmptied(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
	empty := etree.NewElement("ds:Signature")
	empty.CreateAttr("xmlns:ds", nsDS)
	instead(a.SelectElement("Signature"), empty)
}

// signatureValueEmptied leaves everything but the value.
func signatureValueEmptied(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
	a.FindElement("./Signature/SignatureValue").SetText("")
}

// signatureBroken changes one bit of a good signature.
func signatureBroken(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) {
		v := r.FindElement("./Assertion/Signature/SignatureValue")
		raw, err := base64.StdEncoding.DecodeString(v.Text())
		if err != nil {
			panic(err) // never: we wrote it
		}
		raw[len(raw)/2] ^= 1
		v.SetText(base64.StdEncoding.EncodeToString(raw))
	}})
}

// signatureTampered changes what is signed.
func signatureTampered(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
}

// signatureTamperedResponse changes what is signed in a signed Response.
func signatureTamperedResponse(p *SAMLProvider, ask SAMLAsk, victim Person, r, _ *etree.Element) {
	becomes(r, p, ask, victim)
}

// signatureOfAnother has the forged Assertion carry a Signature of an Assertion that is not
// there, under its id.
func signatureOfAnother(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	forged.CreateAttr("ID", a.SelectAttrValue("ID", ""))
	forged.InsertChildAt(1, a.SelectElement("Signature").Copy())
	instead(a, forged)
}

// signatureTwice puts a stranger's Signature before the good one.
func signatureTwice(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	genuine := unsigned(a)
	key := p.stranger()
	becomes(a, p, ask, victim)
	rename(a)
	p.sign(a, SAMLSigning{Key: &key})
	extensions(r).AddChild(genuine)
}

const decoyID = "_decoy"

// decoy gives a response something else that can be signed.
func decoy(r *etree.Element) {
	x := extensions(r).CreateElement("decoy:Note")
	x.CreateAttr("xmlns:decoy", "urn:decoy")
	x.CreateAttr("ID", decoyID)
	x.SetText("genuine")
}

// signatureOfDecoy signs something else than the Assertion that it is in.
func signatureOfDecoy(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Edit: decoy, Assertion: SAMLSigning{References: []string{"#" + decoyID}}})
}

// signatureOfTwo signs the Assertion and something else.
func signatureOfTwo(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Signed: NothingSigned, Edit: decoy, Between: func(r *etree.Element) {
		a := r.SelectElement("Assertion")
		p.sign(a, SAMLSigning{References: []string{"#" + a.SelectAttrValue("ID", ""), "#" + decoyID}})
	}})
}

// signatureOfDecoyAndForged has a verifier stop at the first reference, which is good, and
// take the second for good, which is not.
func signatureOfDecoyAndForged(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{Signed: NothingSigned, Edit: decoy, After: func(r *etree.Element) {
		a := r.SelectElement("Assertion")
		p.sign(a, SAMLSigning{References: []string{"#" + decoyID, "#" + a.SelectAttrValue("ID", "")}})
		becomes(a, p, ask, victim)
	}})
}

// signatureByXPointer names the Assertion in a language of its own.
func signatureByXPointer(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Signed: NothingSigned, Between: func(r *etree.Element) {
		a := r.SelectElement("Assertion")
		p.sign(a, SAMLSigning{References: []string{"#xpointer(id('" + a.SelectAttrValue("ID", "") + "'))"}})
	}})
}

// signatureWithoutSubject is good for whoever runs the XPath transform, whatever the Subject.
func signatureWithoutSubject(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	t := etree.NewElement("ds:Transform")
	t.CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
	t.CreateElement("ds:XPath").SetText("not(ancestor-or-self::*[local-name()='Subject'])")
	return p.Respond(ask, attacker, SAMLFaults{Assertion: SAMLSigning{Transforms: []*etree.Element{t}, Without: "Subject"}, After: func(r *etree.Element) {
		a := r.SelectElement("Assertion")
		instead(a.SelectElement("Subject"), p.assertion(ask, victim).SelectElement("Subject"))
	}})
}

// transform adds a transform that a verifier might skip, or run.
func transform(algorithm string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return signing(func(*SAMLProvider) SAMLSigning {
		t := etree.NewElement("ds:Transform")
		t.CreateAttr("Algorithm", algorithm)
		return SAMLSigning{Transforms: []*etree.Element{t}}
	})
}

// signatureInResponse moves the Signature up: it is good, and beside what it signs.
func signatureInResponse(p *SAMLProvider, ask SAMLAsk, victim Person, r, a *etree.Element) {
	sig := a.SelectElement("Signature")
	before(r.SelectElement("Status"), sig)
	before(a, p.assertion(ask, victim))
}

// signatureInSubject moves the Signature down.
func signatureInSubject(r *etree.Element) {
	a := r.SelectElement("Assertion")
	a.SelectElement("Subject").AddChild(a.SelectElement("Signature"))
}

// signatureInAdvice moves the Signature into an element of its own.
func signatureInAdvice(r *etree.Element) {
	a := r.SelectElement("Assertion")
	advice := etree.NewElement("saml2:Advice")
	before(a.SelectElement("AuthnStatement"), advice)
	advice.AddChild(a.SelectElement("Signature"))
}

// signedInfoTwice has the digest of the forged Assertion in a SignedInfo that is not signed
// and comes first (CVE-2025-29774 of xml-crypto).
func signedInfoTwice(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	info := a.FindElement("./Signature/SignedInfo")
	becomes(a, p, ask, victim)
	lie := info.Copy()
	lie.FindElement(".//DigestValue").SetText(digestOf(unsigned(a)))
	before(info, lie)
}

// digestInComment has the digest of the forged Assertion where a reader of nodes finds it and
// a canonicalizer drops it (CVE-2025-29775 of xml-crypto).
func digestInComment(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
	v := a.FindElement(".//DigestValue")
	v.InsertChildAt(0, etree.NewComment(digestOf(unsigned(a))))
}

func digestOf(el *etree.Element) string {
	text, err := canonical(el, "")
	if err != nil {
		panic(err) // never: we made it
	}
	hash, err := hashOf(SHA256)
	if err != nil {
		panic(err) // never: it is known
	}
	h := hash.New()
	h.Write(text)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// signatureOfOtherNamespace is a Signature by its local name only.
func signatureOfOtherNamespace(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	becomes(a, p, ask, victim)
	a.SelectElement("Signature").CreateAttr("xmlns:ds", "urn:evil:dsig")
}

// algorithm has the victim's Assertion say that it is signed in no way.
func algorithm(method, value string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) {
			r.FindElement(".//SignatureMethod").CreateAttr("Algorithm", method)
			r.FindElement(".//SignatureValue").SetText(value)
		}})
	}
}

// canonicalization names another one than was used.
func canonicalization(algorithm string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) {
			r.FindElement(".//CanonicalizationMethod").CreateAttr("Algorithm", algorithm)
		}})
	}
}
