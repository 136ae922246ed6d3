package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	// reckoningTime is how long it may take to work out what a reload means for people.
	reckoningTime = 30 * time.Second
	// reckoningLines are how many organizations are logged one by one.
	reckoningLines = 100
)

// A reckoning is what a reload means for the people who are known, to be worked out in the
// background once it is in force.
type reckoning struct {
	organizations []tenancy.OrgID // of which the configuration says something else
	kept          session.KeptSettings
	before, after policy.Methods
}

// prepare notes, before next is applied, what people sign in under. It reads no more than the
// organizations of which the configuration says something else.
func (g *gateway) prepare(ctx context.Context, next *config.Config) (*reckoning, error) {
	current := g.config()
	slugs := changedSlugs(current, next)
	var r *reckoning
	err := g.store.View(ctx, func(tx store.Tx) error {
		r = &reckoning{before: current.Offered(), after: next.Offered()}
		for _, slug := range slugs {
			o, err := tx.OrganizationBySlug(slug)
			if errors.Is(err, tenancy.ErrNotFound) {
				continue // a new one, of which nobody is a member
			}
			if err != nil {
				return err
			}
			r.organizations = append(r.organizations, o.ID)
			if err := r.kept.Keep(tx, o.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

// changedSlugs are those of the organizations that a reload changes, makes or takes out.
func changedSlugs(a, b *config.Config) (slugs []tenancy.Slug) {
	was := make(map[tenancy.Slug]*config.Organization, len(a.Organizations))
	for _, o := range a.Organizations {
		was[o.Slug] = o
	}
	for _, o := range b.Organizations {
		if old, ok := was[o.Slug]; !ok || old.Sum() != o.Sum() {
			slugs = append(slugs, o.Slug)
		}
		delete(was, o.Slug)
	}
	for slug := range was {
		slugs = append(slugs, slug)
	}
	return slugs
}

// reckon works r out in the background, and logs it. It is for the operator alone: nobody is
// named, and nothing waits for it.
func (g *gateway) reckon(ctx context.Context, r *reckoning) {
	if len(r.organizations) == 0 && r.before == r.after {
		return
	}
	if !g.reckoning.TryLock() {
		g.log.WarnContext(ctx, "what this reload means for people is not worked out: that of an earlier one still is")
		return
	}
	g.behind.Go(func() {
		defer g.reckoning.Unlock()
		ctx, cancel := context.WithTimeout(ctx, reckoningTime)
		defer cancel()
		began := time.Now()
		c, err := r.compare(ctx, g.store, began)
		if c == nil {
			g.log.WarnContext(ctx, "what this reload means for people could not be worked out", "cause", err)
			return
		}
		g.logImpacts(ctx, c, err, time.Since(began))
	})
}

// compare judges the people whom the change concerns. If it has to stop before all are judged, it
// returns an error too.
func (r *reckoning) compare(ctx context.Context, s *store.Store, now time.Time) (c *session.Comparison, err error) {
	err = s.View(ctx, func(tx store.Tx) error {
		c = nil
		var is session.KeptSettings
		for _, id := range r.organizations {
			if err := is.Keep(tx, id); err != nil {
				return err
			}
		}
		was := r.kept
		was.Rest, is.Rest = tx, tx
		c = session.NewComparison(session.Regime{Settings: &was, Offered: r.before}, session.Regime{Settings: &is, Offered: r.after}, 0, now)
		organizations, domains := r.kept.Affects(&is)
		concerned := func(email string) bool {
			_, found := slices.BinarySearch(domains, tenancy.EmailDomain(email))
			return found || r.before != r.after
		}
		judged := map[tenancy.UserID]bool{}
		if len(domains) > 0 || r.before != r.after {
			for u, err := range tx.Users() {
				if err = cmp.Or(err, context.Cause(ctx)); err != nil {
					return err
				}
				if !concerned(u.Email) {
					continue
				}
				judged[u.ID] = true
				p, err := tellPerson(tx, u, false)
				if err != nil {
					return err
				}
				if err := c.Add(p.Person); err != nil {
					return err
				}
			}
		}
		for _, id := range organizations {
			if err := addMembers(ctx, tx, c, id, judged); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}

// addMembers judges how the members of an organization enter it, but for those who were judged
// already.
func addMembers(ctx context.Context, tx store.Tx, c *session.Comparison, org tenancy.OrgID, judged map[tenancy.UserID]bool) error {
	for m, err := range tx.Members(org) {
		if err = cmp.Or(err, context.Cause(ctx)); err != nil {
			return err
		}
		if m.Status != policy.Active || judged[m.User] {
			continue
		}
		p := session.Person{Memberships: []tenancy.Membership{m}}
		if p.User, err = tx.User(m.User); err != nil {
			return err
		}
		if p.Enrolled, err = tx.Enrolled(m.User); err != nil {
			return err
		}
		if err := c.Add(p); err != nil {
			return err
		}
	}
	return nil
}

// logImpacts logs a line for each organization whose people are asked something else, those first
// of which most are locked out, and one for all.
func (g *gateway) logImpacts(ctx context.Context, c *session.Comparison, err error, took time.Duration) {
	ctx = context.WithoutCancel(ctx)
	impacts := c.Impacts()
	slices.SortStableFunc(impacts, func(a, b session.Impact) int {
		return cmp.Compare(b.Counts[session.LockedOut], a.Counts[session.LockedOut])
	})
	level := func(lockedOut int) slog.Level {
		if lockedOut > 0 {
			return slog.LevelWarn
		}
		return slog.LevelInfo
	}
	for i := range impacts[:min(len(impacts), reckoningLines)] {
		n := impacts[i].Counts
		g.log.Log(ctx, level(n[session.LockedOut]), "the reload changes what people are asked", "organization", string(impacts[i].Slug),
			"locked_out", n[session.LockedOut], "let_in", n[session.LetIn], "asked_more", n[session.AskedMore], "asked_less", n[session.AskedLess])
	}
	n := session.Total(impacts)
	attrs := []any{
		"organizations", len(impacts), "locked_out", n[session.LockedOut], "let_in", n[session.LetIn],
		"asked_more", n[session.AskedMore], "asked_less", n[session.AskedLess], "judged", c.People(), "took", took.String(),
	}
	if err != nil {
		attrs = append(attrs, "stopped", err.Error())
	}
	g.log.Log(ctx, level(n[session.LockedOut]), "what the reload means for people", attrs...)
}
