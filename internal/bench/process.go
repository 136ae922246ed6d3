package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A process is a program that was started here, and its children.
type process struct {
	name string
	cmd  *exec.Cmd
	said opening       // on its standard error; to be read once it has gone
	gone chan struct{} // closed when it has ended
}

// An opening keeps the first of what is written to it: a program that does not start says why, and a line for
// each of millions of requests must not fill the memory.
type opening struct{ kept bytes.Buffer }

// Write implements [io.Writer].
func (o *opening) Write(b []byte) (int, error) {
	o.kept.Write(b[:min(len(b), max(64<<10-o.kept.Len(), 0))])
	return len(b), nil
}

// alive returns an error if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%s ended (%v):\n%s", p.name, p.cmd.ProcessState, p.said.kept.String())
	default:
		return nil
	}
}

// stop ends the process and waits for it.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt) // it has gone, if this fails
	select {
	case <-p.gone:
	case <-time.After(10 * time.Second): // it drains, and nobody is left to drain for
		_ = p.cmd.Process.Kill() // it has gone, if this fails
		<-p.gone
	}
}

// pids are the process and its children.
func (p *process) pids() []int {
	pids := []int{p.cmd.Process.Pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.cmd.Process.Pid))
	if err != nil {
		return pids
	}
	for s := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(s); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// cpu is what the process and its children have used, by the kernel's accounting.
func (p *process) cpu() time.Duration {
	var ticks int64
	for _, pid := range p.pids() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		f := strings.Fields(rest)
		for _, s := range f[11:13] { // utime, stime
			n, _ := strconv.ParseInt(s, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond // CLK_TCK is 100
}

// rss is the resident memory of the process.
func (p *process) rss() int64 { return p.memory("status", "VmRSS:") }

// pss is the memory of the process and its children, shared pages divided.
func (p *process) pss() int64 { return p.memory("smaps_rollup", "Pss:") }

// peak is the most resident memory since forgetPeak.
func (p *process) peak() int64 { return p.memory("status", "VmHWM:") }

// forgetPeak has peak begin anew.
func (p *process) forgetPeak() error {
	var err error
	for _, pid := range p.pids() {
		err = errors.Join(err, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0))
	}
	return err
}

// memory adds up a line of a file of /proc, in bytes.
func (p *process) memory(file, line string) int64 {
	var kib int64
	for _, pid := range p.pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue
		}
		for l := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(l, line); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				kib += n
			}
		}
	}
	return kib << 10
}

// rested waits until the memory of the process has not become less for a minute, for five at the most, and returns its pss.
func (p *process) rested(ctx context.Context) (int64, error) {
	least, calm := p.pss(), 0
	_, err := p.watch(ctx, 5*time.Second, 60, func() bool {
		calm++
		if m := p.pss(); m < least-least/100 {
			least, calm = m, 0
		}
		return calm == 12
	})
	return p.pss(), err
}

// anonymous is what of pss is no page of a file.
func (p *process) anonymous() int64 { return p.memory("smaps_rollup", "Pss_Anon:") }

// settled waits until the process does next to nothing and its memory stays as it is, for two
// seconds, and returns that memory (PSS). It is an error if that takes more than a minute.
func (p *process) settled(ctx context.Context) (int64, error) {
	cpu, memory, calm := p.cpu(), p.pss(), 0
	ok, err := p.watch(ctx, time.Second, 60, func() bool {
		c, m := p.cpu(), p.pss()
		calm++
		if c-cpu > 50*time.Millisecond || max(m-memory, memory-m) > memory/200 {
			calm = 0
		}
		cpu, memory = c, m
		return calm == 2
	})
	if err == nil && !ok {
		err = fmt.Errorf("%s did not come to rest in a minute: it uses %v of CPU and %d MiB", p.name, cpu, memory>>20)
	}
	return memory, err
}

// watch asks every so often whether something holds, and reports whether it did one of the times. It
// is an error if the process ends.
func (p *process) watch(ctx context.Context, every time.Duration, times int, holds func() bool) (bool, error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for range times {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-tick.C:
		}
		if err := p.alive(); err != nil {
			return false, err
		}
		if holds() {
			return true, nil
		}
	}
	return false, nil
}
