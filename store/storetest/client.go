package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// heldByClients is one of each thing that a client of the sign-in API holds.
func heldByClients(now time.Time) []any {
	soon := now.Add(time.Minute)
	return []any{
		client.Code{Hash: hash("held"), Client: "client_1", RedirectURI: "https://app.example.com/", Session: "session_1", ExpiresAt: soon},
		client.Refresh{Hash: hash("held"), Client: "client_1", Session: "session_1", ExpiresAt: soon},
		client.Pending{Hash: hash("held"), Client: "client_1", User: "user_1", Email: "jo@acme.com", ExpiresAt: soon},
		client.ProfileToken{Hash: hash("held"), Client: "client_1", Profile: []byte("{}"), ExpiresAt: soon},
	}
}

func putHeld(tx store.Tx, o any) (done bool, err error) {
	switch o := o.(type) {
	case client.Code:
		return true, tx.PutAuthorizationCode(o)
	case client.Refresh:
		return true, tx.PutRefreshToken(o)
	case client.Pending:
		return true, tx.PutPendingAuthentication(o)
	case client.ProfileToken:
		return true, tx.PutProfileToken(o)
	}
	return false, nil
}

// held says which of them are there under a hash.
func held(t *testing.T, tx store.Tx, h session.Hash) string {
	t.Helper()
	there := []string{}
	note := func(name string, err error) {
		if err == nil {
			there = append(there, name)
		} else if !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := tx.AuthorizationCode(h)
	note("code", err)
	_, err = tx.RefreshToken(h)
	note("refresh token", err)
	_, err = tx.PendingAuthentication(h)
	note("pending", err)
	_, err = tx.ProfileToken(h)
	note("profile", err)
	return fmt.Sprint(there)
}

// clientThings: what clients hold is found by its hash for its time, a code a day longer, and by no other.
func clientThings(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	put(t, s, heldByClients(noon)...)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{
		{0, "[code refresh token pending profile]"}, {time.Minute, "[code]"}, {time.Minute + store.CodeRecordLife, "[]"},
	} {
		clock.Advance(noon.Add(c.after).Sub(clock.Now()))
		look(t, s, func(tx store.Tx) {
			if got := held(t, tx, hash("held")); got != c.want {
				t.Errorf("after %v: %s, want %s", c.after, got, c.want)
			}
			for _, other := range []session.Hash{{}, hash("other")} {
				if got := held(t, tx, other); got != "[]" {
					t.Errorf("under another hash: %s", got)
				}
			}
		})
	}
	for _, o := range []any{client.Code{ExpiresAt: noon}, client.Refresh{ExpiresAt: noon}, client.Pending{ExpiresAt: noon}, client.ProfileToken{ExpiresAt: noon}} {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return putAll(tx, o) }); err == nil {
			t.Errorf("%T without a hash was kept", o)
		}
	}

	// Keys of one use are not among those of another.
	put(t, s, session.SigningKey{ID: "a"}, session.SigningKey{ID: "b", Use: session.ForAccessTokens})
	look(t, s, func(tx store.Tx) {
		id := func(k session.SigningKey) string { return k.ID }
		if a, b := list(t, tx.SigningKeys(session.ForAssertions), id), list(t, tx.SigningKeys(session.ForAccessTokens), id); fmt.Sprint(a, b) != "[a] [b]" {
			t.Errorf("keys of assertions %v, of access tokens %v", a, b)
		}
	})
}
