package proxy

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyAnAnswerThatHasJustBegunMayBeFinished(t *testing.T) {
	for _, c := range []struct {
		name  string
		phase phase
		since time.Duration // the request came
		ends  time.Duration
	}{
		{"nothing was answered yet", waiting, time.Hour, grace},
		{"a request that has just come, and its answer has begun", answering, grace / 2, grace},
		{"a long download", answering, time.Minute, 0},
		{"a stream that has just begun", streaming, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &Proxy{now: time.Now}
			x := &exchange{p: p, began: time.Now()}
			time.Sleep(c.since)
			at := time.Now()
			var ended time.Duration
			x.flight.x, x.flight.cancel = x, func(error) { ended = time.Since(at) }
			x.flight.phase.Store(int32(c.phase))
			p.end(&x.flight)
			time.Sleep(time.Hour)
			synctest.Wait()
			if ended != c.ends || !x.flight.ended.Load() {
				t.Errorf("%s: ended after %v, want %v", c.name, ended, c.ends)
			}
		})
	}
}
