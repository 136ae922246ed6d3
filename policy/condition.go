package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// What a condition may be and may cost. The one who writes it is the operator, who is
// trusted but errs, or an app that asks; what it is applied to comes from identity providers and
// clients, who are not. A condition at the cost limit takes a few milliseconds; one that spends it all on patterns 20, see
// [maxProgram].
const (
	maxCondition       = 4 << 10 // characters
	maxConditionNodes  = 2000    // after the expansion of macros
	maxConditionDepth  = 50
	maxConditionCost   = 20_000
	maxConditionMemory = 20_000 // elements
)

// A Condition is a compiled CEL expression; see [ParseCondition].
type Condition struct {
	source    string
	program   cel.Program
	brief     brief
	variables sync.Pool // of *variables
	// readsMethod: it says request.method. readsNow: it says now.
	readsMethod, readsNow bool
}

// A ConditionError says what is wrong with an expression, and where.
type ConditionError struct {
	Line, Column int // from 1, in characters; 0: nowhere in particular
	Text         string
}

// Error implements error.
func (e *ConditionError) Error() string {
	if e.Line == 0 {
		return "bad condition: " + e.Text
	}
	return fmt.Sprintf("bad condition: %d:%d: %s", e.Line, e.Column, e.Text)
}

// ParseCondition compiles a CEL expression and checks its types: what it names must
// exist, and it must be a bool. Its errors are an [errors.Join] of a
// *[ConditionError] for each fault. The expression sees
//
//	member.role         string: the first of member.roles, which is the highest
//	member.roles        list of strings
//	member.permissions  list of strings
//	member.attributes   map from string to whatever the identity provider sent
//	member.guest        bool
//	user.email          string
//	organization.id     string
//	request.method, request.path, request.host, request.ip   strings
//	request.country     string: two letters, in upper case; empty: nobody who is trusted says
//	now                 timestamp
//
// and, beside CEL's own functions, those for addresses: request.ip.inRange, and ip, cidr and so
// on, as in cidr("10.0.0.0/8").containsIP(request.ip). Ranges and addresses that are written
// out are checked; time zones and the patterns of matches must be written out. To match a text of more than 2,048 bytes is an error.
func ParseCondition(expr string) (*Condition, error) {
	env, err := newEnvironment()
	if err != nil {
		return nil, fmt.Errorf("setting up CEL: %w", err)
	}
	parsed, issues := env.Parse(expr)
	if issues.Err() != nil {
		return nil, conditionErrors(issues)
	}
	// Before anything else looks at them: nothing must compile a pattern that was not measured.
	patterns, err := readPatterns(parsed.NativeRep())
	if err != nil {
		return nil, err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, conditionErrors(issues)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		text := fmt.Sprintf("is a value of type %s, want bool", cel.FormatCELType(t))
		if t.IsExactType(cel.DynType) {
			text += ": compare it, as in … == true"
		}
		return nil, &ConditionError{Line: 1, Column: 1, Text: text}
	}
	program, err := env.Program(checked, append(patterns.options(),
		cel.CostLimit(maxConditionCost),
		cel.CostTrackerOptions(append(rangeCosts(), patterns.tracked())...),
		cel.MemoryLimit(maxConditionMemory))...)
	if err != nil {
		return nil, &ConditionError{Text: err.Error()}
	}
	c := &Condition{source: expr, program: program}
	if c.brief, err = newBrief(env, checked, patterns); err != nil {
		return nil, &ConditionError{Text: err.Error()}
	}
	for _, ref := range checked.NativeRep().ReferenceMap() {
		c.readsMethod = c.readsMethod || variableOf(ref) == "request.method"
		c.readsNow = c.readsNow || variableOf(ref) == "now"
	}
	return c, nil
}

// variableOf returns the name of the variable that is read. Where a loop's variable has the name of one, it is written with a dot
// before it, and so CEL has it.
func variableOf(ref *ast.ReferenceInfo) string { return strings.TrimPrefix(ref.Name, ".") }

func conditionErrors(issues *cel.Issues) error {
	var faults []error
	for _, e := range issues.Errors() {
		fault := &ConditionError{Text: e.Message}
		if e.Location != nil && e.Location.Line() > 0 {
			// An empty expression is at fault before its first column.
			fault.Line, fault.Column = e.Location.Line(), max(e.Location.Column()+1, 1)
		}
		faults = append(faults, fault)
	}
	return errors.Join(faults...)
}

