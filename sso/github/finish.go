package github

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/url"
	"time"

	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oauth"
)

// Finish ends a sign-in: it turns what the browser brought back to the redirect URI into
// what GitHub says of the person. The flow is the one that this browser started; a flow
// that the caller could not find is the zero Flow. The error is an [*Error].
//
// The caller lets a flow be finished once, successful or not. (GitHub lets a code be used
// once, too.)
func (c *Client) Finish(ctx context.Context, a App, f Flow, callback url.Values, now time.Time) (Assertion, error) {
	ctx, cancel := context.WithTimeout(ctx, idp.FinishLimit)
	defer cancel()
	// The state comes first: before it is right, nothing else of the request means anything.
	if err := f.check(a, callback, now); err != nil {
		return Assertion{}, err
	}
	code, err := answer(a, callback)
	if err != nil {
		return Assertion{}, err
	}
	token, err := c.exchange(ctx, a, f, code)
	if err != nil {
		return Assertion{}, err
	}
	u, err := c.user(ctx, a, token)
	if err != nil {
		return Assertion{}, err
	}
	email, err := c.email(ctx, a, token)
	if err != nil {
		return Assertion{}, err
	}
	return Assertion{Subject: u.subject(), Email: email, Name: u.name()}, nil
}

// check returns nil if the callback answers this flow, and the flow is this app's.
func (f Flow) check(a App, callback url.Values, now time.Time) error {
	if fault := oauth.CheckCallback(callback); fault != "" {
		return fail(CodeCallback, nil, fault)
	}
	switch {
	case f.State == "" || f.Verifier == "" || subtle.ConstantTimeCompare([]byte(f.State), []byte(callback.Get("state"))) != 1:
		return fail(CodeState, nil, "")
	case f.App != a.ID || f.Site != a.site() || f.ClientID != a.ClientID:
		return fail(CodeState, nil, "the flow was started for another app")
	}
	if fault := idp.CheckAge(f.StartedAt, now); fault != "" {
		return fail(CodeFlowExpired, nil, fault)
	}
	return nil
}

// answer returns the code of a callback whose state is right, or GitHub's error.
func answer(a App, callback url.Values) (string, error) {
	// RFC 9207. github.com says it; older servers do not, and an address that is no other
	// provider's has to do.
	if want := a.site() + "/login/oauth"; callback.Has("iss") && callback.Get("iss") != want {
		return "", fail(CodeResponseIssuer, nil, fmt.Sprintf("expected %q, got %q", want, idp.Printable(callback.Get("iss"), 100)))
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

// refusal returns what an error code of GitHub's means.
func refusal(code string) Code {
	switch code {
	case "access_denied":
		return CodeDenied
	case "bad_verification_code":
		return CodeCodeRefused
	case "incorrect_client_credentials":
		return CodeInvalidClient
	case "unverified_user_email":
		return CodeNoEmail
	case "application_suspended", "temporarily_unavailable", "server_error":
		return CodeUnavailable
	}
	return CodeRequest
}
