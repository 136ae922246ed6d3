package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

// A vault is the secrets of a test: none of them may be in a log.
type vault struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (v *vault) add(secrets ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range secrets {
		if len(s) < 12 {
			continue // too short to be one, or to be told from a word
		}
		if v.seen == nil {
			v.seen = map[string]bool{}
		}
		v.seen[s] = true
	}
}

func (v *vault) all() (secrets []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.seen {
		secrets = append(secrets, s)
	}
	slices.Sort(secrets)
	return secrets
}

// A person has a browser, an address and a name to type at the provider. Whatever secret
// goes through the browser goes into the vault of the site.
type person struct {
	*ssotest.Browser
	t     *testing.T
	site  *site
	login string // at the provider
	email string
	// groups and name are typed at npm's saml-idp, which has no people of its own.
	groups, name string
}

// person returns one of [everyone], with a browser that has never been anywhere.
func (s *site) person(t *testing.T, login string) *person {
	t.Helper()
	return &person{Browser: ssotest.NewBrowser(), t: t, site: s, login: login, email: login + "@acme.test"}
}

// withoutOurCookies is the same person in a browser that only the provider still knows.
func (p *person) withoutOurCookies() *person {
	p.t.Helper()
	issuer, err := url.Parse(p.site.issuer)
	if err != nil {
		p.t.Fatal(err)
	}
	fresh := p.site.person(p.t, p.login)
	kept := p.Jar.Cookies(issuer)
	for _, c := range kept {
		c.Path = "/"
	}
	fresh.Jar.Set(issuer, kept)
	return fresh
}

// get goes to a URL as if it were typed.
func (p *person) get(to string) *ssotest.Page {
	p.t.Helper()
	pg, err := p.Get(p.t.Context(), to)
	return p.look(pg, err)
}

func (p *person) press(from *ssotest.Page, label string) *ssotest.Page {
	p.t.Helper()
	pg, err := p.Press(p.t.Context(), from, label)
	return p.look(pg, err)
}

func (p *person) submit(from *ssotest.Page, values map[string]string) *ssotest.Page {
	p.t.Helper()
	pg, err := p.Submit(p.t.Context(), from, values)
	return p.look(pg, err)
}

// look remembers what is secret of where the browser has been.
func (p *person) look(pg *ssotest.Page, err error) *ssotest.Page {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, hop := range pg.Trail {
		q := hop.URL.Query()
		for _, name := range []string{"code", "state", "nonce", "id_token_hint", "code_verifier", "answer", "test"} {
			p.site.secrets.add(q[name]...)
		}
		u := url.URL{Scheme: "http", Host: hop.URL.Host, Path: "/"}
		if strings.HasSuffix(hop.URL.Hostname(), ".localhost") {
			for _, c := range p.Jar.Cookies(&u) {
				p.site.secrets.add(c.Value)
			}
		}
	}
	return pg
}

// signIn goes to a URL and does whatever it takes to get there. It returns where that
// ended: at the app, or at a page that says why not.
func (p *person) signIn(to string) *ssotest.Page {
	p.t.Helper()
	return p.proceed(p.get(to))
}

func (p *person) proceed(pg *ssotest.Page) *ssotest.Page {
	p.t.Helper()
	for range 12 {
		next, moved := p.step(pg)
		if !moved {
			return next
		}
		pg = next
	}
	p.t.Fatalf("signing in has no end; now at %s: %s", pg.URL, pg.Text)
	return nil
}

