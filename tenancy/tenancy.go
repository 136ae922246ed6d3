// Package tenancy owns organizations and who belongs to them: organizations,
// domains, SSO connection settings, users, identities, memberships, groups, roles,
// invitations, the keys that customers have for the app, and links to their admin portal.
//
// Its operations are functions over [Tx], the part of a transaction that they
// need; none starts or commits one, reads a clock, or does I/O, and each appends
// its events in the same transaction. A transaction may run more than once.
//
// It does not own sessions or proofs (package session), what a policy means
// (package policy), or how any of it is stored (package store).
//
// The invariants: a user is one person by e-mail address; a domain is verified in
// at most one organization; an identity is (connection, subject bytes) and never an
// e-mail address; a deactivated membership comes back by a deliberate act only.
package tenancy

import (
	"errors"
	"iter"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
)

// The kinds of identifiers. Each is prefix + ULID, made by the server, opaque and
// never reused.
type (
	// OrgID is org_…
	OrgID string
	// DomainID is org_domain_…
	DomainID string
	// ConnectionID is conn_…
	ConnectionID string
	// UserID is user_…
	UserID string
	// MembershipID is om_…
	MembershipID string
	// RoleID is role_…
	RoleID string
	// PermissionID is perm_…
	PermissionID string
)

// What goes wrong below the line. Edges map these to statuses and texts.
var (
	ErrNotFound = errors.New("not found")
	// ErrTaken: a slug, host, domain or address that is unique belongs to another.
	ErrTaken = errors.New("already taken")
	// ErrNotVouched: an identity provider spoke of an address that is not on a
	// verified domain of its organization, and nothing else admits that address.
	ErrNotVouched = errors.New("address is outside the verified domains of the connection's organization")
	// ErrEmailUnproved: the provider says itself that the address is not verified.
	ErrEmailUnproved = errors.New("identity provider says that the address is not verified")
	// ErrIdentityConflict: the address belongs to a user who is known at this
	// connection under another subject (a recycled address), or for whom another
	// organization's provider has spoken (a domain that moved). Whether it is the same
	// person is for an operator to say: see [Unlink].
	ErrIdentityConflict = errors.New("address belongs to a user who is known under another identity")
	// ErrNotMember, ErrDeactivated, ErrInvitationOpen: why a person does not get in.
	ErrNotMember      = errors.New("not a member of the organization")
	ErrDeactivated    = errors.New("membership is deactivated")
	ErrInvitationOpen = errors.New("invitation is not accepted yet")
	// ErrSingleWorkspace: sign_in.workspaces is single and the person has one.
	ErrSingleWorkspace = errors.New("already a member of another organization")
	// ErrState: the transition does not exist from this state (SEMANTICS 2.4).
	ErrState = errors.New("not possible in this state")
)

// A Section is a part of an organization that either the YAML owns or the API.
type Section string

// The sections (DESIGN 5).
const (
	SectionSettings    Section = "settings" // slug, name, hosts, upstreams
	SectionDomains     Section = "domains"
	SectionPolicies    Section = "policies"
	SectionConnections Section = "connections"
	SectionRoles       Section = "roles"
	SectionDirectory   Section = "directory"
)

// An Origin is where in the configuration a section was written.
type Origin struct {
	File string `json:"file"`
	Line int    `json:"line"`
}

