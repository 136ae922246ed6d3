package api_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	omCreate     = "POST /user_management/organization_memberships"
	omGet        = "GET /user_management/organization_memberships/{id}"
	omUpdate     = "PUT /user_management/organization_memberships/{id}"
	omDelete     = "DELETE /user_management/organization_memberships/{id}"
	omDeactivate = "PUT /user_management/organization_memberships/{id}/deactivate"
	omReactivate = "PUT /user_management/organization_memberships/{id}/reactivate"
)

// modelled is what a membership should be, told by SEMANTICS 2.4 alone.
type modelled struct {
	id, status, role string // of the empty status there is none
	source           tenancy.RoleSource
	invitation       string // the latest
	open             bool   // it can be accepted
}

// expected is what a step should answer and tell: a status, a code, and an event or none.
type expected struct {
	status int
	code   string
	event  string
}

// A lifecycle is a random walk of some people through two organizations.
type lifecycle struct {
	*world
	rnd    *rand.Rand
	orgs   []string
	emails []string
	users  map[string]string // by address
	model  map[[2]string]*modelled
	told   map[string]string // what the events say: id of a membership → status and role
	seen   uint64
}

var steps = map[string]func(l *lifecycle, m *modelled, org, email string) (answer, expected){
	"create": func(l *lifecycle, m *modelled, org, email string) (answer, expected) {
		role := l.role()
		a := l.call(omCreate, object{"organization_id": org, "user_id": l.users[email], "role_slug": role})
		switch m.status {
		case "pending":
			return a, expected{400, "cannot_reactivate_pending_organization_membership", ""}
		case "active":
			return a, expected{409, "organization_membership_already_exists", ""}
		case "inactive":
			m.status, m.role, m.source = "active", role, tenancy.RoleManual
			return a, expected{201, "", audit.MembershipUpdated}
		}
		m.id, m.status, m.role, m.source = a.id(), "active", role, tenancy.RoleManual
		return a, expected{201, "", audit.MembershipCreated}
	},
	"invite": func(l *lifecycle, m *modelled, org, email string) (answer, expected) {
		role := l.role()
		a := l.call("POST /user_management/invitations", object{"organization_id": org, "email": email, "role_slug": role})
		switch {
		case m.open:
			return a, expected{400, "email_already_invited_to_organization", ""}
		case m.status == "active", m.status == "inactive":
			return a, expected{400, "user_already_organization_member", ""}
		case m.status == "pending": // the directory's, which keeps it and its role
			m.invitation, m.open = a.id(), true
			return a, expected{201, "", ""}
		}
		m.id, m.invitation, m.open = l.membershipOf(org, l.users[email]), a.id(), true
		m.status, m.role, m.source = "pending", role, tenancy.RoleManual
		return a, expected{201, "", audit.MembershipCreated}
	},
	"accept": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		a := l.call("POST /user_management/invitations/{id}/accept", or(m.invitation, "invitation_0"))
		switch {
		case m.invitation == "":
			return a, expected{404, "entity_not_found", ""}
		case !m.open:
			return a, expected{400, a.get("code"), ""} // revoked and accepted have codes of their own
		}
		m.status, m.open = "active", false
		return a, expected{200, "", audit.MembershipUpdated}
	},
	"revoke": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		a := l.call("POST /user_management/invitations/{id}/revoke", or(m.invitation, "invitation_0"))
		switch {
		case m.invitation == "":
			return a, expected{404, "entity_not_found", ""}
		case !m.open:
			return a, expected{400, a.get("code"), ""}
		}
		m.open = false
		if m.source == tenancy.RoleDirectory {
			return a, expected{200, "", ""} // the membership is not the invitation's
		}
		m.status = ""
		return a, expected{200, "", audit.MembershipDeleted}
	},
	"deactivate": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		a := l.call(omDeactivate, or(m.id, "om_0"))
		switch m.status {
		case "":
			return a, expected{404, "entity_not_found", ""}
		case "pending":
			return a, expected{400, "cannot_deactivate_pending_organization_membership", ""}
		case "inactive":
			return a, expected{200, "", ""}
		}
		m.status = "inactive"
		return a, expected{200, "", audit.MembershipUpdated}
	},
	"reactivate": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		a := l.call(omReactivate, or(m.id, "om_0"))
		switch m.status {
		case "":
			return a, expected{404, "entity_not_found", ""}
		case "pending":
			return a, expected{400, "cannot_reactivate_pending_organization_membership", ""}
		case "active":
			return a, expected{200, "", ""}
		}
		m.status = "active"
		return a, expected{200, "", audit.MembershipUpdated}
	},
	"delete": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		a := l.call(omDelete, or(m.id, "om_0"))
		if m.status == "" {
			return a, expected{404, "entity_not_found", ""}
		}
		m.status, m.open = "", false
		return a, expected{200, "", audit.MembershipDeleted}
	},
	"role": func(l *lifecycle, m *modelled, _, _ string) (answer, expected) {
		role := l.role()
		a := l.call(omUpdate, or(m.id, "om_0"), object{"role_slug": role})
		switch {
		case m.status == "":
			return a, expected{404, "entity_not_found", ""}
		case m.source == tenancy.RoleDirectory:
			return a, expected{409, "directory_managed", ""}
		case m.role == role && m.source == tenancy.RoleManual:
			return a, expected{200, "", ""}
		}
		m.role, m.source = role, tenancy.RoleManual
		return a, expected{200, "", audit.MembershipUpdated}
	},
	"directory": func(l *lifecycle, m *modelled, org, email string) (answer, expected) {
		role := l.role()
		err := l.s.Update(l.t.Context(), func(tx store.Tx) error {
			_, err := tenancy.SetRoles(tx, l.rules, tenancy.OrgID(org), tenancy.UserID(l.users[email]), tenancy.Grant{Roles: []string{role}, Source: tenancy.RoleDirectory}, audit.System, l.clock())
			return err
		})
		switch {
		case m.status == "":
			return result(err), expected{404, "", ""}
		case m.role == role && m.source == tenancy.RoleDirectory:
			return result(err), expected{200, "", ""}
		}
		m.role, m.source = role, tenancy.RoleDirectory
		return result(err), expected{200, "", audit.MembershipUpdated}
	},
	"arrive": func(l *lifecycle, m *modelled, org, email string) (answer, expected) {
		var made tenancy.Membership
		err := l.s.Update(l.t.Context(), func(tx store.Tx) (err error) {
			made, _, err = tenancy.Join(tx, l.rules, tenancy.OrgID(org), tenancy.UserID(l.users[email]), l.clock())
			return err
		})
		switch {
		case m.status != "":
			return result(err), expected{200, "", ""} // whatever it is, it stays
		case org != l.orgs[0] || !strings.HasSuffix(email, "@acme.com"):
			return result(err), expected{404, "", ""}
		}
		m.id, m.status, m.role, m.source = string(made.ID), "active", "member", tenancy.RoleDefault
		return result(err), expected{200, "", audit.MembershipCreated}
	},
}

