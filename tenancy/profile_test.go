package tenancy_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestANameIsChangedAndIsOneLineOfText(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@else.test", true)
	for _, tt := range []struct{ in, want, event string }{
		{" Jo\u202e Doe\r\n", "Jo Doe", audit.UserUpdated}, {"Jo Doe", "Jo Doe", ""}, {"<b>", "<b>", audit.UserUpdated}, {"", "", audit.UserUpdated},
	} {
		w.events()
		w.must(func(tx store.Tx) error {
			got, err := tenancy.RenameUser(tx, u.ID, tt.in, operator, w.now)
			if got.Name != tt.want {
				t.Errorf("%q became %q", tt.in, got.Name)
			}
			return err
		})
		if tt.event == "" {
			w.wantEvents()
		} else {
			w.wantEvents(tt.event)
		}
	}
	if err := w.try(func(tx store.Tx) error {
		_, err := tenancy.RenameUser(tx, "user_none", "x", operator, w.now)
		return err
	}); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestAnAddressChangesOutsideOfDomainsAlone(t *testing.T) {
	for _, tt := range []struct {
		name     string
		from, to string
		unproved bool
		before   func(w *world)
		want     error
	}{
		{name: "from nobody's to nobody's", from: "jo@else.test", to: "New@Other.test"},
		{name: "to itself", from: "jo@else.test", to: "JO@else.test"},
		{name: "to itself, on a domain", from: "jo@acme.com", to: "jo@acme.com"},
		{name: "away from a domain", from: "jo@acme.com", to: "jo@else.test", want: tenancy.ErrDomainOwned},
		{name: "onto a domain", from: "jo@else.test", to: "jo@acme.com", want: tenancy.ErrDomainOwned},
		{name: "inside a domain", from: "jo@acme.com", to: "jo.doe@acme.com", want: tenancy.ErrDomainOwned},
		{name: "from one to another", from: "jo@acme.com", to: "jo@globex.com", want: tenancy.ErrDomainOwned},
		{name: "away from a suspended organization's", from: "jo@acme.com", to: "jo@else.test", want: tenancy.ErrDomainOwned, before: func(w *world) {
			w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
		}},
		{name: "away from a domain that is none any more", from: "jo@acme.com", to: "jo@else.test", before: func(w *world) {
			w.must(func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
		}},
		{name: "to another's", from: "jo@else.test", to: "flo@else.test", want: tenancy.ErrTaken, before: func(w *world) { w.user("flo@else.test", true) }},
		{name: "to one that is invited", from: "jo@else.test", to: "flo@else.test", want: tenancy.ErrTaken, before: func(w *world) { w.user("flo@else.test", false) }},
		{name: "of an account that nobody has proved", from: "jo@else.test", to: "new@else.test", unproved: true, want: tenancy.ErrEmailUnproved},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			u := w.user(tt.from, !tt.unproved)
			w.must(func(tx store.Tx) error {
				return tx.PutIdentity(tenancy.Identity{Connection: tenancy.SocialConnection("google"), Subject: "jo", User: u.ID, CreatedAt: w.now})
			})
			if tt.before != nil {
				tt.before(w)
			}
			w.events()
			var got tenancy.User
			err := w.try(func(tx store.Tx) (err error) {
				got, err = tenancy.ChangeEmail(tx, u.ID, tt.to, operator, w.now)
				return err
			})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			email, _ := tenancy.ParseEmail(tt.to)
			if err != nil {
				email = tt.from
			}
			w.must(func(tx store.Tx) error {
				there, err := tx.User(u.ID)
				if there.Email != email || there.EmailVerified == tt.unproved {
					t.Errorf("the address is %s, verified %v, want %s", there.Email, there.EmailVerified, email)
				}
				if by, err := tx.UserByEmail(email); err != nil || by.ID != u.ID {
					t.Errorf("by address: %+v, %v", by, err)
				}
				return err
			})
			if err == nil && email != tt.from {
				w.wantEvents(audit.UserUpdated)
				if got.Email != email {
					t.Errorf("got %+v", got)
				}
				// The old one is free, and is another person's who proves it.
				if in := w.address(tt.from); in.User.ID == u.ID || !in.NewUser {
					t.Errorf("the old address: %+v", in)
				}
			} else {
				w.wantEvents()
			}
			if ids := w.identities(u.ID); !slices.Equal(ids, []string{"social:google jo"}) {
				t.Errorf("identities are %q", ids)
			}
		})
	}
	w := newWorld(t)
	u := w.user("jo@else.test", true)
	if err := w.try(func(tx store.Tx) error {
		_, err := tenancy.ChangeEmail(tx, u.ID, "jo", operator, w.now)
		return err
	}); err == nil {
		t.Error("what is no address is taken")
	}
}

func TestALeaverOfAnAutoJoinOrganizationIsNotADeactivatedOneWhoComesBack(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	u := w.user("jo@acme.com", true)
	join := func() error {
		return w.try(func(tx store.Tx) error { _, _, err := tenancy.Join(tx, anyRules, w.acme.ID, u.ID, w.now); return err })
	}
	leave := func() error {
		return w.try(func(tx store.Tx) error { return tenancy.LeaveOrganization(tx, w.acme.ID, u.ID, w.now) })
	}
	if err := errors.Join(join(), leave(), join()); err != nil {
		t.Fatal(err)
	}
	w.must(func(tx store.Tx) error { return tenancy.DeactivateMembership(tx, w.acme.ID, u.ID, operator, w.now) })
	if err := leave(); !errors.Is(err, tenancy.ErrDeactivated) {
		t.Errorf("a deactivated member leaves: %v", err)
	}
	if err := join(); err != nil || w.membership(w.acme.ID, u.ID).Status != inactive {
		t.Errorf("and comes back: %v, %s", err, w.membership(w.acme.ID, u.ID).Status)
	}
}
