package sso_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
	"github.com/orgate/orgate/web"
)

var limits = session.Limits{Idle: 12 * time.Hour, Absolute: 7 * 24 * time.Hour}

// A world is a login host, tenant hosts and identity providers on loopback, with one
// store and one clock.
type world struct {
	t     testing.TB
	store *store.Store
	box   *seal.Box
	base  string // ":port"
	clock *clock
	log   *logBook

	mu       sync.Mutex
	orgs     map[string]tenancy.OrgID // host → organization
	rules    tenancy.Rules
	offered  policy.Methods
	outcomes map[string]int
	options  sso.Options
	handler  http.Handler // of the login host
	running  *sso.Server
}

type clock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// A logBook keeps what was logged.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Organization and Home are the proxy's part.
func (w *world) Organization(host string) (tenancy.OrgID, string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h, port, err := tenancy.ParseHost(host) // as lenient as the proxy
	id, ok := w.orgs[string(h)+":"+port]
	return id, "app", ok && err == nil
}

func (w *world) Home(org tenancy.OrgID) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for host, id := range w.orgs {
		if id == org {
			return "http://" + host + "/"
		}
	}
	return ""
}

type option func(*world, *sso.Options)

func newWorld(t testing.TB, options ...option) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, log: &logBook{}, orgs: map[string]tenancy.OrgID{}, outcomes: map[string]int{}, offered: policy.MethodsOf(policy.SSO)}
	w.rules = tenancy.Rules{DefaultRole: "member"}
	w.store = storetest.OpenAt(t, w.clock.Now)
	var err error
	if w.box, err = seal.NewBox(bytes.Repeat([]byte{1}, 32)); err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.base = ":" + port
	public, err := url.Parse(w.login(""))
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(w.log, nil))
	o := sso.Options{
		Store: w.store, Tenants: w, Box: w.box, PublicURL: public, Limits: limits, Rules: w.rules, Offered: w.offered, Logger: logger, Now: w.clock.Now,
		OIDC: oidc.New(oidc.Options{Egress: egress.New(egress.Options{AllowLoopback: true, Timeout: 5 * time.Second})}),
		Count: func(outcome string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.outcomes[outcome]++
		},
	}
	for _, f := range options {
		f(w, &o)
	}
	w.options = o
	w.load(func(*sso.Options) {})
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r = r.WithContext(endpoint.WithRequestID(r.Context()))
		if r.Host == "login.localhost"+w.base {
			w.mu.Lock()
			login := w.handler
			w.mu.Unlock()
			login.ServeHTTP(rw, r)
			return
		}
		w.tenant(rw, r)
	})}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return w
}

