package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
)

// A keySet is the keys of one provider, those that can sign a token for us. A new one
// replaces the old one whole: a key that the provider withdrew is gone.
type keySet struct{ keys []jose.JSONWebKey }

// parseKeys reads a JWK set. Keys that can't be used here are left out, not fatal:
// providers publish encryption keys and curves that nobody else knows beside the others.
func parseKeys(b []byte) (keySet, error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return keySet{}, fail(CodeKeys, nil, "jwks_uri: not the JSON that it should be")
	}
	if len(doc.Keys) > maxKeys {
		return keySet{}, fail(CodeTooLarge, nil, fmt.Sprintf("jwks_uri: %d keys", len(doc.Keys)))
	}
	var set keySet
	for _, raw := range doc.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && usable(k) {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return keySet{}, fail(CodeKeys, nil, fmt.Sprintf("jwks_uri: none of %d keys can be used", len(doc.Keys)))
	}
	return set, nil
}

// usable reports whether k can verify a token: a public key of a fair size, for signing.
func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" || !k.Valid() || !k.IsPublic() || len(k.KeyID) > maxKeyID {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		// The upper bound keeps verifying cheap.
		return key.N.BitLen() >= 2048 && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false // symmetric keys among them
}

const maxKeyID = 255

// maxTried is how many keys one token is tried against. Providers name the key, or have two
// or three; one that publishes a hundred large ones under one name has us work for nothing.
const maxTried = 8

// fits reports whether k may verify signatures of alg: the key's type and, if the key
// names its algorithm, that very one.
func fits(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[alg] == key.Curve.Params().BitSize
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

func fetchKeys(ctx context.Context, client *egress.Client, url string) (keySet, error) {
	if err := client.CheckURL(url); err != nil {
		return keySet{}, fail(CodeForbidden, err, "jwks_uri: "+err.Error())
	}
	b, err := fetchJSON(ctx, client, "jwks_uri", url, maxKeySet, CodeKeys)
	if err != nil {
		return keySet{}, err
	}
	return parseKeys(b)
}

// A source is who brought a token that names a key. A logout token can be sent by
// anybody; an ID token comes from the provider's own token endpoint. Each has patience of its
// own, so that a stranger with random key ids can't delay the sign-ins after a rotation.
type source int

const (
	fromProvider source = iota
	fromAnyone
	sources
)

const (
	// cooldown is the least time between two fetches that unknown keys caused.
	cooldown = 30 * time.Second
	// missingFor is how long a key id that a fetch did not bring causes no other.
	missingFor = 5 * time.Minute
	maxMissing = 256
)

// A keyRing verifies signatures with a provider's keys, and fetches the keys anew when a
// token names one that it does not know, but not as often as it is asked to.
type keyRing struct {
	set *remote[keySet]

	mu       sync.Mutex
	patience [sources]patience
}

type patience struct {
	last    time.Time            // when an unknown key caused a fetch
	missing map[string]time.Time // key ids that were not there, and when
}

func newKeyRing(set *remote[keySet]) *keyRing { return &keyRing{set: set} }

// verify returns the payload of a signature that one of the provider's keys made.
func (r *keyRing) verify(ctx context.Context, jws *jose.JSONWebSignature, from source) ([]byte, error) {
	set, err := r.set.get(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := set.verify(jws)
	if !errors.Is(err, errUnknownKey) {
		return payload, err
	}
	kid := jws.Signatures[0].Header.KeyID
	if !r.mayAsk(kid, from) {
		return nil, fail(CodeUnknownKey, nil, "kid "+idp.Printable(kid, 60)+"; keys were fetched a moment ago")
	}
	if set, err = r.set.renew(ctx); err != nil {
		return nil, err
	}
	payload, err = set.verify(jws)
	if errors.Is(err, errUnknownKey) {
		r.noteMissing(kid, from)
		return nil, fail(CodeUnknownKey, nil, "kid "+idp.Printable(kid, 60))
	}
	return payload, err
}

// mayAsk reports whether the unknown kid may cause a fetch now, and counts it.
func (r *keyRing) mayAsk(kid string, from source) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, now := &r.patience[from], r.set.now()
	if at, ok := p.missing[kid]; ok && now.Sub(at) < missingFor {
		return false
	}
	if !p.last.IsZero() && now.Sub(p.last) < cooldown {
		return false
	}
	p.last = now
	return true
}

func (r *keyRing) noteMissing(kid string, from source) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := &r.patience[from]
	if p.missing == nil || len(p.missing) >= maxMissing {
		p.missing = map[string]time.Time{}
	}
	p.missing[kid] = r.set.now()
}

var errUnknownKey = errors.New("no such key")

// verify tries the keys that the token's header may mean: those with its key id or, if it
// has none, all. It returns errUnknownKey if there is none to try.
func (s keySet) verify(jws *jose.JSONWebSignature) ([]byte, error) {
	h := jws.Signatures[0].Header
	tried := 0
	for _, k := range s.keys {
		if h.KeyID != "" && k.KeyID != h.KeyID || !fits(k, h.Algorithm) {
			continue
		}
		if tried == maxTried {
			break
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, nil
		}
		tried++
	}
	if tried == 0 || h.KeyID == "" {
		return nil, errUnknownKey
	}
	return nil, fail(CodeSignature, nil, "kid "+idp.Printable(h.KeyID, 60))
}
