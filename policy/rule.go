package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Access is what a route rule asks at the least. The zero Access is a member.
type Access uint8

// The accesses.
const (
	Member Access = iota // an active member of the organization
	Public               // anyone; the app gets the identity if there is one
)

// A Rule is one compiled route rule. Make one with [RuleSpec.Compile].
type Rule struct {
	Pattern Pattern
	// Methods are HTTP methods; empty: all. A rule for GET is one for HEAD too.
	Methods []string
	Access  Access
	// Role: the member has this role. Permission: one of the member's roles
	// has it. Empty: not asked.
	Role, Permission string
	// When is a CEL condition over member, user, organization, request; nil: none.
	When *Condition
	// Name is the rule in words, for logs and explain.
	Name string
}

// Rules are the route rules of one app, in the order in which they were written.
type Rules []Rule

// Match returns the first rule that matches, or nil: then an active member is needed,
// and no more. The path is one that [CanonicalPath] returned.
//
// Headers and parameters by which some frameworks let a client override the method
// are not looked at: they are for the app, which must not trust them where a rule
// is about methods.
func (rs Rules) Match(method, path string) *Rule {
	for i := range rs {
		if r := &rs[i]; r.speaksOf(method) && r.Pattern.Match(path) {
			return r
		}
	}
	return nil
}

// MatchFold is Match without regard to case. Many an app (by default: Express, ASP.NET) takes
// /Admin for /admin, so what this rule asks for is asked for too; what it grants is not granted.
func (rs Rules) MatchFold(method, path string) *Rule {
	path = strings.ToLower(path)
	for i := range rs {
		if r := &rs[i]; r.speaksOf(method) && r.Pattern.matchLower(path) {
			return r
		}
	}
	return nil
}

// Unnamed returns the rules about certain methods whose path matches without regard to case, if
// method is one that no rule can name; else none. Many an app takes such a method for a GET, so
// what those rules ask for is asked for too; what they grant is not granted.
func (rs Rules) Unnamed(method, path string) (named []*Rule) {
	if slices.Contains(methodsKnown(), method) {
		return nil
	}
	path = strings.ToLower(path)
	for i := range rs {
		if r := &rs[i]; len(r.Methods) > 0 && r.Pattern.matchLower(path) {
			named = append(named, r)
		}
	}
	return named
}

// speaksOf reports whether the rule is about the HTTP method. An app answers HEAD by
// the handler of GET, so a rule about GET that left HEAD out would leave a side door.
func (r *Rule) speaksOf(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method) ||
		method == "HEAD" && slices.Contains(r.Methods, "GET")
}

// AboutMethods reports whether it makes a difference to the rule which HTTP method a request
// has: because the rule names some, or its condition looks.
func (r *Rule) AboutMethods() bool {
	return len(r.Methods) > 0 || r.When != nil && r.When.readsMethod
}

// A RuleSpec is a route rule as configured.
type RuleSpec struct {
	Path       string
	Methods    []string
	Access     string // "", "member" or "public"
	Role       string
	Permission string
	When       string
}

// A RuleError is what is wrong with one field of a [RuleSpec].
type RuleError struct {
	Field string // as in YAML, such as "path"
	Err   error
}

// Error implements error.
func (e *RuleError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *RuleError) Unwrap() error { return e.Err }

// Compile checks the rule and makes it ready. It reports every fault it finds: the
// error is an [errors.Join] of a *[RuleError] each.
func (s RuleSpec) Compile() (Rule, error) {
	var faults []error
	fault := func(field string, err error) { faults = append(faults, &RuleError{field, err}) }

	r := Rule{Role: s.Role, Permission: s.Permission, Name: s.String()}
	var err error
	if r.Pattern, err = ParsePattern(s.Path); err != nil {
		fault("path", err)
	}
	for _, m := range s.Methods {
		if !slices.Contains(methodsKnown(), m) {
			fault("methods", fmt.Errorf("unknown HTTP method %q: want one of %s", m, strings.Join(methodsKnown(), ", ")))
		}
	}
	r.Methods = slices.Clone(s.Methods)
	switch s.Access {
	case "", "member":
	case "public":
		r.Access = Public
		if s.Role != "" || s.Permission != "" || s.When != "" {
			fault("access", errors.New("public, and yet a role, permission or condition is asked for: want one or the other"))
		}
	default:
		fault("access", fmt.Errorf(`unknown access %q: want "member" or "public"`, s.Access))
	}
	if s.When != "" {
		if r.When, err = ParseCondition(s.When); err != nil {
			fault("when", err)
		}
	}
	if len(faults) > 0 {
		return Rule{}, errors.Join(faults...)
	}
	return r, nil
}

// String returns the rule in words, such as "DELETE /reports/** (permission reports:delete)".
func (s RuleSpec) String() string {
	var asks []string
	if s.Access != "" {
		asks = append(asks, "access "+s.Access)
	}
	if s.Role != "" {
		asks = append(asks, "role "+s.Role)
	}
	if s.Permission != "" {
		asks = append(asks, "permission "+s.Permission)
	}
	if s.When != "" {
		asks = append(asks, "when "+s.When)
	}
	text := s.Path
	if len(s.Methods) > 0 {
		text = strings.Join(s.Methods, " ") + " " + text
	}
	if len(asks) > 0 {
		text += " (" + strings.Join(asks, ", ") + ")"
	}
	return text
}

// methodsKnown are the HTTP methods that a rule may be about. A misspelt one would
// protect nothing, without a word. CONNECT and TRACE never reach an app.
func methodsKnown() []string {
	return []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
		"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "QUERY",
	}
}