// load puts the options in force, after edit has changed them, as a reload does.
func (w *world) load(edit func(*sso.Options)) {
	w.t.Helper()
	edit(&w.options)
	o := w.options
	s, err := sso.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	pageOptions := web.Options{Store: w.store, PublicURL: o.PublicURL, Limits: limits, Now: w.clock.Now}
	for _, p := range o.Social {
		pageOptions.Social = append(pageOptions.Social, web.Social{Connection: p.Connection(), Name: p.Name, Label: p.Label})
	}
	pages, err := web.New(pageOptions)
	if err != nil {
		w.t.Fatal(err)
	}
	login, err := endpoint.New(append(s.Routes(), pages.Routes()...), endpoint.Options{
		Guards: map[endpoint.Access]endpoint.Guard{endpoint.SignedIn: s.Guard, endpoint.Confirmed: s.Confirm}, Renderer: page.Errors{}, Logger: o.Logger,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler, w.running = login, s
}

func (w *world) login(path string) string    { return "http://login.localhost" + w.base + path }
func (w *world) host(slug string) string     { return slug + ".localhost" + w.base }
func (w *world) at(slug, path string) string { return "http://" + w.host(slug) + path }
func (w *world) callback() string            { return w.login("/sso/oidc/callback") }
func (w *world) ownCallback(slug string) string {
	return w.callback() + "/" + slug + "/" + slug + "-okta"
}
func (w *world) signIn(q url.Values) string    { return w.login("/sign-in?" + q.Encode()) }
func (w *world) update(f func(store.Tx) error) { w.run(w.store.Update, f) }
func (w *world) view(f func(store.Tx) error)   { w.run(w.store.View, f) }
func org(slug string) tenancy.OrgID            { return tenancy.OrgID("org_" + slug) }
func conn(slug string) tenancy.ConnectionID    { return tenancy.ConnectionID("conn_" + slug) }
func person(name, domain string) ssotest.Person {
	return ssotest.Person{Subject: name, Email: name + "@" + domain, Name: name}
}
func (w *world) outcome(name string) int { w.mu.Lock(); defer w.mu.Unlock(); return w.outcomes[name] }

func (w *world) run(how func(context.Context, func(store.Tx) error) error, f func(store.Tx) error) {
	w.t.Helper()
	if err := how(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
}

// organization makes an organization with its own provider, of which okta is the only
// connection, and edit may change what it is like.
func (w *world) organization(slug string, edit func(*tenancy.Organization), people ...ssotest.Person) *ssotest.Provider {
	w.t.Helper()
	idp := ssotest.Start(w.t, ssotest.Options{Name: slug, People: people, Now: w.clock.Now, Clients: []ssotest.Client{{
		ID: slug, Secret: "secret-of-" + slug, RedirectURIs: []string{w.callback(), w.ownCallback(slug)}, PostLogoutURIs: []string{w.login("/signed-out")},
		BackchannelLogoutURI: w.login("/sso/oidc/backchannel-logout/" + slug + "/" + slug + "-okta"),
	}}})
	o := tenancy.Organization{ID: org(slug), Slug: tenancy.Slug(slug), Name: strings.ToUpper(slug[:1]) + slug[1:], JITSSO: true, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	if edit != nil {
		edit(&o)
	}
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		return errors.Join(
			tx.PutOrganization(o),
			tx.PutRole(tenancy.Role{Slug: "member"}),
			tx.PutDomain(tenancy.Domain{ID: tenancy.DomainID("org_domain_" + slug), Organization: o.ID, Name: slug + ".test", State: tenancy.DomainVerified, Strategy: "manual", CreatedAt: now, UpdatedAt: now}),
			tx.PutConnection(tenancy.Connection{ID: conn(slug), Organization: o.ID, Name: slug + "-okta", Type: "oidc", CreatedAt: now, UpdatedAt: now, OIDC: &tenancy.OIDCConnection{
				Issuer: idp.Issuer(), ClientID: slug, ClientSecret: w.box.Seal("client secret", string(conn(slug)), []byte("secret-of-"+slug)),
			}}),
		)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orgs[w.host(slug)] = o.ID
	return idp
}

// member makes the person of an address an active member.
func (w *world) member(slug, email string, status policy.Standing) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(email)
		if errors.Is(err, tenancy.ErrNotFound) {
			u = tenancy.User{ID: tenancy.UserID("user_" + email), Email: email, EmailVerified: true, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
			err = tx.PutUser(u)
		}
		if err != nil {
			return err
		}
		return tx.PutMembership(tenancy.Membership{ID: tenancy.MembershipID("om_" + slug + email), Organization: org(slug), User: u.ID, Status: status, Roles: []string{"member"}, RoleSource: tenancy.RoleManual, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()})
	})
}

// tenant is what the proxy does on a tenant host, as far as signing in is concerned.
func (w *world) tenant(rw http.ResponseWriter, r *http.Request) {
	org, _, ok := w.Organization(r.Host)
	if !ok {
		http.Error(rw, "no such host", http.StatusNotFound)
		return
	}
	jar := cookie.Jar{}
	if r.URL.Path == "/.orgate/callback" {
		code, ok := session.ParseToken(r.URL.Query().Get("code"))
		value, ok2 := jar.Read(r.Header, cookie.Attempt)
		attempt, ok3 := session.ParseToken(value)
		if !ok || !ok2 || !ok3 {
			http.Error(rw, "callback: no code or no attempt", http.StatusBadRequest)
			return
		}
		var done session.Redeemed
		err := w.store.Update(r.Context(), func(tx store.Tx) (err error) {
			done, err = session.Redeem(tx, code.Hash(), attempt.Hash(), r.Host, org, session.Browser{}, limits, w.clock.Now())
			return err
		})
		if err != nil || done.Refused != nil {
			http.Error(rw, fmt.Sprintf("callback: %v %v", err, done.Refused), http.StatusForbidden)
			return
		}
		jar.Clear(rw, cookie.Attempt)
		jar.Set(rw, cookie.Session, done.Token.Reveal(), limits.Absolute)
		http.Redirect(rw, r, done.ReturnTo, http.StatusSeeOther)
		return
	}
	var v session.View
	d := policy.Decision{}
	if value, ok := jar.Read(r.Header, cookie.Session); ok {
		token, _ := session.ParseToken(value)
		err := w.store.View(r.Context(), func(tx store.Tx) error {
			_, parent, err := session.Live(tx, token.Hash(), r.Host, limits, w.clock.Now())
			if err != nil {
				return err
			}
			v, err = session.Gather(tx, session.Query{Organization: org, Session: parent, Offered: w.offered, Now: w.clock.Now()})
			d = policy.Decide(&v.Facts)
			return err
		})
		if err != nil && !errors.Is(err, session.ErrEnded) {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	if d.Verdict == policy.Allow {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, "<title>app</title>app of %s for %s at %s", org, v.User.Email, r.URL.RequestURI())
		return
	}
	attempt := session.NewToken()
	jar.Set(rw, cookie.Attempt, attempt.Reveal(), 10*time.Minute)
	q := session.SignInRequest{Host: r.Host, Attempt: attempt.Hash(), ReturnTo: r.URL.RequestURI()}.Values()
	http.Redirect(rw, r, w.signIn(q), http.StatusFound)
}

// A user is a browser and what its person does.
type user struct {
	*ssotest.Browser
	w *world
	p *ssotest.Page
}

func (w *world) browser() *user {
	b := ssotest.NewBrowser()
	b.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	return &user{Browser: b, w: w}
}

// tab is a second tab of the same browser.
func (u *user) tab() *user { return &user{Browser: u.Browser, w: u.w} }

func (u *user) did(p *ssotest.Page, err error) *user {
	u.w.t.Helper()
	if err != nil {
		u.w.t.Fatal(err)
	}
	u.p = p
	// A page that leads elsewhere by itself leads there.
	for u.p.Status == http.StatusOK && strings.HasPrefix(u.p.Title, "Taking you to ") && len(u.p.Links) == 1 {
		if u.p, err = u.Follow(u.w.t.Context(), u.p, u.p.Links[0].Href); err != nil {
			u.w.t.Fatal(err)
		}
	}
	return u
}

func (u *user) get(url string) *user {
	u.w.t.Helper()
	p, err := u.Get(u.w.t.Context(), url)
	return u.did(p, err)
}

func (u *user) press(label string) *user {
	u.w.t.Helper()
	p, err := u.Press(u.w.t.Context(), u.p, label)
	return u.did(p, err)
}

func (u *user) submit(values map[string]string) *user {
	u.w.t.Helper()
	p, err := u.Submit(u.w.t.Context(), u.p, values)
	return u.did(p, err)
}

// to goes to a path of a tenant host, and says an address when one is asked for.
func (u *user) to(slug, path, email string) *user {
	u.w.t.Helper()
	u.get(u.w.at(slug, path))
	if u.p.Status == http.StatusOK && u.p.URL.Path == "/sign-in" {
		u.submit(map[string]string{"email": email})
	}
	return u
}

// as chooses who to be at the provider.
func (u *user) as(subject string) *user {
	u.w.t.Helper()
	return u.submit(map[string]string{"person": subject})
}

// sees fails the test unless the page has the status and every text.
func (u *user) sees(status int, texts ...string) *user {
	u.w.t.Helper()
	if u.p.Status != status {
		u.w.t.Fatalf("%s: status %d, want %d\n%s\n%s", u.p.URL, u.p.Status, status, u.p.Text, u.w.log)
	}
	for _, text := range texts {
		if !strings.Contains(u.p.Body, text) && !strings.Contains(u.p.Text, text) {
			u.w.t.Fatalf("%s does not say %q:\n%s", u.p.URL, text, u.p.Text)
		}
	}
	return u
}

// inApp fails the test unless the person is in the app of an organization.
func (u *user) inApp(slug, email string) *user {
	u.w.t.Helper()
	return u.sees(http.StatusOK, "app of "+string(org(slug))+" for "+email)
}

func (u *user) cookie(name string) string {
	loginURL, err := url.Parse(u.w.login("/"))
	if err != nil {
		u.w.t.Fatal(err)
	}
	for _, c := range u.Jar.Cookies(loginURL) {
		if c.Name == "__Host-"+name {
			return c.Value
		}
	}
	return ""
}

// A census is what is in the store.
type census struct{ users, memberships, sessions, children int }

// census counts users by their memberships, and live sessions.
func (w *world) census(slug string) (c census) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		c = census{}
		for m, err := range tx.Members(org(slug)) {
			if err != nil {
				return err
			}
			c.users++
			if m.Status == policy.Active {
				c.memberships++
			}
			for s, err := range tx.SessionsOf(m.User) {
				if err != nil {
					return err
				}
				if s.Alive(limits, w.clock.Now()) != nil {
					continue
				}
				if s.Parent == "" {
					c.sessions++
				} else {
					c.children++
				}
			}
		}
		return nil
	})
	return c
}

// events returns the events of that name.
func (w *world) events(name string) (found []audit.Event) {
	w.t.Helper()
	changes, err := w.store.Feed(w.t.Context(), 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range changes {
		if c.Event.Name == name {
			found = append(found, c.Event)
		}
	}
	return found
}
