package saml

import (
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Namespaces.
const (
	nsProtocol   = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion  = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata   = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsSignature  = "http://www.w3.org/2000/09/xmldsig#"
	nsEncryption = "http://www.w3.org/2001/04/xmlenc#"
	nsEncrypt11  = "http://www.w3.org/2009/xmlenc11#"
	nsExclusive  = "http://www.w3.org/2001/10/xml-exc-c14n#"
	nsInstance   = "http://www.w3.org/2001/XMLSchema-instance"
	nsXML        = "http://www.w3.org/XML/1998/namespace"
	nsXMLNS      = "http://www.w3.org/2000/xmlns/"
)

// Names of the protocol.
const (
	bearer          = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPost     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

	statusPrefix  = "urn:oasis:names:tc:SAML:2.0:status:"
	statusSuccess = statusPrefix + "Success"

	formatEntity      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	formatPersistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	formatTransient   = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
	formatKerberos    = "urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos"
	formatEmail       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	formatUnspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	formatX509        = "urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"
	formatWindows     = "urn:oasis:names:tc:SAML:1.1:nameid-format:WindowsDomainQualifiedName"
)

// is reports whether el is the element of that name. (Not by etree's paths: there, a name
// without a prefix is one of any namespace.)
func is(el *etree.Element, namespace, tag string) bool {
	return el.Tag == tag && el.NamespaceURI() == namespace
}

// attr returns the attribute of that name that has no prefix. (Not by SelectAttr: there,
// x:ID is an ID.)
func attr(el *etree.Element, name string) (value string, ok bool) {
	for i := range el.Attr {
		if a := &el.Attr[i]; a.Space == "" && a.Key == name {
			return a.Value, true
		}
	}
	return "", false
}

// children returns the elements of that name directly in el.
func children(el *etree.Element, namespace, tag string) []*etree.Element {
	var found []*etree.Element
	for _, t := range el.Child {
		if child, ok := t.(*etree.Element); ok && is(child, namespace, tag) {
			found = append(found, child)
		}
	}
	return found
}

// only returns the one element of that name directly in el, or nil if there is none or more.
func only(el *etree.Element, namespace, tag string) *etree.Element {
	if found := children(el, namespace, tag); len(found) == 1 {
		return found[0]
	}
	return nil
}

// textOf returns what el holds; ok is false if that is anything but text: half of a text, up to
// something in the middle of it, is how a name becomes another's.
func textOf(el *etree.Element) (s string, ok bool) {
	switch len(el.Child) {
	case 0:
		return "", true
	case 1:
		t, ok := el.Child[0].(*etree.CharData)
		if !ok {
			return "", false
		}
		return t.Data, true
	}
	var b strings.Builder
	for _, c := range el.Child {
		t, ok := c.(*etree.CharData)
		if !ok {
			return "", false
		}
		b.WriteString(t.Data)
	}
	return b.String(), true
}

// instant reads a time that has a zone (saml-core-2.0-os, 1.3.3, wants UTC; an offset says no less).
// The zero time is none, as whoever reads it takes it for one that is not said; nor is one of a year
// that JSON can't hold.
func instant(s string) (time.Time, bool) {
	if len(s) > 40 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	t = t.UTC()
	return t, err == nil && !t.IsZero() && t.Year() >= 0 && t.Year() <= 9999
}
