package tenancy

import "iter"

// A Place is where a list is read on from. The zero Place is its beginning.
type Place struct {
	// Past is the id that the list is read on behind; empty: from the beginning, or, if
	// Backward, from the end. Whether anything of that id is there does not matter.
	Past string
	// Backward reads towards the smaller ids.
	Backward bool
}

// Lists is the part of a transaction that finds things by their ids alone, and reads lists
// from a place on: what a page costs does not depend on how deep in the list it is.
type Lists interface {
	OrganizationsFrom(Place) iter.Seq2[Organization, error]
	OrganizationByExternalID(string) (Organization, error)
	DeleteOrganization(OrgID) error // the row alone

	DomainByID(DomainID) (Domain, error)
	// DomainsNamed are those of that name in every organization and state, by organization.
	DomainsNamed(name string, from Place) iter.Seq2[Domain, error]

	ConnectionByID(ConnectionID) (Connection, error)
	ConnectionsFrom(Place) iter.Seq2[Connection, error]
	ConnectionsIn(OrgID, Place) iter.Seq2[Connection, error]

	// Permissions are those that have a row of their own, by slug.
	Permissions() iter.Seq2[Permission, error]
	PutPermission(Permission) error
	DeletePermission(slug string) error
	// RolesOfAll are the roles that organizations have made, all of them.
	RolesOfAll() iter.Seq2[Role, error]

	UsersFrom(Place) iter.Seq2[User, error]
	UserByExternalID(string) (User, error)
	DeleteUser(UserID) error // the row alone

	// IdentitiesAt are those that a connection knows, by subject.
	IdentitiesAt(ConnectionID) iter.Seq2[Identity, error]

	// Invitations in whatever state, by id: all, those to an organization, and those to an address.
	InvitationsFrom(Place) iter.Seq2[Invitation, error]
	InvitationsIn(OrgID, Place) iter.Seq2[Invitation, error]
	InvitationsAt(email string, from Place) iter.Seq2[Invitation, error]

	MembershipByID(MembershipID) (Membership, error)
	MembersFrom(OrgID, Place) iter.Seq2[Membership, error]    // by user id
	MembershipsIn(OrgID, Place) iter.Seq2[Membership, error]  // by membership id
	MembershipsOf(UserID, Place) iter.Seq2[Membership, error] // by membership id
}
