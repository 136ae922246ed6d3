package proxy

import (
	"bytes"
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
// it was read: the facts of the decision, the lines of the headers, the assertion. It
// holds no decision. What is not behind mu or atomic is not changed once others have it.
//
// There may be a hundred thousand, so that what many say alike is in common, and what is the
// person's own is in one text.
type grant struct {
	token  session.Hash // the rest of the key is in common
	common *common

	// text holds what is said of the person: the header lines, as they are sent, and the parts.
	text       string
	wireLen    uint32
	lines      uint32 // in wire; without wire, nothing may be sent: one has a control byte in it
	parts      [partCount]part
	proofs     []policy.Proof
	attributes map[string]any
	expires    int64 // when the session ends at the latest, in Unix nanoseconds

	// idle is when it ends unless it is used, and seen when its use was recorded
	// last, both in Unix nanoseconds.
	idle, seen atomic.Int64
	assertion  atomic.Pointer[assertion]

	// since is the number of invalidations when the reading began.
	since uint64
	links [linkCount]link // behind the cache's mu

	mu      sync.Mutex
	cached  bool // in the LRU; behind the cache's mu as well
	linked  bool // in the lists of what it depends on; behind the cache's mu as well
	flights flights
}

// A part is a piece of a grant's text.
type part struct{ from, to uint32 }

// The parts. All are empty if nobody is signed in.
const (
	sessionPart = iota
	parentPart
	userPart
	emailPart
	namePart
	membershipPart
	partCount
)

func (g *grant) part(i int) string { return g.text[g.parts[i].from:g.parts[i].to] }

func (g *grant) session() session.ID  { return session.ID(g.part(sessionPart)) }
func (g *grant) parent() session.ID   { return session.ID(g.part(parentPart)) }
func (g *grant) user() tenancy.UserID { return tenancy.UserID(g.part(userPart)) }
func (g *grant) email() string        { return g.part(emailPart) }
func (g *grant) name() string         { return g.part(namePart) }
func (g *grant) membership() tenancy.MembershipID {
	return tenancy.MembershipID(g.part(membershipPart))
}

// wire is the header lines of the person's own, as they are sent.
func (g *grant) wire() string { return g.text[:g.wireLen] }

// key is what g is found by.
func (g *grant) key() grantKey {
	return grantKey{token: g.token, authority: g.common.authority, organization: g.common.organization, generation: g.common.generation}
}

// nobody reports whether no one is signed in.
func (g *grant) nobody() bool { return g.parts[sessionPart] == part{} }

// facts are what a decision depends on. Now, Rule and Request are the request's.
func (g *grant) facts() policy.Facts {
	f := g.common.facts
	f.Proofs, f.Email, f.Attributes = g.proofs, g.email(), g.attributes
	return f
}

// proof is how the person proved who they are.
func (g *grant) proof() policy.Proof {
	return tellingProof(g.proofs, g.common.organization, g.common.domainOrganization)
}

// dependsOn reports whether s takes g with it.
func (g *grant) dependsOn(s scope) bool {
	if g.common.dependsOn(s) {
		return true
	}
	for _, own := range g.scopes() {
		if own == s && s.id != "" {
			return true
		}
	}
	return false
}

// scopes are those that g depends on because of the person; one without an id is none.
func (g *grant) scopes() [ofKind]scope {
	return [...]scope{ofSession: {bySession, g.part(sessionPart)}, ofParent: {bySession, g.part(parentPart)}, ofUser: {byUser, g.part(userPart)}}
}

// alive reports whether neither limit of the session has come. A session may have been
// used at another replica since: then the store knows better.
func (g *grant) alive(now time.Time) bool {
	n := now.UnixNano()
	return g.nobody() || n < g.expires && n < g.idle.Load()
}

// expiresAt is when the session ends at the latest.
func (g *grant) expiresAt() time.Time { return time.Unix(0, g.expires).UTC() }

// until is when g must be read anew.
func (g *grant) until() time.Time {
	if g.nobody() {
		return time.Time{}
	}
	return time.Unix(0, min(g.idle.Load(), g.expires))
}

// sameIdentity reports whether an app would be told the same of g and h.
func (g *grant) sameIdentity(h *grant) bool {
	return g.session() == h.session() && g.lines == h.lines && g.wire() == h.wire() &&
		g.common.lines == h.common.lines && g.common.wire == h.common.wire
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
	var s, parent session.Session
	var v session.View
	err := p.store.View(ctx, func(tx store.Tx) error {
		now := p.now()
		q := session.Query{Organization: pl.org.id, Offered: st.offered, Now: now}
		s, parent = session.Session{}, session.Session{}
		if token != (session.Hash{}) {
			var err error
			s, parent, err = session.Live(tx, token, pl.authority, st.limits, now)
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
		}
		var err error
		v, err = session.Gather(tx, q)
		return err
	})
	if err != nil {
		return nil, err
	}
	// What is not here yet, or not any more, was asked for by its id.
	v.Organization.ID = pl.org.id
	g := newGrant(pl, st.generation, token, s.ID, parent.ID, &v)
	if !g.nobody() {
		g.expires = earlier(s.ExpiresAt, parent.ExpiresAt).UnixNano()
		seen := earlier(s.SeenAt, parent.SeenAt)
		g.seen.Store(seen.UnixNano())
		g.idle.Store(seen.Add(st.limits.Idle).UnixNano())
	}
	return g, nil
}

// newGrant makes a grant of what was read.
func newGrant(pl *place, generation uint64, token session.Hash, id, parent session.ID, v *session.View) *grant {
	g := &grant{token: token, proofs: v.Facts.Proofs, attributes: v.Facts.Attributes, common: &common{kind: newKind(pl, generation, v)}}
	var text []byte
	if id != "" {
		text = g.prepare(pl.app.names, v)
	}
	g.wireLen = uint32(len(text))
	for i, s := range [partCount]string{
		sessionPart: string(id), parentPart: string(parent), userPart: string(v.User.ID),
		emailPart: v.User.Email, namePart: v.User.Name, membershipPart: string(v.Membership.ID),
	} {
		at := bytes.Index(text, []byte(s)) // most are in a header
		if at < 0 {
			at, text = len(text), append(text, s...)
		}
		g.parts[i] = part{uint32(at), uint32(at + len(s))}
	}
	g.text = string(text)
	return g
}

// tellingProof is the proof that an app is told of: that by the organization's own
// identity provider, else by that of the person's domain, else the latest first factor.
func tellingProof(proofs []policy.Proof, own, domain tenancy.OrgID) policy.Proof {
	var best policy.Proof
	rank := -1
	for _, p := range proofs {
		r := 0
		switch {
		case p.Method == policy.TOTP || p.Method == policy.RecoveryCode:
			continue
		case p.Method == policy.SSO && p.Organization == string(own):
			r = 2
		case p.Method == policy.SSO && p.Organization == string(domain):
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
	if !p.touches.add(g.session()) {
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
