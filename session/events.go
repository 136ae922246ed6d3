package session

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// An Object is what events and the API say of a session, without its secrets.
type Object struct {
	Object       string        `json:"object"`
	ID           ID            `json:"id"`
	User         string        `json:"user_id"`
	Organization tenancy.OrgID `json:"organization_id,omitzero"`
	Host         string        `json:"host,omitzero"`
	Client       string        `json:"client_id,omitzero"`
	Method       string        `json:"auth_method"`
	Status       string        `json:"status"`
	RemoteIP     *string       `json:"ip_address"`
	UserAgent    *string       `json:"user_agent"`
	ExpiresAt    time.Time     `json:"expires_at"`
	EndedAt      *time.Time    `json:"ended_at"`
	CreatedAt    time.Time     `json:"created_at"`
	UpdatedAt    time.Time     `json:"updated_at"`
}

// Show returns the session as the API shows it.
func Show(tx Tx, s Session) (Object, error) {
	proofs := s.Proofs
	if s.Parent != "" {
		parent, err := tx.Session(s.Parent)
		if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
			return Object{}, err
		}
		proofs = parent.Proofs
	}
	return show(s, proofs, s.SeenAt), nil
}

func show(s Session, proofs []policy.Proof, updated time.Time) Object {
	d := Object{
		Object: "session", ID: s.ID, User: string(s.User), Organization: s.Organization, Host: s.Host, Client: s.Client, Method: methodOf(proofs), Status: "active",
		RemoteIP: textOrNull(s.RemoteIP), UserAgent: textOrNull(s.UserAgent), ExpiresAt: s.ExpiresAt, CreatedAt: s.CreatedAt, UpdatedAt: updated.UTC(),
	}
	if !s.EndedAt.IsZero() {
		d.Status, d.EndedAt = "revoked", &s.EndedAt
	}
	return d
}

// record appends an event about s. proofs are those of its parent, if it has one.
func record(tx Tx, name string, s Session, proofs []policy.Proof, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.User, e.Organization, e.Session = string(s.User), string(s.Organization), string(s.ID)
	return audit.Record(tx, e, show(s, proofs, now))
}

// methodOf returns the API's word for how a session came about.
func methodOf(proofs []policy.Proof) string {
	for _, p := range proofs {
		switch p.Method {
		case policy.SSO:
			return "sso"
		case policy.EmailCode:
			return "magic_code"
		case policy.Password:
			return "password"
		case policy.Passkey:
			return "passkey"
		case policy.Social:
			return "oauth"
		default: // a second factor is not how it came about
		}
	}
	return "unknown"
}

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
