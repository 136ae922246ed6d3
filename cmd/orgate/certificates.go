package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/internal/certificate/issue"
)

// certificates reads those that are in files; nil if there are none.
func certificates(c *config.Config) (*certificate.Set, error) {
	if c.TLS == nil || len(c.TLS.All()) == 0 {
		return nil, nil //nolint:nilnil // that there are none is no fault
	}
	var all []*tls.Certificate
	for _, pair := range c.TLS.All() {
		cert, err := tls.LoadX509KeyPair(string(pair.CertFile), string(pair.KeyFile))
		if err != nil {
			return nil, err
		}
		all = append(all, &cert)
	}
	return certificate.NewSet(all)
}

// tlsConfig is how the public listener speaks TLS. Session tickets are the library's: under keys that this process
// made, changes every day, and never writes anywhere.
func (g *gateway) tlsConfig(t *config.TLS) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: g.certificate}
	if t.ACME != nil {
		c.NextProtos = append(c.NextProtos, issue.Protocol)
	}
	return c
}

// certificate returns the one for a visitor: of the files, or else one that an authority issued, or else the first of the files.
func (g *gateway) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	set := g.front.Load().certificates
	if set != nil {
		if c, ok := set.Find(hello); ok {
			return c, nil
		}
	}
	err := errors.New("no certificate")
	if g.issuer != nil {
		var c *tls.Certificate
		if c, err = g.issuer.Get(hello); err == nil {
			return c, nil
		}
	}
	// An authority that looks who is here must not be shown a certificate that is not its own.
	if set == nil || slices.Contains(hello.SupportedProtos, issue.Protocol) {
		return nil, err
	}
	return set.Get(hello)
}

// startIssuing makes what gets certificates for the listener, which is open by now; the caller ends it.
func (g *gateway) startIssuing(listener net.Addr) (stop func(), err error) {
	c := g.config()
	if c.TLS == nil || c.TLS.ACME == nil {
		return func() {}, nil
	}
	roots, err := rootCAs(string(c.TLS.ACME.CAFile), x509.SystemCertPool)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.ca_file: %w", err)
	}
	g.issuer, err = issue.New(issue.Options{
		Store: g.store, Box: g.box, Logger: g.log, Directory: c.TLS.ACME.DirectoryURL, Email: c.TLS.ACME.Email, Roots: roots,
		Serves: g.proxy.Serves, Listen: listener, Count: g.metrics.Certificate,
	})
	if err != nil {
		return nil, fmt.Errorf("tls.acme: %w", err)
	}
	return g.issuer.Close, nil
}

// prepareLogin gets the certificate of the login host before anybody waits for it.
func (g *gateway) prepareLogin(ctx context.Context) {
	host, set := g.config().PublicURL.Hostname(), g.front.Load().certificates
	if g.issuer == nil || set != nil && set.Covers(host) {
		return
	}
	if err := g.issuer.Prepare(ctx, host); err != nil && ctx.Err() == nil {
		g.log.WarnContext(ctx, "the login host has no certificate yet; whoever asks for it next has it asked for again", "host", host, "cause", err)
	}
}
