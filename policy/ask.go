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
	if v.passkeyAlone() && !(f.Enrolled & f.Offered).Has(TOTP) {
		// Another local proof makes it two factors. To enrol one instead would let
		// a stolen key that asks for no PIN make its own second.
		if w := beforePasskey(f, all, i); w.methods != 0 {
			return prove(w, v.MaxAge, v.reason, v.source)
		}
	}
	ms, enroll := v.seconds(f)
	age := v.MaxAge
	for j := range all {
		o := &all[j]
		if j == i || o.missing != secondFactor {
			continue
		}
		theirs, _ := o.seconds(f)
		if both := ms & theirs; both != 0 {
			ms, age = both, stricter(age, o.MaxAge)
		}
	}
	switch {
	case ms == 0:
		// No second factor is to be had here. An identity provider would still do,
		// if the policy accepts one that can be asked.
		w := wishOf(f, &v.Bound)
		w.methods &= 1 << SSO
		if w.organization == "" {
			w.methods = 0
		}
		return prove(w, v.MaxAge, v.reason, v.source)
	case enroll && f.Now.Sub(v.newest) > EnrollWithin:
		w := wishOf(f, &v.Bound)
		for j := range all {
			// Rather by a proof that the other policy accepts as well: a
			// domain that asks for SSO is not to be enrolled by a mail code.
			if both := w.and(wishOf(f, &all[j].Bound)); both.methods != 0 {
				w = both
			}
		}
		return prove(w, stricter(age, EnrollWithin), TooOldToEnroll, v.source)
	}
	d := Decision{Verdict: SecondFactor, Reason: v.reason, Source: v.source, Methods: ms, MaxAge: age}
	if enroll {
		d.Verdict = Enroll
	}
	return d
}

// beforePasskey is what else than a passkey all[i] takes for a first proof, and the other
// policy too if that misses the same; nothing if that is sso alone, whose provider need not
// know everybody.
func beforePasskey(f *Facts, all []finding, i int) wish {
	const noLocal = 1<<SSO | 1<<Passkey
	w := wishOf(f, &all[i].Bound)
	w.methods &^= 1 << Passkey
	for j := range all {
		if both := w.and(wishOf(f, &all[j].Bound)); all[j].missing == secondFactor && both.methods&^noLocal != 0 {
			w = both
		}
	}
	if w.methods&^noLocal == 0 {
		return wish{}
	}
	return w
}

// seconds are the second factors that v may ask for, different from a first proof that is
// there: those that the person has. Only who has none of these enrols one, also where
// what they have is not offered: else whoever reads their mail could put another factor in
// its place.
func (v *finding) seconds(f *Facts) (ms Methods, enroll bool) {
	can := second
	if v.passkeyAlone() {
		can &^= 1 << Passkey // the same factor twice
	}
	if has := can & f.Enrolled; has != 0 {
		return has & f.Offered, false
	}
	// Recovery codes come with a factor, and are none to begin with.
	return can & f.Offered &^ (1 << RecoveryCode), true
}

// passkeyAlone reports whether nothing but passkeys stands first.
func (v *finding) passkeyAlone() bool { return v.firsts&^(1<<Passkey) == 0 }

// stricter returns the shorter of two maximum ages, of which 0 is none.
func stricter(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}
