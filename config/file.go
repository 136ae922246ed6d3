package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

const (
	maxFile  = 16 << 20  // bytes of one YAML file: 10,000 organizations are about 5 MiB
	maxNodes = 1_500_000 // keys and values of one file, about: 10,000 organizations have 500,000
	maxDepth = 32        // of lists and mappings in each other; the keys go 6 deep
	maxLine  = 4096      // bytes of a line that a fault shows
)

// nodes returns how many keys and values there can be in data, at the most: all but the
// first come after one of these.
func nodes(data []byte) (n int) {
	for _, c := range data {
		if c == ',' || c == ':' || c == '\n' || c == '\r' {
			n++
		}
	}
	return n
}

// A file is one YAML file, read and parsed.
type file struct {
	name string
	data []byte
	root *yaml.Node // nil: an empty file, or one that can't be parsed
	// marks are all keys and values in the order of the file, and starts is where
	// lines begin. Both are made when first needed: a file without faults needs neither.
	marks  []mark
	starts []int
}

// A mark is where a key or value begins, and whether it is a secret.
type mark struct {
	line, column int
	secret       bool
}

// parse parses data. fault is what keeps it from being YAML; nil: it is.
func parse(name string, data []byte) (f *file, fault *Fault) {
	f = &file{name: name, data: data}
	if len(data) > maxFile || nodes(data) > maxNodes {
		return f, &Fault{File: name, Message: "is too long", Hint: "a file has up to 16 MiB, and about 30,000 organizations: use several, and name them in organization_files"}
	}
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth))
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(limits))
	if err != nil {
		return f, new(f.syntax(err))
	}
	var doc yaml.Node
	switch err := loader.Load(&doc); {
	case errors.Is(err, io.EOF):
		return f, nil
	case err != nil:
		return f, new(f.syntax(err))
	}
	var next yaml.Node
	switch err := loader.Load(&next); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return f, new(f.syntax(err))
	default:
		return f, new(f.unparsedAt(max(next.Line, 1), max(next.Column, 1), "a second document begins here", "a file has one document: remove the line ---"))
	}
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		f.root = doc.Content[0]
	}
	if isNull(f.root) && f.root != nil && f.root.Value == "" {
		f.root = nil
	}
	return f, nil
}

// syntax makes a fault of what the YAML parser says. Texts of its later stages are not
// repeated, as they quote the file.
func (f *file) syntax(err error) Fault {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return Fault{File: f.name, Message: "can't be parsed as YAML"}
	}
	fault := Fault{File: f.name, Line: e.Mark.Line, Column: e.Mark.Column, Message: "not YAML: " + e.Message}
	if e.ContextMsg != "" {
		fault.Message += ", " + e.ContextMsg
		if e.ContextMark.Line != e.Mark.Line {
			fault.Message += fmt.Sprintf(" that begins at line %d", e.ContextMark.Line)
		}
	}
	switch e.Stage {
	case yaml.ReaderStage:
		// The reader knows no position, and its message has no more than a byte.
		fault.Line, fault.Column = f.badByte()
		fault.Hint = "a file is UTF-8 without control characters"
	case yaml.ScannerStage, yaml.ParserStage:
	default:
		fault.Message = "not YAML: " + string(e.Stage) + " error"
		fault.Hint = "anchors (&) and aliases (*) are not supported: write the value out"
	}
	switch {
	case strings.Contains(e.Message, "mapping values are not allowed"):
		fault.Hint = "put a value that contains \": \" into quotes, and check the indentation"
	case strings.Contains(e.Message, "cannot start any token"), strings.Contains(e.Message, "tab character"):
		fault.Hint = "indent with blanks, not tabs; put a value that begins with @, ` or % into quotes"
	}
	return f.unparsedAt(fault.Line, fault.Column, fault.Message, fault.Hint)
}

// unparsedAt returns a fault at a place in a file of which no more is known than its text.
func (f *file) unparsedAt(line, column int, message, hint string) Fault {
	fault := Fault{File: f.name, Line: line, Column: column, Message: message, Hint: hint}
	if text, ok := f.maskUnparsed(line); ok {
		fault.Text, fault.caret = window([]rune(text), column-1)
	}
	return fault
}

// badByte returns where the first byte is that can't be in YAML.
func (f *file) badByte() (line, column int) {
	line, column = 1, 1
	for rest := f.data; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return line, column
		case r == '\n':
			line, column = line+1, 0
		}
		rest, column = rest[n:], column+1
	}
	return 0, 0
}

// line returns the text of a line, from 1.
func (f *file) line(n int) string {
	if f.starts == nil {
		f.starts = []int{0}
		for i, c := range f.data {
			if c == '\n' {
				f.starts = append(f.starts, i+1)
			}
		}
	}
	if n < 1 || n > len(f.starts) {
		return ""
	}
	line, _, _ := bytes.Cut(f.data[f.starts[n-1]:], []byte("\n"))
	return strings.TrimSuffix(string(line), "\r")
}

// faultAt returns a fault at a place in a file that was parsed.
func (f *file) faultAt(line, column int, message, hint string) Fault {
	fault := Fault{File: f.name, Line: line, Column: column, Message: message, Hint: hint}
	if len(f.line(line)) <= maxLine {
		text, caret := f.masked(line, column)
		fault.Text, fault.caret = window(text, caret)
	}
	return fault
}

func isNull(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
