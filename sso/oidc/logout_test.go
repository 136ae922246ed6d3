package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/sso/ssotest"
)

func TestALogoutTokenIsHeededOnlyIfAllOfItIsRight(t *testing.T) {
	r := newRig(t)
	a, err := r.signIn(t, StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	now := r.clock.now().Unix()
	const event = "http://schemas.openid.net/event/backchannel-logout"
	set := func(name string, v any) func(map[string]any) { return func(c map[string]any) { c[name] = v } }
	without := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	for _, tc := range []struct {
		name   string
		edit   func(map[string]any)
		faults ssotest.Faults
		want   Code
	}{
		{name: "as it should be"},
		{name: "typ missing", faults: ssotest.Faults{Header: func(h map[string]any) { delete(h, "typ") }}},
		{name: "typ JWT", faults: ssotest.Faults{Header: func(h map[string]any) { h["typ"] = "JWT" }}},
		{name: "typ of another kind", faults: ssotest.Faults{Header: func(h map[string]any) { h["typ"] = "secevent+jwt" }}, want: CodeTokenMalformed},
		{name: "sub alone", edit: without("sid")},
		{name: "sid alone", edit: without("sub")},
		{name: "neither", edit: func(c map[string]any) { delete(c, "sid"); delete(c, "sub") }, want: CodeLogoutToken},
		{name: "sub a number", edit: set("sub", 7), want: CodeLogoutToken},
		{name: "sid a list", edit: set("sid", []string{"x"}), want: CodeLogoutToken},
		{name: "sid with a NUL", edit: set("sid", "a\x00"), want: CodeLogoutToken},
		{name: "no event", edit: without("events"), want: CodeLogoutToken},
		{name: "another event", edit: set("events", map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}), want: CodeLogoutToken},
		{name: "event in another case", edit: set("events", map[string]any{strings.ToUpper(event): map[string]any{}}), want: CodeLogoutToken},
		{name: "event null", edit: set("events", map[string]any{event: nil}), want: CodeLogoutToken},
		{name: "event true", edit: set("events", map[string]any{event: true}), want: CodeLogoutToken},
		{name: "events a list", edit: set("events", []string{event}), want: CodeLogoutToken},
		{name: "nonce", edit: set("nonce", "n"), want: CodeLogoutToken},
		{name: "nonce null", edit: set("nonce", nil), want: CodeLogoutToken},
		{name: "jti missing", edit: without("jti"), want: CodeLogoutToken},
		{name: "jti huge", edit: set("jti", strings.Repeat("j", 300)), want: CodeLogoutToken},
		{name: "iat missing", edit: without("iat"), want: CodeTime},
		{name: "iat in the future", edit: set("iat", now+120), want: CodeTime},
		{name: "iat half an hour ago", edit: set("iat", now-1800), want: CodeLogoutToken},
		{name: "exp missing", edit: without("exp"), want: CodeTime},
		{name: "exp past", edit: set("exp", now-120), want: CodeExpired},
		{name: "iss another", edit: set("iss", "https://evil.test"), want: CodeIssuer},
		{name: "aud another", edit: set("aud", "other"), want: CodeAudience},
		{name: "another key", faults: ssotest.Faults{Signature: ssotest.SignedByOtherKey}, want: CodeSignature},
		{name: "not signed", faults: ssotest.Faults{Signature: ssotest.NotSigned}, want: CodeAlgorithm},
		{name: "HS256", faults: ssotest.Faults{Signature: ssotest.SignedWithPublicKey}, want: CodeAlgorithm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.op.Misbehave(tc.faults)
			token := r.op.LogoutToken(r.client, a.Subject, a.SID, tc.edit)
			out, err := r.ps.VerifyLogout(t.Context(), r.conn, token, r.clock.now())
			if got := code(t, err); got != tc.want {
				t.Fatalf("%v, want %q", err, tc.want)
			}
			if err == nil && (out.JTI == "" || out.Subject+out.SID == "" || !out.ExpiresAt.After(r.clock.now())) {
				t.Errorf("%+v", out)
			}
		})
	}
	r.op.Misbehave(ssotest.Faults{})
	for name, raw := range map[string]string{
		"an ID token": a.IDToken, "nothing": "", "dots": "...", "not a token": "hello", "huge": strings.Repeat("a", maxToken+1),
	} {
		if _, err := r.ps.VerifyLogout(t.Context(), r.conn, raw, r.clock.now()); err == nil {
			t.Errorf("%s was heeded", name)
		}
	}
	// Once ExpiresAt has come the caller may forget the jti: then the token is too old.
	token := r.op.LogoutToken(r.client, a.Subject, a.SID, func(c map[string]any) { c["exp"] = now + 3600 })
	out, err := r.ps.VerifyLogout(t.Context(), r.conn, token, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ps.VerifyLogout(t.Context(), r.conn, token, out.ExpiresAt); code(t, err) != CodeLogoutToken {
		t.Errorf("at ExpiresAt: %v", err)
	}
}

