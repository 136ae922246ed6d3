package tenancy

import (
	"errors"
	"fmt"
)

// maxLabel is how long one label of a host name may be.
const maxLabel = 63

// A Slug is an organization's host label: a lower-case LDH label of 1 to 63 bytes,
// parsed by [ParseSlug].
type Slug string

// ParseSlug reads a slug. Its errors are facts with values: bad slug "-acme": '-' at byte 0.
//
// A label with "--" at its third byte is refused: browsers show "xn--…" as other letters
// than it has, and so as another organization.
func ParseSlug(s string) (Slug, error) {
	err := checkLabel(s)
	if err == nil && len(s) >= 4 && s[2:4] == "--" {
		err = errors.New(`"--" at byte 2`)
	}
	if err != nil {
		return "", fmt.Errorf("bad slug %q: %w", clip(s), err)
	}
	return Slug(s), nil
}

// checkLabel returns an error that says why s is no lower-case LDH label.
func checkLabel(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > maxLabel:
		return fmt.Errorf("%d bytes, the most is %d", len(s), maxLabel)
	}
	for i := range len(s) {
		if !isLDH(s[i]) {
			return fmt.Errorf("%q at byte %d", s[i], i)
		}
	}
	if s[0] == '-' {
		return errors.New("'-' at byte 0")
	}
	if last := len(s) - 1; s[last] == '-' {
		return fmt.Errorf("'-' at byte %d", last)
	}
	return nil
}

func isLDH(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' }

// lowerASCII folds A to Z and nothing else: with Unicode's folding the Kelvin sign
// becomes a k, and one person's address another's.
func lowerASCII(s string) string {
	var b []byte // nil as long as there is no upper case, as in nearly every host of a request
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			if b == nil {
				b = []byte(s)
			}
			b[i] = c + 'a' - 'A'
		}
	}
	if b == nil {
		return s
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// clip returns as much of what somebody sent as an error may quote.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
