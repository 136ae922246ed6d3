// Package trail owns the audit log: for each organization, and for the installation, a chain of
// entries that say what happened, who did it, to what, and from where.
//
// Entries are made of events ([Write]): whatever is recorded by package audit is in a log, sign-ins,
// denials and changes alike, and what the app itself writes is an event too. Each entry has a
// number, and the hash of the one before; its own hash is over all of it, so that an
// entry that is changed, moved, taken out or put in is found ([Verifier]). What retention removes
// leaves an [Anchor] from which the chain goes on, and says so in an entry of its own.
//
// It is below the line. It does not own when the chain is written (package writer), how it is read
// and exported (package reader), nor events (package audit).
//
// The invariants: numbers of a log have no gaps; the position in the feed moves on in the
// transaction of the entries, so that an event is in a log once; and only the end of a chain
// grows, only its front is removed.
package trail

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

// A Log names a chain: an organization's, by its id, or the installation's.
type Log string

// Installation is the log of what is of no organization.
const Installation Log = "installation"

// LogOf returns the log of an organization; of none, the installation's.
func LogOf(org tenancy.OrgID) Log {
	if org == "" {
		return Installation
	}
	return Log(org)
}

// A Hash is a SHA-256. The zero Hash is before the first entry.
type Hash [32]byte

// String returns it in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads what String wrote.
func ParseHash(s string) (h Hash, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(h) {
		return Hash{}, errors.New("not a hash: want 64 hexadecimal digits")
	}
	return Hash(b), nil
}

// MarshalText implements [encoding.TextMarshaler].
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Hash) UnmarshalText(b []byte) (err error) {
	*h, err = ParseHash(string(b))
	return err
}

// An Entry is one thing that happened.
type Entry struct {
	Log      Log    `json:"log"`
	Sequence uint64 `json:"sequence"` // from 1
	Previous Hash   `json:"previous_hash"`
	// ID is the event's.
	ID     string `json:"id"`
	Action string `json:"action"`
	// OccurredAt is when it happened, as whoever tells of it says; RecordedAt is when orgate was told.
	OccurredAt time.Time `json:"occurred_at"`
	RecordedAt time.Time `json:"recorded_at"`
	// RecordedBy is who told: "orgate" itself, or the API key with which the app did.
	RecordedBy string `json:"recorded_by"`
	// Version is that of the action's schema; 0: it has none.
	Version  int      `json:"version,omitzero"`
	Actor    Actor    `json:"actor"`
	Targets  []Target `json:"targets"`
	Context  Context  `json:"context"`
	Metadata Metadata `json:"metadata,omitzero"`
	Hash     Hash     `json:"hash"`
}

// An Actor is who did it.
type Actor struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Name     string   `json:"name,omitzero"`
	Metadata Metadata `json:"metadata,omitzero"`
}

// A Target is what it was done to.
type Target struct {
	ID       string   `json:"id"`
	Type     string   `json:"type"`
	Name     string   `json:"name,omitzero"`
	Metadata Metadata `json:"metadata,omitzero"`
}

// A Context is where it was done from.
type Context struct {
	Location  string `json:"location"` // an address, as a rule
	UserAgent string `json:"user_agent,omitzero"`
}

// Metadata is what else is said.
type Metadata map[string]Value

// A Value is a string, a number or a boolean.
type Value struct {
	kind byte // 's', 'n' or 'b'
	text string
}

// Text returns a string as a Value.
func Text(s string) Value { return Value{'s', s} }

// Number returns a number as a Value.
func Number(n json.Number) Value { return Value{'n', n.String()} }

// Whole is [Number] of a whole one.
func Whole(n uint64) Value { return Value{'n', strconv.FormatUint(n, 10)} }

// Bool returns a boolean as a Value.
func Bool(b bool) Value { return Value{'b', strconv.FormatBool(b)} }

// String returns it as text.
func (v Value) String() string { return v.text }

// MarshalJSON implements [json.Marshaler].
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.kind {
	case 's':
		return json.Marshal(v.text)
	case 'n', 'b':
		return []byte(v.text), nil
	}
	return nil, errors.New("a value of no kind")
}

// UnmarshalJSON implements [json.Unmarshaler].
func (v *Value) UnmarshalJSON(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == '"':
		v.kind = 's'
		return json.Unmarshal(b, &v.text)
	case string(b) == "true", string(b) == "false":
		*v = Value{'b', string(b)}
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil || n == "" {
		return errors.New("not a string, number or boolean")
	}
	*v = Value{'n', n.String()}
	return nil
}

// A Head says where a chain ends and where it begins.
type Head struct {
	Log Log `json:"log"`
	// Sequence, Hash and At are the last entry's.
	Sequence uint64    `json:"sequence"`
	Hash     Hash      `json:"hash"`
	At       time.Time `json:"at"`
	// Anchor is the last entry that retention removed, and Oldest the time of the first that is there.
	Anchor Anchor    `json:"anchor"`
	Oldest time.Time `json:"oldest,omitzero"`
	// Deleted: the organization is gone, and the log is being removed.
	Deleted bool `json:"deleted,omitzero"`
}

// An Anchor is an entry from which a chain goes on. The zero Anchor is before the first.
type Anchor struct {
	Sequence uint64 `json:"sequence"`
	Hash     Hash   `json:"hash"`
}

// String returns it as verify prints it, to be given to it again: 42:9f86….
func (a Anchor) String() string { return fmt.Sprintf("%d:%s", a.Sequence, a.Hash) }

// Settings are how a log is kept.
type Settings struct {
	Log Log `json:"log"`
	// RetentionDays is for how many days entries are kept; 0: as the installation says.
	RetentionDays int       `json:"retention_days,omitzero"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// A Lease says which replica writes the logs.
type Lease struct {
	Holder string    `json:"holder"`
	Until  time.Time `json:"until"`
}

// A Change is an event and its position in the feed.
type Change struct {
	Position uint64
	Event    audit.Event
}

// Tx is the part of a transaction that this package needs. Getters return an error wrapping
// [tenancy.ErrNotFound] for what is not there; a loop may delete what it is given.
type Tx interface {
	audit.Tx
	Organization(tenancy.OrgID) (tenancy.Organization, error)
	User(tenancy.UserID) (tenancy.User, error)

	LogHead(Log) (Head, error)
	LogHeads() iter.Seq2[Head, error]
	PutLogHead(Head) error
	DeleteLogHead(Log) error

	// LogEntries yields the entries of a log from a number on, or down from it if backward (0: from the last one).
	LogEntries(l Log, from uint64, backward bool) iter.Seq2[Entry, error]
	PutLogEntry(Entry) error
	DeleteLogEntry(l Log, sequence uint64) error

	LogSettings(Log) (Settings, error)
	PutLogSettings(Settings) error
	DeleteLogSettings(Log) error

	// LogPosition returns the position up to which the feed is in the logs; 0: nothing is.
	LogPosition() (uint64, error)
	PutLogPosition(uint64) error
	LogLease() (Lease, error)
	PutLogLease(Lease) error

	LogAction(name string) (Action, error)
	LogActions() iter.Seq2[Action, error]
	PutLogAction(Action) error
	LogSchema(action string, version int) (Schema, error)
	LogSchemas(action string) iter.Seq2[Schema, error]
	PutLogSchema(Schema) error

	LogExport(ExportID) (Export, error)
	// PutLogExport writes an export, which goes at its end.
	PutLogExport(Export) error
}
