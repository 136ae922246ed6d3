package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/sso/ssotest"
)

// raw sends bytes to the public listener and returns the answer.
func raw(t *testing.T, s *site, request string) (status int, body string) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", s.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := bufio.NewReader(resp.Body).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}

// TestTheHostAloneSaysWhichOrganization in each spelling that means the same host, and no
// spelling that means another is taken for one of ours.
func TestTheHostAloneSaysWhichOrganization(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p14")
	p.enter("acme", "/")
	c := p.cookie("acme")
	cookie := "Cookie: " + c.Name + "=" + c.Value + "\r\n"
	port := fmt.Sprint(s.Port)
	get := func(target, hosts string) string {
		return "GET " + target + " HTTP/1.1\r\n" + hosts + cookie + "Accept: application/json\r\nConnection: close\r\n\r\n"
	}
	for _, tt := range []struct {
		name, request string
		want          int
	}{
		{"as it is", get("/headers", "Host: acme.localhost:"+port+"\r\n"), 200},
		{"upper case", get("/headers", "Host: ACME.LocalHost:"+port+"\r\n"), 200},
		{"a trailing dot", get("/headers", "Host: acme.localhost.:"+port+"\r\n"), 200},
		{"the absolute form", get("http://acme.localhost:"+port+"/headers", "Host: acme.localhost:"+port+"\r\n"), 200},
		{"the absolute form of another host wins over the Host header, and the cookie is no good there", get("http://globex.localhost:"+port+"/headers", "Host: acme.localhost:"+port+"\r\n"), 401},
		{"another organization's host, with the cookie of this one", get("/headers", "Host: globex.localhost:"+port+"\r\n"), 401},
		{"no port, where the public one is another", get("/headers", "Host: acme.localhost\r\n"), 404},
		{"a wrong port", get("/headers", "Host: acme.localhost:1\r\n"), 404},
		{"no such organization", get("/headers", "Host: nobody.localhost:"+port+"\r\n"), 404},
		{"the parent of the tenant hosts", get("/headers", "Host: localhost:"+port+"\r\n"), 404},
		{"below a tenant host", get("/headers", "Host: www.acme.localhost:"+port+"\r\n"), 404},
		{"an organization's name with something before it", get("/headers", "Host: notacme.localhost:"+port+"\r\n"), 404},
		{"an address", get("/headers", "Host: 127.0.0.1:"+port+"\r\n"), 400},
		{"an IPv6 address", get("/headers", "Host: [::1]:"+port+"\r\n"), 400},
		{"punycode that nobody has", get("/headers", "Host: xn--bcher-kva.localhost:"+port+"\r\n"), 404},
		{"two hosts", get("/headers", "Host: acme.localhost:"+port+"\r\nHost: globex.localhost:"+port+"\r\n"), 400},
		{"twice the same host", get("/headers", "Host: acme.localhost:"+port+"\r\nHost: acme.localhost:"+port+"\r\n"), 400},
		{"no host", get("/headers", ""), 400},
		{"an empty host", get("/headers", "Host: \r\n"), 400},
		{"a host with a user", get("/headers", "Host: x@acme.localhost:"+port+"\r\n"), 400},
		{"a host with a blank", get("/headers", "Host: acme.localhost:"+port+" x\r\n"), 400},
		{"a host with a path", get("/headers", "Host: acme.localhost:"+port+"/x\r\n"), 400},
		{"a full-width dot", get("/headers", "Host: acme\xef\xbc\x8elocalhost:"+port+"\r\n"), 400},
		{"a target that is no path", get("headers", "Host: acme.localhost:"+port+"\r\n"), 400},
		{"another scheme", get("ftp://acme.localhost:"+port+"/headers", "Host: acme.localhost:"+port+"\r\n"), 400},
		{"a tunnel", "CONNECT acme.localhost:" + port + " HTTP/1.1\r\nHost: acme.localhost:" + port + "\r\n\r\n", 405},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: acme.localhost:" + port + "\r\n" + cookie + "\r\n", 405},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.app.got()
			status, body := raw(t, s, tt.request)
			if status != tt.want {
				t.Errorf("%d, want %d: %s", status, tt.want, body)
			}
			if came := s.app.got() - before; came != map[bool]int{true: 1}[tt.want == 200] {
				t.Errorf("the app got %d requests", came)
			}
			if tt.want == 404 && strings.Contains(strings.ToLower(body), "acme") {
				t.Errorf("the answer tells who is there: %s", body)
			}
		})
	}
}

