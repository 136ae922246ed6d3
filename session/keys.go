package session

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/orgate/orgate/audit"
)

// KeyLife is how long a key signs before the next takes over, and KeyOverlap how long it
// is still published after that: longer than any token it signed lives.
const (
	KeyLife    = 30 * 24 * time.Hour
	KeyOverlap = time.Hour
)

// NewKey returns a fresh key as it is stored. Its id is the thumbprint of RFC 7638, under which seal seals what is
// private of it.
func NewKey(private crypto.Signer, seal func(id string, secret []byte) []byte) (SigningKey, error) {
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return SigningKey{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return SigningKey{}, err
	}
	thumb, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return SigningKey{}, err
	}
	id := base64.RawURLEncoding.EncodeToString(thumb)
	return SigningKey{ID: id, Public: public, Private: seal(id, secret)}, nil
}

// Signer returns what signs by k in that algorithm; open undoes what seal did in [NewKey].
func (k SigningKey) Signer(algorithm jose.SignatureAlgorithm, open func(id string, sealed []byte) ([]byte, error)) (jose.Signer, error) {
	secret, err := open(k.ID, k.Private)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w (is secrets_key another one than when it was made?)", k.ID, err)
	}
	private, err := x509.ParsePKCS8PrivateKey(secret)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: k.ID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return nil, fmt.Errorf("signing key %s: %w", k.ID, err)
	}
	return signer, nil
}

// RotateKeys makes sure that there is a key of that use that signs at now, retiring one that is too
// old and deleting those whose tokens have all expired. newKey returns a fresh key pair,
// its private part sealed; it is called at most once, and its times are set here. It
// returns all keys, the signing one first. When nothing is due, nothing is written.
func RotateKeys(tx Tx, use KeyUse, newKey func() (SigningKey, error), now time.Time) ([]SigningKey, error) {
	var keys, gone []SigningKey
	for k, err := range tx.SigningKeys(use) {
		if err != nil {
			return nil, err
		}
		if !k.RetiredAt.IsZero() && now.Sub(k.RetiredAt) >= KeyOverlap {
			gone = append(gone, k)
			continue
		}
		keys = append(keys, k)
	}
	for _, k := range gone {
		if err := tx.DeleteSigningKey(k.ID); err != nil {
			return nil, err
		}
		if err := recordKey(tx, audit.SigningKeyDeleted, k, now); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b SigningKey) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID)) // youngest first
	})

	signing := slices.IndexFunc(keys, func(k SigningKey) bool {
		return k.RetiredAt.IsZero() && now.Sub(k.CreatedAt) < KeyLife
	})
	for i := range keys {
		if i == signing || !keys[i].RetiredAt.IsZero() {
			continue
		}
		keys[i].RetiredAt = now.UTC()
		if err := tx.PutSigningKey(keys[i]); err != nil {
			return nil, err
		}
		if err := recordKey(tx, audit.SigningKeyRetired, keys[i], now); err != nil {
			return nil, err
		}
	}
	if signing > 0 {
		k := keys[signing]
		keys = slices.Insert(slices.Delete(keys, signing, signing+1), 0, k)
	}
	if signing >= 0 {
		return keys, nil
	}

	k, err := newKey()
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if k.ID == "" || len(k.Public) == 0 || len(k.Private) == 0 || slices.ContainsFunc(keys, func(o SigningKey) bool { return o.ID == k.ID }) {
		return nil, errors.New("signing key: not a fresh key pair with an id")
	}
	k.Use, k.CreatedAt, k.RetiredAt = use, now.UTC(), time.Time{}
	if err := tx.PutSigningKey(k); err != nil {
		return nil, err
	}
	return slices.Insert(keys, 0, k), recordKey(tx, audit.SigningKeyCreated, k, now)
}

func recordKey(tx Tx, name string, k SigningKey, now time.Time) error {
	return audit.Record(tx, audit.New(name, audit.System, now), struct {
		Object    string    `json:"object"`
		ID        string    `json:"kid"`
		Use       KeyUse    `json:"use,omitzero"`
		CreatedAt time.Time `json:"created_at"`
		RetiredAt time.Time `json:"retired_at,omitzero"`
	}{"orgate.signing_key", k.ID, k.Use, k.CreatedAt, k.RetiredAt})
}
