package saml

import (
	"fmt"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// readAssertion reads a verified assertion, once, and refuses it unless all that it must have is
// there and is for us, here and now. inResponseTo is what the response around it answers.
func (c Connection) readAssertion(t *trail, el *etree.Element, inResponseTo string, now time.Time) (Assertion, error) {
	p, err := readParts(el)
	if err := t.note("content", "issuer, subject, conditions and statements", err); err != nil {
		return Assertion{}, err
	}
	a := Assertion{ID: p.id}
	if !isIssuer(p.issuer, c.IDP.EntityID) {
		s, _ := textOf(p.issuer)
		return Assertion{}, t.note("issuer", "", fail(CodeIssuer, nil, fmt.Sprintf("expected %q, got %q", c.IDP.EntityID, idp.Printable(s, 200))))
	}
	t.pass("issuer", c.IDP.EntityID)
	issued, err := readIssued(el, now)
	if err := t.note("issued", issued, err); err != nil {
		return Assertion{}, err
	}
	if err := t.note("subject", formatOf(p.subject), a.readSubject(p.subject)); err != nil {
		return Assertion{}, err
	}
	confirmed, err := c.readConfirmations(&a, p.subject, inResponseTo, now)
	if err := t.note("confirmation", "bearer, to "+c.ACS, err); err != nil {
		return Assertion{}, err
	}
	end, err := readConditions(p.conditions, now)
	if err := t.note("conditions", "until "+end.Format(time.RFC3339), err); err != nil {
		return Assertion{}, err
	}
	if end.Before(confirmed) {
		confirmed = end
	}
	a.ExpiresAt = confirmed.Add(skew)
	if err := t.note("audience", c.EntityID, checkAudience(p.conditions, c.EntityID)); err != nil {
		return Assertion{}, err
	}
	err = a.readStatements(p.authn, now)
	if err := t.note("authentication", "at "+a.AuthTime.Format(time.RFC3339), err); err != nil {
		return Assertion{}, err
	}
	if err := c.readAttributes(t, &a, p.attributes); err != nil {
		return Assertion{}, err
	}
	return a, nil
}

// parts are what an assertion is made of.
type parts struct {
	id                          string
	issuer, subject, conditions *etree.Element
	authn, attributes           []*etree.Element
}

// readParts takes an assertion apart. What is not known is refused: nobody can say what the
// rest means beside it.
func readParts(el *etree.Element) (parts, error) {
	var p parts
	if v, _ := attr(el, "Version"); v != "2.0" {
		return parts{}, fail(CodeAssertion, nil, "Version "+v)
	}
	if p.id, _ = attr(el, "ID"); p.id == "" {
		return parts{}, fail(CodeAssertion, nil, "no ID")
	}
	once := func(to **etree.Element, child *etree.Element) bool {
		if *to != nil {
			return false
		}
		*to = child
		return true
	}
	for _, child := range el.ChildElements() {
		ok := true
		switch child.NamespaceURI() + " " + child.Tag {
		case nsAssertion + " Issuer":
			ok = once(&p.issuer, child)
		case nsAssertion + " Subject":
			ok = once(&p.subject, child)
		case nsAssertion + " Conditions":
			ok = once(&p.conditions, child)
		case nsAssertion + " AuthnStatement":
			p.authn = append(p.authn, child)
		case nsAssertion + " AttributeStatement":
			p.attributes = append(p.attributes, child)
		case nsAssertion + " Advice": // says nothing that must be heeded (2.6.1)
		default:
			ok = false
		}
		if !ok {
			return parts{}, fail(CodeAssertion, nil, child.FullTag()+" that must not be there, or twice")
		}
	}
	switch {
	case p.issuer == nil:
		return parts{}, fail(CodeIssuer, nil, "no Issuer")
	case p.subject == nil:
		return parts{}, fail(CodeSubject, nil, "no Subject")
	case p.conditions == nil:
		return parts{}, fail(CodeConditions, nil, "no Conditions")
	case len(p.authn) == 0:
		return parts{}, fail(CodeAuthn, nil, "no AuthnStatement")
	}
	return p, nil
}

// readIssued checks when it was issued: not tomorrow, and not so long ago that no honest
// assertion would still be valid.
func readIssued(el *etree.Element, now time.Time) (string, error) {
	s, _ := attr(el, "IssueInstant")
	at, ok := instant(s)
	if !ok {
		return "", fail(CodeAssertion, nil, "no IssueInstant")
	}
	if age := now.Sub(at); age < -skew || age > maxLife+skew {
		return "", fail(CodeTime, nil, fmt.Sprintf("IssueInstant %s, and it is %s", at.Format(time.RFC3339), now.UTC().Format(time.RFC3339)))
	}
	return s, nil
}

// formatOf returns what a step says of the subject: its format, which is what one gets wrong.
func formatOf(subject *etree.Element) string {
	if id := only(subject, nsAssertion, "NameID"); id != nil {
		if format, _ := attr(id, "Format"); format != "" {
			return "NameID, " + format
		}
	}
	return "NameID"
}

// readSubject reads who it is.
func (a *Assertion) readSubject(subject *etree.Element) error {
	var id *etree.Element
	for _, child := range subject.ChildElements() {
		switch {
		case is(child, nsAssertion, "NameID") && id == nil:
			id = child
		case is(child, nsAssertion, "SubjectConfirmation"):
		case is(child, nsAssertion, "EncryptedID"):
			return fail(CodeSubject, nil, "an EncryptedID: have the provider encrypt the assertion instead, or nothing")
		default:
			return fail(CodeSubject, nil, child.FullTag()+" that must not be there, or twice")
		}
	}
	if id == nil {
		return fail(CodeSubject, nil, "no NameID")
	}
	n, err := readNameID(id)
	if err != nil {
		return err
	}
	a.Subject, a.NameID = n.Value, n
	return nil
}

// readNameID reads a name that can be kept and compared.
func readNameID(el *etree.Element) (NameID, error) {
	var n NameID
	n.Format, _ = attr(el, "Format")
	n.NameQualifier, _ = attr(el, "NameQualifier")
	n.SPNameQualifier, _ = attr(el, "SPNameQualifier")
	switch n.Format {
	case "", formatPersistent, formatEmail, formatUnspecified, formatX509, formatWindows, formatKerberos:
	case formatTransient:
		return NameID{}, fail(CodeSubject, nil, "a transient NameID, which is another one next time: have the provider send persistent or emailAddress")
	default:
		return NameID{}, fail(CodeSubject, nil, "NameID format "+n.Format)
	}
	s, ok := textOf(el)
	switch {
	case !ok:
		return NameID{}, fail(CodeSubject, nil, "the NameID is not text alone")
	case s == "" || len(s) > maxSubject:
		return NameID{}, fail(CodeSubject, nil, fmt.Sprintf("a NameID of %d bytes", len(s)))
	case !idp.Plain(s) || strings.TrimSpace(s) != s:
		return NameID{}, fail(CodeSubject, nil, "the NameID has control characters in it, or spaces around it")
	case !isLabel(n.NameQualifier, maxURL) || !isLabel(n.SPNameQualifier, maxURL):
		return NameID{}, fail(CodeSubject, nil, "a qualifier of the NameID is not plain text")
	}
	n.Value = s
	return n, nil
}

// isLabel reports whether s is plain text of at most that many bytes; it may be empty.
func isLabel(s string, limit int) bool { return len(s) <= limit && idp.Plain(s) }

// readStatements reads when the person signed in, in which session, and when that ends. Of
// several, the oldest sign-in and the soonest end count.
func (a *Assertion) readStatements(statements []*etree.Element, now time.Time) error {
	for _, el := range statements {
		s, _ := attr(el, "AuthnInstant")
		at, ok := instant(s)
		if !ok {
			return fail(CodeAuthn, nil, "no AuthnInstant")
		}
		if at.Sub(now) > skew {
			return fail(CodeTime, nil, "AuthnInstant is in the future: "+at.Format(time.RFC3339))
		}
		if a.AuthTime.IsZero() || at.Before(a.AuthTime) {
			a.AuthTime = at
		}
		if s, ok := attr(el, "SessionNotOnOrAfter"); ok {
			end, ok := instant(s)
			if !ok {
				return fail(CodeAuthn, nil, "SessionNotOnOrAfter is no time")
			}
			if !now.Before(end) {
				return fail(CodeAuthn, nil, "the session has ended: SessionNotOnOrAfter "+end.Format(time.RFC3339))
			}
			if a.SessionEnd.IsZero() || end.Before(a.SessionEnd) {
				a.SessionEnd = end
			}
		}
		index, _ := attr(el, "SessionIndex")
		if !isLabel(index, maxSubject) {
			return fail(CodeAuthn, nil, "SessionIndex is not plain text of at most 255 bytes")
		}
		if a.SessionIndex == "" {
			a.SessionIndex = index
		}
	}
	return nil
}
