package ssotest

import (
	"strings"

	"github.com/beevik/etree"
)

// A SAMLHonest is a response that must be taken, and be about the person.
type SAMLHonest struct {
	Name, What string
	// Email, FullName and Groups are the names of the attributes; empty: as the options of the
	// provider say.
	Email, FullName, Groups string
	// Make makes the value of SAMLResponse.
	Make func(p *SAMLProvider, ask SAMLAsk, person Person) string
}

// SAMLHonestResponses returns all honest responses. The encrypted ones are to
// ask.Certificate and are left out without one; what else ask says of signing and encryption is
// not used.
func SAMLHonestResponses(ask SAMLAsk) []SAMLHonest {
	plain := func(name, what string, signed SAMLSigned, faults ...SAMLFaults) SAMLHonest {
		return SAMLHonest{Name: name, What: what, Make: func(p *SAMLProvider, ask SAMLAsk, person Person) string {
			ask.Signed, ask.Encrypt = signed, SAMLEncryption{}
			return p.Respond(ask, person, faults...)
		}}
	}
	out := []SAMLHonest{
		plain("signed-assertion", "the Assertion is signed", AssertionSigned),
		plain("signed-response", "the Response is signed, the Assertion is not", ResponseSigned),
		plain("signed-both", "both are signed", BothSigned),
		plain("key-info-none", "no KeyInfo", AssertionSigned, SAMLFaults{Assertion: SAMLSigning{KeyInfo: KeyInfoNone}}),
		plain("key-info-value", "the pinned key as KeyValue only", AssertionSigned, SAMLFaults{Assertion: SAMLSigning{KeyInfo: KeyInfoValue}}),
		plain("rsa-sha512", "RSA-SHA512", AssertionSigned, SAMLFaults{Assertion: SAMLSigning{Method: RSASHA512, Digest: SHA512}}),
		plain("base64-wrapped", "base64 in lines of 76, as MIME has it", AssertionSigned, SAMLFaults{Encoded: wrapped("\r\n")}),
		plain("base64-wrapped-lf", "base64 in lines, with LF only", AssertionSigned, SAMLFaults{Encoded: wrapped("\n")}),
		plain("declaration", "an XML declaration", AssertionSigned, SAMLFaults{XML: declaration}),
		plain("indented", "indented, as for people", BothSigned, SAMLFaults{Edit: indent}),
		plain("signature-wrapped", "SignatureValue and certificate in lines", AssertionSigned, SAMLFaults{After: wrapSignature}),
		plain("prefixes", "prefixes samlp and saml", BothSigned, SAMLFaults{Edit: prefixes("samlp", "saml")}),
		plain("prefixes-default", "the assertion's namespace is the default one", AssertionSigned, SAMLFaults{Edit: prefixes("samlp", "")}),
		plain("prefixes-odd", "prefixes that say nothing", BothSigned, SAMLFaults{Edit: prefixes("p", "a"), Assertion: SAMLSigning{Prefix: "x"}}),
		plain("friendly-names", "attributes with FriendlyName", AssertionSigned, SAMLFaults{Edit: friendly}),
		plain("audiences", "an AudienceRestriction of several Audiences, ours among them", AssertionSigned, SAMLFaults{Edit: func(r *etree.Element) {
			r.FindElement(".//AudienceRestriction").CreateElement("saml2:Audience").SetText("https://other.test")
		}}),
		plain("confirmations", "a confirmation that we can't use, before the bearer's", AssertionSigned, SAMLFaults{Edit: func(r *etree.Element) {
			c := r.FindElement(".//SubjectConfirmation")
			other := etree.NewElement("saml2:SubjectConfirmation")
			other.CreateAttr("Method", "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
			before(c, other)
		}}),
		plain("times-in-seconds", "times without fractions", AssertionSigned, SAMLFaults{Edit: times("Z")}),
		plain("times-in-ticks", "times with seven digits, as .NET has them", AssertionSigned, SAMLFaults{Edit: times(".0000000Z")}),
		plain("one-time-use", "OneTimeUse and ProxyRestriction in Conditions", AssertionSigned, SAMLFaults{Edit: func(r *etree.Element) {
			c := r.FindElement(".//Conditions")
			c.CreateElement("saml2:OneTimeUse")
			c.CreateElement("saml2:ProxyRestriction").CreateAttr("Count", "0")
		}}),
		{"okta", "as Okta's", "email", "name", "groups", okta},
		{"entra", "as Entra ID's", claimsEmail, entraName, entraGroups, entra},
		{"adfs", "as AD FS's", claimsEmail, claimsName, claimsGroup, adfs},
		{"google", "as Google Workspace's", "email", "name", "groups", google},
		{"keycloak", "as Keycloak's", "email", "name", "groups", keycloak},
		{"shibboleth", "as Shibboleth's, though not encrypted", oidMail, oidDisplayName, oidMemberOf, shibboleth(false)},
	}
	if ask.Certificate == nil {
		return out
	}
	for _, e := range []struct {
		name string
		e    SAMLEncryption
	}{
		{"gcm-128", SAMLEncryption{Content: AES128GCM}},
		{"gcm-256", SAMLEncryption{Content: AES256GCM}},
		{"cbc-128", SAMLEncryption{Content: AES128CBC}},
		{"cbc-256", SAMLEncryption{Content: AES256CBC}},
		{"oaep-mgf1p-sha1", SAMLEncryption{Content: AES256GCM, Transport: OAEPMGF1P, Digest: SHA1}},
		{"oaep-mgf1p-sha256", SAMLEncryption{Content: AES256GCM, Transport: OAEPMGF1P, Digest: SHA256}},
		{"oaep-sha256", SAMLEncryption{Content: AES256GCM, Transport: OAEP, Digest: SHA256, MGF: MGF1SHA256}},
		{"oaep-sha256-mgf1-sha1", SAMLEncryption{Content: AES128GCM, Transport: OAEP, Digest: SHA256, MGF: MGF1SHA1}},
		{"key-apart", SAMLEncryption{Content: AES256GCM, Apart: true}},
	} {
		out = append(out, SAMLHonest{Name: "encrypted-" + e.name, What: "signed, and then encrypted", Make: func(p *SAMLProvider, ask SAMLAsk, person Person) string {
			ask.Signed, ask.Encrypt = AssertionSigned, e.e
			return p.Respond(ask, person)
		}})
	}
	return append(out,
		SAMLHonest{Name: "encrypted-in-signed-response", What: "encrypted, in a signed Response", Make: func(p *SAMLProvider, ask SAMLAsk, person Person) string {
			ask.Signed, ask.Encrypt = BothSigned, SAMLEncryption{Content: AES256GCM}
			return p.Respond(ask, person)
		}},
		SAMLHonest{"shibboleth-encrypted", "as Shibboleth's", oidMail, oidDisplayName, oidMemberOf, shibboleth(true)})
}

func wrapped(end string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for ; len(s) > 76; s = s[76:] {
			b.WriteString(s[:76] + end)
		}
		return b.String() + s + end
	}
}

