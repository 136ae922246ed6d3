package proxy

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/orgate/orgate/policy"
)

// spellings of a header name that some server reads as that name.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	for _, c := range "_.~!#$%&'*+^`|" {
		all = append(all, strings.ReplaceAll(name, "-", string(c)), strings.Replace(name, "-", string(c), 1))
	}
	return append(all, name+"_", "_"+name)
}

func TestAManagedNameIsManagedInEverySpelling(t *testing.T) {
	m := newManagedNames([]string{"Acme-Who"})
	names := append(presetNames(), "Acme-Who", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded",
		"X-Real-Ip", "Client-Ip", "X-Url-Scheme", "X-Original-Url", "X-Rewrite-Url", "X-Request-Id", "X-Org-Anything", "X-User-Anything", "X-Auth-Anything", "X-Orgate-Anything")
	for _, name := range names {
		for _, s := range spellings(name) {
			if !m.has(s) {
				t.Errorf("%q, a spelling of %s, is not managed", s, name)
			}
		}
	}
	for _, name := range []string{"Accept", "Authorization", "Cookie", "X-Csrf-Token", "X-Requested-With", "X-Organic", "X-Users", "X-Authority", "Origin", "Host", "-", ""} {
		if m.has(name) {
			t.Errorf("%q is managed", name)
		}
	}
}

func TestManagedNamesAreFoundWithoutAllocating(t *testing.T) {
	m := newManagedNames(nil)
	if n := testing.AllocsPerRun(100, func() { m.has("X-Forwarded-For"); m.has("Accept-Language") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOurCredentialsDoNotReachAnApp(t *testing.T) {
	a := &app{managed: newManagedNames(nil)}
	h := http.Header{
		"Authorization": {"Bearer sk_abc", "Basic dTpw", "NTLM TlRM", "Negotiate YII", "bearer  sk_x", "Bearer eyJ"},
		"Cookie":        {"a=1; __Host-orgate_session=secret"},
	}
	a.scrub(h)
	if want := []string{"Basic dTpw", "Bearer eyJ"}; !slices.Equal(h["Authorization"], want) {
		t.Errorf("Authorization: %q, want %q", h["Authorization"], want)
	}
	if want := []string{"a=1"}; !slices.Equal(h["Cookie"], want) {
		t.Errorf("Cookie: %q, want %q", h["Cookie"], want)
	}
}

// An app that is told nothing under a name should be able to find out why.
func TestThePageOfHeadersNamesAllThatIsRemoved(t *testing.T) {
	b, err := os.ReadFile("../docs/headers.md")
	if err != nil {
		t.Fatal(err)
	}
	page := strings.ToLower(string(b))
	for _, name := range slices.Concat(fixedNames(), fixedPrefixes()) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/headers.md does not say that %s is removed", name)
		}
	}
}

func TestAMethodOverrideGoesWhereRulesAreAboutMethods(t *testing.T) {
	for _, rules := range []bool{true, false} {
		h := http.Header{"X-Http-Method-Override": {"DELETE"}, "X_http_method": {"DELETE"}}
		(&app{managed: newManagedNames(nil), methodRules: rules}).scrub(h)
		if (len(h) == 0) != rules {
			t.Errorf("rules about methods: %v, and left is %v", rules, h)
		}
	}
}

func TestAMethodOverrideGoesWhereAConditionIsAboutMethods(t *testing.T) {
	for when, about := range map[string]bool{
		`request.method != "DELETE" || member.role == "admin"`:       true,
		`["GET", "HEAD"].exists(m, m == request . method)`:           true,
		`member.role == "admin" || request.path != "request.method"`: false,
	} {
		rule, err := policy.RuleSpec{Path: "/**", When: when}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, func(o *Options) { o.Apps[0].Rules = policy.Rules{rule} })
		_, c := w.jo()
		got := w.do("GET", acmeHost, "/reports/1", "Cookie", c, "X-Http-Method-Override", "DELETE").echo(t)
		if _, said := got.Header["X-Http-Method-Override"]; said == about {
			t.Errorf("%s: judged as a GET, and the app is told: %q", when, got.Header["X-Http-Method-Override"])
		}
	}
}

func TestAMethodThatNoRuleCanNameIsNoWayAroundThoseThatAreNamed(t *testing.T) {
	var rs policy.Rules
	for _, spec := range []policy.RuleSpec{
		{Path: "/admin/**", Methods: []string{"OPTIONS"}, Access: "public"},
		{Path: "/admin/**", Methods: []string{"GET"}},
		{Path: "/admin/**", Methods: []string{"GET", "POST"}, Role: "admin"},
		{Path: "/reports/**", Methods: []string{"GET"}, Role: "admin"},
	} {
		rule, err := spec.Compile()
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, rule)
	}
	w := newWorld(t, func(o *Options) { o.Apps[0].Rules = rs; o.Apps[0].AmbiguousPaths = true })
	_, c := w.jo()
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"JEFF", "/reports/1", http.StatusForbidden}, {"JEFF", "/Reports/1", http.StatusForbidden}, {"JEFF", "/reports;x/1", http.StatusForbidden},
		{"JEFF", "/admin/x", http.StatusForbidden}, {"JEFF", "/other", http.StatusOK}, {"DELETE", "/reports/1", http.StatusOK}, {"GET", "/admin/x", http.StatusOK},
	} {
		if got := w.do(tt.method, acmeHost, tt.path, "Cookie", c).StatusCode; got != tt.status {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.status)
		}
	}
	if got := w.do("JEFF", acmeHost, "/admin/x").StatusCode; got != http.StatusUnauthorized {
		t.Errorf("of nobody: %d", got)
	}
}

