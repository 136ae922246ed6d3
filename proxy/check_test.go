package proxy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestOnlyAPathOnTheHostIsATarget(t *testing.T) {
	for _, tc := range []struct {
		uri, host string
		want      string // raw path; empty: refused
		query     string
		bad       refusal
	}{
		{uri: "/", want: "/"},
		{uri: "/a/b?c=d", want: "/a/b", query: "?c=d"},
		{uri: "/a?", want: "/a", query: "?"},
		{uri: "/a?b?c", want: "/a", query: "?b?c"},
		{uri: "/a|b^c", want: "/a|b^c"},
		{uri: "/%41", want: "/%41"},
		{uri: "http://acme.example.com/x?y", want: "/x", query: "?y"},
		{uri: "HTTP://acme.example.com/x", want: "/x"},
		{uri: "http://acme.example.com", want: "/"},
		{uri: "http://acme.example.com?a", want: "/", query: "?a"},
		{uri: "http://globex.example.com/x", bad: badTarget},
		{uri: "http://user@acme.example.com/x", bad: badTarget},
		{uri: "ftp://acme.example.com/x", bad: badTarget},
		{uri: "http:foo/admin", bad: badTarget},
		{uri: "http:/foo", bad: badTarget},
		{uri: "http:http://internal/admin", bad: badTarget},
		{uri: "x:/private", bad: badTarget},
		{uri: "*", bad: badTarget},
		{uri: "", bad: badTarget},
		{uri: "acme.example.com:443", bad: badTarget},
		{uri: "//globex/private", bad: badPath},
		{uri: "/a/../b", bad: badPath},
		{uri: "/a/%2e%2e/b", bad: badPath},
		{uri: "/a/%252e%252e/b", bad: badPath},
		{uri: `/a\b`, bad: badPath},
		{uri: "/a\x00", bad: badPath},
		{uri: "/%zz", bad: badPath},
		{uri: "/?" + strings.Repeat("a", maxQuery), bad: longQuery},
	} {
		r := &http.Request{RequestURI: tc.uri, Host: "acme.example.com"}
		got, bad := readTarget(r)
		if bad != tc.bad || got.raw != tc.want || got.query != tc.query {
			t.Errorf("%q: %+v, %q; want %q, %q, %q", clip(tc.uri, 40), got, bad, tc.want, tc.query, tc.bad)
		}
	}
}

func TestAPathThatIsReadInTwoWaysIsAmbiguous(t *testing.T) {
	for _, uri := range []string{"/a%2fb", "/a%2Fb", "/a%5cb", "/a;b=c/d", "/a//b", "/a%252fb"} {
		got, bad := readTarget(&http.Request{RequestURI: uri})
		if bad != "" || !got.ambiguous || got.raw != uri || got.path != "" {
			t.Errorf("%q: %+v, %q", uri, got, bad)
		}
	}
}

func TestReadingsHoldWhatAServerMayRead(t *testing.T) {
	for raw, want := range map[string][]string{
		"/public/%2fadmin":    {"/public//admin", "/public/admin"},
		"/admin;x/users":      {"/admin/users"},
		"/a%252fadmin":        {"/a/admin"},
		`/a%5cadmin`:          {"/a/admin"},
		"/%2fadmin%3bx//y;z":  {"/admin/y"},
		"/a/b;c=d/%2forgate/": {"/a/b/orgate/"},
	} {
		got := readings(raw)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%q is read as %q, which lacks %q", raw, got, w)
			}
		}
	}
}

func TestOurPathsAreOursInEverySpelling(t *testing.T) {
	for path, want := range map[string]bool{
		"/.orgate": true, "/.orgate/": true, "/.orgate/x": true, "/.ORGATE/x": true, "//.orgate/x": true, "/.orgate;a=b/x": true,
		"/.orgate./x": true, "/.orgate /x": true,
		"/orgate": false, "/.orgateway": false, "/x/.orgate": false, "/": false,
	} {
		if reserved(path) != want {
			t.Errorf("reserved(%q) is %v", path, !want)
		}
	}
}

