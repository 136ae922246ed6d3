package ssotest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const redirect = "https://app.example.test/callback"

func demo(t *testing.T, remember bool) *Provider {
	t.Helper()
	return Start(t, Options{
		Name: "Acme's identity provider (demo)", Remember: remember,
		Clients: []Client{{ID: "app", Secret: "secret", Name: "The App", RedirectURIs: []string{redirect}}},
		People: []Person{
			{Subject: "alice", Name: "Alice Adams", Email: "alice@acme.test", Note: "Admins"},
			{Subject: "bob", Name: "Bob <script>", Email: "bob@acme.test"},
		},
	})
}

func authorize(p *Provider, more url.Values) string {
	q := url.Values{
		"client_id": {"app"}, "redirect_uri": {redirect}, "response_type": {"code"}, "scope": {"openid email"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for k, v := range more {
		if q[k] = v; v == nil {
			delete(q, k)
		}
	}
	return p.Issuer() + "/authorize?" + q.Encode()
}

// answer returns what the browser would be sent back to the application with.
func answer(t *testing.T, b *Browser, target string, values map[string]string) url.Values {
	t.Helper()
	b.client.Transport = interceptor{b.client.Transport}
	page, err := b.Get(t.Context(), target)
	if err == nil && len(page.Forms) > 0 && values != nil {
		page, err = b.Submit(t.Context(), page, values)
	}
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.Host != "app.example.test" {
		t.Fatalf("stayed at the provider: %s", page.Text)
	}
	return page.URL.Query()
}

// interceptor answers for the application.
type interceptor struct{ next http.RoundTripper }

func (i interceptor) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "app.example.test" {
		rec := httptest.NewRecorder()
		rec.WriteHeader(http.StatusOK)
		return rec.Result(), nil
	}
	return i.next.RoundTrip(r)
}

func TestAClickSignsIn(t *testing.T) {
	p := demo(t, false)
	b := NewBrowser()
	page, err := b.Get(t.Context(), authorize(p, url.Values{"login_hint": {"BOB@acme.test"}}))
	if err != nil {
		t.Fatal(err)
	}
	if page.Title != "Sign in · Acme's identity provider (demo)" || !strings.Contains(page.Text, "The App") {
		t.Errorf("%q: %s", page.Title, page.Text)
	}
	if got := page.Forms[0].Buttons[0]; got.Value != "bob" || !strings.Contains(got.Label, "Continue as Bob <script>") {
		t.Errorf("who was hinted at is not first: %+v", got)
	}
	if strings.Contains(page.Body, "<script>") {
		t.Error("a name is markup")
	}
	csp := page.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(page.Body, "style=") {
		t.Errorf("CSP %q", csp)
	}
	if style, err := b.Follow(t.Context(), page, "/style.css"); err != nil || style.Status != 200 || !strings.HasPrefix(style.Header.Get("Content-Type"), "text/css") {
		t.Errorf("stylesheet: %v", err)
	}
	got := answer(t, b, authorize(p, nil), map[string]string{"person": "alice"})
	if got.Get("code") == "" || got.Get("state") != "s" || got.Get("iss") != p.Issuer() {
		t.Errorf("%v", got)
	}
	if page, err = b.Get(t.Context(), authorize(p, nil)); err != nil || !strings.Contains(page.Text, "signed in here") {
		t.Errorf("the page does not say who is signed in: %v", err)
	}
}

func TestWithoutAGoodRequestNobodyIsSentAnywhere(t *testing.T) {
	p := demo(t, false)
	for name, more := range map[string]url.Values{
		"unknown client":           {"client_id": {"other"}},
		"unregistered redirect":    {"redirect_uri": {"https://evil.test/callback"}},
		"redirect with more on it": {"redirect_uri": {redirect + "/more"}},
		"no redirect":              {"redirect_uri": nil},
	} {
		page, err := NewBrowser().Get(t.Context(), authorize(p, more))
		if err != nil || page.Status != http.StatusBadRequest || len(page.Trail) != 1 {
			t.Errorf("%s: %v, %d after %v", name, err, page.Status, page.Trail)
		}
	}
	for want, more := range map[string]url.Values{
		"unsupported_response_type": {"response_type": {"token"}},
		"invalid_scope":             {"scope": {"email"}},
		"invalid_request":           {"code_challenge": nil},
		"login_required":            {"prompt": {"none"}},
	} {
		if got := answer(t, NewBrowser(), authorize(p, more), nil); got.Get("error") != want || got.Get("state") != "s" {
			t.Errorf("%v, want %s", got, want)
		}
	}
	if got := answer(t, NewBrowser(), authorize(p, nil), map[string]string{"deny": "1"}); got.Get("error") != "access_denied" {
		t.Errorf("cancelled: %v", got)
	}
}

func TestAPageIsGoodForOneClick(t *testing.T) {
	p := demo(t, false)
	b := NewBrowser()
	b.client.Transport = interceptor{b.client.Transport}
	page, err := b.Get(t.Context(), authorize(p, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusOK, http.StatusBadRequest} {
		next, err := b.Submit(t.Context(), page, map[string]string{"person": "alice"})
		if err != nil || next.Status != want {
			t.Errorf("click %d: %v, %d", i+1, err, next.Status)
		}
	}
}

func TestWhoIsRememberedGoesThrough(t *testing.T) {
	p := demo(t, true)
	b := NewBrowser()
	answer(t, b, authorize(p, nil), map[string]string{"person": "alice"})
	for _, more := range []url.Values{nil, {"prompt": {"none"}}, {"max_age": {"60"}}} {
		if got := answer(t, b, authorize(p, more), nil); got.Get("code") == "" {
			t.Errorf("%v: %v", more, got)
		}
	}
	page, err := b.Get(t.Context(), authorize(p, url.Values{"prompt": {"login"}}))
	if err != nil || len(page.Forms) == 0 {
		t.Errorf("prompt=login asked nobody: %v", err)
	}
}

func TestACodeIsSwappedOnceByItsClientWithItsVerifier(t *testing.T) {
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // of RFC 7636, appendix B
	p := demo(t, true)
	b := NewBrowser()
	for name, tc := range map[string]struct {
		change func(url.Values)
		want   int
	}{
		"good":           {func(url.Values) {}, 200},
		"wrong secret":   {func(q url.Values) { q.Set("client_secret", "x") }, 401},
		"no secret":      {func(q url.Values) { q.Del("client_secret") }, 401},
		"wrong verifier": {func(q url.Values) { q.Set("code_verifier", "x") }, 400},
		"other redirect": {func(q url.Values) { q.Set("redirect_uri", "x") }, 400},
		"other grant":    {func(q url.Values) { q.Set("grant_type", "password") }, 400},
		"made-up code":   {func(q url.Values) { q.Set("code", "x") }, 400},
	} {
		got := answer(t, b, authorize(p, nil), map[string]string{"person": "alice"})
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {got.Get("code")}, "redirect_uri": {redirect},
			"client_id": {"app"}, "client_secret": {"secret"}, "code_verifier": {verifier},
		}
		tc.change(form)
		for i, want := range []int{tc.want, max(400, tc.want)} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer()+"/token", strings.NewReader(form.Encode()))
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			page, err := b.Fetch(req)
			if err != nil || page.Status != want {
				t.Errorf("%s, time %d: %v, %d, want %d", name, i+1, err, page.Status, want)
			}
		}
	}
}

