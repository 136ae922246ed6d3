package api_test

import (
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestTheRolesOfTheInstallationAreTheConfigurationsIfItGivesThem(t *testing.T) {
	w := newWorld(t)
	w.roles = tenancy.Origin{File: "orgate.yaml", Line: 12}
	same(t, "roles", w.call("GET /authorization/roles").want(200).ids("slug"), []string{"admin", "member"})
	if r := w.call("GET /authorization/roles/{slug}", "admin").want(200); r.get("type") != "EnvironmentRole" || !strings.HasPrefix(r.id(), "role_") {
		t.Errorf("got %s", r.body)
	}
	w.call("GET /authorization/roles/{slug}", "boss").refused(404, "entity_not_found")
	at := w.head()
	for _, r := range w.api.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if method == "GET" || !strings.HasPrefix(path, "/authorization/roles") && !strings.HasPrefix(path, "/authorization/permissions") {
			continue
		}
		a := w.send(w.secret, r.Pattern, method, strings.ReplaceAll(path, "{slug}", "admin"), nil).refused(409, "managed_by_config")
		if !strings.Contains(a.get("message"), "orgate.yaml:12") {
			t.Errorf("%s does not say where", a.body)
		}
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
	list := w.call("GET /authorization/permissions", "?order=asc").want(200)
	if len(list.ids()) != 2 {
		t.Errorf("permissions: %s", list.body)
	}
	same(t, "second page", w.call("GET /authorization/permissions", "?order=asc&limit=1&after="+list.ids()[0]).ids(), list.ids()[1:])
	if p := w.call("GET /authorization/permissions/{slug}", "reports:read").want(200); p.get("slug") != "reports:read" {
		t.Errorf("got %s", p.body)
	}
	w.call("GET /authorization/permissions/{slug}", "reports:write").refused(404, "entity_not_found")
}

func TestAnOrganizationMakesRolesOfItsOwn(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	const roles, role = "/authorization/organizations/{organizationId}/roles", "/authorization/organizations/{organizationId}/roles/{slug}"
	at := w.head()
	r := w.call("POST "+roles, p.org, map[string]any{"name": "Auditor", "description": "Looks"}).want(201)
	slug := r.get("slug")
	if !strings.HasPrefix(slug, "org-auditor-") || r.get("type") != "OrganizationRole" || r.get("description") != "Looks" {
		t.Errorf("made %s", r.body)
	}
	same(t, "roles", w.call("GET "+roles, p.org).want(200).ids("slug"), []string{"admin", "member", p.role, slug})
	if r = w.call("PATCH "+role, p.org, slug, map[string]any{"name": "Inspector", "description": nil}).want(200); r.get("name") != "Inspector" || r.get("description") != "" || r.get("slug") != slug {
		t.Errorf("changed to %s", r.body)
	}
	perms := func(want string, a answer) {
		t.Helper()
		list, _ := a.want(200).fields["permissions"].([]any)
		var got []string
		for _, x := range list {
			got = append(got, x.(string))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("permissions %q, want %q", got, want)
		}
	}
	perms("reports:delete reports:read", w.call("PUT "+role+"/permissions", p.org, slug, map[string]any{"permissions": []any{"reports:read", "reports:delete", "reports:read"}}))
	perms("reports:read", w.call("DELETE "+role+"/permissions/{permissionSlug}", p.org, slug, "reports:delete"))
	perms("reports:delete reports:read", w.call("POST "+role+"/permissions", p.org, slug, map[string]any{"slug": "reports:delete"}))
	w.call("POST "+role+"/permissions", p.org, slug, map[string]any{"slug": "everything"}).refused(404, "entity_not_found")
	w.call("PUT "+role+"/permissions", p.org, slug, map[string]any{"permissions": []any{"everything"}}).refused(404, "entity_not_found")
	perms("", w.call("PUT "+role+"/permissions", p.org, slug, map[string]any{"permissions": []any{}}))

	w.call("PUT /user_management/organization_memberships/{id}", p.membership, map[string]any{"role_slug": slug}).want(200)
	w.call("DELETE "+role, p.org, slug).refused(409, "role_has_assignments")
	w.call("PUT /user_management/organization_memberships/{id}", p.membership, map[string]any{"role_slug": "member"}).want(200)
	w.call("DELETE "+role, p.org, slug).want(204)
	w.call("GET "+role, p.org, slug).refused(404, "entity_not_found")
	same(t, "events", w.eventsSince(at), []string{
		audit.OrganizationRoleCreated, audit.OrganizationRoleUpdated, audit.OrganizationRoleUpdated, audit.OrganizationRoleUpdated, audit.OrganizationRoleUpdated, audit.OrganizationRoleUpdated,
		audit.MembershipUpdated, audit.MembershipUpdated, audit.OrganizationRoleDeleted,
	})

	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(p.org))
		if err != nil {
			return err
		}
		o.GroupRoles = []tenancy.GroupRole{{Group: "g", Role: p.role}}
		return tx.PutOrganization(o)
	})
	w.call("DELETE "+role, p.org, p.role).refused(409, "role_has_group_role_mappings")
	w.call("POST "+roles, p.org, map[string]any{"name": "x", "slug": p.role}).refused(409, "organization_role_slug_conflict")
	for _, body := range []map[string]any{
		{}, {"name": "x", "slug": "admin"}, {"name": "x", "slug": "org-UP"}, {"name": strings.Repeat("x", 49)}, {"name": "x", "slug": "org-" + strings.Repeat("x", 50)},
		{"name": "x", "description": strings.Repeat("x", 151)}, {"name": "x", "resource_type_slug": "project"}, {"name": "x", "permissions": []any{"reports:read"}},
	} {
		w.call("POST "+roles, p.org, body).refused(422, "invalid_request_parameters")
	}
	w.call("PATCH "+role, p.org, "member", map[string]any{"name": "x"}).refused(409, "role_of_the_installation")
	w.call("DELETE "+role, p.org, "member").refused(409, "role_of_the_installation")
	w.call("PUT "+role+"/permissions", p.org, p.role, map[string]any{}).refused(422, "invalid_request_parameters")
}

