package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

// An apiKeyWorld is a store with an organization, and a clock.
type apiKeyWorld struct {
	t    *testing.T
	s    *store.Store
	now  time.Time
	acme tenancy.OrgID
}

func newAPIKeyWorld(t *testing.T) *apiKeyWorld {
	w := &apiKeyWorld{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.s = storetest.OpenAt(t, func() time.Time { return w.now })
	w.do(func(tx store.Tx) error {
		o, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Acme"}, audit.System, w.now)
		w.acme = o.ID
		return err
	})
	return w
}

func (w *apiKeyWorld) do(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *apiKeyWorld) create(k session.APIKey) (session.APIKey, session.Secret) {
	w.t.Helper()
	var secret session.Secret
	w.do(func(tx store.Tx) (err error) {
		k, secret, err = session.CreateAPIKey(tx, k, audit.System, w.now)
		return err
	})
	return k, secret
}

func (w *apiKeyWorld) find(s session.Secret) (k session.APIKey, touch bool, err error) {
	w.t.Helper()
	err = w.s.View(w.t.Context(), func(tx store.Tx) (err error) {
		k, touch, err = session.FindAPIKey(tx, s, w.now)
		return err
	})
	return k, touch, err
}

func TestAnAPIKeyIsFoundByItsSecretUntilItIsRevokedOrExpires(t *testing.T) {
	w := newAPIKeyWorld(t)
	k, secret := w.create(session.APIKey{Name: "backend", Organization: w.acme, ReadOnly: true, ExpiresAt: w.now.Add(time.Hour)})
	got, _, err := w.find(secret)
	if err != nil || got.ID != k.ID || got.Organization != w.acme || !got.ReadOnly {
		t.Fatalf("found %+v, %v", got, err)
	}
	for _, wrong := range []string{"", "sk_", secret.Reveal()[:len(secret.Reveal())-1], secret.Reveal() + "A", strings.ToUpper(secret.Reveal()), string(k.ID), k.Hash.String()} {
		if _, _, err := w.find(session.SecretOf(wrong)); !errors.Is(err, session.ErrEnded) {
			t.Errorf("%d characters that are no secret: %v", len(wrong), err)
		}
	}
	w.now = w.now.Add(time.Hour)
	if _, _, err := w.find(secret); !errors.Is(err, session.ErrEnded) {
		t.Errorf("expired: %v", err)
	}
	w.now = w.now.Add(-time.Minute)
	w.do(func(tx store.Tx) error { return session.RevokeAPIKey(tx, k.ID, audit.System, w.now) })
	if _, _, err := w.find(secret); !errors.Is(err, session.ErrEnded) {
		t.Errorf("revoked: %v", err)
	}
	w.do(func(tx store.Tx) error { // a use that began before
		return session.TouchAPIKey(tx, k.ID, w.now.Add(time.Hour))
	})
	if _, _, err := w.find(secret); !errors.Is(err, session.ErrEnded) {
		t.Errorf("revoked, and used again: %v", err)
	}
}

func TestTheUseOfAnAPIKeyIsWrittenOnceAMinuteAtMost(t *testing.T) {
	w := newAPIKeyWorld(t)
	_, secret := w.create(session.APIKey{Name: "backend"})
	writes := 0
	for range 180 {
		k, touch, err := w.find(secret)
		if err != nil {
			t.Fatal(err)
		}
		if touch {
			writes++
			w.do(func(tx store.Tx) error { return session.TouchAPIKey(tx, k.ID, w.now) })
		}
		w.now = w.now.Add(time.Second)
	}
	if writes != 3 {
		t.Errorf("three minutes of use made %d writes", writes)
	}
}

func TestNoRowAndNoEventHoldsTheSecretOfAnAPIKey(t *testing.T) {
	w := newAPIKeyWorld(t)
	k, secret := w.create(session.APIKey{Name: "backend"})
	w.do(func(tx store.Tx) error { return session.RevokeAPIKey(tx, k.ID, audit.System, w.now) })
	changes, err := w.s.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range changes {
		names = append(names, c.Event.Name)
	}
	all, err := json.Marshal([]any{k, secret, changes})
	if err != nil {
		t.Fatal(err)
	}
	said := string(all) + fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret)
	if bare := strings.TrimPrefix(secret.Reveal(), "sk_"); len(bare) != 43 || strings.Contains(said, bare) {
		t.Error("the secret was written down")
	}
	if strings.Contains(string(changes[len(changes)-1].Event.Data), k.Hash.String()) {
		t.Error("an event has the hash")
	}
	if got, want := strings.Join(names[len(names)-2:], " "), audit.APIKeyCreated+" "+audit.APIKeyRevoked; got != want {
		t.Errorf("events are %s, want %s", got, want)
	}
}

func TestAnAPIKeyNeedsANameAFutureAndAnOrganizationThatIsThere(t *testing.T) {
	w := newAPIKeyWorld(t)
	for what, k := range map[string]session.APIKey{
		"no name":      {},
		"blank name":   {Name: "  "},
		"two lines":    {Name: "a\nb"},
		"endless name": {Name: strings.Repeat("a", 101)},
		"expired":      {Name: "a", ExpiresAt: w.now},
		"nobody's":     {Name: "a", Organization: "org_1"},
	} {
		err := w.s.Update(t.Context(), func(tx store.Tx) error {
			_, _, err := session.CreateAPIKey(tx, k, audit.System, w.now)
			return err
		})
		if err == nil {
			t.Errorf("%s: a key was made", what)
		}
	}
}
