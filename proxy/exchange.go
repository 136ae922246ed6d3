package proxy

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/internal/cookie"
	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/policy"
	"github.com/orgate/orgate/proxy/upstream"
	"github.com/orgate/orgate/session"
	"github.com/orgate/orgate/tenancy"
)

// routeClass is where a request went, for metrics and the log: there are few.
type routeClass string

// The classes.
const (
	toNowhere routeClass = "none" // refused before it was anybody's
	toLogin   routeClass = "login"
	toOurs    routeClass = "orgate" // a path of ours on a tenant host
	toAuth    routeClass = "forward_auth"
	toApp     routeClass = "app"
)

// An Observation is what is counted of a request. All but the numbers have few values.
type Observation struct {
	Route   string // none, login, orgate, forward_auth or app
	Verdict string // of the decision; empty if none was asked for
	Reason  string // of the decision, or the code of a refusal
	Status  int
	Took    time.Duration
	// Stream: it was a WebSocket, an event stream or the like, and Took its life.
	Stream bool
	// Fast: it was served on the fast path.
	Fast bool
}

// An Observer hears of every request. It must be quick.
type Observer interface{ Observe(Observation) }

// An exchange is one request and its answer: what is known of it by now, and the
// [http.ResponseWriter] that notes what was answered.
type exchange struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	p  *Proxy
	st *state

	id        string // of the request, in the log and for the app
	began     time.Time
	class     routeClass
	target    target
	place     place
	clientIP  string
	forwarded string // for X-Forwarded-For
	country   string // that a trusted proxy says; empty: unknown

	method   string
	rule     *policy.Rule
	deciding *policy.Rule // the one that decided, if one did
	grant    *grant
	decision policy.Decision
	said     *assertion // to the app
	code     string     // why it was refused, if it was not the decision
	cause    error      // of a failure, for the log

	flight   flight
	cancel   upstream.Cancel // of the call to the app
	watch    watch
	unread   *steadyBody // a body of which an answer does not wait for the end; or nil
	private  [1]string   // the value of a Cache-Control of ours
	status   int
	bytes    int64
	deadline time.Time  // of the last write; net/http forgets it after each request
	cutting  sync.Mutex // of what is written to the client, by net/http

	// In one place, as each alone would take up eight bytes.
	finished  atomic.Bool
	wasCut    bool // behind cutting
	peerTrust bool
	clear     bool // a session cookie came that is none (two of them, or ended)
	fast      bool // a Listener serves it
	http1     bool
	last      bool // the connection is closed after the answer
}

type exchangeKey struct{}

// exchangeOf returns the exchange that the request belongs to.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// ClientIP returns the address that a request came from, as far as only trusted proxies
// are believed. It is invalid for a request that did not come through a [Proxy].
func ClientIP(r *http.Request) netip.Addr {
	x := exchangeOf(r.Context())
	if x == nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(x.clientIP)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

// ServeHTTP implements [http.Handler].
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	hasWhole(r)
	x := &exchange{w: w, rc: http.NewResponseController(w), p: p, st: p.state.Load(), began: p.now(), class: toNowhere, method: r.Method, http1: r.ProtoMajor == 1}
	x.id, x.watch = endpoint.NewRequestID(), watch{Context: r.Context(), x: x}
	r = r.WithContext(&x.watch)
	x.clientIP, x.forwarded, x.peerTrust = x.st.client(peerOf(r.RemoteAddr), r.Header["X-Forwarded-For"])
	x.country = x.st.country(r.Header[x.st.countryHeader], x.peerTrust)
	// Chunks may have come with a length beside them, which net/http has removed: a request in which
	// somebody before us may have seen two. What follows it is not believed (RFC 9112, 6.3).
	x.last = x.http1 && len(r.TransferEncoding) > 0
	defer x.recovered(r)
	if r.Body != nil && r.Body != http.NoBody {
		// Also a body that nobody reads: Go waits for its end before it answers.
		_ = x.rc.SetReadDeadline(time.Now().Add(stall)) // a writer without deadlines is a test's
	}
	x.route(r)
}

