package ssotest

import (
	"strings"
	"unicode/utf16"

	"github.com/beevik/etree"
)

// textAttacks are XML that two readers read in two ways, or that costs more than it weighs.
func textAttacks() []SAMLAttack {
	const (
		nodes     = "no comments, processing instructions or directives"
		roundTrip = "what is parsed, written and parsed is the same"
	)
	comment := func() etree.Token { return etree.NewComment("") }
	pi := func() etree.Token { return etree.NewProcInst("x", "y") }
	return []SAMLAttack{
		{"text-comment-name-id", "the attacker is VICTIM.evil.test; a comment ends the name early", nodes, cut("NameID", comment, false)},
		{"text-comment-attribute", "the same in the email attribute", nodes, cut("AttributeValue", comment, false)},
		{"text-pi-name-id", "the same with a processing instruction", nodes, cut("NameID", pi, true)},
		{"text-pi-attribute", "the same with a processing instruction in the attribute", nodes, cut("AttributeValue", pi, true)},
		{"text-cdata-name-id", "the rest of the name is CDATA", "all of the text is read, or CDATA refused", cutCData("NameID")},
		{"text-cdata-attribute", "the rest of the address is CDATA", "all of the text is read, or CDATA refused", cutCData("AttributeValue")},
		{"text-element-name-id", "the rest of the name is after an element", "NameID has no children", cut("NameID", func() etree.Token { return etree.NewElement("saml2:x") }, true)},
		{"text-element-attribute", "the rest of the address is after an element", "AttributeValue has no children", cut("AttributeValue", func() etree.Token { return etree.NewElement("saml2:x") }, true)},
		{"text-comment-audience", "a comment in the audience", nodes, issued(func(_ *SAMLProvider, _ SAMLAsk, _, a *etree.Element) {
			x := a.FindElement(".//Audience")
			x.AddChild(etree.NewComment(""))
			x.AddChild(etree.NewText(".evil.test"))
		})},
		{"text-comment-anywhere", "a comment between elements", nodes, after(func(r *etree.Element) { r.AddChild(etree.NewComment(" hello ")) })},
		{"text-comment-after-root", "a comment after the document", nodes, xmlEdit(func(s string) string { return s + "<!-- hello -->" })},
		{"text-pi-anywhere", "a style sheet for the document", nodes, xmlEdit(func(s string) string { return `<?xml-stylesheet href="https://evil.test/x.xsl" type="text/xsl"?>` + s })},
		{"doctype", "a DOCTYPE", nodes, xmlEdit(func(s string) string { return "<!DOCTYPE Response>" + s })},
		{"doctype-nested-comment", "a directive with a comment in it", nodes, xmlEdit(func(s string) string { return "<!DOCTYPE Response [<!--x--><!ELEMENT a ANY>]>" + s })},
		{"entity-internal", "the name is an entity of the document's own", nodes, entity(`<!ENTITY who "VICTIM">`)},
		{"entity-external", "the name is a file", nodes, entity(`<!ENTITY who SYSTEM "file:///etc/passwd">`)},
		{"entity-url", "the name is at an address", nodes, entity(`<!ENTITY who SYSTEM "http://169.254.169.254/latest/meta-data/">`)},
		{"entity-parameter", "a DTD from outside", nodes, xmlEdit(func(s string) string {
			return `<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>` + s
		})},
		{"entity-bomb", "a billion laughs", nodes, entity(laughs())},
		{"entity-blowup", "one long entity, often", nodes, entityBlowup},
		{"entity-attribute-default", "the DTD gives elements an ID", nodes, xmlEdit(func(s string) string {
			return `<!DOCTYPE r [<!ATTLIST saml2:Assertion ID CDATA "_x">]>` + s
		})},
		{"encoding-utf-7", "declared to be UTF-7", "UTF-8", xmlEdit(func(s string) string { return `<?xml version="1.0" encoding="UTF-7"?>` + s })},
		{"encoding-utf-16-declared", "UTF-8 declared to be UTF-16", "UTF-8", xmlEdit(func(s string) string { return `<?xml version="1.0" encoding="UTF-16"?>` + s })},
		{"encoding-utf-16", "UTF-16, with its mark", "UTF-8", xmlEdit(utf16Text)},
		{"encoding-latin-1", "declared to be ISO-8859-1", "UTF-8", xmlEdit(func(s string) string { return `<?xml version="1.0" encoding="ISO-8859-1"?>` + s })},
		{"encoding-ebcdic", "declared to be EBCDIC", "UTF-8", xmlEdit(func(s string) string { return `<?xml version="1.0" encoding="IBM037"?>` + s })},
		{"xml-1.1", "declared to be XML 1.1", "XML 1.0", xmlEdit(func(s string) string { return `<?xml version="1.1" encoding="UTF-8"?>` + s })},
		{"encoding-invalid-utf-8", "a byte that is not UTF-8, in the name", "UTF-8", inName("\xff")},
		{"encoding-overlong-utf-8", "an overlong dot, in the name", "UTF-8", inName("\xc0\xae")},
		{"encoding-surrogate", "half of a pair, in the name", "UTF-8", inName("\xed\xa0\x80")},
		{"encoding-nul", "a NUL in the name", "characters of XML", inName("\x00")},
		{"encoding-nul-reference", "a reference to NUL in the name", "characters of XML", inName("&#0;")},
		{"encoding-control-reference", "a reference to a control character in the name", "characters of XML", inName("&#27;")},
		{"encoding-unknown-entity", "an entity of HTML in the name", "entities of XML", inName("&nbsp;")},
		{"namespace-other", "forged Assertion of another namespace, with the usual prefix, first", "namespace", rewritten(otherNamespace)},
		{"namespace-none", "forged Assertion of no namespace, first", "namespace", rewritten(noNamespace)},
		{"namespace-undeclared", "forged Assertion with a prefix that nobody declared, first", "namespace", rewritten(undeclaredPrefix)},
		{"namespace-response", "the Response is of another namespace", "namespace", issued(func(_ *SAMLProvider, _ SAMLAsk, r, _ *etree.Element) {
			r.CreateAttr("xmlns:saml2p", "urn:evil:protocol")
		})},
		{"namespace-saml-1", "all of it is of SAML 1.1's namespaces", "namespace", issued(func(_ *SAMLProvider, _ SAMLAsk, r, a *etree.Element) {
			r.CreateAttr("xmlns:saml2p", "urn:oasis:names:tc:SAML:1.0:protocol")
			a.CreateAttr("xmlns:saml2", "urn:oasis:names:tc:SAML:1.0:assertion")
		})},
		{"namespace-xml", "prefix xml is another's", roundTrip, declare(`xmlns:xml="urn:evil"`)},
		{"namespace-xmlns", "prefix xmlns is declared", roundTrip, declare(`xmlns:xmlns="urn:evil"`)},
		{"namespace-default-other", "the default namespace is another's, after the genuine name", roundTrip, declare(`xmlns="urn:evil" xmlns:="urn:evil2"`)},
		{"round-trip-double-colon", "an element <x::Root>", roundTrip, element(`<x::Root xmlns:x="urn:x"/>`)},
		{"round-trip-leading-colon", "an element <:a>", roundTrip, element(`<:a/>`)},
		{"round-trip-trailing-colon", "an element <a:>", roundTrip, element(`<a: xmlns:a="urn:a"/>`)},
		{"round-trip-attribute-colon", "an attribute x::y", roundTrip, element(`<a x::y="z" xmlns:x="urn:x"/>`)},
		{"round-trip-directive", "a directive that is another when it was written (CVE-2020-29510)", roundTrip, xmlEdit(func(s string) string {
			return `<!x<!-->--><x/>-->` + s
		})},
		{"unclosed", "the document ends too early", "XML", xmlEdit(func(s string) string { return strings.TrimSuffix(s, "</saml2p:Response>") })},
		{"two-roots", "two documents in one", "XML", twoRoots},
		{"text-after-root", "text after the document", "XML", xmlEdit(func(s string) string { return s + "hello" })},
	}
}

