package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/certificate"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/tenancy"
)

// certificateRows: files are found below their directories and nowhere else, and a lock ends by itself.
func certificateRows(t *testing.T, h Harness) {
	clock := NewClock(noon)
	s := open(t, h, clock.Now)
	do(t, s, func(tx store.Tx) error {
		for _, path := range []string{"a/b", "a/c/d", "ab/c", "lock"} {
			if err := tx.PutCertificateFile(certificate.File{Path: path, Sealed: []byte{0, 1, 255}, Size: 1, ModifiedAt: noon}); err != nil {
				return err
			}
		}
		return tx.PutCertificateLock(certificate.Lock{Name: "a/b", Holder: "x", Until: noon.Add(time.Minute)})
	})
	look(t, s, func(tx store.Tx) {
		for path, want := range map[string][]string{"": {"a/b", "a/c/d", "ab/c", "lock"}, "a": {"a/b", "a/c/d"}, "a/c": {"a/c/d"}, "a/c/d": {"a/c/d"}, "c": nil, "lock": {"lock"}} {
			got := list(t, tx.CertificateFiles(path), func(f certificate.File) string { return f.Path })
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("below %q: %v, want %v", path, got, want)
			}
		}
		if f, err := tx.CertificateFile("a/b"); err != nil || !slices.Equal(f.Sealed, []byte{0, 1, 255}) || !f.ModifiedAt.Equal(noon) {
			t.Errorf("%+v, %v", f, err)
		}
		if l, err := tx.CertificateLock("a/b"); err != nil || l.Holder != "x" {
			t.Errorf("%+v, %v", l, err)
		}
		for _, path := range []string{"a", "a/", "", "a/b/c"} {
			if _, err := tx.CertificateFile(path); !errors.Is(err, tenancy.ErrNotFound) {
				t.Errorf("%q: %v", path, err)
			}
		}
	})
	clock.Advance(time.Minute)
	do(t, s, func(tx store.Tx) error { return tx.DeleteCertificateFile("a/b") })
	look(t, s, func(tx store.Tx) {
		if _, err := tx.CertificateLock("a/b"); !errors.Is(err, tenancy.ErrNotFound) {
			t.Errorf("a lock after its end: %v", err)
		}
		if got := list(t, tx.CertificateFiles("a"), func(f certificate.File) string { return f.Path }); !slices.Equal(got, []string{"a/c/d"}) {
			t.Errorf("after deleting one: %v", got)
		}
	})
}
