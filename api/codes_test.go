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
	createMagic   = "POST /user_management/magic_auth"
	getMagic      = "GET /user_management/magic_auth/{id}"
	sendVerify    = "POST /user_management/users/{id}/email_verification/send"
	confirmVerify = "POST /user_management/users/{id}/email_verification/confirm"
	getVerify     = "GET /user_management/email_verification/{id}"
	sendChange    = "POST /user_management/users/{id}/email_change/send"
	confirmChange = "POST /user_management/users/{id}/email_change/confirm"
)

// nobodyHears fails if a secret is in an event, in the log or in what is stored.
func (w *world) nobodyHears(secrets ...string) {
	w.t.Helper()
	var backup strings.Builder
	if _, err := w.s.Backup(w.t.Context(), &backup); err != nil {
		w.t.Fatal(err)
	}
	for _, s := range secrets {
		if s == "" || strings.Contains(backup.String(), s) || strings.Contains(w.log.String(), s) {
			w.t.Errorf("%q is stored, or in the log", s)
		}
	}
}

// lastEvent returns the data of the last event of that name.
func (w *world) lastEvent(name string) answer {
	w.t.Helper()
	a := w.call("GET /events", "?order=desc&limit=1&events="+name).want(200)
	list := a.fields["data"].([]any)
	if len(list) != 1 {
		w.t.Fatalf("no %s", name)
	}
	a.fields = list[0].(map[string]any)["data"].(map[string]any)
	return a
}

// use judges a code as the authentication does.
func (w *world) use(p factor.Purpose, user, code string) (j factor.Judged) {
	w.t.Helper()
	w.do(func(tx store.Tx) error {
		u, err := tx.User(tenancy.UserID(user))
		if err != nil {
			return err
		}
		j, err = factor.UseAppCode(tx, w.hookRules.Box, p, u, code, w.clock())
		return err
	})
	return j
}

func TestAMagicCodeIsMailedAndInTheAnswerAndWorksOnce(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	m := w.call(createMagic, map[string]any{"email": "Jo@ACME.com", "ip_address": "192.0.2.1", "user_agent": "x", "radar_auth_attempt_id": "r", "signals_id": "s"}).want(201)
	code := m.get("code")
	if !strings.HasPrefix(m.id(), "magic_auth_") || len(code) != 6 || m.get("email") != "jo@acme.com" || !strings.HasPrefix(m.get("user_id"), "user_") {
		t.Errorf("made %s", m.body)
	}
	if len(w.sent) != 1 || w.sent[0].to != "jo@acme.com" || w.sent[0].mail.(mail.AppSignInCode).Code != code {
		t.Errorf("mailed %+v", w.sent)
	}
	w.nobodyHears(`"` + code + `"`)
	// A person who has made the address their own by nothing yet is not verified by it.
	if a := w.call("GET /user_management/users/{id}", m.get("user_id")).want(200); a.get("email_verified") != "false" {
		t.Errorf("%s", a.body)
	}
	// It can be read by who may write, until it is used.
	if a := w.call(getMagic, m.id()).want(200); a.get("code") != code {
		t.Errorf("%s", a.body)
	}
	reader := w.key(session.APIKey{Name: "reader", ReadOnly: true})
	if a := w.as(reader, getMagic, m.id()).want(200); a.get("code") != "" || a.id() != m.id() {
		t.Errorf("a key that reads: %s", a.body)
	}
	w.as(reader, createMagic, map[string]any{"email": "jo@acme.com"}).refused(403, "forbidden")
	if j := w.use(factor.ForVerification, m.get("user_id"), code); j.Refused == nil {
		t.Error("it is good for another purpose")
	}
	if j := w.use(factor.ForMagicAuth, m.get("user_id"), code[:3]+" "+code[3:]); j.Refused != nil || j.Code.Email != "jo@acme.com" {
		t.Errorf("%+v", j)
	}
	if j := w.use(factor.ForMagicAuth, m.get("user_id"), code); j.Refused != factor.ErrCodeUsed { //nolint:errorlint // the very one
		t.Errorf("twice: %v", j.Refused)
	}
	if a := w.call(getMagic, m.id()).want(200); a.get("code") != "" {
		t.Errorf("after it was used: %s", a.body)
	}
	w.call(getMagic, "magic_auth_0").refused(404, "entity_not_found")
	w.call(getVerify, m.id()).refused(404, "entity_not_found")
	if e := w.lastEvent(audit.MagicAuthCreated); e.id() != m.id() || e.get("user_id") != m.get("user_id") || e.get("expires_at") != m.get("expires_at") || e.get("code") != "" {
		t.Errorf("%v", e.fields)
	}
	same(t, "events", w.eventsSince(at), []string{audit.UserCreated, audit.MagicAuthCreated, audit.APIKeyCreated})
}

