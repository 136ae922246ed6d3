package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/demo"
)

func demoCommand() *cobra.Command {
	var port int
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run everything on *.localhost, with an identity provider and an app: nothing to set up",
		Long: "Runs orgate on *.localhost with three organizations, identity providers that let you be anyone they\n" +
			"know, and an app that shows what it is told. Data is kept in a fresh directory and removed at the end.",
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

func freePort(c *cobra.Command) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
