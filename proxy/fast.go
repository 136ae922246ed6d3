package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/orgate/orgate/internal/endpoint"
	"github.com/orgate/orgate/internal/page"
	"github.com/orgate/orgate/proxy/upstream"
	"github.com/orgate/orgate/tenancy"
)

// outcome is what became of a plain request.
type outcome uint8

const (
	over    outcome = iota // it was answered or given up, and the connection with it
	served                 // it was answered, and the next may come
	notOurs                // nothing was done for it: it is net/http's
)

// serve serves the plain request in buf, if it is one that is forwarded. Nothing is refused here
// and nobody is sent to sign in: that is the other path's, for this request as for any.
func (c *conn) serve() (o outcome) {
	b, p := c.buf, c.l.p
	x := b.exchange()
	*x = exchange{p: p, st: p.state.Load(), began: p.now(), class: toApp, method: b.head.Method, fast: true}
	cookies, ok := x.plainly(c.peer, b)
	if !ok {
		return notOurs
	}
	address, ok := x.plainAddress()
	if !ok {
		return notOurs
	}
	ctx := context.Background()
	if err := x.admit(ctx, cookies); err != nil || !allows(x.decision) || x.clear {
		return notOurs
	}
	// Who is refused is counted by whoever refuses.
	quota, meter := x.st.quota(x.place.org), x.place.org.meter
	if !meter.enter(quota) {
		return notOurs
	}
	defer meter.leave()
	if _, ok := meter.admit(quota, x.began); !ok {
		return notOurs
	}
	if !c.begin(x) {
		return over
	}
	off := false
	defer func() {
		if fault := recover(); fault != nil {
			if fault != http.ErrAbortHandler { //nolint:errorlint // as net/http has it
				x.panicked(ctx, fault)
			}
			c.buf = nil // somebody may still read from it
			o, off = over, true
		}
		if x.flying() {
			p.land(x)
		}
		c.finish()
		if off {
			x.record(ctx, "")
		}
		if o == served {
			b.keep(x)
		}
	}()
	if err := x.takeOff(ctx, cookies, c); err != nil || !allows(x.decision) || x.clear {
		return notOurs
	}
	off = true
	return c.forward(x, address)
}

// exchange returns one to fill in.
func (b *buffer) exchange() *exchange {
	if x := b.spare; x != nil {
		b.spare = nil
		return x
	}
	return new(exchange)
}

// keep has x, which has landed, used again; but not if anybody else has ever had its flight, to judge or end it: they would find
// another request in its place, and end that, or let it go on. Whoever gets at a flight gets it from its grant or the docket, and marks it
// there; since it has landed, its grant has it no more.
func (b *buffer) keep(x *exchange) {
	if !x.flight.seen.Load() && x.flight.timer.Load() == nil && x.w == nil { // what writes pages may have had it, too
		*x = exchange{} // it would keep what it refers to
		b.spare = x
	}
}

// plainly finds out where the request goes, and returns its Cookie lines. It is false for
// whatever is not an app's that is reached over HTTP/1.1, and for what is not said in one way only.
func (x *exchange) plainly(peer peer, b *buffer) (cookies []string, ok bool) {
	h := &b.head
	var bad refusal
	if x.target, bad = parseTarget(h.Target); bad != "" || x.target.ambiguous {
		return nil, false
	}
	host, port, err := tenancy.ParseHost(h.Host)
	if err != nil || !x.st.rightPort(port) {
		return nil, false
	}
	if x.place, ok = x.st.placeOf(host, h.Host); !ok || x.place.login || x.place.org.unread {
		return nil, false
	}
	if x.ours() || x.target.path == jwksPath || strings.HasPrefix(x.target.path, page.StaticPath) {
		return nil, false
	}
	if a := x.place.app; a.MaxBody > 0 && h.Length > a.MaxBody {
		return nil, false
	}
	cookies, chain, countries := b.cookies[:0], b.chain[:0], b.countries[:0]
	for _, f := range h.Fields() {
		switch {
		case strings.EqualFold(f.Name, "Cookie"):
			cookies = append(cookies, f.Value)
		case strings.EqualFold(f.Name, "X-Forwarded-For"):
			chain = append(chain, f.Value)
		case x.st.countryHeader != "" && strings.EqualFold(f.Name, x.st.countryHeader):
			countries = append(countries, f.Value)
		}
	}
	if len(cookies) > maxLines || len(chain) > maxLines {
		return nil, false
	}
	x.clientIP, x.forwarded, x.peerTrust = x.st.client(peer, chain)
	x.country = x.st.country(countries, x.peerTrust)
	return cookies, true
}

