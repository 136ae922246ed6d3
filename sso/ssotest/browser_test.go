package ssotest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestTheJarKeepsAndSendsWhatABrowserWould(t *testing.T) {
	for _, tc := range []struct {
		name, from, set, to string
		crossSite, post     bool
		want                string
	}{
		{"host only", "https://a.test/", "x=1; Path=/", "https://a.test/p", false, false, "x=1"},
		{"host only, not below", "https://a.test/", "x=1; Path=/", "https://b.a.test/", false, false, ""},
		{"domain, below", "https://a.example.test/", "x=1; Path=/; Domain=example.test", "https://b.example.test/", false, false, "x=1"},
		{"domain of another", "https://a.example.test/", "x=1; Path=/; Domain=evil.test", "https://evil.test/", false, false, ""},
		{"a whole top-level domain", "http://a.localhost/", "x=1; Path=/; Domain=localhost", "http://b.localhost/", false, false, ""},
		{"another port is the same host", "http://localhost:1/", "x=1; Path=/", "http://localhost:2/", false, false, "x=1"},
		{"path", "https://a.test/p/q", "x=1; Path=/p", "https://a.test/p/z", false, false, "x=1"},
		{"path, another", "https://a.test/p/q", "x=1; Path=/p", "https://a.test/pq", false, false, ""},
		{"path by default", "https://a.test/p/q", "x=1", "https://a.test/p/z", false, false, "x=1"},
		{"path by default, above", "https://a.test/p/q", "x=1", "https://a.test/z", false, false, ""},
		{"Secure over http", "http://a.test/", "x=1; Path=/; Secure", "http://a.test/", false, false, ""},
		{"Secure on localhost over http", "http://acme.localhost:8080/", "x=1; Path=/; Secure", "http://acme.localhost:8080/", false, false, "x=1"},
		{"__Host- on localhost over http", "http://acme.localhost:8080/", "__Host-x=1; Path=/; Secure", "http://acme.localhost:8080/p", false, false, "__Host-x=1"},
		{"__Host- without Secure", "https://a.test/", "__Host-x=1; Path=/", "https://a.test/", false, false, ""},
		{"__Host- with Domain", "https://a.test/", "__Host-x=1; Path=/; Secure; Domain=a.test", "https://a.test/", false, false, ""},
		{"__Host- below a path", "https://a.test/p/", "__Host-x=1; Path=/p; Secure", "https://a.test/p/", false, false, ""},
		{"__Secure- without Secure", "https://a.test/", "__Secure-x=1; Path=/", "https://a.test/", false, false, ""},
		{"Lax, a link from elsewhere", "https://a.test/", "x=1; Path=/; SameSite=Lax", "https://a.test/", true, false, "x=1"},
		{"Lax, a form from elsewhere", "https://a.test/", "x=1; Path=/; SameSite=Lax", "https://a.test/", true, true, ""},
		{"by default Lax", "https://a.test/", "x=1; Path=/", "https://a.test/", true, true, ""},
		{"None, a form from elsewhere", "https://a.test/", "x=1; Path=/; SameSite=None; Secure", "https://a.test/", true, true, "x=1"},
		{"None without Secure", "https://a.test/", "x=1; Path=/; SameSite=None", "https://a.test/", false, false, ""},
		{"Strict, a link from elsewhere", "https://a.test/", "x=1; Path=/; SameSite=Strict", "https://a.test/", true, false, ""},
		{"cleared", "https://a.test/", "x=; Path=/; Max-Age=0", "https://a.test/", false, false, ""},
		{"expired", "https://a.test/", "x=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://a.test/", false, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var j Jar
			c, err := http.ParseSetCookie(tc.set)
			if err != nil {
				t.Fatal(err)
			}
			j.Set(mustURL(t, tc.from), []*http.Cookie{c})
			var got []string
			for _, c := range j.cookies(mustURL(t, tc.to), tc.crossSite, !tc.post) {
				got = append(got, c.String())
			}
			if strings.Join(got, "; ") != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestABrowserSaysWhereARequestComesFrom(t *testing.T) {
	var seen []string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /form", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<form method=post action=%q><input name=a value=1><button>Go</button></form>`, r.URL.Query().Get("to"))
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.Header.Get("Sec-Fetch-Site")+" "+r.Header.Get("Origin")))
		if next := r.URL.Query().Get("next"); next != "" {
			http.Redirect(w, r, next, http.StatusSeeOther)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	_, port, _ := strings.Cut(srv.Listener.Addr().String(), ":")
	acme, globex := "http://acme.localhost:"+port, "http://globex.localhost:"+port
	for _, tc := range []struct {
		to   string
		want []string
	}{
		{"/to", []string{"POST same-origin " + acme}},
		{globex + "/to", []string{"POST cross-site " + acme}},
		{"http://acme.localhost:" + port + "/to?next=" + url.QueryEscape(globex+"/to"), []string{"POST same-origin " + acme, "GET cross-site"}},
		{globex + "/to?next=" + url.QueryEscape(acme+"/to"), []string{"POST cross-site " + acme, "GET cross-site"}},
	} {
		seen = nil
		b := NewBrowser()
		page, err := b.Get(t.Context(), acme+"/form?to="+url.QueryEscape(tc.to))
		if err == nil {
			_, err = b.Press(t.Context(), page, "Go")
		}
		if err != nil || strings.Join(seen, ", ") != strings.Join(tc.want, ", ") {
			t.Errorf("%s: %v: %q, want %q", tc.to, err, seen, tc.want)
		}
	}
	seen = nil
	if _, err := NewBrowser().Get(t.Context(), acme+"/to?next="+url.QueryEscape(globex+"/to")); err != nil || strings.Join(seen, ", ") != "GET none, GET none" {
		t.Errorf("typed: %v: %q", err, seen)
	}
}

func TestAFormSubmitsWhatIsInIt(t *testing.T) {
	var got url.Values
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, `<title> A  form </title><script>not text</script><p>Hello <b>there</b>
			<form><input name=first></form>
			<form id=f method=POST action="/take?x=1">
			<input type=hidden name=h value="1&amp;2"><input name=t value=old><input name=off disabled value=x>
			<input type=checkbox name=c1 checked><input type=checkbox name=c2 value=v><input type=radio name=r value=1><input type=radio name=r value=2 checked>
			<select name=s><option value=a>A<option value=b selected>B</select><textarea name=area>text</textarea>
			<input type=submit name=go value=Go><button name=also value=2>Also <i>this</i></button><button type=button name=no>No</button></form>
			<button form=f name=outside value=3>Outside</button> <a href="/link">A link</a>`)
	})
	mux.HandleFunc("POST /take", func(_ http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); got = r.PostForm })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	b := NewBrowser()
	page, err := b.Get(t.Context(), srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	if page.Title != "A form" || !strings.HasPrefix(page.Text, "Hello there") || len(page.Links) != 1 || page.Links[0].Label != "A link" {
		t.Errorf("%q, %q, %v", page.Title, page.Text, page.Links)
	}
	base := "area=text&c1=on&h=1%262&r=2&s=b"
	for _, tc := range []struct {
		do   func() error
		want string
	}{
		{func() error { _, err := b.Submit(t.Context(), page, map[string]string{"t": "new"}); return err }, base + "&t=new&go=Go"},
		{func() error {
			_, err := b.Submit(t.Context(), page, map[string]string{"t": "new", "also": "2"})
			return err
		}, base + "&t=new&also=2"},
		{func() error { _, err := b.Press(t.Context(), page, "Also this"); return err }, base + "&t=old&also=2"},
		{func() error { _, err := b.Press(t.Context(), page, "Outside"); return err }, base + "&t=old&outside=3"},
	} {
		if err := tc.do(); err != nil {
			t.Fatal(err)
		}
		want, _ := url.ParseQuery(tc.want)
		if got.Encode() != want.Encode() {
			t.Errorf("got %s, want %s", got.Encode(), want.Encode())
		}
	}
	if _, err := b.Submit(t.Context(), page, map[string]string{"nothing": "x"}); err == nil {
		t.Error("a field that is not there was filled")
	}
	if _, err := b.Press(t.Context(), page, "Nothing"); err == nil {
		t.Error("a button that is not there was pressed")
	}
	if next, err := b.Press(t.Context(), page, "A link"); err != nil || next.URL.Path != "/link" {
		t.Errorf("link: %v", err)
	}
}
