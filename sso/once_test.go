package sso_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso"
	"github.com/orgate/orgate/sso/oidc"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// careless stands for a provider that believes everything: it sends everybody straight
// back as alice, and takes a code as often as it comes. What holds against it holds by
// this package alone.
type careless struct {
	sso.OIDC
	finishing func()
}

func (careless) Start(_ context.Context, c oidc.Connection, r oidc.StartRequest, now time.Time) (string, oidc.Flow, error) {
	f := oidc.Flow{State: session.NewToken().Reveal(), Nonce: "n", Verifier: "v", ConnectionID: c.ID, Issuer: c.Issuer, RedirectURI: r.RedirectURI, StartedAt: now}
	return r.RedirectURI + "?" + url.Values{"state": {f.State}, "code": {"c"}}.Encode(), f, nil
}

func (c careless) Finish(context.Context, oidc.Connection, oidc.Flow, url.Values, time.Time) (oidc.Assertion, error) {
	if c.finishing != nil {
		c.finishing()
	}
	return oidc.Assertion{Subject: "alice", Email: "alice@acme.test"}, nil
}

func TestAStateIsGoodOnceHoweverOftenTheProviderAgrees(t *testing.T) {
	w := newWorld(t, func(_ *world, o *sso.Options) { o.OIDC = careless{} })
	w.organization("acme", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
	})
	// A browser that stops at the provider, and then comes back fifty times at once.
	u := w.browser()
	req, err := http.NewRequestWithContext(t.Context(), "GET", w.signIn(w.request("acme", "/")), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := u.Fetch(req)
	if err != nil {
		t.Fatal(err)
	}
	back := p.Header.Get("Location")
	loginURL, err := url.Parse(w.login("/"))
	if err != nil {
		t.Fatal(err)
	}
	kept := keepable(u.Jar.Cookies(loginURL))
	if len(kept) != 1 {
		t.Fatalf("%d cookies", len(kept))
	}
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "GET", back, nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.AddCookie(kept[0])
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
	if c := w.census("acme"); c.sessions != 1 || c.users != 1 {
		t.Errorf("the store has %+v", c)
	}
}

func TestASignInThatGetsNowhereEnds(t *testing.T) {
	var w *world
	var second tenancy.ConnectionID
	turns := 0
	w = newWorld(t, func(_ *world, o *sso.Options) {
		o.OIDC = careless{finishing: func() {
			// Whenever one provider has answered, the policy wants the other.
			turns++
			want := []tenancy.ConnectionID{conn("acme"), second}[turns%2]
			w.changeOrganization("acme", func(o *tenancy.Organization) {
				o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(want), MaxAge: time.Hour}
			})
			w.age(3 * time.Hour)
		}}
	})
	w.organization("acme", func(o *tenancy.Organization) {
		o.OrganizationPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO), Connection: string(conn("acme"))}
	})
	second = w.twoWays("acme")
	w.browser().get(w.at("acme", "/")).sees(http.StatusForbidden, "goes round in circles", "Use another account")
	if turns < 2 || turns > 5 {
		t.Errorf("%d turns", turns)
	}
}

// age makes every proof there is older.
func (w *world) age(by time.Duration) {
	w.t.Helper()
	w.update(func(tx store.Tx) error {
		for m, err := range tx.Members(org("acme")) {
			if err != nil {
				return err
			}
			for s, err := range tx.SessionsOf(m.User) {
				if err != nil {
					return err
				}
				for i := range s.Proofs {
					s.Proofs[i].At = s.Proofs[i].At.Add(-by)
				}
				if err := tx.PutSession(s); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Attack 76: somebody makes an account of an address that is not theirs, and waits for its
// person to come.
func TestWhoeverTookAnAddressBeforeItsPersonCameIsThrownOut(t *testing.T) {
	w := newWorld(t)
	w.organization("acme", nil, person("alice", "acme.test"))
	var token session.Token
	w.update(func(tx store.Tx) error {
		now := w.clock.Now()
		u := tenancy.User{ID: "user_squatted", Email: "alice@acme.test", CreatedAt: now, UpdatedAt: now}
		if err := tx.PutUser(u); err != nil {
			return err
		}
		var err error
		_, token, err = session.Begin(tx, u.ID, policy.Proof{Method: policy.Password, At: now}, nil, "", session.Browser{}, limits, now)
		return err
	})
	w.browser().to("acme", "/", "alice@acme.test").as("alice").inApp("acme", "alice@acme.test")

	squatter := w.browser()
	loginURL, err := url.Parse(w.login("/"))
	if err != nil {
		t.Fatal(err)
	}
	squatter.Jar.Set(loginURL, []*http.Cookie{{Name: cookie.Jar{}.Name(cookie.Login), Value: token.Reveal(), Path: "/", Secure: true}})
	squatter.get(w.login("/organizations")).sees(http.StatusUnauthorized, "You are not signed in")
	if c := w.census("acme"); c.sessions != 1 {
		t.Errorf("the store has %+v", c)
	}
}
