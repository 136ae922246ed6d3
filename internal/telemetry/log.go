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
)

// Logger returns a logger in "json" or "text" from the level on ("debug", "info",
// "warn", "error").
func Logger(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level %q: want debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	}
	return nil, fmt.Errorf("log format %q: want json or text", format)
}
