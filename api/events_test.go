package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const events = "GET /events"

// follow reads events page by page until the end, and returns the field of each.
func (w *world) follow(secret, query, field string) []string {
	w.t.Helper()
	var all []string
	for after := ""; ; {
		a := w.as(secret, events, query+after).want(200)
		all = append(all, a.ids(field)...)
		next := a.get("list_metadata.after")
		if next == "" {
			return all
		}
		after = "&after=" + next
	}
}

func (w *world) feedIDs() []string {
	w.t.Helper()
	changes, err := w.s.Feed(w.t.Context(), 0, 100_000)
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, c := range changes {
		if !strings.HasPrefix(c.Event.Name, "orgate.") {
			ids = append(ids, c.Event.ID)
		}
	}
	return ids
}

func TestEventsAreReadInTheOrderOfTheirCommitsAPageAtATime(t *testing.T) {
	w := newWorld(t)
	for i := range 9 {
		w.organizationNamed(fmt.Sprint("o", i))
	}
	want := w.feedIDs()
	down := slices.Clone(want)
	slices.Reverse(down)
	for limit := 1; limit <= len(want)+1; limit += 3 {
		same(t, fmt.Sprint("oldest first, by ", limit), w.follow(w.secret, fmt.Sprintf("?limit=%d", limit), "id"), want)
		same(t, fmt.Sprint("youngest first, by ", limit), w.follow(w.secret, fmt.Sprintf("?order=desc&limit=%d", limit), "id"), down)
	}
	same(t, "before", w.call(events, "?limit=2&before="+want[5]).ids(), want[3:5])
	same(t, "before, youngest first", w.call(events, "?order=desc&limit=2&before="+want[5]).ids(), []string{want[7], want[6]})
	same(t, "normal, after is younger", w.call(events, "?order=normal&limit=2&after="+want[5]).ids(), []string{want[7], want[6]})
	same(t, "normal, before is older", w.call(events, "?order=normal&limit=2&before="+want[5]).ids(), []string{want[4], want[3]})
	same(t, "after the last", w.call(events, "?after="+want[len(want)-1]).want(200).ids(), []string{})
	at := w.organizationNamed("later")
	same(t, "after what was the last", w.call(events, "?after="+want[len(want)-1]).want(200).ids("event"), []string{audit.OrganizationCreated})
	if a := w.call(events, "?events=organization.created&order=desc&limit=1"); a.fields["data"].([]any)[0].(map[string]any)["data"].(map[string]any)["id"] != at {
		t.Errorf("the last organization is not %s: %s", at, a.body)
	}
	w.call(events, "?after=event_01ARZ3NDEKTSV4RRFFQ69G5FAV").refused(422, "invalid_request_parameters")
	w.call(events, "?after=event_X").refused(422, "invalid_request_parameters")
}

func TestEventsAreFilteredByNameOrganizationAndTime(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	w.later(time.Hour)
	middle := w.clock()
	w.later(time.Hour)
	globex := w.place("globex")
	w.later(time.Hour)
	end := w.clock()
	of := func(t time.Time) string { return url.QueryEscape(t.Format(time.RFC3339Nano)) }
	for query, want := range map[string][]string{
		"?events=organization.created":                                                                      {"organization.created", "organization.created"},
		"?events=user.created,organization.created&organization_id=" + acme.org:                             {"organization.created"},
		"?events[]=organization.created&events[]=organization_membership.created&range_start=" + of(middle): {"organization.created", "organization_membership.created"},
		"?organization_id=" + globex.org + "&range_end=" + of(middle):                                       {},
		"?organization_id=" + acme.org + "&range_start=" + of(middle):                                       {},
		"?events=organization.created&range_start=" + of(middle) + "&range_end=" + of(end):                  {"organization.created"},
		"?events=organization.created&order=desc&range_end=" + of(middle):                                   {"organization.created"},
		"?events=orgate.api_key.created":                                                                    {"orgate.api_key.created"},
		"?events=organization_domain.created&organization_id=" + acme.org:                                   {"organization_domain.created"},
		"?events=connection.deleted":                                                                        {},
		"?range_start=2020-01-01&range_end=2020-01-02":                                                      {},
	} {
		same(t, query, w.call(events, query).want(200).ids("event"), want)
	}
	for _, query := range []string{"?events=organization.made", "?range_start=yesterday", "?range_start=2026-01-01&range_end=2026-03-01", "?range_start=2026-01-02&range_end=2026-01-01"} {
		w.call(events, query).refused(422, "invalid_request_parameters")
	}
	// A key of one organization has the events of that alone, whatever it asks.
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	mine := w.follow(key, "?limit=2", "event")
	same(t, "its own", mine, []string{"organization.created", "organization_domain.created", "organization_membership.created", "organization_role.created", "connection.activated"})
	same(t, "another's", w.as(key, events, "?organization_id="+globex.org).want(200).ids(), []string{})
}