func TestOfManyCodesTheLastOneIsGood(t *testing.T) {
	w := newWorld(t)
	first := w.call(createMagic, map[string]any{"email": "jo@acme.com"}).want(201)
	second := w.call(createMagic, map[string]any{"email": "jo@acme.com"}).want(201)
	w.call(getMagic, first.id()).refused(404, "entity_not_found")
	if first.get("code") != second.get("code") {
		if j := w.use(factor.ForMagicAuth, first.get("user_id"), first.get("code")); j.Refused == nil {
			t.Error("the one before is good")
		}
	}
	if j := w.use(factor.ForMagicAuth, first.get("user_id"), second.get("code")); j.Refused != nil {
		t.Errorf("the last one: %v", j.Refused)
	}
}

// Attack 92.
func TestGuessesAtACodeOfAnAppAreFew(t *testing.T) {
	w := newWorld(t)
	m := w.call(createMagic, map[string]any{"email": "jo@acme.com"}).want(201)
	wrong := "000000"
	if m.get("code") == wrong {
		wrong = "000001"
	}
	for i := range factor.EmailCodeTries {
		j := w.use(factor.ForMagicAuth, m.get("user_id"), wrong)
		if want := []error{factor.ErrWrong, factor.ErrCodeTries}[i/(factor.EmailCodeTries-1)]; j.Refused != want { //nolint:errorlint // the very one
			t.Errorf("try %d: %v", i, j.Refused)
		}
	}
	if j := w.use(factor.ForMagicAuth, m.get("user_id"), m.get("code")); j.Refused != factor.ErrCodeTries { //nolint:errorlint // the very one
		t.Errorf("after the last try: %v", j.Refused)
	}
	// Codes without end do not give guesses without end: some hundred a day, of a million.
	guesses, right := 0, 0
	for range 24 * 60 {
		w.later(time.Minute)
		a := w.call(createMagic, map[string]any{"email": "jo@acme.com"})
		for range 10 {
			j := w.use(factor.ForMagicAuth, m.get("user_id"), wrong)
			if j.Refused == factor.ErrWrong || j.Refused == factor.ErrCodeTries { //nolint:errorlint // the very one
				guesses++
			}
			if j.Refused == nil {
				right++
			}
		}
		if a.status != 201 && a.status != 429 {
			t.Fatalf("%s", a.body)
		}
		if guesses > 500 {
			break
		}
	}
	if guesses > 400 || guesses < 100 || right > 1 {
		t.Errorf("%d guesses in a day", guesses)
	}
}

func TestACodeOfAnAppEndsAfterTenMinutes(t *testing.T) {
	w := newWorld(t)
	m := w.call(createMagic, map[string]any{"email": "jo@acme.com"}).want(201)
	w.later(factor.EmailCodeLife)
	if a := w.call(getMagic, m.id()).want(200); a.get("code") != "" {
		t.Errorf("%s", a.body)
	}
	if j := w.use(factor.ForMagicAuth, m.get("user_id"), m.get("code")); j.Refused != factor.ErrCodeExpired { //nolint:errorlint // the very one
		t.Errorf("%v", j.Refused)
	}
	w.later(2 * time.Hour)
	w.call(getMagic, m.id()).refused(404, "entity_not_found")
}

func TestTheAPIIsNoMailCannon(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com", map[string]any{"email_verified": false})
	w.userAt("flo@acme.com", map[string]any{"password": "correct horse battery staple"})
	for what, send := range map[string]func() answer{
		"magic auth": func() answer { return w.call(createMagic, map[string]any{"email": "mo@acme.com"}) },
		"aliases": func() answer {
			return w.call(createMagic, map[string]any{"email": fmt.Sprintf("lo+%d@acme.com", w.head())})
		},
		"verification": func() answer { return w.call(sendVerify, jo) },
		"reset":        func() answer { return w.call(createReset, map[string]any{"email": "flo@acme.com"}) },
	} {
		for range 3 {
			if a := send(); a.status >= 300 {
				t.Fatalf("%s: %d %s", what, a.status, a.body)
			}
		}
		if a := send().refused(429, "rate_limit_exceeded"); a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", what)
		}
		w.later(20 * time.Second)
		if a := send(); a.status >= 300 {
			t.Errorf("%s, a while later: %d %s", what, a.status, a.body)
		}
	}
	if len(w.sent) != 16 {
		t.Errorf("%d mails", len(w.sent))
	}
}

