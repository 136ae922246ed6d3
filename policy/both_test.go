package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Both policies together, over everything that a decision depends on but the route rule.
// The space has some 10^13 points. Every pair of policies is taken, with every session of
// no or one proof; the rest is drawn at random.

// bothSeed is fixed, so that a failure is there again in the next run.
const bothSeed = 20260301

// bothBounds are the policies of one organization: any method, sso, local methods, both, and
// one that nothing meets, each with and without a named connection, MFA, max_age; and with
// no connection that answers.
func bothBounds(org, named string) (bounds []*Bound) {
	for _, ms := range []Methods{0, MethodsOf(SSO), MethodsOf(EmailCode, Password), MethodsOf(SSO, EmailCode), MethodsOf(Passkey), MethodsOf(SSO, Passkey, Social), MethodsOf(TOTP)} {
		for _, connection := range []string{"", named} {
			if connection != "" && ms != 0 && !ms.Has(SSO) {
				continue // says nothing
			}
			for _, mfa := range []bool{false, true} {
				for _, age := range []time.Duration{0, time.Hour} {
					bounds = append(bounds, bound(org, Policy{Methods: ms, Connection: connection, MFA: mfa, MaxAge: age}))
				}
			}
		}
		b := bound(org, Policy{Methods: ms, MFA: ms.Has(Passkey)})
		b.Only, b.NoSSO = "", true
		bounds = append(bounds, b)
	}
	return bounds
}

// bothProofs are a proof of each kind: by the organization's own provider and connection, by
// another of its connections, by the home provider, by a foreign one, and every local one; fresh,
// staler than a page that changes factors allows, and staler than any max_age here.
func bothProofs() (ps []Proof) {
	for _, age := range []time.Duration{0, 30 * time.Minute, 2 * time.Hour} {
		ps = append(ps,
			sso("globex", "entra", age), sso("globex", "other", age), sso("acme", "okta", age), sso("initech", "ping", age),
			ago(EmailCode, age), ago(Password, age), ago(Passkey, age), verified(age), ago(Social, age), ago(TOTP, age), ago(RecoveryCode, age))
	}
	return ps
}

type bothSpace struct {
	r           *rand.Rand
	domain, own []*Bound // nil: none stated
	proofs      []Proof
}

func newBothSpace(t *testing.T) *bothSpace {
	t.Logf("seed %d", bothSeed)
	s := &bothSpace{r: rand.New(rand.NewPCG(bothSeed, 0)), proofs: bothProofs()}
	s.own = append([]*Bound{nil}, bothBounds("globex", "entra")...)
	s.domain = append([]*Bound{nil}, bothBounds("acme", "okta")...)
	s.domain = append(s.domain, bothBounds("globex", "other")...) // their own domain's organization is entered
	return s
}

// draw fills in what is neither policy nor proof.
func (s *bothSpace) draw(domain, own *Bound, proofs ...Proof) Facts {
	f := at(proofs...)
	f.Domain, f.Own = domain, own
	f.Enrolled = pickOf(s.r, 0, 0, MethodsOf(Password), MethodsOf(Passkey), MethodsOf(Passkey, RecoveryCode), MethodsOf(TOTP), MethodsOf(TOTP, RecoveryCode), second)
	f.Offered = pickOf(s.r, first|second, first|second, MethodsOf(SSO, EmailCode, TOTP, RecoveryCode), MethodsOf(EmailCode, Passkey),
		MethodsOf(SSO), MethodsOf(SSO, EmailCode, Password, Passkey), Methods(s.r.IntN(1<<endOfMethods))&^1)
	f.Fresh = pickOf(s.r, 0, 0, 10*time.Minute, 3*time.Hour)
	f.ConfinedTo = pickOf(s.r, "", "", "", "globex", "initech")
	f.Organization = pickOf(s.r, "globex", "globex", "globex", "")
	f.Standing, f.MayJoin = Standing(s.r.IntN(4)), s.r.IntN(2) == 0
	if domain == nil {
		f.Email = pickOf(s.r, "", "jo@nowhere.test")
	}
	return f
}

