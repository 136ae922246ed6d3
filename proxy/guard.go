package proxy

import (
	"bytes"
	"strings"
)

// guardHead is the last look at a head before it leaves. It reads what was written, as an
// app would, and asserts what the package doc promises: there is an Allow; the request line
// is the judged one; each line is a field and no more than one; none of them frames the
// message, which is for package upstream; and of the managed headers there are those that
// were to be set, each once, with its value and in order, and no other.
func (x *exchange) guardHead(head []byte) error {
	t := &x.target
	if !allows(x.decision) || !checkMethod(x.method) || !strings.HasPrefix(t.raw, "/") || !printing(t.raw) || !printing(t.query) || x.place.authority == "" {
		return errUnguarded
	}
	rest, ok := cutPieces(head, x.method, " ", t.raw, t.query, " HTTP/1.1\r\nHost: ", x.place.authority, "\r\n")
	if !ok {
		return errUnguarded
	}
	said := 0
	for len(rest) > 0 {
		if after, n := x.cutOurs(rest, said); n > 0 {
			rest = after
			said += n
			continue
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 1 || rest[i-1] != '\r' {
			return errUnguarded
		}
		line := rest[:i-1]
		rest = rest[i+1:]
		if !x.mayBeSaid(line) {
			return errUnguarded
		}
	}
	if said != x.oursCount() {
		return errUnguarded
	}
	return nil
}

// mayBeSaid reports whether a line of a head is a field that a client may say.
func (x *exchange) mayBeSaid(line []byte) bool {
	a := x.place.app
	colon := bytes.IndexByte(line, ':')
	if colon < 1 || unsayableTo(a, line[:colon]) {
		return false
	}
	for _, c := range line[:colon] {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	for _, c := range line[colon:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	if a.Trailers && string(line) == "Te: trailers" {
		return true
	}
	for _, name := range [...]string{"Connection", "Content-Length", "Transfer-Encoding", "Host", "Te", "Trailer", "Upgrade", "Expect", "Keep-Alive", "Proxy-Connection"} {
		if len(name) == colon && strings.EqualFold(name, string(line[:colon])) {
			return false
		}
	}
	return true
}

// oursCount is how many lines we have to say, each of a managed name.
func (x *exchange) oursCount() int {
	n := 3
	if x.forwarded != "" {
		n++
	}
	if x.country != "" {
		n++
	}
	if x.decision.Identified {
		n += x.grant.lineCount() + len(x.grant.common.assertionIn)
	}
	return n
}

// cutOurs cuts the i-th of the lines that we have to say off b, with those after it that are
// always said together. n is how many they are; 0: b does not begin with it.
func (x *exchange) cutOurs(b []byte, i int) (rest []byte, n int) {
	var ok bool
	if x.forwarded != "" {
		i--
	}
	switch i {
	case -1:
		rest, ok = cutPieces(b, "X-Forwarded-For: ", x.forwarded, "\r\n")
	case 0:
		rest, ok = cutPieces(b, "X-Forwarded-Host: ", x.place.authority, "\r\n")
	case 1:
		rest, ok = cutPieces(b, "X-Forwarded-Proto: ", x.st.public.Scheme, "\r\n")
	case 2:
		rest, ok = cutPieces(b, "X-Request-Id: ", x.id, "\r\n")
		ok = ok && x.id != ""
	default:
		i -= 3
		if x.country != "" {
			if i == 0 {
				rest, ok = cutPieces(b, x.st.countryHeader, ": ", x.country, "\r\n")
				break
			}
			i--
		}
		if x.decision.Identified {
			return x.grant.cutWire(b, i, x.said)
		}
	}
	if !ok {
		return nil, 0
	}
	return rest, 1
}

// cutWire is cutOurs for what is said of a person. said is the assertion.
func (g *grant) cutWire(b []byte, i int, said *assertion) (rest []byte, n int) {
	if i == 0 && g.lineCount() > 0 {
		if rest, ok := cutPieces(b, g.wire(), g.common.wire); ok && g.hasWire() {
			return rest, g.lineCount()
		}
		return nil, 0
	}
	if i -= g.lineCount(); i < 0 || i >= len(g.common.assertionIn) {
		return nil, 0
	}
	if said == nil {
		return nil, 0
	}
	// Made of what a JWT is made of, as was asked when it was signed.
	rest, ok := cutPieces(b, g.common.assertionIn[i], ": ", said.opening.text, said.rest, "\r\n")
	if !ok {
		return nil, 0
	}
	return rest, 1
}

// cutPieces cuts the pieces off the beginning of b.
func cutPieces(b []byte, pieces ...string) (rest []byte, ok bool) {
	for _, p := range pieces {
		if len(b) < len(p) || string(b[:len(p)]) != p {
			return nil, false
		}
		b = b[len(p):]
	}
	return b, true
}

// printing reports whether s has no white space or control bytes in it, which would end a
// part of the request line.
func printing(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
