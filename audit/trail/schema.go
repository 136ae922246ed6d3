package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

const (
	// MaxActions is how many actions have schemas.
	MaxActions = 500
	// MaxVersions is how many each can have.
	MaxVersions = 100
	// maxSchema is how long a schema may be, as JSON.
	maxSchema = 16 << 10
)

// What is wrong with a schema.
var (
	// ErrSchema: it is none that entries can be held against.
	ErrSchema = errors.New("not a schema")
	// ErrSchemas: there are as many as there can be.
	ErrSchemas = errors.New("there are as many schemas as there can be")
)

// An Action is one that has schemas.
type Action struct {
	ID        string    `json:"id"` // ala_…, for lists
	Name      string    `json:"name"`
	Versions  int       `json:"versions"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A Schema says how entries of an action look. Actor, Metadata and those of targets are JSON Schemas of
// metadata; nil: any.
type Schema struct {
	ID        string          `json:"id"` // als_…, for lists
	Action    string          `json:"action"`
	Version   int             `json:"version"`
	Actor     json.RawMessage `json:"actor,omitzero"`
	Targets   []SchemaTarget  `json:"targets"`
	Metadata  json.RawMessage `json:"metadata,omitzero"`
	CreatedAt time.Time       `json:"created_at"`
}

// A SchemaTarget is a type of targets that entries of the action may have.
type SchemaTarget struct {
	Type     string          `json:"type"`
	Metadata json.RawMessage `json:"metadata,omitzero"`
}

// CreateSchema makes the next version of an action's schema, and the action if it has none. It returns an
// error wrapping [ErrSchema] that says what is wrong.
func CreateSchema(tx Tx, s Schema, by audit.Actor, now time.Time) (Schema, error) {
	if err := s.check(); err != nil {
		return Schema{}, err
	}
	a, err := tx.LogAction(s.Action)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		n := 0
		for _, err := range tx.LogActions() {
			if err != nil {
				return Schema{}, err
			}
			n++
		}
		if n >= MaxActions {
			return Schema{}, ErrSchemas
		}
		a = Action{ID: id.New("ala", now), Name: s.Action, CreatedAt: now.UTC()}
	case err != nil:
		return Schema{}, err
	case a.Versions >= MaxVersions:
		return Schema{}, ErrSchemas
	}
	a.Versions++
	a.UpdatedAt = now.UTC()
	s.ID, s.Version, s.CreatedAt = id.New("als", now), a.Versions, now.UTC()
	if err := errors.Join(tx.PutLogAction(a), tx.PutLogSchema(s)); err != nil {
		return Schema{}, err
	}
	return s, audit.Record(tx, audit.New(audit.AuditLogSchemaCreated, by, now), struct {
		Object  string `json:"object"`
		ID      string `json:"id"`
		Action  string `json:"action"`
		Version int    `json:"version"`
	}{"audit_log_schema", s.ID, s.Action, s.Version})
}

func (s Schema) check() error {
	c := checker{}
	c.text("action", s.Action, maxName, true)
	if strings.HasPrefix(s.Action, ownActions) || len(c.paths) > 0 {
		return fmt.Errorf("%w: the action's name is empty, too long or begins with %s", ErrSchema, ownActions)
	}
	if len(s.Targets) == 0 || len(s.Targets) > MaxTargets {
		return fmt.Errorf("%w: targets must be 1 to %d", ErrSchema, MaxTargets)
	}
	types := map[string]bool{}
	size := 0
	for i, t := range s.Targets {
		c.text("type", t.Type, maxValue, true)
		if len(c.paths) > 0 || types[t.Type] {
			return fmt.Errorf("%w: targets[%d].type is empty, too long or there twice", ErrSchema, i)
		}
		types[t.Type] = true
		if err := checkJSONSchema(t.Metadata, fmt.Sprintf("targets[%d].metadata", i)); err != nil {
			return err
		}
		size += len(t.Metadata)
	}
	if err := errors.Join(checkJSONSchema(s.Actor, "actor.metadata"), checkJSONSchema(s.Metadata, "metadata")); err != nil {
		return err
	}
	if size+len(s.Actor)+len(s.Metadata) > maxSchema {
		return fmt.Errorf("%w: metadata (in all) has more than %d bytes", ErrSchema, maxSchema)
	}
	return nil
}

func checkJSONSchema(doc json.RawMessage, where string) error {
	if doc == nil {
		return nil
	}
	if len(doc) > maxSchema {
		return fmt.Errorf("%w: %s has more than %d bytes", ErrSchema, where, maxSchema)
	}
	if _, err := compile(doc); err != nil {
		return fmt.Errorf("%w: %s is not a JSON Schema that can be used: it may not refer to others", ErrSchema, where)
	}
	return nil
}

// nothing loads no schema: one that names another must not have orgate read files or call addresses.
type nothing struct{}

// Load implements [jsonschema.URLLoader].
func (nothing) Load(string) (any, error) { return nil, errors.New("schemas refer to no others") }

func compile(doc json.RawMessage) (*jsonschema.Schema, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	if _, ok := v.(map[string]any); !ok || refers(v) || extreme(v) {
		return nil, errors.New("not an object, or it refers to others, or has a number that nobody means")
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	const place = "orgate:schema"
	if err := c.AddResource(place, v); err != nil {
		return nil, err
	}
	return c.Compile(place)
}

// refers reports whether a schema names another, or itself: what is about metadata, which has no depth, has no need
// to, and a schema that is about itself may never end.
func refers(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if strings.HasPrefix(k, "$") && k != "$schema" && k != "$comment" || refers(x) {
				return true
			}
		}
	case []any:
		if slices.ContainsFunc(v, refers) {
			return true
		}
	}
	return false
}

// extreme reports whether a schema has a number that can't be compared.
func extreme(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), extreme)
	case []any:
		return slices.ContainsFunc(v, extreme)
	case json.Number:
		return !plainNumber(string(v))
	}
	return false
}

// violations are the places in instance that the schema does not allow, as JSON pointers.
func violations(s *jsonschema.Schema, instance any) (paths []string) {
	err := s.Validate(instance)
	if err == nil {
		return nil
	}
	invalid := &jsonschema.ValidationError{}
	if !errors.As(err, &invalid) {
		return []string{""}
	}
	var leaves func(*jsonschema.ValidationError)
	leaves = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			var at strings.Builder
			for _, name := range e.InstanceLocation {
				at.WriteString("/" + escape(name))
			}
			paths = append(paths, at.String())
		}
		for _, c := range e.Causes {
			leaves(c)
		}
	}
	leaves(invalid)
	return paths
}
