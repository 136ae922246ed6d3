package ssotest

import (
	"fmt"
	"strings"

	"github.com/beevik/etree"
)

// encryptionAttacks are encrypted to ask.Certificate, as everybody can: it is in our
// metadata.
func encryptionAttacks() []SAMLAttack {
	const (
		signature = "signature, inside of what is encrypted or around it"
		broken    = "lengths, and one answer for all that goes wrong"
		allowed   = "algorithms of encryption"
		oneOnly   = "one assertion"
	)
	gcm := SAMLEncryption{Content: AES256GCM}
	out := []SAMLAttack{
		{"encrypted-unsigned", "made by the attacker with our public key, nothing is signed", signature, encryptedBy(gcm, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-unsigned-cbc", "the same with CBC", signature, encryptedBy(SAMLEncryption{Content: AES128CBC}, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-tampered", "the victim in the attacker's signed Assertion, encrypted again", signature, encryptedTampered},
		{"encrypted-other-key", "signed by another key, and encrypted", signature, encryptedOtherKey},
		{"encrypted-and-forged", "the attacker's, signed and encrypted, and a forged one that is not", oneOnly, encryptedAndForged},
		{"encrypted-forged-and-plain", "the attacker's, signed, and a forged one that is encrypted", oneOnly, forgedEncrypted},
		{"encrypted-twice", "two encrypted Assertions, both signed", oneOnly, encryptedTwice},
		{"encrypted-two-inside", "two Assertions in one cipher text", oneOnly, encryptedPlain(func(p *SAMLProvider, ask SAMLAsk, victim Person, s string) string {
			return s + elementText(p.assertion(ask, victim))
		})},
		{"encrypted-response-inside", "a Response in the cipher text", oneOnly, encryptedPlain(func(_ *SAMLProvider, _ SAMLAsk, _ Person, s string) string {
			return `<saml2p:Response xmlns:saml2p="` + nsSAMLP + `">` + s + `</saml2p:Response>`
		})},
		{"encrypted-encrypted", "an EncryptedAssertion in the cipher text", oneOnly, encryptedPlain(func(_ *SAMLProvider, ask SAMLAsk, _ Person, s string) string {
			return elementText(encryptedAssertion(s, ask.Certificate, gcm))
		})},
		{"encrypted-comment", "a comment in the name, within", "no comments, processing instructions or directives", encryptedComment},
		{"encrypted-doctype", "a DOCTYPE within", "no comments, processing instructions or directives", encryptedPlain(func(_ *SAMLProvider, _ SAMLAsk, _ Person, s string) string {
			return "<!DOCTYPE a>" + s
		})},
		{"encrypted-entity-bomb", "a billion laughs within", "no comments, processing instructions or directives", encryptedPlain(func(_ *SAMLProvider, _ SAMLAsk, _ Person, s string) string {
			return "<!DOCTYPE a [" + laughs() + "]>" + strings.Replace(s, "</saml2:NameID>", "&who;</saml2:NameID>", 1)
		})},
		{"encrypted-not-xml", "no XML within", "XML", encryptedPlain(func(*SAMLProvider, SAMLAsk, Person, string) string { return "hello" })},
		{"encrypted-nothing", "nothing within", "XML", encryptedPlain(func(*SAMLProvider, SAMLAsk, Person, string) string { return "" })},
		{"encrypted-round-trip", "an element <x::Root> within", "what is parsed, written and parsed is the same", encryptedPlain(func(_ *SAMLProvider, _ SAMLAsk, _ Person, s string) string {
			return strings.Replace(s, "<saml2:Subject>", `<x::Root/><saml2:Subject>`, 1)
		})},
		{"encrypted-huge", "ten megabytes within", "size", encryptedPlain(func(_ *SAMLProvider, _ SAMLAsk, _ Person, s string) string {
			return strings.Repeat(" ", 10<<20) + s
		})},
		{"encrypted-3des", "triple DES", allowed, encryptedBy(SAMLEncryption{Content: TripleDES}, SAMLFaults{})},
		{"encrypted-rsa-1.5", "RSA 1.5", allowed, encryptedBy(SAMLEncryption{Content: AES256GCM, Transport: RSA15}, SAMLFaults{})},
		{"encrypted-rsa-1.5-cbc", "RSA 1.5 with CBC, which both are oracles", allowed, encryptedBy(SAMLEncryption{Content: AES128CBC, Transport: RSA15}, SAMLFaults{})},
		{"encrypted-oaep-md5", "OAEP with MD5", allowed, encryptedBy(SAMLEncryption{Content: AES256GCM, Transport: OAEP, Digest: MD5}, SAMLFaults{})},
		{"encrypted-3des-8", "eight bytes of triple DES", broken, encryptedBy(SAMLEncryption{Content: TripleDES, Cut: 8}, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-padding-0", "CBC padding of no bytes", broken, encryptedBy(SAMLEncryption{Content: AES128CBC, Pad: -1}, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-padding-17", "CBC padding of more than a block", broken, encryptedBy(SAMLEncryption{Content: AES128CBC, Pad: 17}, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-padding-255", "CBC padding of 255 bytes", broken, encryptedBy(SAMLEncryption{Content: AES128CBC, Pad: 255}, SAMLFaults{Signed: NothingSigned})},
		{"encrypted-padding-all", "CBC padding of more than there is", broken, paddingOfMore},
	}
	for _, n := range []int{1, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 33} {
		out = append(out, SAMLAttack{fmt.Sprintf("encrypted-cbc-%d", n), fmt.Sprintf("%d bytes of CBC, unsigned", n), broken,
			encryptedBy(SAMLEncryption{Content: AES128CBC, Cut: n}, SAMLFaults{Signed: NothingSigned})})
	}
	for _, n := range []int{1, 11, 12, 13, 27, 28} {
		out = append(out, SAMLAttack{fmt.Sprintf("encrypted-gcm-%d", n), fmt.Sprintf("%d bytes of GCM, unsigned", n), broken,
			encryptedBy(SAMLEncryption{Content: AES256GCM, Cut: n}, SAMLFaults{Signed: NothingSigned})})
	}
	return append(out, encryptedTrees()...)
}

// encryptedTrees are changes of the EncryptedAssertion around a good cipher text.
func encryptedTrees() []SAMLAttack {
	each := func(name, what, check string, f func(x *etree.Element)) SAMLAttack {
		return SAMLAttack{"encrypted-" + name, what, check, encryptedBy(SAMLEncryption{Content: AES256GCM}, SAMLFaults{After: func(r *etree.Element) {
			f(r.SelectElement("EncryptedAssertion"))
		}})}
	}
	algorithm := func(x *etree.Element, of, name string) {
		x.FindElement(".//"+of+"/EncryptionMethod").CreateAttr("Algorithm", name)
	}
	return []SAMLAttack{
		each("two-keys", "two EncryptedKeys, the first of them another", "one EncryptedKey", func(x *etree.Element) {
			k := x.FindElement(".//EncryptedKey")
			other := k.Copy()
			other.FindElement(".//CipherValue").SetText(encoded(strings.Repeat("x", 256)))
			before(k, other)
		}),
		each("many-keys", "a thousand EncryptedKeys", "one EncryptedKey", func(x *etree.Element) {
			k := x.FindElement(".//EncryptedKey")
			other := k.Copy()
			other.FindElement(".//CipherValue").SetText(encoded(strings.Repeat("x", 256)))
			for range 1000 {
				before(k, other.Copy())
			}
		}),
		each("two-data", "two EncryptedData", "one EncryptedData", func(x *etree.Element) { x.AddChild(x.SelectElement("EncryptedData").Copy()) }),
		each("no-key", "no EncryptedKey", "EncryptedKey", func(x *etree.Element) {
			k := x.FindElement(".//EncryptedKey")
			k.Parent().RemoveChild(k)
		}),
		each("no-data", "no EncryptedData", "EncryptedData", func(x *etree.Element) { x.RemoveChild(x.SelectElement("EncryptedData")) }),
		each("no-method", "no EncryptionMethod", "algorithms of encryption", func(x *etree.Element) {
			d := x.SelectElement("EncryptedData")
			d.RemoveChild(d.SelectElement("EncryptionMethod"))
		}),
		each("unknown-content", "a cipher that nobody knows", "algorithms of encryption", func(x *etree.Element) { algorithm(x, "EncryptedData", "urn:evil:cipher") }),
		each("unknown-transport", "a key transport that nobody knows", "algorithms of encryption", func(x *etree.Element) { algorithm(x, "EncryptedKey", "urn:evil:transport") }),
		each("relabelled-cbc", "GCM that says to be CBC, as for an oracle", "algorithms of encryption", func(x *etree.Element) { algorithm(x, "EncryptedData", AES256CBC) }),
		each("wrong-key-size", "a key of 256 bits for a cipher of 128", "key size", func(x *etree.Element) { algorithm(x, "EncryptedData", AES128GCM) }),
		each("cipher-reference", "the cipher text is at an address", "CipherValue", func(x *etree.Element) {
			v := x.FindElement("./EncryptedData/CipherData/CipherValue")
			ref := etree.NewElement("xenc:CipherReference")
			ref.CreateAttr("URI", "http://169.254.169.254/latest/meta-data/")
			instead(v, ref)
		}),
		each("key-retrieval", "the key is at an address", "EncryptedKey", func(x *etree.Element) {
			ref := etree.NewElement("ds:RetrievalMethod")
			ref.CreateAttr("URI", "http://169.254.169.254/latest/meta-data/")
			instead(x.FindElement(".//EncryptedKey"), ref)
		}),
		each("not-base64", "a cipher text that is not base64", "base64", func(x *etree.Element) {
			x.FindElement("./EncryptedData/CipherData/CipherValue").SetText("***")
		}),
		each("key-short", "an EncryptedKey of 16 bytes", "lengths, and one answer for all that goes wrong", func(x *etree.Element) {
			x.FindElement(".//EncryptedKey//CipherValue").SetText(encoded(strings.Repeat("x", 16)))
		}),
		each("key-long", "an EncryptedKey of a megabyte", "lengths, and one answer for all that goes wrong", func(x *etree.Element) {
			x.FindElement(".//EncryptedKey//CipherValue").SetText(encoded(strings.Repeat("x", 1<<20)))
		}),
		each("flipped", "one character of the cipher text is another", "lengths, and one answer for all that goes wrong", func(x *etree.Element) {
			v := x.FindElement("./EncryptedData/CipherData/CipherValue")
			s := []byte(v.Text())
			if s[40]++; s[40] == 'Z'+1 || s[40] == 'z'+1 || s[40] == ':' || s[40] == ',' {
				s[40] = 'A'
			}
			v.SetText(string(s))
		}),
	}
}

// encryptedBy encrypts the victim's assertion so.
func encryptedBy(e SAMLEncryption, f SAMLFaults) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
		ask.Encrypt = e
		return p.Respond(ask, victim, f)
	}
}

// encryptedPlain changes what is encrypted, after it was signed. The assertion is the
// attacker's.
func encryptedPlain(f func(p *SAMLProvider, ask SAMLAsk, victim Person, s string) string) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return func(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
		ask.Encrypt = SAMLEncryption{Content: AES256GCM}
		return p.Respond(ask, attacker, SAMLFaults{Plain: func(s string) string { return f(p, ask, victim, s) }})
	}
}

// encryptedTampered is signatureTampered where nobody sees it.
func encryptedTampered(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) {
		a := r.SelectElement("Assertion")
		becomes(a, p, ask, victim)
		instead(a, encryptedAssertion(elementText(a), ask.Certificate, SAMLEncryption{Content: AES256GCM}))
	}})
}

