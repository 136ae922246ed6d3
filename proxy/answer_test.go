package proxy

import (
	"net/http"
	"testing"
	"time"
)

func TestAnAnswerWithoutADateGetsThatOfItsSecond(t *testing.T) {
	var d dates
	begin := time.Date(2026, 3, 1, 23, 59, 58, 0, time.FixedZone("", 3600))
	for _, after := range []time.Duration{0, time.Second - 1, time.Second, 2 * time.Second, time.Second, time.Minute + time.Second, 24*time.Hour + time.Second} { // a clock may be set back
		now := begin.Add(after)
		if line, want := d.line(now), "Date: "+now.UTC().Format(http.TimeFormat)+"\r\n"; line != want {
			t.Errorf("after %v: %q, not %q", after, line, want)
		}
	}
	first := d.last.Load()
	if d.line(begin.Add(24*time.Hour + time.Second)); first == nil || d.last.Load() != first {
		t.Error("written twice in a second")
	}
}