// cancel implements [canceler].
func (c *conn) cancel(x *exchange, cause error) {
	x.cancel.End(cause)
	if phase(x.flight.phase.Load()) != waiting {
		c.cut(x)
	}
}

// forward is [exchange.forward]: the one place of this path where a request is sent to its app.
func (c *conn) forward(x *exchange, address string) outcome {
	b := c.buf
	h := &b.head
	x.id = endpoint.NewRequestID()
	b.r += len(b.text)

	call := upstream.NewCall()
	defer call.Close()
	call.Address, call.Method, call.Cancel, call.Caller = address, h.Method, &x.cancel, c
	call.Head = x.appendPlain(call.Head, h)
	call.Empty = h.Length == 0 && (h.Method == "POST" || h.Method == "PUT" || h.Method == "PATCH")
	if h.Length > 0 {
		n := int(min(int64(b.w-b.r), h.Length))
		call.Body, call.Length, call.Duplex = &connBody{c: c, here: b.in[b.r : b.r+n : b.r+n]}, h.Length, duplex(h.Length)
		b.r += n
	}
	if err := x.guardHead(call.Head); err != nil {
		return c.explain(x, err)
	}
	x.said = nil // an answer may go on for hours
	if err := x.place.app.transport.plain.Do(call); err != nil {
		return c.explain(x, err)
	}
	return c.answer(x, call)
}

// A connBody is the body of a request.
type connBody struct {
	c    *conn
	here []byte // what came with the head
	by   time.Time
}

// Read implements [io.Reader]. The client must go on sending.
func (r *connBody) Read(p []byte) (int, error) {
	if len(r.here) > 0 {
		n := copy(p, r.here)
		r.here = r.here[n:]
		return n, nil
	}
	if now := time.Now(); r.by.Sub(now) < stall*3/4 {
		r.by = now.Add(stall)
		if err := r.c.Conn.SetReadDeadline(r.by); err != nil {
			return 0, err
		}
	}
	return r.c.Conn.Read(p)
}

// rested undoes what reading the body did to the connection.
func (r *connBody) rested() {
	if !r.by.IsZero() {
		_ = r.c.Conn.SetReadDeadline(time.Time{}) // if it fails the next read does
	}
}

// Waiting implements [upstream.Caller]. The sweep looks whether the client is still there.
func (c *conn) Waiting() {}

// Interim implements [upstream.Caller]: it passes an interim answer on, as [exchange.WriteHeader] does.
func (c *conn) Interim(a *upstream.Answer) {
	out := c.buf.out[:0]
	switch a.Status {
	case http.StatusContinue:
		out = append(out, "HTTP/1.1 100 Continue\r\n\r\n"...)
	case http.StatusEarlyHints:
		out = append(out, "HTTP/1.1 103 Early Hints\r\n"...)
		for _, f := range a.Fields {
			if canonical(f.Name) == "Link" {
				out = appendField(out, "Link", string(f.Value))
			}
		}
		out = append(out, "\r\n"...)
	default:
		return
	}
	_ = c.send(out) // what comes after it fails too
}

