// Package config reads what an operator writes: the YAML of an installation, and of its
// organizations. What it returns is whole, checked and never changed again.
//
// It owns the names, types, defaults and meanings of the keys (the fields of [Config] and
// the comments on them are also the schema and the manual), every fault that can be found
// without running anything, and noticing that a file has changed. It does not own what is
// done with a configuration: config/apply writes organizations to the store, and
// the edges are built from the rest by cmd.
//
// The invariant: either every file was read and everything in it is right, or there is
// no [Config], and every [Fault] is named with file, line and column. No secret is
// ever in a fault, in a String, in JSON or in a log line.
package config

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/tenancy"
)

// sources are the files with the types of the configuration: the comments on their
// fields describe the keys in the schema and in docs/configuration.md.
//
//go:embed config.go app.go organization.go
var sources embed.FS

// A Config is one configuration, read whole. Nobody changes it after [Read].
//
// In the fields of this type and of the ones below it, the tag yaml gives the key and, after
// a comma, that it is required, secret (never shown) or literal (${...} stays as it is);
// default, enum, min, max and example are what they say; as names the grammar of a
// string (see grammar.go).
type Config struct {
	// The version of this format.
	Version int `yaml:"version,required" enum:"1" example:"1"`
	// Where orgate serves: the login host and all tenant hosts.
	Listen string `yaml:"listen" default:":8080" as:"address" example:"0.0.0.0:8080"`
	// The URL of the login host, as browsers see it. Its scheme and port are also those of the tenant hosts.
	PublicURL URL `yaml:"public_url,required" example:"https://login.example.com"`
	// Lets public_url be http on hosts that are not localhost. Then cookies and identity cross the network in the
	// clear, and anyone on the way can take them.
	InsecurePlainHTTP bool `yaml:"insecure_plain_http" default:"false"`
	// The certificates to serve HTTPS with. Without it, something in front of orgate ends TLS.
	TLS *TLS `yaml:"tls"`
	// The addresses of proxies in front of orgate. Only these may set X-Forwarded-For, -Host and -Proto, and
	// say in forward-auth which request is meant. None: nobody is trusted.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" example:"[10.0.0.0/8]"`
	// The header in which they say the country of a client, in two letters, for request.country in conditions. A proxy must
	// set it or take it out of every request. From anybody else, or where it comes twice, it is not believed, and removed.
	CountryHeader string `yaml:"country_header" as:"header" example:"CF-IPCountry"`
	// Lets the trusted proxies ask /.orgate/auth whether to forward a request, and be told who sent it. They must
	// not pass that path on from outside: a script on a tenant's page could read there what the app is told.
	ForwardAuth bool `yaml:"forward_auth" default:"false"`
	// The listener for operators.
	Management Management `yaml:"management"`
	// The audit logs.
	Audit Audit `yaml:"audit"`
	// Where everything is kept: one of badger and postgres.
	Store Store `yaml:"store"`
	// The key that secrets in the store are encrypted under: 32 bytes or more, as base64, hex or plain text. A list
	// rotates it: the first key encrypts, all of them decrypt. Without it, a key is made in the directory of
	// the badger store; postgres requires one.
	SecretsKey Keys `yaml:"secrets_key,secret" example:"\"${ORGATE_SECRETS_KEY}\""`
	// How long sessions live.
	Session Session `yaml:"session"`
	// How mail is sent.
	Mail *Mail `yaml:"mail"`
	// Where events are sent. Endpoints that are given here are read-only elsewhere, but for being enabled and disabled.
	Webhooks []Webhook `yaml:"webhooks"`
	// The apps that sign people in by the API. An app behind orgate needs none.
	Clients []Client `yaml:"clients"`
	// How people sign in whom no policy sends to single sign-on.
	SignIn SignIn `yaml:"sign_in"`
	// What calls to identity providers may reach.
	Egress Egress `yaml:"egress"`
	// How the records are looked for that prove domains.
	DNS DNS `yaml:"dns"`
	// The roles that members can have. Of several roles of one member, the one defined first is the highest. The
	// role member is always there; if it is not in the list, it is the lowest. Where none are given here, the API makes them.
	Roles []Role `yaml:"roles" example:"[{ slug: admin, permissions: [\"reports:delete\"] }, { slug: member }]"`
	// The role of new members, where their organization says nothing else.
	DefaultRole string `yaml:"default_role" default:"member" as:"role" example:"member"`
	// The apps behind orgate.
	Apps []*App `yaml:"apps,required"`
	// Limits that protect orgate itself.
	Limits Limits `yaml:"limits"`
	// How requests are carried to the apps.
	DataPlane DataPlane `yaml:"data_plane"`
	// The log, on standard error.
	Log Log `yaml:"log"`
	// Files with more organizations: patterns as of the shell (*, ?, [a-z]), relative to the directory of this
	// file. Each file has one organization, a list of them, or the key organizations.
	OrganizationFiles []string `yaml:"organization_files" example:"[\"tenants/*.yaml\"]"`
	// The organizations. What is given here is read-only elsewhere.
	Organizations []*Organization `yaml:"organizations"`

	// RolesAt is where the roles are given; zero: they are not, and are the API's to make.
	RolesAt tenancy.Origin `yaml:"-"`

	// Warnings are what is not wrong but probably not meant. They do not keep
	// the configuration from being used.
	Warnings Faults `yaml:"-"`
}

