// Package accesstoken signs the access tokens of the sign-in API, and publishes the keys that verify them.
//
// It owns the claims, the algorithm and the pairs of keys. It does not own who gets a token (package api), how long
// keys live (session), or the assertions that the app behind the proxy is sent (proxy), whose keys are others, of
// another algorithm: a token of one kind never verifies as the other.
//
// The invariants: a private key leaves its seal only to sign; a key that signs was published before, as both are
// read in the transaction of the token.
package accesstoken

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// Life is how long a token is good: what a stolen one is worth, and how long an app that verifies by itself
// may let somebody in who was put out.
const Life = 5 * time.Minute

const (
	keyPurpose = "access token signing key"
	keyBits    = 2048
)

// A Sealer seals secrets at rest; [seal.Box] is one.
type Sealer interface {
	Seal(purpose, about string, plain []byte) []byte
	Open(purpose, about string, sealed []byte) ([]byte, error)
}

// Claims are those of an access token.
type Claims struct {
	Issuer       string           `json:"iss"`
	Subject      string           `json:"sub"`
	Client       string           `json:"client_id"`
	Session      string           `json:"sid"`
	ID           string           `json:"jti"`
	Organization string           `json:"org_id,omitzero"`
	Role         string           `json:"role,omitzero"`
	Roles        []string         `json:"roles,omitzero"`
	Permissions  []string         `json:"permissions,omitzero"`
	IssuedAt     *jwt.NumericDate `json:"iat"`
	Expiry       *jwt.NumericDate `json:"exp"`
}

// ErrTooBig says that a token would be larger than what browsers keep in a cookie.
var ErrTooBig = errors.New("access token is too big")

// MaxSize is how long a token may be.
const MaxSize = 3800

// A Signer signs tokens. It is safe for concurrent use.
type Signer struct {
	box func() Sealer

	mu     sync.Mutex
	kid    string // of
	signer jose.Signer
}

// New returns a signer whose keys the box seals, which is asked for anew each time.
func New(box func() Sealer) *Signer { return &Signer{box: box} }

// Sign signs a token, good from now for [Life], but not after ends. It fills in jti, iat and exp. It makes a key
// where one is due.
func (s *Signer) Sign(tx store.Tx, c Claims, ends, now time.Time) (string, error) {
	keys, err := session.RotateKeys(tx, session.ForAccessTokens, sync.OnceValues(s.newKey), now)
	if err != nil {
		return "", err
	}
	signer, err := s.signerOf(keys[0])
	if err != nil {
		return "", err
	}
	exp := now.Add(Life)
	if ends.Before(exp) {
		exp = ends
	}
	c.ID, c.IssuedAt, c.Expiry = rand.Text(), jwt.NewNumericDate(now), jwt.NewNumericDate(exp)
	token, err := jwt.Signed(signer).Claims(c).Serialize()
	if err == nil && len(token) > MaxSize {
		err = ErrTooBig
	}
	return token, err
}

func (s *Signer) signerOf(k session.SigningKey) (jose.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kid == k.ID {
		return s.signer, nil
	}
	signer, err := k.Signer(jose.RS256, func(id string, sealed []byte) ([]byte, error) { return s.box().Open(keyPurpose, id, sealed) })
	if err != nil {
		return nil, err
	}
	s.kid, s.signer = k.ID, signer
	return signer, nil
}

// newKey makes a pair, its private part sealed, and a certificate that says nothing but the key: SDKs read such a
// set.
func (s *Signer) newKey() (session.SigningKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return session.SigningKey{}, err
	}
	k, err := session.NewKey(private, func(id string, secret []byte) []byte { return s.box().Seal(keyPurpose, id, secret) })
	if err != nil {
		return session.SigningKey{}, err
	}
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	cert := &x509.Certificate{
		Subject: pkix.Name{CommonName: k.ID}, NotBefore: from, NotAfter: from.AddDate(100, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	k.Certificate, err = x509.CreateCertificate(rand.Reader, cert, cert, &private.PublicKey, private)
	return k, err
}

// A Key is a public key as the key set has it.
type Key struct {
	Algorithm   string   `json:"alg"`
	Type        string   `json:"kty"`
	Use         string   `json:"use"`
	Chain       []string `json:"x5c"`
	Modulus     string   `json:"n"`
	Exponent    string   `json:"e"`
	ID          string   `json:"kid"`
	Fingerprint string   `json:"x5t#S256"`
}

// A KeySet is the keys that tokens may be signed by.
type KeySet struct {
	Keys []Key `json:"keys"`
}

// Keys returns the public keys. There are none before the first token was signed.
func Keys(tx store.Tx) (KeySet, error) {
	set := KeySet{Keys: []Key{}}
	for k, err := range tx.SigningKeys(session.ForAccessTokens) {
		if err != nil {
			return KeySet{}, err
		}
		public, err := x509.ParsePKIXPublicKey(k.Public)
		if err != nil {
			return KeySet{}, fmt.Errorf("signing key %s: %w", k.ID, err)
		}
		p, ok := public.(*rsa.PublicKey)
		if !ok {
			return KeySet{}, fmt.Errorf("signing key %s: not an RSA key", k.ID)
		}
		sum := sha256.Sum256(k.Certificate)
		set.Keys = append(set.Keys, Key{
			Algorithm: string(jose.RS256), Type: "RSA", Use: "sig", Chain: []string{base64.StdEncoding.EncodeToString(k.Certificate)},
			Modulus: base64.RawURLEncoding.EncodeToString(p.N.Bytes()), Exponent: base64.RawURLEncoding.EncodeToString(big.NewInt(int64(p.E)).Bytes()),
			ID: k.ID, Fingerprint: base64.RawURLEncoding.EncodeToString(sum[:]),
		})
	}
	return set, nil
}