// result is what an operation that is not the API's would have answered.
func result(err error) answer {
	switch {
	case errors.Is(err, tenancy.ErrNotFound), errors.Is(err, tenancy.ErrNotMember):
		return answer{status: 404}
	case err != nil:
		return answer{status: 500, body: []byte(err.Error())}
	}
	return answer{status: 200}
}

func or(id, otherwise string) string {
	if id == "" {
		return otherwise
	}
	return id
}

func (l *lifecycle) role() string { return []string{"member", "admin"}[l.rnd.IntN(2)] }

func (l *lifecycle) membershipOf(org, user string) (id string) {
	l.t.Helper()
	l.do(func(tx store.Tx) error {
		m, err := tx.Membership(tenancy.OrgID(org), tenancy.UserID(user))
		if id = string(m.ID); errors.Is(err, tenancy.ErrNotFound) {
			id, err = "", nil
		}
		return err
	})
	return id
}

func newLifecycle(t testing.TB, w *world, seed uint64) *lifecycle {
	l := &lifecycle{world: w, rnd: rand.New(rand.NewPCG(seed, 5)), users: map[string]string{}, model: map[[2]string]*modelled{}, told: map[string]string{}}
	w.noMail = true
	for _, name := range []string{"Acme", "Globex"} {
		org := w.call("POST /organizations", object{"name": fmt.Sprint(name, seed)}).want(201).id()
		l.orgs = append(l.orgs, org)
	}
	w.do(func(tx store.Tx) error {
		if err := tenancy.SetDomains(tx, tenancy.OrgID(l.orgs[0]), []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, audit.System, w.clock()); err != nil {
			return err
		}
		o, err := tx.Organization(tenancy.OrgID(l.orgs[0]))
		if err != nil {
			return err
		}
		o.AutoJoin = true
		_, err = tenancy.SaveOrganization(tx, o, audit.System, w.clock())
		return err
	})
	for _, email := range []string{"jo@acme.com", "flo@acme.com", "guest@else.test"} {
		l.emails = append(l.emails, email)
		l.users[email] = w.call("POST /user_management/users", object{"email": email, "email_verified": true}).want(201).id()
	}
	l.seen = w.head()
	return l
}

