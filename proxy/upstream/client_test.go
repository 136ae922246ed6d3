package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

func TestAConnectionThatDiedWhileIdleIsNotUsed(t *testing.T) {
	for name, last := range map[string]string{"closed": "", "closed with a 408": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"} {
		closed := make(chan struct{}, 1)
		var requests atomic.Int32
		a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
			if request(r) == "" {
				return
			}
			requests.Add(1)
			io.WriteString(c, hello)
			io.WriteString(c, last)
			c.Close()
			closed <- struct{}{}
		})
		cl := client(t, Limits{})
		for i := range 10 {
			c := newCall(a.address, "POST") // is not repeated: it must be right at once
			c.Empty = true
			if err := cl.Do(c); err != nil || c.Answer.Status != 200 {
				t.Fatalf("%s: %d: %d, %v", name, i, c.Answer.Status, err)
			}
			c.Close()
			<-closed
		}
		if n := requests.Load(); n != 10 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
}

// An app that says more than it was asked for must not be believed that it is the answer to
// what somebody else asks next.
func TestWhatAnAppSaysUnaskedIsNobodysAnswer(t *testing.T) {
	said := make(chan struct{}, 1)
	a := newApp(t, func(n int, c net.Conn, r *bufio.Reader) {
		for request(r) != "" {
			io.WriteString(c, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n))
			if n == 1 {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")
			}
			said <- struct{}{}
		}
	})
	cl := client(t, Limits{})
	for i := 1; i <= 3; i++ {
		got, err := get(cl, a.address)
		if err != nil || strings.Contains(got, "stolen") {
			t.Errorf("%d: %q, %v", i, got, err)
		}
		<-said
	}
	if n := a.accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestARequestIsRepeatedOnceAndOnlyWhereThatCanDoNoHarm(t *testing.T) {
	for _, tt := range []struct {
		method, body string
		answer       string // to the second request of a connection, before it is closed
		reset        bool   // rather than closed
		want         int32  // requests seen, with the first one
	}{
		{"GET", "", "", false, 3},
		{"GET", "", "", true, 3},
		{"HEAD", "", "", false, 3},
		{"DELETE", "", "", false, 3},
		{"POST", "", "", false, 2},
		{"PATCH", "", "", false, 2},
		{"PUT", "body", "", false, 2},
		{"GET", "body", "", false, 2},
		{"GET", "", "H", false, 2},
		{"GET", "", "H", true, 2},
		{"GET", "", "HTTP/1.1 100 Continue\r\n\r\n", false, 2},
		{"GET", "", "HTTP/1.1 100 Continue\r\n\r\n", true, 2},
	} {
		var seen atomic.Int32
		a := newApp(t, func(n int, c net.Conn, r *bufio.Reader) {
			for i := 0; request(r) != ""; i++ {
				seen.Add(1)
				if n > 1 || i > 0 {
					io.WriteString(c, tt.answer)
					if tt.reset {
						c.(*net.TCPConn).SetLinger(0)
					}
					return
				}
				io.WriteString(c, hello)
			}
		})
		cl := client(t, Limits{})
		if got, err := get(cl, a.address); got != "200 hello" {
			t.Fatal(got, err)
		}
		c := newCall(a.address, tt.method)
		if tt.body != "" {
			c.Body, c.Length = strings.NewReader(tt.body), int64(len(tt.body))
		}
		if err := cl.Do(c); err == nil {
			t.Errorf("%+v: %d", tt, c.Answer.Status)
		}
		c.Close()
		if n := seen.Load(); n != tt.want {
			t.Errorf("%+v: the app saw %d requests", tt, n)
		}
	}
}

func TestAppsThatRestartAreWaitedFor(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for fails, ok := range map[int]bool{0: true, 2: true, 3: false} {
		n := 0
		cl := client(t, Limits{Redial: []time.Duration{time.Millisecond, time.Millisecond}, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if n++; n <= fails {
				return nil, refused
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}})
		a := newApp(t, saying(hello))
		if _, err := get(cl, a.address); (err == nil) != ok || !ok && !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after %d refusals: %v", fails, err)
		}
	}
}

// holding is an app that answers when it is told to.
func holding(t testing.TB) (a *app, arrived chan struct{}, release chan struct{}) {
	arrived, release = make(chan struct{}, 1000), make(chan struct{})
	a = newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for request(r) != "" {
			arrived <- struct{}{}
			<-release
			io.WriteString(c, hello)
		}
	})
	t.Cleanup(func() { close(release) })
	return a, arrived, release
}

