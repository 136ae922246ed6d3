package issue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// purpose is what files are sealed for; each for its own path.
const purpose = "certificate file"

// maxFile is more than any honest chain of certificates.
const maxFile = 256 << 10

// A storage keeps what is issued in the store, so that all replicas have it, sealed, so that a
// backup gives no key away. It implements [certmagic.Storage].
type storage struct {
	store *store.Store
	box   *seal.Box
	log   *slog.Logger
	now   func() time.Time
	locks locks
}

var (
	_ certmagic.Storage   = (*storage)(nil)
	_ certmagic.TryLocker = (*storage)(nil)
)

func (s *storage) Store(ctx context.Context, path string, value []byte) error {
	if !certificate.IsPath(path) || len(value) > maxFile {
		return fmt.Errorf("not a file to keep: %q of %d bytes", path, len(value))
	}
	f := certificate.File{Path: path, Sealed: s.box.Seal(purpose, path, value), Size: len(value), ModifiedAt: s.now().UTC()}
	return s.store.Update(ctx, func(tx store.Tx) error { return tx.PutCertificateFile(f) })
}

func (s *storage) Load(ctx context.Context, path string) ([]byte, error) {
	f, err := s.file(ctx, path)
	if err != nil {
		return nil, err
	}
	plain, err := s.box.Open(purpose, path, f.Sealed)
	if err != nil {
		// As if it were not there, it is made anew; refused, its host would be without a
		// certificate for good.
		s.log.WarnContext(ctx, "a certificate can't be read under any secrets_key: another one is asked for", "path", path)
		return nil, fs.ErrNotExist
	}
	if !s.box.Current(purpose, path, f.Sealed) {
		if err := s.Store(ctx, path, plain); err != nil {
			s.log.WarnContext(ctx, "a certificate is still sealed under an older secrets_key", "path", path, "cause", err)
		}
	}
	return plain, nil
}

// file returns what is kept at the path, or [fs.ErrNotExist].
func (s *storage) file(ctx context.Context, path string) (f certificate.File, err error) {
	if !certificate.IsPath(path) {
		return certificate.File{}, fs.ErrNotExist
	}
	err = s.store.View(ctx, func(tx store.Tx) (err error) {
		f, err = tx.CertificateFile(path)
		return err
	})
	if errors.Is(err, tenancy.ErrNotFound) {
		return certificate.File{}, fs.ErrNotExist
	}
	return f, err
}

// Delete deletes the file at the path, and all below it.
func (s *storage) Delete(ctx context.Context, path string) error {
	if !certificate.IsPath(path) {
		return nil // nor could it be there
	}
	return s.store.Update(ctx, func(tx store.Tx) error {
		for f, err := range tx.CertificateFiles(path) {
			if err == nil {
				err = tx.DeleteCertificateFile(f.Path)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Exists reports whether there is a file at the path, or below it.
func (s *storage) Exists(ctx context.Context, path string) bool {
	info, err := s.Stat(ctx, path)
	return err == nil && info.Key != ""
}

func (s *storage) List(ctx context.Context, path string, recursive bool) (found []string, err error) {
	if !certificate.IsPath(path) && path != "" {
		return nil, fs.ErrNotExist
	}
	err = s.store.View(ctx, func(tx store.Tx) error {
		found = nil
		seen := map[string]bool{}
		for f, err := range tx.CertificateFiles(path) {
			if err != nil {
				return err
			}
			below := strings.TrimPrefix(strings.TrimPrefix(f.Path, path), "/")
			if f.Path == path {
				continue
			}
			name := f.Path
			if first, _, deep := strings.Cut(below, "/"); deep && !recursive {
				name = strings.TrimPrefix(path+"/"+first, "/")
			}
			if !seen[name] {
				seen[name] = true
				found = append(found, name)
			}
		}
		return nil
	})
	if err == nil && len(found) == 0 {
		return nil, fs.ErrNotExist
	}
	return found, err
}

func (s *storage) Stat(ctx context.Context, path string) (certmagic.KeyInfo, error) {
	f, err := s.file(ctx, path)
	if err == nil {
		// What can't be read is not there, or nothing would be made in its place.
		if _, err = s.Load(ctx, path); err == nil {
			return certmagic.KeyInfo{Key: path, Modified: f.ModifiedAt, Size: int64(f.Size), IsTerminal: true}, nil
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return certmagic.KeyInfo{}, err
	}
	if _, err := s.List(ctx, path, false); err != nil {
		return certmagic.KeyInfo{}, err
	}
	return certmagic.KeyInfo{Key: path}, nil
}
