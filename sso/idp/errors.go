package idp

import (
	"context"
	"errors"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/text"
)

// A Code names what went wrong, so it can label a metric. Those below are everybody's; a
// protocol adds its own.
type Code string

// What goes wrong in any protocol.
const (
	// The provider can't be asked.
	CodeUnreachable Code = "provider_unreachable"
	CodeSlow        Code = "provider_slow"
	CodeForbidden   Code = "provider_address_refused" // egress rules: not https, an address inside, a redirect
	CodeTooLarge    Code = "provider_answer_too_large"
	CodeUnavailable Code = "provider_unavailable" // it says so itself: 5xx, temporarily_unavailable, too many requests

	// The settings are not good.
	CodeConnection    Code = "connection_invalid"
	CodeInvalidClient Code = "invalid_client" // wrong client id or secret
	CodeRequest       Code = "request_refused"

	// What the browser brought back.
	CodeCallback       Code = "callback_invalid"
	CodeState          Code = "state_mismatch"
	CodeFlowExpired    Code = "flow_expired"
	CodeResponseIssuer Code = "response_issuer_mismatch" // RFC 9207
	CodeDenied         Code = "access_denied"
	CodeCodeRefused    Code = "code_refused" // the code was used, is old, or another's

	// What the provider says.
	CodeTokenAnswer Code = "token_answer_broken"
	CodeUserinfo    Code = "userinfo_broken"
	CodeNoEmail     Code = "email_missing"
)

// An Error is why a sign-in or a logout did not happen.
type Error struct {
	// Protocol is which package's code it is: "oidc".
	Protocol string
	Code     Code
	// Text is for the person whose browser it is. It holds nothing that the provider or
	// the browser sent.
	Text text.Message
	// Hint tells the operator what to do about it.
	Hint string
	// Detail is for the operator's log: what was expected and what came, printable and
	// bounded. It may hold words of the provider, never a token, code or secret.
	Detail string
	// Retry says that the same person may get in by trying again.
	Retry bool
	// Err is the cause, if there is one.
	Err error
}

// Error returns the log line: code, what to do, details. Not for people.
func (e *Error) Error() string {
	s := e.Protocol + ": " + string(e.Code) + ": " + e.Hint
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// MaxDetail is how long an Error's Detail is, in bytes.
const MaxDetail = 300

// CallFailed explains why a call to a provider failed. what names it: "discovery".
func CallFailed(what string, err error) (code Code, detail string) {
	for _, reason := range []error{egress.ErrURL, egress.ErrScheme, egress.ErrUserinfo, egress.ErrAddress, egress.ErrPort, egress.ErrRedirect} {
		if errors.Is(err, reason) {
			return CodeForbidden, what + ": " + reason.Error()
		}
	}
	detail = what
	if cause := egress.Cause(err); cause != nil {
		detail += ": " + cause.Error()
	}
	switch {
	case errors.Is(err, egress.ErrTooLarge):
		return CodeTooLarge, detail
	case errors.Is(err, egress.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return CodeSlow, detail
	}
	return CodeUnreachable, detail
}
