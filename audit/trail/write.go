package trail

import (
	"errors"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/tenancy"
)

const (
	// maxEntries and maxBytes are how much one transaction writes, more or less: every engine takes
	// more than that at once.
	maxEntries = 200
	maxBytes   = 256 << 10
)

// Write puts changes, which follow each other in the feed behind position from, into the logs. It takes as many
// as one transaction can, and returns the position that it has come to; moved is false if another replica
// writes, or has written them.
func Write(tx Tx, from uint64, changes []Change, holder string, lease time.Duration, now time.Time) (pos uint64, moved bool, err error) {
	at, err := tx.LogPosition()
	if err != nil || at != from || len(changes) == 0 {
		return at, false, err
	}
	switch l, err := tx.LogLease(); {
	case err == nil && l.Holder != holder && now.Before(l.Until), err != nil && !errors.Is(err, tenancy.ErrNotFound):
		return at, false, err
	}
	heads, names := map[Log]Head{}, map[string]string{}
	rows, size := 0, 0
	for _, c := range changes {
		if rows >= maxEntries || rows > 0 && size+len(c.Event.Data) > maxBytes {
			break
		}
		pos = c.Position
		l, ok, err := logOf(tx, c.Event)
		if err != nil {
			return at, false, err
		}
		if !ok {
			continue
		}
		e, err := entryOf(tx, c.Event, names)
		if err != nil {
			return at, false, err
		}
		h, known := heads[l]
		if !known {
			if h, err = headOf(tx, l); err != nil {
				return at, false, err
			}
		}
		heads[l], e = follow(h, e)
		if err := tx.PutLogEntry(e); err != nil {
			return at, false, err
		}
		rows, size = rows+1, size+len(c.Event.Data)
		if c.Event.Name == audit.OrganizationDeleted {
			if err := abandon(tx, heads, Log(c.Event.Organization)); err != nil {
				return at, false, err
			}
		}
	}
	for _, h := range heads {
		if err := tx.PutLogHead(h); err != nil {
			return at, false, err
		}
	}
	if err := tx.PutLogLease(Lease{holder, now.Add(lease)}); err != nil {
		return at, false, err
	}
	return pos, true, tx.PutLogPosition(pos)
}

// logOf returns the log that an event belongs in. An organization that is gone has none any more: that it was
// deleted, and by whom, is in the installation's.
func logOf(tx Tx, e audit.Event) (l Log, ok bool, err error) {
	switch {
	case e.Organization == "":
		return Installation, true, nil
	case e.Name == audit.OrganizationDeleted:
		return Installation, true, nil
	}
	_, err = tx.Organization(tenancy.OrgID(e.Organization))
	if errors.Is(err, tenancy.ErrNotFound) {
		return "", false, nil
	}
	return LogOf(tenancy.OrgID(e.Organization)), err == nil, err
}

// abandon has the log of an organization that is gone removed ([Sweep]).
func abandon(tx Tx, heads map[Log]Head, org Log) error {
	if org == "" || org == Installation {
		return nil
	}
	h, ok := heads[org]
	if !ok {
		var err error
		if h, err = tx.LogHead(org); errors.Is(err, tenancy.ErrNotFound) {
			return nil
		} else if err != nil {
			return err
		}
	}
	h.Deleted = true
	heads[org] = h
	return nil
}
