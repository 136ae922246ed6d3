package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/policy"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// However a request says its host, what is told of it is what the configuration has.
func TestTheAuthorityIsTheConfiguredOneHoweverItIsSaid(t *testing.T) {
	for _, port := range []string{"", "8443"} {
		g := &gate{port: port}
		want := g.authority("acme.test")
		for _, said := range []string{"", "acme.test", "ACME.test", "acme.test.", "acme.test:8443", "ACME.test:8443", "acme.test.:8443", "acme.test:84430", "acme.test:844", "acme.testx8443", "globex.test:8443"} {
			if got := g.authorityOf("acme.test", said); got != want {
				t.Errorf("said as %q with port %q: %q, want %q", said, port, got, want)
			}
		}
	}
}

func TestEveryFaultOfSettingsIsReported(t *testing.T) {
	s := Settings{
		PublicURL: mustURL(t, "https://login.example.com/x"),
		Apps: []App{
			{Name: "", Host: "example.com", Upstream: mustURL(t, "http://a/path"), Headers: Headers{Preset: "nginx"}},
			{Name: "b", Host: "x{org}.example.com", Upstream: mustURL(t, "ftp://b"), Protocol: "spdy"},
			{Name: "c", Host: "{org}", Upstream: nil, MaxBody: -1},
			{Name: "d", Host: "{org}.{org}.example.com", Upstream: mustURL(t, "https://u:p@d")},
			{Name: "e", Host: "{org}.Example.com", Upstream: mustURL(t, "https://e"), Protocol: H2C},
		},
	}
	err := s.Check()
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		"public_url: want no path", "limits above 0", "want a name", `host "example.com"`, "upstream http://a/path: want no path", `preset "nginx"`,
		`host "x{org}.example.com"`, `protocol "spdy"`, `host "{org}"`, "negative limit", `host "{org}.{org}.example.com"`, "want it in lower case", "h2c is for http upstreams",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "u:p") {
		t.Error("a password is in the error")
	}
}

func TestAReloadIsInForceAtTheNextRequestAndABadOneChangesNothing(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo("member")
	get := func() int { return w.do("GET", acmeHost, "/x", "Cookie", c).StatusCode }
	if got := get(); got != 200 {
		t.Fatal(got)
	}
	kept := w.proxy.state.Load().apps[0].transport
	s := w.options.Settings
	s.Apps = []App{s.Apps[0]}
	rule, err := policy.RuleSpec{Path: "/**", Role: "admin"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s.Apps[0].Rules = policy.Rules{rule}
	s.Apps[0].Headers = Headers{Names: map[string]string{"org_slug": "X-Tenant"}}
	if err := w.proxy.Reload(s); err != nil {
		t.Fatal(err)
	}
	if got := get(); got != 403 {
		t.Errorf("by the new rule: %d", got)
	}
	if w.proxy.state.Load().apps[0].transport != kept {
		t.Error("connections to an app that did not change were given up")
	}
	bad := s
	bad.Apps = nil
	if err := w.proxy.Reload(bad); err == nil {
		t.Error("settings without an app are taken")
	}
	if got := get(); got != 403 {
		t.Errorf("after a bad reload: %d", got)
	}
	admin := w.person("ann@acme.com", w.acme.ID, "admin").at(acmeHost, w.acme.ID)
	e := w.do("GET", acmeHost, "/x", "Cookie", admin, "X-Tenant", "evil", "X-User-Id", "evil").echo(t)
	if e.Header.Get("X-Tenant") != "acme" || len(e.Header["X-Tenant"]) != 1 || e.Header["X-User-Id"] != nil {
		t.Errorf("%v", e.Header)
	}
}

func TestAnAppMadeForAnotherProxyFindsItsHeaders(t *testing.T) {
	for preset, want := range map[string]map[string]string{
		"oauth2-proxy": {"X-Forwarded-Email": "jo@acme.com", "X-Forwarded-Groups": "admin,member", "X-Auth-Request-User": "user_jo@acme.com"},
		"authelia":     {"Remote-User": "jo@acme.com", "Remote-Groups": "admin,member", "Remote-Name": "Jörg Müller"},
		"pomerium":     {"X-Pomerium-Claim-Email": "jo@acme.com", "X-Pomerium-Jwt-Assertion": "ey"},
		"iap":          {"X-Goog-Authenticated-User-Email": "accounts.google.com:jo@acme.com", "X-Goog-Iap-Jwt-Assertion": "ey"},
	} {
		w := newWorld(t, func(o *Options) { o.Apps[0].Headers = Headers{Preset: preset} })
		_, c := w.jo("admin", "member")
		e := w.do("GET", acmeHost, "/", "Cookie", c).echo(t)
		for name, value := range want {
			if got := e.Header[name]; len(got) != 1 || got[0] != value && (value != "ey" || !strings.HasPrefix(got[0], "ey")) {
				t.Errorf("%s: %s is %q, want %q", preset, name, got, value)
			}
		}
		if e.Header["X-Org-Id"] != nil {
			t.Errorf("%s: ours are there too", preset)
		}
	}
}

type observations struct {
	mu  sync.Mutex
	all []Observation
}

func (o *observations) Observe(x Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, x)
}

