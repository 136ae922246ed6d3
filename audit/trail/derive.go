package trail

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// Ours is who tells of what orgate itself has seen.
const Ours = "orgate"

// ownActions begin the actions of orgate's own entries, and of no app's.
const ownActions = "orgate."

// Limits of metadata: those of the API.
const (
	maxKeys  = 50
	maxKey   = 40
	maxValue = 500
	// maxNesting is how deep objects are looked into for the metadata of an entry.
	maxNesting = 3
)

// entryOf makes an entry of an event. names remembers who users are.
func entryOf(tx Tx, ev audit.Event, names map[string]string) (Entry, error) {
	if ev.Name == audit.AuditLogEventCreated {
		if e, ok := written(ev); ok {
			return e, nil
		}
	}
	var data map[string]any
	d := json.NewDecoder(bytes.NewReader(ev.Data))
	d.UseNumber()
	if len(ev.Data) > 0 {
		if err := d.Decode(&data); err != nil {
			data = nil // it is no object: what the event is about is said all the same
		}
	}
	e := Entry{
		ID: ev.ID, Action: ev.Name, OccurredAt: ev.At.UTC(), RecordedAt: ev.At.UTC(), RecordedBy: Ours,
		Actor:   Actor{ID: cmp.Or(ev.Actor.ID, ev.Actor.Type, "system"), Type: cmp.Or(ev.Actor.Type, "system"), Name: ev.Actor.Name},
		Context: Context{Location: said(data, "ip_address"), UserAgent: said(data, "user_agent")},
	}
	if e.Actor.Type == "user" && e.Actor.Name == "" {
		name, err := nameOf(tx, e.Actor.ID, names)
		if err != nil {
			return Entry{}, err
		}
		e.Actor.Name = name
	}
	if err := e.aim(tx, ev, data, names); err != nil {
		return Entry{}, err
	}
	e.Metadata = flatten(data)
	return e, nil
}

// aim says what the event is about: the object that it shows first, and then whatever else it names.
func (e *Entry) aim(tx Tx, ev audit.Event, data map[string]any, names map[string]string) error {
	add := func(kind, id, name string) {
		if id != "" && !slices.ContainsFunc(e.Targets, func(t Target) bool { return t.ID == id }) {
			e.Targets = append(e.Targets, Target{ID: clip(id), Type: clip(kind), Name: clip(name)})
		}
	}
	if id := said(data, "id"); id != "" {
		add(cmp.Or(said(data, "object"), "object"), id, cmp.Or(said(data, "name"), said(data, "email"), said(data, "domain"), said(data, "slug")))
	}
	if ev.User != "" {
		name, err := nameOf(tx, ev.User, names)
		if err != nil {
			return err
		}
		add("user", ev.User, name)
	}
	add("connection", ev.Connection, "")
	add("session", ev.Session, "")
	if len(e.Targets) == 0 {
		add("organization", ev.Organization, "")
	}
	return nil
}

// nameOf returns a user's address; "" for one who is gone.
func nameOf(tx Tx, id string, names map[string]string) (string, error) {
	if name, ok := names[id]; ok {
		return name, nil
	}
	u, err := tx.User(tenancy.UserID(id))
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return "", err
	}
	names[id] = u.Email
	return u.Email, nil
}

func said(data map[string]any, name string) string {
	s, _ := data[name].(string)
	return clip(s)
}

// clip bounds what others have typed.
func clip(s string) string {
	if len(s) <= maxValue {
		return s
	}
	s = s[:maxValue]
	for !utf8.ValidString(s) { // a rune was cut
		s = s[:len(s)-1]
	}
	return s
}

// flatten makes metadata of the object of an event: the names of what is inside another are joined by an
// underscore, and lists are written as JSON.
func flatten(data map[string]any) Metadata {
	m := Metadata{}
	flattenInto(m, "", data, 0)
	if len(m) == 0 {
		return nil
	}
	return m
}

func flattenInto(m Metadata, prefix string, data map[string]any, depth int) {
	for _, k := range slices.Sorted(maps.Keys(data)) {
		if depth == 0 && (k == "object" || k == "ip_address" || k == "user_agent") {
			continue // they are said elsewhere
		}
		name := prefix + strings.Map(func(r rune) rune {
			if r < utf8.RuneSelf && (r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
				return r
			}
			return '_'
		}, k)
		if len(name) > maxKey || len(m) == maxKeys {
			continue
		}
		switch v := data[k].(type) {
		case string:
			if v != "" {
				m[name] = Text(clip(v))
			}
		case json.Number:
			m[name] = Number(v)
		case bool:
			m[name] = Bool(v)
		case []any:
			if b, err := json.Marshal(v); err == nil && len(v) > 0 {
				m[name] = Text(clip(string(b)))
			}
		case map[string]any:
			if depth < maxNesting {
				flattenInto(m, name+"_", v, depth+1)
			}
		}
	}
}

// written is the entry of what the app wrote; ok is false if it is none, which must not keep what comes
// behind it from the log.
func written(ev audit.Event) (e Entry, ok bool) {
	var w Written
	if err := json.Unmarshal(ev.Data, &w); err != nil || w.Action == "" {
		return Entry{}, false
	}
	return Entry{
		ID: ev.ID, Action: w.Action, OccurredAt: w.OccurredAt.UTC(), RecordedAt: ev.At.UTC(), RecordedBy: cmp.Or(ev.Actor.ID, ev.Actor.Type),
		Version: w.Version, Actor: w.Actor, Targets: w.Targets, Context: w.Context, Metadata: w.Metadata,
	}, true
}
