package audit_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/orgate/orgate/audit"
)

var update = flag.Bool("update", false, "write the docs")

const (
	docsPage  = "../docs/events.md"
	docsBegin = "<!-- events: made by scripts/generate from audit/names.go -->\n"
	docsEnd   = "<!-- end of events -->\n"
)

// eventTable is the list of events as the docs have it: the names of names.go, and what is said
// of them there.
func eventTable(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	subscribable := audit.Subscribable()
	var rows []string
	for _, decl := range f.Decls {
		for _, spec := range decl.(*ast.GenDecl).Specs {
			v := spec.(*ast.ValueSpec)
			name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(strings.Fields(v.Doc.Text()+v.Comment.Text()), " ")
			said = strings.TrimPrefix(said, v.Names[0].Name+": ")
			webhook := "yes"
			if !slices.Contains(subscribable, name) {
				webhook = "no"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", name, webhook, said))
		}
	}
	slices.Sort(rows)
	return "| event | webhook | |\n|---|---|---|\n" + strings.Join(rows, "")
}

func TestTheEventsInTheDocsAreThoseThatThereAre(t *testing.T) {
	b, err := os.ReadFile(docsPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), docsBegin)
	table, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatal("docs/events.md has no place for the events")
	}
	want := eventTable(t)
	if *update {
		if err := os.WriteFile(docsPage, []byte(before+docsBegin+want+docsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Error("docs/events.md is not up to date: run scripts/generate")
	}
}
