package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/postgres"
	"github.com/orgate/orgate/store/postgres/pgtest"
	"github.com/orgate/orgate/tenancy"
)

// onBothEngines runs a test with worlds on the embedded engine, and with worlds on a real PostgreSQL.
func onBothEngines(t *testing.T, f func(*testing.T, func(testing.TB) *world)) {
	t.Run("badger", func(t *testing.T) { f(t, newWorld) })
	t.Run("postgres", func(t *testing.T) {
		server := pgtest.Start(t)
		f(t, func(t testing.TB) *world { return newWorldOn(t, postgresAt(t, server.URL())) })
	})
}

// postgresAt opens a store at a database.
func postgresAt(t testing.TB, url string) func(*world) *store.Store {
	return func(w *world) *store.Store {
		e, err := postgres.Open(context.Background(), postgres.Options{URL: url, Now: w.clock, MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		s := store.New(e, store.Options{Now: w.clock})
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
}

// membershipNow is the id of the membership as it is at the moment, or that of none.
func (w *world) membershipNow(org, user string) (id string) {
	id = "om_0"
	err := w.s.View(w.t.Context(), func(tx store.Tx) error {
		if m, err := tx.Membership(tenancy.OrgID(org), tenancy.UserID(user)); err == nil {
			id = string(m.ID)
		}
		return nil
	})
	if err != nil {
		w.t.Error(err)
	}
	return id
}

// meanwhile calls an operation on any goroutine, and fails if it fails, which a refusal is not.
func (w *world) meanwhile(pattern, id string, body any) {
	method, path, _ := strings.Cut(pattern, " ")
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Error(err)
			return
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+strings.Replace(path, "{id}", id, 1), r)
	if err != nil {
		w.t.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+w.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 500 || resp.StatusCode == 429 {
		w.t.Errorf("%s: %d %s %v", pattern, resp.StatusCode, b, err)
	}
}

// toldBy returns of which membership an event is, and what it says of it: status and role; "" once it is gone.
func toldBy(t testing.TB, e audit.Event) (id, said string) {
	t.Helper()
	var d struct {
		ID     string
		Status policy.Standing
		Role   struct{ Slug string }
	}
	if err := json.Unmarshal(e.Data, &d); err != nil || d.ID == "" {
		t.Fatalf("%s: %v: %s", e.Name, err, e.Data)
	}
	if e.Name == audit.MembershipDeleted {
		return d.ID, ""
	}
	return d.ID, d.Status.String() + " " + d.Role.Slug
}
