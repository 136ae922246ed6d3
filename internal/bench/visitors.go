package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
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
	binary, err := y.programs.path(ctx, "client")
	if err != nil {
		return v, err
	}
	cmd := command(ctx, loadCore, append([]string{binary}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return v, fmt.Errorf("%w: %s", err, said.String())
	}
	if len(out) > 0 {
		err = json.Unmarshal(out, &v)
	}
	return v, err
}

// A crowd is connections that are held by the command client.
type crowd struct {
	*dialog
	held int
}

// hold opens connections, and returns when all are open.
func (y *yard) hold(ctx context.Context, args ...string) (*crowd, error) {
	d, err := y.converse(ctx, "client", args...)
	if err != nil {
		return nil, err
	}
	c := &crowd{dialog: d}
	v, err := c.read()
	c.held = v.Held
	return c, err
}

// measure has it measured, and checks that nothing was closed.
func (c *crowd) measure() (visited, error) {
	if err := c.tell(nil); err != nil {
		return visited{}, err
	}
	return c.read()
}

func (c *crowd) read() (v visited, err error) {
	line, err := c.hear()
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(line, &v)
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
