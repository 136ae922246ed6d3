package api_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const checkOperation = "POST /orgate/v1/authorization/check"

// member makes an active member, and returns the membership's id.
func (w *world) member(org, email string, roles ...string) (user, membership string) {
	w.t.Helper()
	user = w.call("POST /user_management/users", map[string]any{"email": email}).want(201).id()
	body := map[string]any{"user_id": user, "organization_id": org}
	if len(roles) > 0 {
		body["role_slugs"] = roles
	}
	return user, w.call("POST /user_management/organization_memberships", body).want(201).id()
}

func compiled(t testing.TB, specs ...policy.RuleSpec) policy.Rules {
	t.Helper()
	var rs policy.Rules
	for _, s := range specs {
		r, err := s.Compile()
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

type object = map[string]any

func TestAMemberIsCheckedByRolePermissionAndCondition(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	user, om := w.member(org, "jo@acme.com")
	_, admin := w.member(org, "ann@acme.com", "admin", "member")
	w.do(func(tx store.Tx) error { // as an identity provider would have it
		m, err := tx.Membership(tenancy.OrgID(org), tenancy.UserID(user))
		m.Attributes = map[string]any{"seniority": "staff"}
		if err != nil {
			return err
		}
		return tx.PutMembership(m)
	})
	type q = object
	office := q{"ip": "10.1.2.3", "country": "de", "method": "get", "path": "/reports/7", "time": "2026-03-30T07:30:00Z"}
	for _, tt := range []struct {
		who  string
		ask  object
		want string // the code
		says string
	}{
		{om, q{"role_slug": "member"}, "granted", "active member of acme"},
		{om, q{"role_slug": "admin"}, "role_missing", "The check asks for the role admin; the member has member."},
		{om, q{"role_slug": "emperor"}, "role_missing", ""},
		{admin, q{"role_slug": "member"}, "granted", ""},
		{om, q{"permission_slug": "reports:read"}, "granted", ""},
		{om, q{"permission_slug": "reports:delete"}, "permission_missing", "asks for the permission reports:delete; no role of the member has it (member)."},
		{admin, q{"permission_slug": "reports:delete", "role_slug": "admin"}, "granted", ""},
		{om, q{"permission_slug": "reports:read", "role_slug": "admin"}, "role_missing", ""},
		{om, q{"condition": `member.attributes.seniority == "staff"`}, "granted", ""},
		{admin, q{"condition": `member.attributes.seniority == "staff"`}, "condition_failed", "The condition of the check can't be evaluated, which denies"},
		{om, q{"condition": `member.guest`, "permission_slug": "reports:read"}, "granted", ""},
		{om, q{"condition": `!member.guest`}, "condition_false", "The condition of the check does not hold."},
		{om, q{"condition": `user.email == "jo@acme.com" && organization.id == "` + org + `"`}, "granted", ""},
		{om, q{"condition": `request.ip.inRange("10.0.0.0/8") && request.country == "DE" && request.method == "GET" && request.path.startsWith("/reports/")`, "context": office}, "granted", ""},
		{om, q{"condition": `request.ip.inRange("10.0.0.0/8")`, "context": q{"ip": "192.0.2.1"}}, "condition_false", ""},
		{om, q{"condition": `request.ip.inRange("10.0.0.0/8")`}, "condition_failed", ""}, // nobody says where
		{om, q{"condition": `request.country == "DE"`, "context": q{}}, "condition_false", ""},
		// A proxy's word for unknown, which the app hands on.
		{om, q{"condition": `request.country != ""`, "context": q{"country": "XX"}}, "condition_false", ""},
		{om, q{"condition": `request.country != ""`, "context": q{"country": "zz"}}, "condition_false", ""},
		{om, q{"condition": `now.getHours("Europe/Berlin") == 9`, "context": office}, "granted", ""},
		{om, q{"condition": `now.getHours("Europe/Berlin") == 9`, "context": q{"time": "2026-03-23T07:30:00Z"}}, "condition_false", ""},
		{om, q{"condition": `now > timestamp("2026-05-01T00:00:00Z") && now < timestamp("2026-06-01T00:00:00Z")`}, "granted", ""}, // our clock
	} {
		tt.ask["organization_membership_id"] = tt.who
		a := w.call(checkOperation, tt.ask).want(200)
		if a.get("code") != tt.want || a.get("authorized") != fmt.Sprint(tt.want == "granted") || !strings.Contains(a.get("reason"), tt.says) {
			t.Errorf("%v: %s, want %s: …%s…", tt.ask, a.body, tt.want, tt.says)
		}
	}

	// A key that may only read may ask, and one of another organization finds nobody.
	ask := object{"organization_membership_id": om, "role_slug": "member"}
	w.as(w.key(session.APIKey{Name: "reader", ReadOnly: true}), checkOperation, ask).want(200)
	w.as(w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(org), ReadOnly: true}), checkOperation, ask).want(200)
	w.as(w.key(session.APIKey{Name: "globex", Organization: tenancy.OrgID(w.organizationNamed("Globex"))}), checkOperation, ask).refused(404, "entity_not_found")
	w.as("", checkOperation, ask).refused(401, "unauthorized")
}

