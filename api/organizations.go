package api

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const maxName = 256 // of an organization, in characters

func (a *API) listOrganizations(c *call) error {
	q := c.query()
	p := q.page("org", descending)
	domains := q.texts("domains")
	search, _ := q.text("search")
	if len(domains) > 20 {
		q.fault("invalid", "domains", "domains must have no more than 20 values")
	}
	if err := q.done(); err != nil {
		return err
	}
	search = strings.ToLower(search)
	var e envelope[tenancy.OrganizationObject]
	return c.viewed(&e, func(tx store.Tx) (err error) {
		s := source[tenancy.Organization]{
			from: tx.OrganizationsFrom, id: func(o tenancy.Organization) string { return string(o.ID) },
			keep: func(o tenancy.Organization) (bool, error) {
				return !o.Deleting && (search == "" || strings.Contains(strings.ToLower(o.Name), search)), nil
			},
		}
		switch {
		case c.key.Organization != "":
			s.from = oneOf(tx.Organization, c.key.Organization)
			if domains != nil {
				s.from = filtered(s.from, func(o tenancy.Organization) (bool, error) { return hasDomain(tx, o.ID, domains) })
			}
		case domains != nil:
			s.from = organizationsWith(tx, domains)
		}
		e, err = listPage(p, s, func(o tenancy.Organization) (tenancy.OrganizationObject, error) {
			return tenancy.ShowOrganization(tx, o)
		})
		return err
	})
}

// oneOf is a list of one thing.
func oneOf[ID ~string, T any](get func(ID) (T, error), id ID) func(tenancy.Place) iter.Seq2[T, error] {
	return func(at tenancy.Place) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			if at.Past != "" && (at.Backward && string(id) >= at.Past || !at.Backward && string(id) <= at.Past) {
				return
			}
			x, err := get(id)
			if !errors.Is(err, tenancy.ErrNotFound) {
				yield(x, err)
			}
		}
	}
}

// filtered leaves out what keep does not keep.
func filtered[T any](from func(tenancy.Place) iter.Seq2[T, error], keep func(T) (bool, error)) func(tenancy.Place) iter.Seq2[T, error] {
	return func(at tenancy.Place) iter.Seq2[T, error] {
		return func(yield func(T, error) bool) {
			for x, err := range from(at) {
				ok := err != nil
				if err == nil {
					ok, err = keep(x)
				}
				if (ok || err != nil) && !yield(x, err) || err != nil {
					return
				}
			}
		}
	}
}

func hasDomain(tx store.Tx, org tenancy.OrgID, names []string) (bool, error) {
	for _, name := range names {
		_, err := tx.Domain(org, strings.ToLower(name))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, tenancy.ErrNotFound) {
			return false, err
		}
	}
	return false, nil
}

// organizationsWith are the organizations that have any of the domains, in whatever state: those of each
// name are in order already, and are merged.
func organizationsWith(tx store.Tx, names []string) func(tenancy.Place) iter.Seq2[tenancy.Organization, error] {
	return func(at tenancy.Place) iter.Seq2[tenancy.Organization, error] {
		return func(yield func(tenancy.Organization, error) bool) {
			for {
				var next tenancy.OrgID
				for _, name := range names {
					for d, err := range tx.DomainsNamed(strings.ToLower(name), at) {
						if err != nil {
							yield(tenancy.Organization{}, err)
							return
						}
						if next == "" || at.Backward == (d.Organization > next) {
							next = d.Organization
						}
						break
					}
				}
				if next == "" {
					return
				}
				o, err := tx.Organization(next)
				if !errors.Is(err, tenancy.ErrNotFound) && !yield(o, err) || err != nil && !errors.Is(err, tenancy.ErrNotFound) {
					return
				}
				at.Past = string(next)
			}
		}
	}
}

// An organizationInput is the body of create and update; nil: not given.
type organizationInput struct {
	name, externalID *string
	metadata         map[string]*string
	clearMetadata    bool
	domains          []tenancy.DomainClaim // nil: not given
}

