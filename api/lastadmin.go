package api

import (
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// mayEndAdmin makes a change to memberships, which are as they were before it, in a transaction of [call.update]: whoever asked
// is told of the organizations that have no administrator any more.
func (c *call) mayEndAdmin(tx store.Tx, was []tenancy.Membership, change func() error) (err error) {
	c.adminless, err = tenancy.LosesLastAdmin(tx, was, change)
	return err
}

// groupMayEndAdmin is [call.mayEndAdmin] for a change to a group.
func (c *call) groupMayEndAdmin(tx store.Tx, was tenancy.Group, change func() error) (err error) {
	c.adminless, err = tenancy.GroupLosesLastAdmin(tx, was, change)
	return err
}

// warn says in a header, and in the log, which organizations have no administrator any more by what was committed.
func (c *call) warn() {
	for _, org := range c.adminless {
		c.w.Header().Set("X-Orgate-Warning", "last_admin")
		c.api.Logger.WarnContext(c.ctx, "an organization has no active administrator any more", "organization", org, "request", c.r.Method+" "+c.r.URL.Path, "api_key", c.key.ID)
	}
}
