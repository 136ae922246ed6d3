package sso_test

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// plant sets up factors as a stranger would.
func plant(tx store.Tx, user tenancy.UserID, now time.Time) error {
	if err := factor.SetPassword(tx, user, factor.HashPassword("the password of mallory"), audit.System, now); err != nil {
		return err
	}
	if err := tx.PutTOTP(factor.TOTP{User: user, Secret: []byte("sealed"), CreatedAt: now}); err != nil {
		return err
	}
	_, err := factor.NewRecoveryCodes(tx, user, audit.System, now)
	return err
}
