package sso_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/sso/github"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/sso/ssotest"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// A mall is what there is of social providers beside a world: an OpenID provider called google,
// another one called other, and a GitHub.
type mall struct {
	google, other *ssotest.Provider
	github        *ssotest.GitHub
	providers     []sso.SocialProvider
}

func verifiedPerson(subject, email string) ssotest.Person {
	return ssotest.Person{Subject: subject, Email: email, EmailVerified: new(true), Name: subject}
}

func account(id int64, login, email string) ssotest.GitHubAccount {
	return ssotest.GitHubAccount{ID: id, Login: login, Emails: []ssotest.GitHubEmail{{Email: email, Primary: true, Verified: true}}}
}

// social offers social providers, and other methods, beside SSO. edit may change a provider.
func social(edit func(*sso.SocialProvider), people []ssotest.Person, accounts []ssotest.GitHubAccount, ms ...policy.Method) (*mall, *postbox, option) {
	m := &mall{}
	box, offer := local(append(ms, policy.Social)...)
	return m, box, func(w *world, o *sso.Options) {
		offer(w, o)
		uri := func(name string) string { return w.login("/sso/social/callback/" + name) }
		// Each provider would send anybody anywhere: what keeps answers apart is on our side.
		all := []string{uri("google"), uri("other"), uri("github"), w.callback(), w.ownCallback("acme")}
		start := func(name string) *ssotest.Provider {
			p := ssotest.Start(w.t, ssotest.Options{Name: name, People: people, Now: w.clock.Now, Clients: []ssotest.Client{{ID: "orgate-at-" + name, Secret: "secret-of-" + name, RedirectURIs: all}}})
			m.providers = append(m.providers, sso.SocialProvider{
				Name: name, Label: strings.ToUpper(name[:1]) + name[1:], Issuer: p.Issuer(), ClientID: "orgate-at-" + name, ClientSecret: idp.Secret("secret-of-" + name),
			})
			return p
		}
		m.google, m.other = start("google"), start("other")
		m.github = ssotest.StartGitHub(w.t, ssotest.GitHubOptions{ClientID: "orgate-at-github", ClientSecret: "secret-of-github", RedirectURIs: all, Accounts: accounts})
		m.providers = append(m.providers, sso.SocialProvider{
			Name: "github", Label: "GitHub", GitHub: true, Site: m.github.Site, ClientID: "orgate-at-github", ClientSecret: "secret-of-github",
		})
		for i := range m.providers {
			if edit != nil {
				edit(&m.providers[i])
			}
		}
		o.Social = m.providers
		o.GitHub = github.New(egress.New(egress.Options{AllowLoopback: true, Timeout: 5 * time.Second}))
	}
}

func (m *mall) connection(name string) tenancy.ConnectionID {
	i := slices.IndexFunc(m.providers, func(p sso.SocialProvider) bool { return p.Name == name })
	return m.providers[i].Connection()
}

func trusting(p *sso.SocialProvider) { p.TrustEmail = true }

// proofs are those of the person's one session on the login host.
func (w *world) proofs(email string) (ps []policy.Proof) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		ps = nil
		u, err := tx.UserByEmail(email)
		if err != nil {
			return err
		}
		for s, err := range tx.SessionsOf(u.ID) {
			if err != nil {
				return err
			}
			if s.Parent == "" && s.Alive(limits, w.clock.Now()) == nil {
				ps = append(ps, s.Proofs...)
			}
		}
		return nil
	})
	return ps
}

// nobody fails the test if there is an account with the address.
func (w *world) nobody(email string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		if u, err := tx.UserByEmail(email); err == nil {
			w.t.Errorf("%s has an account: %+v", email, u)
		}
		return nil
	})
}

// linked are the subjects by which social providers know the person of an address.
func (w *world) linked(email string) (subjects []string) {
	w.t.Helper()
	w.view(func(tx store.Tx) error {
		subjects = nil
		u, err := tx.UserByEmail(email)
		if err != nil {
			return nil
		}
		for i, err := range tx.Identities(u.ID) {
			if err != nil {
				return err
			}
			if after, ok := strings.CutPrefix(string(i.Connection), "social:"); ok {
				name, _, _ := strings.Cut(after, ".")
				subjects = append(subjects, name+" "+i.Subject)
			}
		}
		slices.Sort(subjects)
		return nil
	})
	return subjects
}

func TestTheFirstTimeBySocialAsksForACodeAndFromThenOnNothing(t *testing.T) {
	m, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", "Jo@Elsewhere.test")}, []ssotest.GitHubAccount{account(7, "jo", "jo@elsewhere.test")}, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "jo@elsewhere.test", policy.Active)
	for provider, button := range map[string]string{"Google": "jo-1", "GitHub": "jo"} {
		u := w.browser().get(w.at("hooli", "/plans")).sees(http.StatusOK, "Continue with Google", "Continue with GitHub").press("Continue with " + provider)
		u.press(button).sees(http.StatusOK, "first time that you come by "+provider, "jo@elsewhere.test")
		if u.cookie("orgate_login") != "" {
			t.Error("they are signed in before the code")
		}
		u.submit(map[string]string{"code": "000000"}).sees(http.StatusUnprocessableEntity, "That is not the code")
		u.submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")}).inApp("hooli", "jo@elsewhere.test").sees(http.StatusOK, "at /plans")
	}
	if got := w.linked("jo@elsewhere.test"); !slices.Equal(got, []string{"github 7", "google jo-1"}) {
		t.Errorf("linked: %v", got)
	}
	mails := box.to("jo@elsewhere.test")
	if _, ok := mails[len(mails)-1].(mail.IdentityLinked); !ok {
		t.Errorf("they were told %v", mails)
	}
	was := len(mails)
	for provider, button := range map[string]string{"Google": "jo-1", "GitHub": "jo"} {
		w.browser().get(w.at("hooli", "/")).press("Continue with "+provider).press(button).inApp("hooli", "jo@elsewhere.test")
	}
	if n := len(box.to("jo@elsewhere.test")); n != was {
		t.Errorf("%d mails more", n-was)
	}
	if n, k := len(w.events(audit.OAuthSucceeded)), len(w.events(audit.IdentityLinked)); n != 4 || k != 2 {
		t.Errorf("%d sign-ins and %d links", n, k)
	}
	if m.google.Hits("token") != 2 {
		t.Errorf("%d calls for tokens", m.google.Hits("token"))
	}
}

func TestBothProofsOfAFirstTimeAreInTheSession(t *testing.T) {
	m, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", "jo@hooli.test")}, nil)
	w := newWorld(t, offer)
	// Joining by domain asks for a proof of the address, and the code is one.
	w.startup("hooli", func(o *tenancy.Organization) {
		o.AutoJoin = true
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Social)}
	})
	u := w.browser().to("hooli", "/", "jo@hooli.test").press("Continue with Google").as("jo-1")
	u.submit(map[string]string{"code": box.code(t, "jo@hooli.test")}).inApp("hooli", "jo@hooli.test")
	ps := w.proofs("jo@hooli.test")
	if len(ps) != 2 || ps[0].Method != policy.EmailCode || ps[1].Method != policy.Social || ps[1].Connection != string(m.connection("google")) || ps[1].Undated {
		t.Errorf("%+v", ps)
	}
}

