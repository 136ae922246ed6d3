package proxy

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// An attempt is a sign-in that a browser has begun.
type attempt struct {
	cookie  string
	request session.SignInRequest
}

// begin has a browser ask for a page without a session.
func (w *world) begin(host, path string, headers ...string) attempt {
	w.t.Helper()
	res := w.do("GET", host, path, browser(headers...)...)
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != 302 {
		w.t.Fatal(res.StatusCode, err)
	}
	req, err := session.ParseSignInRequest(u.Query())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if c.MaxAge > 0 {
			return attempt{c.Name + "=" + c.Value, req}
		}
	}
	w.t.Fatal("no attempt cookie")
	return attempt{}
}

// code is what the login host makes of an attempt once the person is known.
func (p *person) code(a attempt, org tenancy.OrgID) string {
	p.w.t.Helper()
	var code session.Token
	p.w.update(func(tx store.Tx) (err error) {
		code, err = session.IssueHandover(tx, session.Handover{Attempt: a.request.Attempt, Host: a.request.Host, Organization: org, Parent: p.parent.ID, ReturnTo: a.request.ReturnTo}, p.w.now())
		return err
	})
	return code.Reveal()
}

func cookieOf(res response, name string) string {
	for _, c := range res.Cookies() {
		if c.Name == name && c.MaxAge > 0 {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

func TestAHandOverEndsWhereThePersonWantedToGo(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	a := w.begin(acmeHost, "/deep/page?x=1")
	res := w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(a, w.acme.ID), browser("Cookie", a.cookie)...)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/deep/page?x=1" || res.Header.Get("Referrer-Policy") != "no-referrer" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v %s", res.StatusCode, res.Header, res.body)
	}
	if name, _, _ := strings.Cut(a.cookie, "="); !clears(res, name) {
		t.Error("the attempt cookie is left")
	}
	c := cookieOf(res, "__Host-orgate_session")
	if e := w.do("GET", acmeHost, "/deep/page?x=1", "Cookie", c).echo(t); e.Header.Get("X-User-Id") != string(p.user.ID) {
		t.Errorf("%+v", e)
	}
}

func TestTwoTabsSignInAtOnce(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	a := w.begin(acmeHost, "/a")
	b := w.begin(acmeHost, "/b", "Cookie", a.cookie)
	both := a.cookie + "; " + b.cookie
	res := w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(b, w.acme.ID), "Cookie", both)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/b" {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	first := cookieOf(res, "__Host-orgate_session")
	res = w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(a, w.acme.ID), "Cookie", a.cookie+"; "+first)
	if res.StatusCode != 303 || res.Header.Get("Location") != "/a" {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	// The new session replaces the old one, which is dead and not forgotten.
	if got := w.do("GET", acmeHost, "/", "Cookie", first).StatusCode; got != 401 {
		t.Errorf("the replaced session: %d", got)
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", cookieOf(res, "__Host-orgate_session")).StatusCode; got != 200 {
		t.Errorf("the new session: %d", got)
	}
}

