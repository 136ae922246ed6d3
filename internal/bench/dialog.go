package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// A dialog is with a program of this directory that runs on the core of the load, and answers what it is told line by line.
type dialog struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer // on its standard error
	over bool
}

// converse starts the program.
func (y *yard) converse(ctx context.Context, name string, args ...string) (*dialog, error) {
	binary, err := y.programs.path(ctx, name)
	if err != nil {
		return nil, err
	}
	d := &dialog{cmd: command(ctx, loadCore, append([]string{binary}, args...)...)}
	d.cmd.Stderr = &d.said
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewReader(out)
	return d, d.cmd.Start()
}

// tell sends a line.
func (d *dialog) tell(line []byte) error {
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return d.fault(err)
	}
	return nil
}

// hear returns the next line.
func (d *dialog) hear() ([]byte, error) {
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		return nil, d.fault(err)
	}
	return line, nil
}

// end ends it, once.
func (d *dialog) end() error {
	if d.over {
		return nil
	}
	d.over = true
	_ = d.in.Close() // it has gone, if this fails
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, d.said.String())
	}
	return nil
}

// fault is why it did not do what it was told.
func (d *dialog) fault(err error) error { return errors.Join(err, d.end()) }
