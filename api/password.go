package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// byPassword judges an address and a password. What the policies say of the address comes first, as on the pages,
// and depends on nothing but its domain; from there on it is the same answer, after the same work, whether there is
// such an account, it has another password, or none.
func (s *signIn) byPassword() error {
	email, password, invitation := s.body.email("email"), s.body.required("password"), s.body.text("invitation_token")
	if err := s.body.done(); err != nil {
		return err
	}
	var stop error
	var user tenancy.User
	var kept factor.Password
	err := s.update(func(tx store.Tx) (err error) {
		user, kept = tenancy.User{}, factor.Password{}
		if stop, err = s.allowed(tx, email, policy.Password); err != nil || stop != nil {
			return err
		}
		if user, err = tx.UserByEmail(email); err == nil {
			kept, err = tx.Password(user.ID)
		}
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		stop, err = s.attempt(tx, factor.GuessPassword, email)
		return err
	})
	if err != nil {
		return err
	}
	if stop != nil {
		return told(stop)
	}
	right, anew, err := s.matches(kept.Hash, password)
	if err != nil {
		return err
	}
	return s.answerIn(func(tx store.Tx) (any, error, error) {
		wrong := wrongProof("invalid_credentials", "The address or the password is wrong.", nil)
		refuse := func() (any, error, error) {
			return nil, wrong, s.tellFailed(tx, passwordEvents, tenancy.User{Email: email}, wrong)
		}
		if !right {
			return refuse()
		}
		// The policies may have changed while it was hashed, and so may the password.
		if stop, err := s.allowed(tx, email, policy.Password); err != nil || stop != nil {
			return nil, stop, err
		}
		u, err := tx.User(user.ID)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return nil, nil, err
		}
		p, perr := tx.Password(user.ID)
		if perr != nil && !errors.Is(perr, tenancy.ErrNotFound) {
			return nil, nil, perr
		}
		if err != nil || perr != nil || p.Hash != kept.Hash || u.Email != email {
			return refuse()
		}
		if anew != "" { // the same password at today's cost, so it is no change of it
			p.Hash = anew
			if err := tx.PutPassword(p); err != nil {
				return nil, nil, err
			}
		}
		if err := factor.Guesses(factor.GuessPassword).Success(tx, email); err != nil {
			return nil, nil, err
		}
		pending := client.Pending{Client: s.client.ID, User: u.ID, Email: email, Proofs: []policy.Proof{{Method: policy.Password, At: s.now}}}
		if stop, err := s.withInvitation(tx, &pending, invitation); err != nil || stop != nil {
			return nil, refusal(stop), err
		}
		if !u.EmailVerified {
			// Whoever made the account may not be whose address it is: a code by mail first.
			return s.verifyFirst(tx, pending, u)
		}
		if _, err := tenancy.SignInByAddress(tx, s.api.Rules(), tenancy.Proven{Email: email}, s.now); isRefusal(err) {
			return refuse()
		} else if err != nil {
			return nil, nil, err
		}
		if err := s.tell(tx, passwordEvents, u); err != nil {
			return nil, nil, err
		}
		return s.proceed(tx, pending)
	})
}

// isRefusal reports whether err is the answer to a proof, rather than a fault of ours.
func isRefusal(err error) bool {
	return errors.Is(err, tenancy.ErrNotMember) || errors.Is(err, tenancy.ErrNotFound) || errors.Is(err, tenancy.ErrIdentityConflict)
}

// withInvitation notes the invitation that a sign-in is to accept when it is complete.
func (s *signIn) withInvitation(tx store.Tx, p *client.Pending, token *string) (*Error, error) {
	if token == nil || *token == "" {
		return nil, nil
	}
	i, stop, err := s.invitationOf(tx, *token)
	if err != nil || stop != nil {
		return stop, err
	}
	if i.Email != p.Email {
		return oauthError("invitation_cannot_be_used_for_email", "The invitation is for another address.", nil), nil
	}
	p.Invitation = i.ID
	return nil, nil
}

// allowed says why whoever has an address can't sign in by a method, by the policy of its domain and what this
// installation offers; nil: they can. It is asked of a stranger, so it tells nothing of accounts.
func (s *signIn) allowed(tx store.Tx, email string, m policy.Method) (refused, err error) {
	v, d, err := s.decide(tx, "", session.Session{}, email)
	switch {
	case err != nil:
		return nil, err
	case d.Verdict == policy.Prove && d.Methods.Has(m):
		return nil, nil
	case !s.api.Offered().Has(m) && m == policy.Password:
		return stepUp("email_password_auth_disabled", "Signing in by password is not switched on here.", nil), nil
	case !s.api.Offered().Has(m):
		return stepUp("authentication_method_not_allowed", "This way of signing in is not switched on here.", nil), nil
	}
	stop, err := s.lacks(tx, v, d)
	return refusal(stop), err
}

