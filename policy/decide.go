package policy

import (
	"slices"
	"time"
)

// EnrollWithin is how old a first proof may be for a second factor to be enrolled
// on the strength of it. Whoever finds an unlocked browser must not be able to make
// their own telephone the second factor of the person who left it.
const EnrollWithin = 10 * time.Minute

// Decide returns what f allows, or what is missing. It is the only judge: the
// sign-in pages, the proxy and `orgate explain` ask it, at every request, and act on
// nothing else. docs/adr/0002-decide.md says why it decides as it does.
//
// The order is that of who may know what. A suspended organization answers nobody;
// policies come before membership, so that a stranger can't learn who is a member;
// membership comes before route rules, so that an outsider can't learn roles.
func Decide(f *Facts) Decision {
	if !f.OrganizationActive {
		return Decision{Reason: Suspended, Source: ByOrganizationState}
	}
	d := judgePerson(f)
	switch {
	case f.Organization == "" || f.Rule == nil:
		return d
	case f.Rule.Access == Public:
		d = Decision{Verdict: Allow, Identified: d.Identified, ValidUntil: d.ValidUntil}
		d.Reason, d.Source = PublicRoute, ByRoute
		return d
	case d.Verdict != Allow:
		return d
	default:
		return judgeRule(f, d)
	}
}

// judgePerson judges the policies, and then the membership. On the login host alone
// there is no organization to be a member of.
func judgePerson(f *Facts) Decision {
	d, ok := judgePolicies(f)
	if !ok {
		return d
	}
	d.Source = ByMembership
	switch {
	case f.Organization == "":
		d.Verdict, d.Reason, d.Source, d.Identified = Allow, Granted, BySession, true
		return d
	case f.Standing == Active:
		d.Verdict, d.Reason, d.Identified = Allow, Granted, true
		return d
	case f.Standing == NoMember && f.MayJoin:
		d.Verdict, d.Reason = Join, MembershipToMake
		return d
	}
	d = Decision{Source: ByMembership}
	switch f.Standing {
	case NoMember:
		d.Reason = NotMember
	case Pending:
		d.Reason = InvitationOpen
	case Inactive:
		// MayJoin does not matter: a deliberate act ended the membership, and
		// only a deliberate act begins it anew (SEMANTICS 1.4.2).
		d.Reason = Deactivated
	case Active: // allowed above
	}
	return d
}

// judgeRule judges an active member whose policies are met, d, by the route rule.
func judgeRule(f *Facts, d Decision) Decision {
	r := f.Rule
	d.Source, f.failure = ByRoute, nil
	reason := Unspecified
	switch {
	case r.Role != "" && !slices.Contains(f.Roles, r.Role):
		reason = RoleMissing
	case r.Permission != "" && !slices.Contains(f.Permissions, r.Permission):
		reason = PermissionMissing
	case r.When != nil:
		switch holds, err := r.When.Holds(f); {
		case err != nil:
			reason, f.failure = ConditionFailed, err
		case !holds:
			reason = ConditionFalse
		}
	}
	if reason != Unspecified {
		return Decision{Reason: reason, Source: ByRoute}
	}
	if r.When != nil && r.When.readsNow {
		d.ValidUntil = Sooner(d.ValidUntil, f.Now.Add(moment))
	}
	return d
}

// Decide decides f by the rules of an app. f.Rule is the one that [Rules.Match] returned; of f.Request, the
// path is canonical. If another rule decides, it is f.Rule afterwards.
//
// The app may take the path for one in another case, and a method that it does not know for a
// GET. So each rule that would match then, and asks for something, is asked too.
func (rs Rules) Decide(f *Facts) Decision {
	rule := f.Rule
	d := Decide(f)
	if other := rs.MatchFold(f.Request.Method, f.Request.Path); other != rule {
		d = d.AlsoBy(other, f)
	}
	for _, other := range rs.Unnamed(f.Request.Method, f.Request.Path) {
		d = d.AlsoBy(other, f)
	}
	return d
}

// AlsoBy judges what d allows by another rule, if that is one that asks for something.
func (d Decision) AlsoBy(rule *Rule, f *Facts) Decision {
	if d.Verdict != Allow || rule == nil || rule.Access == Public {
		return d
	}
	f.Rule = rule
	stricter := Decide(f)
	stricter.ValidUntil = Sooner(stricter.ValidUntil, d.ValidUntil)
	return stricter
}

// Sooner returns the earlier of two times by which something ends, of which zero is never.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// judgePolicies judges both policies. If they are met, ok is true, and of d only
// ValidUntil is set; else d says what is missing.
func judgePolicies(f *Facts) (d Decision, ok bool) {
	// No policy stated is the zero policy: somebody must be signed in.
	unstated := Bound{Organization: f.Organization}
	own := f.Own
	if own == nil || f.Organization == "" {
		own = &unstated
	}
	proofs := f.Proofs
	confined := f.ConfinedTo != "" && f.ConfinedTo != f.Organization
	if confined {
		// Elsewhere than there, this session proves nothing (SEMANTICS 1.3.2).
		proofs = nil
	}

	var both [2]finding
	n := 0
	if f.Domain != nil {
		both[n] = judge(f, f.Domain, ByDomainPolicy, proofs)
		n++
	}
	if f.Domain == nil || f.Organization != "" {
		both[n] = judge(f, own, ByOrganizationPolicy, proofs)
		n++
	}
	all := both[:n]

	// First proofs go before second factors: who comes by SSO owes no second.
	for i := range all {
		if all[i].missing == firstProof {
			d = askFirst(f, all, i)
			if confined && d.Verdict == Prove {
				d.Reason, d.Source = Confined, BySession
			}
			return d, false
		}
	}
	for i := range all {
		if all[i].missing == secondFactor {
			return askSecond(f, all, i), false
		}
	}
	for i := range all {
		d.ValidUntil = Sooner(d.ValidUntil, all[i].validUntil)
	}
	return d, true
}
