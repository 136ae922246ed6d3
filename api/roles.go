package api

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// inOrder returns the roles of an organization, or of the installation, in their order.
func inOrder(tx store.Tx, org tenancy.OrgID) ([]tenancy.Role, error) {
	var roles []tenancy.Role
	for r, err := range tx.Roles(org) {
		if err != nil {
			return nil, err
		}
		roles = append(roles, r)
	}
	slices.SortFunc(roles, func(a, b tenancy.Role) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Slug, b.Slug))
	})
	return roles, nil
}

func (a *API) listRoles(c *call) error {
	return c.showRoles(func(tx store.Tx) ([]tenancy.Role, error) { return inOrder(tx, "") })
}

// listOrganizationRoles lists the roles that members of the organization can have: the installation's, and its own.
func (a *API) listOrganizationRoles(c *call) error {
	return c.showRoles(func(tx store.Tx) ([]tenancy.Role, error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return nil, err
		}
		roles, err := inOrder(tx, "")
		if err != nil {
			return nil, err
		}
		own, err := inOrder(tx, o.ID)
		return append(roles, own...), err
	})
}

func (c *call) showRoles(get func(store.Tx) ([]tenancy.Role, error)) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var e envelope[tenancy.RoleObject]
	return c.viewed(&e, func(tx store.Tx) error {
		e = envelope[tenancy.RoleObject]{Object: "list", Data: []tenancy.RoleObject{}}
		roles, err := get(tx)
		for _, r := range roles {
			e.Data = append(e.Data, tenancy.ShowRole(r))
		}
		return err
	})
}

// role returns the role of the path: of the organization of the path, or of the installation.
func (c *call) role(tx store.Tx) (tenancy.Role, error) {
	slug := c.r.PathValue("slug")
	var org tenancy.OrgID
	if id := c.r.PathValue("organizationId"); id != "" {
		o, err := c.organization(tx, tenancy.OrgID(id))
		if err != nil {
			return tenancy.Role{}, err
		}
		org = o.ID
	}
	r, err := tenancy.FindRole(tx, org, slug)
	if errors.Is(err, tenancy.ErrNotFound) {
		err = notFound("Role", slug)
	}
	return r, err
}

func (a *API) getRole(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.RoleObject
	return c.viewed(&shown, func(tx store.Tx) error {
		r, err := c.role(tx)
		shown = tenancy.ShowRole(r)
		return err
	})
}

// ownsRoles returns an error unless the roles of the installation are the API's, and the key is for everything. Where the
// YAML gives roles they are its own: the rules of routes name them.
func (c *call) ownsRoles() error {
	if err := c.everywhere(); err != nil {
		return err
	}
	if at := c.api.RolesAt(); at != (tenancy.Origin{}) {
		return conflict("managed_by_config", fmt.Sprintf("The configuration owns the roles of the installation and their permissions, at %s:%d. Change them there.", at.File, at.Line))
	}
	return nil
}

// owned asks [call.ownsRoles] before anything else.
func (a *API) owned(do func(*call) error) func(*call) error {
	return func(c *call) error {
		if err := c.ownsRoles(); err != nil {
			return err
		}
		return do(c)
	}
}

// roleError says what went wrong with a role of an organization.
func roleError(err error) error {
	switch {
	case errors.Is(err, tenancy.ErrRoleText):
		return &Error{
			Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Err: err,
			Faults: []Fault{{"invalid", "slug", "slug has up to 48 of a-z, 0-9, - and _, with org- in front for a role of an organization; name has 1 to 48 characters, description up to 150"}},
		}
	case errors.Is(err, tenancy.ErrTaken):
		return conflict("organization_role_slug_conflict", "There is a role with this slug.")
	case errors.Is(err, tenancy.ErrNoPermission):
		return &Error{Status: http.StatusNotFound, Code: "entity_not_found", Message: "Permission not found.", Err: err}
	case errors.Is(err, tenancy.ErrRoleAssigned):
		return conflict("role_has_assignments", "Members have the role, or get it by default.")
	case errors.Is(err, tenancy.ErrRoleMapped):
		return conflict("role_has_group_role_mappings", "A group is mapped to the role.")
	}
	return err
}

func (a *API) createOrganizationRole(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	r := roleInput(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("organizationId")))
		if err != nil {
			return nil, err
		}
		made := r
		made.Organization = o.ID
		made, err = tenancy.CreateOwnRole(tx, made, c.by, c.now)
		return tenancy.ShowRole(made), roleError(err)
	})
}

func roleInput(b body) (r tenancy.Role) {
	r.Name = b.required("name")
	if s := b.text("slug"); s != nil {
		r.Slug = *s
	}
	if s := b.text("description"); s != nil {
		r.Description = *s
	}
	resource(b)
	return r
}

func (a *API) createRole(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	if _, ok := b.fields["slug"]; !ok {
		b.fault("required", "slug", "is required")
	}
	r := roleInput(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		made, err := tenancy.CreateRole(tx, r, c.by, c.now)
		if errors.Is(err, tenancy.ErrTaken) {
			err = conflict("role_slug_conflict", "There is a role with this slug.")
		}
		return tenancy.ShowRole(made), roleError(err)
	})
}

// resource reads what a role is on: there is nothing but organizations.
func resource(b body) {
	if s := b.text("resource_type_slug"); s != nil && *s != "organization" {
		b.fault("not_supported", "resource_type_slug", "must be organization")
	}
}

// changeRole changes the role of the path: of the organization's own, or of the installation.
func (c *call) changeRole(change func(*tenancy.Role)) error {
	var shown tenancy.RoleObject
	return c.changed(&shown, func(tx store.Tx) error {
		r, err := c.ownRole(tx)
		if err != nil {
			return err
		}
		r, err = tenancy.EditRole(tx, r.Organization, r.Slug, change, c.by, c.now)
		shown = tenancy.ShowRole(r)
		return roleError(err)
	})
}

// ownRole returns the role of the path, if it may be changed there. At an organization, one of the installation may not.
func (c *call) ownRole(tx store.Tx) (tenancy.Role, error) {
	r, err := c.role(tx)
	if err == nil && r.Organization == "" && c.r.PathValue("organizationId") != "" {
		err = conflict("role_of_the_installation", "This is a role of the installation, and not of the organization's own.")
	}
	return r, err
}

func (a *API) updateRole(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	name, description := b.text("name"), b.clearable("description")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.changeRole(func(r *tenancy.Role) {
		if name != nil {
			r.Name = *name
		}
		if description != nil {
			r.Description = *description
		}
	})
}

func (a *API) deleteOrganizationRole(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.dropped(func(tx store.Tx) error {
		r, err := c.ownRole(tx)
		if err != nil {
			return err
		}
		return roleError(tenancy.RemoveOwnRole(tx, r.Organization, r.Slug, c.by, c.now))
	})
}

func (a *API) setRolePermissions(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	_, there := b.fields["permissions"]
	list := b.texts("permissions")
	if list == nil && (!there || len(*b.all) == 0) {
		b.fault("required", "permissions", "is required")
	}
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.changeRole(func(r *tenancy.Role) { r.Permissions = slices.Clone(list) })
}

func (a *API) addRolePermission(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	slug := b.required("slug")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.changeRole(func(r *tenancy.Role) { r.Permissions = append(r.Permissions, slug) })
}

func (a *API) removeRolePermission(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	slug := c.r.PathValue("permissionSlug")
	return c.changeRole(func(r *tenancy.Role) {
		r.Permissions = slices.DeleteFunc(r.Permissions, func(p string) bool { return p == slug })
	})
}