func TestWhoMayNotSignInByCodeGetsNone(t *testing.T) {
	w := newWorld(t)
	oauth := func(a answer, code string) {
		t.Helper()
		if a.refused(400, code); a.get("error") != code || a.get("error_description") == "" {
			t.Errorf("%s", a.body)
		}
	}
	// An address on the domain of an organization whose policy asks for SSO.
	org := w.organizationNamed("Acme")
	w.call("PUT /organizations/{id}", org, map[string]any{"domain_data": []any{map[string]any{"domain": "acme.com", "state": "verified"}}}).want(200)
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(org))
		if err != nil {
			return err
		}
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
		return tx.PutOrganization(o)
	})
	oauth(w.call(createMagic, map[string]any{"email": "jo@acme.com"}), "authentication_method_not_allowed")
	// Where nobody signs up without an invitation.
	w.rules.InvitationOnly = true
	at := w.head()
	oauth(w.call(createMagic, map[string]any{"email": "jo@else.com"}), "sign_up_not_allowed")
	oauth(w.call(createMagic, map[string]any{"email": "jo@else.com", "invitation_token": strings.Repeat("A", 43)}), "invitation_invalid")
	if n := w.eventsSince(at); len(n) > 0 {
		t.Errorf("something was made: %q", n)
	}
	i := w.call("POST /user_management/invitations", map[string]any{"email": "jo@else.com"}).want(201)
	oauth(w.call(createMagic, map[string]any{"email": "flo@else.com", "invitation_token": i.get("token")}), "invitation_invalid")
	m := w.call(createMagic, map[string]any{"email": "jo@else.com", "invitation_token": i.get("token")}).want(201)
	if j := w.use(factor.ForMagicAuth, m.get("user_id"), m.get("code")); j.Refused != nil || j.Code.About != i.id() {
		t.Errorf("%+v", j)
	}
	w.ways = policy.MethodsOf(policy.Password)
	oauth(w.call(createMagic, map[string]any{"email": "jo@else.com"}), "authentication_method_not_allowed")
	w.call(createMagic, map[string]any{"email": "no address"}).refused(422, "invalid_request_parameters")
}

func TestAnAddressIsVerifiedByTheCodeThatWentThere(t *testing.T) {
	w := newWorld(t)
	w.noMail = true // the app mails it itself
	jo := w.userAt("jo@acme.com", map[string]any{"email_verified": false, "password": "what a stranger has set"})
	at := w.head()
	if a := w.call(sendVerify, jo).want(200); a.get("user.id") != jo || a.get("user.email_verified") != "false" {
		t.Errorf("%s", a.body)
	}
	e := w.lastEvent(audit.EmailVerificationCreated)
	v := w.call(getVerify, e.id()).want(200)
	code := v.get("code")
	if len(code) != 6 || v.get("user_id") != jo || !strings.HasPrefix(v.id(), "email_verification_") {
		t.Errorf("%s", v.body)
	}
	w.call(confirmVerify, jo, map[string]any{"code": "12345"}).refused(400, "email_verification_code_incorrect")
	flo := w.userAt("flo@acme.com", map[string]any{"email_verified": false})
	w.call(confirmVerify, flo, map[string]any{"code": code}).refused(400, "email_verification_code_incorrect")
	if a := w.call(confirmVerify, jo, map[string]any{"code": code}).want(200); a.get("user.email_verified") != "true" {
		t.Errorf("%s", a.body)
	}
	// Attack 76: what was set up before the address was proved is thrown out.
	if w.enrolled(jo) != 0 {
		t.Error("whoever set the password up had not proved the address, and it is there")
	}
	w.call(confirmVerify, jo, map[string]any{"code": code}).refused(400, "email_previously_verified")
	w.call(sendVerify, jo).refused(400, "email_already_verified")
	w.call(sendVerify, "user_0").refused(404, "entity_not_found")
	w.call(confirmVerify, jo, map[string]any{}).refused(422, "invalid_request_parameters")
	names := w.eventsSince(at)
	for _, want := range []string{audit.EmailVerificationCreated, audit.EmailVerificationFailed, audit.EmailVerificationSucceeded, audit.UserUpdated, audit.FactorRemoved} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %q", want, names)
		}
	}
	if e := w.lastEvent(audit.EmailVerificationFailed); e.get("error.code") != "email_verification_code_incorrect" || e.get("type") != "email_verification" {
		t.Errorf("%v", e.fields)
	}
	w.lastEvent(audit.EmailVerificationSucceeded)
	// A code is good for ten minutes.
	w.call(sendVerify, flo).want(200)
	code = w.call(getVerify, w.lastEvent(audit.EmailVerificationCreated).id()).want(200).get("code")
	w.later(factor.EmailCodeLife)
	w.call(confirmVerify, flo, map[string]any{"code": code}).refused(400, "email_verification_code_expired")
}

