package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/orgate/orgate/api"
	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/directory"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A feed is a directory with two users, one of whom is in its group.
type feed struct{ dir, user, other, group string }

func (w *world) feed(n, org string) (f feed) {
	w.t.Helper()
	w.do(func(tx store.Tx) error {
		d, err := directory.Create(tx, tenancy.OrgID(org), n, directory.Generic, audit.System, w.clock())
		if err != nil {
			return err
		}
		u, err := directory.SaveUser(tx, d, directory.User{
			IDPID: "1", State: directory.Active, Email: "Jo@" + n + ".com", Emails: []directory.Email{{Primary: true, Type: "work", Value: "Jo@" + n + ".com"}},
			Username: "jo", Name: "Jo Doe", FirstName: "Jo", LastName: "Doe", JobTitle: "Builder", Raw: map[string]any{"active": true}, Attributes: map[string]any{"seniority": "staff"},
		}, audit.System, w.clock())
		if err != nil {
			return err
		}
		o, err := directory.SaveUser(tx, d, directory.User{IDPID: "2", State: directory.Suspended}, audit.System, w.clock())
		if err != nil {
			return err
		}
		g, err := directory.SaveGroup(tx, d, directory.Group{IDPID: "g", Name: "Engineering of " + n}, audit.System, w.clock())
		if err != nil {
			return err
		}
		f = feed{string(d.ID), string(u.ID), string(o.ID), string(g.ID)}
		return directory.Join(tx, d, g.ID, u.ID, audit.System, w.clock())
	})
	return f
}

func TestDirectoriesTheirUsersAndGroupsAreRead(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.place("acme"), w.place("globex")
	at := w.head()
	a, g := w.feed("acme", acme.org), w.feed("globex", globex.org)
	if got, want := strings.Join(w.eventsSince(at)[:5], " "), "dsync.activated dsync.user.created dsync.user.created dsync.group.created dsync.group.user_added"; got != want {
		t.Errorf("events: %s", got)
	}
	for query, want := range map[string][]string{
		"": {g.dir, a.dir}, "?organization_id=" + acme.org: {a.dir}, "?search=GLOB": {g.dir}, "?domain=acme.com": {a.dir}, "?domain=nobody.com": {},
		"?limit=1": {g.dir}, "?order=asc&limit=1": {a.dir}, "?after=" + g.dir: {a.dir}, "?organization_id=org_1": {}, "?organization_id=" + acme.org + "&search=glob": {},
	} {
		same(t, "directories"+query, w.call("GET /directories", query).want(200).ids(), want)
	}
	for query, want := range map[string][]string{
		"": {g.other, g.user, a.other, a.user}, "?directory=" + a.dir: {a.other, a.user}, "?group=" + a.group: {a.user}, "?group=" + a.group + "&directory=" + g.dir: {},
		"?directory=" + a.dir + "&idp_id=2": {a.other}, "?directory=" + a.dir + "&idp_id=3": {}, "?directory=" + a.dir + "&email=JO@acme.com": {a.user},
		"?directory=" + a.dir + "&email=jo@globex.com": {}, "?directory=" + a.dir + "&email=jo@acme.com&group=" + a.group: {a.user}, "?directory=" + a.dir + "&idp_id=2&group=" + a.group: {},
		"?directory=" + a.dir + "&limit=1": {a.other}, "?directory=" + a.dir + "&after=" + a.other: {a.user}, "?order=asc&limit=2&after=" + a.user: {a.other, g.user},
		"?directory=" + a.dir + "&idp_id=1&email=jo@acme.com": {a.user}, "?directory=" + a.dir + "&idp_id=1&email=x@acme.com": {},
	} {
		same(t, "users"+query, w.call("GET /directory_users", query).want(200).ids(), want)
	}
	for query, want := range map[string][]string{
		"": {g.group, a.group}, "?directory=" + a.dir: {a.group}, "?user=" + a.user: {a.group}, "?user=" + a.other: {}, "?user=" + a.user + "&directory=" + g.dir: {}, "?after=" + g.group: {a.group},
	} {
		same(t, "groups"+query, w.call("GET /directory_groups", query).want(200).ids(), want)
	}
	u := w.call("GET /directory_users/{id}", a.user).want(200)
	if u.get("email") != "jo@acme.com" || u.get("raw_attributes.active") != "true" || u.get("custom_attributes.seniority") != "staff" || !strings.Contains(fmt.Sprint(u.fields["groups"]), a.group) || u.get("state") != "active" {
		t.Errorf("user %s", u.body)
	}
	w.call("GET /directory_groups/{id}", a.group).want(200)
	if d := w.call("GET /directories/{id}", a.dir).want(200); d.get("state") != "linked" || d.get("type") != "generic scim v2.0" {
		t.Errorf("directory %s", d.body)
	}
	for _, q := range []string{"?idp_id=1", "?email=jo@acme.com", "?user=x", "?limit=0"} {
		w.call("GET /directory_users", q).refused(422, "invalid_request_parameters")
	}
	for _, q := range []string{"?directory=directory_1", "?group=directory_group_1"} {
		w.call("GET /directory_users", q).refused(404, "entity_not_found")
	}
	w.call("GET /directory_groups", "?user="+g.dir).refused(404, "entity_not_found")

	// A key of one organization reads its own, without a filter too.
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(acme.org)})
	same(t, "its own", w.as(key, "GET /directories").want(200).ids(), []string{a.dir})
	same(t, "its own", w.as(key, "GET /directory_users").want(200).ids(), []string{a.other, a.user})
	same(t, "its own", w.as(key, "GET /directory_groups").want(200).ids(), []string{a.group})
}

