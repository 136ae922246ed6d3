package ssotest

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/beevik/etree"
)

// sizeAttacks cost whoever reads them more than whoever sends them. All carry a good
// assertion for the victim.
func sizeAttacks() []SAMLAttack {
	const check = "size, before anything is parsed"
	const shape = "number and depth of what is in it"
	return []SAMLAttack{
		{"size-10-mb", "ten megabytes of text", check, element("<x>" + strings.Repeat("a", 10<<20) + "</x>")},
		{"size-10-mb-blank", "ten megabytes of blanks after the document", check, xmlEdit(func(s string) string { return s + strings.Repeat(" ", 10<<20) })},
		{"size-10-mb-attribute", "an attribute of ten megabytes", check, element(`<x a="` + strings.Repeat("a", 10<<20) + `"/>`)},
		{"size-attributes", "10,000 attributes", shape, element("<x " + numbered(10_000, func(i string) string { return "a" + i + `="" ` }) + "/>")},
		{"size-namespaces", "10,000 namespaces", shape, element("<x " + numbered(10_000, func(i string) string { return "xmlns:a" + i + `="urn:` + i + `" ` }) + "/>")},
		{"size-elements", "100,000 elements", shape, element("<x>" + strings.Repeat("<y/>", 100_000) + "</x>")},
		{"size-depth", "10,000 elements in each other", shape, element(strings.Repeat("<y>", 10_000) + strings.Repeat("</y>", 10_000))},
		{"size-depth-signed", "1,000 elements in each other, in what is signed", shape, deepSigned},
		{"size-name", "an element whose name is a megabyte", shape, element("<" + strings.Repeat("a", 1<<20) + "/>")},
		{"size-groups", "5,000 groups, signed", "number of groups", manyGroups},
		{"size-signed-attributes", "5,000 attributes of the person, signed", "number of attributes", manyAttributes},
		{"size-signatures", "1,000 Signatures", "one signature", after(func(r *etree.Element) {
			a := r.SelectElement("Assertion")
			for range 1000 {
				a.AddChild(a.SelectElement("Signature").Copy())
			}
		})},
		{"size-references", "1,000 references to the Assertion", "reference", manyReferences},
		{"size-transforms", "1,000 transforms", "transforms", manyTransforms},
		{"size-certificates", "1,000 certificates in KeyInfo", "pinned certificate", after(func(r *etree.Element) {
			c := r.FindElement(".//X509Certificate")
			for range 1000 {
				c.Parent().AddChild(c.Copy())
			}
		})},
		{"size-modulus", "a key of 100,000 bits as KeyValue", "pinned certificate", after(func(r *etree.Element) {
			info := r.FindElement(".//KeyInfo")
			info.RemoveChildAt(0)
			v := info.CreateElement("ds:KeyValue").CreateElement("ds:RSAKeyValue")
			v.CreateElement("ds:Modulus").SetText(encoded(strings.Repeat("\xff", 12_500)))
			v.CreateElement("ds:Exponent").SetText("AQAB")
		})},
		{"size-prefix-list", "10,000 prefixes for the canonicalizer", "canonicalization", after(func(r *etree.Element) {
			list := r.FindElement(".//Transforms").ChildElements()[1].CreateElement("ec:InclusiveNamespaces")
			list.CreateAttr("xmlns:ec", excC14N)
			list.CreateAttr("PrefixList", numbered(10_000, func(i string) string { return "a" + i + " " }))
		})},
		{"size-deflated", "a good response, deflated as the redirect binding has it", "base64 of XML", deflated(func(s string) string { return s })},
		{"size-deflate-bomb", "32 megabytes, deflated", "base64 of XML", deflated(func(s string) string { return strings.Repeat(" ", 32<<20) + s })},
	}
}

func numbered(n int, f func(i string) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(strconv.Itoa(i)))
	}
	return b.String()
}

// deepSigned has the canonicalizer go deep.
func deepSigned(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Edit: func(r *etree.Element) {
		x := addAttribute(r.FindElement(".//AttributeStatement"), "deep", "").SelectElement("AttributeValue")
		for range 1000 {
			x = x.CreateElement("saml2:y")
		}
	}})
}

// manyGroups is what a directory sends that was asked for all groups.
func manyGroups(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	victim.Groups = strings.Fields(numbered(5000, func(i string) string { return "group-" + i + " " }))
	return p.Respond(ask, victim)
}

// manyAttributes is a person with a claim for everything.
func manyAttributes(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	victim.Claims = map[string]any{}
	for i := range 5000 {
		victim.Claims["claim-"+strconv.Itoa(i)] = "x"
	}
	return p.Respond(ask, victim)
}

// manyReferences has the verifier digest the Assertion over and over.
func manyReferences(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) {
		info := r.FindElement(".//SignedInfo")
		ref := info.SelectElement("Reference")
		for range 1000 {
			info.AddChild(ref.Copy())
		}
	}})
}

// manyTransforms has the verifier canonicalize the Assertion over and over.
func manyTransforms(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{After: func(r *etree.Element) {
		ts := r.FindElement(".//Transforms")
		t := ts.ChildElements()[1]
		for range 1000 {
			ts.AddChild(t.Copy())
		}
	}})
}

// deflated packs what the POST binding does not.
func deflated(f func(string) string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return xmlEdit(func(s string) string { return string(deflate(f(s))) })
}

// encodingAttacks are good responses for the victim that are not in base64, or not quite.
func encodingAttacks() []SAMLAttack {
	const check = "base64"
	each := func(name, what string, f func(string) string) SAMLAttack {
		return SAMLAttack{"base64-" + name, what, check, func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
			return p.Respond(ask, victim, SAMLFaults{Encoded: f})
		}}
	}
	return []SAMLAttack{
		each("none", "the XML as it is", func(s string) string {
			raw, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				panic(err) // never: we wrote it
			}
			return string(raw)
		}),
		each("empty", "nothing", func(string) string { return "" }),
		each("blank", "blanks", func(string) string { return " \r\n\t " }),
		each("twice", "base64 of base64", encoded),
		{"base64-url-safe", "the alphabet for URLs", check, urlSafe},
		each("star", "a character that is not base64", func(s string) string { return s[:40] + "*" + s[40:] }),
		each("padding-inside", "padding in the middle", func(s string) string { return s[:40] + "==" + s[40:] }),
		each("after-padding", "more after the padding", func(s string) string { return strings.TrimRight(s, "=") + "==" + s }),
		each("cut", "the end is missing", func(s string) string { return s[:len(s)/8*4+1] }),
		each("nul", "a NUL at the end", func(s string) string { return s + "\x00" }),
		each("megabytes", "ten megabytes of line ends", func(s string) string { return s + strings.Repeat("\n", 10<<20) }),
		each("percent", "escaped once more", func(s string) string { return strings.ReplaceAll(s, "P", "%50") }),
	}
}

// urlSafe is base64 of the JOSE kind, with something in it that shows.
func urlSafe(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	for {
		if s := p.Respond(ask, victim); strings.ContainsAny(s, "+/") {
			return strings.NewReplacer("+", "-", "/", "_").Replace(s)
		}
	}
}
