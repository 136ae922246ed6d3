package api_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAnOrganizationIsCreatedReadChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	o := w.call("POST /organizations", map[string]any{
		"name": "Acme Inc.", "external_id": "acme-1", "metadata": map[string]any{"tier": "gold", "seats": "7"},
		"domain_data": []any{map[string]any{"domain": "ACME.com", "state": "verified"}, map[string]any{"domain": "acme.au", "state": "pending"}},
	}).want(201)
	if o.get("name") != "Acme Inc." || o.get("external_id") != "acme-1" || o.get("metadata.tier") != "gold" || o.get("slug") != "acme-inc" {
		t.Errorf("made %s", o.body)
	}
	same(t, "events", w.eventsSince(at), []string{audit.OrganizationCreated, audit.DomainCreated, audit.DomainVerified, audit.DomainCreated})
	for _, found := range []answer{w.call("GET /organizations/{id}", o.id()), w.call("GET /organizations/external_id/{external_id}", "acme-1")} {
		if found.want(200); string(found.body) != string(o.body) {
			t.Errorf("made %s, found %s", o.body, found.body)
		}
	}

	at = w.head()
	changed := w.call("PUT /organizations/{id}", o.id(), map[string]any{"name": "Acme", "external_id": nil, "metadata": map[string]any{"tier": nil, "plan": "b"}}).want(200)
	if changed.get("name") != "Acme" || changed.get("external_id") != "" || fmt.Sprint(changed.fields["metadata"]) != "map[plan:b seats:7]" || changed.get("slug") != "acme-inc" {
		t.Errorf("changed to %s", changed.body)
	}
	w.call("PUT /organizations/{id}", o.id(), map[string]any{"name": "Acme"}).want(200)
	same(t, "events", w.eventsSince(at), []string{audit.OrganizationUpdated})
	w.call("GET /organizations/external_id/{external_id}", "acme-1").refused(404, "entity_not_found")

	w.call("PUT /organizations/{id}", o.id(), map[string]any{"domain_data": []any{}}).want(200)
	if got := w.call("GET /organizations/{id}", o.id()); len(got.fields["domains"].([]any)) != 0 {
		t.Errorf("domains taken away: %s", got.body)
	}
	w.call("DELETE /organizations/{id}", o.id()).want(202)
	w.call("GET /organizations/{id}", o.id()).refused(404, "entity_not_found")
	w.call("PUT /organizations/{id}", o.id(), map[string]any{"name": "x"}).refused(404, "entity_not_found")
	w.call("DELETE /organizations/{id}", o.id()).refused(404, "entity_not_found")
}

