package tenancy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"time"
)

// What goes wrong with invitations. Beside each is the code that the API answers with.
var (
	// ErrInvited: the address has an open invitation to the organization
	// (email_already_invited_to_organization), or to the app (email_already_invited).
	ErrInvited = errors.New("address is invited already")
	// ErrAlreadyMember: an active member needs no invitation (user_already_organization_member).
	// For one that was deactivated the error is [ErrDeactivated], and the code the same.
	ErrAlreadyMember = errors.New("already a member of the organization")
	// ErrUserExists: whoever has an account needs no invitation to the app (user_already_exists).
	ErrUserExists = errors.New("address has an account already")
	// ErrExpiresTooSoon and ErrExpiresTooLate: expires_in_days_too_short, expires_in_days_too_long.
	ErrExpiresTooSoon = errors.New("an invitation is open for one day at the least")
	ErrExpiresTooLate = fmt.Errorf("an invitation is open for %d days at the most", MaxInvitationDays)
	// ErrInviteNotPending: it is not open any more (invite_not_pending). The next three wrap it, and
	// say why (invite_expired, invite_revoked, invite_accepted).
	ErrInviteNotPending = errors.New("invitation is not open")
	ErrInviteExpired    = fmt.Errorf("%w: it has expired", ErrInviteNotPending)
	ErrInviteRevoked    = fmt.Errorf("%w: it was revoked", ErrInviteNotPending)
	ErrInviteAccepted   = fmt.Errorf("%w: it was accepted", ErrInviteNotPending)
	// ErrNotInvited: the person has not proved the address that was invited.
	ErrNotInvited = errors.New("somebody else was invited")
	// ErrInviterGone: the member who invited is none any more, or has lost a role since.
	ErrInviterGone = errors.New("whoever invited may not invite any more")
)

// How long an invitation is open.
const (
	DefaultInvitationDays = 7
	MaxInvitationDays     = 30
)

// InvitationID is invitation_…
type InvitationID string

// InvitationState is derived: nothing has to happen for an invitation to expire.
type InvitationState string

// The states of an invitation. Only one that is pending can be accepted.
const (
	InvitationPending  InvitationState = "pending"
	InvitationAccepted InvitationState = "accepted"
	InvitationRevoked  InvitationState = "revoked"
	InvitationExpired  InvitationState = "expired"
)

// An Invitation asks whoever has an address to join an organization or, without one, to have an
// account.
type Invitation struct {
	ID InvitationID `json:"id"`
	// Email as ParseEmail returns it. Only whoever proves it can accept.
	Email        string `json:"email"`
	Organization OrgID  `json:"organization_id,omitzero"`
	// User is whose pending membership it is about; empty without an organization.
	User UserID `json:"user_id,omitzero"`
	// Roles that were asked for; empty: the default.
	Roles []string `json:"roles,omitzero"`
	// Inviter is who invites, for people to see; may be empty. InviterRoles are the roles in the
	// organization that the inviter had then, if a member: the right to invite rests on them.
	Inviter      UserID   `json:"inviter_user_id,omitzero"`
	InviterRoles []string `json:"inviter_roles,omitzero"`
	// Token is the hash of the token in the link.
	Token string `json:"token_hash"`
	// Days is for how long it is open, each time it is sent.
	Days         int       `json:"expires_in_days"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
	ExpiresAt    time.Time `json:"expires_at"`
	AcceptedAt   time.Time `json:"accepted_at,omitzero"`
	AcceptedUser UserID    `json:"accepted_user_id,omitzero"`
	RevokedAt    time.Time `json:"revoked_at,omitzero"`
}

// State returns what has become of the invitation by now.
func (i Invitation) State(now time.Time) InvitationState {
	switch {
	case !i.AcceptedAt.IsZero():
		return InvitationAccepted
	case !i.RevokedAt.IsZero():
		return InvitationRevoked
	case !now.Before(i.ExpiresAt):
		return InvitationExpired
	default:
		return InvitationPending
	}
}

// Settled reports whether it was accepted or revoked.
func (i Invitation) Settled() bool { return !i.AcceptedAt.IsZero() || !i.RevokedAt.IsZero() }

// open returns nil if the invitation is pending, else an error that says what it is.
func (i Invitation) open(now time.Time) error {
	switch i.State(now) {
	case InvitationPending:
		return nil
	case InvitationAccepted:
		return ErrInviteAccepted
	case InvitationRevoked:
		return ErrInviteRevoked
	default:
		return ErrInviteExpired
	}
}

// An InvitationToken is the secret in the link: 256 random bits. Its String does not print it.
type InvitationToken struct{ secret string }

func newInvitationToken() InvitationToken {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return InvitationToken{base64.RawURLEncoding.EncodeToString(b[:])}
}

// ParseInvitationToken reads what is in a link. ok is false for anything that can't have been made
// here.
func ParseInvitationToken(s string) (t InvitationToken, ok bool) {
	if len(s) != 43 {
		return InvitationToken{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return InvitationToken{s}, err == nil && len(b) == 32
}

// Reveal returns the secret, for a link and nothing else.
func (t InvitationToken) Reveal() string { return t.secret }

// Hash returns what is stored in its place.
func (t InvitationToken) Hash() string {
	sum := sha256.Sum256([]byte(t.secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// String hides the secret.
func (t InvitationToken) String() string { return "[token]" }

// GoString hides it from %#v too.
func (t InvitationToken) GoString() string { return "[token]" }

// MarshalText hides it from whatever writes it down.
func (t InvitationToken) MarshalText() ([]byte, error) { return []byte("[token]"), nil }

// InvitationTx is the part of [Tx] that is about invitations.
type InvitationTx interface {
	Invitation(InvitationID) (Invitation, error)
	// InvitationByToken finds one that was neither accepted nor revoked by the hash of its token.
	InvitationByToken(hash string) (Invitation, error)
	// InvitationsTo yields those to an address that were neither accepted nor revoked, by id;
	// some may have expired.
	InvitationsTo(email string) iter.Seq2[Invitation, error]
	// InvitationsOf yields those of an organization, in whatever state, by id.
	InvitationsOf(OrgID) iter.Seq2[Invitation, error]
	Invitations() iter.Seq2[Invitation, error] // all, by id
	PutInvitation(Invitation) error
	DeleteInvitation(InvitationID) error
}
