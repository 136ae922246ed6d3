// Package audit owns events: what happened, who did it, and to whom.
//
// An event is appended in the transaction of the change that it tells of, so
// there is no change without its event and no event without its change. Names are
// those of the API that orgate speaks (organization.created, session.revoked, ...);
// what that API has no name for begins with "orgate.". The feed of events, in
// commit order and without gaps, is the store's; this package owns their shape.
//
// It does not own delivery (webhooks, streams) nor the meaning of a change.
package audit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/orgate/orgate/internal/id"
)

// An Actor is who made a change.
type Actor struct {
	// Type is "user", "config", "api_key", "directory", "system" or, of a request that nobody has signed, "anonymous".
	Type string `json:"type"`
	ID   string `json:"id,omitzero"`
	Name string `json:"name,omitzero"`
}

// System is the actor of what orgate does by itself.
var System = Actor{Type: "system"}

// An Event is one thing that happened. Data never holds a secret, a token or a code.
type Event struct {
	ID    string    `json:"id"` // event_…, made by New
	Name  string    `json:"event"`
	At    time.Time `json:"created_at"`
	Actor Actor     `json:"actor"`

	// What the change is about, as far as it is about one; caches look at these.
	Organization string `json:"organization_id,omitzero"`
	User         string `json:"user_id,omitzero"`
	Session      string `json:"session_id,omitzero"`
	Connection   string `json:"connection_id,omitzero"`

	// Data is the object as the API shows it, after the change.
	Data json.RawMessage `json:"data,omitzero"`
}

// New returns an event of that name. What it is about and its Data are the caller's to
// fill in; [Record] does the latter.
func New(name string, by Actor, now time.Time) Event {
	return Event{ID: id.New("event", now), Name: name, At: now.UTC(), Actor: by}
}

// Record appends e with data, the object as the API shows it after the change: without
// its secrets.
func Record(tx Tx, e Event, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("event %s: %w", e.Name, err)
	}
	e.Data = b
	return tx.Append(e)
}

// Tx is the part of a transaction that this package needs.
type Tx interface {
	// Append adds e to the feed; it is there if and only if the transaction commits.
	Append(e Event) error
}
