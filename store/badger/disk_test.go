package badger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/orgate/orgate/store"
	"github.com/orgate/orgate/store/badger"
)

func TestASecondProcessOnTheDirectoryIsToldSo(t *testing.T) {
	dir := t.TempDir()
	open(t, badger.Options{Dir: dir})
	_, err := badger.Open(badger.Options{Dir: dir}) // flock: another descriptor is another process
	if !errors.Is(err, store.ErrLocked) {
		t.Fatalf("second open: %v, want ErrLocked", err)
	}
	for _, hint := range []string{dir, "another orgate is running on it"} {
		if !strings.Contains(err.Error(), hint) {
			t.Errorf("%q does not say %q", err, hint)
		}
	}
}

func TestTheDirectoryIsNobodyElses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	open(t, badger.Options{Dir: dir})
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o700 {
		t.Errorf("mode is %v, want 0700", info.Mode().Perm())
	}
}

func TestADirectoryThatCanNotBeWrittenIsAClearError(t *testing.T) {
	if _, err := badger.Open(badger.Options{}); err == nil {
		t.Error("no directory at all was taken")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := badger.Open(badger.Options{Dir: file}); err == nil || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a file as directory: %v", err)
	}
	// /proc takes no files, not even of root.
	if _, err := badger.Open(badger.Options{Dir: "/proc/self"}); err == nil || errors.Is(err, store.ErrCorrupt) {
		t.Errorf("a directory that can't be written: %v", err)
	}
}

func TestPositionsGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for range 3 {
		e, err := badger.Open(badger.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		head, err := e.Head(t.Context())
		if err != nil || head != last {
			t.Errorf("head is %d, %v; want %d", head, err, last)
		}
		err = e.Update(t.Context(), func(kv store.KV) error { return kv.Append([]byte("e"), time.Now().Add(time.Hour)) })
		if err != nil {
			t.Fatal(err)
		}
		if last, err = e.Head(t.Context()); err != nil || last != head+1 {
			t.Errorf("head went from %d to %d, %v", head, last, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A file is what a file of the store holds up to the zeros at its end, and its size.
type file struct {
	data []byte
	size int64
}

// fill returns the files of a store with tables, a value log and a log that is not flushed
// yet, as a process that was killed leaves them, and what is in it.
func fill(t *testing.T) (files map[string]file, want map[string]string) {
	t.Helper()
	dir := t.TempDir()
	want = map[string]string{}
	write := func(e *badger.Engine, n, size int, prefix string) {
		for i := range n {
			k, v := fmt.Sprintf("%s/%05d", prefix, i), strings.Repeat(fmt.Sprintf("%s%d.", prefix, i), size)
			want[k] = v
			if err := e.Update(t.Context(), func(kv store.KV) error {
				return errors.Join(kv.Set([]byte(k), []byte(v), time.Time{}), kv.Append([]byte(k), time.Time{}))
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // each close makes a table
		e, err := badger.Open(badger.Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		write(e, 10, 15_000, "large") // in the value log
		write(e, 100, 200, "row")     // in tables
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(open(t, badger.Options{Dir: dir}), 20, 10, "last")
	// A crash leaves the files of one moment; a copy that a compaction came between is none.
	for before := map[string]file(nil); files == nil || !maps.EqualFunc(before, files, file.equal); {
		before, files = files, copyOf(t, dir)
	}
	delete(files, "LOCK") // a process id for people
	return files, want
}

func (f file) equal(o file) bool { return f.size == o.size && bytes.Equal(f.data, o.data) }

// copyOf reads all files of dir; nil if one went meanwhile.
func copyOf(t *testing.T, dir string) map[string]file {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]file{}
	for _, en := range entries {
		b, err := os.ReadFile(filepath.Join(dir, en.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		files[en.Name()] = file{bytes.TrimRight(b, "\x00"), int64(len(b))}
	}
	return files
}

// Whatever byte of whatever file has rotted: no panic, and no value that was not written.
// From a log that is not flushed yet what follows the rotten byte may be lost, as that
// looks like the end of what was written before a crash; elsewhere nothing is lost in
// silence.
func TestAFlippedByteIsAnErrorAndNeverAWrongValue(t *testing.T) {
	files, want := fill(t)
	if missing, err := readAll(t, files, want); err != nil || missing > 0 {
		t.Fatalf("undamaged: %d keys are missing, %v", missing, err)
	}
	refused := map[string]int{}
	for name, good := range files {
		ext, n := filepath.Ext(name), len(good.data)
		for at := range n {
			if at > 12 && at < n-12 && at%max(n/8, 1) != 0 {
				continue // lengths and checksums are at the ends
			}
			bad := bytes.Clone(good.data)
			bad[at] ^= 0x10
			files[name] = file{bad, good.size}
			missing, err := readAll(t, files, want)
			if err != nil {
				refused[ext]++
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%s, byte %d of %d: %v, want ErrCorrupt", name, at, n, err)
				}
			} else if missing > 0 && ext != ".mem" {
				t.Errorf("%s, byte %d of %d: %d keys are missing, and no error", name, at, n, missing)
			}
		}
		files[name] = good
	}
	t.Logf("refused, by kind of file: %v", refused)
	if refused[".sst"] == 0 || refused[""] == 0 || refused[".vlog"] == 0 {
		t.Errorf("damage to a kind of file was never noticed: %v", refused)
	}
}

func TestAFileThatIsGoneOrCutShortIsAnError(t *testing.T) {
	files, want := fill(t)
	for name, good := range files {
		if name == "DISCARD" || strings.HasSuffix(name, ".mem") {
			continue // statistics; and a log may end anywhere
		}
		delete(files, name)
		if missing, err := readAll(t, files, want); err == nil && missing > 0 {
			t.Errorf("without %s: %d keys are missing, and no error", name, missing)
		}
		for _, part := range []int{0, 2, 3} {
			if name == "MANIFEST" && part != 0 {
				continue // it ends where a crash let it end
			}
			files[name] = file{good.data[:len(good.data)*part/4], int64(len(good.data) * part / 4)}
			missing, err := readAll(t, files, want)
			if err == nil && missing > 0 {
				t.Errorf("%s cut to %d/4: %d keys are missing, and no error", name, part, missing)
			}
		}
		files[name] = good
	}
}

// readAll opens a store of these files, reads everything and writes something, and fails the test on a wrong value.
func readAll(t *testing.T, files map[string]file, want map[string]string) (missing int, err error) {
	t.Helper()
	dir := t.TempDir()
	// Now, and not at the end of the test: of hundreds of stores, all would be on the disk at once.
	defer os.RemoveAll(dir)
	for name, f := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, f.data, 0o600), os.Truncate(path, f.size)); err != nil {
			t.Fatal(err)
		}
	}
	e, err := badger.Open(badger.Options{Dir: dir})
	if err != nil {
		return 0, err
	}
	defer func() { _ = e.Close() }()
	ctx := context.WithoutCancel(t.Context())
	err = e.View(ctx, func(kv store.KV) error {
		for p, err := range kv.Scan(nil, nil, false) {
			if err != nil {
				return err
			}
			if v, ok := want[string(p.Key)]; !ok || v != string(p.Value) {
				t.Errorf("scan: key %q has a value that was never written", p.Key)
			}
		}
		for k, v := range want {
			b, err := kv.Get([]byte(k))
			switch {
			case errors.Is(err, store.ErrNoKey):
				missing++
			case err != nil:
				return err
			case string(b) != v:
				t.Errorf("get: key %q has a value that was never written", k)
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return missing, e.Update(ctx, func(kv store.KV) error { return kv.Set([]byte("new"), nil, time.Time{}) })
}

func TestNoErrorAndNoLogHoldsAValue(t *testing.T) {
	var log bytes.Buffer
	e := open(t, badger.Options{InMemory: true, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	secret := strings.Repeat("hunter2", 300_000)
	err := e.Update(t.Context(), func(kv store.KV) error { return kv.Set([]byte("k"), []byte(secret), time.Time{}) })
	if !errors.Is(err, store.ErrTooBig) || strings.Contains(err.Error()+log.String(), "hunter2") {
		t.Errorf("%.200v", err)
	}
	if err := e.Update(t.Context(), func(kv store.KV) error { return kv.Append([]byte(secret), time.Time{}) }); !errors.Is(err, store.ErrTooBig) {
		t.Errorf("%.200v", err)
	}
}
