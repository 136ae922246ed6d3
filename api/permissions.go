package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func (a *API) listPermissions(c *call) error {
	q := c.query()
	p := q.page("perm", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[tenancy.PermissionObject]
	return c.viewed(&e, func(tx store.Tx) error {
		all, err := tenancy.AllPermissions(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, inMemory(all, func(p tenancy.Permission) string { return string(p.ID) }), func(p tenancy.Permission) (tenancy.PermissionObject, error) { return tenancy.ShowPermission(p), nil })
		return err
	})
}

// permission does f to the permission of the path, in a transaction that run makes, and answers with what f returns.
func (c *call) permission(run func(func(store.Tx) error) error, f func(store.Tx, string) (tenancy.Permission, error)) error {
	slug := c.r.PathValue("slug")
	var shown tenancy.PermissionObject
	err := run(func(tx store.Tx) error {
		p, err := f(tx, slug)
		shown = tenancy.ShowPermission(p)
		return permissionError(err, slug)
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}

func permissionError(err error, slug string) error {
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return notFound("Permission", slug)
	case errors.Is(err, tenancy.ErrTaken):
		return conflict("permission_slug_conflict", "There is a permission with this slug.")
	case errors.Is(err, tenancy.ErrPermissionUsed):
		return conflict("permission_has_assignments", "A role has the permission: take it out there first.")
	case errors.Is(err, tenancy.ErrRoleText):
		return &Error{
			Status: http.StatusUnprocessableEntity, Code: "invalid_request_parameters", Message: "Validation failed", Err: err,
			Faults: []Fault{{"invalid", "slug", "slug has up to 48 of a-z, 0-9 and : . _ * -; name has 1 to 48 characters, description up to 150"}},
		}
	}
	return err
}

func (a *API) getPermission(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.permission(c.view, func(tx store.Tx, slug string) (tenancy.Permission, error) { return tenancy.FindPermission(tx, slug) })
}

func (a *API) createPermission(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	p := tenancy.Permission{Slug: b.required("slug"), Name: b.required("name")}
	if s := b.text("description"); s != nil {
		p.Description = *s
	}
	resource(b)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		made, err := tenancy.CreatePermission(tx, p, c.by, c.now)
		return tenancy.ShowPermission(made), permissionError(err, p.Slug)
	})
}

func (a *API) updatePermission(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	name, description := b.text("name"), b.clearable("description")
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.permission(c.update, func(tx store.Tx, slug string) (tenancy.Permission, error) {
		return tenancy.EditPermission(tx, slug, name, description, c.by, c.now)
	})
}

func (a *API) deletePermission(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	slug := c.r.PathValue("slug")
	return c.dropped(func(tx store.Tx) error {
		return permissionError(tenancy.RemovePermission(tx, slug, c.by, c.now), slug)
	})
}
