package proxy

import (
	"net/http"

	"github.com/orgate/orgate/internal/cookie"
)

// The head of a request to an app, as bytes: see package proxy/upstream. Nothing that the
// client sent is changed or copied for it; what may not be said is left out.

// appendHead appends the head of r as it goes to the app. Package upstream adds what frames the body.
func (x *exchange) appendHead(b []byte, r *http.Request) []byte {
	b = x.appendRequestLine(b)
	a := x.place.app
	for name, lines := range r.Header {
		if hopByHop(name) || a.unsayable(name) || named(r.Header["Connection"], name) {
			continue
		}
		for _, line := range lines {
			b = appendClients(b, name, line)
		}
	}
	if a.Trailers && hasToken(r.Header["Te"], "trailers") {
		b = append(b, "Te: trailers\r\n"...)
	}
	return x.appendOurs(b)
}

// appendRequestLine appends the request line and the Host field. The target is written as it
// came: what package url makes of it may differ in spelling from what was judged.
func (x *exchange) appendRequestLine(b []byte) []byte {
	b = append(b, x.method...)
	b = append(b, ' ')
	b = append(b, x.target.raw...)
	b = append(b, x.target.query...)
	b = append(b, " HTTP/1.1\r\n"...)
	return appendField(b, "Host", x.place.authority)
}

// appendClients appends one line of the client's, less what in it is not for the app.
func appendClients(b []byte, name, line string) []byte {
	switch name {
	case "Cookie":
		from := len(b)
		b = append(b, "Cookie: "...)
		start := len(b)
		if b = cookie.AppendStripped(b, line); len(b) == start && line != "" {
			return b[:from]
		}
		return append(b, '\r', '\n')
	case "Authorization":
		if forUs(line) {
			return b
		}
	}
	return appendField(b, name, line)
}

// appendOurs appends what we say to the app: where the request came from, and who sent it.
func (x *exchange) appendOurs(b []byte) []byte {
	if x.forwarded != "" {
		b = appendField(b, "X-Forwarded-For", x.forwarded)
	}
	b = appendField(b, "X-Forwarded-Host", x.place.authority)
	b = appendField(b, "X-Forwarded-Proto", x.st.public.Scheme)
	b = appendField(b, "X-Request-Id", x.id)
	if x.country != "" {
		b = appendField(b, x.st.countryHeader, x.country)
	}
	if !x.decision.Identified {
		return b
	}
	b = append(b, x.grant.wire()...)
	b = append(b, x.grant.common.wire...)
	if names := x.grant.common.assertionIn; len(names) > 0 {
		// An error leaves the header out, and then guardHead refuses to send.
		if a, err := x.p.assertionOf(x.grant, x.st, &x.place, x.began); err == nil && a != nil {
			x.said = a
			for _, name := range names {
				b = append(b, name...)
				b = append(b, ": "...)
				b = append(b, a.opening.text...)
				b = append(b, a.rest...)
				b = append(b, '\r', '\n')
			}
		}
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, '\r', '\n')
}

// hopByHop reports whether a field, by its canonical name, is about one connection and not the message, or
// frames the message. (Host is not among a request's fields in net/http.)
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Content-Length", "Host", "Expect", "Http2-Settings":
		return true
	}
	return false
}

// named reports whether the lines of Connection name the field.
func named(connection []string, name string) bool {
	for _, line := range connection {
		if len(line) >= len(name) && hasToken(connection, name) {
			return true
		}
	}
	return false
}
