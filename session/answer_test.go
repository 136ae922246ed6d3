package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

func TestAnAnswerIsForTheBrowserThatHasBothTokensAndOnce(t *testing.T) {
	w := newWorld(t)
	a := session.Answer{Connection: w.okta.ID, Organization: w.acme.ID, RelayState: "/r", Sealed: []byte("sealed")}
	keep := func(a session.Answer) (id, token session.Token, err error) {
		err = w.try(func(tx store.Tx) (err error) {
			id, token, err = session.KeepAnswer(tx, a, w.now)
			return err
		})
		return id, token, err
	}
	for name, bad := range map[string]session.Answer{
		"no connection":   {Organization: w.acme.ID, Sealed: []byte("x")},
		"no organization": {Connection: w.okta.ID, Sealed: []byte("x")},
		"nothing to say":  {Connection: w.okta.ID, Organization: w.acme.ID},
	} {
		if _, _, err := keep(bad); err == nil {
			t.Errorf("an answer with %s is kept", name)
		}
	}
	id, token, err := keep(a)
	if err != nil {
		t.Fatal(err)
	}
	other, otherToken, err := keep(a)
	if err != nil || other.Hash() == id.Hash() || otherToken.Hash() == token.Hash() || id.Hash() == token.Hash() {
		t.Fatalf("two answers have one name, %v", err)
	}
	look := func(id, token session.Hash) error {
		return w.try(func(tx store.Tx) error {
			got, err := session.LookAtAnswer(tx, id, token, w.now)
			if err == nil && (got.RelayState != a.RelayState || string(got.Sealed) != "sealed" || got.Connection != a.Connection || got.Organization != a.Organization) {
				t.Errorf("it is %+v", got)
			}
			return err
		})
	}
	for name, tt := range map[string][2]session.Hash{
		"another's token": {id.Hash(), otherToken.Hash()},
		"another's id":    {other.Hash(), token.Hash()},
		"the id twice":    {id.Hash(), id.Hash()},
		"swapped":         {token.Hash(), id.Hash()},
		"no token":        {id.Hash(), session.Hash{}},
		"unknown":         {session.NewToken().Hash(), token.Hash()},
	} {
		if err := look(tt[0], tt[1]); !errors.Is(err, session.ErrExpired) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A look does not use it up; of fifty who take it, one has it.
	for range 2 {
		if err := look(id.Hash(), token.Hash()); err != nil {
			t.Error(err)
		}
	}
	var mu sync.Mutex
	taken, used := 0, 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			err := w.s.Update(t.Context(), func(tx store.Tx) error {
				_, err := session.TakeAnswer(tx, id.Hash(), token.Hash(), w.now)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				taken++
			case errors.Is(err, session.ErrUsed):
				used++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if taken != 1 || used != 49 {
		t.Errorf("taken %d times, refused %d times", taken, used)
	}
	w.now = w.now.Add(session.AnswerLife)
	if err := look(other.Hash(), otherToken.Hash()); !errors.Is(err, session.ErrExpired) {
		t.Errorf("an old one: %v", err)
	}
}

func TestASessionEndsNoLaterThanItsProviderSays(t *testing.T) {
	w := newWorld(t)
	begin := func(end time.Time) (s session.Session) {
		t.Helper()
		w.must(func(tx store.Tx) error {
			in, err := w.assert(tx, w.okta, "jo@acme.com")
			if err != nil {
				return err
			}
			up := upstream(w.okta, "jo@acme.com", "sid-1")
			up.EndsAt = end
			s, _, err = session.Begin(tx, in.User.ID, proof(w.okta, w.now), up, "", session.Browser{}, limits, w.now)
			return err
		})
		return s
	}
	full := w.now.Add(limits.Absolute)
	for name, tt := range map[string]struct{ end, want time.Time }{
		"it does not say":     {time.Time{}, full},
		"later than we would": {full.Add(time.Hour), full},
		"sooner":              {w.now.Add(time.Minute), w.now.Add(time.Minute)},
	} {
		if s := begin(tt.end); !s.ExpiresAt.Equal(tt.want) {
			t.Errorf("%s: ends at %s, want %s", name, s.ExpiresAt, tt.want)
		}
	}
	// A second proof shortens what there is, its child with it, and never makes it longer.
	s := begin(time.Time{})
	add := func(end time.Time) (out session.Session) {
		t.Helper()
		w.must(func(tx store.Tx) (err error) {
			up := upstream(w.okta, "jo@acme.com", "sid-2")
			up.EndsAt = end
			out, _, err = session.AddProof(tx, s.ID, proof(w.okta, w.now), up, "", w.now)
			return err
		})
		return out
	}
	child := session.NewToken()
	w.must(func(tx store.Tx) error {
		return tx.PutSession(session.Session{ID: "session_child", User: s.User, Token: child.Hash(), Parent: s.ID, Organization: w.acme.ID, Host: acmeHost, CreatedAt: w.now, SeenAt: w.now, ExpiresAt: s.ExpiresAt})
	})
	soon := w.now.Add(10 * time.Minute)
	if got := add(soon).ExpiresAt; !got.Equal(soon) {
		t.Errorf("ends at %s", got)
	}
	if got := add(w.now.Add(time.Hour)).ExpiresAt; !got.Equal(soon) {
		t.Errorf("made longer, to %s", got)
	}
	live := func() error {
		return w.try(func(tx store.Tx) error {
			_, _, err := session.Live(tx, child.Hash(), acmeHost, limits, w.now)
			return err
		})
	}
	w.now = soon.Add(-time.Second)
	if err := live(); err != nil {
		t.Error(err)
	}
	w.now = soon
	if err := live(); !errors.Is(err, session.ErrEnded) {
		t.Errorf("the child outlives its parent: %v", err)
	}
}
