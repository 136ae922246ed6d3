package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A groupRoleObject is a role that the members of a group have by it.
type groupRoleObject struct {
	Object    string              `json:"object"`
	ID        tenancy.GroupRoleID `json:"id"`
	Group     tenancy.GroupID     `json:"group_id"`
	Role      tenancy.RoleSlug    `json:"role"`
	Resource  resourceObject      `json:"resource"`
	CreatedAt time.Time           `json:"created_at"`
	UpdatedAt time.Time           `json:"updated_at"`
}

func showGroupRole(o tenancy.Organization, g tenancy.Group, r tenancy.AssignedRole) groupRoleObject {
	return groupRoleObject{"group_role_assignment", r.ID, g.ID, tenancy.RoleSlug{Slug: r.Role}, showResource(o), r.CreatedAt, r.CreatedAt}
}

func groupRoleError(err error) error {
	switch {
	case errors.Is(err, tenancy.ErrAssigned):
		return &Error{Status: http.StatusConflict, Code: "duplicate_group_role_assignment", Message: "The group has the role already.", Err: err}
	case errors.Is(err, tenancy.ErrNoRole):
		return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_role", Message: "There is no such role in this organization.", Err: err}
	}
	return groupError(err)
}

func (a *API) listGroupRoles(c *call) error {
	q := c.query()
	p := q.page("gra", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[groupRoleObject]
	return c.viewed(&e, func(tx store.Tx) error {
		g, o, err := c.group(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, inMemory(g.Roles, func(r tenancy.AssignedRole) string { return string(r.ID) }), func(r tenancy.AssignedRole) (groupRoleObject, error) { return showGroupRole(o, g, r), nil })
		return err
	})
}

// roleOn reads a body that names a role, and what it is on.
func (c *call) roleOn(required bool) (role string, on resourceRef, err error) {
	b, err := c.body()
	if err != nil {
		return "", on, err
	}
	role, on = b.required("role_slug"), resourceOf(b, required)
	return role, on, errors.Join(c.noQuery(), b.done())
}

func (a *API) createGroupRole(c *call) error {
	role, on, err := c.roleOn(false)
	if err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		g, o, err := c.group(tx)
		if err == nil {
			err = on.check(o)
		}
		if err != nil {
			return nil, err
		}
		r, err := tenancy.AssignGroupRole(tx, o.ID, g.ID, role, c.by, c.now)
		return showGroupRole(o, g, r), groupRoleError(err)
	})
}

func (a *API) setGroupRoles(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	_, there := b.fields["role_assignments"]
	list := b.objects("role_assignments")
	if list == nil && (!there || len(*b.all) == 0) {
		b.fault("required", "role_assignments", "is required")
	}
	roles, on := []string{}, []resourceRef{}
	for _, x := range list {
		roles, on = append(roles, x.required("role_slug")), append(on, resourceOf(x, false))
	}
	if err := errors.Join(c.noQuery(), b.done(list...)); err != nil {
		return err
	}
	slices.Sort(roles)
	roles = slices.Compact(roles)
	var e envelope[groupRoleObject]
	return c.changed(&e, func(tx store.Tx) error {
		g, o, err := c.group(tx)
		if err != nil {
			return err
		}
		for _, r := range on {
			if err := r.check(o); err != nil {
				return err
			}
		}
		err = c.groupMayEndAdmin(tx, g, func() (err error) {
			g, err = tenancy.SetGroupRoles(tx, o.ID, g.ID, roles, c.by, c.now)
			return err
		})
		if err != nil {
			return groupRoleError(err)
		}
		e = envelope[groupRoleObject]{Object: "list", Data: []groupRoleObject{}, Metadata: &cursors{}}
		for _, r := range slices.Backward(g.Roles) {
			e.Data = append(e.Data, showGroupRole(o, g, r))
		}
		return nil
	})
}

// dropGroupRole takes away the role that which finds among those of the group of the path.
func (c *call) dropGroupRole(what string, which func(tenancy.Organization, tenancy.AssignedRole) (bool, error)) error {
	return c.dropped(func(tx store.Tx) error {
		g, o, err := c.group(tx)
		if err != nil {
			return err
		}
		for _, r := range g.Roles {
			if ok, err := which(o, r); err != nil {
				return err
			} else if ok {
				return c.groupMayEndAdmin(tx, g, func() error { return tenancy.UnassignGroupRole(tx, o.ID, g.ID, r.Role, c.by, c.now) })
			}
		}
		return notFound("Group role assignment", what)
	})
}

func (a *API) deleteGroupRoleBySlug(c *call) error {
	role, on, err := c.roleOn(false)
	if err != nil {
		return err
	}
	return c.dropGroupRole(role, func(o tenancy.Organization, r tenancy.AssignedRole) (bool, error) {
		return r.Role == role, on.check(o)
	})
}

func (a *API) deleteGroupRole(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := c.r.PathValue("role_assignment_id")
	return c.dropGroupRole(id, func(_ tenancy.Organization, r tenancy.AssignedRole) (bool, error) { return string(r.ID) == id, nil })
}

