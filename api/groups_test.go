package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	groupsOf     = "/organizations/{organizationId}/groups"
	oneGroup     = groupsOf + "/{groupId}"
	groupMembers = oneGroup + "/organization-memberships"
	groupRoles   = "/authorization/groups/{group_id}/role_assignments"
	memberRoles  = "/authorization/organization_memberships/{organization_membership_id}/role_assignments"
	checkOf      = "POST /authorization/organization_memberships/{organization_membership_id}/check"
)

func (w *world) group(org, name string) string {
	w.t.Helper()
	return w.call("POST "+groupsOf, org, map[string]any{"name": name}).want(201).id()
}

// may reports whether the membership has the permission in its organization.
func (w *world) may(org, membership, permission string) bool {
	w.t.Helper()
	return w.call(checkOf, membership, map[string]any{"permission_slug": permission, "resource_id": org}).want(200).get("authorized") == "true"
}

func TestGroupsAreMadeChangedListedAndDeleted(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	at := w.head()
	g := w.call("POST "+groupsOf, acme.org, map[string]any{"name": "Engineering", "description": "who builds"}).want(201)
	if g.get("name") != "Engineering" || g.get("description") != "who builds" || g.get("organization_id") != acme.org || !strings.HasPrefix(g.id(), "group_") {
		t.Errorf("made %s", g.body)
	}
	other := w.call("POST "+groupsOf, acme.org, map[string]any{"name": "Engineering", "description": nil}).want(201)
	w.call("PATCH "+oneGroup, acme.org, g.id(), map[string]any{"name": "Builders"}).want(200)
	w.call("PATCH "+oneGroup, acme.org, g.id(), map[string]any{"name": "Builders"}).want(200) // nothing changes
	if c := w.call("PATCH "+oneGroup, acme.org, g.id(), map[string]any{"description": nil}).want(200); c.get("name") != "Builders" || c.fields["description"] != nil {
		t.Errorf("changed %s", c.body)
	}
	same(t, "listed", w.call("GET "+groupsOf, acme.org).want(200).ids(), []string{other.id(), g.id()})
	same(t, "a page", w.call("GET "+groupsOf, acme.org, "?order=asc&limit=1").want(200).ids(), []string{g.id()})
	same(t, "the next", w.call("GET "+groupsOf, acme.org, "?order=asc&limit=1&after="+g.id()).want(200).ids(), []string{other.id()})
	same(t, "elsewhere", w.call("GET "+groupsOf, globex.org).want(200).ids(), []string{})
	w.call("DELETE "+oneGroup, acme.org, g.id()).want(204)
	same(t, "events", w.eventsSince(at), []string{"group.created", "group.created", "group.updated", "group.updated", "group.deleted"})

	w.call("GET "+oneGroup, acme.org, g.id()).refused(404, "entity_not_found")
	w.call("DELETE "+oneGroup, acme.org, g.id()).refused(404, "entity_not_found")
	w.call("GET "+oneGroup, globex.org, other.id()).refused(404, "entity_not_found")
	w.call("PATCH "+oneGroup, globex.org, other.id(), map[string]any{"name": "x"}).refused(404, "entity_not_found")
	w.call("GET "+groupsOf, "org_1").refused(404, "entity_not_found")
	for _, body := range []map[string]any{{}, {"name": ""}, {"name": " "}, {"name": strings.Repeat("é", 257)}, {"name": "a\nb"}, {"name": "a", "description": strings.Repeat("é", 151)}, {"name": 1}, {"name": "a", "slug": "a"}} {
		w.call("POST "+groupsOf, acme.org, body).refused(422, "invalid_request_parameters")
	}
	w.call("POST "+groupsOf, acme.org, map[string]any{"name": strings.Repeat("é", 256), "description": strings.Repeat("é", 150)}).want(201)
	w.call("GET "+groupsOf, acme.org, "?name=x").refused(422, "invalid_request_parameters")
}

