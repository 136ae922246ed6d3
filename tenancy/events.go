package tenancy

import (
	"time"

	"github.com/orgate/orgate/audit"
)

// failureData is what the API sends when a domain failed.
type failureData struct {
	Reason string       `json:"reason"`
	Domain DomainObject `json:"organization_domain"`
}

// lapsingData is a domain whose record is gone.
type lapsingData struct {
	DomainObject
	MissingSince time.Time `json:"missing_since"`
	LapsesAt     time.Time `json:"lapses_at"`
}

type identityData struct {
	Object       string       `json:"object"`
	User         UserID       `json:"user_id"`
	Connection   ConnectionID `json:"connection_id"`
	Organization OrgID        `json:"organization_id"`
	Subject      string       `json:"idp_id"`
	Email        string       `json:"email"`
}

func recordOrganization(tx Tx, name string, o Organization, by audit.Actor, now time.Time) error {
	d, err := ShowOrganization(tx, o)
	if err != nil {
		return err
	}
	e := audit.New(name, by, now)
	e.Organization = string(o.ID)
	return audit.Record(tx, e, d)
}

func recordDomain(tx Tx, name string, d Domain, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization = string(d.Organization)
	return audit.Record(tx, e, ShowDomain(d))
}

func recordFailure(tx Tx, d Domain, reason string, by audit.Actor, now time.Time) error {
	e := audit.New(audit.DomainVerificationFailed, by, now)
	e.Organization = string(d.Organization)
	return audit.Record(tx, e, failureData{reason, ShowDomain(d)})
}

func recordLapsing(tx Tx, d Domain, by audit.Actor, now time.Time) error {
	e := audit.New(audit.DomainLapsing, by, now)
	e.Organization = string(d.Organization)
	return audit.Record(tx, e, lapsingData{ShowDomain(d), d.Checks.MissingSince, d.Checks.LapsesAt()})
}

func recordConnection(tx Tx, name string, c Connection, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization, e.Connection = string(c.Organization), string(c.ID)
	return audit.Record(tx, e, ShowConnection(c))
}

func recordUser(tx Tx, name string, u User, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.User = string(u.ID)
	return audit.Record(tx, e, ShowUser(u))
}

func recordIdentity(tx Tx, name string, i Identity, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization, e.User, e.Connection = string(i.Organization), string(i.User), string(i.Connection)
	return audit.Record(tx, e, identityData{"orgate.identity", i.User, i.Connection, i.Organization, i.Subject, i.Email})
}

func recordMembership(tx Tx, name string, m Membership, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization, e.User = string(m.Organization), string(m.User)
	return audit.Record(tx, e, ShowMembership(m))
}

func recordRole(tx Tx, names [2]string, r Role, by audit.Actor, now time.Time) error {
	d, name := ShowRole(r), names[0]
	if r.Organization != "" {
		name, d.Object = names[1], "organization_role"
	}
	e := audit.New(name, by, now)
	e.Organization = string(r.Organization)
	return audit.Record(tx, e, d)
}
