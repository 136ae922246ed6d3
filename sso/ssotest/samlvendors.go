package ssotest

import (
	"encoding/base64"

	"github.com/beevik/etree"
)

// Names of attributes, as real providers have them.
const (
	claimsEmail    = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
	claimsName     = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
	claimsGroup    = "http://schemas.xmlsoap.org/claims/Group"
	entraName      = "http://schemas.microsoft.com/identity/claims/displayname"
	entraGroups    = "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups"
	oidMail        = "urn:oid:0.9.2342.19200300.100.1.3"
	oidDisplayName = "urn:oid:2.16.840.1.113730.3.1.241"
	oidMemberOf    = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"

	formatURI   = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
	formatBasic = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
)

// named renames attributes, and types their values.
func named(r *etree.Element, names map[string]string, format, kind string) {
	for _, a := range r.FindElements(".//Attribute") {
		old := a.SelectAttrValue("Name", "")
		if to := names[old]; to != "" {
			a.CreateAttr("Name", to)
		}
		if a.RemoveAttr("NameFormat"); format != "" {
			a.CreateAttr("NameFormat", format)
		}
		if kind == "" {
			continue
		}
		for _, v := range a.SelectElements("AttributeValue") {
			v.CreateAttr("xmlns:xs", nsXS)
			v.CreateAttr("xmlns:xsi", nsXSI)
			v.CreateAttr("xsi:type", kind)
		}
	}
}

// names maps the provider's own names of attributes to others.
func (p *SAMLProvider) names(email, name, groups string) map[string]string {
	own := p.options.Attributes
	return map[string]string{own.Email: email, own.Name: name, own.Groups: groups}
}

// okta signs both, with a PrefixList, and types its values.
func okta(p *SAMLProvider, ask SAMLAsk, person Person) string {
	ask.Signed, ask.Encrypt = BothSigned, SAMLEncryption{}
	ask.NameIDFormat, ask.NameID = NameIDUnspecified, person.Subject
	how := SAMLSigning{Prefixes: "xs"}
	return p.Respond(ask, person, SAMLFaults{Assertion: how, Response: how, XML: declaration, Edit: func(r *etree.Element) {
		r.CreateAttr("xmlns:xs", nsXS)
		issuer := r.SelectElement("Issuer")
		issuer.CreateAttr("Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:entity")
		r.SelectElement("Assertion").CreateAttr("xmlns:xs", nsXS)
		named(r, p.names("email", "name", "groups"), "urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified", "xs:string")
	}})
}

// entra has default namespaces for the assertion and its signature, and URIs for names.
func entra(p *SAMLProvider, ask SAMLAsk, person Person) string {
	ask.Signed, ask.Encrypt = AssertionSigned, SAMLEncryption{}
	ask.NameIDFormat, ask.NameID = NameIDPersistent, person.Subject
	return p.Respond(ask, person, SAMLFaults{Assertion: SAMLSigning{Prefix: "-"}, Edit: func(r *etree.Element) {
		named(r, p.names(claimsEmail, entraName, entraGroups), "", "")
		s := r.FindElement(".//AttributeStatement")
		for _, v := range [][2]string{
			{"http://schemas.microsoft.com/identity/claims/tenantid", "2f3b1c5e-0000-4000-8000-6f1d5a1f2b3c"},
			{"http://schemas.microsoft.com/identity/claims/objectidentifier", "7a0e9d2c-0000-4000-8000-0c1b2a394857"},
			{"http://schemas.microsoft.com/claims/authnmethodsreferences", "http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password"},
		} {
			addAttribute(s, v[0], v[1]).RemoveAttr("NameFormat")
		}
		r.FindElement(".//AuthnContextClassRef").SetText("urn:oasis:names:tc:SAML:2.0:ac:classes:Password")
		prefixes("samlp", "")(r)
	}})
}

