package proxy

import (
	"net/http"
	"slices"
	"strings"

	"github.com/orgate/orgate/internal/cookie"
)

// appendFold appends name as the least careful server would fold it: in lower case, and
// with '-' for every byte that is no letter or digit. CGI and WSGI read '_' and '-' as one,
// others '.' too; two vendors had to patch twice because they listed characters, so
// nothing is listed here.
func appendFold[T string | []byte](b []byte, name T) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		default:
			c = '-'
		}
		b = append(b, c)
	}
	return b
}

// fold is appendFold as a string.
func fold(name string) string { return string(appendFold(nil, name)) }

// managedNames are the names of headers that only we may say to an app, folded. They are
// those of every preset, in use or not: an app that was made for another proxy believes
// the headers of that one.
type managedNames struct {
	exact map[string]bool
	// prefixes, by their first byte.
	prefixes map[byte][]string
	// first are the bytes that a managed name may begin with, in either case: most names
	// of most requests begin with another one.
	first [256]bool
}

// fixedNames and fixedPrefixes are managed wherever orgate is in front: identity,
// the client's address, and what makes a server believe in another host, path or scheme.
func fixedNames() []string {
	return []string{
		"forwarded", "x-forwarded", "x-real-ip", "client-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "cf-connecting-ip",
		"fastly-client-ip", "x-request-id", "x-rewrite-url", "x-host", "x-http-host-override", "x-scheme", "x-url-scheme", "front-end-https", "proxy",
		"x-envoy-external-address", "x-envoy-original-path", "x-envoy-internal", "ssl-client-cert", "x-ssl-client-cert", "x-client-cert",
	}
}

func fixedPrefixes() []string {
	return []string{"x-user-", "x-org-", "x-auth-", "x-orgate-", "x-forwarded-", "x-original-", "x-pomerium-", "x-goog-authenticated-", "x-goog-iap-", "remote-", "x-remote-", "x-webauth-"}
}

// newManagedNames returns the managed names: the fixed ones, those of all presets, and
// own, the names that the configuration gives.
func newManagedNames(own []string) *managedNames {
	m := &managedNames{exact: map[string]bool{}, prefixes: map[byte][]string{}}
	for _, n := range slices.Concat(fixedNames(), presetNames(), own) {
		// As has looks it up. A name of nothing but dashes is nobody's.
		if f := strings.Trim(fold(n), "-"); f != "" {
			m.exact[f] = true
		}
	}
	for _, p := range fixedPrefixes() {
		m.prefixes[p[0]] = append(m.prefixes[p[0]], p)
	}
	for n := range m.exact {
		m.begin(n)
	}
	for _, p := range fixedPrefixes() {
		m.begin(p)
	}
	return m
}

// begin notes what a managed name begins with. What folds to '-' is trimmed, and what comes
// after it is looked at.
func (m *managedNames) begin(folded string) {
	for c := range m.first {
		f := appendFold(nil, string([]byte{byte(c)}))[0]
		m.first[c] = m.first[c] || f == '-' || f == folded[0]
	}
}

// has reports whether a server may read name as a managed one. It does not allocate.
func (m *managedNames) has(name string) bool { return isManaged(m, name) }

func isManaged[T string | []byte](m *managedNames, name T) bool {
	if len(name) == 0 || !m.first[name[0]] {
		return false
	}
	var buf [64]byte
	// A header of which a server reads but the beginning is none we know of; but a
	// name may begin with bytes that fold to '-' and are then trimmed.
	f := appendFold(buf[:0], name)
	for len(f) > 0 && f[0] == '-' {
		f = f[1:]
	}
	if len(f) == 0 {
		return false
	}
	if m.exact[string(f)] {
		return true
	}
	for n := len(f); n > 0 && f[n-1] == '-'; n-- {
		if m.exact[string(f[:n-1])] {
			return true
		}
	}
	for _, p := range m.prefixes[f[0]] {
		if len(f) >= len(p) && string(f[:len(p)]) == p {
			return true
		}
	}
	return false
}

// overrides are the headers by which some frameworks let a client change the method. They
// are removed where a rule is about methods: a POST that the app takes for the DELETE
// that a rule guards would be judged as a POST.
func isOverride[T string | []byte](name T) bool {
	var buf [64]byte
	switch string(appendFold(buf[:0], name)) {
	case "x-http-method-override", "x-http-method", "x-method-override", "http-method-override":
		return true
	}
	return false
}

// unsayable reports whether a client may not say a header of that name to the app, nor a
// trailer, which some servers put among the headers.
func (a *app) unsayable(name string) bool { return unsayableTo(a, name) }

func unsayableTo[T string | []byte](a *app, name T) bool {
	return isManaged(a.managed, name) || a.methodRules && isOverride(name)
}

// overridden reports whether h changes the method of a request where a rule is about methods.
func (a *app) overridden(h http.Header) bool {
	if !a.methodRules {
		return false
	}
	for name := range h {
		if isOverride(name) {
			return true
		}
	}
	return false
}

// scrub removes from h whatever a client may not say to an app: managed headers in every
// spelling, our cookies, and credentials that are for us.
func (a *app) scrub(h http.Header) {
	for name := range h {
		if a.unsayable(name) {
			delete(h, name)
		}
	}
	cookie.Strip(h)
	if h["Authorization"] != nil {
		h["Authorization"] = slices.DeleteFunc(slices.Clone(h["Authorization"]), forUs)
		if len(h["Authorization"]) == 0 {
			delete(h, "Authorization")
		}
	}
}

// forUs reports whether an Authorization header is one that no app should see: a key of
// our management API, sent here by mistake; or NTLM and Negotiate, which
// authenticate a connection and not a request, while our connections to an app carry
// requests of many people.
func forUs(authorization string) bool {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	switch {
	case strings.EqualFold(scheme, "ntlm"), strings.EqualFold(scheme, "negotiate"):
		return true
	case strings.EqualFold(scheme, "bearer"):
		return strings.HasPrefix(strings.TrimSpace(rest), "sk_")
	}
	return strings.HasPrefix(scheme, "sk_")
}

// setsOurs reports whether a Set-Cookie line of an app is about a cookie of ours.
func setsOurs(line string) bool {
	// Of "=a=b", browsers keep the name empty, and send "a=b" back.
	name, _, _ := strings.Cut(strings.TrimLeft(line, "= \t"), "=")
	name, _, _ = strings.Cut(name, ";")
	return cookie.Ours(strings.TrimSpace(name))
}

// scrubAnswer removes from an app's answer what only we may say to a browser.
func scrubAnswer(h http.Header) {
	if lines := h["Set-Cookie"]; lines != nil {
		kept := slices.DeleteFunc(slices.Clone(lines), setsOurs)
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		} else {
			h["Set-Cookie"] = kept
		}
	}
	if lines := h["Www-Authenticate"]; lines != nil {
		kept := slices.DeleteFunc(slices.Clone(lines), forUs)
		if len(kept) == 0 {
			delete(h, "Www-Authenticate")
		} else {
			h["Www-Authenticate"] = kept
		}
	}
}
