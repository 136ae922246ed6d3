package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var everything = policy.MethodsOf(policy.SSO, policy.EmailCode, policy.Passkey, policy.TOTP, policy.RecoveryCode)

// people are jo of Acme, who visits Globex; gus, a guest of Acme with an authenticator app; and
// ann of Acme, who is a member of nothing.
func (w *world) people() {
	w.t.Helper()
	w.invite("jo@acme.com", w.acme.ID, w.globex.ID)
	gus := w.invite("gus@else.test", w.acme.ID)
	w.invite("ann@acme.com")
	w.must(func(tx store.Tx) error {
		return errors.Join(tx.PutTOTP(factor.TOTP{User: gus}), tx.PutRecoveryCodes(factor.RecoveryCodes{User: gus, Hashes: []session.Hash{{1}}}))
	})
}

// everybody reads who is known.
func everybody(tx store.Tx) (all []session.Person, err error) {
	for u, err := range tx.Users() {
		if err != nil {
			return nil, err
		}
		p := session.Person{User: u}
		if p.Enrolled, err = tx.Enrolled(u.ID); err != nil {
			return nil, err
		}
		for m, err := range tx.Memberships(u.ID) {
			if err != nil {
				return nil, err
			}
			m.Status = policy.Active // these tests are not about invitations
			p.Memberships = append(p.Memberships, m)
		}
		all = append(all, p)
	}
	return all, nil
}

func (w *world) keep(orgs ...tenancy.OrgID) *session.KeptSettings {
	w.t.Helper()
	var k session.KeptSettings
	w.must(func(tx store.Tx) error {
		for _, id := range orgs {
			if err := k.Keep(tx, id); err != nil {
				return err
			}
		}
		return nil
	})
	return &k
}

