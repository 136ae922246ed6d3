package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestEveryRouteNeedsALiveKey(t *testing.T) {
	w := newWorld(t)
	expired := w.key(session.APIKey{Name: "expired", ExpiresAt: w.now.Add(time.Minute)})
	revoked := w.key(session.APIKey{Name: "revoked"})
	w.do(func(tx store.Tx) error {
		for k, err := range tx.APIKeys() {
			if err != nil {
				return err
			}
			if k.Name == "revoked" {
				return session.RevokeAPIKey(tx, k.ID, audit.System, w.now)
			}
		}
		return nil
	})
	w.later(2 * time.Minute)
	at := w.head()
	for _, r := range w.api.Routes() {
		if isOpen(r.Pattern) != (r.Access == endpoint.Public) || !isOpen(r.Pattern) && r.Access != endpoint.APIKey && r.Pattern != fetchExport || r.Side != endpoint.Management {
			t.Errorf("%s is for %v on %v", r.Pattern, r.Access, r.Side)
		}
	}
	for _, r := range w.keyed() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		for _, authorization := range []string{
			"", "Bearer ", "Bearer", w.secret, "Basic " + w.secret, "Bearer sk_", "Bearer " + w.secret[1:], "Bearer " + w.secret + "=", "Bearer  " + w.secret,
			"Bearer " + expired, "Bearer " + revoked, "Bearer " + strings.Repeat("a", 1000),
		} {
			req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", authorization)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("X-Request-Id") == "" {
				t.Errorf("%s with %.20q: %d", r.Pattern, authorization, resp.StatusCode)
			}
		}
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
	if a := w.as("", "GET /organizations"); a.get("message") != "Unauthorized" || a.get("request_id") != a.header.Get("X-Request-Id") {
		t.Errorf("%s", a.body)
	}
	if said := w.log.String(); strings.Contains(said, expired[3:]) || strings.Contains(said, w.secret[4:]) {
		t.Error("the log has a key")
	}
}

// isOpen reports whether an operation is one of those that need no key in the header: browsers are sent to them, or
// what they need is in the body. The tests of the sign-in API have what becomes of each.
func isOpen(pattern string) bool {
	switch pattern {
	case "GET /user_management/authorize", "GET /sso/authorize", "POST /user_management/authenticate", "GET /user_management/sessions/logout",
		"GET /sso/jwks/{clientId}", "POST /sso/token", "GET /sso/profile":
		return true
	default:
		return false
	}
}

