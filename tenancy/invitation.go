package tenancy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
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

// NewInvitation is what [Invite] is asked for.
type NewInvitation struct {
	Email string // parsed here
	// Organization to join; empty: to have an account.
	Organization OrgID
	// Roles to have there; none: the default.
	Roles []string
	// Inviter is who invites; may be empty. If the inviter is a member of the organization, the
	// invitation is good only as long as they are one, with the roles that they have now.
	Inviter UserID
	// ExpiresInDays from 1 to [MaxInvitationDays]; nil: [DefaultInvitationDays].
	ExpiresInDays *int
}

// Invite makes an invitation, and with an organization the pending membership that it is about
// (SEMANTICS 2.4, 2.5): of a user who is made if nobody has the address. The token is for the mail
// alone: it is not kept.
//
// The errors are [ErrInvited], [ErrAlreadyMember], [ErrDeactivated], [ErrUserExists], [ErrNoRole]
// (invalid_role), [ErrExpiresTooSoon], [ErrExpiresTooLate], and [ErrNotFound] for an organization
// that is not there or is suspended, and for an inviter who is not there. That
// somebody is a member of another organization where one is the most is no error here: to accept
// it is, and only the person learns that.
func Invite(tx Tx, r Rules, n NewInvitation, by audit.Actor, now time.Time) (Invitation, InvitationToken, error) {
	i, token, err := invite(tx, r, n, by, now.UTC())
	if err != nil {
		return Invitation{}, InvitationToken{}, err
	}
	return i, token, nil
}

func invite(tx Tx, r Rules, n NewInvitation, by audit.Actor, now time.Time) (i Invitation, token InvitationToken, err error) {
	i = Invitation{
		ID: InvitationID(id.New("invitation", now)), Organization: n.Organization, Roles: slices.Clone(n.Roles), Inviter: n.Inviter,
		Days: DefaultInvitationDays, CreatedAt: now, UpdatedAt: now,
	}
	if i.Email, err = ParseEmail(n.Email); err != nil {
		return i, token, err
	}
	if n.ExpiresInDays != nil {
		i.Days = *n.ExpiresInDays
	}
	switch {
	case i.Days < 1:
		return i, token, ErrExpiresTooSoon
	case i.Days > MaxInvitationDays:
		return i, token, ErrExpiresTooLate
	}
	if i.Organization == "" {
		err = mayInviteToApp(tx, i)
	} else {
		err = invitePending(tx, r, &i, by, now)
	}
	if err != nil {
		return i, token, err
	}
	if err := send(tx, &i, &token, now); err != nil {
		return i, token, err
	}
	return i, token, recordInvitation(tx, audit.InvitationCreated, i, by, now)
}

