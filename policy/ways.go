package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// A Way is how somebody gets in: the proofs that are asked for, in their order, each given
// as soon as it is asked for.
type Way struct {
	Proofs []Proof
	// SetUp are the factors that the person sets up on the way.
	SetUp Methods
	// For is after how long something is asked for again, though the session goes on; 0: never.
	For time.Duration
}

// Ways returns every way in from f, in which nothing is proved yet, shortest first; none: nobody
// gets in like that, and obstacle is why, as [Decision.Explain] says it. connections are the ids
// of the active connections of an organization.
//
// It takes for possible what the sign-in flow makes possible, and nothing that depends on more
// than f: everybody has an account at the provider that is asked, reads their mail and
// finds their authenticator app. Facts.MayJoin is what holds once the person's address is proved.
func Ways(f Facts, connections func(organization string) []string) (ways []Way, obstacle string) {
	w := walk{facts: f, connections: connections}
	w.from(Way{})
	slices.SortStableFunc(w.found, func(a, b Way) int {
		return cmp.Or(cmp.Compare(len(a.Proofs), len(b.Proofs)), strings.Compare(a.String(), b.String()))
	})
	// The same proofs in another order are the same way.
	w.found = slices.CompactFunc(w.found, func(a, b Way) bool { return a.String() == b.String() && a.For == b.For })
	if len(w.found) > 0 {
		return w.found, ""
	}
	return nil, w.obstacle
}

// Suffices reports whether somebody who has just given the proofs of w gets in under f, and
// after how long something is asked for again.
func (w Way) Suffices(f Facts) (ok bool, again time.Duration) {
	f = w.given(f)
	d := Decide(&f)
	if d.Verdict != Allow && d.Verdict != Join {
		return false, 0
	}
	if d.ValidUntil.IsZero() {
		return true, 0
	}
	return true, d.ValidUntil.Sub(f.Now)
}

// String names the proofs, such as "email_code, totp".
func (w Way) String() string {
	names := make([]string, len(w.Proofs))
	for i, p := range w.Proofs {
		names[i] = p.Method.String()
		switch {
		case p.Method == SSO:
			names[i] += " by " + p.Connection
		case p.UserVerified:
			names[i] += " (verified)"
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// given returns f with the proofs of w in it.
func (w Way) given(f Facts) Facts {
	f.Proofs = slices.Clone(w.Proofs)
	for i := range f.Proofs {
		f.Proofs[i].At = f.Now
	}
	f.Enrolled |= w.SetUp
	f.MayJoin = f.MayJoin && slices.ContainsFunc(w.Proofs, func(p Proof) bool {
		return p.Method == EmailCode || p.Method == SSO && f.Domain != nil && p.Organization == f.Domain.Organization
	})
	return f
}

// maxWay is more than any policies ask for.
const maxWay = 6

// A walk goes every way that decisions leave open.
type walk struct {
	facts       Facts
	connections func(organization string) []string
	found       []Way
	obstacle    string // the first that was met
}

func (w *walk) from(way Way) {
	f := way.given(w.facts)
	d := Decide(&f)
	if ok, again := way.Suffices(w.facts); ok {
		way.For = again
		w.found = append(w.found, way)
		return
	}
	went := false
	for _, m := range d.Methods.List() {
		for _, p := range w.proofs(&f, d, m) {
			if len(way.Proofs) == maxWay {
				return
			}
			next := Way{Proofs: append(slices.Clip(way.Proofs), p), SetUp: way.SetUp}
			if d.Verdict == Enroll || m == Passkey && !f.Enrolled.Has(Passkey) {
				next.SetUp |= 1 << m
			}
			went = true
			w.from(next)
		}
	}
	if !went && w.obstacle == "" {
		w.obstacle = d.Explain(&f)
		if d.Verdict == Prove && d.Methods.Has(SSO) && foreign(&f, d.Organization) {
			w.obstacle += " But only the identity provider of the organization that " + f.Domain.Name + " belongs to may speak for the person."
		}
	}
}

// proofs are those that somebody may have to give, who does what d asks by method m.
func (w *walk) proofs(f *Facts, d Decision, m Method) (ps []Proof) {
	switch {
	case m == SSO:
		if d.Organization == "" || foreign(f, d.Organization) {
			return nil
		}
		for _, c := range w.connections(d.Organization) {
			if d.Connection == "" || c == d.Connection {
				ps = append(ps, Proof{Method: SSO, Organization: d.Organization, Connection: c})
			}
		}
		return ps
	case m == Passkey && d.Verdict == Prove:
		if !f.Enrolled.Has(Passkey) && !firstTime(f, d) {
			return nil
		}
		return []Proof{{Method: m, UserVerified: true}, {Method: m}}
	case m == Passkey:
		return []Proof{{Method: m}}
	default:
		return []Proof{{Method: m}}
	}
}

// foreign reports whether the person's address is on the domain of another organization: then
// the provider of this one may not speak for them, there neither (SEMANTICS 1.3.2).
func foreign(f *Facts, organization string) bool {
	return f.Domain != nil && f.Domain.Organization != organization
}

// firstTime reports whether d asks for nothing but passkeys and passwords, of somebody who
// has none of what it asks for: they set it up after a code by mail.
func firstTime(f *Facts, d Decision) bool {
	return d.Methods&^(1<<Passkey|1<<Password) == 0 && d.Methods&f.Enrolled == 0
}
