package sso_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const guest = "guest@elsewhere.test"

// An invited is an invitation and where its link leads.
type invited struct {
	tenancy.Invitation
	token, link string
}

func (w *world) invite(n tenancy.NewInvitation) (i invited) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		inv, token, err := tenancy.Invite(tx, w.rules, n, audit.System, w.clock.Now())
		i = invited{inv, token.Reveal(), w.login("/invitations/" + token.Reveal())}
		return err
	})
	return i
}

// to invites an address to an organization.
func (w *world) inviteTo(slug, email string) invited {
	w.t.Helper()
	return w.invite(tenancy.NewInvitation{Email: email, Organization: org(slug)})
}

func (w *world) invitation(i invited) (now tenancy.Invitation) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) { now, err = tx.Invitation(i.ID); return err })
	return now
}

// wantState fails the test unless the invitation is in that state, and the membership in that one.
func (w *world) wantState(i invited, state tenancy.InvitationState, standing policy.Standing) {
	w.t.Helper()
	if got := w.invitation(i).State(w.clock.Now()); got != state {
		w.t.Errorf("the invitation is %s, want %s", got, state)
	}
	if i.Organization == "" {
		return
	}
	var m tenancy.Membership
	w.view(func(tx store.Tx) error { m, _ = tx.Membership(i.Organization, i.User); return nil })
	if m.Status != standing {
		w.t.Errorf("the membership is %s, want %s", m.Status, standing)
	}
}

// signedIn is a browser in which the person of an address has signed in by a code.
func (w *world) signedIn(box *postbox, email string) *user {
	w.t.Helper()
	u := w.browser().get(w.login("/sign-in")).submit(map[string]string{"email": email})
	if strings.Contains(u.p.Text, "E-mail me a code") {
		u.press("E-mail me a code")
	}
	return u.submit(map[string]string{"code": box.code(w.t, email)})
}

func TestAnInvitedStrangerProvesTheAddressAndIsAMember(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	i := w.inviteTo("hooli", guest)

	// Programs that read mail open links; people look twice.
	u := w.browser()
	for range 3 {
		u.get(i.link).sees(http.StatusOK, "You are invited to Hooli", guest, "Accept the invitation")
	}
	if p, err := u.Fetch(look(t, http.MethodHead, i.link, "")); err != nil || p.Status != http.StatusOK {
		t.Errorf("HEAD: %v, %v", p, err)
	}
	if got := u.p.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy is %q", got)
	}
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	if n := len(box.to(guest)); n != 0 {
		t.Errorf("%d mails by looking", n)
	}

	u.press("Accept the invitation").sees(http.StatusOK, "Enter the code")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	u.submit(map[string]string{"code": box.code(t, guest)}).inApp("hooli", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
	if n := len(w.events(audit.InvitationAccepted)); n != 1 {
		t.Errorf("%d events", n)
	}
	// The link works once, for its owner too.
	u.get(i.link).sees(http.StatusNotFound, "This invitation can't be used", "If you have accepted it before, sign in")
	if strings.Contains(w.log.String(), i.token) {
		t.Error("the token is in the log")
	}
	for _, hop := range u.p.Trail {
		if strings.Contains(hop.URL.RawQuery, i.token) {
			t.Errorf("the token went on to %s", hop.URL)
		}
	}
}

var stepValue = regexp.MustCompile(`step(?:=|" value=")[A-Za-z0-9_-]+`)