func TestWhereTheProviderIsTrustedItsWordIsEnoughForAFreeAddress(t *testing.T) {
	unsaid := verifiedPerson("unsaid", "unsaid@elsewhere.test")
	unsaid.EmailVerified = nil
	no := verifiedPerson("no", "no@elsewhere.test")
	no.EmailVerified = new(false)
	_, box, offer := social(trusting, []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test"), verifiedPerson("gavin", "gavin@hooli.test"), unsaid, no}, []ssotest.GitHubAccount{account(8, "casey", "casey@elsewhere.test")})
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("open", func(*tenancy.Organization) {})
	for _, email := range []string{"jo@elsewhere.test", "casey@elsewhere.test", "gavin@hooli.test", "unsaid@elsewhere.test"} {
		w.member("open", email, policy.Active)
	}
	w.browser().get(w.at("open", "/")).press("Continue with Google").as("jo-1").inApp("open", "jo@elsewhere.test")
	w.browser().get(w.at("open", "/")).press("Continue with GitHub").press("casey").inApp("open", "casey@elsewhere.test")
	if _, ok := box.to("jo@elsewhere.test")[0].(mail.IdentityLinked); !ok || len(box.to("jo@elsewhere.test")) != 1 {
		t.Errorf("mailed: %v", box.to("jo@elsewhere.test"))
	}
	// Not for an address that an organization has the word on, and not if the provider does not
	// say that it has verified it.
	for _, who := range []string{"gavin", "unsaid"} {
		u := w.browser().get(w.at("open", "/")).press("Continue with Google").as(who).sees(http.StatusOK, "first time that you come by Google")
		email := map[string]string{"gavin": "gavin@hooli.test", "unsaid": "unsaid@elsewhere.test"}[who]
		u.submit(map[string]string{"code": box.code(t, email)}).inApp("open", email)
	}
	w.browser().get(w.at("open", "/")).press("Continue with Google").as("no").sees(http.StatusForbidden, "Google does not say that no@elsewhere.test was confirmed")
	w.nobody("no@elsewhere.test")
}

func TestAnUnverifiedAddressIsNone(t *testing.T) {
	no := verifiedPerson("mallory", "victim@elsewhere.test")
	no.EmailVerified = new(false)
	_, box, offer := social(nil, []ssotest.Person{no}, []ssotest.GitHubAccount{{ID: 9, Login: "mallory", Emails: []ssotest.GitHubEmail{{Email: "victim@elsewhere.test", Primary: true}, {Email: "mallory@evil.test", Verified: true}}}}, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "victim@elsewhere.test", policy.Active)
	w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("mallory").sees(http.StatusForbidden, "was confirmed to be yours")
	w.browser().get(w.at("hooli", "/")).press("Continue with GitHub").press("mallory").sees(http.StatusForbidden, "no primary address of yours that it has verified")
	if mails := box.to("victim@elsewhere.test"); len(mails) > 0 {
		t.Errorf("the victim was mailed %v", mails)
	}
	if n := len(w.events(audit.OAuthFailed)); n != 2 {
		t.Errorf("%d events of the failures", n)
	}
}

func TestAnAbsentEmailVerifiedIsNoProofOfAnAddress(t *testing.T) {
	for _, edit := range []func(*sso.SocialProvider){nil, trusting} {
		unsaid := verifiedPerson("mallory", "victim@elsewhere.test")
		unsaid.EmailVerified = nil
		_, _, offer := social(edit, []ssotest.Person{unsaid}, nil, policy.EmailCode)
		w := newWorld(t, offer)
		w.startup("hooli", func(*tenancy.Organization) {})
		w.member("hooli", "victim@elsewhere.test", policy.Active)
		u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("mallory").sees(http.StatusOK, "We sent a code")
		u.get(w.at("hooli", "/")).sees(http.StatusOK, "Sign in to Hooli")
		if u.cookie("orgate_login") != "" || len(w.linked("victim@elsewhere.test")) > 0 {
			t.Error("the provider's silence was enough")
		}
	}
}

func TestWhoIsBoundToSSOComesByNoSocialProvider(t *testing.T) {
	for _, edit := range []func(*sso.SocialProvider){nil, trusting} {
		m, box, offer := social(edit, []ssotest.Person{verifiedPerson("alice-1", "alice@acme.test")}, []ssotest.GitHubAccount{account(1, "alice", "alice@acme.test")}, policy.EmailCode)
		w := newWorld(t, offer)
		w.organization("acme", wantsMFA, person("alice", "acme.test"))
		w.startup("hooli", func(*tenancy.Organization) {})
		w.member("hooli", "bob@elsewhere.test", policy.Active)
		for provider, button := range map[string]string{"Google": "alice-1", "GitHub": "alice"} {
			u := w.browser().get(w.at("hooli", "/")).press("Continue with "+provider).press(button).sees(http.StatusOK, "Who do you want to be")
			if !strings.Contains(u.p.Text, "Acme") && !strings.Contains(u.p.Text, "acme") {
				t.Errorf("she is at %s: %s", u.p.URL, u.p.Text)
			}
		}
		w.nobody("alice@acme.test")
		if mails := box.to("alice@acme.test"); len(mails) > 0 {
			t.Errorf("she was mailed %v", mails)
		}
		// Nor does an identity that was linked before the domain was Acme's.
		w.update(func(tx store.Tx) error {
			u := tenancy.User{ID: "user_alice", Email: "alice@acme.test", EmailVerified: true, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
			if err := tx.PutUser(u); err != nil {
				return err
			}
			return tx.PutIdentity(tenancy.Identity{Connection: m.connection("google"), Subject: "alice-1", User: u.ID, Email: u.Email, CreatedAt: w.clock.Now(), LastUsedAt: w.clock.Now()})
		})
		w.member("hooli", "alice@acme.test", policy.Active)
		u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("alice-1").sees(http.StatusOK, "Who do you want to be")
		if u.cookie("orgate_login") != "" {
			t.Error("she is signed in by Google")
		}
		u.as("alice").inApp("hooli", "alice@acme.test")
	}
}

func TestSocialIsOfferedWhereThePoliciesTakeItAlone(t *testing.T) {
	_, _, offer := social(nil, nil, nil, policy.EmailCode)
	w := newWorld(t, offer)
	for slug, takes := range map[string]*policy.Policy{
		"any": nil, "social": {Methods: policy.MethodsOf(policy.Social)}, "codes": {Methods: policy.MethodsOf(policy.EmailCode)}, "fresh": {MaxAge: time.Hour},
	} {
		w.startup(slug, func(o *tenancy.Organization) { o.OrganizationPolicy = takes })
		u := w.browser().get(w.at(slug, "/"))
		google, git := strings.Contains(u.p.Text, "Continue with Google"), strings.Contains(u.p.Text, "Continue with GitHub")
		if google != (slug != "codes") || git != (slug == "any" || slug == "social") {
			t.Errorf("%s: Google %v, GitHub %v:\n%s", slug, google, git, u.p.Text)
		}
		// A button that is not there does nothing.
		p, err := u.Fetch(post(t, u.p.URL.String(), "way=social:github&email="))
		if err != nil {
			t.Fatal(err)
		}
		if left := strings.Contains(p.Body, "/login/oauth/authorize"); left != git {
			t.Errorf("%s: who presses GitHub's button is sent to %d %s", slug, p.Status, p.Title)
		}
	}
}

func TestAnAnswerForAnotherProviderOrBrowserIsNothing(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("mallory", "mallory@evil.test")}
	m, _, offer := social(trusting, people, []ssotest.GitHubAccount{account(666, "mallory", "mallory@evil.test")})
	w := newWorld(t, offer)
	acme := w.organization("acme", nil, person("alice", "acme.test"))
	w.startup("hooli", func(*tenancy.Organization) {})
	// stopped is a browser at its provider, and the answer that it was to bring back.
	stopped := func(slug, provider, button string) (*user, *url.URL) {
		u := w.browser().get(w.at(slug, "/")).press("Continue with " + provider)
		form := u.p.Forms[0]
		b := form.Buttons[slices.IndexFunc(form.Buttons, func(b ssotest.Button) bool { return strings.Contains(b.Label, button) })]
		values := url.Values{b.Name: {b.Value}}
		for _, f := range form.Fields {
			values.Set(f.Name, f.Value)
		}
		p, err := u.Fetch(post(t, form.Action.String(), values.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		to, err := url.Parse(p.Header.Get("Location"))
		if err != nil || to.Query().Get("code") == "" {
			t.Fatalf("%d %v", p.Status, p.Header)
		}
		return u, to
	}
	at := func(to *url.URL, path string) string {
		x := *to
		x.Path = path
		x.RawQuery = to.RawQuery
		return x.String()
	}
	for _, tt := range []struct{ provider, button, own string }{{"Google", "mallory", "google"}, {"GitHub", "mallory", "github"}} {
		for _, path := range []string{"/sso/social/callback/google", "/sso/social/callback/other", "/sso/social/callback/github", "/sso/social/callback/nobody", "/sso/oidc/callback", "/sso/oidc/callback/acme/acme-okta"} {
			if strings.HasSuffix(path, "/"+tt.own) {
				continue
			}
			u, to := stopped("hooli", tt.provider, tt.button)
			u.get(at(to, path)).sees(http.StatusBadRequest, "no longer open")
			if u.cookie("orgate_login") != "" {
				t.Errorf("%s's answer at %s signed somebody in", tt.provider, path)
			}
			// At its own it is good, however often it was somewhere else.
			u.get(to.String())
			if u.cookie("orgate_login") == "" {
				t.Errorf("%s's answer at its own callback: %d %s", tt.provider, u.p.Status, u.p.Text)
			}
			u.get(to.String()).sees(http.StatusBadRequest, "no longer open")
		}
		// In a browser that did not ask: login CSRF.
		_, to := stopped("hooli", tt.provider, tt.button)
		victim := w.browser()
		victim.get(to.String()).sees(http.StatusBadRequest, "no longer open")
		// In one that asked for something else itself, with the attacker's code in its own answer.
		u, mine := stopped("hooli", tt.provider, tt.button)
		_, theirs := stopped("hooli", tt.provider, tt.button)
		q := mine.Query()
		q.Set("code", theirs.Query().Get("code"))
		mine.RawQuery = q.Encode()
		if u.get(mine.String()); u.p.Status < 400 || u.cookie("orgate_login") != "" {
			t.Errorf("%s: the code of another browser: %d %s", tt.provider, u.p.Status, u.p.Text)
		}
	}
	// And an organization's answer is nothing at a social provider's callback.
	alice := w.browser().to("acme", "/", "alice@acme.test").press("Continue with acme-okta").sees(http.StatusOK, "Who do you want to be")
	form := alice.p.Forms[0]
	values := url.Values{"person": {"alice"}}
	for _, f := range form.Fields {
		if f.Name != "person" {
			values.Set(f.Name, f.Value)
		}
	}
	p, err := alice.Fetch(post(t, form.Action.String(), values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(p.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	tokens := acme.Hits("token") + m.google.Hits("token")
	for _, path := range []string{"/sso/social/callback/google", "/sso/social/callback/github"} {
		alice.get(at(to, path)).sees(http.StatusBadRequest, "no longer open")
	}
	if acme.Hits("token")+m.google.Hits("token") != tokens {
		t.Error("somebody was asked for a token")
	}
	alice.get(to.String()).inApp("acme", "alice@acme.test")
}

func TestAFlowOfAnotherKindIsNoFlow(t *testing.T) {
	// The cookie of a social flow under the name of an organization's, and the reverse.
	_, _, offer := social(nil, []ssotest.Person{verifiedPerson("mallory", "mallory@evil.test")}, nil)
	w := newWorld(t, offer)
	w.organization("acme", nil, person("alice", "acme.test"))
	w.startup("hooli", func(*tenancy.Organization) {})
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google")
	login, err := url.Parse(w.login("/"))
	if err != nil {
		t.Fatal(err)
	}
	state := u.p.URL.Query().Get("state")
	renamed := 0
	for _, c := range u.Jar.Cookies(login) {
		if rest, ok := strings.CutPrefix(c.Name, "__Host-"+cookie.Flow+"_social"); ok {
			c.Name = "__Host-" + cookie.Flow + rest
			u.Jar.Set(login, keepable([]*http.Cookie{c}))
			renamed++
		}
	}
	if state == "" || renamed != 1 {
		t.Fatalf("state %q, %d cookies", state, renamed)
	}
	for _, path := range []string{"/sso/oidc/callback", "/sso/oidc/callback/acme/acme-okta"} {
		u.get(w.login(path+"?code=x&state="+url.QueryEscape(state))).sees(http.StatusBadRequest, "no longer open")
	}
}

func TestAReloadThatChangesTheProviderEndsItsFlows(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*sso.SocialProvider)
		ends   bool
	}{
		"nothing":            {func(*sso.SocialProvider) {}, false},
		"what it is called":  {func(p *sso.SocialProvider) { p.Label = "G" }, false},
		"a new secret":       {func(*sso.SocialProvider) {}, false},
		"another client":     {func(p *sso.SocialProvider) { p.ClientID += "x" }, true},
		"another issuer":     {func(p *sso.SocialProvider) { p.Issuer += "/x"; p.Site = "http://127.0.0.1:1" }, true},
		"another name":       {func(p *sso.SocialProvider) { p.Name += "x" }, true},
		"another kind of it": {func(p *sso.SocialProvider) { p.GitHub = !p.GitHub; p.Issuer, p.Site = p.Site, p.Issuer }, true},
	} {
		for provider, button := range map[string]string{"Google": "jo-1", "GitHub": "jo"} {
			t.Run(name+" of "+provider, func(t *testing.T) {
				m, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test")}, []ssotest.GitHubAccount{account(7, "jo", "jo@elsewhere.test")})
				w := newWorld(t, offer)
				w.startup("hooli", func(*tenancy.Organization) {})
				w.member("hooli", "jo@elsewhere.test", policy.Active)
				reload := func() {
					w.load(func(o *sso.Options) {
						o.Social = slices.Clone(m.providers)
						for i := range o.Social {
							tt.change(&o.Social[i])
						}
						for i, p := range o.Social { // one that is neither is no provider
							if p.Issuer == "" && !p.GitHub {
								o.Social[i].Issuer = "http://127.0.0.1:1"
							}
						}
					})
				}
				// While they are at the provider.
				u := w.browser().get(w.at("hooli", "/")).press("Continue with " + provider)
				reload()
				if u.press(button); tt.ends {
					u.sees(http.StatusForbidden, "was switched off")
				} else {
					u.sees(http.StatusOK, "We sent a code")
				}
				if m.google.Hits("token")+m.github.Hits("access_token") > 0 == tt.ends {
					t.Error("tokens were asked for, or not")
				}
				// While they wait for the code.
				w.load(func(o *sso.Options) { o.Social = m.providers })
				w.clock.Advance(time.Hour)
				v := w.browser().get(w.at("hooli", "/")).press("Continue with "+provider).press(button).sees(http.StatusOK, "We sent a code")
				reload()
				v.submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")})
				if tt.ends == (len(w.linked("jo@elsewhere.test")) > 0) {
					t.Errorf("linked: %v", w.linked("jo@elsewhere.test"))
				}
			})
		}
	}
}

// Another issuer under the name of one that people came by: its subject 1 is not theirs.
func TestThePeopleOfAnotherIssuerAreOtherPeople(t *testing.T) {
	m, _, offer := social(trusting, []ssotest.Person{verifiedPerson("1", "jo@elsewhere.test")}, nil)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "jo@elsewhere.test", policy.Active)
	w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("1").inApp("hooli", "jo@elsewhere.test")
	theirs := ssotest.Start(t, ssotest.Options{People: []ssotest.Person{verifiedPerson("1", "mallory@evil.test")}, Now: w.clock.Now,
		Clients: []ssotest.Client{{ID: "orgate-at-google", Secret: "secret-of-google", RedirectURIs: []string{w.login("/sso/social/callback/google")}}}})
	w.load(func(o *sso.Options) { o.Social = slices.Clone(m.providers); o.Social[0].Issuer = theirs.Issuer() })
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("1")
	if strings.Contains(u.p.Text, "jo@elsewhere.test") {
		t.Errorf("the new provider's subject is the old one's: %s", u.p.Text)
	}
}

func TestARecycledAddressIsNotTheSamePerson(t *testing.T) {
	for name, edit := range map[string]func(*sso.SocialProvider){"by code": nil, "trusted": trusting} {
		t.Run(name, func(t *testing.T) {
			people := []ssotest.Person{verifiedPerson("before", "jo@elsewhere.test"), verifiedPerson("after", "jo@elsewhere.test")}
			_, box, offer := social(edit, people, []ssotest.GitHubAccount{account(1, "before", "jo@elsewhere.test"), account(2, "after", "jo@elsewhere.test")}, policy.EmailCode)
			w := newWorld(t, offer)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.member("hooli", "jo@elsewhere.test", policy.Active)
			for _, provider := range []string{"Google", "GitHub"} {
				u := w.browser().get(w.at("hooli", "/")).press("Continue with " + provider).press("before")
				if edit == nil {
					u.submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")})
				}
				u.inApp("hooli", "jo@elsewhere.test")
				// Whoever reads the mail now is asked to show it first, and learns it then.
				v := w.browser().get(w.at("hooli", "/")).press("Continue with "+provider).press("after").sees(http.StatusOK, "We sent a code")
				v.submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")}).sees(http.StatusForbidden, "as somebody else before")
				if v.cookie("orgate_login") != "" {
					t.Error("they are signed in")
				}
			}
			if got := w.linked("jo@elsewhere.test"); !slices.Equal(got, []string{"github 1", "google before"}) {
				t.Errorf("linked: %v", got)
			}
		})
	}
}

func TestOneProofOfAnAddressLinksOneAccount(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test"), verifiedPerson("mallory", "jo@elsewhere.test")}
	_, box, offer := social(nil, people, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "jo@elsewhere.test", policy.Active)
	const jo = "jo@elsewhere.test"
	// Two accounts upstream, in one browser, at one address.
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").sees(http.StatusOK, "We sent a code")
	first := box.code(t, jo)
	v := u.tab().get(w.at("hooli", "/")).press("Continue with Other").as("mallory").sees(http.StatusOK, "We sent a code")
	second := box.code(t, jo)
	// The code of one does not do for the other, either way round.
	v.submit(map[string]string{"code": first}).sees(http.StatusUnprocessableEntity)
	u.submit(map[string]string{"code": second})
	u.sees(http.StatusUnprocessableEntity)
	v.submit(map[string]string{"code": second}).inApp("hooli", jo)
	if got := w.linked(jo); !slices.Equal(got, []string{"other mallory"}) {
		t.Errorf("linked: %v", got)
	}
	// Nor does a code to sign in with, nor one twice.
	w.clock.Advance(time.Hour)
	x := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").sees(http.StatusOK, "We sent a code")
	y := x.tab().to("hooli", "/", jo).press("E-mail me a code").sees(http.StatusOK, "Enter the code")
	toSignIn := box.code(t, jo)
	x.submit(map[string]string{"code": toSignIn}).sees(http.StatusUnprocessableEntity)
	y.submit(map[string]string{"code": toSignIn}).inApp("hooli", jo)
	if got := w.linked(jo); !slices.Equal(got, []string{"other mallory"}) {
		t.Errorf("linked: %v", got)
	}
}

// The step that waits for a code is another browser's, or another account's with the first
// one's code.
func TestACodeToLinkIsGoodInItsBrowserForItsTime(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("mallory", "victim@elsewhere.test")}
	_, box, offer := social(nil, people, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "victim@elsewhere.test", policy.Active)
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("mallory").sees(http.StatusOK, "We sent a code")
	code := box.code(t, "victim@elsewhere.test")
	other := w.browser().get(w.login("/sign-in"))
	other.p = u.p
	if other.submit(map[string]string{"code": code}); other.p.Status == http.StatusOK && strings.Contains(other.p.Text, "app of") || len(w.linked("victim@elsewhere.test")) > 0 {
		t.Errorf("in another browser: %d %s", other.p.Status, other.p.Text)
	}
	w.clock.Advance(11 * time.Minute)
	u.submit(map[string]string{"code": code}).sees(http.StatusUnprocessableEntity, "no longer good")
	// What the provider said does not wait for ever either.
	w.clock.Advance(10 * time.Minute)
	u.press("Send a new code")
	if n := len(box.to("victim@elsewhere.test")); n != 1 || len(w.linked("victim@elsewhere.test")) > 0 {
		t.Errorf("%d mails", n)
	}
}

// Somebody makes an account under a victim's address, and waits for them to come (attack 76).
func TestWhoeverTookAnAddressBeforeItsPersonCameBySocialIsThrownOut(t *testing.T) {
	for name, edit := range map[string]func(*sso.SocialProvider){"by code": nil, "trusted": trusting} {
		t.Run(name, func(t *testing.T) {
			m, box, offer := social(edit, []ssotest.Person{verifiedPerson("victim-1", "victim@elsewhere.test")}, nil, policy.EmailCode, policy.Password)
			w := newWorld(t, offer)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.member("hooli", "victim@elsewhere.test", policy.Active)
			var mallory session.Token
			w.update(func(tx store.Tx) error {
				u, err := tx.UserByEmail("victim@elsewhere.test")
				if err != nil {
					return err
				}
				u.EmailVerified = false
				if err := tx.PutUser(u); err != nil {
					return err
				}
				if err := plant(tx, u.ID, w.clock.Now()); err != nil {
					return err
				}
				// Even an identity at the very provider that the victim comes by.
				if err := tx.PutIdentity(tenancy.Identity{Connection: m.connection("google"), Subject: "mallory", User: u.ID, CreatedAt: w.clock.Now()}); err != nil {
					return err
				}
				_, mallory, err = session.Begin(tx, u.ID, policy.Proof{Method: policy.Password, At: w.clock.Now()}, nil, "", session.Browser{}, limits, w.clock.Now())
				return err
			})
			u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("victim-1")
			if edit == nil {
				u.submit(map[string]string{"code": box.code(t, "victim@elsewhere.test")})
			}
			u.inApp("hooli", "victim@elsewhere.test")
			if got := w.linked("victim@elsewhere.test"); !slices.Equal(got, []string{"google victim-1"}) {
				t.Errorf("linked: %v", got)
			}
			w.view(func(tx store.Tx) error {
				v, err := tx.UserByEmail("victim@elsewhere.test")
				if err != nil {
					return err
				}
				if ms, err := tx.Enrolled(v.ID); err != nil || ms != 0 {
					t.Errorf("of what was planted there is %v, %v", ms, err)
				}
				if _, _, err := session.Live(tx, mallory.Hash(), "", limits, w.clock.Now()); err == nil {
					t.Error("the stranger is signed in still")
				}
				return nil
			})
		})
	}
}

// The account at the provider is linked to somebody else's here while the code is on its way.
func TestALinkThatIsRefusedLeavesNothingPlantedProved(t *testing.T) {
	const victim = "victim@elsewhere.test"
	m, box, offer := social(nil, []ssotest.Person{verifiedPerson("victim-1", victim)}, nil, policy.EmailCode, policy.Password)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", victim, policy.Active)
	w.member("hooli", "other@elsewhere.test", policy.Active)
	var mallory session.Token
	w.update(func(tx store.Tx) error {
		u, err := tx.UserByEmail(victim)
		if err != nil {
			return err
		}
		u.EmailVerified = false
		if err := tx.PutUser(u); err != nil {
			return err
		}
		if err := plant(tx, u.ID, w.clock.Now()); err != nil {
			return err
		}
		_, mallory, err = session.Begin(tx, u.ID, policy.Proof{Method: policy.Password, At: w.clock.Now()}, nil, "", session.Browser{}, limits, w.clock.Now())
		return err
	})
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("victim-1").sees(http.StatusOK, "We sent a code")
	w.update(func(tx store.Tx) error {
		other, err := tx.UserByEmail("other@elsewhere.test")
		if err != nil {
			return err
		}
		return tx.PutIdentity(tenancy.Identity{Connection: m.connection("google"), Subject: "victim-1", User: other.ID, CreatedAt: w.clock.Now()})
	})
	u.submit(map[string]string{"code": box.code(t, victim)}).sees(http.StatusForbidden, "belongs to another account")

	w.browser().to("hooli", "/", victim).press("E-mail me a code").submit(map[string]string{"code": box.code(t, victim)}).inApp("hooli", victim)
	if ms := w.enrolled(victim); ms != 0 {
		t.Errorf("of what was planted there is %v", ms.List())
	}
	w.view(func(tx store.Tx) error {
		if _, _, err := session.Live(tx, mallory.Hash(), "", limits, w.clock.Now()); err == nil {
			t.Error("the stranger is signed in still")
		}
		return nil
	})
}

// The mailbox is no way around what protects an account: whoever reads it does not link an
// account of their own.
func TestNoAccountIsLinkedByMailToWhatIsProtectedByMore(t *testing.T) {
	const jo = "jo@elsewhere.test"
	for name, tt := range map[string]struct {
		takes []policy.Method
		has   func(store.Tx, tenancy.UserID, *mall, time.Time) error
		links bool
	}{
		"nothing, codes are taken":                {[]policy.Method{policy.Social, policy.EmailCode}, nil, true},
		"nothing, codes are not taken":            {[]policy.Method{policy.Social, policy.Password}, nil, true},
		"a password, codes are taken":             {[]policy.Method{policy.Social, policy.EmailCode, policy.Password}, withPassword, true},
		"a password, codes are not taken":         {[]policy.Method{policy.Social, policy.Password}, withPassword, false},
		"an app, codes are taken":                 {[]policy.Method{policy.Social, policy.EmailCode}, withApp, false},
		"a passkey, codes are taken":              {[]policy.Method{policy.Social, policy.EmailCode}, withAPasskey, false},
		"another provider, codes are taken":       {[]policy.Method{policy.Social, policy.EmailCode}, withOther, true},
		"another provider, codes are not taken":   {[]policy.Method{policy.Social}, withOther, false},
		"their company's sign-on, codes are not":  {[]policy.Method{policy.Social, policy.SSO}, withSSO, false},
		"the provider's trusted word, another":    {[]policy.Method{policy.Social}, withOther, true},
		"the provider's trusted word, a password": {[]policy.Method{policy.Social, policy.Password}, withPassword, false},
		"the provider's trusted word, an app":     {[]policy.Method{policy.Social, policy.EmailCode}, withApp, false},
	} {
		t.Run(name, func(t *testing.T) {
			var edit func(*sso.SocialProvider)
			trusted := strings.Contains(name, "trusted")
			if trusted {
				edit = trusting
			}
			m, box, offer := social(edit, []ssotest.Person{verifiedPerson("thief", jo)}, nil, policy.EmailCode, policy.Password)
			w := newWorld(t, offer)
			w.startup("hooli", func(o *tenancy.Organization) {
				o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(tt.takes...)}
			})
			w.member("hooli", jo, policy.Active)
			if tt.has != nil {
				w.update(func(tx store.Tx) error { return tt.has(tx, tenancy.UserID("user_"+jo), m, w.clock.Now()) })
			}
			before := w.linked(jo)
			u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("thief")
			if !trusted {
				u.sees(http.StatusOK, "We sent a code").submit(map[string]string{"code": box.code(t, jo)})
			}
			if links := !slices.Equal(w.linked(jo), before); links != tt.links {
				t.Errorf("linked: %v\n%s", w.linked(jo), u.p.Text)
			}
			if !tt.links {
				u.sees(http.StatusConflict, "Google is not linked to your account yet")
				if u.cookie("orgate_login") != "" {
					t.Error("they are signed in")
				}
			}
		})
	}
}

func withPassword(tx store.Tx, user tenancy.UserID, _ *mall, now time.Time) error {
	return factor.SetPassword(tx, user, factor.HashPassword("four words in a row"), audit.System, now)
}

func withApp(tx store.Tx, user tenancy.UserID, _ *mall, now time.Time) error {
	return tx.PutTOTP(factor.TOTP{User: user, Secret: []byte("sealed"), CreatedAt: now})
}

func withAPasskey(tx store.Tx, user tenancy.UserID, _ *mall, now time.Time) error {
	return tx.PutPasskey(factor.Passkey{ID: "key", User: user, CreatedAt: now})
}

func withSSO(tx store.Tx, user tenancy.UserID, _ *mall, now time.Time) error {
	return tx.PutIdentity(tenancy.Identity{Connection: "conn_elsewhere", Organization: "org_elsewhere", Subject: "jo", User: user, CreatedAt: now})
}

func withOther(tx store.Tx, user tenancy.UserID, m *mall, now time.Time) error {
	return tx.PutIdentity(tenancy.Identity{Connection: m.connection("other"), Subject: "jo-at-other", User: user, CreatedAt: now})
}

func TestTheSameIsSaidOfEveryAddressThatComesBySocial(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("somebody", "gavin@elsewhere.test"), verifiedPerson("nobody", "nobody@elsewhere.test")}
	_, box, offer := social(nil, people, nil)
	w := newWorld(t, offer, func(w *world, o *sso.Options) { w.rules.InvitationOnly = true; o.Rules = w.rules })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "gavin@elsewhere.test", policy.Active)
	pages := map[string]string{}
	for who, email := range map[string]string{"somebody": "gavin@elsewhere.test", "nobody": "nobody@elsewhere.test"} {
		u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as(who).sees(http.StatusOK, "We sent a code")
		pages[who] = strings.ReplaceAll(u.p.Text, email, "ADDRESS")
	}
	if pages["somebody"] != pages["nobody"] {
		t.Errorf("%q\nis not\n%q", pages["somebody"], pages["nobody"])
	}
	if _, ok := box.to("nobody@elsewhere.test")[0].(mail.NoAccount); !ok {
		t.Errorf("nobody was mailed %v", box.to("nobody@elsewhere.test"))
	}
	w.nobody("nobody@elsewhere.test")
}

