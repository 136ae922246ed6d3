package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/orgate/orgate/policy"
)

// The last look before a request leaves is never needed, unless something else is
// broken. So it is tested by breaking something else.
func TestTheLastLookLetsNothingElseThrough(t *testing.T) {
	a := &app{managed: newManagedNames(nil)}
	g := &guarded{a}
	fresh := func() (*exchange, *http.Request) {
		x := &exchange{
			target: target{path: "/a", raw: "/a"}, forwarded: "127.0.0.1",
			decision: policy.Decision{Verdict: policy.Allow, Identified: true},
			grant:    &grant{headers: []prepared{{"X-User-Id", []string{"user_1"}}}, assertionIn: []string{"X-Orgate-Jwt-Assertion"}},
		}
		r := &http.Request{URL: &url.URL{Scheme: "http", Host: "app", Opaque: "/a"}, Header: http.Header{
			"X-User-Id": {"user_1"}, "X-Orgate-Jwt-Assertion": {"jwt"}, "Accept": {"*/*"},
			"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"h"}, "X-Forwarded-Proto": {"https"}, "X-Request-Id": {"id"},
		}}
		return x, r
	}
	x, r := fresh()
	if err := g.check(x, r); err != nil {
		t.Fatalf("what is in order is refused: %v", err)
	}
	for name, spoil := range map[string]func(*exchange, *http.Request){
		"a denial":                 func(x *exchange, _ *http.Request) { x.decision.Verdict = policy.Deny },
		"no decision":              func(x *exchange, _ *http.Request) { x.decision = policy.Decision{} },
		"a proof still missing":    func(x *exchange, _ *http.Request) { x.decision.Verdict = policy.Prove },
		"another path":             func(_ *exchange, r *http.Request) { r.URL.Opaque = "/b" },
		"no upstream":              func(_ *exchange, r *http.Request) { r.URL.Host = "" },
		"one more managed header":  func(_ *exchange, r *http.Request) { r.Header["X-Org-Role"] = []string{"admin"} },
		"a spelling of one":        func(_ *exchange, r *http.Request) { r.Header["X_org_role"] = []string{"admin"} },
		"a second value":           func(_ *exchange, r *http.Request) { r.Header["X-User-Id"] = []string{"user_1", "user_2"} },
		"another value":            func(_ *exchange, r *http.Request) { r.Header["X-User-Id"] = []string{"user_2"} },
		"a header that is missing": func(_ *exchange, r *http.Request) { delete(r.Header, "X-User-Id") },
		"an assertion not there":   func(_ *exchange, r *http.Request) { r.Header["X-Orgate-Jwt-Assertion"] = nil },
		"an empty assertion":       func(_ *exchange, r *http.Request) { r.Header["X-Orgate-Jwt-Assertion"] = []string{""} },
		"no client address":        func(_ *exchange, r *http.Request) { delete(r.Header, "X-Forwarded-For") },
		"the identity of a nobody": func(x *exchange, _ *http.Request) { x.decision.Identified = false },
		"another for the one named": func(_ *exchange, r *http.Request) {
			delete(r.Header, "X-User-Id")
			r.Header["X-Org-Id"] = []string{"org"}
		},
	} {
		x, r := fresh()
		spoil(x, r)
		r = r.WithContext(context.WithValue(t.Context(), exchangeKey{}, x))
		if _, err := g.RoundTrip(r); !errors.Is(err, errUnguarded) { // there is no transport to send it with
			t.Errorf("%s: %v", name, err)
		}
	}
}
