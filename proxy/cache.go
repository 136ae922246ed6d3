package proxy

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A grantKey is what a grant is found by: fields, never a joined string, so that no two
// things can share one. The zero Hash stands for nobody: what the host's organization asks
// of a stranger.
type grantKey struct {
	token     session.Hash
	authority string
	// organization is whose host it is: hosts move, and somebody who waits for a reading
	// may know of that before the one who reads.
	organization tenancy.OrgID
	generation   uint64 // of the settings
}

// scopeKind is what a scope's id is of.
type scopeKind uint8

const (
	everything scopeKind = iota
	bySession
	byUser
	byOrganization
	byEmailDomain
)

// A scope is something that, when it changes, takes grants with it.
type scope struct {
	kind scopeKind
	id   string
}

// A link is the place of a grant in one of the lists that it is in.
type link struct{ prev, next *grant }

// The lists.
const (
	ofSession = iota
	ofParent
	ofUser
	ofKind // those of one common
	linkCount
)

// A cache keeps grants ready. It holds facts, never decisions.
//
// A grant that was loaded before an invalidation is never handed out after it: loads
// note the number of invalidations before they read, and what was invalidated since is
// looked up before the result is used. If that list does not reach back so far, all of it
// counts as invalidated.
//
// With very many grants most of the memory would be keys. So the maps have hashes of
// them, by a seed that nobody knows, and what is found is looked at: a grant says itself what it is
// found by. If two share a hash the later one takes the place in the LRU, and a list has both.
type cache struct {
	lru  *lru.Cache[uint64, *grant] // by the hash of the key
	seed maphash.Seed
	mask uint64 // of hashes: a test has few
	// count of invalidations so far.
	count atomic.Uint64

	mu      sync.Mutex
	persons map[uint64]*grant   // lists, by the hash of a session or a user
	kinds   map[uint64]*common  // those to share, by the hash of the kind
	groups  map[scope][]*common // those of which a grant is linked, by what they depend on
	loading map[grantKey]*loading
	recent  [1024]scope // the invalidations, by their number modulo the length
}

// A loading is one reading of the store that all who want the same grant wait for.
type loading struct {
	done chan struct{}
	g    *grant
	err  error
}

func newCache(size int) *cache {
	c := &cache{
		seed: maphash.MakeSeed(), mask: ^uint64(0),
		persons: map[uint64]*grant{}, kinds: map[uint64]*common{}, groups: map[scope][]*common{}, loading: map[grantKey]*loading{},
	}
	var err error
	// The callback runs in the goroutine that adds or removes, which holds mu.
	if c.lru, err = lru.NewWithEvict(size, func(_ uint64, g *grant) { c.evicted(g) }); err != nil {
		panic(err) // only for a size below 1
	}
	return c
}

// errUnsettled: what a grant is made of changed faster than it could be read.
var errUnsettled = errors.New("session changes faster than it can be read")

// get returns the grant that is kept under key, if it may still be used.
func (c *cache) get(key grantKey) (*grant, bool) {
	if g, ok := c.lru.Get(c.at(key)); ok && g.key() == key {
		return g, true
	}
	return nil, false
}

// at is where the LRU has a key.
func (c *cache) at(key grantKey) uint64 { return maphash.Comparable(c.seed, key) & c.mask }

// load returns the grant under key as build reads it from the store. Those who come while
// it is being read wait for the same reading, unless it began before an invalidation
// that concerns them.
func (c *cache) load(ctx context.Context, key grantKey, build func(context.Context) (*grant, error)) (*grant, error) {
	for range 8 {
		g, err := c.loadOnce(ctx, key, build)
		if err != nil {
			return nil, err
		}
		c.mu.Lock()
		ok := !c.invalidatedSince(g)
		c.mu.Unlock()
		if ok {
			return g, nil
		}
	}
	return nil, errUnsettled
}