// compare judges everybody before and after a change; the settings before are those that were
// kept of Acme and Globex.
func (w *world) compare(before *session.KeptSettings, offeredBefore, offeredAfter policy.Methods) (lines []string, obstacles []string) {
	w.t.Helper()
	err := w.s.View(w.t.Context(), func(tx store.Tx) error {
		lines, obstacles = nil, nil
		before.Rest = tx
		c := session.NewComparison(session.Regime{Settings: before, Offered: offeredBefore}, session.Regime{Settings: tx, Offered: offeredAfter}, 20, w.now)
		all, err := everybody(tx)
		if err != nil {
			return err
		}
		for _, p := range all {
			if err := c.Add(p); err != nil {
				return err
			}
		}
		for _, i := range c.Impacts() {
			for change := session.LockedOut; change <= session.AskedLess; change++ {
				if len(i.Names[change]) != i.Counts[change] {
					w.t.Errorf("%d names of %d", len(i.Names[change]), i.Counts[change])
				}
				slices.Sort(i.Names[change])
				for _, name := range i.Names[change] {
					lines = append(lines, fmt.Sprintf("%s: %s %v", i.Slug, name, change))
				}
			}
			obstacles = append(obstacles, i.Obstacles...)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return lines, obstacles
}

func TestWhatAChangeMeansForThoseWhoAreKnown(t *testing.T) {
	sso := policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	mfa := policy.Policy{MFA: true}
	set := func(org func(*world) tenancy.OrgID, f func(*tenancy.Organization)) func(*world) {
		return func(w *world) { w.change(org(w), f) }
	}
	acme := func(w *world) tenancy.OrgID { return w.acme.ID }
	globex := func(w *world) tenancy.OrgID { return w.globex.ID }
	for _, tt := range []struct {
		name           string
		before, change func(*world)
		offered        policy.Methods // after; 0: as before
		want           []string
		obstacle       string
	}{
		{name: "nothing", change: func(*world) {}},
		{name: "a name is no rule", change: set(acme, func(o *tenancy.Organization) { o.Name, o.AutoJoin, o.DefaultRole = "Acme!", true, "admin" })},
		{
			name: "a domain policy, for its people wherever they go", change: set(acme, func(o *tenancy.Organization) { o.DomainPolicy = &sso }),
			want: []string{": ann@acme.com asked for more", "acme: jo@acme.com asked for more", "globex: jo@acme.com asked for more"},
		},
		{
			name: "an organization policy, for its guests too", change: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso }),
			want: []string{"acme: gus@else.test asked for more", "acme: jo@acme.com asked for more"},
		},
		{
			name: "a second factor, of whoever would not show it anyway", change: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &mfa }),
			want: []string{"acme: jo@acme.com asked for more"},
		},
		{
			name:   "a policy that is gone",
			before: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso }), change: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = nil }),
			want: []string{"acme: gus@else.test asked for less", "acme: jo@acme.com asked for less"},
		},
		{
			name: "a provider that may not speak for them", change: set(globex, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso }),
			want:     []string{"globex: jo@acme.com locked out"},
			obstacle: "The organization policy of globex asks for sso; no such proof yet. Next: sso by connection entra. But only the identity provider of the organization that acme.com belongs to may speak for the person.",
		},
		{
			name:   "and back",
			before: set(globex, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso }), change: set(globex, func(o *tenancy.Organization) { o.OrganizationPolicy = nil }),
			want: []string{"globex: jo@acme.com let in"},
		},
		{
			name:   "the connection that a policy needs is disabled",
			before: set(acme, func(o *tenancy.Organization) { o.DomainPolicy = &sso }),
			change: func(w *world) {
				c := w.okta
				c.Disabled = true
				w.must(func(tx store.Tx) error { _, err := tenancy.SaveConnection(tx, c, operator, w.now); return err })
			},
			// Gus could come by okta; now there is the code by mail alone.
			want: []string{
				": ann@acme.com locked out", "acme: jo@acme.com locked out", "acme: gus@else.test asked for more", "globex: jo@acme.com locked out",
			},
			obstacle: "The domain policy of acme.com asks for sso; nothing of that can be asked for here.",
		},
		{
			name: "an organization that is suspended",
			change: func(w *world) {
				w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
			},
			// Its word counts nowhere any more, and a code by mail does.
			want: []string{": ann@acme.com asked for more", "acme: gus@else.test locked out", "acme: jo@acme.com locked out", "globex: jo@acme.com asked for more"},
		},
		{
			name:   "a domain that is lost",
			before: set(acme, func(o *tenancy.Organization) { o.DomainPolicy = &sso }),
			change: func(w *world) {
				w.must(func(tx store.Tx) error { return tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now) })
			},
			// Acme's own provider still does at Acme, and nowhere else.
			want: []string{": ann@acme.com asked for more", "acme: jo@acme.com asked for less", "globex: jo@acme.com asked for more"},
		},
		{
			name:   "proofs may be older",
			before: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MaxAge: 60e9} }),
			change: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MaxAge: 120e9} }),
			want:   []string{"acme: gus@else.test asked for less", "acme: jo@acme.com asked for less"},
		},
		{
			name: "or may not be as old", change: set(acme, func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MaxAge: 60e9} }),
			want: []string{"acme: gus@else.test asked for more", "acme: jo@acme.com asked for more"},
		},
		{
			name: "a method that is not offered any more", change: func(*world) {}, offered: policy.MethodsOf(policy.SSO),
			want: []string{": ann@acme.com asked for more", "acme: gus@else.test asked for more", "acme: jo@acme.com asked for more", "globex: jo@acme.com asked for more"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.people()
			if tt.before != nil {
				tt.before(w)
			}
			kept := w.keep(w.acme.ID, w.globex.ID)
			tt.change(w)
			offered := tt.offered
			if offered == 0 {
				offered = everything
			}
			got, obstacles := w.compare(kept, everything, offered)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%q\nwant\n%q", got, tt.want)
			}
			if tt.obstacle != "" && (len(obstacles) == 0 || obstacles[0] != tt.obstacle) {
				t.Errorf("got obstacles %q, want %q", obstacles, tt.obstacle)
			}
			organizations, domains := kept.Affects(w.keep(w.acme.ID, w.globex.ID))
			if affects := len(organizations)+len(domains) > 0; tt.offered == 0 && affects != (len(tt.want) > 0) {
				t.Errorf("affects organizations %q and domains %q, but %q", organizations, domains, tt.want)
			}
		})
	}
}

