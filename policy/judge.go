package policy

import "time"

// skew is how far ahead of ours another replica's clock may be. A proof from
// further in the future is none: it would stay fresh for as long as it likes.
const skew = time.Minute

// A lack is what a policy still misses. The zero lack is a first proof, so that a
// finding that nobody made is not met.
type lack uint8

const (
	firstProof lack = iota
	secondFactor
	nothing
)

// A finding is what [judge] found of one policy.
type finding struct {
	Bound   // a copy: a pointer would move it to the heap
	source  Source
	missing lack
	// reason says why something is missing.
	reason Reason
	// firsts are the methods of the first proofs that do, and newest is when the
	// last of these was made.
	firsts Methods
	newest time.Time
	// validUntil is how long what is there will do; zero: no limit.
	validUntil time.Time
}

// judge judges one policy by the proofs.
func judge(f *Facts, b *Bound, source Source, proofs []Proof) finding {
	if b.Policy == (Policy{}) {
		source = BySession // the policy asks for no more than being signed in
	}
	v := finding{Bound: *b, source: source, reason: MethodMissing}
	// From here on, the policy is what this page and the person themselves ask for too.
	v.MaxAge = stricter(b.MaxAge, f.Fresh)
	v.MFA = b.MFA || f.Enrolled.Has(TOTP) || f.Fresh > 0 && f.Enrolled.Has(Passkey)
	personal := !b.MFA
	b = &v.Bound
	if len(f.Proofs) == 0 {
		v.reason = NotSignedIn
	}
	// What is relied upon is the youngest set of proofs that meets the policy;
	// since is when the older one of that set was made.
	var since time.Time
	staleFirst, staleSecond := false, false
	for i := range proofs {
		p := &proofs[i]
		if !accepts(f, b, p) {
			continue
		}
		if !b.fresh(f, p) {
			staleFirst = true
			continue
		}
		v.firsts |= 1 << p.Method
		if !p.Undated {
			v.newest = later(v.newest, p.At)
		}
		if !b.MFA || exempts(p) {
			v.missing = nothing
			since = later(since, p.At)
			continue
		}
		for j := range proofs {
			q := &proofs[j]
			switch {
			case !second.Has(q.Method) || q.Method == p.Method || fromTheFuture(f, q):
			case !b.fresh(f, q):
				staleSecond = true
			default:
				v.missing = nothing
				since = later(since, earlier(p.At, q.At))
			}
		}
	}
	switch {
	case v.missing == nothing:
		v.reason = Granted
		if b.MaxAge > 0 {
			v.validUntil = since.Add(b.MaxAge)
		}
	case v.firsts != 0:
		v.missing, v.reason = secondFactor, MFAMissing
		if staleSecond {
			v.reason = TooOld
		}
		if personal {
			v.source = ByPerson
		}
	case staleFirst:
		v.reason = TooOld
	}
	return v
}

// accepts reports whether p, were it fresh, is a first proof that the policy asks for.
func accepts(f *Facts, b *Bound, p *Proof) bool {
	switch {
	case !first.Has(p.Method) || fromTheFuture(f, p):
		return false
	case b.Methods != 0 && !b.Methods.Has(p.Method):
		return false
	case p.Method != SSO && !f.Offered.Has(p.Method):
		return false // a code that was mailed to set something up, or a method that was given up
	case p.Method != SSO:
		return true
	case p.Connection == "" || p.Organization == "":
		return false // nobody vouched
	case b.vouchedFor(p):
		return true
	default:
		// An identity provider speaks for the addresses on the verified domains
		// of its organization, everywhere: there its word is a proof of the
		// person, as good as a code by mail, which that organization could read
		// too. Not where the policy says how, not by any other provider.
		return b.open() && f.Domain != nil && f.Domain.Organization == p.Organization
	}
}

// open reports whether the policy leaves it to the person how to prove who they are.
func (b *Bound) open() bool { return b.Methods == 0 && b.Connection == "" }

// vouchedFor reports whether p came by a connection that the policy trusts as its own.
func (b *Bound) vouchedFor(p *Proof) bool {
	return p.Method == SSO && p.Organization != "" && p.Organization == b.Organization &&
		p.Connection != "" && (b.Connection == "" || p.Connection == b.Connection)
}

// exempts reports whether p, which a policy accepts, stands for both factors: the second
// one of whoever came by SSO is the identity provider's business (SEMANTICS 1.2.4).
func exempts(p *Proof) bool {
	return p.Method == SSO || p.Method == Passkey && p.UserVerified
}

// fresh reports whether p is younger than max_age. At that age it is not, so that an
// Allow ends at its ValidUntil.
func (b *Bound) fresh(f *Facts, p *Proof) bool {
	return b.MaxAge <= 0 || !p.Undated && f.Now.Sub(p.At) < b.MaxAge
}

func fromTheFuture(f *Facts, p *Proof) bool { return p.At.Sub(f.Now) > skew }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
