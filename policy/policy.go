// Package policy decides who may do what, and what is still to be proved.
//
// It owns the vocabulary of proofs, policies, route rules and decisions, and one
// pure function over them, [Decide]. It reads no clock, no store and no
// configuration, and imports nothing of this module: whatever a decision depends
// on is in its [Facts], so that a decision can be replayed from a log line, asked
// by `orgate explain`, and enumerated by a test.
//
// It does not own how a proof is made (package sso), who people are (package
// tenancy) or where any of it is kept (package store).
//
// The invariant: the zero [Decision] is Deny, and a fact that is absent never
// helps anyone in.
package policy

import "time"

// A Policy is a predicate over the proofs of a session. The zero Policy asks for
// any one first proof that the installation offers.
type Policy struct {
	// Methods are the first proofs that will do. Empty means SSO and every
	// method of the installation. Second factors in it have no effect.
	Methods Methods `json:"methods,omitzero"`
	// Connection is the id of the SSO connection by which an SSO proof must
	// have come, one of the policy's own organization. Empty: any of those.
	Connection string `json:"connection,omitzero"`
	// MFA asks for a second, different factor of whoever did not come by SSO
	// or by a user-verifying passkey.
	MFA bool `json:"mfa,omitzero"`
	// MaxAge is how old the proofs that meet the policy may be. 0: as old as
	// the session.
	MaxAge time.Duration `json:"max_age,omitzero"`
}

// A Proof is one successful act of authentication inside a session.
type Proof struct {
	Method Method `json:"method"`
	// Connection and Organization are the SSO connection that vouched and the
	// organization that it belongs to; empty for local factors. Of a social provider,
	// Connection is its id, and it belongs to no organization.
	Connection   string `json:"connection,omitzero"`
	Organization string `json:"organization,omitzero"`
	// UserVerified: a passkey whose authenticator verified its user (WebAuthn
	// UV flag), which stands for both factors.
	UserVerified bool      `json:"user_verified,omitzero"`
	At           time.Time `json:"at"`
	// Undated: At is when a provider told us of the person, and it did not say when they
	// had signed in there, which may be months ago. However new, such a proof is older
	// than any MaxAge, and too old to set up a factor on.
	Undated bool `json:"undated,omitzero"`
}

// A Bound is a policy together with where it comes from.
type Bound struct {
	Policy
	// Organization is the id of the organization whose policy this is.
	Organization string
	// Name says whose policy it is in words, such as "acme.com" for a domain
	// policy and "acme" for an organization policy.
	Name string
	// Only is the id of the organization's connection if it has exactly one
	// active one; empty otherwise. SSO can be asked without a choice only then
	// or where the policy names a connection.
	Only string
	// NoSSO: the organization has no active connection, or not the one that
	// the policy names. SSO is then never asked for on behalf of this policy.
	NoSSO bool
	// ConnectionName is the name of the named or only connection, for
	// [Decision.Explain]; empty: its id is shown.
	ConnectionName string
}