func TestTheSecondFactorIsAskedForAfterSocial(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("casey-1", "casey@freelance.test")}
	for provider, button := range map[string]string{"Google": "casey-1", "GitHub": "casey"} {
		_, box, offer := social(nil, people, []ssotest.GitHubAccount{account(3, "casey", "casey@freelance.test")}, policy.EmailCode)
		w := newWorld(t, offer)
		w.startup("hooli", func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MFA: true} })
		w.member("hooli", "casey@freelance.test", policy.Active)
		// The code of the first time is fresh, whatever the provider says: a second factor is
		// set up on it.
		u := w.browser().get(w.at("hooli", "/")).press("Continue with " + provider).press(button)
		u.submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).sees(http.StatusOK, "second factor")
		u.get(w.at("hooli", "/")).sees(http.StatusOK, "second factor")
		u.follow("Authenticator app")
		code := u.app()
		u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")
		u.press(u.p.Forms[0].Buttons[0].Label).inApp("hooli", "casey@freelance.test")

		w.clock.Advance(time.Minute)
		v := w.browser().get(w.at("hooli", "/")).press("Continue with "+provider).press(button).sees(http.StatusOK, "authenticator app")
		v = v.tab().get(w.at("hooli", "/")).sees(http.StatusOK, "authenticator app")
		v.submit(map[string]string{"code": code()}).inApp("hooli", "casey@freelance.test")
	}
}

