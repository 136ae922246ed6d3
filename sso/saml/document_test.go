package saml

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"

	"github.com/orgate/orgate/sso/ssotest"
)

// What two readers may see differently never reaches a second reader.
func TestDocumentsThatAreRefused(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing":                           "",
		"text":                              "hello",
		"text after the root":               "<a/>x",
		"two roots":                         "<a/><b/>",
		"a root that does not end":          "<a><b></b>",
		"an end too many":                   "<a/></a>",
		"ends that do not match":            "<a><b></a></b>",
		"ends by another prefix":            `<x:a xmlns:x="urn:x" xmlns:y="urn:x"></y:a>`,
		"a doctype":                         `<!DOCTYPE a><a/>`,
		"an entity":                         `<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`,
		"an entity that is not declared":    `<a>&x;</a>`,
		"a comment":                         `<a>b<!---->c</a>`,
		"a comment before":                  `<!-- x --><a/>`,
		"a comment that does not end":       `<a><!-- </a>`,
		"a CDATA section":                   `<a><![CDATA[b]]></a>`,
		"a processing instruction":          `<a>b<?x y?>c</a>`,
		"a style sheet":                     `<?xml-stylesheet href="x"?><a/>`,
		"a second declaration":              `<?xml version="1.0"?><?xml version="1.0"?><a/>`,
		"a late declaration":                ` <?xml version="1.0"?><a/>`,
		"a declaration inside":              `<a><?xml version="1.0"?></a>`,
		"another encoding":                  `<?xml version="1.0" encoding="utf-7"?><a/>`,
		"Latin-1":                           `<?xml version="1.0" encoding="iso-8859-1"?><a/>`,
		"another version":                   `<?xml version="1.1"?><a/>`,
		"a declaration of no version":       `<?xml encoding="UTF-8"?><a/>`,
		"a declaration in another order":    `<?xml encoding="UTF-8" version="1.0"?><a/>`,
		"a declaration of something else":   `<?xml version="1.0" version="1.0"?><a/>`,
		"an escape before the root":         `&#32;<a/>`,
		"a space that XML does not know":    "\u00a0<a/>",
		"half of a surrogate":               `<a>&#xd800;</a>`,
		"a number that comes round":         `<a>&#4294967361;</a>`,
		"no space between attributes":       `<a b="1"c="2"/>`,
		"not UTF-8":                         "<a>\xff</a>",
		"UTF-16":                            "\xff\xfe<\x00a\x00/\x00>\x00",
		"a NUL":                             "<a>\x00</a>",
		"a NUL by number":                   "<a>&#0;</a>",
		"an attribute twice":                `<a b="1" b="2"/>`,
		"an attribute twice, by prefixes":   `<a xmlns:x="urn:x" xmlns:y="urn:x" x:b="1" y:b="2"/>`,
		"a prefix twice":                    `<a xmlns:x="urn:x" xmlns:x="urn:y"/>`,
		"a prefix that is not declared":     `<x:a/>`,
		"an attribute's, too":               `<a x:b="1"/>`,
		"a prefix declared elsewhere":       `<a><b xmlns:x="urn:x"/><x:c/></a>`,
		"xml as something else":             `<a xmlns:xml="urn:x"/>`,
		"xml as itself":                     `<a xmlns:xml="http://www.w3.org/XML/1998/namespace"/>`,
		"xml by another prefix":             `<a xmlns:x="http://www.w3.org/XML/1998/namespace" x:id="b"/>`,
		"xml as the default":                `<a xmlns="http://www.w3.org/XML/1998/namespace"/>`,
		"xmlns declared":                    `<a xmlns:xmlns="urn:x"/>`,
		"xmlns by another prefix":           `<a xmlns:x="http://www.w3.org/2000/xmlns/"/>`,
		"a prefix undeclared":               `<a xmlns:x="urn:x"><b xmlns:x=""/></a>`,
		"an element of xml":                 `<xml:a/>`,
		"an element of xmlns":               `<xmlns:a/>`,
		"an empty prefix":                   `<:a/>`,
		"an empty local name":               `<x: xmlns:x="urn:x"/>`,
		"two colons":                        `<x:y:a xmlns:x="urn:x"/>`,
		"two colons side by side":           `<x::Root xmlns:x="urn:x"/>`,
		"an attribute with an empty prefix": `<a :b="1"/>`,
		"xmlns with an empty prefix":        `<a xmlns:="urn:x"/>`,
		"letters that look alike":           `<аssertion/>`,
		"an attribute without quotes":       `<a b=c/>`,
		"an attribute without a value":      `<a b/>`,
		"< in an attribute":                 `<a b="<"/>`,
		"]]> in a text":                     `<a>]]></a>`,
		"xml:id":                            `<a xml:id="b"/>`,
		"xml:base":                          `<a xml:base="http://x"/>`,
		"id in small letters":               `<a id="b"/>`,
		"Id":                                `<a Id="b"/>`,
		"an ID with a prefix":               `<a xmlns:x="urn:x" x:ID="b"/>`,
		"wsu:Id":                            `<a xmlns:wsu="urn:x" wsu:Id="b"/>`,
		"an ID on a signature":              `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#" ID="b"/>`,
		"an ID twice":                       `<a ID="b"><c ID="b"/></a>`,
		"an ID twice, once on a signature":  `<a ID="b"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="b"/></a>`,
		"an empty ID":                       `<a ID=""/>`,
		"an ID that is none":                `<a ID="1 2"/>`,
		"33 deep":                           strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33),
		"10,001 elements":                   "<a>" + strings.Repeat("<b/>", 10_000) + "</a>",
		"65 attributes":                     "<a" + attributes(65) + "/>",
		"257 prefixes at a time":            prefixes(5, 52),
		"20,001 attributes":                 "<a>" + strings.Repeat("<b"+attributes(64)+"/>", 313) + "</a>",
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := parse([]byte(doc), false); err == nil {
				t.Errorf("accepted: %s", d.root.FullTag())
			}
		})
	}
	for name, doc := range map[string]string{
		"a declaration":      `<?xml version="1.0" encoding="UTF-8"?>` + "\n<a/>\n",
		"32 deep":            strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32),
		"250 prefixes":       prefixes(5, 50),
		"64 attributes":      "<a" + attributes(64) + "/>",
		"> in an attribute":  `<a b=">/>" c='"'><d/></a>`,
		"a default undone":   `<a xmlns="urn:x"><b xmlns=""/></a>`,
		"a prefix redefined": `<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:y"/></x:a>`,
		"ids":                `<a ID="b"><Signature xmlns="http://www.w3.org/2000/09/xmldsig#" Id="c"/></a>`,
		"a language":         `<a xml:lang="de">b</a>`,
		"escapes":            `<a b="&quot;&#x9;">&lt;&amp;&#233;</a>`,
	} {
		if _, err := parse([]byte(doc), false); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parse([]byte("<!-- a --><a><!-- <b> -->c</a><!-- d -->"), true); err != nil {
		t.Errorf("comments where they are allowed: %v", err)
	}
}

