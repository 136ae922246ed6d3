package policy

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// These tests go through small spaces of facts exhaustively and hold each decision
// against what must never be. The predicates are written from SEMANTICS 1.2 and 1.3,
// and share no code with Decide.

// inForce are the policies that bind somebody at the organization of f, said again: that of
// their domain, and that of the organization if one is asked for.
func inForce(f *Facts) []*Bound {
	own := f.Own
	if own == nil || f.Organization == "" {
		own = &Bound{Organization: f.Organization}
	}
	switch {
	case f.Domain == nil:
		return []*Bound{own}
	case f.Organization == "":
		return []*Bound{f.Domain}
	default:
		return []*Bound{f.Domain, own}
	}
}

// isYoung: p is no older than the policy and the page allow.
func isYoung(f *Facts, b *Bound, p Proof) bool {
	if p.At.After(f.Now.Add(time.Minute)) {
		return false
	}
	for _, limit := range []time.Duration{b.MaxAge, f.Fresh} {
		if limit != 0 && (p.Undated || !p.At.Add(limit).After(f.Now)) {
			return false
		}
	}
	return true
}

// standFirst are the young proofs that a policy takes for a first one, said again.
func standFirst(f *Facts, b *Bound) (ps []Proof) {
	if f.ConfinedTo != "" && f.ConfinedTo != f.Organization {
		return nil
	}
	byOwnProvider := func(p Proof) bool {
		return p.Organization != "" && p.Organization == b.Organization && (b.Connection == "" || b.Connection == p.Connection)
	}
	byHomeProvider := func(p Proof) bool { return f.Domain != nil && f.Domain.Organization == p.Organization }
	for _, p := range f.Proofs {
		ok := false
		switch p.Method {
		case SSO:
			if b.Methods == 0 && b.Connection == "" {
				ok = byOwnProvider(p) || byHomeProvider(p)
			} else {
				ok = (b.Methods == 0 || b.Methods.Has(SSO)) && byOwnProvider(p)
			}
		case EmailCode, Password, Passkey, Social:
			ok = f.Offered.Has(p.Method) && (b.Methods == 0 || b.Methods.Has(p.Method))
		default: // never
		}
		if ok && isYoung(f, b, p) {
			ps = append(ps, p)
		}
	}
	return ps
}

func isBoth(p Proof) bool { return p.Method == SSO || p.Method == Passkey && p.UserVerified }

// isSecondTo: m is a second, different factor after the first proof p.
func isSecondTo(p Proof, m Method) bool {
	return m == TOTP || m == RecoveryCode || m == Passkey && p.Method != Passkey
}

// owesSecond: the policy asks for a second factor, or the person has asked for their own.
// With a passkey, they have for the pages that change factors.
func owesSecond(f *Facts, b *Bound) bool {
	has := f.Enrolled.List()
	return b.MFA || slices.Contains(has, TOTP) || f.Fresh != 0 && slices.Contains(has, Passkey)
}

// progress is how far the session is with one policy, said again: 0 nothing, 1 a first
// proof and no second, 2 the policy is met.
func progress(f *Facts, b *Bound) int {
	n := 0
	for _, p := range standFirst(f, b) {
		n = max(n, 1)
		if !owesSecond(f, b) || isBoth(p) {
			return 2
		}
		for _, q := range f.Proofs {
			if isSecondTo(p, q.Method) && isYoung(f, b, q) {
				return 2
			}
		}
	}
	return n
}

// policiesMet is "both must hold", said again.
func policiesMet(f *Facts) bool {
	for _, b := range inForce(f) {
		if progress(f, b) < 2 {
			return false
		}
	}
	return true
}

// mayEnroll: a policy owes a second factor, nothing that the person has set up could be it,
// and if only a passkey stands first there, no other first proof could be asked for instead.
func mayEnroll(f *Facts) bool {
	for _, b := range inForce(f) {
		firsts := standFirst(f, b)
		if progress(f, b) != 1 {
			continue
		}
		has := slices.ContainsFunc(f.Enrolled.List(), func(m Method) bool {
			return slices.ContainsFunc(firsts, func(p Proof) bool { return isSecondTo(p, m) })
		})
		onlyPasskeys := !slices.ContainsFunc(firsts, func(p Proof) bool { return p.Method != Passkey })
		another := slices.ContainsFunc([]Method{EmailCode, Password, Social}, func(m Method) bool {
			return f.Offered.Has(m) && (b.Methods == 0 || b.Methods.Has(m))
		})
		young := slices.ContainsFunc(firsts, func(p Proof) bool { return !p.Undated && f.Now.Sub(p.At) <= 10*time.Minute })
		if !has && young && (!onlyPasskeys || !another) {
			return true
		}
	}
	return false
}