func TestSeveralProvidersShareAHost(t *testing.T) {
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	defer srv.Close()
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	base := "http://idp.localhost:" + port
	for _, name := range []string{"acme", "globex"} {
		p, err := New(Options{Issuer: base + "/" + name, Name: name, People: []Person{{Subject: name}}})
		if err != nil {
			t.Fatal(err)
		}
		mux.Handle("/"+name+"/", p)
	}
	b := NewBrowser()
	for _, name := range []string{"acme", "globex"} {
		page, err := b.Get(t.Context(), base+"/"+name+"/.well-known/openid-configuration")
		if err != nil || !strings.Contains(page.Body, `"issuer":"`+base+"/"+name+`"`) {
			t.Errorf("%s: %v: %s", name, err, page.Body)
		}
		if page, err = b.Get(t.Context(), base+"/"+name+"/"); err != nil || page.Title != name {
			t.Errorf("%s: %v, %q", name, err, page.Title)
		}
	}
}

func TestAnIssuerMustBeAURLWithoutASlashAtItsEnd(t *testing.T) {
	for _, issuer := range []string{"", "acme", "http://localhost/", "http://localhost/acme/"} {
		if _, err := New(Options{Issuer: issuer}); err == nil {
			t.Errorf("%q was taken", issuer)
		}
	}
}
