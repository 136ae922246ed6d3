package domain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/domain"
	"github.com/orgate/orgate/internal/dnsproof"
	"github.com/orgate/orgate/internal/dnsproof/dnstest"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/storetest"
	"github.com/orgate/orgate/tenancy"
)

var operator = audit.Actor{Type: "config"}

// A world is a store with the organizations acme and globex, and a clock.
type world struct {
	t            testing.TB
	s            *store.Store
	acme, globex tenancy.Organization

	mu   sync.Mutex
	time time.Time
	seen []domain.Observation
	log  bytes.Buffer
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.s = storetest.OpenAt(t, w.now)
	w.must(func(tx store.Tx) (err error) {
		for slug, o := range map[string]*tenancy.Organization{"acme": &w.acme, "globex": &w.globex} {
			if *o, err = tenancy.SaveOrganization(tx, tenancy.Organization{Slug: tenancy.Slug(slug), Name: slug, JITSSO: true}, operator, w.now()); err != nil {
				return err
			}
		}
		return tenancy.SaveRole(tx, tenancy.Role{Slug: "member"}, operator, w.now())
	})
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.time
}

func (w *world) later(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.time = w.time.Add(d)
}

func (w *world) count(o domain.Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, o)
}

func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

// checker returns a checker that looks with look.
func (w *world) checker(look func(ctx context.Context, name, value string) dnsproof.Outcome) *domain.Checker {
	return w.configured(look, 4)
}

func (w *world) configured(look func(ctx context.Context, name, value string) dnsproof.Outcome, parallel int) *domain.Checker {
	log := slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return domain.New(domain.Options{Store: w.s, Look: look, Now: w.now, Logger: log, Count: w.count, Parallel: parallel, Poll: time.Hour})
}

func (w *world) must(f func(tx store.Tx) error) {
	w.t.Helper()
	if err := w.s.Update(context.WithoutCancel(w.t.Context()), f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) claim(org tenancy.Organization, names ...string) {
	w.t.Helper()
	var claims []tenancy.DomainClaim
	for _, n := range names {
		claims = append(claims, tenancy.DomainClaim{Name: n})
	}
	w.must(func(tx store.Tx) error { return tenancy.SetDomains(tx, org.ID, claims, operator, w.now()) })
}

func (w *world) domain(org tenancy.Organization, name string) (d tenancy.Domain) {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) { d, err = tx.Domain(org.ID, name); return err })
	return d
}

// challenge is the name and value of the record to set.
func (w *world) challenge(org tenancy.Organization, name string) (record, value string) {
	w.t.Helper()
	record, value, _ = w.domain(org, name).Challenge()
	return record, value
}

// running runs c until the function that it returns is called, or the test ends.
func (w *world) running(c *domain.Checker) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) verified() (n int) {
	w.t.Helper()
	w.must(func(tx store.Tx) error {
		n = 0
		for _, org := range []tenancy.Organization{w.acme, w.globex} {
			for d, err := range tx.Domains(org.ID) {
				if err != nil {
					return err
				}
				if d.State == tenancy.DomainVerified {
					n++
				}
			}
		}
		return nil
	})
	return n
}

// commits returns a channel that hears of commits with events, if not of all of them.
func (w *world) commits() <-chan struct{} {
	heard := make(chan struct{}, 1)
	w.s.OnCommit(func([]audit.Event) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	return heard
}

// until waits until ok, which a commit makes it.
func (w *world) until(heard <-chan struct{}, ok func() bool) {
	w.t.Helper()
	for limit := time.After(20 * time.Second); !ok(); {
		select {
		case <-heard:
		case <-limit:
			w.t.Fatal("it never comes to that")
		}
	}
}

func present(context.Context, string, string) dnsproof.Outcome {
	return dnsproof.Outcome{Sighting: dnsproof.Present, Reason: dnsproof.Found}
}

func TestAClaimIsLookedForAsSoonAsItIsMade(t *testing.T) {
	w := newWorld(t)
	heard := w.commits()
	w.running(w.checker(present))
	w.claim(w.acme, "acme.au")
	w.until(heard, func() bool { return w.verified() == 1 })
}

func TestADomainIsLookedForByOneReplicaAtATime(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("d%d.example", i))
	}
	w.claim(w.acme, names...)
	var mu sync.Mutex
	looks := map[string]int{}
	look := func(_ context.Context, name, _ string) dnsproof.Outcome {
		mu.Lock()
		defer mu.Unlock()
		looks[name]++
		return dnsproof.Outcome{Sighting: dnsproof.Present, Reason: dnsproof.Found}
	}
	heard := w.commits()
	for range 3 {
		w.running(w.checker(look))
	}
	w.until(heard, func() bool { return w.verified() == len(names) })
	mu.Lock()
	defer mu.Unlock()
	for name, n := range looks {
		if n != 1 {
			t.Errorf("%s was looked for %d times", name, n)
		}
	}
}

