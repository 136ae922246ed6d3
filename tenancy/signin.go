package tenancy

import (
	"time"
)

// Rules are the installation's settings that joining depends on.
type Rules struct {
	// SingleWorkspace: a user has at most one membership (sign_in.workspaces: single).
	SingleWorkspace bool
	// InvitationOnly: nobody is made a user but by invitation, directory, a verified
	// domain's auto-join or SSO JIT (sign_in.sign_up: invitation).
	InvitationOnly bool
	// DefaultRole of the installation.
	DefaultRole string
}

// An Assertion is what an identity provider said of a person, verified.
type Assertion struct {
	Connection ConnectionID
	// Organization that the connection belongs to.
	Organization OrgID
	Subject      string
	Email        string // as the provider wrote it; parsed here
	// EmailVerified is the provider's own word; nil: it says nothing.
	EmailVerified *bool
	Name          string
	Groups        []string
	// HasGroups: the provider sent a groups claim, even an empty one.
	HasGroups  bool
	Attributes map[string]any // for Membership.Attributes
}

// SignedIn is the outcome of [SignIn].
type SignedIn struct {
	User User
	// Membership in the connection's organization; zero: none.
	Membership Membership
	// ConfinedTo is set if the session is good in that organization only.
	ConfinedTo         OrgID
	NewUser, NewMember bool
}

// SignIn finds or makes the user that an assertion is about, keeps the identity, and makes
// or updates the membership in the connection's own organization where its rules say so
// (SEMANTICS 1.3, 1.4). It returns an error wrapping one of ErrNotVouched,
// ErrEmailUnproved, ErrIdentityConflict, ErrSingleWorkspace and ErrNotFound (connection or
// organization gone, suspended or disabled). A deactivated or pending membership is no error here: policy.Decide
// says what it means.
func SignIn(tx Tx, r Rules, a Assertion, now time.Time) (SignedIn, error) { panic("") }

// MayJoin reports whether the domain rules of org make a member of a person whose address
// is proved: auto-join is on and the address is on one of its verified domains.
func MayJoin(tx Tx, org Organization, email string) (bool, error) { panic("") }

// Join makes user a member of org by auto-join. It returns the membership there is if there is one.
func Join(tx Tx, r Rules, org OrgID, user UserID, now time.Time) (m Membership, created bool, err error) {
	panic("")
}
