package sso_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	jo          = "jo@elsewhere.test"
	profilePage = "/sign-in/social/profile"
	outside     = "profile_not_allowed_outside_organization"
)

// profileBy begins to learn the profile of whoever comes by a provider.
func (w *world) profileBy(provider string, more ...string) *user {
	w.t.Helper()
	return w.browser().get(w.authorize("/sso/authorize", append([]string{"provider", provider}, more...)...))
}

// asked fails unless the page asks for the code that goes to an address.
func (u *user) asked(email string) *user {
	u.w.t.Helper()
	if u.p.URL.Path != profilePage {
		u.w.t.Fatalf("at %s: %s\n%s", u.p.URL, u.p.Text, u.w.log)
	}
	return u.sees(http.StatusOK, "Enter the code", email)
}

// told is the profile that the browser brings the app.
func (u *user) told() (p map[string]any) {
	u.w.t.Helper()
	if err := json.Unmarshal(u.back("", true).Profile, &p); err != nil {
		u.w.t.Fatal(err)
	}
	if u.cookie(cookie.Login) != "" {
		u.w.t.Error("somebody is signed in here by a profile")
	}
	return p
}

// account is the row of a user.
func (w *world) account(email string) (u tenancy.User) {
	w.t.Helper()
	w.view(func(tx store.Tx) (err error) {
		u, err = tx.UserByEmail(email)
		return err
	})
	return u
}

// link has a provider know the user of an address by a subject.
func (w *world) link(conn tenancy.ConnectionID, subject, email string) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		return tx.PutIdentity(tenancy.Identity{Connection: conn, Subject: subject, User: u.ID, Email: email, CreatedAt: w.clock.Now(), LastUsedAt: w.clock.Now()})
	})
}