func TestNoMoreLooksThanAllowedAreUnderWay(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("d%d.example", i))
	}
	w.claim(w.acme, names...)
	var now, most atomic.Int64
	full, release := make(chan struct{}, 100), make(chan struct{})
	look := func(context.Context, string, string) dnsproof.Outcome {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		full <- struct{}{}
		<-release
		return dnsproof.Outcome{Sighting: dnsproof.Present, Reason: dnsproof.Found}
	}
	heard := w.commits()
	w.running(w.configured(look, 3))
	for range 3 {
		<-full
	}
	close(release)
	w.until(heard, func() bool { return w.verified() == len(names) })
	if most.Load() != 3 {
		t.Errorf("%d at once, want 3", most.Load())
	}
}

func TestALookThatIsCutShortChangesNothing(t *testing.T) {
	for _, said := range []dnsproof.Sighting{dnsproof.Present, dnsproof.Absent} {
		w := newWorld(t)
		w.claim(w.acme, "acme.au")
		before := w.domain(w.acme, "acme.au")
		looking := make(chan struct{})
		stop := w.running(w.checker(func(ctx context.Context, _, _ string) dnsproof.Outcome {
			close(looking)
			<-ctx.Done()
			return dnsproof.Outcome{Sighting: said, Reason: dnsproof.Found}
		}))
		<-looking
		stop() // and it does stop
		after := w.domain(w.acme, "acme.au")
		if !after.Checks.Next.Equal(w.now().Add(tenancy.CheckLease)) || after.Checks.Tries != 0 || after.State != before.State || len(w.seen) != 0 {
			t.Errorf("%+v, counted %v", after, w.seen)
		}
		// Another replica has it when its lease has ended.
		w.later(tenancy.CheckLease)
		if n, err := w.checker(present).Round(t.Context()); n != 1 || err != nil || w.verified() != 1 {
			t.Errorf("%d were due, %v", n, err)
		}
	}
}

func TestWhatCameOfALookIsCountedAndLogged(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au")
	_, value := w.challenge(w.acme, "acme.au")
	out := dnsproof.Outcome{Sighting: dnsproof.Absent, Reason: dnsproof.NoName, Err: errors.New("there is no such name")}
	c := w.checker(func(context.Context, string, string) dnsproof.Outcome { return out })
	step := func(s dnsproof.Sighting, r dnsproof.Reason, level, message, change string) {
		t.Helper()
		out.Sighting, out.Reason = s, r
		w.later(24 * time.Hour)
		w.log.Reset()
		w.seen = nil
		if n, err := c.Round(t.Context()); n != 1 || err != nil {
			t.Fatalf("%d were due, %v", n, err)
		}
		want := []domain.Observation{{Answer: []string{"unclear", "present", "absent"}[s], Reason: string(r), Change: change}}
		if !slices.Equal(w.seen, want) {
			t.Errorf("counted %v, want %v", w.seen, want)
		}
		line := w.log.String()
		for _, part := range []string{`"level":"` + level + `"`, message, `"domain":"acme.au"`, `"record":"_orgate-challenge.acme.au"`, `"reason":"` + string(r) + `"`} {
			if !strings.Contains(line, part) || strings.Count(line, "\n") != 1 {
				t.Errorf("log has %s\nwant %s", line, part)
			}
		}
	}
	step(dnsproof.Absent, dnsproof.NoName, "DEBUG", "was looked for", "")
	step(dnsproof.Present, dnsproof.Found, "INFO", "domain is verified", "verified")
	step(dnsproof.Unclear, dnsproof.Contradiction, "WARN", "was looked for", "")
	step(dnsproof.Absent, dnsproof.OtherValue, "WARN", "lapses unless it is set again", "lapsing")
	step(dnsproof.Present, dnsproof.Found, "INFO", "is back", "recovered")
	for range 7 {
		step(dnsproof.Absent, dnsproof.NoRecord, "WARN", "lapses unless it is set again", "lapsing")
	}
	step(dnsproof.Absent, dnsproof.NoRecord, "WARN", "domain has lapsed", "lapsed")

	// Started again, and never proved.
	if _, _, err := c.Verify(t.Context(), w.acme.ID, "acme.au", operator); err != nil {
		t.Fatal(err)
	}
	w.later(30 * 24 * time.Hour)
	step(dnsproof.Unclear, dnsproof.Timeout, "WARN", "not proved in time", "expired")
	if _, v := w.challenge(w.acme, "acme.au"); v != value {
		t.Error("the record is another")
	}
	w.must(func(tx store.Tx) error {
		return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "acme.au", Verified: true}}, operator, w.now())
	})
	out.Sighting, out.Reason = dnsproof.Absent, dnsproof.NoName
	if _, _, err := c.Verify(t.Context(), w.acme.ID, "acme.au", operator); err != nil {
		t.Fatal(err)
	}
	step(dnsproof.Present, dnsproof.Found, "WARN", "verified in another organization", "taken")
}