// route takes the request to where it goes.
func (x *exchange) route(r *http.Request) {
	if !checkMethod(r.Method) {
		x.refuse(r, badMethod, "")
		return
	}
	var bad refusal
	if x.target, bad = readTarget(r); bad != "" {
		x.refuse(r, bad, "")
		return
	}
	if bad = checkConnection(r, x.st.managed); bad != "" {
		x.refuse(r, bad, "")
		return
	}
	if strings.HasPrefix(x.target.path, page.StaticPath) {
		// On every host: also the page that says that nothing is here has a stylesheet.
		x.class = toOurs
		x.p.routes.ServeHTTP(x, r)
		return
	}
	host, port, bad := checkHost(r)
	if isAuth(x.target.path) && (bad == "" || x.peerTrust) {
		// A proxy may ask by our address, and say the host in another header.
		x.class = toAuth
		x.forwardAuth(r, host, port)
		return
	}
	if bad != "" {
		x.refuse(r, bad, "")
		return
	}
	if !x.settle(r, host, port) {
		return
	}
	switch {
	case x.target.path == jwksPath:
		x.class = toOurs
		x.p.routes.ServeHTTP(x, r)
	case x.place.login:
		x.class = toLogin
		if x.target.ambiguous {
			x.refuse(r, ambiguousPath, "")
			return
		}
		x.p.loginHost.ServeHTTP(x, r)
	case x.ours():
		x.class = toOurs
		x.p.routes.ServeHTTP(x, r)
	default:
		x.class = toApp
		x.serveApp(r)
	}
}

// settle finds the place of the host, or answers that there is none.
func (x *exchange) settle(r *http.Request, host tenancy.Host, port string) bool {
	pl, ok := x.st.place(host)
	if !ok || !x.st.rightPort(port) {
		why := "no organization or login host has this name"
		if ok {
			why = "the port is not that of public_url"
		}
		x.refuse(r, unknownHost, why)
		return false
	}
	if pl.org != nil && pl.org.unread {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		x.p.reopen(ctx, pl.org.id)
		x.st = x.p.state.Load()
		x.country = x.st.country(r.Header[x.st.countryHeader], x.peerTrust)
		if pl, ok = x.st.place(host); !ok {
			x.refuse(r, unknownHost, "the organization is gone or suspended")
			return false
		}
		if pl.org != nil && pl.org.unread {
			x.fail(r, unavailable(nil))
			return false
		}
	}
	x.place = pl
	return true
}

// ours reports whether the path is one of ours to any server.
func (x *exchange) ours() bool {
	if !x.target.ambiguous {
		return reserved(x.target.path)
	}
	return slices.ContainsFunc(readings(x.target.raw), reserved)
}

// authorize finds the session of the request and what it is allowed. It returns the error
// to answer with if the store can't say.
func (x *exchange) authorize(r *http.Request) error {
	return x.admit(r.Context(), r.Header["Cookie"])
}

// admit is authorize by the Cookie lines of the request.
func (x *exchange) admit(ctx context.Context, cookies []string) error {
	token := x.token(cookies)
	g, ended, err := x.p.grant(ctx, x.st, &x.place, token, x.began)
	if err != nil {
		return unavailable(err)
	}
	x.clear = x.clear || ended
	x.grant = g
	x.p.used(g, x.st.limits, x.began)
	if !x.target.ambiguous {
		x.rule = x.place.app.Rules.Match(x.method, x.target.path)
	}
	x.decision = x.decide(g, x.began)
	return nil
}

// token returns the hash of the session token that came with the request. Two session
// cookies are none: somebody tossed one in.
func (x *exchange) token(cookies []string) session.Hash {
	value, n := x.st.jar.Find(cookies, cookie.Session)
	if n != 1 {
		x.clear = n > 1
		return session.Hash{}
	}
	t, ok := session.ParseToken(value)
	if !ok {
		x.clear = true
		return session.Hash{}
	}
	h := x.p.hashers.Get().(*session.Hasher)
	defer x.p.hashers.Put(h)
	return h.Hash(t)
}

// recovered records the request, also one whose handler panicked.
func (x *exchange) recovered(r *http.Request) {
	if fault := recover(); fault != nil {
		if fault != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			x.panicked(r.Context(), fault)
		}
		defer panic(http.ErrAbortHandler)
	} else if x.status == 0 {
		x.status = http.StatusOK // as net/http says when a handler says nothing
	}
	x.noteDenial(r)
	x.record(r.Context(), r.Pattern)
}

