package proxy

import (
	"hash/maphash"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A kind is what the grants of many sessions say alike: of the place, of its organization
// and its policies, and of the roles that people have in it. It never changes.
type kind struct {
	// authority, organization and generation are of the key: see [grantKey].
	authority    string
	organization tenancy.OrgID
	generation   uint64

	slug tenancy.Slug // of the organization, and its name
	name string
	// domainOrganization: see [session.View].
	domainOrganization tenancy.OrgID
	emailDomain        string
	facts              policy.Facts // without what is the person's own: see [grant.facts]
	vouchers           []voucher    // of each proof
	wire               string       // the header lines that it makes, as they are sent
	lines              int          // in wire; without wire, nothing may be sent: one has a control byte in it
	assertionIn        []string     // names of the headers that hold the assertion
}

// A voucher is who vouched for a proof.
type voucher struct{ connection, organization string }

// A common is a kind that grants share. Two grants share one only if their transactions read the
// same, to the byte: see [cache.share].
type common struct {
	kind
	// opening is what the assertions of these grants begin with; nil: none was signed.
	opening atomic.Pointer[opening]

	// first is the first of the linked grants of it, hash that of kind, and at where it is in the group of each of its
	// scopes. They are behind the cache's mu.
	first *grant
	hash  uint64
	at    []int
}

// newKind returns the kind that v is of at the place, with no header lines.
func newKind(pl *place, generation uint64, v *session.View) kind {
	k := kind{
		// The host may be a part of the whole head of the request.
		authority: strings.Clone(pl.authority), organization: pl.org.id, generation: generation,
		slug: v.Organization.Slug, name: v.Organization.Name, domainOrganization: v.DomainOrganization, facts: v.Facts,
	}
	if v.User.Email != "" {
		k.emailDomain = strings.Clone(tenancy.EmailDomain(v.User.Email))
	}
	for _, p := range v.Facts.Proofs {
		k.vouchers = append(k.vouchers, voucher{p.Connection, p.Organization})
	}
	k.facts.Now, k.facts.Proofs, k.facts.Email, k.facts.Attributes = time.Time{}, nil, "", nil
	return k
}

// equal reports whether k and l are the same, in whatever a kind has or will have.
func (k *kind) equal(l *kind) bool { return reflect.DeepEqual(k, l) }

// hashBy finds an equal kind, and does not have to know of all that is in one.
func (k *kind) hashBy(seed maphash.Seed) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	f := &k.facts
	maphash.WriteComparable(&h, [...]string{k.authority, string(k.organization), string(k.domainOrganization), k.emailDomain, k.wire, f.ConfinedTo})
	maphash.WriteComparable(&h, [...]uint64{k.generation, uint64(f.Standing), uint64(f.Enrolled)})
	maphash.WriteComparable(&h, [...]bool{f.Guest, f.MayJoin})
	for _, b := range []*policy.Bound{f.Own, f.Domain} {
		if b != nil {
			maphash.WriteComparable(&h, *b)
		}
	}
	for _, s := range slices.Concat(f.Roles, f.Permissions) {
		maphash.WriteComparable(&h, s)
	}
	for _, v := range k.vouchers {
		maphash.WriteComparable(&h, v)
	}
	return h.Sum64()
}

// scopes are those that the grants of k depend on because of k. There is always the organization.
func (k *kind) scopes() []scope {
	var list []scope
	add := func(kind scopeKind, id string) {
		if s := (scope{kind, id}); id != "" && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	add(byOrganization, string(k.organization))
	add(byOrganization, string(k.domainOrganization))
	for _, v := range k.vouchers {
		add(byOrganization, v.organization)
	}
	add(byEmailDomain, k.emailDomain)
	return list
}

// dependsOn reports whether s is among the scopes.
func (k *kind) dependsOn(s scope) bool {
	switch s.kind {
	case byOrganization:
		return s.id != "" && (s.id == string(k.organization) || s.id == string(k.domainOrganization) ||
			slices.ContainsFunc(k.vouchers, func(v voucher) bool { return v.organization == s.id }))
	case byEmailDomain:
		return s.id != "" && s.id == k.emailDomain
	case everything, bySession, byUser:
	}
	return false
}
