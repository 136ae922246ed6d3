package passkey

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
)

// A Code names what went wrong: one of the constants below, so it can label a metric.
type Code string

// What goes wrong.
const (
	// On our side.
	CodeRequest Code = "request_invalid"   // the caller asks for what there can't be
	CodeStored  Code = "credential_broken" // a stored credential is not what we stored
	CodeLookUp  Code = "lookup_failed"     // the store could not be asked
	CodePanic   Code = "library_panic"

	// The ceremony.
	CodeCeremony Code = "ceremony_mismatch" // none, of another kind, or another user's
	CodeExpired  Code = "ceremony_expired"

	// The answer, as the browser made it.
	CodeTooLarge  Code = "answer_too_large"
	CodeMalformed Code = "answer_malformed"
	CodeType      Code = "type_mismatch" // of a registration for a sign-in, or the reverse
	CodeChallenge Code = "challenge_mismatch"
	CodeOrigin    Code = "origin_mismatch"
	CodeFramed    Code = "cross_origin"

	// The answer, as the authenticator made it.
	CodeRelyingParty Code = "relying_party_mismatch"
	CodePresence     Code = "user_not_present"
	CodeVerification Code = "user_not_verified"
	CodeBackup       Code = "backup_flags"
	CodeAttestation  Code = "attestation_refused"
	CodeAlgorithm    Code = "algorithm_refused"
	CodeKey          Code = "key_refused"

	// The credential.
	CodeUnknown    Code = "credential_unknown"
	CodeNotAllowed Code = "credential_not_asked_for"
	CodeHandle     Code = "user_handle_mismatch"
	CodeSignature  Code = "signature_wrong"
	CodeCloned     Code = "credential_cloned" // the counter did not go up: there are two of it
)

// An Error is why a passkey was not registered or not taken.
type Error struct {
	Code Code
	// Text is for the person whose browser it is. It holds nothing that the browser sent.
	Text string
	// Hint tells the operator what it means.
	Hint string
	// Detail is for the operator's log: what was expected and what came, printable and
	// bounded.
	Detail string
	// Retry says that the same person may get in by trying again.
	Retry bool
	// Err is the cause, if there is one.
	Err error
}

// Error returns the log line: code, what it means, details. Not for people.
func (e *Error) Error() string {
	s := "passkey: " + string(e.Code) + ": " + e.Hint
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
	text, hint, retry := describe(code)
	return &Error{Code: code, Text: text, Hint: hint, Detail: printable(cut(detail, maxDetail)), Retry: retry, Err: cause}
}

const maxDetail = 300

// printable returns s on one line, without what could move a terminal's cursor or turn the
// direction of a text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// quote shows the beginning of what a stranger wrote.
func quote(s string) string { return strconv.QuoteToASCII(cut(s, 100)) }

// cut returns the beginning of s, at most limit bytes and whole runes.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// guard calls f and makes a panic an error: the library reads what strangers send.
func guard[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			var none T
			v, err = none, fail(CodePanic, nil, fmt.Sprint(p))
		}
	}()
	return f()
}

// library returns the error of a verification by the library, after our own checks.
func library(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		switch e.Type {
		case protocol.ErrAssertionSignature.Type:
			return fail(CodeSignature, err, err.Error())
		case protocol.ErrInvalidAttestation.Type, protocol.ErrAttestation.Type:
			return fail(CodeAttestation, err, err.Error())
		}
	}
	return fail(CodeMalformed, err, err.Error())
}

// describe returns the texts of a code, and whether trying again may help.
func describe(code Code) (text, hint string, retry bool) {
	const (
		again = "That did not work. Please try again."
		ours  = "Something went wrong on our side. Please try again."
		other = "This device or security key can't be used here. Please try another one."
		use   = "This passkey can't be used here. Please sign in another way."
	)
	switch code {
	case CodeRequest:
		return ours, "a ceremony was asked for that there can't be", false
	case CodeStored:
		return use, "the stored credential is broken", false
	case CodeLookUp:
		return ours, "the credential could not be looked up", true
	case CodePanic:
		return again, "the WebAuthn library panicked on an answer; please report it", false
	case CodeCeremony:
		return again, "the answer is to no ceremony of this browser: an old tab, or another user's", true
	case CodeExpired:
		return "That took too long. Please try again.", "the person took more than five minutes, or the clocks of the replicas differ", true
	case CodeTooLarge:
		return again, "the answer is larger than any honest one", false
	case CodeMalformed:
		return again, "the answer is not what a browser sends", false
	case CodeType:
		return again, "the answer is of another type of ceremony", true
	case CodeChallenge:
		return again, "the answer is to another challenge: an old tab, or a replay", true
	case CodeOrigin:
		return again, "the passkey was used at another origin; if it is one of yours, check public_url", false
	case CodeFramed:
		return again, "the passkey was used in a frame of another site", false
	case CodeRelyingParty:
		return use, "the passkey is of another relying party; if it was one of yours, has public_url changed?", false
	case CodePresence:
		return again, "the authenticator did not ask that somebody be there", true
	case CodeVerification:
		return "Your device did not check that it is you. Please set up its screen lock, fingerprint or PIN, and try again.", "the authenticator did not verify its user", true
	case CodeBackup:
		return use, "the authenticator contradicts itself or what it said before about backups", false
	case CodeAttestation:
		return other, "an attestation came that was not asked for, or its signature is wrong", false
	case CodeAlgorithm:
		return other, "the key is of an algorithm that was not asked for", false
	case CodeKey:
		return other, "the public key is not a good one", false
	case CodeUnknown:
		return "This passkey is not known here; it may have been removed. Please sign in another way.", "the credential is not stored, or not for this user", false
	case CodeNotAllowed:
		return "That is not one of your passkeys here. Please use one of them.", "the credential is not one of those asked for", true
	case CodeHandle:
		return use, "the answer names another user than the credential's", false
	case CodeSignature:
		return again, "the signature is not by the stored key", false
	case CodeCloned:
		return "This passkey can't be used any more: there seems to be a copy of it. Please sign in another way, and remove it.", "the counter did not go up: the authenticator was copied, or an answer is a replay", false
	}
	return again, "", false
}
