package tenancy

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/orgate/orgate/audit"
)

// A SAMLConnection is the service provider's side of a SAML identity provider.
type SAMLConnection struct {
	// MetadataURL is where what the provider publishes of itself is fetched, again and again;
	// empty: Provider is all there is.
	MetadataURL string `json:"metadata_url,omitzero"`
	// EntityID is the provider's; empty: that of the metadata that was fetched first.
	EntityID string `json:"entity_id,omitzero"`
	// Provider is as it was typed in, or given as a file; nil: it is fetched.
	Provider *SAMLProvider `json:"provider,omitzero"`
	// IDPInitiated: a sign-in may begin at the provider.
	IDPInitiated bool `json:"idp_initiated,omitzero"`
	// SignRequests: ours are signed even if the provider does not ask for it.
	SignRequests bool           `json:"sign_requests,omitzero"`
	NameIDFormat string         `json:"name_id_format,omitzero"`
	Attributes   SAMLAttributes `json:"attributes,omitzero"`
}

// SAMLAttributes are the names of the attributes that are read, each in place of those that the
// known providers use; empty: those.
type SAMLAttributes struct {
	Email     string `json:"email,omitzero"`
	Name      string `json:"name,omitzero"`
	FirstName string `json:"first_name,omitzero"`
	LastName  string `json:"last_name,omitzero"`
	Groups    string `json:"groups,omitzero"`
}