// TLS is the certificates of the listener. A browser is shown the one for the host that it asks for, and the first one
// where none is for it. The files are read again when they change.
type TLS struct {
	// The certificate and its chain, in PEM.
	CertFile Path `yaml:"cert_file" example:"/etc/orgate/tls.crt"`
	// Its private key, in PEM.
	KeyFile Path `yaml:"key_file" example:"/etc/orgate/tls.key"`
	// More certificates, for hosts that the first one is not for.
	Certificates []Certificate `yaml:"certificates"`
	// Certificates by ACME, for hosts that none of the others is for.
	ACME *ACME `yaml:"acme"`
}

// ACME is an authority that issues certificates: each when its host is first asked for, and only for the login host and
// hosts of organizations. It must reach the listener at port 443 of these hosts.
type ACME struct {
	// The authority's directory. To use it is to agree to the authority's terms of service.
	DirectoryURL string `yaml:"directory_url" default:"https://acme-v02.api.letsencrypt.org/directory" example:"https://acme-v02.api.letsencrypt.org/directory"`
	// Where the authority may write to its customers, which it does when something is wrong.
	Email string `yaml:"email" example:"ops@example.com"`
	// More certificate authorities to believe when the directory is called, in PEM, beside those of the system.
	CAFile Path `yaml:"ca_file" example:"/etc/orgate/ca.pem"`
}

// Certificate is a certificate and its key.
type Certificate struct {
	// The certificate and its chain, in PEM.
	CertFile Path `yaml:"cert_file,required" example:"/etc/orgate/portal.acme.com.crt"`
	// Its private key, in PEM.
	KeyFile Path `yaml:"key_file,required" example:"/etc/orgate/portal.acme.com.key"`
}

// All returns all certificates, in their order.
func (t *TLS) All() []Certificate {
	var all []Certificate
	if t.CertFile != "" {
		all = append(all, Certificate{t.CertFile, t.KeyFile})
	}
	return append(all, t.Certificates...)
}

// Management is the listener for operators: API, metrics, health.
type Management struct {
	// Where it serves. It is never the public listener.
	Listen string `yaml:"listen" default:"127.0.0.1:9090" as:"address" example:"127.0.0.1:9090"`
	// Its URL, as programs reach it that fetch an export of an audit log. Without it, http and the address that it listens
	// at; localhost, if that is every address.
	URL URL `yaml:"url" example:"https://orgate.internal:9090"`
	// Serves Go's profiles at /debug/pprof/.
	Pprof bool `yaml:"pprof" default:"false"`
	// Keys for the API, by their hashes. More are made with orgate api-key create.
	APIKeys []APIKey `yaml:"api_keys"`
}

// Audit is how audit logs are kept.
type Audit struct {
	// For how many days entries are kept, where an organization says nothing else by the API.
	RetentionDays int `yaml:"retention_days" default:"365" min:"1" max:"3650" example:"365"`
}

// APIKey is a key for the management API. One that is taken out is good no more.
type APIKey struct {
	// Who uses it, unique among them.
	Name string `yaml:"name,required" as:"name" example:"backend"`
	// The SHA-256 of the key, in hexadecimal digits: of sk_ and at least 32 random bytes, as made with
	// echo "sk_$(openssl rand -hex 32)" and hashed with printf %s "$KEY" | sha256sum.
	Hash string `yaml:"hash,required" as:"hash" example:"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"`
	// The organization that it is good for, by slug; none given: all of them, and what is the installation's.
	Organization tenancy.Slug `yaml:"organization" example:"acme"`
	// Lets it look and change nothing.
	ReadOnly bool `yaml:"read_only" default:"false"`
}