// TestFollowingEventsMissesNoneAndHasNoneTwice reads page by page while others write.
func TestFollowingEventsMissesNoneAndHasNoneTwice(t *testing.T) {
	w := newWorld(t)
	const writers, each = 4, 60
	var writing sync.WaitGroup
	done := make(chan struct{})
	for i := range writers {
		writing.Go(func() {
			for j := range each {
				err := w.s.Update(t.Context(), func(tx store.Tx) error {
					// Times run backwards against the order of commits, as with clocks that disagree.
					now := w.clock().Add(-time.Duration(i) * 10 * time.Second)
					_, err := tenancy.SaveOrganization(tx, tenancy.Organization{Slug: tenancy.Slug(fmt.Sprintf("o-%d-%d", i, j)), Name: "o"}, audit.System, now)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { writing.Wait(); close(done) }()
	var got []string
	after, ending := "", false
	for {
		a := w.as(w.secret, events, "?events=organization.created&limit=7"+after).want(200)
		ids := a.ids()
		got = append(got, ids...)
		if n := len(ids); n > 0 {
			after = "&after=" + ids[n-1]
			continue
		}
		if ending {
			break
		}
		select {
		case <-done:
			ending = true // and once more, for what came last
		default:
			w.later(time.Second) // also so that there is room in the rates
		}
	}
	changes, err := w.s.Feed(t.Context(), 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, c := range changes {
		if c.Event.Name == audit.OrganizationCreated {
			want = append(want, c.Event.ID)
		}
	}
	if len(want) != writers*each || !slices.Equal(got, want) {
		t.Errorf("followed %d, committed %d", len(got), len(want))
	}
}

// TestAPageOfFewAmongManyLeadsOn: what is rare is found, though no request looks at everything.
func TestAPageOfFewAmongManyLeadsOn(t *testing.T) {
	w := newWorld(t)
	acme := w.organizationNamed("acme")
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme)})
	for range 60 {
		w.do(func(tx store.Tx) error {
			for range 1000 {
				if err := tx.Append(audit.Event{ID: audit.New("x", audit.System, w.now).ID, Name: audit.UserCreated, At: w.clock()}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	w.call("PUT /organizations/{id}", acme, map[string]any{"name": "Acme"}).want(200)
	first := w.as(key, events, "?limit=5").want(200)
	same(t, "first", first.ids("event"), []string{audit.OrganizationCreated})
	place := first.get("list_metadata.after")
	if place == "" {
		t.Fatal("the page leads nowhere")
	}
	same(t, "rest", w.as(key, events, "?limit=5&after="+place).want(200).ids("event"), []string{audit.OrganizationUpdated})
	down := w.as(key, events, "?limit=5&order=desc").want(200)
	same(t, "down", down.ids("event"), []string{audit.OrganizationUpdated})
	same(t, "down, rest", w.as(key, events, "?limit=5&order=desc&after="+down.get("list_metadata.after")).want(200).ids("event"), []string{audit.OrganizationCreated})
	if strings.Contains(place, "event_01") {
		t.Errorf("%s names an event of somebody else", place)
	}
}

func TestTheGeneratedNamesOfEventsAreThoseOfTheReference(t *testing.T) {
	b, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	want := b.eventNames()
	slices.Sort(want)
	generated(t, "eventnames.txt", want)
	got := api.EventNames()
	if !slices.Equal(got, want) {
		t.Errorf("eventnames.txt has %d names, the document %d", len(got), len(want))
	}
}
