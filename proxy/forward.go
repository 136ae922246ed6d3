package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/text"
	"github.com/orgate/orgate/proxy/upstream"
)

// forward sends an allowed request to its app. It is the one place where that is done.
func (x *exchange) forward(r *http.Request) {
	a := x.place.app
	if a.MaxBody > 0 {
		if r.ContentLength > a.MaxBody {
			x.fail(r, tooLarge())
			return
		}
		r.Body = http.MaxBytesReader(x.w, r.Body, a.MaxBody)
	}
	if err := x.withinOpen(); err != nil {
		x.tooMany(r, err)
		return
	}
	defer x.place.org.meter.leave()
	ctx, cancel := r.Context(), context.CancelCauseFunc(x.cancel.End)
	address, plain := x.plain(r)
	if !plain {
		ctx, cancel = context.WithCancelCause(ctx)
		defer cancel(nil)
	}
	if err := x.takeOff(r.Context(), r.Header["Cookie"], cancelFunc(cancel)); err != nil {
		x.fail(r, err)
		return
	}
	if !allows(x.decision) {
		x.challenge(r)
		return
	}
	defer x.p.land(x)
	if r.Body != nil && r.Body != http.NoBody {
		body := &steadyBody{ReadCloser: r.Body, x: x}
		r.Body = body
		if !x.http1 {
			_ = x.rc.SetReadDeadline(time.Time{}) // a stream may be quiet; see Server
		}
		// By itself, Go's HTTP/1 server reads a body to its end before it lets an answer
		// begin: an app could not say no to an upload, nor talk while it listens.
		if duplex(r.ContentLength) {
			_ = x.rc.EnableFullDuplex() // HTTP/2 always is, and says so by an error
			x.unread = body
		}
	}
	if plain {
		x.relay(r, address)
		return
	}
	if !a.Trailers {
		r.Header.Del("Te")
	}
	a.proxy.ServeHTTP(x, r.WithContext(ctx))
}

func tooLarge() *endpoint.Error {
	return &endpoint.Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Title: text.T("That is too much at once"),
		Text: text.T("What you sent is larger than this app takes."), Header: http.Header{"Connection": {"close"}}}
}

// connect gives the app its way to the upstream, taking over the connections of an
// old app that was reached in the same way.
func (a *app) connect(old *gate) {
	if old != nil {
		for _, b := range old.apps {
			if b.transport.same(a) {
				a.transport = b.transport
			}
		}
	}
	if a.transport == nil {
		a.transport = newTransport(a)
	}
	a.proxy = &httputil.ReverseProxy{
		Rewrite:        a.rewrite,
		Transport:      &guarded{a},
		ModifyResponse: modifyResponse,
		ErrorHandler:   failed,
		BufferPool:     newBuffers(),
		ErrorLog:       slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // what it says is said by failed and record
	}
}

// rewrite makes the request to the app. What a client may not say is removed, and then what
// we say is set.
func (a *app) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In.Context())
	out := pr.Out
	a.scrub(out.Header)

	h := out.Header
	if x.forwarded != "" {
		h["X-Forwarded-For"] = []string{x.forwarded}
	}
	h["X-Forwarded-Host"] = []string{x.place.authority}
	h["X-Forwarded-Proto"] = []string{x.st.public.Scheme}
	h["X-Request-Id"] = []string{endpoint.RequestID(pr.In.Context())}
	if x.country != "" {
		h[x.st.countryHeader] = []string{x.country}
	}
	if x.decision.Identified {
		// An error leaves the header out, and then guarded refuses to send.
		token, _ := x.p.assertionOf(x.grant, x.st, &x.place, x.began)
		x.grant.set(h, token)
	}

	// The path is written out as it came: what package url makes of it may differ in
	// spelling from what was judged. A rootless or absolute target was refused.
	out.URL = &url.URL{Opaque: x.target.raw}
	if u, ok := x.place.org.upstream(a); ok {
		out.URL.Scheme, out.URL.Host = u.Scheme, u.Host
	}
	if x.target.query != "" {
		out.URL.RawQuery, out.URL.ForceQuery = x.target.query[1:], true
	}
	out.Host = x.place.authority

	out.Trailer = nil
	h.Del("Trailer")
	if a.Trailers && len(pr.In.Trailer) > 0 {
		a.passTrailers(pr)
	}
}

// passTrailers lets the announced trailers through that an app could not take for
// headers of ours. Their values are known when the body has been read.
func (a *app) passTrailers(pr *httputil.ProxyRequest) {
	pr.Out.Trailer = http.Header{}
	for name := range pr.In.Trailer {
		if !a.unsayable(name) && !spokenFor(name) {
			pr.Out.Trailer[name] = nil
		}
	}
	if len(pr.Out.Trailer) == 0 {
		pr.Out.Trailer = nil
		return
	}
	pr.Out.Body = &trailing{pr.Out.Body, pr.In, pr.Out.Trailer}
	pr.Out.ContentLength = -1
}