func TestTheProvidersAdministratorEndsASessionByBackChannel(t *testing.T) {
	got := make(chan string, 1)
	rp := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.PostFormValue("logout_token") }))
	defer rp.Close()
	r := newRig(t, func(o *ssotest.Options) { o.Clients[0].BackchannelLogoutURI = rp.URL })
	a, err := r.signIn(t, StartRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.op.SignOutEverywhere(t.Context(), "alice-1"); err != nil {
		t.Fatal(err)
	}
	out, err := r.ps.VerifyLogout(t.Context(), r.conn, <-got, r.clock.now())
	if err != nil || out.Subject != a.Subject || out.SID != a.SID {
		t.Errorf("%+v, %v; want %s and %s", out, err, a.Subject, a.SID)
	}
}

func TestSigningOutVisitsTheProviderWhereItOffersThat(t *testing.T) {
	r := newRig(t)
	to, flow, err := r.ps.Start(t.Context(), r.conn, StartRequest{RedirectURI: r.redirect}, r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	b := ssotest.NewBrowser()
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Submit(t.Context(), page, map[string]string{"person": "alice-1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.ps.Finish(t.Context(), r.conn, flow, page.URL.Query(), r.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	bye := r.client.PostLogoutURIs[0]
	out, err := r.ps.LogoutURL(t.Context(), r.conn, LogoutRequest{IDToken: a.IDToken, RedirectURI: bye, State: "s 1"})
	if err != nil {
		t.Fatal(err)
	}
	if page, err = b.Get(t.Context(), out); err != nil || page.URL.String() != bye+"?state=s+1" {
		t.Errorf("%v: came back to %v", err, page)
	}
	// Nobody is signed in there any more.
	if page, err = b.Get(t.Context(), to); err != nil || strings.Contains(page.Text, "signed in here") {
		t.Errorf("%v: %s", err, page.Text)
	}

	r.op.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) {
		d["end_session_endpoint"] = d["issuer"].(string) + "/logout?tenant=a%20b"
	}})
	r.conn.ID = "conn_query"
	out, err = r.ps.LogoutURL(t.Context(), r.conn, LogoutRequest{IDToken: strings.Repeat("x", 5000), State: "lost"})
	u, _ := url.Parse(out)
	if err != nil || u.RawQuery != "client_id="+testClient+"&tenant=a+b" {
		t.Errorf("%v: %s; a huge hint and a state without a way back stay out", err, out)
	}
	r.op.Misbehave(ssotest.Faults{Discovery: func(d map[string]any) { delete(d, "end_session_endpoint") }})
	r.conn.ID = "conn_none"
	if out, err := r.ps.LogoutURL(t.Context(), r.conn, LogoutRequest{IDToken: a.IDToken}); out != "" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}
