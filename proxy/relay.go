package proxy

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/proxy/upstream"
)

// Most requests are plain: HTTP/1.1 to an app without TLS, no upgrade, no trailers. They are
// sent by package upstream, without what a http.Client and a copy of the header cost. The
// rest goes through httputil.ReverseProxy.

// errClientGone is the cause of the end of what nobody waits for any more.
var errClientGone = errors.New("client is gone")

// plain returns where a request is sent that package upstream can send.
func (x *exchange) plain(r *http.Request) (address string, ok bool) {
	if r.Header["Upgrade"] != nil || r.Header["Expect"] != nil || x.place.app.Trailers && len(r.Trailer) > 0 {
		return "", false
	}
	return x.plainAddress()
}

// plainAddress returns where the app is, if package upstream can reach it.
func (x *exchange) plainAddress() (address string, ok bool) {
	a := x.place.app
	u, ok := x.place.org.upstream(a)
	if !ok || u.Scheme != "http" || a.transport.plain == nil {
		return "", false
	}
	return addressOf(u)
}

// addressOf returns host and port of an http URL. A host that has to be translated is not for us.
func addressOf(u *url.URL) (address string, ok bool) {
	for i := range len(u.Host) {
		if c := u.Host[i]; c <= ' ' || c >= 0x7f {
			return "", false
		}
	}
	if u.Port() != "" {
		return u.Host, true
	}
	return strings.TrimSuffix(u.Host, ":") + ":80", true
}

// relay sends r to the app and its answer to the client. The flight of x has begun.
func (x *exchange) relay(r *http.Request, address string) {
	c := upstream.NewCall()
	defer c.Close()
	c.Address, c.Method, c.Cancel = address, x.method, &x.cancel
	defer x.watch.stop()
	switch {
	case r.ContentLength != 0:
		c.Body, c.Length = r.Body, r.ContentLength
		c.Duplex = duplex(r.ContentLength)
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		c.Empty = true
	}
	c.Caller = &x.watch
	c.Head = x.appendHead(c.Head, r)
	if err := x.guardHead(c.Head); err != nil {
		x.appFailed(r, err)
		return
	}
	x.said = nil // an answer may go on for hours
	if err := x.place.app.transport.plain.Do(c); err != nil {
		x.appFailed(r, err)
		return
	}
	stream := x.takeHead(&c.Answer)
	x.WriteHeader(c.Answer.Status)
	if err := x.copyBody(c, stream); err != nil {
		// Part of it is on its way: all that can be said is that it is not whole.
		panic(http.ErrAbortHandler)
	}
	x.takeTrailers(c.Trailers)
}

// duplex reports whether an answer may begin before the body of the request has ended, which is of that length; -1: it does not say.
func duplex(length int64) bool { return length < 0 || length > 256<<10 }

// A watch is the context of a request, which ends when the client goes away, and has its exchange and its id; and it is what the
// exchange hears of its call to the app while that is under way.
type watch struct {
	context.Context
	x    *exchange
	over func() bool // nil: nobody watches
}

// Value implements [context.Context].
func (w *watch) Value(key any) any {
	switch key.(type) {
	case exchangeKey:
		return w.x
	case endpoint.RequestIDKey:
		return w.x.id
	}
	return w.Context.Value(key)
}

// Waiting implements [upstream.Caller]. To watch a context costs as much as all else that is decided
// of a request, and most answers are here before a client could lose patience.
func (w *watch) Waiting() {
	w.over = context.AfterFunc(w.Context, func() { w.x.cancel.End(errClientGone) })
}

func (w *watch) stop() {
	if w.over != nil {
		w.over()
	}
}

// Interim implements [upstream.Caller]. It passes on what an app says before its answer; see
// [exchange.WriteHeader].
func (w *watch) Interim(a *upstream.Answer) {
	x := w.x
	h := x.w.Header()
	ours := maps.Clone(h)
	clear(h)
	for _, f := range a.Fields {
		if name := canonical(f.Name); name == "Link" {
			h[name] = append(h[name], string(f.Value))
		}
	}
	x.WriteHeader(a.Status)
	clear(h)
	maps.Copy(h, ours)
}

