package oidc

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

func TestASignInBringsWhatTheProviderSaysOfThePerson(t *testing.T) {
	for name, change := range map[string]func(*ssotest.Options){
		"in the ID token": func(*ssotest.Options) {},
		"RS256":           func(o *ssotest.Options) { o.Clients[0].Algorithm = "RS256" },
		"in userinfo":     func(o *ssotest.Options) { o.Lean = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			a, err := r.signIn(t, StartRequest{LoginHint: "alice@acme.test"})
			if err != nil {
				t.Fatal(err)
			}
			want := Assertion{
				Subject: "alice-1", Email: "alice@acme.test", EmailVerified: new(true), Name: "Alice Adams",
				Groups: []string{"Admins", "Everyone"}, HasGroups: true,
				Attributes: map[string]any{"department": "R&D", "level": 7.0, "contractor": false, "teams": []string{"a", "b"}},
				AuthTime:   r.clock.now(), SID: a.SID, IDToken: a.IDToken,
			}
			if !reflect.DeepEqual(a, want) {
				t.Errorf("got  %+v\nwant %+v", a, want)
			}
			if a.SID == "" || strings.Count(a.IDToken, ".") != 2 {
				t.Errorf("SID %q, ID token %q", a.SID, a.IDToken)
			}
			wantHits := map[string]int{"in userinfo": 1}[name]
			if got := r.op.Hits("userinfo"); got != wantHits {
				t.Errorf("userinfo was asked %d times, want %d", got, wantHits)
			}
		})
	}
}

