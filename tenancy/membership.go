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

// The transitions of a membership (SEMANTICS 2.4). Each is one change with one event, or
// nothing at all:
//
//	            none        pending     active      inactive
//	Create      active      ErrState    ErrTaken    active, with the roles given
//	Invite      pending     -           ErrTaken    ErrDeactivated
//	Accept      ErrNotFound active      -           ErrDeactivated
//	Deactivate  ErrNotFound ErrState    inactive    -
//	Reactivate  ErrNotFound ErrState    -           active, with the roles it had
//	SetRoles    ErrNotFound changed     changed     changed
//	Remove      -           none        none        none
//	Leave       ErrNotFound none        none        ErrDeactivated
//
// Create, Accept and Reactivate return ErrSingleWorkspace where the installation allows
// one membership and the user is a member elsewhere. An invitation that is not accepted
// counts for nothing: else any organization could keep a person out of the others by
// inviting them.

// A Grant is the roles that a membership gets, and who says so. The zero Grant is the
// default role.
type Grant struct {
	Roles  []string
	Source RoleSource // where Roles is not empty; its zero value is RoleManual
}

func (g Grant) resolve(tx Tx, r Rules, o Organization) (roles []string, source RoleSource, err error) {
	if len(g.Roles) == 0 {
		return defaultRoles(r, o), RoleDefault, nil
	}
	if err := checkRoles(tx, o.ID, g.Roles); err != nil {
		return nil, "", err
	}
	if g.Source == "" {
		g.Source = RoleManual
	}
	return slices.Clone(g.Roles), g.Source, nil
}

// CreateMembership makes the user an active member, as an administrator does.
func CreateMembership(tx Tx, r Rules, org OrgID, user UserID, g Grant, by audit.Actor, now time.Time) (Membership, error) {
	o, m, err := membershipOf(tx, org, user)
	if err != nil {
		return Membership{}, err
	}
	switch m.Status {
	case policy.Pending:
		return m, state("create", m)
	case policy.Active:
		return m, fmt.Errorf("membership: %w", ErrTaken)
	default: // none, or one to bring back
	}
	m.Roles, m.RoleSource, err = g.resolve(tx, r, o)
	if err != nil {
		return Membership{}, err
	}
	if m.Status == policy.NoMember {
		return makeMembership(tx, r, m, policy.Active, by, now)
	}
	return activate(tx, r, m, by, now)
}

// InviteMember makes a pending membership. It returns the one there is, if that is pending.
func InviteMember(tx Tx, r Rules, org OrgID, user UserID, g Grant, by audit.Actor, now time.Time) (Membership, error) {
	o, m, err := membershipOf(tx, org, user)
	if err != nil {
		return Membership{}, err
	}
	switch m.Status {
	case policy.Pending:
		return m, nil
	case policy.Active:
		return m, fmt.Errorf("membership: %w", ErrTaken)
	case policy.Inactive:
		return m, ErrDeactivated
	case policy.NoMember:
	}
	m.Roles, m.RoleSource, err = g.resolve(tx, r, o)
	if err != nil {
		return Membership{}, err
	}
	return makeMembership(tx, r, m, policy.Pending, by, now)
}

// AcceptMembership makes a pending membership active, and settles its invitation. That the person has
// proved the address that was invited is for the caller to know: see [AcceptInvitation].
func AcceptMembership(tx Tx, r Rules, org OrgID, user UserID, by audit.Actor, now time.Time) (Membership, error) {
	_, m, err := membershipOf(tx, org, user)
	if err != nil {
		return Membership{}, err
	}
	switch m.Status {
	case policy.Pending:
		return activate(tx, r, m, by, now)
	case policy.Active:
		return m, nil
	case policy.Inactive:
		return m, ErrDeactivated
	default:
		return Membership{}, notFound("membership")
	}
}

// DeactivateMembership makes an active membership inactive. The user's sessions in the
// organization must end with it: that is session.Deactivate, which calls this.
func DeactivateMembership(tx Tx, org OrgID, user UserID, by audit.Actor, now time.Time) error {
	_, m, err := membershipOf(tx, org, user)
	switch {
	case err != nil:
		return err
	case m.Status == policy.NoMember:
		return notFound("membership")
	case m.Status == policy.Pending:
		return state("deactivate", m)
	case m.Status == policy.Inactive:
		return nil
	}
	m.Status = policy.Inactive
	return changeMembership(tx, m, by, now)
}

// ReactivateMembership brings a deactivated membership back with the roles that it had.
func ReactivateMembership(tx Tx, r Rules, org OrgID, user UserID, by audit.Actor, now time.Time) error {
	_, m, err := membershipOf(tx, org, user)
	switch {
	case err != nil:
		return err
	case m.Status == policy.NoMember:
		return notFound("membership")
	case m.Status == policy.Pending:
		return state("reactivate", m)
	case m.Status == policy.Active:
		return nil
	}
	_, err = activate(tx, r, m, by, now)
	return err
}

