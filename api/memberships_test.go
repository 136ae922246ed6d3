package api_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestMembershipsAreListedByWhoAndWhereAndStatus(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	both := w.call("POST /user_management/organization_memberships", map[string]any{"user_id": acme.user, "organization_id": globex.org, "role_slug": "admin"}).want(201)
	if both.get("role.slug") != "admin" || both.get("user.email") != "jo@acme.com" || both.get("organization_name") != "globex" || both.get("status") != "active" {
		t.Errorf("made %s", both.body)
	}
	w.call("PUT /user_management/organization_memberships/{id}/deactivate", globex.membership).want(200)
	for query, want := range map[string][]string{
		"?user_id=" + acme.user:                                                                       {both.id(), acme.membership},
		"?organization_id=" + globex.org:                                                              {both.id()},
		"?organization_id=" + globex.org + "&statuses=inactive":                                       {globex.membership},
		"?organization_id=" + globex.org + "&statuses=inactive,active&order=asc":                      {globex.membership, both.id()},
		"?organization_id=" + globex.org + "&statuses[]=inactive&statuses[]=active&order=asc&limit=1": {globex.membership},
		"?organization_id=" + globex.org + "&statuses=inactive,active,pending&after=" + both.id():     {globex.membership},
		"?organization_id=" + globex.org + "&user_id=" + acme.user:                                    {both.id()},
		"?organization_id=" + acme.org + "&user_id=" + globex.user:                                    {},
		"?organization_id=" + acme.org + "&statuses=pending":                                          {},
	} {
		same(t, query, w.call("GET /user_management/organization_memberships", query).want(200).ids(), want)
	}
	w.call("GET /user_management/organization_memberships").refused(400, "missing_user_id_or_organization_id")
	w.call("GET /user_management/organization_memberships", "?user_id=&organization_id=").refused(400, "missing_user_id_or_organization_id")
	w.call("GET /user_management/organization_memberships", "?user_id=user_1").refused(404, "entity_not_found")
	w.call("GET /user_management/organization_memberships", "?organization_id=org_1").refused(404, "entity_not_found")
	w.call("GET /user_management/organization_memberships", "?user_id="+acme.user+"&statuses=gone").refused(422, "invalid_request_parameters")
}

func TestTheRolesOfAMembershipAreThoseThatAreThere(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	for _, body := range []map[string]any{{"role_slug": "boss"}, {"role_slugs": []any{"member", "boss"}}, {"role_slug": globex.role}} {
		w.call("PUT /user_management/organization_memberships/{id}", acme.membership, body).refused(422, "invalid_role")
	}
	for _, body := range []map[string]any{{"role_slug": "a", "role_slugs": []any{"b"}}, {"role_slugs": []any{}}, {"role_slug": ""}, {"role_slugs": "admin"}, {"role": "admin"}, {"status": "active"}} {
		w.call("PUT /user_management/organization_memberships/{id}", acme.membership, body).refused(422, "invalid_request_parameters")
	}
	m := w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slugs": []any{"admin", acme.role, "admin"}}).want(200)
	if fmt.Sprint(m.fields["roles"]) != "[map[slug:admin] map[slug:"+acme.role+"]]" {
		t.Errorf("roles: %s", m.body)
	}
	w.do(func(tx store.Tx) error {
		m, err := tx.Membership(tenancy.OrgID(acme.org), tenancy.UserID(acme.user))
		if err != nil {
			return err
		}
		m.RoleSource = tenancy.RoleDirectory
		return tx.PutMembership(m)
	})
	w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slug": "member"}).refused(409, "directory_managed")
}

func TestDeactivationEndsSessionsAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	parent, child := w.browser(p.user, p.org)
	w.call("PUT /user_management/organization_memberships/{id}/deactivate", p.membership).want(200)
	if !w.ended(child) || w.ended(parent) {
		t.Error("the session in the organization lives on, or the person's own ended")
	}
	w.call("PUT /user_management/organization_memberships/{id}/reactivate", p.membership).want(200)
	if !w.ended(child) {
		t.Error("what has ended came back")
	}
	w.later(1)
	_, child = w.browser(p.user, p.org)
	w.call("DELETE /user_management/organization_memberships/{id}", p.membership).want(200)
	if !w.ended(child) {
		t.Error("the session outlives the membership")
	}
}

func TestASingleWorkspaceIsOneByTheAPIToo(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	w.rules.SingleWorkspace = true
	w.call("POST /user_management/organization_memberships", map[string]any{"user_id": acme.user, "organization_id": globex.org}).refused(409, "single_workspace")
}

// A model of one membership (SEMANTICS 2.4).
type membershipModel struct {
	status string // "" is none
	role   string
	byHand bool // or by default, which is another source
}

