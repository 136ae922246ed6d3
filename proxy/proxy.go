package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Settings are what the configuration says of the data plane. [Proxy.Reload] takes new
// ones.
type Settings struct {
	// PublicURL is the login host. Tenant hosts have its scheme and port.
	PublicURL *url.URL
	// Apps; the first is the one that custom hosts belong to.
	Apps   []App
	Limits session.Limits
	// TrustedProxies are the peers whose X-Forwarded-For is believed. Empty: nobody's.
	TrustedProxies []netip.Prefix
	// CountryHeader is the header in which they say the country of a client, for
	// conditions; empty: none. From anybody else it is removed.
	CountryHeader string
	// ForwardAuth lets them ask whether they may forward a request, and be told who sent it.
	// They must not hand such questions on for others.
	ForwardAuth bool
	// PerOrganization is what an organization may take that says nothing of its own.
	PerOrganization tenancy.Quota
	// Offered are the methods that sign-in can ask for now.
	Offered policy.Methods
	Jar     cookie.Jar
	// SlowPath has net/http serve every request; see [Listener].
	SlowPath bool
}

// Options are what a Proxy is made of. All are required but those that say otherwise.
type Options struct {
	Settings
	Store *store.Store
	// Box opens and seals the private keys that sign assertions.
	Box      *seal.Box
	Logger   *slog.Logger
	Renderer endpoint.Renderer
	// LoginHost serves the login host.
	LoginHost http.Handler
	// Observer hears of every request; nil: nobody does.
	Observer Observer
	// Denials takes down who was refused; nil: nobody does.
	Denials *denial.Book
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Grants is how many grants are kept ready; 0: 50,000.
	Grants int
	// Staleness is how long grants are believed without word from the store; 0: 10 s.
	Staleness time.Duration
}

// A Proxy is the data plane, as a handler for the public listener. Besides serving, it
// must [Proxy.Run].
type Proxy struct {
	store     *store.Store
	log       *slog.Logger
	renderer  endpoint.Renderer
	loginHost http.Handler
	observer  Observer
	now       func() time.Time
	staleness time.Duration

	// state is all that a request is routed by, in one piece; see [Proxy.publish].
	state atomic.Pointer[state]
	// writing orders changes of state.
	writing sync.Mutex

	// meters has a *meter for each [tenancy.OrgID].
	meters   sync.Map
	hashers  sync.Pool // of *[session.Hasher]
	dated    dates
	grants   *cache
	docket   *docket
	keys     *keyring
	signed   sheets // assertions
	touches  *toucher
	denials  *denial.Book
	follower *store.Follower
	heard    *heard
	routes   http.Handler
}

// A state is one immutable view of configuration and organizations.
type state struct {
	*gate
	*directory
}

// New returns a proxy over what the store holds now. It reads the organizations, and
// makes the first signing key if there is none.
func New(ctx context.Context, o Options) (*Proxy, error) {
	switch {
	case o.Store == nil || o.Box == nil || o.Logger == nil || o.Renderer == nil || o.LoginHost == nil:
		return nil, errors.New("proxy: store, box, logger, renderer and login host are required")
	case o.Grants < 0 || o.Staleness < 0:
		return nil, errors.New("proxy: negative limit")
	}
	p := &Proxy{
		store: o.Store, log: o.Logger, renderer: o.Renderer, loginHost: o.LoginHost,
		observer: o.Observer, now: o.Now, staleness: cmp.Or(o.Staleness, 10*time.Second),
		heard: newHeard(), hashers: sync.Pool{New: func() any { return session.NewHasher() }},
	}
	if p.now == nil {
		p.now = time.Now
	}
	g, err := o.compile(nil)
	if err != nil {
		return nil, err
	}
	p.grants = newCache(cmp.Or(o.Grants, 50_000))
	p.docket = &docket{judge: p.rejudge}
	p.keys = &keyring{store: o.Store, box: o.Box, now: p.now, log: p.log, wake: make(chan struct{}, 1)}
	p.touches = newToucher()
	p.denials = o.Denials
	if p.routes, err = p.tenantRoutes(); err != nil {
		return nil, err
	}

	// Changes are listened to before the first reading: one that comes in between
	// is seen twice, and none is missed.
	head, err := o.Store.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p.follower = o.Store.NewFollower(head, p.changed)
	p.follower.StartOver = p.startOver
	p.writing.Lock()
	defer p.writing.Unlock()
	o.Store.OnCommit(p.committed)
	d, err := p.loadDirectory(ctx)
	if err != nil {
		return nil, fmt.Errorf("proxy: organizations: %w", err)
	}
	p.state.Store(&state{g, d})
	if err := p.keys.rotate(ctx); err != nil {
		return nil, fmt.Errorf("proxy: signing keys: %w", err)
	}
	return p, nil
}

