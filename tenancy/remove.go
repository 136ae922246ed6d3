package tenancy

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
)

// BeginRemoval says that the organization shall be deleted: from now on nobody gets in, and to the API it is
// not there. [FinishRemoval] is its end; in between go its members (session.RemoveOrganization).
//
// It returns a [*ManagedError] if the YAML gives the organization: it would make it anew. One that left the
// YAML, and is suspended for that, is the API's to delete.
func BeginRemoval(tx Tx, org OrgID, by audit.Actor, now time.Time) error {
	o, err := tx.Organization(org)
	switch {
	case err != nil:
		return err
	case o.Deleting:
		return nil
	case !o.Suspended:
		if err := CheckManaged(o, SectionSettings); err != nil {
			return err
		}
	}
	o.Deleting, o.Suspended, o.UpdatedAt = true, true, now.UTC()
	return putOrganization(tx, audit.OrganizationSuspended, o, by, now)
}

// FinishRemoval deletes what an organization without members has, and the organization. It
// deletes up to limit things, and reports whether that was all.
func FinishRemoval(tx Tx, org OrgID, limit int, by audit.Actor, now time.Time) (done bool, err error) {
	o, err := tx.Organization(org)
	if err != nil {
		return false, err
	}
	if !o.Deleting {
		return false, ErrState
	}
	r := removal{tx, o, limit, by, now}
	for _, step := range []func() error{r.connections, r.domains, r.roles, r.groups, r.keys, r.invitations} {
		if err := step(); err != nil {
			return false, err
		}
		if r.left <= 0 {
			return false, nil
		}
	}
	if members, err := first(tx.Members(org), 1); err != nil || len(members) > 0 {
		return false, errors.Join(err, ErrState)
	}
	if err := tx.DeleteOrganization(org); err != nil {
		return false, err
	}
	return true, recordOrganization(tx, audit.OrganizationDeleted, o, by, now)
}

// A removal is one call of [FinishRemoval].
type removal struct {
	tx   Tx
	org  Organization
	left int // how much may be deleted yet
	by   audit.Actor
	now  time.Time
}

func (r *removal) connections() error {
	conns, err := first(r.tx.Connections(r.org.ID), r.left)
	if err != nil {
		return err
	}
	for _, c := range conns {
		identities, err := first(r.tx.IdentitiesAt(c.ID), r.left)
		if err != nil {
			return err
		}
		for _, i := range identities {
			if err := removeIdentity(r.tx, i, r.by, r.now); err != nil {
				return err
			}
		}
		if r.left -= len(identities); r.left <= 0 {
			return nil
		}
		if err := RemoveConnection(r.tx, r.org.ID, c.ID, r.by, r.now); err != nil {
			return err
		}
		r.left--
	}
	return nil
}

func (r *removal) domains() error {
	domains, err := first(r.tx.Domains(r.org.ID), r.left)
	for _, d := range domains {
		err = errors.Join(err, RemoveDomain(r.tx, r.org.ID, d.Name, r.by, r.now))
	}
	r.left -= len(domains)
	return err
}

func (r *removal) roles() error {
	roles, err := first(r.tx.Roles(r.org.ID), r.left)
	for _, o := range roles {
		err = errors.Join(err, RemoveRole(r.tx, r.org.ID, o.Slug, r.by, r.now))
	}
	r.left -= len(roles)
	return err
}

// groups have no members any more when an organization comes to its end.
func (r *removal) groups() error {
	all, err := first(r.tx.GroupsIn(r.org.ID, Place{}), r.left)
	for _, g := range all {
		err = errors.Join(err, RemoveGroup(r.tx, r.org.ID, g.ID, r.by, r.now))
	}
	r.left -= len(all)
	return err
}

func (r *removal) keys() error {
	all, err := first(r.tx.AppKeysIn(r.org.ID), r.left)
	for _, k := range all {
		err = errors.Join(err, RemoveAppKey(r.tx, k.ID, r.by, r.now))
	}
	r.left -= len(all)
	return err
}

// invitations goes through what is left of them: those that were open ended with their memberships.
func (r *removal) invitations() error {
	all, err := first(r.tx.InvitationsOf(r.org.ID), r.left)
	for _, i := range all {
		err = errors.Join(err, r.tx.DeleteInvitation(i.ID))
	}
	r.left -= len(all)
	return err
}

// first returns the first n of what seq yields.
func first[T any](seq func(func(T, error) bool), n int) (all []T, err error) {
	for x, err := range seq {
		if err != nil {
			return nil, err
		}
		if len(all) == n {
			break
		}
		all = append(all, x)
	}
	return all, nil
}
