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
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("ssotest: %v", err)
	}
	if o.Issuer == "" {
		o.Issuer = "http://" + ln.Addr().String()
	}
	p, err := New(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	srv := &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return p
}
