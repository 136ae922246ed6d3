package api

import (
	"crypto/sha256"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A permissionObject is a permission as the API shows it. A permission is there because a role of the
// installation has it, and has no row of its own: its id is made of its slug.
type permissionObject struct {
	Object      string    `json:"object"`
	ID          string    `json:"id"`
	Slug        string    `json:"slug"`
	Name        string    `json:"name"`
	Description *string   `json:"description"`
	System      bool      `json:"system"`
	Resource    string    `json:"resource_type_slug"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// permissions returns those of the installation, by id.
func permissions(tx store.Tx) ([]permissionObject, error) {
	found := map[string]permissionObject{}
	for r, err := range tx.Roles("") {
		if err != nil {
			return nil, err
		}
		for _, slug := range r.Permissions {
			p, ok := found[slug]
			if !ok || r.CreatedAt.Before(p.CreatedAt) {
				p.CreatedAt = r.CreatedAt
			}
			sum := sha256.Sum256([]byte(slug))
			p.Object, p.Slug, p.Name, p.Resource, p.UpdatedAt = "permission", slug, slug, "organization", p.CreatedAt
			p.ID = "perm_" + ulid.ULID(sum[:16]).String()
			found[slug] = p
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b permissionObject) int { return compareIDs(a.ID, b.ID) }), nil
}

func compareIDs(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func (a *API) listPermissions(c *call) error {
	q := c.query()
	p := q.page("perm", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[permissionObject]
	err := c.view(func(tx store.Tx) error {
		all, err := permissions(tx)
		if err != nil {
			return err
		}
		e, err = listPage(p, source[permissionObject]{
			from: func(at tenancy.Place) iter.Seq2[permissionObject, error] {
				return inMemory(all, at, func(p permissionObject) string { return p.ID })
			},
			id: func(p permissionObject) string { return p.ID },
		}, func(p permissionObject) (permissionObject, error) { return p, nil })
		return err
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, e)
}

// inMemory is a list, which is in the order of its ids, from a place on.
func inMemory[T any](all []T, at tenancy.Place, id func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		list := slices.Clone(all)
		if at.Backward {
			slices.Reverse(list)
		}
		for _, x := range list {
			if at.Past != "" && (at.Backward && id(x) >= at.Past || !at.Backward && id(x) <= at.Past) {
				continue
			}
			if !yield(x, nil) {
				return
			}
		}
	}
}

func (a *API) getPermission(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	slug := c.r.PathValue("slug")
	var found *permissionObject
	err := c.view(func(tx store.Tx) error {
		all, err := permissions(tx)
		for _, p := range all {
			if p.Slug == slug {
				found = &p
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if found == nil {
		return notFound("Permission", slug)
	}
	return c.answer(http.StatusOK, found)
}
