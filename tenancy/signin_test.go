package tenancy_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// says is an assertion by a connection.
func says(c tenancy.Connection, subject, email string) tenancy.Assertion {
	return tenancy.Assertion{Connection: c.ID, Organization: c.Organization, Subject: subject, Email: email}
}

func (w *world) signIn(a tenancy.Assertion) tenancy.SignedIn {
	w.t.Helper()
	in, err := w.trySignIn(anyRules, a)
	if err != nil {
		w.t.Fatal(err)
	}
	return in
}

func (w *world) trySignIn(r tenancy.Rules, a tenancy.Assertion) (in tenancy.SignedIn, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		in, err = tenancy.SignIn(tx, r, a, w.now)
		return err
	})
	return in, err
}

// wantRefused checks that the sign-in is refused for that reason, and that nothing came of it.
func (w *world) wantRefused(a tenancy.Assertion, want error) {
	w.t.Helper()
	w.events()
	if in, err := w.trySignIn(anyRules, a); !errors.Is(err, want) || in.User.ID != "" || in.Membership.ID != "" {
		w.t.Errorf("got %v and user %q, want %v", err, in.User.ID, want)
	}
	w.wantEvents()
}

func (w *world) changeOrg(org tenancy.OrgID, f func(o *tenancy.Organization)) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		o, err := tx.Organization(org)
		if err != nil {
			return err
		}
		f(&o)
		_, err = tenancy.SaveOrganization(tx, o, operator, w.now)
		return err
	})
}

func TestAFirstSignInMakesAUserAndAMember(t *testing.T) {
	w := newWorld(t)
	a := says(w.okta, "1", "Jo@ACME.com")
	a.Name, a.Attributes = " Jo\u202e Doe\r\n ", map[string]any{"seniority": "staff"}
	in := w.signIn(a)
	u, m := in.User, in.Membership
	if !in.NewUser || !in.NewMember || in.ConfinedTo != "" || in.Cleanse {
		t.Errorf("got %+v", in)
	}
	if u.Email != "jo@acme.com" || !u.EmailVerified || u.Name != "Jo Doe" || !u.LastSignInAt.Equal(w.now) || !strings.HasPrefix(string(u.ID), "user_") {
		t.Errorf("user is %+v", u)
	}
	if m.Status != policy.Active || !slices.Equal(m.Roles, []string{"member"}) || m.RoleSource != tenancy.RoleDefault || m.Attributes["seniority"] != "staff" || m.User != u.ID || m.Organization != w.acme.ID {
		t.Errorf("membership is %+v", m)
	}
	w.wantEvents(audit.UserCreated, audit.IdentityLinked, audit.MembershipCreated)

	again := w.signIn(a)
	if again.NewUser || again.NewMember || again.User.ID != u.ID || again.Membership.ID != m.ID {
		t.Errorf("the second time: %+v", again)
	}
	w.wantEvents()
}

func TestTenFirstSignInsAtOnceMakeOneUserOneMembershipOneEventOfEach(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	users, newUsers, newMembers := map[tenancy.UserID]bool{}, 0, 0
	for range 10 {
		wg.Go(func() {
			in, err := w.trySignIn(anyRules, says(w.okta, "1", "jo@acme.com"))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			users[in.User.ID] = true
			if in.NewUser {
				newUsers++
			}
			if in.NewMember {
				newMembers++
			}
		})
	}
	wg.Wait()
	if len(users) != 1 || newUsers != 1 || newMembers != 1 {
		t.Errorf("%d users, %d new, %d new members", len(users), newUsers, newMembers)
	}
	w.wantEvents(audit.UserCreated, audit.IdentityLinked, audit.MembershipCreated)
}

func TestTwoOrganizationsAtOnceMakeOneMemberOfASingleWorkspace(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}}, operator, w.now)
	})
	u := w.user("jo@acme.com", true)
	single := tenancy.Rules{SingleWorkspace: true}
	var wg sync.WaitGroup
	for _, org := range []tenancy.OrgID{w.acme.ID, w.globex.ID, w.acme.ID, w.globex.ID} {
		wg.Go(func() {
			_ = w.try(func(tx store.Tx) error {
				_, err := tenancy.CreateMembership(tx, single, org, u.ID, tenancy.Grant{}, operator, w.now)
				return err
			})
		})
	}
	wg.Wait()
	w.must(func(tx store.Tx) error {
		n := 0
		for _, err := range tx.Memberships(u.ID) {
			if err != nil {
				return err
			}
			n++
		}
		if n != 1 {
			t.Errorf("%d memberships", n)
		}
		return nil
	})
}

