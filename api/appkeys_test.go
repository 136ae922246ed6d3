package api_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	organizationKeys = "/organizations/{organizationId}/api_keys"
	userKeys         = "/user_management/users/{userId}/api_keys"
	validations      = "POST /api_keys/validations"
)

// good returns the id of the key that the value is of, as a management key is told; empty: it is none that is good.
func (w *world) good(secret, value string) string {
	w.t.Helper()
	a := w.as(secret, validations, map[string]any{"value": value}).want(200)
	if _, ok := a.fields["api_key"]; !ok || len(a.fields) != 1 {
		w.t.Errorf("validation answers %s", a.body)
	}
	return a.get("api_key.id")
}

func TestAKeyForTheAppIsShownOnceAndGoodUntilItEnds(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	at := w.head()
	made := w.call("POST "+organizationKeys, acme.org, map[string]any{"name": "CI", "permissions": []any{"reports:read", "reports:delete", "reports:read"}}).want(201)
	value := made.get("value")
	if !strings.HasPrefix(value, "ak_") || len(value) != 46 || made.get("obfuscated_value") != "ak_..."+value[42:] || made.get("owner.id") != acme.org || made.get("owner.type") != "organization" {
		t.Errorf("made %s", made.body)
	}
	if w.good(w.secret, value) != made.id() {
		t.Error("it is not good")
	}
	a := w.call(validations, map[string]any{"value": value}).want(200)
	if a.get("api_key.permissions") != "[reports:delete reports:read]" || a.get("api_key.last_used_at") == "" {
		t.Errorf("validated %s", a.body)
	}
	list := w.call("GET "+organizationKeys, acme.org).want(200)
	if same(t, "listed", list.ids(), []string{made.id()}); strings.Contains(string(list.body), value) || strings.Contains(string(list.body), "hash") {
		t.Errorf("the list has the secret: %s", list.body)
	}
	for _, no := range []string{value + "x", value[:45], strings.ToUpper(value), "ak_", "sk_" + value[3:], " " + value, strings.Repeat("a", 10000), w.secret} {
		if w.good(w.secret, no) != "" {
			t.Errorf("%.60q is good", no)
		}
	}
	w.as(value, "GET /organizations").refused(401, "unauthorized") // it opens nothing of the API
	w.call(validations, map[string]any{}).refused(422, "invalid_request_parameters")
	w.call("DELETE /api_keys/{id}", made.id()).want(204)
	if w.good(w.secret, value) != "" {
		t.Error("it is good after it was deleted")
	}
	w.call("DELETE /api_keys/{id}", made.id()).refused(404, "entity_not_found")
	same(t, "events", w.eventsSince(at), []string{"api_key.created", "api_key.revoked"})
	changes, err := w.s.Feed(t.Context(), at, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if b, _ := json.Marshal(c.Event); strings.Contains(string(b), value) || strings.Contains(w.log.String(), value) {
			t.Errorf("an event or the log has the secret: %s", b)
		}
	}
}

