package api

import (
	"errors"
	"slices"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// checkPermission says whether a membership has a permission in its organization. One that is not active has none, nor has anybody
// in an organization that lets nobody in. A permission that nobody has defined nobody has.
func (a *API) checkPermission(c *call) error {
	b, err := c.body()
	if err != nil {
		return err
	}
	permission, on := b.required("permission_slug"), resourceOf(b, true)
	if err := errors.Join(c.noQuery(), b.done()); err != nil {
		return err
	}
	var answer struct {
		Authorized bool `json:"authorized"`
	}
	return c.viewed(&answer, func(tx store.Tx) error {
		m, err := c.membership(tx)
		if err != nil {
			return err
		}
		o, err := tx.Organization(m.Organization)
		if err == nil {
			err = on.check(o)
		}
		if err != nil {
			return err
		}
		answer.Authorized = false
		if m.Status != policy.Active || o.Suspended {
			return nil
		}
		roles, err := tenancy.EffectiveRoles(tx, m)
		answer.Authorized = err == nil && slices.Contains(tenancy.PermissionsOf(roles), permission)
		return err
	})
}
