//go:build unix

package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

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
	var w socket.Writer
	w.Init(raw(t, far))
	go func() {
		if n, err := w.Write(want); n != len(want) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if err := far.CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(socket.NewReader(raw(t, near)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %d bytes of %d", err, len(got), len(want))
	}
}

func TestDeadlinesHold(t *testing.T) {
	near, far := pair(t)
	if err := near.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	r := socket.NewReader(raw(t, near))
	if n, err := r.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	var w socket.Writer
	w.Init(raw(t, near))
	if n, err := w.Write(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	if err := near.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := far.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	w = socket.Writer{}
	w.Init(raw(t, far))
	n, err := w.Write(make([]byte, 64<<20)) // more than there is room for
	if n == 0 || n == 64<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d, %v", n, err)
	}
	if got, err := io.ReadAll(io.LimitReader(r, int64(n))); len(got) != n || err != nil { // what was said to be written, was
		t.Errorf("%d of %d, %v", len(got), n, err)
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
