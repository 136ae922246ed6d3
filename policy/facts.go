package policy

import (
	"fmt"
	"time"
)

// A Standing is the state of a person's membership in the organization asked for.
type Standing uint8

// The standings. NoMember is the zero value, so that a membership that was not
// looked up is none.
const (
	NoMember Standing = iota
	Pending           // invited, not accepted
	Active
	Inactive // deactivated; only a deliberate act brings it back
)

var standingNames = [...]string{NoMember: "none", Pending: "pending", Active: "active", Inactive: "inactive"}

// String returns the name that the store, the API and events use, such as "active".
func (s Standing) String() string {
	if int(s) >= len(standingNames) {
		return "none"
	}
	return standingNames[s]
}

// MarshalText implements [encoding.TextMarshaler].
func (s Standing) MarshalText() ([]byte, error) {
	if int(s) >= len(standingNames) {
		return nil, fmt.Errorf("no such membership status: %d", uint8(s))
	}
	return []byte(standingNames[s]), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Standing) UnmarshalText(b []byte) error {
	for i, name := range standingNames {
		if name == string(b) {
			*s = Standing(i)
			return nil
		}
	}
	return fmt.Errorf("unknown membership status %q: want pending, active, inactive or none", b)
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

	// Proofs are those of the live session; none: not signed in. A proof by a
	// connection that is disabled or gone is left out.
	Proofs []Proof
	// ConfinedTo is the organization that the session is good in, if its only
	// proof is an SSO answer about an address that is not on that
	// organization's verified domains (SEMANTICS 1.3.2). Empty: not confined.
	ConfinedTo string

	// Domain is the policy of the verified domain of the person's address, or
	// nil: the address is unknown, or on no verified domain. It is there for
	// every verified domain, with the zero Policy if its organization states
	// none: it also says whose identity provider speaks for the person outside
	// that provider's own organization. Without it, nobody's does.
	Domain *Bound
	// Own is the policy of the organization asked for; nil is the zero Policy
	// with nothing known of its connections.
	Own *Bound
	// Offered are the methods that this installation can ask for now, second
	// factors included. What is not offered is never asked for, and no first proof by
	// it meets a policy.
	Offered Methods
	// Enrolled are the local factors that the person has set up: of password, passkey,
	// TOTP and recovery code. Whoever has TOTP is asked for a second factor wherever a
	// local factor stands first, as if each policy asked for it: they chose so.
	Enrolled Methods
	// Fresh is how old a proof may be at the most, whatever the policies say; 0: as
	// they say. Pages that change factors ask for it, and whoever has a passkey is asked for
	// a second factor there: else whoever reads their mail could add a passkey of their own.
	Fresh time.Duration

	Standing Standing
	// MayJoin: the organization's rules admit the person as an active member
	// (auto_join of a verified domain).
	MayJoin bool

	Roles       []string
	Permissions []string
	// Attributes are member.attributes in CEL.
	Attributes map[string]any
	Guest      bool
	// Email is the person's address, proved or only claimed; empty: unknown.
	Email string

	// Rule is the route rule that matched the request, or nil: an active
	// member is needed and no more.
	Rule *Rule
	// Request is what CEL conditions see of the request.
	Request Request

	// failure is why the condition of Rule could not be evaluated when it was decided on, for [Decision.Explain]: it is not
	// evaluated again, which may take as long as it is allowed to.
	failure error
}

// A Request is what a rule may look at in a request.
type Request struct {
	Method, Path, Host string
	RemoteIP           string
	// Country is the two letters that a trusted proxy says the address is from; empty:
	// unknown.
	Country string
}
