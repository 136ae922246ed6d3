package oidc

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/orgate/orgate/sso/idp"
)

func TestOneDocumentHasOneMeaning(t *testing.T) {
	for _, tc := range []struct {
		in   string
		good bool
	}{
		{`{}`, true},
		{` {"sub": "a", "x": {"sub": "b"}, "y": [1, {"a": 1}]} `, true},
		{`{"Department":"a","department":"b"}`, true}, // not the protocol's; exact names
		{`{"sub":"a","sub":"b"}`, false},
		{`{"x":1,"x":1}`, false},
		{`{"sub":"a","\u0073ub":"b"}`, false}, // escaped, the same name
		{`{"sub":"a","SUB":"b"}`, false},
		{`{"SUB":"b"}`, false},
		{`{"\u017fub":"b"}`, false}, // long s folds to s
		{`{"sub":"a"} {"sub":"b"}`, false},
		{`{"sub":"a"}]`, false},
		{`{"sub":"a"}}`, false},
		{`{"sub":"a"`, false},
		{`{"sub":}`, false},
		{`["sub"]`, false},
		{`"sub"`, false},
		{`null`, false},
		{``, false},
		{"{\"sub\":\"a\xff\"}", false},
	} {
		if _, err := parseClaims([]byte(tc.in)); (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.in, err)
		}
	}
}

func TestATimeIsANumberWithinReason(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "1700000000": 1700000000, "1.7e9": 1700000000, "1700000000.9": 1700000000} {
		got, ok, err := claims{"exp": json.RawMessage(in)}.instant("exp")
		if err != nil || !ok || got.Unix() != want {
			t.Errorf("%s: %v %v %v", in, got, ok, err)
		}
	}
	for _, in := range []string{`"1700000000"`, "1e18", "-1", "true", "{}", "[]", `""`, "1e999", fmt.Sprint(math.MaxInt64)} {
		if got, _, err := (claims{"exp": json.RawMessage(in)}).instant("exp"); err == nil {
			t.Errorf("%s is %v", in, got)
		}
	}
	if _, ok, err := (claims{"exp": json.RawMessage("null")}).instant("exp"); ok || err != nil {
		t.Error("null is there")
	}
}

func TestEveryCodeHasItsTexts(t *testing.T) {
	seen := map[Code]bool{}
	for _, c := range []Code{
		CodeUnreachable, CodeSlow, CodeForbidden, CodeTooLarge, CodeUnavailable, CodeDiscovery, CodeIssuerMismatch, CodeKeys, CodeUnsupported,
		CodeConnection, CodeInvalidClient, CodeRequest, CodeCallback, CodeState, CodeFlowExpired, CodeResponseIssuer, CodeDenied,
		CodeLoginRequired, CodeCodeRefused, CodeTokenAnswer, CodeTokenMalformed, CodeAlgorithm, CodeUnknownKey, CodeSignature, CodeIssuer,
		CodeAudience, CodeNonce, CodeExpired, CodeTime, CodeStaleLogin, CodeSubject, CodeClaims, CodeGroups, CodeUserinfo, CodeNoEmail, CodeLogoutToken,
	} {
		said, hint, _ := describe(c)
		if said.IsZero() || hint == "" || seen[c] {
			t.Errorf("%s: %q, %q, twice: %v", c, said, hint, seen[c])
		}
		seen[c] = true
	}
}

func FuzzClaims(f *testing.F) {
	for _, s := range []string{
		`{"iss":"i","sub":"s","aud":["a","b"],"azp":"a","exp":1,"iat":1,"nonce":"n","email":"a@b","email_verified":"true","groups":["x"]}`,
		`{"a":{"b":[1,2,{"c":null}]},"_claim_names":{"groups":"s"},"events":{"x":{}}}`, `{"groups":"x","sub":"\ud800"}`, `{"exp":1e400}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cs, err := parseClaims(b)
		if err != nil {
			return
		}
		// Whatever passes means the same to encoding/json, whose word go-oidc takes.
		var std struct {
			Subject any `json:"sub"`
			Issuer  any `json:"iss"`
		}
		if json.Unmarshal(b, &std) != nil {
			t.Fatalf("encoding/json refuses %q", b)
		}
		if sub, err := cs.subject(); err == nil && std.Subject != sub {
			t.Errorf("%q: sub is %q to us, %v to encoding/json", b, sub, std.Subject)
		}
		_ = cs.check(Connection{Issuer: "i", ClientID: "a"}, time.Unix(1, 0))
		_ = cs.checkFlow(Flow{Nonce: "n"}, time.Unix(1, 0))
		_, _ = cs.logout(time.Unix(1, 0))
		_ = isDistributed(cs, "groups")
		if groups, err := cs.groups("groups"); err == nil && len(groups) > maxGroups {
			t.Errorf("%d groups", len(groups))
		}
		var a Assertion
		if err := a.readEmail(cs, claims{}); err == nil && (a.Email == "" || !idp.Plain(a.Email)) {
			t.Errorf("e-mail %q", a.Email)
		}
		for name, v := range attributes("groups", cs, claims{}) {
			switch v.(type) {
			case string, bool, float64, []string:
			default:
				t.Errorf("%q is a %T", name, v)
			}
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://i","authorization_endpoint":"https://i/a","token_endpoint":"https://i/t","jwks_uri":"https://i/k","id_token_signing_alg_values_supported":["none","ES256"]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := parseMetadata(b, "https://i", func(string) error { return nil }); err == nil {
			if m.Token == "" || m.JWKS == "" || m.Authorization == "" || len(m.Algorithms) == 0 {
				t.Errorf("%q: %+v", b, m)
			}
			for _, a := range m.Algorithms {
				if a == "none" || strings.HasPrefix(a, "HS") {
					t.Errorf("%s is accepted", a)
				}
			}
		}
		if set, err := parseKeys(b); err == nil {
			for _, k := range set.keys {
				if !k.IsPublic() || fits(k, "HS256") || fits(k, "none") {
					t.Errorf("%q is used", b)
				}
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, s := range []string{"eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJub25lIn0.e30.", "..", "a.b.c.d.e", "{}"} {
		f.Add(s)
	}
	algorithms := []jose.SignatureAlgorithm{jose.ES256, jose.RS256}
	f.Fuzz(func(t *testing.T, s string) {
		if precheck(s, []string{"ES256", "RS256"}, "jwt") != nil {
			return
		}
		jws, err := jose.ParseSignedCompact(s, algorithms)
		if err == nil && len(jws.Signatures) != 1 {
			t.Errorf("%q has %d signatures", s, len(jws.Signatures))
		}
	})
}
