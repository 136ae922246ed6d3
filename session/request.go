package session

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/orgate/orgate/tenancy"
)

// A SignInRequest is what a tenant host asks of the login host, in the query of /sign-in.
type SignInRequest struct {
	// Host is the tenant host, canonical, with the port if it is not the scheme's.
	// Empty: the person came to the login host directly, and Attempt and ReturnTo
	// are empty too.
	Host string
	// Attempt is the hash of the tenant host's attempt cookie.
	Attempt Hash
	// ReturnTo is a path on Host, as [ParseReturnPath] takes it.
	ReturnTo string
	// LoginHint is an e-mail address to start with; may be empty.
	LoginHint string
}

// The parameters of /sign-in.
const (
	paramHost     = "host"
	paramAttempt  = "attempt"
	paramReturnTo = "return_to"
	paramHint     = "login_hint"
)

// maxHint is how long an address can be.
const maxHint = 254

// Values returns the query; ParseSignInRequest(r.Values()) is r.
func (r SignInRequest) Values() url.Values {
	q := url.Values{}
	if r.Host != "" {
		q.Set(paramHost, r.Host)
		q.Set(paramAttempt, r.Attempt.String())
		q.Set(paramReturnTo, r.ReturnTo)
	}
	if r.LoginHint != "" {
		q.Set(paramHint, r.LoginHint)
	}
	return q
}

// ParseSignInRequest reads the query of /sign-in. Unknown, repeated, over-long or broken
// parameters are an error; a return path that could leave the host, or is too long to be
// carried, becomes "/".
func ParseSignInRequest(q url.Values) (SignInRequest, error) {
	for name, values := range q {
		switch name {
		case paramHost, paramAttempt, paramReturnTo, paramHint:
		default:
			return SignInRequest{}, errors.New("unknown parameter") // its name is a stranger's text
		}
		if len(values) != 1 {
			return SignInRequest{}, fmt.Errorf("%s: given %d times", name, len(values))
		}
	}
	r := SignInRequest{LoginHint: q.Get(paramHint)}
	if i := strings.IndexFunc(r.LoginHint, func(c rune) bool { return c < ' ' || c == 0x7f }); i >= 0 || len(r.LoginHint) > maxHint {
		return SignInRequest{}, fmt.Errorf("%s: not a line of at most %d bytes", paramHint, maxHint)
	}
	if !q.Has(paramHost) {
		if q.Has(paramAttempt) || q.Has(paramReturnTo) {
			return SignInRequest{}, fmt.Errorf("%s: missing", paramHost)
		}
		return r, nil
	}
	h, port, err := tenancy.ParseHost(q.Get(paramHost))
	if err != nil {
		return SignInRequest{}, fmt.Errorf("%s: %w", paramHost, err)
	}
	r.Host = string(h)
	if port != "" {
		r.Host += ":" + port
	}
	if err := r.Attempt.UnmarshalText([]byte(q.Get(paramAttempt))); err != nil || r.Attempt == (Hash{}) {
		return SignInRequest{}, fmt.Errorf("%s: not a hash", paramAttempt)
	}
	var ok bool
	if r.ReturnTo, ok = ParseReturnPath(q.Get(paramReturnTo)); !ok {
		r.ReturnTo = "/"
	}
	return r, nil
}

// maxReturnPath is how long a return path may be: it is carried in a query.
const maxReturnPath = 4096

// ParseReturnPath returns s if it is a path, with or without a query, on the same host for
// every browser: it begins with exactly one slash, and holds no backslash, control byte or
// dot segment trick. ok is false otherwise.
//
// Browsers read a backslash as a slash, skip tabs and line ends anywhere, and take dot
// segments, encoded or not, out of a path, which can leave "//" at its beginning.
func ParseReturnPath(s string) (path string, ok bool) {
	if len(s) > maxReturnPath || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") {
		return "", false
	}
	for i := range len(s) {
		// A fragment never gets to a server; what is not ASCII is not in a URL.
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return "", false
		}
	}
	path, _, _ = strings.Cut(s, "?")
	for segment := range strings.SplitSeq(path, "/") {
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case ".", "..":
			return "", false
		}
	}
	if u, err := url.ParseRequestURI(s); err != nil || u.Host != "" || u.Scheme != "" {
		return "", false
	}
	return s, true
}