func TestACodeIsGoodOnceHereAndNowOnly(t *testing.T) {
	for _, tc := range []struct {
		name string
		try  func(w *world, p *person, a attempt) response
		code string
	}{
		{"in another browser", func(w *world, p *person, a attempt) response {
			other := w.begin(acmeHost, "/")
			return w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(a, w.acme.ID), "Cookie", other.cookie, "Accept", "*/*")
		}, "code_foreign"},
		{"in a browser without an attempt", func(w *world, p *person, a attempt) response {
			return w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(a, w.acme.ID))
		}, "code_foreign"},
		{"at another host", func(w *world, p *person, a attempt) response {
			return w.do("GET", globexHost, "/.orgate/callback?code="+p.code(a, w.acme.ID), "Cookie", a.cookie)
		}, "code_foreign"},
		{"at another host of the organization", func(w *world, p *person, a attempt) response {
			return w.do("GET", "portal.acme.com", "/.orgate/callback?code="+p.code(a, w.acme.ID), "Cookie", a.cookie)
		}, "code_foreign"},
		{"too late", func(w *world, p *person, a attempt) response {
			code := p.code(a, w.acme.ID)
			w.pass(61 * time.Second)
			return w.do("GET", acmeHost, "/.orgate/callback?code="+code, "Cookie", a.cookie)
		}, "code_expired"},
		{"after sign-out", func(w *world, p *person, a attempt) response {
			code := p.code(a, w.acme.ID)
			w.update(func(tx store.Tx) error { return session.End(tx, p.parent.ID, audit.System, w.now()) })
			return w.do("GET", acmeHost, "/.orgate/callback?code="+code, "Cookie", a.cookie)
		}, "session_ended"},
		{"made up", func(w *world, _ *person, a attempt) response {
			return w.do("GET", acmeHost, "/.orgate/callback?code="+session.NewToken().Reveal(), "Cookie", a.cookie)
		}, "code_expired"},
		{"no code", func(w *world, _ *person, a attempt) response {
			return w.do("GET", acmeHost, "/.orgate/callback", "Cookie", a.cookie)
		}, "bad_code"},
		{"twice in the query", func(w *world, p *person, a attempt) response {
			code := p.code(a, w.acme.ID)
			return w.do("GET", acmeHost, "/.orgate/callback?code="+code+"&code="+code, "Cookie", a.cookie)
		}, "bad_query"},
		{"with another parameter", func(w *world, p *person, a attempt) response {
			return w.do("GET", acmeHost, "/.orgate/callback?code="+p.code(a, w.acme.ID)+"&return_to=//evil.com", "Cookie", a.cookie)
		}, "bad_query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			p := w.person("jo@acme.com", w.acme.ID)
			res := tc.try(w, p, w.begin(acmeHost, "/"))
			if res.StatusCode != 400 || !strings.Contains(res.body, `"code":"`+tc.code+`"`) || cookieOf(res, "__Host-orgate_session") != "" {
				t.Errorf("%d %v %s", res.StatusCode, res.Header["Set-Cookie"], res.body)
			}
		})
	}
}

func TestALinkCheckerUsesUpNoCode(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	a := w.begin(acmeHost, "/")
	path := "/.orgate/callback?code=" + p.code(a, w.acme.ID)
	if res := w.do("HEAD", acmeHost, path, "Cookie", a.cookie); res.StatusCode != 405 || res.Header["Set-Cookie"] != nil {
		t.Errorf("HEAD: %d %v", res.StatusCode, res.Header)
	}
	if res := w.do("GET", acmeHost, path, "Cookie", a.cookie); res.StatusCode != 303 {
		t.Errorf("GET afterwards: %d", res.StatusCode)
	}
}

func TestASecondUseOfACodeEndsTheFirst(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	a := w.begin(acmeHost, "/")
	code := p.code(a, w.acme.ID)
	first := w.do("GET", acmeHost, "/.orgate/callback?code="+code, "Cookie", a.cookie)
	c := cookieOf(first, "__Host-orgate_session")
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Fatal(got)
	}
	second := w.do("GET", acmeHost, "/.orgate/callback?code="+code, "Cookie", a.cookie)
	if second.StatusCode != 400 || !strings.Contains(second.body, "code_used") {
		t.Errorf("%d %s", second.StatusCode, second.body)
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 401 {
		t.Errorf("the session of the first use: %d", got)
	}
}

// Promise 7.
func TestFiftyRedemptionsAtOnceMakeOneSession(t *testing.T) {
	w := newWorld(t)
	p := w.person("jo@acme.com", w.acme.ID)
	a := w.begin(acmeHost, "/")
	code := p.code(a, w.acme.ID)
	var got atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if res := w.do("GET", acmeHost, "/.orgate/callback?code="+code, "Cookie", a.cookie); res.StatusCode == 303 {
				got.Add(1)
			}
		})
	}
	wg.Wait()
	if got.Load() != 1 {
		t.Errorf("%d sessions", got.Load())
	}
}

func TestAReturnPathStaysOnTheHost(t *testing.T) {
	w := newWorld(t)
	for _, to := range []string{"//evil.com", `/\evil.com`, "https://evil.com", "/%09/evil.com/..", "/a/%2e%2e//evil.com", "evil", "/a\nb"} {
		res := w.do("GET", acmeHost, "/.orgate/sign-in?return_to="+url.QueryEscape(to), browser()...)
		u, _ := url.Parse(res.Header.Get("Location"))
		if res.StatusCode != 302 || u.Query().Get("return_to") != "/" {
			t.Errorf("%q: %d %s", to, res.StatusCode, u)
		}
	}
}

