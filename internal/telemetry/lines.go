package telemetry

import (
	"io"
	"sync"
	"time"
)

const (
	// lag is how long a line may wait for others that are written with it.
	lag = 100 * time.Millisecond
	// most is how many bytes wait at the most.
	most = 64 << 10
)

// lines has what is written to it written to another writer, many lines together: to write each by itself
// costs more than all else that is done for a line. A line is written at once if nothing was within the last
// lag, and else by the end of it. Lines keep their order, and none is ever in two writings. A reader who is slow
// slows down whoever writes: nothing is dropped.
type lines struct {
	w io.Writer

	mu      sync.Mutex
	waiting []byte
	pausing bool        // something was written within lag, and pause will say when that is over
	pause   *time.Timer // nil until there was one
	closed  bool        // nothing waits any more
	err     error       // of a writing of which nobody has heard
}

// Write implements [io.Writer]. b is whole lines. An error may be that of earlier ones.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting)+len(b) > most {
		l.write()
	}
	l.waiting = append(l.waiting, b...)
	if !l.pausing || l.closed || len(l.waiting) > most {
		l.write()
	}
	return len(b), l.unheard()
}

// flush writes what waits.
func (l *lines) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write()
	return l.unheard()
}

// Close writes what waits. What comes later is written at once.
func (l *lines) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.write()
	if l.pause != nil {
		l.pause.Stop()
	}
	return l.unheard()
}

// write writes what waits, and begins a pause. mu is held.
func (l *lines) write() {
	if len(l.waiting) == 0 {
		return
	}
	if _, err := l.w.Write(l.waiting); err != nil {
		l.err = err
	}
	l.waiting = l.waiting[:0]
	if cap(l.waiting) > 2*most {
		l.waiting = nil // a very long line is no reason to keep its room
	}
	l.pausing = true
	if l.pause == nil {
		l.pause = time.AfterFunc(lag, l.resume)
		return
	}
	l.pause.Reset(lag)
}

// resume ends a pause. If something waits, it is written and the next one begins.
func (l *lines) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pausing = false
	l.write()
}

func (l *lines) unheard() error {
	err := l.err
	l.err = nil
	return err
}
