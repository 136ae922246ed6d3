//go:build linux

// Command rate sends requests of HTTP/1.1 at a constant rate, whether they are answered or not,
// and prints how long the answers took, in milliseconds, as JSON.
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
	"slices"
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
	flag.IntVar(&p.seconds, "seconds", 5, "for how long")
	flag.Parse()
	log.SetFlags(0)
	debug.SetGCPercent(-1) // there is little to collect, and no time for it
	runtime.LockOSThread()
	m, err := p.run()
	if err != nil {
		log.Fatalf("rate: %v", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(m.report(p)); err != nil {
		log.Fatal(err)
	}
}

// A plan is what is to be sent.
type plan struct {
	address, host, path, cookie string
	perSecond                   float64
	connections, seconds        int
}

// A measurement is what came of it.
type measurement struct {
	took []time.Duration // from when each was to be sent to the end of its answer
	// late is how much later they were sent than they were to be, where a connection was free:
	// what of took is this program's own.
	late []time.Duration
}

// A report is a measurement in milliseconds.
type report struct {
	PerSecond float64 `json:"per_second"` // as offered
	Requests  int     `json:"requests"`
	P50       float64 `json:"p50"`
	P90       float64 `json:"p90"`
	P99       float64 `json:"p99"`
	P999      float64 `json:"p999"`
	Max       float64 `json:"max"`
	Late99    float64 `json:"late99"`
}

func (m measurement) report(p plan) report {
	return report{
		PerSecond: p.perSecond, Requests: len(m.took), P50: at(m.took, 0.5), P90: at(m.took, 0.9), P99: at(m.took, 0.99), P999: at(m.took, 0.999), Max: at(m.took, 1),
		Late99: at(m.late, 0.99),
	}
}

// at is a percentile in milliseconds.
func at(times []time.Duration, p float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return float64(times[min(int(p*float64(len(times))), len(times)-1)]) / 1e6
}
