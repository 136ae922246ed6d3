//go:build linux || darwin

package badger

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeBytes returns how much of the disk of dir is free for us.
func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// lock takes the lock on dir that Badger takes, until the file is closed. Its error is
// [unix.EWOULDBLOCK] if another process has it.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, err
	}
	return f, nil
}