// An Organization is a customer of the app.
type Organization struct {
	ID   OrgID `json:"id"`
	Slug Slug  `json:"slug"` // the host label; unique
	// Name is for people; it need not be unique.
	Name string `json:"name"`
	// Hosts are custom hosts beside the one made from the slug; each unique.
	Hosts []string `json:"hosts,omitzero"`
	// Upstreams are this organization's own instances: app name → URL.
	Upstreams map[string]string `json:"upstreams,omitzero"`
	// Quota is what it may take of the data plane; nil: what each may.
	Quota *Quota `json:"quota,omitzero"`
	// ExternalID is the app's own id of it; unique, if there is one.
	ExternalID string   `json:"external_id,omitzero"`
	Metadata   Metadata `json:"metadata,omitzero"`
	// Deleting: somebody has said that it shall be deleted, and that is not finished. It is suspended
	// meanwhile, and not found.
	Deleting bool `json:"deleting,omitzero"`
	// Suspended: it left the YAML. Nobody gets in; nothing is deleted.
	Suspended bool `json:"suspended,omitzero"`

	DomainPolicy       *policy.Policy `json:"domain_policy,omitzero"`
	OrganizationPolicy *policy.Policy `json:"organization_policy,omitzero"`
	// AutoJoin: whoever proves an address on a verified domain becomes a member.
	AutoJoin bool `json:"auto_join,omitzero"`
	// JITSSO: whoever comes by this organization's identity provider with an
	// address on a verified domain becomes a member.
	JITSSO bool `json:"jit_sso,omitzero"`
	// DefaultRole is what a new member gets; empty: the installation's.
	DefaultRole string `json:"default_role,omitzero"`
	// GroupRoles maps the identity provider's groups to roles.
	GroupRoles []GroupRole `json:"group_roles,omitzero"`

	// Managed are the sections that the YAML owns, and where it says so.
	Managed map[Section]Origin `json:"managed,omitzero"`
	// ConfigDigest is the digest of what the YAML said last, so that an
	// unchanged organization is not written again.
	ConfigDigest string `json:"config_digest,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A Quota is how much one organization may take of the data plane, so that it leaves the others theirs. Zero fields are no
// limit.
type Quota struct {
	Requests int `json:"requests,omitzero"` // a second, on average
	Burst    int `json:"burst,omitzero"`    // how many at once; less than Requests: as many as Requests
	Open     int `json:"open,omitzero"`     // at a time, WebSockets and streams included
}

// A GroupRole gives Role to whoever is in Group at the identity provider.
type GroupRole struct {
	Group string `json:"group"`
	Role  string `json:"role"`
}

// DomainState is how far the proof of a domain has come. Only DomainVerified has
// any effect.
type DomainState string

// The states of a domain.
const (
	DomainPending  DomainState = "pending"
	DomainVerified DomainState = "verified"
	DomainFailed   DomainState = "failed"
)

// A Domain is an e-mail domain that an organization has proved, or wants to prove, is its own.
type Domain struct {
	ID           DomainID    `json:"id"`
	Organization OrgID       `json:"organization_id"`
	Name         string      `json:"domain"` // lower case, A-labels
	State        DomainState `json:"state"`
	Strategy     string      `json:"verification_strategy"` // "manual" (the YAML or an operator says so) or "dns"
	// Token is in the record that proves the domain: see [Domain.Challenge]. It is made when
	// a domain is first to be proved by DNS, and is the same from then on.
	Token     string    `json:"verification_token,omitzero"`
	Checks    Checks    `json:"checks,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	// VerifiedAt is since when a verified domain has been the organization's.
	VerifiedAt time.Time `json:"verified_at,omitzero"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// A Connection is one SSO set-up of one organization.
type Connection struct {
	ID           ConnectionID `json:"id"`
	Organization OrgID        `json:"organization_id"`
	Name         string       `json:"name"` // unique in its organization
	Type         string       `json:"type"` // "oidc" or "saml"
	// Disabled connections answer nobody: not at the start of a sign-in, not at
	// its end, and sessions that came by them no longer meet a policy.
	Disabled  bool            `json:"disabled,omitzero"`
	OIDC      *OIDCConnection `json:"oidc,omitzero"`
	SAML      *SAMLConnection `json:"saml,omitzero"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
}

// An OIDCConnection is the relying party's side of an OpenID provider.
type OIDCConnection struct {
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// ClientSecret is sealed (package internal/seal); never the secret itself.
	ClientSecret []byte   `json:"client_secret,omitzero"`
	Scopes       []string `json:"scopes,omitzero"` // beside openid; default: email, profile
	GroupsClaim  string   `json:"groups_claim,omitzero"`
}

// A User is a person, unique by Email in the whole installation.
type User struct {
	ID UserID `json:"id"`
	// Email as ParseEmail returns it: whole address in lower case.
	Email         string    `json:"email"`
	EmailVerified bool      `json:"email_verified"`
	Name          string    `json:"name,omitzero"`
	FirstName     string    `json:"first_name,omitzero"`
	LastName      string    `json:"last_name,omitzero"`
	ExternalID    string    `json:"external_id,omitzero"` // the app's own id; unique, if there is one
	Metadata      Metadata  `json:"metadata,omitzero"`
	Locale        string    `json:"locale,omitzero"`
	LastSignInAt  time.Time `json:"last_sign_in_at,omitzero"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// An Identity is a subject at an identity provider, and whose it is.
type Identity struct {
	Connection   ConnectionID `json:"connection_id"`
	Organization OrgID        `json:"organization_id"`
	// Subject is the exact bytes of the provider's subject.
	Subject string `json:"subject"`
	User    UserID `json:"user_id"`
	// Email is what the provider said last; it is recorded, never looked up by.
	Email string `json:"email,omitzero"`
	// Vouched: at some sign-in the address was on the organization's own verified domain,
	// so that the provider spoke for the person everywhere.
	Vouched    bool      `json:"vouched,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
}

