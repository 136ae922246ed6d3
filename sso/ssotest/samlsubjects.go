package ssotest

import (
	"strings"

	"github.com/beevik/etree"
)

// subjectAttacks are signed assertions that do not say who it is, that it is the bearer, or
// that anybody signed in.
func subjectAttacks() []SAMLAttack {
	const (
		name         = "NameID"
		confirmation = "SubjectConfirmation"
	)
	each := func(n, what, check string, f func(a *etree.Element)) SAMLAttack {
		return SAMLAttack{n, what, check, issued(func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) { f(a) })}
	}
	text := func(n, what, value string) SAMLAttack {
		return each(n, what, name, func(a *etree.Element) { a.FindElement(".//NameID").SetText(value) })
	}
	method := func(a *etree.Element, m string) { a.FindElement(".//SubjectConfirmation").CreateAttr("Method", m) }
	return []SAMLAttack{
		each("subject-missing", "no Subject", "Subject", func(a *etree.Element) { a.RemoveChild(a.SelectElement("Subject")) }),
		each("subject-empty", "an empty Subject", "Subject", func(a *etree.Element) { instead(a.SelectElement("Subject"), etree.NewElement("saml2:Subject")) }),
		each("subject-twice", "two Subjects", "Subject", func(a *etree.Element) {
			second := a.SelectElement("Subject").Copy()
			second.SelectElement("NameID").SetText("somebody else")
			before(a.SelectElement("Subject"), second)
		}),
		each("name-id-missing", "no NameID", name, func(a *etree.Element) {
			s := a.SelectElement("Subject")
			s.RemoveChild(s.SelectElement("NameID"))
		}),
		each("name-id-twice", "two NameIDs", name, func(a *etree.Element) {
			id := a.FindElement(".//NameID")
			second := id.Copy()
			second.SetText("somebody else")
			before(id, second)
		}),
		text("name-id-empty", "an empty NameID", ""),
		text("name-id-blank", "a NameID of blanks", " \t "),
		text("name-id-leading-space", "a NameID that begins with a blank", " alice"),
		text("name-id-trailing-space", "a NameID that ends with a line", "alice\n"),
		text("name-id-control", "a NameID with a tab in it", "al\tice"),
		text("name-id-long", "a NameID of 256 bytes", strings.Repeat("a", 256)),
		text("name-id-megabyte", "a NameID of a megabyte", strings.Repeat("a", 1<<20)),
		each("name-id-child", "an element in the NameID", name, func(a *etree.Element) {
			a.FindElement(".//NameID").CreateElement("saml2:x").SetText("y")
		}),
		each("name-id-transient", "a NameID that is another next time", "NameID format", func(a *etree.Element) {
			id := a.FindElement(".//NameID")
			id.CreateAttr("Format", NameIDTransient)
			id.SetText(samlID())
		}),
		each("name-id-entity", "a NameID that names the provider itself", "NameID format", func(a *etree.Element) {
			a.FindElement(".//NameID").CreateAttr("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:entity")
		}),
		each("base-id", "a BaseID in place of the NameID", name, func(a *etree.Element) {
			x := etree.NewElement("saml2:BaseID")
			x.SetText("alice")
			instead(a.FindElement(".//NameID"), x)
		}),
		{"encrypted-id", "an EncryptedID in place of the NameID", name, encryptedID},
		each("confirmation-missing", "no SubjectConfirmation", confirmation, func(a *etree.Element) {
			s := a.SelectElement("Subject")
			s.RemoveChild(s.SelectElement("SubjectConfirmation"))
		}),
		each("confirmation-data-missing", "no SubjectConfirmationData", confirmation, func(a *etree.Element) {
			c := a.FindElement(".//SubjectConfirmation")
			c.RemoveChild(c.SelectElement("SubjectConfirmationData"))
		}),
		each("confirmation-holder-of-key", "for who has a key", confirmation, func(a *etree.Element) {
			method(a, "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key")
		}),
		each("confirmation-sender-vouches", "for whom the sender vouches for", confirmation, func(a *etree.Element) {
			method(a, "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches")
		}),
		each("confirmation-no-method", "by no method", confirmation, func(a *etree.Element) {
			a.FindElement(".//SubjectConfirmation").RemoveAttr("Method")
		}),
		each("confirmation-two-wrong", "two for the bearer, each wrong in another way", confirmation, func(a *etree.Element) {
			c := a.FindElement(".//SubjectConfirmation")
			second := c.Copy()
			c.FindElement("./SubjectConfirmationData").CreateAttr("Recipient", "https://other.test/saml/acs")
			second.FindElement("./SubjectConfirmationData").CreateAttr("NotOnOrAfter", "2001-01-01T00:00:00.000Z")
			a.SelectElement("Subject").AddChild(second)
		}),
		each("authn-missing", "nobody signed in: no AuthnStatement", "AuthnStatement", func(a *etree.Element) {
			a.RemoveChild(a.SelectElement("AuthnStatement"))
		}),
		each("attribute-email-twice", "two email attributes", "attributes are there once", func(a *etree.Element) {
			addAttribute(a.SelectElement("AttributeStatement"), "email", "somebody@else.test")
		}),
		each("attribute-email-two-values", "two email addresses", "one address", func(a *etree.Element) {
			a.FindElement(".//Attribute[@Name='email']").CreateElement("saml2:AttributeValue").SetText("somebody@else.test")
		}),
		each("attribute-email-child", "an element in the email address", "AttributeValue has no children", func(a *etree.Element) {
			a.FindElement(".//Attribute[@Name='email']/AttributeValue").CreateElement("saml2:x").SetText("y")
		}),
		each("attribute-no-name", "an Attribute without a Name", "Attribute", func(a *etree.Element) {
			a.FindElement(".//Attribute").RemoveAttr("Name")
		}),
		each("assertion-version", "an Assertion of version 1.1", "version", func(a *etree.Element) { a.CreateAttr("Version", "1.1") }),
		each("assertion-version-missing", "an Assertion of no version", "version", func(a *etree.Element) { a.RemoveAttr("Version") }),
		each("assertion-issuer-missing", "nobody's Assertion", "Issuer", func(a *etree.Element) { a.RemoveChild(a.SelectElement("Issuer")) }),
		each("assertion-issuer-other", "another's Assertion", "Issuer", func(a *etree.Element) { a.SelectElement("Issuer").SetText("https://other-idp.test") }),
		each("assertion-issuer-empty", "an Assertion of an empty Issuer", "Issuer", func(a *etree.Element) { a.SelectElement("Issuer").SetText("") }),
		each("assertion-issuer-format", "an Issuer that is an e-mail address by its format", "Issuer", func(a *etree.Element) {
			a.SelectElement("Issuer").CreateAttr("Format", NameIDEmail)
		}),
		each("assertion-issuer-twice", "two Issuers", "Issuer", func(a *etree.Element) {
			second := a.SelectElement("Issuer").Copy()
			second.SetText("https://other-idp.test")
			before(a.SelectElement("Issuer"), second)
		}),
	}
}

// encryptedID hides who it is.
func encryptedID(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Edit: func(r *etree.Element) {
		id := r.FindElement(".//NameID")
		plain := id.Copy()
		plain.CreateAttr("xmlns:saml2", nsSAML)
		x, err := encrypt("EncryptedID", elementText(plain), ask.Certificate, SAMLEncryption{Content: AES256GCM})
		if err != nil {
			panic(err) // a test has no certificate of RSA
		}
		instead(id, x)
	}})
}
