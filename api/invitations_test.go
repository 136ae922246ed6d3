package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	invitations      = "/user_management/invitations"
	acceptInvitation = "POST " + invitations + "/{id}/accept"
	resendInvitation = "POST " + invitations + "/{id}/resend"
	revokeInvitation = "POST " + invitations + "/{id}/revoke"
)

func (w *world) invite(fields map[string]any) answer {
	w.t.Helper()
	return w.call("POST "+invitations, fields)
}

func TestAnInvitationIsMailedAndItsTokenIsShownThatOnce(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	flo := w.call("POST /user_management/users", map[string]any{"email": "flo@acme.com", "first_name": "Flo"}).want(201).id()
	at := w.head()
	i := w.invite(map[string]any{"email": "JO@else.test", "organization_id": org, "role_slug": "admin", "expires_in_days": 3, "inviter_user_id": flo, "locale": "de-DE"}).want(201)
	same(t, "events", w.eventsSince(at), []string{audit.UserCreated, audit.MembershipCreated, audit.InvitationCreated})
	link := "https://login.example.com/invitations/" + i.get("token")
	if i.get("email") != "jo@else.test" || i.get("state") != "pending" || i.get("role_slug") != "admin" || i.get("inviter_user_id") != flo || i.get("organization_id") != org ||
		len(i.get("token")) != 43 || i.get("accept_invitation_url") != link {
		t.Errorf("made %s", i.body)
	}
	if expires, err := time.Parse(time.RFC3339, i.get("expires_at")); err != nil || expires.Sub(w.now).Round(time.Hour) != 72*time.Hour {
		t.Errorf("until %s", i.get("expires_at"))
	}
	if len(w.mails) != 1 || w.mails[0].URL != link || w.mails[0].Host != "de to jo@else.test" || w.mails[0].Inviter != "Flo" || w.mails[0].Organization != "Acme" {
		t.Errorf("mailed %+v", w.mails)
	}
	for _, a := range []answer{w.call("GET "+invitations+"/{id}", i.id()).want(200), w.call("GET " + invitations).want(200), w.call("GET /events").want(200)} {
		if text := string(a.body); strings.Contains(text, i.get("token")) || !strings.Contains(text, i.id()) {
			t.Errorf("%s: %s", a.asked, text)
		}
	}
	// Who has the token is told what it is of.
	byToken := w.call("GET "+invitations+"/by_token/{token}", i.get("token")).want(200)
	if byToken.id() != i.id() || byToken.get("token") != i.get("token") || byToken.get("accept_invitation_url") != link {
		t.Errorf("by token %s", byToken.body)
	}
	for _, token := range []string{"x", i.get("token")[1:], strings.Repeat("A", 43)} {
		w.call("GET "+invitations+"/by_token/{token}", token).refused(404, "entity_not_found")
	}
	if strings.Contains(w.log.String(), i.get("token")) {
		t.Error("the log has the token")
	}
}