// cut names the attacker VICTIM.evil.test, which the provider signs, and puts something
// between the two: after it signed, for what canonicalization drops, or else before.
func cut(where string, what func() etree.Token, signed bool) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return cutWith(where, signed, func(el *etree.Element, victim, rest string) {
		el.SetText(victim)
		el.AddChild(what())
		el.AddChild(etree.NewText(rest))
	})
}

// cutCData is cut where the rest is CDATA, which canonicalization makes text.
func cutCData(where string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return cutWith(where, false, func(el *etree.Element, victim, rest string) {
		el.SetText(victim)
		el.AddChild(etree.NewCData(rest))
	})
}

func cutWith(where string, signed bool, f func(el *etree.Element, victim, rest string)) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
		const rest = ".evil.test"
		_, name := p.nameID(ask, victim)
		person := attacker
		if where == "NameID" {
			ask.NameID = name + rest
		} else {
			name, person.Email = victim.Email, victim.Email+rest
		}
		edit := func(r *etree.Element) { f(r.FindElement(".//"+where), name, rest) }
		if signed {
			return p.Respond(ask, person, SAMLFaults{Edit: edit})
		}
		return p.Respond(ask, person, SAMLFaults{After: edit})
	}
}

// after makes an attack of what is done to a response for the victim that is signed.
func after(f func(r *etree.Element)) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{After: f})
	}
}

