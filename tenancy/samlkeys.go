package tenancy

import (
	"errors"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
)

// A SAMLKey is a key pair of ours at one provider.
type SAMLKey struct {
	ID          string `json:"id"`
	Certificate []byte `json:"certificate"` // DER
	// Private is sealed (package internal/seal); never the key itself.
	Private   []byte    `json:"private"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// SAMLKeyPurpose is what the private part of a key is sealed for; each is about [SAMLKeyAbout].
const SAMLKeyPurpose = "saml key"

// SAMLKeyAbout is what the sealed private part of a key is bound to.
func SAMLKeyAbout(conn ConnectionID, key string) string { return string(conn) + " " + key }

const (
	// SAMLKeyNotice is how long a new key of ours is in our metadata before it signs: providers
	// read metadata when they like, and some have it typed in by a person.
	SAMLKeyNotice = 60 * 24 * time.Hour
	// SAMLKeyAhead is how long before the end of a key the next one is made.
	SAMLKeyAhead = 180 * 24 * time.Hour
)

// SAMLKeyDue reports whether it is time for another key of ours.
func SAMLKeyDue(s SAMLState, now time.Time) bool {
	return !slices.ContainsFunc(s.Keys, func(k SAMLKey) bool { return k.ExpiresAt.Sub(now) > SAMLKeyAhead })
}

// SAMLKeys returns our keys at now: the one that signs first. All are published, and what is
// encrypted to any of them can be read.
//
// The one that signs is the youngest that was published for [SAMLKeyNotice]; else the oldest.
func SAMLKeys(s SAMLState, now time.Time) []SAMLKey {
	keys := slices.DeleteFunc(slices.Clone(s.Keys), func(k SAMLKey) bool { return !now.Before(k.ExpiresAt) })
	signs := 0
	for i, k := range keys {
		if now.Sub(k.CreatedAt) >= SAMLKeyNotice {
			signs = i
		}
	}
	if len(keys) > 0 {
		k := keys[signs]
		keys = slices.Insert(slices.Delete(keys, signs, signs+1), 0, k)
	}
	return keys
}

// AddSAMLKey adds a key to those of a connection, and takes out those that have ended. Unless it
// is asked for (anew), nothing happens if no key is due: somebody else was first. It returns an
// error wrapping [ErrState] if a key that was asked for before is not even in use yet.
func AddSAMLKey(tx Tx, org OrgID, conn ConnectionID, k SAMLKey, anew bool, by audit.Actor, now time.Time) (SAMLState, error) {
	s, err := tx.SAMLState(org, conn)
	if err != nil {
		return SAMLState{}, err
	}
	if !anew && !SAMLKeyDue(s, now) {
		return s, nil
	}
	if k.ID == "" || len(k.Certificate) == 0 || len(k.Private) == 0 || !k.ExpiresAt.After(now) {
		return SAMLState{}, errors.New("no key pair with an id and an end")
	}
	if n := len(s.Keys); anew && n > 1 && now.Sub(s.Keys[n-1].CreatedAt) < SAMLKeyNotice {
		return SAMLState{}, ErrState
	}
	k.CreatedAt = now.UTC()
	var gone []SAMLKey
	s.Keys = slices.DeleteFunc(slices.Clone(s.Keys), func(k SAMLKey) bool {
		ended := !now.Before(k.ExpiresAt)
		if ended {
			gone = append(gone, k)
		}
		return ended
	})
	s.Keys = append(s.Keys, k)
	if err := tx.PutSAMLState(s); err != nil {
		return SAMLState{}, err
	}
	for _, g := range gone {
		if err := recordSAMLKey(tx, audit.SAMLKeyRetired, s, g, by, now); err != nil {
			return SAMLState{}, err
		}
	}
	return s, recordSAMLKey(tx, audit.SAMLKeyCreated, s, k, by, now)
}

func recordSAMLKey(tx Tx, name string, s SAMLState, k SAMLKey, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization, e.Connection = string(s.Organization), string(s.Connection)
	return audit.Record(tx, e, struct {
		Connection samlConnectionRef `json:"connection"`
		ID         string            `json:"key_id"`
		CreatedAt  time.Time         `json:"created_at"`
		ExpiresAt  time.Time         `json:"expires_at"`
	}{samlConnectionRef{s.Connection, s.Organization}, k.ID, k.CreatedAt, k.ExpiresAt})
}
