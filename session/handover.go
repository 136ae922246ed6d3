package session

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// HandoverLife is how long a one-time code may be redeemed.
const HandoverLife = time.Minute

// IssueHandover makes a one-time code for the continuation of parent at h.Host. It
// fills in Code and ExpiresAt. A return path that is none becomes "/".
func IssueHandover(tx Tx, h Handover, now time.Time) (Token, error) {
	host, err := hostOnly(h.Host)
	switch {
	case err != nil:
		return Token{}, err
	case host == "" || h.Organization == "" || h.Attempt == (Hash{}):
		return Token{}, errors.New("hand-over needs a host, an organization and an attempt")
	}
	parent, err := sessionOf(tx, h.Parent)
	switch {
	case err != nil:
		return Token{}, err
	case parent.Parent != "":
		return Token{}, fmt.Errorf("only the login host hands over: %w", ErrForeign)
	case over(parent, now):
		return Token{}, ErrEnded
	}
	path, ok := ParseReturnPath(h.ReturnTo)
	if !ok {
		path = "/"
	}
	code := NewToken()
	h.Code, h.Host, h.ReturnTo, h.Child, h.ExpiresAt = code.Hash(), host, path, "", now.UTC().Add(HandoverLife)
	return code, tx.PutHandover(h)
}

// Redeem swaps a code for a session on the tenant host, once. It checks that the
// browser (attempt), host, organization and live parent are those that the code was made
// for, and that the person is an active member still; elsewhere it is spent. The session takes the place of another one of the same browser
// and host. A second redemption returns an error wrapping [ErrUsed], and ends the session
// that the first one made: the caller must commit the transaction all the same, which is
// why that error is in the result and not in err.
func Redeem(tx Tx, code, attempt Hash, host string, org tenancy.OrgID, b Browser, l Limits, now time.Time) (r Redeemed, err error) {
	h, err := tx.Handover(code)
	if errors.Is(err, tenancy.ErrNotFound) {
		return Redeemed{Refused: fmt.Errorf("no such code: %w", ErrExpired)}, nil
	}
	if err != nil {
		return Redeemed{}, err
	}
	if h.Child != "" {
		// Whoever has a used code has it from a history, a log or a Referer. One of the
		// two is not the person, and we can't tell which (attack 31).
		return Redeemed{Refused: fmt.Errorf("code: %w", ErrUsed)}, End(tx, h.Child, audit.System, now)
	}
	at, err := hostOnly(host)
	sameHost := err == nil && at != "" && at == h.Host
	sameBrowser := subtle.ConstantTimeCompare(h.Attempt[:], attempt[:]) == 1
	switch {
	case !sameBrowser || attempt == (Hash{}), !sameHost, org == "" || org != h.Organization:
		// A code that was shown where it is not good has been seen by somebody else.
		h.ExpiresAt = earlier(h.ExpiresAt, now.UTC())
		return Redeemed{Refused: fmt.Errorf("code: %w", ErrForeign)}, tx.PutHandover(h)
	case !now.Before(h.ExpiresAt):
		return Redeemed{Refused: fmt.Errorf("code: %w", ErrExpired)}, nil
	}
	parent, err := sessionOf(tx, h.Parent)
	if err == nil {
		err = parent.Alive(l, now)
	}
	if errors.Is(err, ErrEnded) {
		return Redeemed{Refused: fmt.Errorf("parent: %w", err)}, nil
	}
	if err != nil {
		return Redeemed{}, err
	}

	// Whoever was deactivated or removed since the code was made gets no session, that would come to life
	// when they are let in again: their sessions ended then (SEMANTICS 1.4.1).
	m, err := tx.Membership(org, parent.User)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return Redeemed{}, err
	}
	if m.Status != policy.Active { // nor is that of none
		return Redeemed{Refused: fmt.Errorf("membership: %w", ErrEnded)}, nil
	}

	// A browser holds one session of a host. Another one that it had there is nobody's, and
	// many of them would be too many to end at once.
	siblings, err := collect(tx.Children(parent.ID))
	if err != nil {
		return Redeemed{}, err
	}
	for _, c := range siblings {
		if c.Host != at || c.Client != "" {
			continue
		}
		if err := endOne(tx, c, parent.Proofs, personally(c.User), now); err != nil {
			return Redeemed{}, err
		}
	}

	token := NewToken()
	s := Session{
		ID: ID(id.New("session", now)), User: parent.User, Token: token.Hash(), Parent: parent.ID, Organization: org, Host: at,
		CreatedAt: now.UTC(), SeenAt: now.UTC(), ExpiresAt: now.UTC().Add(l.Absolute), UserAgent: b.UserAgent, RemoteIP: b.RemoteIP,
	}
	if parent.ExpiresAt.Before(s.ExpiresAt) {
		s.ExpiresAt = parent.ExpiresAt
	}
	h.Child = s.ID
	if err := tx.PutHandover(h); err != nil {
		return Redeemed{}, err
	}
	if err := tx.PutSession(s); err != nil {
		return Redeemed{}, err
	}
	if err := record(tx, audit.SessionCreated, s, parent.Proofs, personally(s.User), now); err != nil {
		return Redeemed{}, err
	}
	return Redeemed{Session: s, Token: token, ReturnTo: h.ReturnTo}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Redeemed is what [Redeem] made, or why it refused.
type Redeemed struct {
	Session  Session
	Token    Token
	ReturnTo string
	Refused  error // wraps ErrUsed, ErrForeign, ErrExpired or ErrEnded; nil: done
}