// mayInviteToApp returns an error unless i, without an organization, may be made.
func mayInviteToApp(tx Tx, i Invitation) error {
	if len(i.Roles) > 0 {
		return fmt.Errorf("roles are of an organization: %w", ErrNoRole)
	}
	if u, err := tx.UserByEmail(i.Email); err == nil && u.EmailVerified {
		return ErrUserExists
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return notInvited(tx, i)
}

// invitePending sees to the pending membership of i.
func invitePending(tx Tx, r Rules, i *Invitation, by audit.Actor, now time.Time) error {
	o, err := openOrganization(tx, i.Organization)
	if err != nil {
		return err
	}
	if err := checkRoles(tx, o.ID, i.Roles); err != nil {
		return err
	}
	if err := notInvited(tx, *i); err != nil {
		return err
	}
	u, err := EnsureUser(tx, i.Email, by, now)
	if err != nil {
		return err
	}
	i.User = u.ID
	m, err := InviteMember(tx, r, o.ID, u.ID, Grant{Roles: i.Roles}, by, now)
	if errors.Is(err, ErrTaken) {
		return ErrAlreadyMember
	}
	if err != nil || m.CreatedAt.Equal(now) || m.RoleSource == RoleDirectory {
		return err
	}
	// It is of an invitation that has expired, or was taken back with its mail unsent.
	_, err = SetRoles(tx, r, o.ID, u.ID, Grant{Roles: i.Roles}, by, now)
	return err
}

// notInvited returns ErrInvited if there is an open invitation for the same.
func notInvited(tx Tx, i Invitation) error {
	_, err := openInvitation(tx, i.Email, i.Organization, i.CreatedAt)
	switch {
	case err == nil:
		return ErrInvited
	case errors.Is(err, ErrNotFound):
		return nil
	}
	return err
}

// openInvitation returns the open invitation of an address to an organization; empty: to the app.
func openInvitation(tx Tx, email string, org OrgID, now time.Time) (Invitation, error) {
	for i, err := range tx.InvitationsTo(email) {
		if err != nil {
			return Invitation{}, err
		}
		if i.Organization == org && i.open(now) == nil {
			return i, nil
		}
	}
	return Invitation{}, notFound("invitation")
}

// send gives i a new token and all of its time, and takes the measure of the inviter anew.
func send(tx Tx, i *Invitation, token *InvitationToken, now time.Time) error {
	*token = newInvitationToken()
	i.Token = token.Hash()
	i.ExpiresAt, i.UpdatedAt = now.Add(time.Duration(i.Days)*24*time.Hour), now
	i.InviterRoles = nil
	if i.Inviter != "" {
		if _, err := tx.User(i.Inviter); err != nil {
			return err
		}
		m, err := inviterIn(tx, *i)
		if err != nil {
			return err
		}
		if m.Status == policy.Active {
			i.InviterRoles = slices.Clone(m.Roles)
		}
	}
	return tx.PutInvitation(*i)
}

// inviterIn returns the membership of the inviter in the organization; its zero value if there
// is none.
func inviterIn(tx Tx, i Invitation) (Membership, error) {
	if i.Inviter == "" || i.Organization == "" {
		return Membership{}, nil
	}
	m, err := tx.Membership(i.Organization, i.Inviter)
	if errors.Is(err, ErrNotFound) {
		return Membership{}, nil
	}
	return m, err
}

// stands returns ErrInviterGone if the invitation rests on the right of a member who has lost it
// (attack 101).
func stands(tx Tx, i Invitation) error {
	if len(i.InviterRoles) == 0 {
		return nil
	}
	m, err := inviterIn(tx, i)
	if err != nil {
		return err
	}
	if m.Status != policy.Active || slices.ContainsFunc(i.InviterRoles, func(r string) bool { return !slices.Contains(m.Roles, r) }) {
		return ErrInviterGone
	}
	return nil
}

// CheckInvitation returns nil if the invitation can be accepted by whom it is for: it is open, its
// organization is, and the inviter's right stands. Else the error wraps [ErrInviteNotPending],
// [ErrNotFound] or [ErrInviterGone].
func CheckInvitation(tx Tx, i Invitation, now time.Time) error {
	if err := i.open(now); err != nil {
		return err
	}
	if i.Organization != "" {
		if _, err := openOrganization(tx, i.Organization); err != nil {
			return err
		}
	}
	return stands(tx, i)
}

// isGood is CheckInvitation, where the answer is yes or no.
func isGood(tx Tx, i Invitation, now time.Time) (bool, error) {
	err := CheckInvitation(tx, i, now)
	if errors.Is(err, ErrInviteNotPending) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrInviterGone) {
		return false, nil
	}
	return err == nil, err
}

// invited reports whether an address has a good invitation to the organization; empty: to the app.
func invited(tx Tx, email string, org OrgID, now time.Time) (bool, error) {
	i, err := openInvitation(tx, email, org, now)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return isGood(tx, i, now)
}

// ResendInvitation gives an open invitation a new token and all of its time: the link that was sent
// before is dead. Whoever sends it anew answers for it, if the inviter can't any more. The error
// wraps [ErrInviteNotPending].
func ResendInvitation(tx Tx, id InvitationID, by audit.Actor, now time.Time) (Invitation, InvitationToken, error) {
	now = now.UTC()
	var token InvitationToken
	i, err := tx.Invitation(id)
	if err == nil {
		err = i.open(now)
	}
	if err == nil && i.Organization != "" {
		_, err = openOrganization(tx, i.Organization)
	}
	if err == nil && i.Inviter != "" {
		if _, err = tx.User(i.Inviter); errors.Is(err, ErrNotFound) {
			i.Inviter, err = "", nil
		}
	}
	if err == nil {
		err = send(tx, &i, &token, now)
	}
	if err == nil {
		err = recordInvitation(tx, audit.InvitationResent, i, by, now)
	}
	if err != nil {
		return Invitation{}, InvitationToken{}, err
	}
	return i, token, nil
}

// RevokeInvitation takes an open invitation back, and deletes the pending membership that is of the
// invitation alone. The error wraps [ErrInviteNotPending].
func RevokeInvitation(tx Tx, id InvitationID, by audit.Actor, now time.Time) (Invitation, error) {
	i, err := tx.Invitation(id)
	if err == nil {
		err = i.open(now)
	}
	if err != nil {
		return Invitation{}, err
	}
	if err := revoke(tx, &i, by, now); err != nil || i.Organization == "" {
		return i, err
	}
	m, err := tx.Membership(i.Organization, i.User)
	if errors.Is(err, ErrNotFound) || err == nil && (m.Status != policy.Pending || m.RoleSource == RoleDirectory) {
		return i, nil
	}
	if err != nil {
		return i, err
	}
	return i, RemoveMembership(tx, i.Organization, i.User, by, now)
}

