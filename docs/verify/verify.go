// Package verify is the Go example of docs/headers.md: how an app verifies the assertion.
package verify

import (
	"context"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Identity is who is there.
type Identity struct {
	User         string `json:"sub"`
	Organization string `json:"org_id"`
	Role         string `json:"role"`
}

// A Verifier reads the assertion of a request.
type Verifier struct{ tokens *oidc.IDTokenVerifier }

// New returns a verifier. jwks is the URL of orgate's keys; they are cached, and fetched again
// when a new one appears.
func New(ctx context.Context, issuer, audience, jwks string) *Verifier {
	keys := oidc.NewRemoteKeySet(ctx, jwks)
	return &Verifier{oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{oidc.ES256}})}
}

// Identity returns who r is from, or why nobody can say.
func (v *Verifier) Identity(r *http.Request) (id Identity, err error) {
	token, err := v.tokens.Verify(r.Context(), r.Header.Get("X-Orgate-Jwt-Assertion"))
	if err != nil {
		return id, err
	}
	return id, token.Claims(&id)
}
