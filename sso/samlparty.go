package sso

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/saml"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	pathSAML = "/sso/saml"
	// maxSAMLKeys is how many key pairs of ours are kept unsealed: two of each of 1,000
	// connections. One that was pushed out is unsealed again.
	maxSAMLKeys = 2000
)

// samlRoutes are the routes of the SAML connections. What providers have browsers post comes from
// another site: it rests on its signature, and makes no session before the browser comes by itself.
func (s *Server) samlRoutes() []endpoint.Route {
	at := pathSAML + "/{connection}"
	return []endpoint.Route{
		{Side: endpoint.Login, Pattern: "GET " + at + "/metadata", Access: endpoint.Public, Handle: s.polite(s.visits, s.samlMetadata)},
		{Side: endpoint.Login, Pattern: "POST " + at + "/acs", Access: endpoint.Public, CrossSite: true, Handle: s.polite(s.strangers, s.samlACS)},
		{Side: endpoint.Login, Pattern: "GET " + at + "/finish", Access: endpoint.Public, Handle: s.polite(s.strangers, s.samlFinish)},
		{Side: endpoint.Login, Pattern: "POST " + at + "/finish", Access: endpoint.Public, Handle: s.polite(s.strangers, s.samlConfirmed)},
		{Side: endpoint.Login, Pattern: "GET " + at + "/start", Access: endpoint.Public, Handle: s.polite(s.visits, s.samlStart)},
		{Side: endpoint.Login, Pattern: "GET " + at + "/test", Access: endpoint.Public, Handle: s.polite(s.visits, s.beginTrial)},
		{Side: endpoint.Login, Pattern: "GET " + at + "/slo", Access: endpoint.Public, Handle: s.polite(s.strangers, s.samlLogout)},
		{Side: endpoint.Login, Pattern: "POST " + at + "/slo", Access: endpoint.Public, CrossSite: true, Handle: s.polite(s.strangers, s.samlLogout)},
	}
}

// samlPath returns the path of one of a connection's addresses. They are made of what the operator
// has called it, so that they can be typed in at the provider before orgate runs. A slug has no dot.
func samlPath(org tenancy.Organization, c tenancy.Connection, what string) string {
	return pathSAML + "/" + string(org.Slug) + "." + c.Name + "/" + what
}

// SAMLAddress returns the URL of one of a connection's addresses on a login host: what is metadata,
// which is also our entity id, acs or slo.
func SAMLAddress(publicURL string, org tenancy.Organization, c tenancy.Connection, what string) string {
	return strings.TrimSuffix(publicURL, "/") + samlPath(org, c, what)
}

// A samlParty is a SAML connection, ready to be spoken with.
type samlParty struct {
	saml.Connection
	row tenancy.Connection
	org tenancy.Organization
}

// samlAt returns the usable SAML connection that the address names, by slug and name;
// what is not there, is disabled or is of OIDC is all the same page.
func (s *Server) samlAt(r *http.Request) (p samlParty, err error) {
	name := r.PathValue("connection")
	err = s.store.View(r.Context(), func(tx store.Tx) error {
		var c *tenancy.Connection
		slug, conn, ok := strings.Cut(clip(name, 160), ".")
		if ok {
			c, err = addressed(tx, slug, conn)
		}
		if err != nil {
			return err
		}
		if c == nil || c.SAML == nil {
			return noConnection()
		}
		p, err = s.samlParty(tx, *c, s.now())
		return err
	})
	return p, unavailable(err)
}

// noConnection is the page for the address of a connection that is not there.
func noConnection() *endpoint.Error {
	return &endpoint.Error{
		Status: http.StatusNotFound, Code: "unknown_connection", Title: text.T("There is nothing at this address"),
		Text: text.T("No connection to an identity provider is in use here."), Hint: text.T("Go back to the app and start again from there."),
	}
}

// samlParty returns a connection as package saml wants it. It may know nothing of its provider
// yet: see [samlParty.known].
func (s *Server) samlParty(tx store.Tx, c tenancy.Connection, now time.Time) (samlParty, error) {
	org, err := tx.Organization(c.Organization)
	if err != nil {
		return samlParty{}, err
	}
	state, err := tx.SAMLState(c.Organization, c.ID)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return samlParty{}, err
	}
	p := samlParty{row: c, org: org, Connection: saml.Connection{
		ID: string(c.ID), EntityID: s.url(samlPath(org, c, "metadata")), ACS: s.url(samlPath(org, c, "acs")), SLO: s.url(samlPath(org, c, "slo")),
		SignRequests: c.SAML.SignRequests, NameIDFormat: c.SAML.NameIDFormat, Attributes: saml.Attributes(c.SAML.Attributes),
	}}
	if known, ok := tenancy.KnownSAML(*c.SAML, state, now); ok {
		p.IDP = saml.Recorded(known)
	}
	for _, k := range tenancy.SAMLKeys(state, now) {
		key, err := s.samlKey(c.ID, k)
		if err != nil {
			return samlParty{}, err
		}
		p.Keys = append(p.Keys, key)
	}
	return p, nil
}

// known returns nil if the provider is known, else why nobody can be sent there.
func (p samlParty) known() error {
	if p.IDP.EntityID != "" && len(p.Keys) > 0 {
		return nil
	}
	return &idp.Error{
		Protocol: "saml", Code: "metadata_missing", Text: text.T("Your identity provider is not known here yet, or what it published has ended."),
		Hint:  "its metadata was not fetched yet, could not be, or has passed its validUntil: see the log for the connection, or orgate saml show",
		Retry: true,
	}
}

// samlKey unseals a key of ours, once.
func (s *Server) samlKey(conn tenancy.ConnectionID, k tenancy.SAMLKey) (saml.Key, error) {
	name := tenancy.SAMLKeyAbout(conn, k.ID)
	if key, ok := s.samlKeys.Get(name); ok {
		return key, nil
	}
	plain, err := s.box.Open(tenancy.SAMLKeyPurpose, name, k.Private)
	if err != nil {
		return saml.Key{}, fmt.Errorf("saml key of connection %s: %w", conn, err)
	}
	key, err := saml.ParseKey(plain)
	if err != nil {
		return saml.Key{}, fmt.Errorf("saml key of connection %s: %w", conn, err)
	}
	s.samlKeys.Add(name, key)
	return key, nil
}

// samlMetadata is GET /sso/saml/{connection}/metadata: what the provider's administrator is given.
func (s *Server) samlMetadata(w http.ResponseWriter, r *http.Request) error {
	p, err := s.samlAt(r)
	if err != nil {
		return err
	}
	if len(p.Keys) == 0 {
		// They are made as soon as the connection is there.
		return &endpoint.Error{
			Status: http.StatusServiceUnavailable, Code: "not_ready", Title: text.T("This connection is not ready yet"),
			Hint: text.T("Try again in a minute."), Header: http.Header{"Retry-After": {"5"}},
		}
	}
	document, err := p.Metadata(s.now())
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/samlmetadata+xml")
	h.Set("Content-Disposition", `attachment; filename="orgate-metadata.xml"`)
	w.Write(document) //nolint:errcheck // the client is gone, and there is nobody to tell
	return nil
}
