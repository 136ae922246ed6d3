package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const warningHeader = "X-Orgate-Warning"

// warns fails unless the answer has the status, and the warning or none.
func (a answer) warns(what string, status int, want bool) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: %s: %d, want %d: %s", what, a.asked, a.status, status, a.body)
	}
	wanted := ""
	if want {
		wanted = "last_admin"
	}
	if got := a.header.Get(warningHeader); got != wanted {
		a.t.Errorf("%s: %s: warning %q, want %q", what, a.asked, got, wanted)
	}
	return a
}

// adminGroup makes a group that gives the role admin, with members, and returns it and the assignment.
func (w *world) adminGroup(org string, members ...string) (group, assignment string) {
	w.t.Helper()
	group = w.group(org, "Admins")
	assignment = w.call("POST "+groupRoles, group, object{"role_slug": "admin"}).want(201).id()
	for _, m := range members {
		w.call("POST "+groupMembers, org, group, object{"organization_membership_id": m}).want(200)
	}
	return group, assignment
}

// Each operation of the API that can take an administrator away says so when it was the last one, and is silent while there
// is another.
func TestEachOperationThatTakesTheLastAdministratorSaysSo(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		w := open(t)
		n := 0
		for _, op := range []struct {
			name    string
			byGroup bool // the administrator is one by a group
			status  int
			do      func(org, user, membership, group, assignment string) answer
		}{
			{"deactivate", false, 200, func(_, _, m, _, _ string) answer { return w.call(omDeactivate, m) }},
			{"deactivate one by a group", true, 200, func(_, _, m, _, _ string) answer { return w.call(omDeactivate, m) }},
			{"remove", false, 200, func(_, _, m, _, _ string) answer { return w.call(omDelete, m) }},
			{"remove one by a group", true, 200, func(_, _, m, _, _ string) answer { return w.call(omDelete, m) }},
			{"other role", false, 200, func(_, _, m, _, _ string) answer { return w.call(omUpdate, m, object{"role_slug": "member"}) }},
			{"take the role away", false, 204, func(org, _, m, _, _ string) answer {
				return w.call("DELETE "+memberRoles, m, object{"role_slug": "admin", "resource_id": org})
			}},
			{"take the assignment away", false, 204, func(_, _, m, _, _ string) answer {
				return w.call("DELETE "+memberRoles+"/{role_assignment_id}", m, w.call("GET "+memberRoles, m).want(200).ids()[0])
			}},
			{"delete the user", false, 200, func(_, u, _, _, _ string) answer { return w.call("DELETE /user_management/users/{id}", u) }},
			{"delete the user who is one by a group", true, 200, func(_, u, _, _, _ string) answer { return w.call("DELETE /user_management/users/{id}", u) }},
			{"take out of the group", true, 204, func(org, _, m, g, _ string) answer {
				return w.call("DELETE "+groupMembers+"/{omId}", org, g, m)
			}},
			{"delete the group", true, 204, func(org, _, _, g, _ string) answer { return w.call("DELETE "+oneGroup, org, g) }},
			{"other roles of the group", true, 200, func(_, _, _, g, _ string) answer {
				return w.call("PUT "+groupRoles, g, object{"role_assignments": []any{object{"role_slug": "member"}}})
			}},
			{"take the role of the group away", true, 204, func(_, _, _, g, _ string) answer {
				return w.call("DELETE "+groupRoles, g, object{"role_slug": "admin"})
			}},
			{"take the assignment of the group away", true, 204, func(_, _, _, g, r string) answer {
				return w.call("DELETE "+groupRoles+"/{role_assignment_id}", g, r)
			}},
		} {
			// Who else there is: is the loss to be told of?
			for _, other := range []struct {
				name string
				told bool
				make func(org string)
			}{
				{"nobody else", true, func(string) {}},
				{"members, and an administrator who is inactive", true, func(org string) {
					_, m := w.member(org, fmt.Sprintf("off%d@acme.com", n), "admin")
					w.call(omDeactivate, m).want(200)
					w.member(org, fmt.Sprintf("member%d@acme.com", n))
				}},
				{"a group of administrators with nobody active", true, func(org string) {
					_, m := w.member(org, fmt.Sprintf("off%d@acme.com", n))
					w.adminGroup(org, m)
					w.call(omDeactivate, m)
				}},
				{"an administrator who is but invited", true, func(org string) {
					w.invite(object{"organization_id": org, "email": fmt.Sprintf("invited%d@acme.com", n), "role_slug": "admin"}).want(201)
				}},
				{"an administrator of another organization", true, func(string) {
					w.member(w.organizationNamed(fmt.Sprint("Other ", n)), fmt.Sprintf("elsewhere%d@acme.com", n), "admin")
				}},
				{"another administrator", false, func(org string) { w.member(org, fmt.Sprintf("other%d@acme.com", n), "member", "admin") }},
				{"another administrator by a group", false, func(org string) {
					_, m := w.member(org, fmt.Sprintf("other%d@acme.com", n))
					w.adminGroup(org, m)
				}},
			} {
				n++
				w.later(time.Minute) // else it is too many requests
				what := op.name + ", with " + other.name
				org := w.organizationNamed(fmt.Sprint("Acme ", n))
				var user, membership, group, assignment string
				if op.byGroup {
					user, membership = w.member(org, fmt.Sprintf("jo%d@acme.com", n))
					group, assignment = w.adminGroup(org, membership)
				} else {
					user, membership = w.member(org, fmt.Sprintf("jo%d@acme.com", n), "admin")
				}
				other.make(org)
				said := strings.Count(w.log.String(), "no active administrator")
				op.do(org, user, membership, group, assignment).warns(what, op.status, other.told)
				logged := w.log.String()
				if now := strings.Count(logged, "no active administrator"); other.told != (now == said+1) || other.told && !strings.Contains(logged[strings.LastIndex(logged, "no active administrator"):], org) {
					t.Errorf("%s: the log: %s", what, logged)
				}
			}
		}
	})
}

