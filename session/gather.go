package session

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// A Query says whose facts are asked for.
type Query struct {
	// Organization asked for; empty: the login host alone.
	Organization tenancy.OrgID
	// Session is the live login-host session; its zero value: nobody signed in.
	Session Session
	// Email is who the person says to be, when nobody is signed in; may be empty.
	Email string
	// Offered: see [policy.Facts].
	Offered policy.Methods
	// Fresh: see [policy.Facts].
	Fresh time.Duration
	Now   time.Time
}

// A View is what is known of one person at one organization: the facts for
// [policy.Decide], and the objects that they were taken from. It is how sign-in, proxy and
// explain come to the same decision: nothing else fills in Facts.
type View struct {
	Facts        policy.Facts
	Organization tenancy.Organization
	User         tenancy.User       // zero: nobody, or not known yet
	Membership   tenancy.Membership // zero: none
	// Roles are the membership's and those of its groups, highest priority first.
	Roles []string
	// Permissions are the union over Roles, sorted.
	Permissions []string
	// DomainOrganization is on whose verified domain the person's address is, and so
	// whose domain policy binds them; empty: nobody's.
	DomainOrganization tenancy.OrgID
	// Connections are the organization's active ones, by name.
	Connections []tenancy.Connection
	// AddressProved: the session has proved the person's address itself, since the domain that it
	// is on is its owner's, and is not confined.
	AddressProved bool
}

// Gather collects the facts. A missing or suspended organization is not an error but a
// fact. Facts.Rule and Facts.Request are left to the caller.
//
// Whatever is said here of a person is from the store. The one thing taken from the caller is
// Query.Email of a stranger, which chooses what they are asked to prove, and nothing else.
func Gather(tx Tx, q Query) (View, error) {
	g := gathering{tx: tx, q: q, orgs: map[tenancy.OrgID]known{}}
	g.view.Facts = policy.Facts{Now: q.Now, Organization: string(q.Organization), OrganizationActive: q.Organization == "", Offered: q.Offered, Fresh: q.Fresh}
	for _, step := range []func() error{g.organization, g.person, g.domain, g.proofs, g.confinement, g.membership, g.roles} {
		if err := step(); err != nil {
			return View{}, err
		}
	}
	return g.view, nil
}

// A gathering is one run of [Gather].
type gathering struct {
	tx   Tx
	q    Query
	view View
	orgs map[tenancy.OrgID]known
	// domainSince is since when the person's domain has been DomainOrganization's.
	domainSince time.Time
}

// known is an organization and its active connections, read once. The zero known is an
// organization that does not exist, and nobody vouches for it.
type known struct {
	tenancy.Organization
	exists bool
	active []tenancy.Connection // by name; none if it is suspended
}

func (g *gathering) lookUp(id tenancy.OrgID) (known, error) {
	if k, ok := g.orgs[id]; ok || id == "" {
		return k, nil
	}
	o, err := g.tx.Organization(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		g.orgs[id] = known{}
		return known{}, nil
	}
	if err != nil {
		return known{}, err
	}
	k := known{Organization: o, exists: true}
	if !o.Suspended {
		for c, err := range g.tx.Connections(id) {
			if err != nil {
				return known{}, err
			}
			if !c.Disabled {
				k.active = append(k.active, c)
			}
		}
		slices.SortFunc(k.active, func(a, b tenancy.Connection) int { return strings.Compare(a.Name, b.Name) })
	}
	g.orgs[id] = k
	return k, nil
}

// bound is a policy of k, or the zero policy, with what is known of its connections.
func (k known) bound(p *policy.Policy, name string) *policy.Bound {
	b := &policy.Bound{Organization: string(k.ID), Name: name}
	if p != nil {
		b.Policy = *p
	}
	if len(k.active) == 1 {
		b.Only = string(k.active[0].ID)
	}
	b.NoSSO = true
	for _, c := range k.active {
		if b.Connection == "" || b.Connection == string(c.ID) {
			b.NoSSO = false
		}
		if string(c.ID) == cmp.Or(b.Connection, b.Only) {
			b.ConnectionName = c.Name
		}
	}
	return b
}

func (g *gathering) organization() error {
	k, err := g.lookUp(g.q.Organization)
	if err != nil || !k.exists {
		return err
	}
	g.view.Organization, g.view.Connections = k.Organization, k.active
	g.view.Facts.OrganizationActive = !k.Suspended
	g.view.Facts.Own = k.bound(k.OrganizationPolicy, string(k.Slug))
	return nil
}

// person finds out who it is.
func (g *gathering) person() error {
	if g.q.Session.ID == "" {
		if email, err := tenancy.ParseEmail(g.q.Email); err == nil {
			g.view.Facts.Email = email
		}
		return nil
	}
	u, err := g.tx.User(g.q.Session.User)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil // nobody, with a session that proves nothing
	}
	if err != nil {
		return err
	}
	g.view.User, g.view.Facts.Email = u, u.Email
	g.view.Facts.Enrolled, err = g.tx.Enrolled(u.ID)
	return err
}

