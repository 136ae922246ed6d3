package domain

import (
	"context"
	"log/slog"

	"github.com/orgate/orgate/internal/dnsproof"
	"github.com/orgate/orgate/tenancy"
)

// log says what came of a look: warnings are what somebody must do something about.
func (c *Checker) log(ctx context.Context, before, d tenancy.Domain, seen dnsproof.Outcome, change tenancy.Change) {
	record, _, _ := d.Challenge()
	log := c.o.Logger.With("domain", d.Name, "organization", string(d.Organization), "record", record, "reason", string(seen.Reason))
	if seen.Err != nil {
		log = log.With("cause", seen.Err)
	}
	switch change {
	case tenancy.ChangeVerified:
		log.InfoContext(ctx, "domain is verified")
	case tenancy.ChangeTaken:
		log.WarnContext(ctx, "domain is proved, but it is verified in another organization: verification has failed")
	case tenancy.ChangeExpired:
		log.WarnContext(ctx, "domain was not proved in time: verification has failed until it is started again")
	case tenancy.ChangeLapsing:
		log.WarnContext(ctx, "record of a verified domain is gone: the domain lapses unless it is set again", "lapses_at", d.Checks.LapsesAt(), "missing_since", d.Checks.MissingSince)
	case tenancy.ChangeRecovered:
		log.InfoContext(ctx, "record of a verified domain is back")
	case tenancy.ChangeLapsed:
		log.WarnContext(ctx, "domain has lapsed: its policy binds nobody, and nobody is vouched for by it")
	default:
		level := slog.LevelDebug
		if before.State == tenancy.DomainVerified && seen.Sighting == dnsproof.Unclear {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "record of a domain was looked for", "next", d.Checks.Next)
	}
}
