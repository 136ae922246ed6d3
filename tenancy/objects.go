package tenancy

import (
	"time"

	"github.com/orgate/orgate/policy"
)

// The objects of the API, without secrets: what it answers with, and what events say of a
// thing after its change.
type (
	// An OrganizationObject is an organization with its domains.
	OrganizationObject struct {
		Object     string         `json:"object"`
		ID         OrgID          `json:"id"`
		Name       string         `json:"name"`
		Slug       Slug           `json:"slug"`
		Domains    []DomainObject `json:"domains"`
		Metadata   Metadata       `json:"metadata"`
		ExternalID *string        `json:"external_id"`
		Suspended  bool           `json:"suspended"`
		CreatedAt  time.Time      `json:"created_at"`
		UpdatedAt  time.Time      `json:"updated_at"`
	}

	// A DomainObject is a domain of an organization.
	DomainObject struct {
		Object       string      `json:"object"`
		ID           DomainID    `json:"id"`
		Organization OrgID       `json:"organization_id"`
		Domain       string      `json:"domain"`
		State        DomainState `json:"state"`
		Strategy     string      `json:"verification_strategy"`
		// Prefix and Token are of the record that everybody can read once it is set.
		Prefix    string    `json:"verification_prefix,omitzero"`
		Token     string    `json:"verification_token,omitzero"`
		CreatedAt time.Time `json:"created_at"`
		UpdatedAt time.Time `json:"updated_at"`
	}

	// A ConnectionObject is a connection. ExternalKey and Domains are fields of the API that say nothing
	// here: a connection has no other key, and its domains are its organization's.
	ConnectionObject struct {
		Object       string       `json:"object"`
		ID           ConnectionID `json:"id"`
		Organization OrgID        `json:"organization_id"`
		Type         string       `json:"connection_type"`
		Name         string       `json:"name"`
		State        string       `json:"state"`
		Status       string       `json:"status"`
		ExternalKey  ConnectionID `json:"external_key"`
		Domains      []struct{}   `json:"domains"`
		CreatedAt    time.Time    `json:"created_at"`
		UpdatedAt    time.Time    `json:"updated_at"`
	}

	// A UserObject is a user.
	UserObject struct {
		Object        string     `json:"object"`
		ID            UserID     `json:"id"`
		Email         string     `json:"email"`
		EmailVerified bool       `json:"email_verified"`
		Name          *string    `json:"name"`
		FirstName     *string    `json:"first_name"`
		LastName      *string    `json:"last_name"`
		Picture       *string    `json:"profile_picture_url"` // orgate keeps none
		ExternalID    *string    `json:"external_id"`
		Metadata      Metadata   `json:"metadata"`
		Locale        *string    `json:"locale"`
		LastSignInAt  *time.Time `json:"last_sign_in_at"`
		CreatedAt     time.Time  `json:"created_at"`
		UpdatedAt     time.Time  `json:"updated_at"`
	}

	// A MembershipObject is a membership.
	MembershipObject struct {
		Object           string          `json:"object"`
		ID               MembershipID    `json:"id"`
		User             UserID          `json:"user_id"`
		Organization     OrgID           `json:"organization_id"`
		Status           policy.Standing `json:"status"`
		Role             RoleSlug        `json:"role"`
		Roles            []RoleSlug      `json:"roles"`
		Attributes       map[string]any  `json:"custom_attributes"`
		DirectoryManaged bool            `json:"directory_managed"`
		CreatedAt        time.Time       `json:"created_at"`
		UpdatedAt        time.Time       `json:"updated_at"`
	}

	// A RoleSlug names a role.
	RoleSlug struct {
		Slug string `json:"slug"`
	}

	// A RoleObject is a role, of an organization or of the installation.
	RoleObject struct {
		Object       string    `json:"object"`
		ID           RoleID    `json:"id"`
		Organization OrgID     `json:"organization_id,omitzero"`
		Slug         string    `json:"slug"`
		Name         string    `json:"name"`
		Description  *string   `json:"description"`
		Type         string    `json:"type"`
		Resource     string    `json:"resource_type_slug"` // "organization": there are no others
		Permissions  []string  `json:"permissions"`
		CreatedAt    time.Time `json:"created_at"`
		UpdatedAt    time.Time `json:"updated_at"`
	}
)

