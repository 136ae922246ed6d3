package api

import (
	"errors"
	"net/http"
	"slices"

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
	var hash string
	err := c.hashing(func() { hash = factor.HashPassword(*password) })
	return hash, err
}

// hashing runs f, the hashing of a password, when it is its turn.
func (c *call) hashing(f func()) error {
	select {
	case c.api.hashers <- struct{}{}:
		defer func() { <-c.api.hashers }()
		f()
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// A newPassword is what is said of a password in a body: itself, or the hash that another system made of it.
type newPassword struct {
	password             *string
	hash, kind, position string
}

// passwordIn reads a password or a hash of one.
func passwordIn(b body) (p newPassword, err error) {
	p.password = b.text("password")
	hash, kind, position := b.text("password_hash"), b.text("password_hash_type"), b.text("password_salt_position")
	both := func(code, message string) (newPassword, error) { return newPassword{}, badRequest(code, message) }
	switch {
	case p.password != nil && hash != nil:
		return both("password_and_password_hash_provided", "Give a password or the hash of one, not both.")
	case p.password != nil && kind != nil:
		return both("password_and_password_hash_type_provided", "A password_hash_type goes with a password_hash.")
	case position != nil && hash == nil:
		return both("password_salt_position_requires_password_hash", "A password_salt_position goes with a password_hash.")
	case hash == nil && kind != nil:
		b.fault("required", "password_hash", "is required with password_hash_type")
	case hash != nil && kind == nil:
		b.fault("required", "password_hash_type", "is required with password_hash")
	case hash != nil:
		p.hash, p.kind = *hash, *kind
		if !slices.Contains([]string{"bcrypt", "firebase-scrypt", "ssha", "ssha256", "scrypt", "pbkdf2", "argon2"}, p.kind) {
			b.fault("invalid", "password_hash_type", "must be bcrypt, firebase-scrypt, ssha, ssha256, scrypt, pbkdf2 or argon2")
		}
		if p.hash == "" {
			b.fault("required", "password_hash", "must not be empty")
		}
	}
	if position != nil {
		p.position = *position
		if p.position != "prefix" && p.position != "suffix" || p.kind != "ssha256" {
			b.fault("invalid", "password_salt_position", "must be prefix or suffix, with the type ssha256 alone")
		}
	}
	return p, nil
}

// kept returns what is to be kept of the password that u is to have; empty: none was given. Call it outside of
// transactions.
func (c *call) kept(p newPassword, u tenancy.User) (string, error) {
	if p.hash == "" {
		return c.hashed(p.password, u)
	}
	var hash string
	var bad error
	if err := c.hashing(func() { hash, bad = factor.ImportPassword(p.kind, p.position, p.hash) }); err != nil {
		return "", err
	}
	switch {
	case errors.Is(bad, factor.ErrHashType):
		return "", invalid(Fault{"not_supported", "password_hash", "argon2d is not supported: argon2id and argon2i are"})
	case bad != nil:
		return "", badRequest("invalid_password_hash", "password_hash is not of its type, in the form that docs/api.md names, or costs more to check than it may.")
	}
	return hash, nil
}
