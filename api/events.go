package api

import (
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

const (
	// maxRange is how long a range of time may be that both ends are given of.
	maxRange = 30 * 24 * time.Hour
	// maxScan is how many events one request looks at. Where that is not enough, the page is short and leads on.
	maxScan = 50_000
)

// eventNames has the names of the reference's events, one on a line.
//
//go:embed eventnames.txt
var eventNames string

// EventNames returns the names of the reference's events.
func EventNames() []string { return strings.Fields(eventNames) }

// ownEvents begin the names of events that the reference has none for. They are listed only for who asks for them by
// name: an SDK knows what to do with those of the reference alone.
const ownEvents = "orgate."

// An eventList is an envelope of events, which leads on and, unless it is asked for what is before an event, not
// back.
type eventList struct {
	Object   string            `json:"object"`
	Data     []json.RawMessage `json:"data"`
	Metadata struct {
		Before *string `json:"before,omitzero"`
		After  *string `json:"after"`
	} `json:"list_metadata"`
}

// An eventFilter says which events are listed.
type eventFilter struct {
	names      []string
	org        string // empty: of all, and of none
	nobody     bool   // none at all
	start, end time.Time
}

func (f eventFilter) has(e audit.Event) bool {
	return slices.Contains(f.names, e.Name) && (f.org == "" || e.Organization == f.org) && !f.nobody &&
		!e.At.Before(f.start) && (f.end.IsZero() || e.At.Before(f.end))
}

func (c *call) eventFilter(q *query) (f eventFilter) {
	known := EventNames()
	f.names = q.texts("events")
	for _, name := range f.names {
		if !slices.Contains(known, name) && !strings.HasPrefix(name, ownEvents) {
			q.fault("unknown_event_type", "events", "events has names of no event")
			break
		}
	}
	if len(f.names) == 0 {
		f.names = known
	}
	f.start, f.end = q.time("range_start"), q.time("range_end")
	if !f.start.IsZero() && !f.end.IsZero() && (f.end.Before(f.start) || f.end.Sub(f.start) > maxRange) {
		q.fault("invalid", "range_end", "range_end must be behind range_start, by no more than 30 days")
	}
	f.org, _ = q.text("organization_id")
	if only := c.key.Organization; only != "" {
		f.nobody = f.org != "" && !c.sees(tenancy.OrgID(f.org))
		f.org = string(only)
	}
	return f
}

// listEvents lists events in the order in which they were committed: what is after an event can't appear in front
// of it later. Unlike other lists it is read oldest first unless it is said otherwise: so do those who follow it.
func (a *API) listEvents(c *call) error {
	q := c.query()
	p := q.page("event", ascending)
	f := c.eventFilter(q)
	if err := q.done(); err != nil {
		return err
	}
	if p.order == normal {
		p.before, p.after = p.after, p.before
	}
	down := p.order != ascending
	l := &eventLog{ctx: c.ctx, store: a.Store}
	if err := l.open(); err != nil {
		return err
	}

	// up: whether what is looked for is behind the cursor in the feed.
	cursor, up := p.after, !down
	if p.before != "" {
		cursor, up = p.before, down
	}
	at := l.oldest
	if !up {
		at = l.head + 1
	}
	if cursor != "" {
		pos, ok, err := l.find(cursor)
		if err != nil {
			return err
		}
		if !ok {
			return invalid(Fault{"invalid", "after", "there is no event of that id, or it is too old"})
		}
		at = pos
	} else if up && !f.start.IsZero() {
		pos, err := l.around(f.start)
		if err != nil {
			return err
		}
		at = max(at, pos)
	} else if !up && !f.end.IsZero() {
		pos, err := l.around(f.end.Add(2 * feedSkew))
		if err != nil {
			return err
		}
		at = pos + 1
	}
	found, last, err := l.scan(at, up, p.limit+1, f)
	if err != nil {
		return err
	}
	more := len(found) > p.limit
	found = found[:min(len(found), p.limit)]
	if up == down {
		slices.Reverse(found)
	}

	e := eventList{Object: "list", Data: []json.RawMessage{}}
	for _, x := range found {
		shown, err := audit.Render(x)
		if err != nil {
			return err
		}
		e.Data = append(e.Data, shown)
	}
	if n := len(found); n > 0 {
		if more || p.before != "" {
			e.Metadata.After = &found[n-1].ID
		}
		if more && p.before != "" {
			e.Metadata.Before = &found[0].ID
		}
	}
	if last != 0 && !more { // not all was looked at
		place := placeID(last)
		if p.before != "" {
			e.Metadata.Before = &place
		} else {
			e.Metadata.After = &place
		}
	}
	if p.order == normal {
		e.Metadata.Before, e.Metadata.After = e.Metadata.After, e.Metadata.Before
	}
	return c.answer(http.StatusOK, e)
}

// placePrefix begins what stands for a place in the feed where there is no event to name it by: an id of the
// beginning of time.
const placePrefix = "event_0000000000"

func placeID(pos uint64) string {
	const digits = "0123456789ABCDEF"
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], pos)
	out := []byte(placePrefix)
	for _, x := range b {
		out = append(out, digits[x>>4], digits[x&15])
	}
	return string(out)
}

func placeOf(id string) (pos uint64, ok bool) {
	s, ok := strings.CutPrefix(id, placePrefix)
	if !ok || len(s) != 16 {
		return 0, false
	}
	for _, c := range []byte(s) {
		d := strings.IndexByte("0123456789ABCDEF", c)
		if d < 0 {
			return 0, false
		}
		pos = pos<<4 | uint64(d)
	}
	return pos, pos < 1<<62
}
