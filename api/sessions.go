package api

import (
	"errors"
	"iter"
	"net/http"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// session returns a session, if it is there for the key: one for an organization knows those on its hosts, and
// those that are good nowhere else.
func (c *call) seesSession(s session.Session) bool {
	return c.key.Organization == "" || s.Organization == c.key.Organization || s.ConfinedTo == c.key.Organization
}

// listSessions lists the sessions of a user that can be used: on the login host, and on each tenant
// host they went to.
func (a *API) listSessions(c *call) error {
	q := c.query()
	p := q.page("session", descending)
	if err := q.done(); err != nil {
		return err
	}
	id := tenancy.UserID(c.r.PathValue("id"))
	limits := a.Limits()
	var e envelope[session.Object]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		if _, err := c.user(tx, id); err != nil {
			return err
		}
		e, err = listPage(p, source[session.Session]{
			from: func(at tenancy.Place) iter.Seq2[session.Session, error] { return tx.SessionsFrom(id, at) },
			id:   func(s session.Session) string { return string(s.ID) },
			keep: func(s session.Session) (bool, error) { return c.seesSession(s) && s.Alive(limits, c.now) == nil, nil },
		}, func(s session.Session) (session.Object, error) { return session.Show(tx, s) })
		return err
	})
}

func (a *API) revokeSession(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	id := session.ID(b.required("session_id"))
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	err = c.update(func(tx store.Tx) error {
		s, err := tx.Session(id)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && !c.seesSession(s) {
			return notFound("Session", string(id))
		}
		if err != nil {
			return err
		}
		return session.End(tx, id, c.by, c.now)
	})
	if err != nil {
		return err
	}
	return c.nothing(http.StatusOK)
}
