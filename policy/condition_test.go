package policy

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestConditions(t *testing.T) {
	f := at(ago(EmailCode, 0))
	f.Roles, f.Permissions, f.Guest = []string{"editor", "member"}, []string{"reports:edit"}, true
	f.Attributes = map[string]any{
		"seniority": "staff", "level": 7.0, "remote": true, "teams": []any{"red", "blue"},
		"manager": map[string]any{"name": "Mo"}, "nothing": nil,
	}
	f.Request = Request{Method: "GET", Path: "/payroll/7", Host: "acme.example.com", RemoteIP: "10.1.2.3"}
	tests := map[string]bool{
		`member.role == "editor"`:                                                    true,
		`member.role == "member"`:                                                    false,
		`"member" in member.roles && !("admin" in member.roles)`:                     true,
		`"reports:edit" in member.permissions`:                                       true,
		`member.guest`:                                                               true,
		`user.email.endsWith("@acme.com")`:                                           true,
		`organization.id == "globex"`:                                                true,
		`request.method == "GET" && request.path.startsWith("/payroll/")`:            true,
		`request.host == "acme.example.com"`:                                         true,
		`now > timestamp("2026-01-01T00:00:00Z") && now.getDayOfWeek() == 0`:         true,
		`now.getHours("Europe/Berlin") == 13`:                                        true,
		`member.attributes.seniority == "staff"`:                                     true,
		`member.attributes["seniority"] != "staff"`:                                  false,
		`member.attributes.level >= 7`:                                               true,
		`member.attributes.remote == true`:                                           true,
		`"red" in member.attributes.teams`:                                           true,
		`member.attributes.teams.exists(t, t.startsWith("b"))`:                       true,
		`member.attributes.manager.name == "Mo"`:                                     true,
		`has(member.attributes.missing)`:                                             false,
		`has(member.attributes.missing) && member.attributes.missing == "x"`:         false,
		`member.attributes.missing == "x" || member.guest`:                           true,
		`cidr("10.0.0.0/8").containsIP(request.ip)`:                                  true,
		`cidr("192.168.0.0/16").containsIP(request.ip)`:                              false,
		`["10.0.0.0/8", "192.168.0.0/16"].exists(n, cidr(n).containsIP(request.ip))`: true,
		`request.path.matches("^/payroll/[0-9]+$")`:                                  true,
	}
	for expr, want := range tests {
		c, err := ParseCondition(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got, err := c.Holds(&f); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", expr, got, err, want)
		}
		if c.String() != expr {
			t.Errorf("%s is written %s", expr, c)
		}
	}
}

func TestAConditionThatCanNotBeSaidDenies(t *testing.T) {
	for _, expr := range []string{
		`member.attributes.seniority == "staff"`,
		`member.attributes.seniority != "intern"`, // absence is no proof of not being one
		`!(member.attributes.seniority == "intern")`,
		`member.attributes.number < 3`,
		`int(user.email) > 0`,
		`cidr("10.0.0.0/8").containsIP(request.ip)`,
		`ip(request.ip).isLoopback()`,
		`member.attributes.other.matches("x")`,
	} {
		f := at(ago(EmailCode, 0))
		f.Attributes = map[string]any{"number": "many"}
		f.Rule = compile(t, RuleSpec{Path: "/", When: expr})
		if d := Decide(&f); d != (Decision{Reason: ConditionFailed, Source: ByRoute}) {
			t.Errorf("%s: %+v", expr, d)
		}
		f.Attributes = nil
		if d := Decide(&f); d != (Decision{Reason: ConditionFailed, Source: ByRoute}) {
			t.Errorf("%s, no attributes at all: %+v", expr, d)
		}
	}
}

func TestConditionsKnowOneAddressInEverySpelling(t *testing.T) {
	c, err := ParseCondition(`cidr(request.ip.contains(":") ? "2001:db8::/32" : "10.0.0.0/8").containsIP(request.ip)`)
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "::ffff:a01:203": true, "11.1.2.3": false, "::ffff:11.1.2.3": false,
		"2001:db8::1": true, "2001:db8:0:0::1%eth0": true, "2001:db9::1": false,
	} {
		if got, err := c.Holds(&Facts{Request: Request{RemoteIP: ip}}); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", ip, got, err, want)
		}
	}
}

