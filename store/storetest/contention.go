package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/orgate/orgate/store"
)

func number(kv store.KV, key string) (int, error) {
	b, err := kv.Get([]byte(key))
	if errors.Is(err, store.ErrNoKey) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

func setNumber(kv store.KV, key string, n int) error {
	return kv.Set([]byte(key), []byte(strconv.Itoa(n)), never)
}

func increments(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	const writers, each = 32, 10
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				err := e.Update(t.Context(), func(kv store.KV) error {
					n, err := number(kv, "n")
					if err != nil {
						return err
					}
					return setNumber(kv, "n", n+1)
				})
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
			}
		})
	}
	wg.Wait()
	has(t, e, "n", strconv.Itoa(writers*each))
}

// writeSkew: two doctors are on call, either may leave if the other stays, both ask at once.
func writeSkew(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	for round := range 20 {
		x, y := fmt.Sprintf("%d/x", round), fmt.Sprintf("%d/y", round)
		set(t, e, x, "1", y, "1")
		var wg sync.WaitGroup
		for _, mine := range []string{x, y} {
			wg.Go(func() {
				err := e.Update(t.Context(), func(kv store.KV) error {
					a, err := number(kv, x)
					if err != nil {
						return err
					}
					b, err := number(kv, y)
					if err != nil {
						return err
					}
					if a+b < 2 {
						return nil
					}
					return setNumber(kv, mine, 0)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		view(t, e, func(kv store.KV) error {
			a, b := read(kv, x), read(kv, y)
			if a+b != "01" && a+b != "10" {
				t.Errorf("round %d: x=%s y=%s, want exactly one to have left", round, a, b)
			}
			return nil
		})
	}
}

func phantoms(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	for round := range 10 {
		prefix := fmt.Sprintf("%d/", round)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				err := e.Update(t.Context(), func(kv store.KV) error {
					there, err := keys(kv, prefix, "", false)
					if err != nil || len(there) > 0 {
						return err
					}
					return kv.Set(fmt.Appendf(nil, "%s%d", prefix, i), nil, never)
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		view(t, e, func(kv store.KV) error {
			got, err := keys(kv, prefix, "", false)
			if len(got) != 1 {
				t.Errorf("round %d: %v are there, want the one that found nothing", round, got)
			}
			return err
		})
	}
}
