//go:build linux

package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// A loop waits for what the kernel says of descriptors, and has it handled. All of the program is on one.
type loop struct {
	epoll  int
	events [128]unix.EpollEvent
	// handlers are what is called when there is something of a descriptor, which is the index.
	handlers []func() error
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return &loop{epoll: epoll}, err
}

// add has f called when fd can be read.
func (l *loop) add(fd int, how uint32, f func() error) error {
	for len(l.handlers) <= fd {
		l.handlers = append(l.handlers, nil)
	}
	l.handlers[fd] = f
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | how, Fd: int32(fd)})
}

// close closes fd, which is not called for any more.
func (l *loop) close(fd int) error {
	l.handlers[fd] = nil
	return unix.Close(fd)
}

// turn waits for something, for so long at the most.
func (l *loop) turn(timeout time.Duration) error {
	n, err := wait(l.epoll, l.events[:], timeout)
	for i := 0; i < n && err == nil; i++ {
		if f := l.handlers[l.events[i].Fd]; f != nil {
			err = f()
		}
	}
	return err
}
