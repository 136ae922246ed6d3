package proxy

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/proxy/plain"
	"github.com/orgate/orgate/proxy/upstream"
)

// appendRequest makes the head of the request to the app, as [app.rewrite] does: what a client may not say
// is left out, and then what we say is added. It does not end it.
func (x *exchange) appendRequest(b []byte, h *plain.Head) ([]byte, error) {
	a := x.place.app
	b = x.appendRequestLine(b)
	b = appendField(b, "Host", x.place.authority)
	for _, f := range h.Fields() {
		switch {
		case strings.EqualFold(f.Name, "Cookie"):
			start := len(b)
			b = append(b, "Cookie: "...)
			named := len(b)
			if b = cookie.AppendStripped(b, f.Value); len(b) == named {
				b = b[:start]
				continue
			}
			b = append(b, "\r\n"...)
			continue
		case a.unsayable(f.Name):
			continue
		case strings.EqualFold(f.Name, "Authorization") && forUs(f.Value):
			continue
		}
		b = append(appendCanonical(b, f.Name), ": "...)
		b = append(append(b, f.Value...), "\r\n"...)
	}
	for name, value := range x.forwarding() {
		b = appendField(b, name, value)
	}
	if !x.decision.Identified {
		return b, nil
	}
	token, err := x.p.assertionOf(x.grant, x.st, &x.place, x.began)
	if err != nil {
		return b, err
	}
	b = append(b, x.grant.wire...)
	for _, name := range x.grant.assertionIn {
		b = appendField(b, name, token[0])
	}
	return b, nil
}

func (x *exchange) appendRequestLine(b []byte) []byte {
	b = append(append(b, x.method...), ' ')
	b = append(append(b, x.target.raw...), x.target.query...)
	return append(b, " HTTP/1.1\r\n"...)
}

// depart is the last look at a head before it leaves, as guarded.check has it: an Allow, the
// judged path, and of the managed names those that were set, each once, and no other.
func (x *exchange) depart(head []byte) error {
	line, rest, _ := bytes.Cut(head, crlf)
	var buf [512]byte
	if want := x.appendRequestLine(buf[:0]); !allows(x.decision) || !bytes.Equal(line, want[:len(want)-len(crlf)]) {
		return errUnguarded
	}
	if x.decision.Identified && !bytes.Contains(rest, x.grant.wire) {
		return errUnguarded
	}
	managed := 0
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, crlf)
		name, value, ok := bytes.Cut(line, colon)
		if !ok || bytes.IndexByte(line, '\n') >= 0 || bytes.IndexByte(line, '\r') >= 0 {
			return errUnguarded
		}
		if x.place.app.managed.has(string(name)) {
			if len(value) < 2 {
				return errUnguarded
			}
			managed++
		}
	}
	if managed != x.managed() {
		return errUnguarded
	}
	return nil
}

var (
	crlf  = []byte("\r\n")
	colon = []byte(":")
)

// appendAnswer makes the head of the answer to the client of the app's, as modifyResponse and
// net/http do. last: the connection ends with it. chunks: the body goes in chunks.
func (x *exchange) appendAnswer(b []byte, call *upstream.Call, method string, last bool) (_ []byte, chunks bool) {
	a := &call.Answer
	b = appendStatus(b, a.Status)
	named := namesFields(a.Fields)
	var dated, cached bool
	for i := range a.Fields {
		f := &a.Fields[i]
		switch answerKind(f.Name) {
		case hopField:
			continue
		case dateField:
			dated = true
		case cacheField:
			cached = true
		case typeField:
			if a.Status == http.StatusNotModified {
				continue
			}
		case cookieField:
			if setsOurs(string(f.Value)) {
				continue
			}
		case challengeField:
			if forUs(string(f.Value)) {
				continue
			}
		case plainField:
		}
		if named && isNamed(a.Fields, f.Name) {
			continue
		}
		b = append(appendCanonical(b, f.Name), ": "...)
		b = append(append(b, f.Value...), crlf...)
	}
	if x.keepsPrivate() && !cached {
		b = append(b, "Cache-Control: private\r\n"...)
	}
	switch {
	case a.Status == http.StatusNoContent || a.Status == http.StatusNotModified:
	case a.Length >= 0:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), a.Length, 10), crlf...)
	case method != http.MethodHead:
		chunks = true
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		b = appendTrailerNames(b, a)
	}
	if !dated {
		b = append(time.Now().UTC().AppendFormat(append(b, "Date: "...), http.TimeFormat), crlf...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, crlf...), chunks
}