func TestAKeyForTheAppExpiresWhenItIsTold(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	make := func() answer {
		t.Helper()
		return w.call("POST "+organizationKeys, acme.org, map[string]any{"name": "CI", "expires_at": w.clock().Add(time.Hour).Format(time.RFC3339)}).want(201)
	}
	k := make()
	value := k.get("value")
	at := w.head()
	never := w.call("POST /api_keys/{id}/expire", k.id(), map[string]any{"expires_at": nil}).want(200)
	if never.fields["expires_at"] != nil {
		t.Errorf("cleared: %s", never.body)
	}
	w.later(2 * time.Hour)
	if w.good(w.secret, value) == "" {
		t.Error("it expired although that was cleared")
	}
	w.call("POST /api_keys/{id}/expire", k.id(), map[string]any{"expires_at": w.clock().Add(time.Hour).Format(time.RFC3339)}).want(200)
	if w.good(w.secret, value) == "" {
		t.Error("it expired too soon")
	}
	w.later(time.Hour)
	if w.good(w.secret, value) != "" {
		t.Error("it did not expire")
	}
	w.call("POST /api_keys/{id}/expire", k.id(), map[string]any{"expires_at": nil}).refused(409, "api_key_already_expired")
	same(t, "events", w.eventsSince(at), []string{"api_key.updated", "api_key.updated"})
	changes, err := w.s.Feed(t.Context(), at, 1)
	if err != nil || !strings.Contains(string(changes[0].Event.Data), `"previous_attributes":{"expires_at":"2026-`) {
		t.Errorf("%s, %v", changes[0].Event.Data, err)
	}
	for name, body := range map[string]any{"without a body": nil, "empty": map[string]any{}, "past": map[string]any{"expires_at": "2020-01-01T00:00:00Z"}} {
		k := make()
		args := []any{k.id()}
		if body != nil {
			args = append(args, body)
		}
		w.call("POST /api_keys/{id}/expire", args...).want(200)
		if w.good(w.secret, k.get("value")) != "" {
			t.Errorf("%s: it is good", name)
		}
	}
	w.call("POST /api_keys/{id}/expire", make().id(), map[string]any{"expires_at": "tomorrow"}).refused(422, "invalid_request_parameters")
	w.call("POST /api_keys/{id}/expire", "api_key_1").refused(404, "entity_not_found")
	for _, body := range []map[string]any{
		{}, {"name": ""}, {"name": "a\nb"}, {"name": strings.Repeat("a", 257)}, {"name": "a", "expires_at": "2020-01-01T00:00:00Z"}, {"name": "a", "expires_at": 1},
		{"name": "a", "permissions": []any{"nothing"}}, {"name": "a", "permissions": "reports:read"}, {"name": "a", "read_only": true},
	} {
		w.call("POST "+organizationKeys, acme.org, body).refused(422, "invalid_request_parameters")
	}
}

func TestAKeyOfAMemberCanNoMoreThanTheMemberAndEndsWithThem(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slug": "admin"}).want(200)
	k := w.call("POST "+userKeys, acme.user, map[string]any{"name": "laptop", "organization_id": acme.org, "permissions": []any{"reports:delete", "reports:read"}}).want(201)
	if k.get("owner.type") != "user" || k.get("owner.id") != acme.user || k.get("owner.organization_id") != acme.org {
		t.Errorf("made %s", k.body)
	}
	value := k.get("value")
	may := func() string {
		t.Helper()
		a := w.call(validations, map[string]any{"value": value}).want(200)
		return a.get("api_key.permissions")
	}
	if got := may(); got != "[reports:delete reports:read]" {
		t.Errorf("as an admin: %s", got)
	}
	w.call("PUT /user_management/organization_memberships/{id}", acme.membership, map[string]any{"role_slug": "member"}).want(200)
	if got := may(); got != "[reports:read]" {
		t.Errorf("as a member: %s", got)
	}
	w.call("POST "+userKeys, acme.user, map[string]any{"name": "x", "organization_id": acme.org, "permissions": []any{"reports:delete"}}).refused(422, "invalid_request_parameters")
	w.call("POST "+userKeys, acme.user, map[string]any{"name": "x", "organization_id": globex.org}).refused(400, "user_not_active_member")
	w.call("POST "+userKeys, acme.user, map[string]any{"name": "x", "organization_id": "org_1"}).refused(404, "entity_not_found")
	w.call("POST "+userKeys, "user_1", map[string]any{"name": "x", "organization_id": acme.org}).refused(404, "entity_not_found")
	w.call("POST "+userKeys, acme.user, map[string]any{"name": "x"}).refused(422, "invalid_request_parameters")

	second := w.call("POST /user_management/organization_memberships", map[string]any{"user_id": acme.user, "organization_id": globex.org}).want(201).id()
	other := w.call("POST "+userKeys, acme.user, map[string]any{"name": "x", "organization_id": globex.org}).want(201)
	same(t, "all", w.call("GET "+userKeys, acme.user).want(200).ids(), []string{other.id(), k.id()})
	same(t, "of one", w.call("GET "+userKeys, acme.user, "?organization_id="+acme.org).want(200).ids(), []string{k.id()})
	same(t, "a page", w.call("GET "+userKeys, acme.user, "?limit=1&after="+other.id()).want(200).ids(), []string{k.id()})
	same(t, "the organization's own", w.call("GET "+organizationKeys, acme.org).want(200).ids(), []string{})

	w.call("PUT /user_management/organization_memberships/{id}/deactivate", acme.membership).want(200)
	if w.good(w.secret, value) != "" || w.good(w.secret, other.get("value")) == "" {
		t.Error("deactivated: it is good, or that of another organization is not")
	}
	w.call("PUT /user_management/organization_memberships/{id}/reactivate", acme.membership).want(200)
	if w.good(w.secret, value) == "" {
		t.Error("reactivated: it is not good")
	}
	w.call("DELETE /user_management/organization_memberships/{id}", second).want(200)
	same(t, "left", w.call("GET "+userKeys, acme.user).want(200).ids(), []string{k.id()})
	at := w.head()
	w.call("DELETE /user_management/users/{id}", acme.user).want(200)
	if w.good(w.secret, value) != "" || w.eventsSince(at)[0] != "api_key.revoked" {
		t.Errorf("the user is gone: %q", w.eventsSince(at))
	}
}