func TestAnAppCantSetOurCookies(t *testing.T) {
	h := http.Header{
		"Set-Cookie":       {"a=1", "__Host-orgate_session=x; Path=/; Secure", "__host-ORGATE_session=x", "orgate_login=x", "=__Host-orgate_session=x", " = orgate_session=x", "b=orgate_session"},
		"Www-Authenticate": {"Negotiate", `Basic realm="x"`},
	}
	scrubAnswer(h)
	if want := []string{"a=1", "b=orgate_session"}; !slices.Equal(h["Set-Cookie"], want) {
		t.Errorf("%q, want %q", h["Set-Cookie"], want)
	}
	if want := []string{`Basic realm="x"`}; !slices.Equal(h["Www-Authenticate"], want) {
		t.Errorf("%q, want %q", h["Www-Authenticate"], want)
	}
}

func TestPresetsAndOwnNames(t *testing.T) {
	names := func(h Headers) []string {
		list, err := h.compile()
		if err != nil {
			t.Errorf("%+v: %v", h, err)
		}
		var n []string
		for _, p := range list {
			n = append(n, p.name)
		}
		return n
	}
	if got := names(Headers{}); !slices.Equal(got, names(Headers{Preset: "orgate"})) || len(got) != 14 {
		t.Errorf("no preset is %q", got)
	}
	if got := names(Headers{Names: map[string]string{"user_email": "x-who", "org_id": "Tenant"}}); !slices.Equal(got, []string{"Tenant", "X-Who"}) {
		t.Errorf("own names alone: %q", got)
	}
	got := names(Headers{Preset: "authelia", Names: map[string]string{"roles": "Remote-Roles"}})
	if !slices.Contains(got, "Remote-Roles") || slices.Contains(got, "Remote-Groups") || !slices.Contains(got, "Remote-User") {
		t.Errorf("own name in a preset: %q", got)
	}
	for _, bad := range []Headers{
		{Preset: "nginx"},
		{Names: map[string]string{"user": "X-U"}},
		{Names: map[string]string{"user_id": "X U"}},
		{Names: map[string]string{"user_id": "Host"}},
		{Names: map[string]string{"user_id": "x-forwarded-for"}},
		{Names: map[string]string{"user_id": "X-A", "user_email": "x_a"}},
		{Names: map[string]string{"user_id": ""}},
	} {
		if _, err := bad.compile(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

func TestWhatPeopleTypedEndsNoHeaderLine(t *testing.T) {
	if got := printable("Jo\r\nX-Org-Role: admin"); strings.ContainsAny(got, "\r\n") {
		t.Errorf("%q", got)
	}
	if got := percentEncode("Jörg Müller, 100%"); got != "J%C3%B6rg%20M%C3%BCller%2C%20100%25" {
		t.Errorf("%q", got)
	}
	if got := joined([]string{"a", "b,admin"}); got != "a,b%2Cadmin" {
		t.Errorf("%q", got)
	}
}

// FuzzFold checks that whatever a lenient server folds to a managed name is managed.
func FuzzFold(f *testing.F) {
	m := newManagedNames(nil)
	f.Add("X_Org_Role", byte('_'))
	f.Add("x-user-id", byte('.'))
	f.Fuzz(func(t *testing.T, name string, c byte) {
		if m.has(name) != m.has(strings.ToUpper(name)) && isASCII(name) {
			t.Errorf("%q is managed in one case only", name)
		}
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !word && m.has(name) && !m.has(strings.ReplaceAll(name, "-", string([]byte{c}))) {
			t.Errorf("%q is managed, and with %q for the dashes it is not", name, c)
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// FuzzScrub checks promise 1 on a header as a whole: whatever a client sends, nothing is
// left that reads as the name of one of ours. The reading is another one than the proxy's.
func FuzzScrub(f *testing.F) {
	a := &app{managed: newManagedNames(nil)}
	words := func(name string) string {
		return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }), " ")
	}
	ours := map[string]bool{}
	for _, n := range presetNames() {
		ours[words(n)] = true
	}
	f.Add("X-Org-Role: admin\nx_user.id: 1\nCookie: __Host-orgate_session=x")
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{}
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
			h[name] = append(h[name], value)
		}
		a.scrub(h)
		for name := range h {
			doubled := strings.Contains(fold(name), "--") // no server makes one dash of two
			if ours[words(name)] && !doubled && isASCII(name) {
				t.Errorf("%q is left", name)
			}
		}
	})
}
