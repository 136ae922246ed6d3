//go:build unix && !(linux && (amd64 || arm64) && !race)

package socket

import "syscall"

// Read reads once into b, which is not empty. The error is EAGAIN if nothing is there; at the end, n is 0 without one.
func Read(fd uintptr, b []byte) (n int, err error) { return again(syscall.Read, fd, b) }

// Write writes as much of b as there is room for. The error is EAGAIN if there is none.
func Write(fd uintptr, b []byte) (n int, err error) { return again(syscall.Write, fd, b) }

func again(call func(int, []byte) (int, error), fd uintptr, b []byte) (int, error) {
	for {
		n, err := call(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
