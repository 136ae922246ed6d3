package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// denials are the requests that were refused, on their way into the audit logs: many in one transaction and away
// from the requests. Equal ones become one that says how many they were. Whoever asks again and again for what
// they may not have must fill neither memory nor disk, nor hide what another does: so each person has so
// many, and each organization, and what is more is counted and said in one.
type denials struct {
	mu      sync.Mutex
	waiting map[denialKey]*denialSum
	dropped map[tenancy.OrgID]*droppedSum
	people  *lru.Cache[denialPerson, *rate.Limiter]
	orgs    *lru.Cache[tenancy.OrgID, *rate.Limiter]
	wake    chan struct{}
}

const (
	maxDenials     = 1024 // different ones that wait
	maxDropped     = 4096 // organizations of which they are counted
	denialsAtOne   = 64   // in one transaction
	denialsEvery   = 2 * time.Second
	droppedEvery   = time.Minute // for each organization
	maxDenialAgent = 512
)

// How many entries there are: at first, and then one in so much time.
const (
	personBurst, orgBurst = 20, 200
	personEvery, orgEvery = time.Minute, 10 * time.Second
)

// A denialKey is what makes two denials the same one.
type denialKey struct {
	org               tenancy.OrgID
	user              tenancy.UserID
	app, rule, method string
	source            policy.Source
	reason            policy.Reason
}

type denialPerson struct {
	org  tenancy.OrgID
	user tenancy.UserID
}

type denialSum struct {
	count                 int
	first, last           time.Time
	email, address, agent string // of the first
}

type droppedSum struct {
	count       int
	since, next time.Time
}

func newDenials() *denials {
	people, err := lru.New[denialPerson, *rate.Limiter](8192)
	if err != nil {
		panic(err) // only for a size below 1
	}
	orgs, err := lru.New[tenancy.OrgID, *rate.Limiter](8192)
	if err != nil {
		panic(err)
	}
	return &denials{
		waiting: map[denialKey]*denialSum{}, dropped: map[tenancy.OrgID]*droppedSum{},
		people: people, orgs: orgs, wake: make(chan struct{}, 1),
	}
}

// noteDenial notes that the request was refused, and that no proof would have helped.
func (x *exchange) noteDenial(r *http.Request) {
	if x.status != http.StatusForbidden || x.grant == nil || x.decision.Verdict != policy.Deny || x.place.org == nil {
		return
	}
	k := denialKey{org: x.place.org.id, app: x.place.app.Name, method: clip(x.method, maxMethod), source: x.decision.Source, reason: x.decision.Reason}
	if x.deciding != nil && k.source == policy.ByRoute {
		k.rule = x.deciding.Name
	}
	s := denialSum{count: 1, first: x.began.UTC(), last: x.began.UTC(), address: x.clientIP, agent: clip(r.UserAgent(), maxDenialAgent)}
	if !x.grant.nobody() {
		k.user, s.email = x.grant.view.User.ID, x.grant.view.User.Email
	}
	x.p.denials.add(k, s)
}

