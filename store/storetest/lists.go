package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// pages reads every list from every place, both ways, in an installation where ids run into
// one another, and compares with what is there.
func pages(t *testing.T, h Harness) {
	s := open(t, h, nil)
	orgs := []tenancy.OrgID{"org_1", "org_11", "org_2"}
	users := []tenancy.UserID{"user_1", "user_11", "user_2"}
	for i, org := range orgs {
		put(t, s, tenancy.Organization{ID: org, Slug: tenancy.Slug(org[4:])})
		for j, user := range users {
			n := fmt.Sprintf("%d%d", j, i)
			put(t, s,
				tenancy.User{ID: user, Email: string(user)},
				tenancy.Membership{ID: tenancy.MembershipID("om_" + n), Organization: org, User: user},
				tenancy.Connection{ID: tenancy.ConnectionID("conn_" + n), Organization: org, Name: n},
				tenancy.Domain{ID: tenancy.DomainID("org_domain_" + n), Organization: org, Name: fmt.Sprint("d", j)},
				tenancy.Invitation{ID: tenancy.InvitationID("invitation_" + n), Organization: org, Email: string(user), Token: "i" + n},
				session.Session{ID: session.ID("session_" + n), User: user, Token: hash(n), ExpiresAt: time.Now().Add(time.Hour)},
				session.Session{ID: session.ID("session_ended_" + n), User: user, Token: hash("e" + n), ExpiresAt: time.Now().Add(time.Hour), EndedAt: time.Now()})
		}
	}
	look(t, s, func(tx store.Tx) {
		check := func(what string, want []string, read func(tenancy.Place) []string) {
			t.Helper()
			for i := -1; i <= len(want); i++ {
				var past string
				switch {
				case i >= 0 && i < len(want):
					past = want[i]
				case i == len(want):
					past = want[0] + "\x00" // nothing is there
				}
				at := i
				if i == len(want) {
					at = 0
				}
				after, before := want[at+1:], want[:max(at, 0)]
				if i == len(want) {
					before = want[:1]
				}
				if i < 0 {
					before = want
				}
				if got := read(tenancy.Place{Past: past}); !slices.Equal(got, after) {
					t.Errorf("%s past %q: %q, want %q", what, past, got, after)
				}
				back := slices.Clone(before)
				slices.Reverse(back)
				if got := read(tenancy.Place{Past: past, Backward: true}); !slices.Equal(got, back) {
					t.Errorf("%s back from %q: %q, want %q", what, past, got, back)
				}
			}
		}
		check("organizations", []string{"org_1", "org_11", "org_2"}, lister(t, tx.OrganizationsFrom, func(o tenancy.Organization) string { return string(o.ID) }))
		check("users", []string{"user_1", "user_11", "user_2"}, lister(t, tx.UsersFrom, func(u tenancy.User) string { return string(u.ID) }))
		check("connections", []string{"conn_00", "conn_01", "conn_02", "conn_10", "conn_11", "conn_12", "conn_20", "conn_21", "conn_22"},
			lister(t, tx.ConnectionsFrom, func(c tenancy.Connection) string { return string(c.ID) }))
		invitationID := func(i tenancy.Invitation) string { return string(i.ID) }
		check("invitations", []string{"invitation_00", "invitation_01", "invitation_02", "invitation_10", "invitation_11", "invitation_12", "invitation_20", "invitation_21", "invitation_22"},
			lister(t, tx.InvitationsFrom, invitationID))
		for i, org := range orgs {
			n := fmt.Sprint(i)
			check("memberships in "+string(org), []string{"om_0" + n, "om_1" + n, "om_2" + n}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Membership, error] { return tx.MembershipsIn(org, p) }, func(m tenancy.Membership) string { return string(m.ID) }))
			check("members of "+string(org), []string{"user_1", "user_11", "user_2"}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Membership, error] { return tx.MembersFrom(org, p) }, func(m tenancy.Membership) string { return string(m.User) }))
			check("invitations to "+string(org), []string{"invitation_0" + n, "invitation_1" + n, "invitation_2" + n}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Invitation, error] { return tx.InvitationsIn(org, p) }, invitationID))
			check("connections of "+string(org), []string{"conn_0" + n, "conn_1" + n, "conn_2" + n}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Connection, error] { return tx.ConnectionsIn(org, p) }, func(c tenancy.Connection) string { return string(c.ID) }))
			check("domains named d"+n, []string{"org_1", "org_11", "org_2"}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Domain, error] { return tx.DomainsNamed("d"+n, p) }, func(d tenancy.Domain) string { return string(d.Organization) }))
		}
		for j, user := range users {
			n := fmt.Sprint(j)
			check("memberships of "+string(user), []string{"om_" + n + "0", "om_" + n + "1", "om_" + n + "2"}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Membership, error] { return tx.MembershipsOf(user, p) }, func(m tenancy.Membership) string { return string(m.ID) }))
			check("invitations to "+string(user), []string{"invitation_" + n + "0", "invitation_" + n + "1", "invitation_" + n + "2"}, lister(t,
				func(p tenancy.Place) iter.Seq2[tenancy.Invitation, error] { return tx.InvitationsAt(string(user), p) }, invitationID))
			check("sessions of "+string(user), []string{"session_" + n + "0", "session_" + n + "1", "session_" + n + "2"}, lister(t,
				func(p tenancy.Place) iter.Seq2[session.Session, error] { return tx.SessionsFrom(user, p) }, func(s session.Session) string { return string(s.ID) }))
		}
		for _, nobody := range []string{"", "org_", "user_", "org_3", "\xff"} {
			for m, err := range tx.MembershipsOf(tenancy.UserID(nobody), tenancy.Place{}) {
				t.Errorf("a membership of %q: %v, %v", nobody, m, err)
			}
			for i, err := range tx.IdentitiesAt(tenancy.ConnectionID(nobody)) {
				t.Errorf("an identity at %q: %v, %v", nobody, i, err)
			}
		}
		for m, err := range tx.MembershipsIn("", tenancy.Place{}) {
			if err == nil {
				t.Errorf("a membership in no organization: %v", m)
			}
		}
	})
}

