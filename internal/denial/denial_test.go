package denial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

// Somebody asks a hundred times a second, all day, for whatever they may not have: what is written stays
// small, what is not is counted, and another person's denial is there all the same.
func TestAFloodOfDenialsIsBoundedAndCounted(t *testing.T) {
	d := New(nil, nil, nil)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	events, told, asked, size := 0, 0, 0, 0
	other := false
	for tick := range 24 * 60 * 30 { // every two seconds of a day
		for n := range 200 {
			d.Add(Denial{Organization: "org_1", User: "user_flood", App: "app", Rule: fmt.Sprint("/", n%40), Method: "GET", Source: policy.ByRoute, Reason: policy.RoleMissing, At: now})
			asked++
		}
		if tick%5000 == 4999 {
			d.Add(Denial{Organization: "org_1", User: tenancy.UserID(fmt.Sprint("user_", tick)), Reason: policy.RoleMissing, At: now})
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
	d := New(nil, nil, nil)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for n := range 20_000 {
		d.Add(Denial{Organization: tenancy.OrgID(fmt.Sprint("org_", n)), User: tenancy.UserID(fmt.Sprint("user_", n)), At: now})
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

// What is left at the end is recorded, and all of it said; while the store can't be written, it is counted.
func TestWhatWaitsAtTheEndIsRecorded(t *testing.T) {
	s := storetest.Open(t)
	d := New(s, slog.New(slog.DiscardHandler), nil)
	for range 30 {
		for n := range 30 {
			d.Add(Denial{Organization: "org_1", User: "user_1", Email: "jo@acme.com", Rule: fmt.Sprint("/", n), At: time.Now()})
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	broken, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no"))
	d.flush(broken, false)
	d.Run(ctx)
	changes, err := s.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, c := range changes {
		var data struct{ Count int }
		if err := json.Unmarshal(c.Event.Data, &data); err != nil || c.Event.Organization != "org_1" {
			t.Errorf("%v %+v", err, c.Event)
		}
		if c.Event.Name == audit.AccessDenied && (c.Event.Actor != audit.Actor{Type: "user", ID: "user_1", Name: "jo@acme.com"}) {
			t.Errorf("%+v", c.Event.Actor)
		}
		count += data.Count
	}
	if count != 900 || len(changes) > 21 {
		t.Errorf("%d of 900, in %d", count, len(changes))
	}
	var none *Book
	none.Add(Denial{Organization: "org_1"}) // nobody takes it down
}

// A method is whatever the client calls it.
func TestWhoMakesUpMethodsTakesNobodyElsesPlace(t *testing.T) {
	d := New(nil, nil, nil)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	add := func(org, user, method string) {
		d.Add(Denial{Organization: tenancy.OrgID(org), User: tenancy.UserID(user), App: "app", Method: method, Source: policy.ByRoute, Reason: policy.RoleMissing, At: now})
	}
	for n := range 2 * maxDenials {
		add("org_1", "user_flood", fmt.Sprint("X", n))
	}
	for n := range 2 * maxDenials {
		add("org_2", fmt.Sprint("user_", n), "GET")
	}
	add("org_1", "user_other", "GET")
	add("org_3", "user_third", "GET")
	told, users := 0, map[string]bool{}
	for _, last := range []bool{false, true} {
		for more := true; more; {
			var batch []denialEvent
			batch, more = d.take(now, last)
			for _, e := range batch {
				told += e.count
				users[e.event.User] = true
			}
		}
	}
	if !users["user_other"] || !users["user_third"] {
		t.Error("the flood hides the denials of others")
	}
	if want := 4*maxDenials + 2; told != want {
		t.Errorf("%d are told of, want %d", told, want)
	}
	if len(d.waiting)+len(d.wait) != 0 {
		t.Errorf("%d and %d are left", len(d.waiting), len(d.wait))
	}
}
