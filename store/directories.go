package store

import (
	"iter"

	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/tenancy"
)

func directories() table[directory.Directory] {
	return table[directory.Directory]{
		kind: kindDirectory, name: "directory",
		fields: func(d directory.Directory) []string { return []string{string(d.Organization), string(d.ID)} },
		indexes: func(d directory.Directory) []index {
			return []index{{kindByID, []string{"directory", string(d.ID)}, true}}
		},
	}
}

func directoryUsers() table[directory.User] {
	return table[directory.User]{
		kind: kindInDirectory, name: "directory user",
		fields: func(u directory.User) []string {
			return []string{string(u.Organization), string(u.Directory), "user", string(u.ID)}
		},
		indexes: func(u directory.User) []index {
			org, dir, id := string(u.Organization), string(u.Directory), string(u.ID)
			ixs := []index{
				{kindByID, []string{"directory_user", id}, true},
				{kindInOrganization, []string{org, "directory_user", id}, false},
				{kindInOrganization, []string{org, "directory_user at", dir, u.IDPID}, true},
			}
			if u.Email != "" {
				ixs = append(ixs, index{kindInOrganization, []string{org, "directory_user named", dir, u.Email, id}, false})
			}
			return ixs
		},
	}
}

func directoryGroups() table[directory.Group] {
	return table[directory.Group]{
		kind: kindInDirectory, name: "directory group",
		fields: func(g directory.Group) []string {
			return []string{string(g.Organization), string(g.Directory), "group", string(g.ID)}
		},
		indexes: func(g directory.Group) []index {
			return []index{
				{kindByID, []string{"directory_group", string(g.ID)}, true},
				{kindInOrganization, []string{string(g.Organization), "directory_group", string(g.ID)}, false},
				{kindInOrganization, []string{string(g.Organization), "directory_group at", string(g.Directory), g.IDPID}, true},
			}
		},
	}
}

func directoryMembers() table[directory.Member] {
	return table[directory.Member]{
		kind: kindInDirectory, name: "member of a directory group",
		fields: func(m directory.Member) []string {
			return []string{string(m.Organization), string(m.Directory), "member", string(m.Group), string(m.User)}
		},
		indexes: func(m directory.Member) []index {
			return []index{{kindInOrganization, []string{string(m.Organization), "directory_groups of", string(m.Directory), string(m.User), string(m.Group)}, false}}
		},
	}
}

func (t *tx) Directory(org tenancy.OrgID, id directory.ID) (directory.Directory, error) {
	return get(t, directories(), string(org), string(id))
}

func (t *tx) DirectoryByID(id directory.ID) (directory.Directory, error) {
	return find(t, directories(), kindByID, "directory", string(id))
}

func (t *tx) DirectoriesFrom(at tenancy.Place) iter.Seq2[directory.Directory, error] {
	return listedBy(t, directories(), kindByID, at, "directory")
}

func (t *tx) DirectoriesIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[directory.Directory, error] {
	return listed(t, directories(), at, string(org))
}

func (t *tx) PutDirectory(d directory.Directory) error { return put(t, directories(), d) }

func (t *tx) DeleteDirectory(org tenancy.OrgID, id directory.ID) error {
	return remove(t, directories(), string(org), string(id))
}

func (t *tx) DirectoryUser(org tenancy.OrgID, dir directory.ID, id directory.UserID) (directory.User, error) {
	return get(t, directoryUsers(), string(org), string(dir), "user", string(id))
}

func (t *tx) DirectoryUserByID(id directory.UserID) (directory.User, error) {
	return find(t, directoryUsers(), kindByID, "directory_user", string(id))
}

func (t *tx) DirectoryUserAt(org tenancy.OrgID, dir directory.ID, idpID string) (directory.User, error) {
	return find(t, directoryUsers(), kindInOrganization, string(org), "directory_user at", string(dir), idpID)
}

func (t *tx) DirectoryUsersFrom(at tenancy.Place) iter.Seq2[directory.User, error] {
	return listedBy(t, directoryUsers(), kindByID, at, "directory_user")
}