func look(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

func TestWhoIsSignedInAcceptsByOneClick(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	w.member("other", guest, policy.Active)
	u := w.signedIn(box, guest).inApp("other", guest)
	i := w.inviteTo("hooli", guest)
	mails := len(box.to(guest))
	u.get(i.link).sees(http.StatusOK, "You are invited to Hooli").press("Accept the invitation").inApp("hooli", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
	if n := len(box.to(guest)) - mails; n != 0 {
		t.Errorf("%d more mails", n)
	}
}

func TestWhoIsSignedInAsAnotherIsAskedToUseTheInvitedAccount(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	w.member("other", "mallory@evil.test", policy.Active)
	u := w.signedIn(box, "mallory@evil.test").inApp("other", "mallory@evil.test")
	i := w.inviteTo("hooli", guest)

	u.get(i.link).sees(http.StatusOK, "You are signed in as mallory@evil.test. This invitation is for another address.", "Stay signed in as you are")
	// What the page does not offer accepts nothing either.
	p, err := u.Fetch(look(t, http.MethodPost, i.link, "another="))
	if err != nil || p.Status != http.StatusOK || !strings.Contains(p.Text, "This invitation is for another address") {
		t.Fatalf("%+v, %v", p, err)
	}
	w.wantState(i, tenancy.InvitationPending, policy.Pending)

	u.press("Use the invited account").sees(http.StatusOK, "Enter the code")
	// Nothing is lost before the proof.
	u.tab().get(w.at("other", "/")).inApp("other", "mallory@evil.test")
	u.submit(map[string]string{"code": box.code(t, guest)}).inApp("hooli", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
	for m, err := range w.members("hooli") {
		if err != nil || m.User != i.User {
			t.Errorf("%+v is a member", m)
		}
	}
}

func (w *world) members(slug string) (seq func(func(tenancy.Membership, error) bool)) {
	w.view(func(tx store.Tx) error {
		var all []tenancy.Membership
		for m, err := range tx.Members(org(slug)) {
			if err != nil {
				return err
			}
			all = append(all, m)
		}
		seq = func(yield func(tenancy.Membership, error) bool) {
			for _, m := range all {
				if !yield(m, nil) {
					return
				}
			}
		}
		return nil
	})
	return seq
}

func TestAnInvitationIsNotAcceptedByAnotherAddressOfTheSameProvider(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", func(o *tenancy.Organization) { o.JITSSO = false }, person("alice", "acme.test"), person("bob", "acme.test"))
	w.organization("evil", nil, person("alice", "acme.test"))
	i := w.inviteTo("acme", "alice@acme.test")
	u := w.browser().get(i.link).press("Accept the invitation").sees(http.StatusOK, "Who do you want to be")
	u.as("bob").sees(http.StatusForbidden, "This invitation is for another address", "bob@acme.test")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	if c := w.census("acme"); c.memberships != 0 {
		t.Errorf("the store has %+v", c)
	}
	// Another organization's provider says that it is Alice.
	w.browser().to("evil", "/", "x@evil.test").as("alice").sees(http.StatusForbidden, "not one that Evil can vouch for")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)

	w.browser().get(i.link).press("Accept the invitation").as("alice").inApp("acme", "alice@acme.test")
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
}

func TestTheDomainPolicyOfTheInvitedHoldsElsewhereToo(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", func(o *tenancy.Organization) { o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)} }, person("alice", "acme.test"))
	w.startup("hooli", func(*tenancy.Organization) {})
	i := w.inviteTo("hooli", "alice@acme.test")
	u := w.browser().get(i.link).press("Accept the invitation").sees(http.StatusOK, "Who do you want to be")
	if n := len(box.to("alice@acme.test")); n != 0 {
		t.Errorf("%d mails", n)
	}
	u.as("alice").inApp("hooli", "alice@acme.test")
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
}

func TestAGuestAcceptsAfterTheSecondFactorAndNotBefore(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA)
	i := w.inviteTo("acme", guest)
	u := w.browser().get(i.link).press("Accept the invitation").press("E-mail me a code")
	u.submit(map[string]string{"code": box.code(t, guest)}).sees(http.StatusOK, "second factor")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	u.follow("Authenticator app")
	code := u.app()
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")
	w.wantState(i, tenancy.InvitationAccepted, policy.Active) // in the transaction of the last proof
	u.press(u.p.Forms[0].Buttons[0].Label).inApp("acme", guest)
}

// A provider does not prove the address of a guest: the address is proved first, and then the
// organization's own policy is asked.
func TestAGuestOfAnOrganizationWithSSOAloneProvesTheAddressFirst(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	}, person("guest", "elsewhere.test"), person("alice", "acme.test"))
	i := w.inviteTo("acme", guest)
	u := w.browser().get(i.link).press("Accept the invitation").sees(http.StatusOK, "Enter the code")
	u.submit(map[string]string{"code": box.code(t, guest)}).sees(http.StatusOK, "Who do you want to be")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	u.as("guest").inApp("acme", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
}

