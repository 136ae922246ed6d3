package client

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// ProfileLife is how long a profile can be asked for.
const ProfileLife = 10 * time.Minute

// A ProfileToken stands for what an identity provider said of a person, for a client that keeps sessions of its
// own.
type ProfileToken struct {
	Hash      session.Hash    `json:"hash"`
	Client    string          `json:"client_id"`
	Profile   json.RawMessage `json:"profile,omitzero"`
	ExpiresAt time.Time       `json:"expires_at"`
}

// ProfileID is prof_… of an identity: the same each time, and of no other.
func ProfileID(conn tenancy.ConnectionID, subject string) string {
	h := sha256.New()
	for _, s := range []string{"profile", string(conn), subject} {
		sum := sha256.Sum256([]byte(s))
		h.Write(sum[:])
	}
	var id ulid.ULID
	copy(id[:], h.Sum(nil))
	return "prof_" + id.String()
}

// IssueProfile keeps a profile for whoever has the token.
func IssueProfile(tx Tx, client string, profile json.RawMessage, now time.Time) (session.Token, error) {
	if client == "" || len(profile) == 0 {
		return session.Token{}, errors.New("a profile of nobody, or for nobody")
	}
	t := session.NewToken()
	return t, tx.PutProfileToken(ProfileToken{Hash: t.Hash(), Client: client, Profile: profile, ExpiresAt: now.UTC().Add(ProfileLife)})
}

// Profile returns the profile of a token; the error is [ErrNone] for what is not there, or not any more.
func Profile(tx Tx, presented string, now time.Time) (json.RawMessage, error) {
	p, err := find(tx.ProfileToken, presented)
	if err == nil && (!now.Before(p.ExpiresAt) || len(p.Profile) == 0) {
		err = ErrNone
	}
	if err != nil {
		return nil, err
	}
	return p.Profile, nil
}
