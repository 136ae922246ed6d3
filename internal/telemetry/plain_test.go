package telemetry

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"
)

// sameLine holds a line of ours against that of slog.
func sameLine(t *testing.T, at time.Time, level slog.Level, message string, attrs ...slog.Attr) (plain bool) {
	t.Helper()
	r := slog.NewRecord(at, level, message, 0)
	r.AddAttrs(attrs...)
	line, plain := appendPlain(nil, &r)
	var want bytes.Buffer
	if err := slog.NewJSONHandler(&want, nil).Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if plain && string(line) != want.String() {
		t.Errorf("we write %sslog writes %s", line, want.String())
	}
	var got sink
	log, end := logTo(t, &got)
	if err := log.Handler().Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	if got.all() != want.String() {
		t.Errorf("the logger writes %sslog writes %s", got.all(), want.String())
	}
	return plain
}

func TestAPlainLineIsWhatSlogWrites(t *testing.T) {
	now := time.Now()
	if !sameLine(t, now, slog.LevelInfo, "request", slog.String("a", "req_1 ~<>&'/"), slog.Int("b", -7), slog.Duration("c", time.Second), slog.Bool("d", true), slog.Uint64("e", math.MaxUint64), slog.String("f", "")) {
		t.Error("the line of a request is not plain")
	}
	for _, at := range []time.Time{{}, time.Unix(0, 0).UTC(), now.In(time.FixedZone("x", 3600)), time.Date(2026, 1, 2, 3, 4, 5, 100, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)} {
		sameLine(t, at, slog.LevelWarn, "m", slog.Int("a", 1))
	}
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelError, 1, -7} {
		sameLine(t, now, level, "m")
	}
	for _, text := range []string{`"`, `\\`, "\x00", "\n", "\x1f", "\x7f", "\xff", "\u2028", "é", "<&>"} {
		sameLine(t, now, slog.LevelInfo, "m", slog.String("a", "x"+text))
		sameLine(t, now, slog.LevelInfo, "m", slog.String(text, "x"))
		sameLine(t, now, slog.LevelInfo, text)
	}
	for _, v := range []any{nil, 1.5, math.NaN(), now, errors.New("x"), []string{"a"}, map[string]any{"a": 1}, slog.GroupValue(slog.Int("a", 1)), level{}, struct{}{}} {
		if sameLine(t, now, slog.LevelInfo, "m", slog.Int("before", 1), slog.Any("v", v), slog.Int("after", 1)) {
			t.Errorf("%v is plain", v)
		}
	}
	sameLine(t, now, slog.LevelInfo, "m", slog.Any("v", slog.GroupValue()), slog.Int("a", 1))
	sameLine(t, now, slog.LevelInfo, "m", slog.Attr{}, slog.String("", "x"), slog.Any("", slog.GroupValue(slog.Int("a", 1))), slog.Int("a", 1), slog.Int("a", 2))
}

// A level is logged as something else.
type level struct{}

func (level) LogValue() slog.Value { return slog.StringValue("low") }

func TestAttributesAndGroupsOfALoggerAreInItsLines(t *testing.T) {
	var s sink
	log, end := logTo(t, &s)
	log.With("a", 1).Info("x", "b", 2)
	log.WithGroup("g").Info("x", "b", 3)
	log.With().Info("x", "b", 4)
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"a":1,"b":2}`, `"g":{"b":3}}`, `"msg":"x","b":4}`} {
		if !bytes.Contains([]byte(s.all()), []byte(want)) {
			t.Errorf("no %s in\n%s", want, s.all())
		}
	}
}

func FuzzPlainLine(f *testing.F) {
	f.Add("request", "key", "value", int64(0), int64(1))
	f.Add("a\"", "\\", "\x7f\n\u2028\xff", int64(1<<40), int64(-1))
	f.Fuzz(func(t *testing.T, message, key, value string, at, n int64) {
		sameLine(t, time.Unix(at%(1<<37), n), slog.Level(n%20), message, slog.String(key, value), slog.Int64(value, n), slog.Any(key, value))
	})
}

func BenchmarkLineOfARequest(b *testing.B) {
	for name, attrs := range map[string][]slog.Attr{
		"plain": {slog.String("path", "x")}, "escaped": {slog.String("path", "\n")},
	} {
		b.Run(name, func(b *testing.B) {
			log, _, err := Logger(nowhere{}, "json", "info")
			if err != nil {
				b.Fatal(err)
			}
			attrs := append(attrs, slog.String("request_id", "req_01JABCDEFGHJKMNPQRSTVWXYZ0"), slog.String("method", "GET"), slog.Int("status", 200), slog.Int64("bytes", 1024),
				slog.Duration("duration", time.Millisecond), slog.String("client_ip", "192.0.2.1"), slog.String("user", "user_01JABCDEFGHJKMNPQRSTVWXYZ0"), slog.String("session", "session_01JABCDEFGHJKMNPQRSTVWXYZ0"))
			b.ReportAllocs()
			for b.Loop() {
				r := slog.NewRecord(time.Now(), slog.LevelInfo, "request", 0)
				r.AddAttrs(attrs...)
				if err := log.Handler().Handle(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

type nowhere struct{}

func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
