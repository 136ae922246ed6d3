package saml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	validator "github.com/mattermost/xml-roundtrip-validator"

	"github.com/orgate/orgate/sso/ssotest"
)

// scanned returns all that a scanner reads, as encoding/xml would say it.
func scanned(b []byte) ([]xml.Token, error) {
	if !xmlText(b) {
		return nil, errMalformed
	}
	var all []xml.Token
	for s := (scanner{s: string(b)}); ; {
		if err := s.next(); err != nil {
			return nil, err
		}
		switch s.mark {
		case lastMark:
			return all, nil
		case startMark:
			all = append(all, xml.StartElement{Name: s.tag.Name, Attr: append([]xml.Attr{}, s.tag.Attr...)})
		case endMark:
			all = append(all, xml.EndElement{Name: s.tag.Name})
		case textMark:
			all = append(all, xml.CharData(s.text))
		case declarationMark:
			all = append(all, xml.ProcInst{})
		case commentMark:
			all = append(all, xml.Comment{})
		}
	}
}

// decoded returns all that encoding/xml reads, without what comments and the declaration say.
func decoded(b []byte) ([]xml.Token, error) {
	var all []xml.Token
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch token.(type) {
		case xml.ProcInst:
			token = xml.ProcInst{}
		case xml.Comment:
			token = xml.Comment{}
		}
		all = append(all, xml.CopyToken(token))
	}
}

// stricter are documents that encoding/xml reads and the scanner does not, and why. (It is about
// those in UTF-8 that have nothing in them that is refused anyway.)
var stricter = map[string]*regexp.Regexp{
	"two attributes want space between them":          regexp.MustCompile(`["'][A-Za-z_]`),
	"a declaration has version, encoding, standalone": regexp.MustCompile(`^<\?`),
	"half of a surrogate is no character":             regexp.MustCompile(`&#0*(5[5-7][0-9]{3}|x0*[dD][89a-fA-F][0-9a-fA-F]{2});`),
	"a character that is none is none in a comment":   regexp.MustCompile("<!--(?s:.*)[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"),
	"a name is of ASCII":                              regexp.MustCompile(`[<:"'\sA-Za-z0-9_.-][^\x00-\x7f]`),
	"a name does not begin or end in a colon":         regexp.MustCompile(`[\s</"']:|:[\s=/>]`),
}

// checkSameMarks checks that what the scanner takes is what encoding/xml reads, and that it refuses
// nothing else but for a reason that is known.
func checkSameMarks(t testing.TB, b []byte) {
	t.Helper()
	ours, err := scanned(b)
	theirs, theirErr := decoded(b)
	switch {
	case err == nil && theirErr != nil:
		t.Errorf("taken, and encoding/xml refuses it (%v):\n%q", theirErr, b)
	case err == nil && !reflect.DeepEqual(ours, theirs):
		t.Errorf("%q\nours:   %q\ntheirs: %q", b, ours, theirs)
	case err != nil && theirErr == nil && utf8.Valid(b) && measure(b, true) == nil:
		for _, reason := range stricter {
			if reason.Match(b) {
				return
			}
		}
		t.Errorf("refused, and nobody knows why:\n%q", b)
	}
}

// FuzzScan compares the scanner with encoding/xml, and what parse makes of a document with what etree
// and the validator say of it.
func FuzzScan(f *testing.F) {
	r := newRig(f)
	for _, h := range ssotest.SAMLHonestResponses(r.ask) {
		if raw, err := base64.StdEncoding.DecodeString(h.Make(r.idp, r.ask, mallory)); err == nil && len(raw) <= 64<<10 {
			f.Add(raw)
		}
	}
	f.Add(r.idp.Metadata())
	for _, s := range []string{
		"<?xml version='1.0' encoding=\"UTF-8\" standalone = 'no' ?>\r\n<!-- - -->\n<a\tb = 'x\r\ny' c=\"&lt;&#13;&#x0a;\"/ >",
		`<x:a xmlns:x="urn:x" xmlns="urn:y" x:b='"'><x:b xml:lang="de"></x:b ></x:a>`,
		`<r xmlns:P="urn:p" xmlns:Q="urn:q"><a P:a="1" xmlns:P="urn:v" P:b="2" Q:c="3"/></r>`,
		"<a>&amp;lt;&apos;&quot;&gt;]]&gt;\r\r\n&#x10ffff;&#55296;&#xfffe;\u00e4</a>",
		`<a b="1"c="2">]]></a>`, `<:a b:="">&x;&#;&#x;</a><?x y?><!DOCTYPE a><![CDATA[x]]>`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		checkSameMarks(t, b)
		checkSameTree(t, b)
	})
}

