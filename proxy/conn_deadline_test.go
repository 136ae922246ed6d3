package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// handedOn returns a connection that net/http serves, and the client's end of it.
func handedOn(t *testing.T) (c *conn, client net.Conn) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if client, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); client.Close() })
	l := &Listener{buffers: newConnBuffers()}
	l.now.Store(time.Now().UnixNano())
	c = newConn(l, nc)
	c.doing = elsewhere
	c.forServer()
	return c, client
}

// fill writes until there is no room.
func fill(t *testing.T, c *conn) {
	t.Helper()
	if err := c.Conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		_, err = c.Conn.Write(make([]byte, 1<<20))
	}
}

func TestADeadlineThatNobodyWantsAnyMoreEndsNoAnswer(t *testing.T) {
	c, client := handedOn(t)
	fill(t, c)
	c.writeBy = time.Now().Add(-time.Second) // what the connection was told is over
	if err := c.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Write(make([]byte, 1<<20)); done <- err }()
	go io.Copy(io.Discard, client)
	if err := <-done; err != nil {
		t.Errorf("the answer ended with %v", err)
	}
}

func TestWhatIsCutIsNotGoneOnWith(t *testing.T) {
	c, _ := handedOn(t)
	fill(t, c)
	if err := errors.Join(c.SetWriteDeadline(time.Now().Add(stall)), c.SetWriteDeadline(time.Time{})); err != nil {
		t.Fatal(err)
	}
	x := &exchange{}
	c.begin(x)
	c.cut(x)
	if _, err := c.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A minute that has hardly begun does for the next request, too; one that is nearly over does not.
func TestAWriteHasItsMinute(t *testing.T) {
	c, _ := handedOn(t)
	begin := time.Now()
	for _, s := range []struct{ after, told time.Duration }{{0, stall}, {5 * time.Second, stall}, {20 * time.Second, 20*time.Second + stall}, {30 * time.Second, 20*time.Second + stall}} {
		c.l.now.Store(begin.Add(s.after).UnixNano())
		if err := errors.Join(c.SetWriteDeadline(begin.Add(s.after+stall)), c.SetWriteDeadline(time.Time{})); err != nil {
			t.Fatal(err)
		}
		if !c.writeBy.Equal(begin.Add(s.told)) {
			t.Errorf("after %v: %v", s.after, c.writeBy.Sub(begin))
		}
	}
	if err := c.SetWriteDeadline(begin.Add(time.Second)); err != nil || !c.writeBy.Equal(begin.Add(time.Second)) {
		t.Errorf("an earlier one: %v, %v", c.writeBy.Sub(begin), err)
	}
}

func TestADeadlineForReadingHoldsForAReadThatHasBegunToo(t *testing.T) {
	c, client := handedOn(t)
	done := make(chan error)
	read := func() { _, err := c.Read(make([]byte, 1)); done <- err }

	if err := c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	go read()
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that was set before: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go read()
	for waits := 0; waits == 0; {
		c.mu.Lock()
		waits = c.reads.waits
		c.mu.Unlock()
	}
	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one that was set meanwhile: %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go read()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("none: %v", err)
	}
}
