package tenancy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

var anyRules = tenancy.Rules{DefaultRole: "member"}

var asAdmin = tenancy.Grant{Roles: []string{"admin"}}

type action func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error

var actions = map[string]action{
	"create": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		_, err := tenancy.CreateMembership(tx, r, w.acme.ID, u, asAdmin, operator, w.now)
		return err
	},
	"invite": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		_, err := tenancy.InviteMember(tx, r, w.acme.ID, u, asAdmin, operator, w.now)
		return err
	},
	"accept": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		_, err := tenancy.AcceptMembership(tx, r, w.acme.ID, u, operator, w.now)
		return err
	},
	"deactivate": func(tx tenancy.Tx, _ tenancy.Rules, w *world, u tenancy.UserID) error {
		return tenancy.DeactivateMembership(tx, w.acme.ID, u, operator, w.now)
	},
	"reactivate": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		return tenancy.ReactivateMembership(tx, r, w.acme.ID, u, operator, w.now)
	},
	"remove": func(tx tenancy.Tx, _ tenancy.Rules, w *world, u tenancy.UserID) error {
		return tenancy.RemoveMembership(tx, w.acme.ID, u, operator, w.now)
	},
	"leave": func(tx tenancy.Tx, _ tenancy.Rules, w *world, u tenancy.UserID) error {
		return tenancy.LeaveOrganization(tx, w.acme.ID, u, w.now)
	},
	"set roles": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		_, err := tenancy.SetRoles(tx, r, w.acme.ID, u, asAdmin, operator, w.now)
		return err
	},
	"join": func(tx tenancy.Tx, r tenancy.Rules, w *world, u tenancy.UserID) error {
		_, _, err := tenancy.Join(tx, r, w.acme.ID, u, w.now)
		return err
	},
}

const (
	none     = policy.NoMember
	pending  = policy.Pending
	active   = policy.Active
	inactive = policy.Inactive
)

type transition struct {
	from   policy.Standing
	action string
	to     policy.Standing
	role   string
	event  string
	err    error
}

// transitions are all: every action in every state. A membership that is there has
// the role auditor; whoever gives a role gives admin.
var transitions = []transition{
	{none, "create", active, "admin", audit.MembershipCreated, nil},
	{pending, "create", pending, "auditor", "", tenancy.ErrState},
	{active, "create", active, "auditor", "", tenancy.ErrTaken},
	{inactive, "create", active, "admin", audit.MembershipUpdated, nil},

	{none, "invite", pending, "admin", audit.MembershipCreated, nil},
	{pending, "invite", pending, "auditor", "", nil},
	{active, "invite", active, "auditor", "", tenancy.ErrTaken},
	{inactive, "invite", inactive, "auditor", "", tenancy.ErrDeactivated},

	{none, "accept", none, "", "", tenancy.ErrNotFound},
	{pending, "accept", active, "auditor", audit.MembershipUpdated, nil},
	{active, "accept", active, "auditor", "", nil},
	{inactive, "accept", inactive, "auditor", "", tenancy.ErrDeactivated},

	{none, "deactivate", none, "", "", tenancy.ErrNotFound},
	{pending, "deactivate", pending, "auditor", "", tenancy.ErrState},
	{active, "deactivate", inactive, "auditor", audit.MembershipUpdated, nil},
	{inactive, "deactivate", inactive, "auditor", "", nil},

	{none, "reactivate", none, "", "", tenancy.ErrNotFound},
	{pending, "reactivate", pending, "auditor", "", tenancy.ErrState},
	{active, "reactivate", active, "auditor", "", nil},
	{inactive, "reactivate", active, "auditor", audit.MembershipUpdated, nil},

	{none, "remove", none, "", "", nil},
	{pending, "remove", none, "", audit.MembershipDeleted, nil},
	{active, "remove", none, "", audit.MembershipDeleted, nil},
	{inactive, "remove", none, "", audit.MembershipDeleted, nil},

	{none, "leave", none, "", "", tenancy.ErrNotFound},
	{pending, "leave", none, "", audit.MembershipDeleted, nil},
	{active, "leave", none, "", audit.MembershipDeleted, nil},
	{inactive, "leave", inactive, "auditor", "", tenancy.ErrDeactivated},

	{none, "set roles", none, "", "", tenancy.ErrNotFound},
	{pending, "set roles", pending, "admin", audit.MembershipUpdated, nil},
	{active, "set roles", active, "admin", audit.MembershipUpdated, nil},
	{inactive, "set roles", inactive, "admin", audit.MembershipUpdated, nil},

	// Auto-join is on, and the address proved and on a verified domain.
	{none, "join", active, "member", audit.MembershipCreated, nil},
	{pending, "join", pending, "auditor", "", nil},
	{active, "join", active, "auditor", "", nil},
	{inactive, "join", inactive, "auditor", "", nil},
}

