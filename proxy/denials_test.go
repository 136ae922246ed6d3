package proxy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
)

// denied are the denials in the feed.
func (w *world) denied() (events []audit.Event) {
	w.t.Helper()
	changes, err := w.store.Feed(w.t.Context(), 0, 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range changes {
		if strings.HasPrefix(c.Event.Name, "orgate.access.") {
			events = append(events, c.Event)
		}
	}
	return events
}

func TestADenialIsRecordedWithWhoAndTheRuleThatDecided(t *testing.T) {
	w := newWorld(t)
	jo, session := w.jo()
	for range 3 {
		if r := w.do("GET", acmeHost, "/admin/secret-of-jo?token=hunter2", "Cookie", session, "User-Agent", "test"); r.StatusCode != 403 {
			t.Fatalf("status %d", r.StatusCode)
		}
	}
	w.do("GET", acmeHost, "/admin/x") // nobody is sent to sign in: that is no denial
	w.do("GET", acmeHost, "/", "Cookie", session)
	w.eventually("the denial is recorded", func() bool { return len(w.denied()) > 0 })
	all := w.denied()
	var data struct {
		Rule, Reason, Source string
		UserAgent            string `json:"user_agent"`
		IPAddress            string `json:"ip_address"`
		Count                int
	}
	count := 0
	for _, e := range all {
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		count += data.Count
		if e.Name != audit.AccessDenied || e.Actor.ID != string(jo.user.ID) || e.Actor.Type != "user" || e.Organization != string(w.acme.ID) || strings.Contains(string(e.Data), "secret") || strings.Contains(string(e.Data), "hunter2") {
			t.Errorf("%+v %s", e, e.Data)
		}
	}
	if data.Rule != "/admin/** (role admin)" || data.Reason != "role_missing" || data.Source != "route" || data.UserAgent != "test" || data.IPAddress != "127.0.0.1" || count != 3 {
		t.Errorf("%d: %+v", count, data)
	}
}

// The path is judged by one rule, and by another once more that a careless app might take it for.
func TestTheRuleOfADenialIsTheOneThatDecidedAndNotTheOneThatMatches(t *testing.T) {
	w := newWorld(t)
	_, session := w.jo()
	if r := w.do("GET", acmeHost, "/ADMIN/x", "Cookie", session); r.StatusCode != 403 {
		t.Fatalf("status %d", r.StatusCode)
	}
	w.eventually("the denial is recorded", func() bool { return len(w.denied()) > 0 })
	if data := string(w.denied()[0].Data); !strings.Contains(data, `"/admin/** (role admin)"`) {
		t.Errorf("%s", data)
	}
}
