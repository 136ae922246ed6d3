package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

func testGrant(id string) *grant {
	return newGrant(&place{authority: id, app: &app{}, org: &organization{id: "org_1"}}, 1, session.Hash{}, session.ID(id), "", &session.View{User: tenancy.User{ID: tenancy.UserID("user_" + id)}})
}

func testKey(id string) grantKey {
	return grantKey{authority: id, organization: "org_1", generation: 1}
}

// nothing reports what is left of grants.
func (c *cache) nothing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.persons)+len(c.kinds)+len(c.groups)+len(c.loading)+c.lru.Len() > 0 {
		return fmt.Errorf("left: %d lists of persons, %d kinds, %d groups of them, %d loadings, %d grants", len(c.persons), len(c.kinds), len(c.groups), len(c.loading), c.lru.Len())
	}
	return nil
}

func TestAGrantThatWasReadBeforeAnInvalidationIsNotUsedAfterIt(t *testing.T) {
	c := newCache(10)
	reading, goOn := make(chan struct{}), make(chan struct{})
	var reads atomic.Int32
	build := func(context.Context) (*grant, error) {
		if reads.Add(1) == 1 {
			close(reading)
			<-goOn
		}
		return testGrant("a"), nil
	}
	var wg sync.WaitGroup
	results := make([]*grant, 4)
	wg.Go(func() { results[0], _ = c.load(t.Context(), testKey("a"), build) })
	<-reading
	for i := 1; i < 4; i++ {
		wg.Go(func() { results[i], _ = c.load(t.Context(), testKey("a"), build) })
	}
	c.invalidate(scope{bySession, "a"})
	close(goOn)
	wg.Wait()
	if reads.Load() < 2 {
		t.Errorf("the store was read %d times: what was read before the invalidation was used", reads.Load())
	}
	for i, g := range results {
		if g == nil || g.since == 0 {
			t.Errorf("caller %d got a grant from before the invalidation", i)
		}
	}
	if g, ok := c.get(testKey("a")); !ok || g.since == 0 {
		t.Error("a grant from before the invalidation is kept")
	}
}

func TestAnInvalidationTakesWhatDependsOnItAndNothingElse(t *testing.T) {
	c := newCache(10)
	for _, id := range []string{"a", "b"} {
		if _, err := c.load(t.Context(), testKey(id), func(context.Context) (*grant, error) { return testGrant(id), nil }); err != nil {
			t.Fatal(err)
		}
	}
	c.invalidate(scope{byUser, "user_a"}, scope{byUser, "nobody"})
	if _, ok := c.get(testKey("a")); ok {
		t.Error("a is still there")
	}
	if _, ok := c.get(testKey("b")); !ok {
		t.Error("b is gone")
	}
	c.invalidate(scope{kind: everything})
	if _, ok := c.get(testKey("b")); ok {
		t.Error("b survived the invalidation of everything")
	}
	if err := c.nothing(); err != nil {
		t.Error(err)
	}
}

func TestManyInvalidationsDuringAReadingCountAsAll(t *testing.T) {
	c := newCache(10)
	g := testGrant("a")
	c.mu.Lock()
	g.since = 0
	c.mu.Unlock()
	for i := range 2000 {
		c.invalidate(scope{byUser, fmt.Sprint(i)})
	}
	if !c.invalidatedSince(g) {
		t.Error("what can't be known is taken for no")
	}
}

