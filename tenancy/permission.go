package tenancy

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/orgate/orgate/audit"
)

// A Permission is a name for something that a role lets people do. One that the YAML gives to a role is there by
// that, without a row of its own.
type Permission struct {
	ID          PermissionID `json:"id"`
	Slug        string       `json:"slug"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitzero"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
}

// ErrPermissionUsed says that a role has the permission.
var ErrPermissionUsed = errors.New("a role has the permission")

var permissionSlug = regexp.MustCompile(`^[a-z0-9*][a-z0-9:._*-]{0,47}$`)

// A PermissionObject is a permission as the API shows it.
type PermissionObject struct {
	Object      string       `json:"object"`
	ID          PermissionID `json:"id"`
	Slug        string       `json:"slug"`
	Name        string       `json:"name"`
	Description *string      `json:"description"`
	System      bool         `json:"system"`
	Resource    string       `json:"resource_type_slug"`
	CreatedAt   time.Time    `json:"created_at"`
	UpdatedAt   time.Time    `json:"updated_at"`
}

// ShowPermission returns the permission as the API shows it.
func ShowPermission(p Permission) PermissionObject {
	return PermissionObject{
		Object: "permission", ID: p.ID, Slug: p.Slug, Name: p.Name, Description: textOrNull(p.Description), Resource: "organization",
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
}

// permissionID is made of the slug and the time, so that one without a row has one too.
func permissionID(slug string, made time.Time) PermissionID {
	sum := sha256.Sum256([]byte(slug))
	u := ulid.ULID(sum[:16])
	_ = u.SetTime(ulid.Timestamp(made)) // it fails in the year 10889
	return PermissionID("perm_" + u.String())
}

// AllPermissions returns those that have a row, and those that roles of the installation have, by id.
func AllPermissions(tx Tx) ([]Permission, error) {
	var all []Permission
	rows := map[string]bool{}
	for p, err := range tx.Permissions() {
		if err != nil {
			return nil, err
		}
		all, rows[p.Slug] = append(all, p), true
	}
	since := map[string]time.Time{}
	for r, err := range tx.Roles("") {
		if err != nil {
			return nil, err
		}
		for _, slug := range r.Permissions {
			if t, ok := since[slug]; !ok || r.CreatedAt.Before(t) {
				since[slug] = r.CreatedAt
			}
		}
	}
	for slug, made := range since {
		if !rows[slug] {
			all = append(all, Permission{ID: permissionID(slug, made), Slug: slug, Name: slug, CreatedAt: made, UpdatedAt: made})
		}
	}
	slices.SortFunc(all, func(a, b Permission) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all, nil
}

// FindPermission returns the permission of that slug.
func FindPermission(tx Tx, slug string) (Permission, error) {
	all, err := AllPermissions(tx)
	if err != nil {
		return Permission{}, err
	}
	if i := slices.IndexFunc(all, func(p Permission) bool { return p.Slug == slug }); i >= 0 {
		return all[i], nil
	}
	return Permission{}, fmt.Errorf("permission: %w", ErrNotFound)
}

// CreatePermission makes a permission. It returns an error wrapping [ErrTaken] if there is one.
func CreatePermission(tx Tx, p Permission, by audit.Actor, now time.Time) (Permission, error) {
	if !permissionSlug.MatchString(p.Slug) {
		return Permission{}, fmt.Errorf("%w: slug %q: want up to 48 of a-z, 0-9 and : . _ * -", ErrRoleText, clip(p.Slug))
	}
	if err := checkRoleTexts(Role{Name: p.Name, Description: p.Description}); err != nil {
		return Permission{}, err
	}
	switch _, err := FindPermission(tx, p.Slug); {
	case err == nil:
		return Permission{}, fmt.Errorf("permission %q: %w", p.Slug, ErrTaken)
	case !errors.Is(err, ErrNotFound):
		return Permission{}, err
	}
	p.ID, p.CreatedAt, p.UpdatedAt = permissionID(p.Slug, now), now.UTC(), now.UTC()
	if err := tx.PutPermission(p); err != nil {
		return Permission{}, err
	}
	return p, recordPermission(tx, audit.PermissionCreated, p, by, now)
}

// EditPermission gives a permission another name or description; nil: the same.
func EditPermission(tx Tx, slug string, name, description *string, by audit.Actor, now time.Time) (Permission, error) {
	p, err := FindPermission(tx, slug)
	if err != nil {
		return Permission{}, err
	}
	was := p
	if name != nil {
		p.Name = *name
	}
	if description != nil {
		p.Description = *description
	}
	if err := checkRoleTexts(Role{Name: p.Name, Description: p.Description}); err != nil || same(p, was) {
		return p, err
	}
	p.UpdatedAt = now.UTC()
	if err := tx.PutPermission(p); err != nil {
		return Permission{}, err
	}
	return p, recordPermission(tx, audit.PermissionUpdated, p, by, now)
}

// RemovePermission deletes a permission that no role has, of the installation or of any organization: else a role
// would give what is not there, and give it again when another is called so.
func RemovePermission(tx Tx, slug string, by audit.Actor, now time.Time) error {
	p, err := FindPermission(tx, slug)
	if err != nil {
		return err
	}
	for _, roles := range []func(func(Role, error) bool){tx.Roles(""), tx.RolesOfAll()} {
		for r, err := range roles {
			if err != nil {
				return err
			}
			if slices.Contains(r.Permissions, slug) {
				return ErrPermissionUsed
			}
		}
	}
	if err := tx.DeletePermission(slug); err != nil {
		return err
	}
	return recordPermission(tx, audit.PermissionDeleted, p, by, now)
}

func recordPermission(tx Tx, name string, p Permission, by audit.Actor, now time.Time) error {
	return audit.Record(tx, audit.New(name, by, now), ShowPermission(p))
}