// Sum returns the hash.
func (k APIKey) Sum() (sum [sha256.Size]byte) {
	b, _ := hex.DecodeString(strings.TrimPrefix(k.Hash, "sha256:")) // it was read by its grammar
	copy(sum[:], b)
	return sum
}

// Store is where everything is kept.
type Store struct {
	// A directory of this machine, for one replica.
	Badger *Badger `yaml:"badger"`
	// A PostgreSQL database, for any number of replicas.
	Postgres *Postgres `yaml:"postgres"`
}

// Badger is the embedded store.
type Badger struct {
	// The directory. It is made if it is not there.
	Dir Path `yaml:"dir" default:"data" example:"./data"`
}

// Postgres is the shared store.
type Postgres struct {
	// The connection string.
	URL Secret `yaml:"url,required,secret" example:"\"${DATABASE_URL}\""`
}

// Session is how long sessions live.
type Session struct {
	// A session ends when it was not used for so long.
	Idle time.Duration `yaml:"idle" default:"12h" min:"1m" max:"8760h" example:"12h"`
	// A session ends so long after the sign-in, used or not.
	Absolute time.Duration `yaml:"absolute" default:"168h" min:"1m" max:"8760h" example:"168h"`
}

// Mail is how mail is sent.
type Mail struct {
	// The mail server.
	SMTP *SMTP `yaml:"smtp,required"`
	// The sender.
	From string `yaml:"from,required" as:"mailbox" example:"\"Example <login@example.com>\""`
}

// SMTP is a mail server.
type SMTP struct {
	// Its name.
	Host string `yaml:"host,required" as:"server" example:"smtp.example.com"`
	// Its port.
	Port int `yaml:"port" default:"587" min:"1" max:"65535" example:"587"`
	// How the connection is encrypted: by STARTTLS, which the server must then offer; from the first byte on (implicit);
	// or not at all (none). Without it: implicit on port 465, none to a server at a loopback address, and starttls
	// else. The server's certificate is checked against the authorities of the system and those of egress.ca_file.
	TLS string `yaml:"tls" enum:"starttls implicit none" example:"starttls"`
	// Whom to sign in as; without it, nobody.
	Username string `yaml:"username" example:"orgate"`
	// The password.
	Password Secret `yaml:"password,secret" example:"\"${SMTP_PASSWORD}\""`
	// The name to greet the server with; without it, the host of public_url.
	HELO string `yaml:"helo" as:"server" example:"gate.example.com"`
	// How long connecting may take, and each mail.
	Timeout time.Duration `yaml:"timeout" default:"30s" min:"1s" max:"5m" example:"30s"`
}

// Webhook is an endpoint that events are sent to.
type Webhook struct {
	// Its URL. It is what an endpoint is known by: another URL is another endpoint, and one that leaves is disabled.
	URL string `yaml:"url,required" as:"webhook" example:"https://app.example.com/hooks"`
	// What webhooks are signed with: whsec_ and the base64 of 24 to 64 bytes. When it changes, the one before signs for a
	// day yet.
	Secret Secret `yaml:"secret,required,secret" example:"\"${WEBHOOK_SECRET}\""`
	// The names of the events that it is sent (see events.md).
	Events []string `yaml:"events,required" as:"event" example:"[user.created, user.deleted]"`
}

// Client is an app that signs people in by the API.
type Client struct {
	// Its id, which it gives with every request: client_ and letters and digits of your choice.
	ID string `yaml:"id,required" as:"client" example:"client_portal"`
	// What it is called.
	Name string `yaml:"name,literal" example:"Portal"`
	// Where people are sent back to after they have signed in: whole URLs, compared byte for byte. They are https, or
	// http on localhost.
	RedirectURIs []string `yaml:"redirect_uris,required" as:"redirect" example:"[https://app.example.com/callback]"`
	// Where people may be sent to after they have signed out, beside all pages of the origins of redirect_uris.
	SignOutURIs []string `yaml:"sign_out_uris" as:"redirect" example:"[https://www.example.com/]"`
	// What it may have identity providers asked for by provider_scopes, beside openid, profile and email. Anybody can write
	// a link that asks for them in its name.
	ProviderScopes []string `yaml:"provider_scopes" as:"provider scope" example:"[phone]"`
	// Lets it do without an API key, as it can't keep one: a program on people's own machines. It must use PKCE.
	Public bool `yaml:"public" default:"false"`
}