// xmlEdit makes an attack of a change of a response for the victim, as it is written.
func xmlEdit(f func(string) string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{XML: f})
	}
}

// declare adds to the attributes of the Response.
func declare(what string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return xmlEdit(func(s string) string { return strings.Replace(s, "<saml2p:Response ", "<saml2p:Response "+what+" ", 1) })
}

// element adds one to the end of the Response.
func element(what string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return xmlEdit(func(s string) string {
		return strings.TrimSuffix(s, "</saml2p:Response>") + what + "</saml2p:Response>"
	})
}

// inName puts something at the end of the victim's NameID, as it is written.
func inName(what string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return xmlEdit(func(s string) string { return strings.Replace(s, "</saml2:NameID>", what+"</saml2:NameID>", 1) })
}

// entity declares &who; and has it for a name. VICTIM is the victim's.
func entity(declaration string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
		_, name := p.nameID(ask, victim)
		ask.NameID = "-who-"
		return p.Respond(ask, attacker, SAMLFaults{XML: func(s string) string {
			return "<!DOCTYPE r [" + strings.ReplaceAll(declaration, "VICTIM", name) + "]>" + strings.Replace(s, "-who-", "&who;", 1)
		}})
	}
}

func laughs() string {
	var b strings.Builder
	b.WriteString(`<!ENTITY a0 "ha">`)
	last := "a0"
	for _, name := range []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "who"} {
		b.WriteString("<!ENTITY " + name + ` "` + strings.Repeat("&"+last+";", 10) + `">`)
		last = name
	}
	return b.String()
}

// entityBlowup is quadratic where laughs is exponential.
func entityBlowup(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{XML: func(s string) string {
		return `<!DOCTYPE r [<!ENTITY a "` + strings.Repeat("a", 20_000) + `">]>` +
			strings.Replace(s, "</saml2:NameID>", strings.Repeat("&a;", 20_000)+"</saml2:NameID>", 1)
	}})
}

func utf16Text(s string) string {
	out := []byte{0xfe, 0xff}
	for _, u := range utf16.Encode([]rune(`<?xml version="1.0" encoding="UTF-16"?>` + s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return string(out)
}

// otherNamespace is an Assertion by prefix and local name only.
func otherNamespace(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	forged.CreateAttr("xmlns:saml2", "urn:evil:assertion")
	before(a, forged)
}

// noNamespace is an Assertion by local name only.
func noNamespace(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	reprefix(forged, "saml2", "")
	forged.RemoveAttr("xmlns")
	before(a, forged)
}

// undeclaredPrefix is an Assertion of what namespace a reader guesses.
func undeclaredPrefix(p *SAMLProvider, ask SAMLAsk, victim Person, _, a *etree.Element) {
	forged := p.assertion(ask, victim)
	reprefix(forged, "saml2", "nobody")
	forged.RemoveAttr("xmlns:nobody")
	before(a, forged)
}

// twoRoots has a forged document after the genuine one.
func twoRoots(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{XML: func(s string) string { return s + elementText(p.response(ask, victim)) }})
}

// reprefix renames a namespace's prefix, and the elements that have it; to may be empty.
func reprefix(el *etree.Element, from, to string) {
	if el.Space == from {
		el.Space = to
	}
	for i, a := range el.Attr {
		switch {
		case a.Space == "xmlns" && a.Key == from && to == "":
			el.Attr[i].Space, el.Attr[i].Key = "", "xmlns"
		case a.Space == "xmlns" && a.Key == from:
			el.Attr[i].Key = to
		case a.Space == from && to != "":
			el.Attr[i].Space = to
		}
	}
	for _, c := range el.ChildElements() {
		reprefix(c, from, to)
	}
}