func TestAnAddressIsChangedByTheCodeThatWentToTheNewOne(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@old.com")
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"locale": "de"}).want(200)
	at := w.head()
	w.call(confirmChange, jo, map[string]any{"code": "123456"}).refused(409, "no_pending_email_change")
	a := w.call(sendChange, jo, map[string]any{"new_email": "Jo@NEW.com"}).want(200)
	if a.get("object") != "email_change" || a.get("new_email") != "jo@new.com" || a.get("user.email") != "jo@old.com" {
		t.Errorf("%s", a.body)
	}
	if len(w.sent) != 1 || w.sent[0].to != "jo@new.com" || fmt.Sprint(w.sent[0].locale) != "de" {
		t.Fatalf("mailed %+v", w.sent)
	}
	code := w.sent[0].mail.(mail.AppChangeEmailCode).Code
	w.nobodyHears(`"` + code + `"`)
	if strings.Contains(string(a.body), code) {
		t.Error("the answer has the code, which only the new address is to know")
	}
	w.call(confirmChange, jo, map[string]any{"code": "12345"}).refused(400, "email_change_code_incorrect")
	done := w.call(confirmChange, jo, map[string]any{"code": code}).want(200)
	if done.get("object") != "email_change_confirmation" || done.get("user.email") != "jo@new.com" || done.get("user.email_verified") != "true" {
		t.Errorf("%s", done.body)
	}
	if len(w.sent) != 2 || w.sent[1].to != "jo@old.com" || w.sent[1].mail.(mail.EmailChanged).Email != "jo@new.com" {
		t.Errorf("the old address was told %+v", w.sent)
	}
	w.call(confirmChange, jo, map[string]any{"code": code}).refused(409, "email_change_code_previously_used")
	same(t, "events", w.eventsSince(at), []string{audit.EmailChangeCreated, audit.UserUpdated})
}

func TestWhatAnAddressMayNotBecome(t *testing.T) {
	w := newWorld(t)
	jo, flo := w.userAt("jo@old.com"), w.userAt("flo@old.com")
	stranger := w.userAt("stranger@old.com", map[string]any{"email_verified": false})
	org := w.organizationNamed("Acme")
	w.call("PUT /organizations/{id}", org, map[string]any{"domain_data": []any{map[string]any{"domain": "acme.com", "state": "verified"}}}).want(200)
	at := w.head()
	w.call(sendChange, jo, map[string]any{"new_email": "jo@old.com"}).refused(409, "email_change_not_needed")
	w.call(sendChange, jo, map[string]any{"new_email": "FLO@old.com"}).refused(409, "email_not_available")
	w.call(sendChange, jo, map[string]any{"new_email": "jo@acme.com"}).refused(409, "email_change_not_allowed")
	w.call(sendChange, stranger, map[string]any{"new_email": "x@new.com"}).refused(409, "email_change_not_allowed")
	w.call(sendChange, jo, map[string]any{"new_email": "no address"}).refused(422, "invalid_email")
	w.call(sendChange, jo, map[string]any{}).refused(422, "invalid_request_parameters")
	if n := w.eventsSince(at); len(n) > 0 || len(w.sent) > 0 {
		t.Errorf("something was done: %q, %+v", n, w.sent)
	}
	// What was so when it was sent may not be so when it is confirmed.
	code := func(user, to string) string {
		w.call(sendChange, user, map[string]any{"new_email": to}).want(200)
		return w.sent[len(w.sent)-1].mail.(mail.AppChangeEmailCode).Code
	}
	c := code(jo, "mo@new.com")
	w.userAt("mo@new.com")
	w.call(confirmChange, jo, map[string]any{"code": c}).refused(409, "email_not_available")
	w.call(confirmChange, jo, map[string]any{"code": c}).refused(409, "email_change_code_previously_used")
	c = code(flo, "flo@new.org")
	w.call("PUT /organizations/{id}", org, map[string]any{"domain_data": []any{map[string]any{"domain": "new.org", "state": "verified"}}}).want(200)
	w.call(confirmChange, flo, map[string]any{"code": c}).refused(409, "email_change_not_allowed")
	c = code(jo, "jo@third.com")
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"email": "jo@fourth.com", "email_verified": true}).want(200)
	w.call(confirmChange, jo, map[string]any{"code": c}).refused(409, "no_pending_email_change")
	c = code(jo, "jo@fifth.com")
	for range factor.EmailCodeTries - 1 {
		w.call(confirmChange, jo, map[string]any{"code": "1"}).refused(400, "email_change_code_incorrect")
	}
	w.later(time.Minute)
	w.call(confirmChange, jo, map[string]any{"code": "1"}).refused(429, "email_change_too_many_attempts")
	w.call(confirmChange, jo, map[string]any{"code": c}).refused(429, "email_change_too_many_attempts")
	w.noMail = true
	w.call(sendChange, jo, map[string]any{"new_email": "jo@sixth.com"}).refused(409, "email_change_not_allowed")
}