// Whoever comes by the provider first is confined to the organization, and has not proved the
// address: no provider makes a person a member who has not agreed.
func TestAnOrganizationsProviderAcceptsForNoGuest(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", nil, person("guest", "elsewhere.test"))
	i := w.inviteTo("acme", guest)
	u := w.browser().to("acme", "/", "x@acme.test").press("Continue with acme-okta").as("guest").sees(http.StatusForbidden, "Your invitation is waiting", "Open the link in the invitation")
	if strings.Contains(u.p.Body, string(i.ID)) {
		t.Error("it can be accepted from there")
	}
	u.get(i.link).press("Accept the invitation")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	if strings.Contains(u.p.Text, "E-mail me a code") {
		u.press("E-mail me a code")
	}
	u.submit(map[string]string{"code": box.code(t, guest)}).inApp("acme", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
}

// Nor does it for somebody whose address was proved long ago: whoever runs the provider has the
// link too, if they invite, and would make a member of anybody, who could then join no other.
func TestAProviderThatSaysItIsSomebodyElsesGuestAcceptsNothing(t *testing.T) {
	_, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", nil, person("guest", "elsewhere.test"))
	w.startup("other", func(*tenancy.Organization) {})
	w.member("other", guest, policy.Active)
	i := w.inviteTo("acme", guest)
	u := w.browser().to("acme", "/", "x@acme.test").press("Continue with acme-okta").as("guest").sees(http.StatusForbidden, "Your invitation is waiting")
	u.get(i.link).press("Accept the invitation")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	if p, err := u.Fetch(look(t, http.MethodPost, w.login("/invitations"), "invitation="+string(i.ID))); err != nil || p.Status != http.StatusNotFound {
		t.Errorf("from the list: %+v, %v", p, err)
	}
	u.get(w.at("acme", "/")).sees(http.StatusForbidden)
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
}

// An address on somebody's domain may be somebody else's by now. Without the link, which went
// there, the list is for whoever has proved it in this session.
func TestWithoutTheLinkAnAddressOnAnOwnedDomainIsProvedAnew(t *testing.T) {
	box, offer := local(policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	const gavin, chosen = "gavin@hooli.test", "four words in a row"
	i := w.inviteTo("other", gavin)
	b := base64.RawStdEncoding
	salt := []byte("sixteen bytes of")
	hash := fmt.Sprintf("$argon2id$v=19$m=8192,t=1,p=1$%s$%s", b.EncodeToString(salt), b.EncodeToString(argon2.IDKey([]byte(chosen), salt, 1, 8192, 1, 32)))
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		if err := tx.PutUser(tenancy.User{ID: i.User, Email: gavin, EmailVerified: true, CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.PutPassword(factor.Password{User: i.User, Hash: hash, CreatedAt: now, UpdatedAt: now})
	})
	u := w.browser().get(w.login("/sign-in")).submit(map[string]string{"email": gavin}).press("Use your password")
	u.submit(map[string]string{"password": chosen}).sees(http.StatusForbidden, "You are not a member of any organization")
	u.get(w.login("/invitations")).sees(http.StatusOK, "No invitation is waiting")
	if p, err := u.Fetch(look(t, http.MethodPost, w.login("/invitations"), "invitation="+string(i.ID))); err != nil || p.Status != http.StatusNotFound {
		t.Errorf("%+v, %v", p, err)
	}
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	w.signedIn(box, gavin).sees(http.StatusForbidden, "Your invitation is waiting").press("Accept").inApp("other", gavin)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
}

func TestALinkThatIsNoGoodIsTheSamePageWhateverTheReason(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("gone", func(*tenancy.Organization) {})
	revoked, resent, used, suspended := w.inviteTo("hooli", "a@elsewhere.test"), w.inviteTo("hooli", "b@elsewhere.test"), w.inviteTo("hooli", guest), w.inviteTo("gone", guest)
	removed := w.inviteTo("hooli", "c@elsewhere.test")
	w.member("hooli", "boss@hooli.test", policy.Active)
	inviterGone := w.invite(tenancy.NewInvitation{Email: "d@elsewhere.test", Organization: org("hooli"), Inviter: "user_boss@hooli.test"})
	expired := w.invite(tenancy.NewInvitation{Email: "e@elsewhere.test", Organization: org("hooli"), ExpiresInDays: new(1)})
	w.browser().get(used.link).press("Accept the invitation").submit(map[string]string{"code": box.code(t, guest)}).inApp("hooli", guest)
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		if _, err := tenancy.RevokeInvitation(tx, revoked.ID, audit.System, now); err != nil {
			return err
		}
		if _, _, err := tenancy.ResendInvitation(tx, resent.ID, audit.System, now); err != nil {
			return err
		}
		if err := tenancy.Suspend(tx, org("gone"), audit.System, now); err != nil {
			return err
		}
		if err := tenancy.DeactivateMembership(tx, org("hooli"), "user_boss@hooli.test", audit.System, now); err != nil {
			return err
		}
		return tenancy.RemoveMembership(tx, org("hooli"), removed.User, audit.System, now)
	})
	// One second before its end it is good, and from then on it is not.
	w.clock.Advance(expired.ExpiresAt.Sub(w.clock.Now()) - time.Second)
	w.browser().get(expired.link).sees(http.StatusOK, "You are invited to Hooli")
	w.clock.Advance(time.Second)

	good := w.inviteTo("hooli", "f@elsewhere.test")
	forged := []byte(good.token)
	forged[10] ^= 1
	links := map[string]string{
		"revoked": revoked.link, "sent anew": resent.link, "used": used.link, "suspended": suspended.link, "removed": removed.link, "inviter gone": inviterGone.link, "expired": expired.link,
		"forged": w.login("/invitations/" + string(forged)), "an id": w.login("/invitations/" + string(good.ID)), "short": w.login("/invitations/x"),
		"longer": good.link + "A", "blank": w.login("/invitations/%20"), "a session's": w.login("/invitations/" + session.NewToken().Reveal()), "a hash": w.login("/invitations/" + good.Token),
	}
	want := ""
	for name, link := range links {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			body := ""
			if method == http.MethodPost {
				body = "another=1"
			}
			p, err := w.browser().Fetch(look(t, method, link, body))
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprint(p.Status, volatile.ReplaceAllString(p.Body, ""))
			if want == "" {
				want = got
			}
			if got != want || p.Status != http.StatusNotFound {
				t.Errorf("%s %s tells itself from the others:\n%s\n%s", method, name, got, want)
			}
		}
	}
	for _, secret := range []string{good.token, revoked.token, expired.token} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("a token is in the log")
		}
	}
}

