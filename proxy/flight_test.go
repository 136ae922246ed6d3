package proxy

import (
	"context"
	"net/http"
	"net/http/httptest"
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
			x := &exchange{p: p, began: time.Now(), rc: http.NewResponseController(httptest.NewRecorder())}
			time.Sleep(c.since)
			at := time.Now()
			var ended time.Duration
			x.flight.x, x.flight.canceler = x, cancelFunc(func(error) { ended = time.Since(at) })
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

// Who judges a flight, or ends it, must not find another request in its place.
func TestAnExchangeThatAnybodyElseHadIsNotUsedAgain(t *testing.T) {
	d := &docket{judge: func(context.Context, *grant, *flight) {}}
	for _, c := range []struct {
		name string
		had  func(*flights, *flight)
		kept bool
	}{
		{"by nobody", func(*flights, *flight) {}, true},
		{"by whoever judges all under a grant", func(s *flights, _ *flight) { s.list() }, false},
		{"by the docket", func(_ *flights, f *flight) { d.addOne(f) }, false},
		{"by a timer", func(_ *flights, f *flight) { f.timer.Store(time.AfterFunc(time.Hour, func() {})) }, false},
	} {
		for _, others := range []int{0, 2} {
			x := &exchange{id: "its id"}
			var s flights
			for range others {
				s.add(&flight{})
			}
			s.add(&x.flight)
			c.had(&s, &x.flight)
			s.remove(&x.flight)
			var b buffer
			b.keep(x)
			if kept := b.spare == x; kept != c.kept {
				t.Errorf("%s: kept %v", c.name, kept)
			}
			if c.kept && (x.id != "" || b.exchange() != x || b.exchange() == x) {
				t.Errorf("%s: it is not handed out once, empty", c.name)
			}
		}
	}
}
