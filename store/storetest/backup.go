package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func runBackup(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"WhatIsRestoredIsWhatWasThere", restored},
		{"RestoredSessionsAndCodesAreDead", restoredDead},
		{"MailThatWaitedIsNotSentAgain", mailRestored},
		{"RestoredFactorsAreThereAndTheirCodesAreNot", restoredFactors},
		{"ItIsConsistentWhileOthersWrite", backupConsistent},
		{"ItMovesToAnotherEngineAndBack", moves},
		{"AnOpenInvitationIsRevokedByARestore", restoredInvitations},
		{"ADamagedOneLeavesNothing", damaged},
		{"AStoreThatIsNotEmptyIsLeftAlone", notEmpty},
		{"ARestoreThatIsCutOffCanNotBeUsed", cutOff},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, h) })
	}
}

// furnish puts a little of everything.
func furnish(t testing.TB, s *store.Store, now time.Time) {
	t.Helper()
	put(t, s,
		tenancy.Organization{ID: "org_a", Slug: "acme", Hosts: []string{"portal.acme.com"}, Name: "Acme <&> \u2028 \U0001f3e2", CreatedAt: now},
		tenancy.Domain{Organization: "org_a", Name: "acme.com", State: tenancy.DomainVerified},
		tenancy.Connection{ID: "conn_1", Organization: "org_a", Name: "okta", OIDC: &tenancy.OIDCConnection{ClientSecret: []byte{0, 1, 255}}},
		tenancy.User{ID: "user_1", Email: "jo@acme.com"},
		tenancy.Identity{Connection: "conn_1", Subject: "sub\x00ject", User: "user_1"},
		tenancy.Membership{ID: "om_1", Organization: "org_a", User: "user_1"},
		invitation("invitation_1", "flo@acme.com", "org_a"), tenancy.Role{Organization: "org_a", Slug: "admin"}, tenancy.Role{Slug: "member"},
		session.Session{ID: "session_1", User: "user_1", Token: hash("1"), ExpiresAt: now.Add(time.Hour)},
		session.Session{ID: "session_2", User: "user_1", Token: hash("2"), ExpiresAt: now.Add(time.Hour), EndedAt: now.Add(-time.Minute)},
		session.Handover{Code: hash("code"), ExpiresAt: now.Add(time.Minute)},
		session.Answer{ID: hash("answer"), Token: hash("token"), Connection: "conn_1", Organization: "org_a", Sealed: []byte{1}, ExpiresAt: now.Add(time.Minute)},
		tenancy.SAMLState{Organization: "org_a", Connection: "conn_1", Next: now, Keys: []tenancy.SAMLKey{{ID: "key_1"}}},
		session.SigningKey{ID: "kid"},
		session.APIKey{ID: "api_key_1", Name: "made", Hash: hash("made")}, session.APIKey{ID: "api_key_2", Name: "given", Hash: hash("given"), Configured: true},
		session.Replay{Key: "api_key_1", Name: hash("n"), Body: []byte("{}"), ExpiresAt: now.Add(24 * time.Hour)},
		factor.EmailCode{ID: "code", Browser: hash("b"), Purpose: factor.ForSignIn, Email: "jo@acme.com", Sum: hash("sum"), ExpiresAt: now.Add(10 * time.Minute)},
		factor.Counter{Scope: "guess", Name: "user_1", Level: 4, At: now, ExpiresAt: now.Add(24 * time.Hour)},
		hook.Endpoint{ID: "we_1", URL: "https://acme.com/hook", Events: []string{"user.created"}, Secrets: []hook.Secret{{Sealed: []byte{0, 1, 255}}}, After: 3},
		hook.Delivery{Endpoint: "we_1", Position: 4, Event: "event_4", At: now, Due: now},
		hook.Health{Endpoint: "we_1", FailingSince: now}, hook.Replay{Endpoint: "we_1", Next: 2, Until: 4})
	do(t, s, func(tx store.Tx) error { return tx.PutWebhookPosition(4) })
	put(t, s, factorsOf("user_1")...)
	put(t, s, heldByClients(now)...)
	do(t, s, func(tx store.Tx) error { return tx.Use("state", "spent", now.Add(time.Hour)) })
	for i := range 5 {
		do(t, s, func(tx store.Tx) error {
			return tx.Append(event(i, now.Add(-store.EventLife+time.Duration(i)*time.Hour)))
		})
	}
}

func backup(t testing.TB, s *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Backup(context.WithoutCancel(t.Context()), &b); err != nil {
		t.Fatalf("backup: %v", err)
	}
	return b.Bytes()
}