func TestAnAppLearnsWhatASocialProviderSaysAndNoMore(t *testing.T) {
	m, box, offer := social(nil, []ssotest.Person{{Subject: "jo-1", Email: "Jo@Elsewhere.test", EmailVerified: new(true), Name: "Jo Doe"}}, []ssotest.GitHubAccount{account(7, "jo", jo)})
	w := newWorld(t, offer, clients)
	var conns []string
	for _, tt := range []struct{ provider, button, kind, subject, name string }{
		{"googleOAuth", "Jo Doe", "GenericOIDC", "jo-1", "Jo Doe"}, {"otherOAuth", "Jo Doe", "GenericOIDC", "jo-1", "Jo Doe"}, {"GitHubOAuth", "jo", "GitHubOAuth", "7", "jo"},
	} {
		var ids []any
		for range 2 {
			u := w.profileBy(tt.provider, "code_challenge", codeChallenge(), "code_challenge_method", "S256").press(tt.button).asked(jo)
			u.submit(map[string]string{"code": "000000"}).sees(http.StatusUnprocessableEntity, "That is not the code")
			u.submit(map[string]string{"code": box.code(t, jo)})
			c := u.back(codeVerifier, true)
			if c.Session != "" || c.Organization != "" || u.cookie(cookie.Login) != "" {
				t.Errorf("%+v", c)
			}
			var p map[string]any
			if err := json.Unmarshal(c.Profile, &p); err != nil {
				t.Fatal(err)
			}
			id, conn := p["id"], p["connection_id"].(string)
			if len(conn) != len("conn_01ARZ3NDEKTSV4RRFFQ69G5FAV") || id != client.ProfileID(tenancy.ConnectionID(conn), tt.subject) {
				t.Errorf("%v of %v", id, conn)
			}
			ids, conns = append(ids, id, conn), append(conns, conn)
			delete(p, "id")
			delete(p, "connection_id")
			want := map[string]any{
				"object": "profile", "organization_id": nil, "connection_type": tt.kind, "idp_id": tt.subject, "email": jo, "first_name": nil, "last_name": nil, "name": tt.name,
				"role": nil, "roles": nil, "custom_attributes": map[string]any{}, "raw_attributes": map[string]any{},
			}
			if got, want := inJSON(t, p), inJSON(t, want); got != want {
				t.Errorf("%s: %s\nwant %s", tt.provider, got, want)
			}
			// It is the same after a restart, and on each replica.
			w.load(func(*sso.Options) {})
			w.clock.Advance(time.Hour)
		}
		if ids[0] != ids[2] || ids[1] != ids[3] {
			t.Errorf("%s: %v", tt.provider, ids)
		}
	}
	// Nobody is a user by it, no account is linked, and nobody is signed in.
	if got := slices.Compact(slices.Sorted(slices.Values(w.happened()))); !slices.Equal(got, []string{audit.MagicAuthFailed, audit.OAuthSucceeded, audit.MagicAuthForNobody}) {
		t.Errorf("%q", got)
	}
	w.nobody(jo)
	for _, e := range w.events(audit.OAuthSucceeded) {
		if e.Connection == "" || e.User != "" || !strings.Contains(inJSON(t, conns), e.Connection) {
			t.Errorf("the event names %q of %v", e.Connection, conns)
		}
	}
	if m := box.to(jo)[0].(mail.ProfileCode); m.App != "client.localhost"+w.base || m.Provider != "Google" {
		t.Errorf("%+v", m)
	}
	// Another issuer of that name is another connection, whose jo-1 is another profile.
	u := w.profileBy("googleOAuth").as("jo-1").asked(jo)
	was := u.submit(map[string]string{"code": box.code(t, jo)}).told()
	theirs := ssotest.Start(t, ssotest.Options{People: []ssotest.Person{verifiedPerson("jo-1", jo)}, Now: w.clock.Now,
		Clients: []ssotest.Client{{ID: "orgate-at-google", Secret: "secret-of-google", RedirectURIs: []string{w.login("/sso/social/callback/google")}}}})
	w.load(func(o *sso.Options) { o.Social = slices.Clone(m.providers); o.Social[0].Issuer = theirs.Issuer() })
	w.clock.Advance(time.Hour)
	u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
	if now := u.submit(map[string]string{"code": box.code(t, jo)}).told(); now["id"] == was["id"] || now["connection_id"] == was["connection_id"] || now["idp_id"] != was["idp_id"] {
		t.Errorf("%v, was %v", now, was)
	}
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheAddressOfAProfileIsProvedUnlessItIsAlready(t *testing.T) {
	unsaid, no := verifiedPerson("unsaid", "unsaid@elsewhere.test"), verifiedPerson("no", "no@elsewhere.test")
	unsaid.EmailVerified, no.EmailVerified = nil, new(false)
	people := []ssotest.Person{verifiedPerson("jo-1", jo), verifiedPerson("jo-2", jo), verifiedPerson("gavin", "gavin@hooli.test"), unsaid, no}
	for name, edit := range map[string]func(*sso.SocialProvider){"not trusted": nil, "trusted": trusting} {
		t.Run(name, func(t *testing.T) {
			m, box, offer := social(edit, people, []ssotest.GitHubAccount{{ID: 9, Login: "hidden", Emails: []ssotest.GitHubEmail{{Email: jo, Primary: true}}}}, policy.EmailCode)
			w := newWorld(t, offer, clients)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.clock.Advance(time.Hour) // the domain was verified before anybody is linked
			asked := func(subject, email string, code bool) {
				t.Helper()
				u := w.profileBy("googleOAuth").as(subject)
				if code {
					u.asked(email).submit(map[string]string{"code": box.code(t, email)})
				}
				if p := u.told(); p["email"] != email || p["idp_id"] != subject {
					t.Errorf("%v", p)
				}
				w.clock.Advance(time.Hour)
			}
			trusted := edit != nil
			asked("jo-1", jo, !trusted)
			asked("unsaid", "unsaid@elsewhere.test", true)
			asked("gavin", "gavin@hooli.test", true) // the word of an address on a verified domain is not the provider's
			w.profileBy("googleOAuth").as("no").refusedTo("oauth_failed")
			w.profileBy("GitHubOAuth").press("hidden").refusedTo("oauth_failed")
			if box.to("no@elsewhere.test") != nil {
				t.Error("a code went to an address that the provider says is not verified")
			}

			// Whoever has an account here with the address changes nothing, and is not changed.
			w.member("hooli", jo, policy.Active)
			w.member("hooli", "gavin@hooli.test", policy.Active)
			w.member("hooli", "no@elsewhere.test", policy.Active)
			was := inJSON(t, w.account(jo))
			asked("jo-1", jo, !trusted)
			// One whom the provider knows by this very identity has proved it before.
			w.link(m.connection("google"), "jo-1", jo)
			w.link(m.connection("google"), "gavin", "gavin@hooli.test")
			w.link(m.connection("google"), "no", "no@elsewhere.test")
			asked("jo-1", jo, false)
			asked("gavin", "gavin@hooli.test", false)
			w.profileBy("googleOAuth").as("no").refusedTo("oauth_failed")
			// Not by another identity at the provider, nor at another provider, if that is not trusted.
			asked("jo-2", jo, true)
			if u := w.profileBy("otherOAuth").as("jo-1"); !trusted {
				u.asked(jo)
			}
			// Nor where the domain is somebody's only since: the address may have been another person's before.
			w.clock.Advance(time.Hour)
			w.update(func(tx store.Tx) error {
				d, err := tx.VerifiedDomain("hooli.test")
				if err != nil {
					return err
				}
				d.VerifiedAt = w.clock.Now()
				return tx.PutDomain(d)
			})
			asked("gavin", "gavin@hooli.test", true)
			// Nor by an identity of a user whose address is another, or was never proved.
			w.link(m.connection("google"), "jo-1", "gavin@hooli.test")
			asked("jo-1", jo, !trusted)
			w.link(m.connection("google"), "jo-1", jo)
			if got := inJSON(t, w.account(jo)); got != was {
				t.Errorf("%s\nwas %s", got, was)
			}
			w.update(func(tx store.Tx) error {
				u, err := tx.UserByEmail(jo)
				if err != nil {
					return err
				}
				u.EmailVerified = false
				return tx.PutUser(u)
			})
			asked("jo-1", jo, !trusted)
		})
	}
}

func TestAProfileIsNoWayAroundThePoliciesOfItsAddress(t *testing.T) {
	for name, tt := range map[string]struct {
		policy policy.Policy
		takes  bool
	}{
		"nothing is said":        {policy.Policy{}, true},
		"social":                 {policy.Policy{Methods: policy.MethodsOf(policy.Social)}, true},
		"single sign-on":         {policy.Policy{Methods: policy.MethodsOf(policy.SSO)}, false},
		"codes":                  {policy.Policy{Methods: policy.MethodsOf(policy.EmailCode)}, false},
		"social and a second":    {policy.Policy{Methods: policy.MethodsOf(policy.Social), MFA: true}, false},
		"social of a moment ago": {policy.Policy{Methods: policy.MethodsOf(policy.Social), MaxAge: time.Hour}, true},
	} {
		for trust, edit := range map[string]func(*sso.SocialProvider){"not trusted": nil, "trusted": trusting} {
			t.Run(name+", "+trust, func(t *testing.T) {
				const alice = "alice@acme.test"
				m, box, offer := social(edit, []ssotest.Person{verifiedPerson("alice-1", alice)}, []ssotest.GitHubAccount{account(1, "alice", alice)}, policy.EmailCode)
				w := newWorld(t, offer, clients)
				set := func(o *tenancy.Organization) { o.DomainPolicy = &tt.policy }
				w.organization("acme", set, person("alice", "acme.test"))
				providers := map[string]string{"googleOAuth": "alice-1", "GitHubOAuth": "alice"}
				for provider, button := range providers {
					u := w.profileBy(provider).press(button)
					// GitHub never says when somebody signed in there.
					if takes := tt.takes && (tt.policy.MaxAge == 0 || provider != "GitHubOAuth"); takes {
						u.asked(alice).submit(map[string]string{"code": box.code(t, alice)}).told()
						w.clock.Advance(time.Hour)
						continue
					}
					u.refusedTo(outside)
				}
				if mails := len(box.to(alice)); mails > 0 && !tt.takes {
					t.Errorf("%d mails", mails)
				}
				w.nobody(alice)
				// It is no other if she has an account, and if it is linked.
				w.member("acme", alice, policy.Active)
				w.link(m.connection("google"), "alice-1", alice)
				if u := w.profileBy("googleOAuth").as("alice-1"); tt.takes {
					u.told()
				} else {
					u.refusedTo(outside)
				}
				if len(w.events(audit.OAuthFailed)) == 0 && !tt.takes {
					t.Error("there is no event of it")
				}
				if tt.takes {
					// Nor if the policy changes while she waits for the code.
					u := w.profileBy("otherOAuth").as("alice-1").asked(alice)
					code := box.code(t, alice)
					w.update(func(tx store.Tx) error {
						o, err := tx.Organization(org("acme"))
						if err != nil {
							return err
						}
						o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
						return tx.PutOrganization(o)
					})
					page, mails := u.p, len(box.to(alice))
					u.submit(map[string]string{"code": code}).refusedTo(outside)
					// And nothing more is mailed.
					w.clock.Advance(time.Minute)
					u.p = page
					if u.press("Send a new code").refusedTo(outside); len(box.to(alice)) != mails {
						t.Errorf("%d mails more", len(box.to(alice))-mails)
					}
				}
			})
		}
	}
}

// TestNoAddressOfARefusedProfileIsToldOrLogged: nobody has proved it. The event has it, as that of a sign-in does.
func TestNoAddressOfARefusedProfileIsToldOrLogged(t *testing.T) {
	no, gavin := verifiedPerson("no", "no@elsewhere.test"), verifiedPerson("gavin", "gavin@hooli.test")
	no.EmailVerified = new(false)
	broken := ssotest.Person{Subject: "broken", Email: "broken@@elsewhere.test", EmailVerified: new(true)}
	people := []ssotest.Person{no, gavin, broken, verifiedPerson("alice-1", "alice@acme.test")}
	for _, tt := range []struct{ subject, email, code, text string }{
		{"no", "no@elsewhere.test", "oauth_failed", "not say that the address is verified"},
		{"gavin", "gavin@hooli.test", "oauth_failed", "not say that the address is verified"},
		{"broken", "broken@@elsewhere.test", "oauth_failed", "no address that can be read"},
		{"alice-1", "alice@acme.test", outside, "no say in the person's address"},
	} {
		t.Run(tt.subject, func(t *testing.T) {
			_, _, offer := social(trusting, people, nil)
			w := newWorld(t, offer, clients, func(_ *world, o *sso.Options) { o.Mail = nil })
			w.startup("hooli", func(*tenancy.Organization) {})
			w.organization("acme", func(o *tenancy.Organization) {
				o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
			})
			u := w.profileBy("googleOAuth").as(tt.subject)
			u.refusedTo(tt.code)
			told := u.p.URL.Query().Get("error_description")
			if !strings.Contains(told, tt.text) || strings.Contains(told, "@") || strings.Contains(w.log.String(), tt.email) {
				t.Errorf("told %q, logged\n%s", told, w.log)
			}
			es := w.events(audit.OAuthFailed)
			if len(es) != 1 || !strings.Contains(inJSON(t, es), `"email":"`+tt.email+`"`) {
				t.Errorf("%s", inJSON(t, es))
			}
		})
	}
	// Nor of one that a connection has no say in.
	w := newWorld(t, clients)
	w.organization("acme", nil, person("guest", "else.test"))
	u := w.browser().get(w.authorize("/sso/authorize", "connection", string(conn("acme")))).as("guest")
	u.refusedTo(outside)
	if strings.Contains(u.p.URL.RawQuery, "guest") || strings.Contains(w.log.String(), "guest@") {
		t.Errorf("told %q, logged\n%s", u.p.URL.RawQuery, w.log)
	}
}

func TestTheCodeOfAProfileIsForOneIdentityInOneBrowserForOneApp(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", jo), verifiedPerson("mallory", jo)}
	_, box, offer := social(nil, people, nil, policy.EmailCode)
	w := newWorld(t, offer, clients)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	wrong := func(u *user, code string) {
		t.Helper()
		u.submit(map[string]string{"code": code}).sees(http.StatusUnprocessableEntity)
	}
	// Two accounts that claim one address, in one browser.
	u := w.profileBy("googleOAuth").as("jo-1").asked(jo)
	first := box.code(t, jo)
	v := u.tab().get(w.authorize("/sso/authorize", "provider", "otherOAuth")).as("mallory").asked(jo)
	second := box.code(t, jo)
	wrong(v, first)
	wrong(u, second)
	if p := v.submit(map[string]string{"code": second}).told(); p["idp_id"] != "mallory" {
		t.Errorf("%v", p)
	}
	// Two apps.
	w.clock.Advance(time.Hour)
	u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
	first = box.code(t, jo)
	x := u.tab().get(w.authorize("/sso/authorize", "provider", "googleOAuth", "client_id", "client_other", "redirect_uri", "http://other.localhost"+w.base+"/callback?from=orgate")).as("jo-1").asked(jo)
	second = box.code(t, jo)
	wrong(x, first)
	wrong(u, second)
	if x.submit(map[string]string{"code": second}); x.p.URL.Host != "other.localhost"+w.base {
		t.Fatalf("at %s", x.p.URL)
	}
	// Neither app takes the other's code, nor any for a session; and one that was shown elsewhere is spent.
	for _, profile := range []bool{true, false} {
		w.clock.Advance(time.Hour)
		u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
		u.submit(map[string]string{"code": box.code(t, jo)})
		code := u.p.URL.Query().Get("code")
		w.update(func(tx store.Tx) error {
			app := map[bool]string{true: "client_other", false: "client_app"}[profile]
			if _, refused, err := client.UseCode(tx, code, app, "", profile, w.clock.Now()); err != nil || refused == nil || code == "" {
				t.Errorf("%q for %s, a profile %v: %v, %v", code, app, profile, refused, err)
			}
			_, refused, err := client.UseCode(tx, code, "client_app", "", true, w.clock.Now())
			if refused == nil {
				t.Error("it is not spent")
			}
			return err
		})
	}
	// Another browser.
	w.clock.Advance(time.Hour)
	u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
	code := box.code(t, jo)
	other := w.profileBy("otherOAuth").as("mallory").asked(jo)
	other.p = u.p
	other.submit(map[string]string{"code": code}).sees(http.StatusBadRequest, "no longer open", "Go back to the app")
	other.get(u.p.URL.String()).sees(http.StatusBadRequest)
	w.browser().get(u.p.URL.String()).sees(http.StatusBadRequest)
	u.tab().get(u.p.URL.String()).asked(jo)
	// Once: what the provider said is told once, whatever is typed afterwards.
	page := u.p
	u.submit(map[string]string{"code": code}).told()
	u.p = page
	wrong(u, code)
	w.clock.Advance(time.Minute)
	mails := len(box.to(jo))
	u.press("Send a new code").sees(http.StatusBadRequest, "no longer open", "Go back to the app")
	if n := len(box.to(jo)); n != mails {
		t.Errorf("%d mails more of what was told", n-mails)
	}
	// And for its time.
	w.clock.Advance(time.Hour)
	u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
	w.clock.Advance(11 * time.Minute)
	u.submit(map[string]string{"code": box.code(t, jo)}).sees(http.StatusUnprocessableEntity, "no longer good")
	w.clock.Advance(10 * time.Minute)
	mails = len(box.to(jo))
	u.press("Send a new code").sees(http.StatusBadRequest, "no longer open")
	if n := len(box.to(jo)); n != mails {
		t.Errorf("%d mails more", n-mails)
	}
}

// TestNoStepOfAProfileIsOneOfASignIn: what is carried for one purpose is nothing for the other.
func TestNoStepOfAProfileIsOneOfASignIn(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode, policy.Password)
	w := newWorld(t, offer, clients)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	u := w.profileBy("googleOAuth").as("jo-1").asked(jo)
	told, code := u.step(), box.code(t, jo)
	link := u.tab().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").sees(http.StatusOK, "We sent a code")
	linking, toLink, q := link.step(), box.code(t, jo), link.p.URL.Query()
	signIn := u.tab().to("hooli", "/", jo).press("E-mail me a code").sees(http.StatusOK, "Enter the code")
	signing, toSignIn := signIn.step(), box.code(t, jo)
	at := func(path string, q url.Values, step, code string) *ssotest.Page {
		t.Helper()
		q.Set("step", step)
		if _, err := u.Fetch(request(t, w.login(path+"?"+q.Encode()))); err != nil {
			t.Fatal(err)
		}
		q.Del("step")
		p, err := u.Fetch(post(t, w.login(path+"?"+q.Encode()), url.Values{"step": {step}, "code": {code}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, step := range []string{linking, signing} {
		for _, c := range []string{code, toLink, toSignIn} {
			if p := at(profilePage, url.Values{}, step, c); p.Status != http.StatusBadRequest {
				t.Errorf("a step of a sign-in at the page of a profile: %d at %s", p.Status, p.URL)
			}
		}
	}
	mails := len(box.to(jo))
	for _, path := range []string{"/sign-in/code", "/sign-in/social/code", "/sign-in/code/resend", "/sign-in/social/code/resend", "/sign-in/password/reset", "/sign-in/password/new", "/sign-in/second"} {
		for _, c := range []string{code, toLink, toSignIn} {
			for _, more := range []url.Values{q, {}} {
				at(path, maps.Clone(more), told, c)
			}
		}
	}
	if u.cookie(cookie.Login) != "" || len(w.events(audit.SessionCreated)) > 0 || len(w.linked(jo)) > 0 || len(box.to(jo)) != mails {
		t.Error("a step of a profile signed somebody in, linked an account, or sent a mail")
	}
	// The code that was mailed for one is none for the other, and each is good at its own.
	u.submit(map[string]string{"code": toLink}).sees(http.StatusUnprocessableEntity)
	u.submit(map[string]string{"code": toSignIn}).sees(http.StatusUnprocessableEntity)
	link.submit(map[string]string{"code": code}).sees(http.StatusUnprocessableEntity)
	u.submit(map[string]string{"code": code}).told()
	// What the app asked for opens no page of a sign-in either.
	x := w.browser().get(w.authorize("/sso/authorize", "provider", "googleOAuth"))
	x.as("jo-1").asked(jo)
	if strings.Contains(x.p.Body, "authorization=") {
		t.Error("the page leads on to a sign-in")
	}
}

func request(t *testing.T, to string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, to, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhoeverIsAskedForAProfileMayCancelOrBeAnother(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", jo), verifiedPerson("bo-1", "bo@elsewhere.test")}
	_, box, offer := social(nil, people, []ssotest.GitHubAccount{account(7, "jo", jo)})
	w := newWorld(t, offer, clients)
	w.profileBy("googleOAuth").press("Cancel").refusedTo("access_denied")
	w.profileBy("GitHubOAuth").press("Cancel").refusedTo("access_denied")
	u := w.profileBy("googleOAuth", "code_challenge", codeChallenge(), "code_challenge_method", "S256").as("jo-1").asked(jo)
	u.press("Use another address").as("bo-1").asked("bo@elsewhere.test").submit(map[string]string{"code": box.code(t, "bo@elsewhere.test")})
	if c := u.back(codeVerifier, true); !strings.Contains(string(c.Profile), `"bo@elsewhere.test"`) {
		t.Errorf("%s", c.Profile)
	}
	// The provider is asked as it is for a sign-in, and the answer counts once.
	q := w.profileBy("googleOAuth", "login_hint", jo, "prompt", "login").p.URL.Query()
	if q.Get("login_hint") != jo || q.Get("prompt") != "login" || q.Get("nonce") == "" || q.Get("code_challenge") == "" || q.Get("scope") != "openid email profile" {
		t.Errorf("%v", q)
	}
	u = w.profileBy("googleOAuth").as("jo-1").asked(jo)
	for _, hop := range u.p.Trail {
		if hop.URL.Path == "/sso/social/callback/google" {
			u.tab().get(hop.URL.String()).sees(http.StatusBadRequest, "no longer open")
			w.browser().get(hop.URL.String()).sees(http.StatusBadRequest, "no longer open")
		}
	}
	if n := len(box.to(jo)); n != 2 {
		t.Errorf("%d mails", n)
	}
}

func TestAProfileOfWhatWasChangedMeanwhileIsNotTold(t *testing.T) {
	m, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil)
	for name, tt := range map[string]struct {
		change func(*sso.Options)
		told   string // empty: nobody is sent to the app
	}{
		"the provider":       {func(o *sso.Options) { o.Social = slices.Clone(m.providers); o.Social[0].ClientID += "x" }, "connection_invalid"},
		"the provider, gone": {func(o *sso.Options) { o.Social = m.providers[1:] }, "connection_invalid"},
		"the app's address": {func(o *sso.Options) {
			o.Clients = client.Clients{{ID: "client_app", RedirectURIs: []string{"https://x.test/"}}}
		}, ""},
		"the app": {func(o *sso.Options) { o.Clients = nil }, ""},
		"both":    {func(o *sso.Options) { o.Clients, o.Social = nil, m.providers[1:] }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m.providers = nil
			w := newWorld(t, offer, clients)
			at, waiting := w.profileBy("googleOAuth"), w.profileBy("googleOAuth").as("jo-1").asked(jo)
			code := box.code(t, jo)
			mails := len(box.to(jo))
			w.load(tt.change)
			at.as("jo-1")
			waiting.submit(map[string]string{"code": code})
			if tt.told != "" {
				at.refusedTo("oauth_failed")
				waiting.refusedTo(tt.told)
			}
			for _, u := range []*user{at, waiting} {
				if q := u.p.URL.Query(); q.Has("code") && u.p.URL.Host == "client.localhost"+w.base || tt.told == "" && (u.p.Status != http.StatusBadRequest || u.p.URL.Host != "login.localhost"+w.base) {
					t.Errorf("%d at %s", u.p.Status, u.p.URL)
				}
			}
			if len(box.to(jo)) != mails {
				t.Error("a code was sent")
			}
		})
	}
}

func TestAPublicAppLearnsProfilesByPKCEAlone(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil)
	w := newWorld(t, offer, clients, func(_ *world, o *sso.Options) { o.Clients[0].Public = true })
	w.profileBy("googleOAuth").refusedTo("invalid_request")
	u := w.profileBy("googleOAuth", "code_challenge", codeChallenge(), "code_challenge_method", "S256").as("jo-1").asked(jo)
	u.submit(map[string]string{"code": box.code(t, jo)}).back(codeVerifier, true)
}

// TestTheMailsOfProfilesAreCounted: they are limited like all that strangers can have sent to an address.
func TestTheMailsOfProfilesAreCounted(t *testing.T) {
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil)
	w := newWorld(t, offer, clients)
	for range 10 {
		if u := w.profileBy("googleOAuth").as("jo-1"); u.p.Status == http.StatusTooManyRequests {
			if n := len(box.to(jo)); n != 5 {
				t.Errorf("after %d mails", n)
			}
			return
		}
	}
	t.Error("there is no end of mails")
}

// TestWhatAProviderSaysBesidesIsBounded: an app is told the same whether there was a code or not, and what does not fit into an
// address is an error and no page that nobody can open.
func TestWhatAProviderSaysBesidesIsBounded(t *testing.T) {
	long := map[string]any{"given_name": "Jo", "family_name": "Doe", "picture": strings.Repeat("p", 900), "profile": strings.Repeat("q", 900), "website": strings.Repeat("w", 900), "zoneinfo": "Europe/Berlin"}
	var said []string
	for _, edit := range []func(*sso.SocialProvider){nil, trusting} {
		m, box, offer := social(edit, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil)
		w := newWorld(t, offer, clients)
		m.google.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { maps.Copy(c, long) }})
		u := w.profileBy("googleOAuth", "state", strings.Repeat("s", 1024)).as("jo-1")
		if edit == nil {
			u.asked(jo).submit(map[string]string{"code": box.code(t, jo)})
		}
		q := u.p.URL.Query()
		var c client.Code
		w.update(func(tx store.Tx) (err error) {
			var refused error
			if c, refused, err = client.UseCode(tx, q.Get("code"), "client_app", "", true, w.clock.Now()); refused != nil {
				t.Errorf("%v at %s", refused, u.p.URL)
			}
			return err
		})
		var p struct {
			FirstName string         `json:"first_name"`
			LastName  string         `json:"last_name"`
			Raw       map[string]any `json:"raw_attributes"`
		}
		if err := json.Unmarshal(c.Profile, &p); err != nil {
			t.Fatal(err)
		}
		if p.FirstName != "Jo" || p.LastName != "Doe" || p.Raw["picture"] == nil || p.Raw["website"] != nil || p.Raw["zoneinfo"] != "Europe/Berlin" {
			t.Errorf("%+v", p)
		}
		said = append(said, inJSON(t, p.Raw))
	}
	if said[0] != said[1] {
		t.Errorf("with a code %s\nwithout %s", said[0], said[1])
	}
}