// walk takes steps, and holds what the API shows and what the events tell against the model after each.
func (l *lifecycle) walk(n int) {
	t := l.t
	t.Helper()
	names := slices.Sorted(maps.Keys(steps))
	for i := range n {
		org, email := l.orgs[min(1, l.rnd.IntN(3))%2], l.emails[l.rnd.IntN(len(l.emails))]
		key := [2]string{org, email}
		if l.model[key] == nil {
			l.model[key] = &modelled{}
		}
		m := l.model[key]
		name := names[l.rnd.IntN(len(names))]
		was := *m
		l.later(11 * time.Minute) // as many invitations go to one mailbox as it takes
		a, want := steps[name](l, m, org, email)
		at := fmt.Sprintf("step %d, %s of %s, who was %+v", i, name, email, was)
		if a.status != want.status || want.code != "" && a.get("code") != want.code {
			t.Fatalf("%s: %d %s, want %+v", at, a.status, a.body, want)
		}
		l.compare(at, m, want.event)
	}
}

func (l *lifecycle) compare(at string, m *modelled, event string) {
	t := l.t
	t.Helper()
	if m.id != "" {
		a := l.call(omGet, m.id)
		switch {
		case m.status == "" && a.status != 404, m.status != "" && a.status != 200:
			t.Fatalf("%s: %d %s", at, a.status, a.body)
		case m.status != "" && (a.get("status") != m.status || a.get("role.slug") != m.role || a.get("directory_managed") != fmt.Sprint(m.source == tenancy.RoleDirectory)):
			t.Fatalf("%s: the API shows %s, want %+v", at, a.body, *m)
		}
	}
	var got []string
	for {
		changes, err := l.s.Feed(t.Context(), l.seen, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			break
		}
		for _, c := range changes {
			if l.seen = c.Position; !strings.HasPrefix(c.Event.Name, "organization_membership.") {
				continue
			}
			got = append(got, c.Event.Name)
			l.hear(c.Event)
		}
	}
	want := []string{event}
	if event == "" {
		want = nil
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: events %q, want %q", at, got, want)
	}
	if said, is := l.told[m.id], ""; m.status != "" {
		if is = m.status + " " + m.role; said != is {
			t.Fatalf("%s: the events say %q, want %q", at, said, is)
		}
	} else if said != "" {
		t.Fatalf("%s: the events say %q of nobody", at, said)
	}
}

// hear takes note of what an event says of a membership.
func (l *lifecycle) hear(e audit.Event) {
	id, said := toldBy(l.t, e)
	if said == "" {
		delete(l.told, id)
		return
	}
	l.told[id] = said
}

// TestTheAPIFollowsTheModelOfMemberships is SEMANTICS 1.4 and 2.4, on both engines.
func TestTheAPIFollowsTheModelOfMemberships(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		for seed := range uint64(4) {
			w := open(t)
			l := newLifecycle(t, w, seed)
			l.walk(120)
			// At the end the lists say the same as each membership did.
			for _, org := range l.orgs {
				want := []string{}
				for key, m := range l.model {
					if key[0] == org && m.status != "" {
						want = append(want, m.id)
					}
				}
				got := w.call("GET /user_management/organization_memberships", "?organization_id="+org+"&statuses=active&statuses=inactive&statuses=pending").want(200).ids()
				slices.Sort(got)
				slices.Sort(want)
				same(t, "memberships of "+org, got, want)
			}
		}
	})
}

