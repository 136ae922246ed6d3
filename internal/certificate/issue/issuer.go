// Package issue has an authority issue certificates by ACME (RFC 8555), each when a visitor first
// asks for its host, and renews them when they are asked for again.
//
// It owns how an authority is asked, when it is not asked again, and that of several replicas one
// asks: what is issued, and what proves that a host is ours (TLS-ALPN-01, RFC 8737: nothing but
// the public listener is needed), is in the store, sealed. It does not own which hosts there are: it
// asks, on every handshake, and a host that is nobody's is refused before anything else is looked at.
//
// The invariant: what a stranger sends makes the authority be asked for hosts of this installation
// alone, and of one that fails ever more rarely.
package issue

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
)

// Protocol is what an authority speaks when it looks whether a host is ours (RFC 8737, 4).
const Protocol = "acme-tls/1"

const (
	// maxCached is how many certificates are at hand; others are read again.
	maxCached = 10_000
	// issueWithin is how long an authority may take.
	issueWithin = 2 * time.Minute
)

// ErrUnknownHost says that a host is nobody's here.
var ErrUnknownHost = errors.New("no certificate for a host that is nobody's")

// Options are what an [Issuer] is made of.
type Options struct {
	Store  *store.Store
	Box    *seal.Box
	Logger *slog.Logger
	// Directory is the URL of the authority's directory; Email is whom it may write to, or empty.
	Directory, Email string
	// Roots are those that its own certificate is checked against; nil: the system's.
	Roots *x509.CertPool
	// Serves reports whether a host is one of this installation, at this moment. It is called
	// in every handshake.
	Serves func(host string) bool
	// Listen is the address of the public listener, which must be open.
	Listen net.Addr
	// Count is told of what came of asking: "issued", "renewed" or "failed"; nil: nobody is.
	Count func(outcome string)
	// Now is the clock; nil: the real one.
	Now func() time.Time
}

// An Issuer gets certificates.
type Issuer struct {
	o       Options
	storage *storage
	paused  pauses
	cache   *certmagic.Cache
	config  *certmagic.Config
}

// New returns an issuer, which asks for nothing yet. Close ends it.
func New(o Options) (*Issuer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	host, port, err := net.SplitHostPort(o.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("listener: %w", err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, fmt.Errorf("listener: %w", err)
	}
	i := &Issuer{o: o, storage: &storage{store: o.Store, box: o.Box, log: o.Logger, now: o.Now}}
	// What the library logs is for who debugs it; what the operator must know are its events.
	silent := zap.NewNop()
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return i.config, nil },
		Capacity:         maxCached, Logger: silent,
	})
	i.config = certmagic.New(i.cache, certmagic.Config{
		Storage: i.storage, Logger: silent, OnEvent: i.event,
		OnDemand: &certmagic.OnDemandConfig{DecisionFunc: i.decide},
		// It would have us call whatever address a certificate names.
		OCSP: certmagic.OCSPConfig{DisableStapling: true},
	})
	i.config.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(i.config, certmagic.ACMEIssuer{
		CA: o.Directory, TestCA: o.Directory, Email: o.Email, Agreed: true, TrustedRoots: o.Roots,
		DisableHTTPChallenge: true, CertObtainTimeout: issueWithin, Logger: silent,
		// The library opens a listener of its own for the authority unless it finds one there.
		ListenHost: host, AltTLSALPNPort: number,
	})}
	return i, nil
}

// Close ends what goes on behind.
func (i *Issuer) Close() { i.cache.Stop() }

// Get returns the certificate for a visitor: in the form of [tls.Config]'s GetCertificate.
func (i *Issuer) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := strings.ToLower(hello.ServerName)
	if !i.o.Serves(host) {
		return nil, ErrUnknownHost
	}
	// The authority may be answering to another replica, which asks already.
	if !slices.Contains(hello.SupportedProtos, Protocol) && i.paused.is(host, i.o.Now()) {
		return nil, fmt.Errorf("no certificate for %s yet: the authority refused it a moment ago", host)
	}
	ctx, giveUp := context.WithCancel(hello.Context())
	defer giveUp()
	return i.config.GetCertificateWithContext(context.WithValue(ctx, giveUpKey{}, giveUp), hello)
}

// giveUpKey is where a context has what ends it. The library tries again by itself what an authority has
// refused, with the visitor waiting; here, others decide when.
type giveUpKey struct{}

// Prepare gets the certificate of a host before anybody asks for it. It returns when there is one, or
// when the authority has refused.
func (i *Issuer) Prepare(ctx context.Context, host string) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	return i.config.ObtainCertAsync(context.WithValue(ctx, giveUpKey{}, giveUp), host)
}

// decide reports whether the authority is asked for a host, or why not. The library asks before it
// reads or orders a certificate.
func (i *Issuer) decide(_ context.Context, host string) error {
	if !i.o.Serves(host) {
		return ErrUnknownHost
	}
	return nil
}

// event is told by the library what happens. Its error keeps that from happening.
func (i *Issuer) event(ctx context.Context, name string, data map[string]any) error {
	host, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch name {
	case "cert_obtaining":
		if !i.o.Serves(host) {
			return certmagic.ErrNoRetry{Err: ErrUnknownHost}
		}
		if err := i.storage.mayAsk(ctx, host); err != nil {
			if !renewal {
				i.paused.add(host, i.o.Now())
			}
			return certmagic.ErrNoRetry{Err: err}
		}
	case "cert_failed":
		cause, _ := data["error"].(error)
		again, err := i.storage.failed(ctx, host)
		if err != nil {
			cause = errors.Join(cause, err)
		}
		if !renewal {
			i.paused.add(host, i.o.Now())
		}
		if giveUp, ok := ctx.Value(giveUpKey{}).(context.CancelFunc); ok {
			giveUp()
		}
		i.o.Count("failed")
		i.o.Logger.WarnContext(ctx, "no certificate from the authority", "host", host, "cause", cause, "again", again)
	case "cert_obtained":
		if err := i.storage.succeeded(ctx, host); err != nil {
			i.o.Logger.WarnContext(ctx, "that a certificate was issued is not noted", "host", host, "cause", err)
		}
		outcome := "issued"
		if renewal {
			outcome = "renewed"
		}
		i.o.Count(outcome)
		i.o.Logger.InfoContext(ctx, "certificate from the authority", "outcome", outcome, "host", host)
	}
	return nil
}

func newHolder() string { return rand.Text() }
