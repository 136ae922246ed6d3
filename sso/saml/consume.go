package saml

import (
	"errors"
	"fmt"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// A trail collects what was checked, for whoever sets a connection up.
type trail struct{ steps []Step }

// note adds a check that was made: with detail if it went well, else with what err says. It
// returns err.
func (t *trail) note(check, detail string, err error) error {
	if err == nil {
		t.pass(check, detail)
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		detail = e.Detail
		if detail == "" {
			detail = e.Hint
		}
	}
	t.steps = append(t.steps, Step{Check: check, Detail: idp.Printable(detail, idp.MaxDetail)})
	return err
}

// pass adds a check that went well.
func (t *trail) pass(check, detail string) {
	t.steps = append(t.steps, Step{Check: check, OK: true, Detail: idp.Printable(detail, idp.MaxDetail)})
}

// Consume reads the SAMLResponse that a browser posted to the connection's ACS, as it came in the
// form. The steps are all checks that were made, the last of which is the one that failed if
// there is an error, which is an [*Error].
//
// Which request it answers is for [Flow.Check]; that it was not used before, for the caller.
func (c Connection) Consume(response string, now time.Time) (Assertion, []Step, error) {
	t := &trail{steps: make([]Step, 0, 16)}
	a, err := c.consume(t, response, now)
	if err != nil {
		return Assertion{}, t.steps, err
	}
	return a, t.steps, nil
}

func (c Connection) consume(t *trail, response string, now time.Time) (Assertion, error) {
	if err := c.check(); err != nil {
		return Assertion{}, t.note("connection", "", err)
	}
	raw, err := decodeMessage(response)
	if err := t.note("encoding", fmt.Sprintf("%d bytes", len(raw)), err); err != nil {
		return Assertion{}, err
	}
	doc, err := parseMessage(raw)
	if err := t.note("xml", "nothing in it that is refused", err); err != nil {
		return Assertion{}, err
	}
	r, err := readResponse(doc)
	if err := t.note("response", "a SAML 2.0 Response", err); err != nil {
		return Assertion{}, err
	}
	if err := t.note("status", "Success", r.checkStatus()); err != nil {
		return Assertion{}, err
	}
	if err := t.note("assertion", "one, directly in the response", r.checkCount()); err != nil {
		return Assertion{}, err
	}
	signed := signatureOf(r.root) != nil
	destination, err := r.checkDestination(c.ACS, signed)
	if err := t.note("destination", destination, err); err != nil {
		return Assertion{}, err
	}
	issuer, err := r.checkIssuer(c.IDP.EntityID, signed || len(doc.encrypted) > 0)
	if err := t.note("response_issuer", issuer, err); err != nil {
		return Assertion{}, err
	}
	issued, err := r.checkTime(now)
	if err := t.note("response_time", issued, err); err != nil {
		return Assertion{}, err
	}
	el, err := c.verifiedAssertion(t, r, doc, signed)
	if err != nil {
		return Assertion{}, err
	}
	// From here on there is only what was verified; r has said what it may.
	return c.readAssertion(t, el, r.inResponseTo, now)
}

// verifiedAssertion returns the assertion that the provider signed, as it was verified.
func (c Connection) verifiedAssertion(t *trail, r outer, doc document, signed bool) (*etree.Element, error) {
	root := r.root
	if signed {
		var err error
		root, err = c.verify(root)
		if err := t.note("signature", "of the response", err); err != nil {
			return nil, err
		}
	}
	el, verified := only(root, nsAssertion, "Assertion"), false
	if el == nil {
		encrypted := only(root, nsAssertion, "EncryptedAssertion")
		if encrypted == nil {
			return nil, t.note("assertion", "", fail(CodeSeveral, nil, "none in what was signed"))
		}
		var proof bool
		var err error
		el, proof, err = c.openAssertion(encrypted, doc)
		if err == nil && !signed && !proof {
			// A CBC cipher that nobody vouches for: whether its content is XML, or signed, must
			// look like whether it could be decrypted. Else each answer tells a little of what
			// somebody else's assertion says.
			el, err = c.verify(el)
			verified = true
		}
		if err != nil {
			return nil, t.note("decryption", "", fail(CodeDecryption, nil, ""))
		}
		t.pass("decryption", "with one of our keys")
	}
	if signatureOf(el) != nil || !signed && !verified {
		var err error
		el, err = c.verify(el)
		if err := t.note("signature", "of the assertion", err); err != nil {
			return nil, err
		}
	} else if verified {
		t.pass("signature", "of the assertion")
	}
	return el, nil
}

// openAssertion decrypts, and judges what comes out as if it had come as it is.
func (c Connection) openAssertion(encrypted *etree.Element, around document) (el *etree.Element, proof bool, err error) {
	plain, proof, err := decrypt(encrypted, c.Keys)
	if err != nil {
		return nil, false, err
	}
	doc, err := parse(plain, false)
	if err != nil {
		return nil, false, err
	}
	if !is(doc.root, nsAssertion, "Assertion") || len(doc.assertions) != 1 || len(doc.encrypted) != 0 || len(doc.responses) != 0 {
		return nil, false, errNotDecrypted
	}
	for id := range doc.ids {
		if around.ids[id] {
			return nil, false, errNotDecrypted
		}
	}
	if err := checkSignatures(doc, doc.root); err != nil {
		return nil, false, err
	}
	return doc.root, proof, nil
}

// decodeMessage decodes the form's value.
func decodeMessage(s string) ([]byte, error) {
	if len(s) > maxEncoded {
		return nil, fail(CodeTooLarge, nil, fmt.Sprintf("%d bytes of base64", len(s)))
	}
	b, err := decodeBase64(s)
	if err != nil || len(b) == 0 {
		return nil, fail(CodeEncoding, nil, "not base64")
	}
	if len(b) > maxMessage {
		return nil, fail(CodeTooLarge, nil, fmt.Sprintf("%d bytes", len(b)))
	}
	return b, nil
}

func parseMessage(b []byte) (document, error) {
	doc, err := parse(b, false)
	if err != nil {
		return document{}, fail(CodeXML, err, err.Error())
	}
	return doc, nil
}

// check returns why nothing can be verified for this connection: what is missing in the settings
// is never what matches what is missing in a message.
func (c Connection) check() error {
	if c.ID == "" || c.EntityID == "" || c.ACS == "" || c.IDP.EntityID == "" || len(c.IDP.Certificates) == 0 {
		return fail(CodeConnection, nil, "id, entity ids, ACS and certificates are needed")
	}
	return nil
}
