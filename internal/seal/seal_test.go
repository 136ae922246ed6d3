package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/orgate/orgate/internal/seal"
)

func box(t *testing.T, keys ...[]byte) *seal.Box {
	t.Helper()
	b, err := seal.NewBox(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatWasSealedOpensForItsPurposeAndPlaceAlone(t *testing.T) {
	b := box(t, seal.NewKey())
	sealed := b.Seal("client secret", "conn_1", []byte("s3cret"))
	if plain, err := b.Open("client secret", "conn_1", sealed); err != nil || string(plain) != "s3cret" {
		t.Fatalf("%q, %v", plain, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another purpose": func() ([]byte, error) { return b.Open("signing key", "conn_1", sealed) },
		"another place":   func() ([]byte, error) { return b.Open("client secret", "conn_2", sealed) },
		"changed":         func() ([]byte, error) { return b.Open("client secret", "conn_1", changed) },
		"cut short":       func() ([]byte, error) { return b.Open("client secret", "conn_1", sealed[:20]) },
		"nothing":         func() ([]byte, error) { return b.Open("client secret", "conn_1", nil) },
		"another key":     func() ([]byte, error) { return box(t, seal.NewKey()).Open("client secret", "conn_1", sealed) },
	} {
		if plain, err := open(); !errors.Is(err, seal.ErrOpen) || plain != nil {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestTheSameTwiceIsSealedDifferently(t *testing.T) {
	b := box(t, seal.NewKey())
	one, two := b.Seal("p", "a", []byte("x")), b.Seal("p", "a", []byte("x"))
	if bytes.Equal(one, two) || bytes.Contains(one, []byte("s3cret")) {
		t.Error("equal secrets can be told by their sealed form")
	}
}

func TestAKeyIsRotatedByPuttingTheNewOneInFront(t *testing.T) {
	before, after := seal.NewKey(), seal.NewKey()
	sealed := box(t, before).Seal("p", "a", []byte("x"))
	rotated := box(t, after, before)
	if plain, err := rotated.Open("p", "a", sealed); err != nil || string(plain) != "x" {
		t.Errorf("what the old key sealed: %q, %v", plain, err)
	}
	if _, err := box(t, before).Open("p", "a", rotated.Seal("p", "a", []byte("y"))); !errors.Is(err, seal.ErrOpen) {
		t.Error("the old key still seals")
	}
}

func TestAShortKeyIsRefused(t *testing.T) {
	for _, keys := range [][][]byte{{}, {nil}, {make([]byte, 31)}, {seal.NewKey(), make([]byte, 16)}} {
		if _, err := seal.NewBox(keys...); err == nil {
			t.Errorf("accepted %d keys", len(keys))
		}
	}
}
