package policy

import (
	"fmt"
	"slices"

	"cel.dev/cel-go/common/ast"
)

// A matched says which texts of the facts a condition that calls matches reads; the zero matched is of one that does not. They are held to
// [maxMatched] before it is evaluated, as a pattern is not stopped by any limit once it has begun.
type matched struct {
	texts      []string // names of variables
	attributes bool
}

func newMatched(checked *ast.AST) (m matched) {
	if len(ast.MatchDescendants(ast.NavigateAST(checked), ast.FunctionMatcher("matches"))) == 0 {
		return m
	}
	for _, ref := range checked.ReferenceMap() {
		switch ref.Name {
		case "request.method", "request.path", "request.host", "request.ip", "request.country", "user.email":
			m.texts = append(m.texts, ref.Name)
		case "member.attributes":
			m.attributes = true
		}
	}
	slices.Sort(m.texts) // so that of several the same one is named
	m.texts = slices.Compact(m.texts)
	return m
}

func (m matched) check(f *Facts) error {
	for _, name := range m.texts {
		text := ""
		switch name {
		case "request.method":
			text = f.Request.Method
		case "request.path":
			text = f.Request.Path
		case "request.host":
			text = f.Request.Host
		case "request.ip":
			text = f.Request.RemoteIP
		case "request.country":
			text = f.Request.Country
		case "user.email":
			text = f.Email
		}
		if len(text) > maxMatched {
			return fmt.Errorf("%s has %d bytes: a pattern is held against %d at the most", name, len(text), maxMatched)
		}
	}
	if !m.attributes {
		return nil
	}
	for _, v := range f.Attributes {
		if hasLongText(v) {
			return fmt.Errorf("member.attributes has a text of more than %d bytes: a pattern is held against no more", maxMatched)
		}
	}
	return nil
}

// hasLongText reports whether a pattern must not be held against what is in v, which is read from JSON.
func hasLongText(v any) bool {
	switch v := v.(type) {
	case string:
		return len(v) > maxMatched
	case []string:
		for _, s := range v {
			if len(s) > maxMatched {
				return true
			}
		}
	case []any:
		if slices.ContainsFunc(v, hasLongText) {
			return true
		}
	case map[string]any:
		for name, x := range v {
			if len(name) > maxMatched || hasLongText(x) {
				return true
			}
		}
	}
	return false
}
