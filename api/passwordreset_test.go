package api_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/internal/mail"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	createReset  = "POST /user_management/password_reset"
	getReset     = "GET /user_management/password_reset/{id}"
	confirmReset = "POST /user_management/password_reset/confirm"

	oldPassword = "correct horse battery staple"
	newPassword = "seven umbrellas in a taxi"
)

// signsIn reports whether the password is the user's.
func (w *world) signsIn(user, password string) bool {
	w.t.Helper()
	var p factor.Password
	w.do(func(tx store.Tx) (err error) {
		p, err = tx.Password(tenancy.UserID(user))
		return err
	})
	return factor.MatchPassword(p.Hash, password)
}

func TestAPasswordIsResetByTheTokenOnce(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com", map[string]any{"password": oldPassword})
	at := w.head()
	r := w.call(createReset, map[string]any{"email": "JO@acme.com"}).want(201)
	token := r.get("password_reset_token")
	if !strings.HasPrefix(r.id(), "password_reset_") || r.get("user_id") != jo || r.get("password_reset_url") != "https://login.example.com/password-reset/"+token || len(token) != 69 {
		t.Errorf("made %s", r.body)
	}
	if len(w.sent) != 1 || w.sent[0].to != "jo@acme.com" || w.sent[0].mail.(mail.ResetLink).URL != r.get("password_reset_url") {
		t.Errorf("mailed %+v", w.sent)
	}
	w.nobodyHears(token, token[26:])
	if a := w.call(getReset, r.id()).want(200); a.get("password_reset_token") != "" || a.get("password_reset_url") != "" || a.id() != r.id() || a.get("email") != "jo@acme.com" {
		t.Errorf("shown %s", a.body)
	}
	var s session.Session
	w.do(func(tx store.Tx) (err error) {
		s, _, err = session.Begin(tx, tenancy.UserID(jo), policy.Proof{Method: policy.Password, At: w.clock()}, nil, "", session.Browser{}, session.Limits{Idle: time.Hour, Absolute: time.Hour}, w.clock())
		return err
	})
	// The rules for passwords are those of the pages, and a password that is refused uses nothing up.
	for password, code := range map[string]string{"short": "password_too_short", "passwordpassword": "password_too_weak"} {
		a := w.call(confirmReset, map[string]any{"token": token, "new_password": password}).refused(400, "password_reset_error")
		same(t, password, a.faults(), []string{"new_password: " + code})
	}
	done := w.call(confirmReset, map[string]any{"token": token, "new_password": newPassword}).want(200)
	if done.get("user.id") != jo || !w.signsIn(jo, newPassword) || w.signsIn(jo, oldPassword) {
		t.Errorf("%s", done.body)
	}
	w.do(func(tx store.Tx) error {
		if s, err := tx.Session(s.ID); err != nil || s.EndedAt.IsZero() {
			t.Errorf("a session outlives the password that it began with: %v", err)
		}
		return nil
	})
	again := w.call(confirmReset, map[string]any{"token": token, "new_password": oldPassword}).refused(400, "password_reset_error")
	same(t, "again", again.faults(), []string{"token: password_reset_token_used"})
	for _, bad := range []string{token[:68] + "A", token[:40], "x", strings.Repeat("A", 69)} {
		if bad != token {
			w.call(confirmReset, map[string]any{"token": bad, "new_password": newPassword}).refused(404, "entity_not_found")
		}
	}
	if len(w.sent) != 2 || w.sent[1].about != "password_changed" {
		t.Errorf("mailed %+v", w.sent)
	}
	names := w.eventsSince(at)
	for _, want := range []string{audit.PasswordResetCreated, audit.PasswordReset, audit.FactorChanged, audit.SessionRevoked} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %q", want, names)
		}
	}
	for _, name := range []string{audit.PasswordResetCreated, audit.PasswordReset} {
		if e := w.lastEvent(name); e.id() != r.id() || e.get("user_id") != jo || e.get("expires_at") != r.get("expires_at") {
			t.Errorf("%s: %v", name, e.fields)
		}
	}
}

func TestATokenEndsWithTimeAndWithAnotherPassword(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com", map[string]any{"password": oldPassword})
	ask := func() string {
		return w.call(createReset, map[string]any{"email": "jo@acme.com"}).want(201).get("password_reset_token")
	}
	refused := func(token, fault string) {
		t.Helper()
		a := w.call(confirmReset, map[string]any{"token": token, "new_password": newPassword}).refused(400, "password_reset_error")
		same(t, "faults", a.faults(), []string{"token: " + fault})
	}
	late := ask()
	w.later(factor.ResetLife)
	refused(late, "password_reset_token_expired")
	before := ask()
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"password": newPassword}).want(200)
	refused(before, "password_reset_token_used")
	before = ask()
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"email": "jo@new.com"}).want(200)
	refused(before, "password_reset_token_used")
}

func TestWhoHasNoPasswordToForgetGetsNoReset(t *testing.T) {
	w := newWorld(t)
	w.call(createReset, map[string]any{"email": "nobody@acme.com"}).refused(404, "entity_not_found")
	jo := w.userAt("jo@acme.com")
	w.do(func(tx store.Tx) error {
		_, err := factor.AddPasskey(tx, factor.Passkey{ID: "AAAA", User: tenancy.UserID(jo), Credential: []byte("x")}, audit.System, w.clock())
		return err
	})
	w.call(createReset, map[string]any{"email": "jo@acme.com"}).refused(403, "password_reset_not_allowed")
	flo := w.userAt("flo@acme.com", map[string]any{"password": oldPassword})
	token := w.call(createReset, map[string]any{"email": "flo@acme.com"}).want(201).get("password_reset_token")
	w.ways = policy.MethodsOf(policy.EmailCode)
	w.call(createReset, map[string]any{"email": "flo@acme.com"}).refused(403, "email_password_auth_disabled")
	w.call(confirmReset, map[string]any{"token": token, "new_password": newPassword}).refused(403, "email_password_auth_disabled")
	if !w.signsIn(flo, oldPassword) {
		t.Error("it was changed")
	}
	w.call(confirmReset, map[string]any{"token": token}).refused(422, "invalid_request_parameters")
}

// Whoever reads the mail has proved the address: what strangers planted goes, and the password is the owner's.
func TestAResetProvesTheAddress(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com", map[string]any{"email_verified": false, "password": oldPassword})
	w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_secret": factor.NewTOTPSecret()}).want(201)
	token := w.call(createReset, map[string]any{"email": "jo@acme.com"}).want(201).get("password_reset_token")
	done := w.call(confirmReset, map[string]any{"token": token, "new_password": newPassword}).want(200)
	if done.get("user.email_verified") != "true" || w.enrolled(jo) != policy.MethodsOf(policy.Password) || !w.signsIn(jo, newPassword) {
		t.Errorf("%s, %v", done.body, w.enrolled(jo))
	}
}

func TestOfManyAtOnceOneResetsThePassword(t *testing.T) {
	w := newWorld(t)
	w.userAt("jo@acme.com", map[string]any{"password": oldPassword})
	token := w.call(createReset, map[string]any{"email": "jo@acme.com"}).want(201).get("password_reset_token")
	body := fmt.Sprintf(`{"token":%q,"new_password":%q}`, token, newPassword)
	var wg sync.WaitGroup
	statuses := make([]int, 6)
	for i := range statuses {
		wg.Go(func() {
			var err error
			if statuses[i], _, err = w.raw("POST", "/user_management/password_reset/confirm", body); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != 200 || statuses[1] != 400 || statuses[5] != 400 {
		t.Errorf("%v", statuses)
	}
}
