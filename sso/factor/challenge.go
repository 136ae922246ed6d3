package factor

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

const (
	// ChallengeLife is how long a challenge may be answered.
	ChallengeLife = 10 * time.Minute
	// ChallengeTries is how many wrong codes end it.
	ChallengeTries = 5
)

// ErrNotByAPI says that a factor can't be asked for by a challenge: a passkey is proved in the browser.
var ErrNotByAPI = errors.New("a passkey is proved in a browser alone")

// A Challenge asks for a code of an authenticator app, by the API. A right code answers it once.
type Challenge struct {
	ID     string         `json:"id"`     // auth_challenge_…
	Factor string         `json:"factor"` // its id in the API
	User   tenancy.UserID `json:"user_id,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Tries     int       `json:"tries,omitzero"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// NewChallenge makes a challenge of a factor. The error wraps [ErrNone] if there is none, and is [ErrNotByAPI].
func NewChallenge(tx Tx, factorID string, now time.Time) (Challenge, error) {
	f, err := ByID(tx, factorID)
	if err != nil {
		return Challenge{}, err
	}
	if f.Passkey != "" {
		return Challenge{}, ErrNotByAPI
	}
	c := Challenge{ID: id.New("auth_challenge", now), Factor: f.ID, User: f.User, CreatedAt: now.UTC(), UpdatedAt: now.UTC(), ExpiresAt: now.UTC().Add(ChallengeLife)}
	return c, tx.PutChallenge(c)
}

// spent says why a challenge can't be answered; nil: it can.
func (c Challenge) spent(now time.Time) error {
	switch {
	case !c.UsedAt.IsZero():
		return ErrCodeUsed
	case c.Tries >= ChallengeTries:
		return ErrCodeTries
	case !now.Before(c.ExpiresAt):
		return ErrCodeExpired
	default:
		return nil
	}
}

// An Answered is what became of an answer to a challenge. Refused is nil if the code is right, and else wraps [ErrNone] (there
// is no such challenge, or its factor is gone), [ErrWrong] or [ErrSpent], or is a [*WaitError]. The transaction
// must be committed whatever it is: the try is counted in it.
type Answered struct {
	Challenge Challenge
	Factor    Shown
	// Confirmed: the factor is the user's second factor from now on, by this code.
	Confirmed bool
	Refused   error
}

// UseChallenge judges a code as the answer to a challenge. Guesses at a user's factor are counted with those on the
// sign-in pages, and a code that was accepted there is not accepted here, nor the other way round.
func UseChallenge(tx Tx, box Sealer, challengeID, typed string, by audit.Actor, now time.Time) (Answered, error) {
	c, err := tx.Challenge(challengeID)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Answered{Refused: ErrNone}, nil
	}
	if err != nil {
		return Answered{}, err
	}
	a := Answered{Challenge: c}
	if a.Factor, err = ByID(tx, c.Factor); errors.Is(err, ErrNone) || err == nil && a.Factor.User != c.User {
		a.Refused = ErrNone
		return a, nil
	} else if err != nil {
		return Answered{}, err
	}
	if a.Refused = c.spent(now); a.Refused != nil {
		return a, nil //nolint:nilerr // an answer, and no error of the transaction
	}
	guessed, whose := Guesses(GuessSecond), string(c.User)
	if c.User == "" {
		guessed, whose = Guesses(GuessApp), c.Factor
	}
	if wait, err := guessed.Attempt(tx, whose, now); err != nil {
		return Answered{}, err
	} else if wait > 0 {
		a.Refused = &WaitError{wait}
		return a, nil
	}
	c.Tries++
	c.UpdatedAt = now.UTC()
	err = useFactor(tx, box, a.Factor, typed, by, now)
	switch {
	case err == nil:
		c.UsedAt, a.Confirmed = now.UTC(), a.Factor.Unconfirmed
		if err := guessed.Success(tx, whose); err != nil {
			return Answered{}, err
		}
	case errors.Is(err, ErrWrong), errors.Is(err, ErrExists), errors.Is(err, ErrNone):
		a.Refused = err
	default:
		return Answered{}, err
	}
	a.Challenge = c
	return a, tx.PutChallenge(c)
}

// useFactor judges a code of an authenticator app, whosever it is; each code is accepted once.
func useFactor(tx Tx, box Sealer, shown Shown, code string, by audit.Actor, now time.Time) error {
	if !shown.Unconfirmed && shown.User != "" {
		return UseTOTP(tx, box, shown.User, code, now)
	}
	f, err := tx.APIFactor(shown.ID)
	if err != nil {
		return err
	}
	secret, err := box.Open(totpPurpose, f.sealedAbout(), f.Secret)
	if err != nil {
		return fmt.Errorf("authenticator app: %w", err)
	}
	step, ok := matchTOTP(string(secret), code, f.Step, now)
	if !ok {
		return ErrWrong
	}
	if f.User != "" {
		return f.confirm(tx, box, secret, step, by, now)
	}
	f.Step, f.LastUsedAt = step, now.UTC()
	f.Secret = box.Seal(totpPurpose, f.sealedAbout(), secret) // under the key that seals now
	return tx.PutAPIFactor(f)
}
