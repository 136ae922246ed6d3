package saml

import (
	"fmt"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// readConfirmations finds the confirmation that lets whoever brings the assertion be its subject,
// and returns until when one does.
func (c Connection) readConfirmations(a *Assertion, subject *etree.Element, inResponseTo string, now time.Time) (end time.Time, err error) {
	err = fail(CodeConfirmation, nil, "no bearer SubjectConfirmation")
	found := false
	for _, el := range children(subject, nsAssertion, "SubjectConfirmation") {
		if method, _ := attr(el, "Method"); method != bearer {
			continue // another way to prove it, which nobody here tries
		}
		until, fault := c.readBearer(el, inResponseTo, now)
		if fault != nil {
			err = fault
			continue
		}
		found = true
		if until.After(end) {
			end = until // the caller remembers it for as long as any of them lasts
		}
	}
	if !found {
		return time.Time{}, err
	}
	a.InResponseTo = inResponseTo
	return end, nil
}

// readBearer checks one bearer confirmation (saml-profiles-2.0-os, 4.1.4.2).
func (c Connection) readBearer(el *etree.Element, inResponseTo string, now time.Time) (end time.Time, err error) {
	data := only(el, nsAssertion, "SubjectConfirmationData")
	if data == nil {
		return time.Time{}, fail(CodeConfirmation, nil, "no SubjectConfirmationData")
	}
	if recipient, _ := attr(data, "Recipient"); recipient != c.ACS {
		return time.Time{}, fail(CodeRecipient, nil, fmt.Sprintf("expected %q, got %q", c.ACS, idp.Printable(recipient, 200)))
	}
	if to, _ := attr(data, "InResponseTo"); to != inResponseTo {
		return time.Time{}, fail(CodeInResponseTo, nil, fmt.Sprintf("the assertion answers %q, the response %q", idp.Printable(to, 80), idp.Printable(inResponseTo, 80)))
	}
	if _, named := attr(data, "InResponseTo"); len(inResponseTo) > maxID || named && inResponseTo == "" {
		return time.Time{}, fail(CodeInResponseTo, nil, fmt.Sprintf("the name of a request, of %d bytes", len(inResponseTo)))
	}
	if err := checkNotBefore(data, "SubjectConfirmationData", now); err != nil {
		return time.Time{}, err
	}
	return checkNotOnOrAfter(data, "SubjectConfirmationData", CodeConfirmation, now)
}

// checkNotBefore checks a time that may be missing.
func checkNotBefore(el *etree.Element, what string, now time.Time) error {
	s, ok := attr(el, "NotBefore")
	if !ok {
		return nil
	}
	at, ok := instant(s)
	if !ok || at.Sub(now) > skew {
		return fail(CodeTime, nil, fmt.Sprintf("%s: NotBefore %q, and it is %s", what, idp.Printable(s, 40), now.UTC().Format(time.RFC3339)))
	}
	return nil
}

// checkNotOnOrAfter checks a time that must be there, and not be so far away that nobody could
// remember for so long that the assertion was used.
func checkNotOnOrAfter(el *etree.Element, what string, missing Code, now time.Time) (time.Time, error) {
	s, ok := attr(el, "NotOnOrAfter")
	if !ok {
		return time.Time{}, fail(missing, nil, what+": no NotOnOrAfter")
	}
	detail := fmt.Sprintf("%s: NotOnOrAfter %q, and it is %s", what, idp.Printable(s, 40), now.UTC().Format(time.RFC3339))
	end, ok := instant(s)
	switch {
	case !ok:
		return time.Time{}, fail(CodeTime, nil, detail)
	case !now.Before(end.Add(skew)):
		return time.Time{}, fail(CodeExpired, nil, detail)
	case end.Sub(now) > maxLife+skew:
		return time.Time{}, fail(CodeTime, nil, detail)
	}
	return end, nil
}

// readConditions checks all conditions but the audience. One that is not known makes an
// assertion one of which nobody can say that it is valid (saml-core-2.0-os, 2.5.1).
func readConditions(conditions *etree.Element, now time.Time) (end time.Time, err error) {
	for _, child := range conditions.ChildElements() {
		switch child.NamespaceURI() + " " + child.Tag {
		case nsAssertion + " AudienceRestriction":
		case nsAssertion + " OneTimeUse": // every assertion is used once
		case nsAssertion + " ProxyRestriction": // of those who issue assertions
		default:
			return time.Time{}, fail(CodeConditions, nil, "condition "+child.FullTag())
		}
	}
	if err := checkNotBefore(conditions, "Conditions", now); err != nil {
		return time.Time{}, err
	}
	end, err = checkNotOnOrAfter(conditions, "Conditions", CodeConditions, now)
	if err != nil {
		return time.Time{}, err
	}
	if s, ok := attr(conditions, "NotBefore"); ok {
		if begin, _ := instant(s); !begin.Before(end) { // of no length, which the skew makes some
			return time.Time{}, fail(CodeTime, nil, "Conditions: over before they begin")
		}
	}
	return end, nil
}

// checkAudience checks that it is for us: in every restriction, as each narrows the others.
func checkAudience(conditions *etree.Element, entityID string) error {
	restrictions := children(conditions, nsAssertion, "AudienceRestriction")
	if len(restrictions) == 0 {
		return fail(CodeAudience, nil, "no AudienceRestriction")
	}
	for _, r := range restrictions {
		named, got := false, ""
		for _, el := range children(r, nsAssertion, "Audience") {
			s, ok := textOf(el)
			named = named || ok && s == entityID
			got = s
		}
		if !named {
			return fail(CodeAudience, nil, fmt.Sprintf("expected %q, got %q", entityID, idp.Printable(got, 200)))
		}
	}
	return nil
}
