// Package directory owns what customers' directories say of their people: directories, and the users and groups in
// them.
//
// It does not own memberships (package tenancy) nor sessions (package session), and so far changes neither: what a directory says of
// a person lets nobody in. Nor does it own how a directory speaks to orgate, or how any of it is stored (package store).
//
// The invariants: a directory is one organization's, and so is all that is in it; within a directory the provider's
// id of a user or group is one user's or group's; a directory whose deletion has begun is not there.
package directory

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
	"github.com/orgate/orgate/tenancy"
)

// The kinds of identifiers.
type (
	// ID is directory_…
	ID string
	// UserID is directory_user_…
	UserID string
	// GroupID is directory_group_…
	GroupID string
)

// ErrText says that a name, or the provider's id of something, can't be one.
var ErrText = errors.New("bad text in a directory")

const (
	maxName  = 256
	maxIDPID = 512
)

// Generic is the type of a directory that says no more of itself than that it speaks SCIM.
const Generic = "generic scim v2.0"

// Types are those of directories that speak SCIM, as the API names them.
func Types() []string {
	return []string{
		Generic, "azure scim v2.0", "cyberark scim v2.0", "jump cloud scim v2.0", "okta scim v2.0", "onelogin scim v2.0", "pingfederate scim v2.0",
		"rippling scim v2.0", "sailpoint scim v2.0",
	}
}

