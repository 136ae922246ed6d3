package saml

import (
	"time"

	crewjam "github.com/crewjam/saml"
)

// StartLogout returns the message that has the provider end its session too; ok is false if it
// offers no such place. sessionIndex may be empty.
func (c Connection) StartLogout(n NameID, sessionIndex, relayState string, now time.Time) (m Message, ok bool, err error) {
	endpoint, ok := pick(c.IDP.SLO)
	if !ok {
		return Message{}, false, nil
	}
	now = now.UTC().Truncate(time.Second)
	end := now.Add(logoutLife)
	request := crewjam.LogoutRequest{
		ID: newID(), Version: "2.0", IssueInstant: now, NotOnOrAfter: &end, Destination: endpoint.URL,
		Issuer: &crewjam.Issuer{Value: c.EntityID},
		NameID: &crewjam.NameID{Value: n.Value, Format: n.Format, NameQualifier: n.NameQualifier, SPNameQualifier: n.SPNameQualifier},
	}
	if sessionIndex != "" {
		request.SessionIndex = &crewjam.SessionIndex{Value: sessionIndex}
	}
	m, err = c.message(endpoint.Binding, endpoint.URL, "SAMLRequest", request.Element(), relayState, true)
	return m, err == nil, err
}

// AnswerLogout returns the LogoutResponse to carry back; ok is false if the provider offers no
// place to send it to. done: all sessions that were named have ended.
func (c Connection) AnswerLogout(l Logout, relayState string, done bool, now time.Time) (m Message, ok bool, err error) {
	endpoint, ok := pick(c.IDP.SLO)
	if !ok || l.ID == "" {
		return Message{}, false, nil
	}
	address := endpoint.URL
	if endpoint.ResponseURL != "" {
		address = endpoint.ResponseURL
	}
	if !isURL(address) {
		return Message{}, false, nil
	}
	code := crewjam.StatusCode{Value: statusSuccess}
	if !done {
		code = crewjam.StatusCode{Value: statusPrefix + "Responder", StatusCode: &crewjam.StatusCode{Value: statusPrefix + "PartialLogout"}}
	}
	response := crewjam.LogoutResponse{
		ID: newID(), InResponseTo: l.ID, Version: "2.0", IssueInstant: now.UTC().Truncate(time.Second), Destination: address,
		Issuer: &crewjam.Issuer{Value: c.EntityID}, Status: crewjam.Status{StatusCode: code},
	}
	m, err = c.message(endpoint.Binding, address, "SAMLResponse", response.Element(), relayState, true)
	return m, err == nil, err
}
