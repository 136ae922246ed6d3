package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/store"
)

func backupCommand() *cobra.Command {
	var file, out string
	c := &cobra.Command{
		Use:   "backup --config FILE [--out FILE]",
		Short: "Write a consistent copy of the store, while orgate runs or not",
		Long: "Writes a consistent copy of the store to a file or to standard output, while orgate runs or not.\n\n" +
			"The embedded store belongs to the process that serves: while that runs it is asked for the copy, by a\n" +
			"socket in the store's directory.\n\n" +
			"Secrets in the copy stay encrypted: keep the secrets key too, and not in the same place.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file, c.ErrOrStderr())
			if err != nil {
				return err
			}
			write := func(w io.Writer) error {
				err := withStore(c.Context(), cfg, func(s *store.Store) error { _, err := s.Backup(c.Context(), w); return err })
				if errors.Is(err, store.ErrLocked) {
					return backupRunning(c.Context(), string(cfg.Store.Badger.Dir), w)
				}
				return err
			}
			if out == "-" {
				return write(c.OutOrStdout())
			}
			return replaceFile(out, write)
		},
	}
	configFlag(c, &file)
	c.Flags().StringVarP(&out, "out", "o", "-", "the file to write; - is standard output")
	return c
}

func restoreCommand() *cobra.Command {
	var file, in string
	c := &cobra.Command{
		Use:   "restore --config FILE --in FILE",
		Short: "Fill an empty store from a backup, of either engine",
		Long: "Fills the empty store that the configuration names from a backup, whichever engine that was taken\n" +
			"from. Every session in it is ended: people sign in again.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := readConfig(file, c.ErrOrStderr())
			if err != nil {
				return err
			}
			f, err := os.Open(in)
			if err != nil {
				return err
			}
			defer f.Close()
			return withStore(c.Context(), cfg, func(s *store.Store) error {
				n, err := s.Restore(c.Context(), f)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintf(c.OutOrStdout(), "restored %s and %s\n", counted(n.Rows, "row"), counted(n.Events, "event")); err != nil {
					return err
				}
				return wantsKey(cfg)
			})
		},
	}
	configFlag(c, &file)
	c.Flags().StringVarP(&in, "in", "i", "", "the backup")
	_ = c.MarkFlagRequired("in")
	return c
}

// wantsKey says that the secrets key must follow the copy, if it is not there.
func wantsKey(cfg *config.Config) error {
	if len(cfg.SecretsKey) > 0 || cfg.Store.Badger == nil {
		return nil
	}
	key := filepath.Join(string(cfg.Store.Badger.Dir), "secrets.key")
	if _, err := os.Stat(key); err != nil {
		return fmt.Errorf("the copy is in place; now put the secrets key that belongs to it at %s, or set secrets_key, before you serve", key)
	}
	return nil
}

// backupRunning asks the process that has the store for a copy.
func backupRunning(ctx context.Context, dir string, w io.Writer) error {
	return askRunning(ctx, dir, http.MethodGet, "/backup", nil, func(body io.Reader) error {
		if _, err := io.Copy(w, body); err != nil {
			return fmt.Errorf("the copy was cut off: %w", err)
		}
		return nil
	})
}

// replaceFile writes a file of mode 0600, whole or not at all. Once it returns, the file is
// there after a power cut too: what was encrypted under a key must not outlive the key.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return writeInto(path, write) // a device or a pipe must not become a file
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ignoreGone(os.Remove(f.Name()))) }()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		err = nil // not every file system can, and where it can't there is no more to do
	}
	return errors.Join(err, dir.Close())
}

func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
