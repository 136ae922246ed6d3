package config

import (
	"crypto/sha256"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// An Organization is a customer, as the YAML has it. Its slug is its identity from
// one reading to the next.
type Organization struct {
	// Its host label, unique: acme is acme.example.com. A changed slug is another organization.
	Slug tenancy.Slug `yaml:"slug,required" example:"acme"`
	// Its name, for people. The slug, if it is not given.
	Name string `yaml:"name,literal" example:"Acme Inc."`
	// What its sign-in pages look like.
	Brand *Brand `yaml:"brand"`
	// Hosts of its own beside the one made from the slug, each unique. They lead to the first app.
	Hosts []tenancy.Host `yaml:"hosts" example:"[portal.acme.com]"`
	// Its own instances of apps: the app's name and where the instance is.
	Upstreams map[string]Origin `yaml:"upstreams" example:"{ app: \"http://10.1.2.3:3000\" }"`
	// What it may take of the apps' requests, instead of limits.per_organization.
	Limits *Quota `yaml:"limits"`
	// Its e-mail domains.
	Domains []Domain `yaml:"domains" example:"[{ name: acme.com, verified: true }]"`
	// The policy for everybody with an address at one of its verified domains, wherever they go.
	DomainPolicy *DomainPolicy `yaml:"domain_policy"`
	// The policy for whoever enters the organization, guests included.
	OrganizationPolicy *Policy `yaml:"organization_policy"`
	// Who becomes a member by signing in.
	JIT *JIT `yaml:"jit"`
	// Which roles its members get.
	Roles *MemberRoles `yaml:"roles"`
	// Its single sign-on.
	Connections []Connection `yaml:"connections"`
	// Its directory. Not available in this version of orgate.
	Directory *Later `yaml:"directory"`

	// Managed are the sections that are given, and where.
	Managed map[tenancy.Section]tenancy.Origin `yaml:"-"`

	place place
	sum   [sha256.Size]byte
}

// Sum is the digest of all that the YAML says of the organization, secrets included, but not of
// where in its file it says so. It is for comparing in memory: stored as it is, it would
// let a weak secret be guessed.
func (o *Organization) Sum() [sha256.Size]byte { return o.sum }

// Brand is what an organization's sign-in pages look like.
type Brand struct {
	// Its logo: a PNG or JPEG file of at most 64 KiB and 1024 by 1024 pixels. SVG is not taken.
	Logo Path `yaml:"logo" example:"logos/acme.png"`
	// Its colour. Text on it, and on dark pages the colour itself, are made readable.
	Colour string `yaml:"colour" as:"colour" example:"\"#3450c4\""`
}

// A Domain is an e-mail domain.
type Domain struct {
	// The domain. Public mail providers' can't be claimed.
	Name string `yaml:"name,required" as:"domain" example:"acme.com"`
	// Says that the domain is the organization's: no more proof is asked, ever. In one organization alone. Without it, the
	// domain is to be proved by a record in the DNS (see domains.md), and until then has no effect at all.
	Verified bool `yaml:"verified" default:"false"`
}

// A Policy is what must be proved.
type Policy struct {
	// The first proofs that will do; none given: sso and all of sign_in.methods.
	Methods []policy.Method `yaml:"methods" enum:"sso email_code passkey password social" example:"[sso]"`
	// The connection that sso must have come by; none given: the organization's only one.
	Connection string `yaml:"connection" as:"name" example:"okta"`
	// Asks for a second factor of whoever did not come by sso or a passkey that verified its user.
	MFA string `yaml:"mfa" default:"optional" enum:"required optional"`
	// How old the proof may be; 0: as old as the session.
	MaxAge time.Duration `yaml:"max_age" default:"0s" min:"0s" max:"8760h" example:"8h"`
}

// A DomainPolicy is the policy of the verified domains.
type DomainPolicy struct {
	Policy `yaml:",inline"`
	// Makes a member of whoever proves an address at a verified domain: since it was verified, as it may have been
	// another's before.
	AutoJoin bool `yaml:"auto_join" default:"false"`
}

// JIT is who becomes a member just in time.
type JIT struct {
	// Makes a member of whoever comes by the organization's single sign-on with an address at a verified domain.
	SSO bool `yaml:"sso" default:"false"`
}

// MemberRoles are the roles that members get.
type MemberRoles struct {
	// The role of new members; none given: default_role.
	Default string `yaml:"default" as:"role" example:"member"`
	// Roles by group of the identity provider. The role of a member of several is the first of the list.
	Groups []GroupRole `yaml:"groups" example:"[{ group: Admins, role: admin }]"`
}

// A GroupRole gives a role to a group.
type GroupRole struct {
	// The group, as the identity provider writes it.
	Group string `yaml:"group,required,literal" example:"Admins"`
	// The role.
	Role string `yaml:"role,required" as:"role" example:"admin"`
}

// A Connection is one way of single sign-on. Its name is its identity within the organization
// from one reading to the next.
type Connection struct {
	// Its name, unique in the organization.
	Name string `yaml:"name,required" as:"name" example:"okta"`
	// What it speaks.
	Type string `yaml:"type,required" enum:"oidc saml" example:"oidc"`
	// Lets nobody in by it, and no session that came by it.
	Disabled bool `yaml:"disabled" default:"false"`
	// OIDC: the provider's issuer URL.
	Issuer Issuer `yaml:"issuer" example:"https://acme.okta.com"`
	// OIDC: the client at the provider.
	ClientID string `yaml:"client_id" example:"orgate"`
	// OIDC: the client's secret; none for a public client.
	ClientSecret Secret `yaml:"client_secret,secret" example:"\"${ACME_OIDC_SECRET}\""`
	// OIDC: what to ask for beside openid.
	Scopes []string `yaml:"scopes" default:"[email, profile]" as:"scope" example:"[email, profile, groups]"`
	// OIDC: the claim with the person's groups; none given: groups are not read.
	GroupsClaim string `yaml:"groups_claim" example:"groups"`
	// SAML: where the provider's metadata is fetched, every four hours. The last good one stays in force.
	MetadataURL string `yaml:"metadata_url" as:"endpoint" example:"https://adfs.acme.com/FederationMetadata/2007-06/FederationMetadata.xml"`
	// SAML: the provider's metadata as a file. One of metadata_url, metadata_file and sso_url is given.
	MetadataFile Path `yaml:"metadata_file" example:"acme-adfs.xml"`
	// SAML: the provider's entity id. With metadata, which of several is meant; with metadata_url, what it must stay.
	EntityID string `yaml:"entity_id" example:"http://adfs.acme.com/adfs/services/trust"`
	// SAML, without metadata: where people sign in at the provider.
	SSOURL string `yaml:"sso_url" as:"endpoint" example:"https://adfs.acme.com/adfs/ls/"`
	// SAML, without metadata: how the browser is sent to sso_url and slo_url; none given: redirect.
	Binding string `yaml:"binding" enum:"redirect post" example:"redirect"`
	// SAML, without metadata: where people sign out at the provider, if it has such a place.
	SLOURL string `yaml:"slo_url" as:"endpoint" example:"https://adfs.acme.com/adfs/ls/"`
	// SAML, without metadata: the certificates that the provider signs with, in PEM. Several while one takes over from another.
	Certificates []string `yaml:"certificates" as:"certificate" example:"[\"${file:adfs.pem}\"]"`
	// SAML: signs the requests to the provider, even if its metadata does not ask for it.
	SignRequests bool `yaml:"sign_requests" default:"false"`
	// SAML: lets a sign-in begin at the provider. The person is asked before it counts.
	IDPInitiated bool `yaml:"idp_initiated" default:"false"`
	// SAML: which name of a person is asked for; none given: the provider chooses. A transient one is never taken.
	NameID string `yaml:"name_id" enum:"persistent email unspecified" example:"persistent"`
	// SAML: the attribute with the person's address; none given: the usual ones.
	EmailAttribute string `yaml:"email_attribute" example:"mail"`
	// SAML: the attribute with the person's name; none given: the usual ones.
	NameAttribute string `yaml:"name_attribute" example:"displayName"`
	// SAML: the attribute with the person's first name, read if there is no whole one; none given: the usual ones.
	FirstNameAttribute string `yaml:"first_name_attribute" example:"givenName"`
	// SAML: the attribute with the person's last name; none given: the usual ones.
	LastNameAttribute string `yaml:"last_name_attribute" example:"sn"`
	// SAML: the attribute with the person's groups; none given: the usual ones.
	GroupsAttribute string `yaml:"groups_attribute" example:"groups"`

	// Provider is what metadata_file or sso_url and the keys beside it say; nil: it is fetched.
	Provider *tenancy.SAMLProvider `yaml:"-"`
}
