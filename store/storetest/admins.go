package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// adminRows puts and deletes memberships and groups at random, and has the lists of administrators be what all the
// rows say, in organizations whose ids run into one another.
func adminRows(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	s := store.New(e, store.Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	orgs := []tenancy.OrgID{"org_1", "org_11"}
	roles := []string{"admin", "member", "administrator", "Admin", "admin group"}
	some := func() (picked []string) {
		for _, r := range roles {
			if rnd.IntN(3) == 0 {
				picked = append(picked, r)
			}
		}
		return picked
	}
	seen := map[string]int{}
	for step := range 400 {
		org, n := orgs[rnd.IntN(len(orgs))], rnd.IntN(8)
		user, group := tenancy.UserID(fmt.Sprint("user_", n)), tenancy.GroupID(fmt.Sprint("group_", org, n))
		switch rnd.IntN(5) {
		case 0, 1:
			m := tenancy.Membership{Organization: org, User: user, Roles: some(), Status: []policy.Standing{policy.Pending, policy.Active, policy.Inactive}[rnd.IntN(3)]}
			if n > 0 { // ids are younger than memberships
				m.ID = tenancy.MembershipID(fmt.Sprint("om_", org, n))
			}
			put(t, s, m)
		case 2:
			do(t, s, func(tx store.Tx) error { return tx.DeleteMembership(org, user) })
		case 3:
			g := tenancy.Group{ID: group, Organization: org, Name: "g"}
			for _, r := range some() {
				g.Roles = append(g.Roles, tenancy.AssignedRole{Role: r})
			}
			do(t, s, func(tx store.Tx) error { return tx.PutGroup(g) })
		case 4:
			do(t, s, func(tx store.Tx) error { return tx.DeleteGroup(org, group) })
		}
		total := 0
		look(t, s, func(tx store.Tx) {
			for _, org := range orgs {
				var want []string
				for m, err := range tx.Members(org) {
					if err == nil && m.Status == policy.Active && slices.Contains(m.Roles, tenancy.AdminRole) {
						want = append(want, string(m.Organization)+" "+string(m.User))
					}
				}
				got := list(t, tx.AdminsIn(org), func(m tenancy.Membership) string { return string(m.Organization) + " " + string(m.User) })
				if !slices.Equal(got, want) {
					t.Fatalf("step %d: administrators of %s: %q, want %q", step, org, got, want)
				}
				seen["members"] += len(want)
				total += len(want)
				want = nil
				for g, err := range tx.GroupsIn(org, tenancy.Place{}) {
					if err == nil && slices.ContainsFunc(g.Roles, func(r tenancy.AssignedRole) bool { return r.Role == tenancy.AdminRole }) {
						want = append(want, string(g.ID))
					}
				}
				if got := list(t, tx.AdminGroupsIn(org), func(g tenancy.Group) string { return string(g.ID) }); !slices.Equal(got, want) {
					t.Fatalf("step %d: groups of %s: %q, want %q", step, org, got, want)
				}
				seen["groups"] += len(want)
				total += len(want)
			}
		})
		if raw := keysOf(t, e, '?'); raw != total {
			t.Fatalf("step %d: %d entries, want %d: one is left behind", step, raw, total)
		}
	}
	if seen["members"] < 100 || seen["groups"] < 100 {
		t.Errorf("there was hardly one: %v", seen)
	}
}

// keysOf counts the keys of a kind.
func keysOf(t *testing.T, e store.Engine, kind byte) (n int) {
	t.Helper()
	err := e.View(t.Context(), func(kv store.KV) error {
		n = 0
		for _, err := range kv.Scan([]byte{kind}, nil, false) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// reindexedAdmins has a store whose index entries are those of the version before administrators had theirs, and finds them.
func reindexedAdmins(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	s := store.New(e, store.Options{})
	const n = 450
	admin := []string{"admin"}
	for i := range n {
		id := fmt.Sprintf("%03d", i)
		put(t, s, tenancy.Membership{ID: tenancy.MembershipID("om_" + id), Organization: "org_1", User: tenancy.UserID("user_" + id), Status: policy.Active})
		do(t, s, func(tx store.Tx) error {
			return tx.PutGroupMember(tenancy.GroupMember{Organization: "org_1", Group: "group_1", Membership: tenancy.MembershipID("om_" + id), User: tenancy.UserID("user_" + id)})
		})
	}
	put(t, s, tenancy.Membership{ID: "om_z", Organization: "org_1", User: "user_z", Status: policy.Active, Roles: admin},
		tenancy.Membership{ID: "om_y", Organization: "org_1", User: "user_y", Status: policy.Inactive, Roles: admin})
	do(t, s, func(tx store.Tx) error {
		return tx.PutGroup(tenancy.Group{ID: "group_1", Organization: "org_1", Roles: []tenancy.AssignedRole{{Role: "admin"}}})
	})
	found := func() (names []string) {
		look(t, s, func(tx store.Tx) {
			names = append(list(t, tx.AdminsIn("org_1"), func(m tenancy.Membership) string { return string(m.User) }),
				list(t, tx.AdminGroupsIn("org_1"), func(g tenancy.Group) string { return string(g.ID) })...)
		})
		return names
	}
	// older makes the store what the version wrote: "" is one of before there was a note.
	older := func(version string) {
		err := e.Update(t.Context(), func(kv store.KV) error {
			for p, err := range kv.Scan([]byte{'?'}, nil, false) {
				if err == nil && bytes.Contains(p.Key, []byte("admin")) {
					err = kv.Delete(p.Key)
				}
				if err != nil {
					return err
				}
			}
			note := []byte("!indexes\x00\x01")
			if version == "" {
				return kv.Delete(note)
			}
			return kv.Set(note, []byte(strconv.Quote(version)), time.Time{})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"user_z", "group_1"}
	for _, version := range []string{"", "3", "4", "99"} {
		older(version)
		if got := found(); len(got) != 0 {
			t.Fatalf("without entries %q are found", got)
		}
		before := keysOf(t, e, '?')
		var wg sync.WaitGroup
		for range 3 { // replicas that start at once
			wg.Go(func() {
				if err := store.New(e, store.Options{}).Reindex(t.Context()); err != nil {
					t.Errorf("from version %q: %v", version, err)
				}
			})
		}
		wg.Wait()
		if got := found(); !slices.Equal(got, want) {
			t.Errorf("from version %q: %q are found, want %q", version, got, want)
		}
		if after := keysOf(t, e, '?'); after != before+len(want) {
			t.Errorf("from version %q: %d entries more, want %d", version, after-before, len(want))
		}
	}
}

// settledAdmins has an orgate of the version before administrators had their entries run on, beside one of this version that has
// reindexed, and finds whom it wrote.
func settledAdmins(t *testing.T, h Harness) {
	e := h.Open(t, nil)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := store.New(e, store.Options{Now: func() time.Time { return now }})
	if err := s.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	ann := tenancy.Membership{ID: "om_ann", Organization: "org_1", User: "user_ann", Status: policy.Active, Roles: []string{"admin"}}
	bob := tenancy.Membership{ID: "om_bob", Organization: "org_1", User: "user_bob", Status: policy.Active, Roles: []string{"admin"}}
	group := func(id tenancy.GroupID) tenancy.Group {
		return tenancy.Group{ID: id, Organization: "org_1", Roles: []tenancy.AssignedRole{{Role: "admin"}}}
	}
	older := func() {
		t.Helper()
		put(t, s, ann, bob)
		do(t, s, func(tx store.Tx) error {
			return errors.Join(tx.PutGroup(group("group_1")), tx.PutGroup(group("group_2")))
		})
		if err := e.Update(t.Context(), func(kv store.KV) error {
			for p, err := range kv.Scan([]byte{'?'}, nil, false) {
				if err == nil && bytes.Contains(p.Key, []byte("admin")) {
					err = kv.Delete(p.Key)
				}
				if err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	finds := func(when string, want ...string) {
		t.Helper()
		look(t, s, func(tx store.Tx) {
			got := append(list(t, tx.AdminsIn("org_1"), func(m tenancy.Membership) string { return string(m.User) }),
				list(t, tx.AdminGroupsIn("org_1"), func(g tenancy.Group) string { return string(g.ID) })...)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q are found, want %q", when, got, want)
			}
		})
	}
	settle := func(want bool) {
		t.Helper()
		if done, err := s.Settle(t.Context()); done != want || err != nil {
			t.Errorf("settled: %v, %v, want %v", done, err, want)
		}
	}

	older()
	finds("of the older orgate")
	put(t, s, ann)
	do(t, s, func(tx store.Tx) error { return tx.PutGroup(group("group_2")) })
	finds("of rows that are written again", "user_ann", "group_2")
	settle(false)
	finds("some minutes after the start", "user_ann", "user_bob", "group_1", "group_2")
	for range 2 { // each start, for a day
		older()
		now = now.Add(store.Mixed / 3)
		settle(false)
		finds("after another start", "user_ann", "user_bob", "group_1", "group_2")
	}
	older()
	now = now.Add(store.Mixed / 3)
	settle(true)
	finds("after a day", "user_ann", "user_bob", "group_1", "group_2")
	older() // which there is none any more
	settle(true)
	finds("once it has settled, nothing is looked at")

	// The next update begins anew.
	if err := e.Update(t.Context(), func(kv store.KV) error { return kv.Set([]byte("!indexes\x00\x01"), []byte(`"4"`), time.Time{}) }); err != nil {
		t.Fatal(err)
	}
	if known, err := s.Indexed(t.Context()); known || err != nil {
		t.Errorf("of the version before, it is said that all is found: %v", err)
	}
	if err := s.Reindex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if known, err := s.Indexed(t.Context()); !known || err != nil {
		t.Errorf("it is not said that all is found: %v", err)
	}
	older()
	settle(false)
	finds("after the next update", "user_ann", "user_bob", "group_1", "group_2")
}
