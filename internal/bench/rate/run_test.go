//go:build linux

package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAStallIsFeltByAllThatWereDueInIt(t *testing.T) {
	const stall = 300 * time.Millisecond
	var once sync.Once
	var from time.Time
	var mu sync.RWMutex
	began := time.Now()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) > 500*time.Millisecond {
			once.Do(func() {
				mu.Lock()
				from = time.Now()
				time.AfterFunc(stall, mu.Unlock)
			})
		}
		mu.RLock()
		defer mu.RUnlock()
		w.Write([]byte("x"))
	}))
	defer s.Close()
	p := plan{Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Length: 1, PerSecond: 200, Connections: 4, Unmeasured: 100 * time.Millisecond, Measured: 2 * time.Second}
	m, err := p.run(started(t))
	if err != nil {
		t.Fatal(err)
	}
	if from.IsZero() {
		t.Fatal("there was no stall")
	}
	// A generator that waits for answers before it goes on would have seen it four times, which is 1 %.
	if n := len(m.Took); n != 400 {
		t.Errorf("%d answers", n)
	}
	slices.Sort(m.Took)
	if p90 := m.Took[360]; p90 < 50*time.Millisecond {
		t.Errorf("p90 is %v, though of two seconds nobody was answered for %v", p90, stall)
	}
	if p75 := m.Took[300]; p75 > 50*time.Millisecond {
		t.Errorf("p75 is %v, though nobody waited but for %v", p75, stall)
	}
}

func TestAnythingButA200IsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusTooManyRequests)
	}))
	defer s.Close()
	p := plan{Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", PerSecond: 10, Connections: 1, Measured: time.Second}
	if _, err := p.run(started(t)); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("error %v", err)
	}
}

// started is a loop.
func started(t *testing.T) *loop {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestItIsTheUpstreamToo(t *testing.T) {
	l := started(t)
	r, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // for its address
	if err != nil {
		t.Fatal(err)
	}
	at := r.Addr().String()
	r.Close()
	if err := serve(l, at); err != nil {
		t.Fatal(err)
	}
	m, err := plan{Address: at, Path: "/", Length: length, PerSecond: 1000, Connections: 4, Measured: 500 * time.Millisecond}.run(l)
	if err != nil || len(m.Took) != 500 {
		t.Errorf("%d answers, %v", len(m.Took), err)
	}
}

func TestAnAnswerOfAnotherLengthIsAnError(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) }))
	defer s.Close()
	p := plan{Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Length: 2, PerSecond: 10, Connections: 1, Measured: time.Second}
	if _, err := p.run(started(t)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("error %v", err)
	}
}

func TestWithoutARateEveryConnectionIsKeptBusy(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) }))
	defer s.Close()
	began := time.Now()
	m, err := plan{Address: strings.TrimPrefix(s.URL, "http://"), Path: "/", Length: 1, Connections: 4, Measured: 300 * time.Millisecond}.run(started(t))
	if err != nil || len(m.Took) < 4 {
		t.Errorf("%d answers, %v", len(m.Took), err)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}
