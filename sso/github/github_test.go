package github

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/egress"
	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/ssotest"
)

const (
	clientID = "Iv1.0123456789abcdef"
	secret   = "the secret+of/the app"
)

// A rig is an app, and a GitHub.
type rig struct {
	github   *ssotest.GitHub
	client   *Client
	app      App
	redirect string
}

func mona() ssotest.GitHubAccount {
	return ssotest.GitHubAccount{ID: 583231, Login: "mona", Name: "Mona Lisa", Emails: []ssotest.GitHubEmail{
		{Email: "583231+mona@users.noreply.github.com", Verified: true},
		{Email: "old@elsewhere.test", Verified: true},
		{Email: "Mona@Elsewhere.test", Primary: true, Verified: true},
		{Email: "work@acme.test"},
	}}
}

func newRig(t *testing.T, edit func(*ssotest.GitHubOptions)) *rig {
	t.Helper()
	rp := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(rp.Close)
	r := &rig{redirect: rp.URL + "/callback"}
	o := ssotest.GitHubOptions{ClientID: clientID, ClientSecret: secret, RedirectURIs: []string{r.redirect}, Accounts: []ssotest.GitHubAccount{mona()}}
	if edit != nil {
		edit(&o)
	}
	r.github = ssotest.StartGitHub(t, o)
	r.client = New(egress.New(egress.Options{AllowLoopback: true, Timeout: 500 * time.Millisecond, MaxBody: 1 << 20}))
	r.app = App{ID: "social:github", Site: r.github.Site, ClientID: clientID, ClientSecret: secret}
	return r
}

