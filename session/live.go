package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/tenancy"
)

// Live returns the session of the token if it may be used at host now, and its parent
// (itself, on the login host: host is ""). Any doubt is an error wrapping [ErrEnded]; an
// error that does not wrap it is the store's.
//
// That the host still belongs to s.Organization is for the caller to compare: hosts move.
func Live(tx Tx, token Hash, host string, l Limits, now time.Time) (s, parent Session, err error) {
	s, err = tx.SessionByToken(token)
	if errors.Is(err, tenancy.ErrNotFound) {
		err = fmt.Errorf("%w: there is none of this token", ErrEnded)
	}
	if err != nil {
		return Session{}, Session{}, err
	}
	if s.Client != "" {
		// It is known by refresh tokens, and by no cookie.
		return Session{}, Session{}, fmt.Errorf("%w: it is a client's", ErrEnded)
	}
	at, err := hostOnly(host)
	if err != nil || s.Host != at || (s.Parent == "") != (at == "") {
		return Session{}, Session{}, fmt.Errorf("%w: it is of another host", ErrEnded)
	}
	if err := s.Alive(l, now); err != nil {
		return Session{}, Session{}, err
	}
	if s.Parent == "" {
		return s, s, nil
	}
	parent, err = sessionOf(tx, s.Parent)
	if err != nil {
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

// hostOnly returns the canonical host without its port: a browser sends the cookies of a
// host to all its ports. The login host is "".
func hostOnly(host string) (string, error) {
	if host == "" {
		return "", nil
	}
	h, _, err := tenancy.ParseHost(host)
	return string(h), err
}

// Touch records that s and its parent were used. Call it when Limits.Touch has passed
// since SeenAt; it does nothing otherwise, and nothing to what has ended.
func Touch(tx Tx, id ID, l Limits, now time.Time) error {
	for id != "" {
		s, err := tx.Session(id)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if alive := s.Alive(l, now) == nil; !alive {
			return nil
		}
		if now.Sub(s.SeenAt) >= max(l.Touch(), 1) {
			s.SeenAt = now.UTC()
			if err := tx.PutSession(s); err != nil {
				return err
			}
		}
		id = s.Parent
	}
	return nil
}
