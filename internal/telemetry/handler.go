package telemetry

import (
	"context"
	"log/slog"
	"sync"
)

// A handler has a warning, and whatever is worse, written at once, and what stands before it. How a line is
// written is the business of the handler in it, but for plain ones; see [appendPlain].
type handler struct {
	slog.Handler
	lines *lines
	room  *sync.Pool // of *[]byte, for plain lines; nil: there are none, as it is no JSON or has attributes of its own
}

// Handle implements [slog.Handler].
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	err := h.write(ctx, r)
	if r.Level < slog.LevelWarn {
		return err
	}
	if e := h.lines.flush(); err == nil {
		err = e
	}
	return err
}

func (h handler) write(ctx context.Context, r slog.Record) error {
	if h.room == nil {
		return h.Handler.Handle(ctx, r)
	}
	room, ok := h.room.Get().(*[]byte)
	if !ok {
		room = new(make([]byte, 0, 1<<10))
	}
	defer h.room.Put(room)
	line, ok := appendPlain((*room)[:0], &r)
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	_, err := h.lines.Write(line)
	if cap(line) <= 16<<10 {
		*room = line
	}
	return err
}

// WithAttrs implements [slog.Handler].
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	return handler{Handler: h.Handler.WithAttrs(attrs), lines: h.lines}
}

// WithGroup implements [slog.Handler].
func (h handler) WithGroup(name string) slog.Handler {
	return handler{Handler: h.Handler.WithGroup(name), lines: h.lines}
}