func TestConditionsAreCheckedWhenTheyAreRead(t *testing.T) {
	tests := []struct {
		expr         string
		line, column int
		text         string
	}{
		{``, 1, 1, "Syntax error"},
		{`member.guest &&`, 1, 16, "Syntax error"},
		{`member.rols == ["x"]`, 1, 7, "undeclared reference"},
		{"member.guest &&\n  user.mail == \"x\"", 2, 7, "undeclared reference"},
		{`"é" == user.mail`, 1, 12, "undeclared reference"},
		{`member`, 1, 1, "undeclared reference"},
		{`member.role == 1`, 1, 13, "no matching overload"},
		{`member.role`, 1, 1, "want bool"},
		{`member.attributes.manager`, 1, 1, "want bool: compare"},
		{`user.email.matches("(")`, 1, 20, "matches"},
		{`cidr("10.0.0.0/33").containsIP(request.ip)`, 1, 6, "cidr"},
		{`now - duration("1 day") > now`, 1, 16, "duration"},
	}
	for _, tt := range tests {
		_, err := ParseCondition(tt.expr)
		e, ok := errors.AsType[*ConditionError](err)
		if !ok || e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Text, tt.text) {
			t.Errorf("%.40q: %v, want %d:%d: …%s…", tt.expr, err, tt.line, tt.column, tt.text)
		}
	}
}

func TestAConditionIsBounded(t *testing.T) {
	for _, expr := range []string{
		strings.Repeat("(", 100) + "true" + strings.Repeat(")", 100),
		`user.email == "` + strings.Repeat("a", maxCondition) + `"`,
		`user.email.matches("(a{500}){500}")`,
	} {
		if _, err := ParseCondition(expr); err == nil {
			t.Errorf("%.40s…: compiled", expr)
		}
	}

	// A large list from an identity provider, gone through for each of its members.
	c, err := ParseCondition(`member.attributes.groups.all(a, member.attributes.groups.exists(b, a == b + "x"))` +
		` || member.attributes.groups.all(a, member.attributes.groups.all(b, a != b + "x"))`)
	if err != nil {
		t.Fatal(err)
	}
	groups := make([]any, 5000)
	for i := range groups {
		groups[i] = strings.Repeat("g", i%50)
	}
	start := time.Now()
	holds, err := c.Holds(&Facts{Attributes: map[string]any{"groups": groups}})
	if holds || err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("25 million comparisons: %v, %v, want a limit", holds, err)
	}
	t.Logf("stopped after %v", time.Since(start))
}

func FuzzParseCondition(f *testing.F) {
	for _, s := range []string{
		`member.attributes.seniority == "staff"`, `"a" in member.roles`, `now > timestamp("2026-01-01T00:00:00Z")`,
		`cidr("10.0.0.0/8").containsIP(request.ip)`, `request.ip.inRange(["10.0.0.0/8", "::/0"])`, `now.getHours("Europe/Berlin") < 17`, `request.country in ["DE"]`, `member.roles.exists(r, r.matches("^a+$"))`, `{1: true}[1]`, `1 / 0 == 0`, `"\xff"`, `((`,
	} {
		f.Add(s)
	}
	facts := at(ago(EmailCode, 0))
	facts.Attributes = map[string]any{"a": 1.0, "b": []any{"c"}}
	f.Fuzz(func(t *testing.T, expr string) {
		c, err := ParseCondition(expr)
		switch {
		case err == nil:
			if holds, err := c.Holds(&facts); holds && err != nil {
				t.Fatalf("%q: holds, and yet: %v", expr, err)
			}
		case c != nil:
			t.Fatalf("%q: a condition and an error", expr)
		default:
			if _, ok := errors.AsType[*ConditionError](err); !ok {
				t.Fatalf("%q: %v", expr, err)
			}
		}
	})
}