// takeHead takes the head of an answer over into that to the client, and reports whether
// what follows is passed on as it comes.
func (x *exchange) takeHead(a *upstream.Answer) (stream bool) {
	h := x.w.Header()
	text, values := allOf(a)
	var connection, trailer []string
	for i := range a.Fields {
		f := &a.Fields[i]
		values[i], text = text[:len(f.Value)], text[len(f.Value):]
		switch len(f.Name) {
		case len("Connection"), len("Trailer"):
			switch canonical(f.Name) {
			case "Connection":
				connection = append(connection, values[i])
			case "Trailer":
				trailer = append(trailer, values[i])
			}
		}
	}
	for i := range a.Fields {
		name := canonical(a.Fields[i].Name)
		if hopByHop(name) && name != "Content-Length" || named(connection, name) {
			continue
		}
		if name == "Content-Length" && a.Status == http.StatusNoContent {
			continue // there is none, and to say so is not allowed
		}
		if lines := h[name]; lines != nil {
			h[name] = append(lines, values[i])
		} else {
			h[name] = values[i : i+1 : i+1]
		}
	}
	x.answered(h, a.Status)
	if a.Chunked() {
		announce(h, trailer)
	}
	return a.Length < 0 || strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/event-stream")
}

// allOf returns the values of all fields as one string, and room for each of them, so that
// an answer is two allocations and not two for each field.
func allOf(a *upstream.Answer) (text string, values []string) {
	n := 0
	for i := range a.Fields {
		n += len(a.Fields[i].Value)
	}
	var b strings.Builder
	b.Grow(n)
	for i := range a.Fields {
		b.Write(a.Fields[i].Value)
	}
	return b.String(), make([]string, len(a.Fields))
}

// announce says which trailers will follow, if the app does.
func announce(h http.Header, trailer []string) {
	for _, line := range trailer {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); mayTrail(name) {
				h["Trailer"] = append(h["Trailer"], name)
			}
		}
	}
}

// mayTrail reports whether an app may send a trailer of that name. Nobody takes a cookie from
// one, and nobody shall.
func mayTrail(name string) bool {
	return name != "" && !hopByHop(name) && name != "Set-Cookie" && name != "Www-Authenticate"
}

// takeTrailers passes the trailers of an answer on.
func (x *exchange) takeTrailers(trailers []upstream.Field) {
	if len(trailers) == 0 {
		return
	}
	// net/http would count a short body, and then there is no place for trailers.
	_ = x.FlushError() // whoever is gone misses nothing
	h := x.w.Header()
	announced := h["Trailer"]
	for _, f := range trailers {
		name := canonical(f.Name)
		if !mayTrail(name) {
			continue
		}
		if !hasToken(announced, name) {
			name = http.TrailerPrefix + name
		}
		h[name] = append(h[name], string(f.Value))
	}
}

// copyBody passes the body of an answer on. What streams is passed on as it comes: its head
// before anything of it, and each piece as soon as there is no other behind it.
func (x *exchange) copyBody(c *upstream.Call, stream bool) error {
	if stream && !c.Buffered() {
		if err := x.FlushError(); err != nil {
			return err
		}
	}
	for {
		b, err := c.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := x.Write(b); err != nil {
			return err
		}
		if stream && !c.Buffered() {
			if err := x.FlushError(); err != nil {
				return err
			}
		}
	}
}

// canonical returns the canonical form of a field's name, without an allocation for the usual ones.
func canonical(name []byte) string {
	if s, ok := usual[string(name)]; ok {
		return s
	}
	return textproto.CanonicalMIMEHeaderKey(string(name))
}

// usual are the names of the fields that answers usually have, as they are and in lower case.
var usual = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"Accept-Ranges", "Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods", "Access-Control-Allow-Origin",
		"Access-Control-Expose-Headers", "Access-Control-Max-Age", "Age", "Allow", "Alt-Svc", "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Content-Length", "Content-Location", "Content-Range", "Content-Security-Policy", "Content-Security-Policy-Report-Only", "Content-Type",
		"Cross-Origin-Embedder-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "Date", "Etag", "Expires", "Keep-Alive", "Last-Modified", "Link", "Location",
		"Nel", "Origin-Agent-Cluster", "Permissions-Policy", "Pragma", "Referrer-Policy", "Report-To", "Reporting-Endpoints", "Retry-After", "Server", "Server-Timing", "Set-Cookie",
		"Strict-Transport-Security", "Timing-Allow-Origin", "Trailer", "Transfer-Encoding", "Vary", "Via", "Www-Authenticate", "X-Content-Type-Options",
		"X-Dns-Prefetch-Control", "X-Download-Options", "X-Frame-Options", "X-Permitted-Cross-Domain-Policies", "X-Powered-By", "X-Request-Id", "X-Robots-Tag",
		"X-Runtime", "X-Xss-Protection",
	} {
		m[name], m[strings.ToLower(name)] = name, name
	}
	m["ETag"], m["X-XSS-Protection"], m["X-DNS-Prefetch-Control"], m["WWW-Authenticate"] = "Etag", "X-Xss-Protection", "X-Dns-Prefetch-Control", "Www-Authenticate"
	return m
}()
