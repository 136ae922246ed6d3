// Package oidc signs people in at OpenID providers, with plain values in and out: a
// [Connection] and a [StartRequest] become a URL to send the browser to and a [Flow] to keep
// for it; the flow and what the browser came back with become an [Assertion] or an [Error].
//
// It owns the protocol, what is believed of a provider's answers, and a cache of what
// providers publish about themselves. It knows nothing of sessions, cookies, users or stores:
// the caller seals the flow in the browser's cookie, keeps replayed logout tokens out, and
// decides what an assertion is worth.
//
// The invariants: nothing is read from a token but the bytes whose signature was verified,
// by a key of this very connection's provider, under an algorithm that we chose; what is
// missing is invalid; and a provider that is down, slow or hostile costs a bounded amount
// and stops nobody's sign-ins but its own.
package oidc

import (
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
)

// A Connection is the relying party's side of one provider.
type Connection struct {
	// ID keeps connections apart: what one learnt of a provider is never used for
	// another, not even for one with the same issuer.
	ID string
	// Issuer is compared byte for byte, down to a slash at its end.
	Issuer       string
	ClientID     string
	ClientSecret Secret
	// Scopes are asked for beside openid; nil: email and profile.
	Scopes []string
	// GroupsClaim is the claim that lists the person's groups; empty: none is read.
	GroupsClaim string
}

// A Secret does not print itself.
type Secret = idp.Secret

// scopes are what is asked for, with what is asked for besides.
func (c Connection) scopes(besides ...string) []string {
	more := c.Scopes
	if more == nil {
		more = []string{"email", "profile"}
	}
	scopes := []string{"openid"}
	for _, s := range slices.Concat(more, besides) {
		if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) && !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes
}

// Limits of what a provider may send, beside those of package egress.
const (
	maxDocument   = 256 << 10 // discovery, userinfo
	maxKeySet     = 1 << 20
	maxToken      = 32 << 10
	maxSubject    = 255 // OpenID Connect Core 2
	maxGroups     = 1000
	maxGroup      = 512
	maxAttributes = 64
	maxAttribute  = 1024     // bytes of one string
	maxList       = 100      // strings of one attribute
	maxTogether   = 16 << 10 // bytes of all attributes, with their names
	maxKeys       = 100
)

// Limits of time.
const (
	// FlowLife is how long a person may take at the provider.
	FlowLife = idp.FlowLife

	skew         = idp.Skew
	maxTokenLife = 24 * time.Hour
	logoutLife   = 10 * time.Minute // age of a logout token
	fetchLimit   = 5 * time.Second  // one discovery or key fetch
)

// Options of [New].
type Options struct {
	// Egress makes all calls.
	Egress *egress.Client
	// Now is the clock that the cache ages by; nil: time.Now.
	Now func() time.Time
	// MaxProviders is how many providers are remembered; 0: 2048. One that was
	// forgotten is asked again.
	MaxProviders int
}

// Providers signs people in at any number of providers, and remembers what each
// publishes about itself. It is safe for concurrent use.
type Providers struct {
	egress *egress.Client
	now    func() time.Time
	known  *lru.Cache[providerKey, *provider]
}

// providerKey has the connection's id in it, so that two connections never share keys: an
// organization that names another's issuer gains nothing by it.
type providerKey struct{ connection, issuer string }

// New returns an empty registry.
func New(o Options) *Providers {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxProviders <= 0 {
		o.MaxProviders = 2048
	}
	known, err := lru.New[providerKey, *provider](o.MaxProviders)
	if err != nil {
		panic(err) // only for a size below one
	}
	return &Providers{egress: o.Egress, now: o.Now, known: known}
}

// provider returns what is known of the connection's provider. It does no I/O.
func (ps *Providers) provider(c Connection) (*provider, error) {
	if c.ID == "" || c.ClientID == "" || len(c.ClientID) > maxAttribute {
		return nil, fail(CodeConnection, nil, "no connection id or client id")
	}
	if err := ps.egress.CheckURL(c.Issuer); err != nil || strings.ContainsAny(c.Issuer, "?#") {
		return nil, fail(CodeConnection, err, "issuer "+c.Issuer)
	}
	key := providerKey{c.ID, c.Issuer}
	if p, ok := ps.known.Get(key); ok {
		return p, nil
	}
	p := newProvider(c.Issuer, ps.egress, ps.now)
	if old, ok, _ := ps.known.PeekOrAdd(key, p); ok {
		return old, nil
	}
	return p, nil
}
