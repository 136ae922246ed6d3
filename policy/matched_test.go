package policy

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A pattern is not stopped once it has begun, and clients write paths as long as they like: to match a text that is too long is an
// error, which denies. What is not matched may be as long as it is.
func TestAPatternIsHeldAgainstTextsOfABoundedLength(t *testing.T) {
	text := func(n int) string { return "/" + strings.Repeat("a", n-1) }
	for _, tt := range []struct {
		expr string
		set  func(*Facts, string)
	}{
		{`request.path.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`matches(request.path, "^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`.matches(request.path, "^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`dyn(request.path).matches("^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`request.path.matches("^/a+$") ? true : false`, func(f *Facts, s string) { f.Request.Path = s }},
		{`!(!request.path.matches("^/a+$"))`, func(f *Facts, s string) { f.Request.Path = s }},
		{`("" + request.path).matches("^/a+$")`, func(f *Facts, s string) { f.Request.Path = s }},
		{`[request.path].exists(p, p.matches("^/a+$"))`, func(f *Facts, s string) { f.Request.Path = s }},
		{`["x"].exists(request, .request.path.matches("^/a+$"))`, func(f *Facts, s string) { f.Request.Path = s }},
		{`["x"].exists(user, .user.email.matches("^/a+$"))`, func(f *Facts, s string) { f.Email = s }},
		{`["x"].exists(member, .member.attributes.a.matches("^/a+$"))`, func(f *Facts, s string) { f.Attributes = map[string]any{"a": s} }},
		{`request.method.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Method = s }},
		{`request.host.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Host = s }},
		{`request.ip.matches("^/a+$")`, func(f *Facts, s string) { f.Request.RemoteIP = s }},
		{`request.country.matches("^/a+$")`, func(f *Facts, s string) { f.Request.Country = s }},
		{`user.email.matches("^/a+$")`, func(f *Facts, s string) { f.Email = s }},
		{`organization.id.matches("^/a+$")`, func(f *Facts, s string) { f.Organization = s }},
		{`member.role.matches("^/a+$")`, func(f *Facts, s string) { f.Roles = []string{s} }},
		{`member.permissions[0].matches("^/a+$")`, func(f *Facts, s string) { f.Permissions = []string{s} }},
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

	f := Facts{Email: "jo@acme.com", Request: Request{Path: text(32 << 10)}, Attributes: map[string]any{"a": text(32 << 10), "team": "ops"}}
	for _, expr := range []string{
		`user.email.matches("^jo@")`, `member.attributes.team.matches("^(dev|ops)$")`, `request.path.startsWith("/a") && request.path.endsWith("a")`, `member.attributes.a.startsWith("/")`,
		`size(request.path) > 2048 || request.path.matches("^/b")`, `user.email.matches("^jo@") && request.path.startsWith("/")`,
	} {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatal(err)
		}
		if holds, err := c.Holds(&f); !holds || err != nil {
			t.Errorf("%s: %v, %v", expr, holds, err)
		}
	}
}

// What a pattern repeats may take gigabytes once it is compiled, of which a client of the API writes a few bytes.
func TestAPatternIsMeasuredBeforeItIsCompiled(t *testing.T) {
	long := strings.Repeat("a", 1000)
	for expr, want := range map[string]string{
		`request.path.matches("(` + long + `){1000}")`:                                "1:22: the pattern of matches takes",
		`request.path.matches("(` + long + long + long + `){1000}")`:                  "1:22: the pattern of matches has 3008 bytes",
		`matches(request.path, "(` + long + `){1000}")`:                               "1:23: the pattern of matches takes",
		`.matches(request.path, "(` + long + `){1000}")`:                              "1:24: the pattern of matches takes",
		"member.guest ||\n [1].all(i, request.path.matches('" + long + "{1000}'))":    "2:34: the pattern of matches takes",
		`has({"a": "x".matches("([^a]` + long + `){900}")}.a)`:                        "",
		`request.path.matches("(((a{10}){10}){10}b){2}")`:                             "1:22: bad pattern of matches",
		`request.path.matches("a{0,300}b")`:                                           "1:22: the pattern of matches takes",
		`request.path.matches("(")`:                                                   "1:22: bad pattern of matches: error parsing regexp: missing closing )",
		`request.path.matches("[` + strings.Repeat(`\\pL`, 170) + `]")`:               "1:22: the patterns of matches have too many classes",
		`request.path.matches("(?i)[` + strings.Repeat("b-\U0001f000", 100) + `]")`:   "1:22: the patterns of matches have too many classes",
		`request.path.matches("(?i)[` + strings.Repeat(`b-\\x{1f000}`, 80) + `]")`:    "1:22: the patterns of matches have too many classes",
		`request.path.matches("(?i)[` + strings.Repeat(`\\01-\U0001f000`, 80) + `]")`: "1:22: the patterns of matches have too many classes",
		`request.path.matches("a{200}") || request.path.matches("b{400}") || request.path.matches("c{400}") || ` +
			`request.path.matches("d{400}") || request.path.matches("e{400}") || request.path.matches("f{400}")`: "",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		c, err := ParseCondition(expr)
		took := time.Since(began)
		runtime.ReadMemStats(&after)
		e, ok := errors.AsType[*ConditionError](err)
		if c != nil || !ok || want != "" && !strings.Contains(e.Error(), want) {
			t.Errorf("%.80s…: %.200v, want %s", expr, err, want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%.80s…: %d bytes are allocated in %v", expr, n, took)
		}
	}
}

func TestPatternsMustBeWrittenOut(t *testing.T) {
	for expr, column := range map[string]int{
		`request.path.matches(member.attributes.p)`:                       39,
		`request.path.matches("a" + "b")`:                                 26,
		`request.path.matches(dyn("a"))`:                                  25,
		`request.path.matches(string("a"))`:                               28,
		`matches(request.path, user.email)`:                               27,
		`.matches(request.path, user.email)`:                              28,
		`dyn(request.path).matches(["a"][0])`:                             32,
		`["a"].exists(p, request.path.matches(p))`:                        38,
		`request.path.matches(member.guest ? "a" : "b")`:                  35,
		`member.attributes.p.all(p, !request.path.matches(p) ? true : p)`: 50,
		`[1].map(i, request.path.matches({"a": "b"}.a)) == [true]`:        43,
	} {
		_, err := ParseCondition(expr)
		e, ok := errors.AsType[*ConditionError](err)
		if !ok || e.Line != 1 || e.Column != column || !strings.Contains(e.Text, "must be written out") {
			t.Errorf("%s: %v, want 1:%d: …must be written out…", expr, err, column)
		}
	}
	for _, expr := range []string{`"abc".replace("b", "c") == ""`, `"abc".findAll("b") == []`, `regex.replace("abc", "b", "c") == ""`, `regex.extract("abc", "b") == ""`, `regex.extractAll("abc", "b") == []`} {
		if _, err := ParseCondition(expr); err == nil || !strings.Contains(err.Error(), "undeclared reference") {
			t.Errorf("%s: %v: another function takes a pattern", expr, err)
		}
	}
}

func checkProgramSize(t *testing.T, pattern string) {
	t.Helper()
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || programSize(re) > 4*maxProgram {
		return
	}
	size := programSize(re)
	program, err := syntax.Compile(re.Simplify())
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	if n := uint64(len(program.Inst)); n > size {
		t.Errorf("%q is taken for %d instructions, and has %d", pattern, size, n)
	}
}

func somePatterns() []string {
	return []string{
		"", "a", "^/a/[0-9]+$", "(a|b|ab)*", "((a{3}){4}){5}", "(a?){0,30}b", "(?:){500}", "((a*)*)*", "(a*)+?", "[^a]{3,}", "a{0}", "a{0,0}b", "(|a)*", "(?i)kelvin[k-s]", `\bfoo\B|^$`, "[a&&b]|[^\\x00-\\x{10FFFF}]",
		"(([ab]{0,30}a){15})", "(abc|abd|xyz){2,7}", "(?s).(?-s).", `\\pL{20}`, "a**", "x{2}{3}", "(((a)))", "(?:a|(?:b|(?:c|d)))",
	}
}

func TestAProgramIsNotLargerThanItIsTakenFor(t *testing.T) {
	for _, pattern := range somePatterns() {
		checkProgramSize(t, pattern)
	}
	// Nor much smaller: what people write must not be refused.
	for _, pattern := range []string{`^[A-Za-z0-9._-]{1,200}@[a-z]+$`, "^/a/[0-9]{1,200}(/[a-z]*)?$", "(([ab]{0,30}a){7})"} {
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if size := programSize(re); size > maxProgram {
			t.Errorf("%q is taken for %d instructions", pattern, size)
		}
	}
}

func FuzzAProgramIsNotLargerThanItIsTakenFor(f *testing.F) {
	for _, pattern := range somePatterns() {
		f.Add(pattern)
	}
	f.Fuzz(checkProgramSize)
}

// slowest are conditions that call for all the matching that they can get, of texts as long as they may be.
func slowest() (exprs []string, f Facts) {
	text := strings.Repeat("ab", maxMatched/2)
	f = Facts{Email: text, Request: Request{Path: text}}
	var many []any
	for range 100 {
		many = append(many, text)
	}
	f.Attributes = map[string]any{"a": many}
	const numbers = "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27]"
	for _, pattern := range []string{`([ab]{0,15}a){13}$`, `[ab]{0,220}c`, `(?:(?i)[a-z\u212aà-ÿα-ω]?){220}1`, `[ab]{0,140}c`, `[ab]{0,50}c`} {
		exprs = append(exprs,
			fmt.Sprintf(`%s.exists(i, request.path.matches("%s"))`, numbers, pattern),
			fmt.Sprintf(`%s.exists(i, %[1]s.exists(j, request.path.matches("%s")))`, numbers, pattern),
			fmt.Sprintf(`member.attributes.a.exists(x, x.matches("%s"))`, pattern),
			strings.Repeat(fmt.Sprintf(`request.path.matches("%s")||`, pattern), 40)+"false")
	}
	return exprs, f
}

// What one call may take, many must not take many times.
func TestAllThePatternsOfAConditionAreBounded(t *testing.T) {
	exprs, f := slowest()
	for _, expr := range exprs {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		began := time.Now()
		holds, err := c.Holds(&f)
		if holds || err == nil || !strings.Contains(err.Error(), "limit") {
			t.Errorf("%.100s: %v, %v, want a limit", expr, holds, err)
		}
		t.Logf("%.80s: %v", expr, time.Since(began))
	}
	// One of them is allowed, be it as slow as it may.
	c, err := ParseCondition(`request.path.matches("[ab]{0,220}b$")`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(&f); !holds || err != nil {
		t.Errorf("%v, %v", holds, err)
	}
}

func BenchmarkTheSlowestConditions(b *testing.B) {
	exprs, f := slowest()
	for _, expr := range exprs {
		b.Run("", func(b *testing.B) {
			b.Log(expr)
			c, err := ParseCondition(expr)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if holds, err := c.Holds(&f); holds || err == nil {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

// A loop's variable of the same name hides none of them.
func TestWhatIsReadBehindALoopsVariableIsKnown(t *testing.T) {
	for expr, of := range map[string]func(*Condition) bool{
		`[1].exists(now, .now < timestamp("2030-01-01T00:00:00Z"))`: func(c *Condition) bool { return c.readsNow },
		`.now < timestamp("2030-01-01T00:00:00Z")`:                  func(c *Condition) bool { return c.readsNow },
		`["x"].exists(request, .request.method == "GET")`:           func(c *Condition) bool { return c.readsMethod },
	} {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatal(err)
		}
		if !of(c) {
			t.Errorf("%s: it is not known that it reads it", expr)
		}
	}
}

// To explain a failure is not to bring it about again: it may have taken as long as it is allowed to.
func TestAConditionThatFailedIsExplainedWithoutAskingItAgain(t *testing.T) {
	f := at(ago(EmailCode, 0))
	f.Rule = compile(t, RuleSpec{Path: "/", When: `member.attributes.level > 3`})
	d := Decide(&f)
	f.Attributes = map[string]any{"level": 7.0}
	if got := d.Explain(&f); !strings.Contains(got, "no such key: level") {
		t.Errorf("%s", got)
	}
	if d = Decide(&f); d.Verdict != Allow || f.failure != nil {
		t.Errorf("%+v, %v", d, f.failure)
	}
}