// A change that takes no administrator away is silent in an organization that has none, or where the role is nobody's.
func TestWhoTakesNoAdministratorAwayIsNotTold(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	_, kim := w.member(org, "kim@acme.com")
	group, _ := w.adminGroup(org)
	empty := w.group(org, "Nobody")
	w.call(omDeactivate, kim).warns("there is no administrator", 200, false)
	w.call(omReactivate, kim).warns("there is no administrator", 200, false)
	w.call("DELETE "+oneGroup, org, empty).warns("a group that gives nothing", 204, false)
	w.call("DELETE "+groupRoles, group, object{"role_slug": "admin"}).warns("a group that gives it to nobody", 204, false)

	_, jo := w.member(org, "jo@acme.com", "admin")
	w.call(omUpdate, jo, object{"role_slugs": []string{"admin", "member"}}).warns("she stays one", 200, false)
	w.call("DELETE "+memberRoles, jo, object{"role_slug": "member", "resource_id": org}).warns("another role of hers", 204, false)
	w.call(omUpdate, jo, object{"role_slug": "boss"}).warns("nothing is changed", 422, false)
	w.call("DELETE "+oneGroup, org, group).warns("she is none by it", 204, false)

	// A role that is not defined grants nothing, so that there is nobody to lose.
	w.do(func(tx store.Tx) error { return tenancy.RemoveRole(tx, "", "admin", audit.System, w.clock()) })
	w.call(omDeactivate, jo).warns("the role is gone", 200, false)
}

// Who is deleted may be the last administrator of several organizations, each of which is in the log.
func TestAUserWhoIsDeletedIsTheLastAdministratorWhereverTheyWere(t *testing.T) {
	w := newWorld(t)
	acme, globex, initech := w.organizationNamed("Acme"), w.organizationNamed("Globex"), w.organizationNamed("Initech")
	jo, _ := w.member(acme, "jo@acme.com", "admin")
	for org, role := range map[string]string{globex: "admin", initech: "member"} {
		w.call(omCreate, object{"user_id": jo, "organization_id": org, "role_slug": role}).want(201)
	}
	w.call("DELETE /user_management/users/{id}", jo).warns("she is deleted", 200, true)
	logged := w.log.String()
	if strings.Count(logged, "no active administrator") != 2 || !strings.Contains(logged, acme) || !strings.Contains(logged, globex) || strings.Contains(logged, initech) {
		t.Errorf("the log: %s", logged)
	}
}