func TestCallsWaitInTurnForAConnection(t *testing.T) {
	a, arrived, release := holding(t)
	cl := client(t, Limits{Connections: 2, Queue: 3, Wait: time.Minute})
	results := make(chan string, 10)
	call := func() {
		got, err := get(cl, a.address)
		results <- fmt.Sprint(got, err)
	}
	go call()
	go call()
	<-arrived
	<-arrived
	for range 3 {
		go call()
	}
	eventually(t, "three wait", func() bool { _, _, n := cl.counts(a.address); return n == 3 })
	if got, err := get(cl, a.address); !errors.Is(err, ErrBusy) {
		t.Errorf("the queue is full: %q, %v", got, err)
	}
	for range 5 {
		release <- struct{}{}
		if got := <-results; got != "200 hello<nil>" {
			t.Error(got)
		}
	}
	if n := a.accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

func TestAPlaceThatComesFreeWithoutItsConnectionIsTheNextOnes(t *testing.T) {
	n := 0
	a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		request(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
	})
	cl := client(t, Limits{Connections: 1, Queue: 100, Wait: time.Minute})
	var wg sync.WaitGroup
	var ok atomic.Int32
	for range 20 {
		n++
		wg.Go(func() {
			if got, _ := get(cl, a.address); got == "200 hello" {
				ok.Add(1)
			}
		})
	}
	wg.Wait()
	if ok.Load() != int32(n) {
		t.Errorf("%d of %d", ok.Load(), n)
	}
	if open, _, waiting := cl.counts(a.address); open != 0 || waiting != 0 {
		t.Errorf("%d open, %d waiting", open, waiting)
	}
}

func TestPatienceInTheQueueEnds(t *testing.T) {
	a, arrived, release := holding(t)
	cl := client(t, Limits{Connections: 1, Wait: 10 * time.Millisecond})
	done := make(chan error, 1)
	go func() { _, err := get(cl, a.address); done <- err }()
	<-arrived
	if _, err := get(cl, a.address); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	if _, _, waiting := cl.counts(a.address); waiting != 0 {
		t.Errorf("%d wait", waiting)
	}
	release <- struct{}{}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestACallThatIsEndedEndsWhereverItIs(t *testing.T) {
	ended := errors.New("session ended")
	hold := make(chan struct{})
	defer close(hold)
	head := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"
	for name, tt := range map[string]struct {
		limits Limits
		answer string
		busy   bool
		body   io.Reader
		duplex bool
	}{
		"before it begins":           {},
		"in the queue":               {limits: Limits{Connections: 1}, busy: true},
		"while it connects":          {limits: Limits{Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }}},
		"before the answer":          {},
		"in a 100,000th of the head": {answer: head[:10]},
		"in the body":                {answer: head},
		"while it sends":             {body: io.LimitReader(xs{}, 1<<40)},
		"while both go on":           {body: io.LimitReader(xs{}, 1<<40), duplex: true},
	} {
		a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
			request(r)
			io.WriteString(c, tt.answer)
			<-hold
		})
		cl := client(t, tt.limits)
		if tt.busy {
			go get(cl, a.address)
			eventually(t, "it is busy", func() bool { open, _, _ := cl.counts(a.address); return open == 1 })
		}
		c := newCall(a.address, "GET")
		c.Cancel = &Cancel{}
		if tt.body != nil {
			c.Body, c.Length, c.Duplex = tt.body, 1<<40, tt.duplex
		}
		if name == "before it begins" {
			c.Cancel.End(ended)
		}
		result := make(chan error, 1)
		go func() {
			err := cl.Do(c)
			if err == nil {
				_, err = body(c)
			}
			result <- err
		}()
		if name != "before it begins" {
			eventually(t, name, func() bool { c.Cancel.mu.Lock(); defer c.Cancel.mu.Unlock(); return c.Cancel.what != nil })
			c.Cancel.End(ended)
		}
		select {
		case err := <-result:
			if !errors.Is(err, ended) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: it goes on", name)
		}
		c.Close()
		c.Cancel = nil
	}
}

