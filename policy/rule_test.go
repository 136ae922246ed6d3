package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTheFirstRuleThatMatchesWins(t *testing.T) {
	var rules Rules
	for _, s := range []RuleSpec{
		{Path: "/healthz", Access: "public"},
		{Path: "/docs/**", Methods: []string{"GET"}, Access: "public"},
		{Path: "/reports/**", Methods: []string{"DELETE"}, Permission: "reports:delete"},
		{Path: "/admin/login", Access: "member"},
		{Path: "/admin/**", Role: "admin"},
		{Path: "/admin/**", Access: "public"},
	} {
		rules = append(rules, *compile(t, s))
	}
	tests := []struct {
		method, path string
		want         int // -1: none
	}{
		{"GET", "/", -1},
		{"GET", "/healthz", 0},
		{"POST", "/healthz", 0},
		{"GET", "/healthz/x", -1},
		{"GET", "/docs", 1},
		{"HEAD", "/docs/a", 1},
		{"POST", "/docs/a", -1},
		{"get", "/docs/a", -1},
		{"DELETE", "/reports/7", 2},
		{"GET", "/reports/7", -1},
		{"GET", "/admin/login", 3},
		{"GET", "/admin", 4},
		{"GET", "/admin/", 4},
		{"GET", "/admin/x/y", 4},
	}
	for _, tt := range tests {
		got := rules.Match(tt.method, tt.path)
		if i := slices.IndexFunc(rules, func(r Rule) bool { return got != nil && r.Name == got.Name }); i != tt.want {
			t.Errorf("%s %s matches rule %d, want %d", tt.method, tt.path, i, tt.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { rules.Match("GET", "/admin/x/y") }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestCompileReportsEveryFault(t *testing.T) {
	tests := []struct {
		spec RuleSpec
		want []string // field: part of the text
	}{
		{RuleSpec{}, []string{"path: empty"}},
		{RuleSpec{Path: "x", Access: "pubic", Methods: []string{"GET", "DELTE"}, When: "member.rols == 1"},
			[]string{"path: ", `methods: unknown HTTP method "DELTE"`, `access: unknown access "pubic"`, "when: bad condition: 1:7:"}},
		{RuleSpec{Path: "/a", Methods: []string{"get"}}, []string{`methods: unknown HTTP method "get"`}},
		{RuleSpec{Path: "/a", Access: "public", Role: "admin"}, []string{"access: public, and yet"}},
		{RuleSpec{Path: "/a", Access: "public", Permission: "x"}, []string{"access: public, and yet"}},
		{RuleSpec{Path: "/a", Access: "public", When: "true"}, []string{"access: public, and yet"}},
	}
	for _, tt := range tests {
		r, err := tt.spec.Compile()
		if err == nil || r.Name != "" {
			t.Errorf("%+v: compiled", tt.spec)
			continue
		}
		faults := err.(interface{ Unwrap() []error }).Unwrap()
		if len(faults) != len(tt.want) {
			t.Errorf("%+v: %d faults, want %d: %v", tt.spec, len(faults), len(tt.want), err)
			continue
		}
		for i, fault := range faults {
			if e, ok := errors.AsType[*RuleError](fault); !ok || !strings.HasPrefix(fault.Error(), tt.want[i]) {
				t.Errorf("%+v: fault %q (field %v), want %q", tt.spec, fault, e, tt.want[i])
			}
		}
	}
}

func TestARuleIsNamedAsItWasWritten(t *testing.T) {
	s := RuleSpec{Path: "/reports/**", Methods: []string{"DELETE", "PUT"}, Access: "member", Role: "admin", Permission: "reports:delete", When: "member.guest"}
	r := compile(t, s)
	const want = "DELETE PUT /reports/** (access member, role admin, permission reports:delete, when member.guest)"
	if r.Name != want {
		t.Errorf("got  %s\nwant %s", r.Name, want)
	}
	s.Methods[0] = "GET"
	if r.Methods[0] != "DELETE" {
		t.Error("a rule changes with the spec that it was made from")
	}
}

func BenchmarkMatch(b *testing.B) {
	var rules Rules
	for _, path := range []string{"/healthz", "/static/**", "/api/*/keys", "/*.ico", "/payroll/**", "/reports/**", "/admin/**"} {
		rules = append(rules, *compile(b, RuleSpec{Path: path}))
	}
	b.ReportAllocs()
	for b.Loop() {
		if rules.Match("GET", "/admin/users/7/edit") == nil {
			b.Fatal("no match")
		}
	}
}
