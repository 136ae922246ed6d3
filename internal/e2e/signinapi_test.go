package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/orgate/orgate/internal/mail/mailtest"
	"github.com/orgate/orgate/sso/ssotest"
)

// TestAnAppSignsPeopleInByTheAPI: an app that uses the SDK as it is sends people to sign in, gets their sessions, keeps them sealed
// in a cookie, switches organizations, and signs them out; and learns the profile of somebody without making a session.
func TestAnAppSignsPeopleInByTheAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "<title>back</title>back at %s", r.URL.Path)
	}))
	t.Cleanup(back.Close)
	callback := strings.Replace(back.URL, "127.0.0.1", "client.localhost", 1) + "/callback"
	mails := mailtest.Start(t, mailtest.Config{TLS: "none"})
	google := ssotest.Start(t, ssotest.Options{
		Name: "google", People: []ssotest.Person{{Subject: "jo-1", Email: "jo@elsewhere.test", EmailVerified: new(true), Name: "Jo"}},
		Clients: []ssotest.Client{{ID: "orgate-google", Secret: googleSecret, RedirectURIs: []string{s.origin("login") + "/sso/social/callback/google"}}},
	})
	s.secrets.add(googleSecret)
	head := strings.Replace(s.head(s.badger()), "organizations:\n", fmt.Sprintf(`clients: [{ id: client_app, redirect_uris: [%q], provider_scopes: [phone] }]
sign_in:
  methods: [password, email_code]
  social: [{ name: google, issuer: %q, client_id: orgate-google, client_secret: %s }]
mail: { smtp: { host: 127.0.0.1, port: %d, tls: none }, from: orgate@mail.localhost }
organizations:
`, callback, google.Issuer(), googleSecret, mails.Port), 1)
	s.write(head + s.acme() + s.globex())
	s.start()
	out, stderr, code := run(t, nil, "api-key", "create", "--config", s.file, "--name", "backend")
	if code != 0 {
		t.Fatalf("orgate api-key create: %d\n%s", code, stderr)
	}
	key := strings.Fields(out)[1]
	s.secrets.add(key)
	step := func(name string, more map[string]any, into any) {
		t.Helper()
		told := map[string]any{"step": name, "callback": callback}
		maps.Copy(told, more)
		if err := json.Unmarshal([]byte(s.node(t, "signin.mjs", key, told)), into); err != nil {
			t.Fatal(err)
		}
	}

	var begun struct{ URL, State, CodeVerifier string }
	step("url", nil, &begun)
	s.secrets.add(begun.CodeVerifier)
	alice := s.person(t, "alice")
	pg := alice.signIn(begun.URL)
	q := pg.URL.Query()
	if !strings.HasPrefix(pg.URL.String(), callback+"?") || q.Get("state") != begun.State || q.Get("code") == "" {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	var made struct {
		RefreshToken, Logout string
		Secrets              []string
	}
	step("session", map[string]any{"code": q.Get("code"), "verifier": begun.CodeVerifier, "issuer": s.origin("login") + "/user_management/client_app"}, &made)
	s.secrets.add(made.Secrets...)

	if pg := alice.get(made.Logout); pg.URL.Path != "/bye" || pg.Status != http.StatusOK {
		t.Errorf("at %s: %s", pg.URL, pg.Text)
	}
	var nothing struct{}
	step("over", map[string]any{"refreshToken": made.RefreshToken}, &nothing)
	if pg := alice.get(s.at("login", "/organizations")); pg.Status != http.StatusUnauthorized {
		t.Errorf("alice is signed in on the login host still: %d", pg.Status)
	}

	step("sso", nil, &begun)
	pg = s.person(t, "alice").signIn(begun.URL)
	if q = pg.URL.Query(); q.Get("state") != "kept" || q.Get("code") == "" {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	var profile struct{ ID string }
	if step("profile", map[string]any{"code": q.Get("code")}, &profile); !strings.HasPrefix(profile.ID, "prof_") {
		t.Errorf("profile %q", profile.ID)
	}

	// By a social provider, after a code has shown whose address it is.
	var social struct{ URL, SignIn string }
	step("social", nil, &social)
	jo := s.person(t, "jo")
	for _, from := range []string{social.SignIn, social.URL} {
		pg = jo.get(from)
		if q := pg.URL.Query(); q.Get("scope") != "openid email profile phone" || q.Get("hd") != "elsewhere.test" || q.Get("hl") != "de" {
			t.Errorf("asked for %v", q)
		}
	}
	pg = jo.submit(pg, map[string]string{"person": "jo-1"})
	if !strings.Contains(pg.Text, "jo@elsewhere.test") {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	pg = jo.onward(jo.submit(pg, map[string]string{"code": codeTo(t, mails, "jo@elsewhere.test")}))
	if q = pg.URL.Query(); q.Get("state") != "kept" || q.Get("code") == "" {
		t.Fatalf("at %s: %s", pg.URL, pg.Text)
	}
	if step("socialProfile", map[string]any{"code": q.Get("code")}, &profile); !strings.HasPrefix(profile.ID, "prof_") {
		t.Errorf("profile %q", profile.ID)
	}

	step("password", nil, &nothing)
	var codes struct{ Secrets []string }
	step("factors", nil, &codes)
	s.secrets.add(codes.Secrets...)
}