// Whoever holds the Cancel of a call may use it when the connection is another call's.
func TestAnEndThatComesLateHarmsNobody(t *testing.T) {
	a := newApp(t, saying(hello))
	cl := client(t, Limits{})
	for range 200 {
		c := newCall(a.address, "GET")
		cancel := &Cancel{}
		c.Cancel = cancel
		if err := cl.Do(c); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Next(); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() { cancel.End(errors.New("late")) })
		if got, err := get(cl, a.address); got != "200 hello" || err != nil {
			t.Fatal(got, err)
		}
		wg.Wait()
		c.Close()
	}
	if n := a.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestTimeIsLimited(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	for name, tt := range map[string]struct {
		limits Limits
		body   io.Reader
		length int64
		duplex bool
		ok     bool
	}{
		"for the answer":                     {limits: Limits{Answer: 20 * time.Millisecond}},
		"for the answer to a body":           {limits: Limits{Answer: 20 * time.Millisecond}, body: io.LimitReader(xs{}, primed+1), length: primed + 1},
		"for the answer to a body in duplex": {limits: Limits{Answer: 20 * time.Millisecond}, body: io.LimitReader(xs{}, primed+1), length: primed + 1, duplex: true},
		"for taking nothing":                 {limits: Limits{Stall: 20 * time.Millisecond}, body: xs{}, length: 1 << 40},
		"for taking nothing, in duplex":      {limits: Limits{Stall: 20 * time.Millisecond}, body: xs{}, length: -1, duplex: true},
	} {
		a := newApp(t, func(_ int, _ net.Conn, r *bufio.Reader) {
			request(r)
			io.CopyN(io.Discard, r, min(tt.length, primed+1))
			<-hold
		})
		cl := client(t, tt.limits)
		c := newCall(a.address, "POST")
		c.Body, c.Length, c.Duplex = tt.body, tt.length, tt.duplex
		if err := cl.Do(c); !isTimeout(err) {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

func TestTheTimeForTheHeadIsNoLimitForTheBody(t *testing.T) {
	goOn := make(chan struct{})
	a := newApp(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for request(r) != "" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			<-goOn
			io.WriteString(c, "hello")
		}
	})
	cl := client(t, Limits{Answer: 100 * time.Millisecond})
	for range 2 {
		c := newCall(a.address, "GET")
		if err := cl.Do(c); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(150*time.Millisecond, func() { goOn <- struct{}{} })
		if b, err := body(c); b != "hellohello" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
	}
}

// Whoever calls watches for the end of whom it calls for, but only where that pays.
func TestTheCallerIsToldOnceWhenTheCallHasToWait(t *testing.T) {
	for name, tt := range map[string]struct {
		limits Limits
		answer []string // with a pause of two notices between
		body   int64
		want   int32
	}{
		"at once":            {answer: []string{hello}},
		"late":               {answer: []string{"", hello}, want: 1},
		"late in the head":   {answer: []string{hello[:20], hello[20:]}, want: 1},
		"late in the body":   {answer: []string{hello[:len(hello)-2], "lo"}, want: 1},
		"late again":         {answer: []string{"", hello[:20], hello[20 : len(hello)-2], "lo"}, want: 1},
		"late, with a limit": {limits: Limits{Answer: time.Minute}, answer: []string{"", hello}, want: 1},
		"with a body":        {answer: []string{hello}, body: primed + 1, want: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			tt.limits.Notice = time.Second
			tt.limits.Dial = pipes(func(c net.Conn) {
				for r := bufio.NewReader(c); ; {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					io.Copy(io.Discard, req.Body)
					for i, piece := range tt.answer {
						if i > 0 {
							time.Sleep(2 * time.Second)
						}
						if piece != "" {
							io.WriteString(c, piece)
						}
					}
				}
			})
			cl := New(tt.limits)
			defer cl.Close()
			for i := range 5 {
				c, n := newCall("app", "POST"), &noting{}
				c.Caller = n
				if tt.body > 0 {
					c.Body, c.Length = io.LimitReader(xs{}, tt.body), tt.body
				}
				err := cl.Do(c)
				var b string
				if err == nil {
					b, err = body(c)
				}
				if err != nil || b != "hello" {
					t.Errorf("%s: %q, %v", name, b, err)
				}
				want := tt.want
				if i == 0 {
					want = 1 // as it had to connect
				}
				if n.waits.Load() != want {
					t.Errorf("%s, %d: told %d times, want %d", name, i, n.waits.Load(), want)
				}
				c.Close()
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			}
			cl.Close()
			synctest.Wait()
		})
	}
}

// The time to tell the caller may come before anything was sent: then it must still be sent.
func TestACallThatIsLateFromTheBeginningIsMade(t *testing.T) {
	a := newApp(t, saying(hello))
	cl := client(t, Limits{Notice: 1})
	for range 20 {
		if got, err := get(cl, a.address); got != "200 hello" || err != nil {
			t.Fatal(got, err)
		}
	}
	if n := a.accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// pipes is a network of pipes, on which time may be turned.
func pipes(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		go func() {
			defer b.Close()
			serve(b)
		}()
		return a, nil
	}
}

