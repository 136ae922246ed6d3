package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// logRows: entries come by their numbers, either way and from any of them, and none is another log's.
func logRows(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	do(t, s, func(tx store.Tx) error {
		for _, l := range []trail.Log{"org_1", "org_11", trail.Installation} {
			for _, n := range []uint64{1000, 9, 10, 2} {
				if err := tx.PutLogEntry(trail.Entry{Log: l, Sequence: n}); err != nil {
					return err
				}
			}
			if err := errors.Join(tx.PutLogHead(trail.Head{Log: l, Sequence: 1000}), tx.PutLogSettings(trail.Settings{Log: l, RetentionDays: 30})); err != nil {
				return err
			}
		}
		return tx.PutLogExport(trail.Export{ID: "audit_log_export_1", Organization: "org_1", CreatedAt: noon})
	})
	look(t, s, func(tx store.Tx) {
		for _, c := range []struct {
			from     uint64
			backward bool
			want     []string
		}{
			{0, false, []string{"2", "9", "10", "1000"}},
			{0, true, []string{"1000", "10", "9", "2"}},
			{9, false, []string{"9", "10", "1000"}},
			{9, true, []string{"9", "2"}},
			{11, false, []string{"1000"}},
			{11, true, []string{"10", "9", "2"}},
			{1001, false, []string{}},
			{1, true, []string{}},
		} {
			for _, l := range []trail.Log{"org_1", trail.Installation} {
				got := list(t, tx.LogEntries(l, c.from, c.backward), func(e trail.Entry) string {
					if e.Log != l {
						t.Errorf("an entry of %s in %s", e.Log, l)
					}
					return fmt.Sprint(e.Sequence)
				})
				if !slices.Equal(got, c.want) {
					t.Errorf("%s from %d, backward %v: %q, want %q", l, c.from, c.backward, got, c.want)
				}
			}
		}
		heads := list(t, tx.LogHeads(), func(h trail.Head) string { return string(h.Log) })
		if want := []string{"installation", "org_1", "org_11"}; !slices.Equal(heads, want) {
			t.Errorf("heads %q, want %q", heads, want)
		}
		if got := list(t, tx.LogEntries("org_", 0, false), func(e trail.Entry) string { return string(e.Log) }); len(got) > 0 {
			t.Errorf("a part of an id finds %q", got)
		}
		for _, err := range tx.LogEntries("", 0, false) {
			if err == nil {
				t.Error("no log is all of them")
			}
		}
		if _, err := tx.LogHead(""); err == nil || errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("the head of no log: %v", err)
		}
		if _, err := tx.LogExport("audit_log_export_1"); err != nil {
			t.Error(err)
		}
	})
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.DeleteLogEntry("org_1", 9), tx.DeleteLogHead("org_1"), tx.DeleteLogSettings("org_1"))
	})
	clock.Advance(trail.ExportRecordLife + time.Microsecond)
	look(t, s, func(tx store.Tx) {
		if got := list(t, tx.LogEntries("org_1", 0, false), func(e trail.Entry) string { return fmt.Sprint(e.Sequence) }); !slices.Equal(got, []string{"2", "10", "1000"}) {
			t.Errorf("without number 9: %q", got)
		}
		if _, err := tx.LogSettings("org_11"); err != nil {
			t.Errorf("another's settings: %v", err)
		}
		if _, err := tx.LogExport("audit_log_export_1"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("an export that is over: %v", err)
		}
	})
}

// schemaRows: an action has its schemas in the order of their versions, and no other's.
func schemaRows(t *testing.T, h Harness) {
	s := open(t, h, func() time.Time { return noon })
	do(t, s, func(tx store.Tx) error {
		for _, name := range []string{"a", "a.b"} {
			if err := tx.PutLogAction(trail.Action{ID: "ala_" + name, Name: name, Versions: 10}); err != nil {
				return err
			}
			for _, v := range []int{10, 9, 1} {
				if err := tx.PutLogSchema(trail.Schema{ID: "als_1", Action: name, Version: v}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	look(t, s, func(tx store.Tx) {
		got := list(t, tx.LogSchemas("a"), func(s trail.Schema) string { return fmt.Sprint(s.Action, s.Version) })
		if want := []string{"a1", "a9", "a10"}; !slices.Equal(got, want) {
			t.Errorf("schemas %q, want %q", got, want)
		}
		for _, v := range []int{-1, 0, 2} {
			if _, err := tx.LogSchema("a", v); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("version %d: %v", v, err)
			}
		}
		if got := list(t, tx.LogActions(), func(a trail.Action) string { return a.Name }); !slices.Equal(got, []string{"a", "a.b"}) {
			t.Errorf("actions %q", got)
		}
	})
}