// TestWhatDoesNotFitIntoAnAddressIsToldTheApp: nobody is led to a page that can't be opened.
func TestWhatDoesNotFitIntoAnAddressIsToldTheApp(t *testing.T) {
	subject := strings.Repeat("<", 255)
	m, box, offer := social(nil, []ssotest.Person{{Subject: subject, Email: jo, EmailVerified: new(true), Name: subject}}, nil)
	w := newWorld(t, offer, clients)
	state := strings.Repeat("s", 1024)
	w.profileBy("googleOAuth", "state", state).as(subject).asked(jo)
	m.google.Misbehave(ssotest.Faults{Claims: func(c map[string]any) {
		c["picture"], c["website"] = strings.Repeat("p", 900), strings.Repeat("w", 900)
	}})
	u := w.profileBy("googleOAuth", "state", state).as(subject)
	if q := u.p.URL.Query(); q.Get("error") != "invalid_request" || q.Get("state") != state || len(box.to(jo)) != 1 {
		t.Errorf("%d at %s", u.p.Status, u.p.URL)
	}
}

func TestAProfileIsToldOnceHoweverOftenTheProviderAgrees(t *testing.T) {
	m, _, offer := social(nil, nil, nil)
	w := newWorld(t, offer, clients, func(_ *world, o *sso.Options) { o.OIDC = careless{} })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "alice@acme.test", policy.Active)
	w.link(m.connection("google"), "alice", "alice@acme.test")
	u := w.browser()
	p, err := u.Fetch(request(t, w.authorize("/sso/authorize", "provider", "googleOAuth")))
	if err != nil {
		t.Fatal(err)
	}
	loginURL, err := url.Parse(w.login("/"))
	if err != nil {
		t.Fatal(err)
	}
	kept := keepable(u.Jar.Cookies(loginURL))
	var mu sync.Mutex
	codes, others := 0, 0
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			req := request(t, p.Header.Get("Location"))
			for _, c := range kept {
				req.AddCookie(c)
			}
			p, err := w.browser().Fetch(req)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(p.Header.Get("Location"), "?code=") {
				codes++
			} else {
				others++
			}
		})
	}
	wg.Wait()
	if codes != 1 || others != 19 {
		t.Errorf("%d codes, and %d answers without one", codes, others)
	}
}
