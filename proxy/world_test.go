package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/tenancy"
)

// faulty is an engine that can be cut off, or be another one from one moment to the next.
type faulty struct {
	store.Engine
	down    atomic.Bool
	mute    atomic.Bool                  // the feed alone
	standby atomic.Pointer[store.Engine] // what is asked instead, once there is one
}

func (f *faulty) now() store.Engine {
	if e := f.standby.Load(); e != nil {
		return *e
	}
	return f.Engine
}

func (f *faulty) View(ctx context.Context, fn func(store.KV) error) error {
	if f.down.Load() {
		return store.ErrUnavailable
	}
	return f.now().View(ctx, fn)
}

func (f *faulty) Update(ctx context.Context, fn func(store.KV) error) error {
	if f.down.Load() {
		return store.ErrUnavailable
	}
	return f.now().Update(ctx, fn)
}

func (f *faulty) Feed(ctx context.Context, pos uint64, limit int) ([]store.Entry, error) {
	if f.down.Load() || f.mute.Load() {
		return nil, store.ErrUnavailable
	}
	return f.now().Feed(ctx, pos, limit)
}

func (f *faulty) Head(ctx context.Context) (uint64, error) {
	if f.down.Load() {
		return 0, store.ErrUnavailable
	}
	return f.now().Head(ctx)
}

// A logbook is a log that tests read.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// slowPath has the tests of this package run with net/http alone: both ways must pass them.
var slowPath = flag.Bool("slow-path", false, "serve every request by net/http")

// A world is a proxy with a store behind it, two organizations in it, and an app that
// says what it was sent.
type world struct {
	t        testing.TB
	engine   *faulty
	store    *store.Store
	proxy    *Proxy
	server   *httptest.Server
	front    string // where requests are sent: the server's URL, or that of a proxy before it
	upstream *httptest.Server
	log      *logbook
	skew     atomic.Int64 // of the clock
	acme     tenancy.Organization
	globex   tenancy.Organization
	strict   tenancy.OrgID // its domain policy asks for what is not offered
	options  Options
	// app is what the upstream does; nil: it echoes.
	app atomic.Pointer[http.HandlerFunc]
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.skew.Load())) }

func (w *world) pass(d time.Duration) { w.skew.Add(int64(d)) }

// An echo is what the app was sent.
type echo struct {
	Method, URI, Host, Body string
	Header, Trailer         http.Header
}

const (
	acmeHost   = "acme.example.com"
	globexHost = "globex.example.com"
	loginHost  = "login.example.com"
)

type change func(*Options)

// newWorld opens a world. The proxy runs until the test ends.
func newWorld(t testing.TB, changes ...change) *world {
	t.Helper()
	w := &world{t: t, log: &logbook{}}
	e, err := badger.Open(badger.Options{InMemory: true, Now: w.now})
	if err != nil {
		t.Fatal(err)
	}
	w.engine = &faulty{Engine: e}
	w.store = store.New(w.engine, store.Options{Now: w.now})
	t.Cleanup(func() { w.store.Close() })

	w.upstream = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if h := w.app.Load(); h != nil {
			(*h)(rw, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		rw.Header().Set("Content-Type", "application/json")
		json.NewEncoder(rw).Encode(echo{r.Method, r.RequestURI, r.Host, string(body), r.Header, r.Trailer})
	}))
	t.Cleanup(w.upstream.Close)
	up, _ := url.Parse(w.upstream.URL)

	w.update(func(tx store.Tx) error {
		w.acme, w.globex = tenancy.Organization{}, tenancy.Organization{}
		for _, r := range []tenancy.Role{{Slug: "member", Priority: 1}, {Slug: "admin", Priority: 0, Permissions: []string{"reports:delete", "reports:edit"}}} {
			if err := tenancy.SaveRole(tx, r, audit.System, w.now()); err != nil {
				return err
			}
		}
		var err error
		if w.acme, err = tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "acme", Name: "Acme Inc.", Hosts: []string{"portal.acme.com"}}, audit.System, w.now()); err != nil {
			return err
		}
		if w.globex, err = tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "globex", Name: "Globex"}, audit.System, w.now()); err != nil {
			return err
		}
		strict, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: "strict", Name: "Strict", DomainPolicy: &policy.Policy{Methods: policy.MethodsOf(policy.Password)}}, audit.System, w.now())
		w.strict = strict.ID
		return err
	})

	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	w.options = Options{
		Settings: Settings{
			SlowPath:  *slowPath,
			PublicURL: &url.URL{Scheme: "https", Host: loginHost},
			Apps:      []App{{Name: "app", Host: "{org}.example.com", Upstream: up, Rules: rules(t)}},
			Limits:    session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour},
			Offered:   policy.MethodsOf(policy.SSO, policy.EmailCode),
		},
		Store: w.store, Box: box, Renderer: page.Errors{},
		Logger: slog.New(slog.NewTextHandler(w.log, nil)), Now: w.now,
		LoginHost: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Login", r.URL.Path)
		}),
	}
	for _, c := range changes {
		c(&w.options)
	}
	w.options.Denials = denial.New(w.store, w.options.Logger, w.now)
	if w.proxy, err = New(t.Context(), w.options); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.proxy.Run(ctx) })
	running.Go(func() { w.options.Denials.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })

	w.server = httptest.NewUnstartedServer(nil)
	w.server.Config = Server(w.proxy, ServerLimits{H2C: true}, w.options.Logger)
	w.server.Listener = Listen(w.server.Listener, nil, w.proxy, w.server.Config)
	w.server.Start()
	t.Cleanup(w.server.Close)
	w.front = w.server.URL
	w.eventually("the feed is followed", func() bool { return w.proxy.trusted(w.now()) })
	return w
}

