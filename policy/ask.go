package policy

import (
	"cmp"
	"time"
)

// A wish is what to ask for: methods, and for SSO among them whose identity provider
// and by which connection. An empty organization with SSO means that only the
// person's address can tell.
type wish struct {
	methods                  Methods
	organization, connection string
}

// wishOf returns the first proofs that the policy accepts and that can be asked for.
func wishOf(f *Facts, b *Bound) wish {
	w := wish{methods: first & f.Offered}
	if b.Methods != 0 {
		w.methods &= b.Methods
	}
	if !w.methods.Has(SSO) {
		return w
	}
	home := f.Domain
	switch {
	case b.open() && home != nil && (home.Methods == 0 || home.Methods.Has(SSO)) && home.canSSO():
		// The provider of the person's own domain knows them; that of an
		// organization they visit need not.
		w.organization, w.connection = home.Organization, home.connection()
	case b.canSSO():
		w.organization, w.connection = b.Organization, b.connection()
	case b.open() && f.Email == "":
		// The address, once known, may be on a domain that has a provider.
	default:
		w.methods &^= 1 << SSO
	}
	return w
}

func (b *Bound) canSSO() bool { return b.Organization != "" && !b.NoSSO }

// connection is the one connection that can be asked, or empty if there is a choice.
func (b *Bound) connection() string { return cmp.Or(b.Connection, b.Only) }

// and returns what grants both wishes. One SSO proof grants both only if one
// connection does.
func (w wish) and(o wish) wish {
	both := wish{methods: w.methods & o.methods}
	if !both.methods.Has(SSO) {
		return both
	}
	if w.organization == o.organization && (w.connection == "" || o.connection == "" || w.connection == o.connection) {
		both.organization, both.connection = w.organization, cmp.Or(w.connection, o.connection)
		return both
	}
	both.methods &^= 1 << SSO
	return both
}

// askFirst asks for the first proof that all[i] misses; if one proof can help the
// other policy too, for that.
func askFirst(f *Facts, all []finding, i int) Decision {
	v := &all[i]
	w, age := wishOf(f, &v.Bound), v.MaxAge
	for j := range all {
		o := &all[j]
		if j == i || o.missing != firstProof {
			continue
		}
		wo := wishOf(f, &o.Bound)
		if wo.methods == 0 && w.methods != 0 {
			// Nobody is sent through a sign-in that can't end well.
			return Decision{Reason: NoMethod, Source: o.source}
		}
		if both := w.and(wo); both.methods != 0 {
			w, age = both, stricter(age, o.MaxAge)
		}
	}
	return prove(w, age, v.reason, v.source)
}

func prove(w wish, age time.Duration, reason Reason, source Source) Decision {
	if w.methods == 0 {
		return Decision{Reason: NoMethod, Source: source}
	}
	return Decision{
		Verdict: Prove, Reason: reason, Source: source,
		Methods: w.methods, Organization: w.organization, Connection: w.connection, MaxAge: age,
	}
}

// askSecond asks for the second factor that all[i] misses, or to enrol one. Every
// policy has its first proof.
func askSecond(f *Facts, all []finding, i int) Decision {
	v := &all[i]
	ms, age := v.seconds(f), v.MaxAge
	for j := range all {
		o := &all[j]
		if j == i || o.missing != secondFactor {
			continue
		}
		if both := ms & o.seconds(f); both != 0 {
			ms, age = both, stricter(age, o.MaxAge)
		}
	}
	d := Decision{Verdict: SecondFactor, Reason: v.reason, Source: v.source, Methods: ms, MaxAge: age}
	switch {
	case ms == 0:
		// No second factor is to be had here. Its own identity provider would
		// still do, if the policy accepts that and has one.
		var w wish
		if (v.Methods == 0 || v.Methods.Has(SSO)) && f.Offered.Has(SSO) && v.canSSO() {
			w = wish{1 << SSO, v.Organization, v.connection()}
		}
		return prove(w, v.MaxAge, v.reason, v.source)
	case f.SecondFactor:
		return d
	case f.Now.Sub(v.newest) > EnrollWithin:
		w := wishOf(f, &v.Bound)
		for j := range all {
			// Rather by a proof that the other policy accepts as well: a
			// domain that asks for SSO is not to be enrolled by a mail code.
			if both := w.and(wishOf(f, &all[j].Bound)); both.methods != 0 {
				w = both
			}
		}
		return prove(w, stricter(age, EnrollWithin), TooOld, v.source)
	default:
		d.Verdict = Enroll
		return d
	}
}

// seconds are the second factors that can be asked for and are different from a first
// proof that is there. A passkey after nothing but a passkey is the same factor twice.
func (v *finding) seconds(f *Facts) Methods {
	ms := second & f.Offered
	if v.firsts&^(1<<Passkey) == 0 {
		ms &^= 1 << Passkey
	}
	if !f.SecondFactor {
		ms &^= 1 << RecoveryCode // they come with a factor, and are none to begin with
	}
	return ms
}

// stricter returns the shorter of two maximum ages, of which 0 is none.
func stricter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
