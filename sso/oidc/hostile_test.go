package oidc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/ssotest"
)

// What a provider may send, and what must come of it. Every row is a sign-in by alice at a
// provider that does the one thing; want is empty where she gets in.
func TestWhatAProviderMaySendAndWhatMustComeOfIt(t *testing.T) {
	set := func(name string, v any) ssotest.Faults {
		return ssotest.Faults{Claims: func(c map[string]any) { c[name] = v }}
	}
	without := func(name string) ssotest.Faults {
		return ssotest.Faults{Claims: func(c map[string]any) { delete(c, name) }}
	}
	instead := func(endpoint string, h http.Handler) ssotest.Faults {
		return ssotest.Faults{Endpoints: map[string]http.Handler{endpoint: h}}
	}
	discovery := func(name string, v any) ssotest.Faults {
		return ssotest.Faults{Discovery: func(d map[string]any) { d[name] = v }}
	}
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"issuer":"internal-banner"}`)
	}))
	defer secret.Close()
	elsewhere := ssotest.Start(t, ssotest.Options{})
	userinfo := func(name string, v any) ssotest.Faults {
		return ssotest.Faults{Userinfo: func(c map[string]any) {
			if c[name] = v; v == nil {
				delete(c, name)
			}
		}}
	}
	groups := make([]string, 1001)
	for i := range groups {
		groups[i] = fmt.Sprint("group-", i)
	}

	// In one rig the provider puts all into the ID token, in the other e-mail and groups
	// are in userinfo.
	r := newRig(t)
	lean := newRig(t, func(o *ssotest.Options) { o.Lean = true })
	// Only where nothing is to come is the wait short: elsewhere a busy machine must not
	// turn what was refused into what was late.
	hasty := egress.New(egress.Options{AllowLoopback: true, Timeout: 300 * time.Millisecond})
	for _, issuer := range []string{r.op.Issuer(), lean.op.Issuer(), elsewhere.Issuer()} { // makes their keys
		if _, err := fetchKeys(t.Context(), r.egress, issuer+"/jwks"); err != nil {
			t.Fatal(err)
		}
	}
	now := r.clock.now().Unix()

	for i, tc := range []struct {
		name   string
		faults ssotest.Faults
		lean   bool
		want   Code
		then   func(*testing.T, Assertion)
	}{
		{name: "honest"},

		// Issuer, audience.
		{name: "iss of another provider", faults: set("iss", "https://evil.test"), want: CodeIssuer},
		{name: "iss with a slash more", faults: set("iss", r.conn.Issuer+"/"), want: CodeIssuer},
		{name: "iss in upper case", faults: set("iss", strings.ToUpper(r.conn.Issuer)), want: CodeIssuer},
		{name: "iss missing", faults: without("iss"), want: CodeIssuer},
		{name: "iss is a list", faults: set("iss", []string{r.conn.Issuer}), want: CodeIssuer},
		{name: "aud of another client", faults: set("aud", "other"), want: CodeAudience},
		{name: "aud missing", faults: without("aud"), want: CodeAudience},
		{name: "aud empty list", faults: set("aud", []string{}), want: CodeAudience},
		{name: "aud is a number", faults: set("aud", 7), want: CodeAudience},
		{name: "aud has null in it", faults: set("aud", []any{testClient, nil}), want: CodeAudience},
		{name: "aud list of one", faults: set("aud", []string{testClient})},
		{name: "several audiences without azp", faults: set("aud", []string{testClient, "other"}), want: CodeAudience},
		{name: "several audiences, azp another", faults: ssotest.Faults{Claims: func(c map[string]any) { c["aud"], c["azp"] = []string{testClient, "other"}, "other" }}, want: CodeAudience},
		{name: "several audiences, azp us", faults: ssotest.Faults{Claims: func(c map[string]any) { c["aud"], c["azp"] = []string{testClient, "other"}, testClient }}},
		{name: "azp another", faults: set("azp", "other"), want: CodeAudience},
		{name: "azp empty", faults: set("azp", ""), want: CodeAudience},
		{name: "azp us", faults: set("azp", testClient)},

		// Nonce.
		{name: "nonce missing", faults: without("nonce"), want: CodeNonce},
		{name: "nonce empty", faults: set("nonce", ""), want: CodeNonce},
		{name: "nonce another", faults: set("nonce", "another"), want: CodeNonce},
		{name: "nonce null", faults: set("nonce", nil), want: CodeNonce},

		// Times.
		{name: "expired within the skew", faults: set("exp", now-59)},
		{name: "expired", faults: set("exp", now-61), want: CodeExpired},
		{name: "exp 1", faults: set("exp", 1), want: CodeExpired},
		{name: "exp missing", faults: without("exp"), want: CodeTime},
		{name: "exp null", faults: set("exp", nil), want: CodeTime},
		{name: "exp in 25 hours", faults: set("exp", now+25*3600), want: CodeTime},
		{name: "exp 1e18", faults: set("exp", 1e18), want: CodeTime},
		{name: "exp 1e300", faults: set("exp", 1e300), want: CodeTime},
		{name: "exp negative", faults: set("exp", -1), want: CodeTime},
		{name: "exp a float", faults: set("exp", float64(now)+300.5)},
		{name: "exp a string", faults: set("exp", fmt.Sprint(now+300)), want: CodeTime},
		{name: "iat missing", faults: without("iat"), want: CodeTime},
		{name: "iat in the future within the skew", faults: set("iat", now+59)},
		{name: "iat in the future", faults: set("iat", now+61), want: CodeTime},
		{name: "iat five minutes ago, as Entra has it", faults: set("iat", now-300)},
		{name: "nbf in the future", faults: set("nbf", now+61), want: CodeTime},
		{name: "nbf a string", faults: set("nbf", "now"), want: CodeTime},

		// Signature, algorithm.
		{name: "alg none", faults: ssotest.Faults{Signature: ssotest.NotSigned}, want: CodeAlgorithm},
		{name: "alg None", faults: ssotest.Faults{Signature: ssotest.NotSigned, Header: func(h map[string]any) { h["alg"] = "None" }}, want: CodeAlgorithm},
		{name: "alg missing", faults: ssotest.Faults{Header: func(h map[string]any) { delete(h, "alg") }}, want: CodeAlgorithm},
		{name: "HS256 with the public key", faults: ssotest.Faults{Signature: ssotest.SignedWithPublicKey}, want: CodeAlgorithm},
		{name: "HS256 announced too", faults: ssotest.Faults{Signature: ssotest.SignedWithPublicKey, Discovery: func(d map[string]any) {
			d["id_token_signing_alg_values_supported"] = []string{"HS256", "none", "ES256"}
		}}, want: CodeAlgorithm},
		{name: "algorithm that is not announced", faults: discovery("id_token_signing_alg_values_supported", []string{"RS256"}), want: CodeAlgorithm},
		{name: "no algorithms announced: RS256 is meant", faults: ssotest.Faults{Discovery: func(d map[string]any) { delete(d, "id_token_signing_alg_values_supported") }}, want: CodeAlgorithm},
		{name: "only HMAC announced", faults: discovery("id_token_signing_alg_values_supported", []string{"HS256", "none"}), want: CodeUnsupported},
		{name: "signed by another key", faults: ssotest.Faults{Signature: ssotest.SignedByOtherKey}, want: CodeSignature},
		{name: "signature stripped", faults: ssotest.Faults{Signature: ssotest.SignatureStripped}, want: CodeSignature},
		{name: "signature cut short", faults: ssotest.Faults{IDToken: func(s string) string { return s[:len(s)-10] }}, want: CodeSignature},
		{name: "payload changed after signing", faults: ssotest.Faults{IDToken: changePayload}, want: CodeSignature},
		{name: "kid that nobody publishes", faults: ssotest.Faults{Header: func(h map[string]any) { h["kid"] = "nobody" }}, want: CodeUnknownKey},
		{name: "kid missing, key published", faults: ssotest.Faults{Header: func(h map[string]any) { delete(h, "kid") }}},
		{name: "kid missing, key not published", faults: ssotest.Faults{Signature: ssotest.SignedByOtherKey, Header: func(h map[string]any) { delete(h, "kid") }}, want: CodeUnknownKey},
		{name: "key in the header", faults: ssotest.Faults{Signature: ssotest.SignedByOtherKey, Header: func(h map[string]any) {
			h["jku"] = secret.URL
			h["x5u"] = secret.URL
		}}, want: CodeSignature},
		{name: "critical extension", faults: ssotest.Faults{Header: func(h map[string]any) { h["crit"] = []string{"exp"}; h["exp"] = 1 }}, want: CodeSignature},

		// Shape of the token.
		{name: "no ID token", faults: ssotest.Faults{TokenAnswer: func(a map[string]any) { delete(a, "id_token") }}, want: CodeTokenAnswer},
		{name: "ID token is a number", faults: ssotest.Faults{TokenAnswer: func(a map[string]any) { a["id_token"] = 7 }}, want: CodeTokenAnswer},
		{name: "no access token", faults: ssotest.Faults{TokenAnswer: func(a map[string]any) { delete(a, "access_token") }}, want: CodeTokenAnswer},
		{name: "access token of another", faults: ssotest.Faults{TokenAnswer: func(a map[string]any) { a["access_token"] = "another" }}, want: CodeClaims},
		{name: "ID token empty parts", faults: ssotest.Faults{IDToken: func(string) string { return ".." }}, want: CodeTokenMalformed},
		{name: "ID token not a token", faults: ssotest.Faults{IDToken: func(string) string { return "hello" }}, want: CodeTokenMalformed},
		{name: "ID token a JWE", faults: ssotest.Faults{IDToken: func(s string) string { return s + ".x.y" }}, want: CodeTokenMalformed},
		{name: "ID token in JSON serialization", faults: ssotest.Faults{IDToken: jsonSerialization}, want: CodeTokenMalformed},
		{name: "a million dots", faults: ssotest.Faults{IDToken: func(string) string { return strings.Repeat(".", 30_000) }}, want: CodeTokenMalformed},
		{name: "ID token of 40 KB", faults: set("x", strings.Repeat("x", 40<<10)), want: CodeTooLarge},
		{name: "PBES2 bomb", faults: ssotest.Faults{Header: func(h map[string]any) { h["alg"], h["p2c"] = "PBES2-HS256+A128KW", 1e9 }}, want: CodeAlgorithm},
		{name: "typ at+jwt", faults: ssotest.Faults{Header: func(h map[string]any) { h["typ"] = "at+jwt" }}, want: CodeTokenMalformed},
		{name: "typ logout+jwt", faults: ssotest.Faults{Header: func(h map[string]any) { h["typ"] = "logout+jwt" }}, want: CodeTokenMalformed},
		{name: "typ JWT", faults: ssotest.Faults{Header: func(h map[string]any) { h["typ"] = "JWT" }}},
		{name: "sub spelled twice", faults: set("Sub", "bob-2"), want: CodeClaims},
		{name: "sub spelled with a long s", faults: set("ſub", "bob-2"), want: CodeClaims},

		// Subject.
		{name: "sub missing", faults: without("sub"), want: CodeSubject},
		{name: "sub empty", faults: set("sub", ""), want: CodeSubject},
		{name: "sub a number", faults: set("sub", 7), want: CodeClaims}, // go-oidc's word
		{name: "sub of 255 bytes", faults: set("sub", strings.Repeat("s", 255)), then: func(t *testing.T, a Assertion) {
			if len(a.Subject) != 255 {
				t.Error(a.Subject)
			}
		}},
		{name: "sub of 256 bytes", faults: set("sub", strings.Repeat("s", 256)), want: CodeSubject},
		{name: "sub with a NUL", faults: set("sub", "alice\x00"), want: CodeSubject},
		{name: "sub with half a character", faults: set("sub", "alice\xff"), want: CodeSubject},
		{name: "sub kept to the byte", faults: set("sub", " Alice|Ü "), then: func(t *testing.T, a Assertion) {
			if a.Subject != " Alice|Ü " {
				t.Errorf("%q", a.Subject)
			}
		}},
		{name: "sid a number", faults: set("sid", 7), want: CodeClaims},

		// E-mail.
		{name: "no e-mail anywhere", faults: ssotest.Faults{
			Claims:   func(c map[string]any) { delete(c, "email") },
			Userinfo: func(c map[string]any) { delete(c, "email") },
		}, want: CodeNoEmail},
		{name: "no e-mail, no userinfo", faults: ssotest.Faults{
			Claims:    func(c map[string]any) { delete(c, "email") },
			Discovery: func(d map[string]any) { delete(d, "userinfo_endpoint") },
		}, want: CodeNoEmail},
		{name: "e-mail empty in the token, there in userinfo", faults: set("email", ""), then: hasEmail("alice@acme.test")},
		{name: "e-mail a list", faults: set("email", []string{"a@acme.test"}), want: CodeClaims},
		{name: "e-mail with a line break", faults: set("email", "a@acme.test\r\nBcc: x"), want: CodeClaims},
		{name: "e-mail huge", faults: set("email", strings.Repeat("a", 400)+"@acme.test"), want: CodeClaims},
		{name: "email_verified false", faults: set("email_verified", false), then: hasVerified(new(false))},
		{name: `email_verified "false"`, faults: set("email_verified", "false"), then: hasVerified(new(false))},
		{name: `email_verified "true"`, faults: set("email_verified", "true"), then: hasVerified(new(true))},
		{name: "email_verified missing", faults: without("email_verified"), then: hasVerified(nil)},
		{name: "email_verified 1", faults: set("email_verified", 1), want: CodeClaims},
		{name: `email_verified "yes"`, faults: set("email_verified", "yes"), want: CodeClaims},
		{name: "verified in userinfo says nothing of the token's address", faults: ssotest.Faults{
			Claims: func(c map[string]any) { delete(c, "email_verified"); delete(c, "groups") },
			Userinfo: func(c map[string]any) {
				c["email"], c["email_verified"] = "other@evil.test", true
			},
		}, then: func(t *testing.T, a Assertion) {
			hasEmail("alice@acme.test")(t, a)
			hasVerified(nil)(t, a)
		}},

		// Groups.
		{name: "groups a string", faults: set("groups", "Admins"), then: hasGroups("Admins")},
		{name: "groups empty", faults: set("groups", []string{}), then: hasGroups()},
		{name: "groups twice the same, and an empty one", faults: set("groups", []string{"A", "", "A", "B"}), then: hasGroups("A", "B")},
		{name: "groups nested", faults: set("groups", []any{[]string{"owner"}}), want: CodeGroups},
		{name: "groups of objects", faults: set("groups", []any{map[string]any{"name": "owner"}}), want: CodeGroups},
		{name: "groups with a number", faults: set("groups", []any{"a", 7}), want: CodeGroups},
		{name: "groups with null", faults: set("groups", []any{"a", nil}), want: CodeGroups},
		{name: "groups an object", faults: set("groups", map[string]any{"owner": true}), want: CodeGroups},
		{name: "groups true", faults: set("groups", true), want: CodeGroups},
		{name: "1,000 groups", faults: set("groups", groups[:1000]), then: hasGroups(groups[:1000]...)},
		{name: "1,001 groups", faults: set("groups", groups), want: CodeGroups},
		{name: "a group with a line break", faults: set("groups", []string{"a\nb"}), want: CodeGroups},
		{name: "a group of 600 bytes", faults: set("groups", []string{strings.Repeat("g", 600)}), want: CodeGroups},
		{name: "no groups anywhere", faults: ssotest.Faults{
			Claims:   func(c map[string]any) { delete(c, "groups") },
			Userinfo: func(c map[string]any) { delete(c, "groups") },
		}, then: func(t *testing.T, a Assertion) {
			if a.HasGroups || a.Groups != nil {
				t.Errorf("%v %v", a.HasGroups, a.Groups)
			}
		}},
		{name: "groups elsewhere, as Entra has too many", faults: ssotest.Faults{Claims: func(c map[string]any) {
			delete(c, "groups")
			c["_claim_names"] = map[string]string{"groups": "src1"}
			c["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": secret.URL}}
		}}, want: CodeGroups},

		// Attributes.
		{name: "attributes that are none", faults: ssotest.Faults{Claims: func(c map[string]any) {
			c["nested"], c["mixed"], c["none"], c["long"] = map[string]any{"a": 1}, []any{"a", 1}, nil, strings.Repeat("x", 2000)
			c["big"], c["control"], c["na\nme"] = math.MaxUint32*1e9, "a\x00b", "x"
			c["fine"] = "yes"
		}}, then: func(t *testing.T, a Assertion) {
			for _, name := range []string{"nested", "mixed", "none", "long", "big", "control", "na\nme", "sub", "iss", "groups", "email", "nonce", "at_hash"} {
				if v, ok := a.Attributes[name]; ok {
					t.Errorf("%q is %v", name, v)
				}
			}
			if a.Attributes["fine"] != "yes" || a.Attributes["department"] != "R&D" {
				t.Error(a.Attributes)
			}
		}},
		{name: "a hundred attributes", faults: ssotest.Faults{Claims: func(c map[string]any) {
			for i := range 100 {
				c[fmt.Sprintf("a%03d", i)] = true
			}
		}}, then: func(t *testing.T, a Assertion) {
			if len(a.Attributes) != maxAttributes || a.Attributes["a000"] != true || a.Attributes["a063"] != true {
				t.Errorf("%d: %v", len(a.Attributes), a.Attributes)
			}
		}},
		{name: "name a number", faults: set("name", 7), then: func(t *testing.T, a Assertion) {
			if a.Name != "" {
				t.Error(a.Name)
			}
		}},
		{name: "name that turns the text around", faults: set("name", "Al\u202eice\n\x1b[31m"), then: func(t *testing.T, a Assertion) {
			if a.Name != "Al ice  [31m" {
				t.Errorf("%q", a.Name)
			}
		}},

		// Userinfo.
		{name: "userinfo of somebody else", lean: true, faults: userinfo("sub", "bob-2"), want: CodeUserinfo},
		{name: "userinfo of a prefix", lean: true, faults: userinfo("sub", "alice"), want: CodeUserinfo},
		{name: "userinfo without sub", lean: true, faults: userinfo("sub", nil), want: CodeUserinfo},
		{name: "userinfo without e-mail", lean: true, faults: userinfo("email", nil), want: CodeNoEmail},
		{name: "userinfo unverified", lean: true, faults: userinfo("email_verified", false), then: hasVerified(new(false))},
		{name: "userinfo not JSON", lean: true, faults: instead("userinfo", ssotest.Says(200, "application/json", "<html>")), want: CodeUserinfo},
		{name: "userinfo a JWT", lean: true, faults: instead("userinfo", ssotest.Says(200, "application/jwt", "a.b.c")), want: CodeUserinfo},
		{name: "userinfo sub twice", lean: true, faults: instead("userinfo", ssotest.Says(200, "application/json", `{"sub":"alice-1","sub":"bob-2","email":"x@y.test"}`)), want: CodeUserinfo},
		{name: "userinfo 401", lean: true, faults: instead("userinfo", ssotest.Says(401, "text/plain", "")), want: CodeUserinfo},
		{name: "userinfo 503", lean: true, faults: instead("userinfo", ssotest.Says(503, "text/plain", "")), want: CodeUnavailable},
		{name: "userinfo endless", lean: true, faults: instead("userinfo", ssotest.Endless()), want: CodeTooLarge},
		{name: "userinfo a bomb", lean: true, faults: instead("userinfo", ssotest.Bomb(8<<20)), want: CodeTooLarge},
		{name: "userinfo silent", lean: true, faults: instead("userinfo", ssotest.Silent()), want: CodeSlow},
		{name: "userinfo redirects with the token", lean: true, faults: instead("userinfo", ssotest.RedirectTo(secret.URL)), want: CodeForbidden},

		// Token endpoint.
		{name: "token endpoint 500", faults: instead("token", ssotest.Says(500, "text/html", "<h1>oops</h1>")), want: CodeUnavailable},
		{name: "token endpoint 401", faults: instead("token", ssotest.Says(401, "text/html", "no")), want: CodeInvalidClient},
		{name: "token endpoint 403", faults: instead("token", ssotest.Says(403, "text/html", "no")), want: CodeTokenAnswer},
		{name: "token endpoint says unauthorized_client", faults: instead("token", ssotest.Says(400, "application/json", `{"error":"unauthorized_client"}`)), want: CodeRequest},
		{name: "token endpoint says error with 200", faults: instead("token", ssotest.Says(200, "application/json", `{"error":"invalid_client"}`)), want: CodeInvalidClient},
		{name: "token endpoint not JSON", faults: instead("token", ssotest.Says(200, "application/json", "<html>")), want: CodeTokenAnswer},
		{name: "token endpoint endless", faults: instead("token", ssotest.Endless()), want: CodeTooLarge},
		{name: "token endpoint a bomb", faults: instead("token", ssotest.Bomb(8<<20)), want: CodeTooLarge},
		{name: "token endpoint silent", faults: instead("token", ssotest.Silent()), want: CodeSlow},
		{name: "token endpoint redirects with the secret", faults: instead("token", ssotest.RedirectTo(secret.URL)), want: CodeForbidden},

		// Keys.
		{name: "keys of another provider", faults: discovery("jwks_uri", elsewhere.Issuer()+"/jwks"), want: CodeUnknownKey},
		{name: "keys at http", faults: discovery("jwks_uri", "http://login.example.com/jwks"), want: CodeForbidden},
		{name: "keys inside", faults: discovery("jwks_uri", "https://169.254.169.254/jwks"), want: CodeForbidden},
		{name: "keys redirect", faults: instead("jwks", ssotest.RedirectTo(elsewhere.Issuer()+"/jwks")), want: CodeForbidden},
		{name: "keys 500", faults: instead("jwks", ssotest.Says(500, "text/html", "")), want: CodeUnavailable},
		{name: "keys 404", faults: instead("jwks", ssotest.Says(404, "text/html", "")), want: CodeKeys},
		{name: "keys not JSON", faults: instead("jwks", ssotest.Says(200, "application/json", "[")), want: CodeKeys},
		{name: "keys none", faults: instead("jwks", ssotest.Says(200, "application/json", `{"keys":[]}`)), want: CodeKeys},
		{name: "keys symmetric", faults: instead("jwks", ssotest.Says(200, "application/json", `{"keys":[{"kty":"oct","k":"AAAA","alg":"HS256"}]}`)), want: CodeKeys},
		{name: "keys for encryption", faults: ssotest.Faults{Keys: eachKey(func(k map[string]any) { k["use"] = "enc" })}, want: CodeKeys},
		{name: "keys for another algorithm", faults: ssotest.Faults{Keys: eachKey(func(k map[string]any) { k["alg"] = "RS512" })}, want: CodeUnknownKey},
		{name: "keys without alg and use", faults: ssotest.Faults{Keys: eachKey(func(k map[string]any) { delete(k, "alg"); delete(k, "use") })}},
		{name: "keys with strange ones among them", faults: ssotest.Faults{Keys: func(d map[string]any) {
			d["keys"] = append([]any{7, nil, "x", map[string]any{"kty": "OKP", "crv": "X448", "x": "AA"}, map[string]any{"kty": "XX"}}, d["keys"].([]any)...)
		}}},
		{name: "keys 101", faults: ssotest.Faults{Keys: func(d map[string]any) {
			for len(d["keys"].([]any)) <= maxKeys {
				d["keys"] = append(d["keys"].([]any), map[string]any{"kty": "XX"})
			}
		}}, want: CodeTooLarge},
		{name: "keys endless", faults: instead("jwks", ssotest.Endless()), want: CodeTooLarge},
		{name: "keys a bomb", faults: instead("jwks", ssotest.Bomb(8<<20)), want: CodeTooLarge},
		{name: "keys silent", faults: instead("jwks", ssotest.Silent()), want: CodeSlow},

		// Discovery. The sign-in does not begin.
		{name: "discovery of another issuer", faults: discovery("issuer", "https://evil.test"), want: CodeIssuerMismatch},
		{name: "discovery with a slash more", faults: discovery("issuer", r.conn.Issuer+"/"), want: CodeIssuerMismatch},
		{name: "discovery without issuer", faults: discovery("issuer", nil), want: CodeIssuerMismatch},
		{name: "discovery redirects", faults: instead("discovery", ssotest.RedirectTo(secret.URL)), want: CodeForbidden},
		{name: "discovery 404", faults: instead("discovery", ssotest.Says(404, "text/html", "")), want: CodeDiscovery},
		{name: "discovery 503", faults: instead("discovery", ssotest.Says(503, "text/html", "")), want: CodeUnavailable},
		{name: "discovery not JSON", faults: instead("discovery", ssotest.Says(200, "text/html", "<html>")), want: CodeDiscovery},
		{name: "discovery endless", faults: instead("discovery", ssotest.Endless()), want: CodeTooLarge},
		{name: "discovery a bomb", faults: instead("discovery", ssotest.Bomb(8<<20)), want: CodeTooLarge},
		{name: "discovery silent", faults: instead("discovery", ssotest.Silent()), want: CodeSlow},
		{name: "authorization_endpoint missing", faults: discovery("authorization_endpoint", ""), want: CodeDiscovery},
		{name: "authorization_endpoint javascript:", faults: discovery("authorization_endpoint", "javascript:alert(1)"), want: CodeForbidden},
		{name: "authorization_endpoint data:", faults: discovery("authorization_endpoint", "data:text/html,x"), want: CodeForbidden},
		{name: "authorization_endpoint http:", faults: discovery("authorization_endpoint", "http://login.example.com/a"), want: CodeForbidden},
		{name: "token_endpoint http:", faults: discovery("token_endpoint", "http://login.example.com/t"), want: CodeForbidden},
		{name: "token_endpoint inside", faults: discovery("token_endpoint", "https://10.0.0.1/token"), want: CodeForbidden},
		{name: "userinfo_endpoint file:", faults: discovery("userinfo_endpoint", "file:///etc/passwd"), want: CodeForbidden},
		{name: "end_session_endpoint javascript:", faults: discovery("end_session_endpoint", "javascript:alert(1)"), want: CodeForbidden},
		{name: "endpoint with a password", faults: discovery("token_endpoint", "https://u:p@login.example.com/t"), want: CodeForbidden},
		{name: "client authentication nobody here can do", faults: discovery("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), want: CodeUnsupported},
		{name: "no code flow", faults: discovery("response_types_supported", []string{"id_token"}), want: CodeUnsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := *r
			if tc.lean {
				r = *lean
			}
			r.conn.ID = fmt.Sprint("conn_", i) // nothing is cached
			if tc.want == CodeSlow {
				r.ps = New(Options{Egress: hasty, Now: r.clock.now})
			}
			r.op.Misbehave(tc.faults)
			a, err := r.attempt(t)
			if got := code(t, err); got != tc.want {
				t.Fatalf("%v, want %q", err, tc.want)
			}
			if err == nil && tc.then != nil {
				tc.then(t, a)
			}
		})
	}
}

// attempt signs alice in, as far as it goes, and looks for secrets in what is said of it.
func (r *rig) attempt(t *testing.T) (Assertion, error) {
	t.Helper()
	to, flow, err := r.ps.Start(t.Context(), r.conn, StartRequest{RedirectURI: r.redirect}, r.clock.now())
	if err != nil {
		keepsSecrets(t, err)
		return Assertion{}, err
	}
	b := ssotest.NewBrowser()
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice-1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	q := page.URL.Query()
	a, err := r.ps.Finish(t.Context(), r.conn, flow, q, r.clock.now())
	keepsSecrets(t, err, flow.State, flow.Nonce, flow.Verifier, q.Get("code"))
	return a, err
}

// keepsSecrets fails if an error, anywhere in its chain, says what no log may hold.
func keepsSecrets(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		return
	}
	var said strings.Builder
	fmt.Fprintf(&said, "%v %+v %#v", err, err, err)
	for cause := errors.Unwrap(err); cause != nil; cause = errors.Unwrap(cause) {
		said.WriteString(cause.Error())
	}
	for _, s := range append(secrets, testSecret, "internal-banner", "eyJ", "<html>") {
		if strings.Contains(said.String(), s) {
			t.Errorf("%q is in the error: %s", s, said.String())
		}
	}
	if strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not printable: %q", err)
	}
}

func changePayload(raw string) string {
	parts := strings.Split(raw, ".")
	b, _ := base64.RawURLEncoding.DecodeString(parts[1])
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), "alice-1", "bob-2", 1)))
	return strings.Join(parts, ".")
}

func jsonSerialization(raw string) string {
	p := strings.Split(raw, ".")
	return fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2])
}

func eachKey(edit func(map[string]any)) func(map[string]any) {
	return func(d map[string]any) {
		for _, k := range d["keys"].([]any) {
			edit(k.(map[string]any))
		}
	}
}

func hasEmail(want string) func(*testing.T, Assertion) {
	return func(t *testing.T, a Assertion) {
		if a.Email != want {
			t.Errorf("e-mail %q, want %q", a.Email, want)
		}
	}
}

func hasVerified(want *bool) func(*testing.T, Assertion) {
	return func(t *testing.T, a Assertion) {
		if (a.EmailVerified == nil) != (want == nil) || want != nil && *a.EmailVerified != *want {
			t.Errorf("email_verified %v, want %v", a.EmailVerified, want)
		}
	}
}

func hasGroups(want ...string) func(*testing.T, Assertion) {
	return func(t *testing.T, a Assertion) {
		if !a.HasGroups || fmt.Sprint(a.Groups) != fmt.Sprint(want) {
			t.Errorf("groups %v %v, want %v", a.HasGroups, a.Groups, want)
		}
	}
}