func TestWhatADirectorySaysAnewIsAnEventOnlyIfItIsNew(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	f := w.feed("acme", acme.org)
	at := w.head()
	w.do(func(tx store.Tx) error {
		d, err := directory.Open(tx, tenancy.OrgID(acme.org), directory.ID(f.dir))
		if err != nil {
			return err
		}
		for range 2 {
			if _, err := directory.SaveUser(tx, d, directory.User{IDPID: "2", State: directory.Inactive}, audit.System, w.clock()); err != nil {
				return err
			}
			if _, err := directory.SaveGroup(tx, d, directory.Group{IDPID: "g", Name: "Builders"}, audit.System, w.clock()); err != nil {
				return err
			}
			if err := directory.Join(tx, d, directory.GroupID(f.group), directory.UserID(f.user), audit.System, w.clock()); err != nil {
				return err
			}
		}
		for range 2 {
			if err := directory.Leave(tx, d, directory.GroupID(f.group), directory.UserID(f.user), audit.System, w.clock()); err != nil {
				return err
			}
		}
		return nil
	})
	same(t, "events", w.eventsSince(at), []string{"dsync.user.updated", "dsync.group.updated", "dsync.group.user_removed"})
	changes, err := w.s.Feed(t.Context(), at, 2)
	if err != nil || !strings.Contains(string(changes[0].Event.Data), `"previous_attributes":{"state":"suspended"}`) || !strings.Contains(string(changes[1].Event.Data), `"previous_attributes":{"name":"Engineering of acme"}`) {
		t.Errorf("%s, %v", changes[0].Event.Data, err)
	}
	if got := w.call("GET /directory_users/{id}", f.other).want(200).get("state"); got != "inactive" {
		t.Errorf("state %s", got)
	}
	same(t, "groups", w.call("GET /directory_groups", "?user="+f.user).want(200).ids(), []string{})
	for _, u := range []directory.User{{State: directory.Active}, {IDPID: "a\nb", State: directory.Active}, {IDPID: strings.Repeat("a", 513), State: directory.Active}, {IDPID: "3"}} {
		if err := w.s.Update(t.Context(), func(tx store.Tx) error {
			_, err := directory.SaveUser(tx, directory.Directory{ID: directory.ID(f.dir), Organization: tenancy.OrgID(acme.org)}, u, audit.System, w.clock())
			return err
		}); err == nil {
			t.Errorf("%+v was taken", u)
		}
	}
}

func TestADeletedDirectoryLeavesMembershipsAlone(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	f := w.feed("acme", acme.org)
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(acme.org))
		if err != nil {
			return err
		}
		o.Managed = map[tenancy.Section]tenancy.Origin{tenancy.SectionDirectory: {File: "orgate.yaml", Line: 7}}
		return tx.PutOrganization(o)
	})
	w.call("DELETE /directories/{id}", f.dir).refused(409, "managed_by_config")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(acme.org))
		if err != nil {
			return err
		}
		o.Managed = nil
		return tx.PutOrganization(o)
	})
	at := w.head()
	w.call("DELETE /directories/{id}", f.dir).want(202)
	same(t, "events", w.eventsSince(at), []string{"dsync.deleted"})
	w.call("DELETE /directories/{id}", f.dir).refused(404, "entity_not_found")
	w.nothingOf(f, acme.org)
	if got := w.call("GET /user_management/organization_memberships/{id}", acme.membership).want(200).get("status"); got != "active" {
		t.Errorf("the membership is %s", got)
	}
}

