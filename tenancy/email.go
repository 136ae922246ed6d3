package tenancy

import (
	"errors"
	"fmt"
	"strings"
)

const (
	maxEmail = 254
	maxLocal = 64
)

// ParseEmail reads an e-mail address by a small grammar (one @, dot-atom, LDH domain with
// at least one dot, at most 254 bytes) and returns it in lower case (ASCII folding only). It is the only one in the program.
//
// Quoted local parts, comments, U-labels and everything else that mail can do is refused:
// whatever two parsers read differently is somebody else's address to one of them.
func ParseEmail(s string) (string, error) {
	email, err := parseEmail(s)
	if err != nil {
		return "", fmt.Errorf("bad e-mail address %q: %w", clip(s), err)
	}
	return email, nil
}

func parseEmail(s string) (string, error) {
	if len(s) > maxEmail {
		return "", fmt.Errorf("%d bytes, the most is %d", len(s), maxEmail)
	}
	local, domain, ok := strings.Cut(lowerASCII(s), "@")
	switch {
	case !ok:
		return "", errors.New("no @ in it")
	case local == "":
		return "", errors.New("nothing before the @")
	case len(local) > maxLocal:
		return "", fmt.Errorf("%d bytes before the @, the most is %d", len(local), maxLocal)
	case strings.Contains(domain, "@"):
		return "", errors.New("more than one @")
	case !isASCII(domain):
		return "", errors.New("domain is not in A-labels (xn--…)")
	}
	for i := range len(local) {
		switch c := local[i]; {
		case c == '.':
			if i == 0 || i == len(local)-1 || local[i-1] == '.' {
				return "", fmt.Errorf("'.' at byte %d", i)
			}
		case !isAtom(c):
			return "", fmt.Errorf("%q at byte %d", c, i)
		}
	}
	if _, err := ParseDomain(domain); err != nil {
		return "", err
	}
	return local + "@" + domain, nil
}

// isAtom reports whether c, not upper-case, is atext of RFC 5322.
func isAtom(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// EmailDomain returns the domain of an address that ParseEmail returned.
func EmailDomain(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	return domain
}

// Mailbox returns where the mail to an address most likely goes: "jo+anything" is Jo's. It is for
// counting mails only. Who somebody is, the whole address says.
func Mailbox(email string) string {
	local, domain, _ := strings.Cut(email, "@")
	name, _, _ := strings.Cut(local, "+")
	return name + "@" + domain
}
