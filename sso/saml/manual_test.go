package saml

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/orgate/orgate/sso/idp"
	"github.com/orgate/orgate/sso/ssotest"
)

var updateManual = flag.Bool("update", false, "write the tables of the docs that are made from code")

// table compares what is between two comments of a page with what the code makes of it.
func table(t *testing.T, page, name, want string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+": made by ./scripts/generate -->\n\n", "\n<!-- end of "+name+" -->"
	before, rest, found := strings.Cut(string(b), begin)
	got, after, whole := strings.Cut(rest, end)
	if !found || !whole {
		t.Fatalf("%s has no place for %q", page, name)
	}
	if got == want {
		return
	}
	if !*updateManual {
		t.Fatalf("%s is not what the code says of %s; run ./scripts/generate", page, name)
	}
	if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// codes returns the constants of type Code, in the order of errors.go.
func codes(t *testing.T) (out []Code) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	shared := map[string]Code{
		"CodeConnection": idp.CodeConnection, "CodeState": idp.CodeState, "CodeFlowExpired": idp.CodeFlowExpired, "CodeTooLarge": idp.CodeTooLarge,
		"CodeDenied": idp.CodeDenied, "CodeResponseIssuer": idp.CodeResponseIssuer, "CodeNoEmail": idp.CodeNoEmail,
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			s, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, Code(s))
			return true
		}
		c, ok := shared[spec.Names[0].Name]
		if !ok {
			t.Fatalf("%s is new: name it here", spec.Names[0].Name)
		}
		out = append(out, c)
		return true
	})
	return out
}

// TestTheManualHasEveryCode makes the table of checks of docs/saml.md.
func TestTheManualHasEveryCode(t *testing.T) {
	var b strings.Builder
	b.WriteString("| `check` | the person reads | what it is, or what to do |\n|---|---|---|\n")
	for _, c := range codes(t) {
		said, hint, _ := describe(c)
		if hint == "" {
			t.Errorf("%s has no hint", c)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c, cell(said.String()), cell(hint))
	}
	table(t, "../../docs/saml.md", "checks", b.String())
}

// TestTheManualHasEveryAttributeName: the names that are read are on the page, in their order.
func TestTheManualHasEveryAttributeName(t *testing.T) {
	page, err := os.ReadFile("../../docs/saml.md")
	if err != nil {
		t.Fatal(err)
	}
	for what, names := range map[string][]string{"address": emailNames, "name": fullNames, "first name": firstNames, "last name": lastNames, "groups": groupNames} {
		if list := "`" + strings.Join(names, "`, `") + "`"; !strings.Contains(string(page), list) {
			t.Errorf("docs/saml.md does not have the names of %s: %s", what, list)
		}
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// An attackRow is what the table says of an attack.
type attackRow struct{ name, what, check string }

// TestTheManualHasEveryAttack makes the tables of attacks of docs/security.md: by what is to catch
// them, in the order in which that is first named.
func TestTheManualHasEveryAttack(t *testing.T) {
	var signIn, logout []attackRow
	for _, a := range ssotest.SAMLAttacks() {
		signIn = append(signIn, attackRow{a.Name, a.What, a.Check})
	}
	for _, a := range ssotest.SAMLLogoutAttacks() {
		logout = append(logout, attackRow{a.Name, a.What, a.Check})
	}
	table(t, "../../docs/security.md", "saml attacks", attackTable(t, signIn, "responses", "TestAttacksAreRefused")+
		"\n"+attackTable(t, logout, "logout requests", "TestLogoutAttacksAreRefused"))
}

func attackTable(t *testing.T, attacks []attackRow, what, test string) string {
	t.Helper()
	var order, taken []string
	by := map[string][]string{}
	for _, a := range attacks {
		if a.name == "" || a.what == "" || a.check == "" {
			t.Errorf("%q does not say what it is", a.name)
		}
		if why := lenient[a.name]; why != "" {
			taken = append(taken, fmt.Sprintf("* `%s`: %s\n", a.name, why))
			continue
		}
		if by[a.check] == nil {
			order = append(order, a.check)
		}
		by[a.check] = append(by[a.check], a.name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s, each refused by `%s`:\n\n| must hold | attacks |\n|---|---|\n", len(attacks)-len(taken), what, test)
	for _, check := range order {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(check), attackNames(by[check]))
	}
	if len(taken) > 0 {
		fmt.Fprintf(&b, "\nAnd not refused by that test:\n\n%s", strings.Join(taken, ""))
	}
	return b.String()
}

var numbered = regexp.MustCompile(`^(.*?)(\d+)$`)

// attackNames lists attacks; of those that differ by a number at the end alone, the first and the last.
func attackNames(attacks []string) string {
	var names []string
	for i := 0; i < len(attacks); i++ {
		first := attacks[i]
		last := first
		if m := numbered.FindStringSubmatch(first); m != nil {
			for i+1 < len(attacks) {
				n := numbered.FindStringSubmatch(attacks[i+1])
				if n == nil || n[1] != m[1] {
					break
				}
				i++
				last = attacks[i]
			}
		}
		if names = append(names, "`"+first+"`"); last != first {
			names[len(names)-1] += " to `" + last + "`"
		}
	}
	return strings.Join(names, ", ")
}
