package main

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestTheControlSocketIsItsOwnersThoughTheDirectoryIsNot: whoever may open it has the whole store by
// one request.
func TestTheControlSocketIsItsOwnersThoughTheDirectoryIsNot(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	before := syscall.Umask(0)
	l, err := listenPrivately(t.Context(), controlSocket(dir))
	syscall.Umask(before)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(controlSocket(dir))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 1 || all[0].Name() != filepath.Base(controlSocket(dir)) {
		t.Errorf("there is %v, %v", all, err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", controlSocket(dir))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	l.Close()
}