func TestAConnectionThatIsDisabledOrElsewhereAnswersNobody(t *testing.T) {
	for name, change := range map[string]func(tx store.Tx, w *world, a *tenancy.Assertion) error{
		"disabled": func(tx store.Tx, w *world, _ *tenancy.Assertion) error {
			c := w.okta
			c.Disabled = true
			_, err := tenancy.SaveConnection(tx, c, operator, w.now)
			return err
		},
		"removed": func(tx store.Tx, w *world, _ *tenancy.Assertion) error {
			return tenancy.RemoveConnection(tx, w.acme.ID, w.okta.ID, operator, w.now)
		},
		"suspended": func(tx store.Tx, w *world, _ *tenancy.Assertion) error {
			return tenancy.Suspend(tx, w.acme.ID, operator, w.now)
		},
		"another organization's": func(_ store.Tx, w *world, a *tenancy.Assertion) error { a.Organization = w.globex.ID; return nil },
		"of no organization":     func(_ store.Tx, _ *world, a *tenancy.Assertion) error { a.Organization = "org_gone"; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.signIn(says(w.okta, "1", "jo@acme.com"))
			a := says(w.okta, "1", "jo@acme.com")
			w.must(func(tx store.Tx) error { return change(tx, w, &a) })
			w.wantRefused(a, tenancy.ErrNotFound)
		})
	}
}

func TestAnIdentityIsTheConnectionAndTheExactSubject(t *testing.T) {
	w := newWorld(t)
	jo := w.signIn(says(w.okta, "Victim", "jo@acme.com")).User
	for i, subject := range []string{"victim", "Victi", "Victim ", "Victim\x00", "VICTIM", "Victim1"} {
		// Another subject is another person, and this address is taken.
		w.wantRefused(says(w.okta, subject, "jo@acme.com"), tenancy.ErrIdentityConflict)
		if in := w.signIn(says(w.okta, subject, "other"+string(rune('a'+i))+"@acme.com")); in.User.ID == jo.ID {
			t.Errorf("subject %q is Jo", subject)
		}
	}
	// Globex clones Acme's issuer and asserts Acme's subject by its own connection.
	w.wantRefused(says(w.entra, "Victim", "jo@acme.com"), tenancy.ErrNotVouched)
	if in := w.signIn(says(w.entra, "Victim", "evil@globex.com")); in.User.ID == jo.ID {
		t.Error("Globex's subject is Acme's person")
	}
	if _, err := w.trySignIn(anyRules, says(w.okta, "", "nobody@acme.com")); err == nil {
		t.Error("a person without a subject")
	}
}

func TestAnAddressThatWasGivenToSomebodyElseIsAConflict(t *testing.T) {
	w := newWorld(t)
	w.signIn(says(w.okta, "old", "jo@acme.com"))
	w.wantRefused(says(w.okta, "new", "jo@acme.com"), tenancy.ErrIdentityConflict)
	// Another connection of the same organization is another way for the same person.
	var adfs tenancy.Connection
	w.must(func(tx store.Tx) (err error) {
		adfs, err = tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.acme.ID, Name: "adfs", Type: "oidc"}, operator, w.now)
		return err
	})
	if in := w.signIn(says(adfs, "jo", "jo@acme.com")); in.NewUser || in.ConfinedTo != "" {
		t.Errorf("got %+v", in)
	}
}

