// Command bench measures what orgate adds to requests, connections and bodies, against
// nginx, HAProxy and a bare, tuned httputil.ReverseProxy, each in interleaved runs, so that a
// noisy machine is equally noisy for all. It prints tables for docs/benchmarks.md, and what
// came of the figures to reach.
//
//	go run ./internal/bench -orgate bin/orgate -rounds 5 -seconds 2
//
// The subject has the first core for itself; load and upstream share the second. It needs
// nginx, wrk, h2load, taskset, chrt, and Linux. Everything is on loopback, and ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	orgate, before, only         string
	subjects, profiles           string
	rounds, seconds, connections int
	organizations                int
}

func main() {
	o := options{}
	flag.StringVar(&o.orgate, "orgate", "bin/orgate", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each subject is measured")
	flag.IntVar(&o.seconds, "seconds", 2, "how long each time")
	flag.IntVar(&o.connections, "connections", 64, "keep-alive connections of wrk")
	flag.IntVar(&o.organizations, "organizations", 10, "organizations in orgate's configuration")
	flag.StringVar(&o.before, "before", "", "another build of the program to measure beside it, in the parts requests and answers")
	flag.StringVar(&o.subjects, "subjects", "", "a pattern of the names of those subjects of these two that are measured; nginx and ReverseProxy always are")
	flag.StringVar(&o.profiles, "profiles", "", "a directory for a profile of each way in which orgate is run in these two, taken after the rounds")
	flag.StringVar(&o.only, "only", "", "parts, separated by commas; all of them if empty:\n"+partsHelp())
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		stop()
		log.Fatal(err)
	}
}

// A part measures one thing and prints its table.
type part struct {
	name, what string
	run        func(context.Context, *bench) error
}

// parts are all of them, in the order in which they run.
func parts() []part {
	return []part{
		{"requests", "a request over HTTP/1.1, 1 KiB", requests},
		{"answers", "the same with answers of 64 KiB", answers},
		{"tls", "a request over TLS, by HTTP/1.1 and HTTP/2", overTLS},
		{"organizations", "10,000 organizations beside 10", organizations},
		{"sessions", "100,000 live sessions: memory, with 10,000 connections that rest, and requests", sessions},
		{"latency", "latency at the same offered load", latency},
		{"flood", "what one organization's flood does to another", flood},
		{"streams", "server-sent events and WebSockets", streams},
		{"bodies", "a body of 1 GiB each way", bodies},
		{"start", "from the start until it is ready", startups},
		{"sign-in", "whole sign-ins", signIns},
	}
}

func partsHelp() string {
	var b strings.Builder
	for _, p := range parts() {
		fmt.Fprintf(&b, "  %-14s %s\n", p.name, p.what)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// A bench is one run of this program.
type bench struct {
	options
	*programs
	figures figures
}

// run runs the parts that were asked for.
func run(ctx context.Context, o options) (err error) {
	if o.rounds < 1 || o.seconds < 1 {
		return fmt.Errorf("%d rounds of %d s measure nothing", o.rounds, o.seconds)
	}
	wanted := strings.FieldsFunc(o.only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range wanted {
		if !slices.ContainsFunc(parts(), func(p part) bool { return p.name == name }) {
			return fmt.Errorf("there is no part %q; there are:\n%s", name, partsHelp())
		}
	}
	dir, err := os.MkdirTemp("", "orgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{options: o, figures: figures{}, programs: &programs{dir: dir, built: map[string]string{}}}
	for _, p := range parts() {
		if len(wanted) > 0 && !slices.Contains(wanted, p.name) {
			continue
		}
		began := time.Now()
		if err := p.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		progress("%s took %.0f s", p.name, time.Since(began).Seconds())
	}
	b.figures.print()
	return nil
}