// encryptedOtherKey takes encryption for a proof of who sent it.
func encryptedOtherKey(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	key := p.stranger()
	ask.Encrypt = SAMLEncryption{Content: AES256GCM}
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Key: &key}})
}

// encryptedAndForged has one assertion for the verifier and one for the reader.
func encryptedAndForged(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	ask.Encrypt = SAMLEncryption{Content: AES256GCM}
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) { before(r.SelectElement("EncryptedAssertion"), p.assertion(ask, victim)) }})
}

// forgedEncrypted is encryptedAndForged the other way.
func forgedEncrypted(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) {
		before(r.SelectElement("Assertion"), encryptedAssertion(elementText(p.assertion(ask, victim)), ask.Certificate, SAMLEncryption{Content: AES256GCM}))
	}})
}

// encryptedTwice is bothGenuine, encrypted.
func encryptedTwice(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	ask.Encrypt = SAMLEncryption{Content: AES256GCM}
	return p.Respond(ask, attacker, SAMLFaults{After: func(r *etree.Element) {
		second := p.assertion(ask, victim)
		etree.NewDocument().AddChild(second)
		p.sign(second, SAMLSigning{})
		r.AddChild(encryptedAssertion(elementText(second), ask.Certificate, ask.Encrypt))
	}})
}

// encryptedComment is text-comment-name-id where a check of the outer document does not see it.
func encryptedComment(p *SAMLProvider, ask SAMLAsk, victim, attacker Person) string {
	_, name := p.nameID(ask, victim)
	ask.NameID = name + ".evil.test"
	ask.Encrypt = SAMLEncryption{Content: AES256GCM}
	return p.Respond(ask, attacker, SAMLFaults{Plain: func(s string) string { return strings.Replace(s, name+".evil.test", name+"<!---->.evil.test", 1) }})
}

// paddingOfMore says that more is padding than there is: two blocks, of which 255 bytes.
func paddingOfMore(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	ask.Encrypt = SAMLEncryption{Content: AES128CBC, Pad: 255}
	return p.Respond(ask, victim, SAMLFaults{Signed: NothingSigned, Plain: func(string) string { return "<a/>" }})
}
