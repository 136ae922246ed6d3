package ssotest

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// logout is the end_session_endpoint. With an ID token of the session as a hint it signs
// out at once, else it asks.
func (p *Provider) logout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if s := p.session(r); s != nil && q.Get("id_token_hint") != "" {
		p.mu.Lock()
		ours := s.hints[q.Get("id_token_hint")]
		p.mu.Unlock()
		if ours {
			p.signOutHere(w, r, q)
			return
		}
	}
	p.render(w, http.StatusOK, "logout.html", logoutPage{base: p.base(), Action: p.prefix + "/logout",
		Client: q.Get("client_id"), To: q.Get("post_logout_redirect_uri"), State: q.Get("state")})
}

// signOut takes the click.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.refuse(w, http.StatusBadRequest, "That form can't be read.")
		return
	}
	p.signOutHere(w, r, r.PostForm)
}

func (p *Provider) signOutHere(w http.ResponseWriter, r *http.Request, q url.Values) {
	if c, err := r.Cookie(sessionCookie); err == nil {
		p.mu.Lock()
		s := p.sessions[c.Value]
		delete(p.sessions, c.Value)
		p.mu.Unlock()
		if s != nil {
			if err := p.tell(r.Context(), s); err != nil {
				p.options.Log.WarnContext(r.Context(), "back-channel logout failed", "error", err)
			}
		}
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: p.prefix + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
	c, _ := p.client(q.Get("client_id"))
	to := q.Get("post_logout_redirect_uri")
	if u, err := url.Parse(to); err == nil && slices.Contains(c.PostLogoutURIs, to) {
		if state := q.Get("state"); state != "" {
			values := u.Query()
			values.Set("state", state)
			u.RawQuery = values.Encode()
		}
		http.Redirect(w, r, u.String(), http.StatusFound)
		return
	}
	p.render(w, http.StatusOK, "message.html", messagePage{base: p.base(), Title: "Signed out", Text: "You are signed out here."})
}

// SignOutEverywhere ends all sessions of a person at the provider, as its administrator
// would, and tells every application by back channel.
func (p *Provider) SignOutEverywhere(ctx context.Context, subject string) error {
	var ended []*session
	p.mu.Lock()
	for cookie, s := range p.sessions {
		if s.person == subject {
			ended = append(ended, s)
			delete(p.sessions, cookie)
		}
	}
	p.mu.Unlock()
	var errs []error
	for _, s := range ended {
		errs = append(errs, p.tell(ctx, s))
	}
	return errors.Join(errs...)
}

// tell sends a logout token to each application that got tokens in the session.
func (p *Provider) tell(ctx context.Context, s *session) error {
	p.mu.Lock()
	var to []Client
	for _, c := range p.clients {
		if s.clients[c.ID] && c.BackchannelLogoutURI != "" {
			to = append(to, c)
		}
	}
	p.mu.Unlock()
	var errs []error
	for _, c := range to {
		errs = append(errs, p.post(ctx, c.BackchannelLogoutURI, url.Values{"logout_token": {p.LogoutToken(c, s.person, s.sid, nil)}}))
	}
	return errors.Join(errs...)
}

// LogoutToken makes a logout token for a client, as edit changes it.
func (p *Provider) LogoutToken(c Client, subject, sid string, edit func(map[string]any)) string {
	now := p.options.Now()
	cs := map[string]any{
		"iss": p.options.Issuer, "aud": c.ID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": random(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if subject != "" {
		cs["sub"] = subject
	}
	if sid != "" {
		cs["sid"] = sid
	}
	if edit != nil {
		edit(cs)
	}
	p.mu.Lock()
	faults := p.faults
	p.mu.Unlock()
	return p.keys.sign(c.Algorithm, "logout+jwt", cs, faults)
}
