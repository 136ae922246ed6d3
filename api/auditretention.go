package api

import (
	"github.com/orgate/orgate/audit/trail"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

type auditLogRetention struct {
	Days int `json:"retention_period_in_days"`
}

type auditLogConfiguration struct {
	Organization tenancy.OrgID `json:"organization_id"`
	Days         int           `json:"retention_period_in_days"`
	State        string        `json:"state"`
}

// retention returns for how many days the log of the organization of the path is kept.
func (c *call) retention(tx store.Tx) (org tenancy.OrgID, days int, err error) {
	org = tenancy.OrgID(c.r.PathValue("id"))
	if _, err := c.organization(tx, org); err != nil {
		return "", 0, err
	}
	days, err = trail.Retention(tx, trail.LogOf(org), c.api.RetentionDays())
	return org, days, err
}

func (a *API) getAuditLogRetention(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	var shown auditLogRetention
	return c.viewed(&shown, func(tx store.Tx) (err error) {
		_, shown.Days, err = c.retention(tx)
		return err
	})
}

func (a *API) updateAuditLogRetention(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	days, err := retentionIn(b)
	if err != nil {
		return err
	}
	var shown auditLogRetention
	return c.changed(&shown, func(tx store.Tx) error {
		org, _, err := c.retention(tx)
		if err != nil {
			return err
		}
		if err := trail.SetRetention(tx, org, days, c.by, c.now); err != nil {
			return err
		}
		_, shown.Days, err = c.retention(tx)
		return err
	})
}

// retentionIn reads retention_period_in_days, as the reference has it, or retention_period, as its newer SDKs do.
func retentionIn(b body) (days int, err error) {
	n, period := b.whole("retention_period_in_days"), b.text("retention_period")
	switch {
	case len(*b.all) > 0:
	case n == nil && period == nil:
		b.missing("retention_period_in_days")
	case n != nil && period != nil:
		b.fault("invalid", "retention_period", "and retention_period_in_days can't be given both")
	case period != nil:
		if days, err = trail.ParseRetention(*period); err != nil {
			b.fault("invalid", "retention_period", "must be 1_MONTH to 11_MONTHS or 1_YEAR to 10_YEARS")
		}
	case *n != 30 && *n != 365:
		b.fault("invalid", "retention_period_in_days", "must be 30 or 365")
	default:
		days = *n
	}
	return days, b.done()
}

// getAuditLogConfiguration says how the log is kept. It is always written, and there are no streams.
func (a *API) getAuditLogConfiguration(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	shown := auditLogConfiguration{State: "active"}
	return c.viewed(&shown, func(tx store.Tx) (err error) {
		shown.Organization, shown.Days, err = c.retention(tx)
		return err
	})
}
