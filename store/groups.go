package store

import (
	"iter"
	"slices"

	"github.com/orgate/orgate/tenancy"
)

func groups() table[tenancy.Group] {
	return table[tenancy.Group]{
		kind: kindGroup, name: "group",
		fields: func(g tenancy.Group) []string { return []string{string(g.Organization), "group", string(g.ID)} },
		indexes: func(g tenancy.Group) []index {
			ixs := []index{{kindByID, []string{"group", string(g.ID)}, true}}
			if slices.ContainsFunc(g.Roles, func(r tenancy.AssignedRole) bool { return r.Role == tenancy.AdminRole }) {
				ixs = append(ixs, index{kindInOrganization, []string{string(g.Organization), "admin group", string(g.ID)}, false})
			}
			return ixs
		},
	}
}

func groupMembers() table[tenancy.GroupMember] {
	return table[tenancy.GroupMember]{
		kind: kindGroup, name: "member of a group",
		fields: func(m tenancy.GroupMember) []string {
			return []string{string(m.Organization), "member", string(m.Group), string(m.Membership)}
		},
		indexes: func(m tenancy.GroupMember) []index {
			return []index{{kindInOrganization, []string{string(m.Organization), "groups of", string(m.Membership), string(m.Group)}, false}}
		},
	}
}

func (t *tx) Group(org tenancy.OrgID, id tenancy.GroupID) (tenancy.Group, error) {
	return get(t, groups(), string(org), "group", string(id))
}

func (t *tx) GroupByID(id tenancy.GroupID) (tenancy.Group, error) {
	return find(t, groups(), kindByID, "group", string(id))
}

func (t *tx) GroupsIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[tenancy.Group, error] {
	return listed(t, groups(), at, string(org), "group")
}

func (t *tx) AdminGroupsIn(org tenancy.OrgID) iter.Seq2[tenancy.Group, error] {
	return findAll(t, groups(), kindInOrganization, string(org), "admin group")
}

func (t *tx) PutGroup(g tenancy.Group) error { return put(t, groups(), g) }

func (t *tx) DeleteGroup(org tenancy.OrgID, id tenancy.GroupID) error {
	return remove(t, groups(), string(org), "group", string(id))
}

func (t *tx) GroupMember(org tenancy.OrgID, g tenancy.GroupID, m tenancy.MembershipID) (tenancy.GroupMember, error) {
	return get(t, groupMembers(), string(org), "member", string(g), string(m))
}

func (t *tx) GroupMembers(org tenancy.OrgID, g tenancy.GroupID, at tenancy.Place) iter.Seq2[tenancy.GroupMember, error] {
	return listed(t, groupMembers(), at, string(org), "member", string(g))
}

func (t *tx) GroupsOf(org tenancy.OrgID, m tenancy.MembershipID, at tenancy.Place) iter.Seq2[tenancy.GroupMember, error] {
	return listedBy(t, groupMembers(), kindInOrganization, at, string(org), "groups of", string(m))
}

func (t *tx) PutGroupMember(m tenancy.GroupMember) error { return put(t, groupMembers(), m) }

func (t *tx) DeleteGroupMember(org tenancy.OrgID, g tenancy.GroupID, m tenancy.MembershipID) error {
	return remove(t, groupMembers(), string(org), "member", string(g), string(m))
}