// A RoleSource is where the roles of a membership come from (SEMANTICS 1.4.4).
type RoleSource string

// The sources of roles, weakest first.
const (
	RoleDefault   RoleSource = "default"
	RoleManual    RoleSource = "manual"
	RoleSSO       RoleSource = "sso"
	RoleDirectory RoleSource = "directory"
)

// A Membership is a user in an organization.
type Membership struct {
	ID           MembershipID    `json:"id"`
	Organization OrgID           `json:"organization_id"`
	User         UserID          `json:"user_id"`
	Status       policy.Standing `json:"status"` // Pending, Active or Inactive
	Roles        []string        `json:"roles"`
	RoleSource   RoleSource      `json:"role_source"`
	// Attributes are what the identity provider says of the person, for CEL.
	Attributes map[string]any `json:"attributes,omitzero"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// A Role is a named set of permissions. Organization is empty for the roles of
// the installation. Priority is its place in the order of definition: the role
// defined first has priority 0, which is the highest.
type Role struct {
	ID           RoleID    `json:"id,omitzero"`
	Organization OrgID     `json:"organization_id,omitzero"`
	Slug         string    `json:"slug"`
	Name         string    `json:"name,omitzero"`
	Description  string    `json:"description,omitzero"`
	Permissions  []string  `json:"permissions,omitzero"`
	Priority     int       `json:"priority"`
	CreatedAt    time.Time `json:"created_at,omitzero"`
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// Tx is the part of a transaction that this package needs. A getter returns an
// error wrapping [ErrNotFound] for what is not there. A Put keeps the indexes, and
// returns an error wrapping [ErrTaken] where a unique field belongs to another.
type Tx interface {
	audit.Tx
	Lists

	Organization(OrgID) (Organization, error)
	OrganizationBySlug(Slug) (Organization, error)
	OrganizationByHost(host string) (Organization, error) // custom hosts only
	Organizations() iter.Seq2[Organization, error]        // by id
	PutOrganization(Organization) error

	Domain(org OrgID, name string) (Domain, error)
	Domains(org OrgID) iter.Seq2[Domain, error]
	// VerifiedDomain returns the domain of that name that is verified; there is
	// at most one in the installation.
	VerifiedDomain(name string) (Domain, error)
	// DueDomains yields the domains whose record is to be looked for by now, the
	// longest due first.
	DueDomains(now time.Time) iter.Seq2[Domain, error]
	PutDomain(Domain) error // ErrTaken: verified elsewhere
	DeleteDomain(org OrgID, name string) error

	Connection(OrgID, ConnectionID) (Connection, error)
	Connections(OrgID) iter.Seq2[Connection, error] // by id
	PutConnection(Connection) error                 // ErrTaken: the name
	DeleteConnection(OrgID, ConnectionID) error

	SAMLState(OrgID, ConnectionID) (SAMLState, error)
	// DueSAML yields the SAML connections that are to be looked after by now, the longest due first.
	DueSAML(now time.Time) iter.Seq2[SAMLState, error]
	PutSAMLState(SAMLState) error
	DeleteSAMLState(OrgID, ConnectionID) error

	User(UserID) (User, error)
	UserByEmail(email string) (User, error)
	Users() iter.Seq2[User, error] // by id
	PutUser(User) error            // ErrTaken: the address

	Identity(conn ConnectionID, subject string) (Identity, error)
	Identities(UserID) iter.Seq2[Identity, error]
	PutIdentity(Identity) error
	DeleteIdentity(conn ConnectionID, subject string) error

	Membership(OrgID, UserID) (Membership, error)
	Members(OrgID) iter.Seq2[Membership, error]      // by user id
	Memberships(UserID) iter.Seq2[Membership, error] // by organization id
	PutMembership(Membership) error
	DeleteMembership(OrgID, UserID) error

	Role(org OrgID, slug string) (Role, error)
	Roles(org OrgID) iter.Seq2[Role, error] // "" is the installation; by slug
	PutRole(Role) error
	DeleteRole(org OrgID, slug string) error

	InvitationTx
	GroupTx
	AdminTx
	AppKeyTx
	PortalTx
}
