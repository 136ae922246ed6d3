package policy

import (
	"bufio"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCanonicalPath(t *testing.T) {
	good := map[string]string{
		"/":                    "/",
		"/admin":               "/admin",
		"/admin/":              "/admin/",
		"/a/b?x=/../%2e&y=a;b": "/a/b",
		"/a%20b":               "/a b",
		"/caf%C3%A9":           "/café",
		"/café":                "/café",
		"/%61dmin":             "/admin",
		"/a.b/..c/...":         "/a.b/..c/...",
		"/%2ewell-known":       "/.well-known",
		"/100%25":              "/100%",
		"/100%2520":            "/100%20",
		"/a:b@c,d=e+f!$&'()*":  "/a:b@c,d=e+f!$&'()*",
	}
	for target, want := range good {
		if got, err := CanonicalPath(target); got != want || err != nil {
			t.Errorf("CanonicalPath(%q) = %q, %v, want %q", target, got, err, want)
		}
	}
	bad := map[string]PathFault{
		"":                                 PathNotAbsolute,
		"*":                                PathNotAbsolute,
		"admin":                            PathNotAbsolute,
		"http:foo/admin":                   PathNotAbsolute,
		"http://globex.app.test/":          PathNotAbsolute,
		"//globex/private":                 PathNotAbsolute,
		"?x":                               PathNotAbsolute,
		"/" + strings.Repeat("a", maxPath): PathTooLong,
		"/a\x00":                           PathControl,
		"/a%00":                            PathControl,
		"/a%0d%0aX:y":                      PathControl,
		"/a%7f":                            PathControl,
		"/a%2500":                          PathControl,
		"/a b":                             PathControl,
		"/a?b\nc":                          PathControl,
		`/a\..\b`:                          PathBackslash,
		"/a#b":                             PathFragment,
		"/a?b#c":                           PathFragment,
		"/a%":                              PathEscape,
		"/a%2":                             PathEscape,
		"/a%zz":                            PathEscape,
		"/a%u002e":                         PathEscape,
		"/a%252525252525252541":            PathEscape,
		"/a%c0%af":                         PathNotUTF8,
		"/a%ff":                            PathNotUTF8,
		"/.":                               PathDots,
		"/a/../b":                          PathDots,
		"/a/./b":                           PathDots,
		"/a/..":                            PathDots,
		"/public/%2e%2e/private":           PathDots,
		"/public/.%2E/private":             PathDots,
		"/public/..%2fprivate":             PathDots,
		"/public/%5c..%5cprivate":          PathDots,
		"/public/..;/private":              PathDots,
		"/public/..;x=y/private":           PathDots,
		"/public/%252e%252e/private":       PathDots,
		"/a%252Eb":                         PathDots,
		"/a%25252eb":                       PathDots,
		"/a%25%32%65b":                     PathDots,
		"/a/..%252fb":                      PathDots,
		"/a%2fb":                           PathEncodedSlash,
		"/a%2Fb":                           PathEncodedSlash,
		"/a%252fb":                         PathEncodedSlash,
		"/a%25%32%46b":                     PathEncodedSlash,
		"/%2fglobex":                       PathEncodedSlash,
		"/a%5cb":                           PathEncodedBackslash,
		"/a%255Cb":                         PathEncodedBackslash,
		"/a;b":                             PathParameter,
		"/a%3bb":                           PathParameter,
		"/a%253bb":                         PathParameter,
		"/a//b":                            PathEmptySegment,
		"/a//":                             PathEmptySegment,
	}
	for target, want := range bad {
		got, err := CanonicalPath(target)
		e, ok := errors.AsType[*PathError](err)
		if !ok || e.Fault != want || got != "" {
			t.Errorf("CanonicalPath(%q) = %q, %v, want %v", target, got, err, want)
			continue
		}
		if ambiguous := want >= PathEncodedSlash; e.Ambiguous() != ambiguous {
			t.Errorf("CanonicalPath(%q): ambiguous %v, want %v", target, e.Ambiguous(), ambiguous)
		}
		if len(target) > 3 && strings.Contains(err.Error(), target) {
			t.Errorf("the error holds the path: %v", err)
		}
	}
}

func TestEveryPathFaultHasAName(t *testing.T) {
	seen := map[string]bool{PathFault(0).String(): true}
	for f := PathNotAbsolute; f <= PathEmptySegment; f++ {
		if seen[f.String()] {
			t.Errorf("fault %d has the name %q, which is another's", f, f)
		}
		seen[f.String()] = true
	}
}

// FuzzCanonicalPath holds an accepted path against what net/url, net/http and path make of
// the same target: whoever reads it otherwise could be shown another path than we judged.
func FuzzCanonicalPath(f *testing.F) {
	for _, s := range []string{"/", "/admin/?q", "/a%20b", "/%2e%2e/x", "/a%252e", "/a%2fb", "/café", "/..;/x", "//x", "/a%25%32%65b", "/%", "/\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if raw, query, _ := strings.Cut(target, "?"); faultAsSent(raw, query) == 0 && isSimple(raw) && (decode(raw) != raw || faultDecoded(raw, raw) != 0) {
			t.Fatalf("%q is not simple", raw)
		}
		got, err := CanonicalPath(target)
		if err != nil {
			if e, ok := errors.AsType[*PathError](err); !ok || e.Fault == 0 || got != "" {
				t.Fatalf("%q: %q, %v", target, got, err)
			}
			return
		}
		raw, _, _ := strings.Cut(target, "?")
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatalf("%q: accepted, but not by net/url: %v", target, err)
		}
		if u.Path != got || u.Host != "" || u.Opaque != "" {
			t.Fatalf("%q: read as %q, by net/url as %q", target, got, u.Path)
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil || r.URL.Path != got {
			t.Fatalf("%q: read as %q, by net/http as %v, %v", target, got, r, err)
		}
		if clean := path.Clean(got); clean != got && clean+"/" != got {
			t.Fatalf("%q: %q is not clean: %q", target, got, clean)
		}
		if strings.ContainsAny(got, "\\;\x00\r\n") || !utf8.ValidString(got) {
			t.Fatalf("%q: %q", target, got)
		}
		if strings.Count(raw, "/") != strings.Count(got, "/") {
			t.Fatalf("%q: the segments of %q are others", target, got)
		}
		// What is encoded anew is the same path, and accepted.
		again, err := CanonicalPath((&url.URL{Path: got}).EscapedPath())
		if err != nil || again != got {
			t.Fatalf("%q: %q, encoded anew: %q, %v", target, got, again, err)
		}
		// Whoever decodes once more finds no further way up or down.
		if twice, err := url.PathUnescape(got); err == nil {
			for _, c := range []string{"/", "\\", "."} {
				if strings.Count(twice, c) != strings.Count(got, c) {
					t.Fatalf("%q: %q decodes to %q", target, got, twice)
				}
			}
		}
	})
}