// crowd makes so many active members without a role, whose ids come before those that are made by the API.
func crowd(t testing.TB, s *store.Store, org string, n int) {
	t.Helper()
	for i := 0; i < n; i += 500 {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			for j := i; j < min(i+500, n); j++ {
				user := tenancy.UserID(fmt.Sprintf("user_%026d", j))
				if err := tx.PutUser(tenancy.User{ID: user, Email: fmt.Sprintf("u%d@acme.com", j)}); err != nil {
					return err
				}
				m := tenancy.Membership{ID: tenancy.MembershipID(fmt.Sprintf("om_%026d", j)), Organization: tenancy.OrgID(org), User: user, Status: policy.Active, Roles: []string{"member"}}
				if err := tx.PutMembership(m); err != nil {
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

func TestTheLastAdministratorIsKnownHoweverManyMembersComeBefore(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		w := open(t)
		org := w.organizationNamed("Acme")
		crowd(t, w.s, org, 2500)
		_, jo := w.member(org, "jo@acme.com", "admin")
		_, flo := w.member(org, "flo@acme.com", "admin")
		_, kim := w.member(org, "kim@acme.com")
		w.call(omDelete, flo).warns("jo is left", 200, false)
		group, _ := w.adminGroup(org, kim)
		w.call(omDeactivate, jo).warns("kim is left", 200, false)
		w.call("DELETE "+groupMembers+"/{omId}", org, group, kim).warns("nobody is left", 204, true)
		w.call(omReactivate, jo).warns("jo is back", 200, false)
		w.call(omDelete, jo).warns("nobody is left", 200, true)
	})
}

// What it costs to know who is left does not depend on how many members there are.
func TestToKnowTheLastAdministratorCostsTheSameInAnyOrganization(t *testing.T) {
	w := newWorld(t) // for its clock
	cost := map[int][]int64{}
	for _, members := range []int{0, 3000} {
		s, m := meteredStore(t, w.clock)
		const org = "org_00000000000000000000000000"
		var secret session.Secret
		admin := func(name string, roles ...string) tenancy.Membership {
			return tenancy.Membership{
				ID: tenancy.MembershipID("om_" + name), Organization: org, User: tenancy.UserID("user_z" + name), Status: policy.Active, Roles: roles,
			}
		}
		all := []tenancy.Membership{admin("A", "admin"), admin("B", "admin"), admin("C"), admin("D")}
		err := s.Update(t.Context(), func(tx store.Tx) (err error) {
			if err := tx.PutOrganization(tenancy.Organization{ID: org, Slug: "acme"}); err != nil {
				return err
			}
			if err := tenancy.SaveRole(tx, tenancy.Role{Slug: "admin"}, audit.System, w.clock()); err != nil {
				return err
			}
			for _, m := range all {
				if err := tx.PutUser(tenancy.User{ID: m.User, Email: string(m.ID) + "@acme.com"}); err != nil {
					return err
				}
				if err := tx.PutMembership(m); err != nil {
					return err
				}
			}
			_, secret, err = session.CreateAPIKey(tx, session.APIKey{Name: "all"}, audit.System, w.clock())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		crowd(t, s, org, members)
		a, err := api.New(api.Options{
			Store: s, Logger: slog.New(slog.DiscardHandler), Rules: func() tenancy.Rules { return tenancy.Rules{} }, RolesAt: func() tenancy.Origin { return tenancy.Origin{} },
			Limits: func() session.Limits { return session.Limits{} }, Now: w.clock,
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"", "last_admin", "", ""} { // one of two, the last, and two who are none
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/user_management/organization_memberships/"+string(all[i].ID)+"/deactivate", nil)
			r.Header.Set("Authorization", "Bearer "+secret.Reveal())
			rec := httptest.NewRecorder()
			m.reads.Store(0)
			a.ServeHTTP(rec, r)
			if rec.Code != http.StatusOK || rec.Header().Get(warningHeader) != want {
				t.Fatalf("%s: %d %q %s", all[i].ID, rec.Code, rec.Header().Get(warningHeader), rec.Body)
			}
			cost[members] = append(cost[members], m.reads.Load())
		}
	}
	if !slices.Equal(cost[0], cost[3000]) || slices.Max(cost[0]) > 60 {
		t.Errorf("reads with few members: %v, with many: %v", cost[0], cost[3000])
	}
}

// Groups whose members are inactive, by the thousands, are not searched to the end in a transaction that others wait for: then nothing is said.
func TestTheSearchForAnotherAdministratorEnds(t *testing.T) {
	for _, tt := range []struct {
		groups, inactive int
		warned           bool
		reads            int64
	}{
		{1, 0, true, 100},
		{4, 400, true, 2500}, // each member is looked at once
		{3, 4000, false, 5000},
	} {
		w, m := newMeteredWorld(t)
		org := w.organizationNamed("Acme")
		_, jo := w.member(org, "jo@acme.com", "admin")
		var groups []string
		for range tt.groups {
			g, _ := w.adminGroup(org)
			groups = append(groups, g)
		}
		for i := 0; i < tt.inactive; i += 200 {
			w.do(func(tx store.Tx) error {
				for j := i; j < i+200; j++ {
					user, om := tenancy.UserID(fmt.Sprintf("user_%026d", j)), tenancy.MembershipID(fmt.Sprintf("om_%026d", j))
					if err := tx.PutMembership(tenancy.Membership{ID: om, Organization: tenancy.OrgID(org), User: user, Status: policy.Inactive, Roles: []string{"member"}}); err != nil {
						return err
					}
					for _, g := range groups {
						if err := tx.PutGroupMember(tenancy.GroupMember{Organization: tenancy.OrgID(org), Group: tenancy.GroupID(g), Membership: om, User: user}); err != nil {
							return err
						}
					}
				}
				return nil
			})
		}
		m.reads.Store(0)
		w.call(omDeactivate, jo).warns(fmt.Sprintf("%d inactive in %d groups", tt.inactive, tt.groups), 200, tt.warned)
		if n := m.reads.Load(); n > tt.reads {
			t.Errorf("%d inactive in %d groups: %d reads, want at most %d", tt.inactive, tt.groups, n, tt.reads)
		} else {
			t.Logf("%d inactive in %d groups: %d reads", tt.inactive, tt.groups, n)
		}
	}
}

// Of those who take administrators away at the same time, one takes the last, and is told; the others are not.
func TestOfManyWhoTakeAllAdministratorsAwayOneIsTold(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		w := open(t)
		for round := range 5 {
			org := w.organizationNamed(fmt.Sprint("Acme ", round))
			var ways []func() (warning string, err error)
			request := func(method, path string, body any) func() (string, error) {
				return func() (string, error) {
					b, err := json.Marshal(body)
					if err != nil {
						return "", err
					}
					r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, bytes.NewReader(b))
					if err != nil {
						return "", err
					}
					r.Header.Set("Authorization", "Bearer "+w.secret)
					resp, err := http.DefaultClient.Do(r)
					if err != nil {
						return "", err
					}
					defer resp.Body.Close()
					if resp.StatusCode >= 300 {
						return "", fmt.Errorf("%s %s: %s", method, path, resp.Status)
					}
					return resp.Header.Get(warningHeader), nil
				}
			}
			const memberships, users = "/user_management/organization_memberships/", "/user_management/users/"
			admin := func(i int) (user, membership string) {
				return w.member(org, fmt.Sprintf("jo%d.%d@acme.com", round, i), "admin")
			}
			_, a := admin(0)
			_, b := admin(1)
			_, c := admin(2)
			d, _ := admin(3)
			_, e := w.member(org, fmt.Sprintf("kim%d@acme.com", round))
			group, _ := w.adminGroup(org, e)
			ways = append(ways, request("PUT", memberships+a+"/deactivate", nil), request("DELETE", memberships+b, nil),
				request("PUT", memberships+c, object{"role_slug": "member"}), request("DELETE", users+d, nil), request("DELETE", "/organizations/"+org+"/groups/"+group, nil))
			var mu sync.Mutex
			told := 0
			var wg sync.WaitGroup
			for _, way := range ways {
				wg.Go(func() {
					warning, err := way()
					mu.Lock()
					defer mu.Unlock()
					if err != nil {
						t.Error(err)
					}
					if warning != "" {
						told++
					}
				})
			}
			wg.Wait()
			if told != 1 {
				t.Errorf("round %d: %d were told", round, told)
			}
		}
	})
}

// Whatever happens to members, groups and the role: an answer has the warning if, by a count of everybody's effective roles, there was
// an administrator before it and is none after it.
func TestTheWarningIsWhatACountOfAllSays(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		w := open(t)
		rnd := rand.New(rand.NewPCG(7, 7))
		orgs := []string{w.organizationNamed("Acme"), w.organizationNamed("Globex")}
		var users []string
		groups := map[string][]string{}
		for i := range 3 {
			users = append(users, w.call("POST /user_management/users", object{"email": fmt.Sprintf("jo%d@acme.com", i)}).want(201).id())
		}
		for _, org := range orgs {
			groups[org] = []string{w.group(org, "a"), w.group(org, "b")}
		}
		// administrators counts them one by one, in all organizations, and holds what is found by the index against it.
		administrators := func() map[string]int {
			n := map[string]int{}
			w.do(func(tx store.Tx) error {
				clear(n)
				for _, org := range orgs {
					for m, err := range tx.Members(tenancy.OrgID(org)) {
						if err != nil {
							return err
						}
						roles, err := tenancy.EffectiveRoles(tx, m)
						if err != nil {
							return err
						}
						if m.Status == policy.Active && slices.ContainsFunc(roles, func(r tenancy.Role) bool { return r.Slug == "admin" }) {
							n[org]++
						}
					}
					if has, err := tenancy.HasAdmin(tx, tenancy.OrgID(org)); err != nil || has != (n[org] > 0) {
						t.Errorf("found %v, %v of %d administrators", has, err, n[org])
					}
				}
				return nil
			})
			return n
		}
		told, silent := 0, 0
		before := administrators()
		for step := range 500 {
			w.later(time.Second)
			org := orgs[rnd.IntN(len(orgs))]
			i := rnd.IntN(len(users))
			om := w.membershipNow(org, users[i])
			group := groups[org][rnd.IntN(2)]
			role := []string{"admin", "member"}[rnd.IntN(2)]
			var a answer
			switch rnd.IntN(15) {
			case 0, 1:
				a = w.call(omCreate, object{"organization_id": org, "user_id": users[i], "role_slug": role})
			case 2:
				a = w.call(omDeactivate, om)
			case 3, 4:
				a = w.call(omReactivate, om)
			case 5:
				a = w.call(omDelete, om)
			case 6:
				a = w.call(omUpdate, om, object{"role_slug": role})
			case 7:
				a = w.call("POST "+memberRoles, om, object{"role_slug": role, "resource_id": org})
			case 8:
				a = w.call("DELETE "+memberRoles, om, object{"role_slug": role, "resource_id": org})
			case 9:
				a = w.call("POST "+groupMembers, org, group, object{"organization_membership_id": om})
			case 10:
				a = w.call("DELETE "+groupMembers+"/{omId}", org, group, om)
			case 11:
				a = w.call("POST "+groupRoles, group, object{"role_slug": "admin"})
			case 12:
				a = w.call("DELETE "+groupRoles, group, object{"role_slug": "admin"})
			case 13:
				if rnd.IntN(2) == 0 {
					a = w.call("DELETE "+oneGroup, org, group).want(204)
					groups[org][slices.Index(groups[org], group)] = w.group(org, "again")
					break
				}
				a = w.call("DELETE /user_management/users/{id}", users[i]).want(200)
				users[i] = w.call("POST /user_management/users", object{"email": fmt.Sprintf("again%d@acme.com", step)}).want(201).id()
			case 14: // the operator's doing, of which nobody is told
				w.do(func(tx store.Tx) error {
					if _, err := tx.Role("", "admin"); err == nil && rnd.IntN(3) == 0 {
						return tenancy.RemoveRole(tx, "", "admin", audit.System, w.clock())
					}
					return tenancy.SaveRole(tx, tenancy.Role{Slug: "admin"}, audit.System, w.clock())
				})
				before = administrators()
				continue
			}
			after := administrators()
			lost := slices.ContainsFunc(orgs, func(o string) bool { return before[o] > 0 && after[o] == 0 })
			a.warns(fmt.Sprintf("step %d: from %v to %v", step, before, after), a.status, lost)
			if before = after; lost {
				told++
			} else if a.status == http.StatusTooManyRequests {
				t.Fatal("too many requests")
			} else if a.status < 300 {
				silent++
			}
		}
		if told < 5 || silent < 100 {
			t.Errorf("told of %d, silent of %d", told, silent)
		}
	})
}