// A provider that does not say when somebody signed in there proves nothing of now.
func TestASilentProviderProvesNothingOfNow(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("casey-1", "casey@freelance.test")}
	m, box, offer := social(nil, people, []ssotest.GitHubAccount{account(3, "casey", "casey@freelance.test")}, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("any", func(*tenancy.Organization) {})
	w.startup("fresh", func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MaxAge: time.Hour} })
	w.startup("mfa", func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MFA: true} })
	for _, slug := range []string{"any", "fresh", "mfa"} {
		w.member(slug, "casey@freelance.test", policy.Active)
	}
	for _, silent := range []string{"GitHub", "Google"} {
		if silent == "Google" { // and it ignores that it is asked for
			m.google.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { delete(c, "auth_time") }})
		}
		button := map[string]string{"GitHub": "casey", "Google": "casey-1"}[silent]
		u := w.browser().get(w.at("any", "/")).press("Continue with " + silent).press(button)
		u.submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).inApp("any", "casey@freelance.test")
		w.clock.Advance(2 * time.Hour)

		u = w.browser().get(w.at("any", "/")).press("Continue with "+silent).press(button).inApp("any", "casey@freelance.test")
		// max_age: something else is asked for.
		u.get(w.at("fresh", "/")).sees(http.StatusOK, "Choose how to sign in")
		if strings.Contains(u.p.Text, "Continue with GitHub") {
			t.Errorf("GitHub is offered, which can't do it: %s", u.p.Text)
		}
		if silent == "Google" {
			u.tab().get(w.at("fresh", "/")).press("Continue with Google").as("casey-1").sees(http.StatusForbidden, "You need to sign in at your identity provider again")
		}
		// Enrolment: the same.
		x := u.tab().get(w.at("mfa", "/"))
		if strings.Contains(x.p.Text, "Set up") || strings.Contains(x.p.URL.Path, "enroll") {
			t.Errorf("%s: a second factor could be set up: %s", silent, x.p.Text)
		}
		// The account page's changes: the same.
		u.get(w.login("/sign-in/app/new?next=account"))
		if strings.Contains(u.p.Text, "Secret") || u.p.URL.Path == "/sign-in/app/new" {
			t.Errorf("%s: an app could be set up: %s", silent, u.p.Text)
		}
		u.get(w.at("fresh", "/")).press("E-mail me a code").submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).inApp("fresh", "casey@freelance.test")
		w.clock.Advance(2 * time.Hour)
	}
}

