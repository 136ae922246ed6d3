package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func TestAMemberReachesTheAppAsThemselves(t *testing.T) {
	w := newWorld(t)
	p, c := w.jo("admin")
	res := w.do("GET", acmeHost, "/reports?q=1", "Cookie", "theme=dark; "+c+"; lang=en")
	e := res.echo(t)
	for name, want := range map[string]string{
		"X-User-Id": string(p.user.ID), "X-User-Email": "jo@acme.com", "X-User-Name": "J%C3%B6rg%20M%C3%BCller",
		"X-Org-Id": string(w.acme.ID), "X-Org-Slug": "acme", "X-Org-Name": "Acme%20Inc.",
		"X-Org-Role": "admin", "X-Org-Roles": "admin", "X-Org-Permissions": "reports:delete,reports:edit",
		"X-Auth-Method":    "email_code",
		"X-Forwarded-For":  "127.0.0.1",
		"X-Forwarded-Host": acmeHost, "X-Forwarded-Proto": "https",
		"Cookie": "theme=dark; lang=en",
	} {
		if got := e.Header[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"X-Org-Membership-Id", "X-Auth-Time", "X-Orgate-Jwt-Assertion", "X-Request-Id"} {
		if len(e.Header[name]) != 1 || e.Header.Get(name) == "" {
			t.Errorf("%s: %q", name, e.Header[name])
		}
	}
	if e.URI != "/reports?q=1" || e.Host != acmeHost {
		t.Errorf("the app was asked for %s at %s", e.URI, e.Host)
	}
	if got := res.Header.Get("Cache-Control"); got != "private" {
		t.Errorf("Cache-Control: %q", got)
	}
}

func TestACustomHostIsTheOrganizations(t *testing.T) {
	w := newWorld(t)
	p, acme := w.jo()
	portal := p.at("portal.acme.com", w.acme.ID)
	if e := w.do("GET", "portal.acme.com", "/", "Cookie", portal).echo(t); e.Header.Get("X-Org-Slug") != "acme" || e.Host != "portal.acme.com" {
		t.Errorf("%+v", e)
	}
	// A session is of one host, though the organization is the same.
	if res := w.do("GET", "portal.acme.com", "/", "Cookie", acme); res.StatusCode != 401 {
		t.Errorf("the session of %s is good at portal.acme.com: %d", acmeHost, res.StatusCode)
	}
}

// Browsers send punycode. What a person typed is no host in HTTP/1, and what is no punycode is
// none anywhere.
func TestAnInternationalHostIsFoundByItsPunycode(t *testing.T) {
	w := newWorld(t)
	o := w.acme
	o.Hosts = []string{"xn--bcher-kva.example"}
	w.update(func(tx store.Tx) error { _, err := tenancy.SaveOrganization(tx, o, audit.System, w.now()); return err })
	for host, want := range map[string]string{
		"xn--bcher-kva.example": "200", "XN--BCHER-KVA.example": "200",
		"b\u00fccher.example": "400", "bu\u0308cher.example": "400", "xn--bcher-kvb.example": "400", "xn--mller-kva.example": "404",
	} {
		if answer := w.raw("GET /healthz HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%q: %.60q, want %s", host, answer, want)
		}
	}
}

// Promise 3, over all hosts and routes.
func TestASessionOfOneTenantIsNeverAcceptedByAnother(t *testing.T) {
	w := newWorld(t)
	p, acme := w.jo("admin")
	w.update(func(tx tx) error { return join(tx, w, w.globex.ID, p.user.ID) })
	hosts := map[string]string{acmeHost: acme, "portal.acme.com": p.at("portal.acme.com", w.acme.ID), globexHost: p.at(globexHost, w.globex.ID)}
	for _, path := range []string{"/", "/x", "/admin/x", "/healthz", "/.orgate/me"} {
		for at := range hosts {
			for of, c := range hosts {
				res := w.do("GET", at, path, "Cookie", c)
				identified := strings.Contains(res.body, string(p.user.ID))
				if identified != (at == of && (path != "/admin/x" || at != globexHost)) {
					t.Errorf("%s%s with the session of %s: status %d, identified: %v", at, path, of, res.StatusCode, identified)
				}
			}
		}
	}
}