func TestAnInvitationIsRefusedInTheWordsOfTheReference(t *testing.T) {
	w := newWorld(t)
	acme := w.place("acme")
	w.invitedTo("acme", acme)
	gone := w.call("POST /user_management/users", map[string]any{"email": "gone@acme.com", "email_verified": true}).want(201).id()
	m := w.call("POST /user_management/organization_memberships", map[string]any{"user_id": gone, "organization_id": acme.org}).want(201).id()
	w.call("PUT /user_management/organization_memberships/{id}/deactivate", m).want(200)
	w.invite(map[string]any{"email": "app@x.com"}).want(201)
	suspended := w.organizationNamed("closed")
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(suspended))
		o.Suspended = true
		if err != nil {
			return err
		}
		return tx.PutOrganization(o)
	})
	at := w.head()
	for _, c := range []struct {
		body   map[string]any
		status int
		code   string
	}{
		{map[string]any{"email": "new@acme.com", "organization_id": acme.org}, 400, "email_already_invited_to_organization"},
		{map[string]any{"email": "jo@acme.com", "organization_id": acme.org}, 400, "user_already_organization_member"},
		{map[string]any{"email": "gone@acme.com", "organization_id": acme.org}, 400, "user_already_organization_member"},
		{map[string]any{"email": "app@x.com"}, 400, "email_already_invited"},
		{map[string]any{"email": "gone@acme.com"}, 400, "user_already_exists"},
		{map[string]any{"email": "a@x.com", "expires_in_days": 0}, 400, "expires_in_days_too_short"},
		{map[string]any{"email": "a@x.com", "expires_in_days": 31}, 400, "expires_in_days_too_long"},
		{map[string]any{"email": "a@x.com", "organization_id": acme.org, "role_slug": "king"}, 400, "invalid_role"},
		{map[string]any{"email": "a@x.com", "role_slug": "member"}, 400, "invalid_role"},
		{map[string]any{"email": "a@x.com", "organization_id": suspended}, 400, "organization_blocked_from_sending_invites"},
		{map[string]any{"email": "a@x.com", "organization_id": "org_0"}, 404, "entity_not_found"},
		{map[string]any{"email": "a@x.com", "inviter_user_id": "user_0"}, 404, "entity_not_found"},
		{map[string]any{}, 422, "invalid_request_parameters"},
		{map[string]any{"email": "no address"}, 422, "invalid_request_parameters"},
		{map[string]any{"email": "a@x.com", "expires_in_days": 1.5}, 422, "invalid_request_parameters"},
		{map[string]any{"email": "a@x.com", "expires_in_days": "3"}, 422, "invalid_request_parameters"},
		{map[string]any{"email": "a@x.com", "locale": "de,en;q=0.5"}, 422, "invalid_request_parameters"},
	} {
		w.invite(c.body).refused(c.status, c.code)
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

// What no mail could tell, or too many would, is no invitation, or the caller's to send.
func TestWhereNoMailIsSentTheCallerSendsTheLinkAndNobodyIsFlooded(t *testing.T) {
	w := newWorld(t)
	w.noMail = true
	i := w.invite(map[string]any{"email": "jo@else.test"}).want(201)
	if len(w.mails) > 0 || i.get("accept_invitation_url") == "" || i.get("role_slug") != "" {
		t.Errorf("%s", i.body)
	}
	w.noMail = false
	for range 10 {
		w.call(resendInvitation, i.id(), map[string]any{}).want(200)
	}
	at := w.head()
	if a := w.call(resendInvitation, i.id()).refused(429, "rate_limit_exceeded"); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
}

func TestInvitationsAreListedByAddressAndOrganizationInEveryState(t *testing.T) {
	w := newWorld(t)
	acme, globex := w.organizationNamed("acme"), w.organizationNamed("globex")
	one := w.invite(map[string]any{"email": "jo@x.com", "organization_id": acme}).want(201).id()
	two := w.invite(map[string]any{"email": "jo@x.com", "organization_id": globex}).want(201).id()
	three := w.invite(map[string]any{"email": "flo@x.com", "organization_id": acme}).want(201).id()
	app := w.invite(map[string]any{"email": "jo@x.com"}).want(201).id()
	w.call(revokeInvitation, one).want(200)
	for query, want := range map[string][]string{
		"":                                     {app, three, two, one},
		"?order=asc&limit=2":                   {one, two},
		"?order=asc&limit=2&after=" + two:      {three, app},
		"?before=" + two:                       {app, three},
		"?email=JO@x.com":                      {app, two, one},
		"?email=jo@x.com&limit=1&after=" + two: {one},
		"?organization_id=" + acme:             {three, one},
		"?organization_id=" + acme + "&email=jo@x.com": {one},
		"?organization_id=org_0":                       {},
		"?email=nonsense":                              {},
	} {
		same(t, query, w.call("GET "+invitations, query).want(200).ids(), want)
	}
	w.call("GET "+invitations, "?state=pending").refused(422, "invalid_request_parameters")
	w.call("GET "+invitations, "?after=om_1").refused(422, "invalid_request_parameters")
	w.later(8 * 24 * time.Hour)
	same(t, "states", w.call("GET "+invitations, "?order=asc").ids("state"), []string{"revoked", "expired", "expired", "expired"})
	w.call("DELETE /organizations/{id}", acme).want(202)
	w.call("GET "+invitations+"/{id}", three).refused(404, "entity_not_found")
}

func TestAnInvitationIsSentAgainWithAnotherTokenAndTakenBackOnce(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	i := w.invite(map[string]any{"email": "jo@x.com", "organization_id": org}).want(201)
	at := w.head()
	again := w.call(resendInvitation, i.id(), map[string]any{"locale": "fr"}).want(200)
	same(t, "events", w.eventsSince(at), []string{audit.InvitationResent})
	if again.get("token") == i.get("token") || again.get("token") == "" || len(w.mails) != 2 || w.mails[1].URL != again.get("accept_invitation_url") {
		t.Errorf("sent again %s", again.body)
	}
	w.call("GET "+invitations+"/by_token/{token}", i.get("token")).refused(404, "entity_not_found")
	at = w.head()
	if a := w.call(revokeInvitation, i.id()).want(200); a.get("state") != "revoked" || a.get("revoked_at") == "" {
		t.Errorf("revoked %s", a.body)
	}
	same(t, "events", w.eventsSince(at), []string{audit.InvitationRevoked, audit.MembershipDeleted})
	w.call("GET "+invitations+"/by_token/{token}", again.get("token")).refused(404, "entity_not_found")
	w.call(revokeInvitation, i.id()).refused(400, "invite_not_pending")
	w.call(resendInvitation, i.id()).refused(400, "invite_revoked")
	w.call(acceptInvitation, i.id()).refused(400, "invite_not_pending")
	w.call(revokeInvitation, "invitation_0").refused(404, "entity_not_found")
	w.call(revokeInvitation, i.id(), map[string]any{"force": true}).refused(422, "invalid_request_parameters")

	late := w.invite(map[string]any{"email": "late@x.com", "organization_id": org, "expires_in_days": 1}).want(201).id()
	w.later(25 * time.Hour)
	w.call(resendInvitation, late).refused(400, "invite_expired")
	w.call(acceptInvitation, late).refused(400, "invite_not_pending")
	w.call(revokeInvitation, late).refused(400, "invite_not_pending")
}

func TestAnInvitationOfAnInviterWhoseAccountIsGoneIsSentAgainInNobodysName(t *testing.T) {
	w := newWorld(t)
	p := w.place("acme")
	i := w.invite(map[string]any{"email": "kim@x.com", "organization_id": p.org, "inviter_user_id": p.user}).want(201).id()
	w.call("DELETE /user_management/users/{id}", p.user).want(200)
	if a := w.call("GET "+invitations+"/{id}", i).want(200); a.get("inviter_user_id") != p.user {
		t.Errorf("%s", a.body)
	}
	if a := w.call(resendInvitation, i).want(200); a.get("inviter_user_id") != "" || a.get("state") != "pending" || w.mails[1].Inviter != "" {
		t.Errorf("sent again %s", a.body)
	}
}

// TestTheAPIAcceptsForWhoeverHasProvedTheAddressOnly: the API has seen no proof, so there must have been one.
func TestTheAPIAcceptsForWhoeverHasProvedTheAddressOnly(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	i := w.invite(map[string]any{"email": "jo@x.com", "organization_id": org}).want(201).id()
	app := w.invite(map[string]any{"email": "nobody@x.com"}).want(201).id()
	at := w.head()
	w.call(acceptInvitation, i).refused(400, "invalid_invite")
	w.call(acceptInvitation, app).refused(400, "invalid_invite")
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("events %q", n)
	}
	jo := w.call("GET /user_management/users", "?email=jo@x.com").ids()[0]
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"email_verified": true}).want(200)
	at = w.head()
	a := w.call(acceptInvitation, i, map[string]any{}).want(200)
	if a.get("state") != "accepted" || a.get("accepted_user_id") != jo || a.get("accepted_at") == "" || a.get("token") != "" || a.get("accept_invitation_url") != "" {
		t.Errorf("accepted %s", a.body)
	}
	same(t, "events", w.eventsSince(at), []string{audit.MembershipUpdated, audit.InvitationAccepted})
	same(t, "status", w.call("GET /user_management/organization_memberships", "?user_id="+jo).ids("status"), []string{"active"})
	changes, err := w.s.Feed(t.Context(), at, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if c.Event.Actor.Type != "api_key" {
			t.Errorf("%s by %+v", c.Event.Name, c.Event.Actor)
		}
	}
	w.call(acceptInvitation, i).refused(400, "invite_not_pending")
	w.call(resendInvitation, i).refused(400, "invite_accepted")
	if a := w.call("GET "+invitations+"/{id}", i).want(200); a.get("role_slug") != "member" {
		t.Errorf("%s", a.body)
	}

	// Another address since is another's invitation.
	k := w.invite(map[string]any{"email": "kim@x.com", "organization_id": org}).want(201).id()
	kim := w.call("GET /user_management/users", "?email=kim@x.com").ids()[0]
	w.call("PUT /user_management/users/{id}", kim, map[string]any{"email": "other@x.com", "email_verified": true}).want(200)
	w.call("POST /user_management/users", map[string]any{"email": "kim@x.com", "email_verified": true}).want(201)
	w.call(acceptInvitation, k).refused(400, "invalid_invite")
}

