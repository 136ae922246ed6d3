package sso

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// codeOutside is what an app is told of an address that the provider it asked has no say in.
const codeOutside = "profile_not_allowed_outside_organization"

// errOutside: a provider spoke of an address that is not on a verified domain of its organization.
var errOutside = errors.New("profile of an address outside of the organization's verified domains")

// A profile is what an identity provider says of a person, as the API shows it.
type profile struct {
	Object       string               `json:"object"`
	ID           string               `json:"id"`
	Organization *tenancy.OrgID       `json:"organization_id"`
	Connection   tenancy.ConnectionID `json:"connection_id"`
	Type         string               `json:"connection_type"`
	Subject      string               `json:"idp_id"`
	Email        string               `json:"email"`
	FirstName    *string              `json:"first_name"`
	LastName     *string              `json:"last_name"`
	Name         *string              `json:"name"`
	Role         *tenancy.RoleSlug    `json:"role"`
	Roles        []tenancy.RoleSlug   `json:"roles"`
	Groups       []string             `json:"groups,omitzero"`
	Custom       map[string]any       `json:"custom_attributes"`
	Raw          map[string]any       `json:"raw_attributes"`
}

// answeredProfile hands what a provider says on to the client that wants to know it.
func (s *Server) answeredProfile(w http.ResponseWriter, r *http.Request, f flow, conn tenancy.Connection, org tenancy.Organization, said saying) error {
	to := ""
	err := s.store.Update(r.Context(), func(tx store.Tx) error {
		now := s.now()
		if err := said.use(tx, now); err != nil {
			return err
		}
		if _, _, err := s.asked(tx, f); err != nil {
			return err
		}
		p, err := profileOf(tx, conn, said)
		if err != nil {
			return err
		}
		if to, err = s.issueProfile(tx, *f.Aim.App, p, now); err != nil {
			return err
		}
		return s.recordProfile(tx, r, f, p, now)
	})
	if errors.Is(err, errOutside) {
		e := &endpoint.Error{Status: http.StatusForbidden, Code: codeOutside, Title: text.T("This address is not one of the organization's"),
			Text: text.T("The identity provider spoke of an address that is not on a domain which the organization has proved to be its own."), Err: err}
		s.logFailure(r, conn, e.Code, "the address is on no verified domain of the organization", err)
		return s.toldClient(w, r, f.Aim, e)
	}
	if e, ok := errors.AsType[*endpoint.Error](err); ok {
		return e
	}
	if err != nil {
		return s.toldClient(w, r, f.Aim, s.failed(r, f, org, said.Email, err))
	}
	s.count("sent_to_client")
	return s.sendTo(w, r, to, org, "")
}

// issueProfile makes the code that stands for a profile, and returns where the person is sent with it.
func (s *Server) issueProfile(tx store.Tx, app client.Authorization, p profile, now time.Time) (to string, err error) {
	if c, ok := s.clients.Find(app.Client); !ok || !c.MayRedirect(app.RedirectURI) {
		return "", unknownClient(errors.New("the client was changed since"))
	}
	b, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	code, err := client.IssueCode(tx, client.Code{Client: app.Client, RedirectURI: app.RedirectURI, Challenge: app.Challenge, Profile: b}, now)
	if err != nil {
		return "", err
	}
	return app.Return(code.Reveal()), nil
}

// profileOf is what a provider says of a person. An organization's provider speaks for the addresses on its verified
// domains, and for no others: an app that looks people up by their address would let it be anybody.
func profileOf(tx store.Tx, conn tenancy.Connection, said saying) (profile, error) {
	email, err := tenancy.ParseEmail(said.Email)
	if err != nil || said.EmailVerified != nil && !*said.EmailVerified {
		return profile{}, errOutside
	}
	d, err := tx.VerifiedDomain(tenancy.EmailDomain(email))
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && d.Organization != conn.Organization {
		return profile{}, errOutside
	}
	if err != nil {
		return profile{}, err
	}
	attributes := said.Attributes
	if attributes == nil {
		attributes = map[string]any{}
	}
	p := profile{
		Object: "profile", ID: client.ProfileID(conn.ID, said.Subject), Organization: &conn.Organization, Connection: conn.ID, Type: tenancy.ShowConnection(conn).Type,
		Subject: said.Subject, Email: email, Name: textOrNull(clip(said.Name, maxEmail)), Groups: said.Groups, Custom: attributes, Raw: attributes,
	}
	p.FirstName, p.LastName = firstOf(attributes, "given_name", "first_name"), firstOf(attributes, "family_name", "last_name")
	return p, nil
}

// firstOf returns the first attribute of those names that is a text; nil: there is none.
func firstOf(attributes map[string]any, names ...string) *string {
	for _, n := range names {
		if s, ok := attributes[n].(string); ok && s != "" {
			return &s
		}
	}
	return nil
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// recordProfile tells of a profile that a client was given.
func (s *Server) recordProfile(tx store.Tx, r *http.Request, f flow, p profile, now time.Time) error {
	a := s.authentication(r, f, "succeeded")
	a.Email = p.Email
	e := audit.New(audit.SSOSucceeded, audit.System, now)
	e.Organization, e.Connection = string(f.Owner), string(f.Connection)
	return audit.Record(tx, e, a)
}
