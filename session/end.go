package session

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// End ends a session, and its children if it has any; with one that a client has, the parent that was begun
// for it. Ending what has ended is nothing.
func End(tx Tx, id ID, by audit.Actor, now time.Time) error {
	s, err := tx.Session(id)
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	proofs := s.Proofs
	if s.Parent != "" {
		parent, err := tx.Session(s.Parent)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
		proofs = parent.Proofs
		if parent.Client != "" && !over(parent, now) {
			// Nobody has another way to it: it was made for this one.
			return End(tx, parent.ID, by, now)
		}
	}
	if err := endOne(tx, s, proofs, by, now); err != nil {
		return err
	}
	children, err := collect(tx.Children(id))
	if err != nil {
		return err
	}
	for _, c := range children {
		if err := endOne(tx, c, proofs, by, now); err != nil {
			return err
		}
	}
	return nil
}

// endOne ends s, if it is not over.
func endOne(tx Tx, s Session, proofs []policy.Proof, by audit.Actor, now time.Time) error {
	if over(s, now) {
		return nil
	}
	s.EndedAt = now.UTC()
	if err := tx.PutSession(s); err != nil {
		return err
	}
	return record(tx, audit.SessionRevoked, s, proofs, by, now)
}

// EndAll ends every session of the user on every host; but for keep, if it is not empty,
// its children, and its parent, without which it would end too.
func EndAll(tx Tx, user tenancy.UserID, keep ID, by audit.Actor, now time.Time) error {
	var kept Session
	if keep != "" {
		var err error
		if kept, err = tx.Session(keep); err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return err
		}
	}
	return endWhere(tx, tx.SessionsOf(user), by, now, func(s Session) bool {
		return kept.ID == "" || s.ID != kept.ID && s.Parent != kept.ID && s.ID != kept.Parent
	})
}

// EndProvedBy ends every session of the user that has a proof by the method, with its children,
// but for keep: the factor was taken away, and whoever has it may be somebody else. (Which of
// several passkeys it was, a proof does not say.)
func EndProvedBy(tx Tx, user tenancy.UserID, m policy.Method, keep ID, by audit.Actor, now time.Time) error {
	return endWhere(tx, tx.SessionsOf(user), by, now, func(s Session) bool {
		return s.ID != keep && slices.ContainsFunc(s.Proofs, func(p policy.Proof) bool { return p.Method == m })
	})
}

// EndIn ends every session of the user in one organization: those on its hosts, and those
// on the login host that are good nowhere else.
func EndIn(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	return endWhere(tx, tx.SessionsOf(user), by, now, func(s Session) bool {
		return org != "" && (s.Organization == org || s.ConfinedTo == org)
	})
}

// EndUpstream ends the sessions behind a provider's session (back-channel logout). With
// an empty sid, all of the subject's; with an empty subject, whoever has the sid; with
// neither, none. It returns how many on the login host it ended. A subject's answers that wait to be
// made a session go too.
func EndUpstream(tx Tx, conn tenancy.ConnectionID, subject, sid string, by audit.Actor, now time.Time) (int, error) {
	n := 0
	err := endWhere(tx, tx.SessionsByUpstream(conn, subject, sid), by, now, func(s Session) bool {
		if !over(s, now) {
			n++
		}
		return true
	})
	if err == nil && subject != "" {
		err = dropAnswers(tx, conn, subject, sid)
	}
	return n, err
}

func endWhere(tx Tx, sessions iter.Seq2[Session, error], by audit.Actor, now time.Time, which func(Session) bool) error {
	all, err := collect(sessions)
	if err != nil {
		return err
	}
	for _, s := range all {
		if !which(s) {
			continue
		}
		if err := End(tx, s.ID, by, now); err != nil {
			return err
		}
	}
	return nil
}

// collect reads to the end before anything is changed.
func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for x, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// Deactivate deactivates a membership and ends the user's sessions in the organization.
// The errors are those of [tenancy.DeactivateMembership]. (To bring one back is
// [tenancy.ReactivateMembership]: what has ended stays ended.)
func Deactivate(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	if err := tenancy.DeactivateMembership(tx, org, user, by, now); err != nil {
		return err
	}
	return EndIn(tx, org, user, by, now)
}

// Remove deletes a membership for good and ends the user's sessions in the organization.
func Remove(tx Tx, org tenancy.OrgID, user tenancy.UserID, by audit.Actor, now time.Time) error {
	if err := tenancy.RemoveMembership(tx, org, user, by, now); err != nil {
		return err
	}
	return EndIn(tx, org, user, by, now)
}
