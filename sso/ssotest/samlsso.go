package ssotest

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/beevik/etree"
)

// sso takes an AuthnRequest.
func (p *SAMLProvider) sso(w http.ResponseWriter, r *http.Request) {
	in, err := p.input(r, "SAMLRequest")
	var sp SAMLServiceProvider
	if err == nil {
		sp, err = p.accept(in, "AuthnRequest", "/sso", false)
	}
	if err != nil {
		p.refuse(w, http.StatusBadRequest, "That is no good request: "+err.Error()+".")
		return
	}
	attr := func(name string) string { return in.root.SelectAttrValue(name, "") }
	if acs := attr("AssertionConsumerServiceURL"); acs != "" && acs != sp.ACS {
		// Not an answer: nobody says that this address is the application's.
		p.refuse(w, http.StatusBadRequest, "The address "+strconv.Quote(acs)+" is not registered for this application.")
		return
	}
	isTrue := func(s string) bool { return s == "true" || s == "1" }
	req := &samlRequest{sp: sp, ask: p.asking(sp, attr("ID")), relay: in.relay, force: isTrue(attr("ForceAuthn")), passive: isTrue(attr("IsPassive"))}
	req.hint = r.URL.Query().Get("login_hint")
	if s := in.root.SelectElement("Subject"); s != nil {
		req.hint = childText(s, "NameID")
	}
	if policy := in.root.SelectElement("NameIDPolicy"); policy != nil {
		if f := policy.SelectAttrValue("Format", ""); slices.Contains([]string{NameIDPersistent, NameIDEmail, NameIDTransient}, f) {
			req.ask.NameIDFormat = f
		}
	}
	p.begin(w, r, req)
}

// start has the provider begin, without a request.
func (p *SAMLProvider) start(w http.ResponseWriter, r *http.Request) {
	sp, known := p.serviceProvider(r.URL.Query().Get("sp"))
	if !known {
		p.refuse(w, http.StatusBadRequest, "This provider knows no application called "+strconv.Quote(r.URL.Query().Get("sp"))+".")
		return
	}
	p.begin(w, r, &samlRequest{sp: sp, ask: p.asking(sp, ""), relay: r.URL.Query().Get("relay")})
}

func (p *SAMLProvider) asking(sp SAMLServiceProvider, id string) SAMLAsk {
	return SAMLAsk{ACS: sp.ACS, Audience: sp.EntityID, InResponseTo: id, Signed: sp.Signed, Encrypt: sp.Encrypt, Certificate: sp.Certificate}
}

// begin remembers a request and sends the browser to the page for it, by a redirect: with a
// form from another site it did not send the cookie.
func (p *SAMLProvider) begin(w http.ResponseWriter, r *http.Request, req *samlRequest) {
	id := random()
	req.expires = p.options.Now().Add(requestLife)
	p.mu.Lock()
	ok := keep(p.requests, id, req, func(x *samlRequest) bool { return x.expires.Before(p.options.Now()) })
	p.mu.Unlock()
	if !ok {
		p.refuse(w, http.StatusServiceUnavailable, "Too many people are signing in.")
		return
	}
	http.Redirect(w, r, p.prefix+"/people?request="+url.QueryEscape(id), http.StatusSeeOther)
}

// proceed shows the page of people, or answers at once where somebody is signed in.
func (p *SAMLProvider) proceed(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("request")
	s := p.session(r)
	p.mu.Lock()
	req := p.requests[id]
	through := req != nil && s != nil && !req.force && (p.options.Remember || req.passive)
	if req != nil && (through || req.passive) {
		delete(p.requests, id)
	}
	p.mu.Unlock()
	switch {
	case req == nil || req.expires.Before(p.options.Now()):
		p.tooOld(w)
	case through:
		p.grant(w, req, s)
	case req.passive:
		p.send(w, req, p.refusal(req.ask, "Responder", "NoPassive"))
	default:
		render(w, http.StatusOK, "people.html", p.peoplePage(id, req, s))
	}
}

func (p *SAMLProvider) tooOld(w http.ResponseWriter) {
	p.refuse(w, http.StatusBadRequest, "This page is too old, or was used already. Go back to the application and sign in again.")
}

// choose takes the click on a person.
func (p *SAMLProvider) choose(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	req := p.requests[r.PostFormValue("request")]
	delete(p.requests, r.PostFormValue("request"))
	p.mu.Unlock()
	if req == nil || req.expires.Before(p.options.Now()) {
		p.tooOld(w)
		return
	}
	if r.PostFormValue("deny") != "" {
		p.send(w, req, p.refusal(req.ask, "Responder", "AuthnFailed"))
		return
	}
	person, ok := p.person(r.PostFormValue("person"))
	if !ok {
		p.refuse(w, http.StatusBadRequest, "This provider knows nobody by that name.")
		return
	}
	p.grant(w, req, p.signIn(w, r, person))
}

// signIn begins a session, with a fresh cookie.
func (p *SAMLProvider) signIn(w http.ResponseWriter, r *http.Request, person Person) *samlSession {
	s := &samlSession{person: person.Subject, index: samlID(), at: p.options.Now(), names: map[string]samlName{}}
	cookie := random()
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, err := r.Cookie(sessionCookie); err == nil {
		delete(p.sessions, c.Value)
	}
	keep(p.sessions, cookie, s, func(x *samlSession) bool { return p.options.Now().Sub(x.at) > 24*time.Hour })
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: cookie, Path: p.prefix + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return s
}

func (p *SAMLProvider) session(r *http.Request) *samlSession {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sessions[c.Value]
}

// grant answers with who is signed in.
func (p *SAMLProvider) grant(w http.ResponseWriter, req *samlRequest, s *samlSession) {
	person, _ := p.person(s.person)
	ask := req.ask
	ask.SessionIndex, ask.AuthnInstant = s.index, s.at
	// A transient name is the same for all of a session, so that logout can use it.
	ask.NameIDFormat, ask.NameID = p.nameID(ask, person)
	p.mu.Lock()
	if known := s.names[req.sp.EntityID]; known.format == NameIDTransient && ask.NameIDFormat == NameIDTransient {
		ask.NameID = known.value
	}
	s.names[req.sp.EntityID] = samlName{ask.NameIDFormat, ask.NameID}
	p.mu.Unlock()
	p.post(w, req, p.Respond(ask, person, p.misbehaviour()))
}

// send answers with a message that has no assertion; it is signed.
func (p *SAMLProvider) send(w http.ResponseWriter, req *samlRequest, message *etree.Element) {
	p.sign(message, SAMLSigning{})
	p.post(w, req, base64.StdEncoding.EncodeToString([]byte(elementText(message))))
}

// post shows the form that carries a response.
func (p *SAMLProvider) post(w http.ResponseWriter, req *samlRequest, response string) {
	relay := edited(req.relay, []SAMLFaults{p.misbehaviour()}, func(f SAMLFaults) func(string) string { return f.RelayState })
	p.form(w, req.sp, req.ask.ACS, url.Values{"SAMLResponse": {response}, "RelayState": {relay}})
}
