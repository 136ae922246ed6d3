package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// Whoever leaves is asked once more, and the last administrator is told that they are.
func TestTheLastAdministratorIsToldBeforeTheyLeave(t *testing.T) {
	s := newSite(t)
	s.session("user_bob", "Firefox/140.0 Linux", "")
	s.who = s.session("user_alice", "Firefox/140.0 Linux", "")
	s.furnish("user_alice")
	change := func(f func(tx store.Tx) error) {
		t.Helper()
		if err := s.store.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	member := func(user tenancy.UserID, status policy.Standing, roles ...string) {
		t.Helper()
		change(func(tx store.Tx) error {
			return tx.PutMembership(tenancy.Membership{ID: tenancy.MembershipID("om_" + user), Organization: "org_acme", User: user, Status: status, Roles: roles, RoleSource: tenancy.RoleManual})
		})
	}
	asked := func(when string, last bool) {
		t.Helper()
		w := s.post("/account/organizations/leave", url.Values{"organization": {"org_acme"}})
		if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "Leave Acme?") || strings.Contains(body, "Nobody but you administers this organization.") != last {
			t.Errorf("%s: %d, want to be told: %v: %s", when, w.Code, last, body)
		}
	}
	asked("a member", false)
	member("user_alice", policy.Active, "admin")
	asked("with a role that is not defined", false)
	change(func(tx store.Tx) error {
		return tenancy.SaveRole(tx, tenancy.Role{Slug: "admin"}, audit.System, time.Now())
	})
	asked("the only member", true)
	member("user_bob", policy.Inactive, "admin")
	asked("another is deactivated", true)
	member("user_bob", policy.Active, "member")
	asked("another is a member", true)
	change(func(store.Tx) error { // the question waits for nobody, and nobody for it
		asked("while somebody writes", true)
		return nil
	})
	member("user_bob", policy.Active, "admin")
	asked("another is administrator", false)
	member("user_bob", policy.Active, "member")
	var group tenancy.Group
	change(func(tx store.Tx) (err error) {
		now := time.Now()
		if group, err = tenancy.CreateGroup(tx, "org_acme", "Admins", "", audit.System, now); err != nil {
			return err
		}
		if _, err := tenancy.AssignGroupRole(tx, "org_acme", group.ID, "admin", audit.System, now); err != nil {
			return err
		}
		return tenancy.JoinGroup(tx, "org_acme", group.ID, "om_user_alice", audit.System, now)
	})
	asked("she is one twice", true)
	change(func(tx store.Tx) error {
		return tenancy.JoinGroup(tx, "org_acme", group.ID, "om_user_bob", audit.System, time.Now())
	})
	asked("another is administrator by a group", false)
}
