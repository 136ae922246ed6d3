package issue

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/internal/seal"
	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

// opened returns storages of as many replicas over one store, whose clock now shows what it says.
func opened(t *testing.T, replicas int, now func() time.Time, keys ...[]byte) []*storage {
	t.Helper()
	engine, err := badger.Open(badger.Options{InMemory: true, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(engine, store.Options{Now: now})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	box, err := seal.NewBox(append(keys, seal.NewKey())...)
	if err != nil {
		t.Fatal(err)
	}
	var all []*storage
	for range replicas {
		all = append(all, &storage{store: s, box: box, log: slog.New(slog.DiscardHandler), now: now})
	}
	return all
}

func TestFilesAreKeptAsTheLibraryWantsThem(t *testing.T) {
	s := opened(t, 1, time.Now)[0]
	ctx := t.Context()
	for _, path := range []string{"a/b", "a/c/d", "a/c/e", "ab/c", "f"} {
		if err := s.Store(ctx, path, []byte("of "+path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Store(ctx, "f", []byte("another")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a/b": "of a/b", "f": "another"} {
		if got, err := s.Load(ctx, path); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if info, err := s.Stat(ctx, path); err != nil || info.Size != int64(len(want)) || !info.IsTerminal || info.Key != path || info.Modified.IsZero() {
			t.Errorf("%s: %+v, %v", path, info, err)
		}
	}
	if info, err := s.Stat(ctx, "a/c"); err != nil || info.IsTerminal {
		t.Errorf("a directory: %+v, %v", info, err)
	}
	for _, path := range []string{"a", "a/", "/a", "", "a//b", "g", "a/b/c"} {
		if _, err := s.Load(ctx, path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("load %q: %v", path, err)
		}
	}
	for path, want := range map[string]bool{"a": true, "a/c": true, "a/c/d": true, "a/c/d/x": false, "g": false, "a/": false, "": false} {
		if s.Exists(ctx, path) != want {
			t.Errorf("%q exists: %v", path, !want)
		}
	}
	for path, want := range map[string][2]string{"": {"a ab f", "a/b a/c/d a/c/e ab/c f"}, "a": {"a/b a/c", "a/b a/c/d a/c/e"}, "a/c": {"a/c/d a/c/e", "a/c/d a/c/e"}} {
		for i, recursive := range []bool{false, true} {
			got, err := s.List(ctx, path, recursive)
			slices.Sort(got)
			if err != nil || strings.Join(got, " ") != want[i] {
				t.Errorf("list %q, %v: %v, %v", path, recursive, got, err)
			}
		}
	}
	if _, err := s.List(ctx, "g", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list what is not there: %v", err)
	}
	if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a") || s.Exists(ctx, "a/c/d") || !s.Exists(ctx, "ab/c") {
		t.Errorf("after deleting a directory: %v", err)
	}
	if err := s.Delete(ctx, "a"); err != nil {
		t.Errorf("once more: %v", err)
	}
	for _, path := range []string{"", "/a", "a/", "a//b"} {
		if err := s.Store(ctx, path, nil); err == nil {
			t.Errorf("%q is stored", path)
		}
	}
	if err := s.Store(ctx, "a", make([]byte, maxFile+1)); err == nil {
		t.Error("a file without end is stored")
	}
}

func TestAFileIsSealedForItsPathAndUnderTheKeyThatSealsNow(t *testing.T) {
	old := seal.NewKey()
	s := opened(t, 1, time.Now, old)[0]
	ctx := t.Context()
	if err := s.Store(ctx, "a", []byte("key of a")); err != nil {
		t.Fatal(err)
	}
	// One file's content in another's place is nothing.
	err := s.store.Update(ctx, func(tx store.Tx) error {
		f, err := tx.CertificateFile("a")
		if err != nil {
			return err
		}
		f.Path = "b"
		return tx.PutCertificateFile(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Load(ctx, "b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", b, err)
	}
	fresh := seal.NewKey()
	if s.box, err = seal.NewBox(fresh, old); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Load(ctx, "a"); err != nil || string(b) != "key of a" {
		t.Fatalf("%q, %v", b, err)
	}
	if s.box, err = seal.NewBox(fresh); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Load(ctx, "a"); err != nil || string(b) != "key of a" {
		t.Errorf("after the old key has left: %q, %v", b, err)
	}
}

func TestALockIsOneReplicasAtATime(t *testing.T) {
	now := time.Now()
	both := opened(t, 2, func() time.Time { return now })
	one, two := both[0], both[1]
	ctx := t.Context()
	if err := one.Lock(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	for _, s := range both {
		if ok, err := s.TryLock(ctx, "x"); ok || err != nil {
			t.Errorf("it is taken twice: %v, %v", ok, err)
		}
	}
	if ok, err := two.TryLock(ctx, "y"); !ok || err != nil {
		t.Errorf("another lock: %v, %v", ok, err)
	}
	if err := two.Unlock(ctx, "x"); err == nil {
		t.Error("another's lock is given back")
	}
	impatient, cancel := context.WithCancel(ctx)
	cancel()
	if err := two.Lock(impatient, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting without time: %v", err)
	}
	if err := one.Unlock(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if ok, err := two.TryLock(ctx, "x"); !ok || err != nil {
		t.Fatalf("a lock that was given back: %v, %v", ok, err)
	}
	// Who died does not keep it; and who was thought dead does not free another's.
	now = now.Add(lockLife + time.Second)
	if ok, err := one.TryLock(ctx, "x"); !ok || err != nil {
		t.Fatalf("a lock whose holder is silent: %v, %v", ok, err)
	}
	if ok, err := two.hold(ctx, "x", "two", true); ok || err != nil {
		t.Errorf("renewed by who has lost it: %v, %v", ok, err)
	}
	if err := two.Unlock(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	if ok, err := two.TryLock(ctx, "x"); ok || err != nil {
		t.Errorf("who had lost it has freed it: %v, %v", ok, err)
	}
	for _, give := range []struct {
		s    *storage
		name string
	}{{one, "x"}, {two, "y"}} {
		if err := give.s.Unlock(ctx, give.name); err != nil {
			t.Error(err)
		}
	}
}
