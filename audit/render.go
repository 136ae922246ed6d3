package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"
)

// stamp is how the API writes a time.
const stamp = "2006-01-02T15:04:05.000Z"

// The shape of an event in the API, in webhooks and in the list of events alike.
type rendered struct {
	Object  string          `json:"object"`
	ID      string          `json:"id"`
	Event   string          `json:"event"`
	Data    json.RawMessage `json:"data"`
	At      string          `json:"created_at"`
	Context struct {
		Actor renderedActor `json:"actor"`
	} `json:"context"`
}

type renderedActor struct {
	ID     string  `json:"id"`
	Source string  `json:"source"`
	Name   *string `json:"name"`
	// Type is ours: the API's sources don't tell a person from a directory.
	Type string `json:"type"`
}

// Render returns e as the API shows it. An actor without an id has its type in its place, as
// the API has no event without one; who used the API is of source "api", and everybody
// else of source "system".
func Render(e Event) ([]byte, error) {
	r := rendered{Object: "event", ID: e.ID, Event: e.Name, Data: e.Data, At: e.At.UTC().Truncate(time.Millisecond).Format(stamp)}
	if len(r.Data) == 0 {
		r.Data = json.RawMessage("{}")
	}
	kind := cmp.Or(e.Actor.Type, "system")
	r.Context.Actor = renderedActor{ID: cmp.Or(e.Actor.ID, kind), Source: "system", Type: kind}
	if kind == "api_key" {
		r.Context.Actor.Source = "api"
	}
	if e.Actor.Name != "" {
		r.Context.Actor.Name = &e.Actor.Name
	}
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", e.ID, err)
	}
	return b, nil
}