// SetRoles gives a membership other roles.
func SetRoles(tx Tx, r Rules, org OrgID, user UserID, g Grant, by audit.Actor, now time.Time) (Membership, error) {
	o, m, err := membershipOf(tx, org, user)
	if err != nil {
		return Membership{}, err
	}
	if m.Status == policy.NoMember {
		return Membership{}, notFound("membership")
	}
	roles, source, err := g.resolve(tx, r, o)
	if err != nil {
		return Membership{}, err
	}
	return putRoles(tx, m, roles, source, by, now)
}

// putRoles gives the membership m, which is there, these roles.
func putRoles(tx Tx, m Membership, roles []string, source RoleSource, by audit.Actor, now time.Time) (Membership, error) {
	was := m
	m.Roles, m.RoleSource = roles, source
	if same(m, was) {
		return was, nil
	}
	m.UpdatedAt = now.UTC()
	return m, changeMembership(tx, m, by, now)
}

// RemoveMembership deletes a membership for good, takes it out of its groups, deletes its keys, and takes back the invitation of one that is
// pending. The user's sessions in the organization
// must end with it: that is session.Remove, which calls this. Removing what is not there
// is nothing.
func RemoveMembership(tx Tx, org OrgID, user UserID, by audit.Actor, now time.Time) error {
	_, m, err := membershipOf(tx, org, user)
	if err != nil || m.Status == policy.NoMember {
		return err
	}
	if err := errors.Join(leaveGroups(tx, m, by, now), removeAppKeysOf(tx, org, user, by, now)); err != nil {
		return err
	}
	if err := tx.DeleteMembership(org, user); err != nil {
		return err
	}
	if err := recordMembership(tx, audit.MembershipDeleted, m, by, now); err != nil || m.Status != policy.Pending {
		return err
	}
	return revokeOpen(tx, user, org, by, now)
}

// LeaveOrganization deletes a membership because the person says so: a membership, or an
// invitation that they don't want. One that was deactivated is not theirs to end: without its
// row, auto-join would make them a member anew. The user's sessions in the organization must
// end with it: session.EndIn.
func LeaveOrganization(tx Tx, org OrgID, user UserID, now time.Time) error {
	_, m, err := membershipOf(tx, org, user)
	switch {
	case err != nil:
		return err
	case m.Status == policy.NoMember:
		return notFound("membership")
	case m.Status == policy.Inactive:
		return ErrDeactivated
	}
	return RemoveMembership(tx, org, user, personally(user), now)
}

// membershipOf returns the organization, and the membership of the user in it: with the
// status NoMember, and no id, if there is none. The user must exist.
func membershipOf(tx Tx, org OrgID, user UserID) (Organization, Membership, error) {
	o, err := tx.Organization(org)
	if err != nil {
		return Organization{}, Membership{}, err
	}
	if _, err := tx.User(user); err != nil {
		return Organization{}, Membership{}, err
	}
	m, err := tx.Membership(org, user)
	if errors.Is(err, ErrNotFound) {
		return o, Membership{Organization: org, User: user}, nil
	}
	return o, m, err
}

// makeMembership makes the membership m, which is not there yet.
func makeMembership(tx Tx, r Rules, m Membership, as policy.Standing, by audit.Actor, now time.Time) (Membership, error) {
	if as == policy.Active {
		if err := checkSingle(tx, r, m); err != nil {
			return Membership{}, err
		}
	}
	m.ID, m.Status = MembershipID(id.New("om", now)), as
	m.CreatedAt, m.UpdatedAt = now.UTC(), now.UTC()
	if err := tx.PutMembership(m); err != nil {
		return Membership{}, err
	}
	return m, recordMembership(tx, audit.MembershipCreated, m, by, now)
}

// activate makes a membership that is there active.
func activate(tx Tx, r Rules, m Membership, by audit.Actor, now time.Time) (Membership, error) {
	if err := checkSingle(tx, r, m); err != nil {
		return Membership{}, err
	}
	was := m.Status
	m.Status, m.UpdatedAt = policy.Active, now.UTC()
	if err := changeMembership(tx, m, by, now); err != nil || was != policy.Pending {
		return m, err
	}
	return m, acceptOpen(tx, m.User, m.Organization, by, now)
}

func changeMembership(tx Tx, m Membership, by audit.Actor, now time.Time) error {
	m.UpdatedAt = now.UTC()
	if err := tx.PutMembership(m); err != nil {
		return err
	}
	return recordMembership(tx, audit.MembershipUpdated, m, by, now)
}

// checkSingle returns ErrSingleWorkspace if the user may have one membership and has
// one, in another organization than that of m, that is more than an open invitation.
func checkSingle(tx Tx, r Rules, m Membership) error {
	if !r.SingleWorkspace {
		return nil
	}
	for other, err := range tx.Memberships(m.User) {
		if err != nil {
			return err
		}
		if other.Organization != m.Organization && other.Status != policy.Pending {
			return ErrSingleWorkspace
		}
	}
	return nil
}

func state(action string, m Membership) error {
	return fmt.Errorf("%s a membership that is %s: %w", action, m.Status, ErrState)
}

func notFound(what string) error { return fmt.Errorf("%s: %w", what, ErrNotFound) }
