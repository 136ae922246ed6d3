package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// The cores: the subject has one for itself, and all else shares the other.
const (
	subjectCore = 0
	loadCore    = 1
)

// A yard is where the subjects and the upstream of one part run.
type yard struct {
	dir       string
	processes []*process
	providers []*http.Server
	programs  *programs
}

// inYard runs f in a yard that is cleared after it.
func (p *programs) inYard(f func(*yard) error) (err error) {
	dir, err := os.MkdirTemp("", "orgate-bench-")
	if err != nil {
		return err
	}
	y := &yard{dir: dir, programs: p}
	defer func() { y.close(); err = errors.Join(err, os.RemoveAll(dir)) }()
	return f(y)
}

func (y *yard) close() {
	for _, p := range y.processes {
		p.stop()
	}
	for _, s := range y.providers {
		_ = s.Close()
	}
}

// command is a program pinned to a core.
func command(ctx context.Context, core int, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core)}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// batch is how a load and its upstream are started that have a core for themselves. They are batch work to the scheduler: neither is interrupted
// whenever something comes for the other, which would be a switch for every few requests, and leave the core too slow for what is measured.
func batch() []string { return []string{"chrt", "-b", "0"} }

// start runs a program pinned to a core and waits until it listens.
func (y *yard) start(ctx context.Context, core int, address string, args ...string) (*process, error) {
	p := &process{name: filepath.Base(args[0]), cmd: command(ctx, core, args...), gone: make(chan struct{})}
	p.cmd.Stderr = &p.said // a pipe, as it is where programs run in containers
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // what it said is shown, if it was not told to end
		close(p.gone)
	}()
	y.processes = append(y.processes, p)
	wait := time.NewTicker(5 * time.Millisecond)
	defer wait.Stop()
	for {
		select {
		case <-p.gone:
			return nil, p.alive()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-wait.C:
			if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
				return p, c.Close()
			}
		}
	}
}

// given are the addresses that free has returned: whoever asked for one may not listen there yet.
var given = map[string]bool{}

// free is an address that nobody listens at. It is asked for by one goroutine at a time.
func free(ctx context.Context) (string, error) {
	for {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		if err := l.Close(); err != nil {
			return "", err
		}
		if a := l.Addr().String(); !given[a] {
			given[a] = true
			return a, nil
		}
	}
}

// programs are those below this directory, each built when it is first needed.
type programs struct {
	dir   string
	built map[string]string
}

// path builds one of them, once.
func (p *programs) path(ctx context.Context, name string) (string, error) {
	if binary, ok := p.built[name]; ok {
		return binary, nil
	}
	binary := filepath.Join(p.dir, name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./internal/bench/"+name).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	p.built[name] = binary
	return binary, nil
}
