package api

import (
	"errors"

	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// byMagicAuth judges a code that the client had sent to an address, and the person typed in there.
func (s *signIn) byMagicAuth() error {
	email, code, invitation := s.body.email("email"), s.body.required("code"), s.body.text("invitation_token")
	if err := s.body.done(); err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		if stop, err := s.allowed(tx, email, policy.EmailCode); err != nil || stop != nil {
			return nil, stop, err
		}
		u, used, refused, err := s.useCode(tx, factor.ForMagicAuth, email, code)
		if err != nil || refused != nil {
			return nil, refusal(refused), err
		}
		in, err := tenancy.SignInByAddress(tx, s.api.Rules(), tenancy.Proven{Email: email}, s.now)
		switch {
		case errors.Is(err, tenancy.ErrNotMember):
			return nil, oauthError("sign_up_not_allowed", "Nobody has invited this address.", err), nil
		case isRefusal(err):
			return nil, oauthError("invalid_profile", "An organization's identity provider knew this address before.", err), nil
		case err != nil:
			return nil, nil, err
		}
		if err := factor.Cleanse(tx, in, s.now); err != nil {
			return nil, nil, err
		}
		if err := s.tell(tx, magicAuthEvents, u); err != nil {
			return nil, nil, err
		}
		p := client.Pending{Client: s.client.ID, User: u.ID, Email: email, Proofs: []policy.Proof{{Method: policy.EmailCode, At: s.now}}}
		if stop, err := s.withInvitation(tx, &p, invitation); err != nil || stop != nil {
			return nil, refusal(stop), err
		}
		if p.Invitation == "" {
			p.Invitation = tenancy.InvitationID(used.About) // that the code was asked for with
		}
		return s.proceed(tx, p)
	})
}

// useCode judges a code that was sent to an address. Where nobody has it, the answer is that to a wrong code.
func (s *signIn) useCode(tx store.Tx, purpose factor.Purpose, email, code string) (u tenancy.User, used factor.EmailCode, refused *Error, err error) {
	kind := magicAuthEvents
	if purpose == factor.ForVerification {
		kind = verificationEvents
	}
	if wait, err := s.fromNetwork(tx); err != nil {
		return u, used, nil, err
	} else if wait > 0 {
		return u, used, waitError(wait), nil
	}
	u, err = tx.UserByEmail(email)
	judged := factor.Judged{Refused: factor.ErrNone}
	switch {
	case err == nil:
		judged, err = factor.UseAppCode(tx, s.box(), purpose, u, code, s.now)
	case errors.Is(err, tenancy.ErrNotFound):
		err = nil
	}
	if err != nil {
		return u, used, nil, err
	}
	if wait, ok := errors.AsType[*factor.WaitError](judged.Refused); ok {
		return u, used, waitError(wait.Wait), nil
	}
	if judged.Refused != nil {
		why := codeRefused(judged.Refused)
		return u, used, why, s.tellFailed(tx, kind, tenancy.User{ID: u.ID, Email: email}, why)
	}
	return u, judged.Code, nil, nil
}

// verifyFirst has the address of an account proved that nobody has proved yet.
func (s *signIn) verifyFirst(tx store.Tx, p client.Pending, u tenancy.User) (any, error, error) {
	c, err := s.sendVerification(tx, u)
	if err != nil {
		return nil, nil, err
	}
	p.Code = c.ID
	return s.wait(tx, p, stepUp("email_verification_required", "Email ownership must be verified before authentication.",
		map[string]any{"email": u.Email, "email_verification_id": c.ID}), nil)
}

// byVerification adds the code that was sent to an address which nobody had proved.
func (s *signIn) byVerification() error {
	token, code := s.body.required("pending_authentication_token"), s.body.required("code")
	if err := s.body.done(); err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		p, u, refused, err := s.resume(tx, token)
		if err != nil || refused != nil {
			return nil, refused, err
		}
		if p.Code == "" {
			return nil, otherStep(), nil
		}
		_, _, wrong, err := s.useCode(tx, factor.ForVerification, u.Email, code)
		if err != nil || wrong != nil {
			return nil, refusal(wrong), err
		}
		in, err := tenancy.SignInByAddress(tx, s.api.Rules(), tenancy.Proven{Email: u.Email}, s.now)
		switch {
		case errors.Is(err, tenancy.ErrNotMember):
			return nil, oauthError("sign_up_not_allowed", "Nobody has invited this address.", err), nil
		case isRefusal(err):
			return nil, oauthError("invalid_profile", "An organization's identity provider knew this address before.", err), nil
		case err != nil:
			return nil, nil, err
		}
		if in.Cleanse {
			// All but the password: whoever reads the mail knows it.
			if err := errors.Join(session.EndAll(tx, u.ID, "", s.person(u.ID), s.now), factor.ResetMFA(tx, u.ID, s.person(u.ID), s.now), factor.EndAppCodes(tx, u.ID)); err != nil {
				return nil, nil, err
			}
		}
		if err := s.tell(tx, verificationEvents, u); err != nil {
			return nil, nil, err
		}
		if err := client.UsePending(tx, p, s.now); err != nil {
			return nil, nil, err
		}
		p.Code = ""
		p.Proofs = append(p.Proofs, policy.Proof{Method: policy.EmailCode, At: s.now})
		return s.proceed(tx, p)
	})
}

// sendVerification makes a code by which the address of an account is proved, and mails it. Where orgate sends no
// mail the client does, which hears of it by its event.
func (s *signIn) sendVerification(tx store.Tx, u tenancy.User) (factor.EmailCode, error) {
	if err := factor.MaySend(tx, string(factor.ForVerification), u.Email, s.now); err != nil {
		return factor.EmailCode{}, err
	}
	c, digits, err := factor.NewAppCode(tx, s.box(), factor.ForVerification, u.ID, u.Email, "", s.by, s.now)
	if err != nil {
		return factor.EmailCode{}, err
	}
	return c, s.mailTo(tx, u, u.Email, mail.VerifyEmailCode{Host: s.api.PublicURL().Host, Code: digits, Minutes: codeMinutes}, c.ExpiresAt)
}
