package tenancy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// SaveOrganization makes the organization, if o.ID is empty, or changes it to be o, and
// returns it as it is now. Its times are kept here, and whether it is suspended is for
// [Suspend] and [Resume]. Nothing is written if nothing changes.
//
// It returns an error wrapping [ErrTaken] if the slug or a host is another's, and
// [ErrExternalIDTaken] if the external id is.
func SaveOrganization(tx Tx, o Organization, by audit.Actor, now time.Time) (Organization, error) {
	if _, err := ParseSlug(string(o.Slug)); err != nil {
		return Organization{}, err
	}
	for _, h := range o.Hosts {
		if c, port, err := ParseHost(h); err != nil {
			return Organization{}, err
		} else if string(c) != h || port != "" {
			return Organization{}, fmt.Errorf("host %q is not canonical: want %q", clip(h), c)
		}
	}
	if err := checkOrganizationIDs(tx, o); err != nil {
		return Organization{}, err
	}
	o = tidy(o)
	if o.ID == "" {
		o.ID = OrgID(id.New("org", now))
		o.CreatedAt, o.UpdatedAt, o.Suspended, o.Deleting = now.UTC(), now.UTC(), false, false
		return o, putOrganization(tx, audit.OrganizationCreated, o, by, now)
	}
	old, err := tx.Organization(o.ID)
	if err != nil {
		return Organization{}, err
	}
	o.CreatedAt, o.UpdatedAt, o.Suspended, o.Deleting = old.CreatedAt, old.UpdatedAt, old.Suspended, old.Deleting
	if same(o, old) {
		return old, nil
	}
	o.UpdatedAt = now.UTC()
	return o, putOrganization(tx, audit.OrganizationUpdated, o, by, now)
}

// checkOrganizationIDs checks what the app keeps at o for itself.
func checkOrganizationIDs(tx Tx, o Organization) error {
	if err := errors.Join(o.Metadata.check(), checkExternalID(o.ExternalID)); err != nil || o.ExternalID == "" {
		return err
	}
	switch other, err := tx.OrganizationByExternalID(o.ExternalID); {
	case err == nil && other.ID != o.ID:
		return ErrExternalIDTaken
	case err != nil && !errors.Is(err, ErrNotFound):
		return err
	}
	return nil
}

// Suspend locks everybody out of the organization. Nothing is deleted.
func Suspend(tx Tx, org OrgID, by audit.Actor, now time.Time) error {
	return setSuspended(tx, org, true, by, now)
}

// Resume undoes [Suspend]. Its SAML connections are looked after at once: what is known of their
// providers may have ended meanwhile.
func Resume(tx Tx, org OrgID, by audit.Actor, now time.Time) error {
	if err := setSuspended(tx, org, false, by, now); err != nil {
		return err
	}
	var conns []Connection
	for c, err := range tx.Connections(org) {
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		if err := watchSAML(tx, c, now); err != nil {
			return err
		}
	}
	return nil
}

func setSuspended(tx Tx, org OrgID, suspended bool, by audit.Actor, now time.Time) error {
	o, err := tx.Organization(org)
	if err != nil || o.Suspended == suspended {
		return err
	}
	if o.Deleting {
		return fmt.Errorf("organization is being deleted: %w", ErrState)
	}
	o.Suspended, o.UpdatedAt = suspended, now.UTC()
	name := audit.OrganizationResumed
	if suspended {
		name = audit.OrganizationSuspended
	}
	return putOrganization(tx, name, o, by, now)
}

func putOrganization(tx Tx, event string, o Organization, by audit.Actor, now time.Time) error {
	if err := tx.PutOrganization(o); err != nil {
		return err
	}
	return recordOrganization(tx, event, o, by, now)
}

// openOrganization returns the organization if it exists and is not suspended. To
// everybody else a suspended one is not there.
func openOrganization(tx Tx, org OrgID) (Organization, error) {
	o, err := tx.Organization(org)
	if err == nil && o.Suspended {
		err = fmt.Errorf("organization is suspended: %w", ErrNotFound)
	}
	return o, err
}

// tidy leaves out what is empty, so that what says the same is the same.
func tidy(o Organization) Organization {
	if len(o.Hosts) == 0 {
		o.Hosts = nil
	}
	if len(o.Upstreams) == 0 {
		o.Upstreams = nil
	}
	if len(o.GroupRoles) == 0 {
		o.GroupRoles = nil
	}
	if len(o.Metadata) == 0 {
		o.Metadata = nil
	}
	if len(o.Managed) == 0 {
		o.Managed = nil
	}
	return o
}

// same reports whether a and b would be stored as the same row.
func same[T any](a, b T) bool {
	x, err := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return errors.Join(err, err2) == nil && slices.Equal(x, y)
}
