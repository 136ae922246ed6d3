package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

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

// A link is the place of a grant in the list of one of its scopes.
type link struct {
	g          *grant
	scope      scope
	prev, next *link
}

// A cache keeps grants ready. It holds facts, never decisions.
//
// A grant that was loaded before an invalidation is never handed out after it: loads
// note the number of invalidations before they read, and what was invalidated since is
// looked up before the result is used. If that list does not reach back so far, all of it
// counts as invalidated.
type cache struct {
	lru *lru.Cache[grantKey, *grant]
	// count of invalidations so far.
	count atomic.Uint64

	mu      sync.Mutex
	scopes  map[scope]*link
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
	c := &cache{scopes: map[scope]*link{}, loading: map[grantKey]*loading{}}
	var err error
	// The callback runs in the goroutine that adds or removes, which holds mu.
	if c.lru, err = lru.NewWithEvict(size, func(_ grantKey, g *grant) { c.evicted(g) }); err != nil {
		panic(err) // only for a size below 1
	}
	return c
}

// errUnsettled: what a grant is made of changed faster than it could be read.
var errUnsettled = errors.New("session changes faster than it can be read")

// get returns the grant that is kept under key, if it may still be used.
func (c *cache) get(key grantKey) (*grant, bool) { return c.lru.Get(key) }

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
				c.keep(key, l.g)
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
func (c *cache) keep(key grantKey, g *grant) {
	c.lru.Remove(key) // overwriting would not call back
	g.key = key
	g.cached = true
	c.link(g)
	c.lru.Add(key, g)
}

// evicted is called when g has left the LRU. mu is held.
func (c *cache) evicted(g *grant) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cached = false
	// With something open under it, it must still be found when its session ends.
	if len(g.flights) == 0 {
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
		for l := c.scopes[s]; l != nil; l = c.scopes[s] {
			g := l.g
			g.mu.Lock()
			if len(g.flights) > 0 {
				open = append(open, g)
			}
			c.unlink(g)
			g.mu.Unlock()
			if k, ok := c.lru.Peek(g.key); ok && k == g {
				c.lru.Remove(g.key)
			}
		}
	}
	return open
}

// link puts g into the lists of its scopes. mu is held.
func (c *cache) link(g *grant) {
	if g.linked {
		return
	}
	g.linked = true
	for i := range g.links {
		l := &g.links[i]
		l.prev, l.next = nil, c.scopes[l.scope]
		if l.next != nil {
			l.next.prev = l
		}
		c.scopes[l.scope] = l
	}
}

// unlink takes g out of the lists of its scopes. mu is held.
func (c *cache) unlink(g *grant) {
	if !g.linked {
		return
	}
	g.linked = false
	for i := range g.links {
		l := &g.links[i]
		switch {
		case l.prev != nil:
			l.prev.next = l.next
		case l.next != nil:
			c.scopes[l.scope] = l.next
		default:
			delete(c.scopes, l.scope)
		}
		if l.next != nil {
			l.next.prev = l.prev
		}
		l.prev, l.next = nil, nil
	}
}

// attach notes that f goes on under g, so that f ends with g. It returns false if g has
// ended by now: then f must not begin.
func (c *cache) attach(g *grant, f *flight) bool {
	g.mu.Lock()
	if g.linked {
		g.flights[f] = struct{}{}
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
	g.flights[f] = struct{}{}
	return true
}

// detach notes that f is over.
func (c *cache) detach(g *grant, f *flight) {
	g.mu.Lock()
	delete(g.flights, f)
	last := len(g.flights) == 0 && !g.cached && g.linked
	g.mu.Unlock()
	if !last {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.flights) == 0 && !g.cached {
		c.unlink(g)
	}
}