// prefixes declares so many prefixes on each of so many elements in each other.
func prefixes(elements, each int) string {
	var b strings.Builder
	for i := range elements {
		b.WriteString("<a")
		for j := range each {
			fmt.Fprintf(&b, ` xmlns:p%d-%d="urn:x"`, i, j)
		}
		b.WriteString(">")
	}
	return b.String() + strings.Repeat("</a>", elements)
}

func attributes(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ` a%d="x"`, i)
	}
	return b.String()
}

// A bomb is refused for a small part of what it would cost.
func TestABombCostsNothing(t *testing.T) {
	for name, doc := range map[string]string{
		"attributes": "<a" + attributes(60_000) + "/>",
		"elements":   "<a>" + strings.Repeat("<b/>", 180_000) + "</a>",
		"depth":      strings.Repeat("<a>", 250_000),
		"entities":   `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>` + strings.Repeat(" ", 700_000),
		"quotes":     "<a b=" + strings.Repeat(`"`, 700_000),
	} {
		b := []byte(doc)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := parse(b, false); err == nil {
			t.Errorf("%s: accepted", name)
		}
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 64<<10 {
			t.Errorf("%s: %d bytes", name, cost)
		}
	}
}

// The messages of attacks on how a text is read: each is signed in its honest form, and changed
// where that does not change the signature, or signed as it is.
func TestATextIsReadInOneWay(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"comment in the name":          func(s string) string { return strings.Replace(s, ">u-alice<", ">u-<!---->alice<", 1) },
		"processing instruction in it": func(s string) string { return strings.Replace(s, ">u-alice<", ">u-<?x y?>alice<", 1) },
		"CDATA in it":                  func(s string) string { return strings.Replace(s, ">u-alice<", ">u-<![CDATA[alice]]><", 1) },
		"comment in an attribute's value": func(s string) string {
			return strings.Replace(s, ">alice@acme.test<", ">alice@acme.test<!---->.evil.test<", 1)
		},
		"instruction in it, too": func(s string) string {
			return strings.Replace(s, ">alice@acme.test<", ">alice@acme.test<?x y?>.evil.test<", 1)
		},
		"CDATA in that one": func(s string) string {
			return strings.Replace(s, ">alice@acme.test<", "><![CDATA[alice@acme.test]]><", 1)
		},
		"doctype":            func(s string) string { return "<!DOCTYPE x>" + s },
		"comment at the end": func(s string) string { return s + "<!-- -->" },
		"an id for others on the assertion": func(s string) string {
			return strings.Replace(s, "<saml2:Assertion ", `<saml2:Assertion xml:id="x" `, 1)
		},
		"10,000 attributes": func(s string) string {
			return strings.Replace(s, "<saml2:Assertion ", "<saml2:Assertion "+attributes(10_000)+" ", 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			changed := false
			response := r.respond(ssotest.SAMLFaults{XML: func(s string) string { n := change(s); changed = n != s; return n }})
			if !changed {
				t.Fatal("nothing to change")
			}
			r.refuse(t, response, CodeXML)
		})
	}
	// The name that is signed is the name that is read, entity or not.
	r := newRig(t)
	r.ask.NameID = "u-<&>\"'alice"
	a, _, err := r.c.Consume(r.respond(), r.now)
	if err != nil || a.Subject != r.ask.NameID {
		t.Errorf("%q, %v", a.Subject, err)
	}
}

