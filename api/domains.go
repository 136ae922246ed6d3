package api

import (
	"errors"
	"net/http"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// domain returns the domain of that id and its organization, if it is there for the key.
func (c *call) domain(tx store.Tx) (tenancy.Domain, tenancy.Organization, error) {
	id := c.r.PathValue("id")
	d, err := tx.DomainByID(tenancy.DomainID(id))
	if err == nil {
		var o tenancy.Organization
		if o, err = c.organization(tx, d.Organization); err == nil {
			return d, o, nil
		}
	}
	if errors.Is(err, tenancy.ErrNotFound) || isNotFound(err) {
		err = notFound("Organization domain", id)
	}
	return tenancy.Domain{}, tenancy.Organization{}, err
}

// isNotFound reports whether it was answered already that something is not there: of what is found by its
// own id, it is that which is not, whatever it belongs to.
func isNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Status == http.StatusNotFound
}

func (a *API) createDomain(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	name, org := b.required("domain"), b.required("organization_id")
	parsed, err := tenancy.ParseDomain(name)
	switch {
	case name == "":
	case err != nil:
		b.fault("invalid", "domain", "must be a domain")
	case tenancy.PublicMailDomain(parsed):
		b.fault("invalid", "domain", "is a public mail provider's domain, which nobody can claim")
	}
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		o, err := c.organization(tx, tenancy.OrgID(org))
		if err != nil {
			return nil, err
		}
		if err := tenancy.CheckManaged(o, tenancy.SectionDomains); err != nil {
			return nil, err
		}
		exists := conflict("domain_already_exists", "The domain exists already.")
		if _, err := tx.Domain(o.ID, parsed); err == nil {
			return nil, exists
		} else if !errors.Is(err, tenancy.ErrNotFound) {
			return nil, err
		}
		// A key for one organization is not told what others have: it learns that when it has proved
		// that the domain is its own.
		if c.key.Organization == "" {
			if _, err := tx.VerifiedDomain(parsed); err == nil {
				return nil, exists
			} else if !errors.Is(err, tenancy.ErrNotFound) {
				return nil, err
			}
		}
		d, err := tenancy.AddDomain(tx, o.ID, parsed, tenancy.StrategyDNS, c.by, c.now)
		return tenancy.ShowDomain(d), err
	})
}

func (a *API) getDomain(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown tenancy.DomainObject
	return c.viewed(&shown, func(tx store.Tx) error {
		d, _, err := c.domain(tx)
		shown = tenancy.ShowDomain(d)
		return err
	})
}

// verifyDomain has the record of the domain looked for again, soon.
func (a *API) verifyDomain(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		d, o, err := c.domain(tx)
		if err != nil {
			return nil, err
		}
		if d.State == tenancy.DomainVerified {
			return nil, badRequest("domain_already_verified", "The domain is verified already.")
		}
		d, err = tenancy.RestartProof(tx, o.ID, d.Name, c.by, c.now)
		if errors.Is(err, tenancy.ErrPublicDomain) {
			return nil, &Error{Status: http.StatusUnprocessableEntity, Code: "public_domain", Message: "A public mail provider's domain can't be verified.", Err: err}
		}
		return tenancy.ShowDomain(d), err
	})
}

func (a *API) deleteDomain(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	return c.dropped(func(tx store.Tx) error {
		d, o, err := c.domain(tx)
		if err != nil {
			return err
		}
		if err := tenancy.CheckManaged(o, tenancy.SectionDomains); err != nil {
			return err
		}
		return tenancy.RemoveDomain(tx, o.ID, d.Name, c.by, c.now)
	})
}