// step does what the page asks for; moved is false if it asks for nothing.
func (p *person) step(pg *ssotest.Page) (next *ssotest.Page, moved bool) {
	p.t.Helper()
	field := func(name string) bool {
		return slices.ContainsFunc(pg.Forms, func(f ssotest.Form) bool {
			return slices.ContainsFunc(f.Fields, func(x ssotest.Field) bool { return x.Name == name && x.Type != "hidden" })
		})
	}
	button := func(name string) bool {
		return slices.ContainsFunc(pg.Forms, func(f ssotest.Form) bool {
			return slices.ContainsFunc(f.Buttons, func(b ssotest.Button) bool { return b.Name == name })
		})
	}
	login := pg.URL.Hostname() == "login.localhost"
	if form := samlForm(pg); form != nil { // a browser submits it by itself
		return p.submit(pg, form), true
	}
	switch {
	case login && field("email"):
		return p.submit(pg, map[string]string{"email": p.email}), true
	case login && strings.HasPrefix(pg.Title, "Taking you to"):
		return p.press(pg, "Continue"), true
	case strings.HasSuffix(pg.URL.Hostname(), ".localhost") && !button("person"):
		return pg, false
	case field("userName"): // saml-idp asks who it is
		return p.submit(pg, map[string]string{"userName": p.login, "email": p.email, "displayName": p.name, "groups": p.groups}), true
	case field("login"): // oidc-provider asks who it is
		return p.submit(pg, map[string]string{"login": p.login, "password": "anything"}), true
	case button("person"): // our own provider does
		return p.submit(pg, map[string]string{"person": p.login}), true
	case len(pg.Forms) > 0: // oidc-provider asks for consent
		next, err := p.Submit(p.t.Context(), pg, nil)
		return p.look(next, err), true
	}
	return pg, false
}

// enter signs in and fails the test if that does not lead to the app.
func (p *person) enter(org, path string) *ssotest.Page {
	p.t.Helper()
	pg := p.signIn(p.site.at(org, path))
	if pg.Status != http.StatusOK || pg.URL.String() != p.site.at(org, path) {
		p.t.Fatalf("%s wanted %s and is at %s (%d): %s", p.login, p.site.at(org, path), pg.URL, pg.Status, pg.Text)
	}
	return pg
}

// fetch asks for a URL as a script of the app's pages would. Redirects are not followed.
func (p *person) fetch(to string, header http.Header) *ssotest.Page {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, to, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	maps.Copy(req.Header, header)
	pg, err := p.Fetch(req)
	return p.look(pg, err)
}

// told returns the headers that the app gets with a request of this person.
func (p *person) told(org string) http.Header {
	p.t.Helper()
	return p.headersAt(p.site.at(org, "/headers"), nil)
}

func (p *person) headersAt(to string, send http.Header) http.Header {
	p.t.Helper()
	pg := p.fetch(to, send)
	var h http.Header
	if err := json.Unmarshal([]byte(pg.Body), &h); pg.Status != http.StatusOK || err != nil {
		p.t.Fatalf("GET %s: %d %v %s", to, pg.Status, err, pg.Body)
	}
	p.site.secrets.add(h.Get("X-Orgate-Jwt-Assertion"))
	return h
}

// isIn reports whether this person's browser gets to the app without signing in.
func (p *person) isIn(org string) bool {
	p.t.Helper()
	switch pg := p.fetch(p.site.at(org, "/headers"), nil); pg.Status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusNotFound:
		return false
	default:
		p.t.Fatalf("GET %s: %d %s", pg.URL, pg.Status, pg.Body)
		return false
	}
}

// cookie returns the session cookie of a host, or nil.
func (p *person) cookie(host string) *http.Cookie {
	p.t.Helper()
	u := &url.URL{Scheme: "http", Host: strings.TrimPrefix(p.site.origin(host), "http://"), Path: "/"}
	for _, c := range p.Jar.Cookies(u) {
		if c.Name == "__Host-orgate_session" || c.Name == "__Host-orgate_login" {
			return c
		}
	}
	return nil
}

// handover returns the URL, with the one-time code, by which the login host handed the
// browser over on the way to pg.
func handover(t *testing.T, pg *ssotest.Page) string {
	t.Helper()
	for _, hop := range pg.Trail {
		if hop.URL.Path == "/.orgate/callback" {
			return hop.URL.String()
		}
	}
	t.Fatalf("no hand-over on the way to %s", pg.URL)
	return ""
}

var reference = regexp.MustCompile(`Reference: (\S+)`)

// referenceOf returns the id that an error page shows.
func referenceOf(t *testing.T, pg *ssotest.Page) string {
	t.Helper()
	m := reference.FindStringSubmatch(pg.Text)
	if m == nil {
		t.Fatalf("%s (%d) has no reference: %s", pg.URL, pg.Status, pg.Text)
	}
	return m[1]
}

// sessionCookie is a cookie as it was set.
func sessionCookie(c *http.Cookie) *http.Cookie {
	return &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func mustURL(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
