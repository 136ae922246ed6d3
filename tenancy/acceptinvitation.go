package tenancy

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
)

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
