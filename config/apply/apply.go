// Package apply writes a configuration to the store: the roles of the installation and
// the organizations, section by section.
//
// It owns the order of these writes, and which of them are needed: an organization whose
// digest did not change is not written. It does not own what a change means (package tenancy,
// by whose operations it is made) or what is right (package config).
//
// The invariants: what the YAML does not give is left alone; nothing is deleted that can't be made
// again from the YAML; and whatever ends a run in the middle, the next one finishes it.
package apply

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/hook"
	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A Report counts what became of organizations.
type Report struct {
	Created, Updated, Suspended, Unchanged int
}

// batch is how many organizations are written in one transaction.
const batch = 100

// actor is whom events name.
var actor = audit.Actor{Type: "config"}

// Apply writes c to the store. An organization that left the YAML is suspended, and resumed when it
// comes back. It returns an error, and has written nothing, if the YAML claims what
// belongs to an organization that it does not own.
func Apply(ctx context.Context, st *store.Store, c *config.Config, box *seal.Box, now time.Time) (Report, error) {
	r := &run{ctx: ctx, store: st, box: box, now: now}
	if err := r.plan(c); err != nil {
		return Report{}, err
	}
	if err := r.roles(c.Roles, c.RolesAt != (tenancy.Origin{})); err != nil {
		return Report{}, fmt.Errorf("roles: %w", err)
	}
	if err := r.webhooks(c.Webhooks); err != nil {
		return Report{}, fmt.Errorf("webhooks: %w", err)
	}
	// Out first, then in: a host or a domain can go from one organization to another.
	for _, step := range []func() error{r.suspend, r.release, r.save, r.relocate, func() error { return r.apiKeys(c.Management.APIKeys) }} {
		if err := step(); err != nil {
			return Report{}, err
		}
	}
	return r.report, nil
}

// A run is one call of Apply.
type run struct {
	ctx   context.Context
	store *store.Store
	box   *seal.Box
	now   time.Time

	leavers  []tenancy.OrgID
	releases []holding
	changed  []change
	moved    []change
	report   Report
}

// A change is an organization that is to be written, and its new digest.
type change struct {
	*config.Organization
	digest string
}

// inBatches runs f on each of list, so many of them in one transaction.
func inBatches[T any](r *run, list []T, f func(store.Tx, T) error) error {
	for part := range slices.Chunk(list, batch) {
		err := r.store.Update(r.ctx, func(tx store.Tx) error {
			for _, x := range part {
				if err := f(tx, x); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// roles makes the roles of the installation those of the YAML. A role that left it is
// removed: memberships keep its name, and get back what it gave when it comes back. Where the YAML gives none
// they are the API's, and only what must be there is made.
func (r *run) roles(roles []config.Role, given bool) error {
	return r.store.Update(r.ctx, func(tx store.Tx) error {
		if !given {
			none, err := missing(roleThere(tx, tenancy.MemberRole))
			if none {
				err = tenancy.SaveRole(tx, tenancy.Role{Slug: tenancy.MemberRole}, actor, r.now)
			}
			return err
		}
		var gone []string
		for role, err := range tx.Roles("") {
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(roles, func(o config.Role) bool { return o.Slug == role.Slug }) {
				gone = append(gone, role.Slug)
			}
		}
		for i, o := range roles {
			role := tenancy.Role{Slug: o.Slug, Name: o.Name, Permissions: o.Permissions, Priority: i}
			if err := tenancy.SaveRole(tx, role, actor, r.now); err != nil {
				return err
			}
		}
		for _, slug := range gone {
			if err := tenancy.RemoveRole(tx, "", slug, actor, r.now); err != nil {
				return err
			}
		}
		return nil
	})
}

// webhooks makes the endpoints that the YAML gives what it says.
func (r *run) webhooks(hooks []config.Webhook) error {
	// Where a URL may lead, config has checked, and whoever calls it judges.
	rules := hook.Rules{CheckURL: func(string) error { return nil }, Box: r.box}
	var wishes []hook.Wish
	for _, h := range hooks {
		wishes = append(wishes, hook.Wish{URL: &h.URL, Events: h.Events, Secret: h.Secret.Reveal()})
	}
	return r.store.Update(r.ctx, func(tx store.Tx) error { return hook.Manage(tx, rules, wishes, actor, r.now) })
}

func roleThere(tx store.Tx, slug string) error {
	_, err := tx.Role("", slug)
	return err
}

// apiKeys makes the keys for the API that the YAML gives those of the YAML.
func (r *run) apiKeys(keys []config.APIKey) error {
	return r.store.Update(r.ctx, func(tx store.Tx) error {
		var want []session.APIKey
		for _, k := range keys {
			w := session.APIKey{Name: k.Name, Hash: k.Sum(), ReadOnly: k.ReadOnly}
			if k.Organization != "" {
				o, err := tx.OrganizationBySlug(k.Organization)
				if err != nil {
					return keyFault(k, err)
				}
				w.Organization = o.ID
			}
			want = append(want, w)
		}
		return session.SetConfiguredAPIKeys(tx, want, actor, r.now)
	})
}

// keyFault says which key names an organization that is not there. To leave the organization out would make it a
// key for everything.
func keyFault(k config.APIKey, err error) error {
	if errors.Is(err, tenancy.ErrNotFound) {
		return fmt.Errorf("management.api_keys: %s is for the organization %q, which is neither in the configuration nor in the store", k.Name, k.Organization)
	}
	return err
}

func (r *run) suspend() error {
	r.report.Suspended = len(r.leavers)
	return inBatches(r, r.leavers, func(tx store.Tx, id tenancy.OrgID) error {
		return tenancy.Suspend(tx, id, actor, r.now)
	})
}

// relocate brings the lines up to date that say where the YAML owns a section, if that is
// quickly done. One line put in at the top of a file of thousands moves all of them, and is not worth
// writing thousands of organizations: they keep the lines of their last change.
func (r *run) relocate() error {
	if len(r.moved) > batch {
		return nil
	}
	return inBatches(r, r.moved, func(tx store.Tx, c change) error {
		o, err := tx.OrganizationBySlug(c.Slug)
		if err != nil {
			return err
		}
		o.Managed = maps.Clone(c.Managed)
		return tx.PutOrganization(o) // no event: nothing happened to the organization
	})
}

func (r *run) digest(o *config.Organization) string {
	// The number is that of this package: with another one, everything is written anew.
	sum := o.Sum()
	return "2:" + base64.RawStdEncoding.EncodeToString(r.box.Digest("organization", sum[:]))
}

// at puts in front of an error where the YAML says what it is about.
func at(o *config.Organization, s tenancy.Section, err error) error {
	where, ok := o.Managed[s]
	if !ok {
		where = o.Managed[tenancy.SectionSettings]
	}
	return fmt.Errorf("%s:%d: %s: %w", where.File, where.Line, o.Slug, err)
}

// missing returns nil in place of an error that says that there is no such thing.
func missing(err error) (bool, error) {
	if errors.Is(err, tenancy.ErrNotFound) {
		return true, nil
	}
	return false, err
}