// nothingOf fails if anything of a directory is left.
func (w *world) nothingOf(f feed, org string) {
	w.t.Helper()
	w.do(func(tx store.Tx) error {
		o, d := tenancy.OrgID(org), directory.ID(f.dir)
		if _, err := tx.Directory(o, d); err == nil {
			w.t.Error("the directory is there")
		}
		for range tx.DirectoryUsers(o, d, tenancy.Place{}) {
			w.t.Error("a user is there")
		}
		for range tx.DirectoryUsersFrom(tenancy.Place{}) {
			w.t.Error("a user is listed")
		}
		for range tx.DirectoryGroups(o, d, tenancy.Place{}) {
			w.t.Error("a group is there")
		}
		for range tx.DirectoryMembersIn(o, d) {
			w.t.Error("a member is there")
		}
		return nil
	})
}

func TestADirectoryWhoseDeletionHasBegunIsNotThereAndIsDeletedAtTheNextStart(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	f := w.feed("acme", acme.org)
	w.do(func(tx store.Tx) error {
		d, err := directory.Open(tx, tenancy.OrgID(acme.org), directory.ID(f.dir))
		if err != nil {
			return err
		}
		for i := range 450 { // more than one step
			if _, err := directory.SaveUser(tx, d, directory.User{IDPID: fmt.Sprint("u", i), State: directory.Active}, audit.System, w.clock()); err != nil {
				return err
			}
		}
		return directory.BeginRemoval(tx, d.Organization, d.ID, audit.System, w.clock())
	})
	w.call("GET /directories/{id}", f.dir).refused(404, "entity_not_found")
	w.call("GET /directory_users/{id}", f.user).refused(404, "entity_not_found")
	w.call("GET /directory_groups/{id}", f.group).refused(404, "entity_not_found")
	for _, list := range []string{"GET /directories", "GET /directory_users", "GET /directory_groups"} {
		same(t, list, w.call(list).want(200).ids(), []string{})
	}
	if err := api.FinishRemovals(t.Context(), w.s, w.clock); err != nil {
		t.Fatal(err)
	}
	w.nothingOf(f, acme.org)
}

func TestDeletingAnOrganizationDeletesItsDirectories(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	f, second := w.feed("acme", acme.org), w.feed("acme2", acme.org)
	w.call("DELETE /organizations/{id}", acme.org).want(202)
	w.nothingOf(f, acme.org)
	w.nothingOf(second, acme.org)
	w.call("GET /organizations/{id}", acme.org).refused(404, "entity_not_found")
}

// The data of these events is the reference's: the answer is held against it.
func TestEventsOfGroupsKeysAndDirectoriesAreThoseOfTheReference(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	w.furnish("acme", &p)
	w.call("PATCH "+oneGroup, p.org, p.group, map[string]any{"name": "x"}).want(200)
	w.call("POST /api_keys/{id}/expire", p.appKey, map[string]any{"expires_at": "2030-01-01T00:00:00Z"}).want(200)
	w.do(func(tx store.Tx) error {
		d, err := directory.Open(tx, tenancy.OrgID(p.org), directory.ID(p.dir))
		if err != nil {
			return err
		}
		if _, err := directory.SaveUser(tx, d, directory.User{IDPID: "2", State: directory.Inactive}, audit.System, w.clock()); err != nil {
			return err
		}
		if _, err := directory.SaveGroup(tx, d, directory.Group{IDPID: "g", Name: "y"}, audit.System, w.clock()); err != nil {
			return err
		}
		return directory.Leave(tx, d, directory.GroupID(p.feed.group), directory.UserID(p.feed.user), audit.System, w.clock())
	})
	w.call("DELETE /directories/{id}", p.dir).want(202)
	w.call("DELETE /api_keys/{id}", p.appKey).want(204)
	w.call("DELETE "+groupMembers+"/{omId}", p.org, p.group, p.membership).want(204)
	w.call("DELETE "+oneGroup, p.org, p.group).want(204)
	for _, name := range []string{
		"group.created", "group.updated", "group.deleted", "group.member_added", "group.member_removed", "api_key.created", "api_key.updated", "api_key.revoked", "dsync.activated", "dsync.deleted",
		"dsync.user.created", "dsync.user.updated", "dsync.group.created", "dsync.group.updated", "dsync.group.user_added", "dsync.group.user_removed",
	} {
		if len(w.call("GET /events", "?limit=100&events="+name).want(200).ids()) == 0 {
			t.Errorf("there is no %s", name)
		}
	}
}
