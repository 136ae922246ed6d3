package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxPattern is the longest pattern in bytes.
const maxPattern = 1024

// A Pattern is a compiled path pattern; see [ParsePattern]. The zero Pattern matches
// nothing.
type Pattern struct {
	source   string
	segments []glob
	lower    []glob // segments in lower case
	tail     bool   // ends in /**
}

// A glob is the pattern of one segment: the literal parts between its stars. One part
// is a literal; two empty ones are a whole segment.
type glob []string

// ParsePattern reads a path pattern. It is an absolute path, in which
//
//   - stands for one segment, or for any part of one: /orgs/*/logo-*.png
//     **  stands for any number of segments, none included; at the end only: /admin/**
//
// and all else for itself, with regard to case. So /admin/** matches /admin too.
//
// A pattern is matched against the path as [CanonicalPath] returns it: decoded, and
// nothing after the path. A slash at the end of either makes no difference, because
// apps differ in whether it does, and a rule must not end where the app's own
// routing goes on. What no canonical path can match is an error: such a rule would
// look like protection, and protect nothing.
func ParsePattern(s string) (Pattern, error) {
	switch {
	case s == "":
		return Pattern{}, errors.New("empty path pattern: want a path such as /admin/**")
	case len(s) > maxPattern:
		return Pattern{}, fmt.Errorf("bad path pattern: %d bytes, want at most %d", len(s), maxPattern)
	case s[0] != '/':
		return Pattern{}, fmt.Errorf("bad path pattern %q: want a / at the beginning", s)
	case !utf8.ValidString(s):
		return Pattern{}, fmt.Errorf("bad path pattern %q: not UTF-8", s)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`%?#;\`, r) }); i >= 0 {
		hint := "can't be in a path that is matched"
		switch s[i] {
		case '%':
			hint = "paths are matched decoded, so write the character itself"
		case '?', '#':
			hint = "only the path is matched, without the query"
		}
		return Pattern{}, fmt.Errorf("bad path pattern %q: %q at byte %d: %s", s, s[i], i, hint)
	}
	p := Pattern{source: s}
	rest := strings.TrimSuffix(s[1:], "/")
	if rest == "" {
		if s != "/" {
			return Pattern{}, fmt.Errorf("bad path pattern %q: empty segment", s)
		}
		return p, nil
	}
	names := strings.Split(rest, "/")
	for i, name := range names {
		switch {
		case name == "":
			return Pattern{}, fmt.Errorf("bad path pattern %q: empty segment", s)
		case name == "." || name == "..":
			return Pattern{}, fmt.Errorf("bad path pattern %q: dot segment %q", s, name)
		case name == "**" && i == len(names)-1:
			p.tail = true
		case strings.Contains(name, "**"):
			return Pattern{}, fmt.Errorf("bad path pattern %q: ** is for the whole last segment only, as in /admin/**", s)
		default:
			p.segments = append(p.segments, strings.Split(name, "*"))
			p.lower = append(p.lower, strings.Split(strings.ToLower(name), "*"))
		}
	}
	return p, nil
}

// String returns the pattern as it was written.
func (p Pattern) String() string { return p.source }

// Match reports whether p matches a path that [CanonicalPath] returned.
func (p Pattern) Match(path string) bool { return p.match(p.segments, path) }

// matchLower is Match without regard to case; path is in lower case.
func (p Pattern) matchLower(path string) bool { return p.match(p.lower, path) }

func (p Pattern) match(segments []glob, path string) bool {
	if p.source == "" || path == "" || path[0] != '/' {
		return false
	}
	rest := strings.TrimSuffix(path[1:], "/")
	more := rest != ""
	for _, g := range segments {
		if !more {
			return false
		}
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if !g.match(segment) {
			return false
		}
	}
	return p.tail || !more
}

// match reports whether the segment begins with the first part, ends with the last,
// and has the others in between, in order. Taking each at its first place is right,
// as that leaves the most for the rest, and takes linear time.
func (g glob) match(segment string) bool {
	if len(g) == 1 {
		return segment == g[0]
	}
	rest, ok := strings.CutPrefix(segment, g[0])
	if !ok || segment == "" {
		return false
	}
	last := len(g) - 1
	for _, part := range g[1:last] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, g[last])
}