func (t *tx) DirectoryUsersIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[directory.User, error] {
	return listedBy(t, directoryUsers(), kindInOrganization, at, string(org), "directory_user")
}

func (t *tx) DirectoryUsers(org tenancy.OrgID, dir directory.ID, at tenancy.Place) iter.Seq2[directory.User, error] {
	return listed(t, directoryUsers(), at, string(org), string(dir), "user")
}

func (t *tx) DirectoryUsersNamed(org tenancy.OrgID, dir directory.ID, email string, at tenancy.Place) iter.Seq2[directory.User, error] {
	return listedBy(t, directoryUsers(), kindInOrganization, at, string(org), "directory_user named", string(dir), email)
}

func (t *tx) PutDirectoryUser(u directory.User) error { return put(t, directoryUsers(), u) }

func (t *tx) DeleteDirectoryUser(org tenancy.OrgID, dir directory.ID, id directory.UserID) error {
	return remove(t, directoryUsers(), string(org), string(dir), "user", string(id))
}

func (t *tx) DirectoryGroup(org tenancy.OrgID, dir directory.ID, id directory.GroupID) (directory.Group, error) {
	return get(t, directoryGroups(), string(org), string(dir), "group", string(id))
}

func (t *tx) DirectoryGroupByID(id directory.GroupID) (directory.Group, error) {
	return find(t, directoryGroups(), kindByID, "directory_group", string(id))
}

func (t *tx) DirectoryGroupAt(org tenancy.OrgID, dir directory.ID, idpID string) (directory.Group, error) {
	return find(t, directoryGroups(), kindInOrganization, string(org), "directory_group at", string(dir), idpID)
}

func (t *tx) DirectoryGroupsFrom(at tenancy.Place) iter.Seq2[directory.Group, error] {
	return listedBy(t, directoryGroups(), kindByID, at, "directory_group")
}

func (t *tx) DirectoryGroupsIn(org tenancy.OrgID, at tenancy.Place) iter.Seq2[directory.Group, error] {
	return listedBy(t, directoryGroups(), kindInOrganization, at, string(org), "directory_group")
}

func (t *tx) DirectoryGroups(org tenancy.OrgID, dir directory.ID, at tenancy.Place) iter.Seq2[directory.Group, error] {
	return listed(t, directoryGroups(), at, string(org), string(dir), "group")
}

func (t *tx) PutDirectoryGroup(g directory.Group) error { return put(t, directoryGroups(), g) }

func (t *tx) DeleteDirectoryGroup(org tenancy.OrgID, dir directory.ID, id directory.GroupID) error {
	return remove(t, directoryGroups(), string(org), string(dir), "group", string(id))
}

func (t *tx) DirectoryMember(org tenancy.OrgID, dir directory.ID, g directory.GroupID, u directory.UserID) (directory.Member, error) {
	return get(t, directoryMembers(), string(org), string(dir), "member", string(g), string(u))
}

func (t *tx) DirectoryMembers(org tenancy.OrgID, dir directory.ID, g directory.GroupID, at tenancy.Place) iter.Seq2[directory.Member, error] {
	return listed(t, directoryMembers(), at, string(org), string(dir), "member", string(g))
}

func (t *tx) DirectoryGroupsOfUser(org tenancy.OrgID, dir directory.ID, u directory.UserID, at tenancy.Place) iter.Seq2[directory.Member, error] {
	return listedBy(t, directoryMembers(), kindInOrganization, at, string(org), "directory_groups of", string(dir), string(u))
}

func (t *tx) DirectoryMembersIn(org tenancy.OrgID, dir directory.ID) iter.Seq2[directory.Member, error] {
	return all(t, directoryMembers(), string(org), string(dir), "member")
}

func (t *tx) PutDirectoryMember(m directory.Member) error { return put(t, directoryMembers(), m) }

func (t *tx) DeleteDirectoryMember(org tenancy.OrgID, dir directory.ID, g directory.GroupID, u directory.UserID) error {
	return remove(t, directoryMembers(), string(org), string(dir), "member", string(g), string(u))
}
