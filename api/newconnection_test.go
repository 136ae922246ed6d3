package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAConnectionIsMadeWhereTheConfigurationGivesNone(t *testing.T) {
	const create = "POST /orgate/v1/organizations/{organizationId}/connections"
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	okta := map[string]any{"name": "okta", "type": "oidc", "issuer": "https://acme.okta.com", "client_id": "orgate", "client_secret": "a secret of the client"}
	at := w.head()
	a := w.call(create, acme.org, okta).want(201)
	same(t, "events", w.eventsSince(at), []string{"connection.activated"})
	if a.get("connection_type") != "GenericOIDC" || a.get("state") != "active" || a.get("organization_id") != acme.org {
		t.Errorf("made %s", a.body)
	}
	changes, err := w.s.Feed(t.Context(), at, 10)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(changes); strings.Contains(string(a.body)+string(b)+w.log.String(), "a secret of") || strings.Contains(string(a.body), "client_secret") {
		t.Errorf("the secret is shown: %s", a.body)
	}
	w.call("GET /connections/{id}", a.id()).want(200)
	w.do(func(tx store.Tx) error {
		c, err := tx.Connection(tenancy.OrgID(acme.org), tenancy.ConnectionID(a.id()))
		if err != nil {
			return err
		}
		plain, err := w.hookRules.Box.Open("client secret", a.id(), c.OIDC.ClientSecret)
		if string(plain) != "a secret of the client" || strings.Contains(string(c.OIDC.ClientSecret), "secret of") {
			t.Errorf("sealed: %q", c.OIDC.ClientSecret)
		}
		return err
	})
	w.call(create, acme.org, okta).refused(409, "connection_name_conflict")
	for field, v := range map[string]any{"issuer": "bad", "name": "", "disabled": "yes", "metadata_file": "/etc/passwd", "id": "conn_1"} {
		body := map[string]any{"name": "x", "type": "oidc", field: v}
		w.call(create, acme.org, body).refused(422, "invalid_request_parameters")
	}
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	w.as(key, create, globex.org, okta).refused(404, "entity_not_found")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(globex.org))
		if err != nil {
			return err
		}
		o.Managed = map[tenancy.Section]tenancy.Origin{tenancy.SectionConnections: {File: "orgate.yaml", Line: 7}}
		return tx.PutOrganization(o)
	})
	w.call(create, globex.org, okta).refused(409, "managed_by_config")
}

// Each sign-in and each grant reads all connections of the organization.
func TestAnOrganizationHasNoMoreConnectionsThanAreReadAtEachSignIn(t *testing.T) {
	const create = "POST /orgate/v1/organizations/{organizationId}/connections"
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	conn := func(n int) map[string]any {
		return map[string]any{"name": fmt.Sprint("c", n), "type": "oidc", "issuer": "https://acme.okta.com", "client_id": "orgate"}
	}
	made := 0
	var last answer
	for ; made <= tenancy.MaxConnections; made++ {
		if last = w.as(key, create, acme.org, conn(made)); last.status != 201 {
			break
		}
	}
	last.refused(400, "connection_limit_exceeded")
	w.call(create, globex.org, conn(0)).want(201)
	w.as(key, "DELETE /connections/{id}", w.as(key, "GET /connections").ids()[0]).want(204)
	w.as(key, create, acme.org, conn(made)).want(201)
}
