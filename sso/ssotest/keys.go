package ssotest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"sync"
)

// A keyChain is the provider's signing keys: one of each algorithm signs, and those
// that did may stay published. Keys are made when they are first needed: an RSA key takes
// a moment.
type keyChain struct {
	mu      sync.Mutex
	current *keyPair
	old     []*keyPair
	foreign *keyPair // never published
}

type keyPair struct {
	id  string
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

func newKeyPair() *keyPair {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // never: crypto/rand does not fail
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return &keyPair{id: random()[:8], ec: ec, rsa: r}
}

// pairs returns the signing pair first.
func (k *keyChain) pairs() []*keyPair {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current == nil {
		k.current = newKeyPair()
	}
	return append([]*keyPair{k.current}, k.old...)
}

// stranger returns a pair that is not published.
func (k *keyChain) stranger() *keyPair {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.foreign == nil {
		k.foreign = newKeyPair()
	}
	return k.foreign
}

// RotateKeys makes new keys; keepOld leaves the old ones published.
func (p *Provider) RotateKeys(keepOld bool) {
	k := &p.keys
	fresh := newKeyPair()
	k.mu.Lock()
	defer k.mu.Unlock()
	if keepOld && k.current != nil {
		k.old = append(k.old, k.current)
	} else {
		k.old = nil
	}
	k.current = fresh
}

// jwks publishes the keys.
func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	doc := map[string]any{"keys": p.publicKeys()}
	p.edit(func(f Faults) func(map[string]any) { return f.Keys }, doc)
	writeJSON(w, http.StatusOK, doc)
}

func (p *Provider) publicKeys() []any {
	enc := base64.RawURLEncoding.EncodeToString
	var keys []any
	for _, k := range p.keys.pairs() {
		point, err := k.ec.PublicKey.Bytes()
		if err != nil {
			panic(err) // never: the curve is NIST's
		}
		keys = append(keys,
			map[string]any{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.id + "-ec", "x": enc(point[1:33]), "y": enc(point[33:])},
			map[string]any{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.id + "-rsa", "n": enc(k.rsa.N.Bytes()), "e": enc(big.NewInt(int64(k.rsa.E)).Bytes())})
	}
	return keys
}

// sign makes a JWT, or what the faults make of one.
func (k *keyChain) sign(algorithm, typ string, claims map[string]any, f Faults) string {
	pair := k.pairs()[0]
	head := map[string]any{"alg": "ES256", "kid": pair.id + "-ec"}
	if algorithm == "RS256" {
		head = map[string]any{"alg": "RS256", "kid": pair.id + "-rsa"}
	}
	if typ != "" {
		head["typ"] = typ
	}
	switch f.Signature {
	case SignedByOtherKey:
		pair = k.stranger()
	case NotSigned:
		head["alg"] = "none"
	case SignedWithPublicKey:
		head["alg"] = "HS256"
	case Genuine, SignatureStripped:
	}
	if f.Header != nil {
		f.Header(head)
	}
	enc := base64.RawURLEncoding.EncodeToString
	input := enc(mustJSON(head)) + "." + enc(mustJSON(claims))
	sum := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch {
	case f.Signature == NotSigned || f.Signature == SignatureStripped:
	case f.Signature == SignedWithPublicKey:
		// The classic: the secret is what everybody can download.
		der, derr := x509.MarshalPKIXPublicKey(&pair.rsa.PublicKey)
		if derr != nil {
			panic(derr) // never: the key is RSA
		}
		mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	case algorithm == "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, pair.rsa, crypto.SHA256, sum[:])
	default:
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, pair.ec, sum[:]); err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	}
	if err != nil {
		panic(err) // never: the keys are ours
	}
	return input + "." + enc(signature)
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a test put something into the claims that is no JSON
	}
	return b
}
