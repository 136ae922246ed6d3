package api

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/orgate/orgate/session/client"
)

// oauthError is an error as token endpoints tell it.
func oauthError(code, message string, cause error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message, OAuth: true, Err: cause}
}

// stepUp is a sign-in that lacks something yet: what, and the token with which to bring it.
func stepUp(code, message string, extra map[string]any) *Error {
	return &Error{Status: http.StatusForbidden, Code: code, Message: message, Extra: extra}
}

// wrongProof is for a code, password or token of a sign-in that is not good.
func wrongProof(code, message string, cause error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message, Err: cause}
}

func (e *Error) with(name string, v any) *Error {
	if e.Extra == nil {
		e.Extra = map[string]any{}
	}
	e.Extra[name] = v
	return e
}

// invalidClient is for whoever is no client, or has not the secret of one: it is not said which.
func invalidClient(cause error) *Error {
	return oauthError("invalid_client", "Invalid client ID or secret.", cause)
}

// invalidGrant is for codes and refresh tokens that are no good, whatever the reason.
func invalidGrant(cause error) *Error {
	message := "It is not good, or not any more. The person signs in again."
	switch {
	case errors.Is(cause, client.ErrVerifier):
		message = "The code_verifier is not that of the code_challenge."
	case errors.Is(cause, client.ErrUsed), errors.Is(cause, client.ErrExpired):
		message = "It has expired or has already been used."
	}
	return oauthError("invalid_grant", message, cause)
}

// tooManyTries is for whoever is to wait. The SDKs read message here too.
func tooManyTries(seconds int) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Code: "too_many_requests", Message: fmt.Sprintf("Too many tries. Try again in %d s.", seconds), OAuth: true,
		Header: http.Header{"Retry-After": {fmt.Sprint(seconds)}}, Extra: map[string]any{"message": "Too many tries."},
	}
}