// replica copies the engine as it is now, feed and all: what a standby has got so far.
func (w *world) replica() store.Engine {
	w.t.Helper()
	var e store.Engine
	e, err := badger.Open(badger.Options{InMemory: true, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { e.Close() })
	w.copyTo(e)
	return e
}

// copyTo fills an empty engine with all that there is, feed and all.
func (w *world) copyTo(e store.Engine) {
	w.t.Helper()
	err := w.engine.View(w.t.Context(), func(from store.KV) error {
		return e.Update(w.t.Context(), func(to store.KV) error {
			for row, err := range from.Scan(nil, nil, false) {
				if err == nil {
					err = to.Set(row.Key, row.Value, row.Expires)
				}
				if err != nil {
					return err
				}
			}
			feed, err := from.Entries(0, 10_000)
			for _, en := range feed {
				err = errors.Join(err, to.Append(en.Data, en.Expires))
			}
			return err
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// rules of the app in tests.
func rules(t testing.TB) policy.Rules {
	var rs policy.Rules
	for _, spec := range []policy.RuleSpec{
		{Path: "/healthz", Access: "public"},
		{Path: "/public/**", Access: "public"},
		{Path: "/admin/**", Role: "admin"},
		{Path: "/reports/**", Methods: []string{"DELETE"}, Permission: "reports:delete"},
	} {
		r, err := spec.Compile()
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

// asking lets trusted proxies ask for forward-auth.
func asking(o *Options) { o.ForwardAuth = true }

// trustedNet is a network of trusted proxies.
func trustedNet(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func trusting(prefix string) change {
	return func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(prefix)} }
}

func (w *world) update(f func(store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(context.Background(), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("not in 5 s: %s", what)
		}
	}
}

// A person is a user with sessions.
type person struct {
	w      *world
	user   tenancy.User
	parent session.Session
}

// person makes a user who has signed in at the login host, and is a member of org.
func (w *world) person(email string, org tenancy.OrgID, roles ...string) *person {
	w.t.Helper()
	p := &person{w: w}
	w.update(func(tx store.Tx) error {
		now := w.now()
		p.user = tenancy.User{ID: tenancy.UserID("user_" + email), Email: email, EmailVerified: true, Name: "Jörg Müller", CreatedAt: now, UpdatedAt: now}
		if err := tx.PutUser(p.user); err != nil {
			return err
		}
		if org != "" {
			g := tenancy.Grant{Roles: roles, Source: tenancy.RoleManual}
			if _, err := tenancy.CreateMembership(tx, tenancy.Rules{DefaultRole: "member"}, org, p.user.ID, g, audit.System, now); err != nil {
				return err
			}
		}
		var err error
		p.parent, _, err = session.Begin(tx, p.user.ID, policy.Proof{Method: policy.EmailCode, At: now}, nil, "", session.Browser{}, w.options.Limits, now)
		return err
	})
	return p
}

// at hands the person's session over to a host, and returns the cookie.
func (p *person) at(host string, org tenancy.OrgID) string {
	p.w.t.Helper()
	var token session.Token
	p.w.update(func(tx store.Tx) error {
		attempt := session.NewToken().Hash()
		code, err := session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: host, Organization: org, Parent: p.parent.ID, ReturnTo: "/"}, p.w.now())
		if err != nil {
			return err
		}
		_, err = tx.Membership(org, p.user.ID)
		outsider := errors.Is(err, tenancy.ErrNotFound)
		if outsider { // who was a member then
			if err := tx.PutMembership(tenancy.Membership{ID: "om_then", Organization: org, User: p.user.ID, Status: policy.Active}); err != nil {
				return err
			}
		}
		r, err := session.Redeem(tx, code.Hash(), attempt, host, org, session.Browser{}, p.w.options.Limits, p.w.now())
		if err == nil {
			err = r.Refused
		}
		if token = r.Token; err == nil && outsider {
			err = tx.DeleteMembership(org, p.user.ID)
		}
		return err
	})
	return cookie.Jar{}.Name(cookie.Session) + "=" + token.Reveal()
}

// jo is a member of acme, and her cookie at acme's host.
func (w *world) jo(roles ...string) (*person, string) {
	p := w.person("jo@acme.com", w.acme.ID, roles...)
	return p, p.at(acmeHost, w.acme.ID)
}

// A response is an answer, read.
type response struct {
	*http.Response
	body string
}

func (r response) echo(t testing.TB) echo {
	t.Helper()
	var e echo
	if err := json.Unmarshal([]byte(r.body), &e); err != nil {
		t.Fatalf("%s answered with status %d, which is no echo: %.300s", r.Request.URL, r.StatusCode, r.body)
	}
	return e
}

// do sends a request to the host and returns the answer. Headers come in pairs.
func (w *world) do(method, host, path string, headers ...string) response {
	w.t.Helper()
	return w.send(method, host, path, nil, headers...)
}

func (w *world) send(method, host, path string, body io.Reader, headers ...string) response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.front, body)
	if err != nil {
		w.t.Fatal(err)
	}
	path, query, _ := strings.Cut(path, "?")
	r.URL.Opaque, r.URL.RawQuery = path, query
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	res, err := noRedirect(w.server.Client()).Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response{res, string(b)}
}

func noRedirect(c *http.Client) *http.Client {
	d := *c
	d.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &d
}

// browser are the headers of a navigation.
func browser(more ...string) []string {
	return append([]string{"Accept", "text/html,application/xhtml+xml", "Sec-Fetch-Mode", "navigate"}, more...)
}

type tx = store.Tx

func join(tx store.Tx, w *world, org tenancy.OrgID, user tenancy.UserID) error {
	_, err := tenancy.CreateMembership(tx, tenancy.Rules{DefaultRole: "member"}, org, user, tenancy.Grant{}, audit.System, w.now())
	return err
}

func suspend(tx store.Tx, org tenancy.OrgID, w *world) error {
	return tenancy.Suspend(tx, org, audit.System, w.now())
}

func addOrganization(tx store.Tx, w *world, slug tenancy.Slug, hosts ...string) error {
	_, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: slug, Name: string(slug), Hosts: hosts}, audit.System, w.now())
	return err
}

// withoutID takes the request id out of a page.
func withoutID(body string) string {
	for _, word := range strings.FieldsFunc(body, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '2' || r > '7') }) {
		if len(word) == 26 {
			body = strings.ReplaceAll(body, word, "ID")
		}
	}
	return body
}

// flying is how many requests are under way under some grant.
func (c *cache) flying() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for s, group := range c.groups {
		for _, k := range group {
			for g := k.first; g != nil && s == (scope{byOrganization, string(k.organization)}); g = g.links[ofKind].next {
				g.mu.Lock()
				n += len(g.flights.list())
				g.mu.Unlock()
			}
		}
	}
	return n
}

// idle reports whether nothing waits to be recorded or is being recorded.
func (t *toucher) idle() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting) == 0 && !t.busy
}

func save(tx store.Tx, o tenancy.Organization, w *world) error {
	_, err := tenancy.SaveOrganization(tx, o, audit.System, w.now())
	return err
}

func end(tx store.Tx, w *world, p *person) error {
	return session.End(tx, p.parent.ID, audit.System, w.now())
}
