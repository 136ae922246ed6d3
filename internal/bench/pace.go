package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path"
	"slices"
	"time"
)

// A pacer is the command rate, on the core of the load.
type pacer struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer
	over bool
}

// pacer starts one, which is the upstream at the address, too, if there is one.
func (y *yard) pacer(ctx context.Context, upstream string) (*pacer, error) {
	binary, err := y.programs.path(ctx, "rate")
	if err != nil {
		return nil, err
	}
	p := &pacer{cmd: command(ctx, loadCore, binary, "-upstream", upstream)}
	p.cmd.Stderr = &p.said
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil || upstream == "" {
		return p, err
	}
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for range 400 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", upstream); err == nil {
			return p, c.Close()
		}
		<-retry.C
	}
	return nil, p.fault(errors.New("it does not listen"))
}

// A paced is what came of a plan, sorted.
type paced struct {
	Took, Late []time.Duration
}

// pace sends requests at a constant rate, at first unmeasured.
func (p *pacer) pace(s *subject, perSecond float64, connections int, unmeasured, measured time.Duration) (v paced, err error) {
	err = json.NewEncoder(p.in).Encode(map[string]any{
		"address": s.address, "host": s.host, "path": s.path, "cookie": s.cookie, "length": lengths()[path.Base(s.path)], "per_second": perSecond, "connections": connections,
		"unmeasured": unmeasured, "measured": measured,
	})
	if err != nil {
		return v, p.fault(err)
	}
	line, err := p.out.ReadBytes('\n')
	if err := errors.Join(s.process.alive(), err); err != nil {
		return v, p.fault(err)
	}
	if err := json.Unmarshal(line, &v); err != nil {
		return v, err
	}
	slices.Sort(v.Took)
	slices.Sort(v.Late)
	return v, nil
}

// end ends it, once.
func (p *pacer) end() error {
	if p.over {
		return nil
	}
	p.over = true
	_ = p.in.Close() // it has gone, if this fails
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, p.said.String())
	}
	return nil
}

// fault is why it did not do what it was told.
func (p *pacer) fault(err error) error { return errors.Join(err, p.end()) }

// millis is the percentile of sorted times, in milliseconds.
func millis(sorted []time.Duration, p float64) float64 { return float64(percentile(sorted, p)) / 1e6 }
