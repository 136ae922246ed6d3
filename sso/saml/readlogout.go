package saml

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/orgate/orgate/sso/idp"
)

// A Logout is the provider's word that sessions there have ended.
type Logout struct {
	// ID names the request; the caller remembers it until ExpiresAt and heeds none twice.
	ID        string
	ExpiresAt time.Time
	Subject   string
	// SessionIndexes are which of the person's sessions; none: all of them.
	SessionIndexes []string
}

// ReadLogout reads a LogoutRequest that came to the connection's SLO address, by the query of a
// redirect (rawQuery, as it came: its signature is over the very bytes) or by the form of a POST.
// The error is an [*Error].
func (c Connection) ReadLogout(b Binding, rawQuery string, form url.Values, now time.Time) (Logout, error) {
	if err := c.check(); err != nil {
		return Logout{}, err
	}
	if c.SLO == "" {
		return Logout{}, fail(CodeConnection, nil, "no SLO address")
	}
	var el *etree.Element
	var err error
	switch b {
	case Redirect:
		el, err = c.logoutOfQuery(rawQuery)
	case Post:
		el, err = c.logoutOfForm(form)
	default:
		err = fail(CodeLogout, nil, fmt.Sprintf("binding %q", idp.Printable(string(b), 40)))
	}
	if err != nil {
		return Logout{}, err
	}
	return c.readLogout(el, now)
}

// logoutOfQuery verifies a query (saml-bindings-2.0-os, 3.4.4.1), and only then inflates what is
// in it.
func (c Connection) logoutOfQuery(rawQuery string) (*etree.Element, error) {
	raw, err := splitQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	value := func(name string) string {
		s, err := url.QueryUnescape(raw[name])
		if err != nil {
			return ""
		}
		return s
	}
	if _, ok := raw["Signature"]; !ok {
		return nil, fail(CodeUnsigned, nil, "LogoutRequest")
	}
	if e, ok := raw["SAMLEncoding"]; ok && value("SAMLEncoding") != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE" {
		return nil, fail(CodeEncoding, nil, "SAMLEncoding "+e)
	}
	if err := c.verifyQuery(raw, value("SigAlg"), value("Signature")); err != nil {
		return nil, err
	}
	packed, err := decodeBase64(value("SAMLRequest"))
	if err != nil {
		return nil, fail(CodeEncoding, nil, "SAMLRequest is not base64")
	}
	r := flate.NewReader(bytes.NewReader(packed))
	b, err := io.ReadAll(io.LimitReader(r, maxLogout+1))
	if len(b) > maxLogout {
		return nil, fail(CodeTooLarge, nil, "LogoutRequest, inflated")
	}
	if err != nil {
		return nil, fail(CodeEncoding, nil, "SAMLRequest is not deflated")
	}
	doc, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	if len(doc.signatures) > 0 {
		return nil, fail(CodeSignatureMalformed, nil, "a Signature in a message whose signature is in the query")
	}
	return doc.root, checkLogoutRoot(doc)
}

// splitQuery returns the parameters as they came, undecoded. Each that means something comes once,
// and spelled plainly: else what is verified and what is read may be two.
func splitQuery(rawQuery string) (map[string]string, error) {
	if len(rawQuery) > maxEncoded {
		return nil, fail(CodeTooLarge, nil, fmt.Sprintf("a query of %d bytes", len(rawQuery)))
	}
	raw := map[string]string{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil || strings.Contains(pair, ";") {
			return nil, fail(CodeLogout, nil, "a malformed query")
		}
		switch name {
		case "SAMLart":
			return nil, fail(CodeArtifact, nil, "")
		case "SAMLResponse":
			return nil, fail(CodeLogout, nil, "a response, and not a request")
		case "SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding":
			if _, twice := raw[name]; twice || key != name {
				return nil, fail(CodeLogout, nil, "a parameter twice, or in disguise: "+name)
			}
			raw[name] = value
		}
	}
	if raw["SAMLRequest"] == "" {
		return nil, fail(CodeLogout, nil, "no SAMLRequest")
	}
	return raw, nil
}

// verifyQuery verifies the octets that came, in the order that they are signed in.
func (c Connection) verifyQuery(raw map[string]string, sigAlg, signature string) error {
	method, ok := signatureMethod(sigAlg)
	if !ok {
		return fail(CodeAlgorithm, nil, "SigAlg "+sigAlg)
	}
	value, err := decodeBase64(signature)
	if err != nil {
		return fail(CodeSignatureMalformed, nil, "the Signature is not base64")
	}
	signed := "SAMLRequest=" + raw["SAMLRequest"]
	if state, ok := raw["RelayState"]; ok {
		signed += "&RelayState=" + state
	}
	signed += "&SigAlg=" + raw["SigAlg"]
	certificates, err := c.IDP.signers()
	if err != nil {
		return err
	}
	for _, cert := range certificates {
		if cert.PublicKeyAlgorithm == method.key && cert.CheckSignature(method.verify, []byte(signed), asDER(value, cert.PublicKey)) == nil {
			return nil
		}
	}
	return fail(CodeSignature, nil, fmt.Sprintf("LogoutRequest: by none of %d certificates", len(certificates)))
}

