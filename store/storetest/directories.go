package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func directoryRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	user := func(org, dir, id, idp, email string) directory.User {
		return directory.User{ID: directory.UserID(id), Directory: directory.ID(dir), Organization: tenancy.OrgID(org), IDPID: idp, Email: email}
	}
	do(t, s, func(tx store.Tx) error {
		return errors.Join(
			tx.PutDirectory(directory.Directory{ID: "directory_1", Organization: "org_a"}), tx.PutDirectory(directory.Directory{ID: "directory_2", Organization: "org_b"}),
			tx.PutDirectoryUser(user("org_a", "directory_1", "directory_user_1", "1", "jo@acme.com")), tx.PutDirectoryUser(user("org_a", "directory_1", "directory_user_2", "2", "")),
			tx.PutDirectoryUser(user("org_b", "directory_2", "directory_user_3", "1", "jo@acme.com")),
			tx.PutDirectoryGroup(directory.Group{ID: "directory_group_1", Directory: "directory_1", Organization: "org_a", IDPID: "1"}),
			tx.PutDirectoryMember(directory.Member{Organization: "org_a", Directory: "directory_1", Group: "directory_group_1", User: "directory_user_1"}))
	})
	users := func(seq func(func(directory.User, error) bool)) []string {
		return list(t, seq, func(u directory.User) string { return string(u.ID) })
	}
	from := tenancy.Place{}
	look(t, s, func(tx store.Tx) {
		for what, c := range map[string]struct{ got, want []string }{
			"all":             {users(tx.DirectoryUsersFrom(from)), []string{"directory_user_1", "directory_user_2", "directory_user_3"}},
			"past":            {users(tx.DirectoryUsersFrom(tenancy.Place{Past: "directory_user_2", Backward: true})), []string{"directory_user_1"}},
			"in one":          {users(tx.DirectoryUsersIn("org_a", from)), []string{"directory_user_1", "directory_user_2"}},
			"of one":          {users(tx.DirectoryUsers("org_a", "directory_1", from)), []string{"directory_user_1", "directory_user_2"}},
			"of another's":    {users(tx.DirectoryUsers("org_b", "directory_1", from)), nil},
			"named":           {users(tx.DirectoryUsersNamed("org_a", "directory_1", "jo@acme.com", from)), []string{"directory_user_1"}},
			"named otherwise": {users(tx.DirectoryUsersNamed("org_a", "directory_1", "", from)), nil},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s: %q, want %q", what, c.got, c.want)
			}
		}
		if u, err := tx.DirectoryUserAt("org_b", "directory_2", "1"); err != nil || u.ID != "directory_user_3" {
			t.Errorf("by the provider's id: %s, %v", u.ID, err)
		}
		if _, err := tx.DirectoryGroup("org_a", "directory_1", "directory_user_1"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a user is a group: %v", err)
		}
		if got := list(t, tx.DirectoryGroupsOfUser("org_a", "directory_1", "directory_user_2", from), func(m directory.Member) string { return string(m.Group) }); len(got) > 0 {
			t.Errorf("the other is in %q", got)
		}
		if err := first(tx.DirectoryUsersIn("", from)); err == nil || errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("users of no organization: %v", err)
		}
	})
	for what, f := range map[string]func(store.Tx) error{
		"user": func(tx store.Tx) error {
			return tx.PutDirectoryUser(user("org_a", "directory_1", "directory_user_9", "1", ""))
		},
		"group": func(tx store.Tx) error {
			return tx.PutDirectoryGroup(directory.Group{ID: "directory_group_9", Directory: "directory_1", Organization: "org_a", IDPID: "1"})
		},
	} {
		if err := s.Update(t.Context(), f); !errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("a second %s of one provider's id: %v", what, err)
		}
	}
}

func appKeyRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	own := tenancy.AppKey{ID: "api_key_1", Organization: "org_a", Hash: "h1"}
	users := tenancy.AppKey{ID: "api_key_2", Organization: "org_a", User: "user_1", Hash: "h2"}
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.PutAppKey(own), tx.PutAppKey(users), tx.PutAppKey(tenancy.AppKey{ID: "api_key_3", Organization: "org_b", User: "user_1", Hash: "h3"}))
	})
	ids := func(seq func(func(tenancy.AppKey, error) bool)) []string {
		return list(t, seq, func(k tenancy.AppKey) string { return string(k.ID) })
	}
	look(t, s, func(tx store.Tx) {
		for what, c := range map[string]struct{ got, want []string }{
			"the organization's": {ids(tx.AppKeysOwned("org_a", "org_a", tenancy.Place{})), []string{"api_key_1"}},
			"the user's in it":   {ids(tx.AppKeysOwned("org_a", "user_1", tenancy.Place{})), []string{"api_key_2"}},
			"the user's":         {ids(tx.AppKeysOfUser("user_1", tenancy.Place{})), []string{"api_key_2", "api_key_3"}},
			"all in it":          {ids(tx.AppKeysIn("org_a")), []string{"api_key_1", "api_key_2"}},
		} {
			if !slices.Equal(c.got, c.want) {
				t.Errorf("%s: %q, want %q", what, c.got, c.want)
			}
		}
		if k, err := tx.AppKeyByHash("h2"); err != nil || k.ID != "api_key_2" {
			t.Errorf("by hash: %s, %v", k.ID, err)
		}
		if _, err := tx.APIKeyByHash([32]byte{}); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("among those of the API: %v", err)
		}
	})
	taken := tenancy.AppKey{ID: "api_key_4", Organization: "org_b", Hash: "h1"}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutAppKey(taken) }); !errors.Is(err, tenancy.ErrTaken) {
		t.Errorf("two with one hash: %v", err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutAppKey(tenancy.AppKey{ID: "api_key_5", Organization: "org_a"}) }); err == nil {
		t.Error("one without a hash was kept")
	}
	do(t, s, func(tx store.Tx) error { return tx.DeleteAppKey("org_a", "api_key_2") })
	look(t, s, func(tx store.Tx) {
		if _, err := tx.AppKeyByHash("h2"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("after its deletion: %v", err)
		}
	})
}
