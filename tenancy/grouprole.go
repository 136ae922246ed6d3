package tenancy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// ErrAssigned says that the group has the role already.
var ErrAssigned = errors.New("group has the role already")

// AssignGroupRole gives the members of a group a role. It returns [ErrAssigned] if they have it by this group.
func AssignGroupRole(tx Tx, org OrgID, group GroupID, role string, by audit.Actor, now time.Time) (AssignedRole, error) {
	g, err := tx.Group(org, group)
	if err != nil {
		return AssignedRole{}, err
	}
	if g.assigned(role) >= 0 {
		return AssignedRole{}, ErrAssigned
	}
	if err := setGroupRoles(tx, g, append(groupRoles(g), role), by, now); err != nil {
		return AssignedRole{}, err
	}
	if g, err = tx.Group(org, group); err != nil {
		return AssignedRole{}, err
	}
	return g.Roles[g.assigned(role)], nil
}

// SetGroupRoles makes the roles of a group those, and returns it as it is then. What it had before keeps its assignment.
func SetGroupRoles(tx Tx, org OrgID, group GroupID, roles []string, by audit.Actor, now time.Time) (Group, error) {
	g, err := tx.Group(org, group)
	if err != nil {
		return Group{}, err
	}
	if err := setGroupRoles(tx, g, roles, by, now); err != nil {
		return Group{}, err
	}
	return tx.Group(org, group)
}

// UnassignGroupRole takes a role away from a group. It returns an error wrapping [ErrNotFound] if the group does not have it.
func UnassignGroupRole(tx Tx, org OrgID, group GroupID, role string, by audit.Actor, now time.Time) error {
	g, err := tx.Group(org, group)
	if err != nil {
		return err
	}
	if g.assigned(role) < 0 {
		return notFound("role of a group")
	}
	roles := slices.DeleteFunc(groupRoles(g), func(r string) bool { return r == role })
	return setGroupRoles(tx, g, roles, by, now)
}

func setGroupRoles(tx Tx, g Group, roles []string, by audit.Actor, now time.Time) error {
	if len(roles) > MaxGroupRoles {
		return ErrGroupLimit
	}
	had := g.Roles
	g.Roles = nil
	var made, gone []AssignedRole
	for _, r := range had {
		if slices.Contains(roles, r.Role) {
			g.Roles = append(g.Roles, r)
		} else {
			gone = append(gone, r)
		}
	}
	for _, role := range roles {
		if g.assigned(role) >= 0 {
			continue
		}
		if err := checkRoles(tx, g.Organization, []string{role}); err != nil {
			return err
		}
		r := AssignedRole{GroupRoleID(id.New("gra", now)), role, now.UTC()}
		g.Roles, made = append(g.Roles, r), append(made, r)
	}
	if len(made)+len(gone) == 0 {
		return nil
	}
	slices.SortFunc(g.Roles, func(a, b AssignedRole) int { return cmp.Compare(a.ID, b.ID) })
	if err := tx.PutGroup(g); err != nil {
		return err
	}
	for _, r := range gone {
		if err := recordGroupRole(tx, audit.GroupRoleRemoved, g, r, by, now); err != nil {
			return err
		}
	}
	for _, r := range made {
		if err := recordGroupRole(tx, audit.GroupRoleAssigned, g, r, by, now); err != nil {
			return err
		}
	}
	return nil
}

func (g Group) assigned(role string) int {
	return slices.IndexFunc(g.Roles, func(r AssignedRole) bool { return r.Role == role })
}

func groupRoles(g Group) []string {
	roles := make([]string, 0, len(g.Roles)+1)
	for _, r := range g.Roles {
		roles = append(roles, r.Role)
	}
	return roles
}

// GroupsWith returns the groups that a membership is in, by id.
func GroupsWith(tx Tx, m Membership) ([]Group, error) {
	if m.ID == "" {
		return nil, nil
	}
	var groups []Group
	for in, err := range tx.GroupsOf(m.Organization, m.ID, Place{}) {
		if err != nil {
			return nil, err
		}
		g, err := tx.Group(m.Organization, in.Group)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("group of a member: %w", err)
		}
		groups = append(groups, g)
	}
	return groups, nil
}