// mustHold fails the test if d is what f must never lead to.
func mustHold(t *testing.T, f *Facts, d Decision) {
	t.Helper()
	fail := func(claim string) {
		t.Helper()
		t.Fatalf("%s\nfacts    %+v\ndomain   %+v\nown      %+v\nrule     %+v\ndecision %+v", claim, *f, f.Domain, f.Own, f.Rule, d)
	}
	public := f.Organization != "" && f.Rule != nil && f.Rule.Access == Public
	met := policiesMet(f)

	if !f.OrganizationActive && (d.Verdict != Deny || d.Reason != Suspended) {
		fail("a suspended organization answers nobody")
	}
	if d.Verdict == Allow || d.Verdict == Join {
		switch {
		case public && d.Verdict == Join:
			fail("a public route makes no members")
		case public:
		case len(f.Proofs) == 0:
			fail("nobody gets in without a proof")
		case f.ConfinedTo != "" && f.ConfinedTo != f.Organization:
			fail("a confined session is good at home only")
		case !met:
			fail("nobody gets in past a policy that is not met")
		case d.Verdict == Join && (f.Standing != NoMember || !f.MayJoin || f.Organization == ""):
			fail("only who may join, and is no member, joins")
		case d.Verdict == Allow && f.Organization != "" && f.Standing != Active:
			fail("only active members get in")
		}
	}
	if d.Verdict == Allow && !public && f.Organization != "" && f.Rule != nil {
		switch {
		case f.Rule.Role != "" && !slices.Contains(f.Roles, f.Rule.Role):
			fail("nobody gets in without the role")
		case f.Rule.Permission != "" && !slices.Contains(f.Permissions, f.Rule.Permission):
			fail("nobody gets in without the permission")
		case f.Rule.When != nil && f.Attributes["seniority"] != "staff":
			fail("nobody gets in against the condition")
		}
	}
	if d.Verdict == Allow && !public && f.Fresh > 0 && (d.ValidUntil.IsZero() || d.ValidUntil.After(f.Now.Add(f.Fresh+time.Minute))) {
		fail("an allow on a page that wants fresh proofs ends with them")
	}
	if d.Identified != (d.Verdict == Allow && met && (f.Organization == "" || f.Standing == Active)) {
		fail("Identified is an active member who meets the policies, and is allowed")
	}
	if f.OrganizationActive && public && d.Verdict != Allow {
		fail("a public route is open")
	}
	if f.OrganizationActive && !public && met && slices.Contains([]Verdict{Prove, SecondFactor, Enroll}, d.Verdict) {
		fail("nothing is asked of who meets the policies")
	}
	if f.OrganizationActive && !public && !met && d.Verdict == Deny && d.Reason != NoMethod {
		fail("who is not proved learns nothing of memberships and rules")
	}
	switch d.Verdict {
	case Prove, SecondFactor, Enroll:
		switch {
		case d.Methods == 0:
			fail("something is asked for")
		case d.Methods&^f.Offered != 0:
			fail("only what is offered is asked for")
		case d.Verdict == Prove && d.Methods&^first != 0, d.Verdict != Prove && d.Methods&^second != 0:
			fail("first proofs are asked for first, and second factors second")
		case d.Verdict != Prove && !slices.ContainsFunc(inForce(f), func(b *Bound) bool { return progress(f, b) == 1 }):
			fail("nobody is asked for a second factor who came by sso or a passkey that verified them")
		case d.Verdict == Enroll && (d.Methods&f.Enrolled != 0 || d.Methods.Has(RecoveryCode)):
			fail("what is there is not enrolled, and a recovery code never")
		case d.Verdict == Enroll && !mayEnroll(f):
			fail("nothing is enrolled in place of what the person has, nor on an old proof")
		case d.Verdict == SecondFactor && d.Methods&^f.Enrolled != 0:
			fail("only what the person has set up is asked for as a second factor")
		case d.Verdict == SecondFactor && f.Enrolled.Has(TOTP) && f.Offered.Has(TOTP) && !d.Methods.Has(TOTP):
			fail("whoever has an authenticator app may use it")
		case f.Fresh > 0 && (d.MaxAge == 0 || d.MaxAge > f.Fresh):
			fail("what is asked for is as fresh as the page wants it")
		}
	default:
		if d.Methods != 0 || d.MaxAge != 0 {
			fail("nothing is asked for")
		}
	}
	if !d.Methods.Has(SSO) && (d.Organization != "" || d.Connection != "") {
		fail("a connection is named for sso only")
	}
	if d.Reason == Unspecified || d.Source == ByDefault {
		fail("every decision has a reason and a source")
	}
}

