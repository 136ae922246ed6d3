package ssotest

import (
	"encoding/base64"
	"encoding/pem"

	"github.com/beevik/etree"
)

// otherKey signs with a key that is not the provider's.
func otherKey(info SAMLKeyInfo) func(*SAMLProvider, SAMLAsk, Person, Person) string {
	return signing(func(p *SAMLProvider) SAMLSigning {
		key := p.stranger()
		return SAMLSigning{Key: &key, KeyInfo: info}
	})
}

// otherKeyOurCertificate shows the provider's certificate and signs with another key.
func otherKeyOurCertificate(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Key: &SAMLKey{p.stranger().Private, p.Certificate()}}})
}

// otherKeyBothCertificates lets the verifier find the pinned certificate, and its own beside.
func otherKeyBothCertificates(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	key := p.stranger()
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Key: &key}, After: func(r *etree.Element) {
		c := r.FindElement(".//X509Certificate")
		first := c.Copy()
		first.SetText(base64.StdEncoding.EncodeToString(p.Certificate()))
		before(c, first)
	}})
}

// otherKeyToFetch asks the verifier to call out for the key.
func otherKeyToFetch(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	key := p.stranger()
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Key: &key}, After: func(r *etree.Element) {
		info := r.FindElement(".//KeyInfo")
		info.RemoveChildAt(0)
		m := info.CreateElement("ds:RetrievalMethod")
		m.CreateAttr("URI", p.options.EntityID+"/key")
		m.CreateAttr("Type", nsDS+"rawX509Certificate")
	}})
}

// keyTooShort signs with a key that can be broken.
func keyTooShort(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	key := p.Key()
	if key.Private.N.BitLen() >= 2048 {
		var err error
		if key, err = NewSAMLKey(1024); err != nil {
			panic(err) // never: crypto/rand does not fail
		}
	}
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Key: &key}})
}

// hmacPEM has what everybody can read for a secret.
func hmacPEM(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	secret := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate()})
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Method: HMACSHA256, Secret: secret}})
}

// hmacBase64 is hmacPEM as the metadata writes it.
func hmacBase64(p *SAMLProvider, ask SAMLAsk, victim, _ Person) string {
	secret := []byte(base64.StdEncoding.EncodeToString(p.Certificate()))
	return p.Respond(ask, victim, SAMLFaults{Assertion: SAMLSigning{Method: HMACSHA256, Secret: secret}})
}
