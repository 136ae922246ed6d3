package store

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestKeysSortAsTheirFieldsDo(t *testing.T) {
	fields := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x00b", "a\x01", "ab", "b", "\xff", "\xff\xff"}
	var tuples [][]string
	for _, a := range fields {
		tuples = append(tuples, []string{a})
		for _, b := range fields {
			tuples = append(tuples, []string{a, b})
		}
	}
	for _, a := range tuples {
		for _, b := range tuples {
			ka, kb := encodeKey('k', a...), encodeKey('k', b...)
			if got, want := bytes.Compare(ka, kb), slices.Compare(a, b); got != want {
				t.Fatalf("keys of %q and %q compare as %d, the fields as %d", a, b, got, want)
			}
			// A prefix of whole fields is a prefix of the key, and nothing else is.
			isPrefix := len(a) <= len(b) && slices.Equal(a, b[:len(a)])
			if bytes.HasPrefix(kb, ka) != isPrefix {
				t.Fatalf("key of %q begins the key of %q: %v, want %v", a, b, !isPrefix, isPrefix)
			}
		}
	}
}

func FuzzKey(f *testing.F) {
	f.Add("org_a", "user\x00", "org_a\x00", "\x01user")
	f.Add("", "", "\x00", "\xff")
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		a, b := []string{a1, a2}, []string{b1, b2}
		ka, kb := encodeKey('m', a...), encodeKey('m', b...)
		if got, want := bytes.Compare(ka, kb), slices.Compare(a, b); got != want {
			t.Errorf("keys of %q and %q compare as %d, want %d", a, b, got, want)
		}
		kind, fields, err := decodeKey(ka)
		if err != nil || kind != 'm' || !slices.Equal(fields, a) {
			t.Errorf("%q comes back as %q, %v", a, fields, err)
		}
		if prefix := encodeKey('m', a1); bytes.HasPrefix(kb, prefix) != (a1 == b1) {
			t.Errorf("%q is found under %q", b, a1)
		}
	})
}

// Whatever decodes was written by encodeKey, byte for byte: no two keys are one tuple.
func FuzzDecodeKey(f *testing.F) {
	f.Add(encodeKey('o', "org_a"))
	f.Add([]byte("m\x00\xff\x00\x01"))
	f.Add([]byte("m\x00"))
	f.Fuzz(func(t *testing.T, key []byte) {
		kind, fields, err := decodeKey(key)
		if err == nil && !bytes.Equal(encodeKey(kind, fields...), key) {
			t.Errorf("%q decodes to %q, which is written %q", key, fields, encodeKey(kind, fields...))
		}
	})
}

// The kinds are read from the source: a list of them would be forgotten along with them.
func TestEveryKindIsItsOwnAndBackedUp(t *testing.T) {
	source, err := os.ReadFile("keys.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\tkind\w+ +kind = '(.)'`).FindAllStringSubmatch(string(source), -1) {
		k := m[1]
		if seen[k] {
			t.Errorf("kind %q is there twice", k)
		}
		seen[k] = true
		if note := k == string(rune(kindNote)); strings.Contains(kinds, k) == note {
			t.Errorf("restore knows kind %q: %v, want %v", k, note, !note)
		}
	}
	if len(seen)-1 != len(kinds) || len(seen) < 30 {
		t.Errorf("restore knows %d kinds, there are %d", len(kinds), len(seen)-1)
	}
}
