package ssotest

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// A SAMLLogoutAttack is a LogoutRequest that must sign nobody out. Those that post and those
// that redirect are told apart by [SAMLMessage.Form].
type SAMLLogoutAttack struct {
	Name, What, Check string
	// Make makes the message; ask.Post is not used.
	Make func(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage
}

// SAMLLogoutAttacks returns all attacks on single logout.
func SAMLLogoutAttacks() []SAMLLogoutAttack {
	const (
		signature = "signature"
		query     = "signature over the query as it came"
		size      = "size, while it is unpacked"
		clock     = "time, with a minute's leeway"
	)
	posted := func(f func(p *SAMLProvider) SAMLFaults) func(*SAMLProvider, SAMLLogoutAsk) SAMLMessage {
		return func(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
			ask.Post = true
			return p.LogoutRequest(ask, f(p))
		}
	}
	redirected := func(f func(p *SAMLProvider) SAMLFaults) func(*SAMLProvider, SAMLLogoutAsk) SAMLMessage {
		return func(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
			ask.Post = false
			return p.LogoutRequest(ask, f(p))
		}
	}
	with := func(f SAMLFaults) func(*SAMLProvider) SAMLFaults { return func(*SAMLProvider) SAMLFaults { return f } }
	edit := func(f func(m *etree.Element)) func(*SAMLProvider) SAMLFaults { return with(SAMLFaults{Edit: f}) }
	stranger := func(p *SAMLProvider) SAMLFaults {
		key := p.stranger()
		return SAMLFaults{Response: SAMLSigning{Key: &key}}
	}
	over := func(p *SAMLProvider) SAMLFaults {
		return SAMLFaults{Edit: func(m *etree.Element) { m.CreateAttr("NotOnOrAfter", p.at(-late)) }}
	}
	out := []SAMLLogoutAttack{
		{"redirect-unsigned", "no signature", signature, redirected(with(SAMLFaults{Signed: NothingSigned}))},
		{"redirect-other-key", "another key", signature, redirected(stranger)},
		{"redirect-sha1", "RSA-SHA1", "signature algorithm", redirected(with(SAMLFaults{Response: SAMLSigning{Method: RSASHA1}}))},
		{"redirect-hmac", "HMAC-SHA256, the secret being the certificate", "signature algorithm", redirected(func(p *SAMLProvider) SAMLFaults {
			return SAMLFaults{Response: SAMLSigning{Method: HMACSHA256, Secret: p.Certificate()}}
		})},
		{"redirect-signature-empty", "an empty Signature", signature, onQuery(func(q string) string { return q[:strings.Index(q, "&Signature=")] + "&Signature=" })},
		{"redirect-no-algorithm", "no SigAlg", signature, onQuery(func(q string) string {
			before, _, _ := strings.Cut(q, "&SigAlg=")
			_, signature, _ := strings.Cut(q, "&Signature=")
			return before + "&Signature=" + signature
		})},
		{"redirect-relay-changed", "another RelayState than was signed", query, onQuery(func(q string) string {
			return strings.Replace(q, "&SigAlg=", "&RelayState=https%3A%2F%2Fevil.test&SigAlg=", 1)
		})},
		{"redirect-request-twice", "a second SAMLRequest, for somebody else", query, requestTwice},
		{"redirect-request-and-response", "a SAMLResponse beside the SAMLRequest", "one message", onQuery(func(q string) string { return "SAMLResponse=" + encoded("<a/>") + "&" + q })},
		{"redirect-encoding", "an Encoding that nobody knows", "encoding", onQuery(func(q string) string { return q + "&SAMLEncoding=urn:evil:encoding" })},
		{"redirect-enveloped-only", "signed inside and not over the query, as for POST", query, envelopedOnly},
		{"redirect-not-deflated", "not deflated", "deflate", redirected(with(SAMLFaults{Encoded: func(s string) string { return encoded(string(inflated(s))) }}))},
		{"redirect-bomb", "32 megabytes, deflated", size, redirected(with(SAMLFaults{XML: func(s string) string { return strings.Repeat(" ", 32<<20) + s }}))},
		{"redirect-bomb-unsigned", "32 megabytes, deflated and not signed", size, redirected(with(SAMLFaults{Signed: NothingSigned, XML: func(s string) string {
			return s + strings.Repeat(" ", 32<<20)
		}}))},
		{"redirect-not-base64", "no base64", "base64", redirected(with(SAMLFaults{Encoded: func(s string) string { return "*" + s }}))},
		{"post-unsigned", "no signature", signature, posted(with(SAMLFaults{Signed: NothingSigned}))},
		{"post-other-key", "another key, its certificate in KeyInfo", "pinned certificate", posted(stranger)},
		{"post-sha1", "RSA-SHA1", "signature algorithm", posted(with(SAMLFaults{Response: SAMLSigning{Method: RSASHA1, Digest: SHA1}}))},
		{"post-tampered", "another name than was signed", signature, posted(with(SAMLFaults{After: func(m *etree.Element) { m.CreateAttr("Reason", "urn:evil") }}))},
		{"post-wrapped", "the genuine request in an Object of the forged one's Signature", "only what the verifier returned is read", posted(with(SAMLFaults{After: func(m *etree.Element) {
			genuine := unsigned(m)
			rename(m)
			m.SelectElement("NameID").CreateAttr("Format", NameIDUnspecified)
			m.SelectElement("Signature").CreateElement("ds:Object").AddChild(genuine)
		}}))},
		{"post-response-signed", "an Assertion's signature", "the signed element is the LogoutRequest", assertionSignature},
		{"post-huge", "ten megabytes", size, posted(with(SAMLFaults{XML: func(s string) string { return s + strings.Repeat(" ", 10<<20) }}))},
		{"post-deflated", "deflated", "base64 of XML", posted(with(SAMLFaults{XML: func(s string) string { return string(deflate(s)) }}))},
		{"post-comment", "a comment in the name", "no comments, processing instructions or directives", posted(with(SAMLFaults{After: func(m *etree.Element) {
			m.SelectElement("NameID").AddChild(etree.NewComment(""))
		}}))},
		{"post-doctype", "a DOCTYPE", "no comments, processing instructions or directives", posted(with(SAMLFaults{XML: func(s string) string { return "<!DOCTYPE a>" + s }}))},
	}
	// What the provider signed, and should not have.
	for _, c := range []struct {
		name, what, check string
		f                 func(*SAMLProvider) SAMLFaults
	}{
		{"issuer-other", "of another provider", "Issuer", edit(func(m *etree.Element) { m.SelectElement("Issuer").SetText("https://other-idp.test") })},
		{"issuer-missing", "of nobody", "Issuer", edit(func(m *etree.Element) { m.RemoveChild(m.SelectElement("Issuer")) })},
		{"destination-other", "to another's address", "Destination", edit(func(m *etree.Element) { m.CreateAttr("Destination", "https://other.test/saml/slo") })},
		{"destination-missing", "to no address", "Destination", edit(func(m *etree.Element) { m.RemoveAttr("Destination") })},
		{"over", "over for more than a minute", clock, over},
		{"issued-long-ago", "issued in 2001, good for ever", clock, edit(func(m *etree.Element) {
			m.RemoveAttr("NotOnOrAfter")
			m.CreateAttr("IssueInstant", time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC).Format(samlTime))
		})},
		{"name-id-missing", "for no name", "NameID", edit(func(m *etree.Element) { m.RemoveChild(m.SelectElement("NameID")) })},
		{"name-id-other", "for somebody else", "NameID", edit(func(m *etree.Element) { m.SelectElement("NameID").SetText("nobody-here") })},
		{"name-id-twice", "for two", "NameID", edit(func(m *etree.Element) {
			second := m.SelectElement("NameID").Copy()
			second.SetText("somebody else")
			before(m.SelectElement("NameID"), second)
		})},
		{"session-other", "for another session", "SessionIndex", edit(func(m *etree.Element) {
			for _, x := range m.SelectElements("SessionIndex") {
				m.RemoveChild(x)
			}
			m.CreateElement("saml2p:SessionIndex").SetText("_another")
		})},
		{"version", "of version 1.1", "version", edit(func(m *etree.Element) { m.CreateAttr("Version", "1.1") })},
		{"not-a-logout", "an AuthnRequest", "the root is a LogoutRequest", edit(func(m *etree.Element) { m.Tag = "AuthnRequest" })},
	} {
		// The address to go to is read before the edits, so that all of them arrive.
		out = append(out,
			SAMLLogoutAttack{"redirect-" + c.name, c.what, c.check, redirected(c.f)},
			SAMLLogoutAttack{"post-" + c.name, c.what, c.check, posted(c.f)})
	}
	return out
}

