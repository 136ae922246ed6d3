package policy

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
	// Methods are HTTP methods; empty: all.
	Methods []string
	Access  Access
	// Role: the member has this role. Permission: one of the member's roles
	// has it. Empty: not asked.
	Role, Permission string
	// When is a CEL condition over member, user, organization, request; nil: none.
	When *Condition
	// Name is the rule as a person wrote it, for logs and explain.
	Name string
}

// A Pattern is a compiled path pattern; see [ParsePattern].
type Pattern struct{}

// A Condition is a compiled CEL expression; see [ParseCondition].
type Condition struct{}

// A RuleSpec is a route rule as configured.
type RuleSpec struct {
	Path       string
	Methods    []string
	Access     string // "", "member" or "public"
	Role       string
	Permission string
	When       string
}
