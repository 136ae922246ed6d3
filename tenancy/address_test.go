package tenancy_test

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var closed = tenancy.Rules{InvitationOnly: true}

func (w *world) tryAddress(r tenancy.Rules, p tenancy.Proven) (in tenancy.SignedIn, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		in, err = tenancy.SignInByAddress(tx, r, p, w.now)
		return err
	})
	return in, err
}

func (w *world) address(email string) tenancy.SignedIn {
	w.t.Helper()
	in, err := w.tryAddress(anyRules, tenancy.Proven{Email: email})
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

// identities are those of the user, as connection and subject.
func (w *world) identities(u tenancy.UserID) (ids []string) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		ids = nil
		for i, err := range tx.Identities(u) {
			if err != nil {
				return err
			}
			ids = append(ids, string(i.Connection)+" "+i.Subject)
		}
		return nil
	})
	slices.Sort(ids)
	return ids
}

func TestWhoeverProvesAnAddressHasOneAccount(t *testing.T) {
	w := newWorld(t)
	in, err := w.tryAddress(anyRules, tenancy.Proven{Email: "Jo@ELSE.test", Name: " Jo\u202e\n Doe "})
	u := in.User
	if err != nil || !in.NewUser || in.Cleanse || in.NewMember || in.ConfinedTo != "" || in.Membership.ID != "" {
		t.Errorf("got %+v, %v", in, err)
	}
	if u.Email != "jo@else.test" || !u.EmailVerified || u.Name != "Jo Doe" || !u.LastSignInAt.Equal(w.now) || !u.CreatedAt.Equal(w.now) {
		t.Errorf("user is %+v", u)
	}
	w.wantEvents(audit.UserCreated)
	w.now = w.now.Add(1e9)
	again, err := w.tryAddress(anyRules, tenancy.Proven{Email: "jo@else.test", Name: "Somebody else"})
	if err != nil || again.NewUser || again.Cleanse || again.User.ID != u.ID || again.User.Name != "Jo Doe" || !again.User.LastSignInAt.Equal(w.now) {
		t.Errorf("the second time: %+v, %v", again, err)
	}
	w.wantEvents()
	// And the same one by an identity provider, once the domain is verified (SEMANTICS 1.3.5).
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "else.test", Verified: true}}, operator, w.now)
	})
	if in := w.signIn(says(w.okta, "jo", "jo@else.test")); in.User.ID != u.ID || in.Cleanse || in.NewUser {
		t.Errorf("by the provider: %+v", in)
	}
	if in := w.address("jo@else.test"); in.User.ID != u.ID {
		t.Errorf("by address again: %+v", in)
	}
	for _, bad := range []string{"", "jo", "jo@x@else.test", "\"jo\"@else.test"} {
		if _, err := w.tryAddress(anyRules, tenancy.Proven{Email: bad}); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
}

func TestTenWhoProveOneAddressAtOnceAreOneUser(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	users, made := map[tenancy.UserID]bool{}, 0
	for range 10 {
		wg.Go(func() {
			in, err := w.tryAddress(anyRules, tenancy.Proven{Email: "jo@else.test"})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			users[in.User.ID] = true
			if in.NewUser {
				made++
			}
		})
	}
	wg.Wait()
	if len(users) != 1 || made != 1 {
		t.Errorf("%d users, %d made", len(users), made)
	}
	w.wantEvents(audit.UserCreated)
}

