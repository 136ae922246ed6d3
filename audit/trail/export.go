package trail

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

const (
	// ExportLife is how long an export can be fetched after it was asked for.
	ExportLife = 7 * 24 * time.Hour
	// ExportRecordLife is how long it is known that it could be.
	ExportRecordLife = 30 * 24 * time.Hour
)

// ExportID is audit_log_export_….
type ExportID string

// An Export is a wish for a part of a log. It has no copy of it: what is fetched is read then.
type Export struct {
	ID           ExportID      `json:"id"`
	Organization tenancy.OrgID `json:"organization_id"`
	Filter       Filter        `json:"filter"`
	// Position is where the feed was when it was asked for: it is ready when all up to there is in the logs.
	Position  uint64    `json:"position"`
	CreatedAt time.Time `json:"created_at"`
}

// An ExportState is one of the API's.
type ExportState string

// The states.
const (
	ExportPending ExportState = "pending"
	ExportReady   ExportState = "ready"
	ExportExpired ExportState = "expired"
)

// State returns how far an export is.
func (x Export) State(tx Tx, now time.Time) (ExportState, error) {
	if now.Sub(x.CreatedAt) >= ExportLife {
		return ExportExpired, nil
	}
	pos, err := tx.LogPosition()
	if err != nil || pos < x.Position {
		return ExportPending, err
	}
	return ExportReady, nil
}

// CreateExport notes that somebody wants a part of an organization's log. head is the position of the last event.
func CreateExport(tx Tx, org tenancy.OrgID, f Filter, head uint64, by audit.Actor, now time.Time) (Export, error) {
	x := Export{ID: ExportID(id.New("audit_log_export", now)), Organization: org, Filter: f, Position: head, CreatedAt: now.UTC()}
	if err := tx.PutLogExport(x); err != nil {
		return Export{}, err
	}
	e := audit.New(audit.AuditLogExportCreated, by, now)
	e.Organization = string(org)
	return x, audit.Record(tx, e, struct {
		Object     string    `json:"object"`
		ID         ExportID  `json:"id"`
		Start      time.Time `json:"range_start"`
		End        time.Time `json:"range_end"`
		Actions    []string  `json:"actions,omitzero"`
		ActorIDs   []string  `json:"actor_ids,omitzero"`
		ActorNames []string  `json:"actor_names,omitzero"`
		Targets    []string  `json:"targets,omitzero"`
	}{"audit_log_export", x.ID, f.Start, f.End, f.Actions, f.ActorIDs, f.ActorNames, f.Targets})
}