// TestACookieIsGoodForOneHostAndOneSessionAlone: foreign, made up, doubled or huge, it
// is nobody's.
func TestACookieIsGoodForOneHostAndOneSessionAlone(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p15")
	// A member of both, so that nothing but the host keeps the one's cookie from the other.
	s.stop()
	s.member("acme", p.email)
	s.member("globex", p.email)
	s.start()
	p.enter("acme", "/")
	p.enter("globex", "/")
	good, login := p.cookie("acme"), p.cookie("login")
	other := strings.Map(func(r rune) rune {
		if r == 'A' {
			return 'B'
		}
		return 'A'
	}, good.Value)
	const name = "__Host-orgate_session"
	for _, tt := range []struct {
		what, host, cookie string
		want               int
	}{
		{"its own", "acme", name + "=" + good.Value, 200},
		{"acme's at globex", "globex", name + "=" + good.Value, 401},
		{"the login host's as a tenant's", "acme", name + "=" + login.Value, 401},
		{"the login host's under its own name", "acme", login.Name + "=" + login.Value, 401},
		{"without the prefix", "acme", "orgate_session=" + good.Value, 401},
		{"in lower case", "acme", strings.ToLower(name) + "=" + good.Value, 401},
		{"made up", "acme", name + "=" + other, 401},
		{"empty", "acme", name + "=", 401},
		{"quoted", "acme", name + `="` + good.Value + `"`, 401},
		{"with something after it", "acme", name + "=" + good.Value + "A", 401},
		{"two of them", "acme", name + "=" + good.Value + "; " + name + "=" + good.Value, 401},
		{"two, of which one is tossed in", "acme", name + "=" + other + "; " + name + "=" + good.Value, 401},
		{"long", "acme", name + "=" + strings.Repeat("A", 6000), 401},
		{"huge", "acme", name + "=" + strings.Repeat("A", 200_000), 431},
	} {
		t.Run(tt.what, func(t *testing.T) {
			status, body := raw(t, s, "GET /headers HTTP/1.1\r\nHost: "+strings.TrimPrefix(s.origin(tt.host), "http://")+"\r\nCookie: "+tt.cookie+"\r\nConnection: close\r\n\r\n")
			if status != tt.want {
				t.Errorf("%d, want %d: %.300s", status, tt.want, body)
			}
		})
	}
	if pg := s.person(t, "nobody").fetch(s.origin("login")+"/organizations", http.Header{"Cookie": {login.Name + "=" + good.Value}}); pg.Status != http.StatusUnauthorized {
		t.Errorf("a tenant's cookie at the login host: %d", pg.Status)
	}
}

// identityNames are the headers that tell the app who is there.
func identityNames() []string {
	return []string{"X-User-Id", "X-User-Email", "X-User-Name", "X-Org-Id", "X-Org-Slug", "X-Org-Name", "X-Org-Membership-Id", "X-Org-Role", "X-Org-Roles",
		"X-Org-Permissions", "X-Auth-Method", "X-Auth-Connection", "X-Auth-Time", "X-Orgate-Jwt-Assertion"}
}

// TestNoClientSaysWhoItIs: in no spelling that any server folds into one of our names does a
// header of the client's reach the app, on public routes and behind a session alike.
func TestNoClientSaysWhoItIs(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p, stranger := s.person(t, "p16"), s.person(t, "nobody")
	p.enter("acme", "/")
	honest := p.told("acme")

	forged := http.Header{"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Proto": {"https"}, "X-Real-Ip": {"6.6.6.6"}, "Forwarded": {"for=6.6.6.6"}}
	const lie = "forged-by-the-client"
	for _, name := range identityNames() {
		for _, spelling := range []string{
			name, strings.ToUpper(name), strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."),
			strings.Replace(name, "-", "_", 1), strings.Replace(strings.ToLower(name), "-", ".", 1), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
		} {
			forged[spelling] = []string{lie, lie}
		}
	}
	forged["Remote-User"], forged["X-Forwarded-User"] = []string{lie}, []string{lie} // what other proxies send

	check := func(got, want http.Header) {
		t.Helper()
		fold := strings.NewReplacer("_", "-", ".", "-")
		for name, values := range got {
			canonical := http.CanonicalHeaderKey(fold.Replace(name))
			if !slices.Contains(identityNames(), canonical) {
				continue
			}
			if name != canonical || !slices.Equal(values, want[canonical]) {
				t.Errorf("the app got %s: %.40q, want %.40q", name, values, want[canonical])
			}
		}
		for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
			if !slices.Equal(got[name], honest[name]) {
				t.Errorf("the app got %s: %q, want %q", name, got[name], honest[name])
			}
		}
		if b, err := json.Marshal(got); err != nil || strings.Contains(string(b), "6.6.6.6") {
			t.Errorf("the app was told another address: %s", b)
		}
	}
	check(p.headersAt(s.at("acme", "/headers"), forged), honest)

	// /public is the demo's page, which shows all headers that begin with X-.
	pg := stranger.fetch(s.at("acme", "/public"), forged)
	if pg.Status != http.StatusOK || strings.Contains(pg.Body, lie) || strings.Contains(pg.Body, "6.6.6.6") {
		t.Errorf("a stranger on a public route: %d %s", pg.Status, pg.Text)
	}
	if pg := p.fetch(s.at("acme", "/public"), forged); !strings.Contains(pg.Text, "p16@acme.test") || strings.Contains(pg.Body, lie) {
		t.Errorf("a member on a public route: %d %s", pg.Status, pg.Text)
	}
	// A header of ours that Connection names would be taken off by the next proxy.
	status, body := raw(t, s, "GET /public HTTP/1.1\r\nHost: "+strings.TrimPrefix(s.origin("acme"), "http://")+"\r\nConnection: close, X-Org-Id\r\n\r\n")
	if status != http.StatusBadRequest {
		t.Errorf("Connection: X-Org-Id: %d %s", status, body)
	}
}

