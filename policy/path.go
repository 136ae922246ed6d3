package policy

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxPath      = 8 << 10 // bytes, as sent
	maxDecodings = 4       // after which a path must have come to an end
)

// A PathFault is why a request path is refused.
type PathFault uint8

// The faults. The first kind is never forwarded. The second kind is read in two ways
// by different servers; an operator may have it forwarded all the same (see
// [PathError.Ambiguous]).
const (
	PathNotAbsolute PathFault = 1 + iota // not exactly one slash at the beginning
	PathTooLong
	PathControl   // a control byte or a space, raw or encoded
	PathBackslash // raw
	PathFragment  // a number sign
	PathEscape    // an invalid or unending percent escape
	PathNotUTF8
	PathDots // a dot segment, raw, encoded or encoded again

	PathEncodedSlash     // encoded once or more often
	PathEncodedBackslash // encoded once or more often
	PathParameter        // a semicolon
	PathEmptySegment     // two slashes running
)

// String returns the fault in words.
func (p PathFault) String() string {
	switch p {
	case PathNotAbsolute:
		return "not exactly one slash at the beginning"
	case PathTooLong:
		return "too long"
	case PathControl:
		return "control byte"
	case PathBackslash:
		return "backslash"
	case PathFragment:
		return "fragment"
	case PathEscape:
		return "invalid percent escape"
	case PathNotUTF8:
		return "not UTF-8"
	case PathDots:
		return "dot segment"
	case PathEncodedSlash:
		return "encoded slash"
	case PathEncodedBackslash:
		return "encoded backslash"
	case PathParameter:
		return "semicolon"
	case PathEmptySegment:
		return "empty segment"
	default:
		return "no fault"
	}
}

// A PathError is returned by [CanonicalPath]. It does not hold the path.
type PathError struct{ Fault PathFault }

// Error implements error.
func (e *PathError) Error() string { return fmt.Sprintf("bad request path: %v", e.Fault) }

// Ambiguous reports whether the path is well-formed but read differently by different
// servers. Where an app lives on such paths (`ambiguous_paths: allow`) it may be
// forwarded as it came. No rule can be matched against it, as nobody knows which
// path the app will see; the caller must treat it as matching none that grants.
func (e *PathError) Ambiguous() bool { return e.Fault >= PathEncodedSlash }

// CanonicalPath returns the decoded path of a request target in origin form, without
// the query. Rules are matched against it, and the target is forwarded as it came.
//
// That is safe only if every server reads the target as we do. So nothing is
// repaired: what one server would decode, split, collapse or resolve where another
// would not is an error, a *[PathError].
func CanonicalPath(target string) (string, error) {
	raw, query, _ := strings.Cut(target, "?")
	if f := faultAsSent(raw, query); f != 0 {
		return "", &PathError{f}
	}
	if isSimple(raw) {
		return raw, nil
	}
	path := decode(raw)
	if f := faultDecoded(raw, path); f != 0 {
		return "", &PathError{f}
	}
	return path, nil
}

// isSimple reports whether raw, which begins with one slash, is made of letters, digits, '-', '_', '~', and slashes and dots that follow no slash:
// there is nothing to decode in it, and nothing in it that is read in two ways. Most paths are.
func isSimple(raw string) bool {
	last := byte(0)
	for i := range len(raw) {
		c := raw[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '~':
		case (c == '/' || c == '.') && last != '/':
		default:
			return false
		}
		last = c
	}
	return true
}

// faultAsSent judges the bytes of the target.
func faultAsSent(raw, query string) PathFault {
	switch {
	case raw == "" || raw[0] != '/' || strings.HasPrefix(raw, "//"):
		return PathNotAbsolute // two slashes begin another host
	case len(raw) > maxPath:
		return PathTooLong
	case strings.IndexByte(raw, '#') >= 0 || strings.IndexByte(query, '#') >= 0:
		return PathFragment
	}
	for i := range len(query) {
		if isControl(query[i]) {
			return PathControl
		}
	}
	for i := range len(raw) {
		switch c := raw[i]; {
		case isControl(c):
			return PathControl
		case c == '\\':
			return PathBackslash
		case c == '%' && (i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2])):
			return PathEscape
		}
	}
	return 0
}

// faultDecoded judges the path that raw decodes to. What is never forwarded is found
// before what is ambiguous.
func faultDecoded(raw, path string) (f PathFault) {
	if !utf8.ValidString(path) {
		return PathNotUTF8
	}
	switch {
	case strings.Count(path, "/") > strings.Count(raw, "/"):
		f = PathEncodedSlash
	case strings.Contains(path, `\`):
		f = PathEncodedBackslash
	case strings.Contains(path, ";"):
		f = PathParameter
	case strings.Contains(path, "//"):
		f = PathEmptySegment
	}
	// A server behind a server may decode once more than the one in front of it.
	// Nothing that divides or climbs may come out then.
	deep, settled := path, false
	for range maxDecodings {
		next := decode(deep)
		if settled = next == deep; settled {
			break
		}
		out := func(char string) bool { return strings.Count(next, char) > strings.Count(deep, char) }
		switch {
		case out("."):
			return PathDots
		case out("/"):
			f = cmp.Or(f, PathEncodedSlash)
		case out(`\`):
			f = cmp.Or(f, PathEncodedBackslash)
		case out(";"):
			f = cmp.Or(f, PathParameter)
		}
		deep = next
	}
	switch {
	case !settled:
		return PathEscape
	case strings.ContainsFunc(deep, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return PathControl
	case hasDots(deep):
		return PathDots
	}
	return f
}

// isControl reports whether c may not be in a target as it is sent.
func isControl(c byte) bool { return c <= ' ' || c == 0x7f }

// hasDots reports whether a segment of s is a dot segment to anyone: to those who
// take a backslash for a slash, and to those who cut a segment at a semicolon.
func hasDots(s string) bool {
	for s != "" {
		i := strings.IndexAny(s, `/\`)
		segment := s
		if i >= 0 {
			segment, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// decode decodes the valid percent escapes of s once, and leaves all else as it is.
func decode(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for ; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		} else {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
