package page

import (
	"bytes"
	"hash/fnv"
	"strings"
	"unicode"
)

// withoutDirections removes the characters that order text to run the other way from
// the whole page: a name with one in it could turn "gro.live" into "evil.org", or reach
// out of its place and turn what is around it. Applied to the finished page it cannot be
// forgotten for one field. Right-to-left scripts need none of them: names are in <bdi>.
func withoutDirections(page []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 {
			return -1
		}
		return r
	}, page)
}

// monogram returns the first letter or digit of name in upper case, or "" if it has
// none.
func monogram(name string) string {
	i := strings.IndexFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
	if i < 0 {
		return ""
	}
	for _, r := range name[i:] {
		return string(unicode.ToTitle(r))
	}
	return ""
}

// hue returns which of the stylesheet's colours the monogram of name has: always the
// same, so that people come to know theirs in a list.
func hue(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32() % 6
}