func TestAnUnknownHostIsToldNothing(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	var first string
	for i, host := range []string{
		"nobody.example.com", "acme.example.com.evil.com", "evilexample.com", "example.com", "a.acme.example.com",
		"acme.example.com:8443", "org.example.com", "acme.example.org",
	} {
		res := w.do("GET", host, "/", browser("Cookie", c)...)
		if res.StatusCode != 404 || res.Header["Set-Cookie"] != nil || res.Header["Location"] != nil {
			t.Errorf("%s: %d %v", host, res.StatusCode, res.Header)
		}
		if body := withoutID(res.body); i == 0 {
			first = body
		} else if body != first {
			t.Errorf("%s gets another page than the others", host)
		}
	}
	// A suspended organization gives the very same answer.
	w.update(func(tx tx) error { return suspend(tx, w.acme.ID, w) })
	for _, path := range []string{"/", "/healthz", "/.orgate/sign-in", "/.orgate/me", "/.orgate/callback", "/.well-known/orgate/jwks.json"} {
		if res := w.do("GET", acmeHost, path, browser("Cookie", c)...); res.StatusCode != 404 || withoutID(res.body) != first || res.Header["Set-Cookie"] != nil {
			t.Errorf("suspended: %s: %d %v", path, res.StatusCode, res.Header)
		}
	}
	for _, host := range []string{"127.0.0.1", "[::1]", "", "acme.example.com:evil", "acme.example.com:00443", "acme_.example.com", "acme..example.com"} {
		if host == "" {
			continue // Go's client fills it in; see the raw tests
		}
		if res := w.do("GET", host, "/"); res.StatusCode != 400 && res.StatusCode != 404 {
			t.Errorf("%s: %d", host, res.StatusCode)
		}
	}
}

func TestSpellingsOfAHostAreThatHost(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, host := range []string{"ACME.example.com", "acme.example.com.", "acme.example.com:443", "Acme.Example.Com:443"} {
		if res := w.do("GET", host, "/", "Cookie", c); res.StatusCode != 200 || res.echo(t).Host != acmeHost {
			t.Errorf("%s: %d %s", host, res.StatusCode, res.body)
		}
	}
}

func TestANavigationIsSentToSignInAndAFetchIsTold(t *testing.T) {
	w := newWorld(t)
	res := w.do("GET", acmeHost, "/a/b?c=d", browser()...)
	if res.StatusCode != 302 {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || u.Scheme+"://"+u.Host+u.Path != "https://login.example.com/sign-in" {
		t.Fatalf("Location: %s", res.Header.Get("Location"))
	}
	req, err := session.ParseSignInRequest(u.Query())
	if err != nil || req.Host != acmeHost || req.ReturnTo != "/a/b?c=d" {
		t.Errorf("%+v, %v", req, err)
	}
	set := res.Cookies()
	if len(set) != 1 || !strings.HasPrefix(set[0].Name, "__Host-orgate_attempt_") || !set[0].Secure || !set[0].HttpOnly || set[0].MaxAge != 900 {
		t.Errorf("%v", set)
	}
	if tok, ok := session.ParseToken(set[0].Value); !ok || tok.Hash() != req.Attempt {
		t.Error("the attempt is not the hash of the cookie")
	}

	res = w.do("GET", acmeHost, "/a/b?c=d", "Accept", "application/json", "Sec-Fetch-Mode", "cors")
	if res.StatusCode != 401 || res.Header["Set-Cookie"] != nil || !strings.Contains(res.body, `"sign_in_url":"https://acme.example.com/.orgate/sign-in?return_to=%2Fa%2Fb%3Fc%3Dd"`) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, res.body)
	}
	// What was posted must not become a GET of the same address.
	res = w.send("POST", acmeHost, "/a", strings.NewReader("x=1"), browser("Referer", "https://acme.example.com/form?y")...)
	if res.StatusCode != 401 || !strings.Contains(res.body, "return_to=%2Fform%3Fy") || !strings.Contains(res.body, "not carried out") {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if res = w.do("OPTIONS", acmeHost, "/a", "Origin", "https://evil.com", "Access-Control-Request-Method", "GET"); res.StatusCode != 401 || res.Header["Access-Control-Allow-Origin"] != nil {
		t.Errorf("preflight: %d %v", res.StatusCode, res.Header)
	}
}