func TestOrganizationsThatWereNotKeptAreAsTheyAre(t *testing.T) {
	w := newWorld(t)
	w.people()
	kept := w.keep(w.acme.ID, "org_new")
	sso := policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	w.change(w.globex.ID, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso })
	if got, _ := w.compare(kept, everything, everything); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if _, err := kept.Organization("org_new"); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("what did not exist: %v", err)
	}
	none := &session.KeptSettings{}
	if _, err := none.Organization(w.acme.ID); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("nothing kept, no rest: %v", err)
	}
	if _, err := none.VerifiedDomain("acme.com"); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("nothing kept, no rest: %v", err)
	}
}

func TestADomainThatMovedWasItsOldOwners(t *testing.T) {
	w := newWorld(t)
	kept := w.keep(w.acme.ID, w.globex.ID)
	w.must(func(tx store.Tx) error {
		if err := tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now); err != nil {
			return err
		}
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "globex.com", Verified: true}, {Name: "acme.com", Verified: true}, {Name: "new.test", Verified: true}}, operator, w.now)
	})
	w.must(func(tx store.Tx) error {
		kept.Rest = tx
		if d, err := kept.VerifiedDomain("acme.com"); err != nil || d.Organization != w.acme.ID {
			t.Errorf("acme.com was %s's, %v", d.Organization, err)
		}
		if d, err := kept.VerifiedDomain("new.test"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("new.test was %s's, %v", d.Organization, err)
		}
		return nil
	})
	_, domains := kept.Affects(w.keep(w.acme.ID, w.globex.ID))
	if !slices.Equal(domains, []string{"acme.com", "new.test"}) {
		t.Errorf("affects %q", domains)
	}
}

func TestNoMoreNamesAreKeptThanAskedFor(t *testing.T) {
	w := newWorld(t)
	kept := w.keep(w.acme.ID)
	for i := range 30 {
		w.invite(fmt.Sprintf("p%d@else.test", i), w.acme.ID)
	}
	w.must(func(tx store.Tx) error { return tenancy.Suspend(tx, w.acme.ID, operator, w.now) })
	w.must(func(tx store.Tx) error {
		all, err := everybody(tx)
		if err != nil {
			return err
		}
		for _, names := range []int{0, 20} {
			c := session.NewComparison(session.Regime{Settings: kept, Offered: everything}, session.Regime{Settings: tx, Offered: everything}, names, w.now)
			for _, p := range all {
				if err := c.Add(p); err != nil {
					return err
				}
			}
			impacts := c.Impacts()
			if len(impacts) != 1 || impacts[0].Counts[session.LockedOut] != 30 || len(impacts[0].Names[session.LockedOut]) != names || len(impacts[0].Obstacles) != 1 {
				t.Errorf("got %+v", impacts)
			}
			if total := session.Total(impacts); total[session.LockedOut] != 30 || c.People() != 30 {
				t.Errorf("in all %v of %d", total, c.People())
			}
		}
		return nil
	})
}

func BenchmarkComparison(b *testing.B) {
	w := newWorld(b)
	w.invite("jo@acme.com", w.acme.ID, w.globex.ID)
	sso := policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	kept := w.keep(w.acme.ID)
	w.change(w.acme.ID, func(o *tenancy.Organization) { o.OrganizationPolicy = &sso })
	w.must(func(tx store.Tx) error {
		kept.Rest = tx
		all, err := everybody(tx)
		if err != nil {
			return err
		}
		b.ReportAllocs()
		for b.Loop() { // each time of people that were not judged before
			c := session.NewComparison(session.Regime{Settings: kept, Offered: everything}, session.Regime{Settings: tx, Offered: everything}, 0, w.now)
			if err := c.Add(all[0]); err != nil {
				return err
			}
		}
		return nil
	})
}