// domain finds the policy of the person's address. A suspended organization's policy
// binds as before: suspending it must not let its people in by an easier way.
func (g *gathering) domain() error {
	if g.view.Facts.Email == "" {
		return nil
	}
	d, err := g.tx.VerifiedDomain(tenancy.EmailDomain(g.view.Facts.Email))
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	k, err := g.lookUp(d.Organization)
	if err != nil || !k.exists {
		return err
	}
	g.view.DomainOrganization, g.domainSince = k.ID, d.VerifiedAt
	g.view.Facts.Domain = k.bound(k.DomainPolicy, d.Name)
	return nil
}

// proofs are those of the session whose connections still answer: a proof by one that was
// disabled, or whose organization was suspended, is none any more (attack 74). Nor is one by a
// social provider's identity that the person has unlinked.
func (g *gathering) proofs() error {
	if g.view.User.ID == "" || !g.q.Session.EndedAt.IsZero() || g.q.Session.Parent != "" {
		return nil
	}
	for _, p := range g.q.Session.Proofs {
		if p.Method == policy.SSO {
			k, err := g.lookUp(tenancy.OrgID(p.Organization))
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(k.active, func(c tenancy.Connection) bool { return string(c.ID) == p.Connection }) {
				continue
			}
		}
		if p.Method == policy.Social {
			linked, err := g.linked(p)
			if err != nil {
				return err
			}
			if !linked {
				continue
			}
		}
		g.view.Facts.Proofs = append(g.view.Facts.Proofs, p)
	}
	return nil
}

// linked reports whether the identity behind a social proof is the person's still.
func (g *gathering) linked(p policy.Proof) (bool, error) {
	for _, up := range g.q.Session.Upstream {
		if string(up.Connection) != p.Connection {
			continue
		}
		i, err := g.tx.Identity(up.Connection, up.Subject)
		switch {
		case errors.Is(err, tenancy.ErrNotFound):
		case err != nil:
			return false, err
		case i.User == g.view.User.ID && i.Organization == "":
			return true, nil
		}
	}
	return false, nil
}

// confinement finds out where the session is good, anew each time: a domain may have
// another owner than when the proof was made, and the proof that lifted the confinement
// may be by a connection that is gone.
func (g *gathering) confinement() error {
	f := &g.view.Facts
	free := g.q.Session.ConfinedTo == "" && (g.proved() || slices.ContainsFunc(f.Proofs, func(p policy.Proof) bool {
		return p.Method != policy.SSO && isFirst(p.Method)
	}))
	g.view.AddressProved = free && g.view.User.EmailVerified && g.proved()
	if free || len(f.Proofs) == 0 {
		f.ConfinedTo = string(g.q.Session.ConfinedTo)
		return nil
	}
	// Every first proof is the word of some organization's provider, good there alone.
	f.ConfinedTo = string(g.q.Session.ConfinedTo)
	for _, p := range f.Proofs {
		if p.Method == policy.SSO {
			f.ConfinedTo = p.Organization
			if f.ConfinedTo == f.Organization {
				break
			}
		}
	}
	return nil
}

// proved reports whether the session has proved the person's address: by the identity
// provider of the organization whose domain it is on, or by a code sent to it since it is that
// organization's: before, it may have been another's, whose people are not its own (attack 79).
func (g *gathering) proved() bool {
	return slices.ContainsFunc(g.view.Facts.Proofs, func(p policy.Proof) bool {
		return p.Method == policy.EmailCode && !p.At.Before(g.domainSince) ||
			p.Method == policy.SSO && p.Organization != "" && p.Organization == string(g.view.DomainOrganization)
	})
}

// membership finds out how the person stands with the organization.
func (g *gathering) membership() error {
	f := &g.view.Facts
	if g.view.User.ID == "" || g.view.Organization.ID == "" {
		return nil
	}
	m, err := g.tx.Membership(g.view.Organization.ID, g.view.User.ID)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err == nil {
		g.view.Membership = m
		f.Standing, f.Attributes = m.Status, m.Attributes
		f.Guest = g.view.DomainOrganization != m.Organization
		return nil
	}
	if g.view.User.EmailVerified && f.ConfinedTo == "" && g.proved() {
		f.MayJoin, err = tenancy.MayJoin(g.tx, g.view.Organization, f.Email)
		return err
	}
	return nil
}

// roles are those of an active membership.
func (g *gathering) roles() error {
	m := g.view.Membership
	if m.Status != policy.Active {
		return nil
	}
	roles, err := tenancy.EffectiveRoles(g.tx, m)
	if err != nil {
		return err
	}
	for _, r := range roles {
		g.view.Roles = append(g.view.Roles, r.Slug)
	}
	g.view.Permissions = tenancy.PermissionsOf(roles)
	g.view.Facts.Roles, g.view.Facts.Permissions = g.view.Roles, g.view.Permissions
	return nil
}
