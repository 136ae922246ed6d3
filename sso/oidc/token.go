package oidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/orgate/orgate/sso/idp"
)

// A verification is the key set that go-oidc verifies one token with. It keeps what
// go-oidc would flatten into a text: why the signature was refused, and the payload.
type verification struct {
	ring       *keyRing
	from       source
	algorithms []jose.SignatureAlgorithm

	payload []byte
	err     error
}

// VerifySignature implements [gooidc.KeySet].
func (v *verification) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, v.algorithms)
	if err != nil {
		v.err = fail(CodeTokenMalformed, nil, "")
		return nil, v.err
	}
	v.payload, v.err = v.ring.verify(ctx, jws, v.from)
	return v.payload, v.err
}

// verifier returns go-oidc's verifier for one token of the connection's provider.
func (p *provider) verifier(m metadata, c Connection, from source, now time.Time) (*gooidc.IDTokenVerifier, *verification) {
	v := &verification{ring: p.keys, from: from}
	for _, a := range m.Algorithms {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(a))
	}
	return gooidc.NewVerifier(c.Issuer, v, &gooidc.Config{
		ClientID: c.ClientID, SupportedSigningAlgs: m.Algorithms,
		Now: func() time.Time { return now.Add(-skew) },
	}), v
}

// header is the part of a JWS header that is looked at before the signature is: to refuse
// with a reason what the parser would refuse without one.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
}

// precheck refuses what is not a compact JWS of an algorithm and type that we want, before
// any parser sees it: JWE (a compressed one is a bomb), JSON serialization, alg none.
func precheck(raw string, algorithms []string, types ...string) error {
	if len(raw) > maxToken {
		return fail(CodeTooLarge, nil, fmt.Sprintf("token of %d bytes", len(raw)))
	}
	head, _, ok := strings.Cut(raw, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	if !ok || err != nil || strings.Count(raw, ".") != 2 {
		return fail(CodeTokenMalformed, nil, "not a compact JWS")
	}
	var h header
	if json.Unmarshal(b, &h) != nil {
		return fail(CodeTokenMalformed, nil, "header is not JSON")
	}
	if !slices.Contains(algorithms, h.Algorithm) {
		return fail(CodeAlgorithm, nil, fmt.Sprintf("alg %q, want one of %s", idp.Printable(h.Algorithm, 30), strings.Join(algorithms, ", ")))
	}
	// RFC 8725, 3.11: a token of one kind must not pass for another.
	typ := strings.TrimPrefix(strings.ToLower(h.Type), "application/")
	if typ != "" && !slices.Contains(types, typ) {
		return fail(CodeTokenMalformed, nil, fmt.Sprintf("typ %q", idp.Printable(h.Type, 30)))
	}
	return nil
}

// verifyIDToken returns the claims of the ID token: those of the very bytes that were
// signed, all of whose conditions hold.
func (p *provider) verifyIDToken(ctx context.Context, m metadata, c Connection, f Flow, t tokens, now time.Time) (claims, error) {
	if err := precheck(t.id, m.Algorithms, "jwt"); err != nil {
		return nil, err
	}
	verifier, v := p.verifier(m, c, fromProvider, now)
	token, err := verifier.Verify(ctx, t.id)
	if v.err != nil {
		return nil, v.err
	}
	if v.payload == nil {
		return nil, fail(CodeTokenMalformed, nil, "")
	}
	// Ours is the judgement that names what is wrong; go-oidc's must agree.
	cs, cerr := parseClaims(v.payload)
	if cerr != nil {
		return nil, fail(CodeClaims, nil, cerr.Error())
	}
	if err := cs.check(c, now); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, fail(CodeClaims, nil, err.Error())
	}
	if err := cs.checkFlow(f, now); err != nil {
		return nil, err
	}
	if token.AccessTokenHash != "" && token.VerifyAccessToken(t.access) != nil {
		return nil, fail(CodeClaims, nil, "at_hash is not the access token's")
	}
	return cs, nil
}

// check holds for ID tokens and logout tokens: who made it, for whom, and when.
func (cs claims) check(c Connection, now time.Time) error {
	iss, err := cs.text("iss")
	if err != nil || iss != c.Issuer {
		return fail(CodeIssuer, nil, fmt.Sprintf("expected %q, got %q", c.Issuer, idp.Printable(iss, 100)))
	}
	aud, err := cs.texts("aud")
	if err != nil || !slices.Contains(aud, c.ClientID) {
		return fail(CodeAudience, nil, "aud "+idp.Printable(string(cs["aud"]), 100))
	}
	azp, err := cs.text("azp")
	switch {
	case err != nil, cs.has("azp") && azp != c.ClientID:
		return fail(CodeAudience, nil, "azp "+idp.Printable(string(cs["azp"]), 100))
	case len(aud) > 1 && azp == "":
		return fail(CodeAudience, nil, "several audiences and no azp: "+idp.Printable(string(cs["aud"]), 100))
	}

	exp, hasExp, err := cs.instant("exp")
	switch {
	case err != nil || !hasExp:
		return fail(CodeTime, nil, "exp "+idp.Printable(string(cs["exp"]), 40))
	case !now.Before(exp.Add(skew)):
		return fail(CodeExpired, nil, fmt.Sprintf("exp %s ago", now.Sub(exp).Round(time.Second)))
	case exp.Sub(now) > maxTokenLife+skew:
		return fail(CodeTime, nil, fmt.Sprintf("exp in %s", exp.Sub(now).Round(time.Second)))
	}
	iat, hasIAT, err := cs.instant("iat")
	if err != nil || !hasIAT || iat.Sub(now) > skew {
		return fail(CodeTime, nil, "iat "+idp.Printable(string(cs["iat"]), 40))
	}
	if nbf, _, err := cs.instant("nbf"); err != nil || nbf.Sub(now) > skew {
		return fail(CodeTime, nil, "nbf "+idp.Printable(string(cs["nbf"]), 40))
	}
	return nil
}

// checkFlow holds for ID tokens: it is about this sign-in, and the person signed in as
// lately as was asked.
func (cs claims) checkFlow(f Flow, now time.Time) error {
	nonce, err := cs.text("nonce")
	if err != nil || nonce == "" || nonce != f.Nonce {
		return fail(CodeNonce, nil, "")
	}
	if _, err := cs.subject(); err != nil {
		return fail(CodeSubject, nil, err.Error())
	}
	at, ok, err := cs.instant("auth_time")
	switch {
	case err != nil:
		return fail(CodeClaims, nil, err.Error())
	case ok && at.Sub(now) > skew:
		return fail(CodeTime, nil, "auth_time is in the future")
	case !f.ForceLogin && f.MaxAge <= 0:
		return nil
	case !ok:
		return fail(CodeStaleLogin, nil, "no auth_time")
	}
	// The provider judged the age when it was asked, so that is what it is held to: the time
	// that the person then took does not count against them.
	age := f.StartedAt.Sub(at)
	limit := f.MaxAge
	if f.ForceLogin {
		limit = 0
	}
	if age > limit+skew {
		return fail(CodeStaleLogin, nil, fmt.Sprintf("auth_time %s before the sign-in was started", age.Round(time.Second)))
	}
	return nil
}
