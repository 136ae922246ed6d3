package plain

import "strings"

// What a byte may be part of.
const (
	inName   = 1 << iota // letters, digits and the dash
	inValue              // printable ASCII
	inTarget             // what RFC 3986 lets stand for itself in a path or query
	inHost               // letters, digits, dash and dot
	isHex
)

// classes says of each byte what it may be part of.
var classes = func() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		letter := 'a' <= b|0x20 && b|0x20 <= 'z'
		digit := '0' <= b && b <= '9'
		if letter || digit || b == '-' {
			t[c] |= inName | inHost | inTarget
		}
		if b == '.' {
			t[c] |= inHost
		}
		if digit || 'a' <= b|0x20 && b|0x20 <= 'f' {
			t[c] |= isHex
		}
		if '!' <= b && b <= '~' {
			t[c] |= inValue
		}
		if strings.IndexByte("-._~!$&'()*+,;=:@/?", b) >= 0 {
			t[c] |= inTarget
		}
	}
	return t
}()

// all reports whether every byte of s is of the class.
func all(s string, class uint8) bool {
	for i := range len(s) {
		if classes[s[i]]&class == 0 {
			return false
		}
	}
	return true
}

// cutLine cuts s after the first CRLF. ok is false if there is none, or if a CR or LF is on
// the line that is not of it.
func cutLine(s string) (line, rest string, ok bool) {
	i := strings.IndexByte(s, '\n')
	if i < 1 || s[i-1] != '\r' {
		return "", "", false
	}
	return s[:i-1], s[i+1:], true // another CR in the line is of no class
}

// requestLine reads "GET /path?query HTTP/1.1".
func requestLine(line string) (m, t string, ok bool) {
	first, rest, ok := strings.Cut(line, " ")
	if m = method(first); !ok || m == "" {
		return "", "", false
	}
	t, ok = strings.CutSuffix(rest, " HTTP/1.1")
	return m, t, ok && isTarget(t)
}

// method returns the method that s is, or "" for one that is not plain.
func method(s string) string {
	for _, m := range [...]string{"GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS"} {
		if s == m {
			return m
		}
	}
	return ""
}

// isTarget reports whether t is a target in origin form. Two slashes at the beginning are
// another host to some.
func isTarget(t string) bool {
	if t == "" || t[0] != '/' || len(t) > 1 && t[1] == '/' {
		return false
	}
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case classes[c]&inTarget != 0:
		case c == '%':
			if i+2 >= len(t) || classes[t[i+1]]&classes[t[i+2]]&isHex == 0 {
				return false
			}
			i += 2
		default:
			return false
		}
	}
	return true
}

// field reads "Name: value".
func field(line string) (name, value string, ok bool) {
	i := strings.IndexByte(line, ':')
	if i < 1 || !all(line[:i], inName) {
		return "", "", false // also a folded line, and one with a space before the colon
	}
	value = strings.Trim(line[i+1:], " ")
	for j := range len(value) {
		if c := value[j]; classes[c]&inValue == 0 && c != ' ' {
			return "", "", false
		}
	}
	return line[:i], value, true
}

// isHost reports whether s is a name, and a port or none. What name it is, and whether it is
// one, is not said here.
func isHost(s string) bool {
	name, port, has := strings.Cut(s, ":")
	if has {
		if _, ok := number(port); !ok || len(port) > 5 {
			return false
		}
	}
	return name != "" && all(name, inHost)
}

// number reads a number in its one spelling.
func number(s string) (n int64, ok bool) {
	if s == "" || len(s) > maxDigits || s[0] == '0' && len(s) > 1 {
		return 0, false
	}
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