func restored(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	furnish(t, from, noon)
	var b bytes.Buffer
	n, err := from.Backup(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	if n.Events != 4 { // the oldest has just expired
		t.Errorf("the backup has %d events, want 4", n.Events)
	}
	clock.Advance(2 * time.Hour) // in which more events and the use expire
	before, err := from.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	head, err := from.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	to := open(t, h, clock.Now)
	if m, err := to.Restore(t.Context(), bytes.NewReader(b.Bytes())); err != nil || m != n {
		t.Fatalf("restored %v, %v; want %v", m, err, n)
	}
	after, err := to.Feed(t.Context(), 0, 100)
	if err != nil || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the feed is %v, %v; want %v", after, err, before)
	}
	if got, err := to.Head(t.Context()); err != nil || got != head {
		t.Errorf("head is %d, %v; want %d: a position that was handed out keeps its meaning", got, err, head)
	}
	look(t, to, func(tx store.Tx) {
		for secret, good := range map[string]bool{"made": false, "given": true} {
			if k, err := tx.APIKeyByHash(hash(secret)); err != nil || (k.Alive(clock.Now()) == nil) != good {
				t.Errorf("the key that was %s: %v, %v", secret, k, err)
			}
		}
		if r, err := tx.Replay("api_key_1", hash("n")); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a kept answer: %v, %v", r, err)
		}
		o, err := tx.OrganizationByHost("portal.acme.com")
		if err != nil || o.Name != "Acme <&> \u2028 \U0001f3e2" || !o.CreatedAt.Equal(noon) {
			t.Errorf("organization: %v, %v", o, err)
		}
		if d, err := tx.VerifiedDomain("acme.com"); err != nil || d.Organization != "org_a" {
			t.Errorf("domain: %v, %v", d, err)
		}
		if c, err := tx.Connection("org_a", "conn_1"); err != nil || string(c.OIDC.ClientSecret) != "\x00\x01\xff" {
			t.Errorf("connection: %v, %v", c, err)
		}
		for i, err := range tx.Identities("user_1") {
			if err != nil || i.Subject != "sub\x00ject" {
				t.Errorf("identity: %q, %v", i.Subject, err)
			}
		}
		if _, err := tx.Membership("org_a", "user_1"); err != nil {
			t.Error(err)
		}
		if _, err := tx.Role("", "member"); err != nil {
			t.Error(err)
		}
		if len(list(t, tx.SigningKeys(session.ForAssertions), func(k session.SigningKey) string { return k.ID })) != 1 {
			t.Error("the signing key is gone")
		}
	})
	err = to.Update(t.Context(), func(tx store.Tx) error {
		return tx.PutUser(tenancy.User{ID: "user_2", Email: "jo@acme.com"})
	})
	if !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("after a restore an address can be taken twice: %v", err)
	}
}

func restoredDead(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	furnish(t, from, noon)
	b := backup(t, from)
	clock.Advance(time.Second)
	to := open(t, h, clock.Now)
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	look(t, to, func(tx store.Tx) {
		for id, want := range map[session.ID]time.Time{"session_1": clock.Now(), "session_2": noon.Add(-time.Minute)} {
			if s, err := tx.Session(id); err != nil || !s.EndedAt.Equal(want) {
				t.Errorf("session %s ended at %v, %v; want %v", id, s.EndedAt, err, want)
			}
		}
		if _, err := tx.Handover(hash("code")); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a code came back: %v", err)
		}
		if got := held(t, tx, hash("held")); got != "[]" {
			t.Errorf("what clients held came back: %s", got)
		}
		if _, err := tx.Answer(hash("answer")); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("an answer came back: %v", err)
		}
		if s, err := tx.SAMLState("org_a", "conn_1"); err != nil || len(s.Keys) != 1 || len(list(t, tx.DueSAML(noon), func(s tenancy.SAMLState) string { return string(s.Connection) })) != 1 {
			t.Errorf("the state of a SAML connection: %+v, %v", s, err)
		}
	})
	err := to.Update(t.Context(), func(tx store.Tx) error { return tx.Use("state", "spent", noon.Add(time.Hour)) })
	if !errors.Is(err, session.ErrUsed) {
		t.Errorf("what was spent can be spent again: %v", err)
	}
}

// backupConsistent moves one thing between two users for ever, each time with an event.
func backupConsistent(t *testing.T, h Harness) {
	s := open(t, h, nil)
	move := func(i int) {
		do(t, s, func(tx store.Tx) error {
			a, b := fmt.Sprint(i), fmt.Sprint(-i)
			return errors.Join(
				tx.PutUser(tenancy.User{ID: "user_1", Email: "a@x.example", Name: a}),
				tx.PutUser(tenancy.User{ID: "user_2", Email: "b@x.example", Name: b}),
				tx.Append(event(i, time.Now())))
		})
	}
	move(1)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 2; ctx.Err() == nil; i++ {
			move(i)
		}
	})
	var copies [][]byte
	for range 10 {
		copies = append(copies, backup(t, s))
	}
	cancel()
	wg.Wait()
	for _, b := range copies {
		to := open(t, h, nil)
		if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		cs, err := to.Feed(t.Context(), 0, 100_000)
		if err != nil {
			t.Fatal(err)
		}
		look(t, to, func(tx store.Tx) {
			one, err1 := tx.User("user_1")
			two, err2 := tx.User("user_2")
			last := cs[len(cs)-1].Event.ID
			if err1 != nil || err2 != nil || "-"+one.Name != two.Name || last != "event_"+one.Name {
				t.Errorf("the copy has %s and %s, and its last event is %s", one.Name, two.Name, last)
			}
		})
	}
}

