package api_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/session/client"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

const (
	authenticate = "POST /user_management/authenticate"
	appCallback  = "https://app.example.com/callback"
	verifier     = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// clientWorld is a world with clients, and everything on offer.
func clientWorld(t *testing.T) *world {
	w := newWorld(t)
	w.clients = client.Clients{
		{ID: "client_app", RedirectURIs: []string{appCallback}},
		{ID: "client_other", RedirectURIs: []string{"https://other.example.com/callback"}},
		{ID: "client_public", RedirectURIs: []string{"http://localhost:7777/callback"}, Public: true},
	}
	w.ways = policy.MethodsOf(policy.SSO, policy.EmailCode, policy.Password, policy.Passkey, policy.TOTP, policy.RecoveryCode)
	return w
}

type fields = map[string]any

// person makes a user whose address is proved, and an active member of the organizations.
func (w *world) person(email string, orgs ...string) tenancy.UserID {
	w.t.Helper()
	id := w.call("POST /user_management/users", fields{"email": email, "email_verified": true, "password": "correct horse battery"}).want(201).id()
	for _, o := range orgs {
		w.call("POST /user_management/organization_memberships", fields{"user_id": id, "organization_id": o}).want(201)
	}
	return tenancy.UserID(id)
}

// browserOf is a session of a person on the login host.
func (w *world) browserOf(u tenancy.UserID, proofs ...policy.Method) (s session.Session) {
	w.t.Helper()
	if len(proofs) == 0 {
		proofs = []policy.Method{policy.EmailCode}
	}
	w.do(func(tx store.Tx) (err error) {
		now := w.clock()
		if s, _, err = session.Begin(tx, u, policy.Proof{Method: proofs[0], At: now}, nil, "", session.Browser{UserAgent: "Firefox", RemoteIP: "192.0.2.1"}, limits, now); err != nil {
			return err
		}
		for _, m := range proofs[1:] {
			if s, _, err = session.AddProof(tx, s.ID, policy.Proof{Method: m, At: now}, nil, "", now); err != nil {
				return err
			}
		}
		return nil
	})
	return s
}

var limits = session.Limits{Idle: time.Hour, Absolute: 24 * time.Hour}

// code is one that the login host sends the person back with.
func (w *world) codeOf(s session.Session, org string, edit ...func(*client.Code)) string {
	w.t.Helper()
	c := client.Code{Client: "client_app", RedirectURI: appCallback, Session: s.ID, Organization: tenancy.OrgID(org)}
	for _, f := range edit {
		f(&c)
	}
	var code session.Token
	w.do(func(tx store.Tx) (err error) {
		code, err = client.IssueCode(tx, c, w.clock())
		return err
	})
	return code.Reveal()
}

// grant asks for tokens as client_app, unless f says otherwise.
func (w *world) grant(kind string, f fields) answer {
	w.t.Helper()
	body := fields{"client_id": "client_app", "client_secret": w.secret, "grant_type": kind}
	for k, v := range f {
		if body[k] = v; v == nil {
			delete(body, k)
		}
	}
	return w.as("", authenticate, body)
}

// says fails unless the answer is an error of a token endpoint.
func (a answer) says(status int, code string) answer {
	a.t.Helper()
	if a.status != status || a.get("error") != code {
		a.t.Errorf("%s: %d %q, want %d %q: %s", a.asked, a.status, a.get("error"), status, code, a.body)
	}
	return a
}

// signIn is a whole sign-in by code.
func (w *world) signIn(u tenancy.UserID, org string) answer {
	w.t.Helper()
	return w.grant("authorization_code", fields{"code": w.codeOf(w.browserOf(u), org)}).want(200)
}

func (w *world) refresh(from answer, f fields) answer {
	w.t.Helper()
	body := fields{"refresh_token": from.get("refresh_token")}
	maps.Copy(body, f)
	return w.grant("refresh_token", body)
}

// claims verifies the access token of an answer by the published keys.
func (w *world) claims(a answer) map[string]any {
	w.t.Helper()
	set := w.as("", "GET /sso/jwks/{clientId}", "client_app").want(200)
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(set.body, &keys); err != nil {
		w.t.Fatal(err)
	}
	token, err := jwt.ParseSigned(a.get("access_token"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		w.t.Fatal(err)
	}
	found := keys.Key(token.Headers[0].KeyID)
	if len(found) != 1 {
		w.t.Fatalf("%d keys of that id", len(found))
	}
	claims := map[string]any{}
	if err := token.Claims(found[0].Key, &claims); err != nil {
		w.t.Fatal(err)
	}
	return claims
}

func TestACodeIsSwappedForASession(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	w.signIn(u, org) // makes the key
	browser := w.browserOf(u)
	at := w.head()
	a := w.grant("authorization_code", fields{"code": w.codeOf(browser, org), "ip_address": "198.51.100.7", "user_agent": "ignored: the browser is known"}).want(200)
	same(t, "events", w.eventsSince(at), []string{audit.SessionCreated})
	if a.get("user.id") != string(u) || a.get("organization_id") != org || a.get("authentication_method") != "MagicAuth" {
		t.Errorf("%s", a.body)
	}
	c := w.claims(a)
	for name, want := range map[string]any{
		"iss": "https://login.example.com/user_management/client_app", "sub": string(u), "org_id": org, "client_id": "client_app", "role": "member",
	} {
		if c[name] != want {
			t.Errorf("%s is %v, want %v", name, c[name], want)
		}
	}
	if c["aud"] != nil || fmt.Sprint(c["roles"]) != "[member]" || fmt.Sprint(c["permissions"]) != "[reports:read]" || c["jti"] == nil {
		t.Errorf("claims %v", c)
	}
	if life := c["exp"].(float64) - c["iat"].(float64); life != 300 {
		t.Errorf("it is good for %v s", life)
	}
	w.do(func(tx store.Tx) error {
		s, err := tx.Session(session.ID(c["sid"].(string)))
		if err != nil || s.Parent != browser.ID || s.Client != "client_app" || s.UserAgent != "Firefox" || s.RemoteIP != "192.0.2.1" {
			t.Errorf("%+v %v", s, err)
		}
		return nil
	})
	if said := w.log.String(); strings.Contains(said, a.get("refresh_token")) || strings.Contains(said, a.get("access_token")) {
		t.Error("the log has a token")
	}
}

func TestASecondUseOfACodeEndsWhatTheFirstMade(t *testing.T) {
	w := clientWorld(t)
	org, other := w.organizationNamed("Acme"), w.organizationNamed("Globex")
	u := w.person("jo@acme.test", org, other)
	code := w.codeOf(w.browserOf(u), org)
	first := w.grant("authorization_code", fields{"code": code}).want(200)
	first = w.refresh(first, nil).want(200)
	first = w.refresh(first, fields{"organization_id": other}).want(200) // it goes on as another session
	at := w.head()
	w.grant("authorization_code", fields{"code": code}).says(400, "invalid_grant")
	same(t, "events", w.eventsSince(at), []string{audit.SessionRevoked})
	w.refresh(first, nil).says(400, "invalid_grant")
}

func TestACodeIsNoGoodForAnybodyElse(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	withPKCE := func(c *client.Code) { c.Challenge = challengeOf(verifier) }
	for name, tt := range map[string]struct {
		edit func(*client.Code)
		ask  fields
		wait time.Duration
		good bool
	}{
		"right":                        {good: true},
		"right with PKCE":              {edit: withPKCE, ask: fields{"code_verifier": verifier}, good: true},
		"wrong verifier":               {edit: withPKCE, ask: fields{"code_verifier": strings.ToUpper(verifier)}},
		"no verifier":                  {edit: withPKCE},
		"empty verifier":               {edit: withPKCE, ask: fields{"code_verifier": ""}},
		"the challenge as verifier":    {edit: withPKCE, ask: fields{"code_verifier": challengeOf(verifier)}},
		"a verifier and no challenge":  {ask: fields{"code_verifier": verifier}},
		"too short a verifier":         {edit: func(c *client.Code) { c.Challenge = challengeOf("short") }, ask: fields{"code_verifier": "short"}},
		"another client":               {ask: fields{"client_id": "client_other"}},
		"another client's code":        {edit: func(c *client.Code) { c.Client = "client_other" }},
		"a public client":              {edit: withPKCE, ask: fields{"client_id": "client_public", "client_secret": nil, "code_verifier": verifier}},
		"ten minutes later":            {wait: client.CodeLife},
		"a profile's":                  {edit: func(c *client.Code) { c.Session, c.Profile = "", json.RawMessage(`{}`) }},
		"of a session that is no more": {edit: func(c *client.Code) { c.Session = "session_none" }},
	} {
		t.Log(name)
		code := w.codeOf(w.browserOf(u), org, func(c *client.Code) {
			if tt.edit != nil {
				tt.edit(c)
			}
		})
		w.later(tt.wait)
		ask := fields{"code": code}
		maps.Copy(ask, tt.ask)
		if tt.good {
			w.grant("authorization_code", ask).want(200)
			continue
		}
		w.grant("authorization_code", ask).says(400, "invalid_grant")
		// It was shown where it is not good, and is good nowhere any more.
		w.grant("authorization_code", fields{"code": code}).says(400, "invalid_grant")
		w.grant("authorization_code", fields{"code": code, "code_verifier": verifier}).says(400, "invalid_grant")
	}
	for _, code := range []string{"x", strings.Repeat("A", 43), strings.Repeat("é", 43), strings.Repeat("A", 100_000)} {
		w.grant("authorization_code", fields{"code": code}).says(400, "invalid_grant")
	}
}

func TestWhoMayAskForTokens(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	ofOne := w.key(session.APIKey{Name: "one", Organization: tenancy.OrgID(org)})
	reader := w.key(session.APIKey{Name: "reader", ReadOnly: true})
	for _, tt := range []struct {
		ask  fields
		code string
	}{
		{fields{"client_secret": "sk_wrong"}, "invalid_client"},
		{fields{"client_secret": strings.Repeat("x", 10_000)}, "invalid_client"},
		{fields{"client_secret": nil}, "invalid_client"},
		{fields{"client_secret": ""}, "invalid_client"},
		{fields{"client_id": "client_none"}, "invalid_client"},
		{fields{"client_id": "client_none", "client_secret": nil}, "invalid_client"},
		{fields{"client_id": "CLIENT_APP"}, "invalid_client"},
		{fields{"client_secret": ofOne}, "unauthorized_client"},
		{fields{"client_secret": reader}, "unauthorized_client"},
		{fields{"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"},
		{fields{"grant_type": "urn:workos:oauth:grant-type:radar-email-challenge:code"}, "unsupported_grant_type"},
		{fields{"client_id": "client_public", "client_secret": nil, "grant_type": "password"}, "unauthorized_client"},
		{fields{"client_id": "client_public", "client_secret": nil, "grant_type": "urn:workos:oauth:grant-type:magic-auth:code"}, "unauthorized_client"},
	} {
		code := w.codeOf(w.browserOf(u), org)
		ask := fields{"code": code}
		maps.Copy(ask, tt.ask)
		w.grant("authorization_code", ask).says(400, tt.code)
		w.grant("authorization_code", fields{"code": code}).want(200) // who is no client has not used it up
	}
	for _, tt := range []struct {
		kind   string
		ask    fields
		faults []string
	}{
		{"authorization_code", fields{}, []string{"code: required"}},
		{"authorization_code", fields{"code": 1}, []string{"code: invalid_type"}},
		{"authorization_code", fields{"code": "x", "redirect_uri": appCallback}, []string{"redirect_uri: unknown"}},
		{"authorization_code", fields{"code": "x", "ip_address": "here"}, []string{"ip_address: invalid"}},
		{"refresh_token", fields{}, []string{"refresh_token: required"}},
		{"password", fields{"email": "no address"}, []string{"email: invalid", "password: required"}},
		{"urn:workos:oauth:grant-type:mfa-totp", fields{}, []string{"authentication_challenge_id: required", "code: required", "pending_authentication_token: required"}},
		{"urn:workos:oauth:grant-type:organization-selection", fields{}, []string{"organization_id: required", "pending_authentication_token: required"}},
		{"urn:workos:oauth:grant-type:email-verification:code", fields{}, []string{"code: required", "pending_authentication_token: required"}},
		{"urn:workos:oauth:grant-type:magic-auth:code", fields{}, []string{"code: required", "email: required"}},
	} {
		same(t, tt.kind, w.grant(tt.kind, tt.ask).want(422).faults(), tt.faults)
	}
	same(t, "nothing", w.as("", authenticate, fields{}).want(422).faults(), []string{"client_id: required", "grant_type: required"})
}

func TestAPublicClientSignsInByCodeAndVerifier(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	public := fields{"client_id": "client_public", "client_secret": nil}
	code := w.codeOf(w.browserOf(u), org, func(c *client.Code) {
		c.Client, c.RedirectURI, c.Challenge = "client_public", "http://localhost:7777/callback", challengeOf(verifier)
	})
	a := w.grant("authorization_code", fields{"client_id": "client_public", "client_secret": nil, "code": code, "code_verifier": verifier}).want(200)
	b := w.refresh(a, public).want(200)
	// It learns nothing of organizations that its person is not in.
	other := w.organizationNamed("Globex")
	x := w.refresh(b, fields{"client_id": "client_public", "client_secret": nil, "organization_id": other}).says(400, "organization_membership_not_found")
	y := w.refresh(b, fields{"client_id": "client_public", "client_secret": nil, "organization_id": "org_none"}).says(400, "organization_membership_not_found")
	if x.get("error_description") != y.get("error_description") {
		t.Errorf("%s\n%s", x.body, y.body)
	}
}

func TestARefreshTokenIsGoodOnce(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	u := w.person("jo@acme.test", org)
	first := w.signIn(u, org)
	second := w.refresh(first, nil).want(200)
	if w.claims(first)["sid"] != w.claims(second)["sid"] || first.get("refresh_token") == second.get("refresh_token") {
		t.Error("not the same session, or the same token")
	}
	at := w.head()
	w.refresh(first, nil).says(400, "invalid_grant")
	same(t, "events", w.eventsSince(at), []string{audit.SessionRevoked})
	w.refresh(second, nil).says(400, "invalid_grant")

	// Another client that has it has it from where it should not be.
	third := w.signIn(u, org)
	w.refresh(third, fields{"client_id": "client_other"}).says(400, "invalid_grant")
	w.refresh(third, nil).says(400, "invalid_grant")
}

func TestOfParallelRefreshesOneWins(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	from := w.signIn(w.person("jo@acme.test", org), org)
	var mu sync.Mutex
	var won []answer
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			a := w.refresh(from, nil)
			mu.Lock()
			defer mu.Unlock()
			if a.status == 200 {
				won = append(won, a)
			} else if a.get("error") != "invalid_grant" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	w.refresh(won[0], nil).says(400, "invalid_grant") // fifteen others have the token: the session is over
}

func TestOfParallelUsesOfACodeOneWins(t *testing.T) {
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	code := w.codeOf(w.browserOf(w.person("jo@acme.test", org)), org)
	var mu sync.Mutex
	won := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			a := w.grant("authorization_code", fields{"code": code})
			mu.Lock()
			defer mu.Unlock()
			if a.status == 200 {
				won++
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Fatalf("%d won", won)
	}
}

func TestWhoIsPutOutGetsNoTokens(t *testing.T) {
	for name, put := range map[string]func(w *world, u tenancy.UserID, org string, a answer){
		"deactivated": func(w *world, u tenancy.UserID, org string, _ answer) {
			w.do(func(tx store.Tx) error { return session.Deactivate(tx, tenancy.OrgID(org), u, audit.System, w.clock()) })
		},
		"removed": func(w *world, u tenancy.UserID, org string, _ answer) {
			w.do(func(tx store.Tx) error { return session.Remove(tx, tenancy.OrgID(org), u, audit.System, w.clock()) })
		},
		"signed out everywhere": func(w *world, u tenancy.UserID, _ string, _ answer) {
			w.do(func(tx store.Tx) error { return session.EndAll(tx, u, "", audit.System, w.clock()) })
		},
		"suspended": func(w *world, _ tenancy.UserID, org string, _ answer) {
			w.do(func(tx store.Tx) error {
				o, err := tx.Organization(tenancy.OrgID(org))
				o.Suspended = true
				return errors.Join(err, tx.PutOrganization(o))
			})
		},
		"deleted": func(w *world, u tenancy.UserID, _ string, _ answer) {
			w.call("DELETE /user_management/users/{id}", string(u)).want(200)
		},
		"left alone for too long": func(w *world, _ tenancy.UserID, _ string, _ answer) { w.later(limits.Idle) },
	} {
		t.Run(name, func(t *testing.T) {
			w := clientWorld(t)
			org := w.organizationNamed("Acme")
			u := w.person("jo@acme.test", org)
			a, code := w.signIn(u, org), w.codeOf(w.browserOf(u), org)
			put(w, u, org, a)
			at := w.head()
			if got := w.grant("authorization_code", fields{"code": code}); got.status != 400 {
				t.Errorf("the code: %d %s", got.status, got.body)
			}
			if got := w.refresh(a, nil); got.status != 400 {
				t.Errorf("the refresh token: %d %s", got.status, got.body)
			}
			if n := w.eventsSince(at); slices.Contains(n, audit.SessionCreated) {
				t.Errorf("events %q", n)
			}
		})
	}
	w := clientWorld(t)
	org := w.organizationNamed("Acme")
	a := w.signIn(w.person("jo@acme.test", org), org)
	w.call("POST /user_management/sessions/revoke", fields{"session_id": w.claims(a)["sid"]}).want(200)
	w.refresh(a, nil).says(400, "invalid_grant")
}

func TestRefreshingGoesOnInAnotherOrganization(t *testing.T) {
	w := clientWorld(t)
	acme, globex, sso, mfa, foreign := w.organizationNamed("Acme"), w.organizationNamed("Globex"), w.organizationNamed("SSO"), w.organizationNamed("MFA"), w.organizationNamed("Foreign")
	left := w.organizationNamed("Left")
	u := w.person("jo@acme.test", acme, globex, sso, mfa, left)
	conn := w.connection(sso, "okta")
	w.do(func(tx store.Tx) error {
		now := w.clock()
		return errors.Join(
			w.policyOf(tx, sso, policy.Policy{Methods: policy.MethodsOf(policy.SSO)}),
			w.policyOf(tx, mfa, policy.Policy{MFA: true}),
			session.Deactivate(tx, tenancy.OrgID(left), u, audit.System, now),
		)
	})
	a := w.signIn(u, acme)
	b := w.refresh(a, fields{"organization_id": globex}).want(200)
	if was, is := w.claims(a), w.claims(b); is["org_id"] != globex || was["sid"] == is["sid"] {
		t.Errorf("from %v to %v", was, is)
	}
	w.do(func(tx store.Tx) error {
		s, err := tx.Session(session.ID(w.claims(a)["sid"].(string)))
		if err != nil || s.EndedAt.IsZero() {
			t.Errorf("the session there goes on: %v", err)
		}
		return nil
	})
	e := w.refresh(b, fields{"organization_id": sso}).says(400, "sso_required")
	if e.get("connection_ids") != "["+conn+"]" || e.get("email") != "jo@acme.test" {
		t.Errorf("%s", e.body)
	}
	w.refresh(b, fields{"organization_id": mfa}).says(400, "mfa_enrollment")
	w.refresh(b, fields{"organization_id": left}).says(400, "organization_membership_not_found")
	w.refresh(b, fields{"organization_id": foreign}).says(400, "organization_membership_not_found")
	w.refresh(b, fields{"organization_id": "org_none"}).says(400, "organization_not_found")
	// A no is no use of the token, and where they were they still are.
	if c := w.refresh(b, fields{"organization_id": globex}).want(200); w.claims(c)["org_id"] != globex {
		t.Errorf("%s", c.body)
	}
	// A policy that is changed holds at the next refresh.
	d := w.signIn(u, globex)
	w.do(func(tx store.Tx) error {
		return w.policyOf(tx, globex, policy.Policy{Methods: policy.MethodsOf(policy.Passkey)})
	})
	w.refresh(d, nil).says(400, "authentication_method_not_allowed")
}

// connection makes one of an organization, and returns its id.
func (w *world) connection(org, name string) string {
	w.t.Helper()
	var c tenancy.Connection
	w.do(func(tx store.Tx) (err error) {
		c, err = tenancy.SaveConnection(tx, tenancy.Connection{Organization: tenancy.OrgID(org), Name: name, Type: "oidc", OIDC: &tenancy.OIDCConnection{Issuer: "https://idp.example", ClientID: "x"}}, audit.System, w.clock())
		return err
	})
	return string(c.ID)
}

func (w *world) policyOf(tx store.Tx, org string, p policy.Policy) error {
	o, err := tx.Organization(tenancy.OrgID(org))
	o.OrganizationPolicy = &p
	return errors.Join(err, tx.PutOrganization(o))
}

func TestTheKeysOfAccessTokensAreNotThoseOfAssertions(t *testing.T) {
	w := clientWorld(t)
	w.do(func(tx store.Tx) error {
		_, err := session.RotateKeys(tx, session.ForAssertions, func() (session.SigningKey, error) {
			return session.SigningKey{ID: "assertions", Public: []byte{1}, Private: []byte("sealed")}, nil
		}, w.now)
		return err
	})
	org := w.organizationNamed("Acme")
	a := w.signIn(w.person("jo@acme.test", org), org)
	set := w.as("", "GET /sso/jwks/{clientId}", "client_app").want(200)
	if strings.Contains(string(set.body), "assertions") || w.claims(a)["sub"] == nil {
		t.Errorf("%s", set.body)
	}
	w.do(func(tx store.Tx) error {
		for k, err := range tx.SigningKeys(session.ForAssertions) {
			if err != nil || k.ID != "assertions" {
				t.Errorf("%s is among the keys of assertions: %v", k.ID, err)
			}
		}
		for k, err := range tx.SigningKeys(session.ForAccessTokens) {
			if err != nil || strings.Contains(string(k.Private), "PRIVATE") || k.ID == "assertions" {
				t.Errorf("%s: %v", k.ID, err)
			}
		}
		return nil
	})
	w.as("", "GET /sso/jwks/{clientId}", "client_none").want(404)
}

func TestTheAPISendsBrowsersToTheLoginHost(t *testing.T) {
	w := clientWorld(t)
	noFollow := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, tt := range []struct{ target, to string }{
		{"/user_management/authorize?client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&response_type=code&state=a+b", "https://login.example.com/user_management/authorize?client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&response_type=code&state=a+b"},
		{"/sso/authorize?client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback", "https://login.example.com/sso/authorize?client_id=client_app&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback"},
		{"/user_management/authorize?client_id=client_app&redirect_uri=https%3A%2F%2Fevil.example%2Fcallback&response_type=code", ""},
		{"/user_management/authorize?client_id=client_none&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcallback&response_type=code", ""},
		{"/user_management/authorize", ""},
		{"/user_management/sessions/logout?session_id=session_1&return_to=https%3A%2F%2Fapp.example.com%2F", "https://login.example.com/user_management/sessions/logout?return_to=https%3A%2F%2Fapp.example.com%2F&session_id=session_1"},
		{"/user_management/sessions/logout", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+tt.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := noFollow.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.Header.Get("Location") != tt.to || (resp.StatusCode == http.StatusFound) != (tt.to != "") {
			t.Errorf("%s: %d to %q", tt.target, resp.StatusCode, resp.Header.Get("Location"))
		}
	}
}
