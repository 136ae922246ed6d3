package session

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// AnswerLife is how long an answer waits for its browser: as long as a person may take to say
// yes to it.
const AnswerLife = 5 * time.Minute

// answerUse is what an answer that was taken is remembered as.
const answerUse = "sso answer"

// An Answer is what an identity provider had a browser post to us, verified. A browser brings no
// cookies with what another site has it post; so the answer waits until the browser comes by itself.
type Answer struct {
	// ID is in the address that the browser is sent to, and Token, of which this is the
	// hash, in a cookie: neither will do alone.
	ID    Hash `json:"id"`
	Token Hash `json:"token"`

	Connection   tenancy.ConnectionID `json:"connection_id"`
	Organization tenancy.OrgID        `json:"organization_id"`
	// Subject and SID are whose it is and of which of the provider's sessions, as
	// [UpstreamSession] has them: an answer whose session has ended there is none any more.
	Subject string `json:"subject,omitzero"`
	SID     string `json:"sid,omitzero"`
	// RelayState is what came with it.
	RelayState string `json:"relay_state,omitzero"`
	// Sealed is what the provider says, sealed.
	Sealed    []byte    `json:"sealed"`
	ExpiresAt time.Time `json:"expires_at"`
}

// KeepAnswer keeps an answer for the browser that has both tokens. It fills in ID, Token and
// ExpiresAt.
func KeepAnswer(tx Tx, a Answer, now time.Time) (id, token Token, err error) {
	if a.Connection == "" || a.Organization == "" || len(a.Sealed) == 0 {
		return Token{}, Token{}, errors.New("an answer has a connection, its organization, and something to say")
	}
	id, token = NewToken(), NewToken()
	a.ID, a.Token, a.ExpiresAt = id.Hash(), token.Hash(), now.UTC().Add(AnswerLife)
	return id, token, tx.PutAnswer(a)
}

// LookAtAnswer returns an answer without using it up. Whatever is not there, is another
// browser's, or is over, is an error wrapping [ErrExpired].
func LookAtAnswer(tx Tx, id, token Hash, now time.Time) (Answer, error) {
	a, err := tx.Answer(id)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return Answer{}, fmt.Errorf("no such answer: %w", ErrExpired)
	case err != nil:
		return Answer{}, err
	case token == (Hash{}), subtle.ConstantTimeCompare(a.Token[:], token[:]) != 1, !now.Before(a.ExpiresAt):
		return Answer{}, fmt.Errorf("answer of another browser, or an old one: %w", ErrExpired)
	}
	return a, nil
}

// TakeAnswer is [LookAtAnswer], once: the second time is an error wrapping [ErrUsed].
func TakeAnswer(tx Tx, id, token Hash, now time.Time) (Answer, error) {
	a, err := LookAtAnswer(tx, id, token, now)
	if err != nil {
		return Answer{}, err
	}
	return a, tx.Use(answerUse, id.String(), a.ExpiresAt.Add(AnswerLife))
}

// dropAnswers drops the answers that wait and are of a provider's session that has ended; with an
// empty sid, all of the subject's.
func dropAnswers(tx Tx, conn tenancy.ConnectionID, subject, sid string) error {
	waiting, err := collect(tx.AnswersOf(conn, subject))
	if err != nil {
		return err
	}
	for _, a := range waiting {
		if sid != "" && a.SID != sid {
			continue
		}
		if err := tx.DeleteAnswer(a.ID); err != nil {
			return err
		}
	}
	return nil
}
