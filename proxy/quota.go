package proxy

import (
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/tenancy"
)

// A meter is what one organization takes of the data plane now. It outlives every change of the organization.
type meter struct {
	// due is when a request that takes its turn would go, in Unix nanoseconds: the generic cell rate algorithm, a
	// leaky bucket that is one number.
	due  atomic.Int64
	open atomic.Int64
}

// admit reports whether one more request may come at now, and if not, in how long it is worth trying again.
func (m *meter) admit(q tenancy.Quota, now time.Time) (wait time.Duration, ok bool) {
	if q.Requests <= 0 {
		return 0, true
	}
	turn := int64(time.Second) / int64(q.Requests)
	room := turn * int64(max(q.Burst, q.Requests))
	at := now.UnixNano()
	for {
		old := m.due.Load()
		due := max(old, at)
		if due-at > room {
			due = at + room // a smaller quota, or a clock that was set back: nobody waits for longer than the room
		}
		next, full := due+turn, due+turn-at > room
		if full {
			next = due
		}
		if m.due.CompareAndSwap(old, next) {
			return time.Duration(max(due+turn-at-room, 0)), !full
		}
	}
}

// enter counts one more open request, and reports whether there is room for it. Who entered must leave.
func (m *meter) enter(q tenancy.Quota) bool {
	if n := m.open.Add(1); q.Open > 0 && n > int64(q.Open) {
		m.open.Add(-1)
		return false
	}
	return true
}

func (m *meter) leave() { m.open.Add(-1) }

// quota is what the organization may take: its own, or what each may.
func (st *state) quota(o *organization) tenancy.Quota {
	if o.quota != nil {
		return *o.quota
	}
	return st.perOrganization
}

// holdOff is how long whoever is refused waits for the answer, give or take a half, so that many don't come back together. A
// client that tries again at once, over as many connections as it likes, would otherwise be as much work as one that is served, and
// everybody else would wait behind it.
const holdOff = 100 * time.Millisecond

// tooMany answers a request of an organization that takes more than it may, and takes its time for it.
func (x *exchange) tooMany(r *http.Request, err error) {
	pause := time.NewTimer(holdOff/2 + rand.N(holdOff)) //nolint:gosec // nothing is guarded by it
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-r.Context().Done():
	}
	x.fail(r, err)
}

// withinRate returns an error if the organization of the request sends too many.
func (x *exchange) withinRate() error {
	wait, ok := x.place.org.meter.admit(x.st.quota(x.place.org), x.began)
	if ok {
		return nil
	}
	return &endpoint.Error{
		Status: http.StatusTooManyRequests, Code: "too_many_requests", Title: text.T("Too many requests"),
		Text: text.T("More requests come to %s than it may have for now.", x.place.org.name), Hint: text.T("Try again in a moment."),
		Header: http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(wait.Seconds())))}},
	}
}

// withinOpen returns an error if too many requests of the organization are open. Without one, the meter is left at the
// end of the request.
func (x *exchange) withinOpen() error {
	if x.place.org.meter.enter(x.st.quota(x.place.org)) {
		return nil
	}
	return &endpoint.Error{
		Status: http.StatusTooManyRequests, Code: "too_many_open", Title: text.T("Too many requests"),
		Text: text.T("As many requests to %s are open as it may have at a time.", x.place.org.name), Hint: text.T("Close what you don't need and try again in a moment."),
		Header: http.Header{"Retry-After": {"1"}},
	}
}

// meter returns the meter of the organization, which is there from the first time it is asked for until the
// organization is deleted.
func (p *Proxy) meter(org tenancy.OrgID) *meter {
	m, ok := p.meters.Load(org)
	if !ok {
		m, _ = p.meters.LoadOrStore(org, new(meter))
	}
	return m.(*meter)
}