func TestKeysForTheAppAreValidatedForTheirOrganizationAlone(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	mine := w.call("POST "+organizationKeys, acme.org, map[string]any{"name": "CI"}).want(201)
	theirs := w.call("POST "+organizationKeys, globex.org, map[string]any{"name": "CI"}).want(201)
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	if w.good(key, mine.get("value")) != mine.id() || w.good(key, theirs.get("value")) != "" {
		t.Error("a key of one organization validates another's, or not its own")
	}
	w.as(key, "DELETE /api_keys/{id}", theirs.id()).refused(404, "entity_not_found")
	reader := w.key(session.APIKey{Name: "reader", ReadOnly: true})
	if w.good(reader, mine.get("value")) != mine.id() {
		t.Error("a key that changes nothing can't validate")
	}
	w.as(reader, checkOf, acme.membership, map[string]any{"permission_slug": "reports:read", "resource_id": acme.org}).want(200)
	w.as(reader, "POST /api_keys/{id}/expire", mine.id()).refused(403, "forbidden")
	w.do(func(tx store.Tx) error {
		return tenancy.Suspend(tx, tenancy.OrgID(acme.org), audit.System, w.clock())
	})
	if w.good(w.secret, mine.get("value")) != "" {
		t.Error("a key of a suspended organization is good")
	}
	w.call("DELETE /organizations/{id}", globex.org).want(202)
	if w.good(w.secret, theirs.get("value")) != "" {
		t.Error("a key of a deleted organization is good")
	}
	w.do(func(tx store.Tx) error {
		if _, err := tx.AppKeyByID(tenancy.AppKeyID(theirs.id())); err == nil {
			t.Error("it is there still")
		}
		return nil
	})
}

func TestAnOwnerHasUpToTwoHundredKeysForTheApp(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	w.do(func(tx store.Tx) error {
		for range tenancy.MaxAppKeys - 1 {
			if _, _, err := tenancy.CreateAppKey(tx, tenancy.AppKey{Organization: tenancy.OrgID(acme.org), Name: "x"}, audit.System, w.clock()); err != nil {
				return err
			}
		}
		return nil
	})
	// Under -race: of many who make the last one, one does.
	var wg sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 4 {
		wg.Go(func() {
			a := w.call("POST "+organizationKeys, acme.org, map[string]any{"name": "last"})
			mu.Lock()
			defer mu.Unlock()
			if a.status == 201 {
				made++
			} else {
				a.refused(400, "api_key_limit_exceeded")
			}
		})
	}
	if wg.Wait(); made != 1 {
		t.Errorf("%d were made", made)
	}
}
