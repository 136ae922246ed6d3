// Package cookie reads and writes orgate's own cookies, the same way on every host.
//
// All are host-only, HttpOnly, SameSite=Lax and, but where plain HTTP was allowed
// in so many words, Secure with the __Host- prefix, so that a sibling host can't
// plant one. Two cookies of one name count as none: a browser sends two only when
// somebody tossed one in.
package cookie

import (
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The names, without prefix.
const (
	Session = "orgate_session" // a tenant host's session
	Attempt = "orgate_attempt" // a tenant host's sign-in attempt; with a suffix each
	Login   = "orgate_login"   // the login host's session
	Flow    = "orgate_flow"    // a sign-in at an identity provider; with a suffix each
	Browser = "orgate_browser" // on the login host: which browser this is
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
	value, n := j.Find(h["Cookie"], name)
	return value, n == 1
}

// Doubled reports whether there is more than one cookie of exactly this name: then
// none of them counts, and all should be cleared.
func (j Jar) Doubled(h http.Header, name string) bool {
	_, n := j.Find(h["Cookie"], name)
	return n > 1
}

// Find returns the value of the cookie of exactly this name in the Cookie lines of a request,
// and how many there are. With more than one there is no value.
func (j Jar) Find(lines []string, name string) (value string, count int) {
	for n, v := range pairs(lines) {
		if !j.is(n, name) {
			continue
		}
		value = v
		count++
	}
	if count != 1 {
		return "", count
	}
	return value, count
}

// is reports whether full is the full name of the cookie, without making that name:
// it is asked once for every cookie of every request.
func (j Jar) is(full, name string) bool {
	if j.Plain {
		return full == name
	}
	return len(full) == len(prefix)+len(name) && full[:len(prefix)] == prefix && full[len(prefix):] == name
}

// maxNames is how many names Names returns: no browser has so many of ours, and whoever
// sends more has us search for each.
const maxNames = 32

// Names returns the names, without prefix, of the first cookies in h whose name begins with
// name. A name that comes twice is there once.
func (j Jar) Names(h http.Header, name string) []string {
	var names []string
	start := j.Name(name)
	for n := range pairs(h["Cookie"]) {
		if rest, ok := strings.CutPrefix(n, start); ok && !slices.Contains(names, name+rest) {
			if names = append(names, name+rest); len(names) == maxNames {
				break
			}
		}
	}
	return names
}

// Strip removes every cookie of ours from h, however it is spelled, and leaves the
// app's as they came.
func Strip(h http.Header) {
	lines := h["Cookie"]
	if !slices.ContainsFunc(lines, mentions) {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !mentions(line) {
			kept = append(kept, line)
			continue
		}
		if rest := AppendStripped(make([]byte, 0, len(line)), line); len(rest) > 0 {
			kept = append(kept, string(rest))
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// AppendStripped appends to b what Strip leaves of one Cookie line; nothing, if all of it is ours.
func AppendStripped(b []byte, line string) []byte {
	if !mentions(line) {
		return append(b, line...)
	}
	start := len(b)
	for part := range strings.SplitSeq(line, ";") {
		part = strings.Trim(part, " \t")
		name, _, _ := strings.Cut(part, "=")
		if part == "" || Ours(name) {
			continue
		}
		if len(b) > start {
			b = append(b, "; "...)
		}
		b = append(b, part...)
	}
	return b
}

// mentions reports whether a Cookie line may hold a cookie of ours, without cutting it
// up: most lines of most apps do not.
func mentions(line string) bool {
	for i := 0; i+len("orgate") <= len(line); i++ {
		if line[i]|0x20 == 'o' && strings.EqualFold(line[i:i+len("orgate")], "orgate") {
			return true
		}
	}
	return strings.Contains(line, "%") // a name may be spelled with escapes
}

// Ours reports whether a server might take name for the name of a cookie of ours.
// Servers differ in what they make of a name: some trim white space, Unicode's too,
// from its ends, some decode escapes in it, some read '.' and ' ' as '_', and some
// ignore case. So name is folded as all of them would, and what is left must not begin
// like ours. (An app's "forgate_id" is its own.)
func Ours(name string) bool {
	if u, err := url.PathUnescape(name); err == nil {
		name = u
	}
	var buf [64]byte
	folded := buf[:0]
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		default:
			c = '_'
		}
		folded = append(folded, c)
	}
	trim := func() {
		for len(folded) > 0 && folded[0] == '_' {
			folded = folded[1:]
		}
	}
	trim()
	for _, p := range [...]string{"host_", "secure_", "http_"} {
		if len(folded) >= len(p) && string(folded[:len(p)]) == p {
			folded = folded[len(p):]
		}
		trim()
	}
	const own = "orgate_"
	return len(folded) >= len(own) && string(folded[:len(own)]) == own
}

// pairs yields the cookies of the lines, byte for byte: names are not trimmed of anything
// but the spaces and tabs around a semicolon, so that no disguised name is read as ours.
func pairs(lines []string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, line := range lines {
			for part := range strings.SplitSeq(line, ";") {
				name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
				if ok && !yield(name, value) {
					return
				}
			}
		}
	}
}