func (d *denials) add(k denialKey, s denialSum) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.waiting[k]; old != nil {
		old.count += s.count
		old.last = s.last
		return
	}
	if len(d.waiting) >= maxDenials {
		d.drop(k.org, s.count, s.last)
		return
	}
	d.waiting[k] = &s
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// drop counts denials that are not told of one by one. mu is held.
func (d *denials) drop(org tenancy.OrgID, count int, now time.Time) {
	sum := d.dropped[org]
	if sum == nil {
		if len(d.dropped) >= maxDropped {
			return
		}
		sum = &droppedSum{next: now.Add(denialsEvery)}
		d.dropped[org] = sum
	}
	if sum.count == 0 {
		sum.since = now
	}
	sum.count += count
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// may reports whether there is room for one more entry about the person in the organization. mu is held.
func (d *denials) may(k denialKey, now time.Time) bool {
	of := denialPerson{k.org, k.user}
	person, ok := d.people.Get(of)
	if !ok {
		person = rate.NewLimiter(rate.Every(personEvery), personBurst)
		d.people.Add(of, person)
	}
	org, ok := d.orgs.Get(k.org)
	if !ok {
		org = rate.NewLimiter(rate.Every(orgEvery), orgBurst)
		d.orgs.Add(k.org, org)
	}
	return person.AllowN(now, 1) && org.AllowN(now, 1)
}

// take returns events of what waits, and reports whether there is more. last: all is said now, as there is no later.
func (d *denials) take(now time.Time, last bool) (events []denialEvent, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.waiting {
		if len(events) == denialsAtOne {
			return events, true
		}
		delete(d.waiting, k)
		if d.may(k, now) {
			events = append(events, denialEvent{k.org, s.count, s.event(k, now), s.data(k)})
		} else {
			d.drop(k.org, s.count, s.last)
		}
	}
	for org, sum := range d.dropped {
		if len(events) == denialsAtOne {
			return events, true
		}
		switch {
		case sum.count > 0 && (last || !now.Before(sum.next)):
			e := audit.New(audit.AccessDenialsDropped, audit.System, now)
			e.Organization = string(org)
			events = append(events, denialEvent{org, sum.count, e, droppedData{"access_denials", sum.count, sum.since, now.UTC()}})
			sum.count, sum.next = 0, now.Add(droppedEvery)
		case sum.count == 0 && !now.Before(sum.next):
			delete(d.dropped, org)
		}
	}
	return events, false
}

// owed reports whether something waits for its time.
func (d *denials) owed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.waiting) > 0 || len(d.dropped) > 0
}

type denialEvent struct {
	org   tenancy.OrgID
	count int
	event audit.Event
	data  any
}

type denialData struct {
	Object    string    `json:"object"`
	App       string    `json:"app"`
	Method    string    `json:"method"`
	Rule      string    `json:"rule,omitzero"`
	Source    string    `json:"source"`
	Reason    string    `json:"reason"`
	Count     int       `json:"count"`
	First     time.Time `json:"first_at"`
	Last      time.Time `json:"last_at"`
	IPAddress string    `json:"ip_address"`
	UserAgent string    `json:"user_agent"`
}

type droppedData struct {
	Object string    `json:"object"`
	Count  int       `json:"count"`
	Since  time.Time `json:"first_at"`
	Until  time.Time `json:"last_at"`
}

func (s *denialSum) event(k denialKey, now time.Time) audit.Event {
	by := audit.Actor{Type: "anonymous"}
	if k.user != "" {
		by = audit.Actor{Type: "user", ID: string(k.user), Name: s.email}
	}
	e := audit.New(audit.AccessDenied, by, now)
	e.Organization, e.User = string(k.org), string(k.user)
	return e
}

func (s *denialSum) data(k denialKey) denialData {
	return denialData{"access_denial", k.app, k.method, k.rule, k.source.String(), k.reason.String(), s.count, s.first, s.last, s.address, s.agent}
}

// run records until ctx is done, and then what is left.
func (d *denials) run(ctx context.Context, p *Proxy) {
	pause := time.NewTicker(denialsEvery)
	defer pause.Stop()
	for {
		if !d.owed() {
			select {
			case <-ctx.Done():
			case <-d.wake:
			}
		}
		// What comes in a moment goes together.
		select {
		case <-pause.C:
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			d.flush(last, p, true)
			return
		}
		d.flush(ctx, p, false)
	}
}

// flush records what waits. What can't be recorded is counted as what is too much.
func (d *denials) flush(ctx context.Context, p *Proxy, last bool) {
	for more := true; more; {
		var events []denialEvent
		events, more = d.take(p.now(), last)
		if len(events) == 0 {
			return
		}
		err := p.store.Update(ctx, func(tx store.Tx) error {
			for _, e := range events {
				if err := audit.Record(tx, e.event, e.data); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			continue
		}
		p.log.LogAttrs(ctx, slog.LevelWarn, "denials could not be recorded", slog.Int("count", len(events)), slog.Any("error", err))
		d.mu.Lock()
		for _, e := range events {
			d.drop(e.org, e.count, p.now())
		}
		d.mu.Unlock()
		return
	}
}
