package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/demo"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

func demoCommand() *cobra.Command {
	var port int
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on *.localhost, with identity providers and an app: nothing to set up",
		Long: "Runs orgate on *.localhost with five organizations, identity providers (OpenID and SAML) that let you be anyone\n" +
			"they know, and an app that shows what it is told. Data is kept in a fresh directory and removed at the end.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c, port) },
	}
	c.Flags().IntVar(&port, "port", 8080, "the port of every host of the demo")
	return c
}

func runDemo(c *cobra.Command, port int) (err error) {
	ctx := c.Context()
	dir, err := os.MkdirTemp("", "orgate-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	management, err := freePort(c)
	if err != nil {
		return err
	}
	world, err := demo.New(ctx, port, management, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	yaml, err := world.Config()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "orgate.yaml")
	if err := os.WriteFile(file, yaml, 0o600); err != nil {
		return err
	}
	reader := config.NewReader(file, os.LookupEnv)
	cfg, err := reported(reader.Read, c.ErrOrStderr())
	if err != nil {
		return err
	}
	return serve(ctx, serving{reader: reader, config: cfg, stderr: c.ErrOrStderr(), ready: func(g *gateway) error {
		if err := admitGuests(c, g); err != nil {
			return err
		}
		if err := introduceSAML(c, g, world); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), world.Guide())
		return err
	}})
}

// admitGuests makes those members who are not made members by signing in.
func admitGuests(c *cobra.Command, g *gateway) error {
	o := operatingOf(g.config(), g.box, "demo")
	for _, guest := range demo.Guests() {
		if _, err := carryOut(c.Context(), g.store, o, "member add", url.Values{"org": {guest.Organization}, "email": {guest.Email}}); err != nil {
			return err
		}
	}
	return nil
}

// introduceSAML waits until the SAML providers are known, which is a moment after the start, and gives
// them our certificates.
func introduceSAML(c *cobra.Command, g *gateway, world *demo.World) error {
	for slug, name := range demo.SAMLConnections() {
		for limit := time.Now().Add(20 * time.Second); ; {
			certificate, err := knownSAML(c, g, slug, name)
			if err != nil {
				return err
			}
			if certificate != nil {
				world.TrustKey(slug, certificate)
				break
			}
			if time.Now().After(limit) {
				return fmt.Errorf("the SAML provider of %s is not known after twenty seconds", slug)
			}
			select {
			case <-c.Context().Done():
				return nil
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}

// knownSAML returns the certificate that signs at a SAML provider; nil if there is none yet, or
// the provider is not known yet.
func knownSAML(c *cobra.Command, g *gateway, org, name string) (certificate []byte, err error) {
	err = g.store.View(c.Context(), func(tx store.Tx) error {
		certificate = nil
		_, conn, err := samlConnection(tx, org, name)
		if err != nil {
			return err
		}
		s, err := tx.SAMLState(conn.Organization, conn.ID)
		if errors.Is(err, tenancy.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		now := time.Now()
		if _, ok := tenancy.KnownSAML(*conn.SAML, s, now); ok {
			if keys := tenancy.SAMLKeys(s, now); len(keys) > 0 {
				certificate = keys[0].Certificate
			}
		}
		return nil
	})
	return certificate, err
}

func freePort(c *cobra.Command) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