func TestAProviderThatCanIsAskedForAFreshProof(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("casey-1", "casey@freelance.test")}
	m, box, offer := social(nil, people, nil)
	w := newWorld(t, offer)
	w.startup("fresh", func(o *tenancy.Organization) { o.OrganizationPolicy = &policy.Policy{MaxAge: time.Hour} })
	w.member("fresh", "casey@freelance.test", policy.Active)
	u := w.browser().get(w.at("fresh", "/")).press("Continue with Google")
	if got := u.p.URL.Query().Get("max_age"); got != "3600" {
		t.Errorf("max_age %q", got)
	}
	u.as("casey-1").submit(map[string]string{"code": box.code(t, "casey@freelance.test")}).inApp("fresh", "casey@freelance.test")
	w.clock.Advance(2 * time.Hour)
	u.get(w.at("fresh", "/here")).sees(http.StatusOK, "Continue with Google").press("Continue with Google").as("casey-1").inApp("fresh", "casey@freelance.test").sees(http.StatusOK, "at /here")
	// An old sign-in at the provider, where it does not heed what it is asked.
	w.clock.Advance(2 * time.Hour)
	then := w.clock.Now().Add(-3 * time.Hour)
	m.google.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { c["auth_time"] = then.Unix() }})
	u.get(w.at("fresh", "/")).press("Continue with Google").as("casey-1").sees(http.StatusForbidden, "sign in at your identity provider again")
	// In an organization that asks for nothing of the kind it is as old as it is.
	w.startup("any", func(*tenancy.Organization) {})
	w.member("any", "casey@freelance.test", policy.Active)
	w.browser().get(w.at("any", "/")).press("Continue with Google").as("casey-1").inApp("any", "casey@freelance.test")
	ps := w.proofs("casey@freelance.test")
	if i := slices.IndexFunc(ps, func(p policy.Proof) bool { return p.Method == policy.Social && p.At.Sub(then).Abs() < time.Second }); i < 0 {
		t.Errorf("%+v, want one of %v", ps, then)
	}
}

