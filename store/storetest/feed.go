package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
)

func feed(t testing.TB, e store.Engine, pos uint64, limit int) []store.Entry {
	t.Helper()
	es, err := e.Feed(context.WithoutCancel(t.Context()), pos, limit)
	if err != nil {
		t.Fatal(err)
	}
	return es
}

func head(t testing.TB, e store.Engine) uint64 {
	t.Helper()
	n, err := e.Head(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func texts(es []store.Entry) []string {
	var s []string
	for _, en := range es {
		s = append(s, string(en.Data))
	}
	return s
}

// count counts up in the store and appends the number: the order of commits is the
// order of numbers.
func count(kv store.KV) error {
	n, err := number(kv, "n")
	if err != nil {
		return err
	}
	return errors.Join(setNumber(kv, "n", n+1), kv.Append([]byte(strconv.Itoa(n+1)), never))
}

func feedOrder(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	if n := head(t, e); n != 0 {
		t.Errorf("head of an empty feed is %d", n)
	}
	const writers, each = 16, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				err := e.Update(t.Context(), func(kv store.KV) error {
					if err := count(kv); err != nil {
						return err
					}
					if i%3 == 2 {
						return errBoom // appended, and not committed
					}
					return nil
				})
				if err != nil && !errors.Is(err, errBoom) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var want []string
	for n := range writers * (each - each/3) {
		want = append(want, strconv.Itoa(n+1))
	}
	es := feed(t, e, 0, 10_000)
	if got := texts(es); !slices.Equal(got, want) {
		t.Fatalf("feed is %v\nwant 1 to %d in order", got, len(want))
	}
	for i, en := range es {
		if en.Position == 0 || i > 0 && en.Position <= es[i-1].Position {
			t.Errorf("position %d follows %d", en.Position, es[max(i-1, 0)].Position)
		}
		if rest := feed(t, e, en.Position, 3); !slices.Equal(texts(rest), want[i+1:min(i+4, len(want))]) {
			t.Errorf("after position %d come %v", en.Position, texts(rest))
		}
	}
	if last := es[len(es)-1].Position; head(t, e) != last {
		t.Errorf("head is %d, the last entry has %d", head(t, e), last)
	}
	// Several entries of one transaction stay in their order; the transaction does
	// not see its own.
	pos := head(t, e)
	update(t, e, func(kv store.KV) error {
		if err := errors.Join(kv.Append([]byte("a"), never), kv.Append([]byte("b"), never)); err != nil {
			return err
		}
		es, err := kv.Entries(pos, 10)
		last, err2 := kv.Last()
		if len(es) != 0 || last != pos {
			t.Errorf("before commit the transaction sees %v and head %d", texts(es), last)
		}
		return errors.Join(err, err2)
	})
	if got := texts(feed(t, e, pos, 10)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("one transaction's entries are %v", got)
	}
	if es := feed(t, e, ^uint64(0)>>1, 10); len(es) != 0 {
		t.Errorf("after a position that is not there yet: %v", texts(es))
	}
	if es := feed(t, e, 0, 0); len(es) != 0 {
		t.Errorf("limit 0 returns %v", texts(es))
	}
}

func feedFollowers(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	followers := []store.Engine{e, e}
	if h.Join != nil {
		followers = append(followers, h.Join(t, e))
	}
	follow(t, []store.Engine{e}, followers)
}

// follow has writers count on the one side and followers read on the other.
func follow(t *testing.T, writers, followers []store.Engine) {
	t.Helper()
	const total, goroutines = 240, 12
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen := make([][]string, len(followers))
	var wg sync.WaitGroup
	for i, e := range followers {
		wg.Go(func() {
			var pos uint64
			for len(seen[i]) < total && ctx.Err() == nil {
				wake := e.Wake()
				es, err := e.Feed(ctx, pos, 7)
				if err != nil {
					t.Errorf("follower %d: %v", i, err)
					return
				}
				if len(es) == 0 {
					select {
					case <-wake:
					case <-time.After(10 * time.Millisecond): // a wake-up may be missed
					case <-ctx.Done():
					}
					continue
				}
				seen[i] = append(seen[i], texts(es)...)
				pos = es[len(es)-1].Position
			}
		})
	}
	for g := range goroutines {
		wg.Go(func() {
			e := writers[g%len(writers)]
			for range total / goroutines {
				if err := e.Update(ctx, count); err != nil {
					t.Errorf("writer %d: %v", g, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var want []string
	for n := range total {
		want = append(want, strconv.Itoa(n+1))
	}
	for i := range seen {
		if !slices.Equal(seen[i], want) {
			t.Errorf("follower %d saw %v\nwant 1 to %d, each once, in order", i, seen[i], total)
		}
	}
}

func feedIsApart(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "a", "1")
	update(t, e, func(kv store.KV) error { return kv.Append([]byte("entry"), never) })
	view(t, e, func(kv store.KV) error {
		for _, reverse := range []bool{false, true} {
			got, err := keys(kv, "", "", reverse)
			if err != nil {
				return err
			}
			if len(got) != 1 {
				t.Errorf("a scan of everything, reverse %v, finds %v", reverse, got)
			}
		}
		return nil
	})
}

func feedExpiry(t *testing.T, h Harness) {
	clock := NewClock(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	e := h.Open(t, clock.Now)
	for i := range 4 {
		update(t, e, func(kv store.KV) error {
			return kv.Append(fmt.Append(nil, i), clock.Now().Add(time.Duration(i+1)*time.Hour))
		})
	}
	last := head(t, e)
	clock.Advance(2 * time.Hour)
	if got := texts(feed(t, e, 0, 10)); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("after two hours the feed is %v", got)
	}
	clock.Advance(9 * time.Hour)
	if got := texts(feed(t, e, 0, 10)); len(got) != 0 {
		t.Errorf("when all has expired the feed is %v", got)
	}
	if head(t, e) != last {
		t.Errorf("head went from %d to %d when entries expired", last, head(t, e))
	}
	update(t, e, func(kv store.KV) error { return kv.Append([]byte("new"), never) })
	if es := feed(t, e, last, 10); len(es) != 1 || es[0].Position <= last {
		t.Errorf("after position %d comes %v", last, es)
	}
}

func feedAdvance(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	at := func(pos uint64, text string) {
		t.Helper()
		update(t, e, func(kv store.KV) error { return errors.Join(kv.Advance(pos), kv.Append([]byte(text), never)) })
	}
	at(100, "101 or later")
	if es := feed(t, e, 0, 10); len(es) != 1 || es[0].Position != 101 {
		t.Fatalf("after Advance(100) the feed is %v, want position 101", es)
	}
	at(3, "102")
	if es := feed(t, e, 101, 10); len(es) != 1 || es[0].Position <= 101 {
		t.Fatalf("Advance lowered the position: %v", es)
	}
	err := e.Update(t.Context(), func(kv store.KV) error { return errors.Join(kv.Advance(1e6), errBoom) })
	if !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	update(t, e, func(kv store.KV) error { return kv.Advance(5000) })
	if head(t, e) != 5000 {
		t.Errorf("head is %d, want 5000", head(t, e))
	}
	if got := texts(feed(t, e, 0, 10)); len(got) != 2 {
		t.Errorf("feed is %v", got)
	}
}

func wakes(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	wake := e.Wake()
	update(t, e, func(kv store.KV) error { return kv.Append([]byte("e"), never) })
	select {
	case <-wake:
	case <-time.After(10 * time.Second):
		t.Error("nobody was woken")
	}
}

func joined(t *testing.T, h Harness) {
	if h.Join == nil {
		e := h.Open(t, nil)
		set(t, e, "a", "1") // and another process gets ErrLocked: the engine's own test
		return
	}
	one := h.Open(t, nil)
	two := h.Join(t, one)
	set(t, one, "a", "1")
	has(t, two, "a", "1")
	set(t, two, "a", "2")
	has(t, one, "a", "2")
	follow(t, []store.Engine{one, two}, []store.Engine{one, two})
}
