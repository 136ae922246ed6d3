package ssotest

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// A SAMLAttack is a response that must be refused. Most are from somebody who has an account
// at the provider (the attacker) and wants to be somebody else (the victim), with a response
// that the provider signed for the attacker; the others are from a provider, or a man in its
// place, that signs what no honest one would, for the victim.
type SAMLAttack struct {
	Name string
	// What is the attack in one line.
	What string
	// Check is a hint at what should catch it, and no more: an earlier check may.
	Check string
	// Make makes the value of SAMLResponse.
	Make func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string
}

// AsAttacker tells whether it may be taken for what it is: whoever reads all of the text signs
// in the attacker, which is right. Signing in the victim never is.
func (a SAMLAttack) AsAttacker() bool { return strings.HasPrefix(a.Name, "text-cdata-") }

// SAMLAttacks returns all attacks. Those of encryption are to ask.Certificate, and to a
// stranger's if there is none; what else ask says of signing and encryption is not used.
func SAMLAttacks() []SAMLAttack {
	all := slices.Concat(wrappingAttacks(), signatureAttacks(), assertionAttacks(), textAttacks(), conditionAttacks(), subjectAttacks(),
		responseAttacks(), documentAttacks(), encryptionAttacks(), sizeAttacks(), encodingAttacks())
	for i := range all {
		attack := all[i].Make
		all[i].Make = func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
			ask.Signed, ask.Encrypt = AssertionSigned, SAMLEncryption{}
			if ask.Certificate == nil {
				ask.Certificate = p.stranger().Certificate
			}
			return attack(p, ask, victim, attacker)
		}
	}
	return all
}

// A rewrite changes the attacker's own response, when the provider has signed it.
type rewrite func(p *SAMLProvider, ask SAMLAsk, victim Person, response, assertion *etree.Element)

// rewritten makes an attack of a rewrite.
func rewritten(f rewrite) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
		return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) { f(p, ask, victim, r, r.SelectElement("Assertion")) }})
	}
}

// rewrittenResponse makes an attack of a rewrite of a response that is signed as a whole.
func rewrittenResponse(f rewrite) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
		ask.Signed = ResponseSigned
		return rewritten(f)(p, ask, victim, attacker)
	}
}

// issued makes an attack of what the provider itself does to a response for the victim,
// before it signs it.
func issued(f func(p *SAMLProvider, ask SAMLAsk, response, assertion *etree.Element)) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{Edit: func(r *etree.Element) { f(p, ask, r, r.SelectElement("Assertion")) }})
	}
}

// signing makes an attack of how a response for the victim is signed.
func signing(f func(p *SAMLProvider) SAMLSigning) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		return p.Respond(ask, victim, SAMLFaults{Assertion: f(p)})
	}
}

// unsigned returns a copy of an element without its signature.
func unsigned(el *etree.Element) *etree.Element {
	c := el.Copy()
	if s := c.SelectElement("Signature"); s != nil {
		c.RemoveChild(s)
	}
	return c
}

// becomes puts the victim in place of whom an assertion or a response is about, and leaves
// ids and signature.
func becomes(el *etree.Element, p *SAMLProvider, ask SAMLAsk, victim Person) {
	lie := p.assertion(ask, victim)
	if el.Tag == "Response" {
		el = el.SelectElement("Assertion")
	}
	for _, name := range []string{"Subject", "AttributeStatement"} {
		old, lies := el.SelectElement(name), lie.SelectElement(name)
		if old == nil || lies == nil {
			continue
		}
		place := old.Index()
		el.RemoveChild(old)
		el.InsertChildAt(place, lies)
	}
}

// rename gives an element a new id.
func rename(el *etree.Element) { el.CreateAttr("ID", samlID()) }

// before inserts an element before a sibling.
func before(sibling, el *etree.Element) { sibling.Parent().InsertChildAt(sibling.Index(), el) }

// instead puts an element in place of another.
func instead(old, el *etree.Element) {
	parent, place := old.Parent(), old.Index()
	parent.RemoveChild(old)
	parent.InsertChildAt(place, el)
}

// extensions adds Extensions to a response, where the schema has them.
func extensions(r *etree.Element) *etree.Element {
	x := etree.NewElement("saml2p:Extensions")
	before(r.SelectElement("Status"), x)
	return x
}
