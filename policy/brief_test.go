package policy

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

func TestBriefConditions(t *testing.T) {
	tests := map[string]bool{
		`member.role == "admin" && request.method == "GET"`:                                                      true,
		`member.attributes.seniority == "staff"`:                                                                 true,
		`member.attributes["seniority"] != "staff"`:                                                              true,
		`has(member.attributes.a) && member.attributes.a == "x" || member.guest`:                                 true,
		`"admin" in member.roles && !("reports:edit" in member.permissions)`:                                     true,
		`user.email.endsWith("@acme.com") && user.email == request.path`:                                         true,
		`request.path.matches("^/payroll/[0-9]+$")`:                                                              true,
		`request.path.startsWith("/payroll/") ? member.attributes.level >= 7 : member.attributes.remote == true`: true,
		`request.ip.inRange(["10.0.0.0/8", "::/0"]) || request.country in ["DE", "AT"]`:                          true,
		`now.getHours("Europe/Berlin") < 17 && now > timestamp("2026-01-01T00:00:00Z")`:                          true,
		`member.attributes.a == member.attributes.b`:                                                             true,
		`size(member.roles) > 1`:                                                                                 true,

		`member.attributes == {"a": 1}`:                                            false,
		`"a" in member.attributes`:                                                 false,
		`size(member.attributes) > 3`:                                              false,
		`member.attributes.manager.name == "Mo"`:                                   false,
		`member.attributes[user.email] == "x"`:                                     false,
		`has(member.attributes.a.b)`:                                               false,
		`member.attributes.teams.exists(t, t.startsWith("b"))`:                     false,
		`member.roles.all(r, r == "b")`:                                            false,
		`user.email + user.email == "x"`:                                           false,
		`[user.email, user.email] == [request.path]`:                               false,
		`{"a": user.email}.a == "x"`:                                               false,
		`member.roles[0] == "x"`:                                                   false,
		`cidr("10.0.0.0/8").containsIP(request.ip)`:                                false,
		`request.path.contains(request.host) && request.path.contains(user.email)`: false, // bounded, but not by enough
		`request.path.matches(".{0,200}b$")`:                                       true,
		`request.path.matches(".{0,200}b$") || request.path.matches(".{0,200}c$") || request.path.matches(".{0,200}d$")`: false,
		`(user.email.matches("x+") ? 1 : 2) == 2`: true,
	}
	for expr, want := range tests {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got := c.brief.program != nil; got != want {
			t.Errorf("%s: brief %v, want %v", expr, got, want)
		}
	}
}

