package api_test

import (
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	webhooks      = "GET /webhook_endpoints"
	createWebhook = "POST /webhook_endpoints"
	updateWebhook = "PATCH /webhook_endpoints/{id}"
	deleteWebhook = "DELETE /webhook_endpoints/{id}"
)

func endpointAt(url string, events ...string) map[string]any {
	return map[string]any{"endpoint_url": url, "events": append([]string{}, events...)}
}

func TestAWebhookEndpointShowsItsSecretOnceAndIsChangedAndDeleted(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	e := w.call(createWebhook, endpointAt("https://a.test/hook?k=1", "user.created", audit.DomainLapsing)).want(201)
	secret := e.get("secret")
	if _, err := hook.SecretKey(secret); err != nil || e.get("status") != "enabled" || e.get("endpoint_url") != "https://a.test/hook?k=1" || e.get("events") != "[user.created "+audit.DomainLapsing+"]" {
		t.Errorf("made %s", e.body)
	}
	for _, change := range []map[string]any{{"status": "disabled"}, {"status": "enabled"}, {"events": []string{}}, {"endpoint_url": "https://b.test"}, {"events": nil}, {}} {
		a := w.call(updateWebhook, e.id(), change).want(200)
		if a.get("secret") != "" {
			t.Errorf("the secret is told again: %s", a.body)
		}
	}
	a := w.call(webhooks).want(200)
	if text := string(a.body); len(a.ids()) != 1 || strings.Contains(text, secret) || !strings.Contains(text, `"endpoint_url":"https://b.test"`) || !strings.Contains(text, `"events":[]`) {
		t.Errorf("listed %s", text)
	}
	if a := w.call(deleteWebhook, e.id()).want(204); len(a.body) > 0 {
		t.Errorf("deleted: %s", a.body)
	}
	w.call(deleteWebhook, e.id()).refused(404, "entity_not_found")
	w.call(updateWebhook, e.id(), map[string]any{"status": "enabled"}).refused(404, "entity_not_found")
	same(t, "endpoints", w.call(webhooks).ids(), []string{})
	names := []string{audit.WebhookEndpointCreated}
	for range 6 {
		names = append(names, audit.WebhookEndpointUpdated)
	}
	same(t, "events", w.eventsSince(at), append(names, audit.WebhookEndpointDeleted))
	if strings.Contains(w.log.String(), secret) {
		t.Error("the log has the secret")
	}
}

func TestAWebhookEndpointIsRefusedInTheWordsOfTheReference(t *testing.T) {
	w := newWorld(t)
	w.call(createWebhook, endpointAt("https://a.test", audit.Subscribable()...)).want(201) // all there are
	b := w.call(createWebhook, endpointAt("https://b.test", "user.created")).want(201).id()
	at := w.head()
	for _, c := range []struct {
		body   map[string]any
		status int
		code   string
	}{
		{endpointAt("https://a.test", "user.created"), 409, "duplicate_endpoint"},
		{endpointAt("http://c.test", "user.created"), 422, "invalid_url"},
		{endpointAt("https://c.test#x", "user.created"), 422, "invalid_url"},
		{endpointAt("https://c.test", "user.beheaded"), 422, "unknown_event_type"},
		{map[string]any{"endpoint_url": "https://c.test", "events": "user.created"}, 422, "invalid_request_parameters"},
		{map[string]any{"endpoint_url": 1}, 422, "invalid_request_parameters"},
		{map[string]any{"endpoint_url": "https://c.test", "events": []string{}, "secret": "mine"}, 422, "invalid_request_parameters"},
	} {
		w.call(createWebhook, c.body).refused(c.status, c.code)
		w.call(updateWebhook, b, c.body).refused(c.status, c.code)
	}
	same(t, "without anything", w.call(createWebhook, map[string]any{}).refused(422, "invalid_request_parameters").faults(), []string{"endpoint_url: required", "events: required"})
	same(t, "null", w.call(createWebhook, map[string]any{"endpoint_url": "https://c.test", "events": nil}).refused(422, "invalid_request_parameters").faults(), []string{"events: required"})
	w.call(updateWebhook, b, map[string]any{"status": "asleep"}).refused(422, "invalid_request_parameters")
	w.call(webhooks, "?after=org_1").refused(422, "invalid_request_parameters")
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
	w.do(func(tx store.Tx) error {
		for n := range hook.MaxEndpoints - 2 {
			to := "https://x.test/" + strings.Repeat("x", n+1)
			if _, _, err := hook.Create(tx, w.hooks(), hook.Wish{URL: &to}, audit.System, w.clock()); err != nil {
				return err
			}
		}
		return nil
	})
	w.call(createWebhook, endpointAt("https://c.test")).refused(409, "too_many_endpoints")
}

func TestAWebhookEndpointOfTheConfigurationIsReadOnlyButForItsStatus(t *testing.T) {
	w := newWorld(t)
	to, secret := "https://conf.test", "whsec_"+strings.Repeat("QUJD", 8)
	w.do(func(tx store.Tx) error {
		return hook.Manage(tx, w.hooks(), []hook.Wish{{URL: &to, Events: []string{"user.created"}, Secret: secret}}, audit.System, w.clock())
	})
	id := w.call(webhooks).want(200).ids()[0]
	w.call(updateWebhook, id, map[string]any{"events": []string{}}).refused(409, "managed_by_config")
	w.call(updateWebhook, id, map[string]any{"endpoint_url": "https://else.test", "status": "disabled"}).refused(409, "managed_by_config")
	w.call(deleteWebhook, id).refused(409, "managed_by_config")
	if a := w.call(updateWebhook, id, map[string]any{"status": "disabled"}).want(200); a.get("status") != "disabled" || strings.Contains(string(a.body), secret) {
		t.Errorf("%s", a.body)
	}
}

