// Package quiet gives memory back to the system when the process has little to do.
//
// Go's collector lets garbage grow to as much as what is in use, keeps stacks at the size that they needed last, and returns what it
// does not use slowly. That is right under load; but most sidecars rest for most of the day, beside an app that could use the memory.
//
// It owns when that is. It does not own how much a busy process may take: that is GOMEMLIMIT's.
package quiet

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	every = 15 * time.Second
	// little is how much of one core a quiet process takes.
	little = every / 50
	// patience is how often in a row it must have been quiet.
	patience = 2
)

// A process is what is asked of it, and done to it.
type process struct {
	spent func() time.Duration // CPU time so far
	held  func() uint64        // bytes
	free  func()
}

// Run gives memory back whenever the process is quiet, for as long as that finds some, until ctx is done. Where the system
// does not say what CPU time the process took, it does nothing.
func Run(ctx context.Context) {
	if _, ok := spent(); !ok {
		return
	}
	process{spent: func() time.Duration { d, _ := spent(); return d }, held: held, free: debug.FreeOSMemory}.run(ctx)
}

func (p process) run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, calm, done := p.spent(), 0, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.spent()
		if calm++; now-before > little {
			calm, done = 0, false
		}
		if before = now; done || calm < patience {
			continue
		}
		// A collection halves a stack that has grown; so there may be more to find the next time.
		had := p.held()
		p.free()
		done = p.held() > had-had/50
		before = p.spent() // what it took itself is no work
	}
}

// held is what the runtime has of the system's memory.
func held() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
