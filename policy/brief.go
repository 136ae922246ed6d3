package policy

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
)

// To count what an evaluation costs takes several times as long as the evaluation of what most
// conditions say. So a condition of which it is known beforehand that it can't come near a limit,
// whatever the facts say that keep to these bounds, is evaluated without counting; with facts that
// don't, and any other condition, it is counted.
const (
	briefString = 1 << 10 // bytes of a string
	briefList   = 500     // elements of member.roles and member.permissions
	briefLists  = 50_000  // bytes of the elements of one of them
)

// briefCalls are the functions that a brief condition may call. None makes a value that is larger than
// those it gets: it is by making ever larger ones that little work takes much memory.
func briefCalls() []string {
	return append([]string{
		operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional,
		operators.Equals, operators.NotEquals, operators.In,
		operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		"startsWith", "endsWith", "contains", "matches", "size", "timestamp", "inRange",
	}, zoned()...)
}

// A brief says what is looked at of the facts before a condition is evaluated without counting.
type brief struct {
	program            cel.Program // that counts nothing; nil: the condition is not brief
	attributes         []string    // of member.attributes that it reads
	roles, permissions bool        // it reads these
}

// newBrief returns the zero brief for a condition that is none.
func newBrief(env *cel.Env, checked *cel.Ast, patterns patterns) (brief, error) {
	r := briefReader{refs: checked.NativeRep().ReferenceMap(), calls: briefCalls()}
	if !r.reads(checked.NativeRep().Expr()) {
		return brief{}, nil
	}
	most, err := env.EstimateCost(checked, briefSizes{patterns})
	if err != nil || most.Max > maxConditionCost {
		return brief{}, err
	}
	r.found.program, err = env.Program(checked, patterns.options()...)
	return r.found, err
}

// fits reports whether the condition is brief, and f within the bounds.
func (b *brief) fits(f *Facts) bool {
	switch {
	case b.program == nil,
		b.roles && !briefWords(f.Roles), b.permissions && !briefWords(f.Permissions),
		len(f.Roles) > 0 && len(f.Roles[0]) > briefString, // member.role
		len(f.Email) > briefString, len(f.Organization) > briefString,
		len(f.Request.Method) > briefString, len(f.Request.Path) > briefString, len(f.Request.Host) > briefString,
		len(f.Request.RemoteIP) > briefString, len(f.Request.Country) > briefString:
		return false
	}
	for _, name := range b.attributes {
		switch v := f.Attributes[name].(type) {
		case nil, bool, float64:
		case string:
			if len(v) > briefString {
				return false
			}
		default: // whatever is in it, and however much
			return false
		}
	}
	return true
}

func briefWords(words []string) bool {
	if len(words) > briefList {
		return false
	}
	n := 0
	for _, w := range words {
		n += len(w)
	}
	return n <= briefLists
}

// A briefReader goes through a checked expression.
type briefReader struct {
	refs  map[int64]*ast.ReferenceInfo
	calls []string
	found brief
}

// reads notes what e reads, and returns false if it is something that no brief condition has.
func (r *briefReader) reads(e ast.Expr) bool {
	if name := r.variable(e); name != "" {
		r.found.roles = r.found.roles || name == "member.roles"
		r.found.permissions = r.found.permissions || name == "member.permissions"
		return name != "member.attributes" // all of them
	}
	switch e.Kind() {
	case ast.LiteralKind:
		return true
	case ast.ListKind:
		l := e.AsList()
		return len(l.OptionalIndices()) == 0 && !slices.ContainsFunc(l.Elements(), func(x ast.Expr) bool { return x.Kind() != ast.LiteralKind })
	case ast.SelectKind:
		s := e.AsSelect()
		return r.attribute(s.Operand(), s.FieldName())
	case ast.CallKind:
		return r.readsCall(e.AsCall())
	default:
		return false
	}
}

func (r *briefReader) readsCall(c ast.CallExpr) bool {
	args := c.Args()
	if c.FunctionName() == operators.Index {
		name, ok := "", false
		if args[1].Kind() == ast.LiteralKind {
			name, ok = args[1].AsLiteral().Value().(string)
		}
		return ok && r.attribute(args[0], name)
	}
	if c.IsMemberFunction() && !r.reads(c.Target()) {
		return false
	}
	return slices.Contains(r.calls, c.FunctionName()) && !slices.ContainsFunc(args, func(x ast.Expr) bool { return !r.reads(x) })
}

// variable returns the name of the variable that e is, or nothing.
func (r *briefReader) variable(e ast.Expr) string {
	if ref := r.refs[e.ID()]; ref != nil && (e.Kind() == ast.IdentKind || e.Kind() == ast.SelectKind) {
		return variableOf(ref)
	}
	return ""
}

// attribute notes an attribute, if it is one of those of the member, and no part of another.
func (r *briefReader) attribute(of ast.Expr, name string) bool {
	r.found.attributes = append(r.found.attributes, name)
	return r.variable(of) == "member.attributes"
}

// briefSizes are the sizes of what is within the bounds, for the estimate of the cost.
type briefSizes struct{ patterns patterns }

// EstimateSize implements [cost.Estimator].
func (briefSizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 {
		return nil
	}
	switch path[0] {
	case "member.roles", "member.permissions":
		if len(path) == 1 {
			return &cost.SizeEstimate{Max: briefList}
		}
		return nil
	case "member.attributes":
		if len(path) == 1 {
			return nil
		}
	}
	return &cost.SizeEstimate{Max: briefString}
}

// EstimateCallCost implements [cost.Estimator]. Of what is not CEL's own, it is as [rangeCosts] and [patterns] count.
func (s briefSizes) EstimateCallCost(function, _ string, _ *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	switch function {
	case overloads.Matches:
		return s.patterns.estimated(args[len(args)-1].Expr())
	case "inRange":
	default:
		return nil
	}
	ranges := uint64(briefString) // of what is no list
	if size := args[0].ComputedSize(); size != nil {
		ranges = size.Max
	} else if size := s.EstimateSize(args[0]); size != nil {
		ranges = size.Max
	}
	return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: cost.SafeAdd(1, ranges)}}
}
