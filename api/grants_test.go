package api_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/crypto/bcrypt"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/sso/factor"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	grantMagic  = "urn:workos:oauth:grant-type:magic-auth:code"
	grantVerify = "urn:workos:oauth:grant-type:email-verification:code"
	grantTOTP   = "urn:workos:oauth:grant-type:mfa-totp"
	grantOrg    = "urn:workos:oauth:grant-type:organization-selection"
	password    = "correct horse battery"
)

func (w *world) byPassword(email, password string, f ...fields) answer {
	w.t.Helper()
	ask := fields{"email": email, "password": password}
	for _, more := range f {
		maps.Copy(ask, more)
	}
	return w.grant("password", ask)
}

// stepsUp fails unless the answer asks for more, and returns the token to bring it with.
func (a answer) stepsUp(code string) string {
	a.t.Helper()
	a.refused(403, code)
	token := a.get("pending_authentication_token")
	if token == "" {
		a.t.Errorf("no pending_authentication_token: %s", a.body)
	}
	return token
}

func TestAPasswordSignsIn(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	w.signIn(u, org)
	at := w.head()
	a := w.byPassword("JO@acme.test", password, fields{"ip_address": "198.51.100.7", "user_agent": "Firefox"}).want(200)
	same(t, "events", w.eventsSince(at), []string{audit.PasswordSucceeded, audit.SessionCreated, audit.SessionCreated})
	c := w.claims(a)
	if c["sub"] != string(u) || c["org_id"] != org || a.get("authentication_method") != "Password" {
		t.Errorf("%v %s", c, a.body)
	}
	w.do(func(tx store.Tx) error {
		s, parent, err := session.LiveForClient(tx, session.ID(c["sid"].(string)), "client_app", limits, w.now)
		if err != nil || s.RemoteIP != "198.51.100.7" || s.UserAgent != "Firefox" || parent.Client != "client_app" {
			t.Errorf("%+v %v", s, err)
		}
		// No browser has the session that holds the proof.
		if _, _, err := session.Live(tx, parent.Token, "", limits, w.now); err == nil {
			t.Error("it is good on the login host")
		}
		return nil
	})
	// It ends with the client's, of which it is.
	w.call("POST /user_management/sessions/revoke", fields{"session_id": c["sid"]}).want(200)
	if list := w.call("GET /user_management/users/{id}/sessions", string(u)).want(200); strings.Contains(string(list.body), c["sid"].(string)) || strings.Contains(string(list.body), "198.51.100.7") {
		t.Errorf("%s", list.body)
	}
}

