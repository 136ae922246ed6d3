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

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// A Method is a way of proving who one is.
type Method uint8

// The methods. SSO is the organization's own identity provider, over OIDC or
// SAML; the rest are local factors. TOTP and RecoveryCode are second factors
// only; they never stand first.
const (
	SSO Method = 1 + iota
	EmailCode
	Password
	Passkey
	Social
	TOTP
	RecoveryCode
	endOfMethods
)

var methodNames = [...]string{SSO: "sso", EmailCode: "email_code", Password: "password", Passkey: "passkey", Social: "social", TOTP: "totp", RecoveryCode: "recovery_code"}

// String returns the name that YAML, headers and events use, such as "email_code".
func (m Method) String() string {
	if m == 0 || m >= endOfMethods {
		return "none"
	}
	return methodNames[m]
}

// ParseMethod returns the method of that name.
func ParseMethod(s string) (Method, error) {
	for m := SSO; m < endOfMethods; m++ {
		if methodNames[m] == s {
			return m, nil
		}
	}
	return 0, fmt.Errorf("unknown sign-in method %q: want one of %s", s, strings.Join(methodNames[SSO:], ", "))
}

// MarshalText implements [encoding.TextMarshaler].
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (m *Method) UnmarshalText(b []byte) (err error) { *m, err = ParseMethod(string(b)); return err }

// Methods is a set of methods. The zero Methods is empty.
type Methods uint16

// MethodsOf returns the set of ms.
func MethodsOf(ms ...Method) Methods {
	var s Methods
	for _, m := range ms {
		s |= 1 << m
	}
	return s
}

// Has reports whether m is in s.
func (s Methods) Has(m Method) bool { return m != 0 && s&(1<<m) != 0 }

// List returns the methods of s in the order of their definition.
func (s Methods) List() []Method {
	var ms []Method
	for m := SSO; m < endOfMethods; m++ {
		if s.Has(m) {
			ms = append(ms, m)
		}
	}
	return ms
}

// String returns the names of the methods, comma-separated.
func (s Methods) String() string {
	var names []string
	for _, m := range s.List() {
		names = append(names, m.String())
	}
	return strings.Join(names, ", ")
}

// MarshalJSON writes s as a list of names.
func (s Methods) MarshalJSON() ([]byte, error) { return json.Marshal(s.List()) }

// UnmarshalJSON reads a list of names.
func (s *Methods) UnmarshalJSON(b []byte) error {
	var ms []Method
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	*s = MethodsOf(ms...)
	return nil
}

// A Policy is a predicate over the proofs of a session. The zero Policy asks for
// any one first proof that the installation offers.
type Policy struct {
	// Methods are the first proofs that will do. Empty means SSO and every
	// method of the installation.
	Methods Methods `json:"methods,omitzero"`
	// Connection is the id of the SSO connection by which an SSO proof must
	// have come. Empty means any connection of the policy's own organization.
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
	// organization that it belongs to; empty for local factors.
	Connection   string `json:"connection,omitzero"`
	Organization string `json:"organization,omitzero"`
	// UserVerified: a passkey whose authenticator verified its user (WebAuthn
	// UV flag), which stands for both factors.
	UserVerified bool      `json:"user_verified,omitzero"`
	At           time.Time `json:"at"`
}

// A Standing is the state of a person's membership in the organization asked for.
type Standing uint8

// The standings. NoMember is the zero value.
const (
	NoMember Standing = iota
	Pending           // invited, not accepted
	Active
	Inactive // deactivated; only a deliberate act brings it back
)

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
}

// Facts is all that a decision depends on.
type Facts struct {
	Now time.Time

	// OrganizationActive: the organization asked for exists and is not
	// suspended. False denies everything, public routes too.
	OrganizationActive bool
	// Organization is its id. On the login host alone (no organization chosen
	// yet) it is empty and OrganizationActive is true: then only the domain
	// policy is judged, and membership is not.
	Organization string

	// Proofs are those of the live session; none: not signed in.
	Proofs []Proof
	// ConfinedTo is the organization that the session is good in, if its only
	// proof is an SSO answer about an address that is not on that
	// organization's verified domains (SEMANTICS 1.3.2). Empty: not confined.
	ConfinedTo string

	// Domain is the policy of the verified domain of the person's address, or
	// nil: the address is unknown, or on no verified domain.
	Domain *Bound
	// Own is the policy of the organization asked for, or nil.
	Own *Bound
	// Offered are the methods that this installation can ask for now. What is
	// not offered is never asked for.
	Offered Methods
	// SecondFactor: the person has one enrolled (TOTP, passkey, ...).
	SecondFactor bool

	Standing Standing
	// MayJoin: the organization's rules admit the person as an active member
	// (auto_join of a verified domain).
	MayJoin bool

	Roles       []string
	Permissions []string
	// Attributes are member.attributes in CEL.
	Attributes map[string]any
	Guest      bool
	Email      string

	// Rule is the route rule that matched the request, or nil: an active
	// member is needed and no more.
	Rule *Rule
	// Request is what CEL conditions see of the request.
	Request Request
}

// A Request is what a rule may look at in a request.
type Request struct {
	Method, Path, Host string
	RemoteIP           string
}

// A Verdict says what must happen next. The zero Verdict is Deny, so that a
// forgotten case fails closed.
type Verdict uint8

// The verdicts.
const (
	Deny         Verdict = iota
	Allow                // go on
	Prove                // a first proof is missing: Decision.Methods says which would do
	SecondFactor         // a second factor is missing, and one is enrolled
	Enroll               // a second factor is missing, and none is enrolled
	Join                 // everything is proved; the membership is still to be made
)

// String returns the verdict as logs and explain print it.
func (v Verdict) String() string {
	switch v {
	case Allow:
		return "allow"
	case Prove:
		return "prove"
	case SecondFactor:
		return "second_factor"
	case Enroll:
		return "enroll"
	case Join:
		return "join"
	default:
		return "deny"
	}
}

// A Source is the kind of rule that decided.
type Source uint8

// The sources. The zero Source is the default denial.
const (
	ByDefault Source = iota
	ByOrganizationState
	ByDomainPolicy
	ByOrganizationPolicy
	BySession
	ByMembership
	ByRoute
)

// A Reason is why, in a closed list, so that logs and metrics have bounded labels.
type Reason uint8

// The reasons.
const (
	Unspecified Reason = iota
	Granted
	PublicRoute
	Suspended        // the organization is suspended or gone
	NotSignedIn      // no proof at all
	MethodMissing    // proofs are there, but none that the policy accepts
	TooOld           // the proof is older than max_age
	MFAMissing       // second factor
	NoMethod         // nothing that the policy accepts is offered here
	Confined         // the session is good in another organization only
	NotMember        // no membership, and no rule that makes one
	InvitationOpen   // membership pending
	Deactivated      // membership inactive
	MembershipToMake // join
	RoleMissing
	PermissionMissing
	ConditionFalse
	ConditionFailed // a CEL condition that could not be evaluated denies
)

// A Decision is what [Decide] found. The zero Decision is Deny.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	Source  Source
	// Methods are the proofs that would help, for Prove. Connection is the one
	// SSO connection to go to, if there is no choice; Organization is whose.
	Methods      Methods
	Connection   string
	Organization string
	// MaxAge is the freshness that the missing proof must have; 0: any.
	MaxAge time.Duration
	// ValidUntil is when an Allow must be asked anew because a proof grows too
	// old by then (max_age); zero: no such time.
	ValidUntil time.Time
}
