package session

import (
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// MemberFacts are those of a member who has just signed in as every policy asks: what is left for
// [policy.Decide] to judge is the organization, the membership and a rule. It is for questions
// about a member who need not be there; a request is judged by its session and [Gather].
func MemberFacts(tx Tx, m tenancy.Membership, now time.Time) (policy.Facts, error) {
	signedIn := Session{ID: "session_", User: m.User, Proofs: []policy.Proof{{Method: policy.EmailCode, At: now}}}
	v, err := Gather(tx, Query{Organization: m.Organization, Session: signedIn, Offered: policy.MethodsOf(policy.EmailCode), Now: now})
	if err != nil {
		return policy.Facts{}, err
	}
	f := v.Facts
	f.Domain, f.Own = nil, &policy.Bound{Organization: f.Organization, Name: string(v.Organization.Slug)}
	f.Enrolled, f.ConfinedTo = 0, ""
	return f, nil
}