func TestFiveAttemptsAtMostAreUnderWay(t *testing.T) {
	w := newWorld(t)
	cookies := []string{}
	for range 8 {
		res := w.do("GET", acmeHost, "/", browser("Cookie", strings.Join(cookies, "; "))...)
		for _, c := range res.Cookies() {
			if c.MaxAge < 0 {
				cookies = slices.DeleteFunc(cookies, func(s string) bool { return strings.HasPrefix(s, c.Name+"=") })
			} else {
				cookies = append(cookies, c.Name+"="+c.Value)
			}
		}
	}
	if len(cookies) != maxAttempts {
		t.Errorf("%d attempts", len(cookies))
	}
}

func TestTwoSessionCookiesAreNoneAndAreCleared(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, both := range []string{c + "; __Host-orgate_session=x", "__Host-orgate_session=x; " + c, c + "; " + c} {
		res := w.do("GET", acmeHost, "/", "Cookie", both)
		if res.StatusCode != 401 || !clears(res, "__Host-orgate_session") {
			t.Errorf("%d %v", res.StatusCode, res.Header["Set-Cookie"])
		}
		if res = w.do("GET", acmeHost, "/healthz", "Cookie", both); res.StatusCode != 200 || !clears(res, "__Host-orgate_session") || res.echo(t).Header["X-User-Id"] != nil {
			t.Errorf("public: %d %v", res.StatusCode, res.Header["Set-Cookie"])
		}
	}
	for _, bad := range []string{"__Host-orgate_session=", "__Host-orgate_session=" + strings.Repeat("A", 43), "__Host-orgate_session=" + strings.Repeat("x", 4000), `__Host-orgate_session="` + c[len("__Host-orgate_session="):] + `"`} {
		if res := w.do("GET", acmeHost, "/", "Cookie", bad); res.StatusCode != 401 || !clears(res, "__Host-orgate_session") {
			t.Errorf("%.40s: %d %v", bad, res.StatusCode, res.Header["Set-Cookie"])
		}
	}
}

func clears(res response, name string) bool {
	return slices.ContainsFunc(res.Cookies(), func(c *http.Cookie) bool { return c.Name == name && c.MaxAge < 0 && c.Secure && c.Path == "/" })
}

// Promise 1.
func TestNoManagedHeaderReachesTheAppFromAClient(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	names := append(presetNames(), "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Request-Id", "X-Org-Extra")
	for _, session := range []string{"", c} {
		want := fold2(w.do("GET", acmeHost, "/healthz", "Cookie", session).echo(t).Header)
		for _, name := range names {
			for _, spelling := range spellings(name) {
				e := w.do("GET", acmeHost, "/healthz", "Cookie", session, spelling, "forged", spelling, "forged2").echo(t)
				got := fold2(e.Header)
				for n, v := range got {
					if strings.Contains(strings.Join(v, ","), "forged") {
						t.Errorf("%s arrived as %s: %q", spelling, n, v)
					}
				}
				if len(got) != len(want) {
					t.Errorf("with %s there are %d headers, without %d", spelling, len(got), len(want))
				}
			}
		}
	}
}

// fold2 folds as the app of a careless server would see it.
func fold2(h http.Header) map[string][]string {
	m := map[string][]string{}
	for n, v := range h {
		m[fold(n)] = append(m[fold(n)], v...)
	}
	return m
}

func TestTheAppIsToldOfNobodyWithoutASession(t *testing.T) {
	w := newWorld(t)
	e := w.do("GET", acmeHost, "/public/x", "X-User-Id", "user_evil", "Cookie", "__Host-orgate_session=x").echo(t)
	for name := range e.Header {
		if f := fold(name); strings.HasPrefix(f, "x-user") || strings.HasPrefix(f, "x-org") || strings.HasPrefix(f, "x-auth") {
			t.Errorf("%s: %q", name, e.Header[name])
		}
	}
}