func TestVerifyLooksNowAndSaysWhatItSaw(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au")
	out := dnsproof.Outcome{Sighting: dnsproof.Absent, Reason: dnsproof.NoName, Err: errors.New("there is no such name")}
	c := w.checker(func(_ context.Context, name, value string) dnsproof.Outcome {
		if n, v := w.challenge(w.acme, "acme.au"); name != n || value != v {
			t.Errorf("looks for %s at %s", value, name)
		}
		return out
	})
	if d, seen, err := c.Verify(t.Context(), w.acme.ID, "acme.au", operator); err != nil || d.State != tenancy.DomainPending || seen != out || d.Checks.LastReason != "no_such_name" {
		t.Errorf("%+v, %+v, %v", d, seen, err)
	}
	out = present(t.Context(), "", "")
	if d, _, err := c.Verify(t.Context(), w.acme.ID, "acme.au", operator); err != nil || d.State != tenancy.DomainVerified {
		t.Errorf("%+v, %v", d, err)
	}
	if _, _, err := c.Verify(t.Context(), w.globex.ID, "acme.au", operator); !errors.Is(err, tenancy.ErrNotFound) {
		t.Errorf("another organization's: %v", err)
	}
}

// What Verify took from a look that is under way.
func TestALookThatComesTooLateIsDropped(t *testing.T) {
	w := newWorld(t)
	w.claim(w.acme, "acme.au")
	looking, release := make(chan struct{}), make(chan struct{})
	slow := w.checker(func(context.Context, string, string) dnsproof.Outcome {
		close(looking)
		<-release
		return dnsproof.Outcome{Sighting: dnsproof.Present, Reason: dnsproof.Found}
	})
	done := make(chan error)
	go func() {
		_, err := slow.Round(context.WithoutCancel(t.Context()))
		done <- err
	}()
	<-looking
	w.later(time.Second)
	absent := func(context.Context, string, string) dnsproof.Outcome {
		return dnsproof.Outcome{Sighting: dnsproof.Absent, Reason: dnsproof.NoName}
	}
	if _, _, err := w.checker(absent).Verify(t.Context(), w.acme.ID, "acme.au", operator); err != nil {
		t.Fatal(err)
	}
	close(release)
	if err := <-done; !errors.Is(err, tenancy.ErrState) || w.verified() != 0 {
		t.Errorf("%v, and %d are verified", err, w.verified())
	}
}

