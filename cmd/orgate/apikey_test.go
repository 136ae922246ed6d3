package main

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
)

// What create prints opens, list says whose it is, and after revoke it opens nothing.
func TestAnAPIKeyIsMadeListedAndRevokedByTheCommandLine(t *testing.T) {
	s := storetest.Open(t)
	o := operating{by: audit.System, now: time.Now()}
	ask := func(name string, args url.Values) string {
		t.Helper()
		said, err := carryOut(t.Context(), s, o, name, args)
		if err != nil {
			t.Fatal(err)
		}
		return said
	}
	made := strings.Fields(ask("api-key create", url.Values{"name": {"backend"}, "read_only": {"true"}, "expires_in": {"1h"}}))
	if len(made) != 2 {
		t.Fatalf("create says %q", made)
	}
	opens := func() (k session.APIKey, err error) {
		_ = s.View(t.Context(), func(tx store.Tx) error {
			k, _, err = session.FindAPIKey(tx, session.SecretOf(made[1]), o.now)
			return nil
		})
		return k, err
	}
	if k, err := opens(); err != nil || string(k.ID) != made[0] || !k.ReadOnly || k.ExpiresAt.IsZero() {
		t.Errorf("it opens %+v, %v", k, err)
	}
	if said := ask("api-key list", nil); !strings.Contains(said, made[0]+"  backend") || !strings.Contains(said, "read") || strings.Contains(said, made[1]) {
		t.Errorf("list says %q", said)
	}
	if said := ask("api-key revoke", url.Values{"id": {made[0]}}); said != made[0]+": revoked\n" {
		t.Errorf("revoke says %q", said)
	}
	if _, err := opens(); !errors.Is(err, session.ErrEnded) {
		t.Errorf("after that: %v", err)
	}
	if said := ask("api-key list", nil); !strings.Contains(said, "revoked") {
		t.Errorf("list says %q", said)
	}
	for _, args := range []url.Values{{"name": {"x"}, "expires_in": {"soon"}}, {"name": {"x"}, "expires_in": {"-1h"}}, {"name": {""}}, {"name": {"x"}, "org": {"nobody"}}} {
		if said, err := carryOut(t.Context(), s, o, "api-key create", args); err == nil {
			t.Errorf("%v: %q", args, said)
		}
	}
}
