package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const codeMinutes = int(factor.EmailCodeLife / time.Minute)

// A codeObject is a code as the reference has it. Code is empty once it can't be used any more, for a key that only reads, and for
// a code of the sign-in pages, which is kept by a hash.
type codeObject struct {
	factor.CodeObject
	Code string `json:"code"`
}

// mayProve reports whether the policies that bind whoever has the address accept the method as a first proof.
func (c *call) mayProve(tx store.Tx, email string, m policy.Method) (bool, error) {
	v, err := session.Gather(tx, session.Query{Email: email, Offered: c.api.Offered(), Now: c.now})
	if err != nil {
		return false, err
	}
	d := policy.Decide(&v.Facts)
	return d.Verdict == policy.Prove && d.Methods.Has(m), nil
}

func (a *API) createMagicAuth(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	email := b.required("email")
	checkEmail(b, email)
	invitation := b.text("invitation_token")
	b.ignored("ip_address", "user_agent", "signals_id", "radar_auth_attempt_id") // hints for what looks for bots
	if err := b.done(); err != nil {
		return err
	}
	if email, err = tenancy.ParseEmail(email); err != nil {
		return err
	}
	return c.postSecret(http.StatusCreated, func(tx store.Tx) (any, error) {
		about := ""
		if invitation != nil {
			t, ok := tenancy.ParseInvitationToken(*invitation)
			i, err := tenancy.Invitation{}, tenancy.ErrNotFound
			if ok {
				i, err = tenancy.LookUpInvitation(tx, t, c.now)
			}
			if errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrInviteNotPending) || errors.Is(err, tenancy.ErrInviterGone) || err == nil && i.Email != email {
				return nil, oauthError("invitation_invalid", "The invitation is not open, or is to another address.", nil)
			}
			if err != nil {
				return nil, err
			}
			about = string(i.ID)
		}
		if may, err := c.mayProve(tx, email, policy.EmailCode); err != nil {
			return nil, err
		} else if !may {
			return nil, oauthError("authentication_method_not_allowed", "Codes by e-mail are not offered here, or a policy does not accept them for this address.", nil)
		}
		expected, err := tenancy.Expected(tx, a.Rules(), email, c.now)
		if err != nil {
			return nil, err
		}
		if !expected {
			return nil, oauthError("sign_up_not_allowed", "Nobody has an account with this address, and sign-up is by invitation.", nil)
		}
		if err := factor.MaySend(tx, string(factor.ForMagicAuth), email, c.now); err != nil {
			return nil, factorError(err, "")
		}
		u, err := tenancy.EnsureUser(tx, email, c.by, c.now)
		if err != nil {
			return nil, err
		}
		x, code, err := factor.NewAppCode(tx, c.box(), factor.ForMagicAuth, u.ID, u.Email, about, c.by, c.now)
		if err != nil {
			return nil, err
		}
		m := mail.AppSignInCode{Host: a.PublicURL().Host, Code: code, Minutes: codeMinutes}
		return codeObject{factor.ShowCode(x, u.ID), code}, c.mailTo(tx, u, u.Email, m, x.ExpiresAt)
	})
}

func (a *API) getMagicAuth(c *call) error {
	return c.showCode("Magic Auth", factor.ForMagicAuth, factor.ForSignIn, factor.ForSocialLink)
}

func (a *API) getEmailVerification(c *call) error {
	return c.showCode("Email verification", factor.ForVerification)
}

// showCode shows a code, if it is for one of the purposes.
func (c *call) showCode(what string, purposes ...factor.Purpose) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	var shown codeObject
	return c.viewed(&shown, func(tx store.Tx) error {
		x, u, err := c.code(tx, what, id, purposes...)
		if err != nil {
			return err
		}
		shown = codeObject{CodeObject: factor.ShowCode(x, u)}
		if c.key.ReadOnly {
			return nil
		}
		shown.Code, err = factor.RevealAppCode(c.box(), x, c.now)
		return err
	})
}

// code returns a code and whose it is, if it is for one of the purposes.
func (c *call) code(tx store.Tx, what, id string, purposes ...factor.Purpose) (factor.EmailCode, tenancy.UserID, error) {
	x, err := tx.EmailCode(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		return x, "", notFound(what, id)
	}
	if err != nil {
		return x, "", err
	}
	user := x.User
	if !x.App {
		// The pages make codes for addresses of nobody too, and those are not told of here.
		u, err := tx.UserByEmail(x.Email)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return x, "", err
		}
		user = u.ID
	}
	for _, p := range purposes {
		if x.Purpose == p && user != "" {
			return x, user, nil
		}
	}
	return x, "", notFound(what, id)
}
