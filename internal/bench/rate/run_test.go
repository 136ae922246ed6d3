//go:build linux

package main

import (
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
	p := plan{address: strings.TrimPrefix(s.URL, "http://"), path: "/", perSecond: 200, connections: 4, unmeasured: 100 * time.Millisecond, measured: 2 * time.Second}
	m, err := p.run()
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
	p := plan{address: strings.TrimPrefix(s.URL, "http://"), path: "/", perSecond: 10, connections: 1, measured: time.Second}
	if _, err := p.run(); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("error %v", err)
	}
}
