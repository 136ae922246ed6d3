package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/orgate/orgate/session"
)

func testGrant(id string) *grant {
	g := &grant{session: session.ID(id), flights: map[*flight]struct{}{}}
	for _, s := range []scope{{kind: everything}, {bySession, id}, {byUser, "user_" + id}} {
		g.links = append(g.links, link{g: g, scope: s})
	}
	return g
}

func testKey(id string) grantKey { return grantKey{authority: id} }

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
	if len(c.scopes) != 0 {
		t.Errorf("%d scopes are left of no grant", len(c.scopes))
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
	c := newCache(4) // far too small: everything is evicted all the time
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
			}
		})
	}
	wg.Wait()
	c.invalidate(scope{kind: everything})
	if len(c.scopes) != 0 || c.lru.Len() != 0 || len(c.loading) != 0 {
		t.Errorf("left: %d scopes, %d grants, %d loadings", len(c.scopes), c.lru.Len(), len(c.loading))
	}
}
