package api

import (
	"errors"
	"iter"
	"net/http"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// group returns the group of the path, if it is there for the key: of the organization of the path, where there is one.
func (c *call) group(tx store.Tx) (tenancy.Group, tenancy.Organization, error) {
	org, id := tenancy.OrgID(c.r.PathValue("organizationId")), c.r.PathValue("groupId")
	var g tenancy.Group
	var err error
	if id != "" {
		o, err := c.organization(tx, org)
		if err != nil {
			return tenancy.Group{}, o, err
		}
		if g, err = tx.Group(o.ID, tenancy.GroupID(id)); err == nil {
			return g, o, nil
		} else if !errors.Is(err, tenancy.ErrNotFound) {
			return tenancy.Group{}, o, err
		}
		return tenancy.Group{}, o, notFound("Group", id)
	}
	id = c.r.PathValue("group_id")
	if g, err = tx.GroupByID(tenancy.GroupID(id)); err == nil {
		var o tenancy.Organization
		if o, err = c.organization(tx, g.Organization); err == nil {
			return g, o, nil
		}
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Group", id)
	}
	return tenancy.Group{}, tenancy.Organization{}, err
}

func groupError(err error) error {
	switch {
	case errors.Is(err, tenancy.ErrGroupText):
		return &Error{
			Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Err: err,
			Faults: []Fault{{"invalid", "name", "name has 1 to 256 characters, description up to 150"}},
		}
	case errors.Is(err, tenancy.ErrGroupLimit):
		return &Error{Status: http.StatusBadRequest, Code: "group_membership_limit_exceeded", Message: "A group has up to 5,000 members and 100 roles, and a member is in up to 100 groups.", Err: err}
	}
	return err
}

func showGroup(g tenancy.Group) (tenancy.GroupObject, error) { return tenancy.ShowGroup(g), nil }

func (a *API) listGroups(c *call) error {
	q := c.query()
	p := q.page("group", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[tenancy.GroupObject]
	return c.viewed(&e, func(tx store.Tx) error {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return err
		}
		e, err = listPage(p, source[tenancy.Group]{
			from: func(at tenancy.Place) iter.Seq2[tenancy.Group, error] { return tx.GroupsIn(o.ID, at) },
			id:   func(g tenancy.Group) string { return string(g.ID) },
		}, showGroup)
		return err
	})
}

func (a *API) createGroup(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	name, description := b.required("name"), b.clearable("description")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	if description == nil {
		description = new(string)
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return nil, err
		}
		g, err := tenancy.CreateGroup(tx, o.ID, name, *description, c.by, c.now)
		return tenancy.ShowGroup(g), groupError(err)
	})
}

func (a *API) getGroup(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.GroupObject
	return c.viewed(&shown, func(tx store.Tx) error {
		g, _, err := c.group(tx)
		shown = tenancy.ShowGroup(g)
		return err
	})
}

func (a *API) updateGroup(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	name, description := b.text("name"), b.clearable("description")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	var shown tenancy.GroupObject
	return c.changed(&shown, func(tx store.Tx) error {
		g, _, err := c.group(tx)
		if err != nil {
			return err
		}
		g, err = tenancy.EditGroup(tx, g.Organization, g.ID, name, description, c.by, c.now)
		shown = tenancy.ShowGroup(g)
		return groupError(err)
	})
}

func (a *API) deleteGroup(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.dropped(func(tx store.Tx) error {
		g, _, err := c.group(tx)
		if err != nil {
			return err
		}
		return c.groupMayEndAdmin(tx, g, func() error { return tenancy.RemoveGroup(tx, g.Organization, g.ID, c.by, c.now) })
	})
}

func (a *API) listGroupMembers(c *call) error {
	q := c.query()
	p := q.page("om", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[membershipObject]
	return c.viewed(&e, func(tx store.Tx) error {
		g, _, err := c.group(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, source[tenancy.GroupMember]{
			from: func(at tenancy.Place) iter.Seq2[tenancy.GroupMember, error] {
				return tx.GroupMembers(g.Organization, g.ID, at)
			},
			id: func(m tenancy.GroupMember) string { return string(m.Membership) },
		}, func(in tenancy.GroupMember) (membershipObject, error) {
			m, err := tx.MembershipByID(in.Membership)
			if err != nil {
				return membershipObject{}, err
			}
			return c.showMembership(tx, m)
		})
		return err
	})
}

func (a *API) addGroupMember(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	member := b.required("organization_membership_id")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		g, _, err := c.group(tx)
		if err != nil {
			return nil, err
		}
		err = tenancy.JoinGroup(tx, g.Organization, g.ID, tenancy.MembershipID(member), c.by, c.now)
		if errors.Is(err, tenancy.ErrNotFound) {
			err = notFound("Organization membership", member)
		}
		return tenancy.ShowGroup(g), groupError(err)
	})
}

func (a *API) removeGroupMember(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	member := c.r.PathValue("omId")
	return c.dropped(func(tx store.Tx) error {
		g, _, err := c.group(tx)
		if err != nil {
			return err
		}
		err = c.groupMayEndAdmin(tx, g, func() error {
			return tenancy.LeaveGroup(tx, g.Organization, g.ID, tenancy.MembershipID(member), c.by, c.now)
		})
		if errors.Is(err, tenancy.ErrNotFound) {
			err = notFound("Organization membership", member)
		}
		return err
	})
}

func (a *API) listGroupsOfMembership(c *call) error {
	q := c.query()
	p := q.page("group", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[tenancy.GroupObject]
	return c.viewed(&e, func(tx store.Tx) error {
		m, err := c.membership(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, source[tenancy.GroupMember]{
			from: func(at tenancy.Place) iter.Seq2[tenancy.GroupMember, error] {
				return tx.GroupsOf(m.Organization, m.ID, at)
			},
			id: func(m tenancy.GroupMember) string { return string(m.Group) },
		}, func(in tenancy.GroupMember) (tenancy.GroupObject, error) {
			g, err := tx.Group(in.Organization, in.Group)
			return tenancy.ShowGroup(g), err
		})
		return err
	})
}
