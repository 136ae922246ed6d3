package api_test

import (
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestSessionsAreListedWhileTheyCanBeUsedAndRevoked(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	parent, child := w.browser(p.user, p.org)
	w.do(func(tx store.Tx) error { // one that nobody has used for longer than may be
		return tx.PutSession(session.Session{
			ID: "session_IDLE", User: tenancy.UserID(p.user), Token: session.NewToken().Hash(), CreatedAt: w.now.Add(-2 * time.Hour), SeenAt: w.now.Add(-2 * time.Hour), ExpiresAt: w.now.Add(time.Hour),
		})
	})
	list := w.call("GET /user_management/users/{id}/sessions", p.user, "?order=asc").want(200)
	same(t, "sessions", list.ids(), []string{p.session, string(child), string(parent)})
	at := w.head()
	w.call("POST /user_management/sessions/revoke", map[string]any{"session_id": string(parent)}).want(200)
	if !w.ended(parent) || !w.ended(child) {
		t.Error("a session lives on")
	}
	w.call("POST /user_management/sessions/revoke", map[string]any{"session_id": string(parent)}).want(200) // again is nothing
	same(t, "events", w.eventsSince(at), []string{audit.SessionRevoked, audit.SessionRevoked})
	w.call("POST /user_management/sessions/revoke", map[string]any{"session_id": "session_1"}).refused(404, "entity_not_found")
	w.call("POST /user_management/sessions/revoke", map[string]any{}).refused(422, "invalid_request_parameters")
	same(t, "sessions", w.call("GET /user_management/users/{id}/sessions", p.user, "?limit=1").ids(), []string{p.session})
	w.call("GET /user_management/users/{id}/sessions", "user_1").refused(404, "entity_not_found")
}

func TestIdentitiesAreThoseAtSocialProviders(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	w.do(func(tx store.Tx) error {
		for _, i := range []tenancy.Identity{{Connection: tenancy.SocialConnection("google.0123"), Subject: "g"}, {Connection: tenancy.ConnectionID(p.connection), Organization: tenancy.OrgID(p.org), Subject: "s"}} {
			i.User = tenancy.UserID(p.user)
			if err := tx.PutIdentity(i); err != nil {
				return err
			}
		}
		return nil
	})
	a := w.call("GET /user_management/users/{id}/identities", p.user).want(200)
	if want := `[{"idp_id":"g","type":"OAuth","provider":"GoogleOAuth"}]`; string(a.body) != want {
		t.Errorf("got %s", a.body)
	}
	w.call("GET /user_management/users/{id}/identities", "user_1").refused(404, "entity_not_found")
}
