// Package saml signs people in at SAML 2.0 identity providers, with plain values in and out: a
// [Connection] and a [StartRequest] become a [Message] that the browser carries there and a
// [Flow] to keep for it; what the browser brings back becomes an [Assertion] or an [Error].
//
// It owns the protocol (the Web Browser SSO and Single Logout profiles of
// saml-profiles-2.0-os, with the redirect and POST bindings), what is believed of a provider's
// messages, and what both sides publish of themselves. It knows nothing of sessions, cookies,
// users or stores and makes no calls: the caller seals the flow in the browser's cookie, lets
// an assertion be used once, fetches metadata, and decides what an assertion is worth.
//
// The invariants: nothing is read from a message but the element that the verifier returned,
// parsed once; its signature is by a certificate pinned to this very connection, under an
// algorithm that we chose; there is one assertion or none; what is missing is invalid; and
// what a stranger sends costs a bounded amount.
package saml

import (
	"crypto/rsa"
	"time"

	"github.com/orgate/orgate/sso/idp"
)

// A Connection is the service provider's side of one identity provider. Everything in it is
// its own: no two connections share an entity id, an address or a key.
type Connection struct {
	ID string
	// EntityID is our name at the provider, which its assertions must be for (audience).
	EntityID string
	// ACS and SLO are our addresses, absolute, where the provider sends answers and logouts.
	ACS, SLO string
	IDP      IDP
	// Keys are ours: the first signs, each decrypts, and all are in our metadata.
	Keys []Key
	// SignRequests: our AuthnRequests are signed even if the provider's metadata does not ask
	// for it.
	SignRequests bool
	// NameIDFormat is asked for; empty: the provider chooses.
	NameIDFormat string
	Attributes   Attributes
}

// An IDP is what is known of a provider: from its metadata, or as it was typed in.
type IDP struct {
	EntityID string     `json:"entity_id"`
	SSO      []Endpoint `json:"sso"`
	SLO      []Endpoint `json:"slo,omitzero"`
	// Certificates are those that it may sign with, in DER: several while they roll over.
	// Only their keys count, not who issued them or how long they are valid.
	Certificates [][]byte `json:"certificates"`
	// WantSigned: it wants signed AuthnRequests.
	WantSigned bool `json:"want_signed,omitzero"`
	// ValidUntil is when its metadata ends; zero: it does not say.
	ValidUntil time.Time `json:"valid_until,omitzero"`
}

// An Endpoint is where a provider takes messages of one binding.
type Endpoint struct {
	Binding Binding `json:"binding"`
	URL     string  `json:"url"`
	// ResponseURL is where it takes answers to its own messages; empty: at URL.
	ResponseURL string `json:"response_url,omitzero"`
}

// A Binding is how the browser carries a message.
type Binding string

// The bindings that are spoken (saml-bindings-2.0-os, 3.4 and 3.5).
const (
	Redirect Binding = "redirect"
	Post     Binding = "post"
)

// A Key is a key pair of ours, with the certificate that our metadata shows it in.
type Key struct {
	Certificate []byte // DER, signed by the key itself
	Private     *rsa.PrivateKey
}

// Attributes are the names of the attributes that are read, each in place of those that the
// known providers use; empty: those.
type Attributes struct {
	Email, Name, FirstName, LastName, Groups string
}

// A Message is to be carried to the provider by the browser.
type Message struct {
	Binding Binding
	// URL is where: all of it with [Redirect], where the form goes with [Post].
	URL string
	// Name is SAMLRequest or SAMLResponse, Value is the message and RelayState what comes
	// back with the answer: the fields of the form with [Post].
	Name, Value, RelayState string
}

// A StartRequest says what to ask of the provider.
type StartRequest struct {
	// LoginHint is who it probably is; optional, and only a hint.
	LoginHint string
	// ForceLogin asks that the person signs in now, whatever session is there (ForceAuthn).
	ForceLogin bool
	// MaxAge asks that the person signed in no longer ago; 0: whenever. SAML has no word for
	// it: a provider is asked to have them sign in now.
	MaxAge time.Duration
}