func pickOf[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// each goes through every pair of policies with sessions of no, one, two and three proofs.
func (s *bothSpace) each(yield func(Facts)) {
	for _, domain := range s.domain {
		for _, own := range s.own {
			yield(s.draw(domain, own))
			for _, p := range s.proofs[:22] {
				yield(s.draw(domain, own, p))
			}
			for n := 2; n <= 3; n++ {
				for range 3 {
					var proofs []Proof
					for range n {
						proofs = append(proofs, pickOf(s.r, s.proofs...))
					}
					yield(s.draw(domain, own, proofs...))
				}
			}
		}
	}
}

func TestBothPoliciesHoldAndWhatTheyAskForLeadsSomewhere(t *testing.T) {
	if d := Decide(&Facts{}); d.Verdict != Deny {
		t.Fatalf("the zero facts: %v", d.Verdict)
	}
	s := newBothSpace(t)
	n, ends, steps := 0, map[Verdict]int{}, map[int]int{}
	s.each(func(f Facts) {
		d := Decide(&f)
		mustHold(t, &f, d)
		if met := policiesMet(&f); met != (d.Verdict == Allow || d.Verdict == Join || d.Source == ByMembership) {
			t.Fatalf("policies met: %v, but the decision is %+v\nfacts %+v\ndomain %+v\nown %+v", met, d, f, f.Domain, f.Own)
		}
		n++
		steps[s.walk(t, f, d, ends)]++
	})
	t.Logf("%d states; walks from there end in %v after so many steps: %v", n, ends, steps)
	if ends[Allow] == 0 || ends[Join] == 0 || ends[Deny] == 0 || steps[3] == 0 {
		t.Error("the space shows nothing")
	}
}

// walk does what is asked for, in one of the ways that are open, until nothing is asked.
func (s *bothSpace) walk(t *testing.T, f Facts, d Decision, ends map[Verdict]int) (steps int) {
	t.Helper()
	const limit = 5
	for {
		switch d.Verdict {
		case Allow, Join, Deny:
			ends[d.Verdict]++
			return steps
		case Prove, SecondFactor, Enroll:
		}
		if steps == limit {
			t.Fatalf("asks still after %d steps: %+v\nfacts %+v\ndomain %+v\nown %+v", steps, d, f, f.Domain, f.Own)
		}
		steps++
		m := pickOf(s.r, d.Methods.List()...)
		before, asked := f, d
		if ways := waysToProve(d, m); len(ways) > 0 {
			p := pickOf(s.r, ways...)
			f.Proofs = append(slices.Clone(f.Proofs), p)
			confined := f.ConfinedTo
			f.ConfinedTo = ""
			if m == SSO && (f.Domain == nil || f.Domain.Organization != p.Organization) && confined != "" {
				f.ConfinedTo = p.Organization
			}
			if d.Verdict == Enroll {
				f.Enrolled |= MethodsOf(m)
			}
		} else {
			f.Email = "jo@nowhere.test" // the person is asked for the address, which leads nowhere
		}
		d = Decide(&f)
		mustHold(t, &f, d)
		far := 0
		for i, b := range inForce(&f) {
			far += progress(&f, b) - progress(&before, inForce(&before)[i])
		}
		if forward := far > 0 || before.Email != f.Email || asked.Reason == TooOldToEnroll && d.Reason != TooOldToEnroll; !forward {
			t.Fatalf("%v by %v is no step forward\nasked %+v\nthen  %+v\nfacts %+v\ndomain %+v\nown %+v", asked.Verdict, m, asked, d, f, f.Domain, f.Own)
		}
	}
}

// letsIn reports whether the decision gives anything.
func letsIn(d Decision) bool { return d.Verdict == Allow || d.Verdict == Join || d.Identified }

func TestADemandMoreNeverLetsAnyoneIn(t *testing.T) {
	s := newBothSpace(t)
	demands := map[string]func(*Policy) bool{ // false: it is asked for already
		"mfa":        func(p *Policy) bool { was := p.MFA; p.MFA = true; return !was },
		"max_age":    func(p *Policy) bool { p.MaxAge = stricter(p.MaxAge, 20*time.Minute); return true },
		"connection": func(p *Policy) bool { was := p.Connection; p.Connection = "okta"; return was == "" },
		"methods": func(p *Policy) bool {
			if p.Methods == 0 {
				p.Methods = MethodsOf(SSO, EmailCode)
				return true
			}
			p.Methods &= MethodsOf(SSO, Passkey, EmailCode)
			return p.Methods != 0 // which would be any method
		},
	}
	n, kept := 0, 0
	s.each(func(f Facts) {
		if s.r.IntN(5) > 0 {
			return
		}
		before := Decide(&f)
		try := func(claim string, g Facts) {
			t.Helper()
			d := Decide(&g)
			n++
			if letsIn(d) && !letsIn(before) {
				t.Fatalf("%s turns %+v into %+v\nfacts %+v\ndomain %+v\nown %+v", claim, before, d, g, g.Domain, g.Own)
			}
			if !letsIn(d) {
				return
			}
			kept++
			if !before.ValidUntil.IsZero() && (d.ValidUntil.IsZero() || d.ValidUntil.After(before.ValidUntil)) {
				t.Fatalf("%s makes an allow last longer: %v, was %v\nfacts %+v", claim, d.ValidUntil, before.ValidUntil, g)
			}
		}
		for name, demand := range demands {
			if f.Domain != nil {
				g, b := f, *f.Domain
				if g.Domain = &b; demand(&b.Policy) {
					try("domain policy: "+name, g)
				}
			}
			g, b := f, Bound{Organization: f.Organization}
			if f.Own != nil {
				b = *f.Own
			}
			if g.Own = &b; demand(&b.Policy) {
				try("organization policy: "+name, g)
			}
		}
		for _, fresh := range []time.Duration{time.Minute, time.Hour, 24 * time.Hour} {
			g := f
			if g.Fresh = fresh; f.Fresh == 0 || fresh < f.Fresh {
				try("a page that wants fresh proofs", g)
			}
		}
		g := f
		g.Enrolled |= MethodsOf(TOTP)
		try("an authenticator app", g)
	})
	t.Logf("%d demands, %d of them met", n, kept)
	if kept == 0 || kept == n {
		t.Error("the space shows nothing")
	}
}

// TestAFreshPageIsAsStrictAsAPolicyOfThatAge holds Fresh against what it is said to be: a
// maximum age, and a second factor of whoever has a passkey.
func TestAFreshPageIsAsStrictAsAPolicyOfThatAge(t *testing.T) {
	s := newBothSpace(t)
	s.each(func(f Facts) {
		if f.Fresh == 0 {
			return
		}
		g := f
		g.Fresh = 0
		domain, own := Bound{}, Bound{Organization: f.Organization}
		if f.Domain != nil {
			domain = *f.Domain
			g.Domain = &domain
		}
		if f.Own != nil {
			own = *f.Own
		}
		g.Own = &own
		for _, b := range []*Bound{&domain, &own} {
			if b.MaxAge == 0 || b.MaxAge > f.Fresh {
				b.MaxAge = f.Fresh
			}
			b.MFA = b.MFA || f.Enrolled.Has(Passkey)
		}
		if f.Organization == "" && f.Domain == nil {
			return // nothing on the login host has a policy to compare with
		}
		d, e := Decide(&f), Decide(&g)
		d.Source, e.Source = 0, 0 // a policy of no demands is not named
		if d != e {
			t.Fatalf("fresh %+v\nas a policy %+v\nfacts %+v\ndomain %+v\nown %+v", d, e, f, f.Domain, f.Own)
		}
	})
}
