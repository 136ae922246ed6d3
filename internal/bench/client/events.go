package main

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A tally counts messages while it is on, and how long they were on their way.
type tally struct {
	on       atomic.Bool
	messages atomic.Int64
	first    chan struct{} // closed by the first message while it is on
	once     sync.Once
	mu       sync.Mutex
	took     []time.Duration
}

func newTally() *tally { return &tally{first: make(chan struct{})} }

// sampled is of how many messages one has its time noted.
const sampled = 16

// note counts a message, that was sent at that time by the clock of this machine.
func (t *tally) note(n int, sent time.Time) {
	if !t.on.Load() {
		return
	}
	t.messages.Add(1)
	t.once.Do(func() { close(t.first) })
	if n%sampled == 0 {
		took := time.Since(sent)
		t.mu.Lock()
		t.took = append(t.took, took)
		t.mu.Unlock()
	}
}

// measure counts for the time of the visit, from the first message on, unless something fails.
func (t *tally) measure(v *visit, failed <-chan error) (result, error) {
	t.on.Store(true)
	select {
	case err := <-failed:
		return result{}, err
	case <-t.first:
	case <-time.After(10 * time.Second):
		return result{}, errors.New("no message in 10 s")
	}
	began := time.Now()
	select {
	case err := <-failed:
		return result{}, err
	case <-time.After(time.Duration(v.seconds) * time.Second):
	}
	t.on.Store(false)
	r := result{Messages: int(t.messages.Load()), Seconds: time.Since(began).Seconds()}
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	if n := len(t.took); n > 0 {
		r.P50, r.P99 = float64(t.took[n/2])/1e6, float64(t.took[n*99/100])/1e6
	}
	return r, nil
}

// events opens streams of server-sent events, which stay, and counts what comes. The data of an
// event begins with the time at which it was sent.
func events(v *visit) error {
	t := newTally()
	failed := make(chan error, v.connections)
	err := each(v.connections, 64, func(i int) error {
		c, err := v.dial(i)
		if err != nil {
			return err
		}
		if err := c.send(v, "GET", "Accept: text/event-stream\r\n"); err != nil {
			return err
		}
		r, err := c.head(http.StatusOK)
		if err != nil {
			return err
		}
		lines := bufio.NewReaderSize(r.Body, 1<<10)
		if _, err := lines.ReadSlice('\n'); err != nil { // the first one comes at once
			return err
		}
		go func() {
			for n := i; ; n++ {
				line, err := lines.ReadSlice('\n')
				if err != nil {
					failed <- errors.Join(errors.New("a stream ended"), err)
					return
				}
				if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
					t.note(n, sentAt(data))
				}
			}
		}()
		return nil
	})
	if err != nil {
		return err
	}
	return stay(v.connections, func() (result, error) { return t.measure(v, failed) })
}

// sentAt reads the time that a message begins with.
func sentAt(data []byte) time.Time {
	stamp, _, _ := bytes.Cut(data, []byte(" "))
	n, err := strconv.ParseInt(string(stamp), 10, 64)
	if err != nil {
		return time.Now()
	}
	return time.Unix(0, n)
}
