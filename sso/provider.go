package sso

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// OIDC speaks to OpenID providers; [oidc.Providers] does.
type OIDC interface {
	Start(ctx context.Context, c oidc.Connection, r oidc.StartRequest, now time.Time) (string, oidc.Flow, error)
	Finish(ctx context.Context, c oidc.Connection, f oidc.Flow, callback url.Values, now time.Time) (oidc.Assertion, error)
	LogoutURL(ctx context.Context, c oidc.Connection, r oidc.LogoutRequest) (string, error)
	VerifyLogout(ctx context.Context, c oidc.Connection, raw string, now time.Time) (oidc.Logout, error)
}

// What is sealed in the store, and for what. A client secret is bound to the id of its
// connection, and an ID token to the provider's session that it is the hint of.
const (
	clientSecretPurpose = "client secret"
	idTokenPurpose      = "upstream id token"
)

func idTokenAbout(up session.UpstreamSession) string {
	return string(up.Connection) + " " + up.Subject
}

// usable reports whether a connection may answer anybody: at the start of a sign-in, at
// its end, and at logout alike.
func usable(c tenancy.Connection) bool {
	return !c.Disabled && (c.Type == "oidc" && c.OIDC != nil || c.Type == "saml" && c.SAML != nil)
}

// connection returns a usable connection of an organization that is there and not
// suspended, and nil if it is none.
func connection(tx store.Tx, org tenancy.OrgID, id tenancy.ConnectionID) (*tenancy.Connection, error) {
	if org == "" || id == "" {
		return nil, nil
	}
	o, err := tx.Organization(org)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && o.Suspended {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c, err := tx.Connection(org, id)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && !usable(c) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// configured is a digest of what makes a connection the one that it is: another issuer, client
// or entity id is another provider, whatever the connection is called.
func configured(c tenancy.Connection) string {
	var what []byte
	switch {
	case c.OIDC != nil:
		what = fmt.Appendf(nil, "%q %q", c.OIDC.Issuer, c.OIDC.ClientID)
	case c.SAML != nil && c.SAML.Provider != nil:
		what = fmt.Appendf(nil, "saml %q", c.SAML.Provider.EntityID)
	case c.SAML != nil:
		what = fmt.Appendf(nil, "saml %q %q", c.SAML.MetadataURL, c.SAML.EntityID)
	}
	sum := sha256.Sum256(what)
	return hex.EncodeToString(sum[:16])
}

// client returns a connection of OIDC as package oidc wants it.
func (s *Server) client(c tenancy.Connection) (oidc.Connection, error) {
	if c.OIDC == nil {
		return oidc.Connection{}, fmt.Errorf("connection %s is not of OIDC", c.ID)
	}
	conn := oidc.Connection{
		ID: string(c.ID), Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID,
		Scopes: c.OIDC.Scopes, GroupsClaim: c.OIDC.GroupsClaim,
	}
	if len(c.OIDC.ClientSecret) > 0 {
		plain, err := s.box.Open(clientSecretPurpose, string(c.ID), c.OIDC.ClientSecret)
		if err != nil {
			return oidc.Connection{}, fmt.Errorf("client secret of connection %s: %w", c.ID, err)
		}
		conn.ClientSecret = idp.Secret(plain)
	}
	return conn, nil
}

// leave sends the browser to the identity provider of the one connection in t.Ask.
func (s *Server) leave(w http.ResponseWriter, r *http.Request, a aim, t turn) error {
	c := t.Ask[0]
	if a.Steps >= maxSteps || a.Last == c.ID {
		s.count("sign_in_loop")
		return s.looping(a, fmt.Errorf("connection %s is asked again after %d identity providers", c.ID, a.Steps))
	}
	f := flow{Aim: a, Connection: c.ID, Owner: c.Organization, Configured: configured(c), MaxAge: t.MaxAge, ExpiresAt: s.now().Add(flowLife)}
	begin := s.leaveByOIDC
	if c.SAML != nil {
		begin = s.leaveBySAML
	}
	err := begin(w, r, f, c, t)
	if _, ok := errors.AsType[*idp.Error](err); ok {
		e, hint := s.providerRefused(a, t.Organization, err)
		s.logFailure(r, c, e.Code, hint, err)
		s.count(e.Code)
		return e
	}
	return err
}

// leaveByOIDC sends the browser to an OpenID provider. The flow lacks what is OIDC's own.
func (s *Server) leaveByOIDC(w http.ResponseWriter, r *http.Request, f flow, c tenancy.Connection, t turn) error {
	conn, err := s.client(c)
	if err != nil {
		return err
	}
	own, err := s.ownCallback(r.Context(), c)
	if err != nil {
		return err
	}
	now := s.now()
	to, started, err := s.oidc.Start(r.Context(), conn, oidc.StartRequest{
		RedirectURI: s.url(pathCallback), OwnRedirectURI: own, LoginHint: t.Hint, MaxAge: t.MaxAge, Scopes: s.scopesFor(f.Aim, c),
	}, now)
	if err != nil {
		return err
	}
	if f.Aim.Another {
		// Else the provider would sign in whoever it has, at once and without a word.
		// It is a courtesy, so nothing is made of an answer that ignores it.
		if to, err = withPrompt(to, "login"); err != nil {
			return err
		}
	}
	f.OIDC = started
	if err := s.flows.keep(w, r, f, now); err != nil {
		return err
	}
	s.count("sent_to_provider")
	return s.sendTo(w, r, to, t.Organization, c.Name)
}

// scopesFor is what a client wants the provider of a connection asked for: of the one that it named, by itself or, for a
// profile, by its organization.
func (s *Server) scopesFor(a aim, c tenancy.Connection) []string {
	if a.App == nil || !a.App.Profile && a.App.Connection != c.ID {
		return nil
	}
	return s.stillAsked(a.App)
}

// ownCallback returns the redirect URI that no other connection has.
func (s *Server) ownCallback(ctx context.Context, c tenancy.Connection) (string, error) {
	var org tenancy.Organization
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		org, err = tx.Organization(c.Organization)
		return err
	})
	return s.url(pathCallback + "/" + url.PathEscape(string(org.Slug)) + "/" + url.PathEscape(c.Name)), unavailable(err)
}

