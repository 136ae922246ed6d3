package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
)

// A provider is what one connection knows of its provider.
type provider struct {
	egress *egress.Client
	meta   *remote[metadata]
	keys   *keyRing
}

func newProvider(issuer string, client *egress.Client, now func() time.Time) *provider {
	p := &provider{egress: client}
	p.meta = &remote[metadata]{now: now, fresh: time.Hour, keep: 24 * time.Hour, retry: 10 * time.Second,
		fetch: func(ctx context.Context) (metadata, error) { return discover(ctx, client, issuer) }}
	// Keys are looked at more often: a key that the provider withdrew must not sign
	// anybody in for long.
	p.keys = newKeyRing(&remote[keySet]{now: now, fresh: 10 * time.Minute, keep: 12 * time.Hour, retry: 10 * time.Second,
		fetch: func(ctx context.Context) (keySet, error) {
			m, err := p.meta.get(ctx)
			if err != nil {
				return keySet{}, err
			}
			return fetchKeys(ctx, client, m.JWKS)
		}})
	return p
}

// metadata is a discovery document, checked.
type metadata struct {
	Authorization, Token, JWKS string
	Userinfo, EndSession       string   // empty: not offered
	Algorithms                 []string // what the provider announces of what we accept
	AuthStyle                  oauth2.AuthStyle
	// ResponseIssuer: answers carry iss (RFC 9207), and one without it is not the provider's.
	ResponseIssuer bool
}

// accepted are the algorithms that we accept at all, asymmetric ones. Neither none nor
// HMAC is here: for them the provider's public key would be the secret.
func accepted() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// discover fetches the issuer's discovery document.
func discover(ctx context.Context, client *egress.Client, issuer string) (metadata, error) {
	b, err := fetchJSON(ctx, client, "discovery", strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration", maxDocument, CodeDiscovery)
	if err != nil {
		return metadata{}, err
	}
	return parseMetadata(b, issuer, client.CheckURL)
}

// parseMetadata reads a discovery document. check judges its URLs.
func parseMetadata(b []byte, issuer string, check func(string) error) (metadata, error) {
	var d struct {
		Issuer         string   `json:"issuer"`
		Authorization  string   `json:"authorization_endpoint"`
		Token          string   `json:"token_endpoint"`
		JWKS           string   `json:"jwks_uri"`
		Userinfo       string   `json:"userinfo_endpoint"`
		EndSession     string   `json:"end_session_endpoint"`
		Algorithms     []string `json:"id_token_signing_alg_values_supported"`
		AuthMethods    []string `json:"token_endpoint_auth_methods_supported"`
		ResponseTypes  []string `json:"response_types_supported"`
		ResponseIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return metadata{}, fail(CodeDiscovery, nil, "not the JSON that it should be")
	}
	if d.Issuer != issuer {
		return metadata{}, fail(CodeIssuerMismatch, nil, fmt.Sprintf("configured %q, discovered %q", issuer, idp.Printable(d.Issuer, 100)))
	}
	for name, u := range map[string]string{"authorization_endpoint": d.Authorization, "token_endpoint": d.Token, "jwks_uri": d.JWKS} {
		if u == "" {
			return metadata{}, fail(CodeDiscovery, nil, name+" is missing")
		}
	}
	for name, u := range map[string]string{
		"authorization_endpoint": d.Authorization, "token_endpoint": d.Token, "jwks_uri": d.JWKS,
		"userinfo_endpoint": d.Userinfo, "end_session_endpoint": d.EndSession,
	} {
		if u == "" {
			continue
		}
		if err := check(u); err != nil {
			return metadata{}, fail(CodeForbidden, err, name+": "+err.Error())
		}
	}
	m := metadata{Authorization: d.Authorization, Token: d.Token, JWKS: d.JWKS, Userinfo: d.Userinfo, EndSession: d.EndSession, ResponseIssuer: d.ResponseIssuer}
	if len(d.ResponseTypes) > 0 && !slices.Contains(d.ResponseTypes, "code") {
		return metadata{}, fail(CodeUnsupported, nil, "response_types_supported has no code")
	}

	m.Algorithms = []string{"RS256"} // what every provider must support (Core 15.1)
	if d.Algorithms != nil {
		m.Algorithms = slices.DeleteFunc(accepted(), func(a string) bool { return !slices.Contains(d.Algorithms, a) })
	}
	if len(m.Algorithms) == 0 {
		return metadata{}, fail(CodeUnsupported, nil, "id_token_signing_alg_values_supported has no asymmetric algorithm")
	}

	switch methods := d.AuthMethods; {
	case methods == nil || slices.Contains(methods, "client_secret_basic"):
		m.AuthStyle = oauth2.AuthStyleInHeader
	case slices.Contains(methods, "client_secret_post"), slices.Contains(methods, "none"):
		m.AuthStyle = oauth2.AuthStyleInParams
	default:
		return metadata{}, fail(CodeUnsupported, nil, "token_endpoint_auth_methods_supported has neither client_secret_basic nor client_secret_post")
	}
	return m, nil
}

// fetchJSON gets a document that should be JSON. An answer that is not 200 fails with the
// code; its body is not looked at, and in no error.
func fetchJSON(ctx context.Context, client *egress.Client, what, url string, limit int64, code Code) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fail(CodeForbidden, nil, what)
	}
	return doJSON(client, req, what, limit, code)
}

func doJSON(client *egress.Client, req *http.Request, what string, limit int64, code Code) ([]byte, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := client.HTTP.Do(req)
	if err != nil {
		return nil, call(what, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 500 {
		return nil, fail(CodeUnavailable, nil, fmt.Sprintf("%s: status %d", what, resp.StatusCode))
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fail(code, nil, fmt.Sprintf("%s: status %d", what, resp.StatusCode))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, call(what, err)
	}
	if int64(len(b)) > limit {
		return nil, fail(CodeTooLarge, nil, what)
	}
	return b, nil
}
