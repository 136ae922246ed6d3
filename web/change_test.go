package web_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// changes are all the POSTs by which a person changes something of their own.
func changes(passkey string) map[string]url.Values {
	return map[string]url.Values{
		"/account/name":                {"name": {"Mallory"}},
		"/account/passkeys/rename":     {"passkey": {passkey}, "name": {"mine"}},
		"/account/passkeys/remove":     {"passkey": {passkey}},
		"/account/app/remove":          {},
		"/account/organizations/leave": {"organization": {"org_acme"}, "confirmed": {"1"}},
	}
}

// furnish gives a user a passkey, an authenticator app and a membership.
func (s *site) furnish(user tenancy.UserID) (passkey string) {
	s.t.Helper()
	passkey = "cGFzc2tleSBvZiA" // of these bytes
	err := s.store.Update(s.t.Context(), func(tx store.Tx) error {
		now := time.Now()
		if _, err := factor.AddPasskey(tx, factor.Passkey{ID: passkey, User: user, Name: "Laptop", Credential: []byte("{}")}, audit.System, now); err != nil {
			return err
		}
		if err := tx.PutTOTP(factor.TOTP{User: user, Secret: []byte("sealed"), CreatedAt: now}); err != nil {
			return err
		}
		if err := tx.PutOrganization(tenancy.Organization{ID: "org_acme", Slug: "acme", Name: "Acme", CreatedAt: now, UpdatedAt: now}); err != nil {
			return err
		}
		return tx.PutMembership(tenancy.Membership{ID: "om_1", Organization: "org_acme", User: user, Status: policy.Active, Roles: []string{"member"}, RoleSource: tenancy.RoleManual, CreatedAt: now, UpdatedAt: now})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return passkey
}

func (s *site) post(path string, form url.Values) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(s.t.Context(), "POST", "https://login.test"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	s.handler.ServeHTTP(w, r)
	return w
}

// mustHave fails the test unless everything that furnish gave is there.
func (s *site) mustHave(user tenancy.UserID, passkey, after string) {
	s.t.Helper()
	err := s.store.View(s.t.Context(), func(tx store.Tx) error {
		if p, err := tx.Passkey(passkey); err != nil || p.Name != "Laptop" {
			s.t.Errorf("%s: the passkey is %q, %v", after, p.Name, err)
		}
		if _, err := tx.TOTP(user); err != nil {
			s.t.Errorf("%s: the app is %v", after, err)
		}
		if m, err := tx.Membership("org_acme", user); err != nil || m.Status != policy.Active {
			s.t.Errorf("%s: the membership is %v, %v", after, m.Status, err)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestNobodyChangesWhatIsAnothers(t *testing.T) {
	s := newSite(t)
	s.session("user_alice", "Firefox/140.0 Linux", "")
	passkey := s.furnish("user_alice")
	for _, confined := range []tenancy.OrgID{"", "org_acme"} {
		s.who = s.session("user_mallory", "Firefox/140.0 Linux", confined)
		if confined != "" {
			s.who = s.session("user_alice", "Firefox/140.0 Linux", confined) // by the word of one provider alone
		}
		for path, form := range changes(passkey) {
			s.post(path, form)
			s.mustHave("user_alice", passkey, "confined to "+string(confined)+" at "+path)
		}
	}
}

func TestASessionThatEndedMeanwhileChangesNothing(t *testing.T) {
	s := newSite(t)
	s.who = s.session("user_alice", "Firefox/140.0 Linux", "") // as the guard saw it
	passkey := s.furnish("user_alice")
	err := s.store.Update(t.Context(), func(tx store.Tx) error {
		return session.EndAll(tx, "user_alice", "", audit.System, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, form := range changes(passkey) {
		if w := s.post(path, form); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: %d", path, w.Code)
		}
		s.mustHave("user_alice", passkey, path)
	}
}

func TestOneMailTellsOfOneChange(t *testing.T) {
	// Whoever is signed in could else have us send mail as often as they like.
	s := newSite(t)
	s.who = s.session("user_alice", "Firefox/140.0 Linux", "")
	passkey := s.furnish("user_alice")
	for range 3 {
		s.post("/account/passkeys/remove", url.Values{"passkey": {passkey}})
		s.post("/account/app/remove", nil)
	}
	if s.mails != 2 {
		t.Errorf("%d mails of two changes", s.mails)
	}
}

// A lost device is what a factor is taken away for: what was signed in with it ends too, as it
// does with an old password.
func TestAFactorThatIsRemovedTakesWhatItHasSignedIn(t *testing.T) {
	s := newSite(t)
	s.who = s.session("user_alice", "Firefox/140.0 Linux", "")
	passkey := s.furnish("user_alice")
	begun := func(first policy.Method, second ...policy.Method) session.ID {
		x := session.Session{}
		err := s.store.Update(t.Context(), func(tx store.Tx) (err error) {
			now := time.Now()
			x, _, err = session.Begin(tx, "user_alice", policy.Proof{Method: first, UserVerified: first == policy.Passkey, At: now}, nil, "", session.Browser{}, limits, now)
			for _, m := range second {
				if err == nil {
					x, _, err = session.AddProof(tx, x.ID, policy.Proof{Method: m, At: now}, nil, "", now)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return x.ID
	}
	stolen, app, other := begun(policy.Passkey), begun(policy.EmailCode, policy.TOTP), begun(policy.EmailCode)
	s.post("/account/passkeys/remove", url.Values{"passkey": {passkey}})
	if s.alive(stolen) {
		t.Error("whoever signed in by the passkey that was removed is signed in still")
	}
	if !s.alive(app) || !s.alive(other) || !s.alive(s.who.ID) {
		t.Error("a session without a passkey ended with one")
	}
	s.post("/account/app/remove", nil)
	if s.alive(app) {
		t.Error("whoever signed in by the app that was removed is signed in still")
	}
	if !s.alive(other) || !s.alive(s.who.ID) {
		t.Error("a session without an app ended with it")
	}
}
