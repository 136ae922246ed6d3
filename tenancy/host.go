package tenancy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxName is how long a host name may be, without a trailing dot.
const maxName = 253

// A Host is a canonical host: lower case, A-labels, no port, no trailing dot.
type Host string

// ParseHost is the one parser of the Host header. It returns the canonical host and the
// port ("" if none was given), or an error for whatever is not a plain host name:
// an IP literal, an empty or over-long label, a port that is no number, white space, or anything after it.
//
// Of the spellings of one host it takes upper case, one trailing dot, and U-labels; each
// is the same host to a browser. A name that ends in a number is refused, because 127.1 and
// 0x7f.1 are addresses to browsers and to most resolvers.
func ParseHost(s string) (h Host, port string, err error) {
	name, port, hasPort := strings.Cut(s, ":")
	if hasPort {
		if err := checkPort(port); err != nil {
			return "", "", fmt.Errorf("bad host %q: %w", clip(s), err)
		}
	}
	name, err = canonicalName(strings.TrimSuffix(name, "."))
	if err != nil {
		return "", "", fmt.Errorf("bad host %q: %w", clip(s), err)
	}
	return Host(name), port, nil
}

// ParseDomain reads a domain name: lower-case A-labels, at least one dot, no trailing dot; an IDN is converted.
func ParseDomain(s string) (string, error) {
	name, err := canonicalName(s)
	if err == nil && !strings.Contains(name, ".") {
		err = errors.New("no dot in it")
	}
	if err != nil {
		return "", fmt.Errorf("bad domain %q: %w", clip(s), err)
	}
	return name, nil
}

// checkPort takes a port as programs write one. "00443" is refused, and "" after a
// colon, lest two strings mean one host.
func checkPort(s string) error {
	if _, err := strconv.ParseUint(s, 10, 16); err != nil || s[0] == '0' {
		return fmt.Errorf("port %q is not a number from 1 to 65535", clip(s))
	}
	return nil
}

// canonicalName returns a host name in lower-case A-labels.
func canonicalName(s string) (string, error) {
	if len(s) > 4*maxName {
		return "", fmt.Errorf("%d bytes, the most is %d", len(s), maxName)
	}
	name := lowerASCII(s)
	if !isASCII(name) {
		a, err := toASCII(name)
		if err != nil {
			return "", err
		}
		name = a
	}
	if len(name) > maxName {
		return "", fmt.Errorf("%d bytes, the most is %d", len(name), maxName)
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return "", fmt.Errorf("label %q: %w", clip(label), err)
		}
		if strings.HasPrefix(label, "xn--") {
			if err := checkALabel(label); err != nil {
				return "", err
			}
		}
		last = label
	}
	if isNumber(last) {
		return "", errors.New("an IP address is no name")
	}
	return name, nil
}

// toASCII converts U-labels. It takes only those that are written as their A-labels read:
// Unicode's mapping would make a name of ASCII letters out of full-width ones, a dot of an
// ideographic full stop, and a k of the Kelvin sign.
func toASCII(name string) (string, error) {
	a, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", errors.New("not an internationalized name")
	}
	if u, err := idna.Lookup.ToUnicode(a); err != nil || u != name {
		return "", errors.New("not in its canonical form; write it in A-labels (xn--…)")
	}
	return a, nil
}

// checkALabel returns an error unless label is what toASCII makes of a U-label. Otherwise
// "xn--acme-" would be another spelling of "acme".
func checkALabel(label string) error {
	u, err := idna.Lookup.ToUnicode(label)
	if err == nil && !isASCII(u) {
		var a string
		if a, err = idna.Lookup.ToASCII(u); err == nil && a == label {
			return nil
		}
	}
	return fmt.Errorf("label %q is not valid punycode", clip(label))
}

// isNumber reports whether a name whose last label this is would be read as an IPv4 address:
// decimal, octal, or hexadecimal digits after 0x.
func isNumber(label string) bool {
	rest, hex := strings.CutPrefix(label, "0x")
	for i := range len(rest) {
		if c := rest[i]; (c < '0' || '9' < c) && (!hex || c < 'a' || 'f' < c) {
			return false
		}
	}
	return true
}
