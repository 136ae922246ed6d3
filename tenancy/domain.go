package tenancy

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// ErrPublicDomain says that anybody can have an address there, so it is no organization's.
var ErrPublicDomain = errors.New("a public mail provider's domain can't be claimed")

// How a domain was verified.
const (
	StrategyManual = "manual" // the YAML or an operator says so
	StrategyDNS    = "dns"
)

// A DomainClaim is a domain that the YAML, or an operator, says an organization has.
type DomainClaim struct {
	Name string // as [ParseDomain] returns it
	// Verified: it says so, and no more proof is asked.
	Verified bool
}

// AddDomain makes a pending domain, unless the organization has it already in any state.
func AddDomain(tx Tx, org OrgID, name, strategy string, by audit.Actor, now time.Time) (Domain, error) {
	if c, err := ParseDomain(name); err != nil {
		return Domain{}, err
	} else if c != name {
		return Domain{}, fmt.Errorf("domain %q is not canonical: want %q", clip(name), c)
	}
	if PublicMailDomain(name) {
		return Domain{}, fmt.Errorf("%s: %w", name, ErrPublicDomain)
	}
	if _, err := tx.Organization(org); err != nil {
		return Domain{}, err
	}
	switch d, err := tx.Domain(org, name); {
	case err == nil:
		return d, nil
	case !errors.Is(err, ErrNotFound):
		return Domain{}, err
	}
	d := Domain{
		ID: DomainID(id.New("org_domain", now)), Organization: org, Name: name, State: DomainPending, Strategy: strategy,
		CreatedAt: now.UTC(), UpdatedAt: now.UTC(),
	}
	if strategy == StrategyDNS {
		d.await(now)
	}
	return d, putDomain(tx, &d, audit.DomainCreated, by, now)
}

// VerifyDomain marks a domain of the organization as proved by strategy. It returns an
// error wrapping [ErrTaken] if it is verified in another organization.
func VerifyDomain(tx Tx, org OrgID, name, strategy string, by audit.Actor, now time.Time) error {
	d, err := tx.Domain(org, name)
	if err != nil {
		return err
	}
	if d.State == DomainVerified && d.Strategy == strategy {
		return nil
	}
	event := audit.DomainVerified
	if d.State == DomainVerified {
		event = audit.DomainUpdated // proved twice
	} else {
		d.VerifiedAt = now.UTC()
	}
	d.State, d.Strategy, d.Checks = DomainVerified, strategy, Checks{}
	if strategy == StrategyDNS {
		d.Checks.Next = now.UTC().Add(RecheckPause)
	}
	return putDomain(tx, &d, event, by, now)
}

// Why a domain failed: the words of the API, which has no others.
const (
	// ReasonExpired: it was not proved in time, or its record was gone for too long.
	ReasonExpired = "domain_verification_period_expired"
	// ReasonTaken: it is another organization's.
	ReasonTaken = "domain_verified_by_other_organization"
)

// FailDomain takes the proof of a domain away, or its hope of one, for another organization
// that gets it: it has no effect from now on.
func FailDomain(tx Tx, org OrgID, name string, by audit.Actor, now time.Time) error {
	d, err := tx.Domain(org, name)
	if err != nil || d.State == DomainFailed {
		return err
	}
	_, err = failDomain(tx, d, ReasonTaken, by, now)
	return err
}

func failDomain(tx Tx, d Domain, reason string, by audit.Actor, now time.Time) (Domain, error) {
	d.State, d.UpdatedAt = DomainFailed, now.UTC()
	d.Checks = Checks{LastAt: d.Checks.LastAt, LastReason: d.Checks.LastReason}
	if err := tx.PutDomain(d); err != nil {
		return d, fmt.Errorf("%s: %w", d.Name, err)
	}
	return d, recordFailure(tx, d, reason, by, now)
}

// putDomain writes d, which has changed, with its event.
func putDomain(tx Tx, d *Domain, event string, by audit.Actor, now time.Time) error {
	d.UpdatedAt = now.UTC()
	if err := tx.PutDomain(*d); err != nil {
		return fmt.Errorf("%s: %w", d.Name, err)
	}
	return recordDomain(tx, event, *d, by, now)
}

// RemoveDomain removes a domain from the organization. Removing what is not there is nothing.
//
// Whom the organization's identity provider vouched for under this domain is vouched for
// no longer: [MayJoin], and whether a session is confined, are found anew each time.
func RemoveDomain(tx Tx, org OrgID, name string, by audit.Actor, now time.Time) error {
	d, err := tx.Domain(org, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.DeleteDomain(org, name); err != nil {
		return err
	}
	return recordDomain(tx, audit.DomainDeleted, d, by, now)
}

// SetDomains makes claims the organization's domains, no more and no fewer: the YAML
// owns the section. A claim that is not said to be verified is to be proved by DNS. One that is
// not said so any more goes back to pending, unless it was proved otherwise than by being said.
func SetDomains(tx Tx, org OrgID, claims []DomainClaim, by audit.Actor, now time.Time) error {
	claimed := map[string]bool{}
	for _, c := range claims {
		claimed[c.Name] = true
	}
	var gone []string
	for d, err := range tx.Domains(org) {
		if err != nil {
			return err
		}
		if !claimed[d.Name] {
			gone = append(gone, d.Name)
		}
	}
	for _, name := range gone {
		if err := RemoveDomain(tx, org, name, by, now); err != nil {
			return err
		}
	}
	for _, c := range claims {
		if err := setDomain(tx, org, c, by, now); err != nil {
			return err
		}
	}
	return nil
}

func setDomain(tx Tx, org OrgID, c DomainClaim, by audit.Actor, now time.Time) error {
	strategy := StrategyDNS
	if c.Verified {
		strategy = StrategyManual
	}
	d, err := AddDomain(tx, org, c.Name, strategy, by, now)
	if err != nil {
		return err
	}
	if c.Verified {
		return VerifyDomain(tx, org, c.Name, StrategyManual, by, now)
	}
	// One that failed waits for somebody to say that it shall be tried again.
	if d.State != DomainFailed && d.Strategy == StrategyManual {
		d.await(now)
		return putDomain(tx, &d, audit.DomainUpdated, by, now)
	}
	return nil
}

// ownsDomain reports whether the domain of the address is a verified one of the
// organization, and owner is whose it is; empty: nobody's.
func ownsDomain(tx Tx, org OrgID, email string) (owns bool, owner OrgID, err error) {
	if email == "" {
		return false, "", nil
	}
	d, err := tx.VerifiedDomain(EmailDomain(email))
	if errors.Is(err, ErrNotFound) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	return d.Organization == org && org != "", d.Organization, nil
}
