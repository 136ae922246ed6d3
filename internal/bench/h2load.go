package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// http1 returns the load of that many keep-alive connections of HTTP/1.1, by h2load.
func http1(connections int) load {
	return h2load("--h1", fmt.Sprintf("-c%d", connections))
}

// http2 returns the load of so many connections of HTTP/2, each with so many requests under way.
func http2(connections, streams int) load {
	return h2load(fmt.Sprintf("-c%d", connections), fmt.Sprintf("-m%d", streams))
}

func h2load(shape ...string) load {
	return func(ctx context.Context, s *subject, seconds int) (sample, error) {
		log, err := os.CreateTemp("", "orgate-bench-h2load-")
		if err != nil {
			return sample{}, err
		}
		defer os.Remove(log.Name())
		defer log.Close()
		url := s.scheme + "://" + cmp.Or(s.host, s.address) + s.path
		args := slices.Concat(batch(), []string{"h2load", "-t1", "-D", strconv.Itoa(seconds), "--log-file", log.Name(), "--connect-to", s.address}, shape)
		if s.cookie != "" {
			args = append(args, "-H", "cookie: "+s.cookie)
		}
		out, err := command(ctx, loadCore, append(args, url)...).CombinedOutput()
		if err != nil {
			return sample{}, fmt.Errorf("h2load: %w\n%s", err, out)
		}
		m, err := readH2load(string(out))
		if err != nil {
			return sample{}, err
		}
		times, err := readH2loadLog(bufio.NewScanner(log))
		m.p50, m.p99 = percentile(times, 0.50), percentile(times, 0.99)
		return m, err
	}
}

// readH2load reads what h2load prints at the end.
func readH2load(out string) (m sample, err error) {
	number := func(pattern string) (n float64) {
		f := regexp.MustCompile(pattern).FindStringSubmatch(out)
		if err == nil && f == nil {
			err = fmt.Errorf("h2load said: %s", out)
		}
		if err == nil {
			n, err = strconv.ParseFloat(f[1], 64)
		}
		return n
	}
	m.perSecond = number(`finished in [^,]*, ([0-9.]+) req/s`)
	m.requests = number(`requests: .* ([0-9]+) done`)
	// At the end some are under way of which the status is known.
	ok := number(`status codes: ([0-9]+) 2xx`)
	bad := number(`([0-9]+) failed`) + number(`([0-9]+) errored`) + number(`([0-9]+) timeout`) + number(`([0-9]+) 3xx`) + number(`([0-9]+) 4xx`) + number(`([0-9]+) 5xx`)
	if err == nil && (ok < m.requests || m.requests == 0 || bad > 0) {
		err = fmt.Errorf("not all answers were 2xx:\n%s", out)
	}
	return m, err
}

// readH2loadLog reads how long requests took, in order of that.
func readH2loadLog(lines *bufio.Scanner) ([]time.Duration, error) {
	var times []time.Duration
	for lines.Scan() {
		f := strings.Fields(lines.Text()) // start, status, microseconds
		if len(f) != 3 {
			return nil, fmt.Errorf("h2load logged %q", lines.Text())
		}
		micros, err := strconv.Atoi(f[2])
		if err != nil {
			return nil, err
		}
		times = append(times, time.Duration(micros)*time.Microsecond)
	}
	slices.Sort(times)
	return times, lines.Err()
}
