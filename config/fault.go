package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Fault is one thing that is wrong with a configuration, and where.
type Fault struct {
	File string
	// Line and Column count from 1, Column in characters. Line 0: the file as a whole.
	Line, Column int
	// Text is the line itself, with the values of secret keys masked, and cut
	// around the column if it is long.
	Text string
	// Message says what is wrong, Hint what to do; Hint may be empty.
	Message, Hint string

	caret int // the column in Text, from 0
}

// Error returns the place and what is wrong, in one line.
func (f Fault) Error() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.File, f.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// String returns the fault as a person wants to see it: the place and what is wrong, the
// line with a caret below, and the hint.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Error())
	gutter := "    "
	if f.Text != "" {
		fmt.Fprintf(&b, "\n%4d | %s\n%s | %s^", f.Line, f.Text, gutter, strings.Repeat(" ", f.caret))
	}
	if f.Hint != "" {
		fmt.Fprintf(&b, "\n%s = %s", gutter, f.Hint)
	}
	return b.String()
}

// Faults are all that is wrong, by file, line and column.
type Faults []Fault

// Error returns all faults, as [Fault.String] does, with an empty line between them.
func (fs Faults) Error() string {
	texts := make([]string, len(fs))
	for i, f := range fs {
		texts[i] = f.String()
	}
	return strings.Join(texts, "\n\n")
}

// maxFaults is how many faults are kept: whoever has more has one cause for most of them.
const maxFaults = 1000

// add keeps f, unless there are enough already.
func (fs *Faults) add(f Fault) {
	switch {
	case len(*fs) < maxFaults:
		*fs = append(*fs, f)
	case len(*fs) == maxFaults:
		*fs = append(*fs, Fault{File: "\uffff", Message: "more faults are not shown"})
	}
}

// full reports whether another fault would not be kept.
func (fs Faults) full() bool { return len(fs) > maxFaults }

// sorted returns fs in order, each fault once.
func (fs Faults) sorted() Faults {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	fs = slices.Compact(fs)
	if n := len(fs); n > 1 && fs[n-1].File == "\uffff" {
		fs[n-1].File = fs[0].File
	}
	return fs
}

const (
	maxShown = 120 // characters of a line in a fault
	ellipsis = '…'
)

// window cuts a line to what fits around column (from 0), makes blanks of tabs, and
// hides what a terminal would act on.
func window(line []rune, column int) (string, int) {
	column = min(max(column, 0), len(line))
	from, to := 0, len(line)
	if len(line) > maxShown {
		from = min(max(0, column-maxShown/2), len(line)-maxShown)
		to = from + maxShown
	}
	var out []rune
	if from > 0 {
		out = append(out, ellipsis)
		column++
	}
	for _, r := range line[from:to] {
		switch {
		case r == '\t':
			r = ' '
		case !shows(r):
			r = '?'
		}
		out = append(out, r)
	}
	if to < len(line) {
		out = append(out, ellipsis)
	}
	return string(out), column - from
}

// shows reports whether r can be printed as it is: control characters, and those that
// turn the direction of text around, would let a file forge what a terminal, a log or a header says.
func shows(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0,
		r == '\u2028', r == '\u2029', r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069',
		r == '\ufeff', r == '\ufffd':
		return false
	}
	return true
}
