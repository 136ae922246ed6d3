package proxy

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"
)

// ServerLimits are those of the public listener. Each 0 means the default.
type ServerLimits struct {
	MaxHeader     int           // bytes of request line and headers; 48 KiB
	HeaderTimeout time.Duration // for all of them to arrive; 10 s
	IdleTimeout   time.Duration // between two requests of a connection; 2 min
	// H2C takes HTTP/2 without TLS from clients that begin with it, such as a balancer
	// that passes gRPC on. An Upgrade to it is never taken.
	H2C bool
}

// Server returns a server for h, which is a [Proxy] or wraps one, set up against clients
// that are slow, greedy or neither of both but many. There is no limit on the time of a
// whole request or answer, since bodies stream; what stands still is given up, see stall.
func Server(h http.Handler, l ServerLimits, log *slog.Logger) *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(l.H2C)
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(l.HeaderTimeout, 10*time.Second),
		IdleTimeout:       cmp.Or(l.IdleTimeout, 2*time.Minute),
		// Go adds 4 KiB of its own to this.
		MaxHeaderBytes: cmp.Or(l.MaxHeader, 48<<10),
		Protocols:      &p,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: 250,
			// A client that takes nothing for so long is gone.
			WriteByteTimeout: stall,
			SendPingTimeout:  30 * time.Second,
			PingTimeout:      15 * time.Second,
		},
		// OPTIONS * is answered as any other target that is no path: not at all.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug), // TLS scans and the like
	}
}
