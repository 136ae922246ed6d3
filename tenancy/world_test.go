package tenancy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var operator = audit.Actor{Type: "config", Name: "orgate.yaml"}

// A world is a store with two organizations: Acme has acme.com and an identity
// provider, Globex has globex.com and another.
type world struct {
	t            testing.TB
	s            *store.Store
	now          time.Time
	acme, globex tenancy.Organization
	okta, entra  tenancy.Connection // of Acme and of Globex
	seen         uint64
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.s = storetest.OpenAt(t, func() time.Time { return w.now })
	w.must(func(tx store.Tx) (err error) {
		for i, slug := range []string{"member", "admin", "auditor"} {
			if err := tenancy.SaveRole(tx, tenancy.Role{Slug: slug, Priority: i}, operator, w.now); err != nil {
				return err
			}
		}
		if w.acme, w.okta, err = w.organization(tx, "acme", "okta"); err != nil {
			return err
		}
		w.globex, w.entra, err = w.organization(tx, "globex", "entra")
		return err
	})
	w.events()
	return w
}

func (w *world) organization(tx store.Tx, slug, conn string) (o tenancy.Organization, c tenancy.Connection, err error) {
	o, err = tenancy.SaveOrganization(tx, tenancy.Organization{Slug: tenancy.Slug(slug), Name: slug, JITSSO: true}, operator, w.now)
	if err != nil {
		return o, c, err
	}
	if err := tenancy.SetDomains(tx, o.ID, []tenancy.DomainClaim{{Name: slug + ".com", Verified: true}}, operator, w.now); err != nil {
		return o, c, err
	}
	c, err = tenancy.SaveConnection(tx, tenancy.Connection{
		Organization: o.ID, Name: conn, Type: "oidc", OIDC: &tenancy.OIDCConnection{Issuer: "https://idp.test", ClientSecret: []byte("sealed")},
	}, operator, w.now)
	return o, c, err
}

// must runs f in a transaction that must commit.
func (w *world) must(f func(tx store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// try runs f in a transaction and returns its error.
func (w *world) try(f func(tx store.Tx) error) error {
	w.t.Helper()
	return w.s.Update(w.t.Context(), f)
}

// events returns the names of the events since the last call, in order.
func (w *world) events() []string {
	w.t.Helper()
	var names []string
	for _, e := range w.changes() {
		names = append(names, e.Name)
	}
	return names
}

func (w *world) changes() []audit.Event {
	w.t.Helper()
	var es []audit.Event
	for {
		changes, err := w.s.Feed(w.t.Context(), w.seen, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(changes) == 0 {
			return es
		}
		for _, c := range changes {
			es = append(es, c.Event)
			w.seen = c.Position
		}
	}
}

func (w *world) wantEvents(want ...string) {
	w.t.Helper()
	if got := w.events(); !slices.Equal(got, want) {
		w.t.Errorf("events are %q, want %q", got, want)
	}
}

// user makes a user with no identity.
func (w *world) user(email string, proved bool) tenancy.User {
	w.t.Helper()
	u := tenancy.User{ID: tenancy.UserID("user_" + email), Email: email, EmailVerified: proved, CreatedAt: w.now, UpdatedAt: w.now}
	w.must(func(tx store.Tx) error { return tx.PutUser(u) })
	return u
}

// set makes a membership in this state, past all rules.
func (w *world) set(org tenancy.OrgID, user tenancy.UserID, s policy.Standing) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		if s == policy.NoMember {
			return tx.DeleteMembership(org, user)
		}
		return tx.PutMembership(tenancy.Membership{ID: "om_1", Organization: org, User: user, Status: s, Roles: []string{"auditor"}, RoleSource: tenancy.RoleManual})
	})
}

// membership returns the membership; its zero value if there is none.
func (w *world) membership(org tenancy.OrgID, user tenancy.UserID) (m tenancy.Membership) {
	w.t.Helper()
	w.must(func(tx store.Tx) error { m, _ = tx.Membership(org, user); return nil })
	return m
}
