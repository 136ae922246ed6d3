package sso

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/orgate/orgate/internal/denial"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Limits of what a browser may send to the pages of this package.
const (
	maxQuery = 8 << 10
	maxForm  = 16 << 10
	// maxEmail is how much of an address is shown and kept that was not parsed.
	maxEmail = 254
)

// paramAnother, in the query of /sign-in, asks for an account other than the one that is
// signed in.
const paramAnother = "another"

// begin is GET /sign-in. Whoever is signed in already goes on at once, if what they have
// proved is enough.
func (s *Server) begin(w http.ResponseWriter, r *http.Request) error {
	a, err := s.aimOf(r)
	if err != nil {
		return err
	}
	who, _, err := s.current(r)
	if err != nil {
		return err
	}
	if a.Another {
		who = session.Session{}
	}
	hint := ""
	if a.Request.LoginHint != "" {
		// One that is no address is no hint, and not worth a word.
		hint, _ = tenancy.ParseEmail(a.Request.LoginHint)
	}
	t, err := s.turn(r.Context(), a, who, hint)
	if err != nil {
		return err
	}
	if who.ID == "" && hint == "" && t.Refused == nil && (len(t.Ask) > 1 || t.Open) {
		// There may be more than one way, and the address tells which.
		t.AskEmail, t.Outcome = true, "asked_email"
	}
	return s.follow(w, r, a, t)
}

// identify is POST /sign-in: the person's address, or the connection that they chose.
func (s *Server) identify(w http.ResponseWriter, r *http.Request) error {
	a, err := s.aimOf(r)
	if err != nil {
		return err
	}
	form, err := readForm(w, r, "email", fieldWay, fieldConnection, paramStep)
	if err != nil {
		return err
	}
	who, live, err := s.current(r)
	if err != nil {
		return err
	}
	if a.Another {
		who, live = session.Session{}, false
	}
	typed, email := form.Get("email"), ""
	if a.Invitation != "" {
		typed = a.Request.LoginHint // it is for one address, whatever is typed
	}
	social := strings.HasPrefix(form.Get(fieldWay), waySocial) // which says whose address it is
	if typed != "" || !live && !social {
		if email, err = tenancy.ParseEmail(typed); err != nil {
			s.count("bad_email")
			return s.askEmail(w, r, a, typed, text.T("Enter your e-mail address, such as jo@example.com."), http.StatusUnprocessableEntity)
		}
	}
	if live && email != "" {
		same, err := s.isAddressOf(r.Context(), who, email)
		if err != nil {
			return err
		}
		if !same {
			who, a.Another = session.Session{}, true
		}
	}
	t, err := s.turn(r.Context(), a, who, email)
	if err != nil {
		return err
	}
	if by, ok := chosen(s.ways(t), form.Get(fieldWay), form.Get(fieldConnection)); ok {
		t.AskEmail = t.AskEmail && by.method != policy.Social
		if t.open() {
			return s.goBy(w, r, a, t, by)
		}
	}
	return s.follow(w, r, a, t)
}

// isAddressOf reports whether the person of a session has this address.
func (s *Server) isAddressOf(ctx context.Context, who session.Session, email string) (same bool, err error) {
	err = s.store.View(ctx, func(tx store.Tx) error {
		u, err := tx.User(who.User)
		same = err == nil && u.Email == email
		return err
	})
	return same, unavailable(err)
}

// turn finds out what comes next, in a transaction of its own. For somebody who has
// proved nothing there is nothing to write.
func (s *Server) turn(ctx context.Context, a aim, who session.Session, email string) (t turn, err error) {
	run := s.store.Update
	if who.ID == "" {
		run = s.store.View
	}
	err = run(ctx, func(tx store.Tx) (err error) {
		now := s.now()
		if who.ID != "" {
			// It was live a moment ago; what is handed over must be live now.
			fresh, err := tx.Session(who.ID)
			if err == nil {
				err = fresh.Alive(s.limits, now)
			}
			if errors.Is(err, session.ErrEnded) || errors.Is(err, tenancy.ErrNotFound) {
				fresh, err = session.Session{}, nil
			}
			if err != nil {
				return err
			}
			if who = fresh; who.ID != "" {
				if err := session.Touch(tx, who.ID, s.limits, now); err != nil {
					return err
				}
			}
		}
		t, err = s.next(tx, a, who, email, now)
		return err
	})
	return t, unavailable(err)
}

// follow does what comes next, as far as the browser is concerned.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, a aim, t turn) error {
	if a.Another && r.Method != http.MethodPost && r.Header.Get("Sec-Fetch-Site") != "same-origin" && t.Refused == nil {
		// A link on somebody else's page, to whichever of ours, must not have anybody signed
		// out, or in as another: whoever wants to be another says who.
		t.AskEmail, t.Outcome = true, "asked_email"
	}
	if t.Denied != nil {
		b := s.browser(r)
		s.denials.Add(denial.Denial{Organization: t.Organization.ID, User: t.User, Email: t.Email, Source: t.Denied.Source, Reason: t.Denied.Reason, At: s.now(), RemoteIP: b.RemoteIP, UserAgent: b.UserAgent})
	}
	switch {
	case t.Refused != nil && len(t.Waiting) > 0:
		s.count("invitations_shown")
		return s.showInvitations(w, r, a, t.Organization, t.Email, t.Waiting, http.StatusForbidden)
	case t.Refused != nil:
		s.count(t.Outcome)
		return t.Refused
	case t.To != "":
		s.count(t.Outcome)
		return s.sendTo(w, r, t.To, t.Organization, "")
	case t.Second != 0:
		s.count(t.Outcome)
		path := pathSecond
		if t.Enroll {
			path = pathEnroll
		}
		http.Redirect(w, r, s.at(path, a, ""), http.StatusSeeOther)
		return nil
	case t.Create != 0:
		s.count(t.Outcome)
		path := pathPasskeyNew
		if !t.Create.Has(policy.Passkey) {
			path = pathPasswordNew
		}
		http.Redirect(w, r, s.at(path, a, ""), http.StatusSeeOther)
		return nil
	case t.AskEmail:
		s.count(t.Outcome)
		return s.askEmail(w, r, a, "", text.Message{}, http.StatusOK)
	}
	switch ways := s.ways(t); len(ways) {
	case 0:
		return errors.New("sign-in: a turn that leads nowhere")
	case 1:
		return s.goBy(w, r, a, t, ways[0])
	default:
		return s.askWay(w, r, a, t)
	}
}

