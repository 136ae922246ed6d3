// Package idp is what sign-ins at identity providers have in common, whatever is spoken there:
// how they fail, how long they may take, and what of a stranger's words may be shown.
//
// It speaks no protocol and makes no calls; packages oidc, saml and github do.
package idp

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// FlowLife is how long a person may take at the provider.
	FlowLife = 10 * time.Minute
	// Skew is how far our clock and another may be apart.
	Skew = 60 * time.Second
	// FinishLimit is how long everything may take that is asked of a provider when the browser
	// has come back.
	FinishLimit = 20 * time.Second
)

// A Secret does not print itself.
type Secret string

// String hides the secret.
func (Secret) String() string { return "[secret]" }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return "[secret]" }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// MarshalText hides the secret from JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Random returns 256 bits that nobody can guess, as a URL may have them.
func Random() string {
	var b [32]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CheckAge returns why a flow that was started then is over; empty: it is not.
func CheckAge(startedAt, now time.Time) (fault string) {
	if age := now.Sub(startedAt); age > FlowLife || age < -Skew {
		return fmt.Sprintf("started %s ago", age.Round(time.Second))
	}
	return ""
}

// Plain reports whether s has no control characters, nor the mark that is left of
// characters that were none.
func Plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError })
}

// Printable returns s on one line, without what could move a terminal's cursor or turn the
// direction of a text, and no longer than limit bytes.
func Printable(s string, limit int) string {
	if len(s) > limit {
		cut := limit
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