func TestSigningOutNeedsAClickAndEndsAllOfTheBrowser(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo()
	w.update(func(tx store.Tx) error { return join(tx, w, w.globex.ID, p.user.ID) })
	other := p.at(globexHost, w.globex.ID)

	res := w.do("GET", acmeHost, "/.orgate/sign-out", browser("Cookie", c)...)
	if res.StatusCode != 200 || !strings.Contains(res.body, `method="post"`) || !strings.Contains(res.body, "/.orgate/sign-out") {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Fatalf("the page alone signed out: %d", got)
	}
	for _, h := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://globex.example.com"}, {"Origin", "null"},
	} {
		res := w.send("POST", acmeHost, "/.orgate/sign-out", strings.NewReader(""), append(h, "Cookie", c)...)
		if res.StatusCode != 403 {
			t.Errorf("%v: %d", h, res.StatusCode)
		}
	}
	if got := w.do("GET", acmeHost, "/", "Cookie", c).StatusCode; got != 200 {
		t.Fatalf("another site signed out: %d", got)
	}
	res = w.send("POST", acmeHost, "/.orgate/sign-out", strings.NewReader(""), browser("Cookie", c, "Sec-Fetch-Site", "same-origin")...)
	if res.StatusCode != 303 || res.Header.Get("Location") != "https://login.example.com/signed-out?host=acme.example.com" || !clears(res, "__Host-orgate_session") {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	for host, c := range map[string]string{acmeHost: c, globexHost: other} {
		if got := w.do("GET", host, "/", "Cookie", c).StatusCode; got != 401 {
			t.Errorf("%s: %d", host, got)
		}
	}
	// Once more, with what is dead: nothing to complain about.
	if got := w.send("POST", acmeHost, "/.orgate/sign-out", strings.NewReader(""), "Cookie", c).StatusCode; got != 303 {
		t.Errorf("%d", got)
	}
}

func TestMeSaysWhoIsThere(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("admin")
	res := w.do("GET", acmeHost, "/.orgate/me", "Cookie", c)
	for _, want := range []string{`"id":"` + string(p.user.ID) + `"`, `"email":"jo@acme.com"`, `"slug":"acme"`, `"role":"admin"`, `"permissions":["reports:delete","reports:edit"]`, `"method":"email_code"`, `"expires_at":`} {
		if !strings.Contains(res.body, want) {
			t.Errorf("no %s in %s", want, res.body)
		}
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header["Access-Control-Allow-Origin"] != nil {
		t.Errorf("%v", res.Header)
	}
	if res := w.do("GET", acmeHost, "/.orgate/me"); res.StatusCode != 401 || !strings.Contains(res.body, `"sign_in_url":"https://acme.example.com/.orgate/sign-in`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	outsider := w.person("bo@globex.com", w.globex.ID).at(acmeHost, w.acme.ID)
	if res := w.do("GET", acmeHost, "/.orgate/me", "Cookie", outsider); res.StatusCode != 401 || strings.Contains(res.body, "bo@") {
		t.Errorf("no member: %d %s", res.StatusCode, res.body)
	}
}

func TestTheSwitchTellsNobodyWhichOrganizationsThereAre(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo()
	const picker = "https://login.example.com/organizations?host=acme.example.com"
	for _, slug := range []string{"globex", "nobody", "", "..", "GLOBEX"} {
		if res := w.do("GET", acmeHost, "/.orgate/switch?organization="+slug, "Cookie", c); res.StatusCode != 303 || res.Header.Get("Location") != picker {
			t.Errorf("%q: %d %s", slug, res.StatusCode, res.Header.Get("Location"))
		}
	}
	w.update(func(tx store.Tx) error { return join(tx, w, w.globex.ID, p.user.ID) })
	if res := w.do("GET", acmeHost, "/.orgate/switch?organization=globex", "Cookie", c); res.Header.Get("Location") != "https://globex.example.com/" {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	if res := w.do("GET", acmeHost, "/.orgate/switch?organization=globex"); res.Header.Get("Location") != picker {
		t.Errorf("without a session: %s", res.Header.Get("Location"))
	}
}

func TestTheWaysOfOursAreInTheTable(t *testing.T) {
	w := newWorld(t)
	var got []string
	for _, r := range w.proxy.Routes() {
		got = append(got, r.Side.String()+"  "+r.Pattern+"  "+r.Access.String())
	}
	const want = `tenant  GET /.orgate/callback  public
tenant  GET /.orgate/sign-in  public
tenant  GET /.orgate/sign-out  public
tenant  POST /.orgate/sign-out  public
tenant  GET /.orgate/me  public
tenant  GET /.orgate/switch  public
tenant  GET /.orgate/static/  public
tenant  GET /.well-known/orgate/jwks.json  public`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("the routes are\n%s", s)
	}
	if res := w.do("GET", acmeHost, "/.orgate/static/none.css"); res.StatusCode != http.StatusNotFound {
		t.Error(res.StatusCode)
	}
}
