package tenancy

import (
	"slices"

	"github.com/orgate/orgate/policy"
)

// AdminRole is the role by which administrators are known, where there is one of that slug.
const AdminRole = "admin"

// maxAdminSearch is how many members are looked at for another administrator: in a very large
// organization it is not said that there is none.
const maxAdminSearch = 2000

// LosesLastAdmin reports whether was, a membership as it was before a change that has been
// made since, was that of the last active administrator of its organization. To end it is allowed: it
// may be meant, and somebody who may change memberships can make another. But they should be told.
func LosesLastAdmin(tx Tx, was Membership) (bool, error) {
	if was.Status != policy.Active || !slices.Contains(was.Roles, AdminRole) {
		return false, nil
	}
	n := 0
	for m, err := range tx.Members(was.Organization) {
		if err != nil {
			return false, err
		}
		if m.Status == policy.Active && slices.Contains(m.Roles, AdminRole) {
			return false, nil
		}
		if n++; n == maxAdminSearch {
			return false, nil
		}
	}
	return true, nil
}
