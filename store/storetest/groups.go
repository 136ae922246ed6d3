package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func groupRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	in := func(org, group, member string) tenancy.GroupMember {
		return tenancy.GroupMember{Organization: tenancy.OrgID(org), Group: tenancy.GroupID(group), Membership: tenancy.MembershipID(member), User: "user_1"}
	}
	do(t, s, func(tx store.Tx) error {
		var errs []error
		for _, g := range []tenancy.Group{{ID: "group_1", Organization: "org_a", Name: "a"}, {ID: "group_2", Organization: "org_a", Name: "b"}, {ID: "group_3", Organization: "org_b", Name: "c"}} {
			errs = append(errs, tx.PutGroup(g))
		}
		for _, m := range []tenancy.GroupMember{in("org_a", "group_1", "om_1"), in("org_a", "group_1", "om_2"), in("org_a", "group_2", "om_1"), in("org_b", "group_3", "om_1")} {
			errs = append(errs, tx.PutGroupMember(m))
		}
		return errors.Join(errs...)
	})
	members := func(tx store.Tx, org tenancy.OrgID, group tenancy.GroupID, at tenancy.Place) []string {
		return list(t, tx.GroupMembers(org, group, at), func(m tenancy.GroupMember) string { return string(m.Membership) })
	}
	groupsOf := func(tx store.Tx, org tenancy.OrgID, m tenancy.MembershipID, at tenancy.Place) []string {
		return list(t, tx.GroupsOf(org, m, at), func(m tenancy.GroupMember) string { return string(m.Group) })
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	look(t, s, func(tx store.Tx) {
		all := func(at tenancy.Place) []string {
			return list(t, tx.GroupsIn("org_a", at), func(g tenancy.Group) string { return string(g.ID) })
		}
		want("groups", all(tenancy.Place{}), "group_1", "group_2")
		want("backwards from one", all(tenancy.Place{Past: "group_2", Backward: true}), "group_1")
		want("members", members(tx, "org_a", "group_1", tenancy.Place{}), "om_1", "om_2")
		want("past one", members(tx, "org_a", "group_1", tenancy.Place{Past: "om_1"}), "om_2")
		want("of another's", members(tx, "org_b", "group_1", tenancy.Place{}))
		want("groups of", groupsOf(tx, "org_a", "om_1", tenancy.Place{}), "group_1", "group_2")
		want("past one", groupsOf(tx, "org_a", "om_1", tenancy.Place{Past: "group_1"}), "group_2")
		want("elsewhere", groupsOf(tx, "org_b", "om_1", tenancy.Place{}), "group_3")
		if g, err := tx.GroupByID("group_3"); err != nil || g.Organization != "org_b" {
			t.Errorf("by id: %+v, %v", g, err)
		}
		if _, err := tx.Group("org_a", "group_3"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("another's: %v", err)
		}
		for what, err := range map[string]error{"groups": first(tx.GroupsIn("", tenancy.Place{})), "members": first(tx.GroupMembers("", "group_1", tenancy.Place{})), "groups of": first(tx.GroupsOf("", "om_1", tenancy.Place{}))} {
			if err == nil || errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s of no organization: %v", what, err)
			}
		}
	})
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.DeleteGroupMember("org_a", "group_1", "om_1"), tx.DeleteGroup("org_b", "group_3"))
	})
	look(t, s, func(tx store.Tx) {
		want("members after", members(tx, "org_a", "group_1", tenancy.Place{}), "om_2")
		want("groups of after", groupsOf(tx, "org_a", "om_1", tenancy.Place{}), "group_2")
		if _, err := tx.GroupByID("group_3"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("by id after: %v", err)
		}
	})
}