// A trailing body fills in the trailers at its end.
type trailing struct {
	io.ReadCloser
	in  *http.Request
	out http.Header
}

func (t *trailing) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		for name := range t.out {
			t.out[name] = t.in.Trailer[name]
		}
	}
	return n, err
}

// errUnguarded: a request was about to be sent that may not be. It is never seen
// unless something here is wrong.
var errUnguarded = errors.New("request to the app is not as it was decided")

// guarded is the last look at a request before it leaves.
type guarded struct{ a *app }

// RoundTrip implements [http.RoundTripper].
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	x := exchangeOf(r.Context())
	if err := g.check(x, r); err != nil {
		return nil, err
	}
	return g.a.transport.send(r)
}

// check asserts what the package doc promises: an Allow, the judged path, and of the
// managed headers those that were set, each once, and no other.
func (g *guarded) check(x *exchange, r *http.Request) error {
	if !allows(x.decision) || r.URL.Opaque != x.target.raw || r.URL.Host == "" {
		return errUnguarded
	}
	managed := 0
	for name, values := range r.Header {
		if g.a.managed.has(name) {
			if len(values) != 1 {
				return errUnguarded
			}
			managed++
		}
	}
	if x.decision.Identified {
		for name, value := range x.grant.fields() {
			if v := r.Header[name]; len(v) != 1 || v[0] != value {
				return errUnguarded
			}
		}
		for _, name := range x.grant.common.assertionIn {
			if v := r.Header[name]; len(v) != 1 || v[0] == "" {
				return errUnguarded
			}
		}
	}
	if managed != x.oursCount() {
		return errUnguarded
	}
	return nil
}

// modifyResponse looks at an app's answer before anything of it is passed on.
func modifyResponse(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		// These come through a 101 as they are; anything but the handshake is not meant
		// to be there.
		for _, name := range [...]string{"Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Proxy-Authenticate"} {
			res.Header.Del(name)
		}
		if !hasToken(res.Header["Upgrade"], "websocket") {
			return errors.New("app switched to a protocol that was not asked for")
		}
		if c, ok := res.Body.(io.ReadWriteCloser); ok {
			res.Body = tunnelEnd{c}
		}
	}
	exchangeOf(res.Request.Context()).answered(res.Header, res.StatusCode)
	return nil
}

// answered looks at the head of an app's answer before anything of it is passed on: it
// is cleaned of what only we may say, and gets what we have to say.
func (x *exchange) answered(h http.Header, status int) {
	scrubAnswer(h)
	if x.clear {
		x.st.jar.Clear(headerOnly{h}, cookie.Session)
		x.clear = false
	}
	if x.keepsPrivate() && h["Cache-Control"] == nil && h["Expires"] == nil && h["Pragma"] == nil {
		x.private[0] = "private"
		h["Cache-Control"] = x.private[:]
	}
	if h["Content-Type"] == nil {
		x.w.Header()["Content-Type"] = nil // or net/http says what it takes it for
	}
	x.answers(isStream(h, status))
}

// keepsPrivate reports whether an answer that says nothing of caching is for one person only.
func (x *exchange) keepsPrivate() bool { return x.decision.Identified && !x.place.app.ShareAnswers }

// answers notes that the app's answer begins.
func (x *exchange) answers(stream bool) {
	next := answering
	if stream {
		next = streaming
	}
	x.flight.phase.Store(int32(next))
	x.p.arm(&x.flight, x.flight.grant.Load(), x.decision.ValidUntil)
}

// isStream reports whether an answer goes on until somebody ends it.
func isStream(h http.Header, status int) bool {
	if status == http.StatusSwitchingProtocols {
		return true
	}
	return isStreamType(h.Get("Content-Type"))
}

// isStreamType reports whether a Content-Type is that of a stream; also one with parameters that are
// none: what may stream is taken for it.
func isStreamType(kind string) bool {
	kind, _, _ = strings.Cut(kind, ";")
	kind = strings.TrimSpace(kind)
	for _, s := range [...]string{"text/event-stream", "multipart/x-mixed-replace", "application/x-ndjson", "application/stream+json"} {
		if strings.EqualFold(kind, s) {
			return true
		}
	}
	// gRPC, gRPC-Web and Connect, whatever their messages are written in.
	for _, s := range [...]string{"application/grpc", "application/connect+"} {
		if len(kind) >= len(s) && strings.EqualFold(kind[:len(s)], s) {
			return true
		}
	}
	return false
}

// headerOnly is a ResponseWriter of which only the header counts.
type headerOnly struct{ h http.Header }

func (w headerOnly) Header() http.Header         { return w.h }
func (w headerOnly) Write(b []byte) (int, error) { return len(b), nil }
func (w headerOnly) WriteHeader(int)             {}

// failed answers for an app that did not, or says nothing to a client that is gone.
func failed(_ http.ResponseWriter, r *http.Request, err error) {
	if cause := context.Cause(r.Context()); errors.Is(cause, errGrantEnded) {
		err = cause
	}
	exchangeOf(r.Context()).appFailed(r, err)
}