func lister[T any](t *testing.T, seq func(tenancy.Place) iter.Seq2[T, error], name func(T) string) func(tenancy.Place) []string {
	return func(p tenancy.Place) []string {
		t.Helper()
		return list(t, seq(p), name)
	}
}

// byID finds things by the ids that are theirs alone, as long as they are there.
func byID(t *testing.T, h Harness) {
	s := open(t, h, nil)
	put(t, s,
		tenancy.Organization{ID: "org_1", Slug: "a", ExternalID: "x1"}, tenancy.User{ID: "user_1", Email: "jo@acme.com", ExternalID: "x1"},
		tenancy.Membership{ID: "om_1", Organization: "org_1", User: "user_1"}, tenancy.Connection{ID: "conn_1", Organization: "org_1", Name: "okta"},
		tenancy.Domain{ID: "org_domain_1", Organization: "org_1", Name: "acme.com"},
		session.APIKey{ID: "api_key_1", Name: "k", Hash: hash("k")})
	find := func(tx store.Tx) map[string]error {
		_, org := tx.OrganizationByExternalID("x1")
		_, user := tx.UserByExternalID("x1")
		_, m := tx.MembershipByID("om_1")
		_, c := tx.ConnectionByID("conn_1")
		_, d := tx.DomainByID("org_domain_1")
		_, k := tx.APIKeyByHash(hash("k"))
		return map[string]error{"organization": org, "user": user, "membership": m, "connection": c, "domain": d, "API key": k}
	}
	look(t, s, func(tx store.Tx) {
		for what, err := range find(tx) {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	for what, o := range map[string]any{
		"organization": tenancy.Organization{ID: "org_2", Slug: "b", ExternalID: "x1"}, "user": tenancy.User{ID: "user_2", Email: "flo@acme.com", ExternalID: "x1"},
		"API key": session.APIKey{ID: "api_key_2", Name: "k", Hash: hash("k")},
	} {
		if err := s.Update(t.Context(), func(tx store.Tx) error { return putAll(tx, o) }); !errors.Is(err, tenancy.ErrTaken) {
			t.Errorf("a second %s: %v", what, err)
		}
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutAPIKey(session.APIKey{ID: "api_key_3"}) }); err == nil {
		t.Error("a key without a secret was kept")
	}
	do(t, s, func(tx store.Tx) error {
		return errors.Join(tx.DeleteMembership("org_1", "user_1"), tx.DeleteConnection("org_1", "conn_1"), tx.DeleteDomain("org_1", "acme.com"),
			tx.DeleteUser("user_1"), tx.DeleteOrganization("org_1"), tx.PutAPIKey(session.APIKey{ID: "api_key_1", Name: "k", Hash: hash("other")}))
	})
	look(t, s, func(tx store.Tx) {
		for what, err := range find(tx) {
			if !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s that is gone: %v", what, err)
			}
		}
		if _, err := tx.UserByEmail("jo@acme.com"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("address of a user who is gone: %v", err)
		}
	})
}

// permissions are found by slug; and the roles that organizations have made are all of theirs, and none of the installation's.
func permissionRows(t *testing.T, h Harness) {
	s := open(t, h, nil)
	put(t, s, tenancy.Permission{ID: "perm_2", Slug: "a"}, tenancy.Permission{ID: "perm_1", Slug: "b"}, tenancy.Permission{ID: "perm_2", Slug: "a", Name: "A"},
		tenancy.Role{Slug: "member"}, tenancy.Role{Organization: "org_1", Slug: "org-x"}, tenancy.Role{Organization: "org_2", Slug: "org-x"})
	do(t, s, func(tx store.Tx) error { return tx.DeletePermission("b") })
	look(t, s, func(tx store.Tx) {
		if got := list(t, tx.Permissions(), func(p tenancy.Permission) string { return p.Slug + " " + p.Name }); !slices.Equal(got, []string{"a A"}) {
			t.Errorf("permissions %q", got)
		}
		if got := list(t, tx.RolesOfAll(), func(r tenancy.Role) string { return string(r.Organization) + " " + r.Slug }); !slices.Equal(got, []string{"org_1 org-x", "org_2 org-x"}) {
			t.Errorf("roles %q", got)
		}
	})
}

// replayed keeps answers apart by key and name, until they expire.
func replayed(t *testing.T, h Harness) {
	now := noon
	s := open(t, h, func() time.Time { return now })
	put(t, s, session.Replay{Key: "api_key_1", Name: hash("n"), Status: 201, Body: []byte("{}"), ExpiresAt: noon.Add(time.Hour)})
	find := func(key session.APIKeyID, name string) (status int) {
		look(t, s, func(tx store.Tx) {
			r, err := tx.Replay(key, hash(name))
			if err != nil && !errors.Is(err, tenancy.ErrNotFound) {
				t.Error(err)
			}
			status = r.Status
		})
		return status
	}
	if find("api_key_1", "n") != 201 || find("api_key_2", "n") != 0 || find("api_key_1", "m") != 0 || find("", "n") != 0 {
		t.Error("answers are not those of their keys and names")
	}
	now = noon.Add(time.Hour)
	if find("api_key_1", "n") != 0 {
		t.Error("an answer outlived its time")
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.PutReplay(session.Replay{Key: "api_key_1", Name: hash("n")}) }); err == nil {
		t.Error("an answer is kept for ever")
	}
}

