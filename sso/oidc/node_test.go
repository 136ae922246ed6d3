package oidc

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/ssotest"
)

// party is a relying party of a provider that nobody here wrote.
type party struct {
	ps       *Providers
	conn     Connection
	redirect string
	logout   chan string // tokens that came by back channel
}

// npmSecret has what URL encoding changes in it.
const npmSecret = "orgate secret+of/the:client%41 0123456789"

// newParty starts a provider from npm, with a client for a relying party that listens.
func newParty(t *testing.T, c ssotest.NodeConfig) *party {
	t.Helper()
	secret := npmSecret
	if c.AuthMethod == "none" {
		secret = "" // a public client
	}
	p := &party{logout: make(chan string, 4)}
	mux := http.NewServeMux()
	mux.HandleFunc("/callback", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/bye", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /logout", func(_ http.ResponseWriter, r *http.Request) { p.logout <- r.PostFormValue("logout_token") })
	rp := httptest.NewServer(mux)
	t.Cleanup(rp.Close)
	p.redirect = rp.URL + "/callback"
	c.People = people()
	c.Clients = []ssotest.Client{{
		ID: testClient, Secret: secret, RedirectURIs: []string{p.redirect}, PostLogoutURIs: []string{rp.URL + "/bye"},
		BackchannelLogoutURI: rp.URL + "/logout",
	}}
	op := ssotest.StartNodeProvider(t, c)
	p.ps = New(Options{Egress: egress.New(egress.Options{AllowLoopback: true})})
	p.conn = Connection{ID: "conn_npm", Issuer: op.Issuer, ClientID: testClient, ClientSecret: Secret(secret), Scopes: []string{"email", "profile", "groups"}, GroupsClaim: "groups"}
	return p
}

// signIn signs somebody in through the provider's own forms.
func (p *party) signIn(t *testing.T, b *ssotest.Browser, req StartRequest, login string) (Assertion, error) {
	t.Helper()
	req.RedirectURI = p.redirect
	to, flow, err := p.ps.Start(t.Context(), p.conn, req, time.Now())
	if err != nil {
		return Assertion{}, err
	}
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Drive(t.Context(), page, map[string]string{"login": login, "password": "any"}, func(p *ssotest.Page) bool { return p.URL.Path == "/callback" })
	}
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.Path != "/callback" {
		t.Fatalf("stuck at %s: %s", page.URL, page.Text)
	}
	return p.ps.Finish(t.Context(), p.conn, flow, page.URL.Query(), time.Now())
}

func TestSignInAtACertifiedProvider(t *testing.T) {
	for name, c := range map[string]ssotest.NodeConfig{
		"client_secret_basic": {},
		"client_secret_post":  {AuthMethod: "client_secret_post"},
		"public client":       {AuthMethod: "none"},
		"claims in userinfo":  {Lean: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, c)
			a, err := p.signIn(t, ssotest.NewBrowser(), StartRequest{LoginHint: "alice-1"}, "alice-1")
			if err != nil {
				t.Fatal(err)
			}
			if a.Subject != "alice-1" || a.Email != "alice@acme.test" || a.EmailVerified == nil || !*a.EmailVerified ||
				a.Name != "Alice Adams" || strings.Join(a.Groups, ",") != "Admins,Everyone" || a.SID == "" {
				t.Errorf("%+v", a)
			}
			if a.Attributes["department"] != "R&D" {
				t.Errorf("attributes: %v", a.Attributes)
			}
		})
	}
}

func TestACertifiedProviderRefusesAWrongSecret(t *testing.T) {
	p := newParty(t, ssotest.NodeConfig{})
	p.conn.ClientSecret = "wrong"
	if _, err := p.signIn(t, ssotest.NewBrowser(), StartRequest{}, "alice-1"); code(t, err) != CodeInvalidClient {
		t.Error(err)
	}
}

