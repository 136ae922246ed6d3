package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

const (
	// MaxTargets is how many targets one entry has.
	MaxTargets = 100
	// maxName is how long an action may be.
	maxName = 200
	// maxNumber is how many digits a number may be written with.
	maxNumber = 40
	// maxExponent is that of a number: those of the floating-point numbers that everybody has are smaller.
	maxExponent = 400
	// maxWritten is how long an entry may be that the app writes, as JSON.
	maxWritten = 64 << 10
)

// A Written is an entry as the app writes it.
type Written struct {
	Action     string    `json:"action"`
	OccurredAt time.Time `json:"occurred_at"`
	// Version is that of the schema; 0: the newest, if there is one.
	Version  int      `json:"version,omitzero"`
	Actor    Actor    `json:"actor"`
	Targets  []Target `json:"targets"`
	Context  Context  `json:"context"`
	Metadata Metadata `json:"metadata,omitzero"`
}

// An EventError says where an entry is wrong, as JSON pointers: /targets/0/metadata/cost.
type EventError struct{ Paths []string }

// Error implements error.
func (e *EventError) Error() string { return "invalid entry, at " + strings.Join(e.Paths, ", ") }

// WriteEvent records what the app says has happened. It is in the log soon after the transaction, and whatever
// becomes of orgate, once that was committed. It returns an [*EventError] for what is too much, or not as the
// schema of the action has it.
func WriteEvent(tx Tx, org tenancy.OrgID, w Written, by audit.Actor, now time.Time) error {
	c := checker{}
	c.written(w)
	if len(c.paths) == 0 {
		if err := c.schema(tx, &w); err != nil {
			return err
		}
	}
	if b, err := json.Marshal(w); err == nil && len(b) > maxWritten {
		c.fault("")
	}
	if len(c.paths) > 0 {
		slices.Sort(c.paths)
		return &EventError{slices.Compact(c.paths)}
	}
	e := audit.New(audit.AuditLogEventCreated, by, now)
	e.Organization = string(org)
	return audit.Record(tx, e, w)
}

type checker struct{ paths []string }

func (c *checker) fault(path string) { c.paths = append(c.paths, path) }

func (c *checker) written(w Written) {
	c.text("/action", w.Action, maxName, true)
	if strings.HasPrefix(w.Action, ownActions) {
		c.fault("/action") // what orgate says of itself, nobody else says
	}
	if w.OccurredAt.IsZero() {
		c.fault("/occurred_at")
	}
	if w.Version < 0 {
		c.fault("/version")
	}
	c.text("/actor/id", w.Actor.ID, maxValue, true)
	c.text("/actor/type", w.Actor.Type, maxValue, true)
	c.text("/actor/name", w.Actor.Name, maxValue, false)
	c.metadata("/actor/metadata", w.Actor.Metadata)
	if len(w.Targets) > MaxTargets {
		c.fault("/targets")
		return
	}
	for i, t := range w.Targets {
		at := fmt.Sprintf("/targets/%d", i)
		c.text(at+"/id", t.ID, maxValue, true)
		c.text(at+"/type", t.Type, maxValue, true)
		c.text(at+"/name", t.Name, maxValue, false)
		c.metadata(at+"/metadata", t.Metadata)
	}
	c.text("/context/location", w.Context.Location, maxValue, false)
	c.text("/context/user_agent", w.Context.UserAgent, 2*maxValue, false)
	c.metadata("/metadata", w.Metadata)
}

// text refuses what is too long, and NUL, with which much ends that reads text.
func (c *checker) text(path, s string, most int, must bool) {
	if must && strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > most || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		c.fault(path)
	}
}

func (c *checker) metadata(path string, m Metadata) {
	if len(m) > maxKeys {
		c.fault(path)
		return
	}
	for k, v := range m {
		at := path + "/" + escape(k)
		if len(k) > maxKey || strings.ContainsFunc(k, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			c.fault(at)
			continue
		}
		c.text(at, v.text, maxValue, false)
		if v.kind == 'n' && !plainNumber(v.text) {
			c.fault(at)
		}
	}
}

// plainNumber reports whether a number of JSON has no more digits and no larger exponent than a number that is meant: a few bytes
// such as 1e1000000 take a schema long to compare, and larger ones it can't.
func plainNumber(s string) bool {
	_, exponent, ok := strings.Cut(strings.ToLower(s), "e")
	if len(s) > maxNumber || !ok {
		return len(s) <= maxNumber
	}
	n, err := strconv.Atoi(exponent)
	return err == nil && -maxExponent <= n && n <= maxExponent
}

// escape writes a name as a part of a JSON pointer.
func escape(s string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(clip(s))
}

// schema holds w against the schema of its action, if there is one.
func (c *checker) schema(tx Tx, w *Written) error {
	a, err := tx.LogAction(w.Action)
	if errors.Is(err, tenancy.ErrNotFound) {
		if w.Version > 1 {
			c.fault("/version")
		}
		return nil
	}
	if err != nil {
		return err
	}
	if w.Version == 0 {
		w.Version = a.Versions
	}
	s, err := tx.LogSchema(w.Action, w.Version)
	if errors.Is(err, tenancy.ErrNotFound) {
		c.fault("/version")
		return nil
	}
	if err != nil {
		return err
	}
	for _, part := range []struct {
		path   string
		schema json.RawMessage
		m      Metadata
	}{{"/metadata", s.Metadata, w.Metadata}, {"/actor/metadata", s.Actor, w.Actor.Metadata}} {
		if err := c.hold(part.path, part.schema, part.m); err != nil {
			return err
		}
	}
	if len(w.Targets) == 0 {
		c.fault("/targets")
	}
	for i, t := range w.Targets {
		at := fmt.Sprintf("/targets/%d", i)
		n := slices.IndexFunc(s.Targets, func(st SchemaTarget) bool { return st.Type == t.Type })
		if n < 0 {
			c.fault(at + "/type")
			continue
		}
		if err := c.hold(at+"/metadata", s.Targets[n].Metadata, t.Metadata); err != nil {
			return err
		}
	}
	return nil
}

// hold validates metadata by a JSON Schema; nil: none.
func (c *checker) hold(path string, schema json.RawMessage, m Metadata) error {
	if schema == nil {
		return nil
	}
	compiled, err := compile(schema)
	if err != nil {
		return fmt.Errorf("schema of %s: %w", path, err)
	}
	instance := make(map[string]any, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		switch v := m[k]; v.kind {
		case 'n':
			instance[k] = json.Number(v.text)
		case 'b':
			instance[k] = v.text == "true"
		default:
			instance[k] = v.text
		}
	}
	for _, at := range violations(compiled, instance) {
		c.fault(path + at)
	}
	return nil
}
