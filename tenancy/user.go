package tenancy

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// EnsureUser returns the user with this address, as ParseEmail returns it, making one whose
// address is not proved yet if there is none. Nobody gets in by that alone: what a stranger
// has planted under such an address is thrown out when its owner first signs in.
func EnsureUser(tx Tx, email string, by audit.Actor, now time.Time) (User, error) {
	u, err := tx.UserByEmail(email)
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	u = User{ID: UserID(id.New("user", now)), Email: email, CreatedAt: now, UpdatedAt: now}
	if err := tx.PutUser(u); err != nil {
		return User{}, err
	}
	return u, recordUser(tx, audit.UserCreated, u, by, now)
}

// Unlink forgets by which identities the user is known at identity providers, and returns
// how many there were: the next sign-in that proves the address links anew. An operator
// says thereby that whoever has the address now is the same person.
func Unlink(tx Tx, user UserID, by audit.Actor, now time.Time) (int, error) {
	return unlinkWhere(tx, user, by, now, func(Identity) bool { return true })
}

// UnlinkFrom forgets as whom one provider knows the user.
func UnlinkFrom(tx Tx, user UserID, conn ConnectionID, by audit.Actor, now time.Time) error {
	_, err := unlinkWhere(tx, user, by, now, func(i Identity) bool { return i.Connection == conn })
	return err
}

func unlinkWhere(tx Tx, user UserID, by audit.Actor, now time.Time, which func(Identity) bool) (int, error) {
	var identities []Identity
	for i, err := range tx.Identities(user) {
		if err != nil {
			return 0, err
		}
		if which(i) {
			identities = append(identities, i)
		}
	}
	for _, i := range identities {
		if err := removeIdentity(tx, i, by, now); err != nil {
			return 0, err
		}
	}
	return len(identities), nil
}
