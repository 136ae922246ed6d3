// Package hook owns webhook endpoints, and the events that wait to be delivered to them: who
// is to be told of what, when it is tried again, and when it is given up.
//
// It is below the line, and apart from package audit, because an endpoint is found, claimed by
// its URL, and missed with the errors of package tenancy, which imports audit. It does not own how
// a webhook is signed and sent (package webhook), nor how an event looks ([audit.Render]).
//
// Events get to endpoints in two steps, both in the store. [Queue] takes the feed from where it
// has come to, in order, and writes one [Delivery] for each endpoint that is subscribed; the
// position moves on in the same transaction, so that an event is queued exactly once however
// many replicas try, and whatever was committed while none ran is queued later. A delivery then
// waits until it is delivered or given up. It has no copy of the event but its position in the
// feed, so that a receiver that is down for weeks costs little, and it goes when the event does.
//
// The invariants: a delivery is never removed but by a receiver's yes, the end of its tries,
// the end of its endpoint or the event's own; an event about webhooks never makes
// another one, so that nothing here feeds itself; and no secret is in anything but sealed.
package hook

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
)

const (
	// MaxEndpoints is how many endpoints there can be: each event may be queued for all of them.
	MaxEndpoints = 100
	// MaxURL is how long the URL of an endpoint may be.
	MaxURL = 1024
	// SecretOverlap is how long a secret still signs after another took its place.
	SecretOverlap = 24 * time.Hour
	// DisableAfter is how long an endpoint may do nothing but fail.
	DisableAfter = 5 * 24 * time.Hour
	// disableEvents is how many different events must have failed for that: one that a receiver
	// can't digest is not the end of all others.
	disableEvents = 3
	// GiveUpAfter is when a delivery that fails is not tried again, however few tries it had.
	GiveUpAfter = 3 * 24 * time.Hour
)

// What is wrong with a request, as sentinels; the API has a code for each.
var (
	// ErrDuplicate: another endpoint has the URL (duplicate_endpoint).
	ErrDuplicate = errors.New("there is a webhook endpoint with this URL already")
	// ErrURL: it is none that would be called (invalid_url).
	ErrURL = errors.New("not a URL that webhooks are sent to: an https URL with a host is needed")
	// ErrEvent: no such event can be subscribed to (unknown_event_type).
	ErrEvent = errors.New("no event that a webhook can be subscribed to")
	// ErrManaged: the configuration owns the endpoint (managed_by_config).
	ErrManaged = errors.New("the endpoint is managed by the configuration")
	// ErrFull: there are [MaxEndpoints].
	ErrFull = errors.New("there are as many webhook endpoints as there can be")
	// ErrSecret: a given secret is not of the form that receivers know.
	ErrSecret = errors.New(`not a secret of a webhook: "whsec_" and the base64 of 24 to 64 bytes`)
)

// ID is we_…
type ID string