// reindexed has rows found by index entries that they were written without.
func reindexed(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	s := store.New(e, store.Options{})
	const n = 450
	for i := range n {
		id := fmt.Sprintf("%03d", i)
		put(t, s,
			tenancy.Membership{ID: tenancy.MembershipID("om_" + id), Organization: "org_1", User: tenancy.UserID("user_" + id)},
			tenancy.Connection{ID: tenancy.ConnectionID("conn_" + id), Organization: "org_1", Name: id},
			tenancy.Domain{ID: tenancy.DomainID("org_domain_" + id), Organization: "org_1", Name: id, State: tenancy.DomainVerified},
			tenancy.Invitation{ID: tenancy.InvitationID("invitation_" + id), Email: "jo@acme.com", Token: id, RevokedAt: time.Now()})
	}
	count := func() (found int) {
		look(t, s, func(tx store.Tx) {
			found = len(list(t, tx.MembershipsIn("org_1", tenancy.Place{}), func(m tenancy.Membership) string { return string(m.ID) })) +
				len(list(t, tx.ConnectionsFrom(tenancy.Place{}), func(c tenancy.Connection) string { return string(c.ID) })) +
				len(list(t, tx.InvitationsAt("jo@acme.com", tenancy.Place{}), func(i tenancy.Invitation) string { return string(i.ID) }))
			for i := range n {
				if _, err := tx.DomainByID(tenancy.DomainID(fmt.Sprintf("org_domain_%03d", i))); err == nil {
					found++
				}
			}
		})
		return found
	}
	forget := func() {
		for _, kind := range "zFNBbU8" {
			err := e.Update(t.Context(), func(kv store.KV) error {
				for p, err := range kv.Scan([]byte{byte(kind)}, nil, false) {
					if err == nil {
						err = kv.Delete(p.Key)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	forget()
	if got := count(); got != 0 {
		t.Fatalf("without entries %d are found", got)
	}
	for range 2 {
		if err := s.Reindex(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != 4*n {
			t.Errorf("%d are found, want %d", got, 4*n)
		}
	}
	forget() // what was done once is not done again
	if err := s.Reindex(t.Context()); err != nil || count() != 0 {
		t.Errorf("done again: %v", err)
	}
	var b bytes.Buffer
	if _, err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	to := open(t, h, nil)
	if err := to.Reindex(t.Context()); err != nil { // somebody has looked into it
		t.Fatal(err)
	}
	if _, err := to.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Restore(t.Context(), bytes.NewReader(b.Bytes())); err != nil {
		t.Fatal(err)
	}
	if s = to; s.Reindex(t.Context()) != nil || count() != 4*n {
		t.Error("a backup says of itself that it has its entries")
	}
}