// moves takes a store to the embedded engine and back again.
func moves(t *testing.T, h Harness) {
	clock := NewClock(noon)
	from := open(t, h, clock.Now)
	furnish(t, from, noon)
	move := func(b []byte, to *store.Store) []byte {
		t.Helper()
		if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		return backup(t, to)
	}
	there := move(backup(t, from), OpenAt(t, clock.Now)) // where its sessions end
	back := move(there, open(t, h, clock.Now))
	if !bytes.Equal(there, back) {
		t.Errorf("what came back is not what went:\n%s\n%s", there, back)
	}
}

func damaged(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	furnish(t, s, noon)
	good := string(backup(t, s))
	lines := strings.SplitAfter(good, "\n")
	lines = lines[:len(lines)-1] // the empty one after the last newline
	without := func(i int) string { return strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "") }
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	cases := map[string]string{
		"nothing":           "",
		"something else":    "PK\x03\x04",
		"another JSON":      `{"a":1}` + "\n",
		"a newer format":    strings.Replace(good, `"orgate_backup":1`, `"orgate_backup":2`, 1),
		"a flipped bit":     string(flipped),
		"a row less":        without(2),
		"no trailer":        without(len(lines) - 1),
		"no header":         without(0),
		"half a last line":  good[:len(good)-3],
		"something after":   good + "x",
		"two at once":       good + good,
		"a swap":            strings.Join(append([]string{lines[0], lines[2], lines[1]}, lines[3:]...), ""),
		"a row of no kind":  strings.Replace(good, `{"key":["I"`, `{"key":["~"`, 1),
		"a line that grows": lines[0] + `{"key":["` + strings.Repeat("x", 5<<20),
	}
	for i := 0; i < len(good); i += max(len(good)/40, 1) {
		cases[fmt.Sprintf("cut off at %d", i)] = good[:i]
	}
	to := open(t, h, clock.Now)
	for name, b := range cases {
		n, err := to.Restore(t.Context(), strings.NewReader(b))
		if err == nil || n != (store.Copied{}) {
			t.Errorf("%s: restored %v, %v; want a refusal", name, n, err)
		}
	}
	look(t, to, func(tx store.Tx) {
		if n := len(list(t, tx.Organizations(), func(o tenancy.Organization) string { return string(o.ID) })); n != 0 {
			t.Errorf("%d organizations came of damaged backups", n)
		}
	})
	if _, err := to.Restore(t.Context(), strings.NewReader(good)); err != nil {
		t.Errorf("the good one, after all of these: %v", err)
	}
}

func notEmpty(t *testing.T, h Harness) {
	s := open(t, h, nil)
	furnish(t, s, time.Now())
	b := backup(t, s)
	to := open(t, h, nil)
	put(t, to, tenancy.User{ID: "user_9", Email: "there@acme.com"})
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore into a store with a user: %v", err)
	}
	look(t, to, func(tx store.Tx) {
		if _, err := tx.UserByEmail("there@acme.com"); err != nil {
			t.Error(err)
		}
		if _, err := tx.UserByEmail("jo@acme.com"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Error(err)
		}
	})
	past := open(t, h, nil)
	do(t, past, func(tx store.Tx) error { return tx.Append(event(1, time.Now().Add(-2*store.EventLife))) })
	if _, err := past.Restore(t.Context(), bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("restore into a store whose only event has expired: %v", err)
	}
}

// failing fails after n updates, as a process that is killed does.
type failing struct {
	store.Engine
	n int
}

func (f *failing) Update(ctx context.Context, g func(store.KV) error) error {
	if f.n--; f.n < 0 {
		return errBoom
	}
	return f.Engine.Update(ctx, g)
}

func cutOff(t *testing.T, h Harness) {
	s := open(t, h, nil)
	furnish(t, s, time.Now())
	b := backup(t, s)
	e := h.Open(t, nil)
	dying := &failing{e, 2}
	to := store.New(dying, store.Options{})
	look(t, to, func(store.Tx) {}) // it was usable
	if _, err := to.Restore(t.Context(), bytes.NewReader(b)); !errors.Is(err, errBoom) {
		t.Fatalf("restore: %v, want it to fail at the end", err)
	}
	dying.n = 100
	for name, s := range map[string]*store.Store{"the same": to, "another": store.New(e, store.Options{})} {
		err := s.View(t.Context(), func(store.Tx) error { t.Error("it can be used"); return nil })
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%s store: %v, want an error that says why", name, err)
		}
		if _, err := s.Restore(t.Context(), bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%s store, restore again: %v", name, err)
		}
		if _, err := s.Feed(t.Context(), 0, 1); err == nil {
			t.Errorf("%s store: its feed can be read", name)
		}
	}
}
