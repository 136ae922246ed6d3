package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// maxOfClient is how many sessions one client has below one of the login host: an app that forgets them must
// not make more than can be ended in one transaction.
const maxOfClient = 16

// BeginForClient makes the session of a client below a live one of the login host, in an organization or, if org
// is empty, in none. Like a session on a tenant host it has no proofs of its own, is judged by its parent's and ends
// with it; it has no host, and no cookie leads to it.
func BeginForClient(tx Tx, parent ID, client string, org tenancy.OrgID, b Browser, l Limits, now time.Time) (Session, error) {
	p, err := sessionOf(tx, parent)
	switch {
	case err != nil:
		return Session{}, err
	case client == "":
		return Session{}, errors.New("session of no client")
	case p.Parent != "", p.Client != "" && p.Client != client:
		return Session{}, fmt.Errorf("not a session that this client can have one below: %w", ErrForeign)
	}
	if err := p.Alive(l, now); err != nil {
		return Session{}, err
	}
	siblings, err := collect(tx.Children(p.ID))
	if err != nil {
		return Session{}, err
	}
	siblings = slices.DeleteFunc(siblings, func(s Session) bool { return s.Client != client || over(s, now) })
	slices.SortFunc(siblings, func(a, b Session) int { return a.SeenAt.Compare(b.SeenAt) })
	for ; len(siblings) >= maxOfClient; siblings = siblings[1:] {
		if err := endOne(tx, siblings[0], p.Proofs, audit.System, now); err != nil {
			return Session{}, err
		}
	}
	s := Session{
		ID: ID(id.New("session", now)), User: p.User, Token: NewToken().Hash(), Parent: p.ID, Organization: org, Client: client,
		CreatedAt: now.UTC(), SeenAt: now.UTC(), ExpiresAt: earlier(now.UTC().Add(l.Absolute), p.ExpiresAt), UserAgent: b.UserAgent, RemoteIP: b.RemoteIP,
	}
	if err := tx.PutSession(s); err != nil {
		return Session{}, err
	}
	return s, record(tx, audit.SessionCreated, s, p.Proofs, personally(s.User), now)
}

// LiveForClient returns the session of a client if it can be used now, and its parent. Any doubt is an error
// wrapping [ErrEnded].
func LiveForClient(tx Tx, id ID, client string, l Limits, now time.Time) (s, parent Session, err error) {
	if s, err = sessionOf(tx, id); err != nil {
		return Session{}, Session{}, err
	}
	if client == "" || s.Client != client || s.Parent == "" {
		return Session{}, Session{}, fmt.Errorf("%w: it is not of this client", ErrEnded)
	}
	if err := s.Alive(l, now); err != nil {
		return Session{}, Session{}, err
	}
	if parent, err = sessionOf(tx, s.Parent); err != nil {
		return Session{}, Session{}, fmt.Errorf("parent: %w", err)
	}
	if parent.User != s.User || parent.Parent != "" {
		return Session{}, Session{}, fmt.Errorf("%w: its parent is not one", ErrEnded)
	}
	if err := parent.Alive(l, now); err != nil {
		return Session{}, Session{}, fmt.Errorf("parent: %w", err)
	}
	return s, parent, nil
}

// SwitchForClient has the session of a client go on in another organization, as another session: who has the id
// of the one before has nothing that is good there.
func SwitchForClient(tx Tx, s Session, org tenancy.OrgID, l Limits, now time.Time) (Session, error) {
	to, err := BeginForClient(tx, s.Parent, s.Client, org, Browser{UserAgent: s.UserAgent, RemoteIP: s.RemoteIP}, l, now)
	if err != nil {
		return Session{}, err
	}
	parent, err := sessionOf(tx, s.Parent)
	if err != nil {
		return Session{}, err
	}
	s.Next = to.ID
	// Not End, with which the parent would go that was begun for it.
	return to, endOne(tx, s, parent.Proofs, personally(s.User), now)
}
