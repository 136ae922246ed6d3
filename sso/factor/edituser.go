package factor

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// EditUser changes a user as an administrator says, with what follows from it: where it is
// said that the address is theirs, whoever set up factors before had not proved it (attack 76), and they go; and
// what was proved of another address is no proof any more, so that sessions end.
func EditUser(tx interface {
	Tx
	session.Tx
}, user tenancy.UserID, e tenancy.UserEdit, by audit.Actor, now time.Time) (tenancy.User, error) {
	was, err := tx.User(user)
	if err != nil {
		return tenancy.User{}, err
	}
	u, err := tenancy.EditUser(tx, user, e, by, now)
	if err != nil {
		return tenancy.User{}, err
	}
	proved := u.EmailVerified && !was.EmailVerified
	if proved {
		if err := Wipe(tx, user, by, now); err != nil {
			return tenancy.User{}, err
		}
	}
	if proved || u.Email != was.Email {
		return u, session.EndAll(tx, user, "", by, now)
	}
	return u, nil
}