func TestNobodyGetsPastAPolicy(t *testing.T) {
	sessions := append(sessionsOfOne(), sessionsOfTwo()...)
	n, allowed := 0, 0
	eachPolicyState(sessions, []Methods{first | second}, func(f *Facts) {
		d := Decide(f)
		mustHold(t, f, d)
		n++
		if d.Verdict == Allow {
			allowed++
		}
		if met := policiesMet(f); met != (d.Verdict == Allow) {
			t.Fatalf("policies met: %v, but the verdict is %v\nfacts %+v\ndomain %+v\nown %+v", met, d.Verdict, *f, f.Domain, f.Own)
		}
	})
	t.Logf("%d decisions, %d of them allow", n, allowed)
	if allowed == 0 || allowed == n {
		t.Error("the space shows nothing")
	}
}

func TestNobodyGetsPastMembershipAndRules(t *testing.T) {
	rules := []*Rule{
		nil, {},
		compile(t, RuleSpec{Path: "/**", Access: "public"}),
		compile(t, RuleSpec{Path: "/**", Role: "admin"}),
		compile(t, RuleSpec{Path: "/**", Permission: "reports:delete"}),
		compile(t, RuleSpec{Path: "/**", When: `member.attributes.seniority == "staff"`}),
		compile(t, RuleSpec{Path: "/**", Role: "admin", Permission: "reports:delete", When: `member.attributes.seniority == "staff"`}),
		{Access: 7, Role: "admin"},
		{When: &Condition{}},
	}
	people := []Facts{
		{},
		{Roles: []string{"member"}, Attributes: map[string]any{"seniority": "intern"}},
		{Roles: []string{"member", "admin"}},
		{Permissions: []string{"reports:delete"}, Attributes: map[string]any{"seniority": 7}},
		{Roles: []string{"admin"}, Permissions: []string{"a", "reports:delete"}, Attributes: map[string]any{"seniority": "staff"}},
	}
	n, allowed := 0, 0
	for _, active := range []bool{true, false} {
		for _, organization := range []string{"globex", ""} {
			for _, proofs := range [][]Proof{nil, {ago(EmailCode, 0)}, {sso("globex", "entra", 0)}, {ago(TOTP, 0)}} {
				for _, own := range []Policy{{}, {Methods: MethodsOf(EmailCode)}, {MFA: true}} {
					for _, confined := range []string{"", "globex", "initech"} {
						for standing := NoMember; standing <= Inactive+1; standing++ {
							for _, may := range []bool{false, true} {
								for _, rule := range rules {
									for _, f := range people {
										f.Now, f.Offered, f.Proofs, f.ConfinedTo = noon, first|second, proofs, confined
										f.OrganizationActive, f.Organization, f.Own = active, organization, bound("globex", own)
										f.Standing, f.MayJoin, f.Rule = standing, may, rule
										d := Decide(&f)
										if standing <= Inactive || d.Reason != Unspecified || d.Verdict != Deny {
											mustHold(t, &f, d)
										}
										n++
										if d.Verdict == Allow {
											allowed++
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d decisions, %d of them allow", n, allowed)
}

// TestWhatIsAskedForHelps follows what decisions ask for, in every way that they leave
// open, and comes to an end.
func TestWhatIsAskedForHelps(t *testing.T) {
	const limit = 5
	n := 0
	var follow func(f Facts, steps int)
	follow = func(f Facts, steps int) {
		n++
		d := Decide(&f)
		if f.Standing != Active {
			t.Fatal("not about memberships")
		}
		switch d.Verdict {
		case Allow:
			return
		case Prove, SecondFactor, Enroll:
		default:
			// The only other end is that what is asked for can't be had here.
			if d.Reason != NoMethod {
				t.Fatalf("ends with %v\nfacts %+v", d, f)
			}
			if steps > 0 && f.Email != "jo@nowhere.test" && !owesMFA(&f) {
				t.Fatalf("%d proofs later there is nothing to prove it with\nfacts %+v\ndomain %+v\nown %+v", steps, f, f.Domain, f.Own)
			}
			return
		}
		if steps == limit {
			t.Fatalf("still asks after %d steps: %+v\nfacts %+v\ndomain %+v\nown %+v", steps, d, f, f.Domain, f.Own)
		}
		for _, m := range d.Methods.List() {
			for _, p := range waysToProve(d, m) {
				g := f
				g.Proofs = append(slices.Clone(f.Proofs), p)
				g.ConfinedTo = ""
				if m == SSO && (f.Domain == nil || f.Domain.Organization != p.Organization) && f.ConfinedTo != "" {
					g.ConfinedTo = p.Organization
				}
				if d.Verdict == Enroll {
					g.Enrolled |= MethodsOf(m)
				}
				follow(g, steps+1)
			}
			if m == SSO && d.Organization == "" {
				g := f // the person is asked for the address, which leads nowhere
				g.Email = "jo@nowhere.test"
				follow(g, steps+1)
			}
		}
	}
	eachPolicyState(sessionsOfOne(), everyOffer(), func(f *Facts) {
		if d := Decide(f); d.Verdict != Allow {
			follow(*f, 0)
		}
	})
	t.Logf("%d decisions", n)
}

func owesMFA(f *Facts) bool {
	return slices.ContainsFunc(inForce(f), func(b *Bound) bool { return owesSecond(f, b) })
}

// waysToProve are the proofs by which somebody may do what d asks, by method m.
func waysToProve(d Decision, m Method) []Proof {
	switch m {
	case SSO:
		switch {
		case d.Organization == "":
			return nil
		case d.Connection != "":
			return []Proof{sso(d.Organization, d.Connection, 0)}
		case d.Organization == "acme":
			return []Proof{sso("acme", "okta", 0), sso("acme", "adfs", 0)}
		default:
			return []Proof{sso(d.Organization, "one", 0), sso(d.Organization, "other", 0)}
		}
	case Passkey:
		return []Proof{ago(Passkey, 0), verified(0)}
	default:
		return []Proof{ago(m, 0)}
	}
}

func TestMoreProofsAndFewerPoliciesNeverHurt(t *testing.T) {
	extra := spaceOfProofs()
	relaxations := map[string]func(*Policy){
		"any method":     func(p *Policy) { p.Methods = 0 },
		"any connection": func(p *Policy) { p.Connection = "" },
		"no mfa":         func(p *Policy) { p.MFA = false },
		"no max_age":     func(p *Policy) { p.MaxAge = 0 },
		"no policy":      func(p *Policy) { *p = Policy{} },
	}
	allowed := 0
	eachPolicyState(append(sessionsOfOne(), sessionsOfTwo()...), []Methods{first | second}, func(f *Facts) {
		before := Decide(f)
		if before.Verdict != Allow {
			return
		}
		if allowed++; len(f.Proofs) > 1 && allowed%5 != 0 {
			return // each has a hundred variants: a fifth of them will do
		}
		still := func(claim string, g Facts) {
			t.Helper()
			if d := Decide(&g); d.Verdict != Allow {
				t.Fatalf("%s turns an allow into %+v\nfacts %+v\ndomain %+v\nown %+v", claim, d, g, g.Domain, g.Own)
			}
		}
		if len(f.Proofs) > 1 && !owesMFA(f) {
			return // a third proof and a relaxation show something new with second factors only
		}
		for _, p := range extra {
			g := *f
			g.Proofs = append(slices.Clone(f.Proofs), p)
			still("a further proof", g)
		}
		for name, relax := range relaxations {
			if f.Domain != nil {
				g, b := *f, *f.Domain
				relax(&b.Policy)
				g.Domain = &b
				still("domain policy: "+name, g)
			}
			if f.Own != nil {
				g, b := *f, *f.Own
				relax(&b.Policy)
				g.Own = &b
				still("organization policy: "+name, g)
			}
		}
		g := *f
		g.Own = nil
		still("no organization policy at all", g)
		g = *f
		g.ConfinedTo = ""
		still("no confinement", g)
		g = *f
		g.Offered, g.Enrolled = 0, 0
		for _, p := range f.Proofs {
			g.Offered |= MethodsOf(p.Method)
		}
		still("nothing offered but what was proved, nothing set up", g)
	})
}

func TestAnAllowEndsAtValidUntilAndNotBefore(t *testing.T) {
	n := 0
	eachPolicyState(append(sessionsOfOne(), sessionsOfTwo()...), []Methods{first | second}, func(f *Facts) {
		d := Decide(f)
		if d.Verdict != Allow {
			return
		}
		if d.ValidUntil.IsZero() {
			f.Now = f.Now.Add(100 * 24 * time.Hour)
			if d := Decide(f); d.Verdict != Allow {
				t.Fatalf("an allow without an end ends: %+v\nfacts %+v", d, *f)
			}
			return
		}
		n++
		f.Now = d.ValidUntil.Add(-1)
		if e := Decide(f); e.Verdict != Allow {
			t.Fatalf("ends before %v: %+v\nfacts %+v", d.ValidUntil, e, *f)
		}
		f.Now = d.ValidUntil
		// A proof from the future may have become one by then.
		if e := Decide(f); e.Verdict == Allow && !slices.ContainsFunc(f.Proofs, func(p Proof) bool { return p.At.After(noon) }) {
			t.Fatalf("goes on after %v: %+v\nfacts %+v", d.ValidUntil, e, *f)
		}
	})
	if n == 0 {
		t.Error("no allow had an end")
	}
}

// TestTheWholeSpaceAtRandom crosses all dimensions, of which the tests above take some at a time.
func TestTheWholeSpaceAtRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(ss ...string) string { return ss[r.IntN(len(ss))] }
	policies, proofs := spaceOfPolicies(), spaceOfProofs()
	rules := []*Rule{nil, compile(t, RuleSpec{Path: "/", Access: "public"}), compile(t, RuleSpec{Path: "/", Role: "admin", Permission: "x"})}
	for range 200_000 {
		f := Facts{
			Now: noon, OrganizationActive: r.IntN(8) > 0, Organization: pick("globex", "globex", ""),
			ConfinedTo: pick("", "", "globex", "initech"), Offered: Methods(r.IntN(1<<endOfMethods)) &^ 1,
			Enrolled: Methods(r.IntN(1<<endOfMethods)) & (second | MethodsOf(Password)), Standing: Standing(r.IntN(4)), MayJoin: r.IntN(2) > 0,
			Email: pick("", "jo@acme.com"), Rule: rules[r.IntN(len(rules))],
		}
		for range r.IntN(5) {
			p := proofs[r.IntN(len(proofs))]
			p.Undated = p.Method == Social && r.IntN(2) > 0
			f.Proofs = append(f.Proofs, p)
		}
		if r.IntN(3) > 0 {
			f.Domain = bound(pick("acme", "globex"), policies[r.IntN(len(policies))])
			f.Domain.NoSSO = r.IntN(5) == 0
		}
		if r.IntN(3) > 0 {
			f.Own = bound("globex", policies[r.IntN(len(policies))])
			f.Own.NoSSO = r.IntN(5) == 0
		}
		if r.IntN(3) == 0 {
			f.Fresh = 10 * time.Minute
		}
		if r.IntN(2) > 0 {
			f.Roles, f.Permissions = []string{"admin"}, []string{"x"}
		}
		d := Decide(&f)
		mustHold(t, &f, d)
		if text := d.Explain(&f); text == "" || text == "No rule allows it." {
			t.Fatalf("%+v is not explained: %q", d, text)
		}
	}
}
