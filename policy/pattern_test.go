package policy

import (
	"regexp"
	"strings"
	"testing"
)

func TestPatternsMatch(t *testing.T) {
	tests := []struct {
		pattern  string
		yes, not []string
	}{
		{"/", []string{"/"}, []string{"/a", "", "a"}},
		{"/**", []string{"/", "/a", "/a/", "/a/b/c"}, []string{"", "a"}},
		{"/admin", []string{"/admin", "/admin/"}, []string{"/", "/Admin", "/admin/x", "/administrator", "/x/admin"}},
		{"/admin/", []string{"/admin", "/admin/"}, []string{"/admin/x"}},
		{"/admin/**", []string{"/admin", "/admin/", "/admin/x", "/admin/x/y"}, []string{"/", "/administrator", "/adminx/y", "/ADMIN/x"}},
		{"/orgs/*/logo", []string{"/orgs/7/logo", "/orgs/7/logo/"}, []string{"/orgs/logo", "/orgs//logo", "/orgs/7/8/logo", "/orgs/7"}},
		{"/*", []string{"/a", "/a/", "/..."}, []string{"/", "/a/b"}},
		{"/a/*", []string{"/a/b"}, []string{"/a", "/a/", "/a/b/c"}},
		{"/*/**", []string{"/a", "/a/b"}, []string{"/"}},
		{"/*.js", []string{"/a.js", "/.js", "/a.b.js"}, []string{"/a.jsx", "/a/b.js", "/js"}},
		{"/a*b*c", []string{"/abc", "/aXbYc", "/abbc", "/abcbc"}, []string{"/ac", "/acb", "/abcd", "/Xabc"}},
		{"/ab*ba", []string{"/abba", "/abXba"}, []string{"/aba"}},
		{"/[a]{b}(c)+.$^|", []string{"/[a]{b}(c)+.$^|"}, []string{"/a"}},
		{"/v1.0/**", []string{"/v1.0/x"}, []string{"/v1x0/x"}},
		{"/naïve file", []string{"/naïve file"}, []string{"/naive file"}},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Error(err)
			continue
		}
		if p.String() != tt.pattern {
			t.Errorf("%q is written %q", tt.pattern, p)
		}
		for _, s := range tt.yes {
			if !p.Match(s) {
				t.Errorf("%q does not match %q", tt.pattern, s)
			}
		}
		for _, s := range tt.not {
			if p.Match(s) {
				t.Errorf("%q matches %q", tt.pattern, s)
			}
		}
	}
}

func TestTheZeroPatternMatchesNothing(t *testing.T) {
	for _, s := range []string{"", "/", "/a"} {
		if (Pattern{}).Match(s) {
			t.Errorf("matches %q", s)
		}
	}
}

func TestPatternsThatCanMatchNoCanonicalPathAreRefused(t *testing.T) {
	bad := map[string]string{
		"":                             "empty",
		"admin":                        "/ at the beginning",
		"**":                           "/ at the beginning",
		"//":                           "empty segment",
		"//admin":                      "empty segment",
		"/a//b":                        "empty segment",
		"/a/../b":                      "dot segment",
		"/./a":                         "dot segment",
		"/a?b":                         "without the query",
		"/a#b":                         "without the query",
		"/a%20b":                       "decoded",
		"/a;b":                         "byte 2",
		`/a\b`:                         "byte 2",
		"/a\n":                         "byte 2",
		"/a\x7f":                       "byte 2",
		"/a\xff":                       "UTF-8",
		"/**/a":                        "last segment only",
		"/a**":                         "last segment only",
		"/***":                         "last segment only",
		"/a/**b/":                      "last segment only",
		"/" + strings.Repeat("a", 2e3): "at most",
	}
	for s, want := range bad {
		if p, err := ParsePattern(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePattern(%q) = %v, %v, want an error with %q", s, p, err, want)
		}
	}
}

// FuzzPattern holds the matcher against a regular expression made from the same pattern.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{
		{"/admin/**", "/admin/"}, {"/a*b*c", "/abcbc"}, {"/*", "/"}, {"/", "/"}, {"/*/x", "/y/x"},
		{"/**", "/a"}, {"/a**", "/a"}, {"/ab*ba", "/aba"}, {"/é*", "/éa"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, target string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		path, err := CanonicalPath(target)
		if err != nil {
			return
		}
		var text strings.Builder
		for segment := range strings.SplitSeq(strings.TrimSuffix(pattern[1:], "/"), "/") {
			switch segment {
			case "": // the pattern is /
			case "**":
				text.WriteString(`(/.*)?`)
			case "*":
				text.WriteString(`/[^/]+`)
			default:
				text.WriteString("/" + strings.ReplaceAll(regexp.QuoteMeta(segment), `\*`, `[^/]*`))
			}
		}
		re := regexp.MustCompile(`(?s)^` + text.String() + `/?$`)
		if got, want := p.Match(path), re.MatchString(path); got != want {
			t.Fatalf("%q matches %q: %v, want %v by %v", pattern, path, got, want, re)
		}
		// The slash at the end makes no difference.
		if other := strings.TrimSuffix(path, "/"); other != "" && p.Match(other) != p.Match(other+"/") {
			t.Fatalf("%q tells %q from %q", pattern, other, other+"/")
		}
	})
}