func (c *call) organizationInput(create bool) (in organizationInput, err error) {
	b, err := c.body()
	if err != nil {
		return in, err
	}
	if create {
		name := b.required("name")
		in.name = &name
	} else if in.name = b.text("name"); in.name != nil && strings.TrimSpace(*in.name) == "" {
		b.fault("required", "name", "must not be empty")
	}
	if in.name != nil && (utf8.RuneCountInString(*in.name) > maxName || strings.ContainsFunc(*in.name, func(r rune) bool { return r < ' ' || r == 0x7f })) {
		b.fault("invalid", "name", "must be one line of up to 256 characters")
	}
	in.externalID = b.clearable("external_id")
	in.metadata, in.clearMetadata = b.metadata()
	b.unsupported("allow_profiles_outside_organization", "stripe_customer_id")

	data, names := b.objects("domain_data"), b.texts("domains")
	if data != nil && names != nil {
		b.fault("invalid", "domains", "can't be given with domain_data")
	}
	claim := func(at body, field, name string, verified bool) {
		d, err := tenancy.ParseDomain(name)
		switch {
		case name == "":
		case err != nil:
			at.fault("invalid", field, "must be a domain")
		case tenancy.PublicMailDomain(d):
			at.fault("invalid", field, "is a public mail provider's domain, which nobody can claim")
		default:
			in.domains = append(in.domains, tenancy.DomainClaim{Name: d, Verified: verified})
		}
	}
	if data != nil || names != nil {
		in.domains = []tenancy.DomainClaim{}
	}
	for _, d := range data {
		name, state := d.required("domain"), d.required("state")
		switch state {
		case "", "pending":
		case "verified":
			if c.key.Organization != "" {
				return in, &Error{Status: http.StatusForbidden, Code: "forbidden", Message: "An API key for one organization can't say that a domain is verified."}
			}
		default:
			d.fault("invalid", "state", "must be one of pending, verified")
		}
		claim(d, "domain", name, state == "verified")
	}
	for _, name := range names {
		claim(b, "domains", name, false)
	}
	return in, b.done(data...)
}

func (a *API) createOrganization(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	in, err := c.organizationInput(true)
	if err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		slug, err := tenancy.FreeSlug(tx, *in.name)
		if err != nil {
			return nil, err
		}
		o := tenancy.Organization{Slug: slug, Name: strings.TrimSpace(*in.name), Metadata: tenancy.Metadata(nil).Merge(in.metadata)}
		if in.externalID != nil {
			o.ExternalID = *in.externalID
		}
		if o, err = tenancy.SaveOrganization(tx, o, c.by, c.now); err != nil {
			return nil, err
		}
		if err := c.setDomains(tx, o, in.domains); err != nil {
			return nil, err
		}
		return tenancy.ShowOrganization(tx, o)
	})
}

// setDomains makes claims the domains of the organization, if they are not nil.
func (c *call) setDomains(tx store.Tx, o tenancy.Organization, claims []tenancy.DomainClaim) error {
	if claims == nil {
		return nil
	}
	if err := tenancy.CheckManaged(o, tenancy.SectionDomains); err != nil {
		return err
	}
	err := tenancy.SetDomains(tx, o.ID, claims, c.by, c.now)
	if errors.Is(err, tenancy.ErrTaken) {
		return &Error{Status: http.StatusConflict, Code: "domain_already_exists", Message: "A domain is verified in another organization.", Err: err}
	}
	return err
}

func (a *API) getOrganization(c *call) error {
	return c.showOrganization(func(tx store.Tx) (tenancy.Organization, error) {
		return c.organization(tx, tenancy.OrgID(c.r.PathValue("id")))
	})
}

func (a *API) getOrganizationByExternalID(c *call) error {
	id := c.r.PathValue("external_id")
	return c.showOrganization(func(tx store.Tx) (tenancy.Organization, error) {
		o, err := tx.OrganizationByExternalID(id)
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && (!c.sees(o.ID) || o.Deleting) {
			return o, notFound("Organization", id)
		}
		return o, err
	})
}

