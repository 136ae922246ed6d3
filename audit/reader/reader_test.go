package reader_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/audit/reader"
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/internal/need"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func only(e trail.Entry) func(func(trail.Entry, error) bool) {
	return func(yield func(trail.Entry, error) bool) { yield(e, nil) }
}

// Whatever was typed, no cell is a formula, and each is what was typed but for one apostrophe.
// plain takes out what may have been put in.
var plain = strings.NewReplacer("'", "")

func FuzzNoCellIsAFormula(f *testing.F) {
	for _, s := range []string{"=1+1", "+1", "-1", "@x", "\t=1", "\r\n=1", "'=1", "＝1", "a\r\n=1", `"=1`, "", "\x00", ";=1", "a\"b,c", "Jo;=1+1;x", "a\n=1", "a\t@b", ";'=", ";＝1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b bytes.Buffer
		e := trail.Entry{Sequence: 1, OccurredAt: noon, RecordedAt: noon, Action: s, Actor: trail.Actor{ID: s, Name: s}, Context: trail.Context{Location: s, UserAgent: s}, RecordedBy: s}
		if err := reader.WriteCSV(&b, only(e)); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != len(reader.Columns()) {
			t.Fatalf("%d rows: %v", len(rows), err)
		}
		cell := rows[1][2]
		for _, c := range rows[1] {
			if c != "" && strings.ContainsAny(c[:1], "=+-@\t\r\n") {
				t.Errorf("a formula: %q", c)
			}
			// Where lists are written with semicolons, quotes in the middle of a line mean nothing.
			for part := range strings.FieldsFuncSeq(c, func(r rune) bool { return strings.ContainsRune(";\t\r\n", r) }) {
				if strings.ContainsAny(part[:1], "=+-@") {
					t.Errorf("a formula behind a semicolon: %q", c)
				}
			}
		}
		want := strings.ReplaceAll(s, "\r\n", "\n") // package csv reads it so
		if plain.Replace(cell) != plain.Replace(want) {
			t.Errorf("%q became %q", s, cell)
		}
	})
}

// filled is a store with a log that has all sorts of entries.
func filled(t testing.TB) *store.Store {
	s := storetest.OpenAt(t, func() time.Time { return noon })
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.PutOrganization(tenancy.Organization{ID: "org_1", Slug: "acme", Name: "Acme"}); err != nil {
			return err
		}
		for n, m := range []trail.Metadata{nil, {"b": trail.Bool(true), "B": trail.Text("<a>&\u2028ü"), "n": trail.Number("1.50"), "e": trail.Number("1E5"), "i": trail.Whole(7), "empty": trail.Text("")}} {
			w := trail.Written{
				Action: "a", OccurredAt: noon.Add(time.Duration(n) * 1234567), Version: 1 - n, Actor: trail.Actor{ID: "1", Type: "user", Name: "Jörg", Metadata: m},
				Targets: []trail.Target{{ID: "1", Type: "t"}, {ID: "2", Type: "t", Name: "x", Metadata: m}}, Metadata: m, Context: trail.Context{Location: "l", UserAgent: "u"},
			}
			if err := trail.WriteEvent(tx, "org_1", w, audit.Actor{Type: "api_key", ID: "api_key_1"}, noon); err != nil {
				return err
			}
		}
		e := audit.New("organization.updated", audit.System, noon)
		e.Organization = "org_1"
		return audit.Record(tx, e, map[string]any{"object": "organization", "id": "org_1", "list": []int{1}, "in": map[string]any{"x": 1.5}})
	})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := s.Feed(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var batch []trail.Change
	for _, c := range changes {
		batch = append(batch, trail.Change(c))
	}
	err = s.Update(t.Context(), func(tx store.Tx) error {
		_, _, err := trail.Write(tx, 0, batch, "here", time.Minute, noon)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheProgramOfTheDocsVerifiesAnExport(t *testing.T) {
	python := need.Debian(t, "python3", "python3")
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	program := regexp.MustCompile("(?s)```python\n(.*?)```").FindStringSubmatch(string(page))
	if program == nil {
		t.Fatal("the page has no program")
	}
	s := filled(t)
	var export bytes.Buffer
	if err := reader.WriteJSON(&export, reader.Entries(t.Context(), s, "org_1", trail.Filter{}, false)); err != nil {
		t.Fatal(err)
	}
	run := func(in string) string {
		cmd := exec.CommandContext(t.Context(), python, "-c", program[1])
		cmd.Stdin = strings.NewReader(in)
		out, _ := cmd.CombinedOutput() // what it says is what counts
		return strings.TrimSpace(string(out))
	}
	r, err := reader.Verify(t.Context(), s, "org_1")
	if err != nil || r.Fault != "" || r.Entries != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := run(export.String()); got != r.Head.String() {
		t.Errorf("%q, want %q of\n%s", got, r.Head, export.String())
	}
	for old, changed := range map[string]string{`"n":1.50`: `"n":1.5`, "Jörg": "Jorg", `"b":true`: `"b":false`, `"version":1`: `"version":2`} {
		if got := run(strings.Replace(export.String(), old, changed, 1)); !strings.Contains(got, "was changed") {
			t.Errorf("%s: %q", changed, got)
		}
	}
	lines := strings.SplitAfter(export.String(), "\n")
	if got := run(lines[0] + lines[2]); !strings.Contains(got, "does not follow") {
		t.Errorf("without one: %q", got)
	}
}

// Whatever an entry holds, it has one hash before and after it was kept.
func FuzzAnEntryIsTheSameAfterItWasKept(f *testing.F) {
	for e, err := range reader.Entries(f.Context(), filled(f), "org_1", trail.Filter{}, false) {
		if err != nil {
			f.Fatal(err)
		}
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"metadata":{"k":null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var e, again trail.Entry
		if json.Unmarshal(b, &e) != nil {
			return
		}
		kept, err := json.Marshal(e)
		if err != nil {
			return // a year that has no text, for one: it can't be kept
		}
		if err := json.Unmarshal(kept, &again); err != nil {
			t.Fatalf("%s: %v", kept, err)
		}
		if e.Sum() != again.Sum() {
			t.Errorf("%s became %s", b, kept)
		}
	})
}
