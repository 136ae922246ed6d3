package sso

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	pathAuthorize     = "/user_management/authorize"
	pathAuthorizeSSO  = "/sso/authorize"
	pathClientSignOut = "/user_management/sessions/logout"
	// paramAuthorization carries what a client asks for from page to page. It is sealed, so that nothing of it
	// changes on the way.
	paramAuthorization   = "authorization"
	authorizationPurpose = "authorization request"
	// authorizationLife is how long somebody may take to sign in for a client.
	authorizationLife = time.Hour
)

// noProvider is what a client is told that names a provider which is none of sign_in.social.
func noProvider() client.Fault {
	return client.Fault{Code: "connection_invalid", Text: "provider is none that people can sign in with here"}
}

// authorize is GET /user_management/authorize: an app that signs people in by the API sends one here. Until it is
// known that there is such a client and that the address is its own, nobody is sent back to it.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) error {
	req, refused, err := s.readAuthorization(r, false)
	if err != nil {
		return err
	}
	a := aim{App: &req}
	var c *tenancy.Connection
	var org tenancy.Organization
	if refused == nil {
		if c, org, refused, err = s.whomToAsk(r, &a); err != nil {
			return err
		}
	}
	if refused != nil {
		return s.refuseClient(w, r, req, *refused)
	}
	if req.Invitation != "" {
		http.Redirect(w, r, s.url(pathInvitations+"/"+url.PathEscape(req.Invitation))+"?"+s.values(a).Encode(), http.StatusFound)
		return nil
	}
	if c == nil && req.Provider == "" {
		http.Redirect(w, r, s.at(pathSignIn, a, ""), http.StatusFound)
		return nil
	}

	who, _, err := s.current(r)
	if err != nil {
		return err
	}
	t, err := s.turn(r.Context(), a, who, req.LoginHint)
	if err != nil {
		return err
	}
	if c != nil {
		if t.To != "" && slices.ContainsFunc(who.Proofs, func(p policy.Proof) bool { return p.Connection == string(c.ID) }) {
			return s.follow(w, r, a, t) // they have been there
		}
		return s.leave(w, r, a, turn{Ask: []tenancy.Connection{*c}, Organization: org, Hint: req.LoginHint, MaxAge: a.fresh(s.now())})
	}
	p, ok := s.socialCalled(req.Provider)
	switch {
	case !ok:
		return s.refuseClient(w, r, req, noProvider())
	case t.To == "" && t.Refused == nil && t.Local.Has(policy.Social):
		return s.leaveSocial(w, r, a, t, p, "")
	}
	return s.follow(w, r, a, t)
}

// authorizeSSO is GET /sso/authorize: an app that keeps sessions of its own wants to know what an identity provider
// says of whoever comes. It makes nobody a user, and nobody is signed in by it here.
func (s *Server) authorizeSSO(w http.ResponseWriter, r *http.Request) error {
	req, refused, err := s.readAuthorization(r, true)
	if err != nil {
		return err
	}
	a := aim{App: &req, Another: req.Anew}
	if refused == nil && req.Provider != "" {
		p, ok := s.socialCalled(req.Provider)
		if !ok {
			return s.refuseClient(w, r, req, noProvider())
		}
		return s.toldClient(w, r, a, s.leaveSocial(w, r, a, turn{Email: req.LoginHint}, p, ""))
	}
	var c *tenancy.Connection
	var org tenancy.Organization
	if refused == nil {
		if c, org, refused, err = s.whomToAsk(r, &a); err != nil {
			return err
		}
	}
	switch {
	case refused != nil:
	case c == nil:
		refused = &client.Fault{Code: "connection_invalid", Text: "the organization has no active connection"}
	}
	if refused != nil {
		return s.refuseClient(w, r, req, *refused)
	}
	return s.toldClient(w, r, a, s.leave(w, r, a, turn{Ask: []tenancy.Connection{*c}, Organization: org, Hint: req.LoginHint}))
}