// plainly evaluates expr as CEL's own documentation does: by a map of Go values, and always counting. It is what
// [Condition.Holds] must say.
func plainly(t testing.TB, expr string) func(*Facts) (bool, error) {
	t.Helper()
	env, err := newEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	parsed, issues := env.Parse(expr)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	patterns, err := readPatterns(parsed.NativeRep())
	if err != nil {
		t.Fatal(err)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(checked, append(patterns.options(),
		cel.CostLimit(maxConditionCost), cel.CostTrackerOptions(append(rangeCosts(), patterns.tracked())...), cel.MemoryLimit(maxConditionMemory))...)
	if err != nil {
		t.Fatal(err)
	}
	return func(f *Facts) (bool, error) {
		attributes := f.Attributes
		if attributes == nil {
			attributes = map[string]any{}
		}
		out, _, err := program.Eval(map[string]any{
			"member.role": append(slices.Clone(f.Roles), "")[0], "member.roles": f.Roles, "member.permissions": f.Permissions,
			"member.attributes": attributes, "member.guest": f.Guest, "user.email": f.Email, "organization.id": f.Organization,
			"request.method": f.Request.Method, "request.path": f.Request.Path, "request.host": f.Request.Host,
			"request.ip": plainIP(f.Request.RemoteIP), "request.country": f.Request.Country, "now": f.Now.UTC(),
		})
		if err != nil {
			return false, err
		}
		return bool(out.(types.Bool)), nil
	}
}

// sameAnswer holds the two ways against each other.
func sameAnswer(t testing.TB, c *Condition, want func(*Facts) (bool, error), f *Facts) {
	t.Helper()
	holds, err := c.Holds(f)
	wanted, wantedErr := want(f)
	if holds != wanted || (err == nil) != (wantedErr == nil) || err != nil && err.Error() != "evaluating a condition: "+wantedErr.Error() {
		t.Errorf("%s: %v, %v, want %v, %v, by %.300v", c, holds, err, wanted, wantedErr, *f)
	}
}

func TestAConditionSaysTheSameWhetherItIsCountedOrNot(t *testing.T) {
	exprs := []string{
		`member.role == "admin" && request.method == "GET"`,
		`"admin" in member.roles || "reports:edit" in member.permissions`,
		`size(member.roles) > 1 && size(member.permissions) < 600`,
		`member.attributes.a == "x"`, `member.attributes.a != "x"`, `!(member.attributes["a"] == "x")`,
		`has(member.attributes.a) && member.attributes.a == "x"`,
		`member.attributes.a == member.attributes.b`,
		`member.attributes.a >= 7 || member.guest`, `member.attributes.a == true`, `member.attributes.a == null`,
		`member.attributes.a.contains("x")`, `member.attributes.a in ["x", 7.0]`, `"x" in member.attributes.a`,
		`size(member.attributes.a) > 2`, `timestamp(member.attributes.a) < now`, `member.attributes.a < member.attributes.b`,
		`now.getHours("Europe/Berlin") >= 12`, `member.attributes.b.matches("^x+$")`,
		`request.ip.inRange(member.attributes.a)`, `request.ip.inRange(["10.0.0.0/8", "::/0"])`,
		`user.email.endsWith("@acme.com") && request.path.startsWith("/x") && request.host.contains("acme")`,
		`request.path.matches("^/x/[0-9]+$") ? request.country in ["DE"] : organization.id == "globex"`,
		`member.roles == member.permissions`, `member.roles != ["admin"]`,
		`member.roles.exists(r, r.startsWith("ad"))`, `member.attributes.a.b == "c"`, `user.email + request.path != ""`,
		`(request.path.matches("x") ? 1 : 2) == 2`, `(matches(member.attributes.a, "^x+$") ? "y" : request.host) == request.host`,
		`request.path.matches(".{0,200}b$") || request.path.matches(".{0,200}c$") || request.path.matches(".{0,200}d$") || member.guest`,
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	words := func(n int, s string) []string { return slices.Repeat([]string{s}, n) }
	things := []any{
		nil, "x", "", true, 7.0, 3, int64(9), []byte("x"), json.Number("7"), "2026-01-01T00:00:00Z", "Europe/Berlin", "10.0.0.0/8", "(", noon, time.Minute,
		long(briefString), long(briefString + 1), long(10 * maxConditionMemory), long(11 * maxConditionMemory), "(a{500}){500}",
		[]any{"x", 7.0}, []string{"10.0.0.0/8"}, slices.Repeat([]any{"x"}, maxConditionMemory+1), map[string]any{"b": "c", "x": 1.0},
	}
	var all []Facts
	f := at(ago(EmailCode, 0))
	f.Request = Request{Method: "GET", Path: "/x/7", Host: "acme.example.com", RemoteIP: "10.1.2.3", Country: "DE"}
	all = append(all, f, Facts{})
	for _, a := range things {
		for _, b := range []any{"x", 8.0, things[len(things)-2]} {
			all = append(all, f.with(func(f *Facts) { f.Attributes = map[string]any{"a": a, "b": b} }))
		}
	}
	for _, w := range [][]string{{"admin"}, {""}, words(briefList, "member"), words(briefList+1, "admin"), words(briefList, long(500)), words(maxConditionMemory+1, ""), words(2, long(briefString+1)), words(maxConditionMemory+1, "admin")} {
		all = append(all, f.with(func(f *Facts) { f.Roles = w }), f.with(func(f *Facts) { f.Permissions = w }), f.with(func(f *Facts) { f.Roles, f.Permissions = w, w }))
	}
	for _, s := range []string{"\xff", long(briefString), long(briefString + 1), long(20 * maxConditionMemory)} {
		all = append(all, f.with(func(f *Facts) { f.Request = Request{s, s, s, s, s} }), f.with(func(f *Facts) { f.Email, f.Organization = s, s }), f.with(func(f *Facts) { f.Request.Path = "/x/" + s; f.Request.RemoteIP = "::ffff:10.1.2.3" }))
	}
	for _, expr := range exprs {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		want := plainly(t, expr)
		for i := range all {
			sameAnswer(t, c, want, &all[i])
		}
	}
}

func FuzzConditionsCountedAndNot(f *testing.F) {
	for _, expr := range []string{
		`member.attributes.a == "x" || member.role == "admin"`, `"a" in member.roles && request.path.contains(user.email)`,
		`request.ip.inRange(member.attributes.a)`, `now.getHours("Europe/Berlin") < 17 ? has(member.attributes.b) : member.guest`, `request.path.matches("^(a|b)+$") && member.attributes.a < 7`,
	} {
		f.Add(expr, "admin", 2, `{"a":"x","b":7,"c":[1,{"d":null}]}`, "/x", "jo@acme.com", "10.1.2.3")
		f.Add(expr, "a", 501, `{"a":["10.0.0.0/8"]}`, strings.Repeat("/x", 700), "", "::1%eth0")
	}
	f.Fuzz(func(t *testing.T, expr, role string, n int, attributes, path, email, ip string) {
		c, err := ParseCondition(expr)
		if err != nil {
			return
		}
		facts := at(ago(EmailCode, 0))
		facts.Roles = slices.Repeat([]string{role}, max(n, 0)%1000)
		facts.Permissions, facts.Email, facts.Request = facts.Roles, email, Request{Method: "GET", Path: path, Host: path, RemoteIP: ip, Country: role}
		_ = json.Unmarshal([]byte(attributes), &facts.Attributes) // what is none leaves none
		sameAnswer(t, c, plainly(t, expr), &facts)
	})
}

// What one request leaves behind is not there for the next, nor is it kept.
func TestAConditionKeepsNothingOfWhomItWasAskedOf(t *testing.T) {
	c, err := ParseCondition(`member.guest || has(member.attributes.a) || "x" in member.roles`)
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(&Facts{Guest: true, Roles: []string{"x"}, Attributes: map[string]any{"a": 1.0}}); !holds || err != nil {
		t.Fatal(holds, err)
	}
	if v, ok := c.variables.Get().(*variables); ok && !reflect.DeepEqual(v.f, Facts{}) {
		t.Errorf("kept: %+v", v.f)
	}
	if holds, err := c.Holds(&Facts{}); holds || err != nil {
		t.Errorf("of nobody: %v, %v", holds, err)
	}
}

func TestABriefConditionIsHardlyAllocatedFor(t *testing.T) {
	f := busy(t)
	f.Rule = compile(t, RuleSpec{Path: "/payroll/**", When: `member.role == "admin" && request.method == "GET"`})
	f.Roles, f.Request.Method = []string{"admin"}, "GET"
	if n := testing.AllocsPerRun(100, func() {
		if Decide(&f).Verdict != Allow {
			t.Fatal("not allowed")
		}
	}); n > 2 {
		t.Errorf("%v allocations, want one for each string that it reads", n)
	}
}
