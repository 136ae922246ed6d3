package saml

import "strings"

// unescape returns what a text or the value of an attribute means: with its escapes resolved and
// its line ends made one (XML 1.0, 2.11, 4.1 and 4.6). It is a string of its own: what is kept of a
// document must not keep all of it.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '&') < 0 && strings.IndexByte(s, '\r') < 0 {
		return strings.Clone(s), true
	}
	var b strings.Builder
	b.Grow(len(s))
	for s != "" {
		i := strings.IndexAny(s, "&\r")
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		if s[i] == '\r' {
			b.WriteByte('\n')
			s = strings.TrimPrefix(s[i+1:], "\n")
			continue
		}
		name, rest, ok := strings.Cut(s[i+1:], ";")
		c, known := escaped(name)
		if !ok || !known {
			return "", false
		}
		b.WriteRune(c)
		s = rest
	}
	return b.String(), true
}

// escaped returns the character of an escape: one of the five names, or a number.
func escaped(name string) (rune, bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "apos":
		return '\'', true
	case "quot":
		return '"', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := rune(10)
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	var c rune
	for i := range len(digits) {
		d := rune(99)
		switch b := digits[i]; {
		case b >= '0' && b <= '9':
			d = rune(b - '0')
		case b >= 'a' && b <= 'f':
			d = rune(b-'a') + 10
		case b >= 'A' && b <= 'F':
			d = rune(b-'A') + 10
		}
		// Larger than any character, it stops here and can't come round to another one.
		if c = c*base + d; d >= base || c > 0x10ffff {
			return 0, false
		}
	}
	return c, digits != "" && isChar(c)
}

// isChar reports whether XML has the character (XML 1.0, 2.2). The halves of surrogates, which
// encoding/xml takes for U+FFFD, are none.
func isChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c < 0xd800 || c > 0xdfff && c < 0xfffe || c > 0xffff && c <= 0x10ffff
}
