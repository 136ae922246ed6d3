package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
)

// verifyChallenge judges a code. That it is wrong is an answer; that no more are judged is an error. Either way the try is
// counted.
func (a *API) verifyChallenge(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	code := b.required("code")
	if err := b.done(); err != nil {
		return err
	}
	id := c.r.PathValue("id")
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		done, err := factor.UseChallenge(tx, c.box(), id, code, c.by, c.now)
		if err != nil {
			return nil, err
		}
		if done.Refused != nil && !errors.Is(done.Refused, factor.ErrWrong) {
			return refused{challengeError(done.Refused, id)}, nil
		}
		if err := c.afterChallenge(tx, done); err != nil {
			return nil, err
		}
		return struct {
			Challenge challengeObject `json:"challenge"`
			Valid     bool            `json:"valid"`
		}{showChallenge(done.Challenge), done.Refused == nil}, nil
	})
}

// afterChallenge tells of a code that was judged: in an event, and to the user whose second factor it has become.
func (c *call) afterChallenge(tx store.Tx, done factor.Answered) error {
	if done.Factor.User == "" {
		return nil // of a person whom orgate does not know
	}
	u, err := tx.User(done.Factor.User)
	if err != nil {
		return err
	}
	at, event := factor.Attempt{User: u.ID, Email: u.Email}, audit.MFASucceeded
	if done.Refused != nil {
		event, at.Failed, at.Message = audit.MFAFailed, "invalid_one_time_code", "wrong code"
	}
	if err := factor.RecordAttempt(tx, event, at, c.by, c.now); err != nil {
		return err
	}
	if !done.Confirmed {
		return nil
	}
	return c.notify(tx, u, mail.FactorAdded{Host: c.api.PublicURL().Host, Factor: mail.AuthenticatorApp})
}

// challengeError says why an answer to a challenge was not judged.
func challengeError(why error, id string) error {
	refuse := func(status int, code, message string) error {
		return &Error{Status: status, Code: code, Message: message, Err: why}
	}
	switch {
	case errors.Is(why, factor.ErrNone):
		return notFound("Authentication challenge", id)
	case errors.Is(why, factor.ErrCodeTries):
		return refuse(http.StatusBadRequest, "one_time_code_too_many_attempts", "The challenge had too many wrong codes. Make a new one.")
	case errors.Is(why, factor.ErrCodeExpired):
		return refuse(http.StatusUnprocessableEntity, "authentication_challenge_expired", "The challenge is too old. Make a new one.")
	case errors.Is(why, factor.ErrSpent):
		return refuse(http.StatusUnprocessableEntity, "authentication_challenge_previously_verified", "The challenge was verified before. Make a new one.")
	}
	return factorError(why, id)
}
