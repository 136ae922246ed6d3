// Package session owns sessions and what is proved in them, the one-time codes
// that hand a session from the login host to a tenant host, the keys that sign the
// app's assertions, and how all of these end.
//
// A person has a session on the login host, which holds the proofs, and a child of
// it on each tenant host, which holds none: the child is judged by its parent's
// proofs, and ends with it. Tokens and codes are 256 random bits and are stored by
// hash only. Nothing here decides what a session may do: [Gather] collects the facts
// and package policy decides.
//
// Like all packages below the line it has no I/O, no clock and no goroutine.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"iter"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// What goes wrong with sessions and codes.
var (
	// ErrEnded: there is no such session, or it was ended, or is too old.
	ErrEnded = errors.New("session has ended")
	// ErrUsed: a one-time thing was presented a second time.
	ErrUsed = errors.New("already used")
	// ErrForeign: a one-time thing was presented by another browser, at another
	// host or for another organization than it was made for.
	ErrForeign = errors.New("made for another browser, host or organization")
	// ErrExpired: it came too late.
	ErrExpired = errors.New("expired")
)

// A Token is a secret of 256 random bits, as a browser holds it: 43 characters of
// base64url. Its String does not print it, so that it can't get into a log.
type Token struct{ secret string }

// NewToken returns a fresh token.
func NewToken() Token {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return Token{base64.RawURLEncoding.EncodeToString(b[:])}
}

// ParseToken reads what a browser sent. ok is false for anything that NewToken
// can't have made.
func ParseToken(s string) (t Token, ok bool) {
	if len(s) != 43 {
		return Token{}, false
	}
	var b [33]byte // it is read for every request: not on the heap
	n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(s))
	return Token{s}, err == nil && n == 32
}

// Reveal returns the secret, for a cookie or a redirect and nothing else.
func (t Token) Reveal() string { return t.secret }

// Hash returns what is stored in its place.
func (t Token) Hash() Hash { return sha256.Sum256([]byte(t.secret)) }

// A Hasher makes hashes of tokens without garbage, for whoever asks for one with each request. Where the compiler guesses by a profile which
// type the function's interface has, [sha256.Sum256] allocates. One goroutine uses it at a time.
type Hasher struct {
	digest hash.Hash
	secret [64]byte
	sum    [sha256.Size]byte
}

// NewHasher returns one.
func NewHasher() *Hasher { return &Hasher{digest: sha256.New()} }

// Hash is [Token.Hash].
func (h *Hasher) Hash(t Token) Hash {
	h.digest.Reset()
	h.digest.Write(append(h.secret[:0], t.secret...)) // it never fails
	return Hash(h.digest.Sum(h.sum[:0]))
}

// String hides the secret.
func (t Token) String() string { return "[token]" }

// GoString hides it from %#v too.
func (t Token) GoString() string { return "[token]" }

// MarshalText hides it from whatever writes it down.
func (t Token) MarshalText() ([]byte, error) { return []byte("[token]"), nil }

// A Hash is the SHA-256 of a token's characters.
type Hash [sha256.Size]byte