func TestTwoKeysInOneRequestAreNone(t *testing.T) {
	w := newWorld(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.url+"/organizations", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header["Authorization"] = []string{"Bearer " + w.secret, "Bearer " + w.secret}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 401 {
		t.Errorf("%d", resp.StatusCode)
	}
}

func TestAReadOnlyKeyChangesNothing(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	reader := w.key(session.APIKey{Name: "reader", ReadOnly: true})
	at := w.head()
	for _, r := range w.keyed() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		a := w.send(reader, "", method, strings.NewReplacer("{id}", org, "{organizationId}", org).Replace(path), nil)
		question := r.Pattern == checkOf || r.Pattern == validations || r.Pattern == "POST /orgate/v1/authorization/check" // which change nothing
		if (a.status == 403) != (method != "GET" && !question) {
			t.Errorf("%s with a key that reads: %d", r.Pattern, a.status)
		}
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

func TestWhatIsNotThereYetSaysSoAndWhatIsNotAtAllToo(t *testing.T) {
	w := newWorld(t)
	there := map[string]bool{}
	for _, r := range w.api.Routes() {
		there[r.Pattern] = true
	}
	missing := 0
	for _, o := range api.Operations() {
		if there[o.Method+" "+o.Path] {
			continue
		}
		missing++
		path := o.Path
		for strings.Contains(path, "{") {
			i, j := strings.Index(path, "{"), strings.Index(path, "}")
			path = path[:i] + "x1" + path[j+1:]
		}
		if a := w.send(w.secret, "", o.Method, path, nil); a.status != 404 || a.get("code") != "not_implemented" {
			t.Errorf("%s %s: %d %s", o.Method, path, a.status, a.body)
		}
		if a := w.send("", "", o.Method, path, nil); a.status != 401 {
			t.Errorf("%s %s without a key: %d", o.Method, path, a.status)
		}
	}
	if missing < 50 {
		t.Errorf("only %d operations are missing", missing)
	}
	w.send(w.secret, "", "GET", "/nothing", nil).refused(404, "not_found")
	w.send(w.secret, "", "POST", "/organizations/org_1", nil).refused(405, "method_not_allowed")
}

func TestEveryRouteIsOfTheReferenceOrOurOwn(t *testing.T) {
	w := newWorld(t)
	for _, r := range w.api.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if !slices.Contains(api.Operations(), api.Operation{Method: method, Path: path}) && !strings.HasPrefix(path, "/orgate/v1/") {
			t.Errorf("%s is neither", r.Pattern)
		}
	}
}

func TestAKeyThatAsksTooMuchIsToldWhenToComeBack(t *testing.T) {
	w := newWorld(t)
	w.mu.Lock()
	start := w.now
	w.mu.Unlock()
	stop := func() { // time does not go on by itself here
		w.mu.Lock()
		w.now = start
		w.mu.Unlock()
	}
	other := w.key(session.APIKey{Name: "other"})
	var a answer
	n := 0
	for ; n < 600; n++ {
		stop()
		a = w.send(w.secret, "", "POST", "/organizations", nil)
		if a.status == 429 {
			break
		}
		if got := a.header.Get("X-RateLimit-Remaining"); got != fmt.Sprint(500-n-1) {
			t.Fatalf("after %d: %s left", n+1, got)
		}
	}
	if a.refused(429, "rate_limit_exceeded"); n != 500 || a.header.Get("Retry-After") != "1" {
		t.Errorf("after %d writes: %v", n, a.header)
	}
	stop()
	w.as(w.secret, "GET /organizations").want(200) // reads are counted apart
	w.as(other, "POST /organizations", map[string]any{"name": "a"}).want(201)
	w.later(time.Second)
	w.as(w.secret, "POST /organizations", map[string]any{"name": "a"}).want(201)
}

// A place is an organization with one of everything.
type place struct {
	org, orgExternal, domain, user, userExternal, membership, role, connection, session, invitation, token, export string
	group, groupRole, roleAssignment, appKey, appKeyValue                                                          string
	feed
}

// keyed are the routes that a key opens: all but those that links of ours lead to, and those that are for everybody.
func (w *world) keyed() []endpoint.Route {
	return slices.DeleteFunc(w.api.Routes(), func(r endpoint.Route) bool { return r.Access != endpoint.APIKey })
}

func (w *world) place(n string) place {
	w.t.Helper()
	p := place{orgExternal: "org-" + n, userExternal: "user-" + n, role: "org-" + n}
	p.org = w.call("POST /organizations", map[string]any{"name": n, "external_id": p.orgExternal, "metadata": map[string]any{"of": n}}).want(201).id()
	p.domain = w.call("POST /organization_domains", map[string]any{"organization_id": p.org, "domain": n + ".com"}).want(201).id()
	p.user = w.call("POST /user_management/users", map[string]any{"email": "jo@" + n + ".com", "external_id": p.userExternal}).want(201).id()
	p.membership = w.call("POST /user_management/organization_memberships", map[string]any{"user_id": p.user, "organization_id": p.org}).want(201).id()
	w.call("POST /authorization/organizations/{organizationId}/roles", p.org, map[string]any{"name": n, "slug": p.role}).want(201)
	p.export = w.call(createExport, exportOf(p.org)).want(201).id()
	w.do(func(tx store.Tx) error {
		c, err := tenancy.SaveConnection(tx, tenancy.Connection{
			Organization: tenancy.OrgID(p.org), Name: n, Type: "oidc", OIDC: &tenancy.OIDCConnection{Issuer: "https://idp.test"},
		}, audit.System, w.clock())
		if err != nil {
			return err
		}
		p.connection = string(c.ID)
		p.session = "session_" + strings.ToUpper(n)
		return tx.PutSession(session.Session{
			ID: session.ID(p.session), User: tenancy.UserID(p.user), Token: session.NewToken().Hash(), Parent: "session_P", Organization: tenancy.OrgID(p.org), Host: n + ".test",
			CreatedAt: w.now, SeenAt: w.now, ExpiresAt: w.now.Add(24 * time.Hour),
		})
	})
	return p
}

// furnish gives a place a group, a key for the app and a directory.
func (w *world) furnish(n string, p *place) {
	w.t.Helper()
	p.group = w.group(p.org, n)
	w.call("POST "+groupMembers, p.org, p.group, map[string]any{"organization_membership_id": p.membership}).want(200)
	p.groupRole = w.call("POST "+groupRoles, p.group, map[string]any{"role_slug": "member"}).want(201).id()
	p.roleAssignment = w.call("POST "+memberRoles, p.membership, map[string]any{"role_slug": "admin", "resource_id": p.org}).want(201).id()
	k := w.call("POST "+organizationKeys, p.org, map[string]any{"name": n}).want(201)
	p.appKey, p.appKeyValue = k.id(), k.get("value")
	w.call("POST "+userKeys, p.user, map[string]any{"name": n, "organization_id": p.org}).want(201)
	p.feed = w.feed(n, p.org)
}

func (w *world) invitedTo(n string, p place) (id, token string) {
	w.t.Helper()
	i := w.call("POST /user_management/invitations", map[string]any{"email": "new@" + n + ".com", "organization_id": p.org}).want(201)
	return i.id(), i.get("token")
}

// TestAKeyOfOneOrganizationFindsNothingOfAnother is attack 82, over the whole table of routes: another's ids
// in the path, the query, the body and the cursor are those of nothing.
func TestAKeyOfOneOrganizationFindsNothingOfAnother(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.place("acme"), w.place("globex")
	mine.invitation, mine.token = w.invitedTo("acme", mine)
	theirs.invitation, theirs.token = w.invitedTo("globex", theirs)
	w.furnish("acme", &mine)
	w.furnish("globex", &theirs)
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(mine.org)})

	nowhere := place{
		org: "org_0", orgExternal: "0-org", domain: "org_domain_0", user: "user_0", userExternal: "0-user", membership: "om_0", role: "org-0", connection: "conn_0", session: "session_0",
		invitation: "invitation_0", token: strings.Repeat("A", 43), export: "audit_log_export_0",
		group: "group_0", groupRole: "gra_0", roleAssignment: "role_assignment_0", appKey: "api_key_0", appKeyValue: "ak_0", feed: feed{"directory_0", "directory_user_0", "directory_user_00", "directory_group_0"},
	}
	swap := func(from, to place) *strings.Replacer {
		return strings.NewReplacer(from.org, to.org, from.orgExternal, to.orgExternal, from.domain, to.domain, from.user, to.user, from.userExternal, to.userExternal,
			from.membership, to.membership, from.role, to.role, from.connection, to.connection, from.session, to.session, from.invitation, to.invitation, from.token, to.token, from.export, to.export,
			from.dir, to.dir, from.other, to.other, from.feed.user, to.feed.user, from.feed.group, to.feed.group, from.group, to.group, from.groupRole, to.groupRole,
			from.roleAssignment, to.roleAssignment, from.appKey, to.appKey, from.appKeyValue, to.appKeyValue)
	}
	params := func(p place, pattern string) (path string) {
		_, path, _ = strings.Cut(pattern, " ")
		id := p.org
		switch {
		case strings.Contains(path, "api_keys"):
			id = p.appKey
		case strings.Contains(path, "directories/"):
			id = p.dir
		case strings.Contains(path, "directory_users/"):
			id = p.feed.user
		case strings.Contains(path, "directory_groups/"):
			id = p.feed.group
		case strings.Contains(path, "organization_domains"):
			id = p.domain
		case strings.Contains(path, "users/"):
			id = p.user
		case strings.Contains(path, "organization_memberships"):
			id = p.membership
		case strings.Contains(path, "connections"):
			id = p.connection
		case strings.Contains(path, "invitations"):
			id = p.invitation
		}
		assignment := p.roleAssignment
		if strings.Contains(path, "groups/") {
			assignment = p.groupRole
		}
		external := p.orgExternal
		if strings.Contains(path, "users/") {
			external = p.userExternal
		}
		return strings.NewReplacer("{id}", id, "{external_id}", external, "{organizationId}", p.org, "{userlandUserId}", p.user, "{slug}", p.role, "{token}", p.token, "{permissionSlug}", "reports:read",
			"{groupId}", p.group, "{group_id}", p.group, "{omId}", p.membership, "{organization_membership_id}", p.membership, "{role_assignment_id}", assignment, "{auditLogExportId}", p.export, "{actionName}", "a.b", "{userId}", p.user).Replace(path)
	}
	bodies := func(p place, pattern string) string {
		switch pattern {
		case "POST /organization_domains":
			return fmt.Sprintf(`{"organization_id":%q,"domain":"x.com"}`, p.org)
		case "POST /user_management/organization_memberships":
			return fmt.Sprintf(`{"organization_id":%q,"user_id":%q}`, p.org, p.user)
		case "POST /user_management/invitations":
			return fmt.Sprintf(`{"organization_id":%q,"email":"x@x.com"}`, p.org)
		case "POST /orgate/v1/authorization/check":
			return fmt.Sprintf(`{"organization_membership_id":%q,"role_slug":"member"}`, p.membership)
		case "POST /user_management/sessions/revoke":
			return fmt.Sprintf(`{"session_id":%q}`, p.session)
		case "POST /orgate/v1/organizations/{organizationId}/connections":
			return `{"name":"x","type":"oidc"}`
		case "POST /portal/generate_link":
			return fmt.Sprintf(`{"organization":%q}`, p.org)
		case "POST /organizations/{organizationId}/groups", "POST /organizations/{organizationId}/api_keys":
			return `{"name":"x"}`
		case "POST " + groupMembers:
			return fmt.Sprintf(`{"organization_membership_id":%q}`, p.membership)
		case "POST " + groupRoles, "DELETE " + groupRoles:
			return `{"role_slug":"member"}`
		case "PUT " + groupRoles:
			return `{"role_assignments":[]}`
		case "POST " + memberRoles, "DELETE " + memberRoles:
			return fmt.Sprintf(`{"role_slug":"admin","resource_id":%q}`, p.org)
		case checkOf:
			return fmt.Sprintf(`{"permission_slug":"reports:read","resource_id":%q}`, p.org)
		case "POST " + userKeys:
			return fmt.Sprintf(`{"name":"x","organization_id":%q}`, p.org)
		case validations:
			return fmt.Sprintf(`{"value":%q}`, p.appKeyValue)
		case "POST /authorization/organizations/{organizationId}/roles":
			return `{"name":"x"}`
		case "PUT /authorization/organizations/{organizationId}/roles/{slug}/permissions":
			return `{"permissions":["reports:read"]}`
		case "POST /authorization/organizations/{organizationId}/roles/{slug}/permissions":
			return `{"slug":"reports:read"}`
		case writeEvent:
			return fmt.Sprintf(`{"organization_id":%q,"event":{"action":"a","occurred_at":"2026-05-01T00:00:00Z","actor":{"id":"x","type":"user"},"targets":[],"context":{"location":""}}}`, p.org)
		case createExport:
			return fmt.Sprintf(`{"organization_id":%q,"range_start":"2026-05-01T00:00:00Z","range_end":"2026-05-02T00:00:00Z"}`, p.org)
		case setRetention:
			return `{"retention_period_in_days":30}`
		}
		return "{}"
	}
	// What is the installation's is forbidden to a key for one organization, and the same for everybody.
	installation := []string{"POST /organizations", "POST /user_management/users", "/authorization/roles", "/authorization/permissions", "/webhook_endpoints", "/orgate/v1/webhook_endpoints", "/audit_logs/actions",
		"/auth/", "/user_management/magic_auth", "/user_management/password_reset", "/user_management/email_verification/"}
	at := w.head()
	for _, r := range w.keyed() {
		method, _, _ := strings.Cut(r.Pattern, " ")
		if slices.ContainsFunc(installation, func(s string) bool { return r.Pattern == s || strings.Contains(r.Pattern, " "+s) }) {
			if a := w.send(key, "", method, params(theirs, r.Pattern), strings.NewReader(bodies(theirs, r.Pattern))); method != "GET" && a.status != 403 {
				t.Errorf("%s: %d %s", r.Pattern, a.status, a.body)
			}
			continue
		}
		targets := map[string]string{"path": params(theirs, r.Pattern)}
		if !strings.Contains(r.Pattern, "{") && method == "GET" {
			delete(targets, "path")
			for _, q := range []string{"organization_id=" + theirs.org, "user_id=" + theirs.user, "organization=" + theirs.org, "email=jo@globex.com", "email=new@globex.com", "domains=globex.com", "search=globex", "domain=globex.com",
				"directory=" + theirs.dir, "group=" + theirs.feed.group, "user=" + theirs.feed.user, "directory=" + theirs.dir + "&idp_id=1", "directory=" + theirs.dir + "&email=jo@globex.com",
				"organization_id=" + mine.org + "&user_id=" + theirs.user, "organization_id=" + theirs.org + "&user_id=" + mine.user} {
				targets[q] = params(theirs, r.Pattern) + "?" + q
			}
		}
		for where, target := range targets {
			ask := func(as place) (answer, string) {
				a := w.send(key, r.Pattern, method, swap(theirs, as).Replace(target), strings.NewReader(bodies(as, r.Pattern)))
				return a, swap(as, place{}).Replace(strings.ReplaceAll(string(a.body), a.get("request_id"), ""))
			}
			a, text := ask(theirs)
			if _, nothing := ask(nowhere); text != nothing {
				t.Errorf("%s by %s: %s, and of what is nowhere %s", r.Pattern, where, text, nothing)
			}
			found := a.status < 400 && !strings.Contains(text, `"data":[]`) && text != `{"api_key":null}`
			if found || a.status == 403 || a.status == 409 || a.status >= 500 {
				t.Errorf("%s by %s: %d %s", r.Pattern, where, a.status, text)
			}
		}
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("something was changed: %q", n)
	}

	// Its own it finds: the test above would pass for a key that finds nothing.
	for _, r := range w.keyed() {
		method, _, _ := strings.Cut(r.Pattern, " ")
		if method != "GET" || r.Pattern == "GET /user_management/organization_memberships" || strings.Contains(r.Pattern, "/authorization/permissions/") ||
			r.Pattern == "GET /authorization/roles/{slug}" || strings.Contains(r.Pattern, "/identities") || strings.Contains(r.Pattern, "/webhook_endpoints") ||
			strings.Contains(r.Pattern, "/auth_factors") || slices.ContainsFunc(installation[5:], func(s string) bool { return strings.Contains(r.Pattern, " "+s) }) {
			continue
		}
		if a := w.send(key, r.Pattern, method, params(mine, r.Pattern), nil); a.status != 200 || strings.Contains(string(a.body), `"data":[]`) {
			t.Errorf("%s of its own: %d %s", r.Pattern, a.status, a.body)
		} else if strings.Contains(string(a.body), "globex") || strings.Contains(string(a.body), theirs.org) {
			t.Errorf("%s shows another's: %s", r.Pattern, a.body)
		}
	}
	// Nor does it say what is verified elsewhere, or say so itself.
	w.as(key, "PUT /organizations/{id}", mine.org, map[string]any{"domain_data": []any{map[string]any{"domain": "bank.com", "state": "verified"}}}).refused(403, "forbidden")
	w.call("PUT /organizations/{id}", theirs.org, map[string]any{"domain_data": []any{map[string]any{"domain": "bank.com", "state": "verified"}}}).want(200)
	w.as(key, "POST /organization_domains", map[string]any{"organization_id": mine.org, "domain": "bank.com"}).want(201)
	// Nor by which ids the app knows others.
	w.as(key, "PUT /organizations/{id}", mine.org, map[string]any{"external_id": theirs.orgExternal}).refused(403, "forbidden")
	w.as(key, "PUT /organizations/{id}", mine.org, map[string]any{"external_id": "of-nobody"}).refused(403, "forbidden")
	w.as(key, "PUT /organizations/{id}", mine.org, map[string]any{"external_id": mine.orgExternal, "name": "Acme"}).want(200)
	// What is a user's everywhere is not one organization's to change, though it knows them.
	for _, p := range []string{
		"PUT /user_management/users/{id}", "DELETE /user_management/users/{id}", "GET /user_management/users/{userlandUserId}/auth_factors", "POST /user_management/users/{id}/email_verification/send",
	} {
		w.as(key, p, mine.user, map[string]any{}).refused(403, "forbidden")
	}
	w.as(key, "POST /user_management/users/{userlandUserId}/auth_factors", mine.user, map[string]any{"type": "totp"}).refused(403, "forbidden")
	w.as(key, "POST /user_management/users/{id}/email_verification/confirm", mine.user, map[string]any{"code": "123456"}).refused(403, "forbidden")
	w.as(key, "POST /user_management/users/{id}/email_change/send", mine.user, map[string]any{"new_email": "mine@example.net"}).refused(403, "forbidden")
	w.as(key, "POST /user_management/users/{id}/email_change/confirm", mine.user, map[string]any{"code": "123456"}).refused(403, "forbidden")
	for _, p := range []string{"GET /auth/factors/{id}", "DELETE /auth/factors/{id}", "GET /user_management/magic_auth/{id}", "GET /user_management/password_reset/{id}", "GET /user_management/email_verification/{id}"} {
		w.as(key, p, "any").refused(403, "forbidden")
	}
	// With its organization goes the key.
	w.as(key, "DELETE /organizations/{id}", mine.org).want(202)
	w.as(key, "GET /organizations").refused(401, "unauthorized")
}
