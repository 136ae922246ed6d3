package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// A paced is what the command rate measures, sorted.
type paced struct {
	Took, Late []time.Duration
}

// unmeasured is how long requests are sent before they are measured, as the first ones find new connections.
const unmeasured = 50 * time.Millisecond

// pace sends requests at a constant rate, from the core of the load.
func (y *yard) pace(ctx context.Context, s *subject, perSecond float64, connections int, measured time.Duration) (v paced, err error) {
	out, err := y.output(ctx, "rate", "-address", s.address, "-host", s.host, "-path", s.path, "-cookie", s.cookie,
		"-per-second", strconv.FormatFloat(perSecond, 'f', 0, 64), "-connections", strconv.Itoa(connections),
		"-unmeasured", unmeasured.String(), "-measured", measured.String())
	if err := errors.Join(s.process.alive(), err); err != nil {
		return v, err
	}
	if err := json.Unmarshal(out, &v); err != nil {
		return v, err
	}
	slices.Sort(v.Took)
	slices.Sort(v.Late)
	return v, nil
}

// millis is the percentile of sorted times, in milliseconds.
func millis(sorted []time.Duration, p float64) float64 { return float64(percentile(sorted, p)) / 1e6 }