func TestAnInvitationThatIsTakenBackInTheMiddleAdmitsNobody(t *testing.T) {
	for name, change := range map[string]func(w *world, i invited){
		"revoked": func(w *world, i invited) {
			w.update(func(tx store.Tx) error {
				_, err := tenancy.RevokeInvitation(tx, i.ID, audit.System, w.clock.Now())
				return err
			})
		},
		"expired": func(w *world, i invited) {
			w.update(func(tx store.Tx) error { x := i.Invitation; x.ExpiresAt = w.clock.Now(); return tx.PutInvitation(x) })
		},
		"suspended": func(w *world, i invited) {
			w.update(func(tx store.Tx) error { return tenancy.Suspend(tx, i.Organization, audit.System, w.clock.Now()) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			box, offer := local(policy.EmailCode)
			w := newWorld(t, offer)
			w.startup("hooli", func(*tenancy.Organization) {})
			i := w.inviteTo("hooli", guest)
			u := w.browser().get(i.link).press("Accept the invitation").sees(http.StatusOK, "Enter the code")
			change(w, i)
			u.submit(map[string]string{"code": box.code(t, guest)}).sees(http.StatusNotFound, "This invitation can't be used")
			if c := w.census("hooli"); c.memberships != 0 || len(w.events(audit.InvitationAccepted)) != 0 {
				t.Errorf("the store has %+v", c)
			}
		})
	}
}

func TestWithSignUpByInvitationAnInvitationIsWhatMakesAnAccount(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { w.rules.InvitationOnly = true; o.Rules = w.rules })
	w.startup("hooli", func(*tenancy.Organization) {})
	i := w.invite(tenancy.NewInvitation{Email: guest})
	pages := map[string]string{}
	for _, email := range []string{guest, "stranger@elsewhere.test"} {
		u := w.browser().get(w.login("/sign-in")).submit(map[string]string{"email": email})
		if strings.Contains(u.p.Text, "E-mail me a code") {
			u.press("E-mail me a code")
		}
		body := volatile.ReplaceAllString(strings.ReplaceAll(u.p.Body, email, "EMAIL"), "")
		pages[email] = strings.ReplaceAll(stepValue.ReplaceAllString(body, "STEP"), url.QueryEscape(email), "EMAIL")
	}
	if pages[guest] != pages["stranger@elsewhere.test"] {
		t.Errorf("the page tells who is invited:\n%s\n%s", pages[guest], pages["stranger@elsewhere.test"])
	}
	if m := box.to("stranger@elsewhere.test"); len(m) != 1 || m[0].About() != "no_account" {
		t.Errorf("the stranger is mailed %v", m)
	}
	u := w.browser().get(i.link).sees(http.StatusOK, "You are invited to login.localhost").press("Accept the invitation").sees(http.StatusOK, "Enter the code")
	u.submit(map[string]string{"code": box.code(t, guest)}).sees(http.StatusOK, "Your account", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.NoMember)

	j := w.inviteTo("hooli", "new@elsewhere.test")
	v := w.browser().get(j.link).press("Accept the invitation")
	v.submit(map[string]string{"code": box.code(t, "new@elsewhere.test")}).inApp("hooli", "new@elsewhere.test")
	w.wantState(j, tenancy.InvitationAccepted, policy.Active)
}

