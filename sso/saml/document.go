package saml

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"github.com/beevik/etree"
	validator "github.com/mattermost/xml-roundtrip-validator"

	"github.com/orgate/orgate/sso/idp"
)

// A document is a message as a tree, and where in it is what there may be only so many of.
type document struct {
	root *etree.Element
	// Of each, all that there are, wherever they are.
	responses, assertions, encrypted, signatures []*etree.Element
	ids                                          map[string]bool
}

// parse reads a document, or says why not. It takes far less than XML: whatever two readers may
// see differently is refused, and so is whatever costs more to read than to send. Comments are
// left out of the tree if they are allowed; in a message they are not, as they cut a name in two
// for some readers and not for others.
func parse(b []byte, comments bool) (document, error) {
	if !xmlText(b) {
		return document{}, errors.New("not UTF-8, or characters that XML does not have")
	}
	if err := measure(b, comments); err != nil {
		return document{}, err
	}
	r := reader{doc: document{ids: map[string]bool{}}, tried: map[string]bool{}, taken: map[xml.Name]bool{}}
	s := scanner{s: string(b)}
	for {
		if err := s.next(); err != nil {
			return document{}, err
		}
		if s.mark == lastMark {
			break
		}
		if err := r.take(&s); err != nil {
			return document{}, err
		}
	}
	if r.doc.root == nil || r.at != nil {
		return document{}, errors.New("not well-formed: no root, or one that does not end")
	}
	return r.doc, nil
}

// A reader makes a document of marks.
type reader struct {
	doc    document
	at     *etree.Element // nil: outside the root
	depth  int            // of at
	scopes []scope
	tried  map[string]bool // by the validator
	// taken are the attributes of one element, by what their prefixes mean.
	taken map[xml.Name]bool
}

// A scope is a prefix that is declared, and at which depth.
type scope struct {
	prefix, namespace string
	depth             int
}

func (r *reader) take(s *scanner) error {
	switch s.mark {
	case startMark:
		return r.start(s.tag)
	case endMark:
		if r.at == nil || r.at.Space != s.tag.Name.Space || r.at.Tag != s.tag.Name.Local {
			return errors.New("not well-formed: an end that ends nothing")
		}
		for len(r.scopes) > 0 && r.scopes[len(r.scopes)-1].depth == r.depth {
			r.scopes = r.scopes[:len(r.scopes)-1]
		}
		r.at = r.at.Parent()
		r.depth--
	case textMark:
		if r.at != nil {
			r.at.CreateText(s.text)
		} else if s.escaped || strings.Trim(s.text, " \t\r\n") != "" {
			return errors.New("not well-formed: text outside the root")
		}
	case declarationMark, commentMark: // measure refuses comments where they are not allowed
	default:
		return errMalformed
	}
	return nil
}

// start takes an element: its names first, as bytes, then what they mean.
func (r *reader) start(t xml.StartElement) error {
	if r.doc.root != nil && r.at == nil {
		return errors.New("not well-formed: a second root")
	}
	if err := r.declare(t); err != nil {
		return err
	}
	namespace, ok := r.lookup(t.Name.Space)
	if !ok {
		return fmt.Errorf("prefix %q is not declared", idp.Printable(t.Name.Space, 40))
	}
	el := etree.NewElement(t.Name.Local)
	el.Space = t.Name.Space
	if r.at != nil {
		r.at.AddChild(el)
	}
	clear(r.taken)
	for _, a := range t.Attr {
		if err := r.attribute(el, namespace, a); err != nil {
			return err
		}
	}
	if r.doc.root == nil {
		r.doc.root = el
	}
	r.at = el
	r.depth++
	r.doc.note(el, namespace)
	return nil
}

