package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func sessionIndexes(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	end := noon.Add(time.Hour)
	parent := session.Session{
		ID: "session_p", User: "user_1", Token: hash("p"), ExpiresAt: end,
		Upstream: []session.UpstreamSession{{Connection: "conn_1", Subject: "sub", SID: "sid1"}, {Connection: "conn_1", Subject: "sub", SID: "sid2"}, {Connection: "conn_2", Subject: "sub"}},
	}
	child := session.Session{ID: "session_c", User: "user_1", Token: hash("c"), Parent: "session_p", Organization: "org_a", Host: "a.example", ExpiresAt: end}
	put(t, s, parent, child,
		session.Session{ID: "session_d", User: "user_1", Token: hash("d"), Parent: "session_p", Organization: "org_b", Host: "b.example", ExpiresAt: end},
		session.Session{ID: "session_o", User: "user_2", Token: hash("o"), ExpiresAt: end, Upstream: []session.UpstreamSession{{Connection: "conn_1", Subject: "other", SID: "sid1"}}})
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	look(t, s, func(tx store.Tx) {
		check("children", sessionNames(t, tx.Children("session_p")), "session_c", "session_d")
		check("children of a child", sessionNames(t, tx.Children("session_c")))
		check("children of nobody", sessionNames(t, tx.Children("")))
		check("of the user", sessionNames(t, tx.SessionsOf("user_1")), "session_c", "session_d", "session_p")
		check("by subject and sid", sessionNames(t, tx.SessionsByUpstream("conn_1", "sub", "sid1")), "session_p")
		check("by subject, each once", sessionNames(t, tx.SessionsByUpstream("conn_1", "sub", "")), "session_p")
		check("by subject, no sid", sessionNames(t, tx.SessionsByUpstream("conn_2", "sub", "")), "session_p")
		check("by a sid of another", sessionNames(t, tx.SessionsByUpstream("conn_2", "sub", "sid1")))
		check("by sid alone", sessionNames(t, tx.SessionsByUpstream("conn_1", "", "sid1")), "session_o", "session_p")
		check("by sid alone, of another connection", sessionNames(t, tx.SessionsByUpstream("conn_2", "", "sid1")))
		check("by a beginning of a sid", sessionNames(t, tx.SessionsByUpstream("conn_1", "", "sid")))
		check("by neither", sessionNames(t, tx.SessionsByUpstream("conn_1", "", "")))
		if got, err := tx.SessionByToken(hash("c")); err != nil || got.ID != "session_c" {
			t.Errorf("by token: %v, %v", got.ID, err)
		}
	})

	// A new token kills the old one; what is gone from the row is gone from the lists.
	parent.Token, parent.Upstream = hash("p2"), parent.Upstream[1:]
	parent.ExpiresAt = end.Add(24 * time.Hour)
	put(t, s, parent)
	after := func() {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			if _, err := tx.SessionByToken(hash("p")); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("the old token finds a session: %v", err)
			}
			if got, err := tx.SessionByToken(hash("p2")); err != nil || got.ID != "session_p" {
				t.Errorf("the new token finds %q, %v", got.ID, err)
			}
			check("by the sid that went", sessionNames(t, tx.SessionsByUpstream("conn_1", "sub", "sid1")))
			check("by the sid that stayed", sessionNames(t, tx.SessionsByUpstream("conn_1", "sub", "sid2")), "session_p")
			check("by the sid that stayed, alone", sessionNames(t, tx.SessionsByUpstream("conn_1", "", "sid2")), "session_p")
		})
	}
	after()
	look(t, s, func(tx store.Tx) {
		check("by the sid that went, alone", sessionNames(t, tx.SessionsByUpstream("conn_1", "", "sid1")), "session_o")
	})
	// The index entries that were there before live as long as the row does now.
	clock.Advance(time.Hour + store.SessionRecordLife)
	after()
	look(t, s, func(tx store.Tx) { check("of the user, later", sessionNames(t, tx.SessionsOf("user_1")), "session_p") })
	// What has ended is on record, and in no list.
	parent.EndedAt = end
	put(t, s, parent)
	look(t, s, func(tx store.Tx) {
		check("of the user, ended", sessionNames(t, tx.SessionsOf("user_1")))
		check("by sid, ended", sessionNames(t, tx.SessionsByUpstream("conn_1", "sub", "sid2")))
		if got, err := tx.SessionByToken(hash("p2")); err != nil || got.ID != "session_p" {
			t.Errorf("by token, ended: %v, %v", got.ID, err)
		}
	})
}

