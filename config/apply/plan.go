package apply

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A holding is something unique that an organization has, and another is to get.
type holding struct {
	owner tenancy.OrgID
	// One of the two.
	domain, host string
}

// plan compares the YAML with the store and says what is to be done. It writes nothing.
func (r *run) plan(c *config.Config) error {
	wanted := make(map[tenancy.Slug]*config.Organization, len(c.Organizations))
	for _, o := range c.Organizations {
		wanted[o.Slug] = o
	}
	return r.store.View(r.ctx, func(tx store.Tx) error {
		r.leavers, r.releases, r.changed, r.moved, r.report = nil, nil, nil, nil, Report{}
		same := make(map[tenancy.Slug]bool, len(wanted))
		for o, err := range tx.Organizations() {
			if err != nil {
				return err
			}
			w, ok := wanted[o.Slug]
			switch {
			case !ok && o.ConfigDigest != "" && !o.Suspended:
				r.leavers = append(r.leavers, o.ID)
			case ok && !o.Suspended && o.ConfigDigest == r.digest(w):
				same[o.Slug] = true
				r.report.Unchanged++
				if !maps.Equal(o.Managed, w.Managed) {
					r.moved = append(r.moved, change{w, o.ConfigDigest})
				}
			}
		}
		var faults []error
		for _, k := range c.Management.APIKeys {
			if _, err := tx.OrganizationBySlug(k.Organization); k.Organization != "" && wanted[k.Organization] == nil && err != nil {
				faults = append(faults, keyFault(k, err))
			}
		}
		for _, o := range c.Organizations {
			if same[o.Slug] {
				continue
			}
			r.changed = append(r.changed, change{o, r.digest(o)})
			taken, err := r.conflicts(tx, o, wanted)
			if err != nil {
				return err
			}
			faults = append(faults, taken...)
		}
		return errors.Join(faults...)
	})
}

// conflicts finds who has what o is to get. From an organization in which the YAML owns it,
// it is taken: there, the YAML does not claim it any more, or there would be a
// fault in the configuration. Anybody else keeps it, and that is a fault. So does an
// organization of the YAML that still claims a domain and has proved it by DNS: to say that it is another's is not
// to take it away.
func (r *run) conflicts(tx store.Tx, o *config.Organization, wanted map[tenancy.Slug]*config.Organization) (faults []error, err error) {
	self, err := tx.OrganizationBySlug(o.Slug)
	if _, err := missing(err); err != nil {
		return nil, err
	}
	if self.ID != "" && self.ConfigDigest == "" {
		// Its members are whom a program let in; none of them is the operator's customer because of a name.
		faults = append(faults, at(o, tenancy.SectionSettings, fmt.Errorf("there is an organization %s (%s) that is not from the configuration: delete it by the API, or give this one another slug: %w", o.Slug, self.ID, tenancy.ErrTaken)))
		return faults, nil
	}
	judge := func(owner tenancy.Organization, s tenancy.Section, h holding, text string) {
		if owner.ID == self.ID {
			return
		}
		if _, ours := owner.Managed[s]; !ours {
			faults = append(faults, at(o, s, fmt.Errorf("%s is organization %s's, which is not from the configuration: %w", text, owner.Slug, tenancy.ErrTaken)))
			return
		}
		h.owner = owner.ID
		r.releases = append(r.releases, h)
	}
	for _, h := range o.Hosts {
		owner, err := tx.OrganizationByHost(string(h))
		if none, err := missing(err); none {
			continue
		} else if err != nil {
			return nil, err
		}
		judge(owner, tenancy.SectionSettings, holding{host: string(h)}, "the host "+string(h))
	}
	for _, d := range o.Domains {
		if !d.Verified {
			continue
		}
		found, err := tx.VerifiedDomain(d.Name)
		if none, err := missing(err); none {
			continue
		} else if err != nil {
			return nil, err
		}
		owner, err := tx.Organization(found.Organization)
		if err != nil {
			return nil, err
		}
		if owner.ID != self.ID && found.Strategy == tenancy.StrategyDNS && claimsDomain(wanted[owner.Slug], d.Name) {
			faults = append(faults, at(o, tenancy.SectionDomains, fmt.Errorf("organization %s has proved by DNS that the domain %s is its own, and claims it here too; take it out there, or verified: true here: %w", owner.Slug, d.Name, tenancy.ErrTaken)))
			continue
		}
		judge(owner, tenancy.SectionDomains, holding{domain: d.Name}, "the domain "+d.Name)
	}
	return faults, nil
}

// claimsDomain reports whether the YAML names the domain in o, which may be nil.
func claimsDomain(o *config.Organization, name string) bool {
	return o != nil && slices.ContainsFunc(o.Domains, func(d config.Domain) bool { return d.Name == name })
}

// release takes from organizations what others are to get. If the run ends here, it was taken
// from those that the YAML does not give it to, and the next run goes on. A domain stays
// with its old organization, without effect: that may come back, and claim it again.
func (r *run) release() error {
	return inBatches(r, r.releases, func(tx store.Tx, h holding) error {
		if h.domain != "" {
			_, err := missing(tenancy.FailDomain(tx, h.owner, h.domain, actor, r.now))
			return err
		}
		o, err := tx.Organization(h.owner)
		if err != nil {
			return err
		}
		var rest []string
		for _, host := range o.Hosts {
			if host != h.host {
				rest = append(rest, host)
			}
		}
		o.Hosts = rest
		_, err = tenancy.SaveOrganization(tx, o, actor, r.now)
		return err
	})
}
