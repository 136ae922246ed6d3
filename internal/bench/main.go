// Command bench measures what orgate adds to a request, against nginx's proxy_pass and a
// bare, tuned httputil.ReverseProxy, in one interleaved run, so that a noisy machine is
// equally noisy for all. It prints a table for docs/benchmarks.md.
//
//	go run ./internal/bench -orgate bin/orgate -rounds 5 -seconds 5
//
// It needs nginx, wrk and taskset. Everything is on loopback, and ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	o := options{}
	flag.StringVar(&o.orgate, "orgate", "bin/orgate", "the program to measure")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each subject is measured")
	flag.IntVar(&o.seconds, "seconds", 5, "how long each time")
	flag.IntVar(&o.connections, "connections", 64, "keep-alive connections of wrk")
	flag.IntVar(&o.organizations, "organizations", 10, "organizations in orgate's configuration")
	flag.StringVar(&o.before, "before", "", "another build of the program to measure beside it")
	flag.StringVar(&o.subjects, "subjects", "", "a pattern of the names of those subjects that are measured; nginx and ReverseProxy always are")
	flag.StringVar(&o.answer, "answer", "1k", "how long answers are: 1k or 64k")
	flag.StringVar(&o.profiles, "profiles", "", "a directory for a profile of each way in which orgate is run, taken after the rounds")
	flag.StringVar(&o.only, "only", "", "proxy, start, sign-in or memory; all but the last, which takes ten minutes, if empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := all(ctx, o); err != nil {
		stop()
		log.Fatal(err)
	}
}

type options struct {
	orgate, before, only                        string
	subjects, answer, profiles                  string
	rounds, seconds, connections, organizations int
	grants                                      int    // sessions to keep ready; 0: as many as is usual
	listen                                      string // where orgate listens; empty: anywhere
}

// A subject is a proxy in front of the upstream.
type subject struct {
	name       string
	url        string // without a path
	path       string // before the file's
	headers    []string
	process    *process
	management string // of orgate

	samples []sample
}

// A sample is one measurement of a subject.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       float64 // seconds per 1000 requests
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "orgate-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	yard := &yard{dir: dir}
	defer yard.close()

	upstream, err := yard.upstream(ctx)
	if err != nil {
		return err
	}
	subjects, err := yard.subjects(ctx, o, upstream)
	if err != nil {
		return err
	}
	for _, s := range subjects { // warm up, and find out early what does not work
		if _, err := measure(ctx, s, o, 1); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for round := range o.rounds {
		for _, s := range subjects {
			m, err := measure(ctx, s, o, o.seconds)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.samples = append(s.samples, m)
			fmt.Fprintf(os.Stderr, "round %d  %-40s %8.0f req/s  %.4f CPU s per 1000\n", round+1, s.name, m.perSecond, m.cpu)
		}
	}
	report(subjects, o)
	if o.profiles != "" {
		return profiles(ctx, subjects, o)
	}
	return nil
}

// profiles takes a profile of each orgate while it is under load.
func profiles(ctx context.Context, subjects []*subject, o options) error {
	if err := os.MkdirAll(o.profiles, 0o755); err != nil {
		return err
	}
	for _, s := range subjects {
		if s.management == "" {
			continue
		}
		loaded := make(chan error, 1)
		go func() { _, err := measure(ctx, s, o, o.seconds+1); loaded <- err }()
		err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", s.management, o.seconds), filepath.Join(o.profiles, strings.NewReplacer(" ", "-", ",", "").Replace(s.name)+".pprof"))
		if err = errors.Join(err, <-loaded); err != nil {
			return err
		}
	}
	return nil
}

// fetch writes what is at the URL to a file.
func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, resp.Status)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o600)
}

// all runs what was asked for.
func all(ctx context.Context, o options) error {
	if o.only == "" || o.only == "proxy" {
		if err := run(ctx, o); err != nil {
			return err
		}
	}
	if o.only == "" || o.only == "start" {
		if err := startups(ctx, o, 10, 10_000); err != nil {
			return err
		}
	}
	if o.only == "" || o.only == "sign-in" {
		if err := signIns(ctx, o); err != nil {
			return err
		}
	}
	if o.only == "memory" { // it takes minutes
		return memory(ctx, o)
	}
	return nil
}

// report prints medians, and ratios to the first subject taken round by round.
func report(subjects []*subject, o options) {
	fmt.Printf("%d rounds of %d s, %d connections, answers of %s bytes, %d organizations; median (min–max)\n\n", o.rounds, o.seconds, o.connections, o.answer, o.organizations)
	fmt.Println("| subject | req/s | p50 | p99 | CPU s per 1000 | CPU ÷ nginx | CPU ÷ ReverseProxy | memory (PSS) |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	ratio := func(s, to *subject) string {
		var rs []float64
		for i := range s.samples {
			rs = append(rs, s.samples[i].cpu/to.samples[i].cpu)
		}
		slices.Sort(rs)
		return fmt.Sprintf("%.2f (%.2f–%.2f)", rs[len(rs)/2], rs[0], rs[len(rs)-1])
	}
	for _, s := range subjects {
		fmt.Printf("| %s | %.0f | %.2f ms | %.2f ms | %.4f | %s | %s | %d MiB |\n", s.name,
			median(s, func(m sample) float64 { return m.perSecond }),
			median(s, func(m sample) float64 { return float64(m.p50) / 1e6 }),
			median(s, func(m sample) float64 { return float64(m.p99) / 1e6 }),
			median(s, func(m sample) float64 { return m.cpu }),
			ratio(s, subjects[0]), ratio(s, subjects[1]), s.process.pss()>>20)
	}
}

func median(s *subject, of func(sample) float64) float64 {
	var vs []float64
	for _, m := range s.samples {
		vs = append(vs, of(m))
	}
	slices.Sort(vs)
	return vs[len(vs)/2]
}

// measure runs wrk against s on the second core; s has the first for itself.
func measure(ctx context.Context, s *subject, o options, seconds int) (sample, error) {
	args := []string{"-c", "1", "wrk", "-t1", fmt.Sprintf("-c%d", o.connections), fmt.Sprintf("-d%ds", seconds), "--latency", "-s", filepath.Join(s.process.dir, "report.lua")}
	for _, h := range s.headers {
		args = append(args, "-H", h)
	}
	before := s.process.cpu()
	out, err := exec.CommandContext(ctx, "taskset", append(args, s.url+s.path+"/"+o.answer)...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	spent := s.process.cpu() - before
	_, line, ok := strings.Cut(string(out), "RESULT ")
	var requests, bad, micros, p50, p99 float64
	if _, err := fmt.Sscanf(line, "%f %f %f %f %f", &requests, &bad, &micros, &p50, &p99); !ok || err != nil {
		return sample{}, fmt.Errorf("wrk said: %s", out)
	}
	if bad > 0 || requests == 0 {
		return sample{}, fmt.Errorf("%v of %v answers were no 200", bad, requests)
	}
	return sample{perSecond: requests / (micros / 1e6), p50: time.Duration(p50) * time.Microsecond, p99: time.Duration(p99) * time.Microsecond, cpu: spent.Seconds() / requests * 1000}, nil
}