func (x *exchange) panicked(ctx context.Context, fault any) {
	x.p.log.LogAttrs(ctx, slog.LevelError, "request panicked", slog.String("request_id", x.id), slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
}

// record writes the line of the request to the log and counts it. pattern is that of a route
// of ours.
func (x *exchange) record(ctx context.Context, pattern string) {
	now := x.p.now()
	took := now.Sub(x.began)
	reason := x.code
	if x.flight.ended.Load() {
		reason = "session_ended"
	}
	if reason == "" && x.decision.Reason != policy.Unspecified {
		reason = x.decision.Reason.String()
	}
	verdict := ""
	if x.grant != nil {
		verdict = x.decision.Verdict.String()
	}
	stream := phase(x.flight.phase.Load()) == streaming
	if x.p.observer != nil {
		x.p.observer.Observe(Observation{Route: string(x.class), Verdict: verdict, Reason: reason, Status: x.status, Took: took, Stream: stream, Fast: x.fast})
	}
	if !x.p.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	var room [16]slog.Attr
	attrs := append(room[:0],
		slog.String("request_id", x.id), slog.String("method", clip(x.method, maxMethod)), slog.String("route", string(x.class)),
		slog.Int("status", x.status), slog.Int64("bytes", x.bytes), slog.Duration("duration", took), slog.String("client_ip", x.clientIP))
	if x.place.org != nil {
		attrs = append(attrs, slog.String("organization", string(x.place.org.slug)), slog.String("app", x.place.app.Name))
	}
	if verdict != "" {
		attrs = append(attrs, slog.String("verdict", verdict), slog.String("source", x.decision.Source.String()))
		if !x.grant.nobody() {
			attrs = append(attrs, slog.String("user", string(x.grant.user())), slog.String("session", string(x.grant.session())))
		}
	}
	if reason != "" {
		attrs = append(attrs, slog.String("reason", reason))
	}
	level := slog.LevelInfo
	if x.cause != nil {
		attrs = append(attrs, slog.String("cause", x.cause.Error()))
		if x.status >= 500 && ctx.Err() == nil {
			level = slog.LevelError
		}
	}
	switch {
	case x.rule != nil:
		attrs = append(attrs, slog.String("rule", x.rule.Name))
	case x.class == toOurs || x.class == toLogin:
		attrs = append(attrs, slog.String("pattern", pattern))
	}
	// Not LogAttrs: it looks for the line of the program, which is always this one.
	line := slog.NewRecord(now, level, "request", 0)
	line.AddAttrs(attrs...)
	_ = x.p.log.Handler().Handle(ctx, line) // there is nobody to tell of it
}

// Header implements [http.ResponseWriter].
func (x *exchange) Header() http.Header { return x.w.Header() }

// WriteHeader implements [http.ResponseWriter]. Of interim answers it lets those through
// that mean something to a browser, with nothing in them but links to preload.
func (x *exchange) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		if status != http.StatusContinue && status != http.StatusEarlyHints {
			return
		}
		h := x.w.Header()
		for name := range h {
			if name != "Link" || status == http.StatusContinue {
				delete(h, name)
			}
		}
		x.w.WriteHeader(status)
		return
	}
	x.open(status)
	x.extend()
	x.w.WriteHeader(status)
}

// open notes that the answer begins. If it does before the end of the request, the connection is
// closed after it: net/http reads on for a while then, and if the client is slow, takes what comes
// after that for the next request, though it is in the middle of the body.
func (x *exchange) open(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	if unread := x.http1 && x.unread != nil && !x.unread.over.Load(); status != http.StatusSwitchingProtocols && (x.last || unread) {
		x.w.Header()["Connection"] = []string{"close"}
	}
}

// stall is how long a body may stand still, either way, before its connection is given
// up: a client that reads or sends a byte now and then holds the app's connection too.
const stall = time.Minute

// Write implements [http.ResponseWriter].
func (x *exchange) Write(b []byte) (int, error) {
	x.open(http.StatusOK)
	x.extend()
	x.review()
	n, err := x.w.Write(b)
	x.bytes += int64(n)
	return n, err
}

// review has what is under way judged anew if that is due.
func (x *exchange) review() {
	if at := x.flight.until.Load(); at != 0 && x.p.now().UnixNano() > at && x.flight.until.CompareAndSwap(at, 0) {
		x.p.docket.addOne(&x.flight)
	}
}

// extend gives a client of HTTP/1 time to take what is written now. HTTP/2 has its own
// limit (see [Server]); there, a deadline would end a stream that is merely quiet.
func (x *exchange) extend() {
	if !x.http1 {
		return
	}
	now := time.Now() // of the network, not of sessions
	if now.Before(x.deadline.Add(-stall * 3 / 4)) {
		return
	}
	x.deadline = now.Add(stall)
	x.cutting.Lock()
	defer x.cutting.Unlock()
	if !x.wasCut {
		_ = x.rc.SetWriteDeadline(x.deadline) // a writer without deadlines is a test's
	}
}

// cut ends what is written to the client for x, if that goes on still: one that reads nothing would hold the request for as long as a
// write may stand still. Once x is over, the connection is another request's.
func (x *exchange) cut() {
	x.cutting.Lock()
	defer x.cutting.Unlock()
	if !x.finished.Load() {
		x.wasCut = true
		_ = x.rc.SetWriteDeadline(time.Unix(1, 0)) // if it fails nobody writes any more
	}
}

// Unwrap lets an [http.ResponseController] reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.w }

// FlushError implements what [http.ResponseController] calls.
func (x *exchange) FlushError() error { return x.rc.Flush() }

// Hijack implements [http.Hijacker].
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := x.rc.Hijack()
	if err != nil {
		return conn, rw, err
	}
	x.status = http.StatusSwitchingProtocols
	return newTunnelConn(conn, rw.Reader), rw, nil
}