func TestTheProofsOfTwoPersonsAreNeverInOneSessionBySocial(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test"), verifiedPerson("mallory", "mallory@evil.test")}
	_, box, offer := social(trusting, people, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.startup("socials", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Social)}
	})
	for _, slug := range []string{"hooli", "socials"} {
		w.member(slug, "jo@elsewhere.test", policy.Active)
	}
	u := w.browser().to("hooli", "/", "jo@elsewhere.test").press("E-mail me a code").submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")}).inApp("hooli", "jo@elsewhere.test")
	// Asked for one more proof, as somebody else: new to us, and known to us.
	for range 2 {
		u.get(w.at("socials", "/")).press("Continue with Google").as("mallory").sees(http.StatusConflict, "That is somebody else")
		w.member("socials", "mallory@evil.test", policy.Active)
		w.browser().get(w.at("socials", "/")).press("Continue with Google").as("mallory").inApp("socials", "mallory@evil.test")
	}
	u.get(w.at("hooli", "/")).inApp("hooli", "jo@elsewhere.test")
	// And as the same person it adds to what is there.
	u.get(w.at("socials", "/")).press("Continue with Google").as("jo-1").inApp("socials", "jo@elsewhere.test")
	if ps := w.proofs("jo@elsewhere.test"); len(ps) != 2 {
		t.Errorf("%+v", ps)
	}
	// Whoever asks for another account gets it.
	u.get(w.login("/sign-in?another=1")).press("Continue with Google").as("mallory")
	if ps := w.proofs("jo@elsewhere.test"); len(ps) != 0 {
		t.Errorf("jo is signed in still: %+v", ps)
	}
}

func TestUnlinkingEndsWhatWasProvedByIt(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test")}
	m, _, offer := social(trusting, people, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "jo@elsewhere.test", policy.Active)
	u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").inApp("hooli", "jo@elsewhere.test")
	thief := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").inApp("hooli", "jo@elsewhere.test")
	u.get(w.login("/account")).sees(http.StatusOK, "Linked accounts", "Google").press("Unlink")
	if got := w.linked("jo@elsewhere.test"); len(got) > 0 {
		t.Errorf("linked: %v", got)
	}
	thief.get(w.at("hooli", "/")).sees(http.StatusOK, "Continue with Google")
	// Nor does it come to life when another account there is linked.
	w.update(func(tx store.Tx) error {
		return tx.PutIdentity(tenancy.Identity{Connection: m.connection("google"), Subject: "jo-2", User: "user_jo@elsewhere.test", CreatedAt: w.clock.Now()})
	})
	thief.get(w.at("hooli", "/")).sees(http.StatusOK, "Continue with Google")
}