// TestAPageIsSentOnAndAScriptIsTold: the same request, by what asks for it.
func TestAPageIsSentOnAndAScriptIsTold(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p17")
	page := http.Header{"Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}}
	pg := p.fetch(s.at("acme", "/x?y=1"), page)
	if to, err := url.Parse(pg.Header.Get("Location")); pg.Status != http.StatusFound || err != nil || to.Hostname() != "login.localhost" || to.Path != "/sign-in" {
		t.Errorf("a page: %d %s", pg.Status, pg.Header.Get("Location"))
	}
	pg = p.fetch(s.at("acme", "/x?y=1"), nil)
	var told struct {
		Code      string `json:"code"`
		SignInURL string `json:"sign_in_url"`
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(pg.Body), &told); err != nil || pg.Status != http.StatusUnauthorized || told.Code != "sign_in_required" || told.RequestID == "" {
		t.Fatalf("a script: %d %v %s", pg.Status, err, pg.Body)
	}
	if pg.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %q", pg.Header.Get("Cache-Control"))
	}
	// What it is told leads back to where it was.
	if pg := p.signIn(told.SignInURL); pg.URL.String() != s.at("acme", "/x?y=1") || pg.Status != http.StatusOK {
		t.Errorf("the sign-in URL led to %s: %d %s", pg.URL, pg.Status, pg.Text)
	}
	// A form that is posted without a session is not carried out, nor forgotten silently.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.at("acme", "/x"), strings.NewReader("a=b"))
	if err != nil {
		t.Fatal(err)
	}
	before := s.app.got()
	if pg, err := ssotest.NewBrowser().Fetch(req); err != nil || pg.Status != http.StatusUnauthorized || s.app.got() != before {
		t.Errorf("a form of nobody's: %v %v", pg, err)
	}
}

// TestMeIsWhoThePagesScriptSees.
func TestMeIsWhoThePagesScriptSees(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p18")
	me := func() (status int, who struct {
		User         struct{ ID, Email, Name string }
		Organization struct{ ID, Slug, Name string }
		Role         string
		Permissions  []string
	},
	) {
		t.Helper()
		pg := p.fetch(s.at("acme", "/.orgate/me"), nil)
		if err := json.Unmarshal([]byte(pg.Body), &who); err != nil {
			t.Fatalf("%v: %s", err, pg.Body)
		}
		if strings.Contains(pg.Body, "token") || pg.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %s", pg.Header, pg.Body)
		}
		return pg.Status, who
	}
	if status, _ := me(); status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", status)
	}
	p.enter("acme", "/")
	status, who := me()
	h := p.told("acme")
	if status != http.StatusOK || who.User.ID != h.Get("X-User-Id") || who.User.Email != "p18@acme.test" || who.User.Name != "Person 18" || who.Organization.Slug != "acme" ||
		who.Organization.Name != "Acme Inc." || who.Role != "member" || !slices.Equal(who.Permissions, []string{"reports:read"}) {
		t.Errorf("%d %+v", status, who)
	}
}

// TestAnAppThatIsDownIsAPageWithAReference, and the log has the reference and the cause.
func TestAnAppThatIsDownIsAPageWithAReference(t *testing.T) {
	t.Parallel()
	s := standard(t)
	p := s.person(t, "p19")
	p.enter("acme", "/")
	s.app.Close()
	pg := p.get(s.at("acme", "/"))
	if pg.Status != http.StatusBadGateway || !strings.Contains(pg.Text, "Acme Inc.") {
		t.Errorf("%d %s", pg.Status, pg.Text)
	}
	if strings.Contains(pg.Body, "127.0.0.1") || strings.Contains(pg.Body, "refused") {
		t.Errorf("the page tells of the inside: %s", pg.Text)
	}
	id := referenceOf(t, pg)
	found := s.logged(func(l line) bool { return l.get("request_id") == id && strings.Contains(l.get("cause"), "refused") })
	if len(found) != 1 || found[0].get("organization") != "acme" || found[0].get("status") != "502" {
		t.Errorf("the log has %v for the reference %s", found, id)
	}
	if pg := p.fetch(s.at("acme", "/"), nil); pg.Status != http.StatusBadGateway || !strings.Contains(pg.Body, `"code":`) {
		t.Errorf("a script: %d %s", pg.Status, pg.Body)
	}
}
