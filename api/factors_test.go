package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	enrollAny    = "POST /auth/factors/enroll"
	getFactor    = "GET /auth/factors/{id}"
	deleteFactor = "DELETE /auth/factors/{id}"
	challenge    = "POST /auth/factors/{id}/challenge"
	verify       = "POST /auth/challenges/{id}/verify"
	userFactors  = "GET /user_management/users/{userlandUserId}/auth_factors"
	enrollUser   = "POST /user_management/users/{userlandUserId}/auth_factors"
)

func (w *world) userAt(email string, more ...map[string]any) string {
	w.t.Helper()
	body := map[string]any{"email": email, "email_verified": true}
	for _, m := range more {
		maps.Copy(body, m)
	}
	return w.call("POST /user_management/users", body).want(201).id()
}

// code is what an authenticator app with the secret shows now.
func (w *world) code(secret string) string {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	code, err := totp.GenerateCode(secret, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *world) enrolled(user string) policy.Methods {
	w.t.Helper()
	var ms policy.Methods
	w.do(func(tx store.Tx) (err error) {
		ms, err = tx.Enrolled(tenancy.UserID(user))
		return err
	})
	return ms
}

func TestAFactorMadeByTheAPIIsTheOneThatThePagesAskFor(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	at := w.head()
	made := w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_issuer": "Acme", "totp_user": "Jo"}).want(201)
	id, secret := made.get("authentication_factor.id"), made.get("authentication_factor.totp.secret")
	if !strings.HasPrefix(id, "auth_factor_") || !strings.HasPrefix(made.get("authentication_challenge.id"), "auth_challenge_") || made.get("authentication_factor.user_id") != jo ||
		made.get("authentication_factor.totp.uri") != factor.TOTPURL(secret, "Acme", "Jo") || !strings.HasPrefix(made.get("authentication_factor.totp.qr_code"), "data:image/png;base64,") {
		t.Errorf("made %s", made.body)
	}
	// Nobody is locked out by a secret that never got to their app.
	if w.enrolled(jo).Has(policy.TOTP) {
		t.Error("the pages ask for it before a code of it was seen")
	}
	wrong := w.call(verify, made.get("authentication_challenge.id"), map[string]any{"code": "000000"}).want(201)
	if wrong.get("valid") != "false" || w.enrolled(jo).Has(policy.TOTP) {
		t.Errorf("a wrong code: %s", wrong.body)
	}
	code := w.code(secret)
	right := w.call(verify, made.get("authentication_challenge.id"), map[string]any{"code": code}).want(201)
	if right.get("valid") != "true" || right.get("challenge.authentication_factor_id") != id || !w.enrolled(jo).Has(policy.TOTP) {
		t.Errorf("a right code: %s", right.body)
	}
	w.call(verify, made.get("authentication_challenge.id"), map[string]any{"code": code}).refused(422, "authentication_challenge_previously_verified")
	// A time step is accepted once, by the pages and the API alike.
	again := w.call(challenge, id, map[string]any{}).want(201)
	if a := w.call(verify, again.id(), map[string]any{"code": code}).want(201); a.get("valid") != "false" {
		t.Errorf("the same code twice: %s", a.body)
	}
	w.do(func(tx store.Tx) error {
		if err := factor.UseTOTP(tx, w.hookRules.Box, tenancy.UserID(jo), code, w.clock()); err == nil {
			t.Error("the pages accept what the API has accepted")
		}
		return nil
	})
	w.later(time.Minute)
	code = w.code(secret)
	w.do(func(tx store.Tx) error {
		return factor.UseTOTP(tx, w.hookRules.Box, tenancy.UserID(jo), code, w.clock())
	})
	if a := w.call(verify, again.id(), map[string]any{"code": code}).want(201); a.get("valid") != "false" {
		t.Errorf("a code that the pages have accepted: %s", a.body)
	}

	// It is shown without its secret, and not replaced.
	for _, a := range []answer{w.call(getFactor, id).want(200), w.call(userFactors, jo).want(200)} {
		if strings.Contains(string(a.body), secret) || strings.Contains(string(a.body), "qr_code") || !strings.Contains(string(a.body), id) {
			t.Errorf("shown as %s", a.body)
		}
	}
	w.call(enrollUser, jo, map[string]any{"type": "totp"}).refused(409, "authentication_factor_already_exists")
	w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_secret": factor.NewTOTPSecret()}).refused(409, "authentication_factor_already_exists")
	w.call(enrollAny, map[string]any{"type": "totp", "totp_issuer": "x", "totp_user": "y", "user_id": jo}).refused(409, "authentication_factor_already_exists")

	w.call(deleteFactor, id).want(204)
	w.call(deleteFactor, id).refused(404, "entity_not_found")
	w.call(getFactor, id).refused(404, "entity_not_found")
	w.call(verify, again.id(), map[string]any{"code": "123456"}).refused(404, "entity_not_found")
	if w.enrolled(jo) != 0 {
		t.Error("it is there after it was deleted")
	}
	same(t, "events", w.eventsSince(at), []string{
		audit.FactorCreated, audit.MFAFailed, audit.FactorEnrolled, audit.MFASucceeded, audit.MFAFailed, audit.MFAFailed, audit.FactorRemoved,
	})
	if len(w.sent) != 2 || w.sent[0].about != "factor_added" || w.sent[1].about != "factor_removed" || w.sent[1].to != "jo@acme.com" {
		t.Errorf("mailed %+v", w.sent)
	}
}

func TestDeletingAFactorEndsTheSessionsThatItWasProvedIn(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	secret := factor.NewTOTPSecret()
	made := w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_secret": strings.ToLower(secret) + "===="}).want(201)
	if made.get("authentication_factor.totp.secret") != secret || made.get("authentication_factor.totp.issuer") != "login.example.com" || made.get("authentication_factor.totp.user") != "jo@acme.com" {
		t.Errorf("made %s", made.body)
	}
	if !w.enrolled(jo).Has(policy.TOTP) {
		t.Error("a secret that the person has already is not theirs at once")
	}
	begin := func(first policy.Method, more ...policy.Method) (id session.ID) {
		w.do(func(tx store.Tx) error {
			s, _, err := session.Begin(tx, tenancy.UserID(jo), policy.Proof{Method: first, At: w.clock()}, nil, "", session.Browser{}, session.Limits{Idle: time.Hour, Absolute: time.Hour}, w.clock())
			id = s.ID
			for _, m := range more {
				if err == nil {
					_, _, err = session.AddProof(tx, id, policy.Proof{Method: m, At: w.clock()}, nil, "", w.clock())
				}
			}
			return err
		})
		return id
	}
	with, without := begin(policy.EmailCode, policy.TOTP), begin(policy.EmailCode)
	w.call(deleteFactor, made.get("authentication_factor.id")).want(204)
	w.do(func(tx store.Tx) error {
		for id, ended := range map[session.ID]bool{with: true, without: false} {
			if s, err := tx.Session(id); err != nil || s.EndedAt.IsZero() == ended {
				t.Errorf("%s: ended %v, want %v (%v)", id, s.EndedAt, ended, err)
			}
		}
		return nil
	})
}

func TestAnEnrolmentThatNobodyHasFinishedIsReplacedByTheNext(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	first := w.call(enrollUser, jo, map[string]any{"type": "totp"}).want(201)
	second := w.call(enrollUser, jo, map[string]any{"type": "totp"}).want(201)
	same(t, "factors", w.call(userFactors, jo).want(200).ids(), []string{second.get("authentication_factor.id")})
	w.call(verify, first.get("authentication_challenge.id"), map[string]any{"code": w.code(first.get("authentication_factor.totp.secret"))}).refused(404, "entity_not_found")
	// The pages set up another; what the API has begun is gone with it.
	w.do(func(tx store.Tx) error {
		s := factor.NewTOTPSecret()
		return factor.EnrollTOTP(tx, w.hookRules.Box, tenancy.UserID(jo), s, w.code(s), audit.System, w.clock())
	})
	w.call(verify, second.get("authentication_challenge.id"), map[string]any{"code": w.code(second.get("authentication_factor.totp.secret"))}).refused(404, "entity_not_found")
	list := w.call(userFactors, jo).want(200)
	if n := len(list.ids()); n != 1 || !strings.HasPrefix(list.ids()[0], "auth_factor_") {
		t.Errorf("listed %s", list.body)
	}
	// It is found by the id that is listed.
	w.call(deleteFactor, list.ids()[0]).want(204)
	if w.enrolled(jo) != 0 {
		t.Error("a factor of the pages is there after the API has deleted it")
	}
}

func TestPasskeysAreListedAndDeletedAndNotChallenged(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	w.do(func(tx store.Tx) error {
		for i := range 3 {
			p := factor.Passkey{ID: fmt.Sprintf("AAA%d", i), User: tenancy.UserID(jo), Credential: []byte("x")}
			if _, err := factor.AddPasskey(tx, p, audit.System, w.clock()); err != nil {
				return err
			}
		}
		return nil
	})
	w.call(enrollUser, jo, map[string]any{"type": "totp"}).want(201)
	list := w.call(userFactors, jo).want(200)
	ids := list.ids()
	same(t, "types, youngest first", list.ids("type"), []string{"totp", "webauthn", "webauthn", "webauthn"})
	// By pages it is the same list.
	var paged []string
	for after := ""; ; {
		a := w.call(userFactors, jo, "?limit=1&after="+after).want(200)
		paged = append(paged, a.ids()...)
		if after = a.get("list_metadata.after"); after == "" {
			break
		}
	}
	same(t, "pages", paged, ids)
	oldest := w.call(userFactors, jo, "?order=asc").want(200).ids()
	slices.Reverse(oldest)
	same(t, "oldest first", oldest, ids)
	w.call(challenge, ids[1], map[string]any{}).refused(422, "invalid_request_parameters")
	if a := w.call(getFactor, ids[1]).want(200); a.get("type") != "webauthn" || a.get("user_id") != jo {
		t.Errorf("%s", a.body)
	}
	w.call(deleteFactor, ids[1]).want(204)
	same(t, "without it", w.call(userFactors, jo).want(200).ids(), []string{ids[0], ids[2], ids[3]})
	w.call(userFactors, jo, "?type=totp").refused(422, "invalid_request_parameters")
	w.call(userFactors, "user_0").refused(404, "entity_not_found")
}

func TestAFactorOfNobodyIsTheAppsOwn(t *testing.T) {
	w := newWorld(t)
	at := w.head()
	f := w.call(enrollAny, map[string]any{"type": "totp", "totp_issuer": "Acme", "totp_user": "jo"}).want(201)
	secret := f.get("totp.secret")
	for want, code := range map[string]string{"true": w.code(secret), "false": "12345"} {
		if a := w.call(verify, w.call(challenge, f.id(), map[string]any{}).want(201).id(), map[string]any{"code": code}).want(201); a.get("valid") != want {
			t.Errorf("%s: %s", code, a.body)
		}
	}
	if a := w.call(verify, w.call(challenge, f.id()).want(201).id(), map[string]any{"code": w.code(secret)}).want(201); a.get("valid") != "false" {
		t.Errorf("the same step twice: %s", a.body)
	}
	w.call(deleteFactor, f.id()).want(204)
	same(t, "events", w.eventsSince(at), []string{audit.FactorCreated, audit.FactorRemoved})
}

func TestWhatIsWrongWithAFactorIsSaid(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	for _, c := range []struct {
		pattern string
		body    map[string]any
		faults  string
	}{
		{enrollUser, map[string]any{}, "type: required"},
		{enrollUser, map[string]any{"type": "sms"}, "type: not_supported"},
		{enrollUser, map[string]any{"type": "generic_otp"}, "type: not_supported"},
		{enrollUser, map[string]any{"type": "webauthn"}, "type: invalid"},
		{enrollUser, map[string]any{"type": "totp", "totp_secret": "GEZDGNBV"}, "totp_secret: invalid"},
		{enrollUser, map[string]any{"type": "totp", "totp_secret": "not base32, is it, or is it not?"}, "totp_secret: invalid"},
		{enrollUser, map[string]any{"type": "totp", "totp_issuer": "a\nb", "user_id": jo}, "totp_issuer: invalid user_id: unknown"},
		{enrollAny, map[string]any{"type": "totp"}, "totp_issuer: required totp_user: required"},
		{enrollAny, map[string]any{"type": "sms", "phone_number": "+1", "totp_issuer": "x", "totp_user": "y"}, "phone_number: not_supported type: not_supported"},
	} {
		arg := jo
		if c.pattern == enrollAny {
			arg = ""
		}
		a := w.call(c.pattern, arg, c.body).refused(422, "invalid_request_parameters")
		if got := strings.Join(a.faults(), " "); got != c.faults {
			t.Errorf("%v: %q, want %q", c.body, got, c.faults)
		}
	}
	w.call(enrollAny, map[string]any{"type": "totp", "totp_issuer": "x", "totp_user": "y", "user_id": "user_0"}).refused(404, "entity_not_found")
	w.call(challenge, "auth_factor_0", map[string]any{}).refused(404, "entity_not_found")
	w.call(verify, "auth_challenge_0", map[string]any{"code": "1"}).refused(404, "entity_not_found")
	w.call(verify, "auth_challenge_0", map[string]any{}).refused(422, "invalid_request_parameters")
	f := w.call(enrollUser, jo, map[string]any{"type": "totp"}).want(201).get("authentication_factor.id")
	w.call(challenge, f, map[string]any{"sms_template": "{{code}}"}).refused(422, "invalid_request_parameters")
}

// Attack 91: a challenge has five tries, a new one does not give new guesses, and the guesses on the pages count.
func TestGuessesAtAFactorAreCountedWhicheverWayTheyCome(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	made := w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_secret": factor.NewTOTPSecret()}).want(201)
	x := made.get("authentication_challenge.id")
	for range factor.ChallengeTries {
		if a := w.call(verify, x, map[string]any{"code": "000000"}).want(201); a.get("valid") != "false" {
			t.Errorf("%s", a.body)
		}
	}
	w.call(verify, x, map[string]any{"code": "000000"}).refused(400, "one_time_code_too_many_attempts")
	fresh := w.call(challenge, made.get("authentication_factor.id"), map[string]any{}).want(201).id()
	a := w.call(verify, fresh, map[string]any{"code": w.code(made.get("authentication_factor.totp.secret"))}).refused(429, "rate_limit_exceeded")
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	w.do(func(tx store.Tx) error {
		if wait, err := factor.Guesses(factor.GuessSecond).Attempt(tx, jo, w.clock()); err != nil || wait <= 0 {
			t.Errorf("the pages let them guess on: %v, %v", wait, err)
		}
		return nil
	})
	w.later(2 * time.Second)
	if a := w.call(verify, fresh, map[string]any{"code": w.code(made.get("authentication_factor.totp.secret"))}).want(201); a.get("valid") != "true" {
		t.Errorf("after the pause: %s", a.body)
	}
	old := w.call(challenge, made.get("authentication_factor.id"), map[string]any{}).want(201).id()
	w.later(factor.ChallengeLife)
	w.call(verify, old, map[string]any{"code": "000000"}).refused(422, "authentication_challenge_expired")
}

func TestOfManyAtOnceOneCodeIsAcceptedOnce(t *testing.T) {
	w := newWorld(t)
	jo := w.userAt("jo@acme.com")
	made := w.call(enrollUser, jo, map[string]any{"type": "totp", "totp_secret": factor.NewTOTPSecret()}).want(201)
	body := fmt.Sprintf(`{"code":%q}`, w.code(made.get("authentication_factor.totp.secret")))
	ids := []string{made.get("authentication_challenge.id")}
	for range 3 {
		ids = append(ids, w.call(challenge, made.get("authentication_factor.id"), map[string]any{}).want(201).id())
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	valid := 0
	for i := range 12 {
		wg.Go(func() {
			status, b, err := w.raw("POST", "/auth/challenges/"+ids[i%len(ids)]+"/verify", body)
			var a struct{ Valid bool }
			if err != nil || status == 201 && json.Unmarshal(b, &a) != nil {
				t.Errorf("%d %s: %v", status, b, err)
			}
			if a.Valid {
				mu.Lock()
				defer mu.Unlock()
				valid++
			}
		})
	}
	wg.Wait()
	if valid != 1 {
		t.Errorf("accepted %d times", valid)
	}
}

// raw calls an operation from any goroutine.
func (w *world) raw(method, target, body string) (status int, b []byte, err error) {
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+w.secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err = io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}
