package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// mayChange returns an error unless the user's address may become email, as [tenancy.ChangeEmail] will say once it is proved.
func mayChange(tx store.Tx, u tenancy.User, email string) error {
	if email == u.Email {
		return conflict("email_change_not_needed", "The user has this address.")
	}
	if !u.EmailVerified {
		return changeError(tenancy.ErrEmailUnproved)
	}
	switch _, err := tx.UserByEmail(email); {
	case err == nil:
		return changeError(tenancy.ErrTaken)
	case !errors.Is(err, tenancy.ErrNotFound):
		return err
	}
	return changeError(tenancy.MayChangeEmail(tx, u, email))
}

// changeError says why an address is not changed.
func changeError(err error) error {
	switch {
	case errors.Is(err, tenancy.ErrTaken):
		return conflict("email_not_available", "Another user has this address.")
	case errors.Is(err, tenancy.ErrEmailUnproved):
		return conflict("email_change_not_allowed", "Nobody has proved the address that the user has. Verify that first.")
	case errors.Is(err, tenancy.ErrDomainOwned):
		return conflict("email_change_not_allowed", "One of the two addresses is on the verified domain of an organization, which says whose it is.")
	}
	return err
}

func (a *API) sendEmailChange(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	typed := b.required("new_email")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	email, err := tenancy.ParseEmail(typed)
	if err != nil {
		return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_email", Message: "new_email must be an e-mail address.", Err: err}
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		u, err := c.wholeUser(tx, id)
		if err != nil {
			return nil, err
		}
		if a.Mail() == nil {
			return nil, conflict("email_change_not_allowed", "The configuration has no mail, and the code is told to nobody but the new address.")
		}
		if err := mayChange(tx, u, email); err != nil {
			return nil, err
		}
		if err := factor.MaySend(tx, string(factor.ForEmailChange), email, c.now); err != nil {
			return nil, factorError(err, "")
		}
		x, code, err := factor.NewAppCode(tx, c.box(), factor.ForEmailChange, u.ID, email, u.Email, c.by, c.now)
		if err != nil {
			return nil, err
		}
		return struct {
			Object string `json:"object"`
			userAnswer
			NewEmail  string    `json:"new_email"`
			ExpiresAt time.Time `json:"expires_at"`
			CreatedAt time.Time `json:"created_at"`
		}{"email_change", userAnswer{tenancy.ShowUser(u)}, email, x.ExpiresAt, x.CreatedAt}, c.mailTo(tx, u, email, mail.AppChangeEmailCode{Host: a.PublicURL().Host, Code: code, Minutes: codeMinutes}, x.ExpiresAt)
	})
}

// confirmEmailChange gives the user the address that the code went to, ends their sessions and tells the old address.
func (a *API) confirmEmailChange(c *call) error {
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
		was, err := c.wholeUser(tx, id)
		if err != nil {
			return nil, err
		}
		j, err := factor.UseAppCode(tx, c.box(), factor.ForEmailChange, was, code, c.now)
		if err != nil {
			return nil, err
		}
		if j.Refused == nil && j.Code.About != was.Email {
			j.Refused = factor.ErrNone // the address was changed otherwise since
		}
		switch {
		case errors.Is(j.Refused, factor.ErrNone):
			return refused{conflict("no_pending_email_change", "No change of this user's address is under way.")}, nil
		case errors.Is(j.Refused, factor.ErrCodeUsed):
			return refused{conflict("email_change_code_previously_used", "The code was used.")}, nil
		case errors.Is(j.Refused, factor.ErrCodeTries):
			return refused{&Error{Status: http.StatusTooManyRequests, Code: "email_change_too_many_attempts", Message: "The code had too many wrong tries. Ask for a new one."}}, nil
		case j.Refused != nil:
			return refused{codeError("email_change_code", j.Refused)}, nil //nolint:nilerr // it is committed, and the answer says so
		}
		u, err := tenancy.ChangeEmail(tx, was.ID, j.Code.Email, c.by, c.now)
		if err != nil {
			if _, ok := errors.AsType[*Error](changeError(err)); ok {
				return refused{changeError(err)}, nil // the code is used up all the same
			}
			return nil, err
		}
		if err := session.EndAll(tx, u.ID, "", c.by, c.now); err != nil {
			return nil, err
		}
		return struct {
			Object string `json:"object"`
			userAnswer
		}{"email_change_confirmation", userAnswer{tenancy.ShowUser(u)}}, c.mailTo(tx, was, was.Email, mail.EmailChanged{Host: a.PublicURL().Host, Email: u.Email}, c.now.Add(noticeLife))
	})
}
