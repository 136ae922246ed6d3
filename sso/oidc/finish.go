package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oauth"
)

// Finish ends a sign-in: it turns what the browser brought back to the redirect URI into
// what the provider says of the person. The flow is the one that this browser started;
// a flow that the caller could not find is the zero Flow. The error is an [*Error].
//
// The caller lets a flow be finished once, successful or not. (The provider lets a code
// be used once, too.)
func (ps *Providers) Finish(ctx context.Context, c Connection, f Flow, callback url.Values, now time.Time) (Assertion, error) {
	ctx, cancel := context.WithTimeout(ctx, idp.FinishLimit)
	defer cancel()

	// The state comes first: before it is right, nothing else of the request means anything.
	if err := f.check(c, callback, now); err != nil {
		return Assertion{}, err
	}
	p, err := ps.provider(c)
	if err != nil {
		return Assertion{}, err
	}
	m, err := p.meta.get(ctx)
	if err != nil {
		return Assertion{}, err
	}
	code, err := answer(f, m, c, callback)
	if err != nil {
		return Assertion{}, err
	}
	t, err := p.exchange(ctx, m, c, f, code)
	if err != nil {
		return Assertion{}, err
	}
	cs, err := p.verifyIDToken(ctx, m, c, f, t, now)
	if err != nil {
		return Assertion{}, err
	}
	return p.assert(ctx, m, c, cs, t)
}

// check returns nil if the callback answers this flow, and the flow is this connection's.
func (f Flow) check(c Connection, callback url.Values, now time.Time) error {
	if fault := oauth.CheckCallback(callback); fault != "" {
		return fail(CodeCallback, nil, fault)
	}
	if f.State == "" || f.Nonce == "" || f.Verifier == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(callback.Get("state"))) != 1 {
		return fail(CodeState, nil, "")
	}
	if f.ConnectionID != c.ID || f.Issuer != c.Issuer {
		return fail(CodeState, nil, "the flow was started for another connection or issuer")
	}
	if fault := idp.CheckAge(f.StartedAt, now); fault != "" {
		return fail(CodeFlowExpired, nil, fault)
	}
	return nil
}

// answer returns the code of a callback whose state is right, or the provider's error.
func answer(f Flow, m metadata, c Connection, callback url.Values) (string, error) {
	// RFC 9207: without this, a code of one provider can be fed to another's token endpoint
	// (mix-up). It holds for error answers too.
	if iss := callback.Get("iss"); callback.Has("iss") && iss != c.Issuer {
		return "", fail(CodeResponseIssuer, nil, fmt.Sprintf("expected %q, got %q", c.Issuer, idp.Printable(iss, 100)))
	} else if !callback.Has("iss") && (f.ResponseIssuer || m.ResponseIssuer) {
		return "", fail(CodeResponseIssuer, nil, "the provider announces iss, and it is missing")
	}
	if e := callback.Get("error"); e != "" {
		return "", fail(refusal(e), nil, oauth.Refused("authorization", e, callback.Get("error_description")))
	}
	code := callback.Get("code")
	if code == "" {
		return "", fail(CodeCallback, nil, "neither code nor error")
	}
	return code, nil
}

// refusal returns what an OAuth error code means.
func refusal(code string) Code {
	switch code {
	case "access_denied":
		return CodeDenied
	case "login_required", "interaction_required", "consent_required", "account_selection_required":
		return CodeLoginRequired
	case "server_error", "temporarily_unavailable":
		return CodeUnavailable
	case "invalid_client":
		return CodeInvalidClient
	case "invalid_grant":
		return CodeCodeRefused
	}
	return CodeRequest
}

// tokens are what the token endpoint gave. They live as long as Finish runs; the ID token
// alone is handed on, as the hint that the provider wants at sign-out.
type tokens struct{ id, access string }

// exchange swaps the code for tokens.
func (p *provider) exchange(ctx context.Context, m metadata, c Connection, f Flow, code string) (tokens, error) {
	if err := p.egress.CheckURL(m.Token); err != nil {
		return tokens{}, fail(CodeForbidden, err, "token_endpoint: "+err.Error())
	}
	seen := &witness{next: p.egress.HTTP.Transport}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: seen})
	t, err := c.oauth2(m, f.RedirectURI).Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		// Not the error itself: it has the whole answer in it.
		switch {
		case refused.Response.StatusCode >= 500:
			return tokens{}, fail(CodeUnavailable, nil, fmt.Sprintf("token_endpoint: status %d", refused.Response.StatusCode))
		case refused.ErrorCode == "" && refused.Response.StatusCode == 401:
			return tokens{}, fail(CodeInvalidClient, nil, "token_endpoint: status 401")
		case refused.ErrorCode == "":
			return tokens{}, fail(CodeTokenAnswer, nil, fmt.Sprintf("token_endpoint: status %d", refused.Response.StatusCode))
		}
		return tokens{}, fail(refusal(refused.ErrorCode), nil, oauth.Refused("token_endpoint", refused.ErrorCode, refused.ErrorDescription))
	}
	if seen.err != nil {
		return tokens{}, call("token_endpoint", seen.err)
	}
	if err != nil {
		return tokens{}, fail(CodeTokenAnswer, nil, "token_endpoint: not the JSON that it should be")
	}
	id, _ := t.Extra("id_token").(string)
	if id == "" {
		return tokens{}, fail(CodeTokenAnswer, nil, "token_endpoint: no id_token")
	}
	if len(id) > maxToken {
		return tokens{}, fail(CodeTooLarge, nil, fmt.Sprintf("ID token of %d bytes", len(id)))
	}
	return tokens{id: id, access: t.AccessToken}, nil
}

// A witness remembers what failed in a call: package oauth2 keeps only the text of it, and
// that an answer was too large and that it was too slow are different things to an operator.
type witness struct {
	next http.RoundTripper
	err  error
}

// RoundTrip implements [http.RoundTripper].
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(req)
	if err != nil {
		w.err = err
		return nil, err
	}
	resp.Body = &witnessed{resp.Body, maxDocument, w}
	return resp, nil
}

// witnessed is a body, bounded like every document of a provider.
type witnessed struct {
	io.ReadCloser
	left    int
	witness *witness
}

// Read implements [io.Reader].
func (b *witnessed) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		err = egress.ErrTooLarge
	}
	if err != nil && err != io.EOF {
		b.witness.err = err
	}
	return n, err
}