// From the claim to the loss, with name servers that one can ask.
func TestADomainIsProvedAndLostAsItsOwnServersSay(t *testing.T) {
	w := newWorld(t)
	n := dnstest.New(t)
	a, b := n.Server("ns1.acme.au"), n.Server("ns2.acme.au")
	n.Zone("acme.au", a.Name, b.Name)
	client := dnsproof.New(dnsproof.Options{Resolver: n.Resolver, Port: n.Port, Allow: dnstest.Allow, Try: 5 * time.Second})
	c := w.checker(client.Look)
	w.claim(w.acme, "acme.au")
	record, value := w.challenge(w.acme, "acme.au")
	round := func(want tenancy.DomainState) {
		t.Helper()
		if next := w.domain(w.acme, "acme.au").Checks.Next; next.After(w.now()) {
			w.later(next.Sub(w.now()))
		}
		if k, err := c.Round(t.Context()); k != 1 || err != nil {
			t.Fatalf("%d were due, %v", k, err)
		}
		if d := w.domain(w.acme, "acme.au"); d.State != want {
			t.Fatalf("it is %s (%s), want %s", d.State, d.Checks.LastReason, want)
		}
	}
	round(tenancy.DomainPending)
	a.Set(record, value)
	round(tenancy.DomainPending) // one alone
	b.Set(record, value)
	round(tenancy.DomainVerified)

	fail := func(w dns.ResponseWriter, q *dns.Msg) {
		_ = w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
	}
	a.Handle(fail)
	b.Handle(fail)
	for end := w.now().Add(5 * 24 * time.Hour); w.now().Before(end); {
		round(tenancy.DomainVerified)
	}
	a.Handle(nil)
	b.Handle(nil)
	b.Set(record, "another's") // a lie of one
	for range 50 {
		round(tenancy.DomainVerified)
	}
	a.Set(record)
	gone := w.now()
	for w.domain(w.acme, "acme.au").Checks.Warnings < tenancy.GraceWarnings {
		round(tenancy.DomainVerified)
	}
	for w.now().Before(w.domain(w.acme, "acme.au").Checks.LapsesAt().Add(-time.Hour)) {
		round(tenancy.DomainVerified)
	}
	for w.domain(w.acme, "acme.au").State == tenancy.DomainVerified {
		w.later(time.Hour)
		if _, err := c.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if lasted := w.now().Sub(gone); lasted < 7*24*time.Hour || lasted > 8*24*time.Hour {
		t.Errorf("it lasted %v", lasted)
	}
}

// Attack 79, for a session that is open all the while.
func TestASessionOfADomainThatLapsedIsGoodInItsOwnOrganizationAlone(t *testing.T) {
	w := newWorld(t)
	seen := present(t.Context(), "", "")
	c := w.checker(func(context.Context, string, string) dnsproof.Outcome { return seen })
	w.claim(w.acme, "acme.au")
	if _, err := c.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	var jo session.Session
	w.must(func(tx store.Tx) error {
		okta, err := tenancy.SaveConnection(tx, tenancy.Connection{Organization: w.acme.ID, Name: "okta", Type: "oidc"}, operator, w.now())
		if err != nil {
			return err
		}
		in, err := tenancy.SignIn(tx, tenancy.Rules{DefaultRole: "member"}, tenancy.Assertion{Connection: okta.ID, Organization: w.acme.ID, Subject: "jo", Email: "jo@acme.au"}, w.now())
		if err != nil {
			return err
		}
		if _, err := tenancy.CreateMembership(tx, tenancy.Rules{DefaultRole: "member"}, w.globex.ID, in.User.ID, tenancy.Grant{}, operator, w.now()); err != nil {
			return err
		}
		proof := policy.Proof{Method: policy.SSO, Organization: string(w.acme.ID), Connection: string(okta.ID), At: w.now()}
		jo, _, err = session.Begin(tx, in.User.ID, proof, nil, in.ConfinedTo, session.Browser{}, session.Limits{Idle: 1000 * time.Hour, Absolute: 1000 * time.Hour}, w.now())
		return err
	})
	view := func() (v session.View) {
		t.Helper()
		w.must(func(tx store.Tx) (err error) {
			v, err = session.Gather(tx, session.Query{Organization: w.globex.ID, Session: jo, Offered: policy.MethodsOf(policy.SSO), Now: w.now()})
			return err
		})
		return v
	}
	if v := view(); v.Facts.ConfinedTo != "" || policy.Decide(&v.Facts).Verdict != policy.Allow {
		t.Fatalf("before: %+v", v.Facts)
	}
	seen = dnsproof.Outcome{Sighting: dnsproof.Absent, Reason: dnsproof.NoName}
	for w.domain(w.acme, "acme.au").State == tenancy.DomainVerified {
		if v := view(); v.Facts.ConfinedTo != "" {
			t.Fatalf("in the grace: %+v", v.Facts)
		}
		w.later(24 * time.Hour)
		if _, err := c.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lapsed := view()
	if lapsed.Facts.ConfinedTo != string(w.acme.ID) || policy.Decide(&lapsed.Facts).Verdict == policy.Allow {
		t.Errorf("lapsed: %+v", lapsed.Facts)
	}
	// And when the domain is Globex's, by a proof, Acme's word is worth nothing there all the more.
	seen = present(t.Context(), "", "")
	w.claim(w.globex, "acme.au")
	if _, err := c.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := view(); v.DomainOrganization != w.globex.ID || v.Facts.ConfinedTo != string(w.acme.ID) || policy.Decide(&v.Facts).Verdict == policy.Allow {
		t.Errorf("bought: %+v", v.Facts)
	}
}
