package text

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"
)

var update = flag.Bool("update", false, "sort the catalogue")

// TestEverySentenceHasItsTranslationAndEveryTranslationItsSentence reads the source: each
// format of T, and of t and rich in the templates, is in the catalogue with the same verbs,
// and the catalogue has nothing else.
func TestEverySentenceHasItsTranslationAndEveryTranslationItsSentence(t *testing.T) {
	said := sentences(t)
	if len(said) < 150 {
		t.Fatalf("found %d texts in the source: are they still found?", len(said))
	}
	for _, format := range slices.Sorted(maps.Keys(said)) {
		in, ok := german[format]
		switch want, plain := verbs(format); {
		case !plain:
			t.Errorf("%s: %q has a verb other than %%s and %%d", said[format], format)
		case strings.TrimSpace(format) != format || format == "" || strings.ContainsAny(format, "\n\t") || format[0] == '#':
			t.Errorf("%s: %q is not a line of a catalogue", said[format], format)
		case !ok:
			t.Errorf("%s: %q has no German; add it to internal/text/de.txt", said[format], format)
		default:
			if got, plain := verbs(in); !plain || !slices.Equal(got, want) {
				t.Errorf("%s: %q has the verbs %v, and its German %q has %v", said[format], format, want, in, got)
			}
		}
	}
	for format := range german {
		if said[format] == "" {
			t.Errorf("nothing says %q any more; take it out of internal/text/de.txt", format)
		}
	}
}

// TestTheCatalogueIsInOrder keeps two people's additions from meeting at its end.
func TestTheCatalogueIsInOrder(t *testing.T) {
	var want strings.Builder
	want.WriteString("# English, and below it, behind a tab, German. Sorted; go test ./internal/text -update sorts it.\n")
	for _, format := range slices.SortedFunc(maps.Keys(german), byLetters) {
		want.WriteString("\n" + format + "\n\t" + german[format] + "\n")
	}
	if *update {
		if err := os.WriteFile("de.txt", []byte(want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want.String() != string(germanFile) {
		t.Error("de.txt is not sorted; run go test ./internal/text -update")
	}
}

func byLetters(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

var (
	verb    = regexp.MustCompile(`%(?:\[([1-9])\])?([sd])|%%|%`)
	allowed = regexp.MustCompile(`^%(?:(?:\[[1-9]\])?[sd]|%)$`)
)

// verbs lists which argument a format prints and how, in the order of the arguments;
// plain is false if it has verbs that it should not.
func verbs(format string) (list []string, plain bool) {
	plain, next := true, 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if !allowed.MatchString(m[0]) {
			plain = false
			continue
		}
		if m[2] == "" {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			next = n
		}
		list = append(list, strconv.Itoa(next)+m[2])
		next++
	}
	slices.Sort(list)
	return slices.Compact(list), plain
}

// sentences returns every format in the source, with where it is.
func sentences(t *testing.T) map[string]string {
	t.Helper()
	said := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			return inGo(t, path, said)
		case strings.HasSuffix(path, ".html") && strings.Contains(path, "/templates/"):
			return inTemplate(path, said)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// inGo finds the calls of T.
func inGo(t *testing.T, path string, said map[string]string) error {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	own := f.Name.Name == "text" && strings.HasSuffix(filepath.Dir(path), "internal/text")
	name := ""
	for _, i := range f.Imports {
		if i.Path.Value == `"github.com/orgate/orgate/internal/text"` {
			name = "text"
			if i.Name != nil {
				name = i.Name.Name
			}
		}
	}
	if !own && name == "" {
		return nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		switch f := call.Fun.(type) {
		case *ast.Ident:
			ok = own && f.Name == "T"
		case *ast.SelectorExpr:
			x, isName := f.X.(*ast.Ident)
			ok = isName && name != "" && x.Name == name && f.Sel.Name == "T"
		default:
			ok = false
		}
		if !ok {
			return true
		}
		where := files.Position(call.Pos()).String()
		if format, ok := literal(call.Args[0]); ok {
			said[format] = where
		} else if path != "../../internal/page/view.go" { // which hands on what templates say
			t.Errorf("%s: the format of T is not a literal", where)
		}
		return true
	})
	return nil
}

// literal returns the value of a string literal, or of several joined by +.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}

// inTemplate finds the literals that t and rich are given.
func inTemplate(path string, said map[string]string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	root := parse.New(path)
	root.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := root.Parse(string(file), "", "", trees); err != nil {
		return err
	}
	for _, tree := range trees {
		ofTemplate(tree.Root, func(format string) { said[format] = path })
	}
	return nil
}

// ofTemplate walks everything in which a command can be.
func ofTemplate(n parse.Node, says func(string)) {
	list := func(l *parse.ListNode) {
		if l != nil {
			ofTemplate(l, says)
		}
	}
	pipe := func(p *parse.PipeNode) {
		if p != nil {
			ofTemplate(p, says)
		}
	}
	branch := func(b *parse.BranchNode) {
		pipe(b.Pipe)
		list(b.List)
		list(b.ElseList)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, c := range n.Nodes {
			ofTemplate(c, says)
		}
	case *parse.ActionNode:
		pipe(n.Pipe)
	case *parse.TemplateNode:
		pipe(n.Pipe)
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.PipeNode:
		for _, c := range n.Cmds {
			ofTemplate(c, says)
		}
	case *parse.CommandNode:
		if f, ok := n.Args[0].(*parse.IdentifierNode); ok && (f.Ident == "t" || f.Ident == "rich") && len(n.Args) > 1 {
			if s, ok := n.Args[1].(*parse.StringNode); ok {
				says(s.Text)
			}
		}
		for _, a := range n.Args {
			ofTemplate(a, says)
		}
	}
}
