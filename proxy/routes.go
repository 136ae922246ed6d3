package proxy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// The paths of ours.
const (
	callbackPath = "/.orgate/callback"
	signInPath   = "/.orgate/sign-in"
	signOutPath  = "/.orgate/sign-out"
	mePath       = "/.orgate/me"
	switchPath   = "/.orgate/switch"
	authPath     = "/.orgate/auth" // answered before the host is looked up; see auth.go
	jwksPath     = "/.well-known/orgate/jwks.json"
)

// Routes returns the routes that the proxy serves by itself, for the golden table.
func (p *Proxy) Routes() []endpoint.Route {
	static := page.Static()
	return []endpoint.Route{
		{Side: endpoint.Tenant, Pattern: "GET " + callbackPath, Access: endpoint.Public, Handle: tenant((*exchange).callback)},
		{Side: endpoint.Tenant, Pattern: "GET " + signInPath, Access: endpoint.Public, Handle: tenant((*exchange).signIn)},
		{Side: endpoint.Tenant, Pattern: "GET " + signOutPath, Access: endpoint.Public, Handle: tenant((*exchange).askSignOut)},
		{Side: endpoint.Tenant, Pattern: "POST " + signOutPath, Access: endpoint.Public, Handle: tenant((*exchange).signOut)},
		{Side: endpoint.Tenant, Pattern: "GET " + mePath, Access: endpoint.Public, Handle: tenant((*exchange).me)},
		{Side: endpoint.Tenant, Pattern: "GET " + switchPath, Access: endpoint.Public, Handle: tenant((*exchange).change)},
		{Side: endpoint.Tenant, Pattern: "GET " + page.StaticPath, Access: endpoint.Public, Handle: func(w http.ResponseWriter, r *http.Request) error {
			static.ServeHTTP(w, r)
			return nil
		}},
		// Also on the login host: whoever verifies an assertion knows its issuer.
		{Side: endpoint.Tenant, Pattern: "GET " + jwksPath, Access: endpoint.Public, Handle: p.keys.serve},
	}
}

func (p *Proxy) tenantRoutes() (http.Handler, error) {
	return endpoint.New(p.Routes(), endpoint.Options{Renderer: p.renderer, Logger: p.log})
}

// tenant makes a handler of a method of the exchange that the request belongs to.
func tenant(h func(*exchange, http.ResponseWriter, *http.Request) error) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		x := exchangeOf(r.Context())
		if x == nil || x.place.org == nil {
			return unknownHostError()
		}
		return h(x, w, r)
	}
}

// query reads the query of a path of ours: each parameter once, and none but those named.
// Servers differ in which of two they take, and a wrong name is a mistake to hear of.
func query(r *http.Request, names ...string) (map[string]string, error) {
	bad := func(what text.Message) error {
		return &endpoint.Error{Status: http.StatusBadRequest, Code: "bad_query", Title: text.T("This address is not complete"), Text: what, Hint: text.T("Go back to the page that you came from.")}
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > 8<<10 {
		return nil, bad(text.T("The part after the question mark can't be read."))
	}
	q := map[string]string{}
	for _, n := range names {
		q[n] = values.Get(n)
		if len(values[n]) > 1 {
			return nil, bad(text.T("A parameter is there twice."))
		}
		delete(values, n)
	}
	if len(values) > 0 {
		return nil, bad(text.T("There is a parameter that is not known here."))
	}
	return q, nil
}

// signIn is GET /.orgate/sign-in: it begins a sign-in, for the links that pages and
// programs are given. return_to is where to go afterwards.
func (x *exchange) signIn(_ http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "return_to")
	if err != nil {
		return err
	}
	if err := x.authorize(r); err != nil {
		return err
	}
	to := q["return_to"]
	if to == "" {
		to = "/"
	}
	x.startSignIn(r, to)
	return nil
}

// identity is what /.orgate/me answers.
type identity struct {
	User struct {
		ID    tenancy.UserID `json:"id"`
		Email string         `json:"email"`
		Name  string         `json:"name"`
	} `json:"user"`
	Organization struct {
		ID   tenancy.OrgID `json:"id"`
		Slug tenancy.Slug  `json:"slug"`
		Name string        `json:"name"`
	} `json:"organization"`
	Membership  tenancy.MembershipID `json:"membership_id"`
	Role        string               `json:"role"`
	Roles       []string             `json:"roles"`
	Permissions []string             `json:"permissions"`
	Session     struct {
		ID        session.ID    `json:"id"`
		Method    policy.Method `json:"method"`
		At        time.Time     `json:"authenticated_at"`
		ExpiresAt time.Time     `json:"expires_at"`
	} `json:"session"`
}

// me is GET /.orgate/me: who is signed in here, for the app's pages.
func (x *exchange) me(w http.ResponseWriter, r *http.Request) error {
	if _, err := query(r); err != nil {
		return err
	}
	if err := x.authorize(r); err != nil {
		return err
	}
	if !x.decision.Identified || !allows(x.decision) {
		x.clearSession()
		return &endpoint.Error{Status: http.StatusUnauthorized, Code: "sign_in_required", Title: text.T("Nobody is signed in here"),
			Text: text.T("Nobody is signed in here."), Hint: text.T("Send the browser to sign_in_url."), Organization: x.place.org.name, ActionURL: x.signInURL("/"), ActionText: text.T("Sign in")}
	}
	g, k := x.grant, x.grant.common
	var id identity
	id.User.ID, id.User.Email, id.User.Name = g.user(), g.email(), g.name()
	id.Organization.ID, id.Organization.Slug, id.Organization.Name = k.organization, k.slug, k.name
	id.Membership, id.Roles, id.Permissions = g.membership(), notNil(k.facts.Roles), notNil(k.facts.Permissions)
	if len(k.facts.Roles) > 0 {
		id.Role = k.facts.Roles[0]
	}
	id.Session.ID, id.Session.ExpiresAt = g.session(), g.expiresAt()
	proof := g.proof()
	id.Session.Method, id.Session.At = proof.Method, proof.At
	body, err := json.Marshal(id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(body) //nolint:errcheck // the client is gone, and there is nobody to tell
	return nil
}

// change is GET /.orgate/switch: to another organization of the same person, by its slug,
// or to the picker. A slug that is not one of the person's leads to the picker as an
// unknown one does: nobody learns here which organizations there are.
func (x *exchange) change(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "organization")
	if err != nil {
		return err
	}
	to := x.st.loginURL("/organizations", url.Values{"host": {x.place.authority}})
	if slug, err := tenancy.ParseSlug(q["organization"]); err == nil {
		if err := x.authorize(r); err != nil {
			return err
		}
		if o := x.st.bySlug.get(string(slug)); o != nil && !o.suspended && !x.grant.nobody() {
			member, err := x.isMember(r, o)
			if err != nil {
				return unavailable(err)
			}
			if member {
				to = x.st.url(x.st.home(o), "/", nil)
			}
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// isMember reports whether the person of the session belongs to o. A session that is
// confined knows of no other organization.
func (x *exchange) isMember(r *http.Request, o *organization) (member bool, err error) {
	if c := x.grant.common.facts.ConfinedTo; c != "" && c != string(o.id) {
		return false, nil
	}
	err = x.p.store.View(r.Context(), func(tx store.Tx) error {
		m, err := tx.Membership(o.id, x.grant.user())
		member = err == nil && m.Status == policy.Active
		return notFoundIsNil(err)
	})
	return member, err
}