// adfs has a default namespace for the assertion, and Consent.
func adfs(p *SAMLProvider, ask SAMLAsk, person Person) string {
	ask.Signed, ask.Encrypt = AssertionSigned, SAMLEncryption{}
	return p.Respond(ask, person, SAMLFaults{Edit: func(r *etree.Element) {
		named(r, p.names(claimsEmail, claimsName, claimsGroup), "", "")
		r.CreateAttr("Consent", "urn:oasis:names:tc:SAML:2.0:consent:unspecified")
		prefixes("samlp", "")(r)
	}})
}

// google signs the Response and names the certificate's subject too.
func google(p *SAMLProvider, ask SAMLAsk, person Person) string {
	ask.Signed, ask.Encrypt = ResponseSigned, SAMLEncryption{}
	return p.Respond(ask, person, SAMLFaults{XML: func(s string) string {
		return `<?xml version="1.0" encoding="UTF-8" standalone="no"?>` + s
	}, Edit: func(r *etree.Element) {
		named(r, p.names("email", "name", "groups"), "", "xs:anyType")
	}, After: func(r *etree.Element) {
		x := etree.NewElement("ds:X509SubjectName")
		x.SetText("CN=ssotest")
		before(r.FindElement(".//X509Certificate"), x)
	}})
}

// keycloak has KeyName and KeyValue beside the certificate, and roles.
func keycloak(p *SAMLProvider, ask SAMLAsk, person Person) string {
	ask.Signed, ask.Encrypt = BothSigned, SAMLEncryption{}
	how := SAMLSigning{Prefix: "dsig"}
	return p.Respond(ask, person, SAMLFaults{Assertion: how, Response: how, Edit: func(r *etree.Element) {
		named(r, p.names("email", "name", "groups"), formatBasic, "xs:string")
		friendly(r)
		role := addAttribute(r.FindElement(".//AttributeStatement"), "Role", "offline_access", "uma_authorization")
		role.CreateAttr("NameFormat", formatBasic)
		prefixes("samlp", "saml")(r)
	}, After: func(r *etree.Element) {
		info := r.FindElement("./Signature/KeyInfo")
		name := etree.NewElement("dsig:KeyName")
		name.SetText("q0kDkYt7g5y5zQ2nJqQwKk5vG8M4b7")
		info.InsertChildAt(0, name)
		v := info.CreateElement("dsig:KeyValue").CreateElement("dsig:RSAKeyValue")
		v.CreateElement("dsig:Modulus").SetText(base64.StdEncoding.EncodeToString(p.Key().Private.N.Bytes()))
		v.CreateElement("dsig:Exponent").SetText("AQAB")
	}})
}

// shibboleth names attributes by their OIDs and the person in many words.
func shibboleth(encrypted bool) func(*SAMLProvider, SAMLAsk, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, person Person) string {
		ask.Signed, ask.Encrypt = BothSigned, SAMLEncryption{}
		if encrypted {
			ask.Signed = ResponseSigned
			ask.Encrypt = SAMLEncryption{Content: AES128GCM, Digest: SHA1}
		}
		return p.Respond(ask, person, SAMLFaults{XML: declaration, Between: wrapSignature, After: wrapSignature, Edit: func(r *etree.Element) {
			named(r, p.names(oidMail, oidDisplayName, oidMemberOf), formatURI, "xs:string")
			for name, label := range map[string]string{oidMail: "mail", oidDisplayName: "displayName", oidMemberOf: "isMemberOf"} {
				if a := r.FindElement(".//Attribute[@Name='" + name + "']"); a != nil {
					a.CreateAttr("FriendlyName", label)
				}
			}
			id := r.FindElement(".//NameID")
			id.CreateAttr("NameQualifier", p.options.EntityID)
			id.CreateAttr("SPNameQualifier", ask.Audience)
			r.FindElement(".//SubjectConfirmationData").CreateAttr("Address", "192.0.2.7")
			authn := r.FindElement(".//AuthnStatement")
			where := etree.NewElement("saml2:SubjectLocality")
			where.CreateAttr("Address", "192.0.2.7")
			authn.InsertChildAt(0, where)
		}})
	}
}
