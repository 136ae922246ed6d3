package factor

import (
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

type factorData struct {
	Object string         `json:"object"`
	ID     string         `json:"id,omitzero"`
	User   tenancy.UserID `json:"user_id"`
	Type   string         `json:"type"`
}

// record appends an event about a factor of a user. It says which kind, and nothing secret.
func record(tx Tx, name string, user tenancy.UserID, kind, about string, by audit.Actor, now time.Time) error {
	e := audit.New(name, by, now)
	e.User = string(user)
	return audit.Record(tx, e, factorData{Object: "authentication_factor", User: user, Type: kind, ID: about})
}