func endWhileListing(t *testing.T, h Harness) {
	s := open(t, h, nil)
	end := time.Now().Add(time.Hour)
	for i := range 20 {
		put(t, s, session.Session{ID: session.ID(fmt.Sprintf("session_%02d", i)), User: "user_1", Token: hash(fmt.Sprint(i)), Organization: "org_a", ExpiresAt: end})
	}
	do(t, s, func(tx store.Tx) error {
		n := 0
		for v, err := range tx.SessionsOf("user_1") {
			if err != nil {
				return err
			}
			n++
			v.EndedAt, v.Token = end, hash("ended "+string(v.ID))
			if err := tx.PutSession(v); err != nil {
				return err
			}
		}
		if n != 20 {
			t.Errorf("the loop saw %d sessions, want 20", n)
		}
		return nil
	})
	look(t, s, func(tx store.Tx) {
		for v, err := range tx.SessionsOf("user_1") {
			if err != nil || v.EndedAt.IsZero() {
				t.Errorf("session %s has not ended: %v", v.ID, err)
			}
		}
	})
}

func useOnce(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	use := func(kind, name string) error {
		return s.Update(t.Context(), func(tx store.Tx) error { return tx.Use(kind, name, noon.Add(time.Minute)) })
	}
	var wg sync.WaitGroup
	results := make([]error, 50)
	for i := range results {
		wg.Go(func() { results[i] = use("state", "abc") })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, session.ErrUsed) {
			t.Errorf("use: %v, want ErrUsed", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 50 used it, want 1", won)
	}
	used := func(want bool, kind, name string) {
		t.Helper()
		err := s.View(t.Context(), func(tx store.Tx) error {
			got, err := tx.Used(kind, name)
			if got != want {
				t.Errorf("%s %s is used: %v", kind, name, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	used(true, "state", "abc")
	used(false, "stat", "eabc")
	used(false, "code", "abc")
	if err := errors.Join(use("stat", "eabc"), use("code", "abc")); err != nil {
		t.Errorf("things of other kinds and names: %v", err)
	}
	clock.Advance(time.Minute)
	used(false, "state", "abc")
	if err := use("state", "abc"); err != nil {
		t.Errorf("after its time: %v", err)
	}
	for _, bad := range [][2]string{{"", "x"}, {"x", ""}} {
		if err := use(bad[0], bad[1]); err == nil || errors.Is(err, session.ErrUsed) {
			t.Errorf("use of %q: %v", bad, err)
		}
	}
}

func typedExpiry(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	put(t, s,
		session.Session{ID: "session_1", User: "user_1", Token: hash("1"), ExpiresAt: noon.Add(time.Hour)},
		session.Handover{Code: hash("code"), ExpiresAt: noon.Add(time.Minute)},
		session.SigningKey{ID: "kid"}, tenancy.User{ID: "user_1", Email: "jo@acme.com"})
	do(t, s, func(tx store.Tx) error { return tx.Append(event(1, noon)) })
	there := func() string {
		var got []string
		look(t, s, func(tx store.Tx) {
			got = nil
			if _, err := tx.Session("session_1"); err == nil {
				got = append(got, "session")
			}
			if _, err := tx.SessionByToken(hash("1")); err == nil {
				got = append(got, "token")
			}
			if _, err := tx.Handover(hash("code")); err == nil {
				got = append(got, "hand-over")
			}
			if len(list(t, tx.SigningKeys(session.ForAssertions), func(k session.SigningKey) string { return k.ID })) == 1 {
				got = append(got, "key")
			}
			if _, err := tx.User("user_1"); err == nil {
				got = append(got, "user")
			}
		})
		if cs, err := s.Feed(t.Context(), 0, 10); err != nil {
			t.Error(err)
		} else if len(cs) == 1 {
			got = append(got, "event")
		}
		return fmt.Sprint(got)
	}
	for _, c := range []struct {
		at   time.Time
		want string
	}{
		{noon, "[session token hand-over key user event]"},
		{noon.Add(11*time.Minute - time.Second), "[session token hand-over key user event]"},
		{noon.Add(11 * time.Minute), "[session token key user event]"},
		{noon.Add(25*time.Hour - time.Second), "[session token key user event]"},
		{noon.Add(25 * time.Hour), "[key user event]"},
		{noon.Add(store.EventLife), "[key user]"},
	} {
		clock.Advance(c.at.Sub(clock.Now()))
		if got := there(); got != c.want {
			t.Errorf("%v later: %v, want %v", c.at.Sub(noon), got, c.want)
		}
	}
}

// answersWait holds that an answer is found by its id alone, until it is over.
func answersWait(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	a := session.Answer{ID: hash("id"), Token: hash("token"), Connection: "conn_1", Organization: "org_a", RelayState: "/\u2028", Sealed: []byte("\x00\xff"), ExpiresAt: noon.Add(session.AnswerLife)}
	put(t, s, a)
	there := func(id session.Hash) (got session.Answer, err error) {
		look(t, s, func(tx store.Tx) { got, err = tx.Answer(id) })
		return got, err
	}
	if got, err := there(hash("id")); err != nil || got.Token != a.Token || got.RelayState != a.RelayState || string(got.Sealed) != string(a.Sealed) || !got.ExpiresAt.Equal(a.ExpiresAt) {
		t.Errorf("it is %+v, %v", got, err)
	}
	for _, id := range []session.Hash{hash("token"), hash("other")} {
		if _, err := there(id); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("another: %v", err)
		}
	}
	if _, err := there(session.Hash{}); err == nil {
		t.Error("the empty id finds something")
	}
	clock.Advance(session.AnswerLife)
	if _, err := there(hash("id")); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("an old one: %v", err)
	}
}

// samlDue holds that states come when they are due, the longest overdue first, each once, whatever was before.
func samlDue(t *testing.T, h Harness) {
	s := open(t, h, nil)
	state := func(org tenancy.OrgID, conn tenancy.ConnectionID, next time.Time) tenancy.SAMLState {
		return tenancy.SAMLState{Organization: org, Connection: conn, Next: next}
	}
	due := func(now time.Time) (names []string) {
		look(t, s, func(tx store.Tx) {
			names = list(t, tx.DueSAML(now), func(s tenancy.SAMLState) string { return string(s.Organization) + " " + string(s.Connection) })
		})
		return names
	}
	want := func(now time.Time, names ...string) {
		t.Helper()
		if got := due(now); !slices.Equal(got, names) {
			t.Errorf("%s after noon: %q are due, want %q", now.Sub(noon), got, names)
		}
	}
	put(t, s, state("org_b", "c", noon.Add(2*time.Second)), state("org_a", "d", noon.Add(time.Second)), state("org_a", "c", noon), state("org_z", "c", time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)))
	want(noon.Add(-time.Second), "org_z c")
	want(noon, "org_z c", "org_a c")
	want(noon.Add(time.Hour), "org_z c", "org_a c", "org_a d", "org_b c")
	put(t, s, state("org_a", "c", noon.Add(time.Minute)), state("org_z", "c", noon.AddDate(1, 0, 0)))
	want(noon.Add(time.Hour), "org_a d", "org_b c", "org_a c")
	do(t, s, func(tx store.Tx) error { return tx.DeleteSAMLState("org_b", "c") })
	do(t, s, func(tx store.Tx) error { return tx.DeleteSAMLState("org_b", "never") })
	want(noon.Add(time.Hour), "org_a d", "org_a c")
	look(t, s, func(tx store.Tx) {
		for _, other := range []tenancy.OrgID{"org_b", "org_", "org_a\x00", "org_aa"} {
			if _, err := tx.SAMLState(other, "c"); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("as %q: %v", other, err)
			}
		}
		if got, err := tx.SAMLState("org_a", "c"); err != nil || !got.Next.Equal(noon.Add(time.Minute)) {
			t.Errorf("it is %+v, %v", got, err)
		}
	})
	do(t, s, func(tx store.Tx) error {
		_, get := tx.SAMLState("", "c")
		for name, err := range map[string]error{"SAMLState": get, "PutSAMLState": tx.PutSAMLState(state("", "c", noon)), "DeleteSAMLState": tx.DeleteSAMLState("", "c")} {
			if err == nil || errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s of no organization: %v, want an error that is not ErrNotFound", name, err)
			}
		}
		return nil
	})
}

func events(t *testing.T, h Harness) {
	s := open(t, h, nil)
	do(t, s, func(tx store.Tx) error { return tx.Append(event(1, time.Now())) })
	err := s.Update(t.Context(), func(tx store.Tx) error { return errors.Join(tx.Append(event(2, time.Now())), errBoom) })
	if !errors.Is(err, errBoom) {
		t.Error(err)
	}
	err = s.View(t.Context(), func(tx store.Tx) error { return tx.Append(event(3, time.Now())) })
	if !errors.Is(err, store.ErrReadOnly) {
		t.Errorf("append in a view: %v", err)
	}
	for name, e := range map[string]audit.Event{"id": {Name: "n", At: noon}, "name": {ID: "i", At: noon}, "time": {ID: "i", Name: "n"}} {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Append(e) }); err == nil {
			t.Errorf("an event without %s was taken", name)
		}
	}
	cs, err := s.Feed(t.Context(), 0, 10)
	if err != nil || len(cs) != 1 || cs[0].Event.ID != "event_1" || cs[0].Event.User != "user_1" {
		t.Errorf("the feed is %v, %v; want the one event whose change was committed", cs, err)
	}
	if head, err := s.Head(t.Context()); err != nil || head != cs[0].Position {
		t.Errorf("head is %d, %v", head, err)
	}
}