func TestTunnelsAndEchoesAreNoMethods(t *testing.T) {
	for _, m := range []string{"CONNECT", "TRACE", "TRACK", "PRI", "", "get", "GET ", "GÉT", "GET\r\nX", strings.Repeat("A", 33)} {
		if checkMethod(m) {
			t.Errorf("%q is let through", m)
		}
	}
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"} {
		if !checkMethod(m) {
			t.Errorf("%q is refused", m)
		}
	}
}

func TestOnlyAWebSocketHandshakeKeepsItsUpgrade(t *testing.T) {
	managed := newManagedNames(nil)
	for _, tc := range []struct {
		name  string
		h     http.Header
		keeps bool
	}{
		{"websocket", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Key": {"k"}}, true},
		{"among other tokens", http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"WebSocket"}, "Sec-Websocket-Key": {"k"}}, true},
		{"h2c", http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}, "Http2-Settings": {"x"}}, false},
		{"two protocols", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket, h2c"}, "Sec-Websocket-Key": {"k"}}, false},
		{"two lines", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket", "h2c"}, "Sec-Websocket-Key": {"k"}}, false},
		{"TLS", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"TLS/1.0"}}, false},
		{"no key", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}, false},
		{"not in Connection", http.Header{"Upgrade": {"websocket"}, "Sec-Websocket-Key": {"k"}}, false},
	} {
		r := &http.Request{Method: "GET", ProtoMajor: 1, Header: tc.h}
		if bad := checkConnection(r, managed); bad != "" {
			t.Errorf("%s: %s", tc.name, bad)
		}
		if (r.Header["Upgrade"] != nil) != tc.keeps || r.Header["Http2-Settings"] != nil {
			t.Errorf("%s: left with %v", tc.name, r.Header)
		}
	}
}

func TestAConnectionHeaderMayNotNameAManagedHeader(t *testing.T) {
	managed := newManagedNames([]string{"X-Own"})
	for _, v := range []string{"close, X-Org-Role", "x-orgate-jwt-assertion", "Upgrade, X_Org_Id", "X-Forwarded-For, Cookie", "x.user.id", "x-own"} {
		if bad := checkConnection(&http.Request{Header: http.Header{"Connection": {"keep-alive", v}}}, managed); bad != badConnection {
			t.Errorf("%q: %q", v, bad)
		}
	}
	if bad := checkConnection(&http.Request{Header: http.Header{"Connection": {"keep-alive, , close, TE"}}}, managed); bad != "" {
		t.Error(bad)
	}
}

// FuzzTarget checks that what is forwarded is a path that the judge would read alike,
// and that no target with an authority of its own gets through.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a?b", "http://acme.example.com/x", "http:foo/admin", "*", "//x", "/a;b", "/%2f", "/.orgate/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		got, bad := readTarget(&http.Request{RequestURI: uri, Host: "acme.example.com"})
		if bad != "" {
			return
		}
		if got.raw == "" || got.raw[0] != '/' || strings.HasPrefix(got.raw, "//") {
			t.Errorf("%q is forwarded as %q", uri, got.raw)
		}
		if !strings.HasSuffix(uri, got.raw+got.query) && uri != "http://acme.example.com"+got.query {
			if !strings.EqualFold(uri[:min(len(uri), 4)], "http") {
				t.Errorf("%q is forwarded as %q", uri, got.raw+got.query)
			}
		}
		if !got.ambiguous {
			line := (&url.URL{Opaque: got.raw, RawQuery: strings.TrimPrefix(got.query, "?"), ForceQuery: got.query != ""}).RequestURI()
			if line != got.raw+got.query {
				t.Errorf("the request line says %q, judged was %q", line, got.raw+got.query)
			}
			if !slices.Contains(readings(got.raw), got.path) {
				t.Errorf("%q was judged as %q, which is none of its readings", got.raw, got.path)
			}
		}
	})
}
