package proxy

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A connWatched tells of each read before it waits.
type connWatched struct {
	net.Conn
	reads chan struct{}
}

func (c connWatched) Read(b []byte) (int, error) {
	c.reads <- struct{}{}
	return c.Conn.Read(b)
}

// One over TLS has no descriptor that could be waited on, and there may be thousands.
func TestAConnectionThatRestsHoldsNoBuffer(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	var made atomic.Int32
	l := &Listener{conns: map[*conn]struct{}{}, largest: bufferSize, buffers: &sync.Pool{New: func() any { made.Add(1); return new(buffer) }}}
	c := newConn(l, connWatched{near, make(chan struct{})})
	over := make(chan error, 1)
	go func() { over <- c.receive() }()
	<-c.Conn.(connWatched).reads
	if n := made.Load(); n != 0 {
		t.Errorf("it holds %d", n)
	}
	if _, err := io.WriteString(far, "G"); err != nil {
		t.Fatal(err)
	}
	if err := <-over; err != nil || c.buf == nil || string(c.buf.in[c.buf.r:c.buf.w]) != "G" {
		t.Errorf("what came: %v", err)
	}
}
