package github

import (
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/idp"
)

// A Code names what went wrong: one of the constants below, so it can label a metric.
type Code = idp.Code

// An Error is why a sign-in did not happen.
type Error = idp.Error

// What goes wrong.
const (
	// GitHub can't be asked.
	CodeUnreachable = idp.CodeUnreachable
	CodeSlow        = idp.CodeSlow
	CodeForbidden   = idp.CodeForbidden // egress rules: not https, an address inside, a redirect
	CodeTooLarge    = idp.CodeTooLarge
	CodeUnavailable = idp.CodeUnavailable // it says so itself: 5xx, too many requests

	// The settings are not good.
	CodeConnection         = idp.CodeConnection
	CodeInvalidClient      = idp.CodeInvalidClient // wrong client id or secret
	CodeRequest            = idp.CodeRequest
	CodeScope         Code = "scope_missing"

	// What the browser brought back.
	CodeCallback       = idp.CodeCallback
	CodeState          = idp.CodeState
	CodeFlowExpired    = idp.CodeFlowExpired
	CodeResponseIssuer = idp.CodeResponseIssuer // RFC 9207
	CodeDenied         = idp.CodeDenied
	CodeCodeRefused    = idp.CodeCodeRefused // the code was used, is old, or another's

	// What GitHub says.
	CodeTokenAnswer = idp.CodeTokenAnswer
	CodeUser        = idp.CodeUserinfo
	CodeNoEmail     = idp.CodeNoEmail
)

// fail makes an Error. detail may hold what a stranger wrote: it is made printable and
// bounded here.
func fail(code Code, cause error, detail string) *Error {
	said, hint, retry := describe(code)
	return &Error{Protocol: "github", Code: code, Text: said, Hint: hint, Detail: idp.Printable(detail, idp.MaxDetail), Retry: retry, Err: cause}
}

// call explains why a call to GitHub failed. what names it: "/user".
func call(what string, err error) *Error {
	code, detail := idp.CallFailed(what, err)
	return fail(code, err, detail)
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
