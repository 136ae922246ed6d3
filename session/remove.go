package session

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// removalStep is how much of an organization is deleted in one transaction.
const removalStep = 50

// RemoveOrganization deletes a part of an organization whose removal has begun
// ([tenancy.BeginRemoval]): members, whose sessions in it end, the keys that are for it alone, and at last the
// organization itself. It reports whether that was all; if not, it is to be called again, in
// another transaction.
func RemoveOrganization(tx Tx, org tenancy.OrgID, by audit.Actor, now time.Time) (done bool, err error) {
	if err := RevokeAPIKeysOf(tx, org, by, now); err != nil {
		return false, err
	}
	var members []tenancy.Membership
	for m, err := range tx.Members(org) {
		if err != nil {
			return false, err
		}
		if members = append(members, m); len(members) == removalStep {
			break
		}
	}
	for _, m := range members {
		if err := Remove(tx, org, m.User, by, now); err != nil {
			return false, err
		}
	}
	if len(members) == removalStep {
		return false, nil
	}
	return tenancy.FinishRemoval(tx, org, removalStep, by, now)
}

// RemoveUser deletes a user for good, with their memberships and identities, and ends all their sessions.
// Their factors must be gone already (factor.Wipe).
func RemoveUser(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	if _, err := tx.User(user); err != nil {
		return err
	}
	if err := EndAll(tx, user, "", by, now); err != nil {
		return err
	}
	members, err := collect(tx.Memberships(user))
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := tenancy.RemoveMembership(tx, m.Organization, user, by, now); err != nil {
			return err
		}
	}
	return tenancy.RemoveUser(tx, user, by, now)
}
