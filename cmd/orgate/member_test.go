package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/tenancy"
)

// A command on a shared store may come before the first orgate of its version has made it known who are administrators: then it does
// not say that the last one is gone.
func TestACommandDoesNotWarnOfWhatTheStoreDoesNotKnowYet(t *testing.T) {
	c, err := config.ReadBytes("orgate.yaml", fmt.Appendf(nil, `
version: 1
public_url: http://login.localhost:8080
secrets_key: 0123456789abcdef0123456789abcdef
store: { postgres: { url: %q } }
apps: [{ name: app, host: "{org}.localhost", upstream: "http://127.0.0.1:3000" }]
`, pgtest.Start(t).URL()), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	do := func(f func(*store.Store) error) {
		t.Helper()
		if err := withStore(t.Context(), c, f); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(name string, args url.Values) string {
		t.Helper()
		said, err := operate(t.Context(), c, name, args)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	do(func(s *store.Store) error {
		return s.Update(t.Context(), func(tx store.Tx) error {
			return tenancy.SaveRole(tx, tenancy.Role{Slug: "admin"}, audit.System, time.Now())
		})
	})
	ask("org create", url.Values{"slug": {"acme"}, "name": {"Acme"}})
	who := url.Values{"org": {"acme"}, "email": {"jo@acme.test"}, "role": {"admin"}}
	ask("user create", who)
	ask("member add", who)
	if said := ask("member deactivate", who); strings.Contains(said, "warning") {
		t.Errorf("of an unindexed store it says %q", said)
	}
	ask("member reactivate", who)
	do(func(s *store.Store) error { return s.Reindex(t.Context()) }) // as the first orgate does
	if said := ask("member deactivate", who); !strings.Contains(said, "warning: acme has no active member with the role admin any more") {
		t.Errorf("of the last administrator it says %q", said)
	}
}
