package policy

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// What patterns may be. Package regexp takes time in proportion to text and program, but a pattern of a few bytes may have a
// program of gigabytes, and once it runs nothing stops it. So each pattern is measured before it is compiled, and a text before it is
// matched; what a call takes is counted. An instruction takes some 7 ns for each byte of text, and
// 12 where it is a class of many ranges: a call 10 ms at the worst, and all the calls of one condition, up to the limit of its cost and
// with one that goes beyond it, 20, on one core of 2026 that has nothing else to do (BenchmarkTheSlowestConditions).
const (
	maxRegexp      = 1 << 10 // bytes of a pattern
	maxProgram     = 450     // instructions of its program
	maxPrograms    = 2000    // of those of a condition together
	maxTables      = 64      // of a condition; see [tables]
	maxMatched     = 2 << 10 // bytes of a text
	matchesPerCost = 48      // instructions, times bytes, that cost as much as one of CEL's own steps
)

// boundedMatches is what the calls of matches become. It is another name, as CEL puts functions of its own where it finds its own.
const boundedMatches = "orgate_matches"

// A pattern is one that a condition matches texts by.
type pattern struct {
	size     uint64 // of its program
	compiled *regexp.Regexp
}

// patterns are those of a condition, by how they are written.
type patterns map[string]*pattern

// readPatterns reads the patterns of what is only parsed: nothing has compiled them yet. Its errors are those of [ParseCondition].
func readPatterns(parsed *ast.AST) (patterns, error) {
	found := patterns{}
	var faults []error
	var size uint64
	read := 0
	for _, e := range ast.MatchDescendants(ast.NavigateAST(parsed), ast.KindMatcher(ast.CallKind)) {
		call := e.AsCall()
		args := call.Args()
		if strings.TrimPrefix(call.FunctionName(), ".") != "matches" || len(args) == 0 {
			continue
		}
		written := args[len(args)-1]
		fault := func(format string, values ...any) {
			at := parsed.SourceInfo().GetStartLocation(written.ID())
			faults = append(faults, &ConditionError{Line: max(at.Line(), 1), Column: max(at.Column()+1, 1), Text: fmt.Sprintf(format, values...)})
		}
		if written.Kind() != ast.LiteralKind {
			fault(`the pattern of matches must be written out, as in request.path.matches("^/a/[0-9]+$")`)
			continue
		}
		text, ok := written.AsLiteral().Value().(string)
		if !ok || found[text] != nil {
			continue // what is no string, the types say
		}
		if len(text) > maxRegexp {
			fault("the pattern of matches has %d bytes, want at most %d", len(text), maxRegexp)
			continue
		}
		if read += tables(text); read > maxTables {
			fault(`the patterns of matches have too many classes such as \pL, or ranges of characters beyond ASCII`)
			continue
		}
		re, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			fault("bad pattern of matches: %v", err)
			continue
		}
		p := &pattern{size: programSize(re)}
		if p.size > maxProgram {
			fault("the pattern of matches takes %d instructions, want at most %d: it repeats too much", p.size, maxProgram)
			continue
		}
		if size += p.size; size > maxPrograms {
			fault("the patterns of matches take more than %d instructions together", maxPrograms)
			continue
		}
		found[text] = p
	}
	return found, errors.Join(faults...)
}

// tables says what it takes to read a pattern, as far as that is more than its length: a class of Unicode copies a table, and of
// a range without regard to case, which is a tenth of a second for fifty of most characters, the other cases of each are looked up.
func tables(pattern string) int {
	n := strings.Count(pattern, `\p`) + strings.Count(pattern, `\P`)
	beyond := strings.IndexFunc(pattern, func(r rune) bool { return r > 0x7f }) >= 0
	for _, escape := range []string{`\x`, `\0`, `\1`, `\2`, `\3`, `\4`, `\5`, `\6`, `\7`} {
		beyond = beyond || strings.Contains(pattern, escape)
	}
	if beyond {
		n += 4 * strings.Count(pattern, "-")
	}
	return n
}

// programSize returns how many instructions a program has at the most, without making it. A class counts by its length too.
func programSize(re *syntax.Regexp) uint64 {
	const bounds = 2 // each program begins with one that fails, and ends with the match
	return bounds + instructions(re)
}

func instructions(re *syntax.Regexp) uint64 {
	var n uint64
	for _, sub := range re.Sub {
		n += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		n = uint64(len(re.Rune))
	case syntax.OpCharClass:
		n = 1 + uint64(len(re.Rune))/64
	case syntax.OpCapture, syntax.OpStar:
		n += 2
	case syntax.OpPlus, syntax.OpQuest:
		n++
	case syntax.OpAlternate:
		n += uint64(len(re.Sub))
	case syntax.OpRepeat: // as often as it must be there, and as often as it may, after a choice each
		if re.Max < 0 {
			return uint64(max(re.Min, 1))*n + 2
		}
		n = uint64(re.Min)*n + uint64(re.Max-re.Min)*(n+1)
	case syntax.OpConcat:
	default:
		n = 1
	}
	return max(n, 1)
}

// decorate puts the bounded function in the place of CEL's, when a program is made.
func (ps patterns) decorate(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || call.Function() != overloads.Matches {
		return i, nil
	}
	args := call.Args()
	if len(args) != 2 {
		return nil, errors.New("matches takes a text and a pattern")
	}
	constant, ok := args[1].(interpreter.InterpretableConst)
	if !ok {
		return nil, errors.New("the pattern of matches is not written out")
	}
	text, _ := constant.Value().Value().(string)
	p := ps[text]
	if p == nil {
		return nil, errors.New("a pattern of matches was not measured")
	}
	if p.compiled == nil {
		compiled, err := regexp.Compile(text)
		if err != nil {
			return nil, err
		}
		p.compiled = compiled
	}
	return interpreter.NewCall(call.ID(), boundedMatches, boundedMatches, args, func(values ...ref.Val) ref.Val {
		in, ok := values[0].Value().(string)
		if !ok {
			return types.MaybeNoSuchOverloadErr(values[0])
		}
		if len(in) > maxMatched {
			return types.NewErr("matches: the text has %d bytes, a pattern is held against %d at the most", len(in), maxMatched)
		}
		return types.Bool(p.compiled.MatchString(in))
	}), nil
}

// cost is what a call takes.
func (p *pattern) cost(text uint64) uint64 {
	return 1 + p.size*(min(text, maxMatched)+1)/matchesPerCost
}

// tracked counts the calls.
func (ps patterns) tracked() cost.TrackerOption {
	return cost.OverloadTracker(boundedMatches, func(args []ref.Val, _ ref.Val) *uint64 {
		n := uint64(maxConditionCost)
		text, _ := args[1].Value().(string)
		if p := ps[text]; p != nil {
			in, _ := args[0].Value().(string)
			n = p.cost(uint64(len(in)))
		}
		return &n
	})
}

// estimated is the most that a call may cost.
func (ps patterns) estimated(written ast.Expr) *cost.CallEstimate {
	n := uint64(maxConditionCost) + 1
	if written.Kind() == ast.LiteralKind {
		text, _ := written.AsLiteral().Value().(string)
		if p := ps[text]; p != nil {
			n = p.cost(maxMatched)
		}
	}
	return &cost.CallEstimate{CostEstimate: cost.Estimate{Min: 1, Max: n}}
}

// options are those of a program of the condition.
func (ps patterns) options() []cel.ProgramOption {
	return []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.CustomDecoratorV2(ps.decorate)}
}
