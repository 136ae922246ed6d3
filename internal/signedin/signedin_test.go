package signedin_test

import (
	"testing"

	"github.com/orgate/orgate/internal/signedin"
	"github.com/orgate/orgate/session"
)

func TestNobodyIsSignedInUntilAGuardSaysSo(t *testing.T) {
	if s, ok := signedin.From(t.Context()); ok {
		t.Fatalf("an empty context has %v", s.ID)
	}
	ctx := signedin.With(t.Context(), session.Session{ID: "session_1"})
	if s, ok := signedin.From(ctx); !ok || s.ID != "session_1" {
		t.Fatalf("got %q, %v", s.ID, ok)
	}
}
