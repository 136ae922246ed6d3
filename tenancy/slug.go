package tenancy

import (
	"crypto/rand"
	"errors"
	"strings"
)

const (
	// maxMadeSlug leaves room for what makes a slug another one.
	maxMadeSlug = 40
	slugTries   = 8
)

// FreeSlug makes a slug of the name of an organization that nobody has yet: the name as far as it can be a
// host label, and where that is taken, something random behind it.
func FreeSlug(tx Tx, name string) (Slug, error) {
	base := slugOf(name)
	for try := range slugTries {
		s := base
		if try > 0 || len(base) < 2 || ReservedSlug(base) {
			s += "-" + strings.ToLower(rand.Text()[:6])
		}
		slug, err := ParseSlug(s)
		if err != nil {
			return "", err
		}
		switch _, err := tx.OrganizationBySlug(slug); {
		case errors.Is(err, ErrNotFound):
			return slug, nil
		case err != nil:
			return "", err
		}
	}
	return "", ErrTaken
}

// ReservedSlug reports whether a name that people give an organization must not become its host, as it would
// look like one of the installation's own.
func ReservedSlug(s string) bool {
	switch s {
	case "login", "auth", "sso", "id", "account", "accounts", "admin", "api", "app", "www", "mail", "static", "assets", "cdn",
		"status", "support", "help", "docs", "billing", "security", "ns1", "ns2", "smtp", "localhost", "orgate", "root":
		return true
	}
	return false
}

// slugOf returns what of a name can be a host label, or "org".
func slugOf(name string) string {
	var b strings.Builder
	for _, c := range []byte(lowerASCII(name)) {
		switch {
		case b.Len() >= maxMadeSlug:
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "org"
}
