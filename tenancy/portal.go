package tenancy

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
)

// PortalLinkLife is how long a link to the admin portal is open. Nobody can take it back, and whoever has it may use it: it is made for somebody
// who is about to follow it.
const PortalLinkLife = 5 * time.Minute

// MaxPortalContacts is how many contacts a link may name.
const MaxPortalContacts = 20

const maxPortalURL = 2048

// ErrPortalURL says that where a link leads back to is no https URL, or one of this machine.
var ErrPortalURL = errors.New("want an https URL, or one at localhost")

// A PortalIntent is what a link to the admin portal is for. Empty: whatever there is.
type PortalIntent string

// The intents.
const (
	PortalSSO         PortalIntent = "sso"
	PortalDirectory   PortalIntent = "dsync"
	PortalAuditLogs   PortalIntent = "audit_logs"
	PortalLogStreams  PortalIntent = "log_streams"
	PortalDomains     PortalIntent = "domain_verification"
	PortalCertificate PortalIntent = "certificate_renewal"
)

// PortalIntents are all but the empty one.
func PortalIntents() []PortalIntent {
	return []PortalIntent{PortalSSO, PortalDirectory, PortalAuditLogs, PortalLogStreams, PortalDomains, PortalCertificate}
}

// A PortalLink lets whoever has it into the admin portal of one organization, for one thing.
type PortalLink struct {
	Token        string       `json:"token_hash"`
	Organization OrgID        `json:"organization_id"`
	Intent       PortalIntent `json:"intent,omitzero"`
	// ReturnURL and SuccessURL are links that the portal shows, and nothing more; either may be empty.
	ReturnURL  string `json:"return_url,omitzero"`
	SuccessURL string `json:"success_url,omitzero"`
	// Contacts are who looks after it at the organization, as the app says. It gives them nothing.
	Contacts  []string  `json:"it_contact_emails,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// A PortalToken is the secret in a link to the portal.
type PortalToken struct{ secretText }

// ParsePortalToken reads what is in a link. ok is false for anything that can't have been made here.
func ParsePortalToken(s string) (t PortalToken, ok bool) {
	_, ok = ParseInvitationToken(s) // they look alike
	return PortalToken{secretText{s}}, ok
}

// PortalTx is the part of [Tx] that is about the admin portal.
type PortalTx interface {
	PortalLink(hash string) (PortalLink, error)
	PutPortalLink(PortalLink) error
}

// CreatePortalLink makes a link of organization, intent, URLs and contacts of l.
func CreatePortalLink(tx Tx, l PortalLink, by audit.Actor, now time.Time) (PortalLink, PortalToken, error) {
	if _, err := openOrganization(tx, l.Organization); err != nil {
		return PortalLink{}, PortalToken{}, err
	}
	if l.Intent != "" && !slices.Contains(PortalIntents(), l.Intent) {
		return PortalLink{}, PortalToken{}, errors.New("unknown intent of a link to the portal")
	}
	for _, u := range []string{l.ReturnURL, l.SuccessURL} {
		if err := CheckPortalURL(u); u != "" && err != nil {
			return PortalLink{}, PortalToken{}, err
		}
	}
	token := PortalToken{newSecretText("")}
	l.Token, l.CreatedAt, l.ExpiresAt = token.Hash(), now.UTC(), now.Add(PortalLinkLife).UTC()
	if err := tx.PutPortalLink(l); err != nil {
		return PortalLink{}, PortalToken{}, err
	}
	e := audit.New(audit.PortalLinkCreated, by, now)
	e.Organization = string(l.Organization)
	return l, token, audit.Record(tx, e, struct {
		Object       string       `json:"object"`
		Organization OrgID        `json:"organization_id"`
		Intent       PortalIntent `json:"intent,omitzero"`
		Contacts     []string     `json:"it_contact_emails,omitzero"`
		CreatedAt    time.Time    `json:"created_at"`
		ExpiresAt    time.Time    `json:"expires_at"`
	}{"orgate.portal_link", l.Organization, l.Intent, l.Contacts, l.CreatedAt, l.ExpiresAt})
}

// CheckPortalURL returns [ErrPortalURL] unless a page of the portal may link to the URL: a page whose address is a secret leads nowhere
// else.
func CheckPortalURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxPortalURL || u.Host == "" || u.User != nil || u.Opaque != "" {
		return ErrPortalURL
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	local := host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
	if host == "" || u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return ErrPortalURL
	}
	return nil
}

// OpenPortalLink returns the link of the token and its organization, if it is open at now, else an error wrapping [ErrNotFound].
func OpenPortalLink(tx Tx, t PortalToken, now time.Time) (PortalLink, Organization, error) {
	l, err := tx.PortalLink(t.Hash())
	if err == nil && !now.Before(l.ExpiresAt) {
		err = notFound("link to the portal")
	}
	if err != nil {
		return PortalLink{}, Organization{}, err
	}
	o, err := openOrganization(tx, l.Organization)
	return l, o, err
}
