package tenancy

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
)

// MayJoin reports whether the domain rules of org make a member of a person whose address
// is proved: auto-join is on and the address is on one of its verified domains.
func MayJoin(tx Tx, org Organization, email string) (bool, error) {
	if !org.AutoJoin || org.Suspended {
		return false, nil
	}
	owns, _, err := ownsDomain(tx, org.ID, email)
	return owns, err
}

// Join makes user a member of org by auto-join. It returns the membership there is if there is one.
//
// That the session has proved the user's address is for the caller to know; here it is
// asked that the address was proved ever, and that the rules hold now. If not, the error
// wraps [ErrNotMember].
func Join(tx Tx, r Rules, org OrgID, user UserID, now time.Time) (m Membership, created bool, err error) {
	o, m, err := membershipOf(tx, org, user)
	if err != nil || m.Status != policy.NoMember {
		return m, false, err
	}
	u, err := tx.User(user)
	if err != nil {
		return Membership{}, false, err
	}
	may, err := MayJoin(tx, o, u.Email)
	if err != nil {
		return Membership{}, false, err
	}
	if !may || !u.EmailVerified {
		return Membership{}, false, ErrNotMember
	}
	m.Roles, m.RoleSource = defaultRoles(r, o), RoleDefault
	m, err = makeMembership(tx, r, m, policy.Active, personally(user), now)
	return m, err == nil, err
}

// personally is the actor of what a person brings about by signing in.
func personally(user UserID) audit.Actor { return audit.Actor{Type: "user", ID: string(user)} }
