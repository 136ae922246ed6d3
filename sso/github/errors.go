package github

import (
	"context"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/text"
)

// A Code names what went wrong: one of the constants below, so it can label a metric. What
// package oidc has a code for has the same one here.
type Code string

// What goes wrong.
const (
	// GitHub can't be asked.
	CodeUnreachable Code = "provider_unreachable"
	CodeSlow        Code = "provider_slow"
	CodeForbidden   Code = "provider_address_refused" // egress rules: not https, an address inside, a redirect
	CodeTooLarge    Code = "provider_answer_too_large"
	CodeUnavailable Code = "provider_unavailable" // it says so itself: 5xx, too many requests

	// The settings are not good.
	CodeConnection    Code = "connection_invalid"
	CodeInvalidClient Code = "invalid_client" // wrong client id or secret
	CodeRequest       Code = "request_refused"
	CodeScope         Code = "scope_missing"

	// What the browser brought back.
	CodeCallback       Code = "callback_invalid"
	CodeState          Code = "state_mismatch"
	CodeFlowExpired    Code = "flow_expired"
	CodeResponseIssuer Code = "response_issuer_mismatch" // RFC 9207
	CodeDenied         Code = "access_denied"
	CodeCodeRefused    Code = "code_refused" // the code was used, is old, or another's

	// What GitHub says.
	CodeTokenAnswer Code = "token_answer_broken"
	CodeUser        Code = "userinfo_broken"
	CodeNoEmail     Code = "email_missing"
)

// An Error is why a sign-in did not happen.
type Error struct {
	Code Code
	// Text is for the person whose browser it is. It holds nothing that GitHub or the
	// browser sent.
	Text text.Message
	// Hint tells the operator what to do about it.
	Hint string
	// Detail is for the operator's log: what was expected and what came, printable and
	// bounded. It may hold words of GitHub's, never a token, code or secret.
	Detail string
	// Retry says that the same person may get in by trying again.
	Retry bool
	// Err is the cause, if there is one.
	Err error
}

// Error returns the log line: code, what to do, details. Not for people.
func (e *Error) Error() string {
	s := "github: " + string(e.Code) + ": " + e.Hint
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// fail makes an Error. detail may hold what a stranger wrote: it is made printable and
// bounded here.
func fail(code Code, cause error, detail string) *Error {
	said, hint, retry := describe(code)
	return &Error{Code: code, Text: said, Hint: hint, Detail: printable(detail, maxDetail), Retry: retry, Err: cause}
}

const maxDetail = 300

// printable returns s on one line, without what could move a terminal's cursor or turn the
// direction of a text, and no longer than limit bytes.
func printable(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// call explains why a call to GitHub failed. what names it: "/user".
func call(what string, err error) *Error {
	for _, reason := range []error{egress.ErrURL, egress.ErrScheme, egress.ErrUserinfo, egress.ErrAddress, egress.ErrPort, egress.ErrRedirect} {
		if errors.Is(err, reason) {
			return fail(CodeForbidden, err, what+": "+reason.Error())
		}
	}
	detail := what
	if cause := egress.Cause(err); cause != nil {
		detail += ": " + cause.Error()
	}
	switch {
	case errors.Is(err, egress.ErrTooLarge):
		return fail(CodeTooLarge, err, detail)
	case errors.Is(err, egress.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(CodeSlow, err, detail)
	}
	return fail(CodeUnreachable, err, detail)
}

// describe returns the texts of a code, and whether trying again may help.
func describe(code Code) (said text.Message, hint string, retry bool) {
	var (
		setup   = text.T("Signing in by GitHub does not work because of how it is set up. The people who run this place need to look at it.")
		refused = text.T("GitHub's answer could not be accepted.")
		again   = text.T("This sign-in can't be continued. Please start again.")
	)
	switch code {
	case CodeUnreachable:
		return text.T("GitHub can't be reached right now."), "check the network, and the url of sign_in.social", true
	case CodeSlow:
		return text.T("GitHub did not answer in time."), "GitHub is slow or hangs; check its status", true
	case CodeForbidden:
		return setup, "the url of sign_in.social must be https, without redirects, on a public address or one that the configuration allows", false
	case CodeTooLarge:
		return refused, "GitHub's answer is larger than any honest one", false
	case CodeUnavailable:
		return text.T("GitHub is having trouble right now."), "GitHub answered with an error of its own, or had too many requests", true
	case CodeConnection:
		return setup, "the provider needs a client id", false
	case CodeInvalidClient:
		return setup, "GitHub does not accept the client id or secret; the secret may have been taken back", false
	case CodeRequest:
		return setup, "GitHub refused the request; check the callback URL of the app there", false
	case CodeScope:
		return setup, "the token may not read e-mail addresses; a GitHub App needs the account permission \"Email addresses: read-only\"", false
	case CodeCallback:
		return again, "the browser came back with a malformed answer", true
	case CodeState:
		return again, "the answer is not to what this browser asked: an old tab, or somebody else's link", true
	case CodeFlowExpired:
		return text.T("That took too long. Please start again."), "the person was at GitHub for more than ten minutes", true
	case CodeResponseIssuer:
		return refused, "the answer came from another GitHub than the one asked (RFC 9207)", false
	case CodeDenied:
		return text.T("GitHub did not let you in, or you cancelled."), "the person said no, or the app is not approved there", true
	case CodeCodeRefused:
		return again, "GitHub did not accept the code: it was used before, is too old, or another browser's", true
	case CodeTokenAnswer:
		return refused, "the answer to the code has no token; check that the url of sign_in.social is a GitHub", false
	case CodeUser:
		return refused, "the API's answer is broken, or not about a person; check that the url of sign_in.social is a GitHub", false
	case CodeNoEmail:
		return text.T("GitHub knows no primary address of yours that it has verified. Verify one there, then sign in again."), "the person has no verified primary address", true
	}
	return refused, "", false
}