func TestBase64(t *testing.T) {
	r := newRig(t)
	good := r.respond()
	var lines strings.Builder
	for i, c := range good {
		if i > 0 && i%76 == 0 {
			lines.WriteString("\r\n")
		}
		lines.WriteRune(c)
	}
	r.accept(t, lines.String())
	r.accept(t, " "+good+"\n")
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		s    string
		want Code
	}{
		"empty":                       {"", CodeEncoding},
		"spaces":                      {" \n", CodeEncoding},
		"XML as it is":                {string(raw), CodeEncoding},
		"URL alphabet":                {base64.URLEncoding.EncodeToString(append(bytes.Clone(raw), "\xff\xff\xff"...)), CodeEncoding},
		"no padding":                  {base64.RawStdEncoding.EncodeToString([]byte("<a/> ")), CodeEncoding},
		"something after the padding": {base64.StdEncoding.EncodeToString([]byte("<a/> ")) + "AAAA", CodeEncoding},
		"bits that count for nothing": {"PGEvPh==", CodeEncoding},
		"a percent sign":              {"%" + good[1:], CodeEncoding},
		"deflated, as in a redirect":  {"fZFNa8MwDIb/SvA9jZ2", CodeEncoding},
		"10 MB":                       {strings.Repeat("QUJD", 10<<20/4), CodeTooLarge},
		"just too large":              {base64.StdEncoding.EncodeToString(make([]byte, maxMessage+1)), CodeTooLarge},
	} {
		t.Run(name, func(t *testing.T) { r.refuse(t, tc.s, tc.want) })
	}
}

// What parse takes, the validator takes: every token is the same when it is written and read again.
func TestWhatIsTakenSurvivesARoundTrip(t *testing.T) {
	r := newRig(t)
	for _, response := range []string{r.respond(), r.respond(ssotest.SAMLFaults{Signed: ssotest.BothSigned})} {
		raw, err := base64.StdEncoding.DecodeString(response)
		if err != nil {
			t.Fatal(err)
		}
		if err := validator.Validate(bytes.NewReader(raw)); err != nil {
			t.Error(err)
		}
	}
}

// A tree of ours and one of etree's, of the same bytes, are the same.
func checkSameTree(t testing.TB, b []byte) {
	t.Helper()
	d, err := parse(b, false)
	if err != nil {
		return
	}
	if err := validator.Validate(bytes.NewReader(b)); err != nil {
		t.Errorf("the validator refuses what is taken: %v", err)
	}
	theirs := etree.NewDocument()
	if err := theirs.ReadFromBytes(b); err != nil {
		t.Errorf("etree refuses what is taken: %v", err)
		return
	}
	a, err := serialize(d.root.Copy())
	if err != nil {
		t.Fatal(err)
	}
	c, err := serialize(theirs.Root().Copy())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, c) {
		t.Errorf("two trees:\n%s\n%s", a, c)
	}
}

// Whether two attributes are one, by what their prefixes mean, is asked for every one that a stranger
// sends. It costs no more where all have the same name.
func TestManyPrefixesOfOneNameCostNoMoreThanManyNames(t *testing.T) {
	document := func(name func(prefix int) string) []byte {
		var b strings.Builder
		b.WriteString(`<Response xmlns="urn:oasis:names:tc:SAML:2.0:protocol"`)
		for nested := range 4 {
			for i := range maxOnElement - 1 {
				fmt.Fprintf(&b, ` xmlns:p%d="u%[1]d"`, nested*(maxOnElement-1)+i)
			}
			b.WriteString("><a")
		}
		b.WriteString(">")
		for range (maxAttributes - 4*maxOnElement) / maxOnElement {
			b.WriteString("<b")
			for i := range maxOnElement {
				fmt.Fprintf(&b, ` p%d:%s=""`, i, name(i))
			}
			b.WriteString("/>")
		}
		b.WriteString("</a></a></a></a></Response>")
		return []byte(b.String())
	}
	cost := func(b []byte) (best time.Duration) {
		for range 3 {
			begin := time.Now()
			if _, err := parse(b, false); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); best == 0 || took < best {
				best = took
			}
		}
		return best
	}
	one, many := cost(document(func(int) string { return "x" })), cost(document(func(i int) string { return fmt.Sprint("x", i) }))
	if one > 10*many {
		t.Errorf("%s for one name, %s for many", one, many)
	}
}
