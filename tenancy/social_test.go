package tenancy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func social(provider, subject, email string, verified *bool) tenancy.SocialAssertion {
	return tenancy.SocialAssertion{Provider: provider, Subject: subject, Email: email, EmailVerified: verified, Name: "As they say"}
}

func (w *world) trySocial(r tenancy.Rules, a tenancy.SocialAssertion, trusted bool) (in tenancy.SocialArrival, err error) {
	w.t.Helper()
	err = w.try(func(tx store.Tx) (err error) {
		in, err = tenancy.SocialSignIn(tx, r, a, trusted, w.now)
		return err
	})
	return in, err
}

// link is what follows the proof of the address.
func (w *world) link(a tenancy.SocialAssertion) (in tenancy.SignedIn) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		if in, err = tenancy.SignInByAddress(tx, anyRules, tenancy.Proven{Email: a.Email, Name: a.Name}, w.now); err != nil {
			return err
		}
		return tenancy.LinkSocial(tx, in.User.ID, a, w.now)
	})
	return in
}

func TestASocialIdentityIsTheProviderAndTheExactSubject(t *testing.T) {
	w := newWorld(t)
	jo := w.link(social("google", "Sub", "jo@else.test", nil)).User
	w.wantEvents(audit.UserCreated, audit.IdentityLinked)
	for _, other := range []tenancy.SocialAssertion{
		social("google", "sub", "jo@else.test", new(true)), social("google", "Su", "jo@else.test", new(true)), social("google", "Sub ", "jo@else.test", new(true)),
		social("github", "Sub", "jo@else.test", new(true)), social("google2", "Sub", "jo@else.test", new(true)), social("Google", "Sub", "jo@else.test", new(true)),
	} {
		if in, err := w.trySocial(anyRules, other, false); err != nil || !in.NeedsAddressProof || in.User.ID != "" {
			t.Errorf("%s %q: %+v, %v", other.Provider, other.Subject, in, err)
		}
	}
	w.wantEvents()
	// Known, whatever is said of the address, and whether the provider is trusted.
	for _, a := range []tenancy.SocialAssertion{
		social("google", "Sub", "jo@else.test", nil), social("google", "Sub", "", nil), social("google", "Sub", "jo@else.test", new(bool)),
		social("google", "Sub", "victim@acme.com", new(true)), social("google", "Sub", "x@x@x", nil),
	} {
		for _, trusted := range []bool{false, true} {
			in, err := w.trySocial(closed, a, trusted)
			if err != nil || in.NeedsAddressProof || in.User.ID != jo.ID || in.User.Email != "jo@else.test" || in.User.Name != "As they say" || in.ConfinedTo != "" || in.Cleanse {
				t.Errorf("%q: %+v, %v", a.Email, in, err)
			}
		}
	}
	w.wantEvents()
	w.must(func(tx store.Tx) error {
		i, err := tx.Identity(tenancy.SocialConnection("google"), "Sub")
		if i.Email != "victim@acme.com" || i.Vouched || i.Organization != "" {
			t.Errorf("identity is %+v", i)
		}
		return err
	})
	for _, a := range []tenancy.SocialAssertion{social("", "Sub", "jo@else.test", nil), social("google", "", "jo@else.test", nil)} {
		if _, err := w.trySocial(anyRules, a, true); err == nil {
			t.Errorf("%+v is somebody", a)
		}
	}
}

