package session

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/orgate/orgate/tenancy"
)

// Settings is the part of a transaction that says what is asked of people.
type Settings interface {
	Organization(tenancy.OrgID) (tenancy.Organization, error)
	Connections(tenancy.OrgID) iter.Seq2[tenancy.Connection, error]
	VerifiedDomain(name string) (tenancy.Domain, error)
}

// KeptSettings are the settings of some organizations as they were at one moment, and of all
// others as Rest has them. Its zero value, with a Rest, is Rest.
type KeptSettings struct {
	organizations map[tenancy.OrgID]keptOrganization
	domains       map[string]tenancy.Domain
	// Rest has all that was not kept; nil: there is no more.
	Rest Settings
}

type keptOrganization struct {
	tenancy.Organization
	connections []tenancy.Connection
	domains     []string // verified, sorted
}

// Keep notes the settings of an organization. One that does not exist is noted too.
func (k *KeptSettings) Keep(tx tenancy.Tx, id tenancy.OrgID) error {
	if k.organizations == nil {
		k.organizations, k.domains = map[tenancy.OrgID]keptOrganization{}, map[string]tenancy.Domain{}
	}
	var kept keptOrganization
	var err error
	if kept.Organization, err = tx.Organization(id); errors.Is(err, tenancy.ErrNotFound) {
		k.organizations[id] = keptOrganization{}
		return nil
	} else if err != nil {
		return err
	}
	if kept.connections, err = collect(tx.Connections(id)); err != nil {
		return err
	}
	for d, err := range tx.Domains(id) {
		if err != nil {
			return err
		}
		if d.State == tenancy.DomainVerified {
			k.domains[d.Name] = d
			kept.domains = append(kept.domains, d.Name)
		}
	}
	slices.Sort(kept.domains)
	k.organizations[id] = kept
	return nil
}

// Organization implements [Settings].
func (k *KeptSettings) Organization(id tenancy.OrgID) (tenancy.Organization, error) {
	kept, ok := k.organizations[id]
	switch {
	case ok && kept.ID != "":
		return kept.Organization, nil
	case ok || k.Rest == nil:
		return tenancy.Organization{}, fmt.Errorf("organization: %w", tenancy.ErrNotFound)
	default:
		return k.Rest.Organization(id)
	}
}

// Connections implements [Settings].
func (k *KeptSettings) Connections(id tenancy.OrgID) iter.Seq2[tenancy.Connection, error] {
	kept, ok := k.organizations[id]
	if !ok && k.Rest != nil {
		return k.Rest.Connections(id)
	}
	return func(yield func(tenancy.Connection, error) bool) {
		for _, c := range kept.connections {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// VerifiedDomain implements [Settings]. A domain that a kept organization did not have then is
// not that organization's, whatever Rest says.
func (k *KeptSettings) VerifiedDomain(name string) (tenancy.Domain, error) {
	if d, ok := k.domains[name]; ok {
		return d, nil
	}
	none := fmt.Errorf("domain: %w", tenancy.ErrNotFound)
	if k.Rest == nil {
		return tenancy.Domain{}, none
	}
	d, err := k.Rest.VerifiedDomain(name)
	if _, kept := k.organizations[d.Organization]; err == nil && kept {
		return tenancy.Domain{}, none
	}
	return d, err
}

// Affects reports which of the kept organizations ask, now, of people something else than
// they did; and on which domains people are asked something else wherever they go.
func (k *KeptSettings) Affects(now *KeptSettings) (organizations []tenancy.OrgID, domains []string) {
	for id, a := range k.organizations {
		b := now.organizations[id]
		sso := !slices.EqualFunc(answering(a), answering(b), func(c, d tenancy.Connection) bool { return c.ID == d.ID })
		state := a.Suspended != b.Suspended || (a.ID == "") != (b.ID == "")
		entering := state || sso || !same(a.OrganizationPolicy, b.OrganizationPolicy)
		// Who enters by the word of the domain's provider, where no policy says how, is asked
		// for something else too if the domain goes.
		atHome := sso || state || !same(a.DomainPolicy, b.DomainPolicy)
		if entering {
			organizations = append(organizations, id)
		}
		for _, name := range a.domains {
			if atHome || !slices.Contains(b.domains, name) {
				domains = append(domains, name)
			}
		}
		for _, name := range b.domains {
			if !slices.Contains(a.domains, name) {
				domains = append(domains, name)
			}
		}
	}
	slices.Sort(organizations)
	slices.Sort(domains)
	return slices.Compact(organizations), slices.Compact(domains)
}

// answering are the connections that vouch for anybody.
func answering(k keptOrganization) (active []tenancy.Connection) {
	for _, c := range k.connections {
		if !c.Disabled && !k.Suspended {
			active = append(active, c)
		}
	}
	return active
}

func same[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
