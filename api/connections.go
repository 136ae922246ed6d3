package api

import (
	"errors"
	"iter"
	"strings"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// connection returns the connection of the path and its organization, if it is there for the key.
func (c *call) connection(tx store.Tx) (tenancy.Connection, tenancy.Organization, error) {
	id := c.r.PathValue("id")
	conn, err := tx.ConnectionByID(tenancy.ConnectionID(id))
	if err == nil {
		var o tenancy.Organization
		if o, err = c.organization(tx, conn.Organization); err == nil {
			return conn, o, nil
		}
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Connection", id)
	}
	return tenancy.Connection{}, tenancy.Organization{}, err
}

func (a *API) listConnections(c *call) error {
	q := c.query()
	p := q.page("conn", descending)
	kind, byKind := q.text("connection_type")
	domain, byDomain := q.text("domain")
	asked, isAsked := q.text("organization_id")
	search, _ := q.text("search")
	if err := q.done(); err != nil {
		return err
	}
	org, byOrg := c.narrowed(asked, isAsked)
	search = strings.ToLower(search)
	var e envelope[tenancy.ConnectionObject]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[tenancy.Connection]{from: tx.ConnectionsFrom, id: func(x tenancy.Connection) string { return string(x.ID) }}
		if byOrg {
			s.from = func(at tenancy.Place) iter.Seq2[tenancy.Connection, error] {
				return tx.ConnectionsIn(org, at)
			}
		}
		s.keep = func(x tenancy.Connection) (bool, error) {
			if byKind && tenancy.ShowConnection(x).Type != kind || search != "" && !strings.Contains(strings.ToLower(x.Name), search) {
				return false, nil
			}
			if _, err := c.organization(tx, x.Organization); isNotFound(err) {
				return false, nil
			} else if err != nil {
				return false, err
			}
			if byDomain { // its connections are those of whose domain it is
				return hasDomain(tx, x.Organization, []string{domain})
			}
			return true, nil
		}
		e, err = listPage(p, s, func(x tenancy.Connection) (tenancy.ConnectionObject, error) { return tenancy.ShowConnection(x), nil })
		return err
	})
}

func (a *API) getConnection(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.ConnectionObject
	return c.viewed(&shown, func(tx store.Tx) error {
		conn, _, err := c.connection(tx)
		shown = tenancy.ShowConnection(conn)
		return err
	})
}

func (a *API) deleteConnection(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.dropped(func(tx store.Tx) error {
		conn, o, err := c.connection(tx)
		if err != nil {
			return err
		}
		if err := tenancy.CheckManaged(o, tenancy.SectionConnections); err != nil {
			return err
		}
		return tenancy.RemoveConnection(tx, o.ID, conn.ID, c.by, c.now)
	})
}