// withPrompt adds to an authorization request that the provider asks who is there.
func withPrompt(to, prompt string) (string, error) {
	u, err := url.Parse(to)
	if err != nil {
		return "", err
	}
	kept := slices.DeleteFunc(strings.Split(u.RawQuery, "&"), isPair("prompt"))
	u.RawQuery = appended(strings.Join(kept, "&"), "prompt", prompt)
	return u.String(), nil
}

// providerRefused says what package oidc or saml found, in words for the person; hint is for the
// operator's log.
func (s *Server) providerRefused(a aim, org tenancy.Organization, err error) (e *endpoint.Error, hint string) {
	e = &endpoint.Error{
		Status: http.StatusForbidden, Code: "provider_error", Title: text.T("Signing in did not work"), Organization: org.Name,
		Text: text.T("Your identity provider's answer could not be accepted."), Hint: text.T("Tell the people who look after your sign-in the id below."),
		ActionURL: s.again(a, a.Another), ActionText: text.T("Try again"), Err: err,
	}
	cause, ok := errors.AsType[*idp.Error](err)
	if !ok {
		e.Status = http.StatusInternalServerError
		return e, ""
	}
	e.Code, e.Text = string(cause.Code), cause.Text
	if cause.Retry {
		e.Hint = text.T("Try again. If it goes on, tell the people who look after your sign-in the id below.")
	}
	switch cause.Code {
	case idp.CodeUnreachable, idp.CodeUnavailable:
		e.Status = http.StatusBadGateway
	case idp.CodeSlow:
		e.Status = http.StatusGatewayTimeout
	case idp.CodeCallback, idp.CodeState, idp.CodeFlowExpired:
		e.Status = http.StatusBadRequest
	case idp.CodeDenied:
		e.Title = text.T("You were not let in")
	default: // it answered, and what it said is no good
	}
	return e, cause.Hint
}