func TestTheRolesOfTheInstallationAreTheAPIsIfTheConfigurationGivesNone(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	at := w.head()
	const permissions, roles = "/authorization/permissions", "/authorization/roles"
	p := w.call("POST "+permissions, map[string]any{"slug": "bills:pay", "name": "Pay bills", "description": "With money"}).want(201)
	if p.get("slug") != "bills:pay" || p.get("description") != "With money" || !strings.HasPrefix(p.id(), "perm_") {
		t.Errorf("made %s", p.body)
	}
	w.call("POST "+permissions, map[string]any{"slug": "bills:pay", "name": "x"}).refused(409, "permission_slug_conflict")
	w.call("POST "+permissions, map[string]any{"slug": "reports:read", "name": "x"}).refused(409, "permission_slug_conflict") // by a role alone
	if p = w.call("PATCH "+permissions+"/{slug}", "bills:pay", map[string]any{"name": "Pay", "description": nil}).want(200); p.get("name") != "Pay" || p.get("description") != "" {
		t.Errorf("changed to %s", p.body)
	}
	if got := w.call("GET " + permissions).want(200).ids("slug"); len(got) != 3 || got[0] != "bills:pay" { // youngest first
		t.Errorf("permissions %q", got)
	}

	r := w.call("POST "+roles, map[string]any{"slug": "clerk", "name": "Clerk"}).want(201)
	if r.get("type") != "EnvironmentRole" {
		t.Errorf("made %s", r.body)
	}
	w.call("POST "+roles, map[string]any{"slug": "clerk", "name": "Clerk"}).refused(409, "role_slug_conflict")
	w.call("PATCH "+roles+"/{slug}", "clerk", map[string]any{"name": "Clerks"}).want(200)
	w.call("PUT "+roles+"/{slug}/permissions", "clerk", map[string]any{"permissions": []any{"reports:read"}}).want(200)
	w.call("POST "+roles+"/{slug}/permissions", "clerk", map[string]any{"slug": "bills:pay"}).want(200)
	w.call("POST "+roles+"/{slug}/permissions", "clerk", map[string]any{"slug": "nothing"}).refused(404, "entity_not_found")
	same(t, "roles", w.call("GET "+roles).want(200).ids("slug"), []string{"admin", "member", "clerk"})
	w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slug": "clerk"}).want(200)

	w.call("DELETE "+permissions+"/{slug}", "bills:pay").refused(409, "permission_has_assignments")
	w.call("PUT "+roles+"/{slug}/permissions", "clerk", map[string]any{"permissions": []any{}}).want(200)
	const own = "/authorization/organizations/{organizationId}/roles/{slug}/permissions"
	w.call("PUT "+own, acme.org, acme.role, map[string]any{"permissions": []any{"bills:pay"}}).want(200)
	w.call("DELETE "+permissions+"/{slug}", "bills:pay").refused(409, "permission_has_assignments")
	w.call("PUT "+own, acme.org, acme.role, map[string]any{"permissions": []any{}}).want(200)
	w.call("DELETE "+permissions+"/{slug}", "bills:pay").want(204)
	w.call("GET "+permissions+"/{slug}", "bills:pay").refused(404, "entity_not_found")
	w.call("DELETE "+permissions+"/{slug}", "bills:pay").refused(404, "entity_not_found")
	same(t, "events", w.eventsSince(at), []string{
		audit.PermissionCreated, audit.PermissionUpdated, audit.RoleCreated, audit.RoleUpdated, audit.RoleUpdated, audit.RoleUpdated, audit.MembershipUpdated, audit.RoleUpdated,
		audit.OrganizationRoleUpdated, audit.OrganizationRoleUpdated, audit.PermissionDeleted,
	})
	same(t, "of the reference", w.call("GET /events", "?events=permission.created,permission.updated,permission.deleted,role.updated,role.created&order=desc&limit=1").want(200).ids("event"), []string{audit.PermissionDeleted})
	for _, body := range []map[string]any{{"name": "x"}, {"slug": "x"}, {"slug": "org-x", "name": "x"}, {"slug": "UP", "name": "x"}, {"slug": "x", "name": "x", "permissions": []any{}}} {
		w.call("POST "+roles, body).refused(422, "invalid_request_parameters")
	}
	for _, body := range []map[string]any{{"name": "x"}, {"slug": "x"}, {"slug": "a b", "name": "x"}, {"slug": "UP", "name": "x"}, {"slug": strings.Repeat("x", 49), "name": "x"}} {
		w.call("POST "+permissions, body).refused(422, "invalid_request_parameters")
	}
}
