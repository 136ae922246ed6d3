package sso

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
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
	if a.Another && r.Header.Get("Sec-Fetch-Site") != "same-origin" && t.Refused == nil {
		// A link on somebody else's page must not have anybody signed out, or in as
		// another: whoever wants to be another says who.
		t.AskEmail, t.Outcome = true, "asked_email"
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
	form, err := readForm(w, r, "email", "connection")
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
	if typed != "" || !live {
		if email, err = tenancy.ParseEmail(typed); err != nil {
			s.count("bad_email")
			return s.askEmail(w, r, a, typed, "Enter your e-mail address, such as jo@example.com.", http.StatusUnprocessableEntity)
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
	if chosen := tenancy.ConnectionID(form.Get("connection")); chosen != "" {
		for _, c := range t.Ask {
			if c.ID == chosen {
				t.Ask = []tenancy.Connection{c}
				break
			}
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
	switch {
	case t.Refused != nil:
		s.count(t.Outcome)
		return t.Refused
	case t.To != "":
		s.count(t.Outcome)
		return s.sendTo(w, r, t.To, t.Organization, "")
	case t.AskEmail:
		s.count(t.Outcome)
		return s.askEmail(w, r, a, "", "", http.StatusOK)
	case len(t.Ask) == 1:
		return s.leave(w, r, a, t)
	case len(t.Ask) > 1:
		s.count("asked_choice")
		return s.askChoice(w, a, t)
	default:
		return errors.New("sign-in: a turn that leads nowhere")
	}
}

// sendTo sends the browser on. The answer to a POST is a page that leads there, since
// a redirect would be held against the policy of the page that the form was on.
func (s *Server) sendTo(w http.ResponseWriter, r *http.Request, to string, org tenancy.Organization, name string) error {
	if r.Method == http.MethodPost {
		return page.Leaving{Brand: brand(org), To: to, Name: name}.Render(w, http.StatusOK)
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

// askEmail shows the page that asks for the address.
func (s *Server) askEmail(w http.ResponseWriter, r *http.Request, a aim, typed, fault string, status int) error {
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
	return page.SignIn{Brand: brand(org), Action: s.again(a, a.Another), Email: clip(typed, maxEmail), Fault: fault}.Render(w, status)
}

// askChoice shows the page with the identity providers that would do.
func (s *Server) askChoice(w http.ResponseWriter, a aim, t turn) error {
	p := page.Choose{Brand: brand(t.Organization), Action: s.again(a, a.Another), Hidden: map[string]string{"email": t.Email}, Email: t.Email, Change: s.again(a, true)}
	for _, c := range t.Ask {
		p.Choices = append(p.Choices, page.Choice{Name: "connection", Value: string(c.ID), Label: c.Name})
	}
	return p.Render(w, http.StatusOK)
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
	if v := q[paramAnother]; len(v) > 1 {
		return aim{}, badRequest(errors.New("repeated parameter"))
	} else if len(v) == 1 {
		a.Another = v[0] == "1"
		q.Del(paramAnother)
	}
	if a.Request, err = session.ParseSignInRequest(q); err != nil {
		return aim{}, badRequest(err)
	}
	if a.Request.Host == "" {
		return a, nil
	}
	org, ok := s.organizationAt(a.Request.Host)
	if !ok {
		return aim{}, unknownHost()
	}
	a.Organization = org
	return a, nil
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
	a.Request.LoginHint = ""
	q := a.Request.Values()
	if another {
		q.Set(paramAnother, "1")
	}
	if len(q) == 0 {
		return s.url(pathSignIn)
	}
	return s.url(pathSignIn) + "?" + q.Encode()
}

func brand(org tenancy.Organization) page.Brand { return page.Brand{Organization: org.Name} }

// readForm reads a small form that has each of the fields once at most.
func readForm(w http.ResponseWriter, r *http.Request, fields ...string) (url.Values, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, &endpoint.Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Title: "This form can't be read", Text: "It was not sent by one of our pages."}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, &endpoint.Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Title: "This form is too large", Text: "It was not sent by one of our pages."}
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
