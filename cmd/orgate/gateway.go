package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/domain"
	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/internal/certificate/issue"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/dnsproof"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/internal/telemetry"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/proxy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/github"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/passkey"
	"github.com/orgate/orgate/sso/upkeep"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
	"github.com/orgate/orgate/web"
)

// A gateway is everything that serve runs, in the order that it is made in.
type gateway struct {
	log     *slog.Logger
	metrics *telemetry.Metrics

	engine engine
	store  *store.Store
	box    *seal.Box
	// providers remembers what identity providers publish, across reloads.
	providers *oidc.Providers
	github    *github.Client
	proxy     *proxy.Proxy
	domains   *domain.Checker
	saml      *upkeep.Keeper
	hooks     *egress.Client // calls the receivers of webhooks
	denials   *denial.Book

	// front is what each configuration makes anew. The proxy keeps its own part, as
	// connections and grants outlive a reload.
	front config.Live[front]

	// behind is what goes on behind a reload: one reckoning at a time.
	behind    sync.WaitGroup
	reckoning sync.Mutex

	ready atomic.Bool

	// issuer gets certificates; nil without ACME. It is there before the public listener serves.
	issuer *issue.Issuer
}

// A front is a configuration and what is built from it, in force together.
type front struct {
	config *config.Config
	// login serves the login host, where signIn signs people in.
	login  http.Handler
	signIn *sso.Server
	// certificates are those of the public listener; nil without TLS.
	certificates *certificate.Set
	// mail is the mail server; nil without one.
	mail mail.Sender
}

// config returns the configuration in force.
func (g *gateway) config() *config.Config { return g.front.Load().config }

// open opens the store, puts the configuration in force and builds the edges.
func open(ctx context.Context, c *config.Config, log *slog.Logger) (g *gateway, err error) {
	g = &gateway{log: log, metrics: telemetry.NewMetrics(version, commit)}
	if g.engine, err = openEngine(ctx, c, log); err != nil {
		return nil, err
	}
	opened := store.New(g.engine, store.Options{Logger: log})
	g.store = opened
	g.denials = denial.New(opened, log, nil)
	defer func() {
		if err != nil { // g is nil by now
			err = errors.Join(err, opened.Close())
		}
	}()
	if err := g.store.Reindex(ctx); err != nil {
		return nil, err
	}
	if g.box, err = openBox(c); err != nil {
		return nil, err
	}
	roots, err := rootCAs(string(c.Egress.CAFile), x509.SystemCertPool)
	if err != nil {
		return nil, fmt.Errorf("egress.ca_file: %w", err)
	}
	out := egress.New(egressOptions(c, roots))
	g.hooks = newWebhookClient(c, roots)
	g.providers, g.github = oidc.New(oidc.Options{Egress: out}), github.New(out)
	g.saml = upkeep.New(upkeep.Options{
		Store: g.store, Box: g.box, Logger: log, Count: g.metrics.SAML,
		// Federations' metadata is longer than what else is asked for.
		Egress: egress.New(egress.Options{AllowLoopback: c.Egress.AllowLoopback, AllowPrefixes: c.Egress.Allow, Ports: c.Egress.PublicPorts(), RootCAs: roots, MaxBody: upkeep.MaxMetadata, Timeout: upkeep.FetchTimeout}),
	})
	err = g.front.Reload(c, func(c *config.Config) (*front, error) {
		f, err := g.build(c)
		if err != nil {
			return nil, err
		}
		if err := g.apply(ctx, c); err != nil {
			return nil, err
		}
		if _, err := apply.Reseal(ctx, g.store, g.box); err != nil {
			return nil, err
		}
		g.proxy, err = proxy.New(ctx, proxy.Options{
			Settings: proxySettings(c), Store: g.store, Box: g.box, Logger: log, Renderer: page.Errors{},
			LoginHost: http.HandlerFunc(g.serveLogin), Observer: observer{g.metrics}, Grants: c.Limits.Grants, Denials: g.denials,
		})
		return f, err
	})
	if err != nil {
		return nil, err
	}
	g.domains = domain.New(domain.Options{
		Store: g.store, Logger: log,
		// Asked for anew each time, as a reload may have changed it.
		Look: func(ctx context.Context, name, value string) dnsproof.Outcome {
			return prover(g.config()).Look(ctx, name, value)
		},
		Count: func(o domain.Observation) { g.metrics.DomainCheck(o.Answer, o.Reason, o.Change) },
	})
	g.metrics.Reload(true, time.Now())
	g.metrics.Watch(g.gauges()...)
	return g, nil
}