func TestEveryRequestIsCountedUnderFewNames(t *testing.T) {
	seen := &observations{}
	w := newWorld(t, func(o *Options) { o.Observer = seen })
	_, c := w.jo("member")
	w.do("GET", acmeHost, "/", "Cookie", c)
	w.do("GET", acmeHost, "/admin/x", "Cookie", c)
	w.do("GET", acmeHost, "/x")
	w.do("GET", acmeHost, "/.orgate/me", "Cookie", c)
	w.do("GET", loginHost, "/")
	w.do("GET", "nobody.example.com", "/")
	w.do("GET", acmeHost, "/a/../b")
	want := []Observation{
		{Route: "app", Verdict: "allow", Reason: "granted", Status: 200, Fast: !*slowPath},
		{Route: "app", Verdict: "deny", Reason: "role_missing", Status: 403},
		{Route: "app", Verdict: "prove", Reason: "not_signed_in", Status: 401},
		{Route: "orgate", Verdict: "allow", Reason: "granted", Status: 200},
		{Route: "login", Status: 200},
		{Route: "none", Reason: "unknown_host", Status: 404},
		{Route: "none", Reason: "bad_request_path", Status: 400},
	}
	w.eventually("all are counted", func() bool { seen.mu.Lock(); defer seen.mu.Unlock(); return len(seen.all) == len(want) })
	for i, got := range seen.all {
		if got.Took < 0 {
			t.Errorf("took %v", got.Took)
		}
		got.Took = 0
		if got != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got, want[i])
		}
	}
}

func TestAProxyNeedsAllItsParts(t *testing.T) {
	if _, err := New(t.Context(), Options{}); err == nil {
		t.Error("made of nothing")
	}
	if _, err := New(t.Context(), Options{Logger: slog.New(slog.DiscardHandler), Renderer: page.Errors{}, LoginHost: http.NotFoundHandler()}); err == nil {
		t.Error("made without a store")
	}
}

// A request that began before a reload, and took off after it, is under the new rules too.
func TestNoStreamStaysOpenUnderOldRules(t *testing.T) {
	w := newWorld(t)
	_, c := w.jo("member")
	app := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.WriteHeader(http.StatusOK)
		rw.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	w.app.Store(&app)
	old := w.proxy.state.Load()
	rule, err := policy.RuleSpec{Path: "/x", Role: "admin"}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	s := w.options.Settings
	s.Apps = slices.Clone(s.Apps)
	s.Apps[0].Rules = policy.Rules{rule}
	if err := w.proxy.Reload(s); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", "/x", http.NoBody)
	r.Header.Set("Cookie", c)
	rec := httptest.NewRecorder()
	x := &exchange{w: rec, rc: http.NewResponseController(rec), p: w.proxy, st: old, id: "id", began: w.now(), method: "GET", target: target{path: "/x", raw: "/x"}}
	x.place, _ = old.place(acmeHost)
	func() {
		defer func() { recover() }() // how an answer is cut off
		x.watch = watch{Context: ctx, x: x}
		x.serveApp(r.WithContext(&x.watch))
	}()
	if ctx.Err() != nil || !x.flight.ended.Load() {
		t.Error("the stream stays open")
	}
}
