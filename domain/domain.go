// Package domain proves domains: it looks for the record of each domain when it is due, or
// when somebody asks, and writes down what came of it.
//
// It owns when to look, how many at once, and which of several replicas does it. It does not own
// what a sighting means (package tenancy) or how one looks (internal/dnsproof).
//
// The invariant: a look that was cut short, came too late, or came to nothing clear takes
// nothing from anybody and gives nothing to anybody.
package domain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/dnsproof"
	"github.com/orgate/orgate/internal/worker"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	defaultParallel = 16
	defaultPoll     = 15 * time.Second
	// commitTimeout is how long writing an outcome down may take, also while we are told to stop.
	commitTimeout = 5 * time.Second
)

// Options are what a Checker needs.
type Options struct {
	Store *store.Store
	// Look looks for a record, as [dnsproof.Client.Look] does. It must come to an end before
	// [tenancy.CheckLease] does.
	Look func(ctx context.Context, name, value string) dnsproof.Outcome
	// Now is the clock; nil: time.Now.
	Now    func() time.Time
	Logger *slog.Logger
	// Count is told of each look and what it changed; nil: nobody is. All of it is words
	// of a short list.
	Count func(Observation)
	// Parallel is how many looks are under way at once, and Poll how often the store is asked for what
	// is due; 0: the defaults.
	Parallel int
	Poll     time.Duration
}

// An Observation is a look, for metrics.
type Observation struct {
	Answer string // present, absent or unclear
	Reason string // one of package dnsproof
	Change string // one of package tenancy; empty: none
}

// A Checker looks for records.
type Checker struct {
	o      Options
	worker *worker.Worker[tenancy.Check]
}

// New returns a Checker. It hears of domains that are claimed in the store from now on.
func New(o Options) *Checker {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(Observation) {}
	}
	o.Parallel, o.Poll = cmp.Or(o.Parallel, defaultParallel), cmp.Or(o.Poll, defaultPoll)
	c := &Checker{o: o}
	c.worker = worker.New(worker.Options[tenancy.Check]{
		Take: c.take, Do: func(ctx context.Context, check tenancy.Check) {
			_, _, _ = c.look(ctx, check, audit.System) // it has logged what matters
		}, Parallel: o.Parallel, Poll: o.Poll,
		Failed: func(ctx context.Context, err error) {
			o.Logger.ErrorContext(ctx, "domains that are due can't be read; tried again", "cause", err)
		},
	})
	o.Store.OnCommit(func(events []audit.Event) {
		for i := range events {
			if strings.HasPrefix(events[i].Name, "organization_domain.") {
				c.worker.Poke()
				return
			}
		}
	})
	return c
}

// Run looks for what is due until ctx is done, and returns when no look is under way any more.
func (c *Checker) Run(ctx context.Context) { c.worker.Run(ctx) }

// take takes up to n domains that are due.
func (c *Checker) take(ctx context.Context, n int) (due []tenancy.Check, err error) {
	now := c.o.Now()
	some := false
	err = c.o.Store.View(ctx, func(tx store.Tx) error {
		some = false
		for _, err := range tx.DueDomains(now) {
			some = err == nil
			return err
		}
		return nil
	})
	if err != nil || !some || n == 0 { // reading costs less than writing
		return nil, err
	}
	err = c.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		due, err = tenancy.DueChecks(tx, n, now)
		return err
	})
	return due, err
}

// Verify looks for the record of one domain now, and starts anew if it had failed. It returns the
// domain as it is afterwards. The error wraps those of [tenancy.StartCheck] and [tenancy.Conclude].
func (c *Checker) Verify(ctx context.Context, org tenancy.OrgID, name string, by audit.Actor) (tenancy.Domain, dnsproof.Outcome, error) {
	var check tenancy.Check
	err := c.o.Store.Update(ctx, func(tx store.Tx) (err error) {
		check, err = tenancy.StartCheck(tx, org, name, by, c.o.Now())
		return err
	})
	if err != nil {
		return tenancy.Domain{}, dnsproof.Outcome{}, err
	}
	return c.look(ctx, check, by)
}

// look looks once, and commits what came of it.
func (c *Checker) look(ctx context.Context, check tenancy.Check, by audit.Actor) (tenancy.Domain, dnsproof.Outcome, error) {
	name, value, ok := check.Domain.Challenge()
	if !ok {
		return check.Domain, dnsproof.Outcome{}, fmt.Errorf("%s has no record to look for: %w", check.Domain.Name, tenancy.ErrState)
	}
	seen := c.o.Look(ctx, name, value)
	if ctx.Err() != nil {
		return check.Domain, seen, context.Cause(ctx) // it is due again when its lease ends
	}
	commit, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var d tenancy.Domain
	var change tenancy.Change
	err := c.o.Store.Update(commit, func(tx store.Tx) (err error) {
		d, change, err = tenancy.Conclude(tx, check, sighting(seen.Sighting), string(seen.Reason), by, c.o.Now())
		return err
	})
	switch {
	case errors.Is(err, tenancy.ErrState), errors.Is(err, tenancy.ErrNotFound):
		c.o.Logger.DebugContext(ctx, "domain has changed while its record was looked for", "domain", check.Domain.Name)
		return d, seen, err
	case err != nil:
		c.o.Logger.ErrorContext(ctx, "what came of a look for a domain's record can't be written", "domain", check.Domain.Name, "cause", err)
		return d, seen, err
	}
	c.o.Count(Observation{Answer: answer(seen.Sighting), Reason: string(seen.Reason), Change: string(change)})
	c.log(ctx, check.Domain, d, seen, change)
	return d, seen, nil
}

func sighting(s dnsproof.Sighting) tenancy.Sighting {
	switch s {
	case dnsproof.Present:
		return tenancy.Present
	case dnsproof.Absent:
		return tenancy.Absent
	default:
		return tenancy.Unclear
	}
}

func answer(s dnsproof.Sighting) string {
	switch s {
	case dnsproof.Present:
		return "present"
	case dnsproof.Absent:
		return "absent"
	default:
		return "unclear"
	}
}