// A domain that lapsed, or was sold, and was verified by somebody else: their provider must
// not become who its people were, at the old organization or anywhere else.
func TestADomainThatMovesDoesNotBringItsPeopleAlong(t *testing.T) {
	w := newWorld(t)
	jo := w.signIn(says(w.okta, "jo", "jo@acme.com")).User
	w.must(func(tx store.Tx) error {
		if err := tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now); err != nil {
			return err
		}
		if _, err := tenancy.AddDomain(tx, w.globex.ID, "acme.com", "manual", operator, w.now); err != nil {
			return err
		}
		return tenancy.VerifyDomain(tx, w.globex.ID, "acme.com", "manual", operator, w.now)
	})
	w.wantRefused(says(w.entra, "mallory", "jo@acme.com"), tenancy.ErrIdentityConflict)

	// Until an operator says that it is the same person.
	w.must(func(tx store.Tx) error {
		n, err := tenancy.Unlink(tx, jo.ID, operator, w.now)
		if n != 1 {
			t.Errorf("unlinked %d identities, want 1", n)
		}
		return err
	})
	if in := w.signIn(says(w.entra, "jo", "jo@acme.com")); in.User.ID != jo.ID || in.ConfinedTo != "" {
		t.Errorf("got %+v", in)
	}
}

func TestAProviderThatDoubtsTheAddressProvesNone(t *testing.T) {
	w := newWorld(t)
	a := says(w.okta, "1", "jo@acme.com")
	a.EmailVerified = new(bool)
	w.wantRefused(a, tenancy.ErrEmailUnproved)
	w.user("jo@acme.com", true)
	w.wantRefused(a, tenancy.ErrEmailUnproved)
	a.EmailVerified = new(true)
	in := w.signIn(a)
	if in.ConfinedTo != "" {
		t.Errorf("confined to %q", in.ConfinedTo)
	}
	// Known by subject, but no longer vouched for: good at Acme alone.
	a.EmailVerified = new(bool)
	if in := w.signIn(a); in.ConfinedTo != w.acme.ID {
		t.Errorf("confined to %q", in.ConfinedTo)
	}
}

func TestAnIdentityProviderSpeaksForItsOwnDomainsOnly(t *testing.T) {
	w := newWorld(t)
	jo := w.signIn(says(w.okta, "1", "jo@acme.com")).User
	// Jo is even a member of Globex, invited and all.
	w.set(w.globex.ID, jo.ID, active)
	for _, email := range []string{
		"jo@acme.com", "JO@ACME.COM", "new@acme.com", "stranger@else.test", "jo@mail.globex.com", "jo@globex.com.evil.test", "jo@acme.com@globex.com", "\"jo\"@globex.com", "jo", "",
	} {
		w.wantRefused(says(w.entra, "evil-"+email, email), tenancy.ErrNotVouched)
	}
	if m := w.membership(w.globex.ID, jo.ID); m.Status != active {
		t.Errorf("membership is %s", m.Status)
	}
}

func TestAGuestIsLetInByWhatAnAdministratorDidAndConfined(t *testing.T) {
	for standing, want := range map[policy.Standing]error{none: tenancy.ErrNotVouched, pending: nil, active: nil, inactive: tenancy.ErrNotVouched} {
		t.Run(standing.String(), func(t *testing.T) {
			w := newWorld(t)
			u := w.user("guest@else.test", false)
			if standing == pending {
				w.invite(w.acme.ID, "guest@else.test")
			} else {
				w.set(w.acme.ID, u.ID, standing)
			}
			a := says(w.okta, "g", "guest@else.test")
			a.Name = "As Acme calls them"
			if want != nil {
				w.wantRefused(a, want)
				return
			}
			w.events()
			for range 2 { // known by now, and judged anew
				in := w.signIn(a)
				if in.User.ID != u.ID || in.ConfinedTo != w.acme.ID || in.NewUser || in.NewMember || in.Cleanse || in.Membership.Status != standing {
					t.Errorf("got %+v", in)
				}
				if in.User.EmailVerified || in.User.Name != "" {
					t.Errorf("what Acme says of its guest is written down for everybody: %+v", in.User)
				}
			}
			w.wantEvents(audit.IdentityLinked)
			// The membership is all that lets them in.
			w.set(w.acme.ID, u.ID, none)
			w.wantRefused(a, tenancy.ErrNotVouched)
			w.set(w.acme.ID, u.ID, inactive)
			if in := w.signIn(a); in.Membership.Status != inactive || in.ConfinedTo != w.acme.ID {
				t.Errorf("deactivated: %+v", in)
			}
		})
	}
}

