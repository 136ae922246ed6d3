package storetest

import (
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

// isolation asks every getter that takes an organization, as each of a set of
// organizations, for what each has, by ids made to run together.
func isolation(t *testing.T, h Harness) {
	s := open(t, h, nil)
	orgs := []tenancy.OrgID{"org_a", "org_ab", "org_a\x00b", "org_a\x00", "org_b", "b", "a", "\x00", "org_a\x00\x01user"}
	users := []tenancy.UserID{"user", "b", "a\x00", "\x01user", "_a"}
	for i, org := range orgs {
		put(t, s, tenancy.Organization{ID: org, Slug: tenancy.Slug(fmt.Sprint("slug", i))})
		for j, user := range users {
			if (i+j)%2 == 1 { // so that what one has another often lacks
				continue
			}
			u := string(user)
			put(t, s,
				tenancy.Membership{ID: "om", Organization: org, User: user},
				tenancy.Role{Organization: org, Slug: u},
				tenancy.Domain{Organization: org, Name: u, State: tenancy.DomainPending},
				tenancy.Connection{Organization: org, ID: tenancy.ConnectionID(u), Name: u},
				session.Session{ID: session.ID(fmt.Sprint(i, j)), User: user, Organization: org, Parent: "p", Host: "h", Token: hash(fmt.Sprint(i, j)), ExpiresAt: time.Now().Add(time.Hour)})
		}
	}
	put(t, s, tenancy.Role{Slug: "installation"})

	look(t, s, func(tx store.Tx) {
		for i, org := range orgs {
			mine := func(what string, has tenancy.OrgID, err error, want bool) {
				t.Helper()
				if want && (err != nil || has != org) || !want && !errors.Is(err, tenancy.ErrNotFound) {
					t.Errorf("as %q, %s: found one of %q, %v; want found %v", org, what, has, err, want)
				}
			}
			n := 0
			for j, user := range users {
				u, want := string(user), (i+j)%2 == 0
				if want {
					n++
				}
				m, err := tx.Membership(org, user)
				mine("membership of "+u, m.Organization, err, want)
				r, err := tx.Role(org, u)
				mine("role "+u, r.Organization, err, want)
				d, err := tx.Domain(org, u)
				mine("domain "+u, d.Organization, err, want)
				c, err := tx.Connection(org, tenancy.ConnectionID(u))
				mine("connection "+u, c.Organization, err, want)
			}
			if _, err := tx.Role(org, "installation"); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("as %q, the installation's role: %v", org, err)
			}
			for what, owners := range map[string][]string{
				"members":     list(t, tx.Members(org), func(m tenancy.Membership) string { return string(m.Organization) }),
				"roles":       list(t, tx.Roles(org), func(r tenancy.Role) string { return string(r.Organization) }),
				"domains":     list(t, tx.Domains(org), func(d tenancy.Domain) string { return string(d.Organization) }),
				"connections": list(t, tx.Connections(org), func(c tenancy.Connection) string { return string(c.Organization) }),
			} {
				if len(owners) != n || slices.ContainsFunc(owners, func(o string) bool { return o != string(org) }) {
					t.Errorf("as %q, the list of %s has owners %q, want %d of its own", org, what, owners, n)
				}
			}
		}
		if got := list(t, tx.Roles(""), func(r tenancy.Role) string { return r.Slug }); !slices.Equal(got, []string{"installation"}) {
			t.Errorf("roles of the installation: %q", got)
		}
		for j, user := range users {
			var want []string
			for i, org := range orgs {
				if (i+j)%2 == 0 {
					want = append(want, string(org))
				}
			}
			slices.Sort(want)
			if got := list(t, tx.Memberships(user), func(m tenancy.Membership) string { return string(m.Organization) }); !slices.Equal(got, want) {
				t.Errorf("memberships of %q: %q, want %q", user, got, want)
			}
		}
	})
}

func emptyOrganization(t *testing.T, h Harness) {
	s := open(t, h, nil)
	put(t, s,
		tenancy.Membership{ID: "om", Organization: "org_a", User: "u"}, tenancy.Domain{Organization: "org_a", Name: "d"},
		tenancy.Connection{Organization: "org_a", ID: "c", Name: "n"}, tenancy.Role{Organization: "org_a", Slug: "r"})
	do(t, s, func(tx store.Tx) error {
		_, membership := tx.Membership("", "u")
		_, domain := tx.Domain("", "d")
		_, connection := tx.Connection("", "c")
		for name, err := range map[string]error{
			"Membership": membership, "Domain": domain, "Connection": connection,
			"Members": first(tx.Members("")), "AdminsIn": first(tx.AdminsIn("")), "AdminGroupsIn": first(tx.AdminGroupsIn("")), "Domains": first(tx.Domains("")), "Connections": first(tx.Connections("")),
			"DeleteMembership": tx.DeleteMembership("", "u"), "DeleteDomain": tx.DeleteDomain("", "d"), "DeleteConnection": tx.DeleteConnection("", "c"),
			"PutMembership": tx.PutMembership(tenancy.Membership{User: "u"}), "PutDomain": tx.PutDomain(tenancy.Domain{Name: "d"}),
			"PutConnection": tx.PutConnection(tenancy.Connection{ID: "c", Name: "n"}),
		} {
			if err == nil || errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%s of no organization: %v, want an error that is not ErrNotFound", name, err)
			}
		}
		if _, err := tx.Organization(""); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("the organization with an empty id: %v", err)
		}
		if n := len(list(t, tx.Roles(""), func(r tenancy.Role) string { return r.Slug })); n != 0 {
			t.Errorf("the installation has %d roles of others", n)
		}
		return nil
	})
}

// first returns the first error of a list; nil if it is empty or begins with a value.
func first[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		return err
	}
	return nil
}