// appFailed answers for an app that did not, or says nothing to a client that is gone.
func (x *exchange) appFailed(r *http.Request, err error) {
	name := x.place.org.name
	switch {
	case errors.Is(err, errGrantEnded):
		x.fail(r, &endpoint.Error{Status: http.StatusUnauthorized, Code: "session_ended", Title: text.T("You were signed out"), Organization: name,
			Text: text.T("Your session ended, or what you may do here changed, while this was under way."), ActionURL: x.signInURL("/"), ActionText: text.T("Sign in")})
	case r.Context().Err() != nil || errors.Is(err, errClientGone):
		x.code, x.cause = "client_gone", err
		x.status = 499 // as nginx logs it; nobody is there to read an answer
		panic(http.ErrAbortHandler)
	case isTooLarge(err):
		x.fail(r, tooLarge())
	case isBodyError(err): // a client that is gone, or silent, was seen to above
		x.fail(r, &endpoint.Error{Status: http.StatusBadRequest, Code: "bad_request_body", Title: text.T("This request can't be read"),
			Text: text.T("Its body breaks off, or is not divided as HTTP has it."), Header: http.Header{"Connection": {"close"}}, Err: err})
	case errors.Is(err, errUnguarded):
		x.fail(r, &endpoint.Error{Status: http.StatusInternalServerError, Code: "not_forwarded", Title: text.T("Something went wrong on our side"),
			Text: text.T("Your request was not passed on."), Hint: text.T("Tell the people who run this service the id below."), Err: err})
	case errors.Is(err, upstream.ErrBusy):
		x.fail(r, &endpoint.Error{Status: http.StatusServiceUnavailable, Code: "upstream_busy", Title: text.T("The app is busy"), Organization: name,
			Text: text.T("More people use the app right now than it can serve."), Hint: text.T("Try again in a moment."), Header: http.Header{"Retry-After": {"5"}}, Err: err})
	case isTimeout(err):
		x.fail(r, &endpoint.Error{Status: http.StatusGatewayTimeout, Code: "upstream_timeout", Title: text.T("The app takes too long"), Organization: name,
			Text: text.T("The app did not answer in time."), Hint: text.T("Try again in a moment."), Err: err})
	default:
		x.fail(r, &endpoint.Error{Status: http.StatusBadGateway, Code: "upstream_down", Title: text.T("The app can't be reached"), Organization: name,
			Text: text.T("The app behind this address does not answer."), Hint: text.T("Try again in a moment. If it goes on, tell the people who run it the id below."), Err: err})
	}
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

func isBodyError(err error) bool {
	_, ok := errors.AsType[*upstream.BodyError](err)
	return ok
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// A steadyBody is a request body of which the client must go on sending.
type steadyBody struct {
	io.ReadCloser
	x        *exchange
	deadline time.Time
	over     atomic.Bool // it was read to its end
}

// Read implements [io.Reader].
func (b *steadyBody) Read(p []byte) (int, error) {
	if now := time.Now(); b.deadlines() && now.After(b.deadline.Add(-stall*3/4)) {
		b.deadline = now.Add(stall)
		_ = b.x.rc.SetReadDeadline(b.deadline) // a writer without deadlines is a test's
	}
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.over.Store(true)
	}
	// What is over stays over: net/http reads up to 256 KiB of what is left when it closes the body, and would wait for that without end.
	if err != nil && !isTimeout(err) && b.deadlines() && !b.deadline.IsZero() {
		_ = b.x.rc.SetReadDeadline(time.Time{})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = &upstream.BodyError{Err: err} // also to a transport that does not tell whose fault it is
	}
	return n, err
}

// deadlines reports whether those of the connection are the body's to set. Once the request
// is over they are the next one's, and a transport may read on for a moment.
func (b *steadyBody) deadlines() bool { return b.x.http1 && !b.x.finished.Load() }

// buffers are what bodies are copied through.
type buffers struct{ pool *sync.Pool }

const bufferSize = 32 << 10

func newBuffers() buffers {
	return buffers{&sync.Pool{New: func() any { return new([bufferSize]byte) }}}
}

// Get implements [httputil.BufferPool].
func (b buffers) Get() []byte { return b.pool.Get().(*[bufferSize]byte)[:] }

// Put implements [httputil.BufferPool].
func (b buffers) Put(p []byte) {
	if cap(p) >= bufferSize {
		b.pool.Put((*[bufferSize]byte)(p[:bufferSize]))
	}
}

// untouched is a body that knows whether any of it was read.
type untouched struct {
	io.ReadCloser
	read atomic.Bool
}

func (u *untouched) Read(b []byte) (int, error) {
	u.read.Store(true)
	return u.ReadCloser.Read(b)
}

// Close does nothing: whoever owns the body closes it. A transport closes it when it
// can't connect, and then it could not be sent a second time.
func (u *untouched) Close() error { return nil }