func TestAGuestWhoseAddressBecomesAnotherOrganizationsIsTheirs(t *testing.T) {
	w := newWorld(t)
	u := w.user("guest@else.test", false)
	w.set(w.acme.ID, u.ID, active)
	w.signIn(says(w.okta, "g", "guest@else.test"))
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}, {Name: "else.test", Verified: true}}, operator, w.now)
	})
	w.wantRefused(says(w.okta, "g", "guest@else.test"), tenancy.ErrNotVouched)
	w.wantRefused(says(w.okta, "g", ""), tenancy.ErrNotVouched)
	w.wantRefused(says(w.okta, "other", "guest@else.test"), tenancy.ErrNotVouched)
	if in := w.signIn(says(w.entra, "g", "guest@else.test")); in.User.ID != u.ID || in.ConfinedTo != "" {
		t.Errorf("by their own organization's: %+v", in)
	}
}

func TestTheFirstTrustedSignInThrowsOutWhoCameBeforeIt(t *testing.T) {
	w := newWorld(t)
	// Globex invites an address of a domain that nobody has verified, and vouches for it.
	u := w.user("victim@new.test", false)
	w.set(w.globex.ID, u.ID, active)
	planted := says(w.entra, "attacker", "victim@new.test")
	w.signIn(planted)
	// Then the address's own organization comes along.
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "new.test", Verified: true}}, operator, w.now)
	})
	w.events()
	in := w.signIn(says(w.okta, "victim", "victim@new.test"))
	if !in.Cleanse || in.User.ID != u.ID || !in.User.EmailVerified || in.ConfinedTo != "" {
		t.Errorf("got %+v", in)
	}
	w.wantEvents(audit.IdentityRemoved, audit.UserUpdated, audit.IdentityLinked, audit.MembershipCreated)
	w.wantRefused(planted, tenancy.ErrNotVouched)
	if in := w.signIn(says(w.okta, "victim", "victim@new.test")); in.Cleanse {
		t.Error("the second time, too")
	}
}

func TestAKnownGuestWhoseDomainIsVerifiedIsTrustedFromThenOn(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@acme.au", false)
	w.set(w.acme.ID, u.ID, active)
	a := says(w.okta, "jo", "jo@acme.au")
	if in := w.signIn(a); in.ConfinedTo != w.acme.ID {
		t.Fatalf("got %+v", in)
	}
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "acme.au", Verified: true}}, operator, w.now)
	})
	w.events()
	in := w.signIn(a)
	if in.ConfinedTo != "" || !in.Cleanse || !in.User.EmailVerified {
		t.Errorf("got %+v", in)
	}
	w.wantEvents(audit.UserUpdated) // their own identity is no stranger's
	// And when it is verified no longer, no longer.
	w.must(func(tx store.Tx) error { return tenancy.FailDomain(tx, w.acme.ID, "acme.au", operator, w.now) })
	if in := w.signIn(a); in.ConfinedTo != w.acme.ID {
		t.Errorf("got %+v", in)
	}
}

func TestAChangedAddressChangesTheUsersOnlyInsideTheDomains(t *testing.T) {
	for _, tt := range []struct {
		name      string
		user, new string
		want      string
		confined  bool
	}{
		{"inside", "jo@acme.com", "jo.doe@acme.com", "jo.doe@acme.com", false},
		{"inside, in upper case", "jo@acme.com", "JO@ACME.com", "jo@acme.com", false},
		{"to outside", "jo@acme.com", "jo@else.test", "jo@acme.com", true},
		{"to another organization's", "jo@acme.com", "jo@globex.com", "jo@acme.com", true},
		{"to somebody else's", "jo@acme.com", "flo@acme.com", "jo@acme.com", false},
		{"to nothing", "jo@acme.com", "", "jo@acme.com", false},
		{"to what is none", "jo@acme.com", "jo@x@acme.com", "jo@acme.com", true},
		{"from outside", "jo@else.test", "jo@acme.com", "jo@else.test", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.signIn(says(w.okta, "flo", "flo@acme.com"))
			u := w.user(tt.user, true)
			w.set(w.acme.ID, u.ID, active)
			w.signIn(says(w.okta, "jo", tt.user))
			w.events()
			in := w.signIn(says(w.okta, "jo", tt.new))
			if in.User.ID != u.ID || in.User.Email != tt.want || (in.ConfinedTo != "") != tt.confined {
				t.Errorf("user %s has %s, confined to %q", in.User.ID, in.User.Email, in.ConfinedTo)
			}
			if tt.want == tt.user {
				w.wantEvents()
			} else {
				w.wantEvents(audit.UserUpdated)
			}
			w.must(func(tx store.Tx) error {
				i, err := tx.Identity(w.okta.ID, "jo")
				if said, _ := tenancy.ParseEmail(tt.new); said != "" && i.Email != said {
					t.Errorf("identity has %q, want what was said, %q", i.Email, said)
				}
				return err
			})
		})
	}
}

