package client

import (
	"errors"
	"slices"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// PendingLife is how long somebody may take between the first proof that a client passes on and the last.
const PendingLife = 10 * time.Minute

// A Pending is a sign-in by a client that lacks something yet. It is no session: its token is good for nothing
// but to bring what is missing.
type Pending struct {
	Hash   session.Hash `json:"hash"`
	Client string       `json:"client_id"`
	// User is who they have proved to be by Proofs, and Email the address of that account then.
	User   tenancy.UserID `json:"user_id"`
	Email  string         `json:"email"`
	Proofs []policy.Proof `json:"proofs,omitzero"`
	// Invitation is the one that is to be accepted, and Organization the one that was chosen; empty: none.
	Invitation   tenancy.InvitationID `json:"invitation_id,omitzero"`
	Organization tenancy.OrgID        `json:"organization_id,omitzero"`
	// Code is the e-mail code that was sent for it.
	Code      string    `json:"email_code,omitzero"`
	Browser   Browser   `json:"browser,omitzero"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// A Browser is what the client says of the person's browser.
type Browser struct {
	UserAgent string `json:"user_agent,omitzero"`
	RemoteIP  string `json:"ip_address,omitzero"`
}

// IssuePending keeps p for whoever has the token. One that goes on with another keeps its time.
func IssuePending(tx Tx, p Pending, now time.Time) (session.Token, error) {
	if p.Client == "" || p.User == "" {
		return session.Token{}, errors.New("a pending authentication has a client and a user")
	}
	t := session.NewToken()
	p.Hash, p.UsedAt, p.Proofs = t.Hash(), time.Time{}, slices.Clone(p.Proofs)
	if p.ExpiresAt.IsZero() {
		p.ExpiresAt = now.UTC().Add(PendingLife)
	}
	return t, tx.PutPendingAuthentication(p)
}

// LookAtPending returns the pending authentication of a token, without using it up. refused wraps [ErrNone],
// [ErrUsed] or [ErrExpired].
func LookAtPending(tx Tx, presented, client string, now time.Time) (p Pending, refused, err error) {
	p, err = find(tx.PendingAuthentication, presented)
	switch {
	case errors.Is(err, ErrNone):
		return Pending{}, err, nil
	case err != nil:
		return Pending{}, nil, err
	case p.Client != client:
		return Pending{}, ErrNone, nil
	case !p.UsedAt.IsZero():
		return Pending{}, ErrUsed, nil
	case !now.Before(p.ExpiresAt):
		return Pending{}, ErrExpired, nil
	}
	return p, nil, nil
}

// UsePending uses one up that [LookAtPending] returned in this transaction.
func UsePending(tx Tx, p Pending, now time.Time) error {
	p.UsedAt = now.UTC()
	return tx.PutPendingAuthentication(p)
}