// readAuthorization reads what a client asks for. refused is for the client.
func (s *Server) readAuthorization(r *http.Request, profile bool) (req client.Authorization, refused *client.Fault, err error) {
	if len(r.URL.RawQuery) > maxQuery {
		return req, nil, badRequest(errors.New("query is too long"))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return req, nil, badRequest(err)
	}
	req, err = client.ReadAuthorization(s.clients, q, profile, s.now())
	if f, ok := errors.AsType[*client.Fault](err); ok {
		return req, f, nil
	}
	if err != nil {
		s.count("unknown_client")
		return req, nil, unknownClient(err)
	}
	return req, nil, nil
}

// unknownClient is the page for whoever was sent here by an app that is none of ours, or would be sent to an
// address that is not the app's.
func unknownClient(cause error) *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusBadRequest, Code: "unknown_client", Title: text.T("The app that sent you here is not set up for that"),
		Text: text.T("It gave an id or an address that is not known here, so you are not sent back to it."), Hint: text.T("Tell the people who run the app."), Err: cause,
	}
}

// refuseClient sends the person back to the client with what is wrong.
func (s *Server) refuseClient(w http.ResponseWriter, r *http.Request, req client.Authorization, f client.Fault) error {
	s.count("client_refused")
	s.log.InfoContext(r.Context(), "authorization refused", "request_id", endpoint.RequestID(r.Context()), "client", req.Client, "check", f.Code, "cause", f.Text)
	return s.sendTo(w, r, req.Refuse(f), tenancy.Organization{}, "")
}

// whomToAsk finds the connection and the organization that a client names, and puts the organization into the aim.
// c is nil if it names no connection.
func (s *Server) whomToAsk(r *http.Request, a *aim) (c *tenancy.Connection, org tenancy.Organization, refused *client.Fault, err error) {
	req := a.App
	fault := func(code, text string) error {
		refused = &client.Fault{Code: code, Text: text}
		return nil
	}
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		c, org, refused = nil, tenancy.Organization{}, nil
		owner := req.Organization
		if req.Connection != "" {
			row, err := tx.ConnectionByID(req.Connection)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
			if err == nil {
				c, err = connection(tx, row.Organization, row.ID)
			}
			if c == nil || owner != "" && owner != c.Organization {
				return errors.Join(fault("connection_invalid", "there is no such connection, or it is not active"), ignoreNotFound(err))
			}
			owner = c.Organization
		}
		if owner == "" && req.Domain != "" && req.Provider == "" {
			d, err := tx.VerifiedDomain(req.Domain)
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				return err
			}
			if err != nil && req.Profile {
				return fault("connection_domain_invalid", "the domain is no organization's")
			}
			if err == nil {
				found, err := only(tx, d.Organization)
				if err != nil {
					return err
				}
				if c = found; c != nil {
					org, err = tx.Organization(c.Organization)
				}
				return err // a hint: whom they go to, they say themselves
			}
		}
		if owner == "" {
			return nil
		}
		if org, err = tx.Organization(owner); errors.Is(err, tenancy.ErrNotFound) || err == nil && org.Suspended {
			return fault("organization_invalid", "there is no such organization")
		}
		if err != nil {
			return err
		}
		a.Organization, req.Organization = owner, owner
		if c == nil && req.Profile {
			c, err = only(tx, owner)
		}
		return err
	})
	return c, org, refused, unavailable(err)
}

func ignoreNotFound(err error) error {
	if errors.Is(err, tenancy.ErrNotFound) {
		return nil
	}
	return err
}

// only returns the one active connection of an organization; nil: it has none, or several.
func only(tx store.Tx, org tenancy.OrgID) (*tenancy.Connection, error) {
	o, err := tx.Organization(org)
	if err != nil || o.Suspended {
		return nil, ignoreNotFound(err)
	}
	all, err := connections(tx, org, "")
	if err != nil || len(all) != 1 {
		return nil, err
	}
	return &all[0], nil
}