// String returns the hash in base64url, as a URL carries it.
func (h Hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(b []byte) error {
	// Package base64 skips line ends, strict or not, so the length is asked first.
	p, err := base64.RawURLEncoding.Strict().DecodeString(string(b))
	if len(b) != base64.RawURLEncoding.EncodedLen(len(h)) || err != nil || len(p) != len(h) {
		return errors.New("not a hash")
	}
	copy(h[:], p)
	return nil
}

// ID is session_…
type ID string

// A Session is a browser's session on one host.
type Session struct {
	ID   ID             `json:"id"`
	User tenancy.UserID `json:"user_id"`
	// Token is the hash of the cookie's token.
	Token Hash `json:"token"`

	// Parent is empty for the session on the login host. A child has the
	// organization and the host that it was handed to; it is accepted there
	// and nowhere else.
	Parent       ID            `json:"parent,omitzero"`
	Organization tenancy.OrgID `json:"organization_id,omitzero"`
	Host         string        `json:"host,omitzero"`

	// Client is the client of the sign-in API whose session this is: of a child, which has no host;
	// and of a parent that a client began with proofs that it passed on, and that is no browser's.
	Client string `json:"client_id,omitzero"`
	// Next is the session that a client's went on as, in another organization.
	Next ID `json:"next,omitzero"`

	// Proofs in the order they were made; of the parent only.
	Proofs []policy.Proof `json:"proofs,omitzero"`
	// ConfinedTo: see [policy.Facts].
	ConfinedTo tenancy.OrgID `json:"confined_to,omitzero"`
	// Upstream are the provider's own sessions behind the proofs, for logout.
	Upstream []UpstreamSession `json:"upstream,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	// SeenAt is when it was used last, to the precision of [Limits.Touch].
	SeenAt time.Time `json:"seen_at"`
	// ExpiresAt is the absolute limit; a child's is never later than its parent's.
	ExpiresAt time.Time `json:"expires_at"`
	// EndedAt is set when it was ended; an ended session stays, as a record,
	// until ExpiresAt, so that a deleted key coming back can't revive it.
	EndedAt   time.Time `json:"ended_at,omitzero"`
	UserAgent string    `json:"user_agent,omitzero"`
	RemoteIP  string    `json:"ip_address,omitzero"`
}

// An UpstreamSession is the identity provider's session behind an SSO proof, or a social one,
// which belongs to no organization.
type UpstreamSession struct {
	Connection   tenancy.ConnectionID `json:"connection_id"`
	Organization tenancy.OrgID        `json:"organization_id"`
	Subject      string               `json:"subject"`
	// SID is the provider's session id (OIDC sid, SAML SessionIndex), if it sends one.
	SID string `json:"sid,omitzero"`
	// IDToken is sealed; it is the hint of RP-initiated logout.
	IDToken []byte `json:"id_token,omitzero"`
	// NameID is how a SAML provider names the subject beside its value, for single logout.
	NameID *NameID `json:"name_id,omitzero"`
	// EndsAt is when the provider says that a session made of its word must end at the
	// latest; zero: it does not say.
	EndsAt time.Time `json:"ends_at,omitzero"`
}

// A NameID is the qualifiers of a SAML subject (saml-core-2.0-os, 2.2.2).
type NameID struct {
	Format          string `json:"format,omitzero"`
	NameQualifier   string `json:"name_qualifier,omitzero"`
	SPNameQualifier string `json:"sp_name_qualifier,omitzero"`
}

// Limits are the lifetimes of sessions.
type Limits struct {
	Idle     time.Duration // ends when not used for so long
	Absolute time.Duration // ends so long after it began
}

// Touch is how stale SeenAt may grow before it is written: a session in use costs
// one write each Touch, not one each request.
func (l Limits) Touch() time.Duration { return min(l.Idle/10, 5*time.Minute) }

// Alive returns nil if s may be used at now, else an error wrapping [ErrEnded]
// that says which limit ended it.
//
// As SeenAt may be behind the last use by [Limits.Touch], a session may end that much
// before it has been idle for l.Idle, and never after.
func (s Session) Alive(l Limits, now time.Time) error {
	switch {
	case s.ID == "":
		return fmt.Errorf("%w: there is none", ErrEnded)
	case !s.EndedAt.IsZero():
		return fmt.Errorf("%w: it was ended", ErrEnded)
	case !now.Before(s.ExpiresAt), now.Sub(s.CreatedAt) >= l.Absolute:
		return fmt.Errorf("%w: it was begun too long ago", ErrEnded)
	case now.Sub(s.SeenAt) >= l.Idle:
		return fmt.Errorf("%w: it was not used for too long", ErrEnded)
	default:
		return nil
	}
}

// A Handover is what a one-time code stands for: a session of the login host, to be
// continued on one tenant host in the browser that asked for it. 60 s, once.
type Handover struct {
	Code         Hash          `json:"code"`
	Attempt      Hash          `json:"attempt"` // of the tenant host's attempt cookie
	Host         string        `json:"host"`
	Organization tenancy.OrgID `json:"organization_id"`
	Parent       ID            `json:"parent"`
	ReturnTo     string        `json:"return_to"` // a path that begins with exactly one slash
	ExpiresAt    time.Time     `json:"expires_at"`
	// Child is set once it was redeemed; a second redemption ends that session.
	Child ID `json:"child,omitzero"`
}

// A KeyUse is what a signing key is for. A key for one is never published, nor signs, for another.
type KeyUse string

// The uses.
const (
	ForAssertions   KeyUse = ""             // the JWTs to the app behind the proxy (ES256)
	ForAccessTokens KeyUse = "access_token" // the access tokens of the sign-in API (RS256)
)

// A SigningKey signs JWTs. The private part is sealed.
type SigningKey struct {
	ID  string `json:"kid"`
	Use KeyUse `json:"use,omitzero"`
	// Certificate is a self-signed one of the key, in DER, where the key set has such.
	Certificate []byte    `json:"certificate,omitzero"`
	Public      []byte    `json:"public"`  // PKIX DER
	Private     []byte    `json:"private"` // PKCS #8 DER, sealed
	CreatedAt   time.Time `json:"created_at"`
	// RetiredAt: a newer key signs since then; this one only verifies, until
	// the last token signed by it has expired.
	RetiredAt time.Time `json:"retired_at,omitzero"`
}

// Tx is the part of a transaction that this package needs. Getters return an error
// wrapping [tenancy.ErrNotFound] for what is not there.
type Tx interface {
	tenancy.Tx
	APIKeys
	Replays
	Lists

	Session(ID) (Session, error)
	SessionByToken(Hash) (Session, error)
	// Of the sessions that were not ended: children of a login-host session; sessions of a user on every host; and
	// login-host sessions by the provider's session.
	Children(ID) iter.Seq2[Session, error]
	SessionsOf(tenancy.UserID) iter.Seq2[Session, error]
	// By subject and sid; all of the subject, if sid is empty; whoever has the sid, if
	// subject is; none, if both are.
	SessionsByUpstream(conn tenancy.ConnectionID, subject, sid string) iter.Seq2[Session, error]
	// PutSession keeps the indexes. The record expires some time after ExpiresAt.
	PutSession(Session) error

	Handover(code Hash) (Handover, error)
	PutHandover(Handover) error // the record outlives ExpiresAt by ten minutes, to notice reuse

	Answer(id Hash) (Answer, error)
	// AnswersOf yields those that wait and are of a subject of a connection.
	AnswersOf(conn tenancy.ConnectionID, subject string) iter.Seq2[Answer, error]
	PutAnswer(Answer) error // the record goes at ExpiresAt
	DeleteAnswer(id Hash) error

	// Enrolled returns the local factors that the user has: of password, passkey, TOTP and
	// recovery code (package sso/factor).
	Enrolled(tenancy.UserID) (policy.Methods, error)

	// Use marks a one-time thing as used until the time given; an error
	// wrapping [ErrUsed] if it was used before. kind keeps the names of
	// different things apart.
	Use(kind, name string, until time.Time) error
	// Used reports whether a one-time thing was marked by Use.
	Used(kind, name string) (bool, error)

	SigningKeys(KeyUse) iter.Seq2[SigningKey, error] // by id
	PutSigningKey(SigningKey) error
	DeleteSigningKey(id string) error
}