func TestWhatIsWrongWithAnOrganizationIsSaidFieldByField(t *testing.T) {
	w := newWorld(t)
	w.call("POST /organizations", map[string]any{"name": "a", "external_id": "taken", "domain_data": []any{map[string]any{"domain": "taken.com", "state": "verified"}}}).want(201)
	long := map[string]any{}
	for i := range 51 {
		long[fmt.Sprint(i)] = "x"
	}
	for _, c := range []struct {
		body   any
		status int
		code   string
		faults string
	}{
		{map[string]any{}, 422, "invalid_request_parameters", "name: required"},
		{map[string]any{"name": nil}, 422, "invalid_request_parameters", "name: required"},
		{map[string]any{"name": "  "}, 422, "invalid_request_parameters", "name: required"},
		{map[string]any{"name": 7}, 422, "invalid_request_parameters", "name: invalid_type"},
		{map[string]any{"name": "a\nb"}, 422, "invalid_request_parameters", "name: invalid"},
		{map[string]any{"Name": "a"}, 422, "invalid_request_parameters", "Name: unknown name: required"},
		{map[string]any{"name": "a", "title": 1, "id": "org_1"}, 422, "invalid_request_parameters", "id: unknown title: unknown"},
		{map[string]any{"name": "a", "metadata": []any{}}, 422, "invalid_request_parameters", "metadata: invalid_type"},
		{map[string]any{"name": "a", "metadata": map[string]any{"k": 7}}, 422, "invalid_request_parameters", "metadata.k: invalid_type"},
		{map[string]any{"name": "a", "metadata": long}, 400, "invalid_metadata", ""},
		{map[string]any{"name": "a", "metadata": map[string]any{"k": strings.Repeat("ü", 601)}}, 400, "invalid_metadata", ""},
		{map[string]any{"name": "a", "metadata": map[string]any{strings.Repeat("k", 41): "v"}}, 400, "invalid_metadata", ""},
		{map[string]any{"name": "a", "external_id": "taken"}, 400, "external_id_already_used", ""},
		{map[string]any{"name": "a", "external_id": "ü"}, 422, "invalid_request_parameters", "external_id: invalid"},
		{map[string]any{"name": "a", "external_id": strings.Repeat("x", 129)}, 422, "invalid_request_parameters", "external_id: invalid"},
		{map[string]any{"name": "a", "domain_data": "x"}, 422, "invalid_request_parameters", "domain_data: invalid_type"},
		{map[string]any{"name": "a", "domain_data": []any{1, map[string]any{"domain": "a.com", "state": "good", "x": 1}}}, 422, "invalid_request_parameters",
			"domain_data[0]: invalid_type domain_data[1].state: invalid domain_data[1].x: unknown"},
		{map[string]any{"name": "a", "domain_data": []any{map[string]any{"domain": "gmail.com", "state": "verified"}}}, 422, "invalid_request_parameters", "domain_data[0].domain: invalid"},
		{map[string]any{"name": "a", "domain_data": []any{map[string]any{"domain": "taken.com", "state": "verified"}}}, 409, "domain_already_exists", ""},
		{map[string]any{"name": "a", "domains": []any{"a.com"}, "domain_data": []any{}}, 422, "invalid_request_parameters", "domains: invalid"},
		{map[string]any{"name": "a", "allow_profiles_outside_organization": true}, 422, "invalid_request_parameters", "allow_profiles_outside_organization: not_supported"},
	} {
		at := w.head()
		a := w.call("POST /organizations", c.body).refused(c.status, c.code)
		if got := strings.Join(a.faults(), " "); got != c.faults {
			t.Errorf("%v: %q, want %q", c.body, got, c.faults)
		}
		if n := w.eventsSince(at); len(n) > 0 {
			t.Errorf("%v: refused, with events %q", c.body, n)
		}
	}
	for raw, want := range map[string]string{
		`{"name":"a","name":"b"}`: "422 invalid_request_parameters", `[]`: "400 invalid_body", `{"name":"a"} {}`: "400 invalid_body", `{`: "400 invalid_body",
		"{\"name\":\"\xff\"}": "400 invalid_body", `{"name":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`: "400 invalid_body",
		`{"name":"` + strings.Repeat("x", 300<<10) + `"}`: "413 request_too_large",
	} {
		a := w.send(w.secret, "POST /organizations", "POST", "/organizations", strings.NewReader(raw))
		if got := fmt.Sprint(a.status, " ", a.get("code")); got != want {
			t.Errorf("%.40s: %s, want %s", raw, got, want)
		}
	}
}

func TestOrganizationsOfOneNameGetHostsOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	seen := map[string]bool{}
	for _, name := range []string{"Acme", "Acme", "ACME!", "login", "Ü", "", "xn--foo", strings.Repeat("long ", 40), "a"} {
		if name == "" {
			name = "…"
		}
		slug := w.call("POST /organizations", map[string]any{"name": name}).want(201).get("slug")
		if _, err := tenancy.ParseSlug(slug); err != nil || seen[slug] || tenancy.ReservedSlug(slug) {
			t.Errorf("%q: slug %q, %v", name, slug, err)
		}
		seen[slug] = true
	}
}