// attempt counts a guess at the account of an address before it is judged, with those on the sign-in pages. Where the
// person is, only the client can say.
func (s *signIn) attempt(tx store.Tx, what, email string) (refused, err error) {
	wait, err := s.fromNetwork(tx)
	if err == nil && wait <= 0 {
		wait, err = factor.Guesses(what).Attempt(tx, email, s.now)
	}
	if err != nil || wait <= 0 {
		return nil, err
	}
	return waitError(wait), nil
}

// fromNetwork counts a guess from the network of the person, or says how long to wait.
func (s *signIn) fromNetwork(tx store.Tx) (wait time.Duration, err error) {
	ip, err := netip.ParseAddr(s.browser.RemoteIP)
	if err != nil {
		return 0, nil //nolint:nilerr // the client does not say where the person is
	}
	if wait, err = factor.GuessesFrom().Take(tx, factor.Network(ip).String(), s.now); err != nil || wait > 0 {
		return wait, err
	}
	return factor.GuessesAround().Take(tx, factor.Around(ip).String(), s.now)
}

func waitError(wait time.Duration) *Error { return tooManyTries(max(1, int(wait.Seconds()))) }

// told is an answer that may be to wait.
func told(err error) error {
	if wait, ok := errors.AsType[*factor.WaitError](err); ok {
		return waitError(wait.Wait)
	}
	return err
}

// hashingWait is how long a request waits for its turn to have a password compared.
const hashingWait = 5 * time.Second

// matches compares a password when it is its turn: each takes memory. anew is what to keep of it from now on; empty: the
// hash there is.
func (s *signIn) matches(hash, password string) (right bool, anew string, err error) {
	ctx, cancel := context.WithTimeout(s.ctx, hashingWait)
	defer cancel()
	select {
	case s.api.hashers <- struct{}{}:
		defer func() { <-s.api.hashers }()
		if right = factor.MatchPassword(hash, password); right && factor.Outdated(hash) {
			anew = factor.HashPassword(password)
		}
		return right, anew, nil
	case <-ctx.Done():
		return false, "", &Error{
			Status: http.StatusServiceUnavailable, Code: "busy", Message: "Too many passwords are being checked right now. Try again.", Err: ctx.Err(), Header: http.Header{"Retry-After": {"5"}},
		}
	}
}

// events are those of a proof.
type events struct{ succeeded, failed string }

var (
	passwordEvents     = events{audit.PasswordSucceeded, audit.PasswordFailed}
	magicAuthEvents    = events{audit.MagicAuthSucceeded, audit.MagicAuthFailed}
	mfaEvents          = events{audit.MFASucceeded, audit.MFAFailed}
	verificationEvents = events{audit.EmailVerificationSucceeded, audit.EmailVerificationFailed}
)

// person is the actor of what a person does, by way of a client.
func (s *signIn) person(u tenancy.UserID) audit.Actor {
	return audit.Actor{Type: "user", ID: string(u)}
}

// tell tells of a proof.
func (s *signIn) tell(tx store.Tx, e events, u tenancy.User) error {
	return factor.RecordAttempt(tx, e.succeeded, factor.Attempt{User: u.ID, Email: u.Email, IP: s.browser.RemoteIP, UserAgent: s.browser.UserAgent}, s.person(u.ID), s.now)
}

// tellFailed tells of one that failed, now and then: all are counted, but whoever guesses must not fill the store
// with events.
func (s *signIn) tellFailed(tx store.Tx, e events, u tenancy.User, why *Error) error {
	if !s.api.rates.heard.AllowN(s.now, 1) {
		return nil
	}
	return factor.RecordAttempt(tx, e.failed, factor.Attempt{
		User: u.ID, Email: u.Email, IP: s.browser.RemoteIP, UserAgent: s.browser.UserAgent, Failed: why.Code, Message: why.Message,
	}, audit.System, s.now)
}

// codeRefused says what is wrong with a code.
func codeRefused(why error) *Error {
	code, message := "invalid_one_time_code", "The code is wrong."
	switch {
	case errors.Is(why, factor.ErrCodeUsed):
		code, message = "one_time_code_previously_used", "The code was used before."
	case errors.Is(why, factor.ErrCodeTries):
		code, message = "one_time_code_too_many_attempts", "There were too many wrong codes. Ask for a new one."
	case errors.Is(why, factor.ErrCodeExpired):
		code, message = "one_time_code_expired", "The code has expired. Ask for a new one."
	}
	return wrongProof(code, message, why)
}
