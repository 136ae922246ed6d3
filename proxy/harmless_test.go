package proxy

import (
	"testing"

	"github.com/orgate/orgate/audit"
)

// A mail that its server refuses, or a receiver of webhooks that is down, is no reason to read every
// grant anew: a stranger could have that done all day.
func TestWhatFailsOutsideDropsNoGrant(t *testing.T) {
	for _, name := range []string{audit.MailFailed, audit.WebhookFailed, audit.WebhookEndpointDisabled, audit.WebhookEndpointCreated, audit.AccessDenied, audit.AccessDenialsDropped, audit.AuditLogEventCreated} {
		if s := scopesOf(&audit.Event{Name: name}); len(s) != 0 {
			t.Errorf("%s drops %v", name, s)
		}
	}
	if s := scopesOf(&audit.Event{Name: "orgate.something.new"}); len(s) == 0 {
		t.Error("an event that nobody has thought of drops nothing")
	}
}
