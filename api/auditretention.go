package api

import (
	"errors"
	"net/http"

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
	err := c.view(func(tx store.Tx) (err error) {
		_, shown.Days, err = c.retention(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}

func (a *API) updateAuditLogRetention(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	days := b.whole("retention_period_in_days")
	if days == nil && len(*b.all) == 0 {
		b.missing("retention_period_in_days")
	}
	if err := b.done(); err != nil {
		return err
	}
	var shown auditLogRetention
	err = c.update(func(tx store.Tx) error {
		org, _, err := c.retention(tx)
		if err != nil {
			return err
		}
		if err := trail.SetRetention(tx, org, *days, c.by, c.now); errors.Is(err, trail.ErrRetention) {
			return invalid(Fault{"invalid", "retention_period_in_days", "retention_period_in_days must be 30 or 365"})
		} else if err != nil {
			return err
		}
		_, shown.Days, err = c.retention(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}

// getAuditLogConfiguration says how the log is kept. It is always written, and there are no streams.
func (a *API) getAuditLogConfiguration(c *call) error {
	if err := c.noQuery(); err != nil {
		return err
	}
	shown := auditLogConfiguration{State: "active"}
	err := c.view(func(tx store.Tx) (err error) {
		shown.Organization, shown.Days, err = c.retention(tx)
		return err
	})
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, shown)
}
