package audit_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
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
	n := 0
	for _, name := range names(t) {
		n++
		if !known[name] && !strings.HasPrefix(name, "orgate.") {
			t.Errorf("%q is no event of the API", name)
		}
	}
	if n < 30 {
		t.Errorf("found %d names, so this test reads the source wrongly", n)
	}
}

// names are the constants of names.go.
func names(t *testing.T) (names []string) {
	t.Helper()
	source, err := os.ReadFile("names.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(source)) {
		if _, value, ok := strings.Cut(line, `= "`); ok {
			name, _, _ := strings.Cut(value, `"`)
			names = append(names, name)
		}
	}
	return names
}

// Of the API's 111 names its enumeration of webhooks lacks these 18, which are in its list of
// events alone. Whoever moves over subscribes to what they were subscribed to, and to no more.
func TestWhatMayBeSubscribedIsTheAPIsEnumerationAndOurOwn(t *testing.T) {
	list, err := os.ReadFile("testdata/api-events.txt")
	if err != nil {
		t.Fatal(err)
	}
	api := strings.Fields(string(list))
	unsubscribable := func(name string) bool {
		switch name {
		case "authentication.email_verification_failed", "authentication.mfa_failed", "dsync.token.created", "dsync.token.revoked",
			"action.authentication.denied", "action.user_registration.denied":
			return true
		}
		return strings.HasPrefix(name, "vault.")
	}
	want := slices.DeleteFunc(slices.Clone(api), unsubscribable)
	if len(api) != 111 || len(want) != 93 {
		t.Fatalf("the API has %d names, of which %d may be subscribed; want 111 and 93", len(api), len(want))
	}
	for _, name := range names(t) {
		if strings.HasPrefix(name, "orgate.") {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := audit.Subscribable(); !slices.Equal(got, want) {
		t.Errorf("may be subscribed: %q\nwant %q", got, want)
	}
}

func TestAnEventLooksAsItDoesInTheAPI(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600))
	for _, c := range []struct {
		event audit.Event
		want  string
	}{
		{
			audit.Event{ID: "event_1", Name: "user.created", At: at, Actor: audit.Actor{Type: "api_key", ID: "api_key_1", Name: "CI"}, User: "user_1", Data: []byte(`{"id":"user_1"}`)},
			`{"object":"event","id":"event_1","event":"user.created","data":{"id":"user_1"},"created_at":"2026-05-01T11:00:00.123Z","context":{"actor":{"id":"api_key_1","source":"api","name":"CI","type":"api_key"}}}`,
		},
		{
			audit.Event{ID: "event_2", Name: "x", At: at, Actor: audit.System},
			`{"object":"event","id":"event_2","event":"x","data":{},"created_at":"2026-05-01T11:00:00.123Z","context":{"actor":{"id":"system","source":"system","name":null,"type":"system"}}}`,
		},
		{
			audit.Event{ID: "event_3", Name: "x", At: at, Actor: audit.Actor{Type: "user", ID: "user_1"}},
			`{"object":"event","id":"event_3","event":"x","data":{},"created_at":"2026-05-01T11:00:00.123Z","context":{"actor":{"id":"user_1","source":"system","name":null,"type":"user"}}}`,
		},
	} {
		b, err := audit.Render(c.event)
		if err != nil || string(b) != c.want {
			t.Errorf("got  %s, %v\nwant %s", b, err, c.want)
		}
	}
	if _, err := audit.Render(audit.Event{ID: "event_4", Data: []byte("{")}); err == nil {
		t.Error("data that is no JSON was rendered")
	}
}