// appendTrailerNames announces the trailers that the app has announced.
func appendTrailerNames(b []byte, a *upstream.Answer) []byte {
	sep := "Trailer: "
	if !a.Chunked() {
		return b
	}
	for i := range a.Fields {
		if !nameIs(a.Fields[i].Name, "trailer") {
			continue
		}
		for name := range bytes.SplitSeq(a.Fields[i].Value, []byte(",")) {
			if name = bytes.TrimSpace(name); trailerAllowed(name) {
				b = appendCanonical(append(b, sep...), name)
				sep = ", "
			}
		}
	}
	if sep == ", " {
		b = append(b, crlf...)
	}
	return b
}

// appendEnd ends a body of chunks.
func appendEnd(b []byte, trailers []upstream.Field) []byte {
	b = append(b, "0\r\n"...)
	for i := range trailers {
		if f := &trailers[i]; trailerAllowed(f.Name) {
			b = append(appendCanonical(b, f.Name), ": "...)
			b = append(append(b, f.Value...), crlf...)
		}
	}
	return append(b, crlf...)
}

// appendStatus makes a status line as net/http does: what the app calls a status is not passed on.
func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	text := http.StatusText(status)
	if text == "" {
		text = "status code " + strconv.Itoa(status)
	}
	return append(append(b, text...), crlf...)
}

// fieldKind is what a field of an answer means on its way.
type fieldKind uint8

const (
	plainField fieldKind = iota
	hopField             // between us and the app
	dateField
	cacheField
	typeField
	cookieField
	challengeField
)

// answerKind returns the kind of a field, by its name in any case.
func answerKind(name []byte) fieldKind {
	is := func(s string) bool { return nameIs(name, s) }
	switch len(name) {
	case 2:
		if is("te") {
			return hopField
		}
	case 4:
		if is("date") {
			return dateField
		}
	case 6:
		if is("pragma") {
			return cacheField
		}
	case 7:
		switch {
		case is("expires"):
			return cacheField
		case is("trailer"), is("upgrade"):
			return hopField
		}
	case 10:
		switch {
		case is("connection"), is("keep-alive"):
			return hopField
		case is("set-cookie"):
			return cookieField
		}
	case 12:
		if is("content-type") {
			return typeField
		}
	case 13:
		if is("cache-control") {
			return cacheField
		}
	case 14:
		if is("content-length") {
			return hopField
		}
	case 16:
		switch {
		case is("proxy-connection"):
			return hopField
		case is("www-authenticate"):
			return challengeField
		}
	case 17:
		if is("transfer-encoding") {
			return hopField
		}
	case 18:
		if is("proxy-authenticate") {
			return hopField
		}
	case 19:
		if is("proxy-authorization") {
			return hopField
		}
	}
	return plainField
}

// nameIs reports whether name is s, which is in lower case, in any case.
func nameIs(name []byte, s string) bool {
	if len(name) != len(s) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// namesFields reports whether Connection says that a field is for this connection only.
func namesFields(fields []upstream.Field) bool {
	for i := range fields {
		if f := &fields[i]; nameIs(f.Name, "connection") && !nameIs(f.Value, "close") && !nameIs(f.Value, "keep-alive") {
			return true
		}
	}
	return false
}

// isNamed reports whether Connection names the field.
func isNamed(fields []upstream.Field, name []byte) bool {
	for i := range fields {
		if !nameIs(fields[i].Name, "connection") {
			continue
		}
		for token := range bytes.SplitSeq(fields[i].Value, []byte(",")) {
			if bytes.EqualFold(bytes.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

// appendCanonical appends a name as net/http spells it, which is how it is spelled on the other path.
func appendCanonical[T string | []byte](b []byte, name T) []byte {
	upper := true
	for i := range len(name) {
		c := name[i]
		switch {
		case upper && 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case !upper && 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
		upper = c == '-'
	}
	return b
}
