package sso

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// askSignOut is GET /sign-out. It asks for a click: a link or a picture on somebody
// else's page must not sign anybody out.
func (s *Server) askSignOut(w http.ResponseWriter, r *http.Request) error {
	who, live, err := s.current(r)
	if err != nil {
		return err
	}
	if !live {
		http.Redirect(w, r, pathSignedOut, http.StatusSeeOther)
		return nil
	}
	var u tenancy.User
	err = s.store.View(r.Context(), func(tx store.Tx) (err error) {
		u, err = tx.User(who.User)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return page.SignOut{Email: u.Email, Action: s.url(pathSignOut), Stay: s.url("/")}.Render(w, r, http.StatusOK)
}

// signOut is POST /sign-out: in this browser, which is its session and everything that
// was handed over from it; with everywhere=1, in every browser of the person.
//
// Here, the person is then sent on to sign out at the identity provider too, where it has
// a page for that: on a shared computer the next one would else be signed in by one click.
// Everywhere, that page is only offered, since it can end but one of the provider's
// sessions.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	everywhere := r.URL.Query().Get("everywhere") == "1"
	if r.ContentLength != 0 {
		form, err := readForm(w, r, "everywhere")
		if err != nil {
			return err
		}
		everywhere = everywhere || form.Get("everywhere") == "1"
	}
	var who session.Session
	var upstream *tenancy.Connection
	var hint session.UpstreamSession
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		upstream, hint = nil, session.UpstreamSession{}
		var live bool
		var err error
		if who, live, err = s.liveIn(tx, r); err != nil || !live {
			return err
		}
		if upstream, hint, err = lastUpstream(tx, who); err != nil {
			return err
		}
		by := audit.Actor{Type: "user", ID: string(who.User)}
		// Nobody whom one organization's provider alone vouches for ends what the
		// person has elsewhere.
		if everywhere = everywhere && who.ConfinedTo == ""; everywhere {
			return session.EndAll(tx, who.User, "", by, s.now())
		}
		return session.End(tx, who.ID, by, s.now())
	})
	if err != nil {
		return unavailable(err)
	}
	s.jar.Clear(w, cookie.Login)
	s.count(map[bool]string{true: "signed_out_everywhere", false: "signed_out"}[everywhere])

	away, there := saml.Message{}, false
	if upstream != nil {
		away, there = s.upstreamLogout(r.Context(), *upstream, hint)
	}
	if there && !everywhere {
		return s.carry(w, r, away, tenancy.Organization{}, upstream.Name)
	}
	p := page.SignedOut{Everywhere: everywhere, SignIn: s.url(pathSignIn)}
	if there && away.Binding == saml.Redirect { // a form can't be linked to
		p.Upstream = away.URL
	}
	return p.Render(w, r, http.StatusOK)
}

// lastUpstream returns the provider's session behind the newest proof whose connection is
// still in use.
func lastUpstream(tx store.Tx, who session.Session) (*tenancy.Connection, session.UpstreamSession, error) {
	for i := len(who.Upstream) - 1; i >= 0; i-- {
		up := who.Upstream[i]
		c, err := connection(tx, up.Organization, up.Connection)
		if err != nil {
			return nil, session.UpstreamSession{}, err
		}
		if c != nil {
			return c, up, nil
		}
	}
	return nil, session.UpstreamSession{}, nil
}

// upstreamLogout returns what has the person sign out at the provider; ok is false if it has no
// place for that. Whatever goes wrong here, our own sessions have ended already.
func (s *Server) upstreamLogout(ctx context.Context, c tenancy.Connection, up session.UpstreamSession) (m saml.Message, ok bool) {
	var err error
	if c.SAML != nil {
		m, ok, err = s.logoutBySAML(ctx, c, up)
	} else {
		m.Binding = saml.Redirect
		m.URL, err = s.logoutURL(ctx, c, up)
		ok = m.URL != ""
	}
	if err != nil {
		s.log.WarnContext(ctx, "no logout at the identity provider", "request_id", endpoint.RequestID(ctx), "connection", c.ID, "cause", err)
		return saml.Message{}, false
	}
	return m, ok
}

// logoutURL returns the OpenID provider's page for signing out there, or "" if it has none.
func (s *Server) logoutURL(ctx context.Context, c tenancy.Connection, up session.UpstreamSession) (string, error) {
	conn, err := s.client(c)
	if err != nil {
		return "", err
	}
	var idToken string
	if len(up.IDToken) > 0 {
		if plain, err := s.box.Open(idTokenPurpose, idTokenAbout(up), up.IDToken); err == nil {
			idToken = string(plain)
		}
	}
	return s.oidc.LogoutURL(ctx, conn, oidc.LogoutRequest{IDToken: idToken, RedirectURI: s.url(pathSignedOut), State: rand.Text()})
}

// logoutBySAML returns the LogoutRequest for the provider.
func (s *Server) logoutBySAML(ctx context.Context, c tenancy.Connection, up session.UpstreamSession) (m saml.Message, ok bool, err error) {
	var p samlParty
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		p, err = s.samlParty(tx, c, s.now())
		return err
	})
	if err != nil || p.known() != nil || up.NameID == nil {
		return saml.Message{}, false, err
	}
	n := saml.NameID{Value: up.Subject, Format: up.NameID.Format, NameQualifier: up.NameID.NameQualifier, SPNameQualifier: up.NameID.SPNameQualifier}
	return p.StartLogout(n, up.SID, "", s.now())
}

// signedOut is GET /signed-out: where an identity provider sends the browser back to, and
// a tenant host, with host, after signing out there. It changes nothing and believes nothing.
func (s *Server) signedOut(w http.ResponseWriter, r *http.Request) error {
	p := page.SignedOut{SignIn: s.url(pathSignIn)}
	host := r.URL.Query().Get("host")
	if id, ok := s.organizationAt(host); ok {
		var org tenancy.Organization
		err := s.store.View(r.Context(), func(tx store.Tx) (err error) {
			org, err = tx.Organization(id)
			return err
		})
		switch {
		case err == nil && !org.Suspended:
			p.Brand, p.SignIn = s.brand(org), (&url.URL{Scheme: s.publicURL.Scheme, Host: host, Path: "/"}).String()
		case err != nil && !errors.Is(err, tenancy.ErrNotFound):
			return unavailable(err)
		}
	}
	return p.Render(w, r, http.StatusOK)
}
