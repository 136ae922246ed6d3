package oidc

import (
	"errors"

	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/idp"
)

// A Code names what went wrong: one of the constants below, so it can label a metric.
type Code = idp.Code

// An Error is why a sign-in or a logout did not happen.
type Error = idp.Error

// What goes wrong.
const (
	// The provider can't be asked.
	CodeUnreachable = idp.CodeUnreachable
	CodeSlow        = idp.CodeSlow
	CodeForbidden   = idp.CodeForbidden // egress rules: not https, an address inside, a redirect
	CodeTooLarge    = idp.CodeTooLarge
	CodeUnavailable = idp.CodeUnavailable // it says so itself: 5xx, temporarily_unavailable

	// What it publishes is not good.
	CodeDiscovery      Code = "discovery_broken"
	CodeIssuerMismatch Code = "discovery_issuer_mismatch"
	CodeKeys           Code = "keys_broken"
	CodeUnsupported    Code = "provider_unsupported"

	// The connection's settings are not good.
	CodeConnection    = idp.CodeConnection
	CodeInvalidClient = idp.CodeInvalidClient // wrong client id or secret
	CodeRequest       = idp.CodeRequest

	// What the browser brought back.
	CodeCallback            = idp.CodeCallback
	CodeState               = idp.CodeState
	CodeFlowExpired         = idp.CodeFlowExpired
	CodeResponseIssuer      = idp.CodeResponseIssuer // RFC 9207
	CodeDenied              = idp.CodeDenied
	CodeLoginRequired  Code = "login_required"
	CodeCodeRefused         = idp.CodeCodeRefused // the code was used, is old, or another's

	// The token.
	CodeTokenAnswer         = idp.CodeTokenAnswer
	CodeTokenMalformed Code = "token_malformed"
	CodeAlgorithm      Code = "token_algorithm"
	CodeUnknownKey     Code = "token_key_unknown"
	CodeSignature      Code = "token_signature"
	CodeIssuer         Code = "token_issuer"
	CodeAudience       Code = "token_audience"
	CodeNonce          Code = "token_nonce"
	CodeExpired        Code = "token_expired"
	CodeTime           Code = "token_time" // not yet valid, or valid for too long
	CodeStaleLogin     Code = "login_too_old"
	CodeSubject        Code = "token_subject"
	CodeClaims         Code = "token_claims"
	CodeGroups         Code = "groups_claim"
	CodeUserinfo            = idp.CodeUserinfo
	CodeNoEmail             = idp.CodeNoEmail
	CodeLogoutToken    Code = "logout_token_invalid"
)

// fail makes an Error. detail may hold what a stranger wrote: it is made printable and
// bounded here.
func fail(code Code, cause error, detail string) *Error {
	said, hint, retry := describe(code)
	return &Error{Protocol: "oidc", Code: code, Text: said, Hint: hint, Detail: idp.Printable(detail, idp.MaxDetail), Retry: retry, Err: cause}
}

// call explains why a call to the provider failed. what names it: "discovery".
func call(what string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	code, detail := idp.CallFailed(what, err)
	return fail(code, err, detail)
}

// describe returns the texts of a code, and whether trying again may help.
func describe(code Code) (said text.Message, hint string, retry bool) {
	var (
		setup   = text.T("Signing in does not work because of how it is set up. Your administrator needs to look at it.")
		refused = text.T("Your identity provider's answer could not be accepted.")
		again   = text.T("This sign-in can't be continued. Please start again.")
	)
	switch code {
	case CodeUnreachable:
		return text.T("Your identity provider can't be reached right now."), "check the issuer URL, the network and the provider's certificate", true
	case CodeSlow:
		return text.T("Your identity provider did not answer in time."), "the provider is slow or hangs; check its status", true
	case CodeForbidden:
		return setup, "the provider's URLs must be https, without redirects, on public addresses or ones that the configuration allows", false
	case CodeTooLarge:
		return refused, "the provider's answer is larger than any honest one", false
	case CodeUnavailable:
		return text.T("Your identity provider is having trouble right now."), "the provider answered with a server error", true
	case CodeDiscovery:
		return setup, "the issuer's /.well-known/openid-configuration is missing or broken; open it in a browser", false
	case CodeIssuerMismatch:
		return setup, "set the connection's issuer to exactly what the discovery document says, down to the last slash", false
	case CodeKeys:
		return setup, "the provider's jwks_uri has no usable keys", false
	case CodeUnsupported:
		return setup, "the provider asks for something that is not supported here", false
	case CodeConnection:
		return setup, "the connection needs an https issuer and a client id", false
	case CodeInvalidClient:
		return setup, "the provider does not accept the client id or secret; it may have expired or been rotated", false
	case CodeRequest:
		return setup, "the provider refused the request; check redirect URI, scopes and grant types of the client there", false
	case CodeCallback:
		return again, "the browser came back with a malformed answer", true
	case CodeState:
		return again, "the answer is not to what this browser asked: an old tab, or somebody else's link", true
	case CodeFlowExpired:
		return text.T("That took too long. Please start again."), "the person was at the provider for more than ten minutes", true
	case CodeResponseIssuer:
		return refused, "the answer came from another issuer than the one asked, or does not say from which (RFC 9207)", false
	case CodeDenied:
		return text.T("Your identity provider did not let you in, or you cancelled."), "the provider denied access; assign the person or the group to the application there", true
	case CodeLoginRequired:
		return text.T("Your identity provider needs you to sign in there first."), "the provider wants interaction that was not asked for", true
	case CodeCodeRefused:
		return again, "the provider did not accept the code: it was used before, or is too old", true
	case CodeTokenAnswer:
		return refused, "the token endpoint's answer has no ID token; check that the client is an OpenID Connect client", false
	case CodeTokenMalformed:
		return refused, "the token is not a signed JWT", false
	case CodeAlgorithm:
		return refused, "the token is signed with an algorithm that the provider does not announce, or that is not accepted; use RS256 or ES256", false
	case CodeUnknownKey:
		return refused, "the token is signed by a key that the provider does not publish", true
	case CodeSignature:
		return refused, "the token's signature is wrong", false
	case CodeIssuer:
		return refused, "the token was issued by another provider", false
	case CodeAudience:
		return refused, "the token is for another client; check the client id", false
	case CodeNonce:
		return refused, "the token was not made for this sign-in", true
	case CodeExpired:
		return refused, "the token has expired; check the clocks on both sides", true
	case CodeTime:
		return refused, "the token's times are not plausible; check the clocks on both sides", true
	case CodeStaleLogin:
		return text.T("You need to sign in at your identity provider again, and it did not ask you to."), "the provider ignores max_age or sends no auth_time; add auth_time to the ID token there", true
	case CodeSubject:
		return refused, "the token's sub is missing, too long or not plain text", false
	case CodeClaims:
		return refused, "a claim has a type that it must not have", false
	case CodeGroups:
		return refused, "the groups claim must be a list of at most 1,000 names, in the token itself; send only groups that are assigned to the application", false
	case CodeUserinfo:
		return refused, "the userinfo endpoint's answer is broken or about somebody else", false
	case CodeNoEmail:
		return text.T("Your identity provider did not tell us your e-mail address."), "add the email claim to the ID token or to userinfo, and check the scopes", false
	case CodeLogoutToken:
		return refused, "the logout token is not a valid one", false
	}
	return refused, "", false
}
