package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

//go:embed wrk/report.lua
var reportLua string

//go:embed wrk/visitors.lua
var visitorsLua string

//go:embed wrk/statuses.lua
var statusesLua string

// A counted is what wrk has counted.
type counted struct {
	requests, errors, bytes float64
	took                    time.Duration
	p50, p99                time.Duration
	// statuses are how many answers had the statuses that were asked for; nil: nobody did.
	statuses []float64
	kinds    string // of the errors
}

// wrk returns the load of that many keep-alive connections, on each of which a request follows
// the answer to the one before it.
func wrk(connections int) load {
	return func(ctx context.Context, s *subject, seconds int) (sample, error) {
		return runWrk(ctx, s, connections, seconds, reportLua)
	}
}

// visitors is the same with a cookie that is drawn anew for each request from a file.
func visitors(connections int, cookies string) load {
	return func(ctx context.Context, s *subject, seconds int) (sample, error) {
		return runWrk(ctx, s, connections, seconds, visitorsLua+reportLua, cookies)
	}
}

func runWrk(ctx context.Context, s *subject, connections, seconds int, script string, args ...string) (sample, error) {
	c, err := countByWrk(ctx, s, connections, seconds, 0, script, args...)
	if err != nil {
		return sample{}, err
	}
	if c.errors > 0 || c.requests == 0 {
		return sample{}, fmt.Errorf("%v of %v requests failed: %s", c.errors, c.requests, c.kinds)
	}
	if mean, want := c.bytes/c.requests, float64(lengths()[filepath.Base(s.path)]); mean < want {
		return sample{}, fmt.Errorf("answers were of %.0f bytes on average, and those of the upstream are longer", mean)
	}
	return sample{perSecond: c.requests / c.took.Seconds(), requests: c.requests, p50: c.p50, p99: c.p99}, nil
}

// countByWrk runs wrk on the core of the load, as batch work; with a niceness above 0 all else there goes before it.
func countByWrk(ctx context.Context, s *subject, connections, seconds, nice int, script string, args ...string) (counted, error) {
	dir, err := os.MkdirTemp("", "orgate-bench-wrk-")
	if err != nil {
		return counted{}, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "script.lua")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return counted{}, err
	}
	all := batch()
	if nice > 0 {
		all = []string{"nice", "-n", fmt.Sprint(nice)}
	}
	all = append(all, "wrk", "-t1", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", seconds), "--latency", "-s", file)
	if s.host != "" {
		all = append(all, "-H", "Host: "+s.host)
	}
	if s.cookie != "" {
		all = append(all, "-H", "Cookie: "+s.cookie)
	}
	all = append(append(all, s.url(), "--"), args...)
	out, err := command(ctx, loadCore, all...).CombinedOutput()
	if err != nil {
		return counted{}, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	_, line, ok := strings.Cut(string(out), "RESULT ")
	_, kinds, _ := strings.Cut(string(out), "ERRORS ")
	c := counted{}
	c.kinds, _, _ = strings.Cut(kinds, "\n")
	var micros, p50, p99, ok200, limited float64
	if _, err := fmt.Sscanf(line, "%f %f %f %f %f %f %f %f", &c.requests, &c.errors, &c.bytes, &micros, &p50, &p99, &ok200, &limited); !ok || err != nil {
		return counted{}, fmt.Errorf("wrk said: %s", out)
	}
	c.took, c.p50, c.p99 = time.Duration(micros)*time.Microsecond, time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	c.statuses = []float64{ok200, limited}
	return c, nil
}