// Whoever is no active member may do nothing, whatever roles the membership has.
func TestOnlyAnActiveMemberIsAuthorized(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, om := w.member(org, "jo@acme.com", "admin")
	ask := func(want string) {
		t.Helper()
		for _, q := range []object{{"role_slug": "admin"}, {"condition": "true"}, {"permission_slug": "reports:read"}} {
			q["organization_membership_id"] = om
			if a := w.call(checkOperation, q).want(200); a.get("code") != want || a.get("authorized") != fmt.Sprint(want == "granted") {
				t.Errorf("%v: %s, want %s", q, a.body, want)
			}
		}
	}
	ask("granted")
	w.call("PUT /user_management/organization_memberships/{id}/deactivate", om).want(200)
	ask("deactivated")
	w.call("PUT /user_management/organization_memberships/{id}/reactivate", om).want(200)
	ask("granted")
	// A policy asks how somebody signs in, which is not what is checked.
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(org))
		if err != nil {
			return err
		}
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), MFA: true, MaxAge: time.Minute}
		return tx.PutOrganization(o)
	})
	ask("granted")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(org))
		o.Suspended = true
		if err != nil {
			return err
		}
		return tx.PutOrganization(o)
	})
	ask("suspended")

	w.call("DELETE /user_management/organization_memberships/{id}", om).want(200)
	w.call(checkOperation, object{"organization_membership_id": om, "role_slug": "admin"}).refused(404, "entity_not_found")
}

func TestAnInvitedPersonIsNotAuthorized(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	w.call("POST /user_management/users", object{"email": "jo@acme.com"}).want(201)
	w.call("POST /user_management/invitations", object{"email": "jo@acme.com", "organization_id": org, "role_slug": "admin"}).want(201)
	list := w.call("GET /user_management/organization_memberships", "?organization_id="+org+"&statuses=pending").want(200).ids()
	if len(list) != 1 {
		t.Fatal(list)
	}
	if a := w.call(checkOperation, object{"organization_membership_id": list[0], "role_slug": "admin"}).want(200); a.get("code") != "invitation_open" || a.get("authorized") != "false" {
		t.Errorf("%s", a.body)
	}
}