func TestMembersOfAGroupAreThoseOfItsOrganization(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	g := w.group(acme.org, "Engineering")
	second := w.call("POST /user_management/organization_memberships", map[string]any{"user_id": globex.user, "organization_id": acme.org}).want(201).id()
	at := w.head()
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200) // is in it
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": second}).want(200)
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": globex.membership}).refused(404, "entity_not_found")
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": "om_1"}).refused(404, "entity_not_found")
	w.call("POST "+groupMembers, acme.org, g, map[string]any{}).refused(422, "invalid_request_parameters")
	list := w.call("GET "+groupMembers, acme.org, g).want(200)
	same(t, "members", list.ids(), []string{second, acme.membership})
	same(t, "a page", w.call("GET "+groupMembers, acme.org, g, "?limit=1&after="+second).want(200).ids(), []string{acme.membership})
	const ofMember = "GET /user_management/organization_memberships/{omId}/groups"
	same(t, "groups of", w.call(ofMember, acme.membership).want(200).ids(), []string{g})
	same(t, "groups of", w.call(ofMember, globex.membership).want(200).ids(), []string{})
	w.call(ofMember, "om_1").refused(404, "entity_not_found")
	w.call("DELETE "+groupMembers+"/{omId}", acme.org, g, acme.membership).want(204)
	w.call("DELETE "+groupMembers+"/{omId}", acme.org, g, acme.membership).refused(404, "entity_not_found")
	same(t, "events", w.eventsSince(at), []string{"group.member_added", "group.member_added", "group.member_removed"})

	// With the membership goes its place in the group.
	w.call("DELETE /user_management/organization_memberships/{id}", second).want(200)
	same(t, "members", w.call("GET "+groupMembers, acme.org, g).want(200).ids(), []string{})
	same(t, "events", w.eventsSince(at)[3:], []string{"group.member_removed", "organization_membership.deleted"})
	w.do(func(tx store.Tx) error {
		if g, err := tx.Group(tenancy.OrgID(acme.org), tenancy.GroupID(g)); err != nil || g.Members != 0 {
			t.Errorf("it counts %d members, %v", g.Members, err)
		}
		return nil
	})
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	w.call("DELETE /user_management/users/{id}", acme.user).want(200)
	same(t, "members without the user", w.call("GET "+groupMembers, acme.org, g).want(200).ids(), []string{})
}

func TestAGroupGivesItsMembersRolesAndTakesThemAway(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	g := w.group(acme.org, "Engineering")
	may := func(when string, want bool) {
		t.Helper()
		if got := w.may(acme.org, acme.membership, "reports:delete"); got != want {
			t.Errorf("%s: may delete reports: %v", when, got)
		}
	}
	may("at first", false)
	r := w.call("POST "+groupRoles, g, map[string]any{"role_slug": "admin"}).want(201)
	if r.get("role.slug") != "admin" || r.get("group_id") != g || r.get("resource.id") != acme.org || r.get("resource.external_id") != acme.orgExternal || r.get("resource.resource_type_slug") != "organization" {
		t.Errorf("assigned %s", r.body)
	}
	may("outside of the group", false)
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	may("in the group", true)
	list := w.call("GET "+memberRoles, acme.membership).want(200)
	if got := string(list.body); strings.Count(got, `"type":"direct"`) != 1 || strings.Count(got, `"group_role_assignment_id":"`+r.id()+`"`) != 1 {
		t.Errorf("role assignments: %s", got)
	}
	if m := w.call("GET /user_management/organization_memberships/{id}", acme.membership).want(200); fmt.Sprint(m.fields["roles"]) != "[map[slug:member]]" {
		t.Errorf("its own roles are %v", m.fields["roles"])
	}
	w.call("PUT /user_management/organization_memberships/{id}/deactivate", acme.membership).want(200)
	may("inactive", false)
	w.call("PUT /user_management/organization_memberships/{id}/reactivate", acme.membership).want(200)
	may("active again", true)
	w.call("DELETE "+groupMembers+"/{omId}", acme.org, g, acme.membership).want(204)
	may("out of the group", false)
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	may("in it again", true)
	w.call("DELETE "+groupRoles+"/{role_assignment_id}", g, r.id()).want(204)
	may("without its role", false)
	w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{map[string]any{"role_slug": "admin"}, map[string]any{"role_slug": acme.role, "resource_id": acme.org}}}).want(200)
	may("with its role again", true)
	w.call("DELETE "+oneGroup, acme.org, g).want(204)
	may("without the group", false)
}

