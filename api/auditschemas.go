package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

type auditLogSchema struct {
	Object    string              `json:"object"`
	Version   int                 `json:"version"`
	Actor     *auditLogMetadata   `json:"actor,omitzero"`
	Targets   []auditLogTargetDoc `json:"targets"`
	Metadata  json.RawMessage     `json:"metadata,omitzero"`
	CreatedAt time.Time           `json:"created_at"`
}

type auditLogMetadata struct {
	Metadata json.RawMessage `json:"metadata"`
}

type auditLogTargetDoc struct {
	Type     string          `json:"type"`
	Metadata json.RawMessage `json:"metadata,omitzero"`
}

type auditLogAction struct {
	Object    string         `json:"object"`
	Name      string         `json:"name"`
	Schema    auditLogSchema `json:"schema"`
	CreatedAt time.Time      `json:"created_at"`
	UpdatedAt time.Time      `json:"updated_at"`
}

func showAuditLogSchema(s trail.Schema) auditLogSchema {
	o := auditLogSchema{Object: "audit_log_schema", Version: s.Version, Targets: []auditLogTargetDoc{}, Metadata: s.Metadata, CreatedAt: s.CreatedAt}
	if s.Actor != nil {
		o.Actor = &auditLogMetadata{s.Actor}
	}
	for _, t := range s.Targets {
		o.Targets = append(o.Targets, auditLogTargetDoc(t))
	}
	return o
}

// listAuditLogActions lists the actions that have schemas. Schemas are the installation's, as an app's actions are
// the same whoever the customer is: a key for one organization reads them and makes none.
func (a *API) listAuditLogActions(c *call) error {
	q := c.query()
	p := q.page("ala", descending)
	if err := q.done(); err != nil {
		return err
	}
	var e envelope[auditLogAction]
	return c.viewed(&e, func(tx store.Tx) error {
		var all []trail.Action
		for x, err := range tx.LogActions() {
			if err != nil {
				return err
			}
			all = append(all, x)
		}
		slices.SortFunc(all, func(x, y trail.Action) int { return cmp.Compare(x.ID, y.ID) })
		var err error
		e, err = listPage(p, inMemory(all, func(x trail.Action) string { return x.ID }), func(x trail.Action) (auditLogAction, error) {
			s, err := tx.LogSchema(x.Name, x.Versions)
			return auditLogAction{"audit_log_action", x.Name, showAuditLogSchema(s), x.CreatedAt, x.UpdatedAt}, err
		})
		return err
	})
}

func (a *API) listAuditLogSchemas(c *call) error {
	q := c.query()
	p := q.page("als", descending)
	if err := q.done(); err != nil {
		return err
	}
	name := c.r.PathValue("actionName")
	var e envelope[auditLogSchema]
	return c.viewed(&e, func(tx store.Tx) error {
		if _, err := tx.LogAction(name); errors.Is(err, tenancy.ErrNotFound) {
			return notFound("Audit Log Action", name)
		} else if err != nil {
			return err
		}
		var all []trail.Schema
		for x, err := range tx.LogSchemas(name) {
			if err != nil {
				return err
			}
			all = append(all, x)
		}
		var err error
		e, err = listPage(p, inMemory(all, func(x trail.Schema) string { return x.ID }), func(x trail.Schema) (auditLogSchema, error) { return showAuditLogSchema(x), nil })
		return err
	})
}

func (a *API) createAuditLogSchema(c *call) error {
	if err := errors.Join(c.noQuery(), c.everywhere()); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	s := trail.Schema{Action: c.r.PathValue("actionName"), Metadata: b.document("metadata")}
	actor, ok := b.object("actor")
	if ok {
		if _, there := actor.fields["metadata"]; !there {
			actor.missing("metadata")
		}
		s.Actor = actor.document("metadata")
	}
	targets := b.objects("targets")
	if len(targets) == 0 {
		b.missing("targets")
	}
	for _, t := range targets {
		s.Targets = append(s.Targets, trail.SchemaTarget{Type: t.required("type"), Metadata: t.document("metadata")})
	}
	if err := b.done(append(targets, actor)...); err != nil {
		return err
	}
	return c.post(http.StatusCreated, func(tx store.Tx) (any, error) {
		made, err := trail.CreateSchema(tx, s, c.by, c.now)
		switch {
		case errors.Is(err, trail.ErrSchema):
			what := strings.TrimPrefix(err.Error(), trail.ErrSchema.Error()+": ")
			field, _, _ := strings.Cut(what, " ")
			return nil, invalid(Fault{"invalid", field, what})
		case errors.Is(err, trail.ErrSchemas):
			return nil, conflict("too_many_schemas", "There are as many Audit Log actions, or versions of this one's schema, as there can be.")
		}
		return showAuditLogSchema(made), err
	})
}

// document returns an object as it was written; nil: it is not there, or null.
func (b body) document(name string) json.RawMessage {
	v, ok := b.take(name)
	if !ok || v == nil {
		return nil
	}
	if _, ok := v.(map[string]any); !ok {
		b.fault("invalid_type", name, "must be an object")
		return nil
	}
	doc, err := json.Marshal(v)
	if err != nil {
		b.fault("invalid", name, "can't be kept")
		return nil
	}
	return doc
}
