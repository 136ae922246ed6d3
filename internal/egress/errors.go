package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
)

// Why a call was refused or failed. The texts are fixed: none holds what a server
// answered, or what a name resolved to, because they may be shown to whoever chose the
// URL. The cause behind an error can be unwrapped, for the operator's log.
var (
	ErrURL      = errors.New("not a URL that can be called")
	ErrScheme   = errors.New("not an https URL")
	ErrUserinfo = errors.New("URL has a user name or password in it")
	// ErrAddress: the host is, or resolves to, an address that is not on the public
	// Internet, and the operator did not allow it.
	ErrAddress = errors.New("address is not allowed")
	ErrPort    = errors.New("port is not allowed")
	// ErrRedirect: the server answered with a redirect; none is followed.
	ErrRedirect = errors.New("redirect is not followed")
	ErrTooLarge = errors.New("answer is too large")
	ErrTimeout  = errors.New("no answer in time")
	// ErrCertificate: the server's certificate is not good, or TLS failed otherwise.
	ErrCertificate = errors.New("TLS connection can't be trusted")
	// ErrName: the host's name does not resolve.
	ErrName = errors.New("host name does not resolve")
	// ErrUnreachable is everything else: connection refused, reset, broken answer.
	ErrUnreachable = errors.New("server can't be reached")
)

// A failure has one of the texts above and, hidden behind it, the cause.
type failure struct{ reason, cause error }

func (f *failure) Error() string   { return f.reason.Error() }
func (f *failure) Unwrap() []error { return []error{f.reason, f.cause} }

// Cause returns what the network said, for the operator's log; nil if err has no cause
// but itself. It may name addresses, and quote the first line of what was no HTTP answer.
func Cause(err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.cause
	}
	return nil
}

// explain gives err one of the fixed texts.
func explain(err error) error {
	for _, reason := range []error{ErrAddress, ErrPort, ErrTooLarge} {
		if errors.Is(err, reason) {
			return &failure{reason, err}
		}
	}
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	_, isAlert := errors.AsType[tls.AlertError](err)
	_, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isHostname := errors.AsType[x509.HostnameError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	network, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isNetwork && network.Timeout():
		return &failure{ErrTimeout, err}
	case isRecord, isAlert, isCertificate, isHostname:
		return &failure{ErrCertificate, err}
	case isDNS && dns.IsNotFound:
		return &failure{ErrName, err}
	}
	return &failure{ErrUnreachable, err}
}
