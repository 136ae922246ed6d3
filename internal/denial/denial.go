// Package denial tells the audit logs who was refused what, and by which rule.
//
// It owns how many of them there are: many go in one transaction and away from the requests; equal ones become
// one that says how many they were; and each person, and each organization, has so many, while what is more is
// counted and said in one. So whoever asks again and again for what they may not have fills neither memory
// nor disk, nor hides what another does. It does not own who is refused, nor the log.
package denial

import (
	"context"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	maxDenials   = 1024 // different ones that wait
	maxDropped   = 4096 // organizations of which they are counted
	maxLimiters  = 8192
	denialsAtOne = 64 // in one transaction
	denialsEvery = 2 * time.Second
	droppedEvery = time.Minute // for each organization
	maxAgent     = 512
)

// How many entries there are: at first, and then one in so much time.
const (
	personBurst, orgBurst = 20, 200
	personEvery, orgEvery = time.Minute, 10 * time.Second
)

// A Denial is one request that was refused, and that no proof would have helped. The path is not told: it may hold a
// secret of the app's. The rule has its pattern.
type Denial struct {
	Organization tenancy.OrgID
	// User and Email are empty if nobody is signed in.
	User      tenancy.UserID
	Email     string
	App       string // empty: it was refused at sign-in
	Method    string
	Rule      string // of a route; empty: another decided
	Source    policy.Source
	Reason    policy.Reason
	At        time.Time
	RemoteIP  string
	UserAgent string
}

// A Book takes denials down.
type Book struct {
	store *store.Store
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	waiting map[denialKey]*denialSum
	// wait is how many of those there are of each person, and of each organization (whose user is everyone).
	wait    map[denialPerson]int
	dropped map[tenancy.OrgID]*droppedSum
	people  *lru.Cache[denialPerson, *rate.Limiter]
	orgs    *lru.Cache[tenancy.OrgID, *rate.Limiter]
	wake    chan struct{}
}

// New returns a Book that is written to s once it runs. now is the clock; nil: time.Now.
func New(s *store.Store, log *slog.Logger, now func() time.Time) *Book {
	people, err := lru.New[denialPerson, *rate.Limiter](maxLimiters)
	if err != nil {
		panic(err) // only for a size below 1
	}
	orgs, err := lru.New[tenancy.OrgID, *rate.Limiter](maxLimiters)
	if err != nil {
		panic(err)
	}
	if now == nil {
		now = time.Now
	}
	return &Book{
		store: s, log: log, now: now, waiting: map[denialKey]*denialSum{}, wait: map[denialPerson]int{}, dropped: map[tenancy.OrgID]*droppedSum{},
		people: people, orgs: orgs, wake: make(chan struct{}, 1),
	}
}

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

// everyone stands for all people of an organization. It is no id of anybody.
const everyone tenancy.UserID = "*"

type denialSum struct {
	count                 int
	first, last           time.Time
	email, address, agent string // of the first
}

type droppedSum struct {
	count       int
	since, next time.Time
}

// Add takes d down, at once and whatever the store does. On a nil Book it does nothing.
func (d *Book) Add(one Denial) {
	if d == nil || one.Organization == "" {
		return
	}
	k := denialKey{org: one.Organization, user: one.User, app: one.App, rule: one.Rule, method: one.Method, source: one.Source, reason: one.Reason}
	at := one.At.UTC()
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.waiting[k]; old != nil {
		old.count++
		old.last = at
		return
	}
	// Whoever makes up methods has as many different ones as they like: they must not take the place of other people's.
	person, all := denialPerson{k.org, k.user}, denialPerson{k.org, everyone}
	if len(d.waiting) >= maxDenials || d.wait[person] >= personBurst || d.wait[all] >= orgBurst {
		d.drop(k.org, 1, at)
		return
	}
	d.wait[person]++
	d.wait[all]++
	d.waiting[k] = &denialSum{count: 1, first: at, last: at, email: one.Email, address: one.RemoteIP, agent: one.UserAgent[:min(len(one.UserAgent), maxAgent)]}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// drop counts denials that are not told of one by one. mu is held.
func (d *Book) drop(org tenancy.OrgID, count int, now time.Time) {
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
func (d *Book) may(k denialKey, now time.Time) bool {
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
func (d *Book) take(now time.Time, last bool) (events []denialEvent, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, s := range d.waiting {
		if len(events) == denialsAtOne {
			return events, true
		}
		delete(d.waiting, k)
		for _, of := range []denialPerson{{k.org, k.user}, {k.org, everyone}} {
			if d.wait[of]--; d.wait[of] == 0 {
				delete(d.wait, of)
			}
		}
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
func (d *Book) owed() bool {
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
	App       string    `json:"app,omitzero"`
	Method    string    `json:"method,omitzero"`
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

// Run records until ctx is done, and then what is left.
func (d *Book) Run(ctx context.Context) {
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
			d.flush(last, true)
			return
		}
		d.flush(ctx, false)
	}
}

// flush records what waits. What can't be recorded is counted as what is too much.
func (d *Book) flush(ctx context.Context, last bool) {
	for more := true; more; {
		var events []denialEvent
		events, more = d.take(d.now(), last)
		if len(events) == 0 {
			return
		}
		err := d.store.Update(ctx, func(tx store.Tx) error {
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
		d.log.LogAttrs(ctx, slog.LevelWarn, "denials could not be recorded", slog.Int("count", len(events)), slog.Any("error", err))
		d.mu.Lock()
		for _, e := range events {
			d.drop(e.org, e.count, d.now())
		}
		d.mu.Unlock()
		return
	}
}