func TestWhereSignUpIsByInvitationOnlyWhoIsAwaitedGetsAnAccount(t *testing.T) {
	for _, tt := range []struct {
		name   string
		email  string
		before func(w *world)
		want   error
	}{
		{"a stranger", "jo@else.test", nil, tenancy.ErrNotMember},
		{"who has an account", "jo@else.test", func(w *world) { w.user("jo@else.test", true) }, nil},
		{"an account that nobody ever used", "jo@else.test", func(w *world) { w.user("jo@else.test", false) }, tenancy.ErrNotMember},
		{"an open invitation", "jo@else.test", func(w *world) { w.invite(w.acme.ID, "jo@else.test") }, nil},
		{"an open invitation to the app", "jo@else.test", func(w *world) { w.invite("", "jo@else.test") }, nil},
		{"an invitation to the app for somebody else", "jo@else.test", func(w *world) { w.invite("", "flo@else.test") }, tenancy.ErrNotMember},
		{"an invitation to the app that was taken back", "jo@else.test", func(w *world) { w.revoke(w.invite("", "jo@else.test")) }, tenancy.ErrNotMember},
		{"an invitation to the app that has expired", "jo@else.test", func(w *world) { w.now = w.invite("", "jo@else.test").ExpiresAt }, tenancy.ErrNotMember},
		{"an invitation that has expired", "jo@else.test", func(w *world) { w.now = w.invite(w.acme.ID, "jo@else.test").ExpiresAt }, tenancy.ErrNotMember},
		{"an invitation in its last moment", "jo@else.test", func(w *world) { w.now = w.invite(w.acme.ID, "jo@else.test").ExpiresAt.Add(-1) }, nil},
		{"a pending membership that nobody is invited to", "jo@else.test", func(w *world) { w.set(w.acme.ID, w.user("jo@else.test", false).ID, pending) }, tenancy.ErrNotMember},
		{"a membership", "jo@else.test", func(w *world) { w.set(w.acme.ID, w.user("jo@else.test", false).ID, active) }, nil},
		{"a membership that was deactivated", "jo@else.test", func(w *world) { w.set(w.acme.ID, w.user("jo@else.test", false).ID, inactive) }, tenancy.ErrNotMember},
		{"an invitation to somebody else", "flo@else.test", func(w *world) { w.invite(w.acme.ID, "jo@else.test") }, tenancy.ErrNotMember},
		{"an invitation that was taken back", "jo@else.test", func(w *world) { w.revoke(w.invite(w.acme.ID, "jo@else.test")) }, tenancy.ErrNotMember},
		{"an invitation of a suspended organization", "jo@else.test", func(w *world) {
			w.invite(w.acme.ID, "jo@else.test")
			w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
		}, tenancy.ErrNotMember},
		{"a verified domain", "jo@acme.com", nil, tenancy.ErrNotMember},
		{"auto-join", "jo@acme.com", func(w *world) { w.autoJoin() }, nil},
		{"auto-join of a suspended organization", "jo@acme.com", func(w *world) {
			w.autoJoin()
			w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
		}, tenancy.ErrNotMember},
		{"auto-join on a domain that is verified no longer", "jo@acme.com", func(w *world) {
			w.autoJoin()
			w.must(func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
		}, tenancy.ErrNotMember},
		{"auto-join of another organization", "jo@globex.com", func(w *world) { w.autoJoin() }, tenancy.ErrNotMember},
		{"a domain below one that joins", "jo@mail.acme.com", func(w *world) { w.autoJoin() }, tenancy.ErrNotMember},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.before != nil {
				tt.before(w)
			}
			w.events()
			in, err := w.tryAddress(closed, tenancy.Proven{Email: tt.email})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil {
				if in.User.Email != tt.email || !in.User.EmailVerified {
					t.Errorf("got %+v", in)
				}
				return
			}
			if in.User.ID != "" {
				t.Errorf("refused, and yet %+v", in)
			}
			w.wantEvents()
			if open, err := w.tryAddress(anyRules, tenancy.Proven{Email: tt.email}); err != nil || !open.User.EmailVerified {
				t.Errorf("where sign-up is open: %v", err)
			}
		})
	}
}

