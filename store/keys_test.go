package store

import (
	"bytes"
	"slices"
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

func TestEveryKindIsItsOwnAndBackedUp(t *testing.T) {
	seen := map[kind]bool{}
	for _, k := range []kind{
		kindOrganization, kindSlug, kindHost, kindDomain, kindVerifiedDomain, kindConnection, kindConnectionName,
		kindUser, kindEmail, kindIdentity, kindIdentityByUser, kindMembership, kindMembershipByUser, kindRole, kindInstallationRole,
		kindSession, kindSessionByToken, kindSessionByUser, kindSessionByParent, kindSessionByUpstream, kindSessionByUpstreamSID,
		kindHandover, kindUsed, kindSigningKey,
	} {
		if seen[k] {
			t.Errorf("kind %q is there twice", byte(k))
		}
		seen[k] = true
		if !bytes.Contains([]byte(kinds), []byte{byte(k)}) {
			t.Errorf("restore does not know kind %q", byte(k))
		}
	}
	if len(seen) != len(kinds) {
		t.Errorf("restore knows %d kinds, there are %d", len(kinds), len(seen))
	}
}