// TestOneMembershipUnderManyHands has it deactivated, reactivated, deleted, made, given roles and signed in to, all at
// once: afterwards nobody but an active member has a live session, and the events tell what is.
func TestOneMembershipUnderManyHands(t *testing.T) {
	onBothEngines(t, func(t *testing.T, open func(testing.TB) *world) {
		w := open(t)
		l := newLifecycle(t, w, 9)
		org, email := l.orgs[0], "jo@acme.com"
		user := l.users[email]
		l.call(omCreate, object{"organization_id": org, "user_id": user, "role_slug": "member"}).want(201)
		limits := session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour}

		hands := map[string]func(i int){
			"deactivate": func(int) { w.meanwhile(omDeactivate, l.membershipNow(org, user), nil) },
			"reactivate": func(int) { w.meanwhile(omReactivate, l.membershipNow(org, user), nil) },
			"delete": func(i int) {
				if i%3 == 0 {
					w.meanwhile(omDelete, l.membershipNow(org, user), nil)
				}
			},
			"create": func(int) {
				w.meanwhile(omCreate, "", object{"organization_id": org, "user_id": user, "role_slug": "admin"})
			},
			"role": func(i int) {
				w.meanwhile(omUpdate, l.membershipNow(org, user), object{"role_slug": []string{"member", "admin"}[i%2]})
			},
			"sign in": func(int) {
				if err := signIn(w, tenancy.OrgID(org), tenancy.UserID(user), limits); err != nil {
					w.t.Errorf("sign-in: %v", err)
				}
			},
			"sign in too": func(int) {
				if err := signIn(w, tenancy.OrgID(org), tenancy.UserID(user), limits); err != nil {
					w.t.Errorf("sign-in: %v", err)
				}
			},
		}
		for round := range 6 {
			var all sync.WaitGroup
			for _, hand := range hands {
				all.Go(func() {
					for i := range 5 {
						hand(i)
					}
				})
			}
			all.Wait()
			var m tenancy.Membership
			live := 0
			w.do(func(tx store.Tx) (err error) {
				live = 0
				if m, err = tx.Membership(tenancy.OrgID(org), tenancy.UserID(user)); errors.Is(err, tenancy.ErrNotFound) {
					m, err = tenancy.Membership{}, nil
				}
				for s, err := range tx.SessionsOf(tenancy.UserID(user)) {
					if err != nil {
						return err
					}
					if s.Organization == tenancy.OrgID(org) && s.Alive(limits, w.now) == nil {
						live++
					}
				}
				return err
			})
			if m.Status != policy.Active && live > 0 {
				t.Fatalf("round %d: the membership is %s, and %d sessions are live", round, m.Status, live)
			}
			t.Logf("round %d: %s with %q, %d sessions", round, m.Status, m.Roles, live)
			for {
				changes, err := w.s.Feed(t.Context(), l.seen, 100)
				if err != nil {
					t.Fatal(err)
				}
				if len(changes) == 0 {
					break
				}
				for _, c := range changes {
					if l.seen = c.Position; strings.HasPrefix(c.Event.Name, "organization_membership.") {
						l.hear(c.Event)
					}
				}
			}
			want := map[string]string{}
			if m.ID != "" {
				want[string(m.ID)] = m.Status.String() + " " + m.Roles[0]
			}
			if !maps.Equal(l.told, want) {
				t.Fatalf("round %d: the events tell %v, and there is %v", round, l.told, want)
			}
		}
	})
}

// signIn is a sign-in in its two transactions: one judges the person and makes a code, the other swaps it.
func signIn(w *world, org tenancy.OrgID, user tenancy.UserID, limits session.Limits) error {
	attempt := session.NewToken().Hash()
	var code session.Token
	admitted := false
	err := w.s.Update(w.t.Context(), func(tx store.Tx) error {
		now := w.clock()
		parent, _, err := session.Begin(tx, user, policy.Proof{Method: policy.EmailCode, At: now}, nil, "", session.Browser{}, limits, now)
		if err != nil {
			return err
		}
		v, err := session.Gather(tx, session.Query{Organization: org, Session: parent, Offered: policy.MethodsOf(policy.EmailCode), Now: now})
		if err != nil {
			return err
		}
		if admitted = policy.Decide(&v.Facts).Verdict == policy.Allow; !admitted {
			return nil
		}
		code, err = session.IssueHandover(tx, session.Handover{Attempt: attempt, Host: "acme.test", Organization: org, Parent: parent.ID, ReturnTo: "/"}, now)
		return err
	})
	if err != nil || !admitted {
		return err
	}
	return w.s.Update(w.t.Context(), func(tx store.Tx) error {
		_, err := session.Redeem(tx, code.Hash(), attempt, "acme.test", org, session.Browser{}, limits, w.clock())
		return err
	})
}
