package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
)

func setGetDelete(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	values := map[string]string{
		"plain": "value", "empty value": "", "\x00": "zero", "\xff\xff": "ones", "a\x00b": "zero inside", "a": "prefix of another",
		strings.Repeat("k", store.MaxKey): "long key", "large": strings.Repeat("v", 200_000),
	}
	has(t, e, "plain", "-")
	for k, v := range values {
		set(t, e, k, v)
	}
	for k, v := range values {
		has(t, e, k, v)
	}
	set(t, e, "plain", "second")
	has(t, e, "plain", "second")
	update(t, e, func(kv store.KV) error {
		if err := kv.Delete([]byte("nothing has this key")); err != nil {
			t.Errorf("delete of what is not there: %v", err)
		}
		return kv.Delete([]byte("plain"))
	})
	has(t, e, "plain", "-")
	has(t, e, "a", values["a"])

	update(t, e, func(kv store.KV) error {
		must := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		must(kv.Set([]byte("own"), []byte("1"), never))
		if got := read(kv, "own"); got != "1" {
			t.Errorf("own write reads %q", got)
		}
		must(kv.Set([]byte("own"), []byte("2"), never))
		must(kv.Delete([]byte("a")))
		if got := read(kv, "own") + read(kv, "a"); got != "2-" {
			t.Errorf("own second write and deletion read %q", got)
		}
		must(kv.Set([]byte("a"), []byte("again"), never))
		must(kv.Delete([]byte("own")))
		return nil
	})
	has(t, e, "own", "-")
	has(t, e, "a", "again")
}

func noSharedMemory(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	key, value := []byte("key"), []byte("value")
	update(t, e, func(kv store.KV) error {
		if err := kv.Set(key, value, never); err != nil {
			return err
		}
		copy(key, "xxx")
		copy(value, "xxxxx")
		got, err := kv.Get([]byte("key"))
		if err != nil {
			return err
		}
		copy(got, "yyyyy")
		for p, err := range kv.Scan([]byte("k"), nil, false) {
			if err != nil {
				return err
			}
			copy(p.Value, "zzzzz")
			copy(p.Key, "zzz")
		}
		copy(key, "key") // as f may run again
		copy(value, "value")
		return nil
	})
	has(t, e, "key", "value")
}

func scanIsSortedMap(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	// Few letters, so that prefixes are shared; the bytes at both ends of the order.
	key := func() string {
		b := make([]byte, 1+rnd.IntN(4))
		for i := range b {
			b[i] = "\x00\x01ab\xfe\xff"[rnd.IntN(6)]
		}
		return string(b)
	}
	model := map[string]string{}
	mutate := func(kv store.KV, m map[string]string, n int) error {
		for i := range n {
			k := key()
			if rnd.IntN(3) == 0 {
				delete(m, k)
				if err := kv.Delete([]byte(k)); err != nil {
					return err
				}
				continue
			}
			m[k] = strconv.Itoa(i)
			if err := kv.Set([]byte(k), []byte(m[k]), never); err != nil {
				return err
			}
		}
		return nil
	}
	check := func(kv store.KV, m map[string]string) error {
		for range 100 {
			prefix, from, reverse := key()[1:], "", rnd.IntN(2) == 0
			if rnd.IntN(2) == 0 {
				from = key()
			}
			var want []string
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if strings.HasPrefix(k, prefix) && (from == "" || !reverse && k >= prefix+from || reverse && k <= prefix+from) {
					want = append(want, fmt.Sprintf("%q=%q", k, m[k]))
				}
			}
			if reverse {
				slices.Reverse(want)
			}
			got, err := keys(kv, prefix, from, reverse)
			if err != nil {
				return err
			}
			if !slices.Equal(got, want) {
				t.Errorf("scan prefix %q from %q reverse %v:\n got %v\nwant %v", prefix, from, reverse, got, want)
			}
		}
		return nil
	}
	for range 8 {
		var inside map[string]string
		update(t, e, func(kv store.KV) error {
			inside = maps.Clone(model)
			if err := mutate(kv, inside, 40); err != nil {
				return err
			}
			return check(kv, inside) // the transaction's own writes are seen
		})
		model = inside
		view(t, e, func(kv store.KV) error { return check(kv, model) })
	}
}

func writeWhileScanning(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "a1", "x", "a2", "x", "a3", "x", "b", "x")
	update(t, e, func(kv store.KV) error {
		var got []string
		for p, err := range kv.Scan([]byte("a"), nil, false) {
			if err != nil {
				return err
			}
			got = append(got, string(p.Key))
			for q, err := range kv.Scan([]byte("a"), nil, true) { // inside a scan
				if err != nil {
					return err
				}
				if err := kv.Set(append(q.Key, '+'), []byte("new"), never); err != nil {
					return err
				}
				break // and left early
			}
			if err := kv.Delete([]byte("a3")); err != nil {
				return err
			}
			if err := kv.Set(p.Key, []byte("seen"), never); err != nil {
				return err
			}
		}
		if want := []string{"a1", "a2", "a3"}; !slices.Equal(got, want) {
			t.Errorf("the loop saw %v, want what was there when it began, %v", got, want)
		}
		return nil
	})
	has(t, e, "a1", "seen")
	has(t, e, "a2", "seen")
	has(t, e, "a3+", "new")
}

func rollback(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "kept", "old", "deleted", "old")
	err := e.Update(t.Context(), func(kv store.KV) error {
		return errors.Join(scribble(kv), errBoom)
	})
	if !errors.Is(err, errBoom) {
		t.Errorf("got error %v, want the function's", err)
	}
	untouched(t, e)
}

