//go:build linux

// Command rate sends requests of HTTP/1.1 at a constant rate, whether they are answered or not,
// and prints how long each answer took, as JSON.
//
// A request's time begins when it was to be sent. What waits because all connections are still
// busy with slow answers has waited for these, and is counted so: a generator that begins to count
// when it gets round to sending (as wrk does, and h2load with --rps) leaves out just what a slow
// moment did to those who came in it, which is known as coordinated omission.
//
// It is one thread that waits for the kernel's timer and for its connections at once, as Go's
// own timers are late by up to a millisecond where nothing else goes on. It can be the upstream too: on a core that it has to share with another
// program for that, it would be the two that are measured.
//
// Each line of its input is a plan in JSON, and each line of its output what came of one. It ends with its input, or with the first error.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	at := flag.String("upstream", "", "an IPv4 address and a port at which every request is answered with 1 KiB; empty: none is")
	flag.Parse()
	log.SetFlags(0)
	debug.SetGCPercent(-1) // no time for it while something is measured
	runtime.LockOSThread()
	if err := run(*at); err != nil {
		log.Fatalf("rate: %v", err)
	}
}

func run(at string) error {
	// Else the kernel may be late by 50 µs, to wake up for several things at once.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return err
	}
	l, err := newLoop()
	if err != nil {
		return err
	}
	if at != "" {
		if err := serve(l, at); err != nil {
			return err
		}
	}
	in, err := input(l, int(os.Stdin.Fd()))
	for err == nil {
		line, rest, ok := bytes.Cut(in.bytes, []byte("\n"))
		if !ok {
			if in.over {
				return nil
			}
			err = l.turn(time.Hour)
			continue
		}
		in.bytes = rest
		var p plan
		if err = json.Unmarshal(line, &p); err != nil {
			break
		}
		var m measurement
		if m, err = p.run(l); err != nil {
			break
		}
		err = json.NewEncoder(os.Stdout).Encode(m)
		runtime.GC()
	}
	return err
}

// A received is what has come as input.
type received struct {
	bytes []byte
	over  bool
}

// input has fd read whenever something is there.
func input(l *loop, fd int) (*received, error) {
	in := &received{}
	return in, l.add(fd, 0, func() error {
		var b [4 << 10]byte
		n, err := unix.Read(fd, b[:])
		if err != nil {
			return err
		}
		in.bytes = append(in.bytes, b[:n]...)
		if in.over = n == 0; in.over {
			return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		}
		return nil
	})
}

// A plan is what is to be sent.
type plan struct {
	Address     string        `json:"address"` // where to connect: an IPv4 address and a port
	Host        string        `json:"host"`    // the Host header; empty: the address
	Path        string        `json:"path"`
	Cookie      string        `json:"cookie"`     // the Cookie header; empty: none
	Length      int           `json:"length"`     // of the body of each answer
	PerSecond   float64       `json:"per_second"` // 0: as many as are answered
	Connections int           `json:"connections"`
	Unmeasured  time.Duration `json:"unmeasured"` // how long before anything is measured, in nanoseconds
	Measured    time.Duration `json:"measured"`   // and how long it is
}

// A measurement is what came of it, in nanoseconds.
type measurement struct {
	Took []time.Duration `json:"took"` // from when each was to be sent to the end of its answer
	// Late is how much later they were sent than they were to be, where a connection was free:
	// what of Took is this program's own.
	Late []time.Duration `json:"late"`
}
