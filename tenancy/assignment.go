package tenancy

import (
	"cmp"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// A RoleAssignment says that a membership has a role in its organization, and by what.
type RoleAssignment struct {
	ID         string
	Membership MembershipID
	Role       string
	// Group is the assignment of the group that the role is by; empty: the role is the membership's own.
	Group     GroupRoleID
	CreatedAt time.Time
	UpdatedAt time.Time
}

// RoleAssignments returns why a membership has which roles, by id: a role that it has of its own and by a group is there
// twice. An assignment has no row: its id is made of what it says, and is another if that begins anew.
func RoleAssignments(tx Tx, m Membership) ([]RoleAssignment, error) {
	var all []RoleAssignment
	add := func(role string, group GroupRoleID, from, until time.Time) {
		all = append(all, RoleAssignment{
			ID:         id.Of("role_assignment", from, string(m.ID)+" "+role+" "+string(group)),
			Membership: m.ID, Role: role, Group: group, CreatedAt: from, UpdatedAt: until,
		})
	}
	for _, role := range m.Roles {
		add(role, "", m.CreatedAt, m.UpdatedAt)
	}
	if m.ID != "" {
		for in, err := range tx.GroupsOf(m.Organization, m.ID, Place{}) {
			if err != nil {
				return nil, err
			}
			g, err := tx.Group(m.Organization, in.Group)
			if err != nil {
				return nil, err
			}
			for _, r := range g.Roles {
				from := slices.MaxFunc([]time.Time{in.CreatedAt, r.CreatedAt}, time.Time.Compare)
				add(r.Role, r.ID, from, from)
			}
		}
	}
	slices.SortFunc(all, func(a, b RoleAssignment) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// AddRole gives a membership a role beside those that it has. Of these some may not be defined any more: they stay.
func AddRole(tx Tx, m Membership, role string, by audit.Actor, now time.Time) (Membership, error) {
	if slices.Contains(m.Roles, role) {
		return m, nil
	}
	if err := checkRoles(tx, m.Organization, []string{role}); err != nil {
		return Membership{}, err
	}
	return putRoles(tx, m, append(slices.Clone(m.Roles), role), RoleManual, by, now)
}

// DropRole takes one of its own roles away from a membership; without any it gets the default role. It returns an error wrapping
// [ErrNotFound] if it does not have the role, and [ErrState] if it would have it again at once.
func DropRole(tx Tx, r Rules, m Membership, role string, by audit.Actor, now time.Time) (Membership, error) {
	if !slices.Contains(m.Roles, role) {
		return m, notFound("role of a membership")
	}
	left := slices.DeleteFunc(slices.Clone(m.Roles), func(x string) bool { return x == role })
	if len(left) > 0 {
		return putRoles(tx, m, left, RoleManual, by, now)
	}
	after, err := SetRoles(tx, r, m.Organization, m.User, Grant{}, by, now)
	if err == nil && slices.Contains(after.Roles, role) {
		err = ErrState
	}
	return after, err
}