func TestOfManyAtOnceOneChangesTheAddress(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@old.com")
	w.call(sendChange, jo, map[string]any{"new_email": "jo@new.com"}).want(200)
	body := fmt.Sprintf(`{"code":%q}`, w.sent[0].mail.(mail.AppChangeEmailCode).Code)
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wg.Go(func() {
			var err error
			if statuses[i], _, err = w.raw("POST", "/user_management/users/"+jo+"/email_change/confirm", body); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != 200 || statuses[1] != 409 || statuses[7] != 409 {
		t.Errorf("%v", statuses)
	}
}

func TestADeletedUserLeavesNoAddressBehind(t *testing.T) {
	w := newWorld(t)
	org, other := w.organizationNamed("Acme"), w.organizationNamed("Globex")
	invite := func(body map[string]any) answer {
		body["email"] = "jo@secret.example"
		return w.call("POST /user_management/invitations", body).want(201)
	}
	open := invite(map[string]any{"organization_id": org})
	revoked := invite(map[string]any{"organization_id": other})
	w.call("POST /user_management/invitations/{id}/revoke", revoked.id()).want(200)
	var jo string
	w.do(func(tx store.Tx) error {
		u, err := tx.UserByEmail("jo@secret.example")
		jo = string(u.ID)
		return err
	})
	w.call("PUT /user_management/users/{id}", jo, map[string]any{"email_verified": true, "password": "correct horse battery staple"}).want(200)
	w.call("POST /user_management/invitations/{id}/accept", open.id()).want(200)
	w.call(createMagic, map[string]any{"email": "jo@secret.example"}).want(201)
	made := w.call(enrollUser, jo, map[string]any{"type": "totp"}).want(201)
	at := w.head()
	w.call("DELETE /user_management/users/{id}", jo).want(200)
	for _, i := range []string{open.id(), revoked.id()} {
		w.call("GET /user_management/invitations/{id}", i).refused(404, "entity_not_found")
	}
	w.call(getFactor, made.get("authentication_factor.id")).refused(404, "entity_not_found")
	if n := w.call("GET /user_management/invitations", "?email=jo@secret.example").want(200).ids(); len(n) > 0 {
		t.Errorf("listed %q", n)
	}
	var backup strings.Builder
	if _, err := w.s.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(backup.String()) {
		// Events are kept for their time, and counters for a day.
		if strings.Contains(line, "jo@secret.example") && !strings.HasPrefix(line, `{"position"`) && !strings.HasPrefix(line, `{"key":["#"`) {
			t.Errorf("left: %s", line)
		}
	}
	if n := w.eventsSince(at); n[len(n)-1] != audit.UserDeleted {
		t.Errorf("%q", n)
	}
}

// TestACodeForAProfileIsNoneToSignInWith: the page made it for an app that is told of somebody, whoever has the address here.
func TestACodeForAProfileIsNoneToSignInWith(t *testing.T) {
	w := clientWorld(t)
	w.person("jo@acme.test")
	for purpose, shown := range map[factor.Purpose]int{factor.ForSignIn: 200, factor.ForProfile: 404} {
		var c factor.EmailCode
		var digits string
		w.do(func(tx store.Tx) (err error) {
			c, digits, err = factor.NewEmailCode(tx, purpose, "jo@acme.test", "", session.NewToken(), w.clock())
			return err
		})
		w.call(getMagic, c.ID).want(shown)
		w.grant(grantMagic, fields{"email": "jo@acme.test", "code": digits}).refused(400, "invalid_one_time_code")
	}
}
