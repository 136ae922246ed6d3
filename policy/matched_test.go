package policy

import (
	"strings"
	"testing"
)

// A pattern is not stopped once it has begun, and clients write paths as long as they like: where a condition calls matches, a text
// that is too long for it denies. Conditions without patterns, and texts that a condition does not read, are not affected.
func TestAPatternIsHeldAgainstTextsOfABoundedLength(t *testing.T) {
	text := func(n int) string { return "/" + strings.Repeat("a", n-1) }
	for _, tt := range []struct {
		expr string
		set  func(*Facts, string)
	}{
		{`request.path.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`matches(request.path, "^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`("x" + request.path).matches("^x/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`[request.path].exists(p, p.matches("^/a+$"))`, func(f *Facts, s string) { f.Request.Path = s }},
		{`request.method.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Method = s }},
		{`request.host.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Host = s }},
		{`request.ip.matches("^/a+$")`, func(f *Facts, s string) { f.Request.RemoteIP = s }},
		{`request.country.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Country = s }},
		{`user.email.matches("^/a+$")`, func(f *Facts, s string) { f.Email = s }},
		{`member.attributes.a.matches("^/a+$")`, func(f *Facts, s string) { f.Attributes = map[string]any{"a": s} }},
		{`member.attributes.a.exists(x, x.matches("^/a+$"))`, func(f *Facts, s string) { f.Attributes = map[string]any{"a": []any{"b", s}} }},
		{`member.attributes.a.exists(x, x.matches("^/a+$"))`, func(f *Facts, s string) { f.Attributes = map[string]any{"a": []string{"b", s}} }},
		{`member.attributes.a.exists(x, x.matches("^/a+$"))`, func(f *Facts, s string) { f.Attributes = map[string]any{"a": map[string]any{s: 1.0}} }},
		{`member.attributes.a.b[0].c.matches("^/a+$")`, func(f *Facts, s string) {
			f.Attributes = map[string]any{"a": map[string]any{"b": []any{map[string]any{"c": s}}}}
		}},
	} {
		c, err := ParseCondition(tt.expr)
		if err != nil {
			t.Fatalf("%s: %v", tt.expr, err)
		}
		for n, want := range map[int]bool{maxMatched: true, maxMatched + 1: false, 32 << 10: false} {
			var f Facts
			tt.set(&f, text(n))
			holds, err := c.Holds(&f)
			if holds != want || (err == nil) != want || err != nil && !strings.Contains(err.Error(), "2048") {
				t.Errorf("%s of %d bytes: %v, %v, want %v", tt.expr, n, holds, err, want)
			}
		}
	}

	f := Facts{Email: "jo@acme.com", Request: Request{Path: text(32 << 10)}, Attributes: map[string]any{"a": text(32 << 10)}}
	for _, expr := range []string{`user.email.matches("^jo@")`, `request.path.startsWith("/a") && request.path.endsWith("a")`, `member.attributes.a.startsWith("/")`} {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatal(err)
		}
		if holds, err := c.Holds(&f); !holds || err != nil {
			t.Errorf("%s: %v, %v", expr, holds, err)
		}
	}
}

// The slowest pattern that compiles, as [maxConditionRegexp] has it, and the longest text that it is held against.
func BenchmarkTheSlowestPattern(b *testing.B) {
	c, err := ParseCondition(`request.path.matches("([ab]{0,30}a){15}$")`)
	if err != nil {
		b.Fatal(err)
	}
	f := Facts{Request: Request{Path: strings.Repeat("ab", maxMatched/2)}}
	for b.Loop() {
		if holds, err := c.Holds(&f); holds || err != nil {
			b.Fatal(holds, err)
		}
	}
}
