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
	// What it speaks. saml is not available in this version of orgate.
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
	// SAML: where the provider's metadata is. Not available in this version of orgate.
	MetadataURL Issuer `yaml:"metadata_url" example:"https://adfs.acme.com/metadata.xml"`
	// SAML: lets a sign-in begin at the provider. Not available in this version of orgate.
	IDPInitiated bool `yaml:"idp_initiated" default:"false"`
	// SAML: the attribute with the person's groups. Not available in this version of orgate.
	GroupsAttribute string `yaml:"groups_attribute" example:"groups"`
}