// newEnvironment declares what an expression can name. The variables have dots in
// their names, rather than fields, so that a misspelt one is found by the checker.
func newEnvironment() (*cel.Env, error) {
	words := cel.ListType(cel.StringType)
	return cel.NewEnv(append(append(ranges(), zones()...),
		cel.Variable("member.role", cel.StringType),
		cel.Variable("member.roles", words),
		cel.Variable("member.permissions", words),
		cel.Variable("member.attributes", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("member.guest", cel.BoolType),
		cel.Variable("user.email", cel.StringType),
		cel.Variable("organization.id", cel.StringType),
		cel.Variable("request.method", cel.StringType),
		cel.Variable("request.path", cel.StringType),
		cel.Variable("request.host", cel.StringType),
		cel.Variable("request.ip", cel.StringType),
		cel.Variable("request.country", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		ext.Network(),
		cel.ParserExpressionSizeLimit(maxCondition),
		cel.ParserRecursionLimit(maxConditionDepth),
		cel.ExpressionNodeLimit(maxConditionNodes),
		cel.ASTValidators(
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			constants{functions: []string{"inRange"}, check: func(s string) error { _, err := parseRange(s); return err }},
			constants{functions: zoned(), check: checkZone, only: "a time zone must be written out, as in now.getHours(\"Europe/Berlin\")"},
		),
	)...)
}

// String returns the expression as it was written.
func (c *Condition) String() string { return c.source }

// Holds reports whether the condition is true of f. An error, such as an attribute
// that the member does not have, means that it can't be said; the caller denies.
func (c *Condition) Holds(f *Facts) (bool, error) {
	if c.program == nil {
		return false, errors.New("condition was not compiled")
	}
	// CEL takes its input as an interface. The copy keeps f off the heap for all
	// the decisions that have no condition.
	v, ok := c.variables.Get().(*variables)
	if !ok {
		v = new(variables)
	}
	v.f = *f
	program := c.program
	if c.brief.fits(&v.f) {
		program = c.brief.program
	}
	out, _, err := program.Eval(v)
	v.f = Facts{} // else it would keep what is somebody's
	c.variables.Put(v)
	if err != nil {
		return false, fmt.Errorf("evaluating a condition: %w", err)
	}
	holds, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("evaluating a condition: got a value of type %s, want bool", out.Type().TypeName())
	}
	return bool(holds), nil
}

// variables are the facts under the names of [newEnvironment]. Strings are CEL's: of a Go string it
// would make one.
type variables struct{ f Facts }

// ResolveName implements [cel.Activation].
func (v *variables) ResolveName(name string) (any, bool) {
	f := &v.f
	switch name {
	case "member.role":
		if len(f.Roles) == 0 {
			return types.String(""), true
		}
		return types.String(f.Roles[0]), true
	case "member.roles":
		return f.Roles, true
	case "member.permissions":
		return f.Permissions, true
	case "member.attributes":
		if f.Attributes == nil {
			return map[string]any{}, true
		}
		return f.Attributes, true
	case "member.guest":
		return f.Guest, true
	case "user.email":
		return types.String(f.Email), true
	case "organization.id":
		return types.String(f.Organization), true
	case "request.method":
		return types.String(f.Request.Method), true
	case "request.path":
		return types.String(f.Request.Path), true
	case "request.host":
		return types.String(f.Request.Host), true
	case "request.ip":
		return types.String(plainIP(f.Request.RemoteIP)), true
	case "request.country":
		return types.String(f.Request.Country), true
	case "now":
		return f.Now.UTC(), true // written out, it is in its zone: that of the machine would be another time elsewhere
	default:
		return nil, false
	}
}

// Parent implements [cel.Activation].
func (v *variables) Parent() cel.Activation { return nil }

// plainIP writes an IPv4 address that came over an IPv6 socket as what it is: a range
// such as 10.0.0.0/8 would not contain it otherwise. The zone is dropped, which is no part
// of an address to compare.
func plainIP(s string) string {
	if !strings.Contains(s, ":") {
		return s
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	return a.Unmap().WithZone("").String()
}