func TestADeactivatedMemberIsNotBroughtBackBySigningIn(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	a := says(w.okta, "1", "jo@acme.com")
	a.Groups, a.HasGroups = []string{"Admins"}, true
	u := w.signIn(a).User
	w.must(func(tx store.Tx) error { return actions["deactivate"](tx, anyRules, w, u.ID) })
	w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.GroupRoles = []tenancy.GroupRole{{Group: "Admins", Role: "admin"}} })
	w.events()
	in := w.signIn(a)
	if in.Membership.Status != inactive || in.NewMember || !slices.Equal(in.Membership.Roles, []string{"member"}) {
		t.Errorf("got %+v", in.Membership)
	}
	w.wantEvents()
}

func TestAnInvitationIsAcceptedBySigningInOnlyWhereJITWouldDo(t *testing.T) {
	for jit, want := range map[bool]policy.Standing{true: active, false: pending} {
		w := newWorld(t)
		w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.JITSSO = jit })
		u := w.user("jo@acme.com", false)
		w.set(w.acme.ID, u.ID, pending)
		in := w.signIn(says(w.okta, "1", "jo@acme.com"))
		if in.Membership.Status != want || !slices.Equal(in.Membership.Roles, []string{"auditor"}) || in.NewMember != jit {
			t.Errorf("JIT %v: membership is %+v", jit, in.Membership)
		}
	}
}

func TestWithoutJITNobodyIsMadeAMember(t *testing.T) {
	w := newWorld(t)
	w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.JITSSO = false })
	in := w.signIn(says(w.okta, "1", "jo@acme.com"))
	if in.Membership.ID != "" || in.NewMember || !in.NewUser {
		t.Errorf("got %+v", in)
	}
}