func TestWhoIsSignedInLinksAnAccountFreshlyProved(t *testing.T) {
	people := []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test"), verifiedPerson("mallory", "mallory@evil.test")}
	m, box, offer := social(nil, people, []ssotest.GitHubAccount{account(7, "jo", "jo@elsewhere.test"), account(8, "mallory", "mallory@evil.test")}, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	const jo = "jo@elsewhere.test"
	w.member("hooli", jo, policy.Active)
	u := w.browser().to("hooli", "/", jo).press("E-mail me a code").submit(map[string]string{"code": box.code(t, jo)}).inApp("hooli", jo)
	// With a second factor, so that a code alone would not do.
	u.get(w.login("/sign-in/app/new?next=account"))
	code := u.app()
	u.submit(map[string]string{"code": code()}).sees(http.StatusOK, "recovery codes")

	u.get(w.login("/account")).sees(http.StatusOK, "Link Google", "Link GitHub").press("Link Google").as("mallory").sees(http.StatusConflict, "That is somebody else")
	u.get(w.login("/account")).press("Link GitHub").press("mallory").sees(http.StatusConflict, "That is somebody else")
	u.get(w.login("/account")).press("Link Google").as("jo-1").sees(http.StatusOK, "We sent a code")
	u.submit(map[string]string{"code": box.code(t, jo)}).sees(http.StatusOK, "Your account", "Unlink")
	if got := w.linked(jo); !slices.Equal(got, []string{"google jo-1"}) {
		t.Errorf("linked: %v", got)
	}
	if strings.Contains(u.p.Text, "Link Google") {
		t.Error("it can be linked twice")
	}

	// While they were there, the proofs grew old.
	u.press("Link GitHub")
	w.clock.Advance(9*time.Minute + 50*time.Second)
	u.press("jo")
	w.clock.Advance(time.Minute)
	if u.p.Status == http.StatusOK { // at the code, then
		u.submit(map[string]string{"code": box.code(t, jo)})
	}
	if got := w.linked(jo); !slices.Equal(got, []string{"google jo-1"}) {
		t.Errorf("linked: %v", got)
	}
	// And with old ones it does not begin.
	hits := m.github.Hits("authorize")
	u.get(w.login("/account")).press("Link GitHub").sees(http.StatusForbidden, "confirm that it is you")
	if m.github.Hits("authorize") != hits {
		t.Error("they were sent there")
	}
	// A page of another site can't begin it.
	req := post(t, w.login("/account/identities/link"), "provider=github")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if p, err := u.Fetch(req); err != nil || p.Status != http.StatusForbidden {
		t.Errorf("%v %d", err, p.Status)
	}
}

// Whoever finds an unlocked browser links nothing of theirs to it.
func TestALinkThatWasBegunFreshlyEndsWhenItsProofsAreOld(t *testing.T) {
	const jo = "jo@elsewhere.test"
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", jo, policy.Active)
	u := w.browser().to("hooli", "/", jo).press("E-mail me a code").submit(map[string]string{"code": box.code(t, jo)}).inApp("hooli", jo)
	u.get(w.login("/account")).press("Link Google")
	w.clock.Advance(9 * time.Minute)
	at := u.tab().get(w.login("/account")).press("Link Google").as("jo-1").sees(http.StatusOK, "We sent a code")
	w.clock.Advance(59*time.Second + time.Minute)
	u.get(w.login("/account")).sees(http.StatusOK)
	at.submit(map[string]string{"code": box.code(t, jo)})
	if got := w.linked(jo); len(got) > 0 {
		t.Errorf("linked: %v", got)
	}
}

// Nor is it somebody else's who signs in meanwhile, in another tab.
func TestALinkIsForWhoeverBeganIt(t *testing.T) {
	const jo, flo = "jo@elsewhere.test", "flo@elsewhere.test"
	_, box, offer := social(nil, []ssotest.Person{verifiedPerson("flo-1", flo)}, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	u := w.browser()
	for _, email := range []string{jo, flo} {
		w.member("hooli", email, policy.Active)
	}
	u.to("hooli", "/", jo).press("E-mail me a code").submit(map[string]string{"code": box.code(t, jo)}).inApp("hooli", jo)
	u.get(w.login("/account")).press("Link Google")
	v := u.tab().get(w.login("/sign-in?another=1")).submit(map[string]string{"email": flo}).press("E-mail me a code")
	v.submit(map[string]string{"code": box.code(t, flo)}).inApp("hooli", flo)
	u.as("flo-1").sees(http.StatusForbidden, "confirm that it is you")
	if got := append(w.linked(jo), w.linked(flo)...); len(got) > 0 {
		t.Errorf("linked: %v", got)
	}
}

func TestWhoMayNotComeBySocialLinksNothing(t *testing.T) {
	m, _, offer := social(trusting, []ssotest.Person{verifiedPerson("alice-1", "alice@acme.test")}, nil, policy.EmailCode)
	w := newWorld(t, offer)
	w.organization("acme", wantsMFA, person("alice", "acme.test"))
	u := w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")
	u.get(w.login("/account")).press("Link Google").sees(http.StatusForbidden, "This account can't be linked")
	if m.google.Hits("authorize") != 0 {
		t.Error("she was sent there")
	}
}

func TestWhatASocialProviderMayAnswerAndWhatMustComeOfIt(t *testing.T) {
	for name, f := range map[string]ssotest.Faults{
		"signed by another key": {Signature: ssotest.SignedByOtherKey},
		"not signed":            {Signature: ssotest.NotSigned},
		"another audience":      {Claims: func(c map[string]any) { c["aud"] = "other" }},
		"another issuer":        {Claims: func(c map[string]any) { c["iss"] = "https://accounts.google.com" }},
		"another nonce":         {Claims: func(c map[string]any) { c["nonce"] = "other" }},
		"no nonce":              {Claims: func(c map[string]any) { delete(c, "nonce") }},
		"no address":            {Claims: func(c map[string]any) { delete(c, "email") }, Userinfo: func(c map[string]any) { delete(c, "email") }},
		"an address of two":     {Claims: func(c map[string]any) { c["email"] = "jo@elsewhere.test@evil.test" }},
		"an address in quotes":  {Claims: func(c map[string]any) { c["email"] = `"jo"@elsewhere.test` }},
		"a foreign iss":         {Callback: func(v url.Values) { v.Set("iss", "https://evil.test") }},
		"no iss":                {Callback: func(v url.Values) { v.Del("iss") }},
		"silent":                {Endpoints: map[string]http.Handler{"token": ssotest.Says(500, "text/html", "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			m, box, offer := social(trusting, []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test")}, nil)
			w := newWorld(t, offer)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.member("hooli", "jo@elsewhere.test", policy.Active)
			m.google.Misbehave(f)
			u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1")
			if u.p.Status < 400 || u.cookie("orgate_login") != "" || len(w.linked("jo@elsewhere.test")) > 0 || len(box.to("jo@elsewhere.test")) > 0 {
				t.Errorf("%d %s", u.p.Status, u.p.Text)
			}
		})
	}
}

func TestNoLogHoldsASocialProvidersSecret(t *testing.T) {
	m, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test")}, []ssotest.GitHubAccount{account(7, "jo", "jo@elsewhere.test")})
	w := newWorld(t, offer)
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "jo@elsewhere.test", policy.Active)
	for provider, button := range map[string]string{"Google": "jo-1", "GitHub": "jo"} {
		u := w.browser().get(w.at("hooli", "/")).press("Continue with " + provider).press(button)
		u.submit(map[string]string{"code": box.code(t, "jo@elsewhere.test")})
	}
	m.github.Misbehave(map[string]http.Handler{"access_token": ssotest.Says(200, "application/json", `{"error":"incorrect_client_credentials"}`)})
	w.browser().get(w.at("hooli", "/")).press("Continue with GitHub").press("jo").sees(http.StatusForbidden)
	m.google.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { c["aud"] = "other" }})
	w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").sees(http.StatusForbidden)
	for _, secret := range []string{"secret-of-google", "secret-of-github", "gho_", "eyJ"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", m.providers, m.providers, maps.Collect(slices.All(m.providers))); strings.Contains(s, "secret-of-") {
		t.Error("a provider prints its secret")
	}
}

// An answer that comes back fifty times at once counts once.
func TestASocialAnswerIsGoodOnceHoweverOftenTheProviderAgrees(t *testing.T) {
	_, _, offer := social(trusting, nil, nil)
	w := newWorld(t, offer, func(_ *world, o *sso.Options) { o.OIDC = agreeable{} })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "alice@elsewhere.test", policy.Active)
	u := w.browser().get(w.at("hooli", "/"))
	values := url.Values{"way": {"social:google"}}
	p, err := u.Fetch(post(t, u.p.URL.String(), values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	back := p.Links[0].Href
	login, err := url.Parse(w.login("/"))
	if err != nil {
		t.Fatal(err)
	}
	kept := keepable(u.Jar.Cookies(login))
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, back, nil)
			if err != nil {
				t.Error(err)
				return
			}
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
			statuses[p.Status]++
		})
	}
	wg.Wait()
	if statuses[http.StatusSeeOther] != 1 || statuses[http.StatusBadRequest] != 49 {
		t.Errorf("statuses %v", statuses)
	}
	if ps, links := w.proofs("alice@elsewhere.test"), w.events(audit.IdentityLinked); len(ps) != 1 || len(links) != 1 {
		t.Errorf("%d proofs, %d links", len(ps), len(links))
	}
}

