package factor

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// ResetMFA removes the second factors of a user: authenticator app, passkeys and recovery
// codes, as an operator does for somebody who has lost them.
func ResetMFA(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	var ids []string
	for p, err := range tx.Passkeys(user) {
		if err != nil {
			return err
		}
		ids = append(ids, p.ID)
	}
	for _, id := range ids {
		if err := RemovePasskey(tx, user, id, by, now); err != nil {
			return err
		}
	}
	if err := RemoveTOTP(tx, user, by, now); err != nil {
		return err
	}
	if err := dropUnconfirmed(tx, user, by, now); err != nil {
		return err
	}
	return removeRecoveryCodes(tx, user, by, now)
}

// Wipe removes every factor of a user, the password too: a stranger may have set up an
// account under an address that nobody had proved, and its owner has come (attack 76).
func Wipe(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	if err := ResetMFA(tx, user, by, now); err != nil {
		return err
	}
	// It was asked for by whoever set the rest up, and went to an address of theirs.
	if err := endAppCode(tx, ForEmailChange, user); err != nil {
		return err
	}
	return RemovePassword(tx, user, by, now)
}

// Cleanse throws out what strangers may have planted in an account whose address nobody had
// proved before, if in says so (attack 76).
func Cleanse(tx AccountTx, in tenancy.SignedIn, now time.Time) error {
	if !in.Cleanse {
		return nil
	}
	if err := session.EndAll(tx, in.User.ID, "", audit.System, now); err != nil {
		return err
	}
	return Wipe(tx, in.User.ID, audit.System, now)
}

// RemovePassword removes the password. Removing what is not there is nothing.
func RemovePassword(tx Tx, user tenancy.UserID, by audit.Actor, now time.Time) error {
	switch _, err := tx.Password(user); {
	case errors.Is(err, tenancy.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if err := tx.DeletePassword(user); err != nil {
		return err
	}
	return record(tx, audit.FactorRemoved, user, "password", "", by, now)
}