func (c *cache) loadOnce(ctx context.Context, key grantKey, build func(context.Context) (*grant, error)) (*grant, error) {
	c.mu.Lock()
	if l := c.loading[key]; l != nil {
		c.mu.Unlock()
		select {
		case <-l.done:
			// "There is no such session" may have been true when the reading began,
			// and not any more; only a grant can be checked for that. So whoever
			// joined asks again.
			if l.err == nil {
				return l.g, nil
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		c.mu.Lock()
	}
	if l := c.loading[key]; l != nil {
		// Another one began meanwhile: after we came, so its word counts.
		c.mu.Unlock()
		select {
		case <-l.done:
			return l.g, l.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	l := &loading{done: make(chan struct{}), err: errUnsettled}
	c.loading[key] = l
	since := c.count.Load()
	c.mu.Unlock()

	defer func() { // also if build panics: whoever waits gets the error
		c.mu.Lock()
		delete(c.loading, key)
		if l.err == nil {
			l.g.since = since
			if !c.invalidatedSince(l.g) {
				c.keep(l.g)
			}
		}
		c.mu.Unlock()
		close(l.done)
	}()
	// The caller may go away; those who wait with it may not.
	l.g, l.err = build(context.WithoutCancel(ctx))
	return l.g, l.err
}

// keep adds g. mu is held.
func (c *cache) keep(g *grant) {
	at := c.at(g.key())
	c.lru.Remove(at) // overwriting would not call back
	g.cached = true
	c.share(g)
	c.link(g)
	c.lru.Add(at, g)
}

// share has g, which nobody else has yet, share the kind of another grant that was read the same. mu is held.
func (c *cache) share(g *grant) {
	g.common.hash = g.common.hashBy(c.seed) & c.mask
	k := c.kinds[g.common.hash]
	if k == nil || !k.equal(&g.common.kind) {
		return
	}
	g.common = k
	for i := range g.proofs { // they are equal, and the others can go
		g.proofs[i].Connection, g.proofs[i].Organization = k.vouchers[i].connection, k.vouchers[i].organization
	}
}

// evicted is called when g has left the LRU. mu is held.
func (c *cache) evicted(g *grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cached = false
	// With something open under it, it must still be found when its session ends.
	if g.flights.none() {
		c.unlink(g)
	}
}

// invalidatedSince reports whether something that g depends on was invalidated since its
// reading began. mu is held.
func (c *cache) invalidatedSince(g *grant) bool {
	now := c.count.Load()
	if now-g.since > uint64(len(c.recent)) {
		return true
	}
	for n := g.since; n < now; n++ {
		if s := c.recent[n%uint64(len(c.recent))]; s.kind == everything || g.dependsOn(s) {
			return true
		}
	}
	return false
}

// invalidate drops every grant that depends on one of the scopes, now and for loads that
// are under way. It returns those under which something is open.
func (c *cache) invalidate(scopes ...scope) (open []*grant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range scopes {
		n := c.count.Load()
		c.recent[n%uint64(len(c.recent))] = s
		c.count.Store(n + 1)
		switch s.kind {
		case everything:
			for s := range c.groups {
				open = c.dropGroup(s, open)
			}
		case byOrganization, byEmailDomain:
			open = c.dropGroup(s, open)
		case bySession, byUser:
			at := c.hash(s)
			for g := c.persons[at]; g != nil; {
				next := g.links[c.slot(g, at)].next
				if g.dependsOn(s) {
					open = c.drop(g, open)
				}
				g = next
			}
		}
	}
	return open
}

// dropGroup drops every grant of the kinds that depend on s. mu is held.
func (c *cache) dropGroup(s scope, open []*grant) []*grant {
	for len(c.groups[s]) > 0 {
		// With the last grant of it, it is not among them any more.
		for k := c.groups[s][0]; k.first != nil; {
			open = c.drop(k.first, open)
		}
	}
	return open
}

// drop drops g, and appends it to open if something is open under it. mu is held.
func (c *cache) drop(g *grant, open []*grant) []*grant {
	g.mu.Lock()
	if !g.flights.none() {
		open = append(open, g)
	}
	c.unlink(g)
	g.mu.Unlock()
	g.assertion.Store(nil) // thin does not come by it any more, and what is open may be so for hours
	at := c.at(g.key())
	if k, ok := c.lru.Peek(at); ok && k == g {
		c.lru.Remove(at)
	}
	return open
}

// hash is where persons has a scope.
func (c *cache) hash(s scope) uint64 { return maphash.Comparable(c.seed, s) & c.mask }

// slot is which of g's links is in the list of persons that is found at a hash; -1: none.
func (c *cache) slot(g *grant, at uint64) int {
	for i, s := range g.scopes() {
		if s.id != "" && c.hash(s) == at {
			return i
		}
	}
	return -1
}

// link puts g into the lists of what it depends on. mu is held.
func (c *cache) link(g *grant) {
	if g.linked {
		return
	}
	g.linked = true
	for i, s := range g.scopes() {
		at := c.hash(s)
		if s.id == "" || c.slot(g, at) != i {
			continue
		}
		next := c.persons[at]
		g.links[i] = link{next: next}
		if next != nil {
			next.links[c.slot(next, at)].prev = g
		}
		c.persons[at] = g
	}
	k := g.common
	g.links[ofKind] = link{next: k.first}
	if k.first == nil {
		c.enlist(k)
	} else {
		k.first.links[ofKind].prev = g
	}
	k.first = g
}

// unlink takes g out of the lists of what it depends on. mu is held.
func (c *cache) unlink(g *grant) {
	if !g.linked {
		return
	}
	g.linked = false
	for i, s := range g.scopes() {
		at := c.hash(s)
		if s.id == "" || c.slot(g, at) != i {
			continue
		}
		l := g.links[i]
		switch {
		case l.prev != nil:
			l.prev.links[c.slot(l.prev, at)].next = l.next
		case l.next != nil:
			c.persons[at] = l.next
		default:
			delete(c.persons, at)
		}
		if l.next != nil {
			l.next.links[c.slot(l.next, at)].prev = l.prev
		}
	}
	k, l := g.common, g.links[ofKind]
	if l.prev != nil {
		l.prev.links[ofKind].next = l.next
	} else if k.first = l.next; k.first == nil {
		c.delist(k)
	}
	if l.next != nil {
		l.next.links[ofKind].prev = l.prev
	}
	g.links = [linkCount]link{}
}

// enlist has k found, of which a grant is linked now. mu is held.
func (c *cache) enlist(k *common) {
	if c.kinds[k.hash] == nil {
		c.kinds[k.hash] = k
	}
	k.at = k.at[:0]
	for _, s := range k.scopes() {
		k.at = append(k.at, len(c.groups[s]))
		c.groups[s] = append(c.groups[s], k)
	}
}

// delist undoes enlist. mu is held.
func (c *cache) delist(k *common) {
	if c.kinds[k.hash] == k {
		delete(c.kinds, k.hash)
	}
	for i, s := range k.scopes() {
		group := c.groups[s]
		if len(group) == 1 {
			delete(c.groups, s)
			continue
		}
		// The last one takes its place: there may be as many as grants, if each is of an e-mail domain of its own.
		last := len(group) - 1
		moved := group[last]
		moved.at[slices.Index(moved.scopes(), s)] = k.at[i]
		group[k.at[i]], group[last] = moved, nil
		c.groups[s] = group[:last]
	}
}

// attach notes that f goes on under g, so that f ends with g. It returns false if g has
// ended by now: then f must not begin.
func (c *cache) attach(g *grant, f *flight) bool {
	g.mu.Lock()
	if g.linked {
		g.flights.add(f)
		g.mu.Unlock()
		return true
	}
	g.mu.Unlock()
	// It was invalidated or evicted in between. In the second case it may go on, and must
	// be found again.
	c.mu.Lock()
	defer c.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.invalidatedSince(g) {
		return false
	}
	c.link(g)
	g.flights.add(f)
	return true
}

// detach notes that f is over.
func (c *cache) detach(g *grant, f *flight) {
	g.mu.Lock()
	g.flights.remove(f)
	last := g.flights.none() && !g.cached && g.linked
	g.mu.Unlock()
	if !last {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flights.none() && !g.cached {
		c.unlink(g)
	}
}

// thin lets go of what grants hold that nobody has used for a while.
func (c *cache) thin(now time.Time) {
	var all []*common
	c.mu.Lock()
	for s, group := range c.groups {
		for _, k := range group {
			if s.kind == byOrganization && s.id == string(k.organization) { // each once
				all = append(all, k)
			}
		}
	}
	c.mu.Unlock()
	for _, k := range all {
		c.mu.Lock()
		n := 0
		for g := k.first; g != nil; g = g.links[ofKind].next {
			g.thin(now)
			if n++; n%256 == 0 { // nobody waits for all of them; if g goes meanwhile the rest has its turn next time
				c.mu.Unlock()
				c.mu.Lock()
			}
		}
		c.mu.Unlock()
	}
}
