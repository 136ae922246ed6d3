package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (a *API) sendEmailVerification(c *call) error {
	if err := c.noBody(); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		u, err := c.wholeUser(tx, id)
		if err != nil {
			return nil, err
		}
		if u.EmailVerified {
			return nil, badRequest("email_already_verified", "The address of this user is verified.")
		}
		if err := factor.MaySend(tx, string(factor.ForVerification), u.Email, c.now); err != nil {
			return nil, factorError(err, "")
		}
		x, code, err := factor.NewAppCode(tx, c.box(), factor.ForVerification, u.ID, u.Email, "", c.by, c.now)
		if err != nil {
			return nil, err
		}
		m := mail.VerifyEmailCode{Host: a.PublicURL().Host, Code: code, Minutes: codeMinutes}
		return userAnswer{tenancy.ShowUser(u)}, c.mailTo(tx, u, u.Email, m, x.ExpiresAt)
	})
}

// confirmEmailVerification marks the address as proved. Whoever set up password and factors before had not proved it, and may
// be somebody else: they are removed, and sessions end, as with every first proof of an address (attack 76).
func (a *API) confirmEmailVerification(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	code := b.required("code")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	return c.once(http.StatusOK, func(tx store.Tx) (any, error) {
		u, err := c.wholeUser(tx, id)
		if err != nil {
			return nil, err
		}
		if u.EmailVerified {
			return nil, badRequest("email_previously_verified", "The address of this user is verified.")
		}
		j, err := factor.UseAppCode(tx, c.box(), factor.ForVerification, u, code, c.now)
		if err != nil {
			return nil, err
		}
		at := factor.Attempt{User: u.ID, Email: u.Email}
		if j.Refused != nil {
			why := codeError("email_verification_code", j.Refused)
			at.Failed, at.Message = why.Code, why.Message
			return refused{why}, factor.RecordAttempt(tx, audit.EmailVerificationFailed, at, c.by, c.now)
		}
		in, err := tenancy.SignInByAddress(tx, a.Rules(), tenancy.Proven{Email: u.Email}, c.now)
		if errors.Is(err, tenancy.ErrIdentityConflict) || errors.Is(err, tenancy.ErrNotMember) {
			return refused{badRequest("email_verification_not_allowed", "The address is an organization's that speaks for this user no more, or nobody has invited it.")}, nil
		}
		if err != nil {
			return nil, err
		}
		if err := factor.Cleanse(tx, in, c.now); err != nil {
			return nil, err
		}
		return userAnswer{tenancy.ShowUser(in.User)}, factor.RecordAttempt(tx, audit.EmailVerificationSucceeded, at, c.by, c.now)
	})
}

// codeError says what is wrong with a code, by names that begin with what it is.
func codeError(what string, why error) *Error {
	if w, ok := errors.AsType[*factor.WaitError](why); ok {
		e, _ := errors.AsType[*Error](factorError(w, ""))
		return e
	}
	refuse := func(code, message string) *Error {
		return &Error{Status: http.StatusBadRequest, Code: what + code, Message: message, Err: why}
	}
	switch {
	case errors.Is(why, factor.ErrCodeUsed):
		return refuse("_previously_used", "The code was used. Ask for a new one.")
	case errors.Is(why, factor.ErrCodeExpired), errors.Is(why, factor.ErrSpent):
		return refuse("_expired", "The code is too old, or had too many wrong tries. Ask for a new one.")
	default:
		return refuse("_incorrect", "That is not the code.")
	}
}
