package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/orgate/orgate/proxy/upstream"
)

// A transport is the connections to the upstreams of one app.
type transport struct {
	protocol Protocol
	tls      *tls.Config
	timeouts Timeouts
	wait     time.Duration // for a connection of http or upgrade
	http     *http.Transport
	plain    *upstream.Client // for plain requests; nil: none are
	// upgrade is for WebSockets, which HTTP/2 without TLS does not carry here; nil: http.
	upgrade *http.Transport
}

// same reports whether a can be reached over t.
func (t *transport) same(a *app) bool {
	return t.protocol == a.Protocol && t.timeouts == a.Timeouts && t.tls == nil && a.TLS == nil
}

func newTransport(a *app) *transport {
	t := &transport{protocol: a.Protocol, tls: a.TLS, timeouts: a.Timeouts, wait: upstream.DefaultWait + a.Timeouts.Connect, http: baseTransport(a)}
	var p http.Protocols
	switch a.Protocol {
	case H2C:
		p.SetUnencryptedHTTP2(true)
		t.upgrade = baseTransport(a)
	case HTTP1:
		p.SetHTTP1(true)
	default:
		p.SetHTTP1(true)
		p.SetHTTP2(true)
	}
	t.http.Protocols = &p
	if a.Protocol != H2C {
		t.plain = upstream.New(plainLimits(a))
	}
	return t
}

// plainLimits are those of the connections for plain requests. An app may be quiet in the
// middle of an answer for as long as it likes, as a stream is.
func plainLimits(a *app) upstream.Limits {
	return upstream.Limits{IdleTime: a.Timeouts.Idle, Connect: a.Timeouts.Connect, Redial: retries(), Answer: a.Timeouts.Answer, Stall: stall}
}

// baseTransport is tuned for many requests to few hosts. Go's default keeps two idle
// connections for each, and so pays for a new one with every other request: a third of
// the throughput. Variables that name a proxy are not for us.
func baseTransport(a *app) *http.Transport {
	dialer := &net.Dialer{Timeout: a.Timeouts.Connect, KeepAlive: 30 * time.Second}
	var p http.Protocols
	p.SetHTTP1(true)
	t := &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        a.TLS.Clone(),
		TLSHandshakeTimeout:    a.Timeouts.Connect,
		ResponseHeaderTimeout:  a.Timeouts.Answer,
		ExpectContinueTimeout:  time.Second,
		MaxConnsPerHost:        upstream.DefaultConnections,
		MaxIdleConnsPerHost:    512,
		IdleConnTimeout:        a.Timeouts.Idle,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // answers pass as they are
		WriteBufferSize:        16 << 10,
		ReadBufferSize:         16 << 10,
		Protocols:              &p,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	return t
}

// close closes the connections that are not in use.
func (t *transport) close() {
	t.http.CloseIdleConnections()
	if t.upgrade != nil {
		t.upgrade.CloseIdleConnections()
	}
	if t.plain != nil {
		t.plain.Close()
	}
}

// retries is how often, and after how long, a connection is tried again that was refused:
// an app beside us is away for a moment when it is restarted.
func retries() []time.Duration {
	return []time.Duration{20 * time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond}
}

// send sends r. It is sent again only where nothing can have been done yet: no connection
// came about, and nothing of the body was read. (What the connection pool itself does is
// as careful: a request without a body and of a method that may be repeated, on a
// connection that was closed before a byte of the answer came.)
func (t *transport) send(r *http.Request) (*http.Response, error) {
	rt := t.http
	if t.upgrade != nil && r.Header["Upgrade"] != nil {
		rt = t.upgrade
	}
	var body *untouched
	if r.Body != nil && r.Body != http.NoBody {
		body = &untouched{ReadCloser: r.Body}
		r.Body = body
	}
	res, err := t.roundTrip(rt, r)
	for _, wait := range retries() {
		if err == nil || !upstream.Refused(err) || body != nil && body.read.Load() || !upstream.Sleep(r.Context(), wait) {
			break
		}
		res, err = t.roundTrip(rt, r)
	}
	return res, err
}

// roundTrip sends r by rt, and returns [upstream.ErrBusy] if no connection came free for it in time: rt itself would wait without end.
func (t *transport) roundTrip(rt *http.Transport, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	var settled atomic.Bool // it has one, or will get none
	patience := time.AfterFunc(t.wait, func() {
		if settled.CompareAndSwap(false, true) {
			cancel(upstream.ErrBusy)
		}
	})
	defer patience.Stop()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { settled.Store(true) }})
	res, err := rt.RoundTrip(r.WithContext(traced))
	if err != nil {
		if errors.Is(context.Cause(ctx), upstream.ErrBusy) {
			err = upstream.ErrBusy
		}
		cancel(nil)
	}
	return res, err // whose body is read under ctx, which ends with that of r
}
