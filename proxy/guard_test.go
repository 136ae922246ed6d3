package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
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
			grant:    saying(session.View{User: tenancy.User{ID: "user_1"}}, headerName{UserID, "X-User-Id"}, headerName{Assertion, "X-Orgate-Jwt-Assertion"}),
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

// saying is a grant that says these things of somebody of org_1.
func saying(v session.View, names ...headerName) *grant {
	v.Organization.ID = "org_1"
	return newGrant(&place{app: &app{names: names}, org: &organization{id: "org_1"}}, 1, session.Hash{1}, "session_1", "session_2", &v)
}

// An app that takes whatever it is told: what leaves is looked at as bytes.
func TestTheLastLookLetsNoOtherHeadThrough(t *testing.T) {
	who := func(id tenancy.UserID, email string) *grant {
		return saying(session.View{User: tenancy.User{ID: id, Email: email}}, headerName{UserID, "X-User-Id"}, headerName{OrgID, "X-Org-Id"}, headerName{UserEmail, "Tenant"},
			headerName{Assertion, "X-Orgate-Jwt-Assertion"})
	}
	fresh := func() *exchange {
		a := &app{managed: newManagedNames([]string{"Tenant"}), methodRules: true}
		x := &exchange{
			method: "GET", id: "id", target: target{path: "/a", raw: "/a", query: "?q=1"}, forwarded: "127.0.0.1", place: place{authority: "acme.example.com", app: a},
			st:       &state{gate: &gate{public: &url.URL{Scheme: "https"}}},
			decision: policy.Decision{Verdict: policy.Allow, Identified: true},
			grant:    who("user_1", "jo@acme.com"),
			said:     &assertion{opening: &opening{text: "a.b-"}, rest: "c_D.9"},
		}
		return x
	}
	const (
		first = "GET /a?q=1 HTTP/1.1\r\nHost: acme.example.com\r\n"
		ours  = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: acme.example.com\r\nX-Forwarded-Proto: https\r\nX-Request-Id: id\r\n"
		them  = "X-User-Id: user_1\r\nTenant: jo@acme.com\r\nX-Org-Id: org_1\r\n"
		jwt   = "X-Orgate-Jwt-Assertion: a.b-c_D.9\r\n"
		whole = first + "Accept: */*\r\nCookie: a=b\r\n" + ours + them + jwt
	)
	if err := fresh().guardHead([]byte(whole)); err != nil {
		t.Fatalf("what is in order is refused: %v", err)
	}
	for name, head := range map[string]string{
		"nothing":                    "",
		"another path":               strings.Replace(whole, "/a?", "/b?", 1),
		"another query":              strings.Replace(whole, "q=1", "q=2", 1),
		"another method":             strings.Replace(whole, "GET", "PUT", 1),
		"another host":               strings.Replace(whole, "Host: acme", "Host: globex", 1),
		"no host":                    strings.Replace(whole, "Host: acme.example.com\r\n", "", 1),
		"a second host":              whole + "host: x\r\n",
		"two request lines":          first + whole,
		"one more managed header":    whole + "X-Org-Role: admin\r\n",
		"a spelling of one":          first + "x_org.role: admin\r\n" + ours + them + jwt,
		"the same one twice":         first + "X-User-Id: user_1\r\n" + ours + them + jwt,
		"ours said by a client":      first + "X-Request-Id: id\r\n" + ours + them + jwt,
		"another value":              strings.Replace(whole, "user_1", "user_2", 1),
		"another order":              first + them + ours + jwt,
		"a header that is missing":   strings.Replace(whole, "X-User-Id: user_1\r\n", "", 1),
		"no organization":            strings.Replace(whole, "X-Org-Id: org_1\r\n", "", 1),
		"an address that is missing": strings.Replace(whole, "X-Forwarded-For: 127.0.0.1\r\n", "", 1),
		"no assertion":               strings.Replace(whole, jwt, "", 1),
		"an empty assertion":         strings.Replace(whole, "a.b-c_D.9", "", 1),
		"another assertion":          strings.Replace(whole, "a.b-c_D.9", "a.b-c_D.8", 1),
		"an assertion and more":      strings.Replace(whole, "a.b-c_D.9", "a.b\r\nX-Org-Role: admin", 1),
		"a method override":          first + "X-HTTP-Method-Override: DELETE\r\n" + ours + them + jwt,
		"a length":                   first + "Content-Length: 5\r\n" + ours + them + jwt,
		"chunks":                     first + "transfer-encoding: chunked\r\n" + ours + them + jwt,
		"an upgrade":                 first + "Upgrade: h2c\r\n" + ours + them + jwt,
		"a connection option":        first + "Connection: X-User-Id\r\n" + ours + them + jwt,
		"trailers":                   first + "Te: trailers\r\n" + ours + them + jwt,
		"an end in the middle":       first + "\r\n" + ours + them + jwt,
		"a bare LF":                  first + "Accept: a\nX-Org-Role: admin\r\n" + ours + them + jwt,
		"a bare CR":                  first + "Accept: a\rX-Org-Role: admin\r\n" + ours + them + jwt,
		"NUL":                        first + "Accept: a\x00\r\n" + ours + them + jwt,
		"a folded line":              first + "Accept: a\r\n X-Org-Role: admin\r\n" + ours + them + jwt,
		"a space before the colon":   first + "Accept : a\r\n" + ours + them + jwt,
		"no name":                    first + ": a\r\n" + ours + them + jwt,
		"no colon":                   first + "Accept\r\n" + ours + them + jwt,
		"no line end":                whole + "Accept: a",
	} {
		if err := fresh().guardHead([]byte(head)); !errors.Is(err, errUnguarded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*exchange){
		"a denial":                     func(x *exchange) { x.decision.Verdict = policy.Deny },
		"no decision":                  func(x *exchange) { x.decision = policy.Decision{} },
		"a proof still missing":        func(x *exchange) { x.decision.Verdict = policy.Prove },
		"the identity of a nobody":     func(x *exchange) { x.decision.Identified = false },
		"a judged path that differs":   func(x *exchange) { x.target.raw = "/b" },
		"no id":                        func(x *exchange) { x.id = "" },
		"an address that is not known": func(x *exchange) { x.forwarded = "" },
		"another person":               func(x *exchange) { x.grant = who("user_2", "jo@acme.com") },
		"no assertion that was signed": func(x *exchange) { x.said = nil },
		"another organization":         func(x *exchange) { x.grant.common.wire = "X-Org-Id: org_2\r\n" },
		"no bytes of the person":       func(x *exchange) { x.grant.wireLen = 0 },
		"no bytes of the organization": func(x *exchange) { x.grant.common.wire = "" },
		"a value with a tab":           func(x *exchange) { x.grant = who("user_1\t", "jo@acme.com") },
		"a value with a line end":      func(x *exchange) { x.grant = who("user_1\r\nX-Org-Role: admin", "jo@acme.com") },
	} {
		x := fresh()
		spoil(x)
		if err := x.guardHead([]byte(whole)); !errors.Is(err, errUnguarded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was not prepared can't be found to be there.
	x := fresh()
	x.grant.wireLen, x.grant.common.wire = 0, ""
	if err := x.guardHead([]byte(first + ours + jwt)); !errors.Is(err, errUnguarded) {
		t.Errorf("nothing of the person: %v", err)
	}
	// And a space in a target would end it.
	x = fresh()
	x.target.query = "?q=1 HTTP/1.1"
	if err := x.guardHead([]byte(strings.Replace(whole, "q=1", "q=1 HTTP/1.1", 1))); !errors.Is(err, errUnguarded) {
		t.Errorf("a space in the query: %v", err)
	}
}
