package ssotest

import (
	"net/http"

	"github.com/beevik/etree"
)

// SAMLFaults are lies, and hooks to tell them with. The zero SAMLFaults are none. They change
// one response ([SAMLProvider.Respond]), one message of logout, or all that are sent
// ([SAMLProvider.Misbehave]): then a hook may get a LogoutResponse, too.
type SAMLFaults struct {
	// Edit changes the message before anything of it is signed, Between when the assertion is
	// and the response is not, and After when all is done.
	Edit, Between, After func(message *etree.Element)
	// Plain changes the text of the assertion that is then encrypted.
	Plain func(xml string) string
	// XML changes the text of the message, Encoded its base64.
	XML, Encoded func(string) string
	// Signed is what is signed; zero: what was asked for.
	Signed SAMLSigned
	// Assertion and Response are how they are signed.
	Assertion, Response SAMLSigning
	// RelayState changes what goes with the response.
	RelayState func(string) string
	// Metadata changes what is published.
	Metadata func(descriptor *etree.Element)
	// Endpoints take the place of endpoints, by the names of [SAMLProvider.Hits].
	Endpoints map[string]http.Handler
}

// Misbehave has the provider lie from now on; the zero SAMLFaults end it.
func (p *SAMLProvider) Misbehave(f SAMLFaults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
}

func (p *SAMLProvider) misbehaviour() SAMLFaults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// edited passes s through one hook of each of the faults.
func edited(s string, faults []SAMLFaults, which func(SAMLFaults) func(string) string) string {
	for _, f := range faults {
		if edit := which(f); edit != nil {
			s = edit(s)
		}
	}
	return s
}

// editTree passes a tree through one hook of each of the faults.
func editTree(el *etree.Element, faults []SAMLFaults, which func(SAMLFaults) func(*etree.Element)) {
	for _, f := range faults {
		if edit := which(f); edit != nil {
			edit(el)
		}
	}
}