// An Endpoint is where events are sent.
type Endpoint struct {
	ID  ID     `json:"id"`
	URL string `json:"url"`
	// Disabled: nothing is queued or sent. The zero value is enabled, as the API's is.
	Disabled bool `json:"disabled,omitzero"`
	// Events are the names that it is subscribed to. None: it is sent nothing.
	Events []string `json:"events"`
	// Managed: the configuration owns it, and it is read-only elsewhere.
	Managed bool `json:"managed,omitzero"`
	// Secrets sign. The first is the newest; the others are valid for a while yet.
	Secrets []Secret `json:"secrets"`
	// After is the position in the feed after which events are for it: what happened before it
	// was made, or while it was disabled, is not sent.
	After uint64 `json:"after"`
	// Added are such positions for names that it was subscribed to later.
	Added map[string]uint64 `json:"added,omitzero"`
	// Deleted endpoints are kept until what waited for them has been cleared away. They have no URL.
	Deleted bool `json:"deleted,omitzero"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A Secret signs what is sent.
type Secret struct {
	Sealed []byte `json:"sealed"`
	// ExpiresAt is when it signs no more; zero: it is the newest.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Subscribed reports whether e is sent events of that name.
func (e Endpoint) Subscribed(name string) bool { return slices.Contains(e.Events, name) }

// live reports whether e is sent anything.
func (e Endpoint) live() bool { return !e.Disabled && !e.Deleted }

// A Delivery is an event that waits to be sent to an endpoint.
type Delivery struct {
	Endpoint ID `json:"endpoint"`
	// Position, Event and Name are those of the event in the feed, and At its time.
	Position uint64    `json:"position"`
	Event    string    `json:"event"`
	Name     string    `json:"name"`
	At       time.Time `json:"at"`

	QueuedAt time.Time `json:"queued_at"`
	// Due is when it is to be tried next.
	Due time.Time `json:"due"`
	// Asked: somebody asked for it to be sent again, subscribed or not.
	Asked bool `json:"asked,omitzero"`
	// Round counts how often it was queued anew while it waited: what comes of an earlier round is
	// not the end of this one.
	Round int `json:"round,omitzero"`
	// Attempts have failed so far.
	Attempts []Attempt `json:"attempts,omitzero"`
}

// An Attempt is one try that failed.
type Attempt struct {
	At time.Time `json:"at"`
	// Status is the answer's; 0: there was none.
	Status int           `json:"status,omitzero"`
	Took   time.Duration `json:"took"`
	// Error says why, in one of a few fixed words: never what a receiver said.
	Error string `json:"error"`
}

// Health is that of an endpoint that fails; those that do not have none.
type Health struct {
	Endpoint ID `json:"endpoint"`
	// FailingSince is when the first try failed after the last that did not.
	FailingSince time.Time `json:"failing_since"`
	// Events are the ids of some of those that failed since.
	Events []string `json:"events"`
}

// A Replay is a wish to be sent again what has happened since a time: it is queued in
// parts, from position Next to Until.
type Replay struct {
	Endpoint ID        `json:"endpoint"`
	Since    time.Time `json:"since"`
	Next     uint64    `json:"next"`
	Until    uint64    `json:"until"`
}

// A Lease says who delivers: one replica at a time.
type Lease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// An Entry is an event and its position in the feed.
type Entry struct {
	Position uint64
	Event    audit.Event
}

// Tx is the part of a transaction that this package needs. Getters return an error wrapping
// [tenancy.ErrNotFound] for what is not there; a loop may change and delete what it is given.
type Tx interface {
	audit.Tx

	WebhookEndpoint(ID) (Endpoint, error)
	// WebhookEndpoints yields all of them, also those that are deleted.
	WebhookEndpoints() iter.Seq2[Endpoint, error]
	// PutWebhookEndpoint returns an error wrapping [tenancy.ErrTaken] if the URL is another's.
	PutWebhookEndpoint(Endpoint) error
	DeleteWebhookEndpoint(ID) error

	WebhookDelivery(e ID, position uint64) (Delivery, error)
	// WebhookDeliveries yields those of an endpoint in the order of the feed.
	WebhookDeliveries(ID) iter.Seq2[Delivery, error]
	// DueWebhookDeliveries yields those of an endpoint that are due at now, the longest due
	// first, and in the order of the feed what is due at one time.
	DueWebhookDeliveries(e ID, now time.Time) iter.Seq2[Delivery, error]
	// PutWebhookDelivery writes a delivery, which goes when its event does.
	PutWebhookDelivery(Delivery) error
	DeleteWebhookDelivery(e ID, position uint64) error

	WebhookHealth(ID) (Health, error)
	PutWebhookHealth(Health) error
	DeleteWebhookHealth(ID) error

	WebhookReplays() iter.Seq2[Replay, error]
	PutWebhookReplay(Replay) error
	DeleteWebhookReplay(ID) error

	// WebhookPosition returns the position up to which the feed is queued; 0: nothing is.
	WebhookPosition() (uint64, error)
	PutWebhookPosition(uint64) error

	WebhookLease() (Lease, error)
	PutWebhookLease(Lease) error

	// EventsAfter returns up to limit events after a position, and LastEvent is the position of the last
	// one. Those of what was committed just now may change yet: what is to be kept is read outside of a
	// transaction first.
	EventsAfter(position uint64, limit int) ([]Entry, error)
	LastEvent() (uint64, error)
}