// open reports whether it is for the person to choose how to go on.
func (t turn) open() bool {
	return t.Refused == nil && t.To == "" && t.Second == 0 && t.Create == 0 && !t.AskEmail
}

// sendTo sends the browser on. The answer to a POST, and to the pages that one leads to, is a
// page that leads there, since a redirect would be held against the policy of the page that
// the form was on.
func (s *Server) sendTo(w http.ResponseWriter, r *http.Request, to string, org tenancy.Organization, name string) error {
	if r.Method == http.MethodPost || strings.HasPrefix(r.URL.Path, pathSignIn+"/") {
		return page.Leaving{Brand: s.brand(org), To: to, Name: name}.Render(w, r, http.StatusOK)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// askEmail shows the page that asks for the address.
func (s *Server) askEmail(w http.ResponseWriter, r *http.Request, a aim, typed string, fault text.Message, status int) error {
	var org tenancy.Organization
	if a.Organization != "" {
		err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
			org, err = tx.Organization(a.Organization)
			return err
		})
		if errors.Is(err, tenancy.ErrNotFound) || err == nil && org.Suspended {
			return unknownHost()
		}
		if err != nil {
			return unavailable(err)
		}
	}
	if a.Invitation != "" {
		typed = a.Request.LoginHint
	}
	p := page.SignIn{Brand: s.brand(org), Action: s.again(a, a.Another), Email: clip(typed, maxEmail), Fault: fault}
	if err := s.offerPasskey(w, r, a, &p); err != nil {
		return err
	}
	if err := s.offerSocial(r.Context(), a, &p); err != nil {
		return err
	}
	return p.Render(w, r, status)
}

// aimOf reads what a sign-in is for from the query of /sign-in.
func (s *Server) aimOf(r *http.Request) (aim, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return aim{}, badRequest(errors.New("query is too long"))
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return aim{}, badRequest(err)
	}
	var a aim
	authorization := ""
	if v := q[paramAnother]; len(v) > 1 {
		return aim{}, badRequest(errors.New("repeated parameter"))
	} else if len(v) == 1 {
		a.Another = v[0] == "1"
		q.Del(paramAnother)
	}
	for name, values := range q {
		switch {
		case name != paramNext && name != paramFresh && name != paramStep && name != paramKind && name != paramInvitation && name != paramAuthorization:
			continue
		case len(values) != 1:
			return aim{}, badRequest(errors.New("repeated parameter"))
		case name == paramNext:
			if a.Next = next(values[0]); a.Next.path() == "" {
				return aim{}, badRequest(errors.New("no such page to go on to"))
			}
		case name == paramFresh:
			a.Fresh = values[0] == "1"
		case name == paramInvitation:
			a.Clicked = values[0]
		case name == paramAuthorization:
			authorization = values[0]
		}
		q.Del(name) // the step and the kind are read by the pages that have them
	}
	if a.Request, err = session.ParseSignInRequest(q); err != nil {
		return aim{}, badRequest(err)
	}
	if a, err = s.withAuthorization(a, authorization); err != nil {
		return aim{}, err
	}
	if a.Request.Host == "" {
		return s.withInvitation(r, a)
	}
	org, ok := s.organizationAt(a.Request.Host)
	if !ok {
		return aim{}, unknownHost()
	}
	a.Organization = org
	return s.withInvitation(r, a)
}

// organizationAt returns whose tenant host this is. It must be spelled as the tenant host
// itself spells it: it becomes a part of a URL, and is compared at the other end.
func (s *Server) organizationAt(authority string) (tenancy.OrgID, bool) {
	host, port, err := tenancy.ParseHost(authority)
	canonical := string(host)
	if port != "" {
		canonical += ":" + port
	}
	if err != nil || canonical != authority {
		return "", false
	}
	org, _, ok := s.tenants.Organization(authority)
	return org, ok
}

// again returns the URL that begins the sign-in anew; as somebody else, if another. The
// address to start with is left out: it is what did not work.
func (s *Server) again(a aim, another bool) string {
	a.Another = another
	return s.at(pathSignIn, a, "")
}

// readForm reads a small form that has each of the fields once at most.
func readForm(w http.ResponseWriter, r *http.Request, fields ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &endpoint.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Title: text.T("This form can't be read"), Text: text.T("It was not sent by one of our pages.")}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &endpoint.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Title: text.T("This form is too large"), Text: text.T("It was not sent by one of our pages.")}
		}
		return nil, badRequest(err)
	}
	for _, f := range fields {
		if len(r.PostForm[f]) > 1 {
			return nil, badRequest(errors.New("repeated field"))
		}
	}
	return r.PostForm, nil
}