// A SAMLProvider is what is known of a provider.
type SAMLProvider struct {
	EntityID string         `json:"entity_id"`
	SSO      []SAMLEndpoint `json:"sso"`
	SLO      []SAMLEndpoint `json:"slo,omitzero"`
	// Certificates are those that it may sign with; several while they roll over.
	Certificates []SAMLCertificate `json:"certificates"`
	WantSigned   bool              `json:"want_signed,omitzero"`
	// ValidUntil is when what it publishes ends; zero: it does not say.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// A SAMLEndpoint is where a provider takes messages of one binding, "redirect" or "post".
type SAMLEndpoint struct {
	Binding     string `json:"binding"`
	URL         string `json:"url"`
	ResponseURL string `json:"response_url,omitzero"`
}

// A SAMLCertificate is a pinned certificate.
type SAMLCertificate struct {
	DER      []byte    `json:"der"`
	NotAfter time.Time `json:"not_after"`
}

// signsUntil is when the last of the provider's certificates ends.
func (p SAMLProvider) signsUntil() (last time.Time) {
	for _, c := range p.Certificates {
		if c.NotAfter.After(last) {
			last = c.NotAfter
		}
	}
	return last
}

// A SAMLState is what a SAML connection has beside its settings: what was learnt of the
// provider, and our keys.
type SAMLState struct {
	Organization OrgID        `json:"organization_id"`
	Connection   ConnectionID `json:"connection_id"`
	// Provider is the last that was fetched and good; nil: none was yet.
	Provider  *SAMLProvider `json:"provider,omitzero"`
	FetchedAt time.Time     `json:"fetched_at,omitzero"`
	// Fault is why the last fetch came to nothing, in words, since FaultSince; Faults
	// counts them. Empty: it did not.
	Fault      string    `json:"fault,omitzero"`
	FaultSince time.Time `json:"fault_since,omitzero"`
	Faults     int       `json:"faults,omitzero"`
	// Next is when it is looked after again. While somebody is at it, it is when that is given up.
	Next time.Time `json:"next"`
	// SignsUntil is when the last of the provider's certificates ends, as far as it is used and
	// known; zero: it is not.
	SignsUntil time.Time `json:"signs_until,omitzero"`
	// WarnedOf is the end of the certificates that was warned of last, WarnedDays how many
	// days before it, and WarnedAt when.
	WarnedOf   time.Time `json:"warned_of,omitzero"`
	WarnedDays int       `json:"warned_days,omitzero"`
	WarnedAt   time.Time `json:"warned_at,omitzero"`
	// Keys are our key pairs, the oldest first.
	Keys []SAMLKey `json:"keys,omitzero"`
}

// How a SAML connection is looked after.
const (
	// SAMLRefresh is how long metadata is not fetched again, and SAMLLease how long
	// whoever fetches it has.
	SAMLRefresh = 4 * time.Hour
	SAMLLease   = 2 * time.Minute

	firstSAMLPause = time.Minute
)

// KnownSAML returns what is known of a connection's provider; ok is false if nothing is yet, or
// if what the provider published has ended.
func KnownSAML(c SAMLConnection, s SAMLState, now time.Time) (p SAMLProvider, ok bool) {
	switch {
	case c.Provider != nil:
		p = *c.Provider
	case s.Provider != nil && c.MetadataURL != "" && (c.EntityID == "" || c.EntityID == s.Provider.EntityID):
		p = *s.Provider
	default:
		return SAMLProvider{}, false
	}
	return p, p.ValidUntil.IsZero() || now.Before(p.ValidUntil)
}

// SameSAMLProvider reports whether a connection with new settings is of the provider that it was
// of: else the subjects of the one would be taken for those of the other.
func SameSAMLProvider(was SAMLConnection, s SAMLState, is SAMLConnection) bool {
	entity := func(c SAMLConnection) string {
		if c.Provider != nil {
			return c.Provider.EntityID
		}
		return c.EntityID
	}
	old := entity(was)
	if old == "" && s.Provider != nil {
		old = s.Provider.EntityID
	}
	if now := entity(is); old != "" && now != "" {
		return old == now
	}
	return was.MetadataURL != "" && was.MetadataURL == is.MetadataURL
}

// watchSAML has a connection that is new or was changed looked after at once.
func watchSAML(tx Tx, c Connection, now time.Time) error {
	if c.SAML == nil {
		return nil
	}
	s, err := tx.SAMLState(c.Organization, c.ID)
	if errors.Is(err, ErrNotFound) {
		s, err = SAMLState{Organization: c.Organization, Connection: c.ID}, nil
	}
	if err != nil {
		return err
	}
	s.Next, s.Fault, s.FaultSince, s.Faults = now.UTC(), "", time.Time{}, 0
	return tx.PutSAMLState(s)
}

// A SAMLCare is a connection that somebody has taken to look after.
type SAMLCare struct {
	Connection Connection
	// State as it was when it was taken.
	State SAMLState
}

// DueSAML takes up to limit connections that are to be looked after by now. Whoever takes them
// has [SAMLLease]; until then they are due for nobody else. Those that are disabled, or of a
// suspended organization, are put off.
func DueSAML(tx Tx, limit int, now time.Time) ([]SAMLCare, error) {
	var due []SAMLState
	for s, err := range tx.DueSAML(now) {
		if err != nil {
			return nil, err
		}
		if len(due) == limit {
			break
		}
		due = append(due, s)
	}
	var taken []SAMLCare
	for _, s := range due {
		c, err := tx.Connection(s.Organization, s.Connection)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
		o, oerr := tx.Organization(s.Organization)
		if oerr != nil && !errors.Is(oerr, ErrNotFound) {
			return nil, oerr
		}
		idle := err != nil || oerr != nil || c.SAML == nil || c.Disabled || o.Suspended
		if s.Next = now.UTC().Add(SAMLLease); idle {
			s.Next, s.SignsUntil = now.UTC().Add(SAMLRefresh), time.Time{}
		}
		if err := tx.PutSAMLState(s); err != nil {
			return nil, err
		}
		if !idle {
			taken = append(taken, SAMLCare{c, s})
		}
	}
	return taken, nil
}

// A SAMLChange is what looking after a connection has come to.
type SAMLChange struct {
	// Metadata: what the provider publishes is another than before.
	Metadata bool
	// Failed: it could not be had or believed, for the first time since it could.
	Failed bool
	// ExpiresInDays is in how many days the provider's last certificate ends, if it is time to
	// warn of that (Warn); negative: it has ended.
	Warn          bool
	ExpiresInDays int
}

// ConcludeSAML says what came of looking after a connection: what the provider publishes, or why
// that is not known (fault); neither, if nothing is fetched. If somebody has taken it anew since, or the connection
// was changed, it returns an error wrapping [ErrState] and changes nothing.
//
// Nothing that is published takes the provider's name or its last certificate away: a provider with another
// entity id, or without a certificate, is a fault (attack 71).
func ConcludeSAML(tx Tx, care SAMLCare, found *SAMLProvider, fault string, now time.Time) (SAMLState, SAMLChange, error) {
	c, err := tx.Connection(care.Connection.Organization, care.Connection.ID)
	if err != nil {
		return SAMLState{}, SAMLChange{}, err
	}
	s, err := tx.SAMLState(c.Organization, c.ID)
	if err != nil {
		return SAMLState{}, SAMLChange{}, err
	}
	if c.SAML == nil || !s.Next.Equal(care.State.Next) || c.SAML.MetadataURL != care.Connection.SAML.MetadataURL {
		return s, SAMLChange{}, fmt.Errorf("connection %s was taken anew: %w", c.ID, ErrState)
	}
	now = now.UTC()
	var change SAMLChange
	if found != nil {
		fault = unacceptable(*c.SAML, s, *found)
	}
	switch {
	case fault != "":
		if s.Faults == 0 {
			s.FaultSince, change.Failed = now, true
		}
		s.Fault, s.Faults = fault, s.Faults+1
		s.Next = now.Add(min(pause(firstSAMLPause, s.Faults), SAMLRefresh))
	case found != nil:
		change.Metadata = s.Provider == nil || !same(*s.Provider, *found)
		s.Provider, s.FetchedAt = found, now
		fallthrough
	default:
		s.Fault, s.FaultSince, s.Faults = "", time.Time{}, 0
		s.Next = now.Add(SAMLRefresh)
	}
	if err := recordSAML(tx, c, s, change, now); err != nil {
		return s, change, err
	}
	if err := warnOfSAML(tx, c, &s, &change, now); err != nil {
		return s, change, err
	}
	return s, change, tx.PutSAMLState(s)
}

// unacceptable says why what a provider publishes is not taken; empty: it is.
func unacceptable(c SAMLConnection, s SAMLState, found SAMLProvider) string {
	known := c.EntityID
	if known == "" && s.Provider != nil {
		known = s.Provider.EntityID
	}
	switch {
	case found.EntityID == "", known != "" && found.EntityID != known:
		return fmt.Sprintf("the metadata is of %s, and this connection's provider is %s", clip(found.EntityID), clip(known))
	case len(found.Certificates) == 0:
		return "the metadata has no certificate to sign with"
	default:
		return ""
	}
}

// samlWarnings are how many days before the end it is warned; after it, every week.
func samlWarnings() []int { return []int{90, 60, 30, 7} }

// warnOfSAML warns of a certificate that ends, once for each of [samlWarnings], and says when
// another has come.
func warnOfSAML(tx Tx, c Connection, s *SAMLState, change *SAMLChange, now time.Time) error {
	p, ok := KnownSAML(*c.SAML, *s, now)
	ends := p.signsUntil()
	if s.SignsUntil = ends; !ok || ends.IsZero() {
		s.SignsUntil = time.Time{}
		return nil
	}
	days := int(math.Floor(ends.Sub(now).Hours() / 24))
	step := 0
	for _, d := range samlWarnings() {
		if days <= d {
			step = d
		}
	}
	if days < 0 {
		step = days/7 - 1 // once in each week after it
	}
	switch {
	case step == 0:
		if !s.WarnedOf.IsZero() && ends.After(s.WarnedOf) {
			s.WarnedOf, s.WarnedDays, s.WarnedAt = time.Time{}, 0, time.Time{}
			return recordSAMLCertificate(tx, audit.SAMLCertificateRenewed, c, ends, days, now)
		}
		return nil
	case s.WarnedOf.Equal(ends) && s.WarnedDays == step:
		return nil
	}
	s.WarnedOf, s.WarnedDays, s.WarnedAt = ends, step, now
	change.Warn, change.ExpiresInDays = true, days
	return recordSAMLCertificate(tx, audit.SAMLCertificateRenewalRequired, c, ends, days, now)
}
