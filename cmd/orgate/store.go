package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/orgate/orgate/config"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
	"github.com/orgate/orgate/store/postgres"
)

// An engine is a store's engine that can say how it is.
type engine interface {
	store.Engine
	Health(ctx context.Context) error
}

// openEngine opens the engine that the configuration names.
func openEngine(ctx context.Context, c *config.Config, log *slog.Logger) (engine, error) {
	if c.Store.Postgres != nil {
		e, err := postgres.Open(ctx, postgres.Options{URL: c.Store.Postgres.URL.Reveal(), Logger: log})
		if err != nil {
			return nil, fmt.Errorf("store.postgres: %w", err)
		}
		return e, nil
	}
	e, err := badger.Open(badger.Options{Dir: string(c.Store.Badger.Dir), Logger: log})
	if err != nil {
		return nil, fmt.Errorf("store.badger: %w", err)
	}
	return e, nil
}

// openBox returns what seals secrets in the store: under secrets_key or, with the badger
// store, under a key made in its directory once.
func openBox(c *config.Config) (*seal.Box, error) {
	if len(c.SecretsKey) > 0 {
		return seal.NewBox(c.SecretsKey.Bytes()...)
	}
	if c.Store.Badger == nil {
		return nil, errors.New("secrets_key: must be set with store.postgres, the same on every replica; make one with: openssl rand -base64 32")
	}
	key, err := keyFile(filepath.Join(string(c.Store.Badger.Dir), "secrets.key"))
	if err != nil {
		return nil, err
	}
	return seal.NewBox(key)
}

// keyFile returns the key in a file of mode 0600, making it first if it is not there. It
// is called with the directory locked by the store, so nobody else makes it meanwhile.
func keyFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key := seal.NewKey()
		write := func(w io.Writer) error {
			_, err := fmt.Fprintln(w, base64.StdEncoding.EncodeToString(key))
			return err
		}
		if err := replaceFile(path, write); err != nil {
			return nil, fmt.Errorf("make the secrets key: %w", err)
		}
		return key, nil
	case err != nil:
		return nil, fmt.Errorf("read the secrets key: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("%s: not a secrets key (want 32 bytes in base64); restore it from your backup: secrets in the store can't be read without it", path)
	}
	return key, nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// withStore opens the configuration's store for one command, and closes it.
func withStore(ctx context.Context, c *config.Config, f func(*store.Store) error) (err error) {
	e, err := openEngine(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		if errors.Is(err, store.ErrLocked) {
			return fmt.Errorf("%w; stop it first, or use store.postgres, which many processes can share", err)
		}
		return err
	}
	s := store.New(e, store.Options{})
	defer func() { err = errors.Join(err, s.Close()) }()
	return f(s)
}