// logoutOfForm verifies a message that has its signature in it.
func (c Connection) logoutOfForm(form url.Values) (*etree.Element, error) {
	switch {
	case form.Has("SAMLart"):
		return nil, fail(CodeArtifact, nil, "")
	case form.Has("SAMLResponse"):
		return nil, fail(CodeLogout, nil, "a response, and not a request")
	case len(form["SAMLRequest"]) != 1 || len(form["RelayState"]) > 1:
		return nil, fail(CodeLogout, nil, "not one SAMLRequest")
	}
	b, err := decodeMessage(form.Get("SAMLRequest"))
	if err != nil {
		return nil, err
	}
	if len(b) > maxLogout {
		return nil, fail(CodeTooLarge, nil, "LogoutRequest")
	}
	doc, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	if err := checkLogoutRoot(doc); err != nil {
		return nil, err
	}
	if err := checkSignatures(doc, doc.root); err != nil {
		return nil, err
	}
	return c.verify(doc.root)
}

// checkLogoutRoot checks that the document is a logout request and nothing else: the provider
// signs much that is none.
func checkLogoutRoot(doc document) error {
	if !is(doc.root, nsProtocol, "LogoutRequest") || len(doc.responses)+len(doc.assertions)+len(doc.encrypted) > 0 {
		return fail(CodeLogout, nil, "the root is "+doc.root.FullTag())
	}
	return nil
}

// readLogout reads a verified request (saml-core-2.0-os, 3.7.1).
func (c Connection) readLogout(el *etree.Element, now time.Time) (Logout, error) {
	bad := func(detail string) (Logout, error) { return Logout{}, fail(CodeLogout, nil, detail) }
	if v, _ := attr(el, "Version"); v != "2.0" {
		return bad("Version " + v)
	}
	var l Logout
	if l.ID, _ = attr(el, "ID"); l.ID == "" {
		return bad("no ID")
	}
	if issuer := only(el, nsAssertion, "Issuer"); issuer == nil || !isIssuer(issuer, c.IDP.EntityID) {
		return Logout{}, fail(CodeIssuer, nil, "LogoutRequest")
	}
	// Without it, a request to another application of the same provider would end sessions here.
	if to, _ := attr(el, "Destination"); to != c.SLO {
		return Logout{}, fail(CodeDestination, nil, fmt.Sprintf("expected %q, got %q", c.SLO, idp.Printable(to, 200)))
	}
	s, _ := attr(el, "IssueInstant")
	issued, ok := instant(s)
	if !ok {
		return bad("no IssueInstant")
	}
	if age := now.Sub(issued); age < -skew || age > logoutLife+skew {
		return Logout{}, fail(CodeExpired, nil, fmt.Sprintf("LogoutRequest issued %s ago", age.Round(time.Second)))
	}
	if s, ok := attr(el, "NotOnOrAfter"); ok {
		end, ok := instant(s)
		if !ok || !now.Before(end.Add(skew)) {
			return Logout{}, fail(CodeExpired, nil, "LogoutRequest: NotOnOrAfter "+s)
		}
	}
	if len(children(el, nsAssertion, "EncryptedID")) > 0 {
		return Logout{}, fail(CodeSubject, nil, "an EncryptedID: have the provider send a NameID")
	}
	id := only(el, nsAssertion, "NameID")
	if id == nil {
		return Logout{}, fail(CodeSubject, nil, "not one NameID")
	}
	n, err := readNameID(id)
	if err != nil {
		return Logout{}, err
	}
	l.Subject = n.Value
	for _, el := range children(el, nsProtocol, "SessionIndex") {
		s, ok := textOf(el)
		if !ok || s == "" || !isLabel(s, maxSubject) {
			return bad("a SessionIndex is not plain text of 1 to 255 bytes")
		}
		if l.SessionIndexes = append(l.SessionIndexes, s); len(l.SessionIndexes) > maxSessions {
			return bad(fmt.Sprintf("more than %d sessions", maxSessions))
		}
	}
	// It is refused by its age at the latest when it could be forgotten.
	l.ExpiresAt = issued.Add(logoutLife + 2*skew)
	return l, nil
}