// socialCalled returns the social provider that an app calls so: the first that the reference has that name for, such as
// GoogleOAuth, else the one whose own name and OAuth it is.
func (s *Server) socialCalled(name string) (SocialProvider, bool) {
	for _, called := range []func(SocialProvider) bool{
		func(p SocialProvider) bool { return name == p.reference() },
		func(p SocialProvider) bool { return name == p.Name+"OAuth" && !byIssuer(name) },
	} {
		if i := slices.IndexFunc(s.social, called); i >= 0 && name != "" {
			return s.social[i], true
		}
	}
	return SocialProvider{}, false
}

// values are the parameters that carry what a sign-in is for from page to page.
func (s *Server) values(a aim) url.Values {
	q := a.values()
	if a.App == nil {
		return q
	}
	req := *a.App
	req.LoginHint = "" // it is what did not work
	plain, err := json.Marshal(req)
	if err != nil {
		panic(err) // our own objects always marshal
	}
	q.Set(paramAuthorization, base64.RawURLEncoding.EncodeToString(s.box.Seal(authorizationPurpose, "", plain)))
	return q
}

// withAuthorization completes an aim that says what a client asked for.
func (s *Server) withAuthorization(a aim, value string) (aim, error) {
	if value == "" {
		return a, nil
	}
	var req client.Authorization
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err == nil {
		var plain []byte
		if plain, err = s.box.Open(authorizationPurpose, "", sealed); err == nil {
			err = json.Unmarshal(plain, &req)
		}
	}
	if err == nil && s.now().Sub(req.At) >= authorizationLife {
		err = errors.New("it is too old")
	}
	if err == nil && (a.Request.Host != "" || req.Profile) {
		err = errors.New("not for this page")
	}
	if err != nil {
		e := s.tooOld()
		e.Hint, e.ActionURL, e.ActionText = text.T("Go back to the app, and sign in from there."), "", text.Message{}
		e.Err = err
		return aim{}, e
	}
	a.App = &req
	if a.Organization = req.Organization; a.Request.LoginHint == "" {
		a.Request.LoginHint = req.LoginHint
	}
	return a, nil
}

// authorized ends a sign-in for a client: it makes the code that the person is sent back with.
func (s *Server) authorized(tx store.Tx, a aim, who session.Session, t turn, now time.Time) (turn, error) {
	t.Refused, t.Ask, t.Local, t.AskEmail = nil, nil, 0, false
	// The client may have been changed since it asked.
	if c, ok := s.clients.Find(a.App.Client); !ok || !c.MayRedirect(a.App.RedirectURI) {
		return refusedTurn(unknownClient(errors.New("the client was changed since"))), nil
	}
	code, err := client.IssueCode(tx, client.Code{
		Client: a.App.Client, RedirectURI: a.App.RedirectURI, Challenge: a.App.Challenge, Session: who.ID, Organization: a.Organization,
	}, now)
	if err != nil {
		return turn{}, err
	}
	t.To, t.Outcome = a.App.Return(code.Reveal()), "sent_to_client"
	return t, nil
}

// chooseFor finds the organization for a client that names none: the only one, one that the person picks, or none,
// if they are in none.
func (s *Server) chooseFor(tx store.Tx, a aim, who session.Session, t turn, now time.Time) (turn, error) {
	var orgs []tenancy.OrgID
	for org, err := range within(tx, who) {
		if err != nil {
			return turn{}, err
		}
		if orgs = append(orgs, org.ID); len(orgs) > 1 {
			break
		}
	}
	switch {
	case len(orgs) == 1:
		a.Organization = orgs[0]
		return s.next(tx, a, who, "", now)
	case len(orgs) > 1:
		t.Refused, t.Ask, t.Local, t.AskEmail = nil, nil, 0, false
		t.To, t.Outcome = s.at(pathOrganizations, a, ""), "to_picker"
		return t, nil
	case who.ConfinedTo != "":
		return refusedTurn(s.noOrganization(a, t.Email)), nil
	}
	return s.authorized(tx, a, who, t, now)
}

