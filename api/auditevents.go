package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// createAuditLogEvent writes what the app says has happened. When it is answered the entry is committed, and a
// moment later it is in the organization's chain.
func (a *API) createAuditLogEvent(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	org := tenancy.OrgID(b.required("organization_id"))
	in := entryReader{}
	event, ok := b.object("event")
	if !ok {
		b.missing("event")
	}
	w, parts := in.event(event)
	if err := b.done(append(parts, event)...); err != nil {
		return err
	}
	if len(in.paths) > 0 {
		return eventError(&trail.EventError{Paths: in.paths})
	}
	return c.post(http.StatusOK, func(tx store.Tx) (any, error) {
		if _, err := c.organization(tx, org); err != nil {
			return nil, err
		}
		err := trail.WriteEvent(tx, org, w, c.by, c.now)
		return map[string]bool{"success": true}, eventError(err)
	})
}

// eventError says what is wrong with an entry, in the words of the reference.
func eventError(err error) error {
	e, ok := errors.AsType[*trail.EventError](err)
	if !ok {
		return err
	}
	return &Error{Status: http.StatusBadRequest, Code: "invalid_audit_log_event", Message: "Invalid Audit Log event.", Err: err, Paths: e.Paths}
}

// An entryReader reads entries. paths are where metadata is none.
type entryReader struct{ paths []string }

// event also returns the objects inside, for what is left in them.
func (in *entryReader) event(b body) (w trail.Written, parts []body) {
	w.Action = b.required("action")
	w.OccurredAt = b.requiredMoment("occurred_at")
	if n := b.whole("version"); n != nil {
		if w.Version = *n; w.Version < 1 {
			b.fault("invalid", "version", "must be 1 or more")
		}
	}
	actor, ok := b.object("actor")
	if !ok {
		b.missing("actor")
	}
	w.Actor = trail.Actor{ID: actor.required("id"), Type: actor.required("type"), Name: orEmpty(actor.text("name")), Metadata: in.metadata(actor, "/actor/metadata")}
	parts = append(parts, actor)
	_, there := b.fields["targets"].([]any)
	targets := b.objects("targets")
	if targets == nil && !there {
		b.missing("targets")
	}
	w.Targets = []trail.Target{}
	for i, t := range targets {
		w.Targets = append(w.Targets, trail.Target{
			ID: t.required("id"), Type: t.required("type"), Name: orEmpty(t.text("name")), Metadata: in.metadata(t, fmt.Sprintf("/targets/%d/metadata", i)),
		})
	}
	parts = append(parts, targets...)
	from, ok := b.object("context")
	if !ok {
		b.missing("context")
	}
	if _, there := from.fields["location"]; !there {
		from.missing("location") // it may be empty
	}
	w.Context.Location = orEmpty(from.text("location"))
	w.Context.UserAgent = orEmpty(from.text("user_agent"))
	parts = append(parts, from)
	w.Metadata = in.metadata(b, "/metadata")
	return w, parts
}

// metadata reads strings, numbers and booleans; what is none is noted.
func (in *entryReader) metadata(b body, path string) trail.Metadata {
	v, ok := b.take("metadata")
	if !ok || v == nil {
		return nil
	}
	fields, ok := v.(map[string]any)
	if !ok {
		in.paths = append(in.paths, path)
		return nil
	}
	m := trail.Metadata{}
	for k, x := range fields {
		switch x := x.(type) {
		case string:
			m[k] = trail.Text(x)
		case json.Number:
			m[k] = trail.Number(x)
		case bool:
			m[k] = trail.Bool(x)
		default:
			in.paths = append(in.paths, path+"/"+clip(k))
		}
	}
	return m
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
