package session

import (
	"iter"

	"github.com/orgate/orgate/tenancy"
)

// Lists is the part of a transaction that reads lists from a place on.
type Lists interface {
	// SessionsFrom are the sessions of a user that were not ended, by id.
	SessionsFrom(tenancy.UserID, tenancy.Place) iter.Seq2[Session, error]
}