// egressOptions are what c says of calls going out.
func egressOptions(c *config.Config, roots *x509.CertPool) egress.Options {
	return egress.Options{AllowLoopback: c.Egress.AllowLoopback, AllowPrefixes: c.Egress.Allow, Ports: c.Egress.PublicPorts(), RootCAs: roots}
}

// prover is what looks for the records of domains, as c says.
func prover(c *config.Config) *dnsproof.Client {
	port := uint16(c.DNS.Port)
	return dnsproof.New(dnsproof.Options{
		Resolver: c.DNS.Resolver, Port: port,
		Allow: egress.Options{AllowPrefixes: c.DNS.Allow, Ports: []uint16{port}}.CheckAddress,
	})
}

// close is called when the context of the last reload is done.
func (g *gateway) close() error {
	g.behind.Wait()
	return g.store.Close()
}

// apply writes the organizations and roles of c to the store.
func (g *gateway) apply(ctx context.Context, c *config.Config) error {
	report, err := apply.Apply(ctx, g.store, c, g.box, time.Now())
	if err != nil {
		return fmt.Errorf("write the configuration to the store: %w", err)
	}
	g.log.InfoContext(ctx, "organizations", "created", report.Created, "updated", report.Updated, "suspended", report.Suspended, "unchanged", report.Unchanged)
	return nil
}

// put puts c in force: everything is built first, and nothing changes if that fails. It is
// called by one goroutine.
func (g *gateway) put(ctx context.Context, c *config.Config) error {
	return g.front.Reload(c, func(c *config.Config) (*front, error) {
		for _, key := range needsRestart(g.config(), c) {
			g.log.WarnContext(ctx, "this change takes effect at the next start", "key", key)
		}
		f, err := g.build(c)
		if err != nil {
			return nil, err
		}
		if f.certificates == nil { // what takes effect at the next start leaves visitors what they are shown until then
			f.certificates = g.front.Load().certificates
		}
		settings := proxySettings(c)
		if err := settings.Check(); err != nil {
			return nil, err
		}
		means, err := g.prepare(ctx, c)
		if err != nil {
			return nil, err
		}
		if err := g.apply(ctx, c); err != nil {
			return nil, err
		}
		if err := g.proxy.Reload(settings); err != nil {
			return nil, err
		}
		g.reckon(ctx, means)
		return f, nil
	})
}

// build makes what c says of the login host and of TLS, and changes nothing.
func (g *gateway) build(c *config.Config) (*front, error) {
	f := &front{config: c}
	routes, guards, signIn, err := g.loginRoutes(c)
	if err != nil {
		return nil, err
	}
	f.signIn = signIn
	login, err := endpoint.New(routes, endpoint.Options{Guards: guards, Renderer: page.Errors{}, Logger: g.log})
	if err != nil {
		return nil, err
	}
	f.login = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not http.MaxBytesHandler: it hands on a copy of r, and the log could not tell
		// which route it came to.
		r.Body = http.MaxBytesReader(w, r.Body, int64(c.Limits.MaxBody))
		login.ServeHTTP(w, r)
	})
	if f.certificates, err = certificates(c); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if f.mail, err = mailServer(c); err != nil {
		return nil, err
	}
	return f, nil
}