func TestEveryActionInEveryStateOfAMembership(t *testing.T) {
	if len(transitions) != 4*len(actions) {
		t.Fatalf("the table has %d rows, want every one of %d actions in every of 4 states", len(transitions), len(actions))
	}
	w := newWorld(t)
	w.autoJoin()
	u := w.user("jo@acme.com", true)
	w.events()
	for _, tt := range transitions {
		t.Run(tt.from.String()+" "+tt.action, func(t *testing.T) {
			w.t = t
			w.set(w.acme.ID, u.ID, tt.from)
			before := w.membership(w.acme.ID, u.ID)
			err := w.try(func(tx store.Tx) error { return actions[tt.action](tx, anyRules, w, u.ID) })
			if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("error is %v, want %v", err, tt.err)
			}
			m := w.membership(w.acme.ID, u.ID)
			if m.Status != tt.to || (tt.role != "" && !slices.Equal(m.Roles, []string{tt.role})) {
				t.Errorf("membership is %s with %q, want %s with %q", m.Status, m.Roles, tt.to, tt.role)
			}
			if tt.event == "" {
				w.wantEvents()
				if got, want := asJSON(m), asJSON(before); got != want {
					t.Errorf("membership was written: %s, was %s", got, want)
				}
			} else {
				w.wantEvents(tt.event)
			}
		})
	}
}