// scribble writes what untouched looks for.
func scribble(kv store.KV) error {
	return errors.Join(
		kv.Set([]byte("kept"), []byte("new"), never), kv.Delete([]byte("deleted")),
		kv.Set([]byte("fresh"), []byte("new"), never), kv.Append([]byte("entry"), never))
}

func untouched(t *testing.T, e store.Engine) {
	t.Helper()
	has(t, e, "kept", "old")
	has(t, e, "deleted", "old")
	has(t, e, "fresh", "-")
	if es, err := e.Feed(context.WithoutCancel(t.Context()), 0, 10); err != nil || len(es) != 0 {
		t.Errorf("feed has %v, %v; want nothing", es, err)
	}
	set(t, e, "after", "works")
	has(t, e, "after", "works")
}

func panics(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "kept", "old", "deleted", "old")
	for name, run := range map[string]func(context.Context, func(store.KV) error) error{"Update": e.Update, "View": e.View} {
		func() {
			defer func() {
				if p := recover(); p != any(errBoom) {
					t.Errorf("%s: recovered %v, want the function's panic", name, p)
				}
			}()
			err := run(t.Context(), func(kv store.KV) error {
				if err := scribble(kv); err != nil && name == "Update" {
					return err
				}
				panic(errBoom)
			})
			t.Errorf("%s returned %v after a panic", name, err)
		}()
	}
	untouched(t, e)
}

func goexit(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "kept", "old", "deleted", "old")
	var wg sync.WaitGroup
	wg.Go(func() { // what t.Fatal does inside a transaction
		_ = e.Update(t.Context(), func(kv store.KV) error {
			if err := scribble(kv); err != nil {
				t.Error(err)
			}
			runtime.Goexit()
			return nil
		})
	})
	wg.Wait()
	untouched(t, e)
}

func views(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "a", "1")
	view(t, e, func(kv store.KV) error {
		for name, err := range map[string]error{
			"Set": kv.Set([]byte("a"), nil, never), "Delete": kv.Delete([]byte("a")),
			"Append": kv.Append(nil, never), "Advance": kv.Advance(9),
		} {
			if !errors.Is(err, store.ErrReadOnly) {
				t.Errorf("%s in a view: %v, want ErrReadOnly", name, err)
			}
		}
		return nil
	})
	// f may run again, so what it does outside is done once.
	var once sync.Once
	view(t, e, func(kv store.KV) error {
		if got := read(kv, "a"); got != "1" && got != "2" {
			t.Errorf("before: %q", got)
		}
		before, err := keys(kv, "", "", false)
		if err != nil {
			return err
		}
		once.Do(func() {
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := e.Update(t.Context(), func(kv store.KV) error {
					return errors.Join(kv.Set([]byte("a"), []byte("2"), never), kv.Set([]byte("b"), []byte("2"), never), kv.Append([]byte("e"), never))
				}); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
		})
		after, err := keys(kv, "", "", false)
		if err != nil {
			return err
		}
		if !slices.Equal(before, after) {
			t.Errorf("the view moved from %v to %v", before, after)
		}
		if es, err := kv.Entries(0, 10); err != nil || len(es) > 0 && len(before) == 1 {
			t.Errorf("the view of the feed moved: %v, %v", es, err)
		}
		return nil
	})
	has(t, e, "a", "2")
	if err := e.View(t.Context(), func(store.KV) error { return errBoom }); !errors.Is(err, errBoom) {
		t.Errorf("got error %v, want the function's", err)
	}
}

func contexts(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBoom)
	if err := e.Update(ctx, func(kv store.KV) error { return kv.Set([]byte("a"), nil, never) }); !errors.Is(err, errBoom) {
		t.Errorf("update: %v, want the cause of the context", err)
	}
	if err := e.View(ctx, func(store.KV) error { return nil }); !errors.Is(err, errBoom) {
		t.Errorf("view: %v, want the cause of the context", err)
	}
	has(t, e, "a", "-")

	// One whose context ends while others write: whatever it answers is true.
	var wg sync.WaitGroup
	var acknowledged atomic.Int64
	for i := range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*500*time.Microsecond)
			defer cancel()
			for n := range 20 {
				err := e.Update(ctx, func(kv store.KV) error {
					return kv.Set(fmt.Appendf(nil, "c/%d/%d", i, n), nil, never)
				})
				if err == nil {
					acknowledged.Add(1)
				}
			}
		})
	}
	wg.Wait()
	view(t, e, func(kv store.KV) error {
		got, err := keys(kv, "c/", "", false)
		if int64(len(got)) < acknowledged.Load() {
			t.Errorf("%d updates were acknowledged, %d are there", acknowledged.Load(), len(got))
		}
		return err
	})
}

func thousandKeys(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	value := bytes.Repeat([]byte("v"), 600)
	update(t, e, func(kv store.KV) error {
		for i := range 1000 {
			if err := kv.Set(fmt.Appendf(nil, "k%04d", i), value, never); err != nil {
				return err
			}
		}
		return nil
	})
	view(t, e, func(kv store.KV) error {
		got, err := keys(kv, "k", "", false)
		if len(got) != 1000 {
			t.Errorf("%d keys are there, want 1000", len(got))
		}
		return err
	})
}

func longKey(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	err := e.Update(t.Context(), func(kv store.KV) error {
		return kv.Set(make([]byte, store.MaxKey+1), nil, never)
	})
	if !errors.Is(err, store.ErrTooBig) {
		t.Errorf("got %v, want ErrTooBig", err)
	}
}

func closed(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	set(t, e, "a", "1")
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	nothing := func(store.KV) error { t.Error("ran on a closed engine"); return nil }
	_, feed := e.Feed(t.Context(), 0, 1)
	_, head := e.Head(t.Context())
	for name, err := range map[string]error{
		"Update": e.Update(t.Context(), nothing), "View": e.View(t.Context(), nothing), "Feed": feed, "Head": head,
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
