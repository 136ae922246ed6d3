package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// moment is for how long an Allow holds that a condition about the time gave: what is open
// is judged anew that often, and ends within it when its hours are over.
const moment = time.Second

// ranges are the functions of conditions about networks that CEL does not have:
//
//	request.ip.inRange("10.0.0.0/8")
//	request.ip.inRange(["10.0.0.0/8", "2001:db8::/32"])
//
// A range is an address with or without a length of its prefix. An address that is none, as that
// of a client that nobody knows, is an error, and so denies; so is a range that is none.
func ranges() []cel.EnvOption {
	return []cel.EnvOption{
		cel.Function("inRange",
			cel.MemberOverload("string_in_range", []*cel.Type{cel.StringType, cel.StringType}, cel.BoolType, cel.BinaryBinding(inRange)),
			cel.MemberOverload("string_in_ranges", []*cel.Type{cel.StringType, cel.ListType(cel.StringType)}, cel.BoolType, cel.BinaryBinding(inRange)),
		),
	}
}

// rangeCosts counts each range of a list: one of an identity provider's may be long.
func rangeCosts() []cost.TrackerOption {
	perRange := func(args []ref.Val, _ ref.Val) *uint64 {
		n := uint64(1)
		if l, ok := args[1].(traits.Lister); ok {
			if size, ok := l.Size().(types.Int); ok && size > 0 {
				n += uint64(size)
			}
		}
		return &n
	}
	return []cost.TrackerOption{cost.OverloadTracker("string_in_range", perRange), cost.OverloadTracker("string_in_ranges", perRange)}
}

func inRange(address, in ref.Val) ref.Val {
	text, _ := address.Value().(string)
	ip, err := netip.ParseAddr(plainIP(text))
	if err != nil {
		return types.NewErr("inRange: %q is no address", clip(text))
	}
	contains := func(v ref.Val) (bool, error) {
		s, ok := v.Value().(string)
		if !ok {
			return false, fmt.Errorf("a range is of type %s, want string", v.Type().TypeName())
		}
		p, err := parseRange(s)
		return err == nil && p.Contains(ip), err
	}
	list, ok := in.(traits.Lister)
	if !ok {
		found, err := contains(in)
		if err != nil {
			return types.NewErr("inRange: %v", err)
		}
		return types.Bool(found)
	}
	// All of them are looked at: one that is none must not depend on where it stands.
	within := false
	for i := list.Iterator(); i.HasNext() == types.True; {
		found, err := contains(i.Next())
		if err != nil {
			return types.NewErr("inRange: %v", err)
		}
		within = within || found
	}
	return types.Bool(within)
}

// parseRange reads a range of addresses. Bits after the prefix, as in 10.1.2.3/8, are more likely
// a slip than meant.
func parseRange(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.Is4In6() {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a range such as 10.0.0.0/8", clip(s))
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || p.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is no range of addresses such as 10.0.0.0/8", clip(s))
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is an address within a range: the range is %s", clip(s), p.Masked())
	}
	return p, nil
}

// Country returns the country that somebody says, in two letters or digits (T1 is Tor), as conditions have it:
// in upper case, and empty if it is XX or ZZ, by which proxies say that they don't know. ok is false for what is no country.
func Country(said string) (c string, ok bool) {
	if len(said) != 2 {
		return "", false
	}
	c = strings.ToUpper(said)
	for i := range len(c) {
		if (c[i] < 'A' || c[i] > 'Z') && (c[i] < '0' || c[i] > '9') {
			return "", false
		}
	}
	if c == "XX" || c == "ZZ" {
		c = ""
	}
	return c, true
}

func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}

// A constants validator checks what is written out in calls of functions, so that a slip is found
// when the rule is read, and not by who is locked out.
type constants struct {
	functions []string
	check     func(string) error
	// only: nothing else may be given, and this is said of what is. Else it is known when it is asked.
	only string
}

// Name implements [cel.ASTValidator].
func (v constants) Name() string { return "orgate.constants." + v.functions[0] }

// Validate implements [cel.ASTValidator].
func (v constants) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	root := ast.NavigateAST(a)
	for _, name := range v.functions {
		for _, call := range ast.MatchDescendants(root, ast.FunctionMatcher(name)) {
			for _, arg := range call.AsCall().Args() {
				v.look(arg, issues)
			}
		}
	}
}

func (v constants) look(e ast.Expr, issues *cel.Issues) {
	switch e.Kind() {
	case ast.LiteralKind:
		if s, ok := e.AsLiteral().Value().(string); ok {
			if err := v.check(s); err != nil {
				issues.ReportErrorAtID(e.ID(), "%v", err)
			}
		}
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			v.look(x, issues)
		}
	default:
		if v.only != "" {
			issues.ReportErrorAtID(e.ID(), "%s", v.only)
		}
	}
}