// A Flow is one sign-in under way. The caller keeps it sealed in a cookie of the browser that
// started it, for no longer than [idp.FlowLife], and clears it when the answer comes.
type Flow struct {
	// State is the RelayState that comes back with the answer.
	State        string        `json:"s"`
	RequestID    string        `json:"r"`
	ConnectionID string        `json:"c"`
	IDP          string        `json:"i"` // its entity id
	MaxAge       time.Duration `json:"a,omitzero"`
	ForceLogin   bool          `json:"f,omitzero"`
	StartedAt    time.Time     `json:"t"`
}

// An Assertion is what a provider says of a person, verified to be its word. Whether the
// provider is to be believed is not decided here. It can be kept as JSON, which then is as
// secret as the person's data in it.
type Assertion struct {
	// ID names the assertion; the caller remembers it until ExpiresAt and takes none twice.
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
	// InResponseTo is the request that it answers; empty: none, the provider began.
	InResponseTo string `json:"in_response_to,omitzero"`
	// Subject is the NameID: 1 to 255 bytes, compared exactly. NameID is all of it.
	Subject string `json:"subject"`
	NameID  NameID `json:"name_id"`
	// Email is the person's address as the provider wrote it; never empty.
	Email string `json:"email"`
	Name  string `json:"name,omitzero"`
	// Groups of the groups attribute, at most 1,000.
	Groups []string `json:"groups,omitzero"`
	// HasGroups: the provider sent the attribute, even an empty one.
	HasGroups bool `json:"has_groups,omitzero"`
	// Attributes are all others, by Name: a string, or a []string if there are several values.
	Attributes map[string]any `json:"attributes,omitzero"`
	// AuthTime is when the person signed in at the provider (AuthnInstant).
	AuthTime time.Time `json:"auth_time"`
	// SessionIndex is the provider's session, for single logout; may be empty.
	SessionIndex string `json:"session_index,omitzero"`
	// SessionEnd is when the provider says that a session made of this must end at the
	// latest (SessionNotOnOrAfter); zero: it does not say.
	SessionEnd time.Time `json:"session_end,omitzero"`
}

// A NameID is how a provider names a person (saml-core-2.0-os, 2.2.3).
type NameID struct {
	Value           string `json:"value"`
	Format          string `json:"format,omitzero"`
	NameQualifier   string `json:"name_qualifier,omitzero"`
	SPNameQualifier string `json:"sp_name_qualifier,omitzero"`
}

// A Step is one check of a message, for whoever sets a connection up: what was looked at, what
// came and whether it will do. It holds no secret and nothing that could move a terminal's cursor.
type Step struct {
	// Check is a word of a closed list, such as "signature".
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	// Detail says what was expected and what came.
	Detail string `json:"detail"`
}

// Limits of what a provider may send.
const (
	maxEncoded      = 1 << 20   // base64 of a message
	maxMessage      = 768 << 10 // its XML
	maxLogout       = 256 << 10 // the XML of a logout request, inflated
	maxMetadata     = 2 << 20   // a metadata document
	maxKeyInfo      = 8 << 10   // one text of a signature's KeyInfo
	maxCertificates = 16        // of one provider
	maxEndpoints    = 64        // of one provider
	maxURL          = 2048      // a URL, entity id or namespace
	maxID           = 256       // of a message or an assertion
	maxSubject      = 255       // a NameID, an address, a session index
	maxSessions     = 100       // that one logout request ends
	maxNames        = 256       // different attributes that are read at all
	maxGroups       = 1000
	maxGroup        = 512
	maxKept         = 64       // attributes that are kept
	maxAttribute    = 1024     // bytes of one value that is kept
	maxList         = 100      // values of one attribute that are kept
	maxTogether     = 16 << 10 // bytes of all attributes that are kept, with their names
)

// Limits of time.
const (
	// FlowLife is how long a person may take at the provider.
	FlowLife = idp.FlowLife
	// KeyLife is how long a certificate of ours is valid.
	KeyLife = 5 * 365 * 24 * time.Hour

	skew       = idp.Skew
	maxLife    = 24 * time.Hour  // of an assertion
	logoutLife = 5 * time.Minute // age of a logout request
)
