package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A Refresh is a refresh token. Each is good once, and leads to the next; all that led to one session are
// remembered as long as it lives.
type Refresh struct {
	Hash      session.Hash `json:"hash"`
	Client    string       `json:"client_id"`
	Session   session.ID   `json:"session_id"`
	ExpiresAt time.Time    `json:"expires_at"`
	UsedAt    time.Time    `json:"used_at,omitzero"`
}

// IssueRefresh makes a refresh token of the session of a client.
func IssueRefresh(tx Tx, s session.Session) (session.Token, error) {
	if s.Client == "" || s.Parent == "" {
		return session.Token{}, errors.New("refresh token for a session that is not a client's")
	}
	t := session.NewToken()
	return t, tx.PutRefreshToken(Refresh{Hash: t.Hash(), Client: s.Client, Session: s.ID, ExpiresAt: s.ExpiresAt})
}

// LookAtRefresh returns the token that a client presents, and the session that it is of, without using it up.
//
// refused wraps [ErrNone], [ErrUsed] or [session.ErrEnded]. As with [UseCode] the transaction must be committed
// all the same: whoever presents a used token, or one of another client, has it from somewhere that it should not be, and
// one of the two is not the app, so the session ends.
func LookAtRefresh(tx Tx, presented, client string, l session.Limits, now time.Time) (t Refresh, s, parent session.Session, refused, err error) {
	t, err = find(tx.RefreshToken, presented)
	switch {
	case errors.Is(err, ErrNone):
		return Refresh{}, s, parent, err, nil
	case err != nil:
		return Refresh{}, s, parent, nil, err
	case t.Client != client:
		return Refresh{}, s, parent, fmt.Errorf("of another client: %w", ErrNone), endLine(tx, t.Session, now)
	case !t.UsedAt.IsZero():
		return Refresh{}, s, parent, ErrUsed, endLine(tx, t.Session, now)
	}
	s, parent, err = session.LiveForClient(tx, t.Session, client, l, now)
	if errors.Is(err, session.ErrEnded) {
		return Refresh{}, s, parent, err, nil
	}
	return t, s, parent, nil, err
}

// Rotate uses up a token that [LookAtRefresh] returned in this transaction, and returns the next, with the
// session that it is of. In another organization than before that is another session.
func Rotate(tx Tx, t Refresh, s session.Session, org tenancy.OrgID, l session.Limits, now time.Time) (session.Session, session.Token, error) {
	t.UsedAt = now.UTC()
	if err := tx.PutRefreshToken(t); err != nil {
		return s, session.Token{}, err
	}
	var err error
	if org != s.Organization {
		if s, err = session.SwitchForClient(tx, s, org, l, now); err != nil {
			return s, session.Token{}, err
		}
	} else if err = session.Touch(tx, s.ID, l, now); err != nil {
		return s, session.Token{}, err
	}
	next, err := IssueRefresh(tx, s)
	return s, next, err
}
