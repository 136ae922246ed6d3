package proxy

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// within reports whether the function is on the caller's stack.
func within(function string) bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// A panic of the fast path ends its connection wherever it happens: also one that came back from
// net/http, which would take it for idle, and nobody would ever close it.
func TestAPanicOfTheFastPathEndsTheConnection(t *testing.T) {
	for _, back := range []bool{false, true} {
		var armed atomic.Bool
		s := newStage(t, func(o *Options) {
			now := o.Now
			o.Now = func() time.Time {
				if armed.Load() && within("(*conn).serve") && armed.CompareAndSwap(true, false) {
					panic("as a test wants it")
				}
				return now()
			}
		})
		_, cookie := s.jo()
		conn := s.call(s.fast)
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		if back {
			conn.say(request("GET", "/x", ""))
			conn.hear("GET")
		}
		armed.Store(true)
		conn.say(request("GET", "/a", cookie))
		conn.ended("after a panic")
		l := s.server.Listener.(*Listener)
		s.eventually("the connection is forgotten", func() bool { return len(l.all()) == 0 })
		if n := s.proxy.meter(s.acme.ID).open.Load(); n != 0 {
			t.Errorf("%d requests are open", n)
		}
	}
}