// TestTheLifeOfAMembershipIsThatOfTheModel does random things to one membership: state, answers and events
// agree with a small model.
func TestTheLifeOfAMembershipIsThatOfTheModel(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	w.call("POST /user_management/sessions/revoke", map[string]any{"session_id": p.session}).want(200) // for its event
	m, id := membershipModel{"active", "member", false}, p.membership
	r := rand.New(rand.NewPCG(1, 2))
	const (
		created, updated, deleted = audit.MembershipCreated, audit.MembershipUpdated, audit.MembershipDeleted
		base                      = "/user_management/organization_memberships"
	)
	seen := map[string]int{}
	for range 600 {
		at, want, status, code := w.head(), []string{}, 200, ""
		var a answer
		role := []string{"", "member", "admin"}[r.IntN(3)]
		op := []string{"create", "invite", "update", "deactivate", "reactivate", "delete"}[r.IntN(6)]
		seen[m.status+" "+op]++
		switch op {
		case "create":
			body := map[string]any{"user_id": p.user, "organization_id": p.org}
			if role != "" {
				body["role_slug"] = role
			}
			a = w.call("POST "+base, body)
			switch m.status {
			case "":
				status, want = 201, []string{created}
			case "inactive":
				status, want = 201, []string{updated}
			case "pending":
				status, code = 400, "cannot_reactivate_pending_organization_membership"
			case "active":
				status, code = 409, "organization_membership_already_exists"
			}
			if status == 201 {
				m = membershipModel{"active", role, role != ""}
				if role == "" {
					m.role = "member"
				}
				id = a.id()
			}
		case "invite": // not by this API yet
			if m.status != "" {
				continue
			}
			w.do(func(tx store.Tx) error {
				x, err := tenancy.InviteMember(tx, w.rules, tenancy.OrgID(p.org), tenancy.UserID(p.user), tenancy.Grant{}, audit.System, w.clock())
				id = string(x.ID)
				return err
			})
			m, want = membershipModel{"pending", "member", false}, []string{created}
			a.status = 200
		case "update":
			body := map[string]any{}
			if role != "" {
				body["role_slug"] = role
			}
			a = w.call("PUT "+base+"/{id}", id, body)
			switch {
			case m.status == "":
				status, code = 404, "entity_not_found"
			case role != "":
				if m.role != role || !m.byHand {
					want = []string{updated}
				}
				m.role, m.byHand = role, true
			}
		case "deactivate":
			a = w.call("PUT "+base+"/{id}/deactivate", id)
			switch m.status {
			case "":
				status, code = 404, "entity_not_found"
			case "pending":
				status, code = 400, "cannot_deactivate_pending_organization_membership"
			case "active":
				m.status, want = "inactive", []string{updated}
			}
		case "reactivate":
			a = w.call("PUT "+base+"/{id}/reactivate", id)
			switch m.status {
			case "":
				status, code = 404, "entity_not_found"
			case "pending":
				status, code = 400, "cannot_reactivate_pending_organization_membership"
			case "inactive":
				m.status, want = "active", []string{updated}
			}
		case "delete":
			a = w.call("DELETE "+base+"/{id}", id)
			if m.status == "" {
				status, code = 404, "entity_not_found"
			} else {
				m, want = membershipModel{}, []string{deleted}
			}
		}
		if a.status != status || a.get("code") != code {
			t.Fatalf("%s: %d %s, want %d %s", op, a.status, a.body, status, code)
		}
		if got := w.eventsSince(at); !slices.Equal(got, want) {
			t.Fatalf("%s: events %q, want %q", op, got, want)
		}
		found := w.call("GET "+base+"/{id}", id)
		if got := (membershipModel{found.get("status"), found.get("role.slug"), m.byHand}); got != m {
			t.Fatalf("%s: %v, want %v", op, got, m)
		}
	}
	var never []string
	for _, s := range []string{"", "pending", "active", "inactive"} {
		for _, op := range []string{"create", "update", "deactivate", "reactivate", "delete"} {
			if seen[s+" "+op] == 0 {
				never = append(never, s+" "+op)
			}
		}
	}
	if len(never) > 0 {
		t.Errorf("never done: %s", strings.Join(never, ", "))
	}
}

// To end the last administrator is allowed, and whoever does it is told.
func TestWhoEndsTheLastAdministratorIsTold(t *testing.T) {
	const role, deactivate, reactivate, remove = "PUT /user_management/organization_memberships/{id}", "PUT /user_management/organization_memberships/{id}/deactivate",
		"PUT /user_management/organization_memberships/{id}/reactivate", "DELETE /user_management/organization_memberships/{id}"
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, jo := w.member(org, "jo@acme.com", "admin")
	_, flo := w.member(org, "flo@acme.com", "admin")
	_, kim := w.member(org, "kim@acme.com")
	for i, step := range []struct {
		pattern, id, role string
		want              string
	}{
		{deactivate, kim, "", ""}, // no administrator
		{deactivate, jo, "", ""},  // flo is left
		{role, flo, "member", "last_admin"},
		{role, flo, "member", ""}, // she was none any more
		{reactivate, jo, "", ""},
		{deactivate, jo, "", "last_admin"},
		{remove, jo, "", ""}, // nobody's loss: inactive already
		{role, flo, "admin", ""},
		{remove, flo, "", "last_admin"},
	} {
		var args []any
		if step.role != "" {
			args = append(args, map[string]any{"role_slug": step.role})
		}
		a := w.call(step.pattern, append([]any{step.id}, args...)...).want(200)
		if got := a.header.Get("X-Orgate-Warning"); got != step.want {
			t.Errorf("step %d, %s: warning %q, want %q", i, step.pattern, got, step.want)
		}
	}
	if n := strings.Count(w.log.String(), "no active administrator"); n != 3 {
		t.Errorf("the log says so %d times", n)
	}
}
