package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"path"
	"slices"
	"time"
)

// A pacer is the command rate.
type pacer struct{ *dialog }

// pacer starts one, which is the upstream at the address, too, if there is one.
func (y *yard) pacer(ctx context.Context, upstream string) (*pacer, error) {
	d, err := y.converse(ctx, "rate", "-upstream", upstream)
	if err != nil || upstream == "" {
		return &pacer{d}, err
	}
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for range 400 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", upstream); err == nil {
			return &pacer{d}, c.Close()
		}
		<-retry.C
	}
	return nil, d.fault(errors.New("it does not listen"))
}

// A paced is what came of a plan, sorted.
type paced struct {
	Took, Late []time.Duration
}

// pace sends requests at a constant rate, at first unmeasured.
func (p *pacer) pace(s *subject, perSecond float64, connections int, unmeasured, measured time.Duration) (v paced, err error) {
	plan, err := json.Marshal(map[string]any{
		"address": s.address, "host": s.host, "path": s.path, "cookie": s.cookie, "length": lengths()[path.Base(s.path)], "per_second": perSecond, "connections": connections,
		"unmeasured": unmeasured, "measured": measured,
	})
	if err != nil {
		return v, err
	}
	if err := p.tell(plan); err != nil {
		return v, errors.Join(s.process.alive(), err)
	}
	line, err := p.hear()
	if err := errors.Join(s.process.alive(), err); err != nil {
		return v, err
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return v, err
	}
	slices.Sort(v.Took)
	slices.Sort(v.Late)
	return v, nil
}

// millis is the percentile of sorted times, in milliseconds.
func millis(sorted []time.Duration, p float64) float64 { return float64(percentile(sorted, p)) / 1e6 }
