package ssotest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const sessionCookie = "ssotest"

// authorize answers an authorization request: with a page of people to choose from, or,
// where that is asked for and somebody is signed in, with a code at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	c, known := p.client(q.Get("client_id"))
	switch {
	case !known:
		p.refuse(w, http.StatusBadRequest, "This provider knows no application called "+strconv.Quote(q.Get("client_id"))+".")
		return
	case !slices.Contains(c.RedirectURIs, q.Get("redirect_uri")):
		// Not a redirect: nobody says that this address is the application's.
		p.refuse(w, http.StatusBadRequest, "The redirect URI "+strconv.Quote(q.Get("redirect_uri"))+" is not registered for this application.")
		return
	}
	req := &request{
		client: c, redirectURI: q.Get("redirect_uri"), state: q.Get("state"), nonce: q.Get("nonce"), scope: q.Get("scope"),
		pkce: q.Get("code_challenge"), loginHint: q.Get("login_hint"), expires: p.options.Now().Add(requestLife),
	}
	switch {
	case q.Get("response_type") != "code":
		p.answer(w, r, req, url.Values{"error": {"unsupported_response_type"}})
		return
	case !slices.Contains(strings.Fields(req.scope), "openid"):
		p.answer(w, r, req, url.Values{"error": {"invalid_scope"}})
		return
	case req.pkce == "" || q.Get("code_challenge_method") != "S256":
		p.answer(w, r, req, url.Values{"error": {"invalid_request"}, "error_description": {"PKCE with S256 is required"}})
		return
	}
	s := p.session(r)
	prompt := strings.Fields(q.Get("prompt"))
	through := s != nil && !slices.Contains(prompt, "login")
	if age, err := strconv.Atoi(q.Get("max_age")); err == nil && through {
		through = p.options.Now().Sub(s.at) <= time.Duration(age)*time.Second
	}
	switch {
	case through && (p.options.Remember || slices.Contains(prompt, "none")):
		p.grant(w, r, req, s)
	case slices.Contains(prompt, "none"):
		p.answer(w, r, req, url.Values{"error": {"login_required"}})
	default:
		p.people(w, req, s)
	}
}

// people shows the page.
func (p *Provider) people(w http.ResponseWriter, req *request, s *session) {
	id := random()
	p.mu.Lock()
	ok := keep(p.requests, id, req, func(x *request) bool { return x.expires.Before(p.options.Now()) })
	p.mu.Unlock()
	if !ok {
		p.refuse(w, http.StatusServiceUnavailable, "Too many people are signing in.")
		return
	}
	data := peoplePage{base: p.base(), Action: p.prefix + "/authorize", Request: id, Application: req.client.Name}
	if data.Application == "" {
		data.Application = req.client.ID
	}
	for _, x := range p.options.People {
		e := personEntry{Subject: x.Subject, Name: x.Name, Email: x.Email, Note: x.Note, Initials: initials(x)}
		e.Hinted = req.loginHint != "" && (strings.EqualFold(req.loginHint, x.Email) || req.loginHint == x.Subject)
		e.Current = s != nil && s.person == x.Subject
		if e.Name == "" {
			e.Name = x.Subject
		}
		data.People = append(data.People, e)
	}
	// Who was hinted at comes first; the others keep their order.
	slices.SortStableFunc(data.People, func(a, b personEntry) int {
		return strings.Compare(strconv.FormatBool(b.Hinted), strconv.FormatBool(a.Hinted))
	})
	p.render(w, http.StatusOK, "people.html", data)
}

// choose takes the click on a person.
func (p *Provider) choose(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	req := p.requests[r.PostFormValue("request")]
	delete(p.requests, r.PostFormValue("request"))
	p.mu.Unlock()
	if req == nil || req.expires.Before(p.options.Now()) {
		p.refuse(w, http.StatusBadRequest, "This page is too old, or was used already. Go back to the application and sign in again.")
		return
	}
	if r.PostFormValue("deny") != "" {
		p.answer(w, r, req, url.Values{"error": {"access_denied"}, "error_description": {"the person said no"}})
		return
	}
	person, ok := p.person(r.PostFormValue("person"))
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This provider knows nobody by that name.")
		return
	}
	p.grant(w, r, req, p.signIn(w, r, person))
}

// signIn begins a session, with a fresh cookie.
func (p *Provider) signIn(w http.ResponseWriter, r *http.Request, person Person) *session {
	s := &session{person: person.Subject, sid: random(), at: p.options.Now(), clients: map[string]bool{}, hints: map[string]bool{}}
	cookie := random()
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, err := r.Cookie(sessionCookie); err == nil {
		delete(p.sessions, c.Value)
	}
	keep(p.sessions, cookie, s, func(x *session) bool { return p.options.Now().Sub(x.at) > 24*time.Hour })
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: cookie, Path: p.prefix + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return s
}

func (p *Provider) session(r *http.Request) *session {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[c.Value]
}

// grant sends the browser back with a code.
func (p *Provider) grant(w http.ResponseWriter, r *http.Request, req *request, s *session) {
	person, _ := p.person(s.person)
	g := &grant{request: *req, session: s, person: person}
	g.expires = p.options.Now().Add(codeLife)
	code := random()
	p.mu.Lock()
	ok := keep(p.codes, code, g, func(x *grant) bool { return x.expires.Before(p.options.Now()) })
	p.mu.Unlock()
	if !ok {
		p.answer(w, r, req, url.Values{"error": {"temporarily_unavailable"}})
		return
	}
	p.answer(w, r, req, url.Values{"code": {code}})
}

// answer sends the browser back to the application.
func (p *Provider) answer(w http.ResponseWriter, r *http.Request, req *request, values url.Values) {
	if req.state != "" {
		values.Set("state", req.state)
	}
	values.Set("iss", p.options.Issuer)
	p.mu.Lock()
	edit := p.faults.Callback
	p.mu.Unlock()
	if edit != nil {
		edit(values)
	}
	u, err := url.Parse(req.redirectURI)
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "The redirect URI is not a URL.")
		return
	}
	q := u.Query()
	maps.Copy(q, values)
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusFound)
}
