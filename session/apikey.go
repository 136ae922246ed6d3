package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// APIKeyTouch is how stale LastUsedAt of a key may grow: a key in use costs one write in
// this time, not one each request.
const APIKeyTouch = time.Minute

const (
	apiKeyPrefix  = "sk_"
	maxAPIKeyName = 100
)

// A Secret is the secret of an API key: sk_ and 256 random bits. Its String does not print
// it, so that it can't get into a log.
type Secret struct{ text string }

// NewSecret returns a fresh secret.
func NewSecret() Secret { return Secret{apiKeyPrefix + NewToken().Reveal()} }

// SecretOf takes what a program sent to be a secret, whatever it is: whether it is one, the
// look-up by its hash says.
func SecretOf(s string) Secret { return Secret{s} }

// Reveal returns the secret, to be shown once to whoever made it.
func (s Secret) Reveal() string { return s.text }

// Hash returns what is stored in its place.
func (s Secret) Hash() Hash { return sha256.Sum256([]byte(s.text)) }

// String hides the secret.
func (s Secret) String() string { return "[secret]" }

// GoString hides it from %#v too.
func (s Secret) GoString() string { return "[secret]" }

// MarshalText hides it from whatever writes it down.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// APIKeyID is api_key_…
type APIKeyID string

// An APIKey lets a program use the management API.
type APIKey struct {
	ID   APIKeyID `json:"id"`
	Name string   `json:"name"`
	// Hash is of the secret, which is nowhere.
	Hash Hash `json:"hash"`
	// Organization is the one that the key is for; empty: for everything.
	Organization tenancy.OrgID `json:"organization_id,omitzero"`
	ReadOnly     bool          `json:"read_only,omitzero"`
	// Configured: the YAML gives it, and takes it away.
	Configured bool      `json:"configured,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"` // zero: never
	// LastUsedAt is to the precision of APIKeyTouch; zero: never.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	// RevokedAt is set when it was revoked. The record stays, so that a deleted row
	// coming back can't revive it.
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// Alive returns nil if the key is good at now, else an error wrapping [ErrEnded].
func (k APIKey) Alive(now time.Time) error {
	switch {
	case k.ID == "":
		return fmt.Errorf("%w: there is no such key", ErrEnded)
	case !k.RevokedAt.IsZero():
		return fmt.Errorf("%w: the key was revoked", ErrEnded)
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return fmt.Errorf("%w: the key has expired", ErrEnded)
	default:
		return nil
	}
}

// APIKeys is the part of a transaction that is about API keys.
type APIKeys interface {
	APIKey(APIKeyID) (APIKey, error)
	APIKeyByHash(Hash) (APIKey, error)
	APIKeys() iter.Seq2[APIKey, error] // by id
	PutAPIKey(APIKey) error            // ErrTaken: the hash
}

// CreateAPIKey makes a key of the name, organization, access and expiry of k, and returns it
// with its secret, which nobody can find out again.
func CreateAPIKey(tx Tx, k APIKey, by audit.Actor, now time.Time) (APIKey, Secret, error) {
	secret := NewSecret()
	if err := checkAPIKeyName(k.Name); err != nil {
		return APIKey{}, Secret{}, err
	}
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return APIKey{}, Secret{}, errors.New("the key would have expired already")
	}
	if k.Organization != "" {
		if _, err := tx.Organization(k.Organization); err != nil {
			return APIKey{}, Secret{}, err
		}
	}
	k = APIKey{
		ID: APIKeyID(id.New("api_key", now)), Name: k.Name, Hash: secret.Hash(), Organization: k.Organization, ReadOnly: k.ReadOnly,
		CreatedAt: now.UTC(), ExpiresAt: k.ExpiresAt,
	}
	if err := tx.PutAPIKey(k); err != nil {
		return APIKey{}, Secret{}, err
	}
	return k, secret, recordAPIKey(tx, audit.APIKeyCreated, k, by, now)
}

func checkAPIKeyName(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("an API key has a name, that says who uses it")
	case len(s) > maxAPIKeyName:
		return fmt.Errorf("name of an API key has %d bytes, the most is %d", len(s), maxAPIKeyName)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("name of an API key is one line of text")
	}
	return nil
}

// ErrConfigured says that the YAML gives a key, and only the YAML takes it away.
var ErrConfigured = errors.New("the configuration gives this key: take it out there")

// RevokeAPIKey ends a key for good. Revoking what is revoked is nothing.
func RevokeAPIKey(tx Tx, key APIKeyID, by audit.Actor, now time.Time) error {
	k, err := tx.APIKey(key)
	if err == nil && k.Configured && k.RevokedAt.IsZero() {
		err = ErrConfigured
	}
	if err != nil {
		return err
	}
	return revokeAPIKey(tx, k, by, now)
}