// answer passes the app's answer on.
func (c *conn) answer(x *exchange, call *upstream.Call) outcome {
	b, a := c.buf, &call.Answer
	body, _ := call.Body.(*connBody)
	last := b.head.Close || c.isRetired() || !call.Taken()
	x.status = a.Status
	x.answers(isStreamType(string(a.Get("content-type"))))
	out, chunks := x.appendAnswer(b.out[:0], call, last)

	var err error
	if !call.Over() && !call.Buffered() {
		err = c.send(out) // the app takes its time, and nobody has to wait for its first word
		out = out[:0]
	}
	for err == nil && !call.Over() {
		var data []byte
		if data, err = call.Next(); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			break
		}
		x.review()
		x.bytes += int64(len(data))
		if chunks {
			out = append(strconv.AppendInt(out, int64(len(data)), 16), "\r\n"...)
		}
		if len(out)+len(data) > len(b.out)-endRoom {
			err = c.sendBoth(out, data)
			out = out[:0]
		} else {
			out = append(out, data...)
		}
		if chunks {
			out = append(out, "\r\n"...)
		}
		if err == nil && !call.Over() && len(out) > 0 && (!call.Buffered() || len(out) > len(b.out)/2) {
			err = c.send(out)
			out = out[:0]
		}
	}
	if err == nil {
		if chunks {
			out = appendEnd(out, call.Trailers)
		}
		if len(out) > 0 {
			err = c.send(out)
		}
	}
	switch {
	case err != nil:
		if !call.Taken() {
			c.buf = nil // as below
		}
		return over // half an answer is none: the client sees that it was cut off
	case !call.Taken():
		c.buf = nil // somebody may still read from it
		c.linger()
		return over
	case body != nil:
		body.rested()
	}
	if last {
		return over
	}
	return served
}

// endRoom is what is kept free for the end of a chunk.
const endRoom = 64

// send writes to the client, which must go on reading.
func (c *conn) send(b []byte) error {
	if err := c.patience(); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}

// sendBoth is send for two parts, at once.
func (c *conn) sendBoth(a, b []byte) error {
	if err := c.patience(); err != nil {
		return err
	}
	buffers := net.Buffers{a, b}
	_, err := buffers.WriteTo(c.Conn)
	return err
}

// patience sets how long the client may take to read on.
func (c *conn) patience() error {
	if now := time.Now(); c.writeBy.Sub(now) < stall*3/4 {
		c.writeBy = now.Add(stall)
		if err := c.writeUntil(c.writeBy); err != nil {
			return err
		}
	}
	return nil
}

// linger lets the client read the answer before the connection is closed on what it sends still: the
// kernel would take both back.
func (c *conn) linger() {
	if c.CloseWrite() != nil {
		return
	}
	const patience, most = 500 * time.Millisecond, 256 << 10
	if c.Conn.SetReadDeadline(time.Now().Add(patience)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, most) // it ends with any error
	}
}

// explain answers for an app that did not. The page is the other path's.
func (c *conn) explain(x *exchange, err error) outcome {
	if cause := x.cancel.Cause(); cause != nil {
		err = cause
	} else if isBodyError(err) {
		err = errClientGone // or it sends nothing any more
	}
	b := c.buf
	r, bad := http.ReadRequest(bufio.NewReader(strings.NewReader(b.text)))
	if bad != nil {
		return over // it is plain, so this does not happen
	}
	w := &ownPage{header: http.Header{}}
	x.w = w
	x.appFailed(r, err)
	unread := b.head.Length > 0
	last := b.head.Close || c.isRetired() || unread
	err = c.send(w.bytes(b.head.Method, x.p.dated.line(time.Now()), last))
	if unread {
		c.buf = nil // somebody may still read from it
		c.linger()
	}
	if err != nil || last {
		return over
	}
	return served
}

// An ownPage is an answer of ours.
type ownPage struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *ownPage) Header() http.Header         { return w.header }
func (w *ownPage) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *ownPage) WriteHeader(status int)      { w.status = status }

// bytes returns the answer as it is sent. date is its Date field.
func (w *ownPage) bytes(method, date string, last bool) []byte {
	var b bytes.Buffer
	b.Write(appendStatus(nil, w.status))
	if w.header["Content-Length"] == nil {
		w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	}
	if last {
		w.header.Set("Connection", "close")
	}
	_ = w.header.Write(&b) // into memory
	b.WriteString(date)
	b.WriteString("\r\n")
	if method != http.MethodHead {
		b.Write(w.body.Bytes())
	}
	return b.Bytes()
}