// needsRestart names the keys that differ and are read at the start only.
func needsRestart(a, b *config.Config) (keys []string) {
	differs := func(is bool, key string) {
		if is {
			keys = append(keys, key)
		}
	}
	differs(a.Listen != b.Listen, "listen")
	differs(a.Management.Listen != b.Management.Listen || a.Management.Pprof != b.Management.Pprof, "management")
	differs((a.TLS == nil) != (b.TLS == nil), "tls")
	differs(a.TLS != nil && b.TLS != nil && !reflect.DeepEqual(a.TLS.ACME, b.TLS.ACME), "tls.acme")
	differs((a.Store.Postgres == nil) != (b.Store.Postgres == nil) ||
		a.Store.Postgres != nil && *a.Store.Postgres != *b.Store.Postgres ||
		a.Store.Badger != nil && b.Store.Badger != nil && *a.Store.Badger != *b.Store.Badger, "store")
	differs(!slices.Equal(a.SecretsKey, b.SecretsKey), "secrets_key")
	differs(!reflect.DeepEqual(a.Egress, b.Egress), "egress")
	differs(a.Limits != b.Limits, "limits")
	differs(a.Log != b.Log, "log")
	return keys
}

func (g *gateway) serveLogin(w http.ResponseWriter, r *http.Request) {
	g.front.Load().login.ServeHTTP(w, r)
}

// loginRoutes are the sign-in flow and the pages of the login host.
func (g *gateway) loginRoutes(c *config.Config) ([]endpoint.Route, map[endpoint.Access]endpoint.Guard, *sso.Server, error) {
	o := sso.Options{
		Store: g.store, Tenants: tenants{g}, OIDC: g.providers, GitHub: g.github, Box: g.box,
		PublicURL: c.PublicURL.URL, Jar: jar(c), Limits: limits(c), Rules: c.Rules(), Offered: c.Offered(), Logger: g.log,
		Count: g.metrics.SignIn, ClientIP: proxy.ClientIP, Denials: g.denials,
	}
	w := web.Options{Store: g.store, PublicURL: c.PublicURL.URL, Limits: limits(c), Offered: c.Offered(), Home: tenants{g}.Home}
	if c.Mail != nil {
		queue := mail.NewQueue(g.box)
		o.Mail, w.Mail = queue, queue
	}
	if c.Offered().Has(policy.Passkey) {
		id, origin, err := passkey.FromURL(c.PublicURL.URL)
		if err != nil {
			return nil, nil, nil, err
		}
		if o.Passkeys, err = passkey.New(passkey.Options{RPID: id, RPName: id, Origins: []string{origin}}); err != nil {
			return nil, nil, nil, err
		}
	}
	o.Clients = c.SignInClients()
	o.Social, w.Social = socialProviders(c)
	brands, err := brands(c)
	if err != nil {
		return nil, nil, nil, err
	}
	o.Brand = func(org tenancy.Organization) page.Brand {
		b := brands[org.Slug]
		b.Organization = org.Name
		return b
	}
	w.Brand = o.Brand
	signIn, err := sso.New(o)
	if err != nil {
		return nil, nil, nil, err
	}
	pages, err := web.New(w)
	if err != nil {
		return nil, nil, nil, err
	}
	guards := map[endpoint.Access]endpoint.Guard{endpoint.SignedIn: signIn.Guard, endpoint.Confirmed: signIn.Confirm}
	return append(signIn.Routes(), pages.Routes()...), guards, signIn, nil
}

// socialProviders are those of sign_in.social, for signing in and for the account page.
func socialProviders(c *config.Config) (in []sso.SocialProvider, shown []web.Social) {
	for _, p := range c.SignIn.Social {
		x := sso.SocialProvider{
			Name: p.Name, Label: p.Label, GitHub: p.Type == "github", Site: string(p.URL), Issuer: string(p.Issuer),
			ClientID: p.ClientID, ClientSecret: idp.Secret(p.ClientSecret.Reveal()), TrustEmail: p.TrustEmail,
		}
		in, shown = append(in, x), append(shown, web.Social{Connection: x.Connection(), Name: p.Name, Label: p.Label})
	}
	return in, shown
}

