package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/config/apply"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
)

// namesShown is how many people are named of each organization and change.
const namesShown = 20

// dryRun says what next would mean for everybody who is known, and changes nothing. locked is
// how many people would be locked out of something.
func dryRun(ctx context.Context, w io.Writer, knows knowledge, current, next *config.Config, now time.Time) (locked int, err error) {
	before, after, err := regimes(ctx, knows, current, next, now)
	if err != nil {
		return 0, err
	}
	c := session.NewComparison(before, after, namesShown, now)
	err = knows(ctx, asking{everybody: true}, func(k known) error {
		if k.Person == nil {
			return nil
		}
		return c.Add(k.Person.Person)
	})
	if err != nil {
		return 0, err
	}
	return session.Total(c.Impacts())[session.LockedOut], report(w, c)
}

// regimes are what people sign in under as the store has it, and as it would be with next.
func regimes(ctx context.Context, knows knowledge, current, next *config.Config, now time.Time) (before, after session.Regime, err error) {
	scratch, err := openScratch(ctx, knows, "")
	if err != nil {
		return before, after, err
	}
	defer func() {
		if e := scratch.Close(); err == nil {
			err = e
		}
	}()
	if before, err = readRegime(ctx, scratch, current.Offered()); err != nil {
		return before, after, err
	}
	if err := applyTo(ctx, scratch, next, now); err != nil {
		return before, after, err
	}
	after, err = readRegime(ctx, scratch, next.Offered())
	return before, after, err
}

// applyTo applies a configuration to a store that is thrown away.
func applyTo(ctx context.Context, scratch *store.Store, c *config.Config, now time.Time) error {
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		return err
	}
	_, err = apply.Apply(ctx, scratch, c, box, now)
	return err
}

// readRegime reads the settings of all organizations, to be asked when the store is closed.
func readRegime(ctx context.Context, s *store.Store, offered policy.Methods) (session.Regime, error) {
	var kept *session.KeptSettings
	err := s.View(ctx, func(tx store.Tx) error {
		kept = &session.KeptSettings{}
		for o, err := range tx.Organizations() {
			if err != nil {
				return err
			}
			if err := kept.Keep(tx, o.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return session.Regime{Settings: kept, Offered: offered}, err
}

// shownChanges are the changes in the order in which an operator wants to know of them.
func shownChanges() []session.Change {
	return []session.Change{session.LockedOut, session.LetIn, session.AskedMore, session.AskedLess}
}

// report says what becomes of whom.
func report(w io.Writer, c *session.Comparison) error {
	var b strings.Builder
	impacts := c.Impacts()
	for i := range impacts {
		impact := &impacts[i]
		who := string(impact.Slug)
		if impact.Organization == "" {
			who = "the login host alone, for members of no organization"
		}
		fmt.Fprintf(&b, "%s:\n", who)
		for _, change := range shownChanges() {
			n := impact.Counts[change]
			if n == 0 {
				continue
			}
			fmt.Fprintf(&b, "  %s: %d (%s", change, n, strings.Join(impact.Names[change], ", "))
			if more := n - len(impact.Names[change]); more > 0 {
				fmt.Fprintf(&b, " and %d more", more)
			}
			b.WriteString(")\n")
			if change == session.LockedOut {
				for _, why := range impact.Obstacles {
					fmt.Fprintf(&b, "    %s\n", why)
				}
			}
		}
	}
	if len(impacts) == 0 {
		fmt.Fprintf(&b, "nothing changes for anybody; known: %s\n", people(c.People()))
	} else {
		total := session.Total(impacts)
		fmt.Fprintf(&b, "in all:")
		for i, change := range shownChanges() {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, " %d %s", total[change], change)
		}
		fmt.Fprintf(&b, "; known: %s\n", people(c.People()))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}
