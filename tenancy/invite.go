package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
)

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