// A key for one organization could invite anybody: that must tell it nothing of who they are, and make nobody a member.
func TestAKeyOfOneOrganizationLearnsNothingOfWhomItInvites(t *testing.T) {
	w := newWorld(t)
	org := w.organizationNamed("Acme")
	jo := w.call("POST /user_management/users", map[string]any{"email": "jo@x.com", "first_name": "Joanna", "external_id": "e1", "email_verified": true, "metadata": map[string]any{"k": "Joanna"}}).want(201).id()
	key := w.key(session.APIKey{Name: "acme", Organization: tenancy.OrgID(org)})
	w.as(key, "POST "+invitations, map[string]any{"email": "a@x.com"}).refused(403, "forbidden")
	w.as(key, "POST "+invitations, map[string]any{"email": "a@x.com", "organization_id": org, "inviter_user_id": jo}).refused(404, "entity_not_found")
	i := w.as(key, "POST "+invitations, map[string]any{"email": "jo@x.com", "organization_id": org}).want(201).id()
	w.as(key, acceptInvitation, i).refused(403, "forbidden")
	w.as(key, "GET /user_management/users/{id}", jo).refused(404, "entity_not_found")
	w.as(key, "POST /user_management/organization_memberships", map[string]any{"user_id": jo, "organization_id": org}).refused(404, "entity_not_found")
	same(t, "users", w.as(key, "GET /user_management/users").want(200).ids(), []string{})
	same(t, "users", w.as(key, "GET /user_management/users", "?email=jo@x.com").want(200).ids(), []string{})
	list := w.as(key, "GET /user_management/organization_memberships", fmt.Sprintf("?organization_id=%s&statuses=pending", org)).want(200)
	if text := string(list.body); len(list.ids()) != 1 || strings.Contains(text, "Joanna") || strings.Contains(text, "e1") {
		t.Errorf("pending: %s", text)
	}
	w.call(acceptInvitation, i).want(200)
	if a := w.as(key, "GET /user_management/users/{id}", jo).want(200); a.get("first_name") != "Joanna" {
		t.Errorf("a member: %s", a.body)
	}
	app := w.invite(map[string]any{"email": "app@x.com"}).want(201)
	w.as(key, "GET "+invitations+"/{id}", app.id()).refused(404, "entity_not_found")
	w.as(key, "GET "+invitations+"/by_token/{token}", app.get("token")).refused(404, "entity_not_found")
	same(t, "invitations", w.as(key, "GET "+invitations).ids(), []string{i})
}

// An answer with a token is kept for who asks again, and whoever reads the store does not find it.
func TestASecretThatIsToldAgainIsKeptSealed(t *testing.T) {
	w := newWorld(t)
	const body = `{"email":"jo@x.com"}`
	status, first := w.named(w.secret, "n1", invitations, body)
	again, second := w.named(w.secret, "n1", invitations, body)
	if status != 201 || again != 201 || first != second || len(w.mails) != 1 {
		t.Fatalf("%d %s, %d %s, %d mails", status, first, again, second, len(w.mails))
	}
	_, token, _ := strings.Cut(w.mails[0].URL, "/invitations/")
	var dump strings.Builder
	if _, err := w.s.Backup(t.Context(), &dump); err != nil {
		t.Fatal(err)
	}
	w.do(func(tx store.Tx) error {
		for k, err := range tx.APIKeys() {
			if err != nil {
				return err
			}
			r, err := tx.Replay(k.ID, session.Hash(hashOf("n1")))
			if err != nil {
				return err
			}
			dump.Write(r.Body)
		}
		return nil
	})
	if token == "" || !strings.Contains(first, token) || strings.Contains(dump.String(), token) {
		t.Error("the token is in the store")
	}
}