func declaration(s string) string { return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + s }

// indent puts every element on a line of its own; elements of text stay as they are.
func indent(r *etree.Element) {
	s := etree.NewIndentSettings()
	s.Spaces, s.PreserveLeafWhitespace = 2, true
	r.IndentWithSettings(s)
}

// wrapSignature changes what nobody signed: how the base64 of the outermost signature is
// written.
func wrapSignature(r *etree.Element) {
	sig := r.FindElement("./Signature")
	if sig == nil {
		sig = r.FindElement("./Assertion/Signature")
	}
	if sig == nil {
		return // its assertion is encrypted already
	}
	for _, path := range []string{"./SignatureValue", ".//X509Certificate"} {
		x := sig.FindElement(path)
		x.SetText("\n" + wrapped("\n")(x.Text()))
	}
}

func prefixes(protocol, assertion string) func(*etree.Element) {
	return func(r *etree.Element) {
		reprefix(r, "saml2p", protocol)
		reprefix(r, "saml2", assertion)
	}
}

func friendly(r *etree.Element) {
	for _, a := range r.FindElements(".//Attribute") {
		a.CreateAttr("FriendlyName", "the "+a.SelectAttrValue("Name", ""))
	}
}

// times gives all times another fraction.
func times(fraction string) func(*etree.Element) {
	return func(r *etree.Element) {
		for _, el := range append(r.FindElements(".//*"), r) {
			for i, a := range el.Attr {
				if t, _, ok := strings.Cut(a.Value, "."); ok && strings.HasSuffix(a.Value, "Z") && strings.Contains(t, "T") && len(a.Value) == len(samlTime) {
					el.Attr[i].Value = t + fraction
				}
			}
		}
	}
}
