package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestATokenIsTriedAgainstFewKeys(t *testing.T) {
	var set keySet
	var last *ecdsa.PrivateKey
	for range maxTried + 1 {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		set.keys, last = append(set.keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: "same"}), k
	}
	for _, kid := range []string{"", "same"} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: last, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		made, err := signer.Sign([]byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		compact, err := made.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.verify(signed); err == nil {
			t.Errorf("kid %q: a key beyond the bound was tried", kid)
		}
		if _, err := (keySet{set.keys[1:]}).verify(signed); err != nil {
			t.Errorf("kid %q: %v", kid, err)
		}
	}
	if _, err := (keySet{}).verify(&jose.JSONWebSignature{Signatures: []jose.Signature{{}}}); !errors.Is(err, errUnknownKey) {
		t.Errorf("no keys: %v", err)
	}
}

func TestAttributesTogetherAreBounded(t *testing.T) {
	cs := claims{"a_nested": json.RawMessage(`{"x":"` + strings.Repeat("x", 2*maxTogether) + `"}`)}
	for i := range maxAttributes {
		cs[fmt.Sprintf("b%03d", i)] = json.RawMessage(`"` + strings.Repeat("x", maxAttribute) + `"`)
	}
	cs["z"] = json.RawMessage("true")
	size := 0
	got := attributes("", cs, claims{})
	for name, v := range got {
		size += len(name) + len(fmt.Sprint(v))
	}
	if size > maxTogether || size < maxTogether/2 {
		t.Errorf("%d attributes of %d bytes", len(got), size)
	}
	if got["b000"] == nil || got["z"] != true {
		t.Error("what fits is left out")
	}
}
