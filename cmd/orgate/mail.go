package main

import (
	"crypto/x509"
	"fmt"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/mail"
)

// delivery is what brings mail to the mail server, beside the proxy. Which server that is
// may change with a reload; the next mail goes to the new one.
func (g *gateway) delivery() *mail.Delivery {
	return &mail.Delivery{
		Store: g.store, Box: g.box, Sender: func() mail.Sender { return g.front.Load().mail },
		Logger: g.log, Count: g.metrics.Mail, Grace: g.config().Limits.DrainTimeout,
	}
}

// mailServer is the mail server of the configuration; nil, if it has none.
func mailServer(c *config.Config) (mail.Sender, error) {
	if c.Mail == nil {
		return nil, nil
	}
	roots, err := rootCAs(string(c.Egress.CAFile), x509.SystemCertPool)
	if err != nil {
		return nil, fmt.Errorf("egress.ca_file: %w", err)
	}
	s := c.Mail.SMTP
	return &mail.SMTP{
		Host: s.Host, Port: s.Port, Encryption: mail.Encryption(s.TLS), Username: s.Username, Password: s.Password.Reveal(),
		From: c.Mail.From, HELO: s.HELO, Limit: s.Timeout, RootCAs: roots,
	}, nil
}