func TestRolesOfAGroupAreReplacedListedAndRefused(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	g := w.group(acme.org, "Engineering")
	admin := w.call("POST "+groupRoles, g, map[string]any{"role_slug": "admin", "resource_external_id": acme.orgExternal, "resource_type_slug": "organization"}).want(201)
	w.call("POST "+groupRoles, g, map[string]any{"role_slug": "admin"}).refused(409, "duplicate_group_role_assignment")
	own := w.call("POST "+groupRoles, g, map[string]any{"role_slug": acme.role}).want(201)
	same(t, "listed", w.call("GET "+groupRoles, g).want(200).ids(), []string{own.id(), admin.id()})
	same(t, "a page", w.call("GET "+groupRoles, g, "?limit=1&after="+own.id()).want(200).ids(), []string{admin.id()})
	w.call("GET "+groupRoles+"/{role_assignment_id}", g, own.id()).want(200)
	w.call("GET "+groupRoles+"/{role_assignment_id}", g, "gra_1").refused(404, "entity_not_found")
	for _, body := range []map[string]any{{"role_slug": "boss"}, {"role_slug": globex.role}} {
		w.call("POST "+groupRoles, g, body).refused(422, "invalid_role")
		w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{body}}).refused(422, "invalid_role")
	}
	for _, body := range []map[string]any{
		{}, {"role_slug": ""}, {"role_slug": "member", "resource_id": acme.org, "resource_type_slug": "organization"}, {"role_slug": "member", "resource_external_id": "x"},
		{"role_slug": "member", "resource_type_slug": "organization"}, {"role_slug": "member", "role": "x"},
	} {
		w.call("POST "+groupRoles, g, body).refused(422, "invalid_request_parameters")
		w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{body}}).refused(422, "invalid_request_parameters")
	}
	w.call("PUT "+groupRoles, g, map[string]any{}).refused(422, "invalid_request_parameters")
	for _, body := range []map[string]any{
		{"role_slug": "member", "resource_id": globex.org}, {"role_slug": "member", "resource_external_id": "p1", "resource_type_slug": "project"},
		{"role_slug": "member", "resource_external_id": globex.orgExternal, "resource_type_slug": "organization"},
	} {
		w.call("POST "+groupRoles, g, body).refused(404, "entity_not_found")
		w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{body}}).refused(404, "entity_not_found")
		w.call("DELETE "+groupRoles, g, body).refused(404, "entity_not_found")
	}
	at := w.head()
	put := w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{map[string]any{"role_slug": acme.role}, map[string]any{"role_slug": "member"}, map[string]any{"role_slug": "member"}}}).want(200)
	if ids := put.ids(); len(ids) != 2 || ids[1] != own.id() {
		t.Errorf("replaced: %q, and the one that stays was %s", ids, own.id())
	}
	same(t, "events", w.eventsSince(at), []string{"orgate.group_role_assignment.deleted", "orgate.group_role_assignment.created"})
	w.call("DELETE "+groupRoles, g, map[string]any{"role_slug": "admin"}).refused(404, "entity_not_found")
	w.call("DELETE "+groupRoles, g, map[string]any{"role_slug": "member"}).want(204)
	// A role that a group has is not deleted under it.
	w.call("DELETE /authorization/organizations/{organizationId}/roles/{slug}", acme.org, acme.role).refused(409, "role_has_assignments")
	w.call("PUT "+groupRoles, g, map[string]any{"role_assignments": []any{}}).want(200)
	w.call("DELETE /authorization/organizations/{organizationId}/roles/{slug}", acme.org, acme.role).want(204)
}

