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
