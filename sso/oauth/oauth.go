// Package oauth is what every sign-in by an authorization code (RFC 6749, section 4.1) has in
// common, whatever says who came: how it fails, and what of a callback may be looked at.
//
// It knows no provider and makes no calls; packages oidc and github do.
package oauth

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
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

	maxCallback = 8 << 10
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

// CheckCallback returns why nothing of a callback is to be looked at; empty: it may be.
func CheckCallback(callback url.Values) (fault string) {
	size := 0
	for name, values := range callback {
		size += len(name)
		for _, v := range values {
			size += len(v)
		}
		// Two of a kind are read differently by whoever looks first and whoever looks last.
		if len(values) != 1 && slices.Contains([]string{"state", "code", "iss", "error", "error_description"}, name) {
			return name + " comes more than once"
		}
	}
	if size > maxCallback {
		return "too long"
	}
	return ""
}

// CheckAge returns why a flow that was started then is over; empty: it is not.
func CheckAge(startedAt, now time.Time) (fault string) {
	if age := now.Sub(startedAt); age > FlowLife || age < -Skew {
		return fmt.Sprintf("started %s ago", age.Round(time.Second))
	}
	return ""
}

// Refused is an error answer (RFC 6749, sections 4.1.2.1 and 5.2) for the operator's log. where says
// who gave it; code and description are a stranger's.
func Refused(where, code, description string) string {
	if description == "" {
		return fmt.Sprintf("%s: %s", where, Printable(code, 60))
	}
	return fmt.Sprintf("%s: %s: %s", where, Printable(code, 60), Printable(description, 200))
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