func TestWhereOneWorkspaceIsTheMostTheSecondInvitationIsRefused(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { w.rules.SingleWorkspace = true; o.Rules = w.rules })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	w.member("other", guest, policy.Active)
	i := w.inviteTo("hooli", guest)
	u := w.browser().get(i.link).press("Accept the invitation")
	u.submit(map[string]string{"code": box.code(t, guest)}).sees(http.StatusForbidden, "You are a member of another organization already")
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	// The proof is kept, and so is the invitation for when there is room.
	u.get(w.at("other", "/")).inApp("other", guest)
	w.update(func(tx store.Tx) error { return tenancy.LeaveOrganization(tx, org("other"), i.User, w.clock.Now()) })
	u.get(i.link).press("Accept the invitation").inApp("hooli", guest)
}

func TestALinkBringsBackNobodyWhoWasDeactivated(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	i := w.inviteTo("hooli", guest)
	u := w.browser().get(i.link).press("Accept the invitation")
	u.submit(map[string]string{"code": box.code(t, guest)}).inApp("hooli", guest)
	w.update(func(tx store.Tx) error {
		return session.Deactivate(tx, org("hooli"), i.User, audit.System, w.clock.Now())
	})
	u.get(i.link).sees(http.StatusNotFound, "This invitation can't be used")
	u.get(w.at("hooli", "/")).sees(http.StatusForbidden, "Your access to Hooli has ended")
	w.wantState(i, tenancy.InvitationAccepted, policy.Inactive)
}

func TestWhoHasAnInvitationFindsItWhereverTheySignIn(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	i, j := w.inviteTo("hooli", guest), w.inviteTo("other", guest)
	// At the login host.
	u := w.signedIn(box, guest).sees(http.StatusForbidden, "Your invitation is waiting", "Hooli", "Other")
	if strings.Contains(u.p.Body, i.token) || strings.Contains(u.p.Body, i.Token) {
		t.Error("the token is on the page")
	}
	u.submit(map[string]string{"invitation": "invitation_none"}).sees(http.StatusNotFound, "This invitation can't be used")
	u.get(w.login("/invitations")).sees(http.StatusOK, "Hooli", "Other").submit(map[string]string{"invitation": string(i.ID)}).inApp("hooli", guest)
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
	w.wantState(j, tenancy.InvitationPending, policy.Pending) // a click for each
	u.get(w.login("/organizations")).press("You have invitations that are waiting").sees(http.StatusOK, "Other")
	// At the tenant host, and back to the path that was asked for.
	u.get(w.at("other", "/plans")).sees(http.StatusForbidden, "Your invitation is waiting").press("Accept").inApp("other", guest).sees(http.StatusOK, "at /plans")
	w.wantState(j, tenancy.InvitationAccepted, policy.Active)
	u.get(w.login("/invitations")).sees(http.StatusOK, "No invitation is waiting for "+guest)
}

