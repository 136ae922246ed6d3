package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// MemberRole is the role that every installation has.
const MemberRole = "member"

// ErrNoRole says that a membership was to get a role that is not defined.
var ErrNoRole = errors.New("no such role")

// ErrBuiltIn says that the role [MemberRole] can't be removed.
var ErrBuiltIn = errors.New("role is built in")

// maxRole is how long the slug of a role may be.
const maxRole = 48

// SaveRole makes the role or changes it to be r. Nothing is written if nothing changes.
//
// A role of an organization can't have the slug of one of the installation: what "admin"
// may do is for the operator to say, not for the IT admin of a customer. That is [ErrTaken].
func SaveRole(tx Tx, r Role, by audit.Actor, now time.Time) error {
	if err := checkRoleSlug(r.Slug); err != nil {
		return err
	}
	for _, p := range r.Permissions {
		// Permissions go into a header, comma-separated.
		if i := strings.IndexFunc(p, func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }); p == "" || i >= 0 {
			return fmt.Errorf("role %q: bad permission %q", r.Slug, clip(p))
		}
	}
	if r.Organization != "" {
		switch _, err := tx.Role("", r.Slug); {
		case err == nil:
			return fmt.Errorf("role %q: %w", r.Slug, ErrTaken)
		case !errors.Is(err, ErrNotFound):
			return err
		}
	}
	if len(r.Permissions) == 0 {
		r.Permissions = nil
	}
	names := [2]string{audit.RoleUpdated, audit.OrganizationRoleUpdated}
	old, err := tx.Role(r.Organization, r.Slug)
	switch r.ID, r.CreatedAt, r.UpdatedAt = old.ID, old.CreatedAt, old.UpdatedAt; {
	case errors.Is(err, ErrNotFound):
		names = [2]string{audit.RoleCreated, audit.OrganizationRoleCreated}
		r.ID, r.CreatedAt = RoleID(id.New("role", now)), now.UTC()
	case err != nil:
		return err
	case same(r, old):
		return nil
	}
	r.UpdatedAt = now.UTC()
	if err := tx.PutRole(r); err != nil {
		return err
	}
	return recordRole(tx, names, r, by, now)
}

// RemoveRole deletes a role. Memberships keep its name, and a name that is not defined
// grants nothing. Removing what is not there is nothing.
func RemoveRole(tx Tx, org OrgID, slug string, by audit.Actor, now time.Time) error {
	if org == "" && slug == MemberRole {
		return fmt.Errorf("role %q: %w", slug, ErrBuiltIn)
	}
	r, err := tx.Role(org, slug)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.DeleteRole(org, slug); err != nil {
		return err
	}
	return recordRole(tx, [2]string{audit.RoleDeleted, audit.OrganizationRoleDeleted}, r, by, now)
}

// FindRole returns the role that the slug means in the organization: the installation's,
// else its own.
func FindRole(tx Tx, org OrgID, slug string) (Role, error) {
	if slug == "" {
		return Role{}, fmt.Errorf("role: %w", ErrNotFound)
	}
	r, err := tx.Role("", slug)
	if org != "" && errors.Is(err, ErrNotFound) {
		return tx.Role(org, slug)
	}
	return r, err
}

// checkRoles returns an error wrapping [ErrNoRole] unless every role is defined.
func checkRoles(tx Tx, org OrgID, slugs []string) error {
	for _, slug := range slugs {
		_, err := FindRole(tx, org, slug)
		if errors.Is(err, ErrNotFound) {
			return fmt.Errorf("role %q: %w", clip(slug), ErrNoRole)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkRoleSlug(s string) error {
	if s == "" || len(s) > maxRole {
		return fmt.Errorf("bad role %q: want 1 to %d bytes", clip(s), maxRole)
	}
	i := slices.IndexFunc([]byte(s), func(c byte) bool { return !isLDH(c) && c != '_' })
	if i >= 0 {
		// Roles go into a header as well.
		return fmt.Errorf("bad role %q: %q at byte %d", s, s[i], i)
	}
	return nil
}

// defaultRoles are those of a member that nobody gave another role.
func defaultRoles(r Rules, o Organization) []string {
	switch {
	case o.DefaultRole != "":
		return []string{o.DefaultRole}
	case r.DefaultRole != "":
		return []string{r.DefaultRole}
	default:
		return []string{MemberRole}
	}
}
