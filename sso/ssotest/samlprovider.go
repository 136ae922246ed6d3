package ssotest

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A SAMLServiceProvider is an application that a SAML provider knows.
type SAMLServiceProvider struct {
	EntityID string
	// Name is shown to people; empty: EntityID.
	Name string
	// ACS and SLO are where its answers and logouts go; SLO may be empty.
	ACS, SLO string
	// Certificate in DER is what its signatures are verified with and what is encrypted to;
	// nil: neither.
	Certificate []byte
	// WantSigned refuses requests that are not signed, even if there is no certificate.
	WantSigned bool
	// Signed is what is signed of its responses; zero: the assertion.
	Signed SAMLSigned
	// Encrypt is how its assertions are encrypted; zero: not at all.
	Encrypt SAMLEncryption
}

// SAMLOptions are the options of [NewSAML].
type SAMLOptions struct {
	// EntityID is the URL that the provider is reached by, and its name. Its path is where it
	// must be mounted: several providers can share a host.
	EntityID string
	// Name is the heading of its pages.
	Name             string
	ServiceProviders []SAMLServiceProvider
	People           []Person
	// Remember lets a person who is signed in go through without a click.
	Remember bool
	// NameIDFormat is that of the names it gives where a request asks for none; empty:
	// [NameIDPersistent].
	NameIDFormat string
	// Attributes are the names of its attributes; empty ones are email, name and groups.
	Attributes SAMLAttributes
	// WantSigned has the metadata ask for signed requests, and refuses others.
	WantSigned bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log gets what happens; nil: nothing does.
	Log *slog.Logger
}

// SAMLAttributes name the attributes of people. A person's claims are attributes by their own
// names.
type SAMLAttributes struct{ Email, Name, Groups string }

// A SAMLProvider is a SAML 2.0 identity provider. It is safe for concurrent use.
type SAMLProvider struct {
	options SAMLOptions
	prefix  string // path of the entity id
	mux     *http.ServeMux

	mu       sync.Mutex
	sps      []SAMLServiceProvider
	keys     []SAMLKey // the first signs, all are in the metadata
	foreign  *SAMLKey  // never published
	requests map[string]*samlRequest
	sessions map[string]*samlSession // by cookie
	faults   SAMLFaults
	hits     map[string]int
}

// A samlSession is a person who is signed in at the provider.
type samlSession struct {
	person string // subject
	index  string
	at     time.Time
	names  map[string]samlName // what a service provider knows the person as, by entity id
}

type samlName struct{ format, value string }

// A samlRequest waits for a person to be chosen.
type samlRequest struct {
	sp      SAMLServiceProvider
	ask     SAMLAsk
	relay   string
	hint    string
	force   bool
	passive bool
	expires time.Time
}

// NewSAML returns a provider. It is an [http.Handler] for the path of its entity id.
func NewSAML(o SAMLOptions) (*SAMLProvider, error) {
	u, err := url.Parse(o.EntityID)
	if err != nil || u.Host == "" || strings.HasSuffix(u.Path, "/") {
		return nil, errors.New("ssotest: entity id must be a URL that does not end in a slash")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "Identity provider (demo)"
	}
	if o.NameIDFormat == "" {
		o.NameIDFormat = NameIDPersistent
	}
	for name, v := range map[string]*string{"email": &o.Attributes.Email, "name": &o.Attributes.Name, "groups": &o.Attributes.Groups} {
		if *v == "" {
			*v = name
		}
	}
	p := &SAMLProvider{
		options: o, prefix: u.Path, mux: http.NewServeMux(), sps: slices.Clone(o.ServiceProviders),
		requests: map[string]*samlRequest{}, sessions: map[string]*samlSession{}, hits: map[string]int{},
	}
	key, err := NewSAMLKey(2048)
	if err != nil {
		return nil, err
	}
	p.keys = []SAMLKey{key}
	p.endpoint("metadata", "GET", "/metadata", p.serveMetadata)
	p.endpoint("sso", "GET", "/sso", p.sso)
	p.endpoint("sso", "POST", "/sso", p.sso)
	p.endpoint("people", "GET", "/people", p.proceed)
	p.endpoint("choose", "POST", "/people", p.choose)
	p.endpoint("start", "GET", "/start", p.start)
	p.endpoint("slo", "GET", "/slo", p.slo)
	p.endpoint("slo", "POST", "/slo", p.slo)
	p.endpoint("style", "GET", "/style.css", style)
	p.endpoint("script", "GET", "/submit.js", submitScript)
	p.endpoint("home", "GET", "/{$}", p.home)
	return p, nil
}

// StartSAML serves a provider on a free port of loopback until the test ends. If the options
// have no entity id, it is http://127.0.0.1:port.
func StartSAML(t TB, o SAMLOptions) *SAMLProvider {
	t.Helper()
	ln, at := listen(t)
	if o.EntityID == "" {
		o.EntityID = at
	}
	p, err := NewSAML(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	serve(t, ln, p)
	return p
}

// endpoint mounts a handler, counting its calls, and letting a fault take its place.
func (p *SAMLProvider) endpoint(name, method, path string, h http.HandlerFunc) {
	p.mux.HandleFunc(method+" "+p.prefix+path, func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.hits[name]++
		instead := p.faults.Endpoints[name]
		p.mu.Unlock()
		if instead != nil {
			instead.ServeHTTP(w, r)
			return
		}
		h(w, r)
	})
}

// ServeHTTP implements [http.Handler].
func (p *SAMLProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 256<<10)
	guard := http.NewCrossOriginProtection()
	// The POST binding is a form of another site.
	guard.AddInsecureBypassPattern("POST " + p.prefix + "/sso")
	guard.AddInsecureBypassPattern("POST " + p.prefix + "/slo")
	guard.Handler(p.mux).ServeHTTP(w, r)
}

// EntityID returns the provider's entity id.
func (p *SAMLProvider) EntityID() string { return p.options.EntityID }

// Trust makes an application known, or known anew: for tests that learn its addresses late.
func (p *SAMLProvider) Trust(sp SAMLServiceProvider) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sps = slices.DeleteFunc(p.sps, func(x SAMLServiceProvider) bool { return x.EntityID == sp.EntityID })
	p.sps = append(p.sps, sp)
}

// Hits returns how often an endpoint was called: metadata, sso, people, choose, start, slo.
func (p *SAMLProvider) Hits(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[endpoint]
}

func (p *SAMLProvider) serviceProvider(entityID string) (SAMLServiceProvider, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.sps, func(x SAMLServiceProvider) bool { return x.EntityID == entityID })
	if i < 0 {
		return SAMLServiceProvider{}, false
	}
	return p.sps[i], true
}

func (p *SAMLProvider) person(subject string) (Person, bool) {
	i := slices.IndexFunc(p.options.People, func(x Person) bool { return x.Subject == subject })
	if i < 0 {
		return Person{}, false
	}
	return p.options.People[i], true
}