func TestRulesDecideByPathMethodAndRole(t *testing.T) {
	w := newWorld(t)
	_, member := w.jo("member")
	admin := w.person("ann@acme.com", w.acme.ID, "admin").at(acmeHost, w.acme.ID)
	outsider := w.person("bo@globex.com", w.globex.ID, "admin")
	stranger := outsider.at(acmeHost, w.acme.ID) // signed in, and no member here
	for _, tc := range []struct {
		method, path           string
		member, admin, nonmemb int
	}{
		{"GET", "/", 200, 200, 403},
		{"GET", "/healthz", 200, 200, 200},
		{"GET", "/admin", 403, 200, 403},
		{"GET", "/admin/x", 403, 200, 403},
		{"GET", "/reports/1", 200, 200, 403},
		{"DELETE", "/reports/1", 403, 200, 403},
	} {
		for c, want := range map[string]int{member: tc.member, admin: tc.admin, stranger: tc.nonmemb} {
			if res := w.do(tc.method, acmeHost, tc.path, "Cookie", c); res.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", tc.method, tc.path, res.StatusCode, want)
			}
		}
	}
	// On a public route a session that is not good here is nobody's.
	if e := w.do("GET", acmeHost, "/healthz", "Cookie", stranger).echo(t); e.Header["X-User-Id"] != nil {
		t.Error("the app was told of somebody who is no member")
	}
	res := w.do("GET", acmeHost, "/", browser("Cookie", stranger)...)
	if !strings.Contains(res.body, "not a member of <bdi>Acme Inc.</bdi>") {
		t.Errorf("%s", res.body)
	}
}

// Many an app takes one case for the other.
func TestARuleBindsInEveryCaseAndGrantsInItsOwn(t *testing.T) {
	w := newWorld(t)
	_, member := w.jo("member")
	admin := w.person("ann@acme.com", w.acme.ID, "admin").at(acmeHost, w.acme.ID)
	for _, tc := range []struct {
		method, path          string
		nobody, member, admin int
	}{
		{"GET", "/Admin/x", 401, 403, 200},
		{"GET", "/ADMIN", 401, 403, 200},
		{"GET", "/%41dmin/x", 401, 403, 200},
		{"DELETE", "/Reports/1", 401, 403, 200},
		{"GET", "/Reports/1", 401, 200, 200},
		{"GET", "/Public/x", 401, 200, 200},
		{"GET", "/public/Admin", 200, 200, 200},
	} {
		for c, want := range map[string]int{"": tc.nobody, member: tc.member, admin: tc.admin} {
			if res := w.do(tc.method, acmeHost, tc.path, "Cookie", c); res.StatusCode != want {
				t.Errorf("%s %s: %d, want %d", tc.method, tc.path, res.StatusCode, want)
			}
		}
	}
}

func TestAPathThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, path := range []string{"/public/..%2fadmin/x", "/public/%2e%2e/admin/x", "/a%2fb", "/a;b", "/public//x", "/%252e%252e/x", "/a%5cb"} {
		if res := w.do("GET", acmeHost, path, "Cookie", c); res.StatusCode != 400 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}

func TestAnAmbiguousPathIsJudgedByAllItsReadings(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Apps[0].AmbiguousPaths = true })
	_, member := w.jo("member")
	admin := w.person("ann@acme.com", w.acme.ID, "admin").at(acmeHost, w.acme.ID)
	for path, want := range map[string][3]int{ // nobody, member, admin
		"/a%2fb":                    {401, 200, 200},
		"/a;b=c/d":                  {401, 200, 200},
		"/public/a%2fb":             {401, 200, 200}, // no rule that grants
		"/admin%2fx":                {401, 403, 200},
		"/admin;x/y":                {401, 403, 200},
		"/x/%2e%2e/admin":           {400, 400, 400},
		"/%2forgate":                {401, 200, 200},
		"/.orgate%2fcallback":       {404, 404, 404},
		"/.orgate;a/sign-out":       {404, 404, 404},
		"/.ORGATE%2fx":              {404, 404, 404},
		"/%252eorgate%252fcallback": {400, 400, 400},
	} {
		for i, c := range []string{"", member, admin} {
			res := w.do("GET", acmeHost, path, "Cookie", c)
			if res.StatusCode != want[i] {
				t.Errorf("%s as %s: %d, want %d", path, []string{"nobody", "member", "admin"}[i], res.StatusCode, want[i])
			}
			if res.StatusCode == 200 && res.echo(t).URI != path {
				t.Errorf("%s arrived as %s", path, res.echo(t).URI)
			}
		}
	}
}

