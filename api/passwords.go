package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/tenancy"
)

// maxHashing is how many passwords are hashed at a time: each takes memory.
const maxHashing = 2

// hashed returns the hash of the password that u is to have; empty: none was given. Call it outside of
// transactions.
func (c *call) hashed(password *string, u tenancy.User) (string, error) {
	if password == nil {
		return "", nil
	}
	if err := factor.CheckNewPassword(*password, u.Email, u.Name, u.FirstName, u.LastName); err != nil {
		code := "password_not_allowed"
		if fault, ok := errors.AsType[factor.PasswordFault](err); ok {
			code = map[factor.PasswordFault]string{
				factor.ErrPasswordShort: "password_too_short", factor.ErrPasswordLong: "password_too_long", factor.ErrPasswordUnreadable: "password_unreadable",
				factor.ErrPasswordCommon: "password_too_weak", factor.ErrPasswordPersonal: "password_too_weak",
			}[fault]
		}
		return "", &Error{
			Status: http.StatusBadRequest, Code: "password_strength_error", Message: "Password does not meet strength requirements.",
			Faults: []Fault{{code, "password", err.Error()}},
		}
	}
	select {
	case c.api.hashers <- struct{}{}:
		defer func() { <-c.api.hashers }()
	case <-c.ctx.Done():
		return "", c.ctx.Err()
	}
	return factor.HashPassword(*password), nil
}
