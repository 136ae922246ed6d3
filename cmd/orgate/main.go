package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
)

// Set by the linker: see Makefile.
var (
	version = "dev"
	commit  = "unknown"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errSilent ends with status 1 what has already said what is wrong.
var errSilent = errors.New("already reported")

// run is the whole program, with the world as arguments. It returns the exit status:
// 0 done, 1 failed, 2 called wrongly.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "orgate",
		Short:         "Organizations for any web app: an auth proxy sidecar",
		Long:          "orgate stands in front of a web app and gives it organizations: it finds the tenant from the\nhost name, holds everyone to that organization's sign-in policies, and hands the app the user,\norganization, role and permissions in headers and a signed JWT.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(), demoCommand(), checkCommand(), explainCommand(), schemaCommand(), backupCommand(), restoreCommand(), domainCommand(), samlCommand(), orgCommand(), memberCommand(), inviteCommand(), userCommand(), webhookCommand(), apiKeyCommand(), auditCommand(), versionCommand())
	began := false
	noteBeginning(root, &began)
	c, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSilent):
		return 1
	case !began: // unknown commands and flags, surplus arguments, missing flags
		fmt.Fprintf(stderr, "orgate: %v\nSee: %s --help\n", err, c.CommandPath())
		return 2
	}
	fmt.Fprintln(stderr, "orgate:", err)
	return 1
}

// noteBeginning has c and the commands below it set began once their own code runs: what
// failed before that is how they were called.
func noteBeginning(c *cobra.Command, began *bool) {
	if do := c.RunE; do != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			*began = true
			return do(c, args)
		}
	}
	for _, below := range c.Commands() {
		noteBeginning(below, began)
	}
}

// commandsBelow returns a command that is there for those below it. It runs, and shows its
// help, so that an unknown one is refused.
func commandsBelow(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(below...)
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, commit and Go version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "orgate %s (%s) %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