func TestRolesOfAMembershipAreAssignedOneByOne(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	here := map[string]any{"role_slug": "admin", "resource_id": acme.org}
	roles := func() string {
		return fmt.Sprint(w.call("GET /user_management/organization_memberships/{id}", acme.membership).want(200).fields["roles"])
	}
	r := w.call("POST "+memberRoles, acme.membership, here).want(201)
	if again := w.call("POST "+memberRoles, acme.membership, here).want(201); again.id() != r.id() || r.get("source.type") != "direct" {
		t.Errorf("assigned %s, and again %s", r.body, again.body)
	}
	if got := roles(); got != "[map[slug:member] map[slug:admin]]" {
		t.Errorf("roles %s", got)
	}
	all := w.call("GET "+memberRoles, acme.membership).want(200).ids()
	if len(all) != 2 || !slices.Contains(all, r.id()) {
		t.Errorf("listed %q", all)
	}
	same(t, "a page", w.call("GET "+memberRoles, acme.membership, "?limit=1&after="+all[0]).want(200).ids(), all[1:])
	for query, want := range map[string]int{
		"?resource_id=" + acme.org: 2, "?resource_id=" + globex.org: 0, "?resource_type_slug=organization": 2, "?resource_type_slug=project": 0,
		"?resource_external_id=" + acme.orgExternal: 2, "?resource_external_id=x": 0,
	} {
		if n := len(w.call("GET "+memberRoles, acme.membership, query).want(200).ids()); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
	w.call("DELETE "+memberRoles+"/{role_assignment_id}", acme.membership, r.id()).want(204)
	w.call("DELETE "+memberRoles+"/{role_assignment_id}", acme.membership, r.id()).refused(404, "entity_not_found")
	w.call("DELETE "+memberRoles, acme.membership, here).refused(404, "entity_not_found")
	w.call("DELETE "+memberRoles, acme.membership, map[string]any{"role_slug": "member", "resource_id": acme.org}).refused(409, "role_is_default")
	w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slug": "admin"}).want(200)
	w.call("DELETE "+memberRoles, acme.membership, here).want(204)
	if got := roles(); got != "[map[slug:member]]" {
		t.Errorf("without any other: %s", got)
	}
	g := w.group(acme.org, "Engineering")
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	w.call("POST "+groupRoles, g, map[string]any{"role_slug": "admin"}).want(201)
	by := w.call("GET "+memberRoles, acme.membership, "?limit=1").want(200).ids()
	w.call("DELETE "+memberRoles+"/{role_assignment_id}", acme.membership, by[0]).refused(409, "role_assigned_by_group")
	w.call("DELETE "+memberRoles, acme.membership, here).refused(404, "entity_not_found")

	w.call("POST "+memberRoles, acme.membership, map[string]any{"role_slug": "boss", "resource_id": acme.org}).refused(422, "invalid_role")
	w.call("POST "+memberRoles, acme.membership, map[string]any{"role_slug": "admin", "resource_id": globex.org}).refused(404, "entity_not_found")
	w.call("POST "+memberRoles, acme.membership, map[string]any{"role_slug": "admin"}).refused(422, "invalid_request_parameters")
	w.do(func(tx store.Tx) error {
		m, err := tx.Membership(tenancy.OrgID(acme.org), tenancy.UserID(acme.user))
		m.RoleSource = tenancy.RoleDirectory
		if err != nil {
			return err
		}
		return tx.PutMembership(m)
	})
	w.call("POST "+memberRoles, acme.membership, here).refused(409, "directory_managed")
	w.call("DELETE "+memberRoles, acme.membership, map[string]any{"role_slug": "member", "resource_id": acme.org}).refused(409, "directory_managed")
}

// A role that is not defined any more is in nobody's way: it stays on the membership, for when it comes back, or is taken away.
func TestRolesAreAssignedBesideOneThatIsNotDefinedAnyMore(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, m := w.member(org, "jo@acme.com", "admin", "member")
	w.do(func(tx store.Tx) error {
		return errors.Join(tenancy.RemoveRole(tx, "", "admin", audit.System, w.clock()), tenancy.SaveRole(tx, tenancy.Role{Slug: "auditor"}, audit.System, w.clock()))
	})
	on := func(role string) object { return object{"role_slug": role, "resource_id": org} }
	roles := func(want string) {
		t.Helper()
		if got := fmt.Sprint(w.call("GET /user_management/organization_memberships/{id}", m).want(200).fields["roles"]); got != want {
			t.Errorf("roles %s, want %s", got, want)
		}
	}
	w.call("DELETE "+memberRoles, m, on("member")).want(204)
	roles("[map[slug:admin]]")
	w.call("POST "+memberRoles, m, on("auditor")).want(201)
	roles("[map[slug:admin] map[slug:auditor]]")
	w.call("DELETE "+memberRoles, m, on("admin")).want(204)
	roles("[map[slug:auditor]]")
	w.call("POST "+memberRoles, m, on("admin")).refused(422, "invalid_role")
}

func TestAPermissionIsCheckedOnTheOrganizationAlone(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	for _, body := range []map[string]any{
		{"permission_slug": "reports:read", "resource_id": acme.org},
		{"permission_slug": "reports:read", "resource_external_id": acme.orgExternal, "resource_type_slug": "organization"},
	} {
		if a := w.call(checkOf, acme.membership, body).want(200); a.get("authorized") != "true" {
			t.Errorf("%v: %s", body, a.body)
		}
	}
	for _, p := range []string{"reports:delete", "reports:*", "reports", "nothing"} {
		if w.may(acme.org, acme.membership, p) {
			t.Errorf("a member may %s", p)
		}
	}
	for _, body := range []map[string]any{{"resource_id": acme.org}, {"permission_slug": "reports:read"}, {"permission_slug": "", "resource_id": acme.org}, {"permission_slug": "reports:read", "resource_id": acme.org, "context": "x"}} {
		w.call(checkOf, acme.membership, body).refused(422, "invalid_request_parameters")
	}
	for _, body := range []map[string]any{
		{"permission_slug": "reports:read", "resource_id": globex.org}, {"permission_slug": "reports:read", "resource_external_id": "p", "resource_type_slug": "project"},
	} {
		w.call(checkOf, acme.membership, body).refused(404, "entity_not_found")
	}
	w.call(checkOf, "om_1", map[string]any{"permission_slug": "reports:read", "resource_id": acme.org}).refused(404, "entity_not_found")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(acme.org))
		o.Suspended = true
		if err != nil {
			return err
		}
		return tx.PutOrganization(o)
	})
	if w.may(acme.org, acme.membership, "reports:read") {
		t.Error("in a suspended organization")
	}
}

