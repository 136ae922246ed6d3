package tenancy

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/id"
)

// The kinds of identifiers of groups.
type (
	// GroupID is group_…
	GroupID string
	// GroupRoleID is gra_…
	GroupRoleID string
)

// What a group may have. A member's roles are read with each grant that is made, and a group is deleted in one
// transaction: both stay small.
const (
	MaxGroupMembers     = 5000
	MaxGroupsOfMember   = 100
	MaxGroupRoles       = 100
	maxGroupName        = 256
	maxGroupDescription = 150
)

var (
	// ErrGroupText says that the name or description of a group can't be one.
	ErrGroupText = errors.New("bad text of a group")
	// ErrGroupLimit says that the group, or the member, has as many as can be.
	ErrGroupLimit = errors.New("too many members of a group, or groups of a member")
)

// A Group is some of the members of an organization, by whoever manages it. It is not one of an identity provider
// or a directory: see [GroupRole].
type Group struct {
	ID           GroupID        `json:"id"`
	Organization OrgID          `json:"organization_id"`
	Name         string         `json:"name"` // need not be unique
	Description  string         `json:"description,omitzero"`
	Roles        []AssignedRole `json:"roles,omitzero"` // by id
	Members      int            `json:"members,omitzero"`
	CreatedAt    time.Time      `json:"created_at"`
	UpdatedAt    time.Time      `json:"updated_at"`
}

// An AssignedRole is a role that the members of a group have beside their own.
type AssignedRole struct {
	ID        GroupRoleID `json:"id"`
	Role      string      `json:"role"`
	CreatedAt time.Time   `json:"created_at"`
}

// A GroupMember says that a membership is in a group.
type GroupMember struct {
	Organization OrgID        `json:"organization_id"`
	Group        GroupID      `json:"group_id"`
	Membership   MembershipID `json:"organization_membership_id"`
	User         UserID       `json:"user_id"`
	CreatedAt    time.Time    `json:"created_at"`
}

// GroupTx is the part of [Tx] that is about groups.
type GroupTx interface {
	Group(OrgID, GroupID) (Group, error)
	GroupByID(GroupID) (Group, error)
	GroupsIn(OrgID, Place) iter.Seq2[Group, error] // by id
	PutGroup(Group) error
	DeleteGroup(OrgID, GroupID) error // the row alone

	GroupMember(OrgID, GroupID, MembershipID) (GroupMember, error)
	GroupMembers(OrgID, GroupID, Place) iter.Seq2[GroupMember, error]  // by membership
	GroupsOf(OrgID, MembershipID, Place) iter.Seq2[GroupMember, error] // by group
	PutGroupMember(GroupMember) error
	DeleteGroupMember(OrgID, GroupID, MembershipID) error
}

// CreateGroup makes a group without members and roles.
func CreateGroup(tx Tx, org OrgID, name, description string, by audit.Actor, now time.Time) (Group, error) {
	if _, err := tx.Organization(org); err != nil {
		return Group{}, err
	}
	g := Group{ID: GroupID(id.New("group", now)), Organization: org, Name: name, Description: description, CreatedAt: now.UTC(), UpdatedAt: now.UTC()}
	if err := checkGroup(g); err != nil {
		return Group{}, err
	}
	if err := tx.PutGroup(g); err != nil {
		return Group{}, err
	}
	return g, recordGroup(tx, audit.GroupCreated, g, by, now)
}

// EditGroup changes name and description of a group; nil: not.
func EditGroup(tx Tx, org OrgID, group GroupID, name, description *string, by audit.Actor, now time.Time) (Group, error) {
	was, err := tx.Group(org, group)
	if err != nil {
		return Group{}, err
	}
	g := was
	if name != nil {
		g.Name = *name
	}
	if description != nil {
		g.Description = *description
	}
	if err := checkGroup(g); err != nil {
		return Group{}, err
	}
	if same(g, was) {
		return was, nil
	}
	g.UpdatedAt = now.UTC()
	if err := tx.PutGroup(g); err != nil {
		return Group{}, err
	}
	return g, recordGroup(tx, audit.GroupUpdated, g, by, now)
}