// tenants lets the sign-in flow see the routing table of the proxy, which is made after it.
type tenants struct{ g *gateway }

func (t tenants) Organization(host string) (tenancy.OrgID, string, bool) {
	return t.g.proxy.Organization(host)
}

func (t tenants) Home(o tenancy.OrgID) string { return t.g.proxy.Home(o) }

func jar(c *config.Config) cookie.Jar { return cookie.Jar{Plain: c.PlainCookies()} }

func limits(c *config.Config) session.Limits {
	return session.Limits{Idle: c.Session.Idle, Absolute: c.Session.Absolute}
}

// proxySettings are what the configuration says of the data plane.
func proxySettings(c *config.Config) proxy.Settings {
	s := proxy.Settings{PublicURL: c.PublicURL.URL, Limits: limits(c), TrustedProxies: c.TrustedProxies, CountryHeader: c.CountryHeader, ForwardAuth: c.ForwardAuth, PerOrganization: tenancy.Quota(c.Limits.PerOrganization), Offered: c.Offered(), Jar: jar(c)}
	for _, a := range c.Apps {
		s.Apps = append(s.Apps, proxy.App{
			Name: a.Name, Host: a.Host.String(), Upstream: a.Upstream.URL, Rules: a.Rules,
			Headers:        proxy.Headers{Preset: a.Headers.Preset, Names: a.Headers.Names()},
			AmbiguousPaths: a.AmbiguousPaths == "allow", Trailers: a.GRPC, Protocol: protocol(a.Protocol), TLS: upstreamTLS(a),
			MaxBody: int64(a.MaxBody), ShareAnswers: !a.CachePrivate,
			Timeouts: proxy.Timeouts{Connect: a.Timeouts.Connect, Answer: a.Timeouts.ResponseHeader, Idle: a.Timeouts.Idle},
		})
	}
	return s
}

func protocol(s string) proxy.Protocol {
	if s == "auto" {
		return proxy.Auto
	}
	return proxy.Protocol(s)
}

// upstreamTLS is how an https upstream is checked; config has read the file once already.
func upstreamTLS(a *config.App) *tls.Config {
	if a.UpstreamTLS == nil {
		return nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.UpstreamTLS.ServerName}
	roots, err := rootCAs(string(a.UpstreamTLS.CAFile), nil)
	if err != nil {
		roots = x509.NewCertPool() // the file went since: believe nobody rather than everybody
	}
	t.RootCAs = roots
	return t
}

// rootCAs returns the authorities in a PEM file, beside those of base, if that is not nil. Without
// a file it is nil: the system's.
func rootCAs(file string, base func() (*x509.CertPool, error)) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if base != nil {
		if pool, err = base(); err != nil {
			return nil, err
		}
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it (want PEM)", file)
	}
	return pool, nil
}

// publicServer is the listener that everybody reaches.
func (g *gateway) publicServer(tracing telemetry.Tracing) *http.Server {
	c := g.config()
	s := proxy.Server(tracing.Handler(g.proxy), proxy.ServerLimits{
		MaxHeader: int(c.Limits.MaxHeader), HeaderTimeout: c.Limits.HeaderTimeout, IdleTimeout: c.Limits.IdleTimeout,
		// What ends TLS in front passes gRPC on as HTTP/2 without it.
		H2C: c.TLS == nil && slices.ContainsFunc(c.Apps, func(a *config.App) bool { return a.GRPC }),
	}, g.log)
	if c.TLS != nil {
		s.TLSConfig = g.tlsConfig(c.TLS)
	}
	return s
}

// observer counts what the proxy tells.
type observer struct{ metrics *telemetry.Metrics }

// Observe implements [proxy.Observer].
func (o observer) Observe(b proxy.Observation) {
	o.metrics.Request(b.Route, b.Verdict, b.Reason, b.Status, b.Took, b.Stream)
}
