package api_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// A meter counts what is read of an engine.
type meter struct {
	store.Engine
	reads atomic.Int64
}

func (m *meter) View(ctx context.Context, f func(store.KV) error) error {
	return m.Engine.View(ctx, func(kv store.KV) error { return f(meteredKV{kv, m}) })
}

func (m *meter) Update(ctx context.Context, f func(store.KV) error) error {
	return m.Engine.Update(ctx, func(kv store.KV) error { return f(meteredKV{kv, m}) })
}

func (m *meter) Feed(ctx context.Context, pos uint64, limit int) ([]store.Entry, error) {
	es, err := m.Engine.Feed(ctx, pos, limit)
	m.reads.Add(int64(len(es)))
	return es, err
}

type meteredKV struct {
	store.KV
	m *meter
}

func (kv meteredKV) Get(key []byte) ([]byte, error) {
	kv.m.reads.Add(1)
	return kv.KV.Get(key)
}

func (kv meteredKV) Scan(prefix, from []byte, reverse bool) iter.Seq2[store.Pair, error] {
	return func(yield func(store.Pair, error) bool) {
		for p, err := range kv.KV.Scan(prefix, from, reverse) {
			kv.m.reads.Add(1)
			if !yield(p, err) {
				return
			}
		}
	}
}

// TestAPageCostsTheSameWhereverItIs reads pages at the beginning, in the middle and at the end of long lists, and
// counts the rows that are read for each.
func TestAPageCostsTheSameWhereverItIs(t *testing.T) {
	w := newWorld(t) // for its clock
	s, m := meteredStore(t, w.clock)
	const n = 2000
	var secret session.Secret
	update := func(f func(store.Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx store.Tx) (err error) {
		_, secret, err = session.CreateAPIKey(tx, session.APIKey{Name: "all"}, audit.System, w.clock())
		return err
	})
	ids := map[string][]string{}
	for i := range n {
		update(func(tx store.Tx) error {
			org, user, om, conn, inv := fmt.Sprintf("org_%026d", i), fmt.Sprintf("user_%026d", i), fmt.Sprintf("om_%026d", i), fmt.Sprintf("conn_%026d", i), fmt.Sprintf("invitation_%026d", i)
			ids["org"], ids["user"], ids["om"], ids["conn"] = append(ids["org"], org), append(ids["user"], user), append(ids["om"], om), append(ids["conn"], conn)
			ids["invitation"] = append(ids["invitation"], inv)
			if err := tx.PutInvitation(tenancy.Invitation{ID: tenancy.InvitationID(inv), Organization: "org_00000000000000000000000000", Email: "jo@acme.com", Token: inv, RevokedAt: w.now}); err != nil {
				return err
			}
			if err := tx.PutOrganization(tenancy.Organization{ID: tenancy.OrgID(org), Slug: tenancy.Slug(fmt.Sprint("o", i))}); err != nil {
				return err
			}
			if err := tx.PutUser(tenancy.User{ID: tenancy.UserID(user), Email: fmt.Sprintf("u%d@acme.com", i)}); err != nil {
				return err
			}
			if err := tx.PutConnection(tenancy.Connection{ID: tenancy.ConnectionID(conn), Organization: "org_00000000000000000000000000", Name: conn, Type: "oidc"}); err != nil {
				return err
			}
			e := audit.New(audit.OrganizationCreated, audit.System, w.clock())
			e.Organization = org
			if err := audit.Record(tx, e, map[string]string{}); err != nil {
				return err
			}
			ids["event"] = append(ids["event"], e.ID)
			return tx.PutMembership(tenancy.Membership{ID: tenancy.MembershipID(om), Organization: "org_00000000000000000000000000", User: tenancy.UserID(user), Status: policy.Active})
		})
	}
	a, err := api.New(api.Options{
		Store: s, Logger: slog.New(slog.DiscardHandler), Rules: func() tenancy.Rules { return tenancy.Rules{} }, RolesAt: func() tenancy.Origin { return tenancy.Origin{} },
		Limits: func() session.Limits { return session.Limits{} }, Now: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	const one = "organization_id=org_00000000000000000000000000"
	for _, c := range []struct{ path, kind string }{
		{"/organizations?", "org"}, {"/user_management/users?", "user"}, {"/user_management/users?" + one, "user"}, {"/connections?", "conn"}, {"/connections?" + one, "conn"},
		{"/user_management/organization_memberships?" + one, "om"},
		{"/user_management/invitations?", "invitation"}, {"/user_management/invitations?" + one, "invitation"}, {"/user_management/invitations?email=jo@acme.com", "invitation"}, {"/events?order=desc", "event"},
	} {
		for _, cursor := range []string{"after", "before"} {
			least, most := int64(1<<62), int64(0)
			for _, i := range []int{20, n / 2, n - 20} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("%s&limit=10&%s=%s", c.path, cursor, ids[c.kind][i]), nil)
				r.Header.Set("Authorization", "Bearer "+secret.Reveal())
				rec := httptest.NewRecorder()
				m.reads.Store(0)
				a.ServeHTTP(rec, r)
				if rec.Code != http.StatusOK {
					t.Fatalf("%s: %d %s", r.URL, rec.Code, rec.Body)
				}
				reads := m.reads.Load()
				least, most = min(least, reads), max(most, reads)
			}
			if most > 2*least+700 { // a page of the feed is 512
				t.Errorf("%s %s: from %d to %d reads", c.path, cursor, least, most)
			}
			if c.kind != "event" && most > 120 {
				t.Errorf("%s %s: %d reads for ten things", c.path, cursor, most)
			}
		}
	}
}

// newMeteredWorld returns a world on the embedded store, and what counts its reads.
func newMeteredWorld(t *testing.T) (*world, *meter) {
	var m *meter
	w := newWorldOn(t, func(w *world) (s *store.Store) {
		s, m = meteredStore(t, w.clock)
		return s
	})
	return w, m
}

func meteredStore(t *testing.T, now func() time.Time) (*store.Store, *meter) {
	e, err := badger.Open(badger.Options{InMemory: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{Engine: e}
	s := store.New(m, store.Options{Now: now})
	t.Cleanup(func() { _ = s.Close() })
	return s, m
}
