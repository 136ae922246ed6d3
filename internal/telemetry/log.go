// Package telemetry is how an operator sees orgate: the logger, Prometheus metrics
// and OpenTelemetry traces.
//
// It owns their names and labels, which are bounded: no label is ever a user, a path or
// anything that a client sends. It does not own what is worth measuring; the edges say so
// through small interfaces of their own, which types here satisfy.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Logger returns a logger in "json" or "text" from the level on ("debug", "info",
// "warn", "error"). What it is told waits for at most 100 ms and 64 KiB, to be written together, unless it is a
// warning or worse: that is written at once, after what stands before it. Whoever is done closes end, and then nothing waits.
func Logger(w io.Writer, format, level string) (log *slog.Logger, end io.Closer, err error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	o, l := &slog.HandlerOptions{Level: least}, &lines{w: w}
	switch format {
	case "json":
		return slog.New(handler{Handler: slog.NewJSONHandler(l, o), lines: l, room: new(sync.Pool)}), l, nil
	case "text":
		return slog.New(handler{Handler: slog.NewTextHandler(l, o), lines: l}), l, nil
	}
	return nil, nil, fmt.Errorf("log format %q: want json or text", format)
}