func TestTheScannerReadsAsEncodingXMLDoes(t *testing.T) {
	for _, doc := range []string{
		"", "a", "<a/>", "<a></a>", "<a b='1' c=\"2\"\n/>", "<a\tb = '1'></a >", "<x:a x:b=''/>", "<a><b/></c>", "</a>",
		"<a>&lt;&gt;&amp;&apos;&quot;</a>", "<a>&#65;&#x41;&#x00000000000000000000000041;&#9;&#10;&#13;&#x10FFFF;</a>",
		"<a>\r\n\r\r\n&#13;\n\r</a>", "<a b='\r\n\t\n\r&#13;&#10;'/>", "<a>]]&gt;]] ></a>", "<a b=']]>'/>", "<a b='>/>'/>", "<a>'\">/</a>",
		"<?xml version='1.0'?><a/>", `<?xml version="1.0" encoding="utf-8" standalone="yes" ?>`, "<!----><!-- - --><a/>", "<!--->--><a/>",
		"<a>\u00e4\u2028\U0001f600\ufffd</a>",
		// refused by both
		"<", "<a", "<a ", "<a/", "<a b", "<a b=", "<a b='", "<a b='1'", "<a b=1/>", "<a b/>", "< a/>", "<a / >", "</a", "</ a>", "</a b=''>", "<a:b:c/>", "<1/>=",
		"<a>&</a>", "<a>&;</a>", "<a>&lt</a>", "<a>&LT;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&#X41;</a>", "<a>&#6A;</a>", "<a>&#-1;</a>", "<a>&#x110000;</a>", "<a>&# 65;</a>",
		"<a>&#4294967361;</a>", "<a>&#18446744073709551681;</a>", "<a>&#x100000041;</a>", "<a>&nbsp;</a>", "<a>&#0;</a>", "<a>&#xfffe;</a>", "<a>&#8;</a>",
		"<a>]]></a>", "<a b='<'/>", "<!-- -- -->", "<!-- --->", "<!-- ->", "<!->", "<!>", "<a>\x00</a>", "<a>\xc3</a>", "<a>\ufffe</a>", "<a>\x08</a>",
	} {
		checkSameMarks(t, []byte(doc))
	}
	for why, doc := range map[string]string{
		"two attributes want space between them":          `<a b="1"c="2"/>`,
		"a declaration has version, encoding, standalone": `<?xml encoding="utf-8"?><a/>`,
		"half of a surrogate is no character":             "<a>&#xd800;</a>",
		"a character that is none is none in a comment":   "<!--\x01--><a/>",
		"a name is of ASCII":                              "<\u00e4/>",
		"a name does not begin or end in a colon":         "<:a/>",
	} {
		checkSameMarks(t, []byte(doc))
		_, err := scanned([]byte(doc))
		if _, theirs := decoded([]byte(doc)); err == nil || theirs != nil || stricter[why] == nil {
			t.Errorf("%s: %v, %v", why, err, theirs)
		}
	}
}

// A tag of which parse does not ask the validator is one that the validator accepts, whatever its
// prefixes are. What encoding/xml can write otherwise than it read are prefixes of attributes, for
// each of which it declares one of its own choice; the validator undoes that one after the other,
// and may take a declaration that was there for one that was written. With one prefix there is
// nothing after it to undo.
func TestATagOfOnePrefixSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	strange := []string{"p", "_xmlns", "_xmlns_1", "_p", "p_1", "xml", "XMLNS", "xmlns_1", "_"}
	refused := 0
	for _, prefix := range strange {
		choice := []xml.Attr{{Name: xml.Name{Local: "a"}}, {Name: xml.Name{Local: "xmlns"}, Value: "p"}, {Name: xml.Name{Space: prefix, Local: "b"}, Value: "p\r\n\t<&\"'>]]>\ufffd"}}
		for _, declared := range slices.Compact([]string{prefix, "_" + prefix, prefix + "_1", "_xmlns", "_xmlns_1", "p"}) {
			choice = append(choice, xml.Attr{Name: xml.Name{Space: "xmlns", Local: declared}, Value: prefix})
		}
		for _, space := range []string{"", prefix} {
			for n := range len(choice) * len(choice) * len(choice) * len(choice) {
				tag := xml.StartElement{Name: xml.Name{Space: space, Local: "e"}}
				for ; n > 0; n /= len(choice) {
					tag.Attr = append(tag.Attr, choice[n%len(choice)])
				}
				if err := validator.CheckToken(tag); err != nil {
					t.Fatalf("%+v: %v", tag, err)
				}
			}
		}
		// With two there is, and the validator is asked.
		for _, other := range strange {
			doc := fmt.Sprintf(`<a xmlns:%[1]s="urn:p" %[1]s:b="1" %[2]s:c="2"/>`, prefix, other)
			doc = fmt.Sprintf(`<r xmlns:%s="urn:q">%s</r>`, other, doc)
			if prefix == other || prefix == "xml" || other == "xml" {
				continue
			}
			_, err := parse([]byte(doc), false)
			all, bad := decoded([]byte(doc))
			if bad != nil {
				t.Fatal(bad)
			}
			if want := validator.CheckToken(all[1]); (want == nil) != (err == nil) {
				t.Errorf("%s: %v, and the validator says %v", doc, err, want)
			}
			if err != nil {
				refused++
			}
		}
	}
	if refused == 0 {
		t.Error("the validator was never asked")
	}
}

// What is kept of a document is its own, and not a part of a text that is 200 times as large.
func TestMetadataThatIsKeptDoesNotKeepTheDocument(t *testing.T) {
	r := newRig(t)
	document := append([]byte("<!--"+strings.Repeat("x", 1<<20)+"-->"), r.idp.Metadata()...)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var kept []IDP
	for range 20 {
		p, err := ParseMetadata(document, "", r.now)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, p)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if cost := int64(after.HeapAlloc) - int64(before.HeapAlloc); cost > 8<<20 {
		t.Errorf("%d bytes for %d documents", cost, len(kept))
	}
	runtime.KeepAlive(kept)
}
