package ssotest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// A SAMLKey is a key pair of a provider, with the certificate that shows it.
type SAMLKey struct {
	Private     *rsa.PrivateKey
	Certificate []byte // DER, signed by the key itself
}

// Key returns the key that signs.
func (p *SAMLProvider) Key() SAMLKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[0]
}

// Certificate returns that of the key that signs, in DER.
func (p *SAMLProvider) Certificate() []byte { return p.Key().Certificate }

// RollOver has a new key sign from now on. The old ones stay in the metadata, after it, until
// [SAMLProvider.ForgetOldKeys].
func (p *SAMLProvider) RollOver() {
	key, err := NewSAMLKey(2048)
	if err != nil {
		panic(err) // never: crypto/rand does not fail
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = slices.Insert(p.keys, 0, key)
}

// SignWith has another key sign from now on, and be the only one in the metadata: a short one,
// say.
func (p *SAMLProvider) SignWith(key SAMLKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = []SAMLKey{key}
}

// ForgetOldKeys leaves the key that signs alone in the metadata.
func (p *SAMLProvider) ForgetOldKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[:1:1]
}

// stranger returns a key that is not published.
func (p *SAMLProvider) stranger() SAMLKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.foreign == nil {
		key, err := NewSAMLKey(2048)
		if err != nil {
			panic(err) // never: crypto/rand does not fail
		}
		p.foreign = &key
	}
	return *p.foreign
}

// NewSAMLKey makes a key of so many bits, and its certificate.
func NewSAMLKey(bits int) (SAMLKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return SAMLKey{}, fmt.Errorf("ssotest: making a key: %w", err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "ssotest"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return SAMLKey{}, fmt.Errorf("ssotest: making a certificate: %w", err)
	}
	return SAMLKey{key, der}, nil
}