func TestALookAtASocialAnswerDoesNotUseItUp(t *testing.T) {
	_, _, offer := social(trusting, nil, nil)
	w := newWorld(t, offer, func(_ *world, o *sso.Options) { o.OIDC = agreeable{} })
	w.startup("hooli", func(*tenancy.Organization) {})
	w.member("hooli", "alice@elsewhere.test", policy.Active)
	u := w.browser().get(w.at("hooli", "/"))
	values := url.Values{"way": {"social:google"}}
	p, err := u.Fetch(post(t, u.p.URL.String(), values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	back := p.Links[0].Href
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, back, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, err = u.Fetch(req); err != nil || p.Status != http.StatusMethodNotAllowed || p.Header.Values("Set-Cookie") != nil {
		t.Errorf("HEAD: %v, status %d, Set-Cookie %q", err, p.Status, p.Header.Values("Set-Cookie"))
	}
	u.get(back).inApp("hooli", "alice@elsewhere.test")
}

// agreeable is careless, and says that it has verified the address.
type agreeable struct{ careless }

func (agreeable) Finish(context.Context, oidc.Connection, oidc.Flow, url.Values, time.Time) (oidc.Assertion, error) {
	return oidc.Assertion{Subject: "alice", Email: "alice@elsewhere.test", EmailVerified: new(true)}, nil
}

func TestWhoeverWantsAnotherAccountIsAskedForItAtTheProvider(t *testing.T) {
	m, _, offer := social(trusting, []ssotest.Person{verifiedPerson("jo-1", "jo@elsewhere.test")}, []ssotest.GitHubAccount{account(1, "jo", "jo@elsewhere.test")})
	w := newWorld(t, offer)
	for _, tt := range []struct{ button, query, want string }{
		{"Google", "", ""}, {"Google", "?another=1", "login"}, {"GitHub", "", ""}, {"GitHub", "?another=1", "select_account"},
	} {
		u := w.browser().get(w.login("/sign-in" + tt.query)).press("Continue with " + tt.button)
		if got := u.p.URL.Query().Get("prompt"); got != tt.want {
			t.Errorf("%s%s: prompt %q, want %q", tt.button, tt.query, got, tt.want)
		}
	}
	// Google itself refuses login.
	google := m.providers[0]
	google.Issuer = "https://accounts.google.com"
	w.load(func(o *sso.Options) { o.Social, o.OIDC = []sso.SocialProvider{google}, careless{} })
	u := w.browser().get(w.login("/sign-in?another=1"))
	p, err := u.Fetch(post(t, u.p.URL.String(), "way=social:google"))
	if err != nil || !strings.Contains(p.Links[0].Href, "prompt=select_account") {
		t.Errorf("%v, %v", err, p.Links)
	}
}

// resealed is the page of a user with another step in it, as whoever has our key could make it.
func (u *user) resealed(edit func(step map[string]any)) *user {
	u.w.t.Helper()
	open := func(purpose, about, value string) map[string]any {
		sealed, err := base64.RawURLEncoding.DecodeString(value)
		if err == nil {
			var plain []byte
			if plain, err = u.w.box.Open(purpose, about, sealed); err == nil {
				var v map[string]any
				if err = json.Unmarshal(plain, &v); err == nil {
					return v
				}
			}
		}
		u.w.t.Fatal(err)
		return nil
	}
	device := open("browser", "", u.cookie(cookie.Browser))["secret"].(string)
	form := &u.p.Forms[0]
	i := slices.IndexFunc(form.Fields, func(f ssotest.Field) bool { return f.Name == "step" })
	step := open("sign-in step", device, form.Fields[i].Value)
	edit(step)
	plain, err := json.Marshal(step)
	if err != nil {
		u.w.t.Fatal(err)
	}
	form.Fields[i].Value = base64.RawURLEncoding.EncodeToString(u.w.box.Seal("sign-in step", device, plain))
	return u
}

func TestACodeIsForTheVeryAccountThatItWasSentFor(t *testing.T) {
	const jo = "jo@elsewhere.test"
	for name, edit := range map[string]func(step, social map[string]any){
		"another subject":  func(_, social map[string]any) { social["subject"] = "mallory" },
		"another address":  func(step, _ map[string]any) { step["email"] = "victim@elsewhere.test" },
		"another purpose":  func(step, _ map[string]any) { step["purpose"] = "sign_in" },
		"another provider": func(_, social map[string]any) { social["provider"] = "other" },
		"another proof":    func(_, social map[string]any) { social["proof"].(map[string]any)["connection"] = "social:other" },
		"nobody's word":    func(step, _ map[string]any) { delete(step, "social") },
		"nothing":          func(_, _ map[string]any) {},
	} {
		t.Run(name, func(t *testing.T) {
			_, box, offer := social(nil, []ssotest.Person{verifiedPerson("jo-1", jo)}, nil, policy.EmailCode)
			w := newWorld(t, offer)
			w.startup("hooli", func(*tenancy.Organization) {})
			w.member("hooli", jo, policy.Active)
			w.member("hooli", "victim@elsewhere.test", policy.Active)
			u := w.browser().get(w.at("hooli", "/")).press("Continue with Google").as("jo-1").sees(http.StatusOK, "We sent a code")
			u.resealed(func(step map[string]any) { edit(step, step["social"].(map[string]any)) })
			u.submit(map[string]string{"code": box.code(t, jo)})
			linked := append(w.linked(jo), w.linked("victim@elsewhere.test")...)
			if in := u.cookie("orgate_login") != "" || len(linked) > 0; in != (name == "nothing") {
				t.Errorf("%d %s, linked %v", u.p.Status, u.p.Text, linked)
			}
		})
	}
}

// Hooli takes the word of a social provider and nothing else, and jo is known at one. Whoever reads
// jo's mail is in at the login host by a code, as the installation takes those; and has an account of
// their own at another provider.
func TestTheLoginHostIsNoWayAroundAnOrganizationThatTakesNoCodes(t *testing.T) {
	const jo = "jo@elsewhere.test"
	for name, link := range map[string]func(*world, *user, *postbox) *user{
		"at the sign-in": func(w *world, thief *user, box *postbox) *user {
			return thief.get(w.login("/sign-in")).press("Continue with Google").as("thief").
				sees(http.StatusOK, "We sent a code").submit(map[string]string{"code": box.code(t, jo)})
		},
		"on the account page": func(w *world, thief *user, box *postbox) *user {
			thief.get(w.login("/sign-in?next=account")).submit(map[string]string{"email": jo}).press("E-mail me a code").submit(map[string]string{"code": box.code(t, jo)})
			return thief.get(w.login("/account")).press("Link Google").as("thief").
				sees(http.StatusOK, "We sent a code").submit(map[string]string{"code": box.code(t, jo)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, box, offer := social(nil, []ssotest.Person{verifiedPerson("thief", jo)}, nil, policy.EmailCode)
			w := newWorld(t, offer)
			w.startup("hooli", func(o *tenancy.Organization) {
				o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.Social)}
			})
			w.member("hooli", jo, policy.Active)
			w.update(func(tx store.Tx) error { return withOther(tx, tenancy.UserID("user_"+jo), m, w.clock.Now()) })
			before := w.linked(jo)
			link(w, w.browser(), box).sees(http.StatusConflict, "Google is not linked to your account yet")
			if !slices.Equal(w.linked(jo), before) {
				t.Errorf("linked: %v", w.linked(jo))
			}
		})
	}
}
