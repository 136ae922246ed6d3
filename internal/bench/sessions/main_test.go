package main

import (
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// inStore calls f in a transaction of the store in dir.
func inStore(t *testing.T, dir string, f func(store.Tx) error) {
	t.Helper()
	e, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(e, store.Options{})
	if err := s.Update(t.Context(), f); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestEveryCookieIsALiveSessionOfAMember(t *testing.T) {
	dir, people, now := t.TempDir(), 2*atOnce*writers+1, time.Now()
	inStore(t, dir, func(tx store.Tx) error {
		if err := tenancy.SaveRole(tx, tenancy.Role{Slug: "member"}, audit.System, now); err != nil {
			return err
		}
		org, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Acme", JITSSO: true}, audit.System, now)
		if err != nil {
			return err
		}
		if err := tx.PutDomain(tenancy.Domain{ID: "org_domain_1", Organization: org.ID, Name: "acme.test", State: tenancy.DomainVerified}); err != nil {
			return err
		}
		return tx.PutConnection(tenancy.Connection{ID: "conn_1", Organization: org.ID, Name: "idp", Type: "oidc", OIDC: &tenancy.OIDCConnection{Issuer: "https://idp.acme.test"}})
	})
	var out strings.Builder
	if err := run(t.Context(), dir, "acme", "acme.localhost", people, &out); err != nil {
		t.Fatal(err)
	}
	users := map[tenancy.UserID]bool{}
	inStore(t, dir, func(tx store.Tx) error {
		for line := range strings.Lines(out.String()) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			token, ok := session.ParseToken(value)
			if name != "__Host-orgate_session" || !ok {
				t.Errorf("cookie %q", line)
			}
			s, _, err := session.Live(tx, token.Hash(), "acme.localhost:8080", session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour}, time.Now())
			if err != nil {
				return err
			}
			if m, err := tx.Membership(s.Organization, s.User); err != nil || m.Status != policy.Active {
				t.Errorf("membership %+v, %v", m, err)
			}
			users[s.User] = true
		}
		return nil
	})
	if len(users) != people {
		t.Errorf("%d people of %d", len(users), people)
	}
}

func TestPeopleOfAnOrganizationThatIsNotThereAreAnError(t *testing.T) {
	err := run(t.Context(), t.TempDir(), "acme", "acme.localhost", 1, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "organization acme") {
		t.Errorf("error %v", err)
	}
}
