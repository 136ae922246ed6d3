package proxy

import (
	"errors"
	"net/http"
	"strings"

	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/tenancy"
)

// maxQuery is the longest query in bytes that is forwarded.
const maxQuery = 32 << 10

// A target is what a request asks for: its path, decoded for judging and raw for
// forwarding, and its query, which is not looked at.
type target struct {
	path  string // as rules are matched against it; empty if ambiguous
	raw   string // as it came
	query string // with the question mark, as it came; or empty
	// ambiguous: the path is read in two ways by different servers.
	ambiguous bool
}

// refusal is why a request is refused before it is anybody's; it is the code of the
// answer and a label of the log line, so there are few.
type refusal string

// The refusals.
const (
	badTarget     refusal = "bad_request_target"
	badPath       refusal = "bad_request_path"
	ambiguousPath refusal = "ambiguous_request_path"
	badHost       refusal = "bad_host"
	badConnection refusal = "bad_connection_header"
	badMethod     refusal = "method_not_allowed"
	longQuery     refusal = "query_too_long"
)

// maxMethod is the longest method in bytes that is let through.
const maxMethod = 32

// checkMethod refuses what would step around the proxy: CONNECT makes a tunnel, TRACE
// echoes cookies and headers, and a method that is no token is a request within a
// request.
func checkMethod(m string) bool {
	if m == "" || len(m) > maxMethod || m == http.MethodConnect || m == http.MethodTrace || m == "TRACK" || m == "PRI" {
		return false
	}
	for i := 0; i < len(m); i++ {
		if c := m[i]; (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// readTarget reads the request's target from the request line itself: what package url
// makes of "http:foo/admin", an opaque target, is an empty path here and /admin at the app.
func readTarget(r *http.Request) (target, refusal) {
	uri := r.RequestURI
	if uri == "" || uri[0] != '/' {
		// The absolute form is for proxies; RFC 9112 has servers accept it.
		rest, ok := cutScheme(uri)
		if !ok {
			return target{}, badTarget
		}
		i := strings.IndexAny(rest, "/?")
		switch {
		case i < 0:
			uri = "/"
		case rest[i] == '?':
			rest, uri = rest[:i], "/"+rest[i:]
		default:
			rest, uri = rest[:i], rest[i:]
		}
		// Go has taken the target's authority for the Host header by now (RFC 9112,
		// 3.2.2), so that Host and target can't disagree any more. What is left to see
		// is that the bytes are the same.
		if rest == "" || !strings.EqualFold(rest, r.Host) {
			return target{}, badTarget
		}
	}
	return parseTarget(uri)
}

// parseTarget reads a target in origin form.
func parseTarget(uri string) (target, refusal) {
	path, err := policy.CanonicalPath(uri)
	raw, query := uri, ""
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		raw, query = uri[:i], uri[i:]
	}
	if len(query) > maxQuery {
		return target{}, longQuery
	}
	if err == nil {
		return target{path: path, raw: raw, query: query}, ""
	}
	if e, ok := errors.AsType[*policy.PathError](err); ok && e.Ambiguous() {
		return target{raw: raw, query: query, ambiguous: true}, ""
	}
	return target{}, badPath
}

// cutScheme cuts http:// or https:// off an absolute target.
func cutScheme(uri string) (rest string, ok bool) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(uri) > len(scheme) && strings.EqualFold(uri[:len(scheme)], scheme) {
			return uri[len(scheme):], true
		}
	}
	return "", false
}

// checkHost returns the canonical host and the port of the request. Two hosts are
// none: HTTP/2 has both :authority and host, and servers differ in which they believe.
func checkHost(r *http.Request) (h tenancy.Host, port string, bad refusal) {
	for _, v := range r.Header["Host"] {
		if v != r.Host {
			return "", "", badHost
		}
	}
	h, port, err := tenancy.ParseHost(r.Host)
	if err != nil {
		return "", "", badHost
	}
	return h, port, ""
}

// checkConnection refuses a Connection header that would have one of the headers we set
// removed on the way, and removes what may not be forwarded: every upgrade but that to
// WebSocket, as the app would read what comes after it unjudged.
func checkConnection(r *http.Request, managed *managedNames) refusal {
	for _, line := range r.Header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if token = strings.TrimSpace(token); token != "" && managed.has(token) {
				return badConnection
			}
		}
	}
	if r.Header["Upgrade"] != nil && !isWebSocket(r) {
		r.Header.Del("Upgrade")
	}
	r.Header.Del("Http2-Settings")
	return ""
}

// isWebSocket reports whether r is the handshake of RFC 6455 and of nothing else.
func isWebSocket(r *http.Request) bool {
	up := r.Header["Upgrade"]
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && len(up) == 1 && strings.EqualFold(up[0], "websocket") &&
		len(r.Header["Sec-Websocket-Key"]) == 1 && hasToken(r.Header["Connection"], "upgrade")
}

// hasToken reports whether the comma-separated lines hold the token.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// readings are the paths that different servers may read from an ambiguous one: some
// decode an encoded slash and some do not, some cut a segment at a semicolon, and so on.
// No rule that grants is matched against any of them; every rule that asks for more
// than membership is matched against all of them.
func readings(raw string) []string {
	full := raw
	for range 8 {
		next := unescape(full)
		if next == full {
			break
		}
		full = next
	}
	paths := []string{unescape(raw), full}
	add := func(read func(string) string) {
		for _, p := range paths[:len(paths):len(paths)] {
			if q := read(p); q != p {
				paths = append(paths, q)
			}
		}
	}
	add(func(p string) string { return strings.ReplaceAll(p, `\`, "/") })
	add(withoutParameters)
	add(func(p string) string {
		for strings.Contains(p, "//") {
			p = strings.ReplaceAll(p, "//", "/")
		}
		return p
	})
	return paths
}

// unescape decodes the valid escapes of s once, and leaves all else.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, ok1 := unhex(s[i+1])
			lo, ok2 := unhex(s[i+2])
			if ok1 && ok2 {
				b.WriteByte(hi<<4 | lo)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10, true
	}
	return 0, false
}

// withoutParameters cuts each segment at its semicolon, as servlets do.
func withoutParameters(p string) string {
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.Join(segments, "/")
}

// reservedSegment is the first segment of the paths that are ours on every tenant host.
const reservedSegment = ".orgate"

// reserved reports whether a server may read path as one under /.orgate/: such a path is
// never forwarded, so that no app can answer in our place.
func reserved(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	first, _, _ = strings.Cut(first, ";")
	return strings.EqualFold(strings.TrimRight(first, ". "), reservedSegment)
}
