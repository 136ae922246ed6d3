package api_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestALinkToThePortalIsOfOneOrganizationAndOpenForFiveMinutes(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	at := w.head()
	a := w.call("POST /portal/generate_link", map[string]any{
		"organization": acme.org, "intent": "sso", "return_url": "https://app.example.com/back", "success_url": "http://localhost:3000/done", "it_contact_emails": []any{"IT@acme.com"},
	}).want(201)
	token, ok := strings.CutPrefix(a.get("link"), "https://login.example.com/portal/")
	if !ok || len(token) != 43 {
		t.Fatalf("made %s", a.body)
	}
	changes, err := w.s.Feed(t.Context(), at, 10)
	if err != nil || len(changes) != 1 || changes[0].Event.Name != "orgate.portal_link.created" || !strings.Contains(string(changes[0].Event.Data), `"it_contact_emails":["it@acme.com"]`) {
		t.Errorf("%+v, %v", changes, err)
	}
	if b, _ := json.Marshal(changes); strings.Contains(string(b), token) {
		t.Errorf("the event has the token: %s", b)
	}
	open := func() (l tenancy.PortalLink, err error) {
		parsed, ok := tenancy.ParsePortalToken(token)
		if !ok {
			t.Fatal("its token can't be read")
		}
		err = w.s.View(t.Context(), func(tx store.Tx) (err error) {
			l, _, err = tenancy.OpenPortalLink(tx, parsed, w.clock())
			return err
		})
		return l, err
	}
	if l, err := open(); err != nil || string(l.Organization) != acme.org || l.Intent != tenancy.PortalSSO || l.Token == token {
		t.Errorf("%+v, %v", l, err)
	}
	w.later(5*time.Minute - time.Second)
	if _, err := open(); err != nil {
		t.Errorf("too soon: %v", err)
	}
	w.later(time.Second)
	if _, err := open(); err == nil {
		t.Error("it is open still")
	}

	w.call("POST /portal/generate_link", map[string]any{"organization": acme.org, "intent": nil}).want(201)
	w.call("POST /portal/generate_link", map[string]any{"organization": acme.org, "admin_emails": []any{"it@acme.com"}}).want(201)
	w.call("POST /portal/generate_link", map[string]any{"organization": "org_1"}).refused(404, "entity_not_found")
	many := make([]any, 21)
	for i := range many {
		many[i] = "it@acme.com"
	}
	for _, fields := range []map[string]any{
		{"organization": nil}, {"intent": "everything"}, {"intent": "bring_your_own_key"}, {"return_url": "http://app.example.com"}, {"return_url": "javascript:alert(1)"}, {"return_url": "//app.example.com"},
		{"return_url": "https://a:b@app.example.com"}, {"return_url": "https:app"}, {"success_url": "https://"}, {"success_url": "https://a/" + strings.Repeat("x", 2048)}, {"it_contact_emails": []any{"nobody"}}, {"it_contact_emails": many},
		{"it_contact_emails": []any{"a@b.com"}, "admin_emails": []any{"a@b.com"}}, {"intent_options": map[string]any{"sso": map[string]any{}}}, {"user": "x"},
	} {
		body := map[string]any{"organization": acme.org}
		maps.Copy(body, fields)
		w.call("POST /portal/generate_link", body).refused(422, "invalid_request_parameters")
	}
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	w.as(key, "POST /portal/generate_link", map[string]any{"organization": acme.org}).want(201)
	w.as(key, "POST /portal/generate_link", map[string]any{"organization": globex.org}).refused(404, "entity_not_found")
}
