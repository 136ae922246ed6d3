package ssotest

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// TB is the part of testing.TB that is needed here. Package testing itself stays out of the
// program that `orgate demo` is.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
	Output() io.Writer
}

// Start serves a provider on a free port of loopback until the test ends. If the options
// have no issuer, it is http://127.0.0.1:port.
func Start(t TB, o Options) *Provider {
	t.Helper()
	ln, at := listen(t)
	if o.Issuer == "" {
		o.Issuer = at
	}
	p, err := New(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	serve(t, ln, p)
	return p
}

// listen takes a free port of loopback, and says at what URL that is.
func listen(t TB) (ln net.Listener, at string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	return ln, "http://" + ln.Addr().String()
}

// serve serves until the test ends.
func serve(t TB, ln net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
}
