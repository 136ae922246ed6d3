// Package ssotest has identity providers to try orgate with: two of its own, in process, for
// tests and for `orgate demo`, one of OpenID Connect and one of SAML, and real ones from npm
// for tests; and a browser that drives their forms.
//
// It owns no part of the product: `orgate serve` does not reach it. Its providers have no
// passwords, so whoever reaches them may be anybody they know; and a test can have them lie
// in every way that a hostile provider could ([Faults], [SAMLFaults], [SAMLAttacks]).
package ssotest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Person is somebody that a provider knows.
type Person struct {
	Subject string
	Email   string
	// EmailVerified is the claim of that name; nil: it is left out.
	EmailVerified *bool
	Name          string
	// Groups is the claim of that name; nil: it is left out.
	Groups []string
	// Claims are more claims.
	Claims map[string]any
	// Note is shown beside the name: "member of Admins".
	Note string
}

// A Client is an application that a provider knows.
type Client struct {
	ID, Secret string
	// Name is shown to people; empty: ID.
	Name                 string
	RedirectURIs         []string
	PostLogoutURIs       []string
	BackchannelLogoutURI string
	// Algorithm that its tokens are signed with, ES256 or RS256; empty: ES256.
	Algorithm string
}

// Options of [New].
type Options struct {
	// Issuer is the URL that the provider is reached by. Its path is where it must be
	// mounted: several providers can share a host.
	Issuer string
	// Name is the heading of its pages: "Acme's identity provider (demo)".
	Name    string
	Clients []Client
	People  []Person
	// Remember lets a person who is signed in go through without a click.
	Remember bool
	// Lean leaves e-mail and groups out of ID tokens: they are in userinfo alone.
	Lean bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log gets what happens; nil: nothing does.
	Log *slog.Logger
}

// A Provider is an OpenID provider. It is safe for concurrent use.
type Provider struct {
	options Options
	prefix  string // path of the issuer
	mux     *http.ServeMux
	keys    keyChain
	out     *http.Client // back-channel logout

	mu       sync.Mutex
	clients  []Client
	requests map[string]*request // waiting for a person to be chosen
	codes    map[string]*grant
	access   map[string]*grant
	sessions map[string]*session // by cookie
	faults   Faults
	hits     map[string]int
}

// A session is a person who is signed in at the provider.
type session struct {
	person  string // subject
	sid     string
	at      time.Time
	clients map[string]bool // who got tokens in it
	hints   map[string]bool // those ID tokens
}

// A request is an authorization request that is good but for the person.
type request struct {
	client                                 Client
	redirectURI, state, nonce, scope, pkce string
	loginHint                              string
	expires                                time.Time
}

// A grant is what a code or an access token stands for.
type grant struct {
	request
	session *session
	person  Person
}

const (
	codeLife    = time.Minute
	requestLife = 30 * time.Minute
	tokenLife   = 10 * time.Minute
	maxWaiting  = 10_000 // of each kind
	maxHints    = 100    // ID tokens of one session
)

// New returns a provider. It is an [http.Handler] for the path of its issuer.
func New(o Options) (*Provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || strings.HasSuffix(u.Path, "/") {
		return nil, errors.New("ssotest: issuer must be a URL that does not end in a slash")
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
	p := &Provider{
		options: o, prefix: u.Path, mux: http.NewServeMux(), clients: slices.Clone(o.Clients),
		out:      &http.Client{Transport: &http.Transport{DialContext: DialLocalhost, DisableKeepAlives: true}, Timeout: 5 * time.Second},
		requests: map[string]*request{}, codes: map[string]*grant{}, access: map[string]*grant{}, sessions: map[string]*session{},
		hits: map[string]int{},
	}
	p.endpoint("discovery", "GET", "/.well-known/openid-configuration", p.discovery)
	p.endpoint("jwks", "GET", "/jwks", p.jwks)
	p.endpoint("authorize", "GET", "/authorize", p.authorize)
	p.endpoint("choose", "POST", "/authorize", p.choose)
	p.endpoint("token", "POST", "/token", p.token)
	p.endpoint("userinfo", "GET", "/userinfo", p.userinfo)
	p.endpoint("logout", "GET", "/logout", p.logout)
	p.endpoint("sign-out", "POST", "/logout", p.signOut)
	p.endpoint("style", "GET", "/style.css", style)
	p.endpoint("home", "GET", "/{$}", p.home)
	return p, nil
}

// endpoint mounts a handler, counting its calls, and letting a fault take its place.
func (p *Provider) endpoint(name, method, path string, h http.HandlerFunc) {
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
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	// There is no form-action: Chromium applies it to every redirect that follows a form,
	// and where the application sends the browser on is not for this page to know.
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	http.NewCrossOriginProtection().Handler(p.mux).ServeHTTP(w, r)
}

// Issuer returns the provider's issuer.
func (p *Provider) Issuer() string { return p.options.Issuer }

// AddClient makes an application known: for tests that learn their redirect URI late.
func (p *Provider) AddClient(c Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clients = append(p.clients, c)
}

// Hits returns how often an endpoint was called: discovery, jwks, authorize, choose, token,
// userinfo, logout.
func (p *Provider) Hits(endpoint string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hits[endpoint]
}

func (p *Provider) client(id string) (Client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.clients, func(c Client) bool { return c.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return p.clients[i], true
}

func (p *Provider) person(subject string) (Person, bool) {
	i := slices.IndexFunc(p.options.People, func(x Person) bool { return x.Subject == subject })
	if i < 0 {
		return Person{}, false
	}
	return p.options.People[i], true
}

// discovery serves the discovery document.
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	iss := p.options.Issuer
	doc := map[string]any{
		"issuer":                                         iss,
		"authorization_endpoint":                         iss + "/authorize",
		"token_endpoint":                                 iss + "/token",
		"userinfo_endpoint":                              iss + "/userinfo",
		"jwks_uri":                                       iss + "/jwks",
		"end_session_endpoint":                           iss + "/logout",
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256", "RS256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []string{"S256"},
		"scopes_supported":                               []string{"openid", "email", "profile", "groups"},
		"claims_supported":                               []string{"sub", "email", "email_verified", "name", "groups", "auth_time", "sid"},
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"authorization_response_iss_parameter_supported": true,
	}
	p.edit(func(f Faults) func(map[string]any) { return f.Discovery }, doc)
	writeJSON(w, http.StatusOK, doc)
}

// keep puts a value into one of the provider's maps, bounded.
func keep[T any](m map[string]T, key string, value T, gone func(T) bool) bool {
	if len(m) >= maxWaiting {
		for k, v := range m {
			if gone(v) {
				delete(m, k)
			}
		}
	}
	if len(m) >= maxWaiting {
		return false
	}
	m[key] = value
	return true
}

func random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// post sends a form, for back-channel logout.
func (p *Provider) post(ctx context.Context, to string, form url.Values) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := p.out.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode >= 300 {
		return errors.New("ssotest: " + to + " answered a logout token with " + resp.Status)
	}
	return nil
}
