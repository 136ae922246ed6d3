//go:build unix

package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/orgate/orgate/internal/socket"
)

// pair returns the two ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func raw(t *testing.T, c *net.TCPConn) syscall.RawConn {
	t.Helper()
	r, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// try makes one call on the descriptor, without waiting for anything.
func try(t *testing.T, c *net.TCPConn, call func(uintptr, []byte) (int, error), b []byte) (n int, err error) {
	t.Helper()
	if bad := raw(t, c).Control(func(fd uintptr) { n, err = call(fd, b) }); bad != nil {
		t.Fatal(bad)
	}
	return n, err
}

func TestNothingToReadAndNoRoomToWriteAreSaid(t *testing.T) {
	near, far := pair(t)
	if n, err := try(t, near, socket.Read, make([]byte, 10)); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("%d %v", n, err)
	}
	written := 0
	for b := make([]byte, 1<<20); ; {
		n, err := try(t, far, socket.Write, b)
		written += n
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if written == 0 {
		t.Error("nothing was written")
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	near, far := pair(t)
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() {
		rest := want
		err := raw(t, far).Write(func(fd uintptr) bool {
			for len(rest) > 0 {
				n, err := socket.Write(fd, rest)
				if errors.Is(err, syscall.EAGAIN) {
					return false
				}
				if err != nil {
					t.Error(err)
					return true
				}
				rest = rest[n:]
			}
			return true
		})
		if err != nil {
			t.Error(err)
		}
		if err := far.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	var got []byte
	b := make([]byte, 4<<10)
	err := raw(t, near).Read(func(fd uintptr) bool {
		for {
			n, err := socket.Read(fd, b)
			if errors.Is(err, syscall.EAGAIN) {
				return false
			}
			if err != nil {
				t.Error(err)
			}
			if got = append(got, b[:n]...); n == 0 {
				return true
			}
		}
	})
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes of %d", err, len(got), len(want))
	}
}

func TestABrokenConnectionIsAnError(t *testing.T) {
	near, far := pair(t)
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := far.Close(); err != nil { // a reset
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, near) // until it is here
	if _, err := try(t, near, socket.Write, []byte("x")); !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err) // and no signal ended the process
	}
}