// onQuery changes a signed query.
func onQuery(f func(query string) string) func(*SAMLProvider, SAMLLogoutAsk) SAMLMessage {
	return func(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
		ask.Post = false
		m := p.LogoutRequest(ask)
		i := strings.Index(m.URL, "SAMLRequest=")
		m.URL = m.URL[:i] + f(m.URL[i:])
		return m
	}
}

// requestTwice has the signature over one request and hopes that the other is read.
func requestTwice(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
	ask.Post = false
	good := p.LogoutRequest(SAMLLogoutAsk{SLO: ask.SLO, NameID: "attacker"})
	forged := p.LogoutRequest(ask, SAMLFaults{Signed: NothingSigned})
	_, query, _ := strings.Cut(good.URL, "SAMLRequest=")
	return SAMLMessage{URL: forged.URL + "&SAMLRequest=" + query}
}

// envelopedOnly is what crewjam/saml sends: a redirect with a signature of the other binding.
func envelopedOnly(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
	m := p.logoutRequest(ask)
	p.sign(m, SAMLSigning{})
	return SAMLMessage{URL: ask.SLO + "?SAMLRequest=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflate(elementText(m))))}
}

// assertionSignature has a genuine Assertion vouch for a forged LogoutRequest.
func assertionSignature(p *SAMLProvider, ask SAMLLogoutAsk) SAMLMessage {
	m := p.logoutRequest(ask)
	a := p.assertion(SAMLAsk{ACS: ask.SLO, Audience: "https://other.test"}, Person{Subject: "attacker"})
	x := etree.NewElement("saml2p:Extensions")
	before(m.SelectElement("NameID"), x)
	x.AddChild(a)
	sig := p.sign(a, SAMLSigning{})
	m.InsertChildAt(m.SelectElement("Issuer").Index()+1, sig)
	return SAMLMessage{URL: ask.SLO, Form: url.Values{"SAMLRequest": {encoded(elementText(m))}}}
}
