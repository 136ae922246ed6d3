package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// A visited is what the command client says.
type visited struct {
	Held     int     `json:"held"`
	Messages int     `json:"messages"`
	Seconds  float64 `json:"seconds"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

// visit runs the command client to its end on the core of the load.
func (y *yard) visit(ctx context.Context, args ...string) (v visited, err error) {
	out, err := y.output(ctx, "client", args...)
	if err == nil && len(out) > 0 {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}

// output runs a program of this directory to its end on the core of the load.
func (y *yard) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	binary, err := y.programs.path(ctx, name)
	if err != nil {
		return nil, err
	}
	cmd := command(ctx, loadCore, append([]string{binary}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, said.String())
	}
	return out, nil
}

// A crowd is connections that are held by the command client.
type crowd struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Scanner
	said     bytes.Buffer
	held     int
	released bool
}

// hold opens connections, and returns when all are open.
func (y *yard) hold(ctx context.Context, args ...string) (*crowd, error) {
	binary, err := y.programs.path(ctx, "client")
	if err != nil {
		return nil, err
	}
	c := &crowd{cmd: command(ctx, loadCore, append([]string{binary}, args...)...)}
	c.cmd.Stderr = &c.said
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	v, err := c.read()
	if err != nil {
		return nil, err
	}
	c.held = v.Held
	return c, nil
}

// measure has it measured, and checks that nothing was closed.
func (c *crowd) measure() (visited, error) {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return visited{}, errors.Join(err, c.release())
	}
	return c.read()
}

func (c *crowd) read() (v visited, err error) {
	if !c.out.Scan() {
		return v, errors.Join(errors.New("the command client ended"), c.out.Err(), c.release())
	}
	return v, json.Unmarshal(c.out.Bytes(), &v)
}

// release closes the connections.
func (c *crowd) release() error {
	if c.released {
		return nil
	}
	c.released = true
	_ = c.in.Close() // it has gone, if this fails
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, c.said.String())
	}
	return nil
}

// cookieFile is a file for the command client with one cookie; its name is empty if there is none.
func (y *yard) cookieFile(cookie string) (string, error) {
	if cookie == "" {
		return "", nil
	}
	f, err := os.CreateTemp(y.dir, "cookies-")
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = f.WriteString(cookie + "\n")
	return f.Name(), err
}