func (c *call) showOrganization(get func(store.Tx) (tenancy.Organization, error)) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.OrganizationObject
	return c.viewed(&shown, func(tx store.Tx) error {
		o, err := get(tx)
		if err == nil {
			shown, err = tenancy.ShowOrganization(tx, o)
		}
		return err
	})
}

func (a *API) updateOrganization(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	in, err := c.organizationInput(false)
	if err != nil {
		return err
	}
	var shown tenancy.OrganizationObject
	return c.changed(&shown, func(tx store.Tx) error {
		o, err := c.organization(tx, tenancy.OrgID(c.r.PathValue("id")))
		if err != nil {
			return err
		}
		if in.name != nil && *in.name != o.Name {
			if err := tenancy.CheckManaged(o, tenancy.SectionSettings); err != nil {
				return err
			}
			o.Name = strings.TrimSpace(*in.name)
		}
		if in.externalID != nil && *in.externalID != o.ExternalID {
			if c.key.Organization != "" { // that one is taken says that there is such an organization
				return &Error{Status: http.StatusForbidden, Code: "forbidden", Message: "An API key for one organization can't change its external_id."}
			}
			o.ExternalID = *in.externalID
		}
		if in.clearMetadata {
			o.Metadata = nil
		}
		o.Metadata = o.Metadata.Merge(in.metadata)
		if o, err = tenancy.SaveOrganization(tx, o, c.by, c.now); err != nil {
			return err
		}
		if err := c.setDomains(tx, o, in.domains); err != nil {
			return err
		}
		shown, err = tenancy.ShowOrganization(tx, o)
		return err
	})
}

// deleteOrganization deletes an organization with all that it has. From the first transaction on nobody gets
// in. Where the others don't come to their end, [API.FinishRemovals] brings them there.
func (a *API) deleteOrganization(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	id := tenancy.OrgID(c.r.PathValue("id"))
	err := c.update(func(tx store.Tx) error {
		if _, err := c.organization(tx, id); err != nil {
			return err
		}
		return tenancy.BeginRemoval(tx, id, c.by, c.now)
	})
	if err != nil {
		return err
	}
	if err := RemoveOrganization(context.WithoutCancel(c.ctx), a.Store, id, c.by, c.api.Now); err != nil {
		return err
	}
	return c.nothing(http.StatusAccepted)
}

// RemoveOrganization deletes an organization whose removal has begun, part by part.
func RemoveOrganization(ctx context.Context, s *store.Store, org tenancy.OrgID, by audit.Actor, now func() time.Time) error {
	for done := false; !done; {
		err := s.Update(ctx, func(tx store.Tx) (err error) {
			if gone, err := directory.RemoveAll(tx, org, directoryStep, by, now()); err != nil || !gone {
				return err
			}
			done, err = session.RemoveOrganization(tx, org, by, now())
			return err
		})
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil // somebody else was at it too
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// FinishRemovals deletes the organizations and directories whose removal has begun and has not come to its end.
func FinishRemovals(ctx context.Context, s *store.Store, now func() time.Time) error {
	var orgs []tenancy.OrgID
	var dirs []directory.Directory
	err := s.View(ctx, func(tx store.Tx) error {
		orgs, dirs = nil, nil
		for o, err := range tx.Organizations() {
			if err != nil {
				return err
			}
			if o.Deleting {
				orgs = append(orgs, o.ID)
			}
		}
		for d, err := range tx.DirectoriesFrom(tenancy.Place{}) {
			if err != nil {
				return err
			}
			if d.Deleting {
				dirs = append(dirs, d)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, d := range dirs {
		if err := removeDirectory(ctx, s, d); err != nil {
			return err
		}
	}
	for _, org := range orgs {
		if err := RemoveOrganization(ctx, s, org, audit.System, now); err != nil {
			return err
		}
	}
	return nil
}
