package client

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// CodeLife is how long an authorization code may be exchanged.
const CodeLife = 10 * time.Minute

// A Code is what an authorization code stands for: that somebody has proved on the login host what was asked of
// them. It is sent to one address, of one client.
type Code struct {
	Hash        session.Hash `json:"hash"`
	Client      string       `json:"client_id"`
	RedirectURI string       `json:"redirect_uri"`
	// Challenge is that of PKCE (S256); empty: the client uses none.
	Challenge string `json:"code_challenge,omitzero"`
	// Session is the one on the login host, and Organization the one that was chosen; empty: none.
	Session      session.ID    `json:"session_id,omitzero"`
	Organization tenancy.OrgID `json:"organization_id,omitzero"`
	// Profile is what an identity provider said, in place of a session. It goes when the code is used.
	Profile   json.RawMessage `json:"profile,omitzero"`
	ExpiresAt time.Time       `json:"expires_at"`
	UsedAt    time.Time       `json:"used_at,omitzero"`
	// Made is the session that was made of it, and Token what stands for the profile: a second use ends them.
	Made  session.ID   `json:"made,omitzero"`
	Token session.Hash `json:"token,omitzero"`
}

// IssueCode makes a code of c, filling in its hash and when it expires.
func IssueCode(tx Tx, c Code, now time.Time) (session.Token, error) {
	if c.Client == "" || c.RedirectURI == "" || (c.Session == "") == (len(c.Profile) == 0) {
		return session.Token{}, errors.New("a code has a client, an address, and either a session or a profile")
	}
	t := session.NewToken()
	c.Hash, c.ExpiresAt, c.UsedAt = t.Hash(), now.UTC().Add(CodeLife), time.Time{}
	return t, tx.PutAuthorizationCode(c)
}

// UseCode uses up the code that a client presents. profile says which kind of code is wanted; one of the other kind
// is none.
//
// refused wraps one of [ErrNone], [ErrUsed], [ErrExpired] and [ErrVerifier]. It is an answer, and no error of the
// transaction, which must be committed: a code that was shown where it is not good has been seen by somebody else and is
// spent, and a second use ends what the first one made.
func UseCode(tx Tx, presented, client, verifier string, profile bool, now time.Time) (c Code, refused, err error) {
	c, err = find(tx.AuthorizationCode, presented)
	switch {
	case errors.Is(err, ErrNone):
		return Code{}, err, nil
	case err != nil:
		return Code{}, nil, err
	case !c.UsedAt.IsZero():
		return Code{}, ErrUsed, endMade(tx, c, now)
	}
	c.UsedAt = now.UTC()
	switch {
	case c.Client != client, (len(c.Profile) > 0) != profile:
		refused = ErrNone
	case !now.Before(c.ExpiresAt):
		refused = ErrExpired
	case !verified(c.Challenge, verifier):
		refused = ErrVerifier
	}
	kept := c
	kept.Profile = nil
	if err := tx.PutAuthorizationCode(kept); err != nil {
		return Code{}, nil, err
	}
	if refused != nil {
		return Code{}, refused, nil
	}
	return c, nil, nil
}

// endMade ends what was made of a code.
func endMade(tx Tx, c Code, now time.Time) error {
	if c.Token != (session.Hash{}) {
		p, err := tx.ProfileToken(c.Token)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		if err == nil {
			p.Profile, p.ExpiresAt = nil, now.UTC()
			return tx.PutProfileToken(p)
		}
	}
	if c.Made == "" {
		return nil
	}
	// It may have gone on in another organization since.
	return endLine(tx, c.Made, now)
}

// NoteMade notes what was made of a code.
func NoteMade(tx Tx, c Code, made session.ID, token session.Hash) error {
	c.Profile, c.Made, c.Token = nil, made, token
	return tx.PutAuthorizationCode(c)
}

// minVerifier and maxVerifier are of RFC 7636, 4.1.
const minVerifier, maxVerifier = 43, 128

// verified reports whether the verifier is that of the challenge. Where there was no challenge there is no
// verifier: a client that sends one believes that it is protected, and is not.
func verified(challenge, verifier string) bool {
	if challenge == "" || verifier == "" {
		return challenge == "" && verifier == ""
	}
	if len(verifier) < minVerifier || len(verifier) > maxVerifier {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}

// isChallenge reports whether s can be an S256 challenge.
func isChallenge(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return len(s) == 43 && !strings.ContainsAny(s, "\r\n") && err == nil && len(b) == sha256.Size
}

// endLine ends a session of a client, and whatever it went on as.
func endLine(tx Tx, id session.ID, now time.Time) error {
	for id != "" { // each is younger than the one before: it does not go in circles
		s, err := tx.Session(id)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := session.End(tx, id, audit.System, now); err != nil {
			return err
		}
		id = s.Next
	}
	return nil
}
