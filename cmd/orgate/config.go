package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
)

func configFlag(c *cobra.Command, file *string) {
	c.Flags().StringVarP(file, "config", "c", "orgate.yaml", "the configuration")
}

// readConfig reads a configuration once.
func readConfig(file string, stderr io.Writer) (*config.Config, error) {
	return reported(func() (*config.Config, error) { return config.Read(file, os.LookupEnv) }, stderr)
}

// reported prints the warnings of what read returns. Faults are printed too, all of them, and
// then the error is errSilent.
func reported(read func() (*config.Config, error), stderr io.Writer) (*config.Config, error) {
	c, err := read()
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintf(stderr, "%s\n\norgate: the configuration has %s\n", faults.Error(), counted(len(faults), "fault"))
		return nil, errSilent
	}
	if err != nil {
		return nil, err
	}
	for _, w := range c.Warnings {
		fmt.Fprintf(stderr, "warning: %s\n", w.String())
	}
	return c, nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Read and build the configuration without serving; print every fault",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file, c.ErrOrStderr())
			if err != nil {
				return err
			}
			if _, err := brands(cfg); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: no faults: %s, %s, %s\n", file,
				counted(len(cfg.Apps), "app"), counted(len(cfg.Organizations), "organization"), counted(len(cfg.Warnings), "warning"))
			return err
		},
	}
	configFlag(c, &file)
	return c
}

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
