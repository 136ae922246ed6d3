package tenancy

import (
	"cmp"
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

// invitationData is without token and URL: whoever reads events must not be able to accept.
type invitationData struct {
	Object       string          `json:"object"`
	ID           InvitationID    `json:"id"`
	Email        string          `json:"email"`
	State        InvitationState `json:"state"`
	AcceptedAt   *time.Time      `json:"accepted_at"`
	RevokedAt    *time.Time      `json:"revoked_at"`
	ExpiresAt    time.Time       `json:"expires_at"`
	Organization *OrgID          `json:"organization_id"`
	Inviter      *UserID         `json:"inviter_user_id"`
	AcceptedUser *UserID         `json:"accepted_user_id"`
	Role         *string         `json:"role_slug"`
	CreatedAt    time.Time       `json:"created_at"`
	UpdatedAt    time.Time       `json:"updated_at"`
}

func recordInvitation(tx Tx, name string, i Invitation, by audit.Actor, now time.Time) error {
	d := invitationData{
		Object: "invitation", ID: i.ID, Email: i.Email, State: i.State(now), AcceptedAt: given(i.AcceptedAt), RevokedAt: given(i.RevokedAt),
		ExpiresAt: i.ExpiresAt, Organization: given(i.Organization), Inviter: given(i.Inviter), AcceptedUser: given(i.AcceptedUser),
		CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
	}
	if len(i.Roles) > 0 {
		d.Role = &i.Roles[0]
	}
	e := audit.New(name, by, now)
	e.Organization, e.User = string(i.Organization), string(cmp.Or(i.AcceptedUser, i.User))
	return audit.Record(tx, e, d)
}

// given returns nil for the zero value.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
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

// samlCertificateData is what the API sends when the certificate of a provider is to be renewed,
// or was.
type samlCertificateData struct {
	Connection  samlConnectionRef `json:"connection"`
	Certificate struct {
		Type      string    `json:"certificate_type"`
		ExpiresAt time.Time `json:"expiry_date"`
		Expired   bool      `json:"is_expired"`
	} `json:"certificate"`
	Days      *int       `json:"days_until_expiry,omitempty"`
	RenewedAt *time.Time `json:"renewed_at,omitempty"`
}

type samlConnectionRef struct {
	ID           ConnectionID `json:"id"`
	Organization OrgID        `json:"organization_id"`
}

func samlEvent(name string, c Connection, now time.Time) audit.Event {
	e := audit.New(name, audit.System, now)
	e.Organization, e.Connection = string(c.Organization), string(c.ID)
	return e
}

func recordSAMLCertificate(tx Tx, name string, c Connection, ends time.Time, days int, now time.Time) error {
	d := samlCertificateData{Connection: samlConnectionRef{c.ID, c.Organization}}
	d.Certificate.Type, d.Certificate.ExpiresAt, d.Certificate.Expired = "ResponseSigning", ends, !now.Before(ends)
	if name == audit.SAMLCertificateRenewed {
		d.RenewedAt = &now
	} else {
		d.Days = &days
	}
	return audit.Record(tx, samlEvent(name, c, now), d)
}

// recordSAML says what a look at a provider's metadata has changed.
func recordSAML(tx Tx, c Connection, s SAMLState, change SAMLChange, now time.Time) error {
	data := struct {
		Connection samlConnectionRef `json:"connection"`
		EntityID   string            `json:"entity_id,omitzero"`
		Ends       []time.Time       `json:"certificates_expire_at,omitzero"`
		Reason     string            `json:"reason,omitzero"`
	}{Connection: samlConnectionRef{c.ID, c.Organization}, Reason: s.Fault}
	switch {
	case change.Metadata:
		data.EntityID = s.Provider.EntityID
		for _, cert := range s.Provider.Certificates {
			data.Ends = append(data.Ends, cert.NotAfter)
		}
		return audit.Record(tx, samlEvent(audit.SAMLMetadataChanged, c, now), data)
	case change.Failed:
		return audit.Record(tx, samlEvent(audit.SAMLMetadataFailed, c, now), data)
	default:
		return nil
	}
}

func recordGroup(tx Tx, name string, g Group, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization = string(g.Organization)
	return audit.Record(tx, e, ShowGroup(g))
}

func recordGroupMember(tx Tx, name string, m GroupMember, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization, e.User = string(m.Organization), string(m.User)
	return audit.Record(tx, e, struct {
		Group      GroupID      `json:"group_id"`
		Membership MembershipID `json:"organization_membership_id"`
	}{m.Group, m.Membership})
}

func recordGroupRole(tx Tx, name string, g Group, r AssignedRole, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.Organization = string(g.Organization)
	return audit.Record(tx, e, struct {
		Object       string      `json:"object"`
		ID           GroupRoleID `json:"id"`
		Group        GroupID     `json:"group_id"`
		Organization OrgID       `json:"organization_id"`
		Role         RoleSlug    `json:"role"`
		CreatedAt    time.Time   `json:"created_at"`
	}{"orgate.group_role_assignment", r.ID, g.ID, g.Organization, RoleSlug{r.Role}, r.CreatedAt})
}
