package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// These tests go over the table of routes, so that an operation that is added is tested by them too.

// bodiless are the operations that have no body. Whatever is sent with one is not read.
var bodiless = []string{
	"POST /organization_domains/{id}/verify",
	"PUT /user_management/organization_memberships/{id}/deactivate", "PUT /user_management/organization_memberships/{id}/reactivate",
	"POST /user_management/invitations/{id}/accept", "POST /user_management/invitations/{id}/revoke",
}

// An aim is a route with what is there for each of its parameters.
type aim struct{ pattern, method, path string }

// aims are all operations, at one organization's things.
func (w *world) aims() []aim {
	w.t.Helper()
	p := w.place("acme")
	p.invitation, p.token = w.invitedTo("acme", p)
	endpoint := w.call(createWebhook, endpointAt("https://a.test", "user.created")).want(201).id()
	var all []aim
	for _, r := range w.keyed() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		id := p.org
		for part, thing := range map[string]string{
			"organization_domains/": p.domain, "users/": p.user, "organization_memberships/": p.membership, "connections/": p.connection, "invitations/": p.invitation, "webhook_endpoints/": endpoint,
		} {
			if strings.Contains(path, part) {
				id = thing
			}
		}
		external := p.orgExternal
		if strings.Contains(path, "users/") {
			external = p.userExternal
		}
		role := p.role
		if !strings.Contains(path, "{organizationId}") {
			role = "member"
		}
		if strings.Contains(path, "/permissions/{slug}") {
			role = "reports:read"
		}
		path = strings.NewReplacer("{id}", id, "{external_id}", external, "{organizationId}", p.org, "{slug}", role, "{token}", p.token, "{permissionSlug}", "reports:read").Replace(path)
		all = append(all, aim{r.Pattern, method, path})
	}
	return all
}

// hasBody reports whether the operation reads a body.
func (a aim) hasBody() bool {
	return a.method != http.MethodGet && a.method != http.MethodDelete && !slices.Contains(bodiless, a.pattern)
}

// shot sends a body, and fails unless it is refused with the status and the code, with no event.
func (w *world) shot(a aim, what, body string, status int, code string) answer {
	w.t.Helper()
	at := w.head()
	w.later(time.Second) // many are sent here
	got := w.send(w.secret, a.pattern, a.method, a.path, strings.NewReader(body))
	if got.status != status || got.get("code") != code {
		w.t.Errorf("%s with %s: %d %.300s, want %d %s", a.pattern, what, got.status, got.body, status, code)
	}
	if n := w.eventsSince(at); len(n) > 0 {
		w.t.Errorf("%s with %s: events %q", a.pattern, what, n)
	}
	return got
}