// A Directory is one feed of users and groups of one organization.
type Directory struct {
	ID           ID            `json:"id"`
	Organization tenancy.OrgID `json:"organization_id"`
	Name         string        `json:"name"`
	Type         string        `json:"type"` // of Types
	// Deleting: it shall be deleted, and that is not finished. It is not found meanwhile.
	Deleting  bool      `json:"deleting,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// Tx is the part of a transaction that this package needs. A getter returns an error wrapping [tenancy.ErrNotFound] for what is not there.
type Tx interface {
	tenancy.Tx

	Directory(tenancy.OrgID, ID) (Directory, error)
	DirectoryByID(ID) (Directory, error)
	DirectoriesFrom(tenancy.Place) iter.Seq2[Directory, error]
	DirectoriesIn(tenancy.OrgID, tenancy.Place) iter.Seq2[Directory, error]
	PutDirectory(Directory) error
	DeleteDirectory(tenancy.OrgID, ID) error // the row alone

	DirectoryUser(tenancy.OrgID, ID, UserID) (User, error)
	DirectoryUserByID(UserID) (User, error)
	// DirectoryUserAt is the user whom the provider knows by that id.
	DirectoryUserAt(org tenancy.OrgID, dir ID, idpID string) (User, error)
	// Users by id: all, those of an organization, of a directory, and those of a directory with a primary address.
	DirectoryUsersFrom(tenancy.Place) iter.Seq2[User, error]
	DirectoryUsersIn(tenancy.OrgID, tenancy.Place) iter.Seq2[User, error]
	DirectoryUsers(tenancy.OrgID, ID, tenancy.Place) iter.Seq2[User, error]
	DirectoryUsersNamed(org tenancy.OrgID, dir ID, email string, from tenancy.Place) iter.Seq2[User, error]
	PutDirectoryUser(User) error // ErrTaken: the provider's id
	DeleteDirectoryUser(tenancy.OrgID, ID, UserID) error

	DirectoryGroup(tenancy.OrgID, ID, GroupID) (Group, error)
	DirectoryGroupByID(GroupID) (Group, error)
	DirectoryGroupAt(org tenancy.OrgID, dir ID, idpID string) (Group, error)
	DirectoryGroupsFrom(tenancy.Place) iter.Seq2[Group, error]
	DirectoryGroupsIn(tenancy.OrgID, tenancy.Place) iter.Seq2[Group, error]
	DirectoryGroups(tenancy.OrgID, ID, tenancy.Place) iter.Seq2[Group, error]
	PutDirectoryGroup(Group) error // ErrTaken: the provider's id
	DeleteDirectoryGroup(tenancy.OrgID, ID, GroupID) error

	DirectoryMember(tenancy.OrgID, ID, GroupID, UserID) (Member, error)
	DirectoryMembers(tenancy.OrgID, ID, GroupID, tenancy.Place) iter.Seq2[Member, error]     // by user
	DirectoryGroupsOfUser(tenancy.OrgID, ID, UserID, tenancy.Place) iter.Seq2[Member, error] // by group
	DirectoryMembersIn(tenancy.OrgID, ID) iter.Seq2[Member, error]                           // all
	PutDirectoryMember(Member) error
	DeleteDirectoryMember(tenancy.OrgID, ID, GroupID, UserID) error
}

// Create makes a directory of the organization, with nothing in it.
func Create(tx Tx, org tenancy.OrgID, name, kind string, by audit.Actor, now time.Time) (Directory, error) {
	o, err := tx.Organization(org)
	if err != nil {
		return Directory{}, err
	}
	switch {
	case o.Deleting:
		return Directory{}, fmt.Errorf("organization: %w", tenancy.ErrNotFound)
	case !oneLine(name, maxName):
		return Directory{}, fmt.Errorf("%w: name: want one line of up to %d characters", ErrText, maxName)
	case !slices.Contains(Types(), kind):
		return Directory{}, fmt.Errorf("%w: type: want one of %s", ErrText, strings.Join(Types(), ", "))
	}
	d := Directory{ID: ID(id.New("directory", now)), Organization: org, Name: name, Type: kind, CreatedAt: now.UTC(), UpdatedAt: now.UTC()}
	if err := tx.PutDirectory(d); err != nil {
		return Directory{}, err
	}
	return d, recordActivated(tx, d, by, now)
}

// Open returns the directory, or an error wrapping [tenancy.ErrNotFound] if there is none, or none any more.
func Open(tx Tx, org tenancy.OrgID, dir ID) (Directory, error) {
	d, err := tx.Directory(org, dir)
	if err == nil && d.Deleting {
		err = fmt.Errorf("directory: %w", tenancy.ErrNotFound)
	}
	return d, err
}

// BeginRemoval says that a directory shall be deleted: from now on it is not there. [FinishRemoval] is its end. What
// memberships have come of it stay.
func BeginRemoval(tx Tx, org tenancy.OrgID, dir ID, by audit.Actor, now time.Time) error {
	d, err := Open(tx, org, dir)
	if err != nil {
		return err
	}
	d.Deleting, d.UpdatedAt = true, now.UTC()
	if err := tx.PutDirectory(d); err != nil {
		return err
	}
	return recordDeleted(tx, d, by, now)
}

// FinishRemoval deletes what is in a directory whose removal has begun, up to limit things, and then the directory. It reports whether that
// was all.
func FinishRemoval(tx Tx, org tenancy.OrgID, dir ID, limit int) (done bool, err error) {
	d, err := tx.Directory(org, dir)
	switch {
	case errors.Is(err, tenancy.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	case !d.Deleting:
		return false, tenancy.ErrState
	}
	left := limit
	err = errors.Join(
		drop(&left, tx.DirectoryMembersIn(org, dir), func(m Member) error { return tx.DeleteDirectoryMember(org, dir, m.Group, m.User) }),
		drop(&left, tx.DirectoryUsers(org, dir, tenancy.Place{}), func(u User) error { return tx.DeleteDirectoryUser(org, dir, u.ID) }),
		drop(&left, tx.DirectoryGroups(org, dir, tenancy.Place{}), func(g Group) error { return tx.DeleteDirectoryGroup(org, dir, g.ID) }))
	if err != nil || left <= 0 {
		return false, err
	}
	return true, tx.DeleteDirectory(org, dir)
}

// RemoveAll deletes the directories of an organization that is being deleted, up to limit things. It reports whether that was all.
func RemoveAll(tx Tx, org tenancy.OrgID, limit int, by audit.Actor, now time.Time) (done bool, err error) {
	for d, err := range tx.DirectoriesIn(org, tenancy.Place{}) {
		if err != nil {
			return false, err
		}
		if !d.Deleting {
			if err := BeginRemoval(tx, org, d.ID, by, now); err != nil {
				return false, err
			}
		}
		_, err := FinishRemoval(tx, org, d.ID, limit)
		return false, err // one at a time
	}
	return true, nil
}

// drop deletes up to left of what seq yields.
func drop[T any](left *int, seq iter.Seq2[T, error], f func(T) error) error {
	var all []T
	for x, err := range seq {
		if err != nil {
			return err
		}
		if len(all) >= *left {
			break
		}
		all = append(all, x)
	}
	for _, x := range all {
		if err := f(x); err != nil {
			return err
		}
	}
	*left -= len(all)
	return nil
}

// oneLine reports whether s is one line of text with something in it.
func oneLine(s string, most int) bool {
	return s != "" && strings.TrimSpace(s) == s && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func checkIDPID(s string) error {
	if !oneLine(s, maxIDPID) || len(s) > maxIDPID {
		return fmt.Errorf("%w: id of the provider: want one line of up to %d bytes", ErrText, maxIDPID)
	}
	return nil
}
