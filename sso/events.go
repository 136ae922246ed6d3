package sso

import (
	"net/http"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// authentication is the data of the authentication.sso_… events.
type authentication struct {
	Type      string          `json:"type"`
	Status    string          `json:"status"`
	IPAddress *string         `json:"ip_address"`
	UserAgent *string         `json:"user_agent"`
	UserID    *tenancy.UserID `json:"user_id"`
	Email     string          `json:"email"`
	SSO       struct {
		Organization tenancy.OrgID        `json:"organization_id"`
		Connection   tenancy.ConnectionID `json:"connection_id"`
		Session      *session.ID          `json:"session_id"`
	} `json:"sso"`
	Error *authenticationError `json:"error,omitzero"`
}

type authenticationError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (s *Server) authentication(r *http.Request, f flow, status string) authentication {
	b := s.browser(r)
	a := authentication{Type: "sso", Status: status, IPAddress: &b.RemoteIP, UserAgent: &b.UserAgent}
	a.SSO.Organization, a.SSO.Connection = f.Owner, f.Connection
	return a
}

// recordSuccess tells of a proof by SSO.
func (s *Server) recordSuccess(tx store.Tx, r *http.Request, f flow, done proved, now time.Time) error {
	a := s.authentication(r, f, "succeeded")
	a.UserID, a.Email, a.SSO.Session = &done.who.User, done.in.User.Email, &done.who.ID
	e := audit.New(audit.SSOSucceeded, audit.Actor{Type: "user", ID: string(done.who.User)}, now)
	e.Organization, e.Connection, e.User, e.Session = string(f.Owner), string(f.Connection), string(done.who.User), string(done.who.ID)
	return audit.Record(tx, e, a)
}

// recordFailure tells of an SSO sign-in that was refused. The address is what the
// provider said, and proves nothing; the message is what the person was told.
func (s *Server) recordFailure(tx store.Tx, r *http.Request, f flow, email string, why *endpoint.Error, now time.Time) error {
	a := s.authentication(r, f, "failed")
	a.Email, a.Error = clip(email, maxEmail), &authenticationError{Code: why.Code, Message: why.Text.String()}
	e := audit.New(audit.SSOFailed, audit.System, now)
	e.Organization, e.Connection = string(f.Owner), string(f.Connection)
	return audit.Record(tx, e, a)
}