// TestThePasswordGrantTellsNobodyWhoExists: the answers are the same, byte for byte.
func TestThePasswordGrantTellsNobodyWhoExists(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	w.person("jo@acme.test", org)
	w.call("POST /user_management/users", fields{"email": "none@acme.test", "email_verified": true}).want(201)
	w.call("POST /user_management/users", fields{"email": "new@acme.test", "password": password}).want(201)
	plain := func(a answer) string { return strings.ReplaceAll(string(a.body), a.get("request_id"), "") }
	want := plain(w.byPassword("jo@acme.test", "wrong").want(400))
	if !strings.Contains(want, `"invalid_credentials"`) {
		t.Errorf("%s", want)
	}
	for _, email := range []string{"nobody@acme.test", "none@acme.test", "new@acme.test", "x@elsewhere.test"} {
		if got := plain(w.byPassword(email, "wrong").want(400)); got != want {
			t.Errorf("%s: %s, want %s", email, got, want)
		}
	}
	// Waiting is the same for all of them too.
	for _, email := range []string{"jo@acme.test", "nobody@acme.test"} {
		tries := 0
		for w.byPassword(email, "wrong").status == 400 {
			if tries++; tries > 10 {
				t.Fatalf("%s: nobody is told to wait", email)
			}
		}
		if tries != 4 {
			t.Errorf("%s: %d more tries", email, tries)
		}
		a := w.byPassword(email, password).says(429, "too_many_requests")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w.later(time.Hour)
	w.byPassword("jo@acme.test", password).want(200)
}

func TestAPasswordIsNoWayAroundADomainsPolicy(t *testing.T) {
	w := clientWorld(t)
	org := w.call("POST /organizations", fields{"name": "Acme", "domain_data": []any{fields{"domain": "acme.test", "state": "verified"}}}).want(201).id()
	conn := w.connection(org, "okta")
	u := w.person("jo@acme.test", org)
	w.do(func(tx store.Tx) error {
		o, err := tx.Organization(tenancy.OrgID(org))
		if err != nil {
			return err
		}
		o.DomainPolicy = &policy.Policy{Methods: policy.MethodsOf(policy.SSO)}
		return tx.PutOrganization(o)
	})
	for _, email := range []string{"jo@acme.test", "nobody@acme.test"} {
		for _, pw := range []string{password, "wrong"} {
			a := w.byPassword(email, pw).says(400, "organization_authentication_methods_required")
			if a.get("sso_connection_ids") != "["+conn+"]" || a.get("email") != email || a.get("auth_methods.password") != "false" {
				t.Errorf("%s", a.body)
			}
		}
		w.grant(grantMagic, fields{"email": email, "code": "123456"}).says(400, "organization_authentication_methods_required")
	}
	// Nor is one that was proved before the policy was.
	code := w.codeOf(w.browserOf(u, policy.Password), org)
	w.grant("authorization_code", fields{"code": code}).says(400, "organization_authentication_methods_required")

	w.ways &^= policy.MethodsOf(policy.Password)
	w.byPassword("x@elsewhere.test", password).refused(403, "email_password_auth_disabled")
	w.ways &^= policy.MethodsOf(policy.EmailCode)
	w.grant(grantMagic, fields{"email": "x@elsewhere.test", "code": "123456"}).refused(403, "authentication_method_not_allowed")
}

func TestTheOrganizationIsChosenOfSeveral(t *testing.T) {
	w := clientWorld(t)
	acme, globex, left, strange := w.organizationNamed("Acme"), w.organizationNamed("Globex"), w.organizationNamed("Left"), w.organizationNamed("Strange")
	u := w.person("jo@acme.test", acme, globex, left)
	w.do(func(tx store.Tx) error {
		return session.Deactivate(tx, tenancy.OrgID(left), u, audit.System, w.clock())
	})
	at := w.head()
	a := w.byPassword("jo@acme.test", password)
	token := a.stepsUp("organization_selection_required")
	same(t, "events", w.eventsSince(at), []string{audit.PasswordSucceeded})
	if got := a.get("organizations"); !strings.Contains(got, acme) || !strings.Contains(got, globex) || strings.Contains(got, left) {
		t.Errorf("organizations %s", got)
	}
	w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": globex, "client_id": "client_other"}).refused(400, "invalid_pending_authentication_token")
	b := w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": globex}).want(200)
	if w.claims(b)["org_id"] != globex {
		t.Errorf("%s", b.body)
	}
	w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": acme}).refused(400, "invalid_pending_authentication_token")
	for org, want := range map[string]string{left: "organization_membership_not_found", strange: "organization_membership_not_found", "org_none": "organization_not_found"} {
		token := w.byPassword("jo@acme.test", password).stepsUp("organization_selection_required")
		w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": org}).says(400, want)
	}
	late := w.byPassword("jo@acme.test", password).stepsUp("organization_selection_required")
	w.later(client.PendingLife)
	w.grant(grantOrg, fields{"pending_authentication_token": late, "organization_id": acme}).refused(400, "invalid_pending_authentication_token")

	// What was proved must be so still.
	stale := w.byPassword("jo@acme.test", password).stepsUp("organization_selection_required")
	w.call("PUT /user_management/users/{id}", string(u), fields{"password": "another horse battery"}).want(200)
	w.grant(grantOrg, fields{"pending_authentication_token": stale, "organization_id": acme}).refused(400, "invalid_pending_authentication_token")

	// A policy of the organization that is chosen is not gone around.
	w.do(func(tx store.Tx) error {
		return w.policyOf(tx, acme, policy.Policy{Methods: policy.MethodsOf(policy.EmailCode)})
	})
	token = w.byPassword("jo@acme.test", "another horse battery").stepsUp("organization_selection_required")
	w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": acme}).says(400, "authentication_method_not_allowed")
}

// enroll makes an authenticator app the person's second factor, and returns its secret.
func (w *world) enroll(u tenancy.UserID) string {
	w.t.Helper()
	secret := factor.NewTOTPSecret()
	w.do(func(tx store.Tx) error {
		now := w.clock()
		code, err := totp.GenerateCode(secret, now)
		if err != nil {
			return err
		}
		return factor.EnrollTOTP(tx, w.box(), u, secret, code, audit.System, now)
	})
	w.later(time.Minute) // the code was used
	return secret
}

func (w *world) totp(secret string) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *world) challenge(factorID string) (id string) {
	w.t.Helper()
	w.do(func(tx store.Tx) error {
		c, err := factor.NewChallenge(tx, factorID, w.clock())
		id = c.ID
		return err
	})
	return id
}

