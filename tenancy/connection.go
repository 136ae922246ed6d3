package tenancy

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// MaxConnections is how many connections the API makes for one organization: whoever signs in there has all of them read.
const MaxConnections = 100

// ErrConnectionLimit says that there are as many connections as can be.
var ErrConnectionLimit = errors.New("there are as many connections as can be")

// AddConnection makes a connection as [SaveConnection] does, for somebody other than the operator. It returns [ErrConnectionLimit] if the
// organization has [MaxConnections].
func AddConnection(tx Tx, c Connection, by audit.Actor, now time.Time) (Connection, error) {
	has, err := first(tx.ConnectionsIn(c.Organization, Place{}), MaxConnections)
	if err != nil {
		return Connection{}, err
	}
	if len(has) >= MaxConnections {
		return Connection{}, ErrConnectionLimit
	}
	return SaveConnection(tx, c, by, now)
}

// SaveConnection makes the connection, if c.ID is empty, or changes it to be c, and
// returns it as it is now. Nothing is written if nothing changes. It returns an error
// wrapping [ErrTaken] if another connection of the organization has its name.
//
// A sealed secret differs each time that it is sealed, so a caller that has the same
// secret as before hands in the stored one.
func SaveConnection(tx Tx, c Connection, by audit.Actor, now time.Time) (Connection, error) {
	switch {
	case c.Name == "":
		return Connection{}, errors.New("connection has no name")
	case c.Type != "oidc" && c.Type != "saml":
		return Connection{}, fmt.Errorf("connection %q: unknown type %q", clip(c.Name), clip(c.Type))
	}
	if c.ID == "" {
		if _, err := tx.Organization(c.Organization); err != nil {
			return Connection{}, err
		}
		c.ID = ConnectionID(id.New("conn", now))
		c.CreatedAt, c.UpdatedAt = now.UTC(), now.UTC()
		event := audit.ConnectionActivated
		if c.Disabled {
			event = audit.ConnectionCreated
		}
		if err := putConnection(tx, event, c, by, now); err != nil {
			return Connection{}, err
		}
		return c, watchSAML(tx, c, now)
	}
	old, err := tx.Connection(c.Organization, c.ID)
	if err != nil {
		return Connection{}, err
	}
	c.CreatedAt, c.UpdatedAt = old.CreatedAt, old.UpdatedAt
	if same(c, old) {
		return old, nil
	}
	c.UpdatedAt = now.UTC()
	event := audit.ConnectionUpdated
	switch {
	case c.Disabled && !old.Disabled:
		event = audit.ConnectionDeactivated
	case !c.Disabled && old.Disabled:
		event = audit.ConnectionActivated
	}
	if err := putConnection(tx, event, c, by, now); err != nil {
		return Connection{}, err
	}
	return c, watchSAML(tx, c, now)
}

func putConnection(tx Tx, event string, c Connection, by audit.Actor, now time.Time) error {
	if err := tx.PutConnection(c); err != nil {
		return fmt.Errorf("connection %q: %w", clip(c.Name), err)
	}
	return recordConnection(tx, event, c, by, now)
}

// RemoveConnection deletes a connection for good. Removing what is not there is nothing.
//
// Its identities stay as records. They lead nowhere: a sign-in needs the connection, and
// its id is never given to another.
func RemoveConnection(tx Tx, org OrgID, conn ConnectionID, by audit.Actor, now time.Time) error {
	c, err := tx.Connection(org, conn)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(tx.DeleteConnection(org, conn), tx.DeleteSAMLState(org, conn)); err != nil {
		return err
	}
	c.Disabled = true
	return recordConnection(tx, audit.ConnectionDeleted, c, by, now)
}

// openConnection returns the connection if it may answer anybody, and its organization
// (attack 74: the same question at the start of a sign-in, at its end, and of each proof).
func openConnection(tx Tx, org OrgID, conn ConnectionID) (Organization, error) {
	o, err := openOrganization(tx, org)
	if err != nil {
		return Organization{}, err
	}
	c, err := tx.Connection(org, conn)
	if err == nil && c.Disabled {
		err = fmt.Errorf("connection is disabled: %w", ErrNotFound)
	}
	return o, err
}