func TestWhatIsOpenIsFoundThoughItsGrantWasEvicted(t *testing.T) {
	c := newCache(1)
	load := func(id string) *grant {
		g, err := c.load(t.Context(), testKey(id), func(context.Context) (*grant, error) { return testGrant(id), nil })
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a := load("a")
	f := &flight{}
	if !c.attach(a, f) {
		t.Fatal("not attached")
	}
	b := load("b") // evicts a
	if open := c.invalidate(scope{bySession, "a"}); len(open) != 1 || open[0] != a {
		t.Errorf("open under a: %v", open)
	}
	if c.attach(a, &flight{}) {
		t.Error("something new began under an ended grant")
	}
	c.detach(a, f)

	// And the other way about: attached after the eviction.
	load("c") // evicts b
	if !c.attach(b, f) {
		t.Fatal("an evicted grant is no ended one")
	}
	if open := c.invalidate(scope{bySession, "b"}); len(open) != 1 {
		t.Error("b was not found")
	}
	c.detach(b, f)
}

func TestWhatIsUnderWayIsKnown(t *testing.T) {
	g := testGrant("a")
	a, b, c := &flight{}, &flight{}, &flight{}
	s := &g.flights
	for _, f := range []*flight{a, b, c} {
		s.add(f)
	}
	s.remove(a)
	s.add(b) // now it is there twice
	if list := s.list(); len(list) != 2 || !slices.Contains(list, b) || !slices.Contains(list, c) {
		t.Errorf("%d under way, want 2", len(list))
	}
	g.thin(time.Now())
	s.remove(b)
	if s.none() || len(s.list()) != 1 {
		t.Error("one is still under way")
	}
	if s.remove(c); !s.none() {
		t.Error("nothing is under way")
	}
	if g.thin(time.Now()); s.more != nil {
		t.Error("room is kept for what is over")
	}
}

func TestReadersOfOneKeyShareOneReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(10)
		reads := 0
		goOn := make(chan struct{})
		build := func(context.Context) (*grant, error) {
			reads++
			<-goOn
			return testGrant("a"), nil
		}
		for range 20 {
			go c.load(t.Context(), testKey("a"), build)
		}
		synctest.Wait()
		close(goOn)
		synctest.Wait()
		if reads != 1 {
			t.Errorf("%d readings", reads)
		}
	})
}

func TestAFailedReadingIsNotKeptAndNotShared(t *testing.T) {
	c := newCache(10)
	boom := errors.New("boom")
	if _, err := c.load(t.Context(), testKey("a"), func(context.Context) (*grant, error) { return nil, boom }); !errors.Is(err, boom) {
		t.Errorf("%v", err)
	}
	if _, err := c.load(t.Context(), testKey("a"), func(context.Context) (*grant, error) { return testGrant("a"), nil }); err != nil {
		t.Errorf("%v", err)
	}
}

func TestAPanickingReaderLeavesNobodyWaiting(t *testing.T) {
	c := newCache(10)
	func() {
		defer func() { recover() }() // it is the one below
		c.load(t.Context(), testKey("a"), func(context.Context) (*grant, error) { panic("x") })
	}()
	if _, err := c.load(t.Context(), testKey("a"), func(context.Context) (*grant, error) { return testGrant("a"), nil }); err != nil {
		t.Error(err)
	}
}

func TestTheCacheHoldsUnderContention(t *testing.T) {
	for _, mask := range []uint64{^uint64(0), 1, 0} {
		contend(t, mask)
	}
}

func contend(t *testing.T, mask uint64) {
	c := newCache(4) // far too small: everything is evicted all the time
	c.mask = mask
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 300 {
				id := fmt.Sprint((w + i) % 12)
				g, ok := c.get(testKey(id))
				if !ok {
					var err error
					if g, err = c.load(t.Context(), testKey(id), func(context.Context) (*grant, error) { return testGrant(id), nil }); err != nil {
						t.Error(err)
						return
					}
				}
				f := &flight{}
				if c.attach(g, f) {
					c.detach(g, f)
				}
				if i%7 == 0 {
					c.invalidate(scope{bySession, id})
				}
				if i%50 == 0 {
					c.thin(time.Now())
				}
			}
		})
	}
	wg.Wait()
	c.invalidate(scope{kind: everything})
	if err := c.nothing(); err != nil {
		t.Error(err)
	}
}