func TestACertifiedProviderAsksAgainWhenItMust(t *testing.T) {
	p := newParty(t, ssotest.NodeConfig{})
	b := ssotest.NewBrowser()
	first, err := p.signIn(t, b, StartRequest{}, "alice-1")
	if err != nil {
		t.Fatal(err)
	}
	silent, err := p.signIn(t, b, StartRequest{MaxAge: time.Hour}, "nobody")
	if err != nil || silent.Subject != first.Subject || !silent.AuthTime.Equal(first.AuthTime) {
		t.Errorf("within max age: %v, %+v", err, silent)
	}
	again, err := p.signIn(t, b, StartRequest{ForceLogin: true}, "alice-1")
	if err != nil || again.AuthTime.Before(first.AuthTime) || again.AuthTime.IsZero() {
		t.Errorf("forced: %v, %+v", err, again)
	}
}

func TestACertifiedProviderTellsWhenAPersonSaysNo(t *testing.T) {
	p := newParty(t, ssotest.NodeConfig{})
	to, flow, err := p.ps.Start(t.Context(), p.conn, StartRequest{RedirectURI: p.redirect}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := ssotest.NewBrowser()
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Press(t.Context(), page, "Cancel")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ps.Finish(t.Context(), p.conn, flow, page.URL.Query(), time.Now()); code(t, err) != CodeDenied {
		t.Error(err)
	}
}

func TestSigningOutAtACertifiedProviderComesBackByBothChannels(t *testing.T) {
	p := newParty(t, ssotest.NodeConfig{})
	b := ssotest.NewBrowser()
	a, err := p.signIn(t, b, StartRequest{}, "alice-1")
	if err != nil {
		t.Fatal(err)
	}
	to, err := p.ps.LogoutURL(t.Context(), p.conn, LogoutRequest{IDToken: a.IDToken, RedirectURI: strings.Replace(p.redirect, "/callback", "/bye", 1), State: "s1"})
	if err != nil {
		t.Fatal(err)
	}
	page, err := b.Get(t.Context(), to)
	if err == nil {
		page, err = b.Submit(t.Context(), page, map[string]string{"logout": "yes"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.Path != "/bye" || page.URL.Query().Get("state") != "s1" {
		t.Fatalf("at %s: %s", page.URL, page.Text)
	}
	select {
	case token := <-p.logout:
		out, err := p.ps.VerifyLogout(t.Context(), p.conn, token, time.Now())
		if err != nil || out.Subject != a.Subject || out.SID != a.SID {
			t.Errorf("%v: %+v, want %s and %s", err, out, a.Subject, a.SID)
		}
	case <-time.After(20 * time.Second):
		t.Error("no logout token came by back channel")
	}
}

// oauth2-mock-server says yes to everything, and puts anything into its tokens.
func TestALyingProviderFromNPMIsNotBelieved(t *testing.T) {
	honest := map[string]any{"email": "alice@acme.test", "groups": []string{"Admins"}}
	for name, tc := range map[string]struct {
		claims map[string]any
		want   Code
	}{
		"honest":          {nil, ""},
		"expired":         {map[string]any{"exp": 1}, CodeExpired},
		"forever":         {map[string]any{"exp": 1e18}, CodeTime},
		"other audience":  {map[string]any{"aud": "other"}, CodeAudience},
		"other azp":       {map[string]any{"azp": "other"}, CodeAudience},
		"other issuer":    {map[string]any{"iss": "https://evil.test"}, CodeIssuer},
		"other nonce":     {map[string]any{"nonce": "other"}, CodeNonce},
		"no nonce":        {map[string]any{"nonce": nil}, CodeNonce},
		"no subject":      {map[string]any{"sub": nil}, CodeSubject},
		"nested groups":   {map[string]any{"groups": []any{[]string{"owner"}}}, CodeGroups},
		"from the future": {map[string]any{"iat": time.Now().Add(time.Hour).Unix()}, CodeTime},
	} {
		t.Run(name, func(t *testing.T) {
			claims := map[string]any{"aud": testClient}
			for _, m := range []map[string]any{honest, tc.claims} {
				maps.Copy(claims, m)
			}
			p := newParty(t, ssotest.NodeConfig{Kind: "oauth2-mock-server", Claims: claims})
			if _, err := p.signIn(t, ssotest.NewBrowser(), StartRequest{}, "alice-1"); code(t, err) != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}
