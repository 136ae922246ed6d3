package socket

import (
	"io"
	"syscall"
)

// A Reader reads from a connection as its Read does, for less. One goroutine may read at a time.
type Reader struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool // made once, so that it is not allocated for each read
	in   []byte
	n    int
	err  error
}

// NewReader returns one for a connection of a socket.
func NewReader(raw syscall.RawConn) *Reader {
	r := &Reader{raw: raw}
	r.step = func(fd uintptr) bool {
		r.n, r.err = Read(fd, r.in)
		return r.err != syscall.EAGAIN //nolint:errorlint // a system call's own error
	}
	return r
}

// Read implements [io.Reader]. Errors are the RawConn's, of deadlines among others, and the system call's.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	r.in, r.n, r.err = b, 0, nil
	err := r.raw.Read(r.step)
	r.in = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, r.err
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

// A Writer writes to a connection as its Write does, for less. One goroutine may write at a time.
type Writer struct {
	raw  syscall.RawConn
	step func(fd uintptr) bool
	out  []byte // what is left of it
	err  error
}

// Init makes w one for a connection of a socket. It is not to be copied any more.
func (w *Writer) Init(raw syscall.RawConn) { w.raw, w.step = raw, w.push }

// Write implements [io.Writer]. Errors are as Read's.
func (w *Writer) Write(b []byte) (int, error) {
	w.out, w.err = b, nil
	err := w.raw.Write(w.step)
	if err == nil {
		err = w.err
	}
	n := len(b) - len(w.out)
	w.out = nil
	return n, err
}

// push writes what is left, or returns false to wait until there is room.
func (w *Writer) push(fd uintptr) bool {
	for len(w.out) > 0 {
		n, err := Write(fd, w.out)
		if err == syscall.EAGAIN { //nolint:errorlint // a system call's own error
			return false
		}
		if err != nil {
			w.err = err
			return true
		}
		w.out = w.out[n:]
	}
	return true
}
