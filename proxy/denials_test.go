package proxy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
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
	var data denialData
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

// Somebody asks a hundred times a second, all day, for whatever they may not have: what is written stays
// small, what is not is counted, and another person's denial is there all the same.
func TestAFloodOfDenialsIsBoundedAndCounted(t *testing.T) {
	d := newDenials()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	events, told, asked, size := 0, 0, 0, 0
	other := false
	for tick := range 24 * 60 * 30 { // every two seconds of a day
		for n := range 200 {
			d.add(denialKey{org: "org_1", user: "user_flood", app: "app", rule: fmt.Sprint("/", n%40), method: "GET", source: policy.ByRoute, reason: policy.RoleMissing}, denialSum{count: 1, first: now, last: now})
			asked++
		}
		if tick%5000 == 4999 {
			d.add(denialKey{org: "org_1", user: tenancy.UserID(fmt.Sprint("user_", tick)), reason: policy.RoleMissing}, denialSum{count: 1, first: now, last: now})
			asked++
		}
		for more := true; more; {
			var batch []denialEvent
			batch, more = d.take(now, false)
			for _, e := range batch {
				b, err := json.Marshal(e.data)
				if err != nil {
					t.Fatal(err)
				}
				events, told, size = events+1, told+e.count, size+len(b)
				other = other || strings.HasPrefix(e.event.User, "user_") && e.event.User != "user_flood"
			}
		}
		now = now.Add(denialsEvery)
	}
	for more := true; more; {
		var batch []denialEvent
		batch, more = d.take(now, true)
		for _, e := range batch {
			events, told = events+1, told+e.count
		}
	}
	if told != asked {
		t.Errorf("%d were asked for, and %d are told of", asked, told)
	}
	if events > 3000 || size > 2<<20 {
		t.Errorf("%d events with %d bytes", events, size)
	}
	if !other {
		t.Error("nobody else's denial is there")
	}
	t.Logf("%d denials, %d events, %d bytes", asked, events, size)
}

// However many people ask for however much, what waits is bounded.
func TestWhatIsKeptOfDenialsIsBounded(t *testing.T) {
	d := newDenials()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for n := range 20_000 {
		d.add(denialKey{org: tenancy.OrgID(fmt.Sprint("org_", n)), user: tenancy.UserID(fmt.Sprint("user_", n))}, denialSum{count: 1, first: now, last: now})
	}
	if len(d.waiting) > maxDenials || len(d.dropped) > maxDropped {
		t.Errorf("%d wait, %d are counted", len(d.waiting), len(d.dropped))
	}
	all := 0
	for more := true; more; {
		var batch []denialEvent
		batch, more = d.take(now, true)
		all += len(batch)
	}
	if all != maxDenials+maxDropped || d.people.Len() > 8192 {
		t.Errorf("%d events", all)
	}
}
