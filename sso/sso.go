// Package sso is the sign-in flow on the login host: it asks who somebody is, sends
// them to the identity provider that can tell, adds the proof that comes back to their
// session, and hands them over to the tenant host that they came from.
//
// It owns the order of the steps, what a browser carries between them, the words for
// whatever goes wrong, the picker and signing out. It does not own what a policy means
// (package policy: every step here is what [policy.Decide] asked for, and the proxy asks
// again), who a person is (tenancy), what a session is (session), or how an identity
// provider is spoken to (sso/oidc, sso/saml).
//
// The invariants: strangers cost no memory, for a sign-in that was begun is kept by the
// browser, sealed; an answer is accepted once, in the browser that asked and from the
// connection that was asked; a session never holds the proofs of two persons; and a page
// that a stranger sees is the same for everybody who exists and everybody who does not.
package sso

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A Store runs transactions; [store.Store] is one.
type Store interface {
	View(ctx context.Context, f func(store.Tx) error) error
	Update(ctx context.Context, f func(store.Tx) error) error
}

// Tenants knows the tenant hosts; the proxy does, so that whoever is sent to one is
// answered there.
type Tenants interface {
	// Organization returns whose tenant host this is and which app's, given as
	// [session.SignInRequest] has it. ok is false for an unknown host, for another port
	// than the public one (a code of ours is sent there), and for a suspended organization.
	Organization(host string) (org tenancy.OrgID, app string, ok bool)
	// Home returns the URL of an organization's first page; empty if it has none.
	Home(org tenancy.OrgID) string
}

// Options are what a [Server] is made with. All are required, unless they say otherwise.
type Options struct {
	Store   Store
	Tenants Tenants
	OIDC    OIDC
	// Box seals what the browser and the store keep for us.
	Box *seal.Box
	// PublicURL is the URL of the login host, without a path.
	PublicURL *url.URL
	Jar       cookie.Jar
	Limits    session.Limits
	Rules     tenancy.Rules
	// Offered are the methods that this installation can ask for now.
	Offered policy.Methods
	// Mail puts mails into the queue; nil: none can be sent, and no method that needs it
	// may be offered.
	Mail Mail
	// Passkeys runs the ceremonies; nil: passkeys may not be offered.
	Passkeys Passkeys
	// Social are the providers that anybody may sign in with, in the order to offer them.
	Social []SocialProvider
	// Clients are those of the sign-in API.
	Clients client.Clients
	// GitHub speaks to those of them that are GitHubs; nil: none may be.
	GitHub GitHub
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Brand returns what an organization's pages look like; nil: its name alone.
	Brand func(tenancy.Organization) page.Brand
	// Count hears how each step ended, as one of a closed list of words; nil: nobody does.
	Count func(outcome string)
	// Denials takes down who was refused; nil: nobody does.
	Denials *denial.Book
	// ClientIP returns the address that a request really came from, where proxies are
	// trusted to say so; nil: that of the connection.
	ClientIP func(*http.Request) netip.Addr
	// Strangers is how much one network address may ask of us; zero: 10 a second and
	// 200 at once, which lets an office of some hundreds behind one address sign in at
	// nine o'clock, and keeps one machine from doing much else than being refused.
	Strangers Rate
	// Visits is how often one network address may open the sign-in page, which whoever is
	// signed in is sent through too, once for each tenant host; zero: 50 a second and
	// 1,000 at once, so that an office can open all its tabs at nine o'clock.
	Visits Rate
	// Logouts is how many logout tokens a connection may be sent from one network
	// address; zero: 20 a second and 1,000 at once.
	Logouts Rate
}

// A Server serves the sign-in flow. It is safe for concurrent use.
type Server struct {
	store     Store
	tenants   Tenants
	oidc      OIDC
	box       *seal.Box
	publicURL *url.URL
	jar       cookie.Jar
	flows     flowJar[flow] // of OIDC
	samlFlows flowJar[flow]
	samlKeys  *lru.Cache[string, saml.Key] // ours, by connection and key
	trials    *trials
	limits    session.Limits
	rules     tenancy.Rules
	offered   policy.Methods
	mail      Mail
	passkeys  Passkeys
	brand     func(tenancy.Organization) page.Brand
	social    []SocialProvider
	clients   client.Clients
	github    GitHub
	// socialFlows are of social providers, and no callback of a connection can open them.
	socialFlows flowJar[socialFlow]
	hashers     chan struct{} // holds one for each password that is being hashed
	log         *slog.Logger
	now         func() time.Time
	count       func(string)
	denials     *denial.Book
	clientIP    func(*http.Request) netip.Addr
	strangers   *limiter
	visits      *limiter
	logouts     *limiter
	// failures is by connection, and failuresFrom by network.
	failures, failuresFrom *limiter
}

