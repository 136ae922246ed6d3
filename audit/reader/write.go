package reader

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/audit/trail"
)

// Columns are those of CSV.
func Columns() []string {
	return []string{
		"sequence", "id", "action", "occurred_at", "recorded_at", "recorded_by", "version", "actor_id", "actor_type", "actor_name", "actor_metadata",
		"targets", "location", "user_agent", "metadata", "previous_hash", "hash",
	}
}

// WriteCSV writes entries as CSV (RFC 4180) with a header. What a spreadsheet would take for a formula begins
// with an apostrophe: what people have typed is text.
func WriteCSV(out io.Writer, entries iter.Seq2[trail.Entry, error]) error {
	w := csv.NewWriter(out)
	if err := w.Write(Columns()); err != nil {
		return err
	}
	for e, err := range entries {
		if err != nil {
			return err
		}
		row, err := rowOf(e)
		if err == nil {
			err = w.Write(row)
		}
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func rowOf(e trail.Entry) ([]string, error) {
	asJSON := func(v any, none bool) (string, error) {
		if none {
			return "", nil
		}
		b, err := json.Marshal(v)
		return string(b), err
	}
	targets, err := asJSON(e.Targets, len(e.Targets) == 0)
	if err != nil {
		return nil, err
	}
	actor, err := asJSON(e.Actor.Metadata, len(e.Actor.Metadata) == 0)
	if err != nil {
		return nil, err
	}
	metadata, err := asJSON(e.Metadata, len(e.Metadata) == 0)
	if err != nil {
		return nil, err
	}
	version := ""
	if e.Version != 0 {
		version = strconv.Itoa(e.Version)
	}
	row := []string{
		strconv.FormatUint(e.Sequence, 10), e.ID, e.Action, e.OccurredAt.UTC().Format(time.RFC3339Nano), e.RecordedAt.UTC().Format(time.RFC3339Nano), e.RecordedBy, version,
		e.Actor.ID, e.Actor.Type, e.Actor.Name, actor, targets, e.Context.Location, e.Context.UserAgent, metadata, e.Previous.String(), e.Hash.String(),
	}
	for i, cell := range row {
		row[i] = harmless(cell)
	}
	return row, nil
}

// harmless keeps spreadsheets from taking a cell, or a part of one, for a formula. A part is what follows a
// semicolon, a tab or the end of a line: where lists are written with semicolons, a spreadsheet takes these for the end of a
// cell, and quotes in the middle of a line for nothing. What begins with an apostrophe gets another one, so that what was
// there can be told.
func harmless(cell string) string {
	var b strings.Builder
	if cell != "" && strings.IndexByte("\t\r\n", cell[0]) >= 0 {
		b.WriteByte('\'')
	}
	begins := true
	for i := range len(cell) {
		if begins && formula(cell[i:]) {
			b.WriteByte('\'')
		}
		b.WriteByte(cell[i])
		begins = strings.IndexByte(";\t\r\n", cell[i]) >= 0
	}
	return b.String()
}

// formula reports whether a spreadsheet may take text that begins so for one, or it begins with what keeps it from that.
func formula(s string) bool {
	for _, sign := range []string{"=", "+", "-", "@", "'", "＝", "＋", "－", "＠"} { // some take the wide ones for the others
		if strings.HasPrefix(s, sign) {
			return true
		}
	}
	return false
}

// WriteJSON writes entries as JSON, one on a line.
func WriteJSON(out io.Writer, entries iter.Seq2[trail.Entry, error]) error {
	enc := json.NewEncoder(out)
	for e, err := range entries {
		if err != nil {
			return err
		}
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("entry %d: %w", e.Sequence, err)
		}
	}
	return nil
}
