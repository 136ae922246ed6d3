package proxy

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httputil"
	"net/netip"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// A Protocol is what is spoken with an upstream.
type Protocol string

// The protocols.
const (
	// Auto is HTTP/1.1 over plain TCP, and what TLS negotiates over TLS.
	Auto  Protocol = ""
	HTTP1 Protocol = "http1"
	// H2C is HTTP/2 without TLS, by prior knowledge, as gRPC servers speak it.
	H2C Protocol = "h2c"
)

// An App is one web app behind the proxy.
type App struct {
	Name string
	// Host is a pattern of which exactly one label is "{org}", such as
	// "{org}.example.com".
	Host     string
	Upstream *url.URL // http or https, a host, and nothing else
	Headers  Headers
	Rules    policy.Rules
	// AmbiguousPaths lets paths through that different servers read in different
	// ways (an encoded slash, a semicolon). They are judged by all their readings.
	AmbiguousPaths bool
	// Trailers lets request trailers through, which the gRPC protocol and few others
	// need. Those of answers always come through.
	Trailers bool
	Protocol Protocol
	// TLS is for https upstreams: roots, client certificate, server name. nil: the
	// system's roots.
	TLS *tls.Config
	// MaxBody is the largest request body in bytes; 0: no limit, as bodies stream.
	MaxBody int64
	// ShareAnswers leaves answers to signed-in people as they are; otherwise those
	// that say nothing of caching get Cache-Control: private.
	ShareAnswers bool
	Timeouts     Timeouts
}

// Timeouts are those of one app.
type Timeouts struct {
	Connect time.Duration // to the upstream, with TLS; 0: 5 s
	Answer  time.Duration // from the last byte of the request to the first of the answer; 0: any time
	Idle    time.Duration // how long an unused connection is kept; 0: 90 s
}

// A gate is the compiled form of [Settings]. It is immutable.
type gate struct {
	// generation tells gates apart: what is cached under one is not used under another.
	generation uint64
	public     *url.URL
	login      tenancy.Host
	port       string // of the public URL, unless it is the scheme's
	issuer     string // of assertions: the public URL
	apps       []*app
	limits     session.Limits
	trusted    []netip.Prefix
	// countryHeader is what trusted ones say the country in; empty: nobody says.
	countryHeader string
	// forwardAuth: trusted ones may ask.
	forwardAuth bool
	// perOrganization is what an organization may take that has no quota of its own.
	perOrganization tenancy.Quota
	offered         policy.Methods
	jar             cookie.Jar
	managed         *managedNames
	fast            bool // plain requests are served by a [Listener] itself
}

// An app is the compiled form of [App].
type app struct {
	App
	prefix, suffix string // of the host, around the slug
	upstream       *url.URL
	names          []headerName
	managed        *managedNames
	// methodRules: a rule is about methods, so headers that change the method go.
	methodRules bool
	transport   *transport
	proxy       *httputil.ReverseProxy
}

// Check reports what is wrong with s, if anything: [Proxy.Reload] would say the same.
func (s Settings) Check() error {
	_, err := s.compile(nil)
	return err
}

