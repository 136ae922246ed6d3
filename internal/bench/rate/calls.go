//go:build linux

package main

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is called for each request. The scheduler is told of none of it, as there is nothing else that could run meanwhile: the
// load shares its core with the upstream, and what it takes is missing there.

// wait waits for events, for so long at the most.
func wait(epoll int, events []unix.EpollEvent, timeout time.Duration) (int, error) {
	t := unix.NsecToTimespec(int64(max(timeout, 0)))
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&t)), 0, 0)
	if e == unix.EINTR {
		return 0, nil
	}
	return result(n, e)
}

// wakeIn sets a timerfd.
func wakeIn(fd int, after time.Duration) error {
	t := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(after, 1)))}
	_, _, e := syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&t)), 0, 0, 0)
	_, err := result(0, e)
	return err
}

func write(fd int, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return result(n, e)
}

func read(fd int, b []byte) (int, error) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return result(n, e)
}

func result(n uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}