func TestAnUnknownSocialIdentityNeedsAProofOfItsAddress(t *testing.T) {
	verify := func(w *world, name string) {
		w.must(func(tx store.Tx) error {
			return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: name, Verified: true}}, operator, w.now)
		})
	}
	for _, tt := range []struct {
		name     string
		email    string
		verified *bool
		trusted  bool
		before   func(w *world)
		asks     bool
		want     error
	}{
		{name: "trusted, and verified there", email: "jo@else.test", verified: new(true), trusted: true},
		{name: "not trusted", email: "jo@else.test", verified: new(true), asks: true},
		{name: "says nothing of it", email: "jo@else.test", trusted: true, asks: true},
		{name: "says that it is not", email: "jo@else.test", verified: new(bool), trusted: true, want: tenancy.ErrEmailUnproved},
		{name: "says no address", verified: new(true), trusted: true, want: tenancy.ErrNotVouched},
		{name: "says what is none", email: "jo@x@else.test", verified: new(true), trusted: true, want: tenancy.ErrNotVouched},
		{name: "on a verified domain", email: "jo@acme.com", verified: new(true), trusted: true, asks: true},
		{name: "on a suspended organization's", email: "jo@acme.com", verified: new(true), trusted: true, asks: true, before: func(w *world) {
			w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
		}},
		{name: "on one that was just verified", email: "jo@else.test", verified: new(true), trusted: true, asks: true, before: func(w *world) { verify(w, "else.test") }},
		{name: "of an account that is proved", email: "jo@else.test", verified: new(true), trusted: true, before: func(w *world) { w.user("jo@else.test", true) }},
		{name: "of an account that is not", email: "jo@else.test", verified: new(true), trusted: true, before: func(w *world) { w.user("jo@else.test", false) }},
		{name: "of an account of another subject there", email: "jo@else.test", verified: new(true), trusted: true, asks: true, before: func(w *world) { w.link(social("google", "old", "jo@else.test", nil)) }},
		{name: "of an account of another provider", email: "jo@else.test", verified: new(true), trusted: true, before: func(w *world) { w.link(social("github", "jo", "jo@else.test", nil)) }},
		// The domain lapsed, and whoever bought it has its mail, and an account there.
		{name: "of whom an organization's provider spoke", email: "jo@else.test", verified: new(true), trusted: true, asks: true, before: func(w *world) {
			verify(w, "else.test")
			w.signIn(says(w.okta, "jo", "jo@else.test"))
			w.must(func(tx store.Tx) error { return tenancy.RemoveDomain(tx, w.acme.ID, "else.test", operator, w.now) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			if tt.before != nil {
				tt.before(w)
			}
			w.events()
			a := social("google", "new", tt.email, tt.verified)
			in, err := w.trySocial(anyRules, a, tt.trusted)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || in.NeedsAddressProof != tt.asks {
				t.Fatalf("got %+v, %v, want %v and asked: %v", in, err, tt.want, tt.asks)
			}
			if tt.want != nil || tt.asks {
				w.wantEvents()
				if in.User.ID != "" || in.NewUser || in.Cleanse || tt.asks && in.Email != tt.email {
					t.Errorf("got %+v", in)
				}
				return
			}
			if in.User.Email != tt.email || !in.User.EmailVerified || !slices.Contains(w.identities(in.User.ID), "social:google new") {
				t.Errorf("got %+v with %q", in, w.identities(in.User.ID))
			}
			if again, err := w.trySocial(anyRules, a, false); err != nil || again.User.ID != in.User.ID || again.Cleanse {
				t.Errorf("the second time: %+v, %v", again, err)
			}
		})
	}
}

func TestWhatIsAskedOfASocialIdentityDoesNotTellWhoExists(t *testing.T) {
	for _, rules := range []tenancy.Rules{anyRules, closed} {
		w := newWorld(t)
		w.user("there@else.test", true)
		w.user("unproved@else.test", false)
		for _, email := range []string{"nobody@else.test", "there@else.test", "unproved@else.test", "there@acme.com"} {
			in, err := w.trySocial(rules, social("shady", "x", email, new(true)), false)
			if err != nil || !in.NeedsAddressProof || in.User.ID != "" {
				t.Errorf("%s: %+v, %v", email, in, err)
			}
		}
	}
}

func TestASocialSignUpKeepsToInvitations(t *testing.T) {
	w := newWorld(t)
	a := social("google", "jo", "jo@else.test", new(true))
	if in, err := w.trySocial(closed, a, true); !errors.Is(err, tenancy.ErrNotMember) || in.User.ID != "" {
		t.Errorf("got %+v, %v", in, err)
	}
	w.invite(w.acme.ID, "jo@else.test")
	if in, err := w.trySocial(closed, a, true); err != nil || in.User.Email != "jo@else.test" || !in.Cleanse {
		t.Errorf("invited: %+v, %v", in, err)
	}
}

func TestASocialIdentityIsLinkedToWhoProvedItsAddress(t *testing.T) {
	w := newWorld(t)
	jo, flo, unproved := w.user("jo@else.test", true), w.user("flo@else.test", true), w.user("new@else.test", false)
	try := func(u tenancy.UserID, a tenancy.SocialAssertion) error {
		return w.try(func(tx store.Tx) error { return tenancy.LinkSocial(tx, u, a, w.now) })
	}
	w.events()
	for what, tt := range map[string]struct {
		user tenancy.UserID
		a    tenancy.SocialAssertion
		want error
	}{
		"another's address":        {jo.ID, social("google", "x", "flo@else.test", new(true)), tenancy.ErrEmailUnproved},
		"no address":               {jo.ID, social("google", "x", "", nil), tenancy.ErrEmailUnproved},
		"an account of a stranger": {unproved.ID, social("google", "x", "new@else.test", new(true)), tenancy.ErrEmailUnproved},
		"nobody":                   {"user_none", social("google", "x", "new@else.test", new(true)), tenancy.ErrNotFound},
	} {
		if err := try(tt.user, tt.a); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", what, err, tt.want)
		}
	}
	w.wantEvents()
	for range 2 {
		if err := try(jo.ID, social("google", "x", "JO@else.test", nil)); err != nil {
			t.Error(err)
		}
	}
	w.wantEvents(audit.IdentityLinked)
	// The subject is Jo's; that the provider says Flo's address now makes it not Flo's.
	if err := try(flo.ID, social("google", "x", "flo@else.test", new(true))); !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("a subject of another's: %v", err)
	}
	if ids := w.identities(flo.ID); len(ids) != 0 {
		t.Errorf("Flo has %q", ids)
	}
}