// A GroupObject is a group.
type GroupObject struct {
	Object       string    `json:"object"`
	ID           GroupID   `json:"id"`
	Organization OrgID     `json:"organization_id"`
	Name         string    `json:"name"`
	Description  *string   `json:"description"`
	CreatedAt    time.Time `json:"created_at"`
	UpdatedAt    time.Time `json:"updated_at"`
}

// ShowGroup returns the group as the API shows it.
func ShowGroup(g Group) GroupObject {
	return GroupObject{"group", g.ID, g.Organization, g.Name, textOrNull(g.Description), g.CreatedAt, g.UpdatedAt}
}

// ShowOrganization returns the organization as the API shows it.
func ShowOrganization(tx Tx, o Organization) (OrganizationObject, error) {
	d := OrganizationObject{
		Object: "organization", ID: o.ID, Name: o.Name, Slug: o.Slug, Domains: []DomainObject{}, Metadata: o.Metadata.object(),
		ExternalID: textOrNull(o.ExternalID), Suspended: o.Suspended, CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt,
	}
	for dom, err := range tx.Domains(o.ID) {
		if err != nil {
			return OrganizationObject{}, err
		}
		d.Domains = append(d.Domains, ShowDomain(dom))
	}
	return d, nil
}

// ShowDomain returns the domain as the API shows it.
func ShowDomain(d Domain) DomainObject {
	o := DomainObject{
		Object: "organization_domain", ID: d.ID, Organization: d.Organization, Domain: d.Name, State: d.State, Strategy: d.Strategy,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
	}
	if d.Token != "" {
		o.Prefix, o.Token = ChallengePrefix, d.Token
	}
	return o
}

// ShowConnection returns the connection as the API shows it.
func ShowConnection(c Connection) ConnectionObject {
	kinds := map[string]string{"oidc": "GenericOIDC", "saml": "GenericSAML"}
	o := ConnectionObject{
		Object: "connection", ID: c.ID, Organization: c.Organization, Type: kinds[c.Type], Name: c.Name, State: "active", Status: "linked",
		ExternalKey: c.ID, Domains: []struct{}{}, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	if c.Disabled {
		o.State, o.Status = "inactive", "unlinked"
	}
	return o
}

// ShowUser returns the user as the API shows it.
func ShowUser(u User) UserObject {
	d := UserObject{
		Object: "user", ID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Name: textOrNull(u.Name), FirstName: textOrNull(u.FirstName),
		LastName: textOrNull(u.LastName), ExternalID: textOrNull(u.ExternalID), Metadata: u.Metadata.object(), Locale: textOrNull(u.Locale),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
	}
	if !u.LastSignInAt.IsZero() {
		d.LastSignInAt = &u.LastSignInAt
	}
	return d
}

// ShowMembership returns the membership as the API shows it.
func ShowMembership(m Membership) MembershipObject {
	d := MembershipObject{
		Object: "organization_membership", ID: m.ID, User: m.User, Organization: m.Organization, Status: m.Status,
		Roles: []RoleSlug{}, Attributes: m.Attributes, DirectoryManaged: m.RoleSource == RoleDirectory, CreatedAt: m.CreatedAt, UpdatedAt: m.UpdatedAt,
	}
	for _, r := range m.Roles {
		d.Roles = append(d.Roles, RoleSlug{r})
	}
	if len(d.Roles) > 0 {
		d.Role = d.Roles[0]
	}
	if d.Attributes == nil {
		d.Attributes = map[string]any{}
	}
	return d
}

// ShowRole returns the role as the API shows it.
func ShowRole(r Role) RoleObject {
	d := RoleObject{
		Object: "role", ID: r.ID, Organization: r.Organization, Slug: r.Slug, Name: r.Name, Description: textOrNull(r.Description), Type: "EnvironmentRole",
		Resource: "organization", Permissions: r.Permissions, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
	if r.Organization != "" {
		d.Type = "OrganizationRole"
	}
	if d.Name == "" {
		d.Name = r.Slug
	}
	if d.Permissions == nil {
		d.Permissions = []string{}
	}
	return d
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