func (w *world) autoJoin() {
	w.t.Helper()
	w.must(func(tx store.Tx) (err error) {
		o, err := tx.Organization(w.acme.ID)
		if err != nil {
			return err
		}
		o.AutoJoin = true
		w.acme, err = tenancy.SaveOrganization(tx, o, operator, w.now)
		return err
	})
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestAMembershipEventShowsTheMembershipAsItIsNow(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@acme.com", true)
	w.must(func(tx store.Tx) error { return actions["create"](tx, anyRules, w, u.ID) })
	w.must(func(tx store.Tx) error { return actions["deactivate"](tx, anyRules, w, u.ID) })
	es := w.changes()
	e := es[len(es)-1]
	if e.Organization != string(w.acme.ID) || e.User != string(u.ID) || e.Actor != operator || !e.At.Equal(w.now) {
		t.Errorf("event is about %s %s, by %v at %v", e.Organization, e.User, e.Actor, e.At)
	}
	m := w.membership(w.acme.ID, u.ID)
	want := `{"object":"organization_membership","id":"` + string(m.ID) + `","user_id":"` + string(u.ID) + `","organization_id":"` + string(w.acme.ID) +
		`","status":"inactive","role":{"slug":"admin"},"roles":[{"slug":"admin"}],"custom_attributes":{},"directory_managed":false,"created_at":"2026-05-01T12:00:00Z","updated_at":"2026-05-01T12:00:00Z"}`
	if string(e.Data) != want {
		t.Errorf("data is\n%s, want\n%s", e.Data, want)
	}
}

func TestNobodyJoinsOnAnAddressThatWasNeverProved(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	u := w.user("jo@acme.com", false)
	if err := w.try(func(tx store.Tx) error { return actions["join"](tx, anyRules, w, u.ID) }); !errors.Is(err, tenancy.ErrNotMember) {
		t.Errorf("got %v", err)
	}
}

func TestNobodyJoinsWhatTheRulesDoNotOpen(t *testing.T) {
	for name, change := range map[string]func(tx tenancy.Tx, w *world) error{
		"auto-join is off": func(tx tenancy.Tx, w *world) error {
			o := w.acme
			o.AutoJoin = false
			_, err := tenancy.SaveOrganization(tx, o, operator, w.now)
			return err
		},
		"the domain is not verified": func(tx tenancy.Tx, w *world) error {
			return tenancy.FailDomain(tx, w.acme.ID, "acme.com", operator, w.now)
		},
		"the domain is another organization's": func(tx tenancy.Tx, w *world) error {
			if err := tenancy.RemoveDomain(tx, w.acme.ID, "acme.com", operator, w.now); err != nil {
				return err
			}
			return tenancy.SetDomains(tx, w.globex.ID, []tenancy.DomainClaim{{Name: "acme.com", Verified: true}}, operator, w.now)
		},
		"the organization is suspended": func(tx tenancy.Tx, w *world) error {
			return tenancy.Suspend(tx, w.acme.ID, operator, w.now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.autoJoin()
			u := w.user("jo@acme.com", true)
			w.must(func(tx store.Tx) error { return change(tx, w) })
			if err := w.try(func(tx store.Tx) error { return actions["join"](tx, anyRules, w, u.ID) }); !errors.Is(err, tenancy.ErrNotMember) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestASubDomainIsADomainOfItsOwn(t *testing.T) {
	w := newWorld(t)
	w.autoJoin()
	for _, email := range []string{"jo@mail.acme.com", "jo@notacme.com", "jo@com", "", "jo@acme.com.evil.test"} {
		w.must(func(tx store.Tx) error {
			if may, err := tenancy.MayJoin(tx, w.acme, email); err != nil || may {
				t.Errorf("%q may join: %v, %v", email, may, err)
			}
			return nil
		})
	}
}

func TestASingleWorkspaceIsOneHoweverTheSecondIsEntered(t *testing.T) {
	single := tenancy.Rules{DefaultRole: "member", SingleWorkspace: true}
	for _, tt := range []struct {
		action    string
		from      policy.Standing
		elsewhere policy.Standing
		refused   bool
	}{
		{"create", none, active, true},
		{"create", none, inactive, true},
		{"create", inactive, active, true},
		{"accept", pending, active, true},
		{"accept", pending, inactive, true},
		{"reactivate", inactive, active, true},
		{"join", none, active, true},
		{"join", none, inactive, true},
		// An open invitation keeps nobody out of anywhere.
		{"create", none, pending, false},
		{"accept", pending, pending, false},
		{"join", none, pending, false},
		{"invite", none, active, false},
		{"create", none, none, false},
	} {
		t.Run(tt.action+" while "+tt.elsewhere.String()+" elsewhere", func(t *testing.T) {
			w := newWorld(t)
			w.autoJoin()
			u := w.user("jo@acme.com", true)
			w.set(w.globex.ID, u.ID, tt.elsewhere)
			w.set(w.acme.ID, u.ID, tt.from)
			w.events()
			err := w.try(func(tx store.Tx) error { return actions[tt.action](tx, single, w, u.ID) })
			if errors.Is(err, tenancy.ErrSingleWorkspace) != tt.refused || (err != nil) != tt.refused {
				t.Errorf("got %v", err)
			}
			if tt.refused {
				w.wantEvents()
			}
		})
	}
}

func TestARoleThatIsNotDefinedIsNotGiven(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@acme.com", true)
	w.set(w.acme.ID, u.ID, active)
	w.must(func(tx store.Tx) error {
		return tenancy.SaveRole(tx, tenancy.Role{Organization: w.globex.ID, Slug: "boss"}, operator, w.now)
	})
	for _, slug := range []string{"owner", "boss", ""} {
		err := w.try(func(tx store.Tx) error {
			_, err := tenancy.SetRoles(tx, anyRules, w.acme.ID, u.ID, tenancy.Grant{Roles: []string{"member", slug}}, operator, w.now)
			return err
		})
		if !errors.Is(err, tenancy.ErrNoRole) {
			t.Errorf("role %q: got %v", slug, err)
		}
	}
	w.must(func(tx store.Tx) error {
		m, err := tenancy.SetRoles(tx, anyRules, w.acme.ID, u.ID, tenancy.Grant{}, operator, w.now)
		if !slices.Equal(m.Roles, []string{"member"}) || m.RoleSource != tenancy.RoleDefault {
			t.Errorf("no roles given: has %q from %s, want the default", m.Roles, m.RoleSource)
		}
		return err
	})
}

func TestAMembershipNeedsAUserAndAnOrganization(t *testing.T) {
	w := newWorld(t)
	u := w.user("jo@acme.com", true)
	for name, act := range actions {
		if err := w.try(func(tx store.Tx) error { return act(tx, anyRules, w, "user_nobody") }); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("%s of nobody: %v", name, err)
		}
		gone := *w
		gone.acme.ID = "org_gone"
		if err := w.try(func(tx store.Tx) error { return act(tx, anyRules, &gone, u.ID) }); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("%s nowhere: %v", name, err)
		}
	}
}
