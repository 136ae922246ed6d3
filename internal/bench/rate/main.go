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
// own timers are late by up to a millisecond where nothing else goes on.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

func main() {
	var p plan
	flag.StringVar(&p.address, "address", "", "where to connect: an IPv4 address and a port")
	flag.StringVar(&p.host, "host", "", "the Host header; empty: the address")
	flag.StringVar(&p.path, "path", "/", "what to ask for")
	flag.StringVar(&p.cookie, "cookie", "", "the Cookie header; empty: none")
	flag.Float64Var(&p.perSecond, "per-second", 1000, "how many requests a second")
	flag.IntVar(&p.connections, "connections", 64, "over how many connections")
	flag.DurationVar(&p.unmeasured, "unmeasured", 0, "for how long before anything is measured")
	flag.DurationVar(&p.measured, "measured", 5*time.Second, "for how long")
	flag.Parse()
	log.SetFlags(0)
	debug.SetGCPercent(-1) // there is little to collect, and no time for it
	runtime.LockOSThread()
	m, err := p.run()
	if err != nil {
		log.Fatalf("rate: %v", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(m); err != nil {
		log.Fatal(err)
	}
}

// A plan is what is to be sent.
type plan struct {
	address, host, path, cookie string
	perSecond                   float64
	connections                 int
	unmeasured, measured        time.Duration
}

// A measurement is what came of it, in nanoseconds.
type measurement struct {
	Took []time.Duration `json:"took"` // from when each was to be sent to the end of its answer
	// Late is how much later they were sent than they were to be, where a connection was free:
	// what of Took is this program's own.
	Late []time.Duration `json:"late"`
}
