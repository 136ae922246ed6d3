package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A sink notes each writing to it.
type sink struct {
	mu       sync.Mutex
	writings []string
	err      error
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writings = append(s.writings, string(b))
	return len(b), s.err
}

func (s *sink) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.writings, "")
}

func (s *sink) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.writings)
}

func logTo(t *testing.T, s *sink) (*slog.Logger, *lines) {
	t.Helper()
	log, end, err := Logger(s, "json", "info")
	if err != nil {
		t.Fatal(err)
	}
	return log, end.(*lines)
}

func TestALineIsThereAtOnceOrWithinTheLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		log, _ := logTo(t, &s)
		log.Info("first")
		if !strings.Contains(s.all(), "first") {
			t.Error("a line after silence waits")
		}
		// Wherever in the lag a line comes, it is there by the end of it, and not before: it is written with others.
		for i := range 50 {
			line, came := fmt.Sprintf(`"n":%d}`, i), time.Now()
			log.Info("line", "n", i)
			before := s.times()
			for !strings.Contains(s.all(), line) {
				if time.Since(came) >= lag {
					t.Fatalf("%s waits for longer than %v", line, lag)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if n := s.times() - before; n > 1 {
				t.Errorf("%d writings for one line", n)
			}
			time.Sleep(time.Duration(i) * 3 * time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(2 * lag)
		log.Info("last")
		if !strings.Contains(s.all(), "last") {
			t.Error("a line after silence waits")
		}
		time.Sleep(2 * lag) // the last timer ends
	})
}

func TestManyLinesAreWrittenTogetherInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		log, _ := logTo(t, &s)
		const n = 2000
		for i := range n {
			log.Info("x", "n", i)
		}
		time.Sleep(2 * lag)
		got := strings.Split(strings.TrimSuffix(s.all(), "\n"), "\n")
		if len(got) != n {
			t.Fatalf("%d lines of %d", len(got), n)
		}
		for i, line := range got {
			if !strings.HasSuffix(line, fmt.Sprintf(`"n":%d}`, i)) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		if most := len(s.all())/most + 4; s.times() > most {
			t.Errorf("%d lines in %d writings, want %d at the most", n, s.times(), most)
		}
	})
}

func TestAWarningIsWrittenAtOnceAfterWhatStandsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, level := range []slog.Level{slog.LevelWarn, slog.LevelError} {
			var s sink
			log, end := logTo(t, &s)
			log.Info("one")
			log.Info("two")
			if strings.Contains(s.all(), "two") {
				t.Fatal("nothing waits: nothing is tested")
			}
			log.With("a", 1).WithGroup("g").Log(t.Context(), level, "three")
			if got := s.all(); !strings.Contains(got, "three") || strings.Index(got, "two") > strings.Index(got, "three") || !strings.Contains(got, "two") {
				t.Errorf("after the %v:\n%s", level, got)
			}
			if err := end.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestNothingWaitsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s sink
		log, end := logTo(t, &s)
		log.Info("one")
		log.Info("two")
		if err := end.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(s.all(), "two") {
			t.Error("what waited is lost")
		}
		log.Info("three")
		if !strings.Contains(s.all(), "three") {
			t.Error("what comes after the end waits")
		}
	})
}

func TestALineIsInOneWritingHoweverManyWrite(t *testing.T) {
	var s sink
	log, end := logTo(t, &s)
	const writers, each = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				level := slog.LevelInfo
				if i%97 == 0 {
					level = slog.LevelWarn
				}
				log.LogAttrs(context.Background(), level, "x", slog.Int("writer", w), slog.Int("n", i), slog.String("pad", strings.Repeat("p", i*3)))
			}
		})
	}
	all.Wait()
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	next := map[int]int{}
	for _, writing := range s.writings {
		if !strings.HasSuffix(writing, "\n") {
			t.Fatal("a writing ends within a line")
		}
		for line := range strings.Lines(writing) {
			var v struct{ Writer, N int }
			if err := json.Unmarshal([]byte(line), &v); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			if v.N != next[v.Writer] {
				t.Fatalf("line %d of writer %d comes when %d is due", v.N, v.Writer, next[v.Writer])
			}
			next[v.Writer]++
		}
	}
	for w := range writers {
		if next[w] != each {
			t.Errorf("%d of %d lines of writer %d", next[w], each, w)
		}
	}
}

func TestALineThatIsLongerThanWhatMayWaitIsWritten(t *testing.T) {
	var s sink
	l := &lines{w: &s}
	for _, n := range []int{10, most, 3 * most, 10} {
		if _, err := l.Write(append(bytes.Repeat([]byte("x"), n), '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.waiting) > most || cap(l.waiting) > 2*most {
		t.Errorf("%d bytes wait in %d", len(l.waiting), cap(l.waiting))
	}
	if err := l.Close(); err != nil || len(s.all()) != 4*most+24 {
		t.Errorf("%v, %d bytes", err, len(s.all()))
	}
}

func TestAnErrorOfTheWriterIsHeardOfOnce(t *testing.T) {
	s := sink{err: errors.New("full")}
	l := &lines{w: &s}
	if _, err := l.Write([]byte("x\n")); !errors.Is(err, s.err) {
		t.Errorf("got %v", err)
	}
	if _, err := l.Write([]byte("x\n")); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := l.Close(); !errors.Is(err, s.err) {
		t.Errorf("at the end: %v", err)
	}
}