// Reload puts new settings in force for the requests that come from now on. With an
// error the old ones stay. Connections to apps whose settings did not change are kept.
func (p *Proxy) Reload(s Settings) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	old := p.state.Load()
	g, err := s.compile(old.gate)
	if err != nil {
		return err
	}
	p.state.Store(&state{g, old.directory})
	p.reevaluate(p.grants.invalidate(scope{kind: everything}))
	old.retire(g)
	return nil
}

// Run keeps the proxy current until ctx is done: it follows the changes that other
// replicas make, records which sessions are used, rotates the signing keys, ends
// what is open when the store has not been heard of for too long, and lets go of what rests.
func (p *Proxy) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { p.follower.Run(ctx) }) //nolint:errcheck // it ends with ctx and no sooner
	wg.Go(func() { p.touches.run(ctx, p) })
	wg.Go(func() { p.keys.run(ctx) })
	wg.Go(func() { p.watch(ctx) })
	wg.Go(func() { p.thin(ctx) })
	wg.Wait()
	return context.Cause(ctx)
}

// startOver forgets all that was made of a store which has gone back since: grants of
// sessions and memberships that are there no more, organizations as they are no more. Until
// it is done, each request asks the store for itself.
func (p *Proxy) startOver(ctx context.Context) error {
	p.reevaluate(p.grants.invalidate(scope{kind: everything}))
	p.keys.changed()
	p.writing.Lock()
	defer p.writing.Unlock()
	d, err := p.loadDirectory(ctx)
	if err != nil {
		return fmt.Errorf("organizations: %w", err)
	}
	p.state.Store(&state{p.state.Load().gate, d})
	// And once more what came meanwhile, by the old directory.
	p.reevaluate(p.grants.invalidate(scope{kind: everything}))
	return nil
}

// watch ends what is open once the store has been silent for too long: nobody would
// tell us of its revocation. Requests that come then ask the store for themselves.
func (p *Proxy) watch(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	wasTrusted := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		trusted := p.trusted(p.now())
		if !trusted && wasTrusted && !p.follower.Synced().IsZero() {
			p.log.WarnContext(ctx, "store is silent: sessions are no longer believed without asking it", "since", p.follower.Synced())
			p.reevaluate(p.grants.invalidate(scope{kind: everything}))
		}
		wasTrusted = trusted
	}
}

// thin has the grants let go of what rests, now and then: most sessions rest for hours between a few minutes of use.
func (p *Proxy) thin(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.grants.thin(p.now())
		}
	}
}

// LetGo lets go of what is kept ready and soon made again: assertions, of which each is a signature. It is for a process that has little to do.
func (p *Proxy) LetGo() { p.grants.thin(p.now().Add(assertionLife)) }

// trusted reports whether everything that was committed anywhere until a moment ago is
// known here, so that a cached grant may be believed.
func (p *Proxy) trusted(now time.Time) bool {
	return now.Sub(p.follower.Synced()) < p.staleness
}
