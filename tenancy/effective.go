package tenancy

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// EffectiveRoles returns the roles that a membership has: its own, wherever they are from (SEMANTICS 1.4.4), and those of the groups that it is in,
// highest priority first, each once. A role that is not defined (any more) grants nothing, whatever it is called. That the
// membership is active is for the caller to know.
func EffectiveRoles(tx Tx, m Membership) ([]Role, error) {
	slugs := slices.Clone(m.Roles)
	groups, err := GroupsWith(tx, m)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		slugs = append(slugs, groupRoles(g)...)
	}
	slices.Sort(slugs)
	var roles []Role
	for _, slug := range slices.Compact(slugs) {
		r, err := FindRole(tx, m.Organization, slug)
		switch {
		case errors.Is(err, ErrNotFound) && slug == MemberRole:
			r = Role{Slug: slug, Priority: math.MaxInt} // always exists
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		roles = append(roles, r)
	}
	slices.SortFunc(roles, func(a, b Role) int {
		// Of the same place, the installation's comes first: its organization is "".
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Organization, b.Organization), cmp.Compare(a.Slug, b.Slug))
	})
	return roles, nil
}

// PermissionsOf returns the union of the permissions of roles, sorted.
func PermissionsOf(roles []Role) []string {
	var all []string
	for _, r := range roles {
		all = append(all, r.Permissions...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