func TestWhoeverProvesAnAddressThrowsOutWhoCameBeforeThem(t *testing.T) {
	w := newWorld(t)
	u := w.user("victim@new.test", false)
	w.set(w.globex.ID, u.ID, active)
	w.signIn(says(w.entra, "attacker", "victim@new.test"))
	w.must(func(tx store.Tx) error {
		return tx.PutIdentity(tenancy.Identity{Connection: tenancy.SocialConnection("shady"), Subject: "attacker", User: u.ID, CreatedAt: w.now})
	})
	w.events()
	in := w.address("victim@new.test")
	if !in.Cleanse || in.User.ID != u.ID || !in.User.EmailVerified || in.NewUser || in.ConfinedTo != "" {
		t.Errorf("got %+v", in)
	}
	if ids := w.identities(u.ID); len(ids) != 0 {
		t.Errorf("identities %q are left", ids)
	}
	w.wantEvents(audit.IdentityRemoved, audit.IdentityRemoved, audit.UserUpdated)
	if m := w.membership(w.globex.ID, u.ID); m.Status != active {
		t.Errorf("what an administrator did is undone: %+v", m)
	}
	if in := w.address("victim@new.test"); in.Cleanse {
		t.Error("the second time, too")
	}
}

// Whoever reads the mail of a domain that moved is not who its people were.
func TestADomainThatMovesDoesNotBringItsPeopleAlongByMail(t *testing.T) {
	w := newWorld(t)
	jo := w.signIn(says(w.okta, "jo", "jo@acme.com")).User
	if in := w.address("jo@acme.com"); in.User.ID != jo.ID {
		t.Fatalf("before: %+v", in)
	}
	w.must(func(tx store.Tx) error { return tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
	w.must(func(tx store.Tx) error {
		if _, err := tenancy.AddDomain(tx, w.globex.ID, "acme.com", "manual", operator, w.now); err != nil {
			return err
		}
		return tenancy.VerifyDomain(tx, w.globex.ID, "acme.com", "manual", operator, w.now)
	})
	w.events()
	if in, err := w.tryAddress(anyRules, tenancy.Proven{Email: "jo@acme.com"}); !errors.Is(err, tenancy.ErrIdentityConflict) || in.User.ID != "" {
		t.Errorf("got %+v, %v", in, err)
	}
	w.wantEvents()
	w.must(func(tx store.Tx) error { _, err := tenancy.Unlink(tx, jo.ID, operator, w.now); return err })
	if in := w.address("jo@acme.com"); in.User.ID != jo.ID {
		t.Errorf("when an operator has said that it is the same person: %+v", in)
	}
}

func TestProvingAnAddressMakesNoMember(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	u := w.user("jo@acme.com", false)
	w.set(w.acme.ID, u.ID, pending)
	if in := w.address("jo@acme.com"); in.Membership.ID != "" || in.NewMember {
		t.Errorf("got %+v", in)
	}
	if m := w.membership(w.acme.ID, u.ID); m.Status != pending {
		t.Errorf("the invitation is %s", m.Status)
	}
	u = w.user("flo@acme.com", true)
	w.set(w.acme.ID, u.ID, inactive)
	w.address("flo@acme.com")
	if m := w.membership(w.acme.ID, u.ID); m.Status != policy.Inactive {
		t.Errorf("the deactivated membership is %s", m.Status)
	}
}

// A domain that lapsed may be bought by anybody, who then reads its mail (attack 79).
func TestWhoeverReadsTheMailOfADomainThatLapsedIsNotItsPeople(t *testing.T) {
	w := newWorld(t)
	w.signIn(says(w.okta, "jo", "jo@acme.com"))
	w.must(func(tx store.Tx) error { return tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
	if in, err := w.tryAddress(anyRules, tenancy.Proven{Email: "jo@acme.com"}); !errors.Is(err, tenancy.ErrIdentityConflict) || in.User.ID != "" {
		t.Errorf("got %+v, %v", in, err)
	}
	// An operator says that it is the same person.
	w.must(func(tx store.Tx) error {
		u, err := tx.UserByEmail("jo@acme.com")
		if err != nil {
			return err
		}
		_, err = tenancy.Unlink(tx, u.ID, operator, w.now)
		return err
	})
	w.address("jo@acme.com")
}
