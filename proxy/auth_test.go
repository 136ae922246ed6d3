package proxy

import (
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/store"
)

func TestOnlyATrustedProxyMayAsk(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo()
	res := w.do("GET", acmeHost, "/.orgate/auth", "Cookie", c, "X-Forwarded-Host", acmeHost, "X-Forwarded-Uri", "/", "X-Forwarded-Method", "GET")
	if res.StatusCode != 403 || res.Header["X-User-Id"] != nil {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	w.eventually("the log says what to do", func() bool { return strings.Contains(w.log.String(), "127.0.0.1 is not in trusted_proxies") })
	if res := w.do("GET", "nobody.example.com", "/.orgate/auth", "X-Forwarded-Host", acmeHost, "X-Forwarded-Uri", "/"); res.StatusCode != 404 {
		t.Errorf("%d", res.StatusCode)
	}
}

// A balancer that ends TLS passes on what it gets, what a script on a tenant's page sends
// included: it could read there what the app alone is told.
func TestBehindATrustedBalancerNobodyReadsWhatTheAppIsTold(t *testing.T) {
	w := newWorld(t, trusting("127.0.0.0/8"))
	_, c := w.jo()
	script := []string{"Cookie", c, "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "X-Forwarded-For", "8.8.8.8"}
	for name, ask := range map[string]func() response{
		"by a header": func() response {
			return w.do("GET", acmeHost, "/.orgate/auth", append(script, "X-Forwarded-Uri", "/", "X-Forwarded-Method", "GET")...)
		},
		"by another header": func() response {
			return w.do("GET", acmeHost, "/.orgate/auth", append(script, "X-Original-Uri", "/")...)
		},
		"by the path": func() response { return w.do("GET", acmeHost, "/.orgate/auth/", script...) },
	} {
		res := ask()
		if res.StatusCode != 403 || res.Header["X-User-Id"] != nil || res.Header["X-Orgate-Jwt-Assertion"] != nil || strings.Contains(res.body, "jo@acme.com") {
			t.Errorf("%s: %d %v %s", name, res.StatusCode, res.Header, res.body)
		}
	}
	w.eventually("the log says what to do", func() bool { return strings.Contains(w.log.String(), "forward_auth is off") })
	if res := w.do("GET", "nobody.example.com", "/.orgate/auth", "X-Forwarded-Host", acmeHost, "X-Forwarded-Uri", "/"); res.StatusCode != 404 {
		t.Errorf("a host that is not there: %d", res.StatusCode)
	}
	// A reload is enough.
	s := w.options.Settings
	s.ForwardAuth = true
	if err := w.proxy.Reload(s); err != nil {
		t.Fatal(err)
	}
	if res := w.do("GET", acmeHost, "/.orgate/auth", "Cookie", c, "X-Forwarded-Uri", "/"); res.StatusCode != 200 || res.Header.Get("X-User-Id") == "" {
		t.Errorf("with forward_auth: %d", res.StatusCode)
	}
}

func TestForwardAuthJudgesTheOriginalRequest(t *testing.T) {
	w := newWorld(t, trusting("127.0.0.0/8"), asking)
	p, member := w.jo("member")
	admin := w.person("ann@acme.com", w.acme.ID, "admin").at(acmeHost, w.acme.ID)
	for _, tc := range []struct {
		name, cookie string
		host         string
		headers      []string
		status       int
	}{
		{"a member", member, acmeHost, []string{"X-Forwarded-Uri", "/x?y=z"}, 200},
		{"by X-Original-URL", member, "127.0.0.1", []string{"X-Original-Url", "https://acme.example.com/x?y=z", "X-Original-Method", "GET"}, 200},
		{"by X-Original-URI", member, acmeHost, []string{"X-Original-Uri", "/x"}, 200},
		{"by the host that is forwarded", member, "orgate.internal", []string{"X-Forwarded-Uri", "/x", "X-Forwarded-Host", acmeHost}, 200},
		{"nobody", "", acmeHost, []string{"X-Forwarded-Uri", "/x"}, 401},
		{"nobody on a public path", "", acmeHost, []string{"X-Forwarded-Uri", "/public/x"}, 200},
		{"a role that is missing", member, acmeHost, []string{"X-Forwarded-Uri", "/admin/x"}, 403},
		{"a role that is there", admin, acmeHost, []string{"X-Forwarded-Uri", "/admin/x"}, 200},
		{"a method that is missing a permission", member, acmeHost, []string{"X-Forwarded-Uri", "/reports/1", "X-Forwarded-Method", "DELETE"}, 403},
		{"the same, with what has the app take it for a DELETE", member, acmeHost, []string{"X-Forwarded-Uri", "/reports/1", "X-Forwarded-Method", "GET", "X_http_method_override", "DELETE"}, 403},
		{"the same with another method", member, acmeHost, []string{"X-Forwarded-Uri", "/reports/1", "X-Forwarded-Method", "GET"}, 200},
		{"another tenant's host", member, globexHost, []string{"X-Forwarded-Uri", "/x"}, 401},
		{"an unknown host", member, "nobody.example.com", []string{"X-Forwarded-Uri", "/x"}, 403},
		{"the login host", member, loginHost, []string{"X-Forwarded-Uri", "/x"}, 403},
		{"dot segments", admin, acmeHost, []string{"X-Forwarded-Uri", "/public/../admin"}, 403},
		{"an encoded slash", admin, acmeHost, []string{"X-Forwarded-Uri", "/public%2fx"}, 403},
		{"a path of ours", admin, acmeHost, []string{"X-Forwarded-Uri", "/.orgate/me"}, 403},
		{"an absolute address", admin, acmeHost, []string{"X-Forwarded-Uri", "http://globex.example.com/"}, 403},
		{"no original request", admin, acmeHost, nil, 403},
		{"two of them", admin, acmeHost, []string{"X-Forwarded-Uri", "/x", "X-Forwarded-Uri", "/public/x"}, 403},
		{"two hosts", admin, acmeHost, []string{"X-Forwarded-Uri", "/x", "X-Forwarded-Host", acmeHost + ", " + globexHost}, 403},
		{"two ways of saying one thing", admin, acmeHost, []string{"X-Original-Url", "https://acme.example.com/x", "X-Forwarded-Uri", "/x", "X-Forwarded-Host", acmeHost}, 200},
		{"no address", admin, acmeHost, []string{"X-Original-Url", "acme.example.com/x"}, 403},
		{"a user in the address", admin, "127.0.0.1", []string{"X-Original-Url", "https://globex.example.com@acme.example.com/x"}, 403},
		{"a WebSocket", admin, acmeHost, []string{"X-Forwarded-Uri", "/x", "Sec-Websocket-Key", "x", "Origin", "https://acme.example.com"}, 200},
		{"a WebSocket from a page of another site", admin, acmeHost, []string{"X-Forwarded-Uri", "/x", "Sec-Websocket-Key", "x", "Origin", "https://globex.example.com"}, 403},
		{"TRACE", admin, acmeHost, []string{"X-Forwarded-Uri", "/x", "X-Forwarded-Method", "TRACE"}, 403},
	} {
		res := w.do("GET", tc.host, "/.orgate/auth", append(tc.headers, "Cookie", tc.cookie)...)
		if res.StatusCode != tc.status {
			t.Errorf("%s: %d, want %d: %s", tc.name, res.StatusCode, tc.status, res.body)
		}
		if id := res.Header.Get("X-User-Id"); (id != "") != (res.StatusCode == 200 && tc.cookie != "") {
			t.Errorf("%s: X-User-Id is %q", tc.name, id)
		}
		if res.Header["Set-Cookie"] != nil && res.StatusCode == 200 {
			t.Errorf("%s: %v", tc.name, res.Header)
		}
	}
	// The question may come with any method, as that of Envoy is the original one.
	res := w.do("DELETE", acmeHost, "/.orgate/auth/reports/1?x", "Cookie", member)
	if res.StatusCode != 403 {
		t.Errorf("Envoy's way: %d", res.StatusCode)
	}
	if res = w.do("GET", acmeHost, "/.orgate/auth/reports/1?x", "Cookie", member); res.StatusCode != 200 || res.Header.Get("X-User-Id") != string(p.user.ID) || res.Header.Get("X-Orgate-Jwt-Assertion") == "" {
		t.Errorf("Envoy's way: %d", res.StatusCode)
	}
	// What is nobody's is said to be empty, so that a client's own copy is overwritten.
	if res = w.do("GET", acmeHost, "/.orgate/auth", "X-Forwarded-Uri", "/healthz"); res.Header["X-User-Id"] == nil || res.Header.Get("X-User-Id") != "" {
		t.Errorf("%v", res.Header)
	}
}

// A proxy sets the headers that it knows, and hands the others on as the client sent them.
func TestAClientHasNoSayInWhatAProxyAsksAbout(t *testing.T) {
	w := newWorld(t, trusting("127.0.0.0/8"), asking)
	p, member := w.jo("member")
	w.update(func(tx store.Tx) error { return join(tx, w, w.globex.ID, p.user.ID) })
	theirs := p.at(globexHost, w.globex.ID)
	traefik := func(host, method, uri string) []string {
		return []string{"X-Forwarded-Host", host, "X-Forwarded-Method", method, "X-Forwarded-Uri", uri}
	}
	for _, tc := range []struct {
		name, method, host, path, cookie string
		proxy, client                    []string
	}{
		{"Traefik, another address", "GET", "orgate.internal", "/.orgate/auth", "", traefik(acmeHost, "GET", "/admin/x"), []string{"X-Original-Url", "https://acme.example.com/healthz"}},
		{"Traefik, another path", "GET", "orgate.internal", "/.orgate/auth", member, traefik(acmeHost, "GET", "/admin/x"), []string{"X-Original-Uri", "/x"}},
		{"Traefik, another method", "GET", "orgate.internal", "/.orgate/auth", member, traefik(acmeHost, "DELETE", "/reports/1"), []string{"X-Original-Method", "GET"}},
		{"ingress-nginx, another method", "GET", acmeHost, "/.orgate/auth", member,
			[]string{"X-Original-Url", "https://acme.example.com/reports/1", "X-Original-Method", "DELETE"}, []string{"X-Forwarded-Method", "GET"}},
		{"ingress-nginx, another host", "GET", "orgate.internal", "/.orgate/auth", theirs,
			[]string{"X-Original-Url", "https://acme.example.com/x"}, []string{"X-Forwarded-Host", globexHost}},
		{"nginx, another host", "GET", acmeHost, "/.orgate/auth", theirs, []string{"X-Original-Uri", "/x"}, []string{"X-Forwarded-Host", globexHost}},
		{"Envoy, another path", "GET", acmeHost, "/.orgate/auth/admin/x", member, nil, []string{"X-Forwarded-Uri", "/x"}},
		{"Envoy, another method", "DELETE", acmeHost, "/.orgate/auth/reports/1", member, nil, []string{"X-Forwarded-Method", "GET"}},
		{"Envoy, an empty path", "GET", acmeHost, "/.orgate/auth/", "", nil, []string{"X-Original-Url", "https://acme.example.com/healthz"}},
	} {
		res := w.do(tc.method, tc.host, tc.path, slices.Concat(tc.proxy, tc.client, []string{"Cookie", tc.cookie})...)
		if res.StatusCode == 200 || res.Header["X-User-Id"] != nil {
			t.Errorf("%s: %d %v", tc.name, res.StatusCode, res.Header)
		}
	}
	// What the original query says is no word of the proxy's either.
	if res := w.do("GET", acmeHost, "/.orgate/auth/x?mode=dark", "Cookie", member); res.StatusCode != 200 {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
}

func TestForwardAuthSaysWhereToSignIn(t *testing.T) {
	w := newWorld(t, trusting("127.0.0.0/8"), asking)
	const where = "https://acme.example.com/.orgate/sign-in?return_to=%2Fx%3Fy%3Dz"
	for _, tc := range []struct {
		path, method string
		headers      []string
		status       int
		location     string
	}{
		{"/.orgate/auth", "GET", browser(), 401, where},
		{"/.orgate/auth?mode=redirect", "GET", browser(), 302, where},
		{"/.orgate/auth?mode=redirect", "GET", []string{"Accept", "application/json"}, 401, where},
		{"/.orgate/auth?mode=redirect", "POST", browser(), 401, "https://acme.example.com/.orgate/sign-in?return_to=%2F"},
		{"/.orgate/auth?mode=status", "GET", browser(), 401, where},
	} {
		res := w.do("GET", acmeHost, tc.path, append(tc.headers, "X-Forwarded-Uri", "/x?y=z", "X-Forwarded-Method", tc.method)...)
		if res.StatusCode != tc.status || res.Header.Get("Location") != tc.location || res.Header["Set-Cookie"] != nil {
			t.Errorf("%s %v: %d %v", tc.path, tc.headers, res.StatusCode, res.Header)
		}
	}
}

func TestOnlyTrustedProxiesSayWhereARequestCameFrom(t *testing.T) {
	w := newWorld(t)
	if e := w.do("GET", acmeHost, "/healthz", "X-Forwarded-For", "6.6.6.6").echo(t); e.Header.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Errorf("%q", e.Header["X-Forwarded-For"])
	}
	w = newWorld(t, trusting("127.0.0.0/8"), func(o *Options) { o.TrustedProxies = append(o.TrustedProxies, trustedNet("10.0.0.0/8")) })
	for said, want := range map[string]string{
		"":                               "127.0.0.1",
		"8.8.8.8":                        "8.8.8.8, 127.0.0.1",
		"6.6.6.6, 8.8.8.8":               "8.8.8.8, 127.0.0.1", // what is left of the first stranger is a stranger's word
		"6.6.6.6, 8.8.8.8, 10.1.2.3":     "8.8.8.8, 10.1.2.3, 127.0.0.1",
		"10.1.2.3":                       "10.1.2.3, 127.0.0.1",
		"evil, 8.8.8.8":                  "8.8.8.8, 127.0.0.1",
		"8.8.8.8, evil":                  "127.0.0.1",
		"::ffff:10.1.2.3":                "10.1.2.3, 127.0.0.1",
		"2001:db8::1, 10.1.2.3":          "2001:db8::1, 10.1.2.3, 127.0.0.1",
		"8.8.8.8\x00, <script>, 9.9.9.9": "",
	} {
		if strings.Contains(said, "\x00") {
			continue // no client of Go's sends it
		}
		e := w.do("GET", acmeHost, "/healthz", "X-Forwarded-For", said, "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "evil.com").echo(t)
		if got := e.Header.Get("X-Forwarded-For"); got != want {
			t.Errorf("%q becomes %q, want %q", said, got, want)
		}
		if e.Header.Get("X-Forwarded-Proto") != "https" || e.Header.Get("X-Forwarded-Host") != acmeHost {
			t.Errorf("%v", e.Header)
		}
	}
}