// go goes to GitHub, and is who the button says there; it returns what comes back.
func (r *rig) visit(t *testing.T, button string) (Flow, url.Values) {
	t.Helper()
	to, f, err := r.client.Start(r.app, StartRequest{RedirectURI: r.redirect}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := ssotest.NewBrowser()
	p, err := b.Get(t.Context(), to)
	if err == nil {
		p, err = b.Press(t.Context(), p, button)
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.URL.Path != "/callback" {
		t.Fatalf("stuck at %s: %s", p.URL, p.Text)
	}
	return f, p.URL.Query()
}

func (r *rig) signIn(t *testing.T, button string) (Assertion, error) {
	t.Helper()
	f, q := r.visit(t, button)
	return r.client.Finish(t.Context(), r.app, f, q, time.Now())
}

func code(t *testing.T, err error) Code {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%T: %v", err, err)
	}
	if e.Text.IsZero() || e.Hint == "" {
		t.Errorf("%s says nothing to somebody: %q, %q", e.Code, e.Text, e.Hint)
	}
	return e.Code
}

func TestSigningInGivesTheNumberAndThePrimaryVerifiedAddress(t *testing.T) {
	for _, says := range []bool{false, true} {
		r := newRig(t, func(o *ssotest.GitHubOptions) { o.Says = says })
		a, err := r.signIn(t, "mona")
		if err != nil || a != (Assertion{"583231", "Mona@Elsewhere.test", "Mona Lisa"}) {
			t.Errorf("iss %v: %+v, %v", says, a, err)
		}
	}
	r := newRig(t, func(o *ssotest.GitHubOptions) { o.Accounts[0].Name = "" })
	if a, err := r.signIn(t, "mona"); err != nil || a.Name != "mona" {
		t.Errorf("without a name: %+v, %v", a, err)
	}
}

func TestAnotherLoginNameIsTheSamePerson(t *testing.T) {
	r := newRig(t, nil)
	r.github.Rename(583231, "lisa", ssotest.GitHubEmail{Email: "lisa@elsewhere.test", Primary: true, Verified: true})
	a, err := r.signIn(t, "lisa")
	if err != nil || a.Subject != "583231" || a.Email != "lisa@elsewhere.test" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestOnlyThePrimaryVerifiedAddressIsOne(t *testing.T) {
	primary := func(email string, verified bool) ssotest.GitHubEmail {
		return ssotest.GitHubEmail{Email: email, Primary: true, Verified: verified}
	}
	verified := ssotest.GitHubEmail{Email: "other@elsewhere.test", Verified: true}
	for name, tt := range map[string]struct {
		emails []ssotest.GitHubEmail
		want   Code
	}{
		"none at all":                       {nil, CodeNoEmail},
		"verified, but not primary":         {[]ssotest.GitHubEmail{verified}, CodeNoEmail},
		"primary, but not verified":         {[]ssotest.GitHubEmail{primary("victim@elsewhere.test", false), verified}, CodeNoEmail},
		"two that are primary":              {[]ssotest.GitHubEmail{primary("a@elsewhere.test", true), primary("b@elsewhere.test", true)}, CodeUser},
		"two, of which one is not verified": {[]ssotest.GitHubEmail{primary("a@elsewhere.test", true), primary("b@elsewhere.test", false)}, CodeUser},
		"an address that is kept private":   {[]ssotest.GitHubEmail{primary("1+Mona@USERS.noreply.github.com", true)}, CodeNoEmail},
		"the old kind of one":               {[]ssotest.GitHubEmail{primary("mona@noreply.github.com", true)}, CodeNoEmail},
		"that of an enterprise's server":    {[]ssotest.GitHubEmail{primary("mona@users.noreply.ghe.acme.test", true)}, CodeNoEmail},
		"empty":                             {[]ssotest.GitHubEmail{primary("", true)}, CodeNoEmail},
		"with a line end":                   {[]ssotest.GitHubEmail{primary("mona@elsewhere.test\r\nBcc: x@evil.test", true)}, CodeUser},
		"300 characters":                    {[]ssotest.GitHubEmail{primary(strings.Repeat("m", 300)+"@elsewhere.test", true)}, CodeUser},
		"noreply elsewhere":                 {[]ssotest.GitHubEmail{primary("noreply@elsewhere.test", true)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *ssotest.GitHubOptions) { o.Accounts[0].Emails = tt.emails })
			if _, err := r.signIn(t, "mona"); code(t, err) != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestWhatAGitHubMayAnswerAndWhatMustComeOfIt(t *testing.T) {
	const json = "application/json; charset=utf-8"
	says := ssotest.Says
	everywhere := map[string]struct {
		answer http.Handler
		want   map[string]Code // by endpoint
	}{
		"nothing, ever":           {ssotest.Silent(), all(CodeSlow)},
		"without end":             {ssotest.Endless(), all(CodeTooLarge)},
		"a bomb":                  {ssotest.Bomb(32 << 20), all(CodeTooLarge)},
		"more than is honest":     {says(200, json, "["+strings.Repeat(" ", maxDocument)+"]"), all(CodeTooLarge)},
		"a redirect":              {ssotest.RedirectTo("http://127.0.0.1:1/"), all(CodeForbidden)},
		"an error of its own":     {says(502, "text/html", "<h1>Unicorn!</h1>"), all(CodeUnavailable)},
		"too many requests":       {says(429, json, "{}"), all(CodeUnavailable)},
		"a page in place of it":   {says(200, "text/html", "<h1>Sign in to the network</h1>"), broken()},
		"JSON under a false flag": {says(200, "text/plain", `{"access_token":"x","token_type":"bearer","id":5,"type":"User"}`), broken()},
		"no content type":         {says(200, "", `{"access_token":"x","token_type":"bearer"}`), broken()},
		"half of it":              {says(200, json, `{"access_token":"x","token_typ`), broken()},
		"not UTF-8":               {says(200, json, "{\"name\":\"\xff\",\"id\":5,\"access_token\":\"x\"}"), broken()},
		"an empty object":         {says(200, json, `{}`), broken()},
		"null":                    {says(200, json, `null`), map[string]Code{"access_token": CodeTokenAnswer, "user": CodeUser, "emails": CodeNoEmail}},
		"a form":                  {says(200, "application/x-www-form-urlencoded", "access_token=x&token_type=bearer"), broken()},
		"unauthorized":            {says(401, json, `{"message":"Bad credentials"}`), map[string]Code{"access_token": CodeInvalidClient, "user": CodeUser, "emails": CodeUser}},
		"not found":               {says(404, json, `{"message":"Not Found"}`), map[string]Code{"access_token": CodeInvalidClient, "user": CodeUser, "emails": CodeScope}},
		"forbidden":               {says(403, json, `{"message":"Resource not accessible"}`), map[string]Code{"access_token": CodeTokenAnswer, "user": CodeUser, "emails": CodeScope}},
		"over the limit": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Ratelimit-Remaining", "0")
			w.WriteHeader(http.StatusForbidden)
		}), all(CodeUnavailable)},
	}
	for name, tt := range everywhere {
		for endpoint, want := range tt.want {
			t.Run(name+" at "+endpoint, func(t *testing.T) {
				r := newRig(t, nil)
				r.github.Misbehave(map[string]http.Handler{endpoint: tt.answer})
				if _, err := r.signIn(t, "mona"); code(t, err) != want {
					t.Errorf("%v, want %q", err, want)
				}
			})
		}
	}
	for name, tt := range map[string]struct {
		endpoint, body string
		want           Code
	}{
		"no token":                {"access_token", `{"token_type":"bearer"}`, CodeTokenAnswer},
		"a token of another kind": {"access_token", `{"access_token":"x","token_type":"mac"}`, CodeTokenAnswer},
		"a token with a line end": {"access_token", `{"access_token":"x\r\nX-Evil: 1","token_type":"bearer"}`, CodeTokenAnswer},
		"a token beyond measure":  {"access_token", `{"access_token":"` + strings.Repeat("x", maxToken+1) + `","token_type":"bearer"}`, CodeTokenAnswer},
		"an error and a token":    {"access_token", `{"error":"bad_verification_code","access_token":"x","token_type":"bearer"}`, CodeCodeRefused},
		"an unknown error":        {"access_token", `{"error":"teapot"}`, CodeRequest},
		"suspended":               {"access_token", `{"error":"application_suspended"}`, CodeUnavailable},
		"unverified there":        {"access_token", `{"error":"unverified_user_email"}`, CodeNoEmail},
		"no number":               {"user", `{"login":"mona","type":"User"}`, CodeUser},
		"the number 0":            {"user", `{"id":0,"login":"mona","type":"User"}`, CodeUser},
		"a number below 0":        {"user", `{"id":-583231,"login":"mona","type":"User"}`, CodeUser},
		"a number in quotes":      {"user", `{"id":"583231","login":"mona","type":"User"}`, CodeUser},
		"a fraction":              {"user", `{"id":583231.5,"login":"mona","type":"User"}`, CodeUser},
		"a number too big":        {"user", `{"id":583231583231583231583231,"login":"mona","type":"User"}`, CodeUser},
		"an organization":         {"user", `{"id":5,"login":"acme","type":"Organization"}`, CodeUser},
		"a robot":                 {"user", `{"id":5,"login":"dependabot[bot]","type":"Bot"}`, CodeUser},
		"a list":                  {"user", `[{"id":5,"type":"User"}]`, CodeUser},
		"an address in quotes":    {"emails", `["mona@elsewhere.test"]`, CodeUser},
		"verified in quotes":      {"emails", `[{"email":"victim@elsewhere.test","primary":true,"verified":"false"}]`, CodeUser},
		"one address":             {"emails", `{"email":"victim@elsewhere.test","primary":true,"verified":true}`, CodeUser},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			r.github.Misbehave(map[string]http.Handler{tt.endpoint: says(200, json, tt.body)})
			if _, err := r.signIn(t, "mona"); code(t, err) != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func all(c Code) map[string]Code {
	return map[string]Code{"access_token": c, "user": c, "emails": c}
}

func broken() map[string]Code {
	return map[string]Code{"access_token": CodeTokenAnswer, "user": CodeUser, "emails": CodeUser}
}

func TestATokenThatMayNotReadAddressesSignsNobodyIn(t *testing.T) {
	r := newRig(t, func(o *ssotest.GitHubOptions) { o.Scopeless = true })
	if _, err := r.signIn(t, "mona"); code(t, err) != CodeScope {
		t.Error(err)
	}
}

func TestAWrongSecretIsNamed(t *testing.T) {
	r := newRig(t, nil)
	r.app.ClientSecret = "wrong"
	if _, err := r.signIn(t, "mona"); code(t, err) != CodeInvalidClient {
		t.Error(err)
	}
}

func TestWhoeverSaysNoIsNotSignedIn(t *testing.T) {
	r := newRig(t, nil)
	if _, err := r.signIn(t, "Cancel"); code(t, err) != CodeDenied {
		t.Error(err)
	}
}

func TestACodeIsGoodForTheFlowThatItWasAskedInAndOnce(t *testing.T) {
	r := newRig(t, func(o *ssotest.GitHubOptions) {
		o.Accounts = append(o.Accounts, ssotest.GitHubAccount{ID: 666, Login: "mallory", Emails: []ssotest.GitHubEmail{{Email: "mallory@evil.test", Primary: true, Verified: true}}})
	})
	// A code of Mallory's browser, in Mona's: PKCE says no.
	f, q := r.visit(t, "mona")
	_, theirs := r.visit(t, "mallory")
	mixed := maps.Clone(q)
	mixed["code"] = theirs["code"]
	if _, err := r.client.Finish(t.Context(), r.app, f, mixed, time.Now()); code(t, err) != CodeCodeRefused {
		t.Errorf("another browser's code: %v", err)
	}
	if _, err := r.client.Finish(t.Context(), r.app, f, q, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Finish(t.Context(), r.app, f, q, time.Now()); code(t, err) != CodeCodeRefused {
		t.Errorf("the second time: %v", err)
	}
}

func TestOnlyTheAnswerToThisFlowIsOne(t *testing.T) {
	r := newRig(t, func(o *ssotest.GitHubOptions) { o.Says = true })
	for name, tt := range map[string]struct {
		edit func(*App, *Flow, url.Values)
		late time.Duration
		want Code
	}{
		"no flow":                 {func(_ *App, f *Flow, _ url.Values) { *f = Flow{} }, 0, CodeState},
		"no flow, and no state":   {func(_ *App, f *Flow, q url.Values) { *f = Flow{}; q.Del("state") }, 0, CodeState},
		"another state":           {func(_ *App, _ *Flow, q url.Values) { q.Set("state", idp.Random()) }, 0, CodeState},
		"no verifier":             {func(_ *App, f *Flow, _ url.Values) { f.Verifier = "" }, 0, CodeState},
		"another app":             {func(a *App, _ *Flow, _ url.Values) { a.ID = "social:other" }, 0, CodeState},
		"another client":          {func(a *App, _ *Flow, _ url.Values) { a.ClientID = "other" }, 0, CodeState},
		"another site":            {func(a *App, _ *Flow, _ url.Values) { a.Site = Site }, 0, CodeState},
		"two states":              {func(_ *App, _ *Flow, q url.Values) { q.Add("state", q.Get("state")) }, 0, CodeCallback},
		"two codes":               {func(_ *App, _ *Flow, q url.Values) { q.Add("code", "x") }, 0, CodeCallback},
		"no code":                 {func(_ *App, _ *Flow, q url.Values) { q.Del("code") }, 0, CodeCallback},
		"too long":                {func(_ *App, _ *Flow, q url.Values) { q.Set("x", strings.Repeat("x", 8<<10)) }, 0, CodeCallback},
		"the answer of another":   {func(_ *App, _ *Flow, q url.Values) { q.Set("iss", "https://evil.test/login/oauth") }, 0, CodeResponseIssuer},
		"an empty name":           {func(_ *App, _ *Flow, q url.Values) { q.Set("iss", "") }, 0, CodeResponseIssuer},
		"a made-up code":          {func(_ *App, _ *Flow, q url.Values) { q.Set("code", "x") }, 0, CodeCodeRefused},
		"after ten minutes":       {func(*App, *Flow, url.Values) {}, 11 * time.Minute, CodeFlowExpired},
		"before it was begun":     {func(*App, *Flow, url.Values) {}, -2 * time.Minute, CodeFlowExpired},
		"at another redirect URI": {func(_ *App, f *Flow, _ url.Values) { f.RedirectURI += "/x" }, 0, CodeRequest},
	} {
		t.Run(name, func(t *testing.T) {
			f, q := r.visit(t, "mona")
			app := r.app
			tt.edit(&app, &f, q)
			before := r.github.Hits("user")
			if _, err := r.client.Finish(t.Context(), app, f, q, time.Now().Add(tt.late)); code(t, err) != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if r.github.Hits("user") != before {
				t.Error("the API was asked")
			}
		})
	}
}

func TestWhatIsAskedOfGitHub(t *testing.T) {
	c := New(egress.New(egress.Options{}))
	to, f, err := c.Start(App{ID: "social:github", ClientID: clientID}, StartRequest{RedirectURI: "https://login.example.com/cb", SelectAccount: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	want := map[string]string{"client_id": clientID, "redirect_uri": "https://login.example.com/cb", "scope": "user:email", "state": f.State, "code_challenge_method": "S256", "prompt": "select_account", "response_type": "code"}
	for k, v := range want {
		if q.Get(k) != v {
			t.Errorf("%s is %q, want %q", k, q.Get(k), v)
		}
	}
	if u.Scheme+"://"+u.Host+u.Path != "https://github.com/login/oauth/authorize" || q.Get("code_challenge") == "" || strings.Contains(to, f.Verifier) || len(f.State) != 43 || len(f.Verifier) < 43 {
		t.Errorf("%s, %+v", to, f)
	}
	for site, want := range map[string]string{
		Site: "https://api.github.com", "https://acme.ghe.com": "https://api.acme.ghe.com", "https://github.acme.test": "https://github.acme.test/api/v3",
	} {
		if got := api(site); got != want {
			t.Errorf("the API of %s is %s, want %s", site, got, want)
		}
	}
	for _, bad := range []App{{ClientID: clientID}, {ID: "x"}, {ID: "x", ClientID: clientID, Site: "http://github.acme.test"}, {ID: "x", ClientID: clientID, Site: "https://u:p@github.com"}} {
		if _, _, err := c.Start(bad, StartRequest{}, time.Now()); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestNothingPrintsASecretOrAToken(t *testing.T) {
	r := newRig(t, nil)
	if s := fmt.Sprintf("%v %+v %#v %s", r.app, r.app, r.app, r.app.ClientSecret); strings.Contains(s, secret) {
		t.Error(s)
	}
	const token = "gho_thisIsTheToken"
	r.github.Misbehave(map[string]http.Handler{
		"access_token": ssotest.Says(200, "application/json", `{"access_token":"`+token+`","token_type":"bearer"}`),
		"user":         http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { http.Error(w, q.Header.Get("Authorization"), 400) }),
	})
	_, err := r.signIn(t, "mona")
	if code(t, err) != CodeUser || strings.Contains(err.Error(), token) || strings.Contains(fmt.Sprintf("%+v", err), token) {
		t.Error(err)
	}
}