func TestWhereSignUpIsByInvitationNoAccountIsMadeForNothing(t *testing.T) {
	closed := tenancy.Rules{InvitationOnly: true}
	for _, tt := range []struct {
		name          string
		jit, autoJoin bool
		known         bool
		want          error
	}{
		{"nothing would make a member", false, false, false, tenancy.ErrNotMember},
		{"JIT", true, false, false, nil},
		{"auto-join", false, true, false, nil},
		{"who has an account", false, false, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.JITSSO, o.AutoJoin = tt.jit, tt.autoJoin })
			if tt.known {
				w.user("jo@acme.com", true)
			}
			if _, err := w.trySignIn(closed, says(w.okta, "1", "jo@acme.com")); !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestJITKeepsToASingleWorkspace(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@acme.com", true)
	w.set(w.globex.ID, u.ID, active)
	single := tenancy.Rules{SingleWorkspace: true}
	if _, err := w.trySignIn(single, says(w.okta, "1", "jo@acme.com")); !errors.Is(err, tenancy.ErrSingleWorkspace) {
		t.Errorf("got %v", err)
	}
	w.set(w.globex.ID, u.ID, none)
	if in, err := w.trySignIn(single, says(w.okta, "1", "jo@acme.com")); err != nil || !in.NewMember {
		t.Errorf("got %+v, %v", in, err)
	}
}

func TestRolesComeFromTheStrongestSource(t *testing.T) {
	const noClaim = "-"
	for _, tt := range []struct {
		name       string
		mapped     bool // the organization maps Admins to admin and Auditors to auditor
		source     tenancy.RoleSource
		roles      string
		groups     string // comma-separated
		want       string
		wantSource tenancy.RoleSource
	}{
		{"a group gives a role", true, tenancy.RoleDefault, "member", "Admins", "admin", tenancy.RoleSSO},
		{"several groups give theirs, in the order of the map", true, tenancy.RoleDefault, "member", "Auditors,x,Admins,Admins", "admin,auditor", tenancy.RoleSSO},
		{"more than what was set by hand", true, tenancy.RoleManual, "auditor", "Admins", "admin", tenancy.RoleSSO},
		{"no group leaves what was set by hand", true, tenancy.RoleManual, "auditor", "x", "auditor", tenancy.RoleManual},
		{"no group takes away what a group gave", true, tenancy.RoleSSO, "admin", "x", "member", tenancy.RoleDefault},
		{"an empty list does too", true, tenancy.RoleSSO, "admin", "", "member", tenancy.RoleDefault},
		{"and a claim that is missing", true, tenancy.RoleSSO, "admin", noClaim, "member", tenancy.RoleDefault},
		{"and a map that is gone", false, tenancy.RoleSSO, "admin", "Admins", "member", tenancy.RoleDefault},
		{"a missing claim leaves what was set by hand", true, tenancy.RoleManual, "auditor", noClaim, "auditor", tenancy.RoleManual},
		{"the directory's are not touched", true, tenancy.RoleDirectory, "auditor", "Admins", "auditor", tenancy.RoleDirectory},
		{"a group that is called as a role is none", true, tenancy.RoleDefault, "member", "admin,owner", "member", tenancy.RoleDefault},
		{"nor in another case", true, tenancy.RoleDefault, "member", "admins, Admins,Admins ", "member", tenancy.RoleDefault},
		{"without a map groups are nothing", false, tenancy.RoleDefault, "member", "Admins", "member", tenancy.RoleDefault},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			a := says(w.okta, "1", "jo@acme.com")
			u := w.signIn(a).User
			w.must(func(tx store.Tx) error {
				m, err := tx.Membership(w.acme.ID, u.ID)
				if err != nil {
					return err
				}
				m.Roles, m.RoleSource = strings.Split(tt.roles, ","), tt.source
				return tx.PutMembership(m)
			})
			if tt.mapped {
				w.changeOrg(w.acme.ID, func(o *tenancy.Organization) {
					o.GroupRoles = []tenancy.GroupRole{{Group: "Admins", Role: "admin"}, {Group: "Auditors", Role: "auditor"}, {Group: "Boss", Role: "admin"}}
				})
			}
			w.events()
			if tt.groups != noClaim {
				a.HasGroups = true
				a.Groups = strings.Split(tt.groups, ",")
			}
			m := w.signIn(a).Membership
			if strings.Join(m.Roles, ",") != tt.want || m.RoleSource != tt.wantSource {
				t.Errorf("roles are %q from %s, want %q from %s", m.Roles, m.RoleSource, tt.want, tt.wantSource)
			}
			if tt.want == tt.roles && tt.wantSource == tt.source {
				w.wantEvents()
			} else {
				w.wantEvents(audit.MembershipUpdated)
			}
		})
	}
}

func TestANewMemberGetsTheOrganizationsDefaultRoleOrTheInstallations(t *testing.T) {
	for _, tt := range []struct{ organization, installation, want string }{{"auditor", "admin", "auditor"}, {"", "admin", "admin"}, {"", "", "member"}} {
		w := newWorld(t)
		w.changeOrg(w.acme.ID, func(o *tenancy.Organization) { o.DefaultRole = tt.organization })
		in, err := w.trySignIn(tenancy.Rules{DefaultRole: tt.installation}, says(w.okta, "1", "jo@acme.com"))
		if err != nil || !slices.Equal(in.Membership.Roles, []string{tt.want}) {
			t.Errorf("got %q, %v, want %s", in.Membership.Roles, err, tt.want)
		}
	}
}

func TestAttributesAreWrittenWhenTheyChange(t *testing.T) {
	w := newWorld(t)
	a := says(w.okta, "1", "jo@acme.com")
	a.Attributes = map[string]any{"level": 3, "tags": []any{"x"}}
	w.signIn(a)
	w.events()
	w.signIn(a)
	w.wantEvents()
	a.Attributes = map[string]any{"level": 4}
	if m := w.signIn(a).Membership; len(m.Attributes) != 1 {
		t.Errorf("attributes are %v", m.Attributes)
	}
	w.wantEvents(audit.MembershipUpdated)
	a.Attributes = nil // nothing said
	if m := w.signIn(a).Membership; len(m.Attributes) != 1 {
		t.Errorf("attributes are %v", m.Attributes)
	}
	w.wantEvents()
}
