//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A device or a pipe is written to. To put a file in its place would be to break /dev/null, or
// /dev/stdout, for everybody.
func TestWhatIsNoFileIsWrittenToAndStays(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // both ends: neither side waits for the other
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := replaceFile(pipe, func(w io.Writer) error { _, err := io.WriteString(w, "a copy"); return err }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Fatalf("it is %v now: %v", info.Mode(), err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, []byte("a copy")) {
		t.Errorf("%q: %v", got, err)
	}
}
