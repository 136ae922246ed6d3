package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A grant is all that a request needs to know of a session at one host, made ready when
// it was read: the facts of the decision, the values of the headers, the assertion. It
// holds no decision. What is not behind mu or atomic is not changed after [Proxy.build].
type grant struct {
	key grantKey

	// session and parent are empty if nobody is signed in.
	session, parent session.ID
	view            session.View
	facts           policy.Facts // Now, Rule and Request are the request's
	proof           policy.Proof // how the person proved who they are
	headers         []prepared
	wire            []byte   // headers, as they are sent
	assertionIn     []string // names of the headers that hold the assertion
	expires         time.Time

	// idle is when it ends unless it is used, and seen when its use was recorded
	// last, both in Unix nanoseconds.
	idle, seen atomic.Int64
	assertion  atomic.Pointer[assertion]

	// since is the number of invalidations when the reading began.
	since uint64
	links []link

	mu      sync.Mutex
	cached  bool // in the LRU; behind the cache's mu as well
	linked  bool // in the lists of its scopes; behind the cache's mu as well
	flights map[*flight]struct{}
}

// nobody reports whether no one is signed in.
func (g *grant) nobody() bool { return g.session == "" }

// dependsOn reports whether s takes g with it.
func (g *grant) dependsOn(s scope) bool {
	for i := range g.links {
		if g.links[i].scope == s {
			return true
		}
	}
	return false
}

// alive reports whether neither limit of the session has come. A session may have been
// used at another replica since: then the store knows better.
func (g *grant) alive(now time.Time) bool {
	return g.nobody() || now.Before(g.expires) && now.UnixNano() < g.idle.Load()
}

// until is when g must be read anew.
func (g *grant) until() time.Time {
	if g.nobody() {
		return time.Time{}
	}
	if idle := time.Unix(0, g.idle.Load()); idle.Before(g.expires) {
		return idle
	}
	return g.expires
}

// sameIdentity reports whether an app would be told the same of g and h.
func (g *grant) sameIdentity(h *grant) bool {
	if g.session != h.session || len(g.headers) != len(h.headers) {
		return false
	}
	for i := range g.headers {
		if g.headers[i].name != h.headers[i].name || g.headers[i].value[0] != h.headers[i].value[0] {
			return false
		}
	}
	return true
}

// grant returns what is known of the session with that token at the place, and
// whether it was ready. Without a token, and for one that is no session here, it is the
// grant of nobody; ended tells the two apart.
func (p *Proxy) grant(ctx context.Context, st *state, pl *place, token session.Hash, now time.Time) (g *grant, ended bool, err error) {
	key := grantKey{token: token, authority: pl.authority, organization: pl.org.id, generation: st.generation}
	if g, ok := p.grants.get(key); ok && g.alive(now) && p.trusted(now) {
		return g, false, nil
	}
	g, err = p.grants.load(ctx, key, func(ctx context.Context) (*grant, error) { return p.build(ctx, st, pl, token) })
	if errors.Is(err, session.ErrEnded) && token != (session.Hash{}) {
		g, _, err = p.grant(ctx, st, pl, session.Hash{}, now)
		return g, true, err
	}
	return g, false, err
}

// build reads a grant from the store, in one transaction.
func (p *Proxy) build(ctx context.Context, st *state, pl *place, token session.Hash) (*grant, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var g *grant
	err := p.store.View(ctx, func(tx store.Tx) error {
		now := p.now()
		g = &grant{flights: map[*flight]struct{}{}}
		q := session.Query{Organization: pl.org.id, Offered: st.offered, Now: now}
		if token != (session.Hash{}) {
			s, parent, err := session.Live(tx, token, pl.authority, st.limits, now)
			if err != nil {
				return err
			}
			// The session is good at the one host that it was handed to, for the one
			// organization. The host is the key of what is cached; both are
			// compared again, because everything rests on it.
			if s.Parent == "" || s.Host != string(pl.host) || s.Organization != pl.org.id {
				return session.ErrEnded
			}
			q.Session = parent
			g.session, g.parent = s.ID, parent.ID
			g.expires = earlier(s.ExpiresAt, parent.ExpiresAt)
			seen := earlier(s.SeenAt, parent.SeenAt)
			g.seen.Store(seen.UnixNano())
			g.idle.Store(seen.Add(st.limits.Idle).UnixNano())
		}
		var err error
		g.view, err = session.Gather(tx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	g.facts = g.view.Facts
	// What is not here yet, or not any more, was asked for by its id.
	g.view.Organization.ID = pl.org.id
	g.proof = tellingProof(&g.view)
	if !g.nobody() {
		g.prepare(pl.app.names)
	}
	g.scopes()
	return g, nil
}

// scopes notes what g depends on.
func (g *grant) scopes() {
	v := &g.view
	seen := map[scope]bool{}
	add := func(kind scopeKind, id string) {
		s := scope{kind, id}
		if (id == "" && kind != everything) || seen[s] {
			return
		}
		seen[s] = true
		g.links = append(g.links, link{g: g, scope: s})
	}
	add(everything, "")
	add(bySession, string(g.session))
	add(bySession, string(g.parent))
	add(byUser, string(v.User.ID))
	add(byOrganization, string(v.Organization.ID))
	add(byOrganization, string(v.DomainOrganization))
	if v.User.Email != "" {
		add(byEmailDomain, tenancy.EmailDomain(v.User.Email))
	}
	for _, proof := range g.facts.Proofs {
		add(byOrganization, proof.Organization)
	}
}

// tellingProof is the proof that an app is told of: that by the organization's own
// identity provider, else by that of the person's domain, else the latest first factor.
func tellingProof(v *session.View) policy.Proof {
	var best policy.Proof
	rank := -1
	for _, p := range v.Facts.Proofs {
		r := 0
		switch {
		case p.Method == policy.TOTP || p.Method == policy.RecoveryCode:
			continue
		case p.Method == policy.SSO && p.Organization == string(v.Organization.ID):
			r = 2
		case p.Method == policy.SSO && p.Organization == string(v.DomainOrganization):
			r = 1
		}
		if r >= rank {
			best, rank = p, r
		}
	}
	return best
}

// used notes that the session of g is in use, and has it recorded if that was last done
// some time ago: a session in use costs one write every few minutes.
func (p *Proxy) used(g *grant, l session.Limits, now time.Time) {
	if g.nobody() {
		return
	}
	seen := g.seen.Load()
	if now.UnixNano()-seen < int64(l.Touch()) || !g.seen.CompareAndSwap(seen, now.UnixNano()) {
		return
	}
	if !p.touches.add(g.session) {
		g.seen.Store(seen) // too much to do: the next request tries again
		return
	}
	g.idle.Store(now.Add(l.Idle).UnixNano())
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