func TestDeletingAnOrganizationDeletesItsGroups(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	g := w.group(acme.org, "Engineering")
	w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": acme.membership}).want(200)
	w.call("DELETE /organizations/{id}", acme.org).want(202)
	w.do(func(tx store.Tx) error {
		if _, err := tx.GroupByID(tenancy.GroupID(g)); err == nil {
			t.Error("the group is there still")
		}
		for range tx.GroupsOf(tenancy.OrgID(acme.org), tenancy.MembershipID(acme.membership), tenancy.Place{}) {
			t.Error("somebody is in it still")
		}
		return nil
	})
}

// TestAGroupThatManyChangeAtOnceCountsRight runs under -race: additions, removals and the deletion of a membership at once.
func TestAGroupThatManyChangeAtOnceCountsRight(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	g := w.group(acme.org, "Engineering")
	members := []string{acme.membership}
	for i := range 5 {
		u := w.call("POST /user_management/users", map[string]any{"email": fmt.Sprintf("u%d@acme.com", i)}).want(201).id()
		members = append(members, w.call("POST /user_management/organization_memberships", map[string]any{"user_id": u, "organization_id": acme.org}).want(201).id())
	}
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() {
			for range 3 {
				w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": m}).want(http.StatusOK)
				w.call("DELETE "+groupMembers+"/{omId}", acme.org, g, m).want(http.StatusNoContent)
			}
			w.call("POST "+groupMembers, acme.org, g, map[string]any{"organization_membership_id": m}).want(http.StatusOK)
			if i == 0 {
				w.call("DELETE /user_management/organization_memberships/{id}", m).want(http.StatusOK)
			}
		})
	}
	wg.Wait()
	same(t, "members", w.call("GET "+groupMembers, acme.org, g, "?order=asc").want(200).ids(), members[1:])
	w.do(func(tx store.Tx) error {
		if g, err := tx.Group(tenancy.OrgID(acme.org), tenancy.GroupID(g)); err != nil || g.Members != len(members)-1 {
			t.Errorf("it counts %d members, %v", g.Members, err)
		}
		return nil
	})
}
