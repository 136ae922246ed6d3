package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// A Browser is what is recorded of the browser that a session is in.
type Browser struct {
	UserAgent, RemoteIP string
	// Client is the client of the sign-in API that the person is signed in by, and whose word the rest
	// is; empty: it is a browser.
	Client string
}

// Begin makes a session on the login host from a first proof.
//
// up is the provider's session behind an SSO proof or a social one, and its identity must be
// user's; nil: none is known. confined is where the proof is good only, as [tenancy.SignIn] says.
func Begin(tx Tx, user tenancy.UserID, p policy.Proof, up *UpstreamSession, confined tenancy.OrgID, b Browser, l Limits, now time.Time) (Session, Token, error) {
	if !isFirst(p.Method) {
		return Session{}, Token{}, fmt.Errorf("a session can't begin with a proof by %s", p.Method)
	}
	if _, err := tx.User(user); err != nil {
		return Session{}, Token{}, err
	}
	if up != nil {
		if err := checkUpstream(tx, user, p, *up); err != nil {
			return Session{}, Token{}, err
		}
	}
	if err := makeRoom(tx, user, confined, now); err != nil {
		return Session{}, Token{}, err
	}
	token := NewToken()
	s := Session{
		ID: ID(id.New("session", now)), User: user, Token: token.Hash(), Proofs: []policy.Proof{p}, ConfinedTo: confined,
		CreatedAt: now.UTC(), SeenAt: now.UTC(), ExpiresAt: now.UTC().Add(l.Absolute), UserAgent: b.UserAgent, RemoteIP: b.RemoteIP, Client: b.Client,
	}
	if up != nil {
		s.Upstream = []UpstreamSession{*up}
		s.endWith(*up)
	}
	if err := tx.PutSession(s); err != nil {
		return Session{}, Token{}, err
	}
	return s, token, record(tx, audit.SessionCreated, s, s.Proofs, personally(user), now)
}

// maxSessions is how many sessions a person may have on the login host: more than a person
// has browsers, and few enough to be ended in one transaction. Else whoever signs in often enough could
// not be signed out.
const maxSessions = 64

// makeRoom ends the session that was not used for longest, if there are too many. Those that are
// confined are counted by themselves: no organization's provider ends those of another.
func makeRoom(tx Tx, user tenancy.UserID, confined tenancy.OrgID, now time.Time) error {
	all, err := collect(tx.SessionsOf(user))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(s Session) bool { return s.Parent != "" || s.ConfinedTo != confined || over(s, now) })
	slices.SortFunc(all, func(a, b Session) int { return a.SeenAt.Compare(b.SeenAt) })
	for ; len(all) >= maxSessions; all = all[1:] {
		if err := End(tx, all[0].ID, audit.System, now); err != nil {
			return err
		}
	}
	return nil
}

// AddProof adds a proof to a login-host session of the same user and gives it a new
// token; the old token is dead. A proof that is not confined lifts the confinement, but
// for a second factor: that says no more about whose the address is.
//
// Who is signed in stays who it is: an SSO proof, and one of a social provider, must come with the
// provider's session, of an identity of the session's user, or the error wraps [ErrForeign]. That local factors are
// theirs is for the caller to know. If the session is over, the error wraps [ErrEnded].
func AddProof(tx Tx, id ID, p policy.Proof, up *UpstreamSession, confined tenancy.OrgID, now time.Time) (Session, Token, error) {
	s, err := sessionOf(tx, id)
	switch {
	case err != nil:
		return Session{}, Token{}, err
	case s.Parent != "":
		return Session{}, Token{}, fmt.Errorf("proofs are added on the login host: %w", ErrForeign)
	case over(s, now):
		return Session{}, Token{}, ErrEnded
	case up == nil && (p.Method == policy.SSO || p.Method == policy.Social):
		return Session{}, Token{}, fmt.Errorf("no identity behind a proof by %s: %w", p.Method, ErrForeign)
	}
	if up != nil {
		if err := checkUpstream(tx, s.User, p, *up); err != nil {
			return Session{}, Token{}, err
		}
	}

	// The newest proof of each kind will do: so the list is bounded, and a policy
	// that asks for a fresh one finds it.
	s.Proofs = append(slices.DeleteFunc(slices.Clone(s.Proofs), func(q policy.Proof) bool {
		return q.Method == p.Method && q.Connection == p.Connection
	}), p)
	if up != nil {
		s.Upstream = append(slices.DeleteFunc(slices.Clone(s.Upstream), func(o UpstreamSession) bool {
			return o.Connection == up.Connection
		}), *up)
		s.endWith(*up)
	}
	if s.ConfinedTo != "" && s.ConfinedTo != confined && isFirst(p.Method) {
		// From now on it is counted among others.
		if err := makeRoom(tx, s.User, confined, now); err != nil {
			return Session{}, Token{}, err
		}
		s.ConfinedTo = confined
	}
	token := NewToken()
	s.Token, s.SeenAt = token.Hash(), now.UTC()
	if err := tx.PutSession(s); err != nil {
		return Session{}, Token{}, err
	}
	return s, token, record(tx, audit.SessionProved, s, s.Proofs, personally(s.User), now)
}

// endWith has the session end no later than its provider says.
func (s *Session) endWith(up UpstreamSession) {
	if !up.EndsAt.IsZero() && up.EndsAt.Before(s.ExpiresAt) {
		s.ExpiresAt = up.EndsAt.UTC()
	}
}

// checkUpstream returns an error wrapping ErrForeign unless the provider's session is of
// an identity of the user and of the connection that vouched.
func checkUpstream(tx Tx, user tenancy.UserID, p policy.Proof, up UpstreamSession) error {
	i, err := tx.Identity(up.Connection, up.Subject)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if err != nil || i.User != user || i.Organization != up.Organization ||
		p.Connection != string(up.Connection) || p.Organization != string(up.Organization) {
		return fmt.Errorf("identity of another user or connection: %w", ErrForeign)
	}
	return nil
}

// isFirst reports whether a method can stand first, and says who somebody is.
func isFirst(m policy.Method) bool {
	switch m {
	case policy.SSO, policy.EmailCode, policy.Password, policy.Passkey, policy.Social:
		return true
	default:
		return false
	}
}

// sessionOf returns the session, or an error wrapping ErrEnded if there is none.
func sessionOf(tx Tx, id ID) (Session, error) {
	s, err := tx.Session(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		err = fmt.Errorf("%w: there is none", ErrEnded)
	}
	return s, err
}

// over reports whether s was ended or is past its absolute limit.
func over(s Session, now time.Time) bool { return !s.EndedAt.IsZero() || !now.Before(s.ExpiresAt) }

// personally is the actor of what a person does.
func personally(user tenancy.UserID) audit.Actor { return audit.Actor{Type: "user", ID: string(user)} }
