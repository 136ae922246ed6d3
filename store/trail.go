package store

import (
	"errors"
	"iter"
	"time"

	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/tenancy"
)

// What there is of audit logs beside their entries, by the last field of the key or, where it is no log's, the first.
const (
	logHead     = "head"
	logSettings = "settings"
	logAction   = "action"
	logSchema   = "schema"
	logExport   = "export"
	logPosition = "position"
	logLease    = "lease"
)

func logEntries() table[trail.Entry] {
	return table[trail.Entry]{
		kind: kindLogEntry, name: "entry of an audit log",
		fields: func(e trail.Entry) []string { return []string{string(e.Log), position(e.Sequence)} },
	}
}

// Heads have a kind of their own, so that they can be gone through without the rest.
func logHeads() table[trail.Head] {
	return table[trail.Head]{
		kind: kindLogHead, name: "head of an audit log",
		fields: func(h trail.Head) []string { return []string{string(h.Log)} },
	}
}

func logsSettings() table[trail.Settings] {
	return table[trail.Settings]{
		kind: kindLogSettings, name: "settings of an audit log",
		fields: func(s trail.Settings) []string { return []string{string(s.Log), logSettings} },
	}
}

func logActions() table[trail.Action] {
	return table[trail.Action]{
		kind: kindLogState, name: "audit log action",
		fields: func(a trail.Action) []string { return []string{logAction, a.Name} },
	}
}

func logSchemas() table[trail.Schema] {
	return table[trail.Schema]{
		kind: kindLogState, name: "audit log schema",
		fields: func(s trail.Schema) []string {
			return []string{logSchema, s.Action, position(uint64(s.Version))}
		},
	}
}

func logExports() table[trail.Export] {
	return table[trail.Export]{
		kind: kindLogState, name: "audit log export",
		fields:  func(x trail.Export) []string { return []string{logExport, string(x.ID)} },
		expires: func(x trail.Export) time.Time { return x.CreatedAt.Add(trail.ExportRecordLife) },
	}
}

func logLeases() table[trail.Lease] {
	return table[trail.Lease]{
		kind: kindLogState, name: "lease of audit logs",
		fields: func(trail.Lease) []string { return []string{logLease} },
	}
}

func logPositions() table[uint64] {
	return table[uint64]{
		kind: kindLogState, name: "position of audit logs",
		fields: func(uint64) []string { return []string{logPosition} },
	}
}

func (t *tx) LogHead(l trail.Log) (trail.Head, error) { return get(t, logHeads(), string(l)) }

func (t *tx) LogHeads() iter.Seq2[trail.Head, error] {
	return func(yield func(trail.Head, error) bool) {
		for p, err := range t.kv.Scan([]byte{byte(kindLogHead)}, nil, false) {
			var h trail.Head
			if err == nil {
				h, err = decode(logHeads(), p.Value)
			}
			if !yield(h, err) || err != nil {
				return
			}
		}
	}
}

func (t *tx) PutLogHead(h trail.Head) error { return put(t, logHeads(), h) }

func (t *tx) DeleteLogHead(l trail.Log) error { return remove(t, logHeads(), string(l)) }

func (t *tx) LogEntries(l trail.Log, from uint64, backward bool) iter.Seq2[trail.Entry, error] {
	return func(yield func(trail.Entry, error) bool) {
		prefix, ok, err := lookupKey(kindLogEntry, []string{string(l)})
		if err != nil {
			yield(trail.Entry{}, err)
			return
		}
		if !ok {
			return
		}
		var start []byte
		if from > 0 {
			start = encodeKey(byte(kindLogEntry), string(l), position(from))[len(prefix):]
		}
		for p, err := range t.kv.Scan(prefix, start, backward) {
			var e trail.Entry
			if err == nil {
				e, err = decode(logEntries(), p.Value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (t *tx) PutLogEntry(e trail.Entry) error { return put(t, logEntries(), e) }

func (t *tx) DeleteLogEntry(l trail.Log, sequence uint64) error {
	return remove(t, logEntries(), string(l), position(sequence))
}

func (t *tx) LogSettings(l trail.Log) (trail.Settings, error) {
	return get(t, logsSettings(), string(l), logSettings)
}

func (t *tx) PutLogSettings(s trail.Settings) error { return put(t, logsSettings(), s) }

func (t *tx) DeleteLogSettings(l trail.Log) error {
	return remove(t, logsSettings(), string(l), logSettings)
}

func (t *tx) LogPosition() (uint64, error) {
	pos, err := get(t, logPositions(), logPosition)
	if errors.Is(err, tenancy.ErrNotFound) {
		return 0, nil
	}
	return pos, err
}

func (t *tx) PutLogPosition(pos uint64) error { return put(t, logPositions(), pos) }

func (t *tx) LogLease() (trail.Lease, error) { return get(t, logLeases(), logLease) }

func (t *tx) PutLogLease(l trail.Lease) error { return put(t, logLeases(), l) }

func (t *tx) LogAction(name string) (trail.Action, error) {
	return get(t, logActions(), logAction, name)
}

func (t *tx) LogActions() iter.Seq2[trail.Action, error] { return all(t, logActions(), logAction) }

func (t *tx) PutLogAction(a trail.Action) error { return put(t, logActions(), a) }

func (t *tx) LogSchema(action string, version int) (trail.Schema, error) {
	return get(t, logSchemas(), logSchema, action, position(uint64(max(version, 0))))
}

func (t *tx) LogSchemas(action string) iter.Seq2[trail.Schema, error] {
	return all(t, logSchemas(), logSchema, action)
}

func (t *tx) PutLogSchema(s trail.Schema) error { return put(t, logSchemas(), s) }

func (t *tx) LogExport(id trail.ExportID) (trail.Export, error) {
	return get(t, logExports(), logExport, string(id))
}

func (t *tx) PutLogExport(x trail.Export) error { return put(t, logExports(), x) }