func onCommit(t *testing.T, h Harness) {
	s := open(t, h, nil)
	var mu sync.Mutex
	var heard []string
	s.OnCommit(func(es []audit.Event) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range es {
			heard = append(heard, e.ID)
			// The change is durable and visible when the hook runs.
			cs, err := s.Feed(context.WithoutCancel(t.Context()), 0, 1000)
			if err != nil || !slices.ContainsFunc(cs, func(c store.Change) bool { return c.Event.ID == e.ID }) {
				t.Errorf("%s was announced before it was in the feed: %v", e.ID, err)
			}
		}
	})
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx store.Tx) error {
				// A counter that all write, so that an engine that retries does.
				u, err := tx.User("user_1")
				if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
					return err
				}
				u.ID, u.Email, u.Name = "user_1", "jo@acme.com", u.Name+"x"
				if err := errors.Join(tx.PutUser(u), tx.Append(event(i, time.Now()))); err != nil {
					return err
				}
				if i%3 == 0 {
					return errBoom
				}
				return nil
			})
			if (i%3 == 0) != errors.Is(err, errBoom) {
				t.Errorf("update %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if id := fmt.Sprint("event_", i); slices.Contains(heard, id) != (i%3 != 0) {
				t.Errorf("when update %d had returned, its event had been announced: %v", i, i%3 == 0)
			}
		})
	}
	wg.Wait()
	slices.Sort(heard)
	if once := slices.Compact(slices.Clone(heard)); len(heard) != 20 || len(once) != 20 {
		t.Errorf("heard %v, want 20 events, each once", heard)
	}
}

