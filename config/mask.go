package config

import (
	"cmp"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

var (
	// anyPair finds a key, up to its value, in a line that could not be parsed.
	anyPair  = regexp.MustCompile(`([\w-]+)["']?\s*:`)
	userinfo = regexp.MustCompile(`[^\s"']*[:/][^\s"']*@`) // with the scheme, if there is one
	// reference is a value that is no secret itself: it says where the secret is.
	reference = regexp.MustCompile(`^\$\{(file:[^{}]*|[A-Za-z_][A-Za-z0-9_]*)\}$`)
)

// isSecretName reports whether a key of that name has a secret value: it is one of ours,
// or close to one. It finds too many rather than too few, as a misspelt key has a
// secret just as well.
func isSecretName(name string) bool {
	if name == "url" { // of postgres
		return true
	}
	lower := strings.ToLower(name)
	for _, part := range []string{"secret", "passw", "passphrase", "token", "credential"} {
		if strings.Contains(lower, part) {
			return true
		}
	}
	if strings.HasSuffix(lower, "key") {
		return true
	}
	for _, ours := range []string{"client_secret", "secrets_key", "password", "token"} {
		if distance(lower, ours) <= 2 {
			return true
		}
	}
	return false
}

// masked returns a line of a parsed file, in which an ellipsis takes the place of every
// secret: from where its value begins to where the next key or value does. A value that
// began on an earlier line may go on here. The column, from 1, moves along.
func (f *file) masked(n, column int) (line []rune, caret int) {
	if f.marks == nil {
		f.marks = appendMarks(nil, f.root, false)
	}
	text := f.line(n)
	line = []rune(text)
	first := sort.Search(len(f.marks), func(i int) bool { return f.marks[i].line >= n })
	here := []mark{{line: n, column: 1, secret: first > 0 && f.marks[first-1].secret}}
	for i := first; i < len(f.marks) && f.marks[i].line == n; i++ {
		here = append(here, f.marks[i])
	}
	var spans [][2]int
	for i, m := range here {
		to := len(line)
		if i+1 < len(here) {
			to = here[i+1].column - 1
		}
		if m.secret {
			spans = append(spans, [2]int{m.column - 1, to})
		}
	}
	for _, at := range userinfo.FindAllStringIndex(text, -1) {
		spans = append(spans, [2]int{utf8.RuneCountInString(text[:at[0]]), utf8.RuneCountInString(text[:at[1]]) - 1})
	}
	return hide(line, spans, column-1)
}

// hide puts one ellipsis in place of each span, however long it is: the length of a
// secret is a secret too.
func hide(line []rune, spans [][2]int, column int) (out []rune, caret int) {
	slices.SortFunc(spans, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	caret, done := -1, 0
	copyTo := func(to int) {
		if column >= done && column < to {
			caret = len(out) + column - done
		}
		out, done = append(out, line[done:to]...), to
	}
	for _, s := range spans {
		from, to := min(max(s[0], done), len(line)), min(s[1], len(line))
		if to <= from || strings.TrimSpace(string(line[from:to])) == "" {
			continue
		}
		copyTo(from)
		if column >= from && column < to {
			caret = len(out)
		}
		out, done = append(out, ellipsis), to
		if to < len(line) && line[to] != '@' {
			out = append(out, ' ')
		}
	}
	copyTo(len(line))
	if caret < 0 {
		caret = len(out)
	}
	return out, caret
}

// appendMarks appends the marks of n and of all below it. Under a secret key everything is secret.
func appendMarks(ms []mark, n *yaml.Node, secret bool) []mark {
	if n == nil {
		return ms
	}
	ms = append(ms, mark{n.Line, n.Column, secret && n.Kind == yaml.ScalarNode && !reference.MatchString(n.Value)})
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			ms = appendMarks(ms, n.Content[i], secret)
			ms = appendMarks(ms, n.Content[i+1], secret || isSecretName(n.Content[i].Value))
		}
		return ms
	}
	for _, c := range n.Content {
		ms = appendMarks(ms, c, secret)
	}
	return ms
}

// maskUnparsed returns what may be shown of a line of a file that is not YAML. There, the
// value of a secret key is whatever follows it. ok is false if nothing may be shown: a
// secret of an earlier line may go on here.
func (f *file) maskUnparsed(n int) (text string, ok bool) {
	line := f.line(n)
	if len(line) > maxLine || !anyPair.MatchString(line) || f.secretMayReach(n) || f.secretIsDue(n) {
		return "", false
	}
	if key := secretKey(line); key != nil {
		line = line[:key[1]] + " " + string(ellipsis)
	}
	return userinfo.ReplaceAllString(line, string(ellipsis)+"@"), true
}

// secretKey returns where the first secret key of a line is, from its name to its colon.
func secretKey(line string) []int {
	for _, at := range anyPair.FindAllStringSubmatchIndex(line, -1) {
		if isSecretName(line[at[2]:at[3]]) {
			return at
		}
	}
	return nil
}

// secretMayReach reports whether the value of a secret key above line n may go on there. It
// does not, if quotes and brackets are closed by then and the line is no deeper than the
// key: then it is a key, or an entry, beside it or further out.
func (f *file) secretMayReach(n int) bool {
	depth, reach := 0, false
	quotes := map[rune]int{}
	for i := 1; i < n; i++ {
		line := f.line(i)
		if len(line) > maxLine {
			return true
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if secretKey(line) != nil {
			depth, reach = indentation(line), true
		}
		for _, c := range line {
			switch c {
			case '"', '\'':
				quotes[c]++
			case '[', '{':
				quotes['[']++
			case ']', '}':
				quotes['[']--
			}
		}
	}
	return reach && (quotes['"']%2 != 0 || quotes['\'']%2 != 0 || quotes['['] != 0 || indentation(f.line(n)) > depth)
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// secretIsDue reports whether the nearest key above line n is a secret one whose value is
// not beside it: then it may be here, however this line is indented.
func (f *file) secretIsDue(n int) bool {
	for n--; n > 0; n-- {
		line := strings.TrimSpace(f.line(n))
		if key, ok := strings.CutPrefix(line, "?"); ok {
			return isSecretName(strings.Trim(key, ` "'`))
		}
		if strings.HasPrefix(line, "#") || !anyPair.MatchString(line) {
			continue
		}
		key := secretKey(line)
		return key != nil && strings.Trim(line[key[1]:], " |>+-0123456789") == ""
	}
	return false
}