func TestAMemberIsCheckedByTheRoutesOfAnApp(t *testing.T) {
	w := newWorld(t)
	host := func(s tenancy.Slug) tenancy.Host { return tenancy.Host(s) + ".example.com" }
	w.apps = []api.App{
		{Name: "app", Host: host, Rules: compiled(t, policy.RuleSpec{Path: "/healthz", Access: "public"}, policy.RuleSpec{Path: "/admin/**", Role: "admin"},
			policy.RuleSpec{Path: "/reports/**", Methods: []string{"DELETE"}, Permission: "reports:delete"},
			policy.RuleSpec{Path: "/here", When: `request.host == "acme.example.com" && request.ip.inRange("10.0.0.0/8")`},
			policy.RuleSpec{Path: "/hours", When: `now.getHours("Europe/Berlin") < 17`})},
		{Name: "docs", Host: host},
	}
	org := w.organizationNamed("Acme")
	_, om := w.member(org, "jo@acme.com")
	_, admin := w.member(org, "ann@acme.com", "admin")
	for _, tt := range []struct {
		who, app, method, path string
		context                object
		want                   string
	}{
		{om, "", "GET", "/", nil, "granted"},
		{om, "app", "GET", "/healthz", nil, "public_route"},
		{om, "app", "GET", "/admin/users", nil, "role_missing"},
		{om, "app", "GET", "/ADMIN/users", nil, "role_missing"}, // as an app without regard to case would take it
		{om, "docs", "GET", "/admin/users", nil, "granted"},
		{admin, "app", "GET", "/admin/users", nil, "granted"},
		{om, "app", "GET", "/reports/7", nil, "granted"},
		{om, "app", "delete", "/reports/7", nil, "permission_missing"},
		{om, "app", "FETCH", "/reports/7", nil, "permission_missing"}, // a method that no rule can name
		{admin, "app", "DELETE", "/reports/7", nil, "granted"},
		{om, "app", "GET", "/here", object{"ip": "10.1.2.3"}, "granted"},
		{om, "app", "GET", "/here", object{"ip": "10.1.2.3", "host": "globex.example.com"}, "condition_false"},
		{om, "app", "GET", "/here", nil, "condition_failed"},
		{om, "app", "GET", "/hours", object{"time": "2026-03-30T14:59:00Z"}, "granted"},
		{om, "app", "GET", "/hours", object{"time": "2026-03-30T15:00:00Z"}, "condition_false"},
	} {
		route := object{"method": tt.method, "path": tt.path}
		if tt.app != "" {
			route["app"] = tt.app
		}
		ask := object{"organization_membership_id": tt.who, "route": route}
		if tt.context != nil {
			ask["context"] = tt.context
		}
		a := w.call(checkOperation, ask).want(200)
		if a.get("code") != tt.want || a.get("authorized") != fmt.Sprint(tt.want == "granted" || tt.want == "public_route") {
			t.Errorf("%v: %s, want %s", ask, a.body, tt.want)
		}
	}
	if a := w.call(checkOperation, object{"organization_membership_id": om, "route": object{"method": "GET", "path": "/admin/x"}}); !strings.Contains(a.get("reason"), `Route rule "/admin/** (role admin)"`) {
		t.Errorf("the rule is not named: %s", a.body)
	}
}

