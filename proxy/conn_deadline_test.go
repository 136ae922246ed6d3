package proxy

import (
	"errors"
	"fmt"
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
	l := &Listener{buffers: newConnBuffers(), began: time.Now()}
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
	for _, s := range []struct{ after, told time.Duration }{{0, stall}, {4 * time.Second, stall}, {20 * time.Second, 20*time.Second + stall}, {24 * time.Second, 20*time.Second + stall}, {25 * time.Second, 25*time.Second + stall}} {
		c.l.swept.Store(int64(begin.Add(s.after).Sub(c.l.began)))
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

func TestAClientHasAMinuteToReadOnWheneverSomethingIsWritten(t *testing.T) {
	c, _ := handedOn(t) // whose listener's clock stands still, as after the process was stopped
	for left, renewed := range map[time.Duration]bool{-time.Hour: true, 30 * time.Second: true, 50 * time.Second: false} {
		before := time.Now().Add(left)
		c.writeBy = before
		if err := errors.Join(c.Conn.SetWriteDeadline(before), c.send([]byte("x"))); err != nil {
			t.Errorf("with %v left: %v", left, err)
		}
		if got := !c.writeBy.Equal(before); got != renewed || got && time.Until(c.writeBy) < stall-10*time.Second {
			t.Errorf("with %v left: %v", left, time.Until(c.writeBy))
		}
	}
}

// A time without a monotonic reading would have every wait be over when the machine's clock is set forwards.
func TestWaitsAreNotMeasuredByTheCalendar(t *testing.T) {
	l := &Listener{began: time.Now()}
	l.swept.Store(int64(time.Minute))
	if now := l.clock(); now == now.Round(0) || now.Sub(l.began) != time.Minute { //nolint:staticcheck // equal times may differ in that
		t.Errorf("%v", now)
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

// What is not plain is net/http's, which waits for four bytes of it before it sets a deadline.
func TestAFewBytesHoldNoConnectionOpen(t *testing.T) {
	s := newStage(t)
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(s.proxy, ServerLimits{HeaderTimeout: 200 * time.Millisecond, IdleTimeout: 400 * time.Millisecond}, s.options.Logger)
	l := Listen(ln, nil, s.proxy, server)
	go server.Serve(l)
	t.Cleanup(func() { l.Abort() })
	for _, few := range []string{"", "G", "x", "\n", "\r\n\r", "xxxx"} {
		for _, first := range []string{"", request("GET", "/x", "")} {
			t.Run(fmt.Sprintf("%q after %d bytes", few, len(first)), func(t *testing.T) {
				t.Parallel()
				conn := s.call(ln.Addr().String())
				if first != "" {
					conn.say(first)
					if res, _ := conn.hear("GET"); res.StatusCode != 401 {
						t.Fatal(res.StatusCode)
					}
				}
				conn.say(few)
				if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn.br); isTimeout(err) {
					t.Error("it is still open")
				}
			})
		}
	}
}

// The sweep may lose patience with a head in the moment in which it is whole.
func TestAHeadThatCameJustInTimeIsNotHeldAgainstItsRequest(t *testing.T) {
	c, client := handedOn(t)
	c.l.header = 10 * time.Second
	c.buf = c.l.buffers.Get().(*buffer)
	c.doing, c.since = reading, time.Now().Add(-11*time.Second)
	c.sweep(time.Now())
	c.handOn()
	c.release()
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Errorf("what is read after it: %v", err)
	}
}
