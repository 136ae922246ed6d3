package config

import (
	"time"

	"github.com/orgate/orgate/policy"
)

// An App is a web app behind orgate.
type App struct {
	// Its name, unique; also in the audience of the signed assertion.
	Name string `yaml:"name,required" as:"name" example:"app"`
	// Its tenant hosts: one whole label, {org}, stands for the organization's slug. Custom hosts of
	// organizations lead to the first app.
	Host HostPattern `yaml:"host,required" example:"\"{org}.example.com\""`
	// Where the app is: http or https, a host and a port, no path.
	Upstream Origin `yaml:"upstream,required" example:"http://127.0.0.1:3000"`
	// How the app speaks: auto is HTTP/1.1, and HTTP/2 where an https upstream offers it; h2c is HTTP/2
	// without TLS.
	Protocol string `yaml:"protocol" default:"auto" enum:"auto http1 h2c"`
	// How an https upstream is checked.
	UpstreamTLS *UpstreamTLS `yaml:"upstream_tls"`
	// Lets gRPC through: trailers, and TE, which are removed otherwise.
	GRPC bool `yaml:"grpc" default:"false"`
	// The headers that tell the app who is there.
	Headers Headers `yaml:"headers"`
	// Rules by path; the first that matches decides. A path that none names needs an active member.
	Routes []Route `yaml:"routes"`
	// What to do with a path that servers read in different ways (encoded slashes and dots, backslashes, ;): refuse
	// it with status 400, or forward it as it came; then no rule that grants matches it, and each that asks for
	// more still does.
	AmbiguousPaths string `yaml:"ambiguous_paths" default:"refuse" enum:"refuse allow"`
	// Adds Cache-Control: private to answers that were made for somebody and say nothing about caching, so
	// that no cache shows them to somebody else.
	CachePrivate bool `yaml:"cache_private" default:"true"`
	// How long a request body may be; 0: any length.
	MaxBody Size `yaml:"max_body" default:"0" example:"100MiB"`
	// How long the app may take.
	Timeouts Timeouts `yaml:"timeouts"`

	// Rules are the routes, compiled.
	Rules policy.Rules `yaml:"-"`
}

// UpstreamTLS is how an https upstream is checked.
type UpstreamTLS struct {
	// The authorities to believe, in PEM, in place of those of the system.
	CAFile Path `yaml:"ca_file" example:"/etc/orgate/app-ca.pem"`
	// The name that its certificate must have, where that is not the host of upstream.
	ServerName string `yaml:"server_name" as:"server" example:"app.internal"`
}

// Timeouts are how long an app may take.
type Timeouts struct {
	// To accept a connection.
	Connect time.Duration `yaml:"connect" default:"5s" min:"10ms" max:"5m" example:"5s"`
	// From the end of the request to the first byte of the answer. 0: any time.
	ResponseHeader time.Duration `yaml:"response_header" default:"60s" min:"0s" max:"1h" example:"60s"`
	// How long an unused connection to the app is kept.
	Idle time.Duration `yaml:"idle" default:"90s" min:"1s" max:"1h" example:"90s"`
}

// A Route is a rule about paths of an app.
type Route struct {
	// The pattern of the path: * stands for one segment, ** at the end for any number of them. What a rule
	// grants, it grants in this spelling alone; what it asks for, it asks for in upper and lower case alike.
	Path string `yaml:"path,required" example:"/admin/**"`
	// The HTTP methods that the rule is about; none given: all.
	Methods []string `yaml:"methods" example:"[DELETE]"`
	// What is needed at the least: public is nothing at all.
	Access string `yaml:"access" default:"member" enum:"member public"`
	// The role that the member must have.
	Role string `yaml:"role" as:"role" example:"admin"`
	// The permission that one of the member's roles must have.
	Permission string `yaml:"permission" as:"permission" example:"reports:delete"`
	// A condition in CEL over member, user, organization and request.
	When string `yaml:"when,literal" example:"'member.attributes.seniority == \"staff\"'"`
}

// Headers are the headers that tell the app who is there: those of a preset, in which
// names of one's own take the place of the preset's. Without preset, names of one's own
// are the only ones; nothing given at all is the preset orgate.
type Headers struct {
	// A set of names that other proxies use.
	Preset string `yaml:"preset" enum:"orgate oauth2-proxy authelia pomerium iap" example:"orgate"`
	// The name of the header with the user's id.
	UserID string `yaml:"user_id" as:"header" example:"X-User-Id"`
	// The name of the header with the user's address.
	UserEmail string `yaml:"user_email" as:"header" example:"X-User-Email"`
	// The name of the header with the user's name, percent-encoded.
	UserName string `yaml:"user_name" as:"header" example:"X-User-Name"`
	// The name of the header with the organization's id.
	OrgID string `yaml:"org_id" as:"header" example:"X-Org-Id"`
	// The name of the header with the organization's slug.
	OrgSlug string `yaml:"org_slug" as:"header" example:"X-Org-Slug"`
	// The name of the header with the organization's name, percent-encoded.
	OrgName string `yaml:"org_name" as:"header" example:"X-Org-Name"`
	// The name of the header with the membership's id.
	MembershipID string `yaml:"membership_id" as:"header" example:"X-Org-Membership-Id"`
	// The name of the header with the highest role.
	Role string `yaml:"role" as:"header" example:"X-Org-Role"`
	// The name of the header with all roles, comma-separated.
	Roles string `yaml:"roles" as:"header" example:"X-Org-Roles"`
	// The name of the header with all permissions, comma-separated.
	Permissions string `yaml:"permissions" as:"header" example:"X-Org-Permissions"`
	// The name of the header with the method of the sign-in.
	AuthMethod string `yaml:"auth_method" as:"header" example:"X-Auth-Method"`
	// The name of the header with the connection of the sign-in.
	AuthConnection string `yaml:"auth_connection" as:"header" example:"X-Auth-Connection"`
	// The name of the header with the time of the sign-in.
	AuthTime string `yaml:"auth_time" as:"header" example:"X-Auth-Time"`
	// The name of the header with the signed assertion.
	JWT string `yaml:"jwt" as:"header" example:"X-Orgate-Jwt-Assertion"`
}

// Names returns the names of one's own, by field (user_id, ...); nil if there are none.
func (h Headers) Names() map[string]string {
	names := map[string]string{
		"user_id": h.UserID, "user_email": h.UserEmail, "user_name": h.UserName,
		"org_id": h.OrgID, "org_slug": h.OrgSlug, "org_name": h.OrgName, "membership_id": h.MembershipID,
		"role": h.Role, "roles": h.Roles, "permissions": h.Permissions,
		"auth_method": h.AuthMethod, "auth_connection": h.AuthConnection, "auth_time": h.AuthTime, "jwt": h.JWT,
	}
	for field, name := range names {
		if name == "" {
			delete(names, field)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return names
}