func revoke(tx Tx, i *Invitation, by audit.Actor, now time.Time) error {
	i.RevokedAt, i.UpdatedAt = now.UTC(), now.UTC()
	if err := tx.PutInvitation(*i); err != nil {
		return err
	}
	return recordInvitation(tx, audit.InvitationRevoked, *i, by, now)
}

// LookUpInvitation returns the invitation of a link, if it can be accepted still. The error wraps
// [ErrNotFound], [ErrInviteNotPending] or [ErrInviterGone]; whoever has the link is not told
// which.
func LookUpInvitation(tx Tx, t InvitationToken, now time.Time) (Invitation, error) {
	i, err := tx.InvitationByToken(t.Hash())
	if err == nil {
		err = CheckInvitation(tx, i, now)
	}
	if err != nil {
		return Invitation{}, err
	}
	return i, nil
}

// OpenInvitations returns the invitations that the user, who has proved their address, can accept:
// those to organizations, by id.
func OpenInvitations(tx Tx, u User, now time.Time) ([]Invitation, error) {
	if !u.EmailVerified {
		return nil, nil
	}
	var open []Invitation
	for i, err := range tx.InvitationsTo(u.Email) {
		if err != nil {
			return nil, err
		}
		if i.Organization == "" || i.User != u.ID {
			continue
		}
		ok, err := isGood(tx, i, now)
		if err != nil {
			return nil, err
		}
		if ok {
			open = append(open, i)
		}
	}
	return open, nil
}

// AcceptInvitation makes the user, whose address is the one that was invited, an active member. It is
// for the caller to know that the session has proved the address, and that the policies of the
// organization are met. Nothing is changed with an error, which wraps [ErrInviteNotPending],
// [ErrNotInvited], [ErrInviterGone], [ErrSingleWorkspace] or [ErrNotFound].
func AcceptInvitation(tx Tx, r Rules, id InvitationID, user UserID, now time.Time) (Invitation, Membership, error) {
	return AcceptInvitationFor(tx, r, id, user, personally(user), now)
}

// AcceptInvitationFor is [AcceptInvitation] by somebody who speaks for the user.
func AcceptInvitationFor(tx Tx, r Rules, id InvitationID, user UserID, by audit.Actor, now time.Time) (Invitation, Membership, error) {
	i, err := tx.Invitation(id)
	if err == nil {
		err = CheckInvitation(tx, i, now)
	}
	if err != nil {
		return Invitation{}, Membership{}, err
	}
	u, err := tx.User(user)
	if err != nil {
		return Invitation{}, Membership{}, err
	}
	if !u.EmailVerified || u.Email != i.Email || i.Organization != "" && i.User != user {
		return Invitation{}, Membership{}, ErrNotInvited
	}
	if i.Organization == "" {
		return i, Membership{}, accepted(tx, &i, user, by, now)
	}
	m, err := AcceptMembership(tx, r, i.Organization, user, by, now)
	if err != nil {
		return Invitation{}, Membership{}, err
	}
	i, err = tx.Invitation(id) // accepted with the membership, if that was pending
	if err == nil && !i.Settled() {
		err = accepted(tx, &i, user, by, now)
	}
	return i, m, err
}

// accepted settles i.
func accepted(tx Tx, i *Invitation, user UserID, by audit.Actor, now time.Time) error {
	i.AcceptedAt, i.UpdatedAt, i.AcceptedUser = now.UTC(), now.UTC(), user
	if err := tx.PutInvitation(*i); err != nil {
		return err
	}
	return recordInvitation(tx, audit.InvitationAccepted, *i, by, now)
}

// acceptOpen settles the open invitation, if there is one, of a user who has become what it invites
// to: a member of the organization or, without one, somebody with an account.
func acceptOpen(tx Tx, user UserID, org OrgID, by audit.Actor, now time.Time) error {
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	i, err := openInvitation(tx, u.Email, org, now)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return accepted(tx, &i, user, by, now)
}

// revokeOpen takes back the open invitation, if there is one, of a user whose pending membership is
// gone.
func revokeOpen(tx Tx, user UserID, org OrgID, by audit.Actor, now time.Time) error {
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	i, err := openInvitation(tx, u.Email, org, now)
	if errors.Is(err, ErrNotFound) || err == nil && i.User != user {
		return nil // one to an address that the user has given up is good for nobody
	}
	if err != nil {
		return err
	}
	return revoke(tx, &i, by, now)
}
