package saml

import (
	"crypto/subtle"
	"fmt"
	"net/url"
	"time"

	crewjam "github.com/crewjam/saml"

	"github.com/orgate/orgate/sso/idp"
)

// Start begins a sign-in: the message to have the browser carry to the provider, and the flow to
// keep for it. The error is an [*Error].
func (c Connection) Start(r StartRequest, now time.Time) (Message, Flow, error) {
	if c.ID == "" || c.EntityID == "" || c.ACS == "" || c.IDP.EntityID == "" {
		return Message{}, Flow{}, fail(CodeConnection, nil, "id, entity ids and ACS are needed")
	}
	endpoint, ok := pick(c.IDP.SSO)
	if !ok {
		return Message{}, Flow{}, fail(CodeConnection, nil, "no sign-in URL")
	}
	f := Flow{
		State: idp.Random(), RequestID: newID(), ConnectionID: c.ID, IDP: c.IDP.EntityID,
		MaxAge: r.MaxAge, ForceLogin: r.ForceLogin, StartedAt: now.UTC().Truncate(time.Second),
	}
	request := crewjam.AuthnRequest{
		ID: f.RequestID, Version: "2.0", IssueInstant: f.StartedAt, Destination: endpoint.URL,
		Issuer:                      &crewjam.Issuer{Value: c.EntityID},
		NameIDPolicy:                &crewjam.NameIDPolicy{AllowCreate: new(true)},
		AssertionConsumerServiceURL: c.ACS, ProtocolBinding: bindingPost,
	}
	if c.NameIDFormat != "" {
		request.NameIDPolicy.Format = &c.NameIDFormat
	}
	if r.ForceLogin || r.MaxAge > 0 {
		request.ForceAuthn = new(true)
	}
	m, err := c.message(endpoint.Binding, endpoint.URL, "SAMLRequest", request.Element(), f.State, c.SignRequests || c.IDP.WantSigned)
	if err != nil {
		return Message{}, Flow{}, err
	}
	// As a Subject in the request it would be a demand, which some providers refuse. As a
	// parameter who knows it heeds it, after all that the signature is over.
	if hint := r.LoginHint; hint != "" && isLabel(hint, maxSubject) && m.Binding == Redirect {
		m.URL += "&login_hint=" + url.QueryEscape(hint)
	}
	return m, f, nil
}

// newID returns what nobody can guess, as an ID of XML: it must not begin with a digit.
func newID() string { return "_" + idp.Random() }

// Check returns nil if the assertion, which came with relayState, answers the request that this
// flow began at this connection, else an [*Error].
func (f Flow) Check(c Connection, a Assertion, relayState string, now time.Time) error {
	if a.InResponseTo == "" {
		return fail(CodeUnsolicited, nil, "no InResponseTo")
	}
	// The zero Flow is one that the caller could not find; empty is never equal to empty.
	if f.State == "" || f.RequestID == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(relayState)) != 1 {
		return fail(CodeState, nil, "")
	}
	if f.ConnectionID != c.ID || f.IDP != c.IDP.EntityID {
		return fail(CodeState, nil, "the flow was started for another connection or provider")
	}
	if subtle.ConstantTimeCompare([]byte(f.RequestID), []byte(a.InResponseTo)) != 1 {
		return fail(CodeState, nil, "the assertion answers another request")
	}
	if fault := idp.CheckAge(f.StartedAt, now); fault != "" {
		return fail(CodeFlowExpired, nil, fault)
	}
	if !f.ForceLogin && f.MaxAge <= 0 {
		return nil
	}
	// The provider judged the age when it was asked, so that is what it is held to: the time
	// that the person then took does not count against them.
	age, limit := f.StartedAt.Sub(a.AuthTime), f.MaxAge
	if f.ForceLogin {
		limit = 0
	}
	if age > limit+skew {
		return fail(CodeStaleLogin, nil, fmt.Sprintf("signed in %s before, at most %s allowed", age.Round(time.Second), limit))
	}
	return nil
}