func (a *API) getGroupRole(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := c.r.PathValue("role_assignment_id")
	var shown groupRoleObject
	return c.viewed(&shown, func(tx store.Tx) error {
		g, o, err := c.group(tx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(g.Roles, func(r tenancy.AssignedRole) bool { return string(r.ID) == id })
		if i < 0 {
			return notFound("Group role assignment", id)
		}
		shown = showGroupRole(o, g, g.Roles[i])
		return nil
	})
}

// A roleAssignmentObject says that a membership has a role, and by what.
type roleAssignmentObject struct {
	Object     string               `json:"object"`
	ID         string               `json:"id"`
	Membership tenancy.MembershipID `json:"organization_membership_id"`
	Role       tenancy.RoleSlug     `json:"role"`
	Resource   resourceObject       `json:"resource"`
	Source     assignmentSource     `json:"source"`
	CreatedAt  time.Time            `json:"created_at"`
	UpdatedAt  time.Time            `json:"updated_at"`
}

type assignmentSource struct {
	Type  string               `json:"type"`
	Group *tenancy.GroupRoleID `json:"group_role_assignment_id"`
}

func showRoleAssignment(o tenancy.Organization, r tenancy.RoleAssignment) roleAssignmentObject {
	shown := roleAssignmentObject{
		"role_assignment", r.ID, r.Membership, tenancy.RoleSlug{Slug: r.Role}, showResource(o), assignmentSource{Type: "direct"}, r.CreatedAt, r.UpdatedAt,
	}
	if r.Group != "" {
		shown.Source = assignmentSource{"group", &r.Group}
	}
	return shown
}

// assigned returns the membership of the path, its organization and why it has its roles.
func (c *call) assigned(tx store.Tx) (tenancy.Membership, tenancy.Organization, []tenancy.RoleAssignment, error) {
	m, err := c.membership(tx)
	if err != nil {
		return m, tenancy.Organization{}, nil, err
	}
	o, err := tx.Organization(m.Organization)
	if err != nil {
		return m, o, nil, err
	}
	all, err := tenancy.RoleAssignments(tx, m)
	return m, o, all, err
}

func (a *API) listRoleAssignments(c *call) error {
	q := c.query()
	p := q.page("role_assignment", descending)
	var on resourceRef
	for name, to := range map[string]**string{"resource_id": &on.id, "resource_external_id": &on.externalID, "resource_type_slug": &on.kind} {
		if s, ok := q.text(name); ok {
			*to = &s
		}
	}
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[roleAssignmentObject]
	return c.viewed(&e, func(tx store.Tx) error {
		_, o, all, err := c.assigned(tx)
		if err != nil {
			return err
		}
		if !on.is(o) {
			all = nil
		}
		e, err = listPage(p, inMemory(all, func(r tenancy.RoleAssignment) string { return r.ID }), func(r tenancy.RoleAssignment) (roleAssignmentObject, error) { return showRoleAssignment(o, r), nil })
		return err
	})
}

func directoryOwns(m tenancy.Membership) error {
	if m.RoleSource == tenancy.RoleDirectory {
		return conflict("directory_managed", "The directory owns the roles of this membership. Change them there.")
	}
	return nil
}

func (a *API) createRoleAssignment(c *call) error {
	role, on, err := c.roleOn(true)
	if err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		m, o, _, err := c.assigned(tx)
		if err == nil {
			err = on.check(o)
		}
		if err == nil {
			err = directoryOwns(m)
		}
		if err != nil {
			return nil, err
		}
		if m, err = tenancy.AddRole(tx, m, role, c.by, c.now); err != nil {
			return nil, membershipError(err, pendingReactivate)
		}
		_, _, all, err := c.assigned(tx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(r tenancy.RoleAssignment) bool { return r.Role == role && r.Group == "" })
		if i < 0 {
			return nil, fmt.Errorf("role %q of %s is not there after it was given", role, m.ID)
		}
		return showRoleAssignment(o, all[i]), nil
	})
}

// dropRoleAssignment takes away the role that which finds.
func (c *call) dropRoleAssignment(what string, which func(tenancy.Organization, tenancy.RoleAssignment) (bool, error)) error {
	return c.dropped(func(tx store.Tx) error {
		m, o, all, err := c.assigned(tx)
		if err != nil {
			return err
		}
		for _, r := range all {
			switch ok, err := which(o, r); {
			case err != nil:
				return err
			case !ok:
				continue
			case r.Group != "":
				return conflict("role_assigned_by_group", "A group gives the role. Take the membership out of it, or the role away from it.")
			}
			if err := directoryOwns(m); err != nil {
				return err
			}
			err := c.mayEndAdmin(tx, []tenancy.Membership{m}, func() error {
				_, err := tenancy.DropRole(tx, c.api.Rules(), m, r.Role, c.by, c.now)
				return err
			})
			if errors.Is(err, tenancy.ErrState) {
				err = conflict("role_is_default", "It is the default role, which whoever has no other has.")
			}
			return err
		}
		return notFound("Role assignment", what)
	})
}

func (a *API) deleteRoleAssignmentBySlug(c *call) error {
	role, on, err := c.roleOn(true)
	if err != nil {
		return err
	}
	return c.dropRoleAssignment(role, func(o tenancy.Organization, r tenancy.RoleAssignment) (bool, error) {
		return r.Role == role && r.Group == "", on.check(o)
	})
}

func (a *API) deleteRoleAssignment(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := c.r.PathValue("role_assignment_id")
	return c.dropRoleAssignment(id, func(_ tenancy.Organization, r tenancy.RoleAssignment) (bool, error) { return r.ID == id, nil })
}