func TestACheckThatIsNotUnderstoodIsRefused(t *testing.T) {
	w := newWorld(t)
	w.apps = []api.App{{Name: "app", Host: func(tenancy.Slug) tenancy.Host { return "" }}}
	org := w.organizationNamed("Acme")
	_, om := w.member(org, "jo@acme.com", "admin")
	with := func(o object) object { o["organization_membership_id"] = om; return o }
	for _, tt := range []struct {
		body object
		want []string
	}{
		{object{"role_slug": "admin"}, []string{"organization_membership_id: required"}},
		{with(object{}), []string{"permission_slug: required"}},
		{with(object{"permission_slug": ""}), []string{"permission_slug: required"}},
		{with(object{"permission_slug": nil}), []string{"permission_slug: required"}},
		{with(object{"permission": "reports:read"}), []string{"permission: unknown", "permission_slug: required"}},
		{with(object{"permission_slug": 1}), []string{"permission_slug: invalid_type"}},
		{with(object{"condition": "member.rols == []"}), []string{"condition: invalid"}},
		{with(object{"condition": ""}), []string{"condition: invalid"}},
		{with(object{"condition": `request.ip.inRange("10.0.0.0/33")`}), []string{"condition: invalid"}},
		{with(object{"condition": `"` + strings.Repeat("a", 5000) + `" == ""`}), []string{"condition: invalid"}},
		{with(object{"role_slug": "admin", "context": "office"}), []string{"context: invalid_type"}},
		{with(object{"role_slug": "admin", "context": object{"ip": "office", "country": "é", "method": "GET /", "path": "/a%2fb", "host": "a b", "time": "noon", "x": 1}}),
			[]string{"context.country: invalid", "context.host: invalid", "context.ip: invalid", "context.method: invalid", "context.path: invalid", "context.time: invalid", "context.x: unknown"}},
		{with(object{"role_slug": "admin", "route": object{"method": "GET", "path": "/"}}), []string{"route: invalid"}},
		{with(object{"route": object{"method": "GET", "path": "/"}, "context": object{"path": "/"}}), []string{"route: invalid"}},
		{with(object{"route": object{"method": "CONNECT", "path": "/.orgate/me"}}), []string{"route.method: invalid", "route.path: invalid"}},
		{with(object{"route": object{"app": "other", "method": "GET", "path": "/"}}), []string{"route.app: invalid"}},
		{with(object{"route": object{}}), []string{"route.method: required", "route.path: required"}},
		{with(object{"route": object{"method": "GET", "path": "/", "role": "x"}}), []string{"route.role: unknown"}},
	} {
		a := w.call(checkOperation, tt.body).refused(422, "invalid_request_parameters")
		if got := a.faults(); !slices.Equal(got, tt.want) {
			t.Errorf("%.200v: %q, want %q", tt.body, got, tt.want)
		}
	}
	if a := w.call(checkOperation, with(object{"condition": "true &&\n member.rols == []"})); !strings.Contains(string(a.body), "2:8") {
		t.Errorf("the place of the fault is not said: %s", a.body)
	}
}

// Who may only read may ask, and so must not take gigabytes for it; what is refused is not looked at again.
func TestAPatternThatIsTooLargeIsRefusedBeforeItIsCompiled(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, om := w.member(org, "jo@acme.com")
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(org), ReadOnly: true})
	large := "(" + strings.Repeat("a", 1000) + "){1000}"
	for condition, want := range map[string]string{
		fmt.Sprintf(`request.path.matches("%s")`, large):                "1:22: the pattern of matches takes",
		fmt.Sprintf(`["%s"].exists(p, request.path.matches(p))`, large): "must be written out",
	} {
		q := object{"organization_membership_id": om, "condition": condition, "context": object{"path": "/"}}
		kept := w.api.Conditions()
		for range 2 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a := w.as(key, checkOperation, q).refused(422, "invalid_request_parameters")
			runtime.ReadMemStats(&after)
			if !strings.Contains(string(a.body), want) {
				t.Errorf("%.60s: %s, want %s", condition, a.body, want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("%.60s: %d bytes are allocated", condition, n)
			}
			if w.api.Conditions() != kept+1 {
				t.Errorf("%.60s: what is refused is not remembered", condition)
			}
		}
	}
}

// An app that makes a condition of each request neither fills the memory nor takes a turn for ever.
func TestConditionsOfChecksAreBounded(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, om := w.member(org, "jo@acme.com")
	began := time.Now()
	a := w.call(checkOperation, object{"organization_membership_id": om, "condition": `"x".matches("a") || [` + strings.Repeat("1,", 300) + `1].all(a, [` + strings.Repeat("1,", 300) + `1].all(b, a == b))`}).want(200)
	if a.get("code") != "condition_failed" || !strings.Contains(a.get("reason"), "limit") {
		t.Errorf("%s", a.body)
	}
	t.Logf("stopped after %v", time.Since(began))
	for i := range 300 {
		w.later(time.Second)
		w.call(checkOperation, object{"organization_membership_id": om, "condition": fmt.Sprintf(`user.email != "%d"`, i)}).want(200)
	}
	if n := w.api.Conditions(); n != 256 {
		t.Errorf("%d conditions are kept", n)
	}
}