// SignIn is how people sign in whom no policy sends to single sign-on.
type SignIn struct {
	// The first factors on offer. None: single sign-on alone.
	Methods []policy.Method `yaml:"methods" enum:"email_code passkey password" example:"[email_code, passkey]"`
	// Providers that anybody may sign in with.
	Social []Social `yaml:"social"`
	// Whether whoever comes becomes a user, or those with an invitation, a directory, a verified domain's auto_join
	// or jit alone.
	SignUp string `yaml:"sign_up" default:"open" enum:"open invitation"`
	// Whether a user can be in several organizations, or in at most one.
	Workspaces string `yaml:"workspaces" default:"multiple" enum:"multiple single"`
}

// Social is a provider that anybody may sign in with.
type Social struct {
	// Its name, unique among them. It is in the callback URL, and a changed name is another provider.
	Name string `yaml:"name,required" as:"name" example:"google"`
	// What it speaks: oidc is any OpenID provider, github is GitHub's OAuth.
	Type string `yaml:"type" default:"oidc" enum:"oidc github" example:"oidc"`
	// What the button calls it; none given: the name with a capital letter.
	Label string `yaml:"label,literal" example:"Google"`
	// OIDC: its issuer URL. Another issuer is another provider, whose people are not those of the one before.
	Issuer Issuer `yaml:"issuer" example:"https://accounts.google.com"`
	// GitHub: where it is, if it is a GitHub Enterprise Server; none given: https://github.com.
	URL Issuer `yaml:"url" example:"https://github.acme.com"`
	// The client there.
	ClientID string `yaml:"client_id,required" example:"orgate"`
	// The client's secret. GitHub requires one.
	ClientSecret Secret `yaml:"client_secret,secret" example:"\"${GOOGLE_SECRET}\""`
	// Takes the provider's word for an address that it says is verified, unless the address is on an organization's
	// verified domain. Without it, an address that is new is proved by a code by mail, once.
	TrustEmail bool `yaml:"trust_email" default:"false"`
}

// Egress is what calls to identity providers may reach.
type Egress struct {
	// Addresses beside the public ones of the Internet: providers in the operator's own network.
	Allow []netip.Prefix `yaml:"allow" example:"[10.20.0.0/16]"`
	// Ports that public addresses may be called on beside 443, 8443 and 9443; those under allow may be on any.
	Ports []int `yaml:"ports" min:"1" max:"65535" example:"[4443]"`
	// Lets providers be at localhost, by http too: for development. On without being asked for where public_url
	// itself is at localhost.
	AllowLoopback bool `yaml:"allow_loopback" default:"false"`
	// More certificate authorities to believe, in PEM, beside those of the system.
	CAFile Path `yaml:"ca_file" example:"/etc/orgate/ca.pem"`
}

// DNS is how the records are looked for that prove domains. A domain's own name servers are asked for them; a
// resolver only says where these are.
type DNS struct {
	// The resolver to ask, by its address. None: those of /etc/resolv.conf.
	Resolver netip.AddrPort `yaml:"resolver" example:"127.0.0.1:53"`
	// Addresses of name servers that may be asked beside the public ones of the Internet: domains that are served in the
	// operator's own network.
	Allow []netip.Prefix `yaml:"allow" example:"[10.20.0.0/16]"`
	// The port that name servers are asked at. Another than 53 is for tests.
	Port int `yaml:"port" default:"53" min:"1" max:"65535" example:"53"`
}

// PublicPorts returns the ports that public addresses may be called on.
func (e Egress) PublicPorts() []uint16 {
	ports := []uint16{443, 8443, 9443}
	for _, p := range e.Ports {
		ports = append(ports, uint16(p))
	}
	return ports
}

// A Role is a named set of permissions.
type Role struct {
	// Its name for machines, unique.
	Slug string `yaml:"slug,required" as:"role" example:"admin"`
	// Its name for people.
	Name string `yaml:"name" example:"Administrator"`
	// What it may do; the names are the app's own.
	Permissions []string `yaml:"permissions" as:"permission" example:"[\"reports:edit\", \"reports:delete\"]"`
}