// What an identity without an organization means where others have one.
func TestASocialIdentityIsNoOrganizationsWord(t *testing.T) {
	w := newWorld(t)
	a := social("google", "jo", "jo@else.test", nil)
	jo := w.link(a).User
	conn := tenancy.SocialConnection("google")

	// It is no connection of an organization, whoever says so.
	for _, org := range []tenancy.OrgID{"", w.acme.ID, "social:google"} {
		if _, err := w.trySignIn(anyRules, tenancy.Assertion{Connection: conn, Organization: org, Subject: "jo", Email: "jo@else.test"}); err == nil {
			t.Errorf("an assertion by it as %q's is believed", org)
		}
	}
	// It vouched for nobody, so that the domain's organization can speak for its people.
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.acme.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}, {Name: "else.test", Verified: true}}, operator, w.now)
	})
	if in := w.signIn(says(w.okta, "jo", "jo@else.test")); in.User.ID != jo.ID || in.ConfinedTo != "" {
		t.Errorf("by the organization's provider: %+v", in)
	}

	limits := session.Limits{Idle: 1e13, Absolute: 1e13}
	up := &session.UpstreamSession{Connection: conn, Subject: "jo"}
	begin := func(p policy.Proof, u tenancy.UserID, up *session.UpstreamSession) (s session.Session, err error) {
		err = w.try(func(tx store.Tx) (err error) {
			s, _, err = session.Begin(tx, u, p, up, "", session.Browser{}, limits, w.now)
			return err
		})
		return s, err
	}
	s, err := begin(policy.Proof{Method: policy.Social, Connection: string(conn), At: w.now}, jo.ID, up)
	if err != nil {
		t.Fatal(err)
	}
	facts := func(s session.Session) (f policy.Facts) {
		w.must(func(tx store.Tx) error {
			v, err := session.Gather(tx, session.Query{Session: s, Organization: w.acme.ID, Now: w.now})
			f = v.Facts
			return err
		})
		return f
	}
	if f := facts(s); len(f.Proofs) != 1 || f.ConfinedTo != "" || f.MayJoin {
		t.Errorf("facts are %+v", f)
	}
	// Called SSO, it is nobody's.
	s, err = begin(policy.Proof{Method: policy.SSO, Connection: string(conn), At: w.now}, jo.ID, up)
	if err == nil {
		if f := facts(s); len(f.Proofs) != 0 {
			t.Errorf("a social identity counts as SSO: %+v", f.Proofs)
		}
	}
	for what, up := range map[string]*session.UpstreamSession{
		"an organization's": {Connection: conn, Organization: w.acme.ID, Subject: "jo"}, "another subject": {Connection: conn, Subject: "flo"},
		"another provider": {Connection: tenancy.SocialConnection("github"), Subject: "jo"},
	} {
		if _, err := begin(policy.Proof{Method: policy.Social, Connection: string(up.Connection), Organization: string(up.Organization), At: w.now}, jo.ID, up); !errors.Is(err, session.ErrForeign) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := begin(policy.Proof{Method: policy.Social, Connection: string(conn), At: w.now}, w.user("flo@else.test", true).ID, up); !errors.Is(err, session.ErrForeign) {
		t.Errorf("for somebody else: %v", err)
	}
	// An operator who unlinks a person unlinks it too.
	w.must(func(tx store.Tx) error {
		n, err := tenancy.Unlink(tx, jo.ID, operator, w.now)
		if n != 2 {
			t.Errorf("unlinked %d", n)
		}
		return err
	})
	if in, err := w.trySocial(anyRules, a, false); err != nil || !in.NeedsAddressProof {
		t.Errorf("unlinked: %+v, %v", in, err)
	}
	if !strings.HasPrefix(string(conn), "social:") || strings.HasPrefix(string(w.okta.ID), "social:") {
		t.Error("a connection could be called so")
	}
}
