package saml

import (
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// An outer is the response around the assertion. It may not be signed: it can only refuse.
type outer struct {
	root         *etree.Element
	assertions   []*etree.Element // encrypted or not
	inResponseTo string
}

// readResponse checks that the document is one response, with at most one assertion where one
// belongs, and signatures where they belong.
func readResponse(doc document) (outer, error) {
	r := outer{root: doc.root}
	if !is(doc.root, nsProtocol, "Response") {
		return outer{}, fail(CodeResponse, nil, "the root is "+doc.root.FullTag())
	}
	if len(doc.responses) != 1 {
		return outer{}, fail(CodeResponse, nil, "a response within a response")
	}
	if v, _ := attr(doc.root, "Version"); v != "2.0" {
		return outer{}, fail(CodeResponse, nil, "Version "+v)
	}
	if id, _ := attr(doc.root, "ID"); id == "" {
		return outer{}, fail(CodeResponse, nil, "no ID")
	}
	for _, child := range doc.root.ChildElements() {
		switch child.NamespaceURI() + " " + child.Tag {
		case nsAssertion + " Issuer", nsSignature + " Signature", nsProtocol + " Extensions", nsProtocol + " Status",
			nsAssertion + " Assertion", nsAssertion + " EncryptedAssertion":
		default:
			return outer{}, fail(CodeResponse, nil, child.FullTag()+" in the response")
		}
	}
	r.assertions = append(append(r.assertions, doc.assertions...), doc.encrypted...)
	for _, el := range r.assertions {
		if el.Parent() != doc.root {
			return outer{}, fail(CodeSeveral, nil, "an assertion in "+el.Parent().FullTag())
		}
	}
	if len(r.assertions) > 1 {
		return outer{}, fail(CodeSeveral, nil, fmt.Sprintf("%d assertions", len(r.assertions)))
	}
	if err := checkSignatures(doc, append(doc.assertions, doc.root)...); err != nil {
		return outer{}, err
	}
	r.inResponseTo, _ = attr(doc.root, "InResponseTo")
	return r, nil
}

// checkSignatures checks that every signature of the document is directly in one of these, and
// that none of them has two. One somewhere else is an attempt to have it found for another's.
func checkSignatures(doc document, places ...*etree.Element) error {
	used := map[*etree.Element]bool{}
	for _, sig := range doc.signatures {
		parent := sig.Parent()
		found := false
		for _, p := range places {
			found = found || p == parent
		}
		if !found || used[parent] {
			return fail(CodeSignatureMalformed, nil, "a Signature that is not the one of the response or of the assertion")
		}
		used[parent] = true
	}
	return nil
}

// checkStatus refuses a response that says that there is nothing in it.
func (r outer) checkStatus() error {
	status := only(r.root, nsProtocol, "Status")
	if status == nil {
		return fail(CodeStatus, nil, "no Status")
	}
	outerCode := only(status, nsProtocol, "StatusCode")
	if outerCode == nil {
		return fail(CodeStatus, nil, "no StatusCode")
	}
	value, _ := attr(outerCode, "Value")
	if value == statusSuccess {
		return nil
	}
	code, said := CodeStatus, strings.TrimPrefix(value, statusPrefix)
	if inner := only(outerCode, nsProtocol, "StatusCode"); inner != nil {
		value, _ := attr(inner, "Value")
		value = strings.TrimPrefix(value, statusPrefix)
		said += ", " + value
		switch value {
		case "AuthnFailed", "NoPassive", "RequestDenied":
			code = CodeDenied
		}
	}
	if message := only(status, nsProtocol, "StatusMessage"); message != nil {
		s, _ := textOf(message)
		said += ": " + s
	}
	return fail(code, nil, said)
}

func (r outer) checkCount() error {
	if len(r.assertions) != 1 {
		return fail(CodeSeveral, nil, "none")
	}
	return nil
}

// checkDestination checks where it was sent. An unsigned response may leave it out; a signed one
// must not, as it is what keeps it from being brought elsewhere (saml-bindings-2.0-os, 3.5.5.2).
func (r outer) checkDestination(acs string, signed bool) (string, error) {
	destination, ok := attr(r.root, "Destination")
	if !ok && !signed {
		return "none given", nil
	}
	if destination != acs {
		return "", fail(CodeDestination, nil, fmt.Sprintf("expected %q, got %q", acs, idp.Printable(destination, 200)))
	}
	return destination, nil
}

// checkIssuer checks whose it is. It may be left out of a response that is neither signed nor
// around something encrypted (saml-profiles-2.0-os with its errata, E26).
func (r outer) checkIssuer(entityID string, needed bool) (string, error) {
	found := children(r.root, nsAssertion, "Issuer")
	if len(found) == 0 {
		if needed {
			return "", fail(CodeResponseIssuer, nil, fmt.Sprintf("expected %q, got none", entityID))
		}
		return "none given", nil
	}
	if len(found) > 1 || !isIssuer(found[0], entityID) {
		s, _ := textOf(found[0])
		return "", fail(CodeResponseIssuer, nil, fmt.Sprintf("expected %q, got %q", entityID, idp.Printable(s, 200)))
	}
	return entityID, nil
}

// isIssuer reports whether an Issuer names the provider, exactly.
func isIssuer(el *etree.Element, entityID string) bool {
	format, _ := attr(el, "Format")
	s, ok := textOf(el)
	return ok && s == entityID && entityID != "" && (format == "" || format == formatEntity || format == formatUnspecified)
}

func (r outer) checkTime(now time.Time) (string, error) {
	s, _ := attr(r.root, "IssueInstant")
	at, ok := instant(s)
	if !ok || at.Sub(now) > skew {
		return "", fail(CodeResponseTime, nil, fmt.Sprintf("IssueInstant %q, and it is %s", idp.Printable(s, 40), now.UTC().Format(time.RFC3339)))
	}
	return s, nil
}
