package tenancy

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
)

// OwnRolePrefix begins the slugs of the roles that an organization makes for itself, so that none is taken for one
// of the installation's.
const OwnRolePrefix = "org-"

const (
	maxRoleName        = 48
	maxRoleDescription = 150
)

var (
	// ErrRoleText says that the slug, name or description of a role can't be one.
	ErrRoleText = errors.New("bad text of a role")
	// ErrRoleAssigned says that somebody has the role, or gets it by default.
	ErrRoleAssigned = errors.New("role is assigned")
	// ErrRoleMapped says that a group of the identity provider gives the role.
	ErrRoleMapped = errors.New("role is mapped to a group")
	// ErrNoPermission says that there is no such permission.
	ErrNoPermission = errors.New("no such permission")
)

// CreateOwnRole makes a role of the organization, the last in its order. Without a slug it gets one made of
// its name. It returns an error wrapping [ErrTaken] if there is such a role.
func CreateOwnRole(tx Tx, r Role, by audit.Actor, now time.Time) (Role, error) {
	if _, err := tx.Organization(r.Organization); err != nil {
		return Role{}, err
	}
	if err := checkRoleTexts(r); err != nil {
		return Role{}, err
	}
	if r.Slug == "" {
		made := slugOf(r.Name)
		r.Slug = strings.TrimSuffix(OwnRolePrefix+made[:min(len(made), 30)], "-") + "-" + strings.ToLower(rand.Text()[:6])
	}
	if !strings.HasPrefix(r.Slug, OwnRolePrefix) || checkRoleSlug(r.Slug) != nil {
		return Role{}, fmt.Errorf("%w: slug %q: want %s and up to %d bytes a-z, 0-9, - and _", ErrRoleText, clip(r.Slug), OwnRolePrefix, maxRole)
	}
	switch _, err := tx.Role(r.Organization, r.Slug); {
	case err == nil:
		return Role{}, fmt.Errorf("role %q: %w", r.Slug, ErrTaken)
	case !errors.Is(err, ErrNotFound):
		return Role{}, err
	}
	r.Priority = 0
	return addRole(tx, r, by, now)
}

// CreateRole makes a role of the installation, the last in its order. It returns an error wrapping [ErrTaken] if there
// is such a role.
func CreateRole(tx Tx, r Role, by audit.Actor, now time.Time) (Role, error) {
	r.Organization = ""
	if err := checkRoleTexts(r); err != nil {
		return Role{}, err
	}
	if strings.HasPrefix(r.Slug, OwnRolePrefix) || checkRoleSlug(r.Slug) != nil {
		return Role{}, fmt.Errorf("%w: slug %q: want up to %d bytes a-z, 0-9, - and _, and not %s in front", ErrRoleText, clip(r.Slug), maxRole, OwnRolePrefix)
	}
	switch _, err := tx.Role("", r.Slug); {
	case err == nil:
		return Role{}, fmt.Errorf("role %q: %w", r.Slug, ErrTaken)
	case !errors.Is(err, ErrNotFound):
		return Role{}, err
	}
	return addRole(tx, r, by, now)
}

// addRole makes r the last of its roles.
func addRole(tx Tx, r Role, by audit.Actor, now time.Time) (Role, error) {
	for o, err := range tx.Roles(r.Organization) {
		if err != nil {
			return Role{}, err
		}
		r.Priority = max(r.Priority, o.Priority+1)
	}
	if err := SaveRole(tx, r, by, now); err != nil {
		return Role{}, err
	}
	return tx.Role(r.Organization, r.Slug)
}

// EditRole changes a role of the organization or, if org is empty, of the installation. Its slug and its place
// are for good.
func EditRole(tx Tx, org OrgID, slug string, f func(*Role), by audit.Actor, now time.Time) (Role, error) {
	was, err := tx.Role(org, slug)
	if err != nil {
		return Role{}, err
	}
	r := was
	r.Permissions = slices.Clone(r.Permissions)
	f(&r)
	r.ID, r.Organization, r.Slug, r.Priority = was.ID, was.Organization, was.Slug, was.Priority
	if err := checkRoleTexts(r); err != nil {
		return Role{}, err
	}
	slices.Sort(r.Permissions)
	r.Permissions = slices.Compact(r.Permissions)
	for _, p := range r.Permissions {
		if slices.Contains(was.Permissions, p) {
			continue // it was there when it was given
		}
		if ok, err := hasPermission(tx, p); err != nil {
			return Role{}, err
		} else if !ok {
			return Role{}, fmt.Errorf("%q: %w", clip(p), ErrNoPermission)
		}
	}
	if err := SaveRole(tx, r, by, now); err != nil {
		return Role{}, err
	}
	return tx.Role(org, slug)
}

// RemoveOwnRole deletes a role of the organization that nobody has.
func RemoveOwnRole(tx Tx, org OrgID, slug string, by audit.Actor, now time.Time) error {
	o, err := tx.Organization(org)
	if err != nil {
		return err
	}
	if _, err := tx.Role(org, slug); err != nil {
		return err
	}
	if o.DefaultRole == slug {
		return ErrRoleAssigned
	}
	if slices.ContainsFunc(o.GroupRoles, func(g GroupRole) bool { return g.Role == slug }) {
		return ErrRoleMapped
	}
	for m, err := range tx.Members(org) {
		if err != nil {
			return err
		}
		if slices.Contains(m.Roles, slug) {
			return ErrRoleAssigned
		}
	}
	for g, err := range tx.GroupsIn(org, Place{}) {
		if err != nil {
			return err
		}
		if g.assigned(slug) >= 0 {
			return ErrRoleAssigned
		}
	}
	return RemoveRole(tx, org, slug, by, now)
}

func checkRoleTexts(r Role) error {
	switch {
	case strings.TrimSpace(r.Name) == "" || r.Name != cleanName(r.Name) || utf8.RuneCountInString(r.Name) > maxRoleName:
		return fmt.Errorf("%w: name: want 1 to %d characters", ErrRoleText, maxRoleName)
	case !utf8.ValidString(r.Description) || utf8.RuneCountInString(r.Description) > maxRoleDescription:
		return fmt.Errorf("%w: description: want up to %d characters", ErrRoleText, maxRoleDescription)
	}
	return nil
}

// hasPermission reports whether there is such a permission.
func hasPermission(tx Tx, slug string) (bool, error) {
	_, err := FindPermission(tx, slug)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