// declare checks all names of an element, and takes the prefixes that it declares.
func (r *reader) declare(t xml.StartElement) error {
	if t.Name.Space == "xmlns" || t.Name.Space == "xml" {
		return errors.New("an element's name is none")
	}
	other, others := "", false // a prefix of attributes, and whether there is another one
	for _, a := range t.Attr {
		var prefix string
		switch {
		case a.Name.Space == "xmlns":
			// What these two mean is fixed, and nothing else may mean the same.
			if prefix = a.Name.Local; prefix == "xml" || prefix == "xmlns" || a.Value == "" {
				return errors.New("a prefix is declared that must not be")
			}
		case a.Name.Space == "" && a.Name.Local == "xmlns":
		default:
			if a.Name.Space != "" {
				others = others || other != "" && other != a.Name.Space
				other = a.Name.Space
			}
			continue
		}
		if a.Value == nsXML || a.Value == nsXMLNS || len(a.Value) > maxURL || strings.TrimSpace(a.Value) != a.Value || !idp.Plain(a.Value) {
			return errors.New("a namespace is declared that must not be")
		}
		if r.scopes = append(r.scopes, scope{prefix, a.Value, r.depth + 1}); len(r.scopes) > maxScopes {
			return errors.New("too many prefixes at a time")
		}
	}
	// Names are what encoding/xml may write otherwise than it read them (CVE-2020-29509 to
	// -29511). Of those that isName takes, it can't if all of a tag's attributes that have a prefix
	// have the same one, declarations aside: see TestATagOfOnePrefixSurvivesARoundTrip.
	if others {
		return r.roundTrip(t)
	}
	return nil
}

// roundTrip has the validator look at a tag, once for all that have the same names in them.
func (r *reader) roundTrip(t xml.StartElement) error {
	var names strings.Builder
	names.WriteString(t.Name.Space + ":" + t.Name.Local)
	for _, a := range t.Attr {
		names.WriteString(" " + a.Name.Space + ":" + a.Name.Local)
	}
	if r.tried[names.String()] {
		return nil
	}
	if err := validator.CheckToken(t); err != nil {
		return errors.New("a tag that is not the same when it is written again")
	}
	r.tried[names.String()] = true
	return nil
}

// lookup returns what a prefix means here.
func (r *reader) lookup(prefix string) (namespace string, ok bool) {
	for i := len(r.scopes) - 1; i >= 0; i-- {
		if r.scopes[i].prefix == prefix {
			return r.scopes[i].namespace, true
		}
	}
	return "", prefix == "" // no default namespace: none
}

// attribute adds one to el, which is of that namespace.
func (r *reader) attribute(el *etree.Element, namespace string, a xml.Attr) error {
	key := a.Name.Local
	own := "" // its namespace
	if a.Name.Space != "" {
		key = a.Name.Space + ":" + a.Name.Local
		switch a.Name.Space {
		case "xmlns":
			own = nsXMLNS
		case "xml":
			// xml:id is an id to those who know it; xml:base moves references.
			if own = nsXML; a.Name.Local != "lang" && a.Name.Local != "space" {
				return errors.New("an xml: attribute that may change what others mean")
			}
		default:
			var ok bool
			if own, ok = r.lookup(a.Name.Space); !ok {
				return fmt.Errorf("prefix %q is not declared", idp.Printable(a.Name.Space, 40))
			}
		}
	}
	name := xml.Name{Space: own, Local: a.Name.Local}
	if r.taken[name] {
		return errors.New("an attribute that is there twice")
	}
	r.taken[name] = true
	if a.Name.Space != "xmlns" && strings.EqualFold(a.Name.Local, "id") {
		// One id, as every reader sees it: ID in SAML, Id in signatures and ciphers.
		plain := a.Name.Local == "ID" && namespace != nsSignature && namespace != nsEncryption
		cipher := a.Name.Local == "Id" && (namespace == nsSignature || namespace == nsEncryption)
		if a.Name.Space != "" || !plain && !cipher {
			return errors.New("an attribute that some take for the id and others do not")
		}
		if !isName(a.Value) || len(a.Value) > maxID {
			return errors.New("an id that is none")
		}
		if r.doc.ids[a.Value] {
			return errors.New("an id that is there twice")
		}
		r.doc.ids[a.Value] = true
	}
	el.CreateAttr(key, a.Value)
	return nil
}

// note remembers where an element is, if it is one that matters.
func (d *document) note(el *etree.Element, namespace string) {
	switch {
	case namespace == nsProtocol && el.Tag == "Response":
		d.responses = append(d.responses, el)
	case namespace == nsAssertion && el.Tag == "Assertion":
		d.assertions = append(d.assertions, el)
	case namespace == nsAssertion && el.Tag == "EncryptedAssertion":
		d.encrypted = append(d.encrypted, el)
	case namespace == nsSignature && el.Tag == "Signature":
		d.signatures = append(d.signatures, el)
	}
}