// consistent reports what is wrong with the lists of a cache: each linked grant is in those of what it depends on, once,
// and nothing else is.
func (c *cache) consistent(all []*grant) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := map[*grant]int{}
	walk := func(first *grant, slot func(*grant) int) error {
		var prev *grant
		for g := first; g != nil; prev, g = g, g.links[slot(g)].next {
			i := slot(g)
			if i < 0 {
				return errors.New("a list has a grant that it is no list for")
			}
			if !g.linked || g.links[i].prev != prev {
				return fmt.Errorf("%s is not linked as the list has it", g.session())
			}
			in[g]++
		}
		return nil
	}
	for at, first := range c.persons {
		if err := walk(first, func(g *grant) int { return c.slot(g, at) }); err != nil {
			return err
		}
	}
	kinds := map[*common]int{}
	for s, group := range c.groups {
		for _, k := range group {
			if !slices.Contains(k.scopes(), s) {
				return errors.New("a kind is found by what it does not depend on")
			}
			if at := k.at[slices.Index(k.scopes(), s)]; at >= len(group) || group[at] != k {
				return errors.New("a kind is not where it says")
			}
			if kinds[k]++; kinds[k] > 1 {
				continue
			}
			if k.first == nil {
				return errors.New("a kind is kept of which there is no grant")
			}
			if err := walk(k.first, func(*grant) int { return ofKind }); err != nil {
				return err
			}
		}
	}
	for k, n := range kinds {
		if n != len(k.scopes()) {
			return fmt.Errorf("a kind is in %d groups, and depends on %v", n, k.scopes())
		}
	}
	for _, g := range all {
		want := 0
		if g.linked {
			lists := map[uint64]bool{}
			for _, s := range g.scopes() {
				if s.id != "" {
					lists[c.hash(s)] = true
				}
			}
			want = len(lists) + 1
		}
		if in[g] != want {
			return fmt.Errorf("%s is in %d lists, want %d", g.session(), in[g], want)
		}
	}
	return nil
}

// Whatever shares a hash, what is invalidated goes, and nothing else.
func TestTheCacheForgetsWhatItMust(t *testing.T) {
	for _, mask := range []uint64{^uint64(0), 3, 0} {
		random := rand.New(rand.NewPCG(1, mask))
		c := newCache(8)
		c.mask = mask
		var all []*grant
		flying := map[*flight]*grant{}
		for step := range 4000 {
			user, org := random.IntN(6), random.IntN(3)
			id := fmt.Sprint("s", random.IntN(20))
			switch random.IntN(6) {
			case 0, 1, 2:
				pl := &place{authority: id, app: &app{}, org: &organization{id: tenancy.OrgID(fmt.Sprint("org", org))}}
				v := session.View{User: tenancy.User{ID: tenancy.UserID(fmt.Sprint("u", user)), Email: fmt.Sprintf("x@d%d.test", user%2)}, DomainOrganization: tenancy.OrgID(fmt.Sprint("org", user%2))}
				g := newGrant(pl, 1, session.Hash{}, session.ID(id), session.ID(fmt.Sprint("p", user)), &v)
				got, ok := c.get(g.key())
				if !ok {
					var err error
					if got, err = c.load(t.Context(), g.key(), func(context.Context) (*grant, error) { return g, nil }); err != nil {
						t.Fatal(err)
					}
					all = append(all, g)
				}
				if got.key() != g.key() {
					t.Fatalf("asked for %v, got %v", g.key(), got.key())
				}
				if f := new(flight); random.IntN(2) == 0 && c.attach(got, f) {
					flying[f] = got
				}
			case 3:
				for f, g := range flying {
					c.detach(g, f)
					delete(flying, f)
					break
				}
			default:
				s := []scope{{bySession, id}, {bySession, fmt.Sprint("p", user)}, {byUser, fmt.Sprint("u", user)}, {byOrganization, fmt.Sprint("org", org)}, {byEmailDomain, fmt.Sprintf("d%d.test", user%2)}, {kind: everything}}[random.IntN(step%50/49+5)]
				want := map[*grant]bool{}
				for _, g := range all {
					if g.linked && !g.flights.none() && (s.kind == everything || g.dependsOn(s)) {
						want[g] = true
					}
				}
				open := c.invalidate(s)
				for _, g := range all {
					if s.kind != everything && !g.dependsOn(s) {
						continue
					}
					if got, ok := c.get(g.key()); ok && got == g || g.linked {
						t.Fatalf("%v has not taken %s with it", s, g.session())
					}
				}
				if len(open) != len(want) {
					t.Fatalf("%v: %d are open, want %d", s, len(open), len(want))
				}
				for _, g := range open {
					if !want[g] {
						t.Fatalf("%v took %s with it", s, g.session())
					}
				}
			}
			if err := c.consistent(all); err != nil {
				t.Fatalf("mask %x, step %d: %v", mask, step, err)
			}
		}
		for f, g := range flying {
			c.detach(g, f)
		}
		c.invalidate(scope{kind: everything})
		if err := c.nothing(); err != nil {
			t.Error(err)
		}
	}
}

