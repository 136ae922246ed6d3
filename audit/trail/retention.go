package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

const (
	// Trimmed is the action of the entry that says what retention has removed.
	Trimmed = "orgate.audit_log.trimmed"
	// trimSlack is how much longer entries may stay: they are removed a day at a time, and not one by one.
	trimSlack = 24 * time.Hour
)

// ErrRetention says that a retention is not one of those there are.
var ErrRetention = errors.New("not a retention: want 1 to 11 months of 30 days, or 1 to 10 years of 365")

// Retention returns for how many days the entries of a log are kept, where the installation keeps
// them for otherwise.
func Retention(tx Tx, l Log, otherwise int) (days int, err error) {
	s, err := tx.LogSettings(l)
	if errors.Is(err, tenancy.ErrNotFound) {
		return otherwise, nil
	}
	if err == nil && s.RetentionDays > 0 {
		return s.RetentionDays, nil
	}
	return otherwise, err
}

// ParseRetention reads the retention that newer SDKs write: 1_MONTH, 11_MONTHS, 1_YEAR, 10_YEARS.
func ParseRetention(s string) (days int, err error) {
	number, unit, _ := strings.Cut(s, "_")
	n, err := strconv.Atoi(number)
	if err != nil || strconv.Itoa(n) != number || n < 1 {
		return 0, ErrRetention
	}
	switch {
	case n == 1 && unit == "MONTH", n > 1 && n < 12 && unit == "MONTHS":
		return n * 30, nil
	case n == 1 && unit == "YEAR", n > 1 && n <= 10 && unit == "YEARS":
		return n * 365, nil
	}
	return 0, ErrRetention
}

// SetRetention says for how many days the entries of an organization are kept.
func SetRetention(tx Tx, org tenancy.OrgID, days int, by audit.Actor, now time.Time) error {
	if months, years := days/30, days/365; (days%30 != 0 || months < 1 || months > 11) && (days%365 != 0 || years < 1 || years > 10) {
		return ErrRetention
	}
	if org == "" {
		return fmt.Errorf("organization: %w", tenancy.ErrNotFound)
	}
	if err := tx.PutLogSettings(Settings{LogOf(org), days, now.UTC()}); err != nil {
		return err
	}
	e := audit.New(audit.AuditLogRetentionUpdated, by, now)
	e.Organization = string(org)
	return audit.Record(tx, e, struct {
		Object       string        `json:"object"`
		Organization tenancy.OrgID `json:"organization_id"`
		Days         int           `json:"retention_period_in_days"`
	}{"audit_log_retention", org, days})
}

// Due returns the logs that have something to be removed.
func Due(tx Tx, otherwise int, now time.Time) (logs []Log, err error) {
	for h, err := range tx.LogHeads() {
		if err != nil {
			return nil, err
		}
		due := h.Deleted
		if !due && now.Sub(h.Oldest) > trimSlack {
			days, err := Retention(tx, h.Log, otherwise)
			if err != nil {
				return nil, err
			}
			due = h.due(days, now)
		}
		if due {
			logs = append(logs, h.Log)
		}
	}
	return logs, nil
}

// due reports whether there are entries that are older than they need to be by the slack.
func (h Head) due(days int, now time.Time) bool {
	return !h.Oldest.IsZero() && now.Sub(h.Oldest) >= time.Duration(days)*24*time.Hour+trimSlack
}

// Trim removes entries that are older than retention allows, up to limit of them, and reports whether there
// may be more. What it removed is said in an entry at the end. It removes nothing of a chain
// that is broken there: that would remove the evidence.
func Trim(tx Tx, l Log, otherwise, limit int, now time.Time) (removed int, more bool, err error) {
	h, err := tx.LogHead(l)
	if err != nil || h.Deleted {
		return 0, false, err
	}
	days, err := Retention(tx, l, otherwise)
	if err != nil {
		return 0, false, err
	}
	if !h.due(days, now) {
		return 0, false, nil
	}
	end := now.Add(-time.Duration(days) * 24 * time.Hour)
	v, err := NewVerifier(h)
	if err != nil {
		return 0, false, err
	}
	oldest := time.Time{}
	for e, err := range tx.LogEntries(l, v.Next(), false) {
		if err != nil {
			return 0, false, err
		}
		if !e.RecordedAt.Before(end) || removed == limit || e.Sequence == h.Sequence && e.Action == Trimmed && removed == 0 {
			oldest, more = e.RecordedAt, removed == limit && e.RecordedAt.Before(end)
			break
		}
		if err := v.Add(e); err != nil {
			return 0, false, fmt.Errorf("audit log %s is broken, and nothing is removed: %w", l, err)
		}
		if err := tx.DeleteLogEntry(l, e.Sequence); err != nil {
			return 0, false, err
		}
		removed++
	}
	if removed == 0 {
		return 0, false, nil
	}
	h.Anchor, h.Oldest = v.Last(), oldest
	h, e := follow(h, Entry{
		ID: id.New("event", now), Action: Trimmed, OccurredAt: now.UTC(), RecordedAt: now.UTC(), RecordedBy: Ours, Actor: Actor{ID: "system", Type: "system"},
		Metadata: Metadata{"sequence": Whole(h.Anchor.Sequence), "hash": Text(h.Anchor.Hash.String()), "retention_days": Number(json.Number(strconv.Itoa(days)))},
	})
	if h.Oldest.IsZero() {
		h.Oldest = e.RecordedAt
	}
	return removed, more, errors.Join(tx.PutLogEntry(e), tx.PutLogHead(h))
}

// trimmedBy returns what an entry of the action [Trimmed] says.
func trimmedBy(e Entry) Anchor {
	n, err := strconv.ParseUint(e.Metadata["sequence"].String(), 10, 64)
	if err != nil {
		return Anchor{}
	}
	hash, err := ParseHash(e.Metadata["hash"].String())
	if err != nil {
		return Anchor{}
	}
	return Anchor{n, hash}
}

// Sweep removes up to limit entries of a log whose organization is gone, and reports whether there is more.
func Sweep(tx Tx, l Log, limit int) (more bool, err error) {
	h, err := tx.LogHead(l)
	if errors.Is(err, tenancy.ErrNotFound) || err == nil && !h.Deleted {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n := 0
	for e, err := range tx.LogEntries(l, 0, false) {
		if err != nil {
			return false, err
		}
		if n == limit {
			return true, nil
		}
		if err := tx.DeleteLogEntry(l, e.Sequence); err != nil {
			return false, err
		}
		n++
	}
	return false, errors.Join(tx.DeleteLogSettings(l), tx.DeleteLogHead(l))
}