// RemoveGroup deletes a group. Its members lose the roles that they had by it. That it is gone is one event: there is none for each
// member.
func RemoveGroup(tx Tx, org OrgID, group GroupID, by audit.Actor, now time.Time) error {
	g, err := tx.Group(org, group)
	if err != nil {
		return err
	}
	members, err := first(tx.GroupMembers(org, group, Place{}), MaxGroupMembers)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := tx.DeleteGroupMember(org, group, m.Membership); err != nil {
			return err
		}
	}
	if err := tx.DeleteGroup(org, group); err != nil {
		return err
	}
	return recordGroup(tx, audit.GroupDeleted, g, by, now)
}

// JoinGroup puts a membership of the organization into a group, whatever its status: it has the roles while it is
// active. One that is in it already stays.
func JoinGroup(tx Tx, org OrgID, group GroupID, membership MembershipID, by audit.Actor, now time.Time) error {
	g, err := tx.Group(org, group)
	if err != nil {
		return err
	}
	m, err := tx.MembershipByID(membership)
	if err == nil && m.Organization != org { // it is nobody's business that there is one elsewhere
		err = notFound("membership")
	}
	if err != nil {
		return err
	}
	switch _, err := tx.GroupMember(org, group, membership); {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNotFound):
		return err
	}
	has, err := first(tx.GroupsOf(org, membership, Place{}), MaxGroupsOfMember)
	if err != nil {
		return err
	}
	if g.Members >= MaxGroupMembers || len(has) >= MaxGroupsOfMember {
		return ErrGroupLimit
	}
	in := GroupMember{Organization: org, Group: group, Membership: membership, User: m.User, CreatedAt: now.UTC()}
	g.Members++
	if err := errors.Join(tx.PutGroupMember(in), tx.PutGroup(g)); err != nil {
		return err
	}
	return recordGroupMember(tx, audit.GroupMemberAdded, in, by, now)
}

// LeaveGroup takes a membership out of a group, and returns an error wrapping [ErrNotFound] if it is not in it.
func LeaveGroup(tx Tx, org OrgID, group GroupID, membership MembershipID, by audit.Actor, now time.Time) error {
	g, err := tx.Group(org, group)
	if err != nil {
		return err
	}
	in, err := tx.GroupMember(org, group, membership)
	if err != nil {
		return err
	}
	g.Members--
	if err := errors.Join(tx.DeleteGroupMember(org, group, membership), tx.PutGroup(g)); err != nil {
		return err
	}
	return recordGroupMember(tx, audit.GroupMemberRemoved, in, by, now)
}

// leaveGroups takes a membership that is deleted out of all of its groups.
func leaveGroups(tx Tx, m Membership, by audit.Actor, now time.Time) error {
	if m.ID == "" {
		return nil
	}
	in, err := first(tx.GroupsOf(m.Organization, m.ID, Place{}), MaxGroupsOfMember)
	if err != nil {
		return err
	}
	for _, g := range in {
		if err := LeaveGroup(tx, m.Organization, g.Group, m.ID, by, now); err != nil {
			return err
		}
	}
	return nil
}

// oneLine reports whether s is one line of text with something in it, and nothing that can't be seen.
func oneLine(s string) bool {
	return s != "" && strings.TrimSpace(s) == s && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

func checkGroup(g Group) error {
	switch {
	case !oneLine(g.Name) || utf8.RuneCountInString(g.Name) > maxGroupName:
		return fmt.Errorf("%w: name: want 1 to %d characters", ErrGroupText, maxGroupName)
	case !utf8.ValidString(g.Description) || utf8.RuneCountInString(g.Description) > maxGroupDescription:
		return fmt.Errorf("%w: description: want up to %d characters", ErrGroupText, maxGroupDescription)
	}
	return nil
}
