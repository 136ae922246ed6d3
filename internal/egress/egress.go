// Package egress makes the one HTTP client that orgate calls out with: to identity
// providers, for metadata and keys, for tokens, later for webhooks. Every URL it is
// given came from somebody who may be an attacker: a customer's administrator, or the
// provider that they named.
//
// It owns where a call may go and how much may come back. It does not own what the
// answer means.
//
// The invariant: no bytes are sent to an address that was not judged after the name
// was resolved and before the connection was made, and no answer, however long or slow or
// compressed, costs more than [Options.MaxBody] and [Options.Timeout].
package egress

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// The defaults of [Options].
const (
	DefaultMaxBody = 1 << 20
	DefaultTimeout = 10 * time.Second
)

const (
	dialTimeout    = 5 * time.Second
	maxHeader      = 64 << 10
	maxIdle        = 256
	maxIdlePerHost = 32
	// maxPerHost keeps a provider that hangs from holding all of our sockets; thousands of
	// organizations can be behind one that does not.
	maxPerHost = 256
)

// Options say what a client may do beyond calling public addresses by https. The zero
// Options allow nothing more.
type Options struct {
	// AllowLoopback lets URLs whose host is localhost, *.localhost or a loopback
	// address be called, by http too and on any port: demo and tests. A name elsewhere that
	// resolves to loopback stays refused.
	AllowLoopback bool
	// AllowPrivate lets private addresses be called (RFC 1918, RFC 6598, fc00::/7), for
	// providers inside the operator's network. Link-local addresses and the clouds'
	// metadata services stay refused.
	AllowPrivate bool
	// AllowPrefixes are ranges that the operator named: what is inside may be called,
	// whatever it is, except for unspecified and multicast addresses.
	AllowPrefixes []netip.Prefix
	// Ports that public addresses may be called on; empty: 443, 8443 and 9443.
	// Addresses that the options above opened may be called on any.
	Ports []uint16

	// RootCAs are the authorities that servers are checked against; nil: the system's.
	RootCAs *x509.CertPool
	// MaxBody is how long an answer may be once decompressed; 0: DefaultMaxBody.
	MaxBody int64
	// Timeout is how long a call may take, from the first byte out to the last byte
	// in; 0: DefaultTimeout.
	Timeout time.Duration
}

// A Client calls out, guarded.
type Client struct {
	// HTTP is for libraries that want one. It follows no redirect, keeps no cookie and
	// uses no proxy.
	HTTP *http.Client

	options  Options
	resolver *net.Resolver // nil: the system's
}

// New returns a client that may do what o says.
func New(o Options) *Client {
	o.MaxBody = cmp.Or(o.MaxBody, DefaultMaxBody)
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if len(o.Ports) == 0 {
		o.Ports = []uint16{443, 8443, 9443}
	}
	c := &Client{options: o}
	c.HTTP = &http.Client{Transport: &guard{client: c, next: &http.Transport{
		// Proxy stays nil: HTTP_PROXY in the environment would dial for us, unjudged.
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		MaxConnsPerHost:        maxPerHost,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}}}
	return c
}

// dial connects to an address that it has judged. The judgement is in Control, which
// runs for each address that the name resolved to, right before connect: a name that
// resolves differently the second time (DNS rebinding) gains nothing.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	loopback := c.options.AllowLoopback && isLoopbackHost(host)
	if loopback && isLocalhost(host) {
		// Go asks the DNS for names under localhost; RFC 6761 says where they are.
		address = net.JoinHostPort("127.0.0.1", port)
	}
	d := net.Dialer{Timeout: dialTimeout, Resolver: c.resolver, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return ErrAddress
		}
		return c.options.judge(ap, loopback)
	}}
	return d.DialContext(ctx, network, address)
}

// judge returns nil if ap may be connected to. loopback says that the URL itself named
// a loopback host and that this is allowed.
func (o Options) judge(ap netip.AddrPort, loopback bool) error {
	addr := ap.Addr().Unmap().WithZone("")
	switch {
	case addr.IsUnspecified() || addr.IsMulticast():
		return ErrAddress
	case loopback && addr.IsLoopback():
		return nil
	case slices.ContainsFunc(o.AllowPrefixes, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return nil
	case isMetadata(addr):
		return ErrAddress
	case o.AllowPrivate && isPrivate(addr):
		return nil
	case !isPublic(addr):
		return ErrAddress
	case !slices.Contains(o.Ports, ap.Port()):
		return ErrPort
	}
	return nil
}

// guard is the transport: it checks a request's URL, refuses redirects, and bounds the
// answer. It is below http.Client, so a library that builds a client of its own around
// our transport is guarded all the same.
type guard struct {
	client *Client
	next   http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	o := g.client.options
	if err := o.check(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), o.Timeout)
	resp, err := g.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, explain(err)
	}
	refuse := func(err error) (*http.Response, error) {
		cancel()
		resp.Body.Close()
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		// A redirect is how a public server aims us at a private one, and how a client
		// secret is carried to another host.
		return refuse(ErrRedirect)
	case http.StatusSwitchingProtocols:
		return refuse(ErrUnreachable)
	}
	if resp.ContentLength > o.MaxBody {
		return refuse(ErrTooLarge)
	}
	resp.Body = &body{ReadCloser: resp.Body, left: o.MaxBody, cancel: cancel}
	return resp, nil
}

// body is an answer's body that ends with an error, not silently, when it is too long.
type body struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc
}

// Read implements [io.Reader]. It reads one byte past the limit to tell an answer that
// fits exactly from one that goes on.
func (b *body) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, ErrTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = explain(err)
	}
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error {
	b.cancel()
	return b.ReadCloser.Close()
}

// port returns the port of a URL as a number; 0 if it is none.
func port(s, scheme string) uint16 {
	if s == "" {
		return map[string]uint16{"https": 443, "http": 80}[scheme]
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