// toldClient tells the client what the person would be told of an identity provider that is asked for a profile.
func (s *Server) toldClient(w http.ResponseWriter, r *http.Request, a aim, err error) error {
	e, ok := errors.AsType[*endpoint.Error](err)
	if a.App == nil || !a.App.Profile || !ok {
		return err
	}
	switch c, known := s.clients.Find(a.App.Client); {
	case !known || !c.MayRedirect(a.App.RedirectURI):
		return unknownClient(err)
	case e.Status >= http.StatusInternalServerError:
		e.ActionURL, e.ActionText = "", text.Message{} // there is no page of ours to start from
		return e
	}
	return s.refuseClient(w, r, *a.App, faultOf(e))
}

// faultOf is what an app is told of what a person would be told. The texts for people name them: an app, the addresses that it
// is called by and the log learn of no address that is not proved.
func faultOf(e *endpoint.Error) client.Fault {
	f := client.Fault{Code: "oauth_failed", Text: "the identity provider did not say who the person is, or can't be believed"}
	switch e.Code {
	case "access_denied":
		f = client.Fault{Code: e.Code, Text: "the person or the identity provider said no"}
	case "connection_invalid":
		f = client.Fault{Code: e.Code, Text: "the identity provider is not set up as it must be"}
	case codeOutside:
		f = client.Fault{Code: e.Code, Text: "the identity provider that was asked has no say in the person's address"}
	case codeTooLong:
		f = client.Fault{Code: "invalid_request", Text: errTooLong.Error()}
	case "email_unproved":
		f.Text = "the identity provider does not say that the address is verified"
	case "not_vouched":
		f.Text = "the identity provider said no address that can be read"
	case "connection_gone":
		f.Text = "the identity provider was changed, or taken out, meanwhile"
	}
	return f
}

// clientSignOut is GET /user_management/sessions/logout, which an app sends people to that sign out there. Who knows
// the id of the session, which is in the access token, is the app: nobody else ends it by a link. In the browser in
// which the person signed in they are signed out here too, or the next one at a shared computer would be signed in by one click.
func (s *Server) clientSignOut(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet || strings.Contains(r.Header.Get("Sec-Purpose"), "prefetch") {
		return badRequest(errors.New("a look signs nobody out"))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(r.URL.RawQuery) > maxQuery || len(q["session_id"]) != 1 || len(q["return_to"]) > 1 {
		return badRequest(errors.New("not one session_id and at most one return_to"))
	}
	to := s.url(pathSignedOut)
	refused, here := false, false
	err = s.store.Update(r.Context(), func(tx store.Tx) error {
		refused, here = false, false
		at, err := tx.Session(session.ID(q.Get("session_id")))
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && (at.Client == "" || at.Parent == "") {
			refused = q.Get("return_to") != ""
			return nil
		}
		if err != nil {
			return err
		}
		c, known := s.clients.Find(at.Client)
		if refused = q.Get("return_to") != "" && (!known || !c.MayReturn(q.Get("return_to"))); refused {
			return nil
		}
		who, live, err := s.liveIn(tx, r)
		if err != nil {
			return err
		}
		by := audit.Actor{Type: "user", ID: string(at.User)}
		if here = live && who.ID == at.Parent; here {
			return session.End(tx, who.ID, by, s.now())
		}
		return session.End(tx, at.ID, by, s.now())
	})
	switch {
	case err != nil:
		return unavailable(err)
	case refused:
		s.count("unknown_client")
		return unknownClient(errors.New("return_to is not an address of the client whose session it is"))
	}
	if here {
		s.jar.Clear(w, cookie.Login)
	}
	s.count("signed_out")
	if v := q.Get("return_to"); v != "" {
		to = v
	}
	http.Redirect(w, r, to, http.StatusFound)
	return nil
}
