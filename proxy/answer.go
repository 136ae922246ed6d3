package proxy

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/proxy/plain"
	"github.com/orgate/orgate/proxy/upstream"
)

// What the fast path writes, to the app and to the client.

// appendPlain is appendHead for a plain head.
func (x *exchange) appendPlain(b []byte, h *plain.Head) []byte {
	b = x.appendRequestLine(b)
	a := x.place.app
	for _, f := range h.Fields() {
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if a.unsayable(name) {
			continue
		}
		b = appendClients(b, name, f.Value)
	}
	return x.appendOurs(b)
}

// appendAnswer makes the head of the answer to the client of the app's, as takeHead, answered and net/http do.
// last: the connection ends with it. chunks: the body goes in chunks.
func (x *exchange) appendAnswer(b []byte, call *upstream.Call, last bool) (_ []byte, chunks bool) {
	a := &call.Answer
	b = appendStatus(b, a.Status)
	var dated, cached, announced bool
	names := namesFields(a)
	bare := a.Status == http.StatusNoContent || a.Status == http.StatusNotModified
	for i := range a.Fields {
		name, value := canonical(a.Fields[i].Name), a.Fields[i].Value
		switch name {
		case "Date":
			dated = true
		case "Cache-Control", "Expires", "Pragma":
			cached = true
		case "Trailer":
			announced = true
		case "Content-Type":
			if a.Status == http.StatusNotModified {
				continue
			}
		case "Set-Cookie":
			if setsOurs(string(value)) {
				continue
			}
		case "Www-Authenticate":
			if forUs(string(value)) {
				continue
			}
		}
		if hopByHop(name) || names && namedIn(a, name) {
			continue
		}
		b = append(append(b, name...), ": "...)
		b = append(append(b, value...), "\r\n"...)
	}
	if x.keepsPrivate() && !cached {
		b = append(b, "Cache-Control: private\r\n"...)
	}
	switch {
	case bare:
	case a.Length >= 0:
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), a.Length, 10), "\r\n"...)
	case call.Method != http.MethodHead:
		chunks = true
		if announced && a.Chunked() {
			b = appendAnnounced(b, a)
		}
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if !dated {
		b = append(b, x.p.dated.line(time.Now())...)
	}
	if last {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...), chunks
}

// dates has the Date field of answers that have none yet. It is written once a second, as to write it costs as much as the rest of a head.
type dates struct{ last atomic.Pointer[date] }

// A date is the field as of a second.
type date struct {
	second int64 // Unix time
	line   string
}

// line returns the field as of now, ended by CRLF.
func (d *dates) line(now time.Time) string {
	last := d.last.Load()
	if second := now.Unix(); last == nil || last.second != second {
		last = &date{second, "Date: " + now.UTC().Format(http.TimeFormat) + "\r\n"}
		d.last.Store(last)
	}
	return last.line
}

// isConnection reports whether a field is Connection.
func isConnection(f *upstream.Field) bool {
	return len(f.Name) == len("Connection") && canonical(f.Name) == "Connection"
}

// namesFields reports whether the answer's Connection may name a field.
func namesFields(a *upstream.Answer) bool {
	for i := range a.Fields {
		if f := &a.Fields[i]; isConnection(f) && string(f.Value) != "keep-alive" && string(f.Value) != "close" {
			return true
		}
	}
	return false
}

// namedIn reports whether the answer's Connection names the field.
func namedIn(a *upstream.Answer, name string) bool {
	for i := range a.Fields {
		f := &a.Fields[i]
		if !isConnection(f) || len(f.Value) < len(name) {
			continue
		}
		for token := range strings.SplitSeq(string(f.Value), ",") {
			if strings.EqualFold(strings.TrimSpace(token), name) {
				return true
			}
		}
	}
	return false
}

// appendAnnounced announces the trailers that the app announced.
func appendAnnounced(b []byte, a *upstream.Answer) []byte {
	h, lines := http.Header{}, []string(nil)
	for i := range a.Fields {
		if canonical(a.Fields[i].Name) == "Trailer" {
			lines = append(lines, string(a.Fields[i].Value))
		}
	}
	announce(h, lines)
	for _, name := range h["Trailer"] {
		b = appendField(b, "Trailer", name)
	}
	return b
}

// appendEnd ends a body of chunks.
func appendEnd(b []byte, trailers []upstream.Field) []byte {
	b = append(b, "0\r\n"...)
	for i := range trailers {
		if name := canonical(trailers[i].Name); mayTrail(name) {
			b = append(append(b, name...), ": "...)
			b = append(append(b, trailers[i].Value...), "\r\n"...)
		}
	}
	return append(b, "\r\n"...)
}

// appendStatus makes a status line as net/http does: what the app calls a status is not passed on.
func appendStatus(b []byte, status int) []byte {
	b = append(b, "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(status), 10), ' ')
	if text := http.StatusText(status); text != "" {
		b = append(b, text...)
	} else {
		b = strconv.AppendInt(append(b, "status code "...), int64(status), 10)
	}
	return append(b, "\r\n"...)
}