// compile checks s and makes it ready. Transports of old are taken over where their
// settings are the same. It reports every fault at once.
func (s Settings) compile(old *gate) (*gate, error) {
	g := &gate{public: s.PublicURL, limits: s.Limits, trusted: slices.Clone(s.TrustedProxies), forwardAuth: s.ForwardAuth, perOrganization: s.PerOrganization, offered: s.Offered, jar: s.Jar, fast: !s.SlowPath}
	if old != nil {
		g.generation = old.generation + 1
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	switch u := s.PublicURL; {
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("public_url: want an http or https URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		fault("public_url: want no path, query or user")
	default:
		var err error
		if g.login, g.port, err = tenancy.ParseHost(u.Host); err != nil {
			fault("public_url: %w", err)
		}
		if g.port == defaultPort(u.Scheme) {
			g.port = ""
		}
		g.issuer = g.url(g.authority(g.login), "", nil)
	}
	if s.Limits.Idle <= 0 || s.Limits.Absolute <= 0 {
		fault("session: want idle and absolute limits above 0")
	}
	if len(s.Apps) == 0 {
		fault("apps: want at least one")
	}
	var own []string
	for i := range s.Apps {
		a, err := s.Apps[i].compile()
		if err != nil {
			fault("app %q: %w", s.Apps[i].Name, err)
			continue
		}
		for _, b := range g.apps {
			if a.Name == b.Name {
				fault("app %q: there are two of that name", a.Name)
			}
			if a.prefix == b.prefix && a.suffix == b.suffix {
				fault("app %q: its host is that of app %q", a.Name, b.Name)
			}
		}
		g.apps = append(g.apps, a)
		for _, n := range a.names {
			own = append(own, n.name)
		}
	}
	if s.CountryHeader != "" {
		g.countryHeader = textproto.CanonicalMIMEHeaderKey(s.CountryHeader)
		if !httpguts.ValidHeaderFieldName(s.CountryHeader) || newManagedNames(own).has(s.CountryHeader) || spokenFor(g.countryHeader) {
			fault("country_header: %q has a meaning of its own: want a name such as CF-IPCountry", s.CountryHeader)
		}
		own = append(own, s.CountryHeader)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	g.managed = newManagedNames(own)
	for _, a := range g.apps {
		a.managed = g.managed
		a.connect(old)
	}
	return g, nil
}

func (in App) compile() (*app, error) {
	a := &app{App: in, upstream: in.Upstream}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if in.Name == "" {
		fault("want a name")
	}
	prefix, suffix, ok := strings.Cut(in.Host, "{org}")
	switch {
	case !ok || strings.Contains(suffix, "{"):
		fault(`host %q: want "{org}" in it once, such as "{org}.example.com"`, in.Host)
	case prefix != "" && !strings.HasSuffix(prefix, ".") || !strings.HasPrefix(suffix, ".") || len(suffix) < 2:
		fault(`host %q: "{org}" must be a whole label with a domain after it`, in.Host)
	default:
		if h, port, err := tenancy.ParseHost(prefix + "org" + suffix); err != nil || port != "" {
			fault("host %q: want a host name without a port", in.Host)
		} else if string(h) != prefix+"org"+suffix {
			fault("host %q: want it in lower case, as %q", in.Host, strings.Replace(string(h), "org", "{org}", 1))
		}
	}
	a.prefix, a.suffix = prefix, suffix
	if err := checkUpstream(in.Upstream); err != nil {
		faults = append(faults, err)
	}
	if in.Protocol != Auto && in.Protocol != HTTP1 && in.Protocol != H2C {
		fault("unknown protocol %q: want http1 or h2c", in.Protocol)
	}
	if in.Protocol == H2C && in.Upstream != nil && in.Upstream.Scheme != "http" {
		fault("protocol h2c is for http upstreams: over https, HTTP/2 is negotiated")
	}
	if in.MaxBody < 0 || in.Timeouts.Connect < 0 || in.Timeouts.Answer < 0 || in.Timeouts.Idle < 0 {
		fault("negative limit")
	}
	var err error
	if a.names, err = in.Headers.compile(); err != nil {
		faults = append(faults, err)
	}
	a.methodRules = slices.ContainsFunc(in.Rules, func(r policy.Rule) bool { return r.AboutMethods() })
	a.Timeouts.Connect = cmp.Or(a.Timeouts.Connect, 5*time.Second)
	a.Timeouts.Idle = cmp.Or(a.Timeouts.Idle, 90*time.Second)
	return a, errors.Join(faults...)
}

// checkUpstream says what is wrong with the URL of an upstream. A path is refused: the
// path that was judged would not be the one that is forwarded.
func checkUpstream(u *url.URL) error {
	switch {
	case u == nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("upstream: want an http or https URL with a host, such as http://127.0.0.1:3000")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return fmt.Errorf("upstream %s: want no path, query or user: requests keep their own path", u.Redacted())
	}
	return nil
}

// retire closes idle connections of apps that next does not use any more.
func (g *gate) retire(next *gate) {
	for _, a := range g.apps {
		if !slices.ContainsFunc(next.apps, func(b *app) bool { return b.transport == a.transport }) {
			a.transport.close()
		}
	}
}

// app returns the app that the host belongs to by its pattern, and the label that
// stands for the organization.
func (g *gate) app(h tenancy.Host) (a *app, label string) {
	for _, a := range g.apps {
		rest, ok := strings.CutPrefix(string(h), a.prefix)
		if !ok {
			continue
		}
		if label, ok = strings.CutSuffix(rest, a.suffix); ok && label != "" && !strings.Contains(label, ".") {
			return a, label
		}
	}
	return nil, ""
}

// authority returns the host as it is in a URL, with the port if the public URL has one.
func (g *gate) authority(h tenancy.Host) string {
	if g.port == "" {
		return string(h)
	}
	return net.JoinHostPort(string(h), g.port)
}

// authorityOf is authority, for which nothing is made where it is what a request has said.
func (g *gate) authorityOf(h tenancy.Host, said string) string {
	if rest, ok := strings.CutPrefix(said, string(h)); ok && g.port != "" && strings.HasPrefix(rest, ":") && rest[1:] == g.port {
		return said
	}
	return g.authority(h)
}

// rightPort reports whether a request that names the port means us. Behind a balancer
// the port that people see is not the one that we listen on, so it is the public one
// that counts.
func (g *gate) rightPort(port string) bool {
	return port == g.port || g.port == "" && port == defaultPort(g.public.Scheme) || port == "" && g.port == ""
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// loginURL returns the URL of a path on the login host.
func (g *gate) loginURL(path string, query url.Values) string {
	u := url.URL{Scheme: g.public.Scheme, Host: g.authority(g.login), Path: path, RawQuery: query.Encode()}
	return u.String()
}

// url returns the URL of a path on a tenant host.
func (g *gate) url(authority, path string, query url.Values) string {
	u := url.URL{Scheme: g.public.Scheme, Host: authority, Path: path, RawQuery: query.Encode()}
	return u.String()
}

// trusts reports whether addr is one of the trusted proxies.
func (g *gate) trusts(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(g.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// country returns the country that a trusted proxy says the client is in. What is not there
// once, and not two letters, is unknown, as are XX and ZZ, by which proxies say so.
func (g *gate) country(said []string, trustedPeer bool) string {
	if g.countryHeader == "" || !trustedPeer {
		return ""
	}
	if len(said) != 1 {
		return ""
	}
	c, _ := policy.Country(said[0])
	return c
}

// maxProxies is how many addresses of X-Forwarded-For are looked at.
const maxProxies = 32

// A peer is the other end of a connection. It is zero for a Unix socket or a test: nobody.
type peer struct {
	addr netip.Addr
	text string
}

func peerOf(remoteAddr string) peer {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return peer{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	return peer{addr, addr.String()}
}

// client returns the address of the client, and the list of addresses for
// X-Forwarded-For. Only what a trusted proxy says is believed, from the right: what
// stands left of the first address that is no proxy's was written by a stranger.
func (g *gate) client(peer peer, forwardedFor []string) (ip, chain string, trustedPeer bool) {
	ip = peer.text
	if ip == "" || len(g.trusted) == 0 || !g.trusts(peer.addr) {
		return ip, ip, false
	}
	var said []string
	for _, line := range forwardedFor {
		said = append(said, strings.Split(line, ",")...)
	}
	chain = ip
	// So many proxies are none of ours, whatever they are called.
	said = said[max(0, len(said)-maxProxies):]
	for _, s := range slices.Backward(said) {
		addr, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			break
		}
		addr = addr.Unmap().WithZone("")
		ip = addr.String()
		chain = ip + ", " + chain
		if !g.trusts(addr) {
			break
		}
	}
	return ip, chain, true
}
