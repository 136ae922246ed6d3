package audit_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
)

type feed []audit.Event

func (f *feed) Append(e audit.Event) error { *f = append(*f, e); return nil }

func TestARecordedEventSaysWhatWhoAndWhen(t *testing.T) {
	var f feed
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	e := audit.New(audit.UserCreated, audit.System, now)
	e.User = "user_1"
	if err := audit.Record(&f, e, map[string]string{"email": "jo@acme.com"}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f[0])
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(string(b), `{"id":"event_`)
	const want = `","event":"user.created","created_at":"2026-05-01T11:00:00Z","actor":{"type":"system"},"user_id":"user_1","data":{"email":"jo@acme.com"}}`
	if !ok || len(rest) != 26+len(want) || rest[26:] != want {
		t.Errorf("got %s", b)
	}
}

func TestTwoEventsOfOneMomentHaveDifferentIDs(t *testing.T) {
	now := time.Now()
	if a, b := audit.New("x", audit.System, now), audit.New("x", audit.System, now); a.ID == b.ID {
		t.Errorf("both are %s", a.ID)
	}
}

type unprintable struct{}

func (unprintable) MarshalJSON() ([]byte, error) { return nil, errors.New("no") }

func TestAnEventThatCannotBeWrittenIsNotAppended(t *testing.T) {
	var f feed
	if err := audit.Record(&f, audit.New("x", audit.System, time.Now()), unprintable{}); err == nil || len(f) != 0 {
		t.Errorf("got %v and %d events", err, len(f))
	}
}

// The names are a promise to whoever subscribes to them.
func TestEveryNameIsOfTheAPIOrOurOwn(t *testing.T) {
	list, err := os.ReadFile("testdata/api-events.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		known[strings.TrimSpace(line)] = true
	}
	source, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(source)) {
		_, value, ok := strings.Cut(line, `= "`)
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(value, `"`)
		n++
		if !known[name] && !strings.HasPrefix(name, "orgate.") {
			t.Errorf("%q is no event of the API", name)
		}
	}
	if n < 30 {
		t.Errorf("found %d names, so this test reads the source wrongly", n)
	}
}