func TestIdleConnectionsAreKeptForAWhileAndSoMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl := New(Limits{Idle: 3, IdleTime: time.Minute, Dial: pipes(func(c net.Conn) {
			saying(hello)(0, c, bufio.NewReader(c))
		})})
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				c := newCall("app:80", "GET")
				defer c.Close()
				if err := cl.Do(c); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Duration(i+1) * time.Second) // its body is not read before
				body(c)
			})
		}
		wg.Wait()
		if open, idle, _ := cl.counts("app:80"); open != 3 || idle != 3 {
			t.Errorf("%d open, %d idle", open, idle)
		}
		time.Sleep(50 * time.Second)
		if got, err := get(cl, "app:80"); got != "200 hello" || err != nil {
			t.Error(got, err)
		}
		time.Sleep(30 * time.Second)
		if open, idle, _ := cl.counts("app:80"); open != 1 || idle != 1 {
			t.Errorf("one was used since: %d open, %d idle", open, idle)
		}
		time.Sleep(time.Minute)
		cl.mu.Lock()
		defer cl.mu.Unlock()
		if len(cl.pools) != 0 || cl.sweep != nil {
			t.Errorf("%d pools are kept", len(cl.pools))
		}
	})
}

func TestAClosedClientKeepsNothing(t *testing.T) {
	a, arrived, release := holding(t)
	cl := New(Limits{})
	done := make(chan error, 1)
	go func() { _, err := get(cl, a.address); done <- err }()
	<-arrived
	cl.Close()
	release <- struct{}{}
	if err := <-done; err != nil {
		t.Errorf("what was under way is not ended: %v", err)
	}
	if open, _, _ := cl.counts(a.address); open != 0 {
		t.Errorf("%d open", open)
	}
}

// Each of thousands of mixed calls at once gets its own answer, whatever becomes of the others.
func TestEveryCallGetsItsOwnAnswer(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Id")
		switch r.Header.Get("X-How") {
		case "chunks":
			for _, c := range id {
				fmt.Fprint(w, string(c))
				http.NewResponseController(w).Flush()
			}
		case "long":
			fmt.Fprint(w, strings.Repeat(id, 3000))
		case "close":
			w.Header().Set("Connection", "close")
			fmt.Fprint(w, id)
		case "cut":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, id)
			panic(http.ErrAbortHandler)
		case "echo":
			io.Copy(w, r.Body)
		case "ignore":
			fmt.Fprint(w, id)
		default:
			fmt.Fprint(w, id)
		}
	})
	cl := client(t, Limits{Connections: 8, Queue: 100, Wait: time.Minute, Answer: time.Minute})
	var wg sync.WaitGroup
	var answered atomic.Int32
	for worker := range 24 {
		wg.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("<%d.%d>", worker, i)
				how := []string{"plain", "chunks", "long", "close", "cut", "echo", "ignore", "left", "ended"}[rand.N(9)]
				c := newCall(address, "POST")
				c.Cancel = &Cancel{}
				c.Head = append(c.Head, "X-Id: "+id+"\r\nX-How: "+how+"\r\n"...)
				want := id
				switch how {
				case "long":
					want = strings.Repeat(id, 3000)
				case "echo":
					c.Body, c.Length = strings.NewReader(id), int64(len(id))
					if i%2 == 0 {
						c.Length, c.Duplex = -1, i%4 == 0
					}
				case "ignore":
					c.Body, c.Length, c.Duplex = io.LimitReader(xs{}, 400_000), 400_000, i%2 == 0
				case "ended":
					go c.Cancel.End(io.ErrClosedPipe)
				}
				err := cl.Do(c)
				var b string
				if err == nil && how != "left" {
					b, err = body(c)
				}
				switch {
				case err == nil && how != "left" && b != want:
					t.Errorf("%s %s: %.100q", how, id, b)
				case err != nil && how != "cut" && how != "ended" && how != "ignore":
					t.Errorf("%s %s: %v", how, id, err)
				case err == nil:
					answered.Add(1)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	if answered.Load() < 1000 {
		t.Errorf("%d answers", answered.Load())
	}
	eventually(t, "nothing is open but what is idle", func() bool { open, idle, _ := cl.counts(address); return open == idle })
}

func TestACallCostsNoGoroutine(t *testing.T) {
	a, arrived, release := holding(t)
	cl := client(t, Limits{})
	done := make(chan error, 50)
	before := runtime.NumGoroutine()
	for range 50 {
		go func() { _, err := get(cl, a.address); done <- err }()
	}
	for range 50 {
		<-arrived
	}
	// The callers, the app's connections, and nothing else.
	if n := runtime.NumGoroutine() - before; n > 100 {
		t.Errorf("%d goroutines for 50 calls", n)
	}
	for range 50 {
		release <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
