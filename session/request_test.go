package session_test

import (
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/orgate/orgate/session"
)

func TestAReturnPathStaysOnItsHost(t *testing.T) {
	for _, s := range []string{"/", "/a", "/a/b?c=d&e=//f", "/a//b", "/a%2fb", "/%5cevil.test", "/?x=/../..", "/a...b", "/..a", "/:80", "/@evil.test", "/a;b", "/?\"<>"} {
		if got, ok := session.ParseReturnPath(s); !ok || got != s {
			t.Errorf("ParseReturnPath(%q) = %q, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", "a", "?a", "#a", "evil.test", "https://evil.test/", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "\\/evil.test", "/a\\b",
		" /a", "/ /evil.test", "/\t/evil.test", "/\n/evil.test", "\t//evil.test", "/a\r\nSet-Cookie: x=y", "/a\x00", "/a\x7f", "/\u00e4", "/\u2028", "/\u3002evil", "/a#b",
		"/.//evil.test", "/..//evil.test", "/a/..//evil.test", "/%2e//evil.test", "/.%2E//evil.test", "/a/..", "/a/.", "/a/%2e%2e", "/.", "/..?x",
		"/%zz", "/%", "javascript:alert(1)", "data:,x", "/" + strings.Repeat("a", 4096),
	} {
		if got, ok := session.ParseReturnPath(s); ok || got != "" {
			t.Errorf("ParseReturnPath(%q) = %q, %v", s[:min(len(s), 60)], got, ok)
		}
	}
}

// resolve is where a browser goes from https://host.example/, by the URL standard as
// far as it matters: white space around is dropped, tabs and line ends anywhere, and a
// backslash is a slash.
func resolve(t *testing.T, s string) *url.URL {
	t.Helper()
	s = strings.Trim(s, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(s)
	base := &url.URL{Scheme: "https", Host: "host.example", Path: "/"}
	u, err := base.Parse(s)
	if err != nil {
		t.Fatalf("a path that is no URL: %v", err)
	}
	return u
}

func FuzzParseReturnPath(f *testing.F) {
	for _, s := range []string{"/", "/a?b", "//evil.test", "/\\evil.test", "/\t/evil.test", " //x", "/.//evil.test", "/%2e%2e//x", "/a#//b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := session.ParseReturnPath(s)
		if !ok {
			return
		}
		if p != s {
			t.Fatalf("%q became %q", s, p)
		}
		for _, u := range []*url.URL{resolve(t, p), resolve(t, "https://host.example"+p)} {
			if u.Scheme != "https" || u.Host != "host.example" || u.User != nil {
				t.Errorf("%q leads to %s", p, u)
			}
			// Whoever takes the path out of the URL and uses it again stays there too.
			again := resolve(t, u.RequestURI())
			if again.Host != "host.example" || again.RequestURI() != u.RequestURI() {
				t.Errorf("%q leads to %s, and then to %s", p, u, again)
			}
		}
	})
}

func TestASignInRequestIsReadStrictly(t *testing.T) {
	hash := session.NewToken().Hash().String()
	whole := func(change func(q url.Values)) url.Values {
		q := url.Values{"host": {"acme.app.test:8443"}, "attempt": {hash}, "return_to": {"/x"}, "login_hint": {"jo@acme.com"}}
		change(q)
		return q
	}
	for name, q := range map[string]url.Values{
		"host twice":           whole(func(q url.Values) { q.Add("host", "globex.app.test") }),
		"host is an address":   whole(func(q url.Values) { q.Set("host", "127.0.0.1") }),
		"host is a URL":        whole(func(q url.Values) { q.Set("host", "https://acme.app.test") }),
		"host is empty":        whole(func(q url.Values) { q.Set("host", "") }),
		"no host":              whole(func(q url.Values) { q.Del("host") }),
		"no attempt":           whole(func(q url.Values) { q.Del("attempt") }),
		"attempt is short":     whole(func(q url.Values) { q.Set("attempt", hash[1:]) }),
		"attempt is zero":      whole(func(q url.Values) { q.Set("attempt", session.Hash{}.String()) }),
		"attempt twice":        whole(func(q url.Values) { q.Add("attempt", hash) }),
		"return_to twice":      whole(func(q url.Values) { q.Add("return_to", "/y") }),
		"hint is long":         whole(func(q url.Values) { q.Set("login_hint", strings.Repeat("a", 255)) }),
		"hint has a line end":  whole(func(q url.Values) { q.Set("login_hint", "a\nb") }),
		"unknown parameter":    whole(func(q url.Values) { q.Set("admin", "1") }),
		"a parameter of none":  {"login_hint": {}},
		"attempt without host": {"attempt": {hash}},
	} {
		if r, err := session.ParseSignInRequest(q); err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for in, want := range map[string]string{"//evil.test": "/", "": "/", "https://evil.test": "/", "/a?b=c": "/a?b=c"} {
		r, err := session.ParseSignInRequest(whole(func(q url.Values) { q.Set("return_to", in) }))
		if err != nil || r.ReturnTo != want || r.Host != "acme.app.test:8443" || r.LoginHint != "jo@acme.com" || r.Attempt.String() != hash {
			t.Errorf("return_to=%q: %+v, %v", in, r, err)
		}
	}
	if r, err := session.ParseSignInRequest(url.Values{}); err != nil || r != (session.SignInRequest{}) {
		t.Errorf("nothing: %+v, %v", r, err)
	}
}

func FuzzSignInRequest(f *testing.F) {
	f.Add("host=acme.app.test%3A8443&attempt=" + session.Hash{1}.String() + "&return_to=%2Fx&login_hint=jo%40acme.com")
	f.Add("login_hint=x")
	f.Add("host=ACME.app.test.&attempt=" + session.Hash{2}.String() + "&return_to=//evil.test")
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		r, err := session.ParseSignInRequest(q)
		if err != nil {
			return
		}
		again, err := session.ParseSignInRequest(r.Values())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q is %+v, whose values are %+v, %v", query, r, again, err)
		}
		if _, ok := session.ParseReturnPath(r.ReturnTo); (r.Host != "") != ok {
			t.Errorf("%q returns to %q on %q", query, r.ReturnTo, r.Host)
		}
	})
}
