// Package cookie reads and writes orgate's own cookies, the same way on every host.
//
// All are host-only, HttpOnly, SameSite=Lax and, but where plain HTTP was allowed
// in so many words, Secure with the __Host- prefix, so that a sibling host can't
// plant one. Two cookies of one name count as none: a browser sends two only when
// somebody tossed one in.
package cookie

import (
	"net/http"
	"strings"
	"time"
)

// The names, without prefix.
const (
	Session = "orgate_session" // a tenant host's session
	Attempt = "orgate_attempt" // a tenant host's sign-in attempt; with a suffix each
	Login   = "orgate_login"   // the login host's session
	Flow    = "orgate_flow"    // a sign-in at an identity provider; with a suffix each
)

const prefix = "__Host-"

// A Jar knows how cookies are written here.
type Jar struct {
	// Plain: the operator allowed plain HTTP on hosts that are not localhost;
	// then there is no Secure and no __Host-, as browsers would drop both.
	Plain bool
}

// Name returns the full name of the cookie.
func (j Jar) Name(name string) string {
	if j.Plain {
		return name
	}
	return prefix + name
}

// Set writes a cookie that lives for age; 0: until the browser is closed.
func (j Jar) Set(w http.ResponseWriter, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{Name: j.Name(name), Value: value, Path: "/", Secure: !j.Plain, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: int(age / time.Second)})
}

// Clear removes a cookie, with the attributes that it was set with.
func (j Jar) Clear(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: j.Name(name), Path: "/", Secure: !j.Plain, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: -1})
}

// Read returns the value of the cookie of exactly this name. ok is false if there
// is none, or more than one.
func (j Jar) Read(h http.Header, name string) (value string, ok bool) {
	full := j.Name(name)
	for n, v := range pairs(h) {
		if n != full {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = v, true
	}
	return value, ok
}

// Names yields the names, without prefix, of all cookies in h that begin with name.
func (j Jar) Names(h http.Header, name string) []string {
	var names []string
	for n := range pairs(h) {
		if rest, ok := strings.CutPrefix(n, j.Name(name)); ok {
			names = append(names, name+rest)
		}
	}
	return names
}

// Strip removes every cookie of ours from h, however it is spelled, and leaves the
// app's as they came.
func Strip(h http.Header) {
	lines := h["Cookie"]
	if lines == nil {
		return
	}
	kept := lines[:0:0]
	for _, line := range lines {
		if !strings.Contains(strings.ToLower(line), "orgate_") {
			kept = append(kept, line)
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(part, "=")
			if !strings.Contains(strings.ToLower(name), "orgate_") && strings.TrimSpace(part) != "" {
				parts = append(parts, strings.TrimSpace(part))
			}
		}
		if len(parts) > 0 {
			kept = append(kept, strings.Join(parts, "; "))
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// pairs yields the cookies of h, byte for byte: names are not trimmed of anything
// but the one space after a semicolon, so that no disguised name is read as ours.
func pairs(h http.Header) func(func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for _, line := range h["Cookie"] {
			for part := range strings.SplitSeq(line, ";") {
				name, value, ok := strings.Cut(strings.TrimPrefix(part, " "), "=")
				if ok && !yield(name, value) {
					return
				}
			}
		}
	}
}