// Each guest of an organization may have an e-mail domain of their own, and so be the only one of a kind. Nobody looks
// through all of them for the one that goes.
func TestOneOfManyKindsGoesAtOnce(t *testing.T) {
	var filled, replaced time.Duration
	for range 3 { // something else may have been going on
		const n = 100_000
		c := newCache(n)
		fill := func(from int) time.Duration {
			began := time.Now()
			for i := range n {
				id := strconv.Itoa(from + i)
				_, err := c.load(t.Context(), testKey(id), func(context.Context) (*grant, error) {
					g := testGrant(id)
					g.common.emailDomain = id + ".example"
					return g, nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began)
		}
		filled = fill(0)
		replaced = fill(n) // each takes the place of another one
		c.invalidate(scope{kind: everything})
		if err := c.nothing(); err != nil {
			t.Fatal(err)
		}
		if replaced < 4*filled {
			return
		}
	}
	t.Errorf("%v for those that came, %v for those that took their places", filled, replaced)
}

// What only looks the same is not shared.
func TestAKindIsSharedByWhatIsTheSame(t *testing.T) {
	c := newCache(10)
	c.mask = 0 // every kind is where every other is looked for
	grantOf := func(change func(*session.View)) *grant {
		v := session.View{
			Organization: tenancy.Organization{Slug: "acme", Name: "Acme"}, Roles: []string{"a", "b"}, Permissions: []string{"p"},
			Facts: policy.Facts{
				OrganizationActive: true, Organization: "org_1", Standing: policy.Active, Roles: []string{"a", "b"}, Permissions: []string{"p"},
				Own: &policy.Bound{Organization: "org_1", Policy: policy.Policy{MFA: true}}, Proofs: []policy.Proof{{Method: policy.SSO, Connection: "conn_1", Organization: "org_1"}},
			},
		}
		change(&v)
		g := newGrant(&place{authority: "h", app: &app{}, org: &organization{id: "org_1"}}, 1, session.Hash{}, "s", "p", &v)
		c.share(g)
		return g
	}
	first := grantOf(func(*session.View) {})
	c.mu.Lock()
	c.link(first)
	c.mu.Unlock()
	if g := grantOf(func(v *session.View) {
		v.User.ID, v.User.Name, v.Membership.ID = "user_2", "B", "om_2"
		v.Facts.Now, v.Facts.Email, v.Facts.Attributes = time.Now(), "b@x.test", map[string]any{"a": 1}
	}); g.common != first.common || g.facts().Attributes["a"] != 1 || g.user() != "user_2" {
		t.Error("what is the same but for the person is kept twice")
	}
	for what, change := range map[string]func(*session.View){
		"a suspended organization":  func(v *session.View) { v.Facts.OrganizationActive = false },
		"another slug":              func(v *session.View) { v.Organization.Slug = "acme2" },
		"another name":              func(v *session.View) { v.Organization.Name = "Acme Inc." },
		"roles in another order":    func(v *session.View) { v.Facts.Roles = []string{"b", "a"} },
		"roles run together":        func(v *session.View) { v.Facts.Roles = []string{"ab"} },
		"fewer permissions":         func(v *session.View) { v.Facts.Permissions = nil },
		"a policy that asks less":   func(v *session.View) { v.Facts.Own = &policy.Bound{Organization: "org_1"} },
		"no policy":                 func(v *session.View) { v.Facts.Own = nil },
		"a domain's policy":         func(v *session.View) { v.Facts.Domain = &policy.Bound{} },
		"the domain's organization": func(v *session.View) { v.DomainOrganization = "org_2" },
		"another domain":            func(v *session.View) { v.User.Email = "jo@acme.com" },
		"an inactive membership":    func(v *session.View) { v.Facts.Standing = policy.Inactive },
		"a guest":                   func(v *session.View) { v.Facts.Guest = true },
		"one who may join":          func(v *session.View) { v.Facts.MayJoin = true },
		"a confined session":        func(v *session.View) { v.Facts.ConfinedTo = "org_1" },
		"an enrolled factor":        func(v *session.View) { v.Facts.Enrolled = policy.MethodsOf(policy.TOTP) },
		"another connection": func(v *session.View) {
			v.Facts.Proofs = []policy.Proof{{Method: policy.SSO, Connection: "conn_2", Organization: "org_1"}}
		},
		"another's provider": func(v *session.View) {
			v.Facts.Proofs = []policy.Proof{{Method: policy.SSO, Connection: "conn_1", Organization: "org_2"}}
		},
	} {
		if g := grantOf(change); g.common == first.common {
			t.Errorf("%s: shared", what)
		}
	}
}

// The host of a request is a part of its head, cookies and all, which the string keeps in memory as a whole.
func TestAGrantKeepsNothingOfTheRequest(t *testing.T) {
	head := "GET / HTTP/1.1\r\nHost: acme.example.com\r\nCookie: a=b\r\n\r\n"
	host := head[strings.Index(head, "acme"):][:len(acmeHost)]
	g := newGrant(&place{authority: host, app: &app{}, org: &organization{id: "org_1"}}, 1, session.Hash{}, "s", "p", &session.View{})
	if g.common.authority != host || unsafe.StringData(g.common.authority) == unsafe.StringData(host) {
		t.Errorf("%q is a part of the request", g.common.authority)
	}
}

func TestPartsOfAGrantAreWhatTheyWere(t *testing.T) {
	v := session.View{User: tenancy.User{ID: "user_1", Email: "jo@acme.com", Name: "Jo Ä"}, Membership: tenancy.Membership{ID: "om_1"}}
	g := saying(v, headerName{UserID, "X-User-Id"}, headerName{UserName, "X-User-Name"}, headerName{MembershipID, "X-M"})
	if g.session() != "session_1" || g.parent() != "session_2" || g.user() != "user_1" || g.email() != "jo@acme.com" || g.name() != "Jo Ä" || g.membership() != "om_1" || g.nobody() {
		t.Errorf("%q %v", g.text, g.parts)
	}
	if want := "X-User-Id: user_1\r\nX-User-Name: Jo%20%C3%84\r\nX-M: om_1\r\n"; g.wire() != want {
		t.Errorf("%q", g.wire())
	}
	if strings.Count(g.text, "user_1") != 1 {
		t.Errorf("it is there twice: %q", g.text)
	}
	n := newGrant(&place{app: &app{}, org: &organization{id: "org_1"}}, 1, session.Hash{}, "", "", &session.View{})
	if !n.nobody() || n.session() != "" || n.email() != "" {
		t.Errorf("nobody is %q", n.text)
	}
}
