package tenancy

import (
	"errors"
	"iter"
	"slices"

	"github.com/orgate/orgate/policy"
)

// AdminRole is the role by which administrators are known, where there is one of that slug. An administrator is an active
// member who has it, of their own or by a group.
const AdminRole = "admin"

// AdminTx is the part of [Tx] that finds the administrators of an organization without reading all of its members.
type AdminTx interface {
	// AdminsIn are the active memberships that have [AdminRole] of their own, by user.
	AdminsIn(OrgID) iter.Seq2[Membership, error]
	// AdminGroupsIn are the groups that give [AdminRole], by id.
	AdminGroupsIn(OrgID) iter.Seq2[Group, error]
}

// maxSearched is how many members of groups are looked at for an active one, at the most, in a transaction that others wait for.
const maxSearched = 2000

// HasAdmin reports whether the organization has an administrator. What it costs does not depend on how many members
// there are; where nobody has the role of their own it reads the members of the groups that give it, until one is active. After
// some thousands that are not it is taken to have one: what it is asked for is to tell people, and is not worth more.
func HasAdmin(tx Tx, org OrgID) (bool, error) { return hasAdminBut(tx, org, "") }

// IsLastAdmin reports whether the membership is that of an administrator, and nobody else is one in its organization. It is as sure as
// [HasAdmin].
func IsLastAdmin(tx Tx, m Membership) (bool, error) {
	if is, err := isAdmin(tx, m); err != nil || !is {
		return false, err
	}
	others, err := hasAdminBut(tx, m.Organization, m.User)
	return err == nil && !others, err
}

// hasAdminBut is [HasAdmin] without the user, who may be nobody.
func hasAdminBut(tx Tx, org OrgID, but UserID) (bool, error) {
	if there, err := hasAdminRole(tx, org); err != nil || !there {
		return false, err
	}
	for m, err := range tx.AdminsIn(org) {
		if err != nil || m.User != but {
			return err == nil, err
		}
	}
	seen := map[MembershipID]bool{} // one may be in many groups
	searched := 0
	for g, err := range tx.AdminGroupsIn(org) {
		if err != nil {
			return false, err
		}
		for in, err := range tx.GroupMembers(org, g.ID, Place{}) {
			if err != nil {
				return false, err
			}
			if searched++; searched > maxSearched {
				return true, nil
			}
			if in.User == but || seen[in.Membership] {
				continue
			}
			seen[in.Membership] = true
			m, err := tx.Membership(org, in.User)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return false, err
			}
			if err == nil && m.ID == in.Membership && m.Status == policy.Active {
				return true, nil
			}
		}
	}
	return false, nil
}

// LosesLastAdmin makes a change to memberships, which are as they were before it, and returns the organizations whose last
// administrator it took. To end the last one is allowed: it may be meant, and somebody who may change
// memberships can make another. But they should be told.
func LosesLastAdmin(tx Tx, was []Membership, change func() error) ([]OrgID, error) {
	var at []OrgID
	for _, m := range was {
		if is, err := isAdmin(tx, m); err != nil {
			return nil, err
		} else if is {
			at = append(at, m.Organization)
		}
	}
	return leftWithoutAdmin(tx, at, change)
}

// GroupLosesLastAdmin is [LosesLastAdmin] for a change to a group and who is in it.
func GroupLosesLastAdmin(tx Tx, was Group, change func() error) ([]OrgID, error) {
	var at []OrgID
	if was.assigned(AdminRole) >= 0 {
		if has, err := HasAdmin(tx, was.Organization); err != nil {
			return nil, err
		} else if has {
			at = append(at, was.Organization)
		}
	}
	return leftWithoutAdmin(tx, at, change)
}

// leftWithoutAdmin makes a change and returns those of the organizations that have no administrator after it.
func leftWithoutAdmin(tx Tx, at []OrgID, change func() error) (lost []OrgID, err error) {
	if err := change(); err != nil {
		return nil, err
	}
	for _, org := range at {
		has, err := HasAdmin(tx, org)
		if err != nil {
			return nil, err
		}
		if !has {
			lost = append(lost, org)
		}
	}
	return lost, nil
}

// isAdmin reports whether the membership is that of an administrator.
func isAdmin(tx Tx, m Membership) (bool, error) {
	if m.Status != policy.Active {
		return false, nil
	}
	if !slices.Contains(m.Roles, AdminRole) {
		groups, err := GroupsWith(tx, m)
		if err != nil || !slices.ContainsFunc(groups, func(g Group) bool { return g.assigned(AdminRole) >= 0 }) {
			return false, err
		}
	}
	return hasAdminRole(tx, m.Organization)
}

// hasAdminRole reports whether [AdminRole] means anything in the organization.
func hasAdminRole(tx Tx, org OrgID) (bool, error) {
	_, err := FindRole(tx, org, AdminRole)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