// Promise 2.
func TestThePathThatIsJudgedIsThePathThatIsForwarded(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, uri := range []string{
		"/", "/a", "/a/", "/a?", "/a?b", "/a?b=c&d;e=%zz", "/a|b", "/a^b`c{d}", `/"quoted"`, "/%41%7e", "/caf%C3%A9", "/caf%c3%a9", "/a+b", "/a%20b", "/!$&'()*+,=:@-._~",
		"/a?return_to=//evil.com", "/a?" + strings.Repeat("x=1&", 4000), "/<b>", "/a?http://x/..",
	} {
		res := w.do("GET", acmeHost, uri, "Cookie", c)
		if res.StatusCode != 200 {
			t.Errorf("%.60s: %d", uri, res.StatusCode)
			continue
		}
		want := uri
		if before, ok := strings.CutSuffix(uri, "?"); ok {
			want = before // Go's client leaves an empty query out
		}
		if got := res.echo(t).URI; got != want {
			t.Errorf("%.60s arrived as %.60s", uri, got)
		}
	}
}

func TestOurPathsAreNeverForwarded(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	for _, path := range []string{"/.orgate", "/.orgate/", "/.orgate/x", "/.Orgate/callback", "/%2eorgate/x", "/.orgate/me/x", "/.%6Frgate/x", "/.orgate./x"} {
		if res := w.do("GET", acmeHost, path, "Cookie", c); res.StatusCode != 404 {
			t.Errorf("%s: %d %s", path, res.StatusCode, res.body)
		}
	}
	if res := w.do("DELETE", acmeHost, "/.orgate/me", "Cookie", c); res.StatusCode != 405 {
		t.Errorf("DELETE: %d", res.StatusCode)
	}
}

func TestTheLoginHostIsNoTenant(t *testing.T) {
	w := newWorld(t)
	w.update(func(tx tx) error { return addOrganization(tx, w, "login", "login.example.com") })
	if res := w.do("GET", loginHost, "/sign-in"); res.Header.Get("X-Login") != "/sign-in" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	if _, _, ok := w.proxy.Organization(loginHost); ok {
		t.Error("the login host is an organization's")
	}
}

func TestWhoIsWhoAndWhere(t *testing.T) {
	w := newWorld(t)
	if org, app, ok := w.proxy.Organization(acmeHost); !ok || org != w.acme.ID || app != "app" {
		t.Error(org, app, ok)
	}
	for _, host := range []string{"nobody.example.com", acmeHost + ":8443", loginHost, "", "x"} {
		if _, _, ok := w.proxy.Organization(host); ok {
			t.Errorf("%q is an organization's", host)
		}
	}
	for host, want := range map[string]bool{
		acmeHost: true, loginHost: true, "ACME.example.com": true, "nobody.example.com": false, acmeHost + ":443": false, "": false, "x": false, "*.example.com": false,
		"a." + acmeHost: false, acmeHost + ".evil.test": false, "example.com": false, "127.0.0.1": false,
	} {
		if w.proxy.Serves(host) != want {
			t.Errorf("%q is served: %v", host, !want)
		}
	}
	if got := w.proxy.Home(w.acme.ID); got != "https://acme.example.com/" {
		t.Error(got)
	}
	if got := w.proxy.Home("org_none"); got != "" {
		t.Error(got)
	}
}

// A client can send a method as long as all headers may be; a line of the log is none of that.
func TestAMethodIsCutInTheLog(t *testing.T) {
	w := newWorld(t)
	w.do(strings.Repeat("A", 10_000), acmeHost, "/")
	w.eventually("a line", func() bool { return strings.Contains(w.log.String(), "msg=request") })
	if log := w.log.String(); strings.Contains(log, strings.Repeat("A", 100)) || !strings.Contains(log, "reason=method_not_allowed") {
		t.Errorf("%d bytes: %.500s", len(log), log)
	}
}

func TestTheLogHasALineForEachRequestAndNoSecret(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	w.do("GET", acmeHost, "/admin/x?token=very-secret", "Cookie", c, "Authorization", "Bearer very-secret")
	w.do("GET", acmeHost, "/.orgate/callback?code="+session.NewToken().Reveal()+"&x=very-secret")
	w.eventually("two lines", func() bool { return strings.Count(w.log.String(), "msg=request") == 2 })
	log := w.log.String()
	for _, want := range []string{"organization=acme", "verdict=deny", "reason=role_missing", `rule="/admin/** (role admin)"`, "status=403", "route=app", "pattern=\"GET /.orgate/callback\""} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
	for _, secret := range []string{"very-secret", c[len(c)-43:], "token="} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in %s", secret, log)
		}
	}
}
