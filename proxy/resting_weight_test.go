//go:build unix && !race

package proxy

import (
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// BenchmarkRestingConnection is what a connection takes between two requests, without its client's end.
func BenchmarkRestingConnection(b *testing.B) {
	for name, path := range map[string]string{"plain": "/public/x", "back from net/http": "/.orgate/me"} {
		b.Run(name, func(b *testing.B) {
			// Once, as what goroutines are made of is kept for the next ones.
			heap, stack := newWorld(b, quiet).weighConnections(1000, path)
			for b.Loop() {
			}
			b.ReportMetric(heap, "heap-B/connection")
			b.ReportMetric(stack, "stack-B/connection")
		})
	}
}

// There may be tens of thousands, and a frame of the stack or a field is quickly added. (With the race detector all frames are longer.)
func TestAConnectionThatRestsIsSmall(t *testing.T) {
	most := 6000.0
	if *slowPath {
		most = 12_000 // net/http has a deeper stack
	}
	// Of the heap, the rest of the tests may give more back meanwhile than is taken here.
	_, stack := newWorld(t, quiet).weighConnections(300, "/public/x")
	if size := unsafe.Sizeof(conn{}); size > 416 || stack > most {
		t.Errorf("%d bytes, and %.0f of stack", size, stack)
	} else {
		t.Logf("%d bytes, and %.0f of stack", size, stack)
	}
}

// weighConnections returns how many bytes of the heap and of stacks each of n connections takes on which one request was
// answered.
func (w *world) weighConnections(n int, path string) (heap, stack float64) {
	w.t.Helper()
	address, err := net.ResolveTCPAddr("tcp4", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	to := &syscall.SockaddrInet4{Port: address.Port, Addr: address.AddrPort().Addr().As4()}
	first := w.ask(to, path) // with what is made once
	defer syscall.Close(first)
	ends := make([]int, 0, n)
	before := settled()
	for range n {
		ends = append(ends, w.ask(to, path))
	}
	after := settled()
	for _, fd := range ends {
		if err := syscall.Close(fd); err != nil {
			w.t.Error(err)
		}
	}
	w.eventually("all are closed", func() bool { return len(w.server.Listener.(*Listener).all()) == 1 })
	return float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)) / float64(n), float64(int64(after.StackInuse)-int64(before.StackInuse)) / float64(n)
}

// ask sends a request on a connection of its own, of which there is no more in this process than the descriptor.
func (w *world) ask(to syscall.Sockaddr, path string) (fd int) {
	w.t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Connect(fd, to)
	}
	if err != nil {
		w.t.Fatal(os.NewSyscallError("connect", err))
	}
	request := "HEAD " + path + " HTTP/1.1\r\nHost: " + acmeHost + "\r\n\r\n"
	if _, err := syscall.Write(fd, []byte(request)); err != nil {
		w.t.Fatal(err)
	}
	var answer []byte
	for buf := make([]byte, 4096); !strings.HasSuffix(string(answer), "\r\n\r\n"); {
		m, err := syscall.Read(fd, buf)
		if err == nil && m == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			w.t.Fatal(err)
		}
		answer = append(answer, buf[:m]...)
	}
	return fd
}

// settled is what memory is in use when all that can go is gone. A stack shrinks by half in each collection.
func settled() (m runtime.MemStats) {
	for range 8 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m
}