func TestTheClickOfOneBrowserAcceptsNothingInAnother(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	victim := w.signedIn(box, guest)
	i := w.inviteTo("hooli", guest)
	// Whoever invites may have the link, clicks, and has the victim open the page behind it.
	attacker := w.browser().get(i.link).press("Accept the invitation").sees(http.StatusOK, "Enter the code")
	for _, path := range []string{"/sign-in", "/sign-in/code", "/sign-in/ways", "/sign-in/second"} {
		victim.get(w.login(path+"?"+attacker.p.URL.RawQuery)).sees(http.StatusBadRequest, "Open the link in the invitation once more")
		victim.get(w.login(path + "?invitation=" + string(i.ID))).sees(http.StatusBadRequest)
	}
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	// Nor does a form on another site.
	for _, link := range []string{i.link, w.login("/invitations")} {
		r := look(t, http.MethodPost, link, "another=&invitation="+string(i.ID))
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if p, err := victim.Fetch(r); err != nil || p.Status != http.StatusForbidden {
			t.Errorf("%s: %v, %v", link, p, err)
		}
	}
	w.wantState(i, tenancy.InvitationPending, policy.Pending)
	// And of the right browser, not for ever.
	w.clock.Advance(61 * time.Minute)
	attacker.get(w.login("/sign-in?"+attacker.p.URL.RawQuery)).sees(http.StatusBadRequest, "Open the link in the invitation once more")
}

func TestATokenOfOneOrganizationOpensNoOther(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("other", func(*tenancy.Organization) {})
	i, j := w.inviteTo("hooli", guest), w.inviteTo("other", guest)
	u := w.browser().get(i.link + "?" + w.request("other", "/").Encode()).press("Accept the invitation")
	u.submit(map[string]string{"code": box.code(t, guest)}).inApp("hooli", guest)
	w.wantState(j, tenancy.InvitationPending, policy.Pending)
	// A click for one, on the way to another.
	u.get(j.link)
	var clicked url.Values
	v := w.browser().get(j.link).press("Accept the invitation")
	clicked = v.p.URL.Query()
	q := w.request("hooli", "/")
	q.Set("invitation", clicked.Get("invitation"))
	v.get(w.signIn(q)).sees(http.StatusBadRequest)
	w.wantState(j, tenancy.InvitationPending, policy.Pending)
}

func TestWhatPeopleAreCalledStaysTextOnAnInvitation(t *testing.T) {
	_, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	const hostile = `"><script>alert(1)</script>`
	w.startup("hooli", func(o *tenancy.Organization) { o.Name = hostile })
	w.member("hooli", "boss@hooli.test", policy.Active)
	w.update(func(tx store.Tx) error {
		u, err := tx.User("user_boss@hooli.test")
		if err != nil {
			return err
		}
		u.Name = hostile
		return tx.PutUser(u)
	})
	i := w.invite(tenancy.NewInvitation{Email: guest, Organization: org("hooli"), Inviter: "user_boss@hooli.test"})
	u := w.browser().get(i.link).sees(http.StatusOK, hostile+" invites you to join "+hostile)
	if strings.Contains(u.p.Body, "<script") {
		t.Errorf("the page has a script:\n%s", u.p.Body)
	}
}

func TestOfTwentyClicksAtOnceOneAccepts(t *testing.T) {
	box, offer := local(policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	u := w.signedIn(box, guest)
	i := w.inviteTo("hooli", guest)
	u.get(i.link)
	var wg sync.WaitGroup
	for range 20 {
		r := look(t, http.MethodPost, i.link, "another=")
		wg.Go(func() {
			if p, err := u.Fetch(r); err != nil || p.Status >= 500 {
				t.Errorf("%v, %v", p, err)
			}
		})
	}
	wg.Wait()
	w.wantState(i, tenancy.InvitationAccepted, policy.Active)
	if n, m := len(w.events(audit.InvitationAccepted)), len(w.events(audit.MembershipUpdated)); n != 1 || m != 1 {
		t.Errorf("%d accepted, %d memberships", n, m)
	}
}

func TestWhoOpensInvitationLinksAllDayIsSlowedDown(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) {
		o.Visits = sso.Rate{PerSecond: 0.001, Burst: 5}
		o.Strangers = sso.Rate{PerSecond: 0.001, Burst: 5}
	})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		last := 0
		for range 6 {
			p, err := w.browser().Fetch(look(t, method, w.login("/invitations/"+session.NewToken().Reveal()), "another="))
			if err != nil {
				t.Fatal(err)
			}
			last = p.Status
		}
		if last != http.StatusTooManyRequests {
			t.Errorf("the sixth %s answers %d", method, last)
		}
	}
}