// New returns a server, or an error that names everything that o lacks.
func New(o Options) (*Server, error) {
	var faults []error
	lacks := func(missing bool, what string) {
		if missing {
			faults = append(faults, errors.New("sso: no "+what))
		}
	}
	lacks(o.Store == nil, "store")
	lacks(o.Tenants == nil, "tenants")
	lacks(o.OIDC == nil, "OIDC")
	lacks(o.Box == nil, "box")
	lacks(o.PublicURL == nil || o.PublicURL.Host == "" || strings.Trim(o.PublicURL.Path, "/") != "", "public URL of a host")
	lacks(o.Limits.Idle <= 0 || o.Limits.Absolute <= 0, "limits of sessions")
	lacks(o.Logger == nil, "logger")
	lacks(o.Mail == nil && (o.Offered.Has(policy.EmailCode) || o.Offered.Has(policy.Password)), "mail, which codes and passwords need")
	lacks(o.Passkeys == nil && o.Offered.Has(policy.Passkey), "passkeys, which are offered")
	for _, p := range o.Social {
		lacks(p.Name == "" || p.ClientID == "" || !p.GitHub && p.Issuer == "", "name, client id or issuer of a social provider")
		lacks(p.GitHub && o.GitHub == nil, "GitHub, by which "+p.Name+" is")
		lacks(o.Mail == nil && !p.TrustEmail, "mail, by which the addresses of "+p.Name+" are proved")
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s := &Server{
		store: o.Store, tenants: o.Tenants, oidc: o.OIDC, box: o.Box,
		publicURL: &url.URL{Scheme: o.PublicURL.Scheme, Host: o.PublicURL.Host}, jar: o.Jar,
		flows: newFlows(o.Box, o.Jar), samlFlows: newSAMLFlows(o.Box, o.Jar), trials: newTrials(), socialFlows: newSocialFlows(o.Box, o.Jar),
		limits: o.Limits, rules: o.Rules, offered: o.Offered, mail: o.Mail, passkeys: o.Passkeys, social: o.Social, clients: o.Clients, github: o.GitHub, hashers: make(chan struct{}, maxHashing),
		log: o.Logger, now: o.Now, count: o.Count, denials: o.Denials, clientIP: o.ClientIP,
	}
	var err error
	if s.samlKeys, err = lru.New[string, saml.Key](maxSAMLKeys); err != nil {
		return nil, err
	}
	if s.brand = o.Brand; s.brand == nil {
		s.brand = func(org tenancy.Organization) page.Brand { return page.Brand{Organization: org.Name} }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.count == nil {
		s.count = func(string) {}
	}
	if s.clientIP == nil {
		s.clientIP = connectionIP
	}
	if o.Strangers == (Rate{}) {
		o.Strangers = Rate{PerSecond: 10, Burst: 200}
	}
	s.strangers = newLimiter(o.Strangers, s.now)
	if o.Visits == (Rate{}) {
		o.Visits = Rate{PerSecond: 50, Burst: 1000}
	}
	s.visits = newLimiter(o.Visits, s.now)
	if o.Logouts == (Rate{}) {
		o.Logouts = Rate{PerSecond: 20, Burst: 1000}
	}
	s.logouts = newLimiter(o.Logouts, s.now)
	// All failures are logged and counted, but few become events: whoever can make a
	// sign-in fail must not fill the store with that.
	s.failures = newLimiter(Rate{PerSecond: 1, Burst: 60}, s.now)
	s.failuresFrom = newLimiter(Rate{PerSecond: 0.1, Burst: 60}, s.now)
	return s, nil
}

// The paths of the login host that this package links to itself.
const (
	pathSignIn        = "/sign-in"
	pathSignOut       = "/sign-out"
	pathSignedOut     = "/signed-out"
	pathOrganizations = "/organizations"
	pathAccount       = "/account"
	pathCallback      = "/sso/oidc/callback"
	pathWays          = "/sign-in/ways"
	pathCode          = "/sign-in/code"
	pathResend        = "/sign-in/code/resend"
	pathPassword      = "/sign-in/password"
	pathReset         = "/sign-in/password/reset"
	pathPasswordNew   = "/sign-in/password/new"
	pathPasskey       = "/sign-in/passkey"
	pathPasskeyNew    = "/sign-in/passkey/new"
	pathSecond        = "/sign-in/second"
	pathEnroll        = "/sign-in/enroll"
	pathAppNew        = "/sign-in/app/new"
	pathRecoveryCodes = "/sign-in/recovery-codes"
	pathGoOn          = "/sign-in/go-on"
	pathInvitations   = "/invitations"
	pathResetLink     = "/password-reset"
	pathEmail         = "/account/email"
	pathEmailOld      = "/account/email/old"
	pathEmailNew      = "/account/email/new"
	// pathHandover is on the tenant host.
	pathHandover = "/.orgate/callback"
)

// Routes returns the routes of the login host that are this package's.
func (s *Server) Routes() []endpoint.Route {
	static := page.Static()
	routes := []endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET /{$}", Access: endpoint.Public, Handle: s.front},
		{Side: endpoint.Login, Pattern: "GET " + page.StaticPath, Access: endpoint.Public, Handle: func(w http.ResponseWriter, r *http.Request) error {
			static.ServeHTTP(w, r)
			return nil
		}},
		{Side: endpoint.Login, Pattern: "GET " + pathSignIn, Access: endpoint.Public, Handle: s.polite(s.visits, s.begin)},
		{Side: endpoint.Login, Pattern: "POST " + pathSignIn, Access: endpoint.Public, Handle: s.polite(s.strangers, s.identify)},
		{Side: endpoint.Login, Pattern: "GET " + pathCallback, Access: endpoint.Public, Handle: s.polite(s.strangers, s.callback)},
		{Side: endpoint.Login, Pattern: "GET " + pathCallback + "/{organization}/{connection}", Access: endpoint.Public, Handle: s.polite(s.strangers, s.callback)},
		// The provider posts here, server to server: there is no browser whose word
		// could be taken, and the token is signed.
		{Side: endpoint.Login, Pattern: "POST /sso/oidc/backchannel-logout/{organization}/{connection}", Access: endpoint.Public, CrossSite: true, Handle: s.backchannelLogout},
		{Side: endpoint.Login, Pattern: "GET " + pathAuthorize, Access: endpoint.Public, Handle: s.polite(s.visits, s.authorize)},
		{Side: endpoint.Login, Pattern: "GET " + pathAuthorizeSSO, Access: endpoint.Public, Handle: s.polite(s.visits, s.authorizeSSO)},
		{Side: endpoint.Login, Pattern: "GET " + pathClientSignOut, Access: endpoint.Public, Handle: s.polite(s.strangers, s.clientSignOut)},
		{Side: endpoint.Login, Pattern: "GET " + pathOrganizations, Access: endpoint.SignedIn, Handle: s.organizations},
		{Side: endpoint.Login, Pattern: "GET " + pathSignOut, Access: endpoint.Public, Handle: s.askSignOut},
		{Side: endpoint.Login, Pattern: "POST " + pathSignOut, Access: endpoint.Public, Handle: s.signOut},
		{Side: endpoint.Login, Pattern: "GET " + pathSignedOut, Access: endpoint.Public, Handle: s.signedOut},
	}
	// The pages of a sign-in by local factors. Each asks the policies anew whether it is its turn.
	for _, p := range []struct {
		path   string
		handle endpoint.Handler
	}{
		{pathCode, s.code}, {pathPassword, s.password}, {pathReset, s.reset}, {pathPasswordNew, s.passwordNew},
		{pathPasskey, s.passkey}, {pathPasskeyNew, s.passkeyNew}, {pathSecond, s.second}, {pathAppNew, s.appNew}, {pathRecoveryCodes, s.recoveryCodes},
		{pathEmail, s.changeEmail}, {pathEmailOld, s.emailOld}, {pathEmailNew, s.emailNew},
	} {
		routes = append(routes,
			endpoint.Route{Side: endpoint.Login, Pattern: "GET " + p.path, Access: endpoint.Public, Handle: s.polite(s.visits, p.handle)},
			endpoint.Route{Side: endpoint.Login, Pattern: "POST " + p.path, Access: endpoint.Public, Handle: s.polite(s.strangers, p.handle)})
	}
	return append(append(append(routes, s.socialRoutes()...), s.samlRoutes()...),
		endpoint.Route{Side: endpoint.Login, Pattern: "GET " + pathInvitations, Access: endpoint.SignedIn, Handle: s.invitations},
		endpoint.Route{Side: endpoint.Login, Pattern: "POST " + pathInvitations, Access: endpoint.Public, Handle: s.polite(s.strangers, s.acceptListed)},
		endpoint.Route{Side: endpoint.Login, Pattern: "GET " + pathInvitations + "/{token}", Access: endpoint.Public, Handle: s.polite(s.visits, s.invitation)},
		endpoint.Route{Side: endpoint.Login, Pattern: "POST " + pathInvitations + "/{token}", Access: endpoint.Public, Handle: s.polite(s.strangers, s.acceptInvitation)},
		endpoint.Route{Side: endpoint.Login, Pattern: "GET " + pathResetLink + "/{token}", Access: endpoint.Public, Handle: s.polite(s.visits, s.resetLink)},
		endpoint.Route{Side: endpoint.Login, Pattern: "POST " + pathResetLink + "/{token}", Access: endpoint.Public, Handle: s.polite(s.strangers, s.resetLink)},
		endpoint.Route{Side: endpoint.Login, Pattern: "GET " + pathWays, Access: endpoint.Public, Handle: s.polite(s.visits, s.otherWay)},
		endpoint.Route{Side: endpoint.Login, Pattern: "GET " + pathEnroll, Access: endpoint.Public, Handle: s.polite(s.visits, s.enroll)},
		endpoint.Route{Side: endpoint.Login, Pattern: "POST " + pathResend, Access: endpoint.Public, Handle: s.polite(s.strangers, s.resend)},
		endpoint.Route{Side: endpoint.Login, Pattern: "POST " + pathGoOn, Access: endpoint.Public, Handle: s.polite(s.strangers, s.goOn)})
}

// url returns the absolute URL of a path of the login host.
func (s *Server) url(path string) string { return s.publicURL.String() + path }

// front leads from the login host's bare address to the page that is meant.
func (s *Server) front(w http.ResponseWriter, r *http.Request) error {
	_, live, err := s.current(r)
	if err != nil {
		return err
	}
	to := pathSignIn
	if live {
		to = pathOrganizations
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}
