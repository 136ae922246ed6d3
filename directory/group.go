package directory

import (
	"errors"
	"fmt"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// A Group is one of a directory. It is none of the organization's own: see [tenancy.Group].
type Group struct {
	ID           GroupID        `json:"id"`
	Directory    ID             `json:"directory_id"`
	Organization tenancy.OrgID  `json:"organization_id"`
	IDPID        string         `json:"idp_id"` // unique in the directory
	Name         string         `json:"name"`
	Raw          map[string]any `json:"raw_attributes,omitzero"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
}

// A Member says that a user is in a group.
type Member struct {
	Organization tenancy.OrgID `json:"organization_id"`
	Directory    ID            `json:"directory_id"`
	Group        GroupID       `json:"group_id"`
	User         UserID        `json:"user_id"`
}

// SaveGroup makes the group that the provider knows by g.IDPID in the directory, or changes it to be g, and returns it as it is now.
// Nothing is written if nothing changes.
func SaveGroup(tx Tx, d Directory, g Group, by audit.Actor, now time.Time) (Group, error) {
	if _, err := Open(tx, d.Organization, d.ID); err != nil {
		return Group{}, err
	}
	if err := checkIDPID(g.IDPID); err != nil {
		return Group{}, err
	}
	if !oneLine(g.Name, maxName) {
		return Group{}, fmt.Errorf("%w: name of a group: want one line of up to %d characters", ErrText, maxName)
	}
	g.Directory, g.Organization = d.ID, d.Organization
	old, err := tx.DirectoryGroupAt(d.Organization, d.ID, g.IDPID)
	made := errors.Is(err, tenancy.ErrNotFound)
	switch {
	case made:
		g.ID, g.CreatedAt = GroupID(id.New("directory_group", now)), now.UTC()
	case err != nil:
		return Group{}, err
	default:
		g.ID, g.CreatedAt, g.UpdatedAt = old.ID, old.CreatedAt, old.UpdatedAt
		if same(g, old) {
			return old, nil
		}
	}
	g.UpdatedAt = now.UTC()
	if err := tx.PutDirectoryGroup(g); err != nil {
		return Group{}, err
	}
	if made {
		return g, record(tx, audit.DirectoryGroupCreated, d, ShowGroup(g), by, now)
	}
	return g, recordUpdated(tx, audit.DirectoryGroupUpdated, d, ShowGroup(old), ShowGroup(g), by, now)
}

// Join puts a user of the directory into a group of it. Who is in it already stays.
func Join(tx Tx, d Directory, group GroupID, user UserID, by audit.Actor, now time.Time) error {
	if _, err := Open(tx, d.Organization, d.ID); err != nil {
		return err
	}
	return move(tx, d, group, user, true, by, now)
}

// Leave takes a user out of a group. Who is not in it stays out.
func Leave(tx Tx, d Directory, group GroupID, user UserID, by audit.Actor, now time.Time) error {
	return move(tx, d, group, user, false, by, now)
}

func move(tx Tx, d Directory, group GroupID, user UserID, in bool, by audit.Actor, now time.Time) error {
	g, err := tx.DirectoryGroup(d.Organization, d.ID, group)
	if err != nil {
		return err
	}
	u, err := tx.DirectoryUser(d.Organization, d.ID, user)
	if err != nil {
		return err
	}
	_, err = tx.DirectoryMember(d.Organization, d.ID, group, user)
	if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
		return err
	}
	if was := err == nil; was == in {
		return nil
	}
	name := audit.DirectoryGroupUserAdded
	if in {
		err = tx.PutDirectoryMember(Member{d.Organization, d.ID, group, user})
	} else {
		name, err = audit.DirectoryGroupUserRemoved, tx.DeleteDirectoryMember(d.Organization, d.ID, group, user)
	}
	if err != nil {
		return err
	}
	return record(tx, name, d, struct {
		Directory ID          `json:"directory_id"`
		User      UserObject  `json:"user"`
		Group     GroupObject `json:"group"`
	}{d.ID, ShowUser(u), ShowGroup(g)}, by, now)
}

// GroupsOf returns the groups that a user is in, by id.
func GroupsOf(tx Tx, u User) ([]Group, error) {
	var groups []Group
	for m, err := range tx.DirectoryGroupsOfUser(u.Organization, u.Directory, u.ID, tenancy.Place{}) {
		if err != nil {
			return nil, err
		}
		g, err := tx.DirectoryGroup(u.Organization, u.Directory, m.Group)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}
