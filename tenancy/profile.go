package tenancy

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
)

// RenameUser gives the user another name, as one line of text; empty: none. Nothing is written
// if nothing changes.
func RenameUser(tx Tx, user UserID, name string, by audit.Actor, now time.Time) (User, error) {
	return changeUser(tx, user, by, now, func(u *User) error {
		u.Name = cleanName(name)
		return nil
	})
}

// ErrDomainOwned says that an organization has the domain of an address, and with it the word
// on whose the address is.
var ErrDomainOwned = errors.New("address is on an organization's verified domain")

// ChangeEmail gives the user another address, which they have proved; that they have proved
// the old one too, and the user's other sessions, are for the caller. Identities and
// memberships stay.
//
// It returns an error wrapping [ErrTaken] if the new address is another user's,
// [ErrEmailUnproved] if nobody has ever proved the old one, so that whose account it is is not
// known, and [ErrDomainOwned] if either is on a verified domain: who leaves such an address
// would leave the policy that binds them, and who takes one would be who that organization's
// provider speaks for. There the address changes where the organization keeps it.
func ChangeEmail(tx Tx, user UserID, email string, by audit.Actor, now time.Time) (User, error) {
	email, err := ParseEmail(email)
	if err != nil {
		return User{}, err
	}
	return changeUser(tx, user, by, now, func(u *User) error {
		switch {
		case email == u.Email:
			return nil
		case !u.EmailVerified:
			return ErrEmailUnproved
		}
		if err := MayChangeEmail(tx, *u, email); err != nil {
			return err
		}
		u.Email = email
		return nil
	})
}

// MayChangeEmail returns an error wrapping [ErrDomainOwned] if the user's address, or the one
// that it is to become, is on a verified domain. Whether the latter is another user's it does
// not say: that is for whoever has proved it to know.
func MayChangeEmail(tx Tx, u User, email string) error {
	for _, address := range []string{u.Email, email} {
		if _, owner, err := ownsDomain(tx, "", address); err != nil {
			return err
		} else if owner != "" {
			return fmt.Errorf("%s: %w", EmailDomain(address), ErrDomainOwned)
		}
	}
	return nil
}

func changeUser(tx Tx, user UserID, by audit.Actor, now time.Time, f func(*User) error) (User, error) {
	u, err := tx.User(user)
	if err != nil {
		return User{}, err
	}
	was := u
	if err := f(&u); err != nil {
		return User{}, err
	}
	if same(u, was) {
		return was, nil
	}
	u.UpdatedAt = now.UTC()
	if err := tx.PutUser(u); err != nil {
		return User{}, err
	}
	return u, recordUser(tx, audit.UserUpdated, u, by, now)
}