func TestASecondFactorIsAskedForWhereThePagesAskForOne(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	other := w.person("al@acme.test", org)
	w.do(func(tx store.Tx) error { return w.policyOf(tx, org, policy.Policy{MFA: true}) })
	w.byPassword("jo@acme.test", password).stepsUp("mfa_enrollment")

	secret, others := w.enroll(u), w.enroll(other)
	a := w.byPassword("jo@acme.test", password)
	token := a.stepsUp("mfa_challenge")
	list, _ := a.fields["authentication_factors"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["type"] != "totp" {
		t.Fatalf("%s", a.body)
	}
	id := list[0].(map[string]any)["id"].(string)
	challenge := w.challenge(id)
	ask := fields{"pending_authentication_token": token, "authentication_challenge_id": challenge, "code": "000000"}
	with := func(k string, v any) fields {
		m := fields{}
		maps.Copy(m, ask)
		m[k] = v
		return m
	}
	at := w.head()
	w.grant(grantTOTP, ask).refused(400, "invalid_one_time_code")
	same(t, "events", w.eventsSince(at), []string{audit.MFAFailed})
	w.grant(grantTOTP, with("authentication_challenge_id", "auth_challenge_none")).refused(400, "user_mismatch")
	theirs := w.byPassword("al@acme.test", password)
	theirFactor := theirs.fields["authentication_factors"].([]any)[0].(map[string]any)["id"].(string)
	m := with("authentication_challenge_id", w.challenge(theirFactor))
	m["code"] = w.totp(others)
	w.grant(grantTOTP, m).refused(400, "user_mismatch")
	// Neither does choosing an organization go around it.
	w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": org}).stepsUp("mfa_challenge")

	token = w.byPassword("jo@acme.test", password).stepsUp("mfa_challenge")
	ask["pending_authentication_token"] = token
	code := w.totp(secret)
	done := w.grant(grantTOTP, with("code", code)).want(200)
	if w.claims(done)["org_id"] != org || done.get("authentication_method") != "Password" {
		t.Errorf("%s", done.body)
	}
	w.refresh(done, nil).want(200)
	w.grant(grantTOTP, with("code", code)).refused(400, "invalid_pending_authentication_token")
	token = w.byPassword("jo@acme.test", password).stepsUp("mfa_challenge")
	ask["pending_authentication_token"] = token
	w.grant(grantTOTP, with("code", code)).refused(400, "one_time_code_previously_used")
	ask["authentication_challenge_id"] = w.challenge(id)
	w.grant(grantTOTP, with("code", code)).refused(400, "invalid_one_time_code") // each code works once, whatever asks for it
}

// mailed makes a code by mail as an app asks for it.
func (w *world) mailed(p factor.Purpose, u tenancy.UserID, email string) (digits string) {
	w.t.Helper()
	w.do(func(tx store.Tx) (err error) {
		_, digits, err = factor.NewAppCode(tx, w.box(), p, u, email, "", audit.System, w.clock())
		return err
	})
	return digits
}

func wrongCode(right string) string { return fmt.Sprintf("%06d", (atoi(right)+1)%1_000_000) }

func atoi(s string) (n int) {
	for _, c := range s {
		n = 10*n + int(c-'0')
	}
	return n
}

func TestACodeByMailSignsIn(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	w.signIn(u, org)
	magic := func(code string, f ...fields) answer {
		ask := fields{"email": "jo@acme.test", "code": code}
		for _, m := range f {
			maps.Copy(ask, m)
		}
		return w.grant(grantMagic, ask)
	}
	magic("123456").refused(400, "invalid_one_time_code") // none was asked for
	w.grant(grantMagic, fields{"email": "nobody@acme.test", "code": "123456"}).refused(400, "invalid_one_time_code")
	code := w.mailed(factor.ForMagicAuth, u, "jo@acme.test")
	magic(wrongCode(code)).refused(400, "invalid_one_time_code")
	at := w.head()
	a := magic(code).want(200)
	same(t, "events", w.eventsSince(at), []string{audit.MagicAuthSucceeded, audit.SessionCreated, audit.SessionCreated})
	if a.get("authentication_method") != "MagicAuth" || w.claims(a)["org_id"] != org {
		t.Errorf("%s", a.body)
	}
	magic(code).refused(400, "one_time_code_previously_used")
	late := w.mailed(factor.ForMagicAuth, u, "jo@acme.test")
	w.later(factor.EmailCodeLife)
	magic(late).refused(400, "one_time_code_expired")
	guessed := w.mailed(factor.ForMagicAuth, u, "jo@acme.test")
	for range factor.EmailCodeTries {
		magic(wrongCode(guessed))
	}
	magic(guessed).refused(400, "one_time_code_too_many_attempts")
	// One for another thing is none.
	w.later(time.Hour)
	magic(w.mailed(factor.ForVerification, u, "jo@acme.test")).refused(400, "one_time_code_too_many_attempts") // as before
}

func TestAnAddressThatNobodyProvedIsProvedFirst(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	id := w.call("POST /user_management/users", fields{"email": "new@acme.test", "password": password}).want(201).id()
	w.call("POST /user_management/organization_memberships", fields{"user_id": id, "organization_id": org}).want(201)
	stranger := w.browserOf(tenancy.UserID(id)) // somebody was signed in to it before its owner came
	before := w.grant("authorization_code", fields{"code": w.codeOf(stranger, org)}).want(200)

	at := w.head()
	a := w.byPassword("new@acme.test", password)
	token := a.stepsUp("email_verification_required")
	same(t, "events", w.eventsSince(at), []string{audit.EmailVerificationCreated})
	if a.get("email") != "new@acme.test" || a.get("email_verification_id") == "" {
		t.Errorf("%s", a.body)
	}
	if len(w.codes) != 1 {
		t.Fatalf("mails %v", w.codes)
	}
	code := w.codes[0]
	if strings.Contains(string(a.body), code) {
		t.Error("the answer has the code")
	}
	w.grant(grantOrg, fields{"pending_authentication_token": token, "organization_id": org}).refused(400, "invalid_pending_authentication_token")
	w.grant(grantVerify, fields{"pending_authentication_token": token, "code": wrongCode(code)}).refused(400, "invalid_one_time_code")
	b := w.grant(grantVerify, fields{"pending_authentication_token": token, "code": code}).want(200)
	if b.get("user.email_verified") != "true" || w.claims(b)["org_id"] != org {
		t.Errorf("%s", b.body)
	}
	w.grant(grantVerify, fields{"pending_authentication_token": token, "code": code}).refused(400, "invalid_pending_authentication_token")
	w.refresh(before, nil).says(400, "invalid_grant") // whoever was there before is out
	w.byPassword("new@acme.test", password).want(200) // and the password, which its owner knew, is there
	w.grant(grantVerify, fields{"pending_authentication_token": w.pendingOf("jo2@acme.test"), "code": "123456"}).refused(400, "invalid_pending_authentication_token")
}

// pendingOf is the token of somebody who is to choose an organization.
func (w *world) pendingOf(email string) string {
	w.t.Helper()
	w.person(email, w.organizationNamed("One"), w.organizationNamed("Two"))
	return w.byPassword(email, password).stepsUp("organization_selection_required")
}

func TestAnInvitationIsAcceptedOnTheWay(t *testing.T) {
	w := clientWorld(t)
	w.rules.InvitationOnly = true
	acme, globex := w.organizationNamed("Acme"), w.organizationNamed("Globex")
	u := w.person("jo@acme.test", acme)
	w.person("al@acme.test", acme)
	invite := func(email string) string {
		t.Helper()
		return w.call("POST /user_management/invitations", fields{"email": email, "organization_id": globex}).want(201).get("token")
	}
	token := invite("jo@acme.test")
	w.byPassword("al@acme.test", password, fields{"invitation_token": token}).says(400, "invitation_cannot_be_used_for_email")
	w.byPassword("jo@acme.test", password, fields{"invitation_token": "none"}).says(400, "invitation_invalid")
	at := w.head()
	a := w.byPassword("jo@acme.test", password, fields{"invitation_token": token}).want(200)
	if w.claims(a)["org_id"] != globex || !slices.Contains(w.eventsSince(at), audit.InvitationAccepted) {
		t.Errorf("%s", a.body)
	}
	w.byPassword("jo@acme.test", password, fields{"invitation_token": token}).says(400, "invitation_invalid")

	// With a code of the login host.
	v := w.person("bo@acme.test", acme)
	token = invite("bo@acme.test")
	w.grant("authorization_code", fields{"code": w.codeOf(w.browserOf(u), acme), "invitation_token": token}).says(400, "invitation_cannot_be_used_for_email")
	b := w.grant("authorization_code", fields{"code": w.codeOf(w.browserOf(v), acme), "invitation_token": token}).want(200)
	if w.claims(b)["org_id"] != globex {
		t.Errorf("%s", b.body)
	}

	// The policies of the organization hold, and the invitation waits until they are met.
	w.do(func(tx store.Tx) error { return w.policyOf(tx, globex, policy.Policy{MFA: true}) })
	x := w.person("cy@acme.test")
	secret := w.enroll(x)
	token = invite("cy@acme.test")
	c := w.byPassword("cy@acme.test", password, fields{"invitation_token": token})
	pending := c.stepsUp("mfa_challenge")
	id := c.fields["authentication_factors"].([]any)[0].(map[string]any)["id"].(string)
	done := w.grant(grantTOTP, fields{"pending_authentication_token": pending, "authentication_challenge_id": w.challenge(id), "code": w.totp(secret)}).want(200)
	if w.claims(done)["org_id"] != globex {
		t.Errorf("%s", done.body)
	}

	// Nobody is let in whom nobody invited.
	n := w.call("POST /user_management/users", fields{"email": "dee@else.test"}).want(201).id()
	w.grant(grantMagic, fields{"email": "dee@else.test", "code": w.mailed(factor.ForMagicAuth, tenancy.UserID(n), "dee@else.test")}).says(400, "sign_up_not_allowed")
}

func TestAProfileIsHandedOnOnce(t *testing.T) {
	for name, profile := range map[string]string{
		"of a connection":        `"organization_id":"org_1","connection_id":"conn_1","connection_type":"GenericOIDC","idp_id":"x","email":"jo@acme.test","first_name":null,"last_name":null,"name":null,"role":null,"roles":null,"custom_attributes":{},"raw_attributes":{}`,
		"of a social provider":   `"organization_id":null,"connection_id":"conn_4A1PJ5DE5SPEAB11ZV0GZC4VWQ","connection_type":"GoogleOAuth","idp_id":"x","email":"jo@acme.test","first_name":"Jo","last_name":"Doe","name":"Jo Doe","role":null,"roles":null,"custom_attributes":{"locale":"en"},"raw_attributes":{"locale":"en"}`,
		"of another of its kind": `"organization_id":null,"connection_id":"conn_4A1PJ5DE5SPEAB11ZV0GZC4VWQ","connection_type":"GenericOIDC","idp_id":"x","email":"jo@acme.test","first_name":null,"last_name":null,"name":"Jo","role":null,"roles":null,"custom_attributes":{},"raw_attributes":{}`,
	} {
		t.Run(name, func(t *testing.T) {
			handsOn(t, []byte(`{"object":"profile","id":"prof_01ARZ3NDEKTSV4RRFFQ69G5FAV",`+profile+`}`))
		})
	}
}

func handsOn(t *testing.T, profile []byte) {
	w := clientWorld(t)
	issue := func() (code string) {
		w.do(func(tx store.Tx) error {
			c, err := client.IssueCode(tx, client.Code{Client: "client_app", RedirectURI: appCallback, Profile: profile}, w.clock())
			code = c.Reveal()
			return err
		})
		return code
	}
	token := func(f fields) answer {
		ask := fields{"client_id": "client_app", "client_secret": w.secret, "grant_type": "authorization_code"}
		maps.Copy(ask, f)
		return w.as("", "POST /sso/token", ask)
	}
	code := issue()
	token(fields{"code": code, "client_secret": "sk_wrong"}).says(400, "invalid_client")
	token(fields{"code": code, "grant_type": "password"}).says(400, "unsupported_grant_type")
	a := token(fields{"code": code}).want(200)
	if a.get("profile.email") != "jo@acme.test" || a.get("token_type") != "Bearer" {
		t.Errorf("%s", a.body)
	}
	if shown := w.as(a.get("access_token"), "GET /sso/profile").want(200); strings.TrimSpace(string(shown.body)) != string(profile) {
		t.Errorf("%s", shown.body)
	}
	w.as("", "GET /sso/profile").says(401, "Unauthorized")
	w.as(w.secret, "GET /sso/profile").says(401, "Unauthorized")
	token(fields{"code": code}).says(400, "invalid_grant")
	w.as(a.get("access_token"), "GET /sso/profile").says(401, "Unauthorized") // one of the two was not the app
	b := token(fields{"code": issue()}).want(200)
	w.later(client.ProfileLife)
	w.as(b.get("access_token"), "GET /sso/profile").says(401, "Unauthorized")
	// A code that makes a session makes no profile.
	u := w.person("jo@acme.test")
	token(fields{"code": w.codeOf(w.browserOf(u), "")}).says(400, "invalid_grant")
	w.grant("authorization_code", fields{"code": issue()}).says(400, "invalid_grant")
}

func TestAHashThatAnotherSystemMadeIsReplacedWhenItsPasswordIsTypedIntoAnApp(t *testing.T) {
	w := clientWorld(t)
	const email = "ada@example.com"
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	id := w.call("POST /user_management/users", fields{"email": email, "email_verified": true, "password_hash": string(hash), "password_hash_type": "bcrypt"}).want(201).id()
	kept := func() (p factor.Password) {
		w.do(func(tx store.Tx) (err error) {
			p, err = tx.Password(tenancy.UserID(id))
			return err
		})
		return p
	}
	before := kept()
	w.grant("password", fields{"email": email, "password": "another horse battery"}).want(400)
	if kept() != before {
		t.Error("a wrong password replaced the hash")
	}
	w.grant("password", fields{"email": email, "password": password}).want(200)
	after := kept()
	if factor.Outdated(after.Hash) || !after.UpdatedAt.Equal(before.UpdatedAt) {
		t.Errorf("still another system's (%t), or called a change of it", factor.Outdated(after.Hash))
	}
	w.grant("password", fields{"email": email, "password": password}).want(200)
}

// An app that enrols whoever is asked for a second factor would be a way round the passkey: the password would be enough.
func TestNoFactorIsSetUpInASignInThatLacksOneThatIsThere(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("ada@example.com", org)
	w.do(func(tx store.Tx) error {
		if err := w.policyOf(tx, org, policy.Policy{MFA: true}); err != nil {
			return err
		}
		return tx.PutPasskey(factor.Passkey{ID: "pk", User: u, Name: "laptop", CreatedAt: w.clock()})
	})
	token := w.byPassword("ada@example.com", password).stepsUp("mfa_challenge")
	made := w.call("POST /user_management/users/{userlandUserId}/auth_factors", string(u), fields{"type": "totp"}).want(201)
	secret := made.fields["authentication_factor"].(fields)["totp"].(fields)["secret"].(string)
	challenge := made.fields["authentication_challenge"].(fields)["id"]
	w.grant(grantTOTP, fields{"pending_authentication_token": token, "authentication_challenge_id": challenge, "code": w.totp(secret)}).refused(400, "authentication_factor_not_confirmed")
	w.do(func(tx store.Tx) error {
		if have, err := factor.Enrolled(tx, u); err != nil || have.Has(policy.TOTP) {
			t.Errorf("it is a factor of theirs now: %v", err)
		}
		return nil
	})
}

func TestAnAuthenticatorAppThatWasRemovedSinceIsNoProof(t *testing.T) {
	w := clientWorld(t)
	org, another := w.organizationNamed("Acme"), w.organizationNamed("Globex")
	u := w.person("ada@example.com", org, another)
	w.do(func(tx store.Tx) error { return w.policyOf(tx, org, policy.Policy{MFA: true}) })
	pending := func() (token session.Token) {
		w.do(func(tx store.Tx) (err error) {
			now := w.clock()
			token, err = client.IssuePending(tx, client.Pending{
				Client: "client_app", User: u, Email: "ada@example.com", Proofs: []policy.Proof{{Method: policy.Password, At: now}, {Method: policy.TOTP, At: now}},
			}, now)
			return err
		})
		return token
	}
	goOn := func(token session.Token) answer {
		return w.grant(grantOrg, fields{"pending_authentication_token": token.Reveal(), "organization_id": org})
	}
	w.enroll(u)
	goOn(pending()).want(200)
	token := pending()
	w.do(func(tx store.Tx) error { return factor.RemoveTOTP(tx, u, audit.System, w.clock()) })
	goOn(token).refused(400, "invalid_pending_authentication_token")
	w.enroll(u)
	goOn(token).refused(400, "invalid_pending_authentication_token")
}
