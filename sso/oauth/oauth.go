// Package oauth is what every sign-in by an authorization code (RFC 6749, section 4.1) has in
// common, whatever says who came: what of a callback may be looked at, and what of a refusal
// may be logged.
//
// It knows no provider and makes no calls; packages oidc and github do.
package oauth

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/orgate/orgate/sso/idp"
)

const maxCallback = 8 << 10

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

// Refused is an error answer (RFC 6749, sections 4.1.2.1 and 5.2) for the operator's log. where says
// who gave it; code and description are a stranger's.
func Refused(where, code, description string) string {
	if description == "" {
		return fmt.Sprintf("%s: %s", where, idp.Printable(code, 60))
	}
	return fmt.Sprintf("%s: %s: %s", where, idp.Printable(code, 60), idp.Printable(description, 200))
}
