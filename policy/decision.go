package policy

import "time"

// A Verdict says what must happen next. The zero Verdict is Deny, so that a
// forgotten case fails closed.
type Verdict uint8

// The verdicts.
const (
	Deny         Verdict = iota
	Allow                // go on
	Prove                // a first proof is missing: Decision.Methods says which would do
	SecondFactor         // a second factor is missing: Decision.Methods are those that the person has
	Enroll               // a second factor is missing, and the person has none that could be it
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
	ByPerson // they have set up an authenticator app, which asks for a second factor
)

// String returns the source as logs and metrics have it, such as "domain_policy".
func (s Source) String() string {
	switch s {
	case ByOrganizationState:
		return "organization_state"
	case ByDomainPolicy:
		return "domain_policy"
	case ByOrganizationPolicy:
		return "organization_policy"
	case BySession:
		return "session"
	case ByMembership:
		return "membership"
	case ByRoute:
		return "route"
	case ByPerson:
		return "person"
	default:
		return "default"
	}
}

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
	TooOld           // the proof is older than max_age, or than the page allows
	TooOldToEnroll   // a second factor is to be enrolled, and the first proof is too old for that
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

// String returns the reason as logs and metrics have it, such as "not_signed_in".
func (r Reason) String() string {
	switch r {
	case Granted:
		return "granted"
	case PublicRoute:
		return "public_route"
	case Suspended:
		return "suspended"
	case NotSignedIn:
		return "not_signed_in"
	case MethodMissing:
		return "method_missing"
	case TooOld:
		return "too_old"
	case TooOldToEnroll:
		return "too_old_to_enroll"
	case MFAMissing:
		return "mfa_missing"
	case NoMethod:
		return "no_method"
	case Confined:
		return "confined"
	case NotMember:
		return "not_member"
	case InvitationOpen:
		return "invitation_open"
	case Deactivated:
		return "deactivated"
	case MembershipToMake:
		return "membership_to_make"
	case RoleMissing:
		return "role_missing"
	case PermissionMissing:
		return "permission_missing"
	case ConditionFalse:
		return "condition_false"
	case ConditionFailed:
		return "condition_failed"
	default:
		return "unspecified"
	}
}

// A Decision is what [Decide] found. The zero Decision is Deny.
type Decision struct {
	Verdict Verdict
	Reason  Reason
	Source  Source
	// Methods are the proofs that would help: for Prove, SecondFactor and Enroll.
	// If SSO is among them, Organization is whose identity provider to ask, and
	// Connection which, if there is no choice. Both are empty where only the
	// person's address can tell.
	Methods      Methods
	Connection   string
	Organization string
	// MaxAge is the freshness that the missing proof must have; 0: any.
	MaxAge time.Duration
	// ValidUntil is when an Allow must be asked anew because a proof grows too
	// old by then (max_age), or because a condition looked at the clock, and nobody
	// can tell when it will say no; zero: no such time.
	ValidUntil time.Time
	// Identified: every policy is met and the person is an active member (on
	// the login host alone: every policy is met). On a public route an Allow
	// comes without it too, and then the app must not be told who is there: a
	// session that does not meet the policies proves nobody.
	Identified bool
}