func TestTheClientProvesItselfAsDiscoverySays(t *testing.T) {
	r := newRig(t)
	for _, methods := range []any{[]string{"client_secret_post"}, []string{"client_secret_basic"}, []string{"private_key_jwt", "client_secret_post"}, nil} {
		r.op.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) {
			d["token_endpoint_auth_methods_supported"] = methods
		}})
		r.conn.ID += "x" // nothing is cached
		if _, err := r.signIn(t, StartRequest{}); err != nil {
			t.Errorf("%v: %v", methods, err)
		}
	}
	r.op.Misbehave(ssotest.Faults{})
	r.conn.ClientSecret = "wrong"
	if _, err := r.signIn(t, StartRequest{}); code(t, err) != CodeInvalidClient {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestASecretWithReservedCharactersArrives(t *testing.T) {
	const secret = "a b+c%d:e/f&g=h~ü"
	r := newRig(t, func(o *ssotest.Options) { o.Clients[0].Secret = secret })
	r.conn.ClientSecret = secret
	if _, err := r.signIn(t, StartRequest{}); err != nil {
		t.Error(err)
	}
}

func TestTheRequestAsksForNoMoreAndNoLessThanItShould(t *testing.T) {
	r := newRig(t)
	r.conn.Scopes = []string{"email", "groups", "openid", "email", "bad scope", ""}
	for name, tc := range map[string]struct {
		req  StartRequest
		want url.Values
	}{
		"plain":      {StartRequest{}, url.Values{}},
		"hint":       {StartRequest{LoginHint: "jo@acme.test"}, url.Values{"login_hint": {"jo@acme.test"}}},
		"bad hint":   {StartRequest{LoginHint: "jo\r\n@acme.test"}, url.Values{}},
		"long hint":  {StartRequest{LoginHint: strings.Repeat("j", 300)}, url.Values{}},
		"max age":    {StartRequest{MaxAge: 90 * time.Second}, url.Values{"max_age": {"90"}}},
		"force":      {StartRequest{ForceLogin: true}, url.Values{"prompt": {"login"}, "max_age": {"0"}}},
		"force, age": {StartRequest{ForceLogin: true, MaxAge: time.Hour}, url.Values{"prompt": {"login"}, "max_age": {"0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.req.RedirectURI = r.redirect
			to, f, err := r.ps.Start(t.Context(), r.conn, tc.req, r.clock.now())
			if err != nil {
				t.Fatal(err)
			}
			u, _ := url.Parse(to)
			q := u.Query()
			want := url.Values{
				"response_type": {"code"}, "client_id": {testClient}, "redirect_uri": {r.redirect}, "scope": {"openid email groups"},
				"state": {f.State}, "nonce": {f.Nonce}, "code_challenge_method": {"S256"}, "code_challenge": {q.Get("code_challenge")},
			}
			maps.Copy(want, tc.want)
			if !reflect.DeepEqual(q, want) {
				t.Errorf("got %v\nwant %v", q, want)
			}
			if q.Get("code_challenge") == "" || strings.Contains(to, f.Verifier) || strings.Contains(to, testSecret) {
				t.Errorf("challenge or a secret is wrong in %s", to)
			}
			if len(f.State) != 43 || len(f.Nonce) != 43 || len(f.Verifier) != 43 || f.State == f.Nonce {
				t.Errorf("not 256 bits each: %+v", f)
			}
		})
	}
}

func TestAFlowSurvivesJSON(t *testing.T) {
	r := newRig(t)
	flow, callback := r.start(t, StartRequest{MaxAge: time.Hour})
	b, err := json.Marshal(flow)
	if err != nil || len(b) > 600 {
		t.Fatalf("%d bytes, %v: it lives in a cookie", len(b), err)
	}
	var back Flow
	if err := json.Unmarshal(b, &back); err != nil || back != flow {
		t.Fatalf("%v: %+v, want %+v", err, back, flow)
	}
	if _, err := r.ps.Finish(t.Context(), r.conn, back, callback, r.clock.now()); err != nil {
		t.Error(err)
	}
}

func TestTheCallbackMustAnswerTheFlowOfThisBrowser(t *testing.T) {
	r := newRig(t)
	other, otherCallback := r.start(t, StartRequest{})
	for _, tc := range []struct {
		name   string
		change func(*Connection, *Flow, url.Values)
		want   Code
	}{
		{"as it should be", func(*Connection, *Flow, url.Values) {}, ""},
		{"no flow", func(_ *Connection, f *Flow, _ url.Values) { *f = Flow{} }, CodeState},
		{"no flow and no state", func(_ *Connection, f *Flow, q url.Values) { *f = Flow{}; q.Del("state") }, CodeState},
		{"state missing", func(_ *Connection, _ *Flow, q url.Values) { q.Del("state") }, CodeState},
		{"state of another flow", func(_ *Connection, _ *Flow, q url.Values) { q.Set("state", other.State) }, CodeState},
		{"state cut short", func(_ *Connection, f *Flow, q url.Values) { q.Set("state", f.State[:42]) }, CodeState},
		{"state in another case", func(_ *Connection, f *Flow, q url.Values) { q.Set("state", strings.ToUpper(f.State)) }, CodeState},
		{"state twice", func(_ *Connection, f *Flow, q url.Values) { q.Add("state", f.State) }, CodeCallback},
		{"code twice", func(_ *Connection, _ *Flow, q url.Values) { q.Add("code", "x") }, CodeCallback},
		{"iss twice", func(_ *Connection, _ *Flow, q url.Values) { q.Add("iss", "x") }, CodeCallback},
		{"code missing", func(_ *Connection, _ *Flow, q url.Values) { q.Del("code") }, CodeCallback},
		{"code made up", func(_ *Connection, _ *Flow, q url.Values) { q.Set("code", "made-up") }, CodeCodeRefused},
		{"code of another flow", func(_ *Connection, _ *Flow, q url.Values) { q.Set("code", otherCallback.Get("code")) }, CodeCodeRefused},
		{"verifier of another flow", func(_ *Connection, f *Flow, _ url.Values) { f.Verifier = other.Verifier }, CodeCodeRefused},
		{"nonce of another flow", func(_ *Connection, f *Flow, _ url.Values) { f.Nonce = other.Nonce }, CodeNonce},
		{"huge", func(_ *Connection, _ *Flow, q url.Values) { q.Set("x", strings.Repeat("x", 10_000)) }, CodeCallback},
		{"iss of another provider", func(_ *Connection, _ *Flow, q url.Values) { q.Set("iss", "https://evil.test") }, CodeResponseIssuer},
		{"iss with a slash more", func(_ *Connection, _ *Flow, q url.Values) { q.Set("iss", q.Get("iss")+"/") }, CodeResponseIssuer},
		{"iss missing though announced", func(_ *Connection, _ *Flow, q url.Values) { q.Del("iss") }, CodeResponseIssuer},
		{"iss empty", func(_ *Connection, _ *Flow, q url.Values) { q.Set("iss", "") }, CodeResponseIssuer},
		{"eleven minutes later", func(_ *Connection, f *Flow, _ url.Values) { f.StartedAt = f.StartedAt.Add(-11 * time.Minute) }, CodeFlowExpired},
		{"started in the future", func(_ *Connection, f *Flow, _ url.Values) { f.StartedAt = f.StartedAt.Add(2 * time.Minute) }, CodeFlowExpired},
		{"flow of another connection", func(_ *Connection, f *Flow, _ url.Values) { f.ConnectionID = "conn_2" }, CodeState},
		{"connection with another issuer since", func(c *Connection, _ *Flow, _ url.Values) { c.Issuer += "/" }, CodeState},
		{"denied", func(_ *Connection, _ *Flow, q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, CodeDenied},
		{"denied, with a code", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "access_denied") }, CodeDenied},
		{"denied by a stranger", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "access_denied"); q.Set("state", "x") }, CodeState},
		{"denied by another provider", func(_ *Connection, _ *Flow, q url.Values) {
			q.Set("error", "access_denied")
			q.Set("iss", "https://evil.test")
		}, CodeResponseIssuer},
		{"login_required", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "login_required") }, CodeLoginRequired},
		{"interaction_required", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "interaction_required") }, CodeLoginRequired},
		{"server_error", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "server_error") }, CodeUnavailable},
		{"an error nobody knows", func(_ *Connection, _ *Flow, q url.Values) { q.Set("error", "<svg onload>") }, CodeRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			flow, callback := r.start(t, StartRequest{})
			conn := r.conn
			tc.change(&conn, &flow, callback)
			_, err := r.ps.Finish(t.Context(), conn, flow, callback, r.clock.now())
			if got := code(t, err); got != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestACodeIsGoodOnce(t *testing.T) {
	r := newRig(t)
	flow, callback := r.start(t, StartRequest{})
	if _, err := r.ps.Finish(t.Context(), r.conn, flow, callback, r.clock.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ps.Finish(t.Context(), r.conn, flow, callback, r.clock.now()); code(t, err) != CodeCodeRefused {
		t.Errorf("the second time: %v", err)
	}
}

func TestAnIDTokenOfAnEarlierSignInIsRefused(t *testing.T) {
	r := newRig(t)
	first, err := r.signIn(t, StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r.op.Misbehave(ssotest.Faults{IDToken: func(string) string { return first.IDToken }})
	if _, err := r.signIn(t, StartRequest{}); code(t, err) != CodeNonce {
		t.Errorf("%v, want %s", err, CodeNonce)
	}
}

func TestWhoMustHaveSignedInLatelyDid(t *testing.T) {
	for _, tc := range []struct {
		name     string
		req      StartRequest
		authTime any // seconds before the start; nil: no claim
		want     Code
	}{
		{"nothing asked, nothing said", StartRequest{}, nil, ""},
		{"nothing asked, long ago", StartRequest{}, 86400, ""},
		{"nothing asked, in the future", StartRequest{}, -120, CodeTime},
		{"max age, within", StartRequest{MaxAge: time.Hour}, 3600, ""},
		{"max age, within the skew", StartRequest{MaxAge: time.Hour}, 3660, ""},
		{"max age, beyond", StartRequest{MaxAge: time.Hour}, 3661, CodeStaleLogin},
		{"max age, no claim", StartRequest{MaxAge: time.Hour}, nil, CodeStaleLogin},
		{"forced, now", StartRequest{ForceLogin: true}, 0, ""},
		{"forced, a session of before", StartRequest{ForceLogin: true}, 61, CodeStaleLogin},
		{"forced, no claim", StartRequest{ForceLogin: true}, nil, CodeStaleLogin},
		{"forced, though max age would do", StartRequest{ForceLogin: true, MaxAge: time.Hour}, 120, CodeStaleLogin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			r.op.Misbehave(ssotest.Faults{Claims: func(c map[string]any) {
				delete(c, "auth_time")
				if s, ok := tc.authTime.(int); ok {
					c["auth_time"] = r.clock.now().Unix() - int64(s)
				}
			}})
			_, err := r.signIn(t, tc.req)
			if got := code(t, err); got != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestTimeSpentAtTheProviderDoesNotCountAgainstMaxAge(t *testing.T) {
	r := newRig(t)
	at := r.clock.now().Add(-50 * time.Second).Unix()
	r.op.Misbehave(ssotest.Faults{Claims: func(c map[string]any) { c["auth_time"] = at }})
	to, flow, err := r.ps.Start(t.Context(), r.conn, StartRequest{RedirectURI: r.redirect, MaxAge: time.Minute}, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	r.clock.pass(5 * time.Minute)
	b := ssotest.NewBrowser()
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice-1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ps.Finish(t.Context(), r.conn, flow, page.URL.Query(), r.clock.now()); err != nil {
		t.Error(err)
	}
}

func TestASecretDoesNotPrintItself(t *testing.T) {
	c := Connection{ClientSecret: testSecret}
	j, _ := json.Marshal(c)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", c.ClientSecret, "connection", c)
	for _, s := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %s %q", c, c, c.ClientSecret, c.ClientSecret), string(j), log.String()} {
		if strings.Contains(s, testSecret) {
			t.Errorf("printed: %s", s)
		}
	}
}

func TestAConnectionIsCheckedByWhoeverSetsItUp(t *testing.T) {
	r := newRig(t)
	for name, tc := range map[string]struct {
		change func(*Connection)
		want   Code
	}{
		"good":            {func(*Connection) {}, ""},
		"no id":           {func(c *Connection) { c.ID = "" }, CodeConnection},
		"no client id":    {func(c *Connection) { c.ClientID = "" }, CodeConnection},
		"no issuer":       {func(c *Connection) { c.Issuer = "" }, CodeConnection},
		"plain http":      {func(c *Connection) { c.Issuer = "http://login.example.com" }, CodeConnection},
		"with a password": {func(c *Connection) { c.Issuer = "https://u:p@login.example.com" }, CodeConnection},
		"with a query":    {func(c *Connection) { c.Issuer += "?x" }, CodeConnection},
		"slash too many":  {func(c *Connection) { c.Issuer += "/" }, CodeIssuerMismatch},
		"no such path":    {func(c *Connection) { c.Issuer += "/nothing" }, CodeDiscovery},
		"an inside host":  {func(c *Connection) { c.Issuer = "https://169.254.169.254" }, CodeForbidden},
		"nobody there":    {func(c *Connection) { c.Issuer = "http://127.0.0.1:1" }, CodeUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.conn
			tc.change(&c)
			err := r.ps.Check(t.Context(), c)
			if got := code(t, err); got != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
			if _, _, err := r.ps.Start(t.Context(), c, StartRequest{RedirectURI: r.redirect}, r.clock.now()); code(t, err) != tc.want {
				t.Errorf("Start: %v, want %q", err, tc.want)
			}
		})
	}
}