func TestNoOperationTakesABodyThatIsNone(t *testing.T) {
	w := newWorld(t)
	big := `{"name":"` + strings.Repeat("a", 10<<20) + `"}`
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	deepList := `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}"
	n := 0
	for _, a := range w.aims() {
		if !a.hasBody() {
			continue
		}
		n++
		w.shot(a, "10 MB", big, 413, "request_too_large")
		w.shot(a, "5,000 objects in each other", deep, 400, "invalid_body")
		w.shot(a, "100,000 lists in each other", deepList, 400, "invalid_body")
		w.shot(a, "a NUL byte", "{\"name\":\"a\x00\"}", 400, "invalid_body")
		w.shot(a, "a NUL byte at the end", "{}\x00", 400, "invalid_body")
		w.shot(a, "no UTF-8", "{\"name\":\"\xff\"}", 400, "invalid_body")
		w.shot(a, "a list", `[{"name":"a"}]`, 400, "invalid_body")
		w.shot(a, "two objects", `{} {}`, 400, "invalid_body")
		w.shot(a, "half an object", `{"name":`, 400, "invalid_body")
		w.shot(a, "XML", `<name>a</name>`, 400, "invalid_body")
		for _, twice := range []string{`{"name":"a","name":"b"}`, `{"name":"a","n\u0061me":"b"}`} {
			got := w.shot(a, "a name twice", twice, 422, "invalid_request_parameters")
			same(t, a.pattern+" with a name twice", got.faults(), []string{"name: duplicate"})
		}
		got := w.shot(a, "a field that nobody knows", `{"nobody_knows":1}`, 422, "invalid_request_parameters")
		if !slices.Contains(got.faults(), "nobody_knows: unknown") {
			t.Errorf("%s: a field that nobody knows is not named: %s", a.pattern, got.body)
		}
	}
	if n < 20 {
		t.Errorf("only %d operations have a body", n)
	}
}

// TestAFieldOfAnotherTypeIsNamed gives each field that the reference has what is not of its type.
func TestAFieldOfAnotherTypeIsNamed(t *testing.T) {
	w := newWorld(t)
	others := map[string][]string{
		"string": {"1", "true", "[]", "{}"}, "boolean": {"1", `"true"`, "[]", "{}"}, "integer": {`"1"`, "true", "1.5", "[]", "1e400"}, "array": {"1", `"a"`, "{}", "[1]", "[[]]"}, "object": {"1", `"a"`, "[]"},
	}
	tried := 0
	for _, a := range w.aims() {
		if !a.hasBody() {
			continue
		}
		fields := reference(t).bodyOf(a.pattern)
		if own, ok := ownBodies[a.pattern]; ok {
			fields = own
		} else if strings.HasPrefix(a.path, "/orgate/v1/") {
			t.Errorf("%s is not in ownBodies: which fields has it?", a.pattern)
		}
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			if slices.Contains(hints, name) {
				continue
			}
			for _, value := range others[fields[name]] {
				tried++
				got := w.shot(a, name+": "+value, fmt.Sprintf(`{%q:%s}`, name, value), 422, "invalid_request_parameters")
				if !slices.ContainsFunc(got.faults(), func(f string) bool { return strings.HasPrefix(f, name) }) {
					t.Errorf("%s with %s: %s: the field is not named: %s", a.pattern, name, value, got.body)
				}
			}
		}
	}
	if tried < 200 {
		t.Errorf("only %d were tried", tried)
	}
}

// hints are fields that are taken and change nothing here; see body.ignored.
var hints = []string{"ip_address", "user_agent", "signals_id", "radar_auth_attempt_id"}

// ownBodies are the fields of the operations that the reference does not have.
var ownBodies = map[string]map[string]string{
	"POST /orgate/v1/authorization/check": {
		"organization_membership_id": "string", "role_slug": "string", "permission_slug": "string", "condition": "string", "context": "object", "route": "object",
	},
	"POST /orgate/v1/organizations/{organizationId}/connections": {
		"name": "string", "type": "string", "issuer": "string", "client_id": "string", "client_secret": "string", "groups_claim": "string", "metadata_url": "string", "entity_id": "string", "sso_url": "string",
		"slo_url": "string", "binding": "string", "name_id": "string", "email_attribute": "string", "name_attribute": "string", "first_name_attribute": "string", "last_name_attribute": "string", "groups_attribute": "string",
		"scopes": "array", "certificates": "array", "disabled": "boolean", "sign_requests": "boolean", "idp_initiated": "boolean",
	},
	"POST /orgate/v1/webhook_endpoints/{id}/redeliver": {"event_id": "string", "since": "string"},
}

// bodyOf returns the fields of an operation's body and their types, as the reference has them.
func (c *contract) bodyOf(pattern string) map[string]string {
	method, path, _ := strings.Cut(pattern, " ")
	item, _ := c.paths[path].(map[string]any)
	op, _ := item[strings.ToLower(method)].(map[string]any)
	body, _ := op["requestBody"].(map[string]any)
	content, _ := body["content"].(map[string]any)
	kind, _ := content["application/json"].(map[string]any)
	fields := map[string]string{}
	c.collect(kind["schema"], fields)
	return fields
}

func (c *contract) collect(v any, fields map[string]string) {
	s := c.resolved(v)
	for _, parts := range []string{"allOf", "oneOf", "anyOf"} {
		list, _ := s[parts].([]any)
		for _, p := range list {
			c.collect(p, fields)
		}
	}
	properties, _ := s["properties"].(map[string]any)
	for name, p := range properties {
		if kind := c.kind(p); kind != "" {
			fields[name] = kind
		}
	}
}

// kind is the one type of a schema, beside null; "" if there are several.
func (c *contract) kind(v any) string {
	s := c.resolved(v)
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) == 2 && t[1] == "null" {
			return fmt.Sprint(t[0])
		}
	}
	return ""
}

func (c *contract) resolved(v any) map[string]any {
	m, _ := v.(map[string]any)
	for ref, ok := m["$ref"].(string); ok; ref, ok = m["$ref"].(string) {
		schemas := c.doc["components"].(map[string]any)["schemas"].(map[string]any)
		m, _ = schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any)
	}
	return m
}

// TestNothingThatIsSentIsAFaultOfOurs puts in each parameter and field what has broken others: it is taken
// or refused, and never a 500, and what is taken comes back as it was.
func TestNothingThatIsSentIsAFaultOfOurs(t *testing.T) {
	w := newWorld(t)
	nasty := []string{"\x00", "a\x00b", "\r\nX-Evil: 1", "=cmd|' /C calc'!A0", "'; DROP TABLE rows; --", "../../etc/passwd", "\u202e\ufeff", strings.Repeat("ä", 5000), "%00", "${SECRET}", "<script>", "\U0001f600"}
	aims := w.aims()
	for _, a := range aims {
		if strings.HasPrefix(a.pattern, "DELETE") {
			continue // of the things that the others are about
		}
		for _, value := range nasty {
			w.later(time.Second)
			at := strings.LastIndex(a.path, "/")
			if strings.Contains(a.pattern, "{") { // the last parameter of the path
				target := a.path[:at+1] + escaped(value)
				if got := w.send(w.secret, "", a.method, target, nil); got.status >= 500 || got.status < 400 {
					t.Errorf("%s %q: %d %.300s", a.method, target, got.status, got.body)
				}
			}
			if a.method == http.MethodGet {
				for _, parameter := range []string{"organization_id", "email", "search", "domains", "after", "order", "limit", "statuses", "events", "range_start"} {
					target := a.path + "?" + parameter + "=" + escaped(value)
					if got := w.send(w.secret, "", a.method, target, nil); got.status >= 500 {
						t.Errorf("%s: %d %.300s", target, got.status, got.body)
					}
				}
			}
		}
		if !a.hasBody() {
			continue
		}
		fields := reference(t).bodyOf(a.pattern)
		if own, ok := ownBodies[a.pattern]; ok {
			fields = own
		}
		for _, value := range nasty {
			body := object{}
			for name, kind := range fields {
				switch kind {
				case "string":
					body[name] = value
				case "array":
					body[name] = []string{value}
				case "object":
					body[name] = object{value: value}
				}
			}
			w.later(time.Second)
			b, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if got := w.send(w.secret, "", a.method, a.path, strings.NewReader(string(b))); got.status >= 500 || got.header.Get("X-Evil") != "" {
				t.Errorf("%s with %q everywhere: %d %.300s", a.pattern, value, got.status, got.body)
			}
			for name := range fields { // and in one at a time
				w.later(time.Second)
				b, err := json.Marshal(object{name: body[name]})
				if err != nil {
					t.Fatal(err)
				}
				if got := w.send(w.secret, "", a.method, a.path, strings.NewReader(string(b))); got.status >= 500 {
					t.Errorf("%s with %s = %q: %d %.300s", a.pattern, name, value, got.status, got.body)
				}
			}
		}
	}
	if strings.Contains(w.log.String(), "\nX-Evil") {
		t.Error("a line of the log is not ours")
	}
}

// escaped is a value as it is in a path or a query.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// TestAParameterThatNobodyKnowsIsNamedEverywhere: what is misspelt must not be read as not given.
func TestAParameterThatNobodyKnowsIsNamedEverywhere(t *testing.T) {
	w := newWorld(t)
	for _, a := range w.aims() {
		at := w.head()
		body := ""
		switch {
		case a.pattern == checkOperation:
			body = `{"organization_membership_id":"om_0","role_slug":"member"}`
		case a.hasBody(): // what is wrong with it must not hide what is wrong with the query
			body = "{}"
		}
		w.later(time.Minute)
		got := w.send(w.secret, a.pattern, a.method, a.path+"?nobody_knows=1", strings.NewReader(body))
		if got.status != 422 || !strings.Contains(string(got.body), "nobody_knows") && !a.hasBody() {
			t.Errorf("%s?nobody_knows=1: %d %s", a.pattern, got.status, got.body)
		}
		if n := w.eventsSince(at); len(n) > 0 {
			t.Errorf("%s?nobody_knows=1: events %q", a.pattern, n)
		}
	}
}