func follower(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	s := store.New(e, store.Options{})
	reader := s
	if h.Join != nil {
		reader = store.New(h.Join(t, e), store.Options{})
	}
	do(t, s, func(tx store.Tx) error { return tx.Append(event(0, time.Now())) })
	from, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	const total = 600 // more than a batch
	ctx, cancel := context.WithCancelCause(t.Context())
	all := make(chan struct{})
	var got []string
	failures := 2
	f := reader.NewFollower(from, func(cs []store.Change) error {
		if failures > 0 {
			failures--
			return errBoom // it comes again
		}
		for _, c := range cs {
			got = append(got, c.Event.ID)
		}
		if len(got) == total {
			close(all)
		}
		return nil
	})
	if !f.Synced().IsZero() {
		t.Error("synced before it ran")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.Run(ctx); !errors.Is(err, errBoom) {
			t.Errorf("Run returned %v, want the cause of the context", err)
		}
	})
	for i := range total / 20 {
		do(t, s, func(tx store.Tx) error {
			for j := range 20 {
				if err := tx.Append(event(1+i*20+j, time.Now())); err != nil {
					return err
				}
			}
			return nil
		})
	}
	committed := time.Now()
	select {
	case <-all:
	case <-time.After(30 * time.Second):
		t.Fatal("the follower does not get there")
	}
	deadline := time.Now().Add(30 * time.Second)
	for !f.Synced().After(committed) {
		if time.Now().After(deadline) {
			t.Fatal("synced does not grow while nothing happens")
		}
		time.Sleep(time.Millisecond)
	}
	cancel(errBoom)
	wg.Wait()
	for i, id := range got {
		if want := fmt.Sprint("event_", i+1); id != want {
			t.Fatalf("change %d is %s, want %s: each once, in order", i, id, want)
		}
	}
	if head, err := s.Head(t.Context()); err != nil || f.Position() != head {
		t.Errorf("the follower is at %d, the head is %d, %v", f.Position(), head, err)
	}
}