func TestOrganizationsAreListedByDomainAndByName(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, w.call("POST /organizations", map[string]any{
			"name":        fmt.Sprint("Company ", i),
			"domain_data": []any{map[string]any{"domain": "shared.com", "state": "pending"}, map[string]any{"domain": fmt.Sprintf("c%d.com", i), "state": "verified"}},
		}).want(201).id())
	}
	for query, want := range map[string][]string{
		"?domains=c3.com&order=asc":                      {ids[3]},
		"?domains=C3.com,c1.com&order=asc":               {ids[1], ids[3]},
		"?domains[]=c1.com&domains[]=c3.com":             {ids[3], ids[1]},
		"?domains=shared.com,c1.com&order=asc&limit=2":   {ids[0], ids[1]},
		"?domains=shared.com&limit=2&after=" + ids[4]:    {ids[3], ids[2]},
		"?domains=nobody.com":                            {},
		"?search=COMPANY%205":                            {ids[5]},
		"?search=nobody":                                 {},
		"?search=company&domains=c2.com":                 {ids[2]},
		"?order=asc&limit=1&before=" + ids[2]:            {ids[1]},
		"?limit=2&after=org_00000000000000000000000000":  {},
		"?limit=2&before=org_00000000000000000000000000": {ids[1], ids[0]},
	} {
		same(t, query, w.call("GET /organizations", query).want(200).ids(), want)
	}
}

func TestWhatTheYAMLOwnsIsReadOnlyAndSaysWhere(t *testing.T) {
	w := newWorld(t)
	var o tenancy.Organization
	w.do(func(tx store.Tx) (err error) {
		o, err = tenancy.SaveOrganization(tx, tenancy.Organization{
			Slug: "acme", Name: "Acme", ConfigDigest: "x",
			Managed: map[tenancy.Section]tenancy.Origin{tenancy.SectionSettings: {File: "tenants/acme.yaml", Line: 3}, tenancy.SectionDomains: {File: "tenants/acme.yaml", Line: 7}},
		}, audit.System, w.now)
		return err
	})
	id := string(o.ID)
	for line, a := range map[string]answer{
		"tenants/acme.yaml:3": w.call("PUT /organizations/{id}", id, map[string]any{"name": "Other"}),
		"tenants/acme.yaml:7": w.call("PUT /organizations/{id}", id, map[string]any{"domain_data": []any{}}),
	} {
		if a.refused(409, "managed_by_config"); !strings.Contains(a.get("message"), line) {
			t.Errorf("%s does not name %s", a.body, line)
		}
	}
	w.call("DELETE /organizations/{id}", id).refused(409, "managed_by_config")
	// What the YAML does not say is the API's.
	w.call("PUT /organizations/{id}", id, map[string]any{"name": "Acme", "external_id": "1", "metadata": map[string]any{"a": "b"}}).want(200)
	// One that left the YAML is suspended, and is the API's to delete.
	w.do(func(tx store.Tx) error { return tenancy.Suspend(tx, o.ID, audit.System, w.now) })
	w.call("DELETE /organizations/{id}", id).want(202)
}

func TestPagesOfEveryOrderAndSizeHoldEverythingOnce(t *testing.T) {
	w := newWorld(t)
	var up []string
	for i := range 7 {
		up = append(up, w.organizationNamed(fmt.Sprint("o", i)))
	}
	down := make([]string, len(up))
	for i, id := range up {
		down[len(up)-1-i] = id
	}
	for _, order := range []string{"asc", "desc", "normal"} {
		for limit := 1; limit <= 8; limit++ {
			want, forth, back := down, "after", "before"
			switch order {
			case "asc":
				want = up
			case "normal":
				forth, back = "before", "after"
			}
			var got, again []string
			var last answer
			for query := fmt.Sprintf("?order=%s&limit=%d", order, limit); ; {
				last = w.call("GET /organizations", query).want(200)
				got = append(got, last.ids()...)
				next := last.get("list_metadata." + forth)
				if next == "" {
					break
				}
				query = fmt.Sprintf("?order=%s&limit=%d&%s=%s", order, limit, forth, next)
			}
			same(t, fmt.Sprint(order, " by ", limit), got, want)
			for again = last.ids(); ; {
				prev := last.get("list_metadata." + back)
				if prev == "" {
					break
				}
				last = w.call("GET /organizations", fmt.Sprintf("?order=%s&limit=%d&%s=%s", order, limit, back, prev)).want(200)
				again = append(last.ids(), again...)
			}
			same(t, fmt.Sprint(order, " by ", limit, ", back"), again, want)
		}
	}
}

