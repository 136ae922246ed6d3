package sso_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/tenancy"
)

// Whoever has proved who they are and is not let in is in the organization's audit log, with why.
func TestWhoIsRefusedAtSignInIsTakenDown(t *testing.T) {
	w := newWorld(t)
	book := denial.New(w.store, slog.New(slog.DiscardHandler), w.clock.Now)
	w.load(func(o *sso.Options) { o.Denials = book })
	w.organization("acme", func(o *tenancy.Organization) { o.JITSSO, o.AutoJoin = false, true }, person("alice", "acme.test"))
	w.member("acme", "alice@acme.test", policy.Inactive)
	w.browser().to("acme", "/", "alice@acme.test").as("alice").sees(http.StatusForbidden, "Your access to Acme has ended")
	w.browser().get(w.at("acme", "/")) // nobody yet: that is no denial
	ctx, stop := context.WithCancel(t.Context())
	stop()
	book.Run(ctx)
	events := w.events(audit.AccessDenied)
	if len(events) != 1 {
		t.Fatalf("%d denials", len(events))
	}
	e := events[0]
	if e.Organization != string(org("acme")) || e.Actor.Type != "user" || e.Actor.Name != "alice@acme.test" || !strings.Contains(string(e.Data), `"source":"membership","reason":"deactivated"`) {
		t.Errorf("%+v %s", e, e.Data)
	}
}
