package session

import (
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// A Query says whose facts are asked for.
type Query struct {
	// Organization asked for; empty: the login host alone.
	Organization tenancy.OrgID
	// Session is the live login-host session; its zero value: nobody signed in.
	Session Session
	// Email is who the person says to be, when nobody is signed in; may be empty.
	Email string
	// Offered: see [policy.Facts].
	Offered policy.Methods
	Now     time.Time
}

// A View is what is known of one person at one organization: the facts for
// [policy.Decide], and the objects that they were taken from. It is how sign-in, proxy and
// explain come to the same decision: nothing else fills in Facts.
type View struct {
	Facts        policy.Facts
	Organization tenancy.Organization
	User         tenancy.User       // zero: nobody, or not known yet
	Membership   tenancy.Membership // zero: none
	// Roles are the membership's, highest priority first.
	Roles []string
	// Permissions are the union over Roles, sorted.
	Permissions []string
	// DomainOrganization is whose domain policy binds the person; empty: nobody's.
	DomainOrganization tenancy.OrgID
	// Connections are the organization's active ones, by name.
	Connections []tenancy.Connection
}

// Gather collects the facts. A missing or suspended organization is not an error but a
// fact. Facts.Rule and Facts.Request are left to the caller.
func Gather(tx Tx, q Query) (View, error) { panic("") }
