package api

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A resetObject is a password reset as the reference has it. Token and URL are known to whoever has just made it, and
// empty elsewhere: a hash is stored.
type resetObject struct {
	factor.ResetObject
	Token string `json:"password_reset_token"`
	URL   string `json:"password_reset_url"`
}

func (c *call) resetURL(t factor.ResetToken) string {
	public := c.api.PublicURL()
	return (&url.URL{Scheme: public.Scheme, Host: public.Host, Path: "/password-reset/" + t.Reveal()}).String()
}

// passwordsOffered returns an error unless people sign in by password here.
func (c *call) passwordsOffered() error {
	if c.api.Offered().Has(policy.Password) {
		return nil
	}
	return &Error{Status: http.StatusForbidden, Code: "email_password_auth_disabled", Message: "Nobody signs in by password here: sign_in.methods of the configuration does not have it."}
}

func (a *API) createPasswordReset(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	email := b.required("email")
	checkEmail(b, email)
	if err := b.done(); err != nil {
		return err
	}
	if err := c.passwordsOffered(); err != nil {
		return err
	}
	if email, err = tenancy.ParseEmail(email); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		u, err := tx.UserByEmail(email)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil, &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: "No user has this address."}
		}
		if err != nil {
			return nil, err
		}
		may, err := factor.MayReset(tx, u.ID, c.now)
		if err == nil && may {
			may, err = c.mayProve(tx, email, policy.Password)
		}
		if err != nil {
			return nil, err
		}
		if !may {
			return nil, &Error{
				Status: http.StatusForbidden, Code: "password_reset_not_allowed",
				Message: "A policy does not accept a password for this address, or the user has a passkey and no password.",
			}
		}
		if err := factor.MaySend(tx, "password_reset", email, c.now); err != nil {
			return nil, factorError(err, "")
		}
		r, token, err := factor.NewReset(tx, u.ID, c.by, c.now)
		if err != nil {
			return nil, err
		}
		o := resetObject{factor.ShowReset(r), token.Reveal(), c.resetURL(token)}
		return o, c.mailTo(tx, u, u.Email, mail.ResetLink{Host: a.PublicURL().Host, URL: o.URL, ExpiresAt: r.ExpiresAt}, r.ExpiresAt)
	})
}

func (a *API) getPasswordReset(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	var shown resetObject
	return c.viewed(&shown, func(tx store.Tx) error {
		r, err := tx.Reset(id)
		if errors.Is(err, tenancy.ErrNotFound) { // perhaps one of the sign-in pages
			var x factor.EmailCode
			var user tenancy.UserID
			x, user, err = c.code(tx, "Password reset", id, factor.ForPasswordReset)
			r = x.AsReset(user)
		}
		shown = resetObject{ResetObject: factor.ShowReset(r)}
		return err
	})
}

// resetError says why a password was not set.
func resetError(code, field, message string) error {
	return &Error{Status: http.StatusBadRequest, Code: "password_reset_error", Message: "Could not reset the password.", Faults: []Fault{{code, field, message}}}
}

func (a *API) confirmPasswordReset(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	token, password := b.required("token"), b.required("new_password")
	if err := b.done(); err != nil {
		return err
	}
	if err := c.passwordsOffered(); err != nil {
		return err
	}
	var u tenancy.User
	find := func(tx store.Tx) (factor.Reset, error) {
		r, err := factor.FindReset(tx, token, c.now)
		switch {
		case errors.Is(err, factor.ErrNone):
			err = &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: "There is no password reset with this token."}
		case errors.Is(err, factor.ErrCodeExpired):
			err = resetError("password_reset_token_expired", "token", "The token is too old. Ask for a new one.")
		case errors.Is(err, factor.ErrSpent):
			err = resetError("password_reset_token_used", "token", "The token was used, or the password was changed since. Ask for a new one.")
		}
		if err == nil {
			u, err = tx.User(r.User)
		}
		return r, err
	}
	if err := c.view(func(tx store.Tx) error {
		_, err := find(tx) // before anything is hashed for it
		return err
	}); err != nil {
		return err
	}
	hash, err := c.hashed(&password, u)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Code, e.Faults[0].Field = "password_reset_error", "new_password"
	}
	if err != nil {
		return err
	}
	return c.once(http.StatusOK, func(tx store.Tx) (any, error) {
		r, err := find(tx)
		if err != nil {
			return nil, err
		}
		done, err := factor.FinishReset(tx, a.Rules(), r, hash, c.by, c.now)
		switch {
		case errors.Is(err, session.ErrUsed):
			return nil, resetError("password_reset_token_used", "token", "The token was used. Ask for a new one.")
		case errors.Is(err, tenancy.ErrIdentityConflict), errors.Is(err, tenancy.ErrNotMember):
			return nil, resetError("password_reset_not_allowed", "token", "The address is an organization's that speaks for this user no more, or nobody has invited it.")
		case err != nil:
			return nil, err
		}
		answer := userAnswer{User: tenancy.ShowUser(done)}
		return answer, c.notify(tx, done, mail.PasswordChanged{Host: a.PublicURL().Host})
	})
}

// A userAnswer has the user that something was done with.
type userAnswer struct {
	User tenancy.UserObject `json:"user"`
}
