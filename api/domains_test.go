package api_test

import (
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestADomainIsClaimedProvedAgainAndGivenUp(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	at := w.head()
	d := w.call("POST /organization_domains", map[string]any{"organization_id": org, "domain": "ACME.com"}).want(201)
	if d.get("state") != "pending" || d.get("domain") != "acme.com" || d.get("verification_strategy") != "dns" || len(d.get("verification_token")) != 25 || d.get("verification_prefix") == "" {
		t.Errorf("made %s", d.body)
	}
	w.call("POST /organization_domains", map[string]any{"organization_id": org, "domain": "acme.com"}).refused(409, "domain_already_exists")
	if got := w.call("GET /organization_domains/{id}", d.id()).want(200); string(got.body) != string(d.body) {
		t.Errorf("made %s, found %s", d.body, got.body)
	}
	w.do(func(tx store.Tx) error {
		return tenancy.FailDomain(tx, tenancy.OrgID(org), "acme.com", audit.System, w.clock())
	})
	again := w.call("POST /organization_domains/{id}/verify", d.id()).want(201)
	if again.get("state") != "pending" || again.get("verification_token") != d.get("verification_token") {
		t.Errorf("again: %s", again.body)
	}
	w.call("POST /organization_domains/{id}/verify", d.id()).want(201)
	w.do(func(tx store.Tx) error {
		for due, err := range tx.DueDomains(w.clock()) {
			if err != nil || string(due.ID) != d.id() {
				t.Errorf("due is %v, %v", due, err)
			}
			return nil
		}
		t.Error("the record will not be looked for")
		return nil
	})
	w.do(func(tx store.Tx) error {
		return tenancy.VerifyDomain(tx, tenancy.OrgID(org), "acme.com", tenancy.StrategyDNS, audit.System, w.clock())
	})
	w.call("POST /organization_domains/{id}/verify", d.id()).refused(400, "domain_already_verified")
	w.call("POST /organization_domains", map[string]any{"organization_id": w.organizationNamed("Globex"), "domain": "acme.com"}).refused(409, "domain_already_exists")
	w.call("DELETE /organization_domains/{id}", d.id()).want(204)
	for _, gone := range []answer{w.call("GET /organization_domains/{id}", d.id()), w.call("DELETE /organization_domains/{id}", d.id()), w.call("POST /organization_domains/{id}/verify", d.id())} {
		gone.refused(404, "entity_not_found")
	}
	same(t, "events", w.eventsSince(at), []string{
		audit.DomainCreated, audit.DomainVerificationFailed, audit.DomainUpdated, audit.DomainVerified, audit.OrganizationCreated, audit.DomainDeleted,
	})
	for _, body := range []map[string]any{
		{}, {"domain": "a.com"}, {"organization_id": org}, {"domain": "no domain", "organization_id": org}, {"domain": "gmail.com", "organization_id": org}, {"domain": "a.com", "organization_id": org, "state": "verified"},
	} {
		w.call("POST /organization_domains", body).refused(422, "invalid_request_parameters")
	}
	w.call("POST /organization_domains", map[string]any{"organization_id": "org_1", "domain": "a.com"}).refused(404, "entity_not_found")
}

func TestDomainsAndConnectionsOfTheYAMLAreReadOnly(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(p.org))
		if err != nil {
			return err
		}
		at := tenancy.Origin{File: "orgate.yaml", Line: 9}
		o.Managed = map[tenancy.Section]tenancy.Origin{tenancy.SectionDomains: at, tenancy.SectionConnections: at}
		return tx.PutOrganization(o)
	})
	for _, a := range []answer{
		w.call("POST /organization_domains", map[string]any{"organization_id": p.org, "domain": "b.com"}), w.call("DELETE /organization_domains/{id}", p.domain), w.call("DELETE /connections/{id}", p.connection),
	} {
		a.refused(409, "managed_by_config")
	}
	w.call("DELETE /organizations/{id}", p.org).want(202) // of which the YAML gives sections alone
}

func TestConnectionsAreListedReadAndDeleted(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	for query, want := range map[string][]string{
		"":                             {globex.connection, acme.connection},
		"?order=asc&limit=1":           {acme.connection},
		"?organization_id=" + acme.org: {acme.connection},
		"?organization_id=org_1":       {},
		"?connection_type=GenericOIDC&search=GLOB":    {globex.connection},
		"?connection_type=OktaSAML":                   {},
		"?domain=acme.com":                            {acme.connection},
		"?domain=nobody.com":                          {},
		"?after=" + globex.connection:                 {acme.connection},
		"?organization_id=" + acme.org + "&order=asc": {acme.connection},
	} {
		same(t, query, w.call("GET /connections", query).want(200).ids(), want)
	}
	at := w.head()
	w.call("DELETE /connections/{id}", acme.connection).want(204)
	w.call("GET /connections/{id}", acme.connection).refused(404, "entity_not_found")
	w.call("DELETE /connections/{id}", acme.connection).refused(404, "entity_not_found")
	same(t, "events", w.eventsSince(at), []string{audit.ConnectionDeleted})
}