func TestWebhookEndpointsAreListedAPageAtATime(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for _, n := range []string{"a", "b", "c"} {
		ids = append(ids, w.call(createWebhook, endpointAt("https://"+n+".test")).want(201).id())
	}
	for query, want := range map[string][]string{
		"":                         {ids[2], ids[1], ids[0]},
		"?order=asc&limit=2":       {ids[0], ids[1]},
		"?limit=1&after=" + ids[2]: {ids[1]},
		"?before=" + ids[1]:        {ids[2]},
	} {
		same(t, query, w.call(webhooks, query).want(200).ids(), want)
	}
}

// Webhooks tell of every organization, so no key for one makes, sees or ends any.
func TestAKeyOfOneOrganizationHasNothingToDoWithWebhooks(t *testing.T) {
	w := newWorld(t)
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(w.organizationNamed("Acme"))})
	id := w.call(createWebhook, endpointAt("https://a.test")).want(201).id()
	at := w.head()
	for _, id := range []string{id, "we_0"} {
		w.as(key, webhooks).refused(403, "forbidden")
		w.as(key, createWebhook, endpointAt("https://b.test")).refused(403, "forbidden")
		w.as(key, updateWebhook, id, map[string]any{"status": "disabled"}).refused(403, "forbidden")
		w.as(key, deleteWebhook, id).refused(403, "forbidden")
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

// Who did not hear the answer hears the same secret; it is not in what is stored.
func TestAWebhookEndpointIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	const body = `{"endpoint_url":"https://a.test","events":[]}`
	_, first := w.named(w.secret, "n", "/webhook_endpoints", body)
	status, second := w.named(w.secret, "n", "/webhook_endpoints", body)
	if first != second || status != 201 || !strings.Contains(first, "whsec_") || len(w.call(webhooks).ids()) != 1 {
		t.Errorf("%s, %d %s", first, status, second)
	}
	w.hookRules.Box = newBox(t)
	if status, text := w.named(w.secret, "n", "/webhook_endpoints", body); status != 409 || !strings.Contains(text, "idempotency_key_reused") {
		t.Errorf("with its key gone: %d %s", status, text)
	}
}

// What was asked to be sent again waits for its delivery, whatever became of it before.
func TestEventsAreSentAgainByTheAPIAsByTheCommand(t *testing.T) {
	const redeliver = "POST /orgate/v1/webhook_endpoints/{id}/redeliver"
	w := newWorld(t)
	e := w.call(createWebhook, endpointAt("https://a.test", "organization.created")).want(201).id()
	org := w.organizationNamed("Acme")
	w.call("POST /user_management/users", map[string]any{"email": "jo@acme.com"}).want(201)
	events := map[string]string{}
	for _, name := range []string{"organization.created", "user.created"} {
		events[name] = w.call("GET /events", "?events="+name).want(200).ids()[0]
	}
	waiting := func() (all []string) {
		t.Helper()
		w.do(func(tx store.Tx) error {
			all = nil
			for d, err := range tx.WebhookDeliveries(hook.ID(e)) {
				if err != nil {
					return err
				}
				all = append(all, d.Event)
			}
			return nil
		})
		return all
	}
	same(t, "waiting at first", waiting(), nil)

	// One event, also one that the endpoint is not subscribed to.
	for _, name := range []string{"organization.created", "user.created"} {
		if a := w.call(redeliver, e, map[string]any{"event_id": events[name]}).want(202); a.get("webhook_endpoint_id") != e {
			t.Errorf("%s", a.body)
		}
	}
	same(t, "waiting", waiting(), []string{events["organization.created"], events["user.created"]})

	// All since a time are queued a part at a time, by whoever delivers.
	w.call(redeliver, e, map[string]any{"since": "2026-05-01T00:00:00Z"}).want(202)
	w.do(func(tx store.Tx) error {
		for r, err := range tx.WebhookReplays() {
			if err != nil || r.Endpoint != hook.ID(e) || r.Until == 0 {
				t.Errorf("%+v, %v", r, err)
			}
			return err
		}
		t.Error("nothing is to be replayed")
		return nil
	})

	for _, c := range []struct {
		body   map[string]any
		status int
		want   string
	}{
		{map[string]any{}, 422, "event_id: required"},
		{map[string]any{"event_id": events["user.created"], "since": "2026-05-01T00:00:00Z"}, 422, "since: invalid"},
		{map[string]any{"since": "yesterday"}, 422, "since: invalid"},
		{map[string]any{"event_id": 1}, 422, "event_id: invalid_type"},
		{map[string]any{"event": "x"}, 422, "event: unknown"},
		{map[string]any{"event_id": "event_0"}, 404, ""},
	} {
		a := w.call(redeliver, e, c.body)
		if a.status != c.status || c.want != "" && !strings.Contains(strings.Join(a.faults(), " "), c.want) {
			t.Errorf("%v: %d %s", c.body, a.status, a.body)
		}
	}
	w.call(redeliver, "we_0", map[string]any{"event_id": events["user.created"]}).refused(404, "entity_not_found")
	w.as(w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(org)}), redeliver, e, map[string]any{"event_id": events["user.created"]}).refused(403, "forbidden")
}