// Limits protect orgate itself; those of an app are the app's.
type Limits struct {
	// How long the request line and the headers may be together.
	MaxHeader Size `yaml:"max_header" default:"64KiB" min:"4KiB" max:"1MiB" example:"64KiB"`
	// How long a client may take to send the headers.
	HeaderTimeout time.Duration `yaml:"header_timeout" default:"10s" min:"1s" max:"5m" example:"10s"`
	// How long a connection may wait for its next request.
	IdleTimeout time.Duration `yaml:"idle_timeout" default:"2m" min:"1s" max:"1h" example:"2m"`
	// How long a request body to pages of orgate's own may be.
	MaxBody Size `yaml:"max_body" default:"1MiB" min:"16KiB" max:"64MiB" example:"1MiB"`
	// What each organization may take of the apps' requests, so that it leaves the others theirs. More than that is
	// answered with 429. An organization can have limits of its own.
	PerOrganization Quota `yaml:"per_organization"`
	// How many sessions are kept ready in memory.
	Grants int `yaml:"grants" default:"65536" min:"1024" max:"16777216" example:"65536"`
	// How long orgate still takes new requests after it was told to stop, while /readyz fails: the time in which
	// a balancer notices.
	DrainDelay time.Duration `yaml:"drain_delay" default:"0s" min:"0s" max:"10m" example:"5s"`
	// How long open requests may take to end when orgate is told to stop.
	DrainTimeout time.Duration `yaml:"drain_timeout" default:"30s" min:"0s" max:"1h" example:"30s"`
}

// Quota is what one organization may take. What is 0 has no limit.
type Quota struct {
	// How many requests a second, on average.
	Requests int `yaml:"requests" default:"0" min:"0" max:"1000000" example:"500"`
	// How many of them at once; if it is less than requests: as many as requests.
	Burst int `yaml:"burst" default:"0" min:"0" max:"10000000" example:"1000"`
	// How many open at a time, WebSockets and streams included.
	Open int `yaml:"open" default:"0" min:"0" max:"10000000" example:"2000"`
}

// DataPlane is how requests are carried to the apps.
type DataPlane struct {
	// Whether plain requests to apps (HTTP/1.1, nothing unusual in them) are carried by code of orgate's own, which costs a
	// fraction of what the general way does and decides by the same functions. The general way carries all others. Turned on by a reload, it is taken on connections that begin then.
	FastPath string `yaml:"fast_path" default:"on" enum:"on off"`
}

// Log is what is logged, and how. Lines that come fast upon each other are written together, within 100 ms; a warning
// or an error at once, after what stands before it.
type Log struct {
	// The form of a line.
	Format string `yaml:"format" default:"json" enum:"json text"`
	// The least level.
	Level string `yaml:"level" default:"info" enum:"debug info warn error"`
}

// A Later is a key of the contract that this version does not know how to honour:
// giving it is a fault, never silently ignored.
type Later struct{}

// LoginHost returns the canonical host of public_url.
func (c *Config) LoginHost() tenancy.Host {
	h, _, err := tenancy.ParseHost(c.PublicURL.Host)
	if err != nil {
		panic(err) // Read checked it
	}
	return h
}

// PlainCookies reports whether cookies go without Secure: plain HTTP was asked for on
// hosts that browsers do not take for safe by themselves.
func (c *Config) PlainCookies() bool {
	return c.PublicURL.Scheme == "http" && !isLocalhost(c.PublicURL.Hostname())
}

// Offered are the methods that this installation can ask for. An authenticator app, and the
// recovery codes that go with it, are on offer wherever a local factor can stand first.
func (c *Config) Offered() policy.Methods {
	local := policy.MethodsOf(c.SignIn.Methods...)
	if len(c.SignIn.Social) > 0 {
		local |= policy.MethodsOf(policy.Social)
	}
	if local != 0 {
		local |= policy.MethodsOf(policy.TOTP, policy.RecoveryCode)
	}
	return local | policy.MethodsOf(policy.SSO)
}

// SignInClients are the clients of the sign-in API.
func (c *Config) SignInClients() client.Clients {
	var cs client.Clients
	for _, x := range c.Clients {
		cs = append(cs, client.Client{ID: x.ID, Name: x.Name, RedirectURIs: x.RedirectURIs, SignOutURIs: x.SignOutURIs, ProviderScopes: x.ProviderScopes, Public: x.Public})
	}
	return cs
}

// Rules are the settings that joining depends on.
func (c *Config) Rules() tenancy.Rules {
	return tenancy.Rules{
		SingleWorkspace: c.SignIn.Workspaces == "single",
		InvitationOnly:  c.SignIn.SignUp == "invitation",
		DefaultRole:     c.DefaultRole,
	}
}
