package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
)

func expiry(t *testing.T, h Harness) {
	// In the past, so that the machine's clock would find all of it expired.
	clock := NewClock(time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC))
	e := h.Open(t, clock.Now)
	start := clock.Now()
	far := time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)
	update(t, e, func(kv store.KV) error {
		return errors.Join(
			kv.Set([]byte("short"), []byte("1"), start.Add(time.Second)),
			kv.Set([]byte("long"), []byte("1"), start.Add(time.Hour)),
			kv.Set([]byte("ever"), []byte("1"), never),
			kv.Set([]byte("far"), []byte("1"), far),
			kv.Set([]byte("past"), []byte("1"), start.Add(-time.Second)),
			kv.Set([]byte("ancient"), []byte("1"), time.Date(1066, 1, 1, 0, 0, 0, 0, time.UTC)))
	})
	check := func(want ...string) {
		t.Helper()
		look := func(kv store.KV) error {
			t.Helper()
			var got []string
			for p, err := range kv.Scan(nil, nil, false) {
				if err != nil {
					return err
				}
				got = append(got, string(p.Key))
			}
			if !slices.Equal(got, want) {
				t.Errorf("after %v a scan finds %v, want %v", clock.Now().Sub(start), got, want)
			}
			for _, k := range []string{"short", "long", "ever", "far", "past", "ancient"} {
				if there := read(kv, k) == "1"; there != slices.Contains(want, k) {
					t.Errorf("after %v, key %q there: %v", clock.Now().Sub(start), k, there)
				}
			}
			return nil
		}
		view(t, e, look)
		update(t, e, look)
	}
	check("ever", "far", "long", "short")
	clock.Advance(time.Second - time.Microsecond)
	check("ever", "far", "long", "short")
	clock.Advance(time.Microsecond) // at the very time it is gone
	check("ever", "far", "long")

	view(t, e, func(kv store.KV) error {
		for p, err := range kv.Scan(nil, nil, false) {
			if err != nil {
				return err
			}
			want := map[string]time.Time{"long": start.Add(time.Hour), "far": far}[string(p.Key)]
			if !p.Expires.Equal(want) {
				t.Errorf("%s expires %v by the scan, want %v", p.Key, p.Expires, want)
			}
		}
		return nil
	})
	// Written anew, it lives anew; without an expiry, for ever.
	update(t, e, func(kv store.KV) error {
		return errors.Join(kv.Set([]byte("short"), []byte("1"), clock.Now().Add(time.Minute)), kv.Set([]byte("long"), []byte("1"), never))
	})
	check("ever", "far", "long", "short")
	clock.Advance(2 * time.Hour)
	check("ever", "far", "long")
}