func revokeAPIKey(tx Tx, k APIKey, by audit.Actor, now time.Time) error {
	if !k.RevokedAt.IsZero() {
		return nil
	}
	k.RevokedAt = now.UTC()
	if err := tx.PutAPIKey(k); err != nil {
		return err
	}
	return recordAPIKey(tx, audit.APIKeyRevoked, k, by, now)
}

// RevokeAPIKeysOf ends every key that is for the organization alone.
func RevokeAPIKeysOf(tx Tx, org tenancy.OrgID, by audit.Actor, now time.Time) error {
	keys, err := collect(tx.APIKeys())
	if err != nil {
		return err
	}
	for _, k := range keys {
		if org != "" && k.Organization == org {
			if err := revokeAPIKey(tx, k, by, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetConfiguredAPIKeys makes the keys that the YAML gives those of want, of which the name, hash, organization and
// access count. One that left the YAML is revoked; one that comes back is good again. It
// returns an error wrapping [tenancy.ErrTaken] if a key of another origin has a hash of them.
func SetConfiguredAPIKeys(tx Tx, want []APIKey, by audit.Actor, now time.Time) error {
	have, err := collect(tx.APIKeys())
	if err != nil {
		return err
	}
	for _, k := range have {
		if k.Configured && !slices.ContainsFunc(want, func(w APIKey) bool { return w.Hash == k.Hash }) {
			if err := revokeAPIKey(tx, k, by, now); err != nil {
				return err
			}
		}
	}
	for _, w := range want {
		if err := checkAPIKeyName(w.Name); err != nil {
			return err
		}
		k, err := tx.APIKeyByHash(w.Hash)
		event := audit.APIKeyUpdated
		switch {
		case errors.Is(err, tenancy.ErrNotFound):
			k = APIKey{ID: APIKeyID(id.New("api_key", now)), Hash: w.Hash, Configured: true, CreatedAt: now.UTC()}
			event = audit.APIKeyCreated
		case err != nil:
			return err
		case !k.Configured:
			return fmt.Errorf("API key %q is %s already: %w", w.Name, k.ID, tenancy.ErrTaken)
		case !k.RevokedAt.IsZero():
			event = audit.APIKeyCreated
		case k.Name == w.Name && k.Organization == w.Organization && k.ReadOnly == w.ReadOnly:
			continue
		}
		k.Name, k.Organization, k.ReadOnly, k.RevokedAt = w.Name, w.Organization, w.ReadOnly, time.Time{}
		if err := tx.PutAPIKey(k); err != nil {
			return err
		}
		if err := recordAPIKey(tx, event, k, by, now); err != nil {
			return err
		}
	}
	return nil
}

// FindAPIKey returns the key of the secret, if it is good at now, and whether its use is to
// be noted by [TouchAPIKey]. Every failure wraps [ErrEnded]; which one it was is for the log.
func FindAPIKey(tx Tx, s Secret, now time.Time) (k APIKey, touch bool, err error) {
	k, err = tx.APIKeyByHash(s.Hash())
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return APIKey{}, false, err
	}
	if err := k.Alive(now); err != nil {
		return APIKey{}, false, err
	}
	return k, now.Sub(k.LastUsedAt) >= APIKeyTouch, nil
}

// TouchAPIKey notes that the key was used. It is no event.
func TouchAPIKey(tx Tx, key APIKeyID, now time.Time) error {
	k, err := tx.APIKey(key)
	if err != nil || k.Alive(now) != nil || now.Sub(k.LastUsedAt) < APIKeyTouch {
		return err
	}
	k.LastUsedAt = now.UTC()
	return tx.PutAPIKey(k)
}

func recordAPIKey(tx Tx, name string, k APIKey, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization = string(k.Organization)
	return audit.Record(tx, e, struct {
		Object       string        `json:"object"`
		ID           APIKeyID      `json:"id"`
		Name         string        `json:"name"`
		Organization tenancy.OrgID `json:"organization_id,omitzero"`
		ReadOnly     bool          `json:"read_only"`
		CreatedAt    time.Time     `json:"created_at"`
		ExpiresAt    time.Time     `json:"expires_at,omitzero"`
		RevokedAt    time.Time     `json:"revoked_at,omitzero"`
	}{"orgate.api_key", k.ID, k.Name, k.Organization, k.ReadOnly, k.CreatedAt, k.ExpiresAt, k.RevokedAt})
}