func TestAPageIsTheSameWhateverIsMadeAndDeletedBesideIt(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, w.organizationNamed(fmt.Sprint("o", i)))
	}
	w.call("DELETE /organizations/{id}", ids[3]).want(202) // the cursor's own
	w.organizationNamed("younger")
	same(t, "after what is gone", w.call("GET /organizations", "?limit=2&after="+ids[3]).ids(), []string{ids[2], ids[1]})
	same(t, "before what is gone", w.call("GET /organizations", "?limit=1&before="+ids[3]).ids(), []string{ids[4]})
}

func TestABadQueryIsRefusedParameterByParameter(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string]string{
		"?limit=0": "limit: invalid", "?limit=101": "limit: invalid", "?limit=1.5": "limit: invalid", "?limit=%2B1": "limit: invalid", "?limit=01": "limit: invalid",
		"?order=up": "order: invalid", "?after=user_1": "after: invalid", "?after=org_": "after: invalid", "?after=org_%00": "after: invalid",
		"?before=org_1&after=org_2": "after: invalid", "?limit=1&limit=2": "limit: invalid", "?organisation=x": "organisation: unknown", "?a=%zz": "<nil>: invalid",
		"?limit=x&order=y": "limit: invalid order: invalid",
	} {
		a := w.call("GET /organizations", query).refused(422, "invalid_request_parameters")
		if got := strings.Join(a.faults(), " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	w.call("GET /organizations", "?limit=&after=&search=&domains=").want(200) // as SDKs write undefined
}

func TestARemovalThatWasCutOffIsFinishedAtTheNextStart(t *testing.T) {
	w := newWorld(t)
	p, other := w.place("acme"), w.place("globex")
	w.do(func(tx store.Tx) error {
		return tenancy.BeginRemoval(tx, tenancy.OrgID(p.org), audit.System, w.clock())
	})
	for _, a := range []answer{
		w.call("GET /organizations/{id}", p.org), w.call("GET /organizations/external_id/{external_id}", p.orgExternal), w.call("GET /organization_domains/{id}", p.domain),
		w.call("GET /connections/{id}", p.connection), w.call("GET /user_management/organization_memberships/{id}", p.membership), w.call("DELETE /organizations/{id}", p.org),
	} {
		a.refused(404, "entity_not_found")
	}
	same(t, "organizations", w.call("GET /organizations").ids(), []string{other.org})
	same(t, "connections", w.call("GET /connections").ids(), []string{other.connection})
	same(t, "memberships", w.call("GET /user_management/organization_memberships", "?user_id="+p.user).ids(), []string{})
	if err := w.s.Update(t.Context(), func(tx store.Tx) error { return tenancy.Resume(tx, tenancy.OrgID(p.org), audit.System, w.clock()) }); !errors.Is(err, tenancy.ErrState) {
		t.Errorf("it came back: %v", err)
	}
	if err := api.FinishRemovals(t.Context(), w.s, w.clock); err != nil {
		t.Fatal(err)
	}
	w.do(func(tx store.Tx) error {
		if _, err := tx.Organization(tenancy.OrgID(p.org)); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("it is still there: %v", err)
		}
		if _, err := tx.OrganizationBySlug("globex"); err != nil {
			t.Error(err)
		}
		return nil
	})
}
